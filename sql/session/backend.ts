/**
 * A session: its identity, settings, transaction, prepared statements and portals, and what surrounds each statement (timers,
 * interrupts, activity, errors). The protocols are beside it, and so is running:
 *
 *     query          → simple-query.ts   ─┐
 *     parse … sync   → extended-query.ts ─┴→ run.ts → steps → sink          waits.ts: what has to wait
 *
 * One statement at a time; whatever has to wait (locks, commits, slow clients, the end of a time slice) makes the running
 * method return a promise, everything else is done in one synchronous stretch.
 */
import { type Oid, oid } from '../../storage/keys/brand.ts'
import type { Kv } from '../../storage/kv/kv.ts'
import type { Catalog, RoleRow } from '../catalog/catalog.ts'
import type { CatalogStore } from '../catalog/store.ts'
import { DeferredChecks } from '../executor/deferred.ts'
import type { TableSizes } from '../planner/level.ts'
import { setDeadline } from '../types/deadline.ts'
import { type Notice, type SqlError, sqlError } from '../types/error.ts'
import type { CallInfo } from '../types/function.ts'
import { PG_CATALOG } from '../types/oids.ts'
import type { TypeContext } from '../types/type.ts'
import type { Int64, Value } from '../types/value.ts'
import type { VectorIndexes } from '../vector/vector-index.ts'
import { type ContextHost, clockMicros, SessionContext } from './call-context.ts'
import type { Building } from './ddl/vector-build.ts'
import { ExtendedQuery } from './extended-query.ts'
import type { Portal } from './portal.ts'
import { runFunction } from './routines.ts'
import { Runner } from './run.ts'
import { SequenceCache } from './sequences.ts'
import type { ConnectOptions, Field, Format, MaybePromise, Session, Sink } from './session.ts'
import type { SessionSettings } from './settings.ts'
import { SimpleQuery } from './simple-query.ts'
import { toSqlError } from './sqlstate-of.ts'
import { type Statement, type StatementCache, statementCache } from './statement.ts'
import type { Wait } from './suspend.ts'
import { aborted, Transaction } from './transaction.ts'
import { type Utility, utilityFor } from './utility.ts'
import { Waits } from './waits.ts'
import type { YoungIndexes } from './young-indexes.ts'

/** What all sessions of a process share. */
export interface Server {
  readonly kv: Kv
  readonly catalogs: CatalogStore
  readonly vectors: VectorIndexes
  readonly young: YoungIndexes
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
  readonly waits = new Waits(this)
  readonly runner = new Runner(this)
  readonly simple = new SimpleQuery(this)
  readonly extended = new ExtendedQuery(this)
  readonly sequences: SequenceCache
  readonly prepared = new Map<string, Named>()
  readonly portals = new Map<string, Portal>()
  /** For pg_stat_activity. */
  readonly startedAt = clockMicros()
  queryText = ''
  queryStart = 0
  stateChange = 0
  /** When the statement that runs is to end, by performance.now(). */
  deadline = Number.POSITIVE_INFINITY
  transactionStart = 0
  statementStart = 0
  sessionUser: Oid
  userOid: Oid
  tempNamespace: Oid = oid(0)
  /** The vector index whose graph a statement is building. */
  building: Building | undefined
  /** Done at the end of the transaction: temporary tables, notifications. `everyCommit` stays for the whole session. */
  readonly hooks: {
    beforeCommit: (() => Promise<void> | undefined)[]
    ended: ((committed: boolean) => void)[]
    readonly everyCommit: Set<() => void>
  } = { beforeCommit: [], ended: [], everyCommit: new Set() }

