/**
 * A database that is not one: it answers a few fixed statements, so that the wire can be tested and measured without SQL.
 *
 *     select 1                      one row of an int4            rows N         N rows (n int4, t text)
 *     SELECT abalance … / params    one row of a constant         slow N         the same after a timer
 *     echo $1 …                     the parameters as text        error          22012     boom   a plain Error
 *     copy in | copy out N          COPY sub-protocols            wait           until it is cancelled
 *     begin | commit | rollback     transaction status            notice, notify, set, empty
 */
import type {
  ConnectOptions,
  Database,
  Field,
  Format,
  MaybePromise,
  Role,
  Session,
  Sink,
} from '../../sql/session/session.ts'
import { type SqlError, sqlError } from '../../sql/types/error.ts'
import { DEFAULT_SETTINGS } from '../../sql/types/settings.ts'
import type { Type, TypeContext } from '../../sql/types/type.ts'
import type { Value } from '../../sql/types/value.ts'
import { type Oid, oid } from '../../storage/keys/brand.ts'

function fakeType(
  number: number,
  name: string,
  kind: 'int32' | 'int64' | 'text' | 'bool',
  rest: Partial<Type> = {},
): Type {
  return {
    oid: oid(number),
    name,
    elementOid: oid(0),
    delimiter: ',',
    input: (text) => (kind === 'text' ? text : Number(text)),
    output: (value) => String(value),
    receive: (from, start, end) => (kind === 'text' ? from.toString('utf8', start, end) : from.readInt32BE(start)),
    send: (value, to) => (kind === 'text' ? to.text(String(value)) : to.int32(Number(value))),
    storage: { kind },
    ...rest,
  }
}
export const INT4 = fakeType(23, 'int4', 'int32')
export const INT8 = fakeType(20, 'int8', 'int64')
export const BOOL = fakeType(16, 'bool', 'bool')
export const TEXT = fakeType(25, 'text', 'text')
/** A type without a fast way of its own. */
export const POINTLESS = fakeType(600, 'pointless', 'text', { output: (value) => `<${String(value)}>` })
export const BYTEA = fakeType(17, 'bytea', 'text', {
  output: (value) => `\\x${Buffer.from(value as Uint8Array).toString('hex')}`,
})
const TYPES = new Map<number, Type>([INT4, INT8, BOOL, TEXT, BYTEA, POINTLESS].map((type) => [type.oid, type]))

export const context: TypeContext = {
  settings: DEFAULT_SETTINGS,
  transactionTimestamp: 0,
  type(number: Oid): Type {
    const type = TYPES.get(number)
    if (type === undefined) throw sqlError('42704', `type with OID ${number} does not exist`)
    return type
  },
}

export const field = (name: string, type: Type): Field => ({
  name,
  tableOid: oid(0),
  columnNumber: 0,
  type,
  typeOid: type.oid,
  typeLength: type === INT4 ? 4 : -1,
  typmod: -1,
})

const ONE_FIELD = [field('?column?', INT4)]
const BALANCE_FIELD = [field('abalance', INT4)]
const ROWS_FIELDS = [field('n', INT4), field('t', TEXT)]
const BIG_FIELDS = [field('n', INT4), field('t', TEXT)]
const CONSTANT_ROW: readonly Value[] = [0]
const COUNT = { fields: [field('count', INT8)], row: [10] }
const PARTITIONS = { fields: [field('n', INT8), field('partstrat', TEXT), field('count', INT8)], row: [1, null, 0] }
const BIG_TEXT = 'x'.repeat(1000)
const BATCH = 1024
const NO_FORMATS: readonly Format[] = []

interface Statement {
  readonly sql: string
  readonly parameters: readonly Oid[]
  readonly fields: readonly Field[] | undefined
}
interface Portal {
  readonly statement: Statement
  readonly formats: readonly Format[]
  readonly values: readonly (string | null)[]
  position: number
}

function fieldsOf(sql: string, parameters: number): readonly Field[] | undefined {
  if (sql.startsWith('SELECT abalance')) return BALANCE_FIELD
  if (sql.startsWith('select 1') || sql.startsWith('slow') || sql === 'wait' || sql === 'error late') return ONE_FIELD
  if (sql.startsWith('rows')) return ROWS_FIELDS
  if (sql.startsWith('big')) return BIG_FIELDS
  if (sql.startsWith('echo')) return Array.from({ length: parameters }, (_, i) => field(`p${i + 1}`, TEXT))
  return undefined
}

