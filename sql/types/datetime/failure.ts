/**
 * How reading a date, time or interval fails, before it is known what the whole text was: made into PostgreSQL's error by
 * `inputError` (its DateTimeParseError).
 */
import type { SqlError } from '../error.ts'
import { sqlError } from '../error.ts'

export class DecodeFailure extends Error {
  readonly kind: 'format' | 'field' | 'monthDay' | 'interval' | 'zone'
  constructor(kind: DecodeFailure['kind']) {
    super(kind)
    this.kind = kind
  }
}

/** One object each, made once: a failure carries nothing else. */
export const failure = {
  format: new DecodeFailure('format'),
  field: new DecodeFailure('field'),
  monthDay: new DecodeFailure('monthDay'),
  interval: new DecodeFailure('interval'),
  zone: new DecodeFailure('zone'),
} as const

export const SQL_NAMES = {
  date: 'date',
  time: 'time',
  timetz: 'time with time zone',
  timestamp: 'timestamp',
  timestamptz: 'timestamp with time zone',
  interval: 'interval',
} as const

/** The SQL error of a failure to read `text` as a `typeName`; other errors as they are. */
export function inputError(error: unknown, text: string, typeName: string): unknown {
  return error instanceof DecodeFailure ? failureError(error.kind, text, typeName) : error
}

export function failureError(kind: DecodeFailure['kind'], text: string, typeName: string): SqlError {
  switch (kind) {
    case 'field':
      return sqlError('22008', `date/time field value out of range: "${text}"`)
    case 'monthDay':
      return sqlError('22008', `date/time field value out of range: "${text}"`, {
        hint: 'Perhaps you need a different "datestyle" setting.',
      })
    case 'interval':
      return sqlError('22015', `interval field value out of range: "${text}"`)
    case 'zone':
      return sqlError('22009', `time zone displacement out of range: "${text}"`)
    case 'format':
      return sqlError('22007', `invalid input syntax for type ${typeName}: "${text}"`)
  }
}

export const unknownZone = (name: string): SqlError => sqlError('22023', `time zone "${name}" not recognized`)