  sink: Sink | undefined
  #interrupt: SqlError | undefined
  #terminated: SqlError | undefined
  #statementTimer: NodeJS.Timeout | undefined
  #idleTimer: NodeJS.Timeout | undefined
  #running = false
  #closed = false
  #known: Path | undefined
  /** Settings whose new values the client is told when the statement is over, with what it knows. */
  readonly #toReport = new Map<string, string>()
  /** Inside a simple Query with several statements: they share one implicit transaction. */
  severalStatements = false

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
      young: server.young,
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
    return this.path().path
  }

  /** The effective path: temporary schema, pg_catalog where it is not listed, then the listed schemas that exist. */
  path(): Path {
    const { catalog } = this
    const setting = this.settings.quick.searchPath
    const known = this.#known
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
    this.#known = {
      setting,
      version: catalog.version,
      user: this.userOid,
      temporary: this.tempNamespace,
      planning: this.settings.planning,
      path,
      cache: statementCache(this.databaseOid, path, this.settings.planning),
    }
    return this.#known
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
    const sink = this.sink ?? this.identity.options.idleSink
    sink?.notice(notice)
  }

  get isInterrupted(): boolean {
    return this.#interrupt !== undefined || this.#terminated !== undefined
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
  runFunction(fn: Oid, call: CallInfo, args: readonly Value[]): Iterable<Value> {
    return runFunction(this, fn, call, args)
  }
  suspend(start: () => unknown, wait: Wait): unknown {
    return this.runner.suspend(start, wait)
  }

  setReadOnly(readOnly: boolean): void {
    const opens = !readOnly && this.transaction.readOnly
    if (opens && this.transaction.isInSavepoint)
      throw sqlError('25001', 'cannot set transaction read-write mode inside a read-only transaction')
    if (opens && this.transaction.txn !== undefined)
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

  // ── Queries ──────────────────────────────────────────────────────────────────────────────────────────────────

  query(sql: string, sink: Sink): MaybePromise<void> {
    return this.simple.query(sql, sink)
  }
  parse(name: string, sql: string, parameterTypes: readonly Oid[]): MaybePromise<void> {
    return this.extended.parse(name, sql, parameterTypes)
  }
  bind(
    portal: string,
    name: string,
    formats: readonly Format[],
    values: readonly (Buffer | null)[],
    resultFormats: readonly Format[],
  ): MaybePromise<void> {
    return this.extended.bind(portal, name, formats, values, resultFormats)
  }
  describeStatement(name: string): MaybePromise<{ parameters: readonly Oid[]; fields: readonly Field[] | undefined }> {
    return this.extended.describeStatement(name)
  }
  describePortal(name: string): MaybePromise<{ fields: readonly Field[] | undefined; formats: readonly Format[] }> {
    return this.extended.describePortal(name)
  }
  execute(name: string, maxRows: number, sink: Sink): MaybePromise<void> {
    return this.extended.execute(name, maxRows, sink)
  }
  closeStatement(name: string): void {
    this.extended.closeStatement(name)
  }
  closePortal(name: string): void {
    this.extended.closePortal(name)
  }
  sync(sink: Sink): MaybePromise<void> {
    return this.extended.sync(sink)
  }

  fail(): void {
    this.transaction.fail()
    this.idle()
  }

  // ── Transactions ─────────────────────────────────────────────────────────────────────────────────────────────

  ensureTransaction(tag = ''): void {
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

  checkFailed(statement: Statement): void {
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
    const x = this.runner.newExecution(txn, 0, [])
    const steps = onlyDue ? this.deferred.runDue(x) : this.deferred.run(x)
    const done = this.waits.drive<void>(steps)
    return done instanceof Promise ? done : undefined
  }

  #closePortals(): void {
    for (const portal of this.portals.values()) if (portal.cursor?.held !== true) this.extended.closePortalNow(portal)
  }

  #transactionEnded(committed: boolean): void {
    if (!committed) this.#closePortals()
    const { ended, beforeCommit } = this.hooks
    if (ended.length > 0) for (const hook of ended.splice(0)) hook(committed)
    if (beforeCommit.length > 0) beforeCommit.length = 0
  }

  // ── Around a statement ───────────────────────────────────────────────────────────────────────────────────────

  begin(text: string, sink: Sink): void {
    this.sink = sink
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
    this.deadline = Number.POSITIVE_INFINITY
    this.startTimeout()
    setDeadline(this.deadline)
  }

  /** One timer for a whole query string; a statement of it that sets statement_timeout sets it for those after it. */
  startTimeout(): void {
    const timeout = this.settings.quick.statementTimeoutMs
    if (timeout <= 0 || this.#statementTimer !== undefined) return
    this.deadline = performance.now() + timeout
    setDeadline(this.deadline)
    this.#statementTimer = setTimeout(
      () => this.#interruptWith(sqlError('57014', 'canceling statement due to statement timeout')),
      timeout,
    )
  }

  /** Errors put the transaction in order; the session is idle again when the work is done. */
  guard<T>(work: () => MaybePromise<T>): MaybePromise<T> {
    if (this.#terminated !== undefined) throw this.#terminated
    let result: MaybePromise<T>
    try {
      result = work()
    } catch (error) {
      throw this.#failed(error)
    }
    if (!(result instanceof Promise)) {
      this.idle()
      return result
    }
    return result.then(
      (value) => {
        this.idle()
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
    this.idle()
    return known
  }

  idle(): void {
    const now = this.#running
    this.#running = false
    if (this.#toReport.size > 0) {
      for (const [name, known] of this.#toReport) {
        const value = this.settings.get(name)
        if (value !== known) this.sink?.parameterStatus(name, value)
      }
      this.#toReport.clear()
    }
    if (this.#whenIdle.length > 0 && this.transaction.block === 'idle') {
      for (const work of this.#whenIdle.splice(0)) work(this.sink ?? this.identity.options.idleSink)
    }
    this.severalStatements = false
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

  utility(statement: Statement): Utility | undefined {
    return utilityFor(statement.tag)
  }

  // ── From outside ─────────────────────────────────────────────────────────────────────────────────────────────

  cancel(): void {
    if (this.#running) this.#interruptWith(sqlError('57014', 'canceling statement due to user request'))
  }
  #interruptWith(error: SqlError): void {
    this.#interrupt ??= error
    this.waits.wake()
  }

  terminate(): void {
    this.#terminateWith(sqlError('57P01', 'terminating connection due to administrator command', { severity: 'FATAL' }))
  }
  #terminateWith(error: SqlError): void {
    if (this.#terminated !== undefined) return
    this.#terminated = error
    this.waits.wake()
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
    for (const portal of [...this.portals.values()]) this.extended.closePortalNow(portal)
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

const IDLE_STATES = { I: 'idle', T: 'idle in transaction', E: 'idle in transaction (aborted)' } as const
const LEVELS = ['debug5', 'debug4', 'debug3', 'debug2', 'debug1', 'debug', 'log', 'info', 'notice', 'warning', 'error']

/** 'a, "B c", $user' to its names, folded as identifiers are. */
function splitIdentifiers(text: string): string[] {
  const names: string[] = []
  const pattern = /\s*(?:"((?:[^"]|"")*)"|([^",\s]+))\s*(?:,|$)/gy
  for (let match = pattern.exec(text); match !== null && match[0] !== ''; match = pattern.exec(text)) {
    names.push(match[1] !== undefined ? match[1].replaceAll('""', '"') : match[2]!.toLowerCase())
  }
  return names
}