export class FakeSession implements Session {
  readonly pid: number
  readonly secret: number
  readonly reportedParameters = new Map([
    ['server_version', '15.0'],
    ['server_encoding', 'UTF8'],
    ['client_encoding', 'UTF8'],
    ['standard_conforming_strings', 'on'],
    ['DateStyle', 'ISO, MDY'],
    ['integer_datetimes', 'on'],
    ['TimeZone', 'UTC'],
  ])
  readonly typeContext = context
  transactionStatus: 'I' | 'T' | 'E' = 'I'
  readonly options: ConnectOptions
  readonly #database: FakeDatabase
  readonly #statements = new Map<string, Statement>()
  readonly #portals = new Map<string, Portal>()
  #interrupt: ((error: SqlError) => void) | undefined
  #terminated = false
  fails = 0

  constructor(database: FakeDatabase, pid: number, options: ConnectOptions) {
    this.#database = database
    this.pid = pid
    this.secret = pid * 7919
    this.options = options
  }

  query(sql: string, sink: Sink): MaybePromise<void> {
    const parts = sql
      .split(';')
      .map((part) => part.trim())
      .filter((part) => part !== '')
    if (parts.length === 0) return sink.emptyQuery()
    if (parts.length === 1) return this.#run({ sql: parts[0]!, values: [], from: 0 }, 0, NO_FORMATS, sink)
    return (async () => {
      for (const part of parts) await this.#run({ sql: part, values: [], from: 0 }, 0, NO_FORMATS, sink)
    })()
  }

  parse(name: string, sql: string, parameterTypes: readonly Oid[]): MaybePromise<void> {
    if (sql === 'syntax') throw this.#aborted(sqlError('42601', 'syntax error at or near "syntax"', { position: 1 }))
    const count = new Set(sql.match(/\$\d+/g)).size
    const parameters = Array.from({ length: count }, (_, i) => parameterTypes[i] ?? oid(25))
    const statement = { sql, parameters, fields: fieldsOf(sql, count) }
    this.#statements.set(name, statement)
  }

