/**
 * What stands in FROM, each by itself: the paths to the rows of a table, a subquery, a function or a WITH entry, with
 * the conditions that read it alone. How they are joined is join.ts.
 */
import { invariant } from '../../storage/keys/invariant.ts'
import type { Expression } from '../plan/expression.ts'
import type { Plan } from '../plan/plan.ts'
import type { Query, Relation, Sample } from '../plan/query.ts'
import { replaceVars } from '../plan/walk.ts'
import { notSupported } from '../types/error.ts'
import { OID } from '../types/oids.ts'
import { COST, DEFAULT_ROWS, type Estimator } from './estimate.ts'
import { filtered } from './join-pair.ts'
import { infoOf, layoutOf } from './layout.ts'
import type { Level, QueryPlanner } from './level.ts'
import { passSlots } from './outer.ts'
import { costOf, type Path, pathOf, rowsOf, type WantedOrder } from './path.ts'
import { pushConditions } from './pushdown.ts'
import { entriesOf, relationsIn, type ScanRequest, tablePaths } from './scan.ts'
import { vectorPaths } from './vector.ts'

/** A subquery in FROM, planned with the conditions that went inside. */
export interface Derived {
  readonly child: Level
  readonly plan: Plan
  readonly conditions: readonly Expression[]
  readonly rest: readonly Expression[]
}

const sameConditions = (x: readonly Expression[], y: readonly Expression[]): boolean =>
  x.length === y.length && x.every((e, i) => e === y[i])

function readsOnly(e: Expression, relation: number): boolean {
  const reads = relationsIn(e)
  return reads.size === 1 && reads.has(relation)
}

/** A scan's condition on its own whole row (`t IS NOT NULL`): the row is made of the columns, since nothing above has made it yet. */
export function spellRow(
  level: Level,
  query: Query,
  at: number,
  e: Expression,
  known: Map<Expression, Expression>,
): Expression {
  let spelled = known.get(e)
  if (spelled !== undefined) return spelled
  const relation = query.relations[at]!
  spelled = replaceVars(e, (of, column) => (of === at && column === 0 ? rowOf(level, relation, at) : undefined), 0)
  known.set(e, spelled)
  return spelled
}

function rowOf(level: Level, relation: Relation, at: number): Expression {
  const live = relation.columns.flatMap((column, i) => (column.type === 0 ? [] : [{ ...column, number: i + 1 }]))
  return {
    kind: 'row',
    fields: live.map(({ number, type, typmod }) => ({
      kind: 'var',
      level: 0,
      relation: at,
      column: number,
      type,
      typmod,
    })),
    names: live.map((column) => column.name),
    type: wholeRowType(level, relation),
    typmod: -1,
  }
}

export function scanPaths(
  level: Level,
  estimator: Estimator,
  query: Query,
  at: number,
  used: ReadonlyMap<number, ReadonlySet<number>>,
  beside: ScanRequest['beside'],
  conditions: readonly Expression[],
  available: ReadonlySet<number>,
  slotOf: (e: Expression) => Expression,
  planQuery: QueryPlanner,
  derived: Map<number, Derived>,
  order: WantedOrder | undefined,
): Path[] {
  const relation = query.relations[at]!
  const columns = used.get(at) ?? new Set<number>()
  const wholeRow = columns.has(0)
  switch (relation.kind) {
    case 'table': {
      const live = relation.columns.flatMap((column, i) => (column.type === 0 ? [] : [i + 1]))
      const wanted = wholeRow ? new Set([...live, ...[...columns].filter((column) => column < 0)]) : columns
      const request: ScanRequest = {
        level,
        estimator,
        relations: query.relations,
        relation: at,
        wanted,
        beside: wholeRow ? () => wanted : beside,
        conditions,
        available,
        order,
        slotOf,
      }
      if (relation.sample !== undefined) {
        const path = sampledPath(request, relation.sample, estimator, query)
        return [wholeRow ? addWholeRow(level, path, relation, at, live) : path]
      }
      const plain = tablePaths(request)
      const paths = [...plain, ...vectorPaths(request, plain.slice(1))]
      return wholeRow ? paths.map((path) => addWholeRow(level, path, relation, at, live)) : paths
    }
    case 'subquery': {
      const own = conditions.filter((e) => readsOnly(e, at))
      let known = derived.get(at)
      if (known === undefined || !sameConditions(known.conditions, own)) {
        const child = level.child()
        const pushed = pushConditions(level, relation.query, at, own)
        known = { child, plan: planQuery(child, pushed.query), conditions: own, rest: pushed.rest }
        derived.set(at, known)
      }
      const { child, plan, rest } = known
      const above = conditions.filter((e) => !own.includes(e) || rest.includes(e))
      const path = derivedPath(level, child, plan, relation, at, above, estimator, query, slotOf)
      return [wholeRow ? addWholeRow(level, path, relation, at, allColumns(relation)) : path]
    }
    case 'function': {
      const calls = relation.calls.map((source, i) => {
        const first = relation.calls.slice(0, i).reduce((sum, each) => sum + each.columns, 0)
        return {
          call: level.lower(source.call, layoutOf([]), slotOf),
          columns: relation.columns.slice(first, first + source.columns),
          composite: source.composite,
        }
      })
      const rows = functionRows(
        level,
        relation.calls.map((source) => source.call),
      )
      return [
        sourcePath(
          level,
          { kind: 'function-scan', alias: relation.alias, calls, ordinality: relation.ordinality },
          relation,
          at,
          rows,
          conditions,
          estimator,
          query,
          slotOf,
          wholeRow,
        ),
      ]
    }
    case 'values': {
      const rows = relation.rows.map((row) => row.map((e) => level.lower(e, layoutOf([]), slotOf)))
      return [
        sourcePath(
          level,
          { kind: 'values', rows },
          relation,
          at,
          rows.length,
          conditions,
          estimator,
          query,
          slotOf,
          wholeRow,
        ),
      ]
    }
    case 'cte': {
      const source = level.cte(relation.name, relation.level)
      invariant(source.kind === 'slot', 'an inlined CTE is expanded before')
      return [
        sourcePath(
          level,
          { kind: 'cte-scan', slot: source.slot, work: relation.self, name: relation.name, alias: relation.alias },
          relation,
          at,
          source.rows,
          conditions,
          estimator,
          query,
          slotOf,
          wholeRow,
        ),
      ]
    }
    case 'excluded':
      throw notSupported('EXCLUDED outside of ON CONFLICT')
  }
}

