/**
 * What GROUP BY asks of everything above it: a column outside of aggregates is a grouping key, or belongs to a table whose
 * primary key is grouped (parse_agg.c's check_ungrouped_columns and finalize_grouping_exprs).
 */
import type { Expression } from '../plan/expression.ts'
import type { GroupKey, Query, Target } from '../plan/query.ts'
import { ExpressionList, sameExpression } from '../plan/walk.ts'
import { type BindContext, errorAt, ownPlace, placeOf } from './context.ts'
import type { Scope } from './scope.ts'

export interface Grouping {
  readonly groupBy: readonly GroupKey[]
  readonly groupingSets: readonly (readonly number[])[] | undefined
}

/** Rebuilds a tree with what `f` gives for a node at its depth of queries; `f` undefined: go on below. */
function rebuild<T>(node: T, depth: number, f: (e: Expression, depth: number) => Expression | undefined): T {
  if (typeof node !== 'object' || node === null) return node
  if (Array.isArray(node)) {
    let changed = false
    const result = node.map((each) => {
      const next = rebuild(each, depth, f)
      changed ||= next !== each
      return next
    })
    return (changed ? result : node) as T
  }
  if (Object.getPrototypeOf(node) !== Object.prototype) return node
  const e = node as unknown as Expression & { command?: unknown; relations?: unknown }
  const given = f(e, depth)
  if (given !== undefined) return given as T
  const here = e.command !== undefined && e.relations !== undefined ? depth + 1 : depth
  let copy: Record<string, unknown> | undefined
  for (const [name, value] of Object.entries(node)) {
    const next = rebuild(value as unknown, here, f)
    if (next !== value) {
      copy ??= { ...(node as Record<string, unknown>) }
      copy[name] = next
    }
  }
  return (copy ?? node) as T
}

const isGrouping = (e: Expression, depth: number): e is Expression & { kind: 'grouping' } =>
  e.kind === 'grouping' && e.level === depth

/** GROUPING(x, …) of this level, also inside subqueries: its arguments to positions in GROUP BY. */
export function resolveGrouping<T>(b: BindContext, tree: T, list: readonly Target[], groupBy: readonly GroupKey[]): T {
  return rebuild(tree, 0, (e, depth) => {
    if (!isGrouping(e, depth)) return undefined
    const refs = e.args.map((arg) => {
      const own = depth === 0 ? arg : lowered(arg, depth)
      const at = groupBy.findIndex((key) => sameExpression(list[key.target]!.expression, own))
      if (at < 0) {
        throw errorAt(
          b,
          '42803',
          'arguments to GROUPING must be grouping expressions of the associated query level',
          placeOf(arg),
        )
      }
      return at
    })
    return { ...e, refs }
  })
}

/** A reference from `depth` queries down as this level writes it. */
const lowered = (e: Expression, depth: number): Expression =>
  rebuild(e, 0, (node) => (node.kind === 'var' ? { ...node, level: node.level - depth } : undefined))

/** Throws 42803 for the first column that is neither grouped nor inside an aggregate. `trees`: targets, windows, HAVING. */
export function checkGrouped(
  b: BindContext,
  scope: Scope,
  list: readonly Target[],
  trees: readonly unknown[],
  grouping: Grouping,
): void {
  const keys = grouping.groupBy.map((key) => list[key.target]!.expression)
  const sets = grouping.groupingSets
  const common = sets === undefined ? keys : keys.filter((_, i) => sets.every((set) => set.includes(i)))
  const complex = keys.some((key) => key.kind !== 'var')
  const check: Check = { b, scope, keys, known: new ExpressionList(keys), common, complex, dependent: new Map() }
  for (const target of list) checkTree(check, target.expression, 0, false)
  for (const tree of trees) checkTree(check, tree, 0, false)
}

interface Check {
  readonly b: BindContext
  readonly scope: Scope
  readonly keys: readonly Expression[]
  readonly known: ExpressionList
  readonly common: readonly Expression[]
  readonly complex: boolean
  readonly dependent: Map<number, boolean>
}

function checkTree(c: Check, node: unknown, depth: number, direct: boolean): void {
  if (typeof node !== 'object' || node === null) return
  if (Array.isArray(node)) {
    for (const each of node) checkTree(c, each, depth, direct)
    return
  }
  if (Object.getPrototypeOf(node) !== Object.prototype) return
  const e = node as Expression & { command?: unknown; relations?: unknown }
  if (e.kind === 'const' || e.kind === 'param') return
  if (e.kind === 'aggregate' && e.level >= depth) {
    if (e.level === depth) checkTree(c, e.directArgs, depth, true)
    return
  }
  if (e.kind === 'grouping' && e.level >= depth) return
  if (depth === 0 && c.complex && e.kind !== undefined && c.known.find(e) >= 0) return
  if (e.kind === 'var') {
    if (e.level === depth) checkColumn(c, e, depth, direct)
    return
  }
  if (e.command !== undefined && e.relations !== undefined) {
    // In PostgreSQL's order, so that the same column is complained of.
    const { targets, from, where, having, ctes, relations, ...rest } = e as unknown as Query
    for (const part of [targets, from, where, having, rest, ctes, relations]) checkTree(c, part, depth + 1, direct)
    return
  }
  for (const value of Object.values(e)) checkTree(c, value, depth, direct)
}

const sameColumn = (key: Expression, relation: number, column: number): boolean =>
  key.kind === 'var' && key.level === 0 && key.relation === relation && key.column === column

function checkColumn(c: Check, e: Expression & { kind: 'var' }, depth: number, direct: boolean): void {
  if (c.keys.some((key) => sameColumn(key, e.relation, e.column))) return
  let known = c.dependent.get(e.relation)
  if (known === undefined) {
    const source = c.scope.relations[e.relation]
    const row = source?.kind === 'table' ? c.b.catalog.relation(source.oid) : undefined
    const primary = row?.constraints.find((constraint) => constraint.type === 'p')
    known = primary?.columns.every((column) => c.common.some((key) => sameColumn(key, e.relation, column))) === true
    c.dependent.set(e.relation, known)
  }
  if (known) return
  const relation = c.scope.relations[e.relation]!
  const name = `${relation.alias}.${e.column === 0 ? '*' : (relation.columns[e.column - 1]?.name ?? 'tableoid')}`
  throw errorAt(
    c.b,
    '42803',
    depth === 0
      ? `column "${name}" must appear in the GROUP BY clause or be used in an aggregate function`
      : `subquery uses ungrouped column "${name}" from outer query`,
    ownPlace(e),
    direct ? { detail: 'Direct arguments of an ordered-set aggregate must use only grouped columns.' } : {},
  )
}
