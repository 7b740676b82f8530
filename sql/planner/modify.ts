/** INSERT, UPDATE, DELETE and MERGE: the plan that finds or makes the rows, with the modifying operator on top. */
import { invariant } from '../../storage/keys/invariant.ts'
import type { RelationRow } from '../catalog/catalog.ts'
import { domainDefault } from '../catalog/domains.ts'
import type { Expression } from '../plan/expression.ts'
import type { InsertPlan, MergePlan, Plan, PlanNode, ViewCheck } from '../plan/plan.ts'
import type { Modify, Query } from '../plan/query.ts'
import { replaceVars } from '../plan/walk.ts'
import { notSupported } from '../types/error.ts'
import { OID } from '../types/oids.ts'
import { COST } from './estimate.ts'
import { cheapest } from './join-pair.ts'
import { infoOf, layoutOf, ROW_KEY } from './layout.ts'
import type { Level, QueryPlanner } from './level.ts'
import { planRows } from './select.ts'
import { planCtes, withCtes } from './with.ts'

export function planModify(level: Level, query: Query, planQuery: QueryPlanner): Plan {
  const modify = query.modify
  invariant(modify !== undefined, 'a modifying query')
  const relation = query.relations[modify.relation]!
  invariant(relation.kind === 'table', 'a table to modify')
  const row = level.shared.catalog.relation(relation.oid)
  invariant(row !== undefined, `relation ${relation.oid}`)
  level.shared.writes.add(row.oid)
  const ctes = planCtes(level, query, planQuery)
  switch (query.command) {
    case 'insert':
      return withCtes(ctes, planInsert(level, query, modify, row, planQuery))
    case 'update':
    case 'delete':
    case 'merge':
      return withCtes(ctes, planChange(level, query, modify, row, planQuery))
    case 'select':
      throw notSupported('this modification')
  }
}

const liveColumns = (row: RelationRow) => row.columns.filter((column) => !column.dropped)
const varOf = (
  relation: number,
  column: { readonly number: number; readonly type: Expression['type']; readonly typmod: number },
): Expression => ({ kind: 'var', level: 0, relation, column: column.number, type: column.type, typmod: column.typmod })

function planInsert(level: Level, query: Query, modify: Modify, row: RelationRow, planQuery: QueryPlanner): Plan {
  const live = liveColumns(row)
  const { query: source, paths } = planRows(
    level,
    { ...query, command: 'select', modify: undefined },
    () => [],
    planQuery,
  )
  const path = cheapest(paths)
  const values = live.map((column): Expression => {
    const at = modify.insertColumns.indexOf(column.number)
    const given = at >= 0 ? source.targets[at]!.expression : undefined
    return level.shared.fold(level.lower(given ?? defaultOf(level, column), path.layout))
  })
  const columns = live.map((column) => ({ name: column.name, type: column.type, typmod: column.typmod }))
  const input: Plan =
    path.plan.kind === 'result' && path.plan.targets.length === 0
      ? { ...path.plan, targets: values, columns, estimate: path.plan.estimate }
      : { kind: 'project', input: path.plan, targets: values, columns, estimate: path.plan.estimate }
  const target = layoutOf(live.map((column) => varOf(modify.relation, column)))
  const conflict = planConflict(level, modify, live, row)
  const returning =
    modify.returning.length === 0
      ? undefined
      : modify.returning.map((each) => level.lower(wholeRows(each.expression, modify.relation, row), target))
  return finish(
    {
      kind: 'insert',
      table: row.oid,
      alias: query.relations[modify.relation]!.alias,
      input,
      conflict,
      returning,
      checks: planChecks(level, modify, row),
    },
    modify,
    input,
  )
}

/** What a new row has in a column that nothing is given for. */
function defaultOf(level: Level, column: RelationRow['columns'][number]): Expression {
  const { type, typmod } = column
  const nothing: Expression = { kind: 'const', value: null, type, typmod }
  if (column.generated !== undefined) return nothing
  return column.default ?? domainDefault(level.shared.catalog, type) ?? nothing
}

/** A whole-row reference to the table (or to EXCLUDED) becomes a record of its columns; tableoid a constant. */
function wholeRows<T>(tree: T, relation: number, row: RelationRow): T {
  return replaceVars(tree, (at, column, original): Expression | undefined => {
    if (at !== relation) return undefined
    if (column === -6) return { kind: 'const', value: row.oid, type: OID.oid, typmod: -1 }
    if (column !== 0) return undefined
    const live = liveColumns(row)
    const fields = live.map((each) => varOf(relation, each))
    return { kind: 'row', fields, names: live.map((each) => each.name), type: original.type, typmod: -1 }
  })
}

