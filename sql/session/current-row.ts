/**
 * WHERE CURRENT OF: the row a cursor stands on, by its key. A cursor over plain rows of tables is planned with their keys as
 * columns behind its own; FETCH leaves them out, this finds them.
 *
 *     DECLARE c … SELECT a FROM t      plan gives (a, key of t)      UPDATE t … WHERE CURRENT OF c reads t by that key
 *
 * The rules are PostgreSQL's execCurrent.c, but a cursor that sorts may be used too.
 */
import { type Key, type Oid, oid } from '../../storage/keys/brand.ts'
import type { Catalog, RelationRow } from '../catalog/catalog.ts'
import type { Query, Relation, Target } from '../plan/query.ts'
import { ROW_KEY } from '../planner/layout.ts'
import { sqlError } from '../types/error.ts'
import { OID } from '../types/oids.ts'
import type { Row } from '../types/value.ts'
import type { CursorState, Portal } from './portal.ts'

/** A table whose rows' keys a cursor gives, and in which column. */
export interface KeyColumn {
  readonly table: Oid
  readonly at: number
  /** Of FOR UPDATE and kin. */
  readonly locked: boolean
}

/** The query with the keys of its tables' rows as further columns; undefined when its rows are not rows of tables. */
export function withRowKeys(
  query: Query,
  catalog: Catalog,
): { readonly query: Query; readonly keys: readonly KeyColumn[] } | undefined {
  const plain =
    query.command === 'select' &&
    query.setOperation === undefined &&
    !query.hasAggregates &&
    query.groupBy.length === 0 &&
    query.groupingSets === undefined &&
    query.having === undefined &&
    query.windows.length === 0 &&
    query.distinct.kind === 'none' &&
    !query.hasSetReturning
  if (!plain) return undefined
  // Without a lock only one table may be meant: PostgreSQL does not look into joins.
  const single = query.from.length === 1 && query.from[0]?.kind === 'relation' ? query.from[0].relation : undefined
  const visible = query.targets.filter((target) => !target.junk)
  const keys: KeyColumn[] = []
  const targets: Target[] = []
  const relations = query.relations.map((relation, i): Relation => {
    const locked = query.rowLocks.some((lock) => lock.relation === i)
    if (!locked && i !== single) return relation
    if (relation.kind === 'table' && hasRows(catalog.relation(relation.oid))) {
      keys.push({ table: relation.oid, at: visible.length + targets.length, locked })
      targets.push(keyTarget(i, ROW_KEY))
    }
    if (relation.kind !== 'subquery' || query.rowLocks.length > 0) return relation
    // A view's rows are its table's, where it is as plain.
    const inner = withRowKeys(relation.query, catalog)
    if (inner === undefined) return relation
    const columns = [...relation.columns]
    for (const { table } of inner.keys) {
      keys.push({ table, at: visible.length + targets.length, locked: false })
      columns.push({ name: '', type: OID.internal, typmod: -1 })
      targets.push(keyTarget(i, columns.length))
    }
    return { ...relation, columns, query: inner.query }
  })
  if (keys.length === 0) return undefined
  const shifted = (target: number): number => (target < visible.length ? target : target + targets.length)
  const junk = query.targets.slice(visible.length)
  return {
    keys,
    query: {
      ...query,
      relations,
      targets: [...visible, ...targets, ...junk],
      orderBy: query.orderBy.map((key) => ({ ...key, target: shifted(key.target) })),
    },
  }
}

const hasRows = (row: RelationRow | undefined): boolean =>
  row !== undefined && row.virtual !== true && row.storageId !== 0 && row.kind !== 'S'

const keyTarget = (relation: number, column: number): Target => ({
  name: '',
  expression: { kind: 'var', level: 0, relation, column, type: OID.internal, typmod: -1 },
  junk: false,
  tableOid: oid(0),
  columnNumber: 0,
})

/** Undefined: no row of the table (an outer join's empty side). Throws 34000, 24000. */
export function currentRow(
  portals: ReadonlyMap<string, Portal>,
  name: string,
  table: Oid,
  catalog: Catalog,
): Key | undefined {
  const refuse = (what: string) => sqlError('24000', `cursor "${name}" ${what}`)
  const shown = `table "${catalog.relation(table)?.name}"`
  const portal = portals.get(name)
  if (portal === undefined) throw sqlError('34000', `cursor "${name}" does not exist`)
  const { cursor, prepared } = portal
  if (prepared !== undefined && prepared.query.command !== 'select') throw refuse('is not a SELECT query')
  if (cursor?.held === true) throw refuse('is held from a previous transaction')
  const keys = cursor?.keys ?? []
  const matching = keys.filter((key) => key.table === table)
  if ((prepared?.query.rowLocks.length ?? 0) > 0) {
    const locked = matching.filter((key) => key.locked)
    if (locked.length > 1) throw refuse(`has multiple FOR UPDATE/SHARE references to ${shown}`)
    if (locked.length === 0) throw refuse(`does not have a FOR UPDATE/SHARE reference to ${shown}`)
    return keyOf(cursor!, locked[0]!, refuse)
  }
  if (matching.length !== 1) throw refuse(`is not a simply updatable scan of ${shown}`)
  return keyOf(cursor!, matching[0]!, refuse)
}

function keyOf(cursor: CursorState, key: KeyColumn, refuse: (what: string) => Error): Key | undefined {
  const row = rowAt(cursor)
  if (row === undefined) throw refuse('is not positioned on a row')
  return (row[key.at] as Key | null) ?? undefined
}

/** The row the cursor stands on, with its keys. */
function rowAt(cursor: CursorState): Row | undefined {
  const { position, count, rows, dropped } = cursor
  if (position < 1 || position > count) return undefined
  if (position === count && cursor.last !== undefined) return cursor.last
  let at = dropped
  for (const batch of rows?.batches() ?? []) {
    if (at + batch.length >= position) return batch[position - at - 1]
    at += batch.length
  }
  return undefined
}
