/**
 * FOR UPDATE and its kin: which tables' rows a query locks. A lock on a subquery or view is one on the tables inside it; the
 * rows that come out at the top are locked, not those that later conditions drop.
 */
import type { Node, SelectStmt } from '@pgsql/types'
import type { Oid } from '../../storage/keys/brand.ts'
import type { Query, Relation, RowLock } from '../plan/query.ts'
import type { SqlError } from '../types/error.ts'
import { type BindContext, errorAt, wantAccess } from './context.ts'
import type { Scope } from './scope.ts'
import { relationOf, viewRole } from './view-options.ts'

const STRENGTHS = {
  LCS_NONE: 'key-share',
  LCS_FORKEYSHARE: 'key-share',
  LCS_FORSHARE: 'share',
  LCS_FORNOKEYUPDATE: 'no-key-update',
  LCS_FORUPDATE: 'update',
} as const
const LOCK_NAMES = {
  'key-share': 'FOR KEY SHARE',
  share: 'FOR SHARE',
  'no-key-update': 'FOR NO KEY UPDATE',
  update: 'FOR UPDATE',
} as const
const POLICIES = { LockWaitBlock: 'wait', LockWaitSkip: 'skip', LockWaitError: 'nowait' } as const

type Lock = Omit<RowLock, 'relation'>

/** The name of the first locking clause's strength, for errors; undefined without one. */
export function lockName(nodes: readonly Node[] | undefined): string | undefined {
  const clause = nodes?.[0]
  return clause !== undefined && 'LockingClause' in clause
    ? LOCK_NAMES[STRENGTHS[clause.LockingClause.strength!]]
    : undefined
}

/** What of a query does not go with row locks. */
export function refusal(
  query: Pick<
    Query,
    | 'setOperation'
    | 'distinct'
    | 'groupBy'
    | 'groupingSets'
    | 'having'
    | 'hasAggregates'
    | 'windows'
    | 'hasSetReturning'
  >,
): string | undefined {
  if (query.setOperation !== undefined) return 'UNION/INTERSECT/EXCEPT'
  if (query.distinct.kind !== 'none') return 'DISTINCT clause'
  if (query.groupBy.length > 0 || query.groupingSets !== undefined) return 'GROUP BY clause'
  if (query.having !== undefined) return 'HAVING clause'
  if (query.hasAggregates) return 'aggregate functions'
  if (query.windows.length > 0) return 'window functions'
  if (query.hasSetReturning) return 'set-returning functions in the target list'
  return undefined
}

const cannot = (b: BindContext, lock: Lock, what: string): SqlError =>
  errorAt(b, '0A000', `${LOCK_NAMES[lock.strength]} is not allowed with ${what}`)

/** The locks of a SELECT; relations that are subqueries get theirs inside. */
export function bindLocks(
  b: BindContext,
  scope: Scope,
  node: SelectStmt,
  query: Parameters<typeof refusal>[0],
): RowLock[] {
  const locks: RowLock[] = []
  for (const each of node.lockingClause ?? []) {
    if (!('LockingClause' in each)) continue
    const { lockedRels, strength, waitPolicy } = each.LockingClause
    const lock: Lock = { strength: STRENGTHS[strength!], policy: POLICIES[waitPolicy!] }
    const what = refusal(query)
    if (what !== undefined) throw cannot(b, lock, what)
    if (lockedRels === undefined || lockedRels.length === 0) {
      scope.relations.forEach((_, i) => lockRelation(b, scope.relations as Relation[], i, lock, locks))
      continue
    }
    for (const rel of lockedRels) {
      if ('RangeVar' in rel) lockNamed(b, scope, rel.RangeVar, lock, locks)
    }
  }
  return locks
}

function lockNamed(
  b: BindContext,
  scope: Scope,
  rel: { relname?: string; schemaname?: string; catalogname?: string; location?: number },
  lock: Lock,
  locks: RowLock[],
): void {
  const name = LOCK_NAMES[lock.strength]
  if (rel.schemaname !== undefined || rel.catalogname !== undefined) {
    throw errorAt(b, '42601', `${name} must specify unqualified relation names`, rel.location)
  }
  const at = scope.relations.findIndex((relation) => relation.alias === rel.relname)
  if (at < 0) {
    const join = scope.items.some((item) => item.relation < 0 && item.alias === rel.relname && item.alias !== '')
    if (join) throw errorAt(b, '0A000', `${name} cannot be applied to a join`, rel.location)
    throw errorAt(b, '42P01', `relation "${rel.relname}" in ${name} clause not found in FROM clause`, rel.location)
  }
  const { kind } = scope.relations[at]!
  const what =
    kind === 'function' ? 'a function' : kind === 'values' ? 'VALUES' : kind === 'cte' ? 'a WITH query' : undefined
  if (what !== undefined) throw errorAt(b, '0A000', `${name} cannot be applied to ${what}`, rel.location)
  lockRelation(b, scope.relations, at, lock, locks)
}

function lockRelation(
  b: BindContext,
  relations: Relation[],
  at: number,
  lock: Lock,
  locks: RowLock[],
  role?: Oid,
): void {
  const source = relations[at]!
  if (source.kind === 'table') {
    const row = b.catalog.relation(source.oid)
    if (row?.kind === 'S') throw errorAt(b, '42809', `cannot lock rows in sequence "${row.name}"`)
    if (row?.kind === 'm') throw errorAt(b, '42809', `cannot lock rows in materialized view "${row.name}"`)
    if (row?.virtual !== true) locks.push({ relation: at, ...lock })
    if (row !== undefined && lock.implied !== true) wantAccess(b, row.oid, 'w')
  } else if (source.kind === 'subquery') {
    if (source.viewOid !== undefined && lock.implied !== true) wantAccess(b, source.viewOid, 'w')
    const inside = source.viewOid === undefined ? role : viewRole(b.catalog.relation(source.viewOid))
    relations[at] = { ...source, query: lockInside(b, source.query, lock, inside) }
  }
}

/**
 * The subquery with the lock on everything it reads: implied, so that it may still be merged with the query around.
 * `role`: whose view it is the query of.
 */
function lockInside(b: BindContext, query: Query, lock: Lock, role: Oid | undefined): Query {
  if (query.command !== 'select') return query
  const what = refusal(query)
  if (what !== undefined) throw cannot(b, lock, what)
  const relations = [...query.relations]
  const locks: RowLock[] = []
  relations.forEach((_, i) => lockRelation(b, relations, i, { ...lock, implied: true }, locks, role))
  const locked = { ...query, relations, rowLocks: [...query.rowLocks, ...locks] }
  for (const each of relations) {
    const relation = relationOf(each)
    if (relation !== undefined) b.viewAccesses.push({ role, relation, letters: 'w', query: locked })
  }
  return locked
}
