/**
 * INSERT, UPDATE and DELETE through views that show one table's rows as they are (rewriteHandler.c's automatically
 * updatable views): the change is bound against the view, then moved to what the view reads, one view at a time.
 *
 *     view v = select id, upper(s) as u from t where id > 0
 *     update v set id = 5 where u = 'X'    →    update t set id = 5 where id > 0 and upper(s) = 'X'
 */
import type { RelationRow } from '../catalog/catalog.ts'
import type { Expression } from '../plan/expression.ts'
import type { Modify, OnConflict, Query, Relation, Target } from '../plan/query.ts'
import { replaceVars } from '../plan/walk.ts'
import { sqlError } from '../types/error.ts'
import { OID } from '../types/oids.ts'
import type { BindContext } from './context.ts'
import { relationOf, viewRole, wantInside } from './view-options.ts'

/** Why a view's rows cannot be changed, in PostgreSQL's words; undefined: they can. */
export function notUpdatable(query: Query): string | undefined {
  if (query.distinct.kind !== 'none') return 'Views containing DISTINCT are not automatically updatable.'
  if (query.groupBy.length > 0 || query.groupingSets !== undefined) {
    return 'Views containing GROUP BY are not automatically updatable.'
  }
  if (query.having !== undefined) return 'Views containing HAVING are not automatically updatable.'
  if (query.setOperation !== undefined) {
    return 'Views containing UNION, INTERSECT, or EXCEPT are not automatically updatable.'
  }
  if (query.ctes.length > 0) return 'Views containing WITH are not automatically updatable.'
  if (query.limit !== undefined || query.offset !== undefined) {
    return 'Views containing LIMIT or OFFSET are not automatically updatable.'
  }
  if (query.hasAggregates) return 'Views that return aggregate functions are not automatically updatable.'
  if (query.windows.length > 0) return 'Views that return window functions are not automatically updatable.'
  if (query.hasSetReturning) return 'Views that return set-returning functions are not automatically updatable.'
  if (baseOf(query) === undefined) {
    return 'Views that do not select from a single table or view are not automatically updatable.'
  }
  return undefined
}

/** The one table or view that a view's FROM names. */
function baseOf(query: Query): { readonly at: number; readonly relation: Relation } | undefined {
  const item = query.from.length === 1 ? query.from[0]! : undefined
  if (item?.kind !== 'relation') return undefined
  const relation = query.relations[item.relation]!
  const changeable = relation.kind === 'table' || (relation.kind === 'subquery' && relation.viewOid !== undefined)
  return changeable ? { at: item.relation, relation } : undefined
}

const visible = (query: Query): readonly Target[] => query.targets.filter((target) => !target.junk)

/** The base relation's column that a view's column is; a text says why it is none. */
function baseColumn(query: Query, column: number): number | string {
  const base = baseOf(query)
  const e = visible(query)[column - 1]?.expression
  if (e?.kind !== 'var' || e.level !== 0 || e.relation !== base?.at) {
    return 'View columns that are not columns of their base relation are not updatable.'
  }
  if (e.column < 0) return 'View columns that refer to system columns are not updatable.'
  return e.column === 0 ? 'View columns that return whole-row references are not updatable.' : e.column
}

/**
 * A view's row with what its base columns know and its own do not: defaults, identity, generation. For binding a change
 * against it.
 */
export function withBaseColumns(b: BindContext, row: RelationRow, query: Query): RelationRow {
  const base = baseOf(query)
  const oid =
    base?.relation.kind === 'table'
      ? base.relation.oid
      : base?.relation.kind === 'subquery'
        ? base.relation.viewOid
        : undefined
  const below = oid === undefined ? undefined : b.catalog.relation(oid)
  if (base === undefined || below === undefined) return row
  const source = base.relation.kind === 'subquery' ? withBaseColumns(b, below, base.relation.query) : below
  const columns = row.columns.map((column) => {
    const at = baseColumn(query, column.number)
    const known = typeof at === 'number' ? source.columns[at - 1] : undefined
    if (known === undefined) return column
    const value = column.default ?? known.default
    return {
      ...column,
      ...(value === undefined ? {} : { default: value }),
      ...(known.generated === undefined ? {} : { generated: known.generated }),
      ...(known.identity === undefined ? {} : { identity: known.identity }),
    }
  })
  return { ...row, columns }
}

const CANNOT = {
  insert: { verb: 'insert into', gerund: 'inserting into', event: 'INSERT' },
  update: { verb: 'update', gerund: 'updating', event: 'UPDATE' },
  delete: { verb: 'delete from', gerund: 'deleting from', event: 'DELETE' },
} as const

/** The change moved to the table under the view it names; as it is when it names a table. */
export function throughViews(b: BindContext, query: Query): Query {
  let current = query
  let cascaded = false
  // What is wanted of the view named is wanted of everything below it; its columns are known here only.
  const named = query.relations[query.modify!.relation]!
  const letters = (named.kind === 'subquery' && b.accesses.get(named.viewOid!)) || ''
  if (named.kind === 'subquery') {
    b.accesses.delete(named.viewOid!)
    b.viewAccesses.push({ role: undefined, relation: named.viewOid!, letters, query })
  }
  for (;;) {
    const modify = current.modify!
    const target = current.relations[modify.relation]!
    if (target.kind !== 'subquery') return current
    const view = b.catalog.relation(target.viewOid!)!
    const option = checkOption(view)
    const checked = cascaded || option !== undefined
    cascaded ||= option === 'cascaded'
    current = throughView(current, modify, target, view, checked)
    wantBelow(b, view, target.query, letters, current)
  }
}

