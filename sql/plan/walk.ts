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

const shapes = new WeakMap<object, number>()
const mix = (hash: number, next: number): number => Math.imul(hash ^ next, 0x9e3779b1) ^ (hash >>> 15)

function textShape(text: string): number {
  let hash = text.length
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash
}

/** A number that is the same for whatever `sameExpression` calls the same; computed once for each node. */
function shapeOf(x: unknown): number {
  if (typeof x === 'string') return textShape(x)
  if (typeof x === 'number') return Number.isInteger(x) ? x | 0 : 3
  if (typeof x !== 'object' || x === null) return x === true ? 1 : 2
  const known = shapes.get(x)
  if (known !== undefined) return known
  let shape = 5
  if (Array.isArray(x)) for (const each of x) shape = mix(shape, shapeOf(each))
  else if (Object.getPrototypeOf(x) === Object.prototype) {
    for (const [key, value] of Object.entries(x))
      if (value !== undefined && !isWriting(key)) shape = (shape + mix(textShape(key), shapeOf(value))) | 0
  }
  shapes.set(x, shape)
  return shape
}

/** How a cast or call was written does not matter. */
const isWriting = (key: string): boolean => key === 'display' || key === 'location'

/** Structural equality, as `GROUP BY` and `ORDER BY` match expressions. */
export const sameExpression = (x: unknown, y: unknown): boolean =>
  x === y || (shapeOf(x) === shapeOf(y) && sameTree(x, y))

function sameTree(x: unknown, y: unknown): boolean {
  if (x === y) return true
  if (typeof x !== typeof y || x === null || y === null || typeof x !== 'object') return false
  if (Array.isArray(x)) return Array.isArray(y) && x.length === y.length && x.every((value, i) => sameTree(value, y[i]))
  if (ArrayBuffer.isView(x))
    return x.constructor === (y as object).constructor && x.toString() === (y as object).toString()
  if (x instanceof Map) return y instanceof Map && sameTree([...x], [...y])
  const a = x as Record<string, unknown>
  const b = y as Record<string, unknown>
  for (const key of Object.keys(a)) if (!isWriting(key) && !sameTree(a[key], b[key])) return false
  return Object.keys(b).every((key) => key === 'display' || key in a)
}

/** Expressions by what they are: finds one among thousands without comparing it with each. */
export class ExpressionList {
  readonly all: Expression[] = []
  readonly #places = new Map<number, number[]>()

  constructor(all: readonly Expression[] = []) {
    for (const e of all) this.add(e)
  }

  /** The place of the first that is the same; -1: none is. */
  find(e: Expression): number {
    return this.#places.get(shapeOf(e))?.find((at) => sameExpression(this.all[at], e)) ?? -1
  }

  add(e: Expression): void {
    const shape = shapeOf(e)
    const places = this.#places.get(shape)
    if (places === undefined) this.#places.set(shape, [this.all.length])
    else places.push(this.all.length)
    this.all.push(e)
  }

  addOnce(e: Expression): void {
    if (this.find(e) < 0) this.add(e)
  }
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

/** The expression below the conversions that nobody wrote. */
export function withoutImplicit(e: Expression): Expression {
  if (e.kind === 'call' && e.display === 'implicit') return withoutImplicit(e.args[0]!)
  if ((e.kind === 'relabel' || e.kind === 'coerce-io' || e.kind === 'array-coerce') && e.display === 'implicit')
    return withoutImplicit(e.arg)
  return e
}