  bind(
    portal: string,
    statement: string,
    formats: readonly Format[],
    values: readonly (Buffer | null)[],
    resultFormats: readonly Format[],
  ): MaybePromise<void> {
    const found = this.#statements.get(statement)
    if (found === undefined) {
      throw this.#aborted(sqlError('26000', `prepared statement "${statement}" does not exist`))
    }
    if (values.length !== found.parameters.length) {
      throw this.#aborted(
        sqlError(
          '08P01',
          `bind message supplies ${values.length} parameters, but prepared statement "${statement}" requires ${found.parameters.length}`,
        ),
      )
    }
    const decoded = values.map((value, i) => {
      if (value === null) return null
      const binary = (formats.length === 1 ? formats[0] : formats[i]) === 1
      return binary && value.length === 4 ? String(value.readInt32BE(0)) : value.toString()
    })
    this.#portals.set(portal, { statement: found, formats: resultFormats, values: decoded, position: 0 })
  }

  describeStatement(name: string) {
    const found = this.#statements.get(name)
    if (found === undefined) throw this.#aborted(sqlError('26000', `prepared statement "${name}" does not exist`))
    return found
  }

  describePortal(name: string) {
    const { statement, formats } = this.#portal(name)
    return { fields: statement.fields, formats }
  }

  #portal(name: string): Portal {
    const portal = this.#portals.get(name)
    if (portal === undefined) throw this.#aborted(sqlError('34000', `portal "${name}" does not exist`))
    return portal
  }

  execute(name: string, maxRows: number, sink: Sink): MaybePromise<void> {
    const portal = this.#portal(name)
    const from = portal.position
    if (maxRows > 0) portal.position += maxRows
    return this.#run({ sql: portal.statement.sql, values: portal.values, from }, maxRows, portal.formats, sink)
  }

  closeStatement(name: string): void {
    this.#statements.delete(name)
  }
  closePortal(name: string): void {
    this.#portals.delete(name)
  }
  sync(): MaybePromise<void> {
    if (this.#terminated) throw terminated()
    if (this.#database.asynchronous) return new Promise((resolve) => setImmediate(resolve))
  }
  fail(): void {
    this.fails++
    this.#aborted(sqlError('XX000', ''))
  }
  cancel(): void {
    this.#interrupt?.(this.#aborted(sqlError('57014', 'canceling statement due to user request')))
  }
  terminate(): void {
    this.#terminated = true
    this.#interrupt?.(terminated())
  }
  close(): MaybePromise<void> {
    this.#database.open.delete(this.pid)
  }

  #aborted(error: SqlError): SqlError {
    if (this.transactionStatus === 'T') this.transactionStatus = 'E'
    return error
  }

  #run(
    portal: { sql: string; values: readonly (string | null)[]; from: number },
    maxRows: number,
    formats: readonly Format[],
    sink: Sink,
  ): MaybePromise<void> {
    if (this.#terminated) throw terminated()
    const { sql } = portal
    if (sql.startsWith('SELECT abalance')) {
      sink.fields(BALANCE_FIELD, formats)
      sink.row(CONSTANT_ROW)
      sink.commandComplete('SELECT 1')
      return
    }
    // What pgbench asks before it begins.
    if (sql.startsWith('select count(*)') || sql.includes('partstrat')) {
      const asked = sql.includes('partstrat') ? PARTITIONS : COUNT
      sink.fields(asked.fields, formats)
      sink.row(asked.row)
      return sink.commandComplete('SELECT 1')
    }
    const [verb = '', argument = ''] = sql.split(/\s+/)
    const count = Number(argument.replace(/^\$1$/, portal.values[0] ?? '0'))
    switch (verb) {
      case 'select':
        sink.fields(ONE_FIELD, formats)
        sink.row([1])
        return sink.commandComplete('SELECT 1')
      case 'rows':
      case 'big':
        return this.#rows(count, portal.from, maxRows, verb === 'big', formats, sink)
      case 'slow':
        return new Promise((resolve) => setTimeout(resolve, count)).then(() => {
          sink.fields(ONE_FIELD, formats)
          sink.row([1])
          sink.commandComplete('SELECT 1')
        })
      case 'wait':
        return new Promise((_, reject) => {
          this.#interrupt = reject
        })
      case 'echo':
        sink.fields(fieldsOf(sql, portal.values.length) ?? [], formats)
        sink.row(portal.values)
        return sink.commandComplete('SELECT 1')
      case 'error':
        if (argument === 'late') {
          sink.fields(ONE_FIELD, formats)
          sink.row([1])
        }
        throw this.#aborted(
          sqlError('22012', 'division by zero', {
            detail: 'a detail',
            hint: 'a hint',
            position: 8,
            context: 'a context',
            schema: 's',
            table: 't',
            column: 'c',
            dataType: 'd',
            constraint: 'n',
          }),
        )
      case 'boom':
        throw new TypeError('a bug')
      case 'empty':
        return sink.emptyQuery()
      case 'begin':
        this.transactionStatus = 'T'
        return sink.commandComplete('BEGIN')
      case 'commit':
      case 'rollback':
        this.transactionStatus = 'I'
        return sink.commandComplete(verb.toUpperCase())
      case 'notice':
        sink.notice({ severity: 'NOTICE', code: '00000', message: 'look', fields: { hint: 'there' } })
        return sink.commandComplete('DO')
      case 'notify':
        sink.notification(this.pid, 'channel', 'payload')
        return sink.commandComplete('NOTIFY')
      case 'set':
        sink.parameterStatus('application_name', argument)
        return sink.commandComplete('SET')
      case 'idle':
        setTimeout(() => this.options.idleSink?.notification(1, 'idle', 'late'), 20)
        return sink.commandComplete('LISTEN')
      case 'die':
        setTimeout(() => this.options.onTerminate(terminated()), 10)
        return sink.commandComplete('DIE')
      case 'copy':
        return argument === 'in' ? this.#copyIn(sql, sink) : this.#copyOut(Number(sql.split(' ')[2] ?? 1), sink)
      default:
        return sink.commandComplete(verb.toUpperCase())
    }
  }

  #rows(
    count: number,
    from: number,
    maxRows: number,
    big: boolean,
    formats: readonly Format[],
    sink: Sink,
  ): MaybePromise<void> {
    const end = maxRows === 0 ? count : Math.min(count, from + maxRows)
    sink.fields(big ? BIG_FIELDS : ROWS_FIELDS, formats)
    const finish = () => {
      if (maxRows > 0 && end - from === maxRows) sink.portalSuspended()
      else sink.commandComplete(`SELECT ${end - from}`)
    }
    const batch = (start: number): number => {
      const stop = Math.min(end, start + BATCH)
      for (let i = start; i < stop; i++) sink.row([i, big ? BIG_TEXT : i % 3 === 0 ? null : `row ${i}`])
      this.#database.produced += stop - start
      return stop
    }
    let at = from
    while (at < end) {
      at = batch(at)
      const flow = sink.flow()
      if (flow !== undefined) return this.#slowRows(flow, at, end, batch, sink, finish)
    }
    finish()
  }

  async #slowRows(
    flow: Promise<void>,
    start: number,
    end: number,
    batch: (start: number) => number,
    sink: Sink,
    finish: () => void,
  ): Promise<void> {
    let at = start
    let waiting: Promise<void> | undefined = flow
    for (;;) {
      if (waiting !== undefined) await waiting
      if (this.#terminated) throw terminated()
      if (at >= end) break
      at = batch(at)
      waiting = sink.flow()
    }
    finish()
  }

  async #copyIn(sql: string, sink: Sink): Promise<void> {
    let bytes = 0
    let lines = 0
    for await (const chunk of sink.copyIn(sql.includes('binary') ? 1 : 0, 2)) {
      bytes += chunk.length
      for (let i = chunk.indexOf(10); i !== -1; i = chunk.indexOf(10, i + 1)) lines++
      if (sql.includes('failing')) throw this.#aborted(sqlError('22P04', 'extra data after last expected column'))
      if (sql.includes('slowly')) await new Promise((resolve) => setTimeout(resolve, 1))
    }
    this.#database.copiedBytes += bytes
    sink.commandComplete(`COPY ${lines}`)
  }

  async #copyOut(count: number, sink: Sink): Promise<void> {
    sink.copyOut(0, 2)
    for (let i = 0; i < count; i++) {
      sink.copyData(Buffer.from(`${i}\trow ${i}\n`))
      if (i % BATCH === 0) {
        const flow = sink.flow()
        if (flow !== undefined) await flow
      }
    }
    sink.copyDone()
    sink.commandComplete(`COPY ${count}`)
  }
}

