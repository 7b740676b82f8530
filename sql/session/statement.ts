/**
 * A statement from text to something that can run, and the cache that keeps it: by database, text, parameter types and
 * search path. What was bound to an older catalog is bound anew when it is next used.
 *
 *     text → parse → bind → plan → compile        each step at most once while the catalog stays the same
 */
import type { Node } from '@pgsql/types'
import { LRUCache } from 'lru-cache'
import { type Oid, oid } from '../../storage/keys/brand.ts'
import { type BindContext, bind, isQuery, outputColumns } from '../binder/binder.ts'
import type { Catalog } from '../catalog/catalog.ts'
import { constantFold } from '../executor/evaluate.ts'
import { chooseMode, compileEnv, compilePlan } from '../executor/executor.ts'
import type { Operator } from '../executor/operator.ts'
import { tagOf } from '../parser/parser.ts'
import type { PlannedStatement } from '../plan/plan.ts'
import type { ColumnInfo, Query } from '../plan/query.ts'
import type { TableSizes } from '../planner/level.ts'
import { plan } from '../planner/planner.ts'
import { type SqlError, sqlError } from '../types/error.ts'
import { OID } from '../types/oids.ts'
import type { Value } from '../types/value.ts'
import { type Accesses, checkAccess, type ViewAccess } from './access.ts'
import type { SessionContext } from './call-context.ts'
import { selectInto } from './ddl/select-into.ts'
import { ShapeCache } from './lift.ts'
import { type PointRead, pointRead } from './point.ts'
import type { Field } from './session.ts'
import type { SessionSettings } from './settings.ts'
import { type Peek, peeksOf, variantOf } from './variants.ts'

/** Plans a statement may have by its parameters' values. */
const VARIANTS_MAX = 20

export interface PreparedQuery {
  readonly query: Query
  readonly planned: PlannedStatement
  readonly fields: readonly Field[] | undefined
  readonly operator: Operator
  /** The shortest way, for a look-up of one row. */
  readonly point: PointRead | undefined
  readonly parameterTypes: readonly Oid[]
  readonly relationsUsed: ReadonlySet<Oid>
  readonly accesses: Accesses
  readonly viewAccesses: readonly ViewAccess[]
  readonly catalogVersion: number
  /** Settings the statement's literals were read under; undefined: they do not matter. */
  readonly settingsEpoch: number | undefined
  /** Comparisons whose parameters decide which plan is best. */
  readonly peeks: readonly Peek[]
  /** Calls a function that waits (pg_sleep …): its rows are held back until it is complete. */
  readonly suspends: boolean
  /** A materialized view among its relations has no rows yet: it may be planned, not run. */
  readonly unpopulated: string | undefined
  /** Bound with the clock in it ('now'): for one execution only. */
  readonly once: boolean
  /** Binds and plans a query inside another statement once more, under the catalog as it is then. */
  readonly again?: () => PreparedQuery
}

export interface Statement {
  readonly node: Node
  readonly tag: string
  /** For pg_stat_activity, logs and positions. */
  readonly text: string
  /** The whole string the locations in `node` count from. */
  readonly source: string
  readonly givenTypes: readonly Oid[]
  prepared: PreparedQuery | undefined
  /** The same with other plans, by what literals or parameters select (variants.ts). */
  variants?: Map<string, Statement>
  /** Times it was bound, to choose between walking and generated code. */
  uses: number
}

export interface StatementHost {
  readonly catalog: Catalog
  readonly searchPath: readonly Oid[]
  readonly settings: SessionSettings
  readonly context: SessionContext
  readonly sizes: TableSizes
}

const CACHE_STATEMENTS = 2000
const CACHE_TEXT_MAX = 100_000 // longer statements are loads: they are not kept

export const isQueryNode = isQuery

/** The kept statements of one database, search path and choice of plans, by text. Shared by all sessions that agree in them. */
export class StatementCache {
  /** Simple queries. */
  readonly simple = new LRUCache<string, Statement>({ max: CACHE_STATEMENTS })
  /** Of the extended protocol: the text may hold parameters, whose given types are part of the key. */
  readonly #extended = new LRUCache<string, Statement>({ max: CACHE_STATEMENTS })
  /** Simple queries with their literals lifted out. */
  readonly shapes = new ShapeCache()

