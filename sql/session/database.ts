/**
 * A database server without sockets: opens the catalogs over a kv, keeps the sessions, answers what a listener asks before
 * there is a session. An embedding program uses it directly:
 *
 *     const database = await openDatabase(kv, { osUser: 'me', settings: new Map(), log })
 *     const session = await database.connect({ user: 'alopex', database: 'alopex', … })
 *     await session.query('select 1', sink)
 */
import { randomInt } from 'node:crypto'
import type { Oid } from '../../storage/keys/brand.ts'
import { tableSpan } from '../../storage/keys/map.ts'
import type { Kv } from '../../storage/kv/kv.ts'
import '../binder/binder.ts'
import { isVectorIndex, vectorIndexSpec } from '../access/vector-spec.ts'
import { POSTGRES_DATABASE } from '../catalog/bootstrap.ts'
import type { RoleRow } from '../catalog/catalog.ts'
import { installCatalogFunctions } from '../catalog/functions.ts'
import { type CatalogStore, openCatalogStore } from '../catalog/store.ts'
import { registerTableOperators } from '../executor/modify.ts'
import { parserReady } from '../parser/parser.ts'
import type { TableSizes } from '../planner/level.ts'
import { registerArrays } from '../types/array/array.ts'
import { registerDatetime } from '../types/datetime/datetime.ts'
import { sqlError } from '../types/error.ts'
import { registerExtensionFunctions } from '../types/extension/extensions.ts'
import { registerJson } from '../types/json/json.ts'
import { registerMisc } from '../types/misc/misc.ts'
import { registerNumber } from '../types/number/number.ts'
import { registerRanges } from '../types/range/range.ts'
import { registerRecords } from '../types/record/record.ts'
import { registerText } from '../types/text/text.ts'
import { registerTextSearch } from '../types/tsearch/tsearch.ts'
import { registerVector } from '../types/vector/vector.ts'
import { openGraphs } from '../vector/graphs.ts'
import type { Graphs } from '../vector/index-graph.ts'
import type { VectorIndexes, VectorIndexSpec } from '../vector/vector-index.ts'
import { openVectorIndexes } from '../vector/vector-indexes.ts'
import { Backend, type Server } from './backend.ts'
import { clockMicros } from './call-context.ts'
import { registerControl } from './control.ts'
import { registerDdl } from './ddl/ddl.ts'
import { installSessionFunctions } from './functions/functions.ts'
import type { ConnectOptions, Database, MaybePromise, Role, Session } from './session.ts'
import { SessionSettings, settingDefinition, shown } from './settings.ts'
import { registerSessionUtilities } from './utilities/utilities.ts'
import { YoungIndexes } from './young-indexes.ts'

export interface DatabaseLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

export interface DatabaseOptions {
  /** A superuser of this name is made in a new store. */
  readonly osUser: string
  /** Server-level settings (flags, configuration file): name and value as SET takes them. */
  readonly settings: ReadonlyMap<string, string>
  readonly log: DatabaseLog
  /** Where checkpoints of vector indexes' graphs lie; without it graphs are built anew after each start. */
  readonly vectorFolder?: string
  /** Other graphs for vector indexes, for tests. */
  readonly vectorGraphs?: Graphs
}

let registered = false
function register(): void {
  if (registered) return
  registered = true
  registerNumber()
  registerText()
  registerMisc()
  registerExtensionFunctions()
  registerDatetime()
  registerRecords()
  registerJson()
  registerVector()
  registerTextSearch()
  registerRanges()
  // Arrays of everything registered before.
  registerArrays()
  registerTableOperators()
  installCatalogFunctions()
  installSessionFunctions()
  registerControl()
  registerSessionUtilities()
  registerDdl()
}

const FIRST_PID = 1000

export async function openDatabase(kv: Kv, options: DatabaseOptions): Promise<Database> {
  register()
  await parserReady
  // What is wrong in the settings is found now, not at the first connection.
  const settings = new SessionSettings(options.settings)
  const catalogs = await openCatalogStore(kv, { osUser: options.osUser })
  const node = new Node(kv, catalogs, settings, options)
  node.vectors.start(vectorSpecs(catalogs))
  return node
}

/** Of all databases. */
function* vectorSpecs(catalogs: CatalogStore): Iterable<VectorIndexSpec> {
  for (const { oid } of catalogs.catalog(POSTGRES_DATABASE).databases()) {
    const catalog = catalogs.catalog(oid)
    for (const index of catalog.ownAll('relation')) {
      // What is not valid is not searched.
      if (!isVectorIndex(index) || !index.index!.valid) continue
      const table = catalog.relation(index.index!.table)
      if (table !== undefined) yield vectorIndexSpec(catalog, table, index)
    }
  }
}

class Node implements Database, Server {
  readonly kv: Kv
  readonly catalogs: CatalogStore
  readonly vectors: VectorIndexes
  readonly young = new YoungIndexes()
  readonly startedAt = clockMicros()
  readonly backends = new Map<number, Backend>()
  readonly #settings: SessionSettings
  readonly #options: DatabaseOptions
  readonly #sizes = new Map<Oid, TableSizes>()
  #nextPid = FIRST_PID
  #closing = false

  constructor(kv: Kv, catalogs: CatalogStore, settings: SessionSettings, options: DatabaseOptions) {
    this.kv = kv
    this.catalogs = catalogs
    this.#settings = settings
    this.#options = options
    this.vectors = openVectorIndexes({
      kv,
      graphs: options.vectorGraphs ?? openGraphs(),
      folder: options.vectorFolder,
      warn: (message, fields = {}) => options.log.warn(fields, message),
    })
  }

