/**
 * Where things stand in an operator's row while a plan is built: position i holds `entries[i]`, an expression over the
 * query's relations (most often a var; above an Aggregate or Window also whole expressions). Lowering an expression
 * replaces every part that stands in the row by its position.
 */
import type { Expression } from '../plan/expression.ts'
import type { ColumnInfo } from '../plan/query.ts'
import { ExpressionList } from '../plan/walk.ts'

/** The pseudo-column that carries a row's key, for UPDATE, DELETE and row locks. */
export const ROW_KEY = -1000

export interface Layout {
  readonly entries: readonly Expression[]
  find(e: Expression): number
}

const keyOf = (relation: number, column: number): number => relation * 65536 + column + 32768

export function layoutOf(entries: readonly Expression[]): Layout {
  const vars = new Map<number, number>()
  const others = new ExpressionList()
  const places: number[] = []
  entries.forEach((e, i) => {
    if (e.kind === 'var' && e.level === 0) {
      const key = keyOf(e.relation, e.column)
      if (!vars.has(key)) vars.set(key, i)
      return
    }
    others.add(e)
    places.push(i)
  })
  return {
    entries,
    find(e) {
      if (e.kind === 'var') return e.level === 0 ? (vars.get(keyOf(e.relation, e.column)) ?? -1) : -1
      return places.length === 0 ? -1 : (places[others.find(e)] ?? -1)
    },
  }
}

export const infoOf = (e: Expression, name = ''): ColumnInfo => ({
  name,
  type: e.type,
  typmod: e.typmod,
  ...(e.collation === undefined ? {} : { collation: e.collation }),
})