const terminated = () => sqlError('57P01', 'terminating connection due to administrator command', { severity: 'FATAL' })

export interface FakeRole {
  readonly password?: string
  readonly superuser?: boolean
  readonly validUntil?: Date
}

export class FakeDatabase implements Database {
  readonly open = new Map<number, FakeSession>()
  readonly roles: Map<string, FakeRole>
  readonly settings: Map<string, string>
  /** Connecting takes 2 ms, `sync` a turn of the event loop. */
  asynchronous = false
  /** Rows given to sinks so far. */
  produced = 0
  copiedBytes = 0
  #pid = 1000

  constructor(roles: Record<string, FakeRole> = {}, settings: Record<string, string> = {}) {
    this.roles = new Map(Object.entries({ postgres: { superuser: true }, ...roles }))
    this.settings = new Map(
      Object.entries({
        max_connections: '100',
        superuser_reserved_connections: '3',
        authentication_timeout: '1min',
        tcp_keepalives_idle: '0',
        ...settings,
      }),
    )
  }

  get sessions(): number {
    return this.open.size
  }

  role(name: string): Role | undefined {
    const role = this.roles.get(name)
    if (role === undefined) return undefined
    return {
      oid: oid(10),
      name,
      canLogin: true,
      superuser: role.superuser ?? false,
      password: role.password,
      validUntil: role.validUntil,
      connectionLimit: -1,
    }
  }

  connect(options: ConnectOptions): MaybePromise<Session> {
    if (options.database === 'missing') throw sqlError('3D000', 'database "missing" does not exist')
    const session = new FakeSession(this, ++this.#pid, options)
    this.open.set(session.pid, session)
    if (this.asynchronous) return new Promise((resolve) => setTimeout(() => resolve(session), 2))
    return session
  }

  cancel(pid: number, secret: number): boolean {
    const session = this.open.get(pid)
    if (session === undefined || session.secret !== secret) return false
    session.cancel()
    return true
  }

  setting(name: string): string {
    const value = this.settings.get(name)
    if (value === undefined) throw sqlError('42704', `unrecognized configuration parameter "${name}"`)
    return value
  }

  async close(): Promise<void> {
    for (const session of this.open.values()) session.terminate()
  }
}
