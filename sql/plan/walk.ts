/** Walking and rewriting expression trees: the one list of which node has which children. */
import type { Expression, SortKey, SubqueryLink } from './expression.ts'

/** The same node with every direct child replaced. Queries inside are left alone; of a subquery's link only the left side is a child. */
export function mapChildren(e: Expression, f: (child: Expression) => Expression): Expression {
  switch (e.kind) {
    case 'const':
    case 'param':
    case 'var':
    case 'column':
    case 'outer':
    case 'case-test':
    case 'sql-value':
    case 'default':
    case 'current-of':
      return e
    case 'grouping':
      return { ...e, args: e.args.map(f) }
    case 'call':
    case 'and':
    case 'or':
    case 'coalesce':
    case 'min-max':
      return { ...e, args: e.args.map(f) }
    case 'relabel':
    case 'coerce-io':
    case 'not':
    case 'is-null':
    case 'boolean-test':
    case 'field':
      return { ...e, arg: f(e.arg) }
    case 'array-coerce':
      return { ...e, arg: f(e.arg), element: f(e.element) }
    case 'distinct':
    case 'nullif':
    case 'any-array':
      return { ...e, left: f(e.left), right: f(e.right) }
    case 'case':
      return {
        ...e,
        arg: e.arg && f(e.arg),
        whens: e.whens.map(({ when, then }) => ({ when: f(when), then: f(then) })),
        otherwise: f(e.otherwise),
      }
    case 'array':
      return { ...e, elements: e.elements.map(f) }
    case 'row':
      return { ...e, fields: e.fields.map(f) }
    case 'row-compare':
      return { ...e, left: e.left.map(f), right: e.right.map(f) }
    case 'subscript':
      return {
        ...e,
        container: f(e.container),
        upper: e.upper.map((bound) => bound && f(bound)),
        lower: e.lower.map((bound) => bound && f(bound)),
        assign: e.assign && f(e.assign),
      }
    case 'subquery':
      return { ...e, link: mapLink(e.link, f) }
    case 'subplan':
      return {
        ...e,
        link: mapLink(e.link, f),
        params: e.params.map((param) => ({ ...param, expression: f(param.expression) })),
      }
    case 'aggregate':
      return {
        ...e,
        directArgs: e.directArgs.map(f),
        args: e.args.map(f),
        orderBy: e.orderBy.map((key) => mapKey(key, f)),
        filter: e.filter && f(e.filter),
      }
    case 'window':
      return { ...e, args: e.args.map(f), filter: e.filter && f(e.filter) }
  }
}

const mapLink = (link: SubqueryLink, f: (child: Expression) => Expression): SubqueryLink =>
  link.kind === 'any' || link.kind === 'all' ? { ...link, left: link.left.map(f) } : link
const mapKey = (key: SortKey, f: (child: Expression) => Expression): SortKey => ({
  ...key,
  expression: f(key.expression),
})

export function forEachChild(e: Expression, visit: (child: Expression) => void): void {
  mapChildren(e, (child) => {
    visit(child)
    return child
  })
}

/** True when `test` holds for the node or any node below it (not inside subqueries' queries). */
export function some(e: Expression, test: (node: Expression) => boolean): boolean {
  if (test(e)) return true
  let found = false
  forEachChild(e, (child) => {
    found ||= some(child, test)
  })
  return found
}

/** Bottom-up rewrite. */
export const rewrite = (e: Expression, f: (node: Expression) => Expression): Expression =>
  f(mapChildren(e, (child) => rewrite(child, f)))

/** Structural equality, as `GROUP BY` and `ORDER BY` match expressions. */
export function sameExpression(x: unknown, y: unknown): boolean {
  if (x === y) return true
  if (typeof x !== typeof y || x === null || y === null || typeof x !== 'object') return false
  if (Array.isArray(x))
    return Array.isArray(y) && x.length === y.length && x.every((value, i) => sameExpression(value, y[i]))
  if (ArrayBuffer.isView(x))
    return x.constructor === (y as object).constructor && x.toString() === (y as object).toString()
  if (x instanceof Map) return y instanceof Map && sameExpression([...x], [...y])
  const a = x as Record<string, unknown>
  const b = y as Record<string, unknown>
  const keys = Object.keys(a)
  // How a cast or call was written does not matter.
  for (const key of keys) if (key !== 'display' && key !== 'location' && !sameExpression(a[key], b[key])) return false
  return Object.keys(b).every((key) => key === 'display' || key in a)
}

/**
 * A query or expression moved `by` levels deeper: what it takes from enclosing queries (vars, aggregates, CTEs whose level
 * reaches beyond its own nesting) counts so many levels more. Trees are plain data, so one structural walk does it.
 */
export function raiseOuter<T>(tree: T, by: number): T {
  return raiseIn(tree, by, isQuery(tree) ? -1 : 0) as T
}
/** An expression moved `by` levels deeper: everything in it, its own level's columns too. */
export const raiseExpression = (e: Expression, by: number): Expression =>
  by === 0 ? e : (raiseIn(e, by, -1) as Expression)

const isQuery = (node: unknown): boolean =>
  typeof node === 'object' && node !== null && 'command' in node && 'relations' in node

function raiseIn(node: unknown, by: number, depth: number): unknown {
  if (typeof node !== 'object' || node === null) return node
  if (Array.isArray(node)) return node.map((each) => raiseIn(each, by, depth))
  if (Object.getPrototypeOf(node) !== Object.prototype) return node // a value
  const inner = isQuery(node) ? depth + 1 : depth
  const result: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(node)) result[key] = raiseIn(value, by, inner)
  const { kind, level } = node as { kind?: string; level?: unknown }
  if (
    typeof level === 'number' &&
    level > depth &&
    (kind === 'var' || kind === 'cte' || kind === 'aggregate' || kind === 'grouping')
  )
    result['level'] = level + by
  return result
}

type Var = Extract<Expression, { kind: 'var' }>

/**
 * Replaces every var of this level for which `f` gives something (with levels as here), at any nesting depth: levels inside
 * subqueries are kept right. What holds none of them stays the same object.
 */
export function replaceVars<T>(
  tree: T,
  f: (relation: number, column: number, original: Var) => Expression | undefined,
  depth = 0,
): T {
  if (typeof tree !== 'object' || tree === null) return tree
  if (Array.isArray(tree)) {
    let changed = false
    const list = tree.map((each: unknown) => {
      const next = replaceVars(each, f, depth)
      changed ||= next !== each
      return next
    })
    return (changed ? list : tree) as T
  }
  if (Object.getPrototypeOf(tree) !== Object.prototype) return tree
  const node = tree as unknown as Var & { command?: unknown; relations?: unknown }
  if (node.kind === 'var' && node.level === depth) {
    const found = f(node.relation, node.column, depth === 0 ? node : { ...node, level: 0 })
    return (found === undefined ? tree : raiseExpression(found, depth)) as T
  }
  const here = node.command !== undefined && node.relations !== undefined ? depth + 1 : depth
  let copy: Record<string, unknown> | undefined
  for (const [name, value] of Object.entries(tree)) {
    const next = replaceVars(value as unknown, f, here)
    if (next === value) continue
    copy ??= { ...(tree as Record<string, unknown>) }
    copy[name] = next
  }
  return (copy ?? tree) as T
}