  keepSimple(text: string, statement: Statement): void {
    if (text.length <= CACHE_TEXT_MAX) this.simple.set(text, statement)
  }
  extended(text: string, types: readonly Oid[]): Statement | undefined {
    return this.#extended.get(types.length === 0 ? text : `${types.join(',')}|${text}`)
  }
  keepExtended(text: string, types: readonly Oid[], statement: Statement): void {
    if (text.length <= CACHE_TEXT_MAX)
      this.#extended.set(types.length === 0 ? text : `${types.join(',')}|${text}`, statement)
  }
}

const caches = new Map<string, StatementCache>()
export function statementCache(database: Oid, path: readonly Oid[], planning: string): StatementCache {
  const key = `${database}|${path.join(',')}|${planning}`
  let cache = caches.get(key)
  if (cache === undefined) caches.set(key, (cache = new StatementCache()))
  return cache
}

export function makeStatement(parsed: Node, text: string, source: string, types: readonly Oid[]): Statement {
  const node = selectInto(parsed)
  return { node, tag: tagOf(node), text, source, givenTypes: types, prepared: undefined, uses: 0 }
}

export function bindContext(host: StatementHost, source: string, types: readonly Oid[], fixed: boolean): BindContext {
  return {
    catalog: host.catalog,
    searchPath: host.searchPath,
    typeContext: host.context,
    source,
    parameters: [...types],
    parametersFixed: fixed,
    dependsOnSettings: false,
    dependsOnClock: false,
    relationsUsed: new Set(),
    accesses: new Map(),
    viewAccesses: [],
    notice: (severity, code, message) => host.context.notice(severity, code, message),
  }
}

/** Ready to run under the catalog as it is now. `parameters`: false when the protocol gives none (a simple query). */
export function prepareQuery(
  host: StatementHost,
  statement: Statement,
  parameters: boolean,
  peek?: readonly Value[],
): PreparedQuery {
  const known = statement.prepared
  if (
    known !== undefined &&
    !known.once &&
    known.catalogVersion === host.catalog.version &&
    (known.settingsEpoch === undefined || known.settingsEpoch === host.settings.epoch)
  ) {
    checkAccess(host.catalog, host.context.userOid, known, known.query)
    return known
  }
  const b = bindContext(host, statement.source, statement.givenTypes, !parameters)
  const query = bind(b, statement.node)
  const prepared = planQuery(host, b, query, statement.uses++ > 0 || parameters, peek)
  statement.prepared = prepared
  return prepared
}

/** The statement with the plan that fits these values, and ready to run. */
export function variantFor(
  host: StatementHost,
  statement: Statement,
  prepared: PreparedQuery,
  values: readonly Value[],
): Statement {
  if (prepared.peeks.length === 0) return statement
  const name = variantOf(prepared.peeks, host.catalog, host.sizes, values)
  statement.variants ??= new Map()
  let variant = statement.variants.get(name)
  if (variant === undefined) {
    if (statement.variants.size >= VARIANTS_MAX) return statement
    variant = { ...makeStatement(statement.node, statement.text, statement.source, statement.givenTypes) }
    statement.variants.set(name, variant)
  }
  prepareQuery(host, variant, true, values)
  return variant
}

/** Whether the query's tables have vector indexes: how to search them depends most on what filters keep. */
export function searchesVectors(catalog: Catalog, { relationsUsed, query }: PreparedQuery): boolean {
  if (query.orderBy.length === 0) return false
  for (const table of relationsUsed)
    for (const oid of catalog.relation(table)?.indexes ?? []) {
      const method = catalog.relation(oid)?.index?.method
      if (method === 'hnsw' || method === 'ivfflat') return true
    }
  return false
}

/** Plans and compiles a bound query (also of EXPLAIN, DECLARE CURSOR, CREATE TABLE AS, COPY). */
export function planQuery(
  host: StatementHost,
  b: BindContext,
  query: Query,
  repeated: boolean,
  peek?: readonly Value[],
): PreparedQuery {
  checkAccess(host.catalog, host.context.userOid, b, query)
  const planned = planOnly(host, query, peek)
  const env = compileEnv(host.catalog, chooseMode(planned.plan, repeated))
  const columns = outputColumns(query)
  const calls = callsRoutine(query, host.catalog)
  return {
    query,
    planned,
    fields: query.command !== 'select' && columns.length === 0 ? undefined : fieldsOf(host.catalog, query, columns),
    operator: compilePlan(planned.plan, env),
    point: calls === undefined ? pointRead(planned, env) : undefined,
    parameterTypes: b.parameters.map((type, i) => {
      if (type === 0 || type === OID.unknown)
        throw sqlError('42P18', `could not determine data type of parameter $${i + 1}`)
      return type
    }),
    relationsUsed: b.relationsUsed,
    accesses: b.accesses,
    viewAccesses: b.viewAccesses,
    catalogVersion: host.catalog.version,
    settingsEpoch: b.dependsOnSettings ? host.settings.epoch : undefined,
    peeks: repeated && query.command === 'select' && peek === undefined ? peeksOf(query, host.catalog) : [],
    suspends: calls === 'volatile' || callsOne(query, WAITING),
    once: b.dependsOnClock,
    unpopulated: unpopulatedOf(host.catalog, b.relationsUsed),
  }
}