/**
 * The same privileges on what a view is made of, of the columns that the change comes to; to read, of all that the view
 * shows (rewriteTargetView). `moved`: the change as it stands below the view.
 */
function wantBelow(b: BindContext, view: RelationRow, source: Query, letters: string, moved: Query): void {
  const { relation: base } = baseOf(source)!
  const relation = relationOf(base)!
  const role = viewRole(view)
  b.viewAccesses.push({ role, relation, letters: letters.replace('r', ''), query: moved })
  if (letters.includes('r')) b.viewAccesses.push({ role, relation, letters: 'r', query: source })
  wantInside(b, view, source, base)
}

const checkOption = (view: RelationRow): 'local' | 'cascaded' | undefined => {
  const set = view.options?.find((option) => option.startsWith('check_option='))?.slice('check_option='.length)
  return set === 'local' || set === 'cascaded' ? set : undefined
}

function throughView(
  query: Query,
  modify: Modify,
  target: Relation & { readonly kind: 'subquery' },
  view: RelationRow,
  checked: boolean,
): Query {
  const source = target.query
  const command = query.command as keyof typeof CANNOT
  const why = notUpdatable(source) ?? noUpdatableColumn(source, command)
  const { verb, gerund, event } = CANNOT[command]
  if (why !== undefined) {
    throw sqlError('55000', `cannot ${verb} view "${view.name}"`, {
      detail: why,
      hint: `To enable ${gerund} the view, provide an INSTEAD OF ${event} trigger or an unconditional ON ${event} DO INSTEAD rule.`,
    })
  }
  const column = (at: number, insert: boolean): number => {
    const found = baseColumn(source, at)
    if (typeof found === 'number') return found
    const what = `cannot ${insert ? 'insert into' : 'update'} column "${view.columns[at - 1]!.name}" of view "${view.name}"`
    throw sqlError('0A000', what, { detail: found })
  }
  const base = baseOf(source)!
  const columns = visible(source)
  const excluded = modify.onConflict?.kind === 'update' ? modify.onConflict.excluded : -1
  const standing = (e: Expression, at: number): Expression =>
    replaceVars(e, (relation, each, original) =>
      relation === base.at ? { ...original, relation: at, column: each, level: 0 } : undefined,
    )
  const moved = (relation: number, at: number): Expression | undefined => {
    if (relation !== modify.relation && relation !== excluded) return undefined
    if (at > 0) return standing(columns[at - 1]!.expression, relation)
    if (at < 0) return undefined
    const fields = columns.map((each) => standing(each.expression, relation))
    return { kind: 'row', fields, names: columns.map((each) => each.name), type: view.rowType, typmod: -1 }
  }
  const condition = source.where && standing(source.where, modify.relation)
  const { relations, modify: _, ...rest } = query
  const body = replaceVars(rest, moved)
  const conflict = modify.onConflict
  const change: Modify = {
    ...replaceVars({ ...modify, onConflict: undefined }, moved),
    insertColumns: modify.insertColumns.map((each) => column(each, true)),
    assignments: replaceVars(modify.assignments, moved).map((each) => ({
      ...each,
      column: column(each.column, false),
    })),
    onConflict: conflict && movedConflict(replaceVars(conflict, moved), column),
    checks: [
      ...replaceVars(modify.checks ?? [], moved),
      ...(checked && condition !== undefined && command !== 'delete' ? [{ view: view.name, condition }] : []),
    ],
  }
  const own = { alias: target.alias, aliased: true }
  return {
    ...body,
    relations: relations.map((relation, i): Relation => {
      if (i === modify.relation) return { ...base.relation, ...own }
      if (i === excluded) return { ...relation, columns: base.relation.columns }
      return replaceVars(relation, moved)
    }),
    where: command === 'insert' ? body.where : both(condition, body.where),
    modify: change,
  }
}

const both = (x: Expression | undefined, y: Expression | undefined): Expression | undefined =>
  x === undefined ? y : y === undefined ? x : { kind: 'and', args: [x, y], type: OID.bool, typmod: -1 }

const movedConflict = (conflict: OnConflict, column: (at: number, insert: boolean) => number): OnConflict =>
  conflict.kind === 'nothing'
    ? conflict
    : {
        ...conflict,
        assignments: conflict.assignments.map((each) => ({ ...each, column: column(each.column, false) })),
      }

function noUpdatableColumn(query: Query, command: 'insert' | 'update' | 'delete'): string | undefined {
  if (command === 'delete' || visible(query).some((_, i) => typeof baseColumn(query, i + 1) === 'number'))
    return undefined
  return 'Views that have no updatable columns are not automatically updatable.'
}

/** Expressions over a view (relation 0) as expressions over the table under it, for ON CONFLICT's target. */
export function overBase(
  b: BindContext,
  row: RelationRow,
  query: Query,
  list: readonly Expression[],
): { readonly row: RelationRow; readonly list: readonly Expression[] } {
  const base = baseOf(query)
  if (base === undefined) return { row, list }
  const columns = visible(query)
  const moved = replaceVars(list, (relation, at) =>
    relation === 0 && at > 0
      ? replaceVars(columns[at - 1]!.expression, (each, column, original) =>
          each === base.at ? { ...original, relation: 0, column } : undefined,
        )
      : undefined,
  )
  const { relation } = base
  if (relation.kind === 'table') return { row: b.catalog.relation(relation.oid)!, list: moved }
  return relation.kind === 'subquery'
    ? overBase(b, b.catalog.relation(relation.viewOid!)!, relation.query, moved)
    : { row, list }
}
