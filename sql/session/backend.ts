/**
 * A session: carries statements from text to answers. One at a time; whatever has to wait (locks, commits, slow clients,
 * the end of a time slice) makes the running method return a promise, everything else is done in one synchronous stretch.
 *
 *   query/execute → start (transaction, snapshot, locks) → steps → sink → end of statement → commit
 *                                                  │
 *                                 Pause: wait for its promise, go on
 *                                 statement-restart: take the statement back, new snapshot, run again
 *                                 Suspend (pg_sleep): wait, run again
 */
import { type Oid, oid } from '../../storage/keys/brand.ts'
import type { Kv, Txn } from '../../storage/kv/kv.ts'
import { KvError } from '../../storage/range/errors.ts'
import type { Catalog, RoleRow } from '../catalog/catalog.ts'
import type { CatalogStore } from '../catalog/store.ts'
import { DeferredChecks } from '../executor/deferred.ts'
import { runPlan } from '../executor/executor.ts'
import { type Execution, type Instrument, Pause, SLICE_OVER } from '../executor/operator.ts'
import { type ParsedStatement, parse } from '../parser/parser.ts'
import type { TableSizes } from '../planner/level.ts'
import { type Notice, type SqlError, sqlError } from '../types/error.ts'
import { PG_CATALOG } from '../types/oids.ts'
import type { TypeContext } from '../types/type.ts'
import type { Int64, Value } from '../types/value.ts'
import type { VectorIndexes } from '../vector/vector-index.ts'
import { type ContextHost, clockMicros, SessionContext } from './call-context.ts'
import { currentRow } from './current-row.ts'
import { type Lifted, shapeOf } from './lift.ts'
import { PointExecution, type PointRead } from './point.ts'
import type { Portal } from './portal.ts'
import { nextSlice, sliceOver, startSlice } from './scheduler.ts'
import { SequenceCache } from './sequences.ts'
import type { ConnectOptions, Field, Format, MaybePromise, Session, Sink } from './session.ts'
import type { SessionSettings } from './settings.ts'
import { toSqlError } from './sqlstate-of.ts'
import {
  isQueryNode,
  makeStatement,
  type PreparedQuery,
  prepareQuery,
  type Statement,
  type StatementCache,
  sameFields,
  statementCache,
} from './statement.ts'
import { Suspend, Suspensions, type Wait } from './suspend.ts'
import { Transaction } from './transaction.ts'
import { rowSink } from './utilities/query.ts'
import { type Utility, utilityFor } from './utility.ts'
import { variantOf } from './variants.ts'

/** What all sessions of a process share. */
export interface Server {
  readonly kv: Kv
  readonly catalogs: CatalogStore
  readonly vectors: VectorIndexes
  readonly sizes: (database: Oid) => TableSizes
  readonly startedAt: number
  readonly backends: ReadonlyMap<number, Backend>
  log(level: 'info' | 'warn' | 'error', message: string, fields?: Record<string, unknown>): void
  ended(backend: Backend): void
}

export interface Identity {
  readonly pid: number
  readonly secret: number
  readonly databaseOid: Oid
  readonly authenticatedUser: RoleRow
  readonly options: ConnectOptions
}

export type ActivityState = 'active' | 'idle' | 'idle in transaction' | 'idle in transaction (aborted)'

interface Path {
  readonly setting: string
  readonly version: number
  readonly user: Oid
  readonly temporary: Oid
  readonly planning: string
  readonly path: readonly Oid[]
  readonly cache: StatementCache
}

/** A prepared statement of this session. */
export interface Named {
  /** Shared with others while `cache` is the session's; after a change of search_path one of its own. */
  statement: Statement
  cache: StatementCache
  /** What the client was told its rows are. */
  fields: readonly Field[] | undefined
  readonly fromSql: boolean
  /** Microseconds since 2000-01-01 UTC. */
  readonly at: number
  readonly text: string
}

const IMPLICIT_END = new Set(['TransactionStmt'])

export class Backend implements Session, ContextHost {
  readonly pid: number
  readonly secret: number
  readonly server: Server
  readonly databaseOid: Oid
  readonly identity: Identity
  readonly settings: SessionSettings
  readonly transaction: Transaction
  readonly context: SessionContext
  readonly deferred = new DeferredChecks()
  readonly sequences: SequenceCache
  readonly prepared = new Map<string, Named>()
  readonly portals = new Map<string, Portal>()
  /** For pg_stat_activity. */
  readonly startedAt = clockMicros()
  queryText = ''
  queryStart = 0
  stateChange = 0
  waiting: Wait | undefined
  transactionStart = 0
  statementStart = 0
  sessionUser: Oid
  userOid: Oid
  tempNamespace: Oid = oid(0)
  /** Done at the end of the transaction: temporary tables, notifications. `everyCommit` stays for the whole session. */
  readonly hooks: {
    beforeCommit: (() => Promise<void> | undefined)[]
    ended: ((committed: boolean) => void)[]
    readonly everyCommit: Set<() => void>
  } = { beforeCommit: [], ended: [], everyCommit: new Set() }

  #sink: Sink | undefined
  #interrupt: SqlError | undefined
  #wake: (() => void) | undefined
  #terminated: SqlError | undefined
  #statementTimer: NodeJS.Timeout | undefined
  #idleTimer: NodeJS.Timeout | undefined
  #suspensions = new Suspensions()
  #running = false
  #closed = false
  #path: Path | undefined
  /** Settings whose new values the client is told when the statement is over, with what it knows. */
  readonly #toReport = new Map<string, string>()
  /** Inside a simple Query with several statements: they share one implicit transaction. */
  #severalStatements = false