/** WITH CHECK OPTION, over the new row. */
function planChecks(level: Level, modify: Modify, row: RelationRow): ViewCheck[] {
  const layout = layoutOf(liveColumns(row).map((column) => varOf(modify.relation, column)))
  return (modify.checks ?? []).map(({ view, condition }) => ({
    view,
    condition: level.lower(wholeRows(condition, modify.relation, row), layout),
  }))
}

function planConflict(
  level: Level,
  modify: Modify,
  live: RelationRow['columns'],
  row: RelationRow,
): InsertPlan['conflict'] {
  const given = modify.onConflict
  if (given === undefined) return { kind: 'none' }
  if (given.kind === 'nothing') return { kind: 'nothing', indexes: given.indexes }
  const layout = layoutOf([
    ...live.map((column) => varOf(modify.relation, column)),
    ...live.map((column) => varOf(given.excluded, column)),
  ])
  const lower = (e: Expression): Expression =>
    level.lower(wholeRows(wholeRows(e, modify.relation, row), given.excluded, row), layout)
  return {
    kind: 'update',
    indexes: given.indexes,
    assignments: given.assignments.map(({ column, value }) => ({ column, value: lower(value) })),
    where: given.where && lower(given.where),
  }
}

function planChange(level: Level, query: Query, modify: Modify, row: RelationRow, planQuery: QueryPlanner): Plan {
  const live = liveColumns(row)
  const key: Expression = {
    kind: 'var',
    level: 0,
    relation: modify.relation,
    column: ROW_KEY,
    type: OID.internal,
    typmod: -1,
  }
  const columns = live.map((column) => varOf(modify.relation, column))
  const { query: planned, paths } = planRows(level, query, () => [key, ...columns], planQuery)
  const path = cheapest(paths)
  // The operator wants the old row's columns first, then whatever else is read, and the key last.
  const own = new Set(columns.map((e) => path.layout.find(e)))
  const others = path.layout.entries.filter(
    (e, i) => !own.has(i) && !(e.kind === 'var' && e.column === ROW_KEY && e.relation === modify.relation),
  )
  const entries = [...columns, ...others, key]
  const targets = entries.map((e) => level.lower(e, path.layout))
  const inOrder =
    targets.length === path.layout.entries.length && targets.every((e, i) => e.kind === 'column' && e.index === i)
  const input: Plan = inOrder
    ? path.plan
    : {
        kind: 'project',
        input: path.plan,
        targets,
        columns: entries.map((e) => infoOf(e)),
        estimate: path.plan.estimate,
      }
  const layout = layoutOf(entries)
  const lower = (e: Expression): Expression =>
    level.shared.fold(level.lower(wholeRows(e, modify.relation, row), layout))
  const alias = query.relations[modify.relation]!.alias
  if (query.command === 'merge') {
    const actions = planned.modify!.merge!.map((action): MergePlan['actions'][number] => {
      const { matched } = action
      const condition = action.condition && lower(action.condition)
      if (action.kind === 'update')
        return { kind: 'update', matched, condition, assignments: lowered(action.assignments, lower) }
      if (action.kind !== 'insert') return { kind: action.kind, matched, condition }
      const values = live.map((column): Expression => {
        const at = action.columns.indexOf(column.number)
        return lower(at >= 0 ? action.values[at]! : defaultOf(level, column))
      })
      return { kind: 'insert', matched, condition, values }
    })
    return finish({ kind: 'merge', table: row.oid, alias, input, actions }, modify, input)
  }
  const returning =
    planned.modify!.returning.length === 0 ? undefined : planned.modify!.returning.map((each) => lower(each.expression))
  if (query.command === 'delete')
    return finish({ kind: 'delete', table: row.oid, alias, input, returning }, modify, input)
  const assignments = lowered(planned.modify!.assignments, lower)
  return finish(
    { kind: 'update', table: row.oid, alias, input, assignments, returning, checks: planChecks(level, modify, row) },
    modify,
    input,
  )
}

const lowered = (
  assignments: Modify['assignments'],
  lower: (e: Expression) => Expression,
): { column: number; value: Expression }[] => assignments.map(({ column, value }) => ({ column, value: lower(value) }))

function finish(node: PlanNode, modify: Modify, input: Plan): Plan {
  const columns = modify.returning.map((target) => infoOf(target.expression, target.name))
  const { rows, totalCost } = input.estimate
  return {
    ...node,
    columns,
    estimate: { rows, startupCost: 0, totalCost: totalCost + rows * COST.row, width: columns.length * 8 },
  }
}
