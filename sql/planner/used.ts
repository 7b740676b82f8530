/** Which columns of a query's relations are read: what scans have to bring. */
import type { Expression } from '../plan/expression.ts'
import type { Query } from '../plan/query.ts'
import { sameExpression } from '../plan/walk.ts'

/** Columns of this query's relations that are read anywhere in it; `but`: inside this expression they do not count. */
export function columnsUsed(
  query: Query | undefined,
  extra: readonly unknown[] = [],
  but?: Expression,
): Map<number, Set<number>> {
  const used = new Map<number, Set<number>>()
  const add = (relation: number, column: number): void => {
    let set = used.get(relation)
    if (set === undefined) used.set(relation, (set = new Set()))
    set.add(column)
  }
  const visit = (tree: unknown, depth: number): void => {
    if (typeof tree !== 'object' || tree === null) return
    if (Array.isArray(tree)) {
      for (const each of tree) visit(each, depth)
      return
    }
    if (Object.getPrototypeOf(tree) !== Object.prototype) return
    const node = tree as {
      kind?: string
      level?: number
      relation?: number
      column?: number
      command?: unknown
      relations?: unknown
    }
    if (node.kind === 'var' && node.level === depth) add(node.relation!, node.column!)
    if (depth === 0 && but !== undefined && node.kind === but.kind && sameExpression(but, tree as Expression)) return
    const here = node.command !== undefined && node.relations !== undefined ? depth + 1 : depth
    for (const value of Object.values(tree)) visit(value, here)
  }
  visit(query, -1)
  visit(extra, 0)
  return used
}