  get sessions(): number {
    return this.backends.size
  }

  #role(name: string): RoleRow | undefined {
    return this.catalogs.catalog(POSTGRES_DATABASE).roleByName(name)
  }

  role(name: string): Role | undefined {
    const row = this.#role(name)
    if (row === undefined) return undefined
    return {
      oid: row.oid,
      name: row.name,
      canLogin: row.canLogin,
      superuser: row.superuser,
      password: row.password,
      validUntil: row.validUntil === undefined || row.validUntil === 'infinity' ? undefined : new Date(row.validUntil),
      connectionLimit: row.connectionLimit,
    }
  }

  setting(name: string): string {
    const definition = settingDefinition(name)
    return definition === undefined ? this.#settings.get(name) : shown(definition, this.#settings.get(name))
  }

  connect(options: ConnectOptions): MaybePromise<Session> {
    if (this.#closing) throw sqlError('57P03', 'the database system is shutting down', { severity: 'FATAL' })
    const role = this.#role(options.user)
    if (role === undefined) throw sqlError('28000', `role "${options.user}" does not exist`, { severity: 'FATAL' })
    if (!role.canLogin)
      throw sqlError('28000', `role "${options.user}" is not permitted to log in`, { severity: 'FATAL' })
    const shared = this.catalogs.catalog(POSTGRES_DATABASE)
    const row = shared.databaseByName(options.database)
    if (row === undefined)
      throw sqlError('3D000', `database "${options.database}" does not exist`, { severity: 'FATAL' })
    if (!row.allowConnections)
      throw sqlError('55000', `database "${options.database}" is not currently accepting connections`, {
        severity: 'FATAL',
      })
    this.#checkLimit(
      row.connectionLimit,
      (backend) => backend.databaseOid === row.oid,
      `too many connections for database "${options.database}"`,
      role.superuser,
    )
    this.#checkLimit(
      role.connectionLimit,
      (backend) => backend.identity.authenticatedUser.oid === role.oid,
      `too many connections for role "${options.user}"`,
      role.superuser,
    )

    const layers: (readonly [string, string])[] = [...this.#options.settings]
    for (const setting of row.settings ?? []) layers.push(cut(setting))
    for (const scope of ['0', String(row.oid)])
      for (const setting of role.settings?.[scope] ?? []) layers.push(cut(setting))
    layers.push(['session_authorization', role.name], ['is_superuser', role.superuser ? 'on' : 'off'])
    for (const [name, value] of options.parameters) layers.push([name, value])
    const settings = new SessionSettings(layers)
    const pid = this.#newPid()
    const backend = new Backend(
      this,
      { pid, secret: randomInt(-(2 ** 31), 2 ** 31), databaseOid: row.oid, authenticatedUser: role, options },
      settings,
    )
    this.backends.set(pid, backend)
    return backend
  }

  #checkLimit(limit: number, mine: (backend: Backend) => boolean, message: string, superuser: boolean): void {
    if (limit < 0 || superuser) return
    let count = 0
    for (const backend of this.backends.values()) if (mine(backend)) count++
    if (count >= limit) throw sqlError('53300', message, { severity: 'FATAL' })
  }

  #newPid(): number {
    do {
      this.#nextPid = this.#nextPid >= 4_000_000 ? FIRST_PID : this.#nextPid + 1
    } while (this.backends.has(this.#nextPid))
    return this.#nextPid
  }

  ended(backend: Backend): void {
    this.backends.delete(backend.pid)
  }

  cancel(pid: number, secret: number): boolean {
    const backend = this.backends.get(pid)
    if (backend === undefined || backend.secret !== secret) return false
    backend.cancel()
    return true
  }

  /** Rows of tables: counted at ANALYZE and scaled by how the store has grown since; else by size alone. */
  sizes(database: Oid): TableSizes {
    let sizes = this.#sizes.get(database)
    if (sizes === undefined) {
      sizes = {
        rows: (table) => {
          const catalog = this.catalogs.catalog(database)
          const row = catalog.relation(table)
          if (row?.virtual === true || row?.kind === 'S') return catalog.virtualSize(table)
          if (row === undefined || row.storageId === 0) return 1000
          const bytes = this.kv.approximateBytes(tableSpan(database, row.storageId))
          const statistics = catalog.statistics(table)
          if (statistics !== undefined && statistics.rows > 0 && statistics.bytes > 0)
            return Math.max(1, (statistics.rows * Math.max(bytes, 1)) / statistics.bytes)
          const width = row.columns.length * 12 + 40
          return Math.max(10, bytes / width)
        },
      }
      this.#sizes.set(database, sizes)
    }
    return sizes
  }

  log(level: 'info' | 'warn' | 'error', message: string, fields: Record<string, unknown> = {}): void {
    this.#options.log[level](fields, message)
  }

  async close(graceMs: number): Promise<void> {
    this.#closing = true
    const end = Date.now() + graceMs
    while (Date.now() < end && [...this.backends.values()].some((backend) => backend.running))
      await new Promise((resolve) => setTimeout(resolve, 10))
    for (const backend of [...this.backends.values()]) {
      backend.terminate()
      await backend.close()
    }
    await this.vectors.close()
  }
}

/** name=value */
function cut(setting: string): readonly [string, string] {
  const at = setting.indexOf('=')
  return [setting.slice(0, at), setting.slice(at + 1)]
}
