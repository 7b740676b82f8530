/** Every storage failure has one SQLSTATE and PostgreSQL's words. A new kind of KvReason does not compile until it has both. */
import type { Oid } from '../../storage/keys/brand.ts'
import { KvError, type KvReason } from '../../storage/range/errors.ts'
import { type SqlError, sqlError } from '../types/error.ts'

const WORDS = {
  'write-conflict': (reason: KvReason & { kind: 'write-conflict' }) =>
    sqlError('40001', `could not serialize access due to concurrent ${reason.deleted ? 'delete' : 'update'}`),
  'read-conflict': () =>
    sqlError('40001', 'could not serialize access due to read/write dependencies among transactions', {
      detail: 'Reason code: something this transaction read was changed before it committed.',
      hint: 'The transaction might succeed if retried.',
    }),
  'statement-restart': () => sqlError('40001', 'could not serialize access due to concurrent update'),
  'lock-not-available': () => sqlError('55P03', 'could not obtain lock on row'),
  'lock-timeout': () => sqlError('55P03', 'canceling statement due to lock timeout'),
  deadlock: (reason: KvReason & { kind: 'deadlock' }) =>
    sqlError('40P01', 'deadlock detected', { detail: reason.detail, hint: 'See server log for query details.' }),
  'not-leader': () => sqlError('57P03', 'this node is not the leader'),
  'range-moved': () => sqlError('57P03', 'the range has moved'),
  'commit-unknown': () => sqlError('40003', 'the outcome of the commit is not known'),
  engine: (reason: KvReason & { kind: 'engine' }, message: string) => {
    const code = {
      locked: '55006',
      corruption: 'XX001',
      io: '58030',
      'disk-full': '53100',
      closed: '57P01',
      invalid: 'XX000',
    }[reason.reason]
    return sqlError(code, message)
  },
  'too-large': () =>
    sqlError('53200', 'out of memory', {
      detail: 'The transaction holds more uncommitted data than one transaction may.',
    }),
  cancelled: () => sqlError('57014', 'canceling statement due to user request'),
} as const satisfies { readonly [K in KvReason['kind']]: (reason: KvReason & { kind: K }, message: string) => SqlError }

/** What a statement ends with. Errors that are not known here are bugs and pass through. */
export function toSqlError(error: unknown, database?: Oid): unknown {
  if (error instanceof KvError) {
    if (error.reason.kind === 'deadlock' && database !== undefined) {
      const detail = error.reason.detail.replaceAll(/ on relation \d+(?=;)/g, `$& of database ${database}`)
      return WORDS.deadlock({ kind: 'deadlock', detail })
    }
    const words = WORDS[error.reason.kind] as (reason: KvReason, message: string) => SqlError
    return words(error.reason, error.message)
  }
  if (error instanceof RangeError && error.message.includes('call stack')) {
    return sqlError('54001', 'stack depth limit exceeded', {
      hint: 'Increase the configuration parameter "max_stack_depth" (currently 2048kB), after ensuring the platform\'s stack depth limit is adequate.',
    })
  }
  if (error instanceof RangeError && /Invalid (string|array) length|Array buffer allocation/.test(error.message))
    return sqlError('54000', 'out of memory: a value is larger than the server can hold')
  return error
}