  constructor(server: Server, identity: Identity, settings: SessionSettings) {
    this.server = server
    this.identity = identity
    this.pid = identity.pid
    this.secret = identity.secret
    this.databaseOid = identity.databaseOid
    this.settings = settings
    this.sessionUser = identity.authenticatedUser.oid
    this.userOid = identity.authenticatedUser.oid
    this.context = new SessionContext(this)
    this.sequences = new SequenceCache(server.kv, this.databaseOid)
    this.transaction = new Transaction({
      pid: this.pid,
      kv: server.kv,
      catalogs: server.catalogs,
      databaseOid: this.databaseOid,
      settings,
      beforeCommit: () => this.#beforeCommit(),
      ended: (committed) => this.#transactionEnded(committed),
    })
    this.transaction.marked.push(this.deferred)
    settings.onReport((name, before) => {
      if (!this.#toReport.has(name)) this.#toReport.set(name, before)
    })
    settings.computed.set('transaction_isolation', {
      get: () =>
        this.transaction.block === 'idle'
          ? settings.get('default_transaction_isolation')
          : this.transaction.isolationName,
      set: (value) => this.transaction.setIsolation(value),
    })
    settings.computed.set('transaction_read_only', {
      get: () => (this.transaction.readOnly ? 'on' : 'off'),
      set: (value) => this.setReadOnly(value === 'on'),
    })
    settings.computed.set('transaction_deferrable', {
      get: () => (this.transaction.deferrable ? 'on' : 'off'),
      set: (value) => {
        this.transaction.deferrable = value === 'on'
      },
    })
  }

  // ── What contexts and functions ask ──────────────────────────────────────────────────────────────────────────

  get kv(): Kv {
    return this.server.kv
  }
  get catalog(): Catalog {
    return this.transaction.catalog
  }
  get sizes(): TableSizes {
    return this.server.sizes(this.databaseOid)
  }
  get typeContext(): TypeContext {
    return this.context
  }
  get isSuperuser(): boolean {
    return this.catalog.role(this.userOid)?.superuser === true
  }
  get searchPath(): readonly Oid[] {
    return this.#searchPath().path
  }

  /** The effective path: temporary schema, pg_catalog where it is not listed, then the listed schemas that exist. */
  #searchPath(): Path {
    const { catalog } = this
    const setting = this.settings.quick.searchPath
    const known = this.#path
    if (
      known !== undefined &&
      known.version === catalog.version &&
      known.setting === setting &&
      known.user === this.userOid &&
      known.temporary === this.tempNamespace &&
      known.planning === this.settings.planning
    ) {
      return known
    }
    const user = catalog.role(this.userOid)?.name
    const path: Oid[] = []
    for (const name of splitIdentifiers(setting)) {
      const schema = name === '$user' ? (user ?? '') : name
      const found = schema === 'pg_temp' ? this.tempNamespace : catalog.namespaceByName(schema)?.oid
      if (found !== undefined && found !== 0 && !path.includes(found)) path.push(found)
    }
    if (!path.includes(PG_CATALOG)) path.unshift(PG_CATALOG)
    if (this.tempNamespace !== 0 && !path.includes(this.tempNamespace)) path.unshift(this.tempNamespace)
    this.#path = {
      setting,
      version: catalog.version,
      user: this.userOid,
      temporary: this.tempNamespace,
      planning: this.settings.planning,
      path,
      cache: statementCache(this.databaseOid, path, this.settings.planning),
    }
    return this.#path
  }

  /** The schemas of search_path that exist, without those that are looked in anyway. */
  listedNamespaces(): readonly Oid[] {
    const user = this.catalog.role(this.userOid)?.name
    const found: Oid[] = []
    for (const name of splitIdentifiers(this.settings.get('search_path'))) {
      const namespace =
        name === 'pg_temp'
          ? this.tempNamespace
          : (this.catalog.namespaceByName(name === '$user' ? (user ?? '') : name)?.oid ?? oid(0))
      if (namespace !== 0 && !found.includes(namespace)) found.push(namespace)
    }
    return found
  }

  /** The schema new objects go to; undefined when the path has none. */
  creationNamespace(): Oid | undefined {
    const listed = splitIdentifiers(this.settings.get('search_path'))
    const user = this.catalog.role(this.userOid)?.name
    for (const name of listed) {
      const found = this.catalog.namespaceByName(name === '$user' ? (user ?? '') : name)
      if (found !== undefined) return found.oid
    }
    return undefined
  }

  notice(notice: Notice): void {
    if (
      LEVELS.indexOf(notice.severity.toLowerCase()) < LEVELS.indexOf(this.settings.get('client_min_messages')) &&
      notice.severity !== 'INFO'
    )
      return
    const sink = this.#sink ?? this.identity.options.idleSink
    sink?.notice(notice)
  }

  checkInterrupts(): void {
    if (this.#terminated !== undefined) throw this.#terminated
    if (this.#interrupt !== undefined) {
      const error = this.#interrupt
      this.#interrupt = undefined
      throw error
    }
  }
  sequenceLastValue(sequence: Oid): Int64 | null {
    const row = this.catalog.relation(sequence)
    return row?.sequence === undefined ? null : this.sequences.lastValueOf(row)
  }
  suspend(start: () => unknown, wait: Wait): unknown {
    return this.#suspensions.call(start, wait)
  }

  setReadOnly(readOnly: boolean): void {
    if (!readOnly && this.transaction.readOnly && this.transaction.txn !== undefined)
      throw sqlError('25001', 'transaction read-write mode must be set before any query')
    this.transaction.readOnly = readOnly
  }
  /** 25006 inside a read-only transaction. */
  requireWritable(command: string): void {
    if (this.transaction.readOnly) throw sqlError('25006', `cannot execute ${command} in a read-only transaction`)
  }

  get reportedParameters(): ReadonlyMap<string, string> {
    return this.settings.reported()
  }
  get transactionStatus(): 'I' | 'T' | 'E' {
    return this.transaction.status
  }
  get state(): ActivityState {
    return this.#running ? 'active' : IDLE_STATES[this.transaction.status]
  }

  // ── Simple query ─────────────────────────────────────────────────────────────────────────────────────────────

  query(sql: string, sink: Sink): MaybePromise<void> {
    this.#begin(sql, sink)
    return this.#guard(() => {
      this.prepared.delete('')
      const { cache } = this.#searchPath()
      const shape = shapeOf(sql)
      const lifted = shape === undefined ? undefined : cache.shapes.find(shape)
      if (lifted !== undefined) return this.#runLifted(lifted, sql, sink)
      const known = cache.simple.get(sql)
      if (known !== undefined) return this.#only(known, sink)
      const parsed = parse(sql)
      if (shape !== undefined && !(parsed instanceof Promise) && parsed.length === 1) {
        const made = cache.shapes.lift(shape, parsed[0]!.node, sql)
        if (made !== undefined) return this.#runLifted(made, sql, sink)
      }
      return parsed instanceof Promise
        ? parsed.then((list) => this.#several(sql, list, sink))
        : this.#several(sql, parsed, sink)
    })
  }

  #several(sql: string, parsed: readonly ParsedStatement[], sink: Sink): MaybePromise<void> {
    if (parsed.length === 0) {
      sink.emptyQuery()
      return undefined
    }
    if (parsed.length === 1) {
      const statement = makeStatement(parsed[0]!.node, sql, sql, [])
      this.#searchPath().cache.keepSimple(sql, statement)
      return this.#only(statement, sink)
    }
    this.#severalStatements = true
    const run = (at: number): MaybePromise<void> => {
      for (let i = at; i < parsed.length; i++) {
        const { node, text } = parsed[i]!
        const waiting = this.#runSimple(makeStatement(node, text, sql, []), sink, i === parsed.length - 1)
        if (waiting instanceof Promise) return waiting.then(() => run(i + 1))
      }
      return undefined
    }
    return run(0)
  }

  /** A statement whose literals became parameters. A literal that cannot be read fails as it stands in the text. */
  #runLifted(lifted: Lifted, sql: string, sink: Sink): MaybePromise<void> {
    this.#severalStatements = false
    let { statement } = lifted
    this.#checkFailed(statement)
    this.#ensureTransaction(statement.tag)
    let parameters: Value[] | undefined
    try {
      const prepared = prepareQuery(this, statement, true)
      if (!this.#hasPartialIndex(prepared)) {
        parameters = this.#literalValues(prepared, lifted.values)
        statement = this.#variant(statement, prepared, parameters)
      }
    } catch (error) {
      // The same error, at the literal's own place; anything else is one of the statement itself.
      if (!(error instanceof Error) || error.name !== 'SqlError') throw error
    }
    if (parameters === undefined) {
      const parsed = parse(sql)
      return parsed instanceof Promise
        ? parsed.then((list) => this.#several(sql, list, sink))
        : this.#several(sql, parsed, sink)
    }
    return this.#runSimpleWith(statement, parameters, sink, true)
  }

  /** The statement with the plan that fits these values. */
  #variant(statement: Statement, prepared: PreparedQuery, values: readonly Value[]): Statement {
    if (prepared.peeks.length === 0) return statement
    const name = variantOf(prepared.peeks, this.catalog, this.sizes, values)
    statement.variants ??= new Map()
    let variant = statement.variants.get(name)
    if (variant === undefined) {
      if (statement.variants.size >= VARIANTS_MAX) return statement
      variant = { ...makeStatement(statement.node, statement.text, statement.source, statement.givenTypes) }
      statement.variants.set(name, variant)
    }
    prepareQuery(this, variant, true, values)
    return variant
  }

  /** Conditions with constants may match a partial index; with parameters they cannot. */
  #hasPartialIndex(prepared: PreparedQuery): boolean {
    for (const table of prepared.relationsUsed) {
      for (const index of this.catalog.relation(table)?.indexes ?? [])
        if (this.catalog.relation(index)?.index?.predicate !== undefined) return true
    }
    return false
  }

  #literalValues(prepared: PreparedQuery, values: readonly Value[]): Value[] {
    const result: Value[] = []
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!
      result.push(
        typeof value === 'string'
          ? this.catalog.type(prepared.parameterTypes[i]!).input(value, -1, this.context)
          : value,
      )
    }
    return result
  }

  #only(statement: Statement, sink: Sink): MaybePromise<void> {
    this.#severalStatements = false
    return this.#runSimple(statement, sink, true)
  }

  /** One statement of a simple Query; the last one's implicit transaction is committed before its tag is sent. */
  #runSimple(statement: Statement, sink: Sink, last: boolean): MaybePromise<void> {
    return this.#runSimpleWith(statement, [], sink, last)
  }
  #runSimpleWith(statement: Statement, parameters: readonly Value[], sink: Sink, last: boolean): MaybePromise<void> {
    this.#startTimeout()
    const finish = (tag: string): MaybePromise<void> => {
      if (last || IMPLICIT_END.has(statement.tag)) {
        const waiting = this.#endImplicit()
        if (waiting !== undefined) return waiting.then(() => sink.commandComplete(tag))
      }
      sink.commandComplete(tag)
      return undefined
    }
    const tag = this.runStatement(statement, parameters, sink, true)
    return tag instanceof Promise ? tag.then(finish) : finish(tag)
  }

  #endImplicit(): Promise<void> | undefined {
    return this.transaction.block === 'implicit' ? this.transaction.commit() : undefined
  }

  // ── Extended query ───────────────────────────────────────────────────────────────────────────────────────────

  parse(name: string, sql: string, parameterTypes: readonly Oid[]): MaybePromise<void> {
    return this.#guard(() => {
      if (name !== '' && this.prepared.has(name)) throw sqlError('42P05', `prepared statement "${name}" already exists`)
      const { cache } = this.#searchPath()
      const keep = (statement: Statement): void => {
        this.#checkFailed(statement)
        let fields: readonly Field[] | undefined
        if (isQueryNode(statement.node)) {
          this.#ensureTransaction()
          fields = prepareQuery(this, statement, true).fields
        }
        this.keepPrepared(name, statement, fields, false, sql)
      }
      const known = cache.extended(sql, parameterTypes)
      if (known !== undefined) return keep(known)
      const make = (parsed: readonly ParsedStatement[]): void => {
        if (parsed.length > 1) throw sqlError('42601', 'cannot insert multiple commands into a prepared statement')
        const node = parsed[0]?.node
        if (node === undefined) {
          this.keepPrepared(name, makeStatement({ List: {} }, '', '', []), undefined, false, sql)
          return
        }
        const statement = this.#withInnerTypes(makeStatement(node, sql, sql, parameterTypes))
        cache.keepExtended(sql, parameterTypes, statement)
        keep(statement)
      }
      const parsed = parse(sql)
      return parsed instanceof Promise ? parsed.then(make) : make(parsed)
    })
  }

  /** EXPLAIN, DECLARE and CREATE TABLE AS take the parameters of their query, and fail where it does. */
  #withInnerTypes(statement: Statement): Statement {
    const { node } = statement
    const inner =
      'ExplainStmt' in node
        ? node.ExplainStmt.query
        : 'DeclareCursorStmt' in node
          ? node.DeclareCursorStmt.query
          : 'CreateTableAsStmt' in node
            ? node.CreateTableAsStmt.query
            : undefined
    if (inner === undefined || !isQueryNode(inner)) return statement
    this.#checkFailed(statement)
    this.#ensureTransaction()
    const query = makeStatement(inner, statement.text, statement.source, statement.givenTypes)
    return { ...statement, givenTypes: prepareQuery(this, query, true).parameterTypes }
  }

  keepPrepared(
    name: string,
    statement: Statement,
    fields: readonly Field[] | undefined,
    fromSql: boolean,
    text: string,
  ): void {
    const { cache } = this.#searchPath()
    this.prepared.set(name, { statement, cache, fields, fromSql, at: clockMicros(), text })
  }

  /** Throws 26000. A statement bound under another search_path is bound anew under the present one. */
  #named(name: string): Named {
    const known = this.prepared.get(name)
    if (known === undefined)
      throw sqlError(
        '26000',
        name === '' ? 'unnamed prepared statement does not exist' : `prepared statement "${name}" does not exist`,
      )
    const { cache } = this.#searchPath()
    if (known.cache !== cache) {
      known.cache = cache
      known.statement = { ...known.statement, prepared: undefined }
    }
    return known
  }

  /** A prepared query, bound to the catalog as it is now. Throws 26000, and 0A000 when its rows are others than the client was told. */
  preparedQuery(name: string): PreparedQuery {
    const known = this.#named(name)
    const prepared = prepareQuery(this, known.statement, true)
    if (prepared.fields !== known.fields) {
      if (!sameFields(prepared.fields, known.fields)) throw changedResult()
      known.fields = prepared.fields
    }
    return prepared
  }
  preparedStatement(name: string): Statement {
    return this.#named(name).statement
  }
  #portal(name: string): Portal {
    const known = this.portals.get(name)
    if (known === undefined) throw sqlError('34000', `portal "${name}" does not exist`)
    return known
  }

  bind(
    portal: string,
    name: string,
    formats: readonly Format[],
    values: readonly (Buffer | null)[],
    resultFormats: readonly Format[],
  ): MaybePromise<void> {
    return this.#guard(() => {
      const { statement } = this.#named(name)
      this.#checkFailed(statement)
      if (portal !== '' && this.portals.has(portal)) throw sqlError('42P03', `cursor "${portal}" already exists`)
      let parameters: Value[] = []
      let prepared: PreparedQuery | undefined
      if (isQueryNode(statement.node)) {
        this.#ensureTransaction()
        prepared = this.preparedQuery(name)
        parameters = this.#parameters(prepared.parameterTypes, formats, values, name)
      } else parameters = this.#parameters(statement.givenTypes, formats, values, name)
      const columns = prepared?.fields?.length
      if (resultFormats.length > 1 && columns !== undefined && resultFormats.length !== columns)
        throw sqlError(
          '08P01',
          `bind message has ${resultFormats.length} result formats but query has ${columns} columns`,
        )
      this.portals.set(portal, {
        name: portal,
        statement,
        parameters,
        formats: resultFormats,
        prepared,
        fields: prepared?.fields,
        execution: undefined,
        steps: undefined,
        pending: [],
        pendingAt: 0,
        done: false,
        sent: 0,
        cursor: undefined,
      })
    })
  }

  #parameters(
    types: readonly Oid[],
    formats: readonly Format[],
    values: readonly (Buffer | null)[],
    name: string,
  ): Value[] {
    if (values.length !== types.length) {
      throw sqlError(
        '08P01',
        `bind message supplies ${values.length} parameters, but prepared statement "${name}" requires ${types.length}`,
      )
    }
    if (formats.length > 1 && formats.length !== values.length)
      throw sqlError('08P01', `bind message has ${formats.length} parameter formats but ${values.length} parameters`)
    const result: Value[] = []
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!
      const type = this.catalog.type(types[i]!)
      if (value === null) {
        type.checkNull?.(this.context)
        result.push(null)
        continue
      }
      const format = formats.length === 0 ? 0 : formats.length === 1 ? formats[0]! : formats[i]!
      result.push(
        format === 1
          ? type.receive(value, 0, value.length, -1, this.context)
          : type.input(utf8(value), -1, this.context),
      )
    }
    return result
  }

  describeStatement(name: string): MaybePromise<{ parameters: readonly Oid[]; fields: readonly Field[] | undefined }> {
    return this.#guard(() => {
      const { statement } = this.#named(name)
      if (!isQueryNode(statement.node))
        return { parameters: statement.givenTypes, fields: this.#utility(statement)?.fields?.(this, statement) }
      this.#checkFailed(statement)
      this.#ensureTransaction()
      const prepared = this.preparedQuery(name)
      return { parameters: prepared.parameterTypes, fields: prepared.fields }
    })
  }

  describePortal(name: string): MaybePromise<{ fields: readonly Field[] | undefined; formats: readonly Format[] }> {
    return this.#guard(() => {
      const portal = this.#portal(name)
      const { statement } = portal
      const isRun = isQueryNode(statement.node) || portal.cursor !== undefined
      const fields = isRun ? portal.fields : this.#utility(statement)?.fields?.(this, statement)
      return { fields, formats: portal.formats }
    })
  }

  execute(name: string, maxRows: number, sink: Sink): MaybePromise<void> {
    return this.#guard(() => {
      if (this.transaction.block === 'failed' && name !== '' && !this.portals.has(name)) throw aborted()
      const portal = this.#portal(name)
      const { statement } = portal
      this.#begin(statement.text, sink)
      if (statement.tag === 'List') {
        sink.emptyQuery()
        return undefined
      }
      this.#checkFailed(statement)
      if (portal.prepared === undefined) return this.#executeUtility(portal, maxRows, sink)
      // What gives no rows runs once.
      if (portal.done && portal.fields === undefined) throw sqlError('55000', `portal "${name}" cannot be run`)
      if (portal.fields !== undefined) sink.fields(portal.fields, portal.formats)
      const result = this.runPortal(portal, maxRows, sink)
      const finish = (tag: string | undefined): void => {
        if (tag === undefined) sink.portalSuspended()
        else sink.commandComplete(tag)
      }
      return result instanceof Promise ? result.then(finish) : finish(result)
    })
  }

  /** With a row limit its rows are kept, so that they can be taken in portions. */
  #executeUtility(portal: Portal, maxRows: number, sink: Sink): MaybePromise<void> {
    const { statement } = portal
    const give = (): void => {
      const to = maxRows === 0 ? portal.pending.length : Math.min(portal.pending.length, portal.pendingAt + maxRows)
      const given = to - portal.pendingAt
      while (portal.pendingAt < to) sink.row(portal.pending[portal.pendingAt++]!)
      if (given === maxRows && maxRows > 0) sink.portalSuspended()
      else sink.commandComplete(portal.tag!.replace(/\d+$/, String(given)))
    }
    const fields = portal.done ? portal.fields : this.#utility(statement)?.fields?.(this, statement)
    if (portal.done && fields === undefined) throw sqlError('55000', `portal "${portal.name}" cannot be run`)
    portal.done = true
    portal.fields = fields
    if (fields !== undefined) sink.fields(fields, portal.formats)
    if (portal.tag !== undefined) return give()
    if (maxRows === 0 || fields === undefined) {
      const tag = this.runStatement(statement, portal.parameters, sink, false)
      const finish = (text: string): void => {
        // COMMIT and ROLLBACK end here; anything else waits for Sync.
        portal.tag = text
        sink.commandComplete(text)
      }
      return tag instanceof Promise ? tag.then(finish) : finish(tag)
    }
    const tag = this.runStatement(
      statement,
      portal.parameters,
      rowSink(sink, (row) => portal.pending.push(row.slice())),
      false,
    )
    const finish = (text: string): void => {
      portal.tag = text
      give()
    }
    return tag instanceof Promise ? tag.then(finish) : finish(tag)
  }

  closeStatement(name: string): void {
    this.prepared.delete(name)
  }
  closePortal(name: string): void {
    const portal = this.portals.get(name)
    if (portal === undefined) return
    this.closePortalNow(portal)
  }
  closePortalNow(portal: Portal): void {
    portal.steps?.return(undefined)
    portal.cursor?.rows?.close()
    this.portals.delete(portal.name)
  }

  sync(sink: Sink): MaybePromise<void> {
    return this.#guard(() => {
      this.#sink = sink
      const end = (): void => {
        this.#idle()
      }
      if (this.transaction.block === 'implicit') {
        const waiting = this.transaction.commit()
        if (waiting !== undefined) return waiting.then(end)
      }
      end()
      return undefined
    })
  }

  fail(): void {
    this.transaction.fail()
    this.#idle()
  }

  // ── Running ──────────────────────────────────────────────────────────────────────────────────────────────────

  /** Runs one statement whole; gives its command tag. `simple`: fields are sent before the rows. */
  runStatement(statement: Statement, parameters: readonly Value[], sink: Sink, simple: boolean): MaybePromise<string> {
    this.#checkFailed(statement)
    this.#ensureTransaction(statement.tag)
    this.transaction.refreshCatalog()
    if (isQueryNode(statement.node)) {
      const prepared = prepareQuery(this, statement, parameters.length > 0)
      if (prepared.parameterTypes.length > parameters.length)
        throw sqlError('42P02', `there is no parameter $${parameters.length + 1}`)
      return this.runQuery(statement, prepared, parameters, sink, simple)
    }
    const utility = this.#utility(statement)
    if (utility === undefined)
      throw sqlError(
        '0A000',
        `${statement.tag
          .replace(/Stmt$/, '')
          .replaceAll(/(?<=[a-z])(?=[A-Z])/g, ' ')
          .toUpperCase()} is not supported`,
      )
    return utility.run(this, statement, { parameters, sink, simple, several: this.#severalStatements && simple })
  }

  /** Runs a planned query to its end, rows to the sink. */
  runQuery(
    statement: Statement,
    prepared: PreparedQuery,
    parameters: readonly Value[],
    sink: Sink,
    simple: boolean,
  ): MaybePromise<string> {
    const portal: Portal = {
      name: '',
      statement,
      parameters,
      formats: NO_FORMATS,
      prepared,
      fields: prepared.fields,
      execution: undefined,
      steps: undefined,
      pending: [],
      pendingAt: 0,
      done: false,
      sent: 0,
      cursor: undefined,
    }
    const result = this.runPortal(portal, 0, sink, simple)
    return result as MaybePromise<string>
  }

  /**
   * Gives up to maxRows rows (0: all); the tag when the statement is complete, undefined when there may be more.
   * `announce`: its fields are sent first.
   */
  runPortal(portal: Portal, maxRows: number, sink: Sink, announce = false): MaybePromise<string | undefined> {
    if (portal.execution !== undefined || portal.done) return this.#rows(portal, maxRows, sink)
    // The catalog may have changed between Bind and Execute.
    if (portal.prepared!.catalogVersion !== this.catalog.version) this.#prepareAgain(portal, announce)
    const start = (): MaybePromise<string | undefined> => {
      if (announce && portal.fields !== undefined) sink.fields(portal.fields, NO_FORMATS)
      return this.#startPortal(portal, maxRows, sink)
    }
    const waiting = this.#lockTables(portal.prepared!)
    if (waiting === undefined) return start()
    const waited = (): MaybePromise<string | undefined> => {
      this.transaction.refreshCatalog()
      if (portal.prepared!.catalogVersion === this.catalog.version) return start()
      // Whoever held the lock has changed something: perhaps other tables are meant now, or other columns.
      this.#prepareAgain(portal, announce)
      const more = this.#lockTables(portal.prepared!)
      return more === undefined ? start() : more.then(waited)
    }
    return waiting.then(waited)
  }

  #prepareAgain(portal: Portal, announce: boolean): void {
    const { again, fields } = portal.prepared!
    if (again === undefined && portal.statement.prepared === undefined) return
    const prepared = again?.() ?? prepareQuery(this, portal.statement, true)
    if (!announce && again === undefined && !sameFields(prepared.fields, fields)) throw changedResult()
    portal.prepared = prepared
    portal.fields = prepared.fields
  }

  #startPortal(portal: Portal, maxRows: number, sink: Sink): MaybePromise<string | undefined> {
    const { planned } = portal.prepared!
    if (planned.writes.length > 0)
      this.requireWritable(planned.command === 'select' ? 'SELECT FOR UPDATE' : planned.command.toUpperCase())
    const { transaction } = this
    this.statementStart = this.queryStart
    const { point } = portal.prepared!
    if (
      point !== undefined &&
      maxRows === 0 &&
      transaction.txn === undefined &&
      transaction.block === 'implicit' &&
      transaction.isolation === 'read-committed' &&
      portal.instruments === undefined
    ) {
      return this.#point(portal, point, sink)
    }
    const txn = transaction.ensure()
    txn.beginStatement()
    this.#suspensions = new Suspensions()
    portal.execution = this.newExecution(txn, planned.outerSlots, portal.parameters, portal.instruments)
    if (planned.writes.length > 0 || mayRestart(portal.prepared!)) return this.#toEnd(portal, maxRows, sink)
    portal.steps = runPlan(portal.prepared!.operator, portal.execution)
    startSlice()
    return this.#rows(portal, maxRows, sink)
  }

  #point(portal: Portal, point: PointRead, sink: Sink): string {
    const x = (this.#pointExecution ??= new PointExecution(this))
    x.parameters = portal.parameters
    portal.done = true
    const row = point(x, x.get)
    if (row === undefined) return 'SELECT 0'
    sink.row(row)
    portal.sent = 1
    return 'SELECT 1'
  }
  #pointExecution: PointExecution | undefined

  newExecution(
    txn: Txn,
    outerSlots: number,
    parameters: readonly Value[],
    instruments?: Map<object, Instrument>,
  ): Execution {
    const backend = this
    return {
      txn,
      catalog: this.catalog,
      context: this.context,
      parameters,
      outer: new Array<Value>(outerSlots).fill(null),
      kept: new Map(),
      affected: 0,
      workMemBytes: this.settings.quick.workMemBytes,
      sliceOver(): boolean {
        if (!sliceOver()) return false
        backend.checkInterrupts()
        return true
      },
      mayPause: false,
      instruments,
      deferred: this.deferred,
      currentOf: (cursor, table) => currentRow(backend.portals, cursor, table, backend.catalog),
      vectors: this.server.vectors,
      vectorSettings: this.settings.vector,
    }
  }

  /** Streams rows of a statement that only reads. */
  #rows(portal: Portal, maxRows: number, sink: Sink): MaybePromise<string | undefined> {
    let left = maxRows === 0 ? Number.POSITIVE_INFINITY : maxRows
    const before = portal.sent
    const emit = (): void => {
      while (portal.pendingAt < portal.pending.length && left > 0) {
        sink.row(portal.pending[portal.pendingAt++]!)
        portal.sent++
        left--
      }
    }
    // A statement that is ended while it waits leaves no scan and no file open.
    const broken = (error: unknown): never => {
      portal.steps?.return(undefined)
      throw error
    }
    const go = (): MaybePromise<string | undefined> => {
      for (;;) {
        emit()
        if (portal.pendingAt < portal.pending.length) return undefined
        if (left <= 0 && maxRows > 0) return undefined
        if (portal.done) return this.#tag(portal, before)
        const step = portal.steps!.next()
        if (step.done) {
          portal.done = true
          return this.#tag(portal, before)
        }
        if (step.value instanceof Pause) return this.#pause(step.value).then(go, broken)
        portal.pending = step.value
        portal.pendingAt = 0
        emit()
        const slow = sink.flow()
        if (slow !== undefined) return this.interruptible(slow, 'Client').then(go, broken)
      }
    }
    return go()
  }

  /** Runs a statement that may have to be run again to its end, then gives its rows. */
  #toEnd(portal: Portal, maxRows: number, sink: Sink): MaybePromise<string | undefined> {
    const mark = this.transaction.statementMark()
    const rows: Portal['pending'] = []
    const start = (): void => {
      rows.length = 0
      portal.instruments?.clear()
      portal.execution = this.newExecution(
        this.transaction.ensure(),
        portal.prepared!.planned.outerSlots,
        portal.parameters,
        portal.instruments,
      )
      portal.steps = runPlan(portal.prepared!.operator, portal.execution)
      this.#suspensions.rewind()
      startSlice()
    }
    const done = (): MaybePromise<string | undefined> => {
      portal.pending = rows
      portal.pendingAt = 0
      portal.done = true
      return this.#rows(portal, maxRows, sink)
    }
    const go = (): MaybePromise<string | undefined> => {
      try {
        for (;;) {
          const step = portal.steps!.next()
          if (step.done) return done()
          if (step.value instanceof Pause) return this.#pause(step.value).then(go, again)
          for (const row of step.value) rows.push(row)
        }
      } catch (error) {
        return again(error)
      }
    }
    const again = (error: unknown): MaybePromise<string | undefined> => {
      portal.steps?.return(undefined)
      if (error instanceof Suspend) {
        return this.interruptible(error.promise, error.wait).then(() => {
          this.transaction.ensure().rollbackTo(mark.kv)
          start()
          return go()
        })
      }
      if (error instanceof KvError && error.reason.kind === 'statement-restart') {
        this.transaction.restart(mark)
        start()
        return go()
      }
      throw error
    }
    start()
    return go()
  }

  /** The slice is over: resolves in the next one, or rejects when the statement is to end. */
  turn(): Promise<void> {
    const { promise, hurry } = nextSlice()
    this.#wake = hurry
    return promise.then(() => {
      if (this.#wake === hurry) this.#wake = undefined
      this.checkInterrupts()
    })
  }

  #pause(pause: Pause): Promise<void> {
    if (pause === SLICE_OVER || pause.promise === undefined) return this.turn()
    return this.interruptible(pause.promise, 'Lock').then(() => startSlice())
  }

  /** Runs a generator to its end, waiting where it pauses; whatever else it yields is dropped. Gives what it returns. */
  drive<T>(steps: Generator<unknown, T, undefined>): MaybePromise<T> {
    for (;;) {
      const step = steps.next()
      if (step.done) return step.value
      if (step.value instanceof Pause) {
        return this.#pause(step.value).then(
          () => this.drive(steps),
          (error: unknown) => {
            steps.return(undefined as never)
            throw error
          },
        )
      }
    }
  }

  /** Waits for a promise, or for a cancel. */
  interruptible<T>(promise: Promise<T>, wait: Wait | undefined): Promise<T> {
    this.waiting = wait
    return new Promise<T>((resolve, reject) => {
      const woken = (): void => {
        if (wait === 'Lock') {
          this.kv.cancelWaits(this.pid)
          return
        }
        try {
          this.checkInterrupts()
        } catch (error) {
          end()
          reject(error as Error)
        }
      }
      this.#wake = woken
      const end = (): void => {
        this.waiting = undefined
        if (this.#wake === woken) this.#wake = undefined
      }
      promise.then(
        (value) => {
          end()
          resolve(value)
        },
        (error: unknown) => {
          end()
          try {
            this.checkInterrupts()
            reject(error as Error)
          } catch (interrupt) {
            reject(interrupt as Error)
          }
        },
      )
      // It may have come before this wait.
      if (this.#interrupt !== undefined || this.#terminated !== undefined) woken()
    })
  }

  /** Counts the rows changed, or those given since `before`: a portal that is read in portions says the last one's. */
  #tag(portal: Portal, before: number): string {
    const { command } = portal.prepared!.planned
    const count = portal.fields === undefined ? portal.execution!.affected : portal.sent - before
    return command === 'insert' ? `INSERT 0 ${count}` : `${command.toUpperCase()} ${count}`
  }

  /** Shared locks on the tables of a statement, so that DDL waits for open transactions and they for it. */
  #lockTables(prepared: PreparedQuery): Promise<void> | undefined {
    const { planned } = prepared
    const onlyReads = planned.writes.length === 0
    // A single statement that reads at its snapshot is in nobody's way; it only waits for who has locked a table.
    if (onlyReads && this.transaction.block !== 'block' && this.kv.lockedObjects === 0) return undefined
    const txn = this.transaction.ensure()
    const waits: Promise<unknown>[] = []
    for (const table of planned.writes) {
      const granted = txn.lockTarget(
        `relation ${table}`,
        planned.command === 'select' ? 'row-share' : 'row-exclusive',
        'wait',
      )
      if (granted instanceof Promise) waits.push(granted)
    }
    for (const table of planned.reads) {
      if (planned.writes.includes(table) || table < 16384) continue
      const granted = txn.lockTarget(`relation ${table}`, 'access-share', 'wait')
      if (granted instanceof Promise) waits.push(granted)
    }
    if (waits.length === 0) return undefined
    return this.interruptible(Promise.all(waits), 'Lock').then(() => {})
  }

  // ── Transactions ─────────────────────────────────────────────────────────────────────────────────────────────

  #ensureTransaction(tag = ''): void {
    if (this.transaction.block !== 'idle' || tag === 'TransactionStmt') return
    // Bind and Describe come before the statement begins.
    this.transactionStart = this.#running ? this.queryStart : clockMicros()
    this.transaction.start('implicit', this.transactionStart)
  }
  beginBlock(): void {
    if (this.transaction.block === 'idle') {
      this.transactionStart = this.queryStart
      this.transaction.start('block', this.transactionStart)
    } else this.transaction.block = 'block'
  }

  #checkFailed(statement: Statement): void {
    if (this.transaction.block !== 'failed') return
    if (statement.tag === 'TransactionStmt') {
      const { node } = statement
      const kind = 'TransactionStmt' in node ? node.TransactionStmt.kind : undefined
      if (
        kind === 'TRANS_STMT_ROLLBACK' ||
        kind === 'TRANS_STMT_COMMIT' ||
        kind === 'TRANS_STMT_ROLLBACK_TO' ||
        kind === 'TRANS_STMT_PREPARE'
      )
        return
    }
    throw aborted()
  }

  #beforeCommit(): Promise<void> | undefined {
    const checks = this.runDeferred()
    const last = (): void => {
      for (const hook of this.hooks.everyCommit) hook()
      this.#closePortals()
    }
    if (checks === undefined && this.hooks.beforeCommit.length === 0) {
      last()
      return undefined
    }
    return (async () => {
      if (checks !== undefined) await checks
      for (const hook of this.hooks.beforeCommit) await hook()
      last()
    })()
  }

  /** Runs the deferred constraint checks that are due. */
  runDeferred(onlyDue = false): Promise<void> | undefined {
    if (this.deferred.empty) return undefined
    const txn = this.transaction.ensure()
    txn.beginStatement()
    const x = this.newExecution(txn, 0, [])
    const steps = onlyDue ? this.deferred.runDue(x) : this.deferred.run(x)
    const done = this.drive<void>(steps)
    return done instanceof Promise ? done : undefined
  }

  #closePortals(): void {
    for (const portal of this.portals.values()) if (portal.cursor?.held !== true) this.closePortalNow(portal)
  }

  #transactionEnded(committed: boolean): void {
    if (!committed) this.#closePortals()
    const { ended, beforeCommit } = this.hooks
    if (ended.length > 0) for (const hook of ended.splice(0)) hook(committed)
    if (beforeCommit.length > 0) beforeCommit.length = 0
  }

  // ── Around a statement ───────────────────────────────────────────────────────────────────────────────────────

  #begin(text: string, sink: Sink): void {
    this.#sink = sink
    this.queryText = text
    this.queryStart = clockMicros()
    this.stateChange = this.queryStart
    this.statementStart = this.queryStart
    this.#running = true
    if (this.#idleTimer !== undefined) {
      clearTimeout(this.#idleTimer)
      this.#idleTimer = undefined
    }
    if (this.#statementTimer !== undefined) {
      clearTimeout(this.#statementTimer)
      this.#statementTimer = undefined
    }
    this.#startTimeout()
  }

  /** One timer for a whole query string; a statement of it that sets statement_timeout sets it for those after it. */
  #startTimeout(): void {
    const timeout = this.settings.quick.statementTimeoutMs
    if (timeout <= 0 || this.#statementTimer !== undefined) return
    this.#statementTimer = setTimeout(
      () => this.#interruptWith(sqlError('57014', 'canceling statement due to statement timeout')),
      timeout,
    )
  }

  /** Errors put the transaction in order; the session is idle again when the work is done. */
  #guard<T>(work: () => MaybePromise<T>): MaybePromise<T> {
    if (this.#terminated !== undefined) throw this.#terminated
    let result: MaybePromise<T>
    try {
      result = work()
    } catch (error) {
      throw this.#failed(error)
    }
    if (!(result instanceof Promise)) {
      this.#idle()
      return result
    }
    return result.then(
      (value) => {
        this.#idle()
        return value
      },
      (error: unknown) => {
        throw this.#failed(error)
      },
    )
  }

  #failed(error: unknown): unknown {
    const known = toSqlError(error, this.databaseOid)
    this.#interrupt = undefined
    this.transaction.fail()
    this.#idle()
    return known
  }

  #idle(): void {
    const now = this.#running
    this.#running = false
    if (this.#toReport.size > 0) {
      for (const [name, known] of this.#toReport) {
        const value = this.settings.get(name)
        if (value !== known) this.#sink?.parameterStatus(name, value)
      }
      this.#toReport.clear()
    }
    if (this.#whenIdle.length > 0 && this.transaction.block === 'idle') {
      for (const work of this.#whenIdle.splice(0)) work(this.#sink ?? this.identity.options.idleSink)
    }
    this.#severalStatements = false
    if (this.#statementTimer !== undefined) {
      clearTimeout(this.#statementTimer)
      this.#statementTimer = undefined
    }
    if (!now) return
    // Told to end while it ran, and it came to its end first: there is no next statement to say so.
    if (this.#terminated !== undefined) {
      this.transaction.rollback()
      this.identity.options.onTerminate(this.#terminated)
      return
    }
    this.stateChange = clockMicros()
    const { quick } = this.settings
    const logAfter = quick.logMinDurationMs
    if (logAfter >= 0) {
      const took = (this.stateChange - this.queryStart) / 1000
      if (took >= logAfter)
        this.server.log('info', `duration: ${took.toFixed(3)} ms  statement: ${this.queryText}`, { process: this.pid })
    }
    const idle = this.transaction.status === 'I' ? quick.idleSessionMs : quick.idleInTransactionMs
    if (idle > 0) {
      const message =
        this.transaction.status === 'I'
          ? sqlError('57P05', 'terminating connection due to idle-session timeout', { severity: 'FATAL' })
          : sqlError('25P03', 'terminating connection due to idle-in-transaction timeout', { severity: 'FATAL' })
      clearTimeout(this.#idleTimer)
      this.#idleTimer = setTimeout(() => this.#terminateWith(message), idle)
      this.#idleTimer.unref()
    }
  }

  #utility(statement: Statement): Utility | undefined {
    return utilityFor(statement.tag)
  }

  // ── From outside ─────────────────────────────────────────────────────────────────────────────────────────────

  cancel(): void {
    if (this.#running) this.#interruptWith(sqlError('57014', 'canceling statement due to user request'))
  }
  #interruptWith(error: SqlError): void {
    this.#interrupt ??= error
    this.#wake?.()
  }

  terminate(): void {
    this.#terminateWith(sqlError('57P01', 'terminating connection due to administrator command', { severity: 'FATAL' }))
  }
  #terminateWith(error: SqlError): void {
    if (this.#terminated !== undefined) return
    this.#terminated = error
    this.#wake?.()
    if (!this.#running) {
      this.transaction.rollback()
      this.identity.options.onTerminate(error)
    }
  }
  get running(): boolean {
    return this.#running
  }
  /** Does it now, or as soon as no statement runs and no transaction is open: asynchronous messages to the client. */
  whenIdle(work: (sink: Sink | undefined) => void): void {
    if (this.#running || this.transaction.block !== 'idle') this.#whenIdle.push(work)
    else work(this.identity.options.idleSink)
  }
  readonly #whenIdle: ((sink: Sink | undefined) => void)[] = []

  close(): MaybePromise<void> {
    if (this.#closed) return undefined
    this.#closed = true
    clearTimeout(this.#statementTimer)
    clearTimeout(this.#idleTimer)
    for (const portal of [...this.portals.values()]) this.closePortalNow(portal)
    if (this.transaction.block !== 'idle' || this.transaction.txn !== undefined) this.transaction.rollback()
    this.kv.unlockSessionAll(this.pid)
    const finish = (): void => this.server.ended(this)
    const dropped = this.onClose?.()
    if (dropped instanceof Promise) return dropped.then(finish, finish)
    finish()
    return undefined
  }
  /** Called when the session ends. */
  onClose: (() => Promise<void> | undefined) | undefined
  /** Drops temporary objects; set by what made some. */
  dropTemporary: (() => Promise<void>) | undefined
  /** Forgets what others registered for this session (LISTEN): DISCARD ALL. */
  readonly onDiscard: (() => void)[] = []
  discardHooks(): void {
    for (const hook of this.onDiscard) hook()
  }
}

const aborted = (): SqlError =>
  sqlError('25P02', 'current transaction is aborted, commands ignored until end of transaction block')

const changedResult = (): SqlError => sqlError('0A000', 'cached plan must not change result type')

const IDLE_STATES = { I: 'idle', T: 'idle in transaction', E: 'idle in transaction (aborted)' } as const
/** Plans a lifted statement may have. */
const VARIANTS_MAX = 20
const NO_FORMATS: readonly Format[] = []
const LEVELS = ['debug5', 'debug4', 'debug3', 'debug2', 'debug1', 'debug', 'log', 'info', 'notice', 'warning', 'error']

const strict = new TextDecoder('utf-8', { fatal: true })
/** Text of a parameter; 22021 for bytes that are not UTF-8. */
function utf8(bytes: Buffer): string {
  for (let i = 0; i < bytes.length; i++) {
    if (bytes[i]! >= 0x80) {
      try {
        return strict.decode(bytes)
      } catch {
        throw sqlError('22021', 'invalid byte sequence for encoding "UTF8"')
      }
    }
    if (bytes[i] === 0) throw sqlError('22021', 'invalid byte sequence for encoding "UTF8": 0x00')
  }
  return bytes.latin1Slice(0, bytes.length)
}

/** Statements whose rows must be held back until they are complete. */
const mayRestart = (prepared: PreparedQuery): boolean => prepared.suspends

/** 'a, "B c", $user' to its names, folded as identifiers are. */
export function splitIdentifiers(text: string): string[] {
  const names: string[] = []
  const pattern = /\s*(?:"((?:[^"]|"")*)"|([^",\s]+))\s*(?:,|$)/gy
  for (let match = pattern.exec(text); match !== null && match[0] !== ''; match = pattern.exec(text)) {
    names.push(match[1] !== undefined ? match[1].replaceAll('""', '"') : match[2]!.toLowerCase())
  }
  return names
}
