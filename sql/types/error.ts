/** The one error class of SQL: what a statement ends with, as PostgreSQL's ErrorResponse has it. */
export type SqlState = string

export interface ErrorFields {
  readonly detail?: string | undefined
  readonly hint?: string | undefined
  /** Character position in the statement, from 1. */
  readonly position?: number | undefined
  readonly context?: string | undefined
  readonly schema?: string | undefined
  readonly table?: string | undefined
  readonly column?: string | undefined
  readonly dataType?: string | undefined
  readonly constraint?: string | undefined
  readonly severity?: 'ERROR' | 'FATAL' | 'PANIC'
}

export class SqlError extends Error {
  override readonly name = 'SqlError'
  readonly code: SqlState
  /** Mutable so that an outer layer can add what only it knows (a position, a constraint's table). */
  fields: ErrorFields
  constructor(code: SqlState, message: string, fields: ErrorFields = {}) {
    super(message)
    this.code = code
    this.fields = fields
  }
}

export const sqlError = (code: SqlState, message: string, fields?: ErrorFields): SqlError =>
  new SqlError(code, message, fields)

/** 0A000: what PostgreSQL has and this server does not yet. Names the feature, never ignores it. */
export const notSupported = (feature: string, fields?: ErrorFields): SqlError =>
  new SqlError('0A000', `${feature} is not supported`, fields)

/** A NOTICE, WARNING, INFO, LOG or DEBUG that goes to the client beside the results. */
export interface Notice {
  readonly severity: 'NOTICE' | 'WARNING' | 'INFO' | 'LOG' | 'DEBUG'
  readonly code: SqlState
  readonly message: string
  readonly fields: ErrorFields
}