function unpopulatedOf(catalog: Catalog, used: ReadonlySet<Oid>): string | undefined {
  for (const each of used) {
    const row = catalog.relation(each)
    if (row?.populated === false) return row.name
  }
  return undefined
}

/** `peek`: values the parameters will have, for estimates. */
export function planOnly(host: StatementHost, query: Query, peek?: readonly Value[]): PlannedStatement {
  return plan(query, host.catalog, {
    sizes: host.sizes,
    ...(peek === undefined ? {} : { peek: (parameter: number) => peek[parameter - 1] }),
    fold: (e) => constantFold(e, host.catalog, host.context),
    enabled: (name) => host.settings.bool(name),
  })
}

export function fieldOf(catalog: Catalog, column: ColumnInfo, tableOid: Oid = oid(0), columnNumber = 0): Field {
  const type = column.type === OID.unknown ? OID.text : column.type
  const row = catalog.typeRow(type)
  const base = row?.kind === 'd' ? baseOf(catalog, type) : type
  return {
    name: column.name,
    tableOid,
    columnNumber,
    type: catalog.type(base),
    typeOid: base,
    typeLength: catalog.typeRow(base)?.length ?? -1,
    typmod: row?.kind === 'd' ? row.typmod : column.typmod,
  }
}
function baseOf(catalog: Catalog, type: Oid): Oid {
  const row = catalog.typeRow(type)
  return row?.kind === 'd' ? baseOf(catalog, row.baseType) : type
}

/** The client was told of other rows than the statement would give now. */
export const changedResult = (): SqlError => sqlError('0A000', 'cached plan must not change result type')

/** Whether a client that was told of the one kind of rows can read the other. */
export function sameFields(a: readonly Field[] | undefined, b: readonly Field[] | undefined): boolean {
  if (a === b) return true
  if (a === undefined || b === undefined || a.length !== b.length) return false
  return a.every((field, i) => {
    const other = b[i]!
    return field.name === other.name && field.typeOid === other.typeOid && field.typmod === other.typmod
  })
}

function fieldsOf(catalog: Catalog, query: Query, columns: readonly ColumnInfo[]): Field[] {
  const targets = (query.command === 'select' ? query.targets : query.modify!.returning).filter(
    (target) => !target.junk,
  )
  return columns.map((column, i) => fieldOf(catalog, column, targets[i]!.tableOid, targets[i]!.columnNumber))
}

/** pg_sleep, pg_sleep_for, pg_sleep_until, and the advisory locks that wait. */
const WAITING: ReadonlySet<number> = new Set([2626, 3935, 3936, 2880, 2881, 2882, 2883, 3089, 3090, 3091, 3092])

/** Whether users' functions are called: a volatile one may write and wait, so that the statement may have to run again. */
function callsRoutine(tree: unknown, catalog: Catalog): 'volatile' | 'other' | undefined {
  if (typeof tree !== 'object' || tree === null) return undefined
  const node = tree as { kind?: unknown; function?: unknown }
  if (!Array.isArray(tree) && Object.getPrototypeOf(tree) !== Object.prototype) return undefined
  let found: 'other' | undefined
  if (typeof node.function === 'number' && node.function >= FIRST_USER_OID) {
    const row = catalog.function(node.function as Oid)
    if (row?.body !== undefined) {
      if (row.volatility === 'v') return 'volatile'
      found = 'other'
    }
  }
  for (const each of Object.values(tree)) {
    const inside = callsRoutine(each, catalog)
    if (inside === 'volatile') return inside
    found ??= inside
  }
  return found
}
const FIRST_USER_OID = 16384

function callsOne(tree: unknown, functions: ReadonlySet<number>): boolean {
  if (typeof tree !== 'object' || tree === null) return false
  if (Array.isArray(tree)) return tree.some((each) => callsOne(each, functions))
  if (Object.getPrototypeOf(tree) !== Object.prototype) return false
  const node = tree as { kind?: unknown; function?: unknown }
  if (node.kind === 'call' && functions.has(node.function as number)) return true
  return Object.values(tree).some((value) => callsOne(value, functions))
}
