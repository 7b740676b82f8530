/**
 * One connection's SQL: statements, portals, transaction, settings. The server (or an embedding program) calls these
 * methods one at a time and in order; each is a protocol message's meaning without its bytes.
 *
 * Methods return undefined when they finished at once and a promise only when they had to wait, so that a pipelined
 * point query is answered within one turn of the event loop. When a method throws (or rejects with) SqlError the session
 * has already put its transaction in order ('E' inside a block, rolled back outside); the server sends the error and, in
 * the extended protocol, skips to Sync.
 */
import type { Oid } from '../../storage/keys/brand.ts'
import type { Notice } from '../types/error.ts'
import type { Type, TypeContext } from '../types/type.ts'
import type { Row } from '../types/value.ts'

export type MaybePromise<T> = T | Promise<T>
/** 0 text, 1 binary. */
export type Format = 0 | 1

/** A result column, as RowDescription describes it. */
export interface Field {
  readonly name: string
  readonly tableOid: Oid
  readonly columnNumber: number
  readonly type: Type
  /** The oid to report (a domain reports its base type). */
  readonly typeOid: Oid
  readonly typeLength: number
  readonly typmod: number
}

export interface Session {
  readonly pid: number
  /** For CancelRequest. */
  readonly secret: number
  /** What ParameterStatus reports at start-up, in order. Later changes go through `Sink.parameterStatus`. */
  readonly reportedParameters: ReadonlyMap<string, string>
  readonly transactionStatus: 'I' | 'T' | 'E'
  /** For encoding values: the session's settings and type look-up. Stable object, contents change. */
  readonly typeContext: TypeContext

  /** A simple Query: any number of statements. */
  query(sql: string, sink: Sink): MaybePromise<void>

  parse(name: string, sql: string, parameterTypes: readonly Oid[]): MaybePromise<void>
  /** `values[i]` is valid only during the call; null is NULL. Formats as in Bind: none, one for all, or one each. */
  bind(
    portal: string,
    statement: string,
    formats: readonly Format[],
    values: readonly (Buffer | null)[],
    resultFormats: readonly Format[],
  ): MaybePromise<void>
  describeStatement(
    name: string,
  ): MaybePromise<{ readonly parameters: readonly Oid[]; readonly fields: readonly Field[] | undefined }>
  describePortal(
    name: string,
  ): MaybePromise<{ readonly fields: readonly Field[] | undefined; readonly formats: readonly Format[] }>
  /** maxRows 0: all. Ends with sink.commandComplete, portalSuspended or emptyQuery. */
  execute(portal: string, maxRows: number, sink: Sink): MaybePromise<void>
  closeStatement(name: string): void
  closePortal(name: string): void
  /** Ends the implicit transaction (commits it, or rolls back after an error). */
  sync(sink: Sink): MaybePromise<void>
  /** The extended-protocol message before Sync failed outside this session (a malformed message): same clean-up as an own error. */
  fail(): void

  /** Ends the running statement with 57014. May be called at any time. */
  cancel(): void
  /** Ends the session: running statement and everything after fail with 57P01. */
  terminate(): void
  /** Rolls back, releases everything. */
  close(): MaybePromise<void>
}

/** Where a session's answers go: the server encodes them, an embedded caller collects them. */
export interface Sink {
  /** Before the first row of a simple query's result, and for FETCH, SHOW, EXPLAIN …; in the extended protocol the server has it from Describe and ignores it. */
  fields(fields: readonly Field[], formats: readonly Format[]): void
  /** One DataRow; `values` may be reused by the caller after the call. */
  row(values: Row): void
  /** undefined: go on. A promise: the client is slow, wait for it before more rows. Asked once a batch. */
  flow(): Promise<void> | undefined
  commandComplete(tag: string): void
  emptyQuery(): void
  portalSuspended(): void
  notice(notice: Notice): void
  parameterStatus(name: string, value: string): void
  notification(pid: number, channel: string, payload: string): void
  /** Sends CopyInResponse and gives the client's chunks; ends on CopyDone; throws 57014 on CopyFail and 08P01 on anything else. */
  copyIn(format: Format, columns: number): AsyncIterable<Buffer>
  copyOut(format: Format, columns: number): void
  /** One CopyData message: `bytes` is copied. */
  copyData(bytes: Uint8Array): void
  copyDone(): void
}

/** What the server asks of a database before there is a session. */
export interface Role {
  readonly oid: Oid
  readonly name: string
  readonly canLogin: boolean
  readonly superuser: boolean
  /** SCRAM-SHA-256$… or md5… as pg_authid.rolpassword, or undefined. */
  readonly password: string | undefined
  readonly validUntil: Date | undefined
  /** -1: no limit. */
  readonly connectionLimit: number
}

export interface ConnectOptions {
  readonly user: string
  readonly database: string
  /** Start-up parameters other than user and database (application_name, options' -c settings, …). Throws 22023, 42704 for bad ones. */
  readonly parameters: ReadonlyMap<string, string>
  /** For pg_stat_activity: undefined for an embedded session. */
  readonly clientAddress: string | undefined
  readonly clientPort: number | undefined
  /** For pg_stat_ssl, when the connection is encrypted. */
  readonly encryption?: { readonly version: string; readonly cipher: string; readonly bits: number }
  /** Called with asynchronous notices when no statement is running. */
  readonly idleSink: Sink | undefined
  /** The session wants its connection to be closed (pg_terminate_backend, idle timeouts): the server sends the FATAL error and closes. */
  onTerminate(error: Error): void
}

export interface Database {
  /** A role for authentication, from any database. */
  role(name: string): Role | undefined
  /** Throws 3D000 `database "x" does not exist`, 53300 too many connections (role or database limit), 28000. */
  connect(options: ConnectOptions): MaybePromise<Session>
  /** CancelRequest: true when a session with that pid and secret was there. */
  cancel(pid: number, secret: number): boolean
  /** Number of open sessions. */
  readonly sessions: number
  /** Value of a server-level setting (max_connections, authentication_timeout, …) as SHOW prints it. */
  setting(name: string): string
  /** Stops new statements, waits at most `graceMs` for running ones, then terminates the rest. */
  close(graceMs: number): Promise<void>
}