/** A sample is taken of the whole table, before any condition. */
function sampledPath(request: ScanRequest, sample: Sample, estimator: Estimator, query: Query): Path {
  const { level, conditions, slotOf } = request
  const { plan, layout, relations } = tablePaths({ ...request, conditions: [], order: undefined })[0]!
  const lower = (e: Expression): Expression => level.shared.fold(level.lower(e, layoutOf([]), slotOf))
  const percent = lower(sample.percent)
  const share = percent.kind === 'const' && typeof percent.value === 'number' ? percent.value / 100 : 0.1
  const { rows, totalCost } = plan.estimate
  const node = {
    kind: 'sample',
    input: plan,
    method: sample.method,
    percent,
    seed: sample.seed && lower(sample.seed),
  } as const
  const path = pathOf(node, layout.entries, Math.max(1, rows * share), 0, totalCost, relations)
  return filtered({ level, estimator, relations: query.relations, scan: () => [] }, path, conditions, slotOf)
}

const allColumns = (relation: Relation): number[] => relation.columns.map((_, i) => i + 1)

function sourcePath(
  level: Level,
  node: Parameters<typeof pathOf>[0],
  relation: Relation,
  at: number,
  rows: number,
  conditions: readonly Expression[],
  estimator: Estimator,
  query: Query,
  slotOf: (e: Expression) => Expression,
  wholeRow: boolean,
): Path {
  const entries = entriesOf(relation, at, allColumns(relation), false)
  const path = pathOf(node, entries, rows, 0, rows * COST.row, new Set([at]))
  const kept = filtered({ level, estimator, relations: query.relations, scan: () => [] }, path, conditions, slotOf)
  return wholeRow ? addWholeRow(level, kept, relation, at, allColumns(relation)) : kept
}

function derivedPath(
  level: Level,
  child: Level,
  plan: Plan,
  relation: Relation,
  at: number,
  conditions: readonly Expression[],
  estimator: Estimator,
  query: Query,
  slotOf: (e: Expression) => Expression,
): Path {
  const entries = entriesOf(relation, at, allColumns(relation), false)
  const outside = child.params.map((param) => ({
    slot: param.slot,
    expression: level.lower(param.expression, layoutOf([]), slotOf),
  }))
  const inner: Plan = outside.length === 0 ? plan : passSlots(plan, outside)
  const path: Path = {
    plan: { ...inner, columns: entries.map((e) => infoOf(e)) },
    layout: layoutOf(entries),
    order: [],
    relations: new Set([at]),
  }
  return filtered({ level, estimator, relations: query.relations, scan: () => [] }, path, conditions, slotOf)
}

/** Appends the record of all columns, for a whole-row reference. */
function addWholeRow(level: Level, path: Path, relation: Relation, at: number, live: readonly number[]): Path {
  const row: Expression = {
    kind: 'var',
    level: 0,
    relation: at,
    column: 0,
    type: wholeRowType(level, relation),
    typmod: -1,
  }
  const fields = live.map(
    (column): Expression =>
      level.lower(
        {
          kind: 'var',
          level: 0,
          relation: at,
          column,
          type: relation.columns[column - 1]!.type,
          typmod: relation.columns[column - 1]!.typmod,
        },
        path.layout,
      ),
  )
  const record: Expression = {
    kind: 'row',
    fields,
    names: live.map((column) => relation.columns[column - 1]!.name),
    type: row.type,
    typmod: -1,
  }
  const keep = path.layout.entries.map(
    (e, index): Expression => ({ kind: 'column', index, type: e.type, typmod: e.typmod }),
  )
  return pathOf(
    { kind: 'project', input: path.plan, targets: [...keep, record] },
    [...path.layout.entries, row],
    rowsOf(path),
    path.plan.estimate.startupCost,
    costOf(path),
    path.relations,
    path.order,
  )
}

export function wholeRowType(level: Level, relation: Relation) {
  if (relation.kind === 'table') return level.shared.catalog.relation(relation.oid)?.rowType || OID.record
  if (relation.kind === 'subquery' && relation.viewOid !== undefined)
    return level.shared.catalog.relation(relation.viewOid)?.rowType || OID.record
  if (relation.kind === 'function' && relation.calls.length === 1 && relation.calls[0]!.composite)
    return relation.calls[0]!.call.type
  return OID.record
}

export function functionRows(level: Level, calls: readonly Expression[]): number {
  let rows = 1
  for (const call of calls) {
    if (call.kind !== 'call' || !call.setReturning) continue
    const fn = level.shared.catalog.function(call.function)
    const [from, to] = call.args
    const known =
      fn?.name === 'generate_series' &&
      from?.kind === 'const' &&
      to?.kind === 'const' &&
      typeof from.value === 'number' &&
      typeof to.value === 'number'
        ? to.value - from.value + 1
        : undefined
    rows = Math.max(rows, known ?? fn?.rows ?? DEFAULT_ROWS)
  }
  return rows
}
