/**
 * Names in scope while one query level is bound: what FROM offers, the WITH queries around, and the enclosing levels.
 *
 *     select (select a.x + b.y from b) from a        inner scope { b } ── parent ──► outer scope { a }
 *                                                    a.x is a var of level 1, b.y of level 0
 */
import { type Oid, oid } from '../../storage/keys/brand.ts'
import type { Expression } from '../plan/expression.ts'
import type { ColumnInfo, Cte, Query, Relation, Window } from '../plan/query.ts'
import { raiseExpression } from '../plan/walk.ts'
import { OID } from '../types/oids.ts'
import { type BindContext, errorAt } from './context.ts'

/** A FROM item's face to name lookup. */
export interface Item {
  readonly alias: string
  /** Schema-qualified reference `schema.table.column` works for tables without an alias. */
  readonly schema: string | undefined
  readonly relation: number
  readonly columns: readonly { readonly name: string; readonly expression: Expression }[]
  /** The row type for whole-row references, 0 for anonymous. */
  readonly rowType: Oid
  /** Columns may be named without the alias (false for those merged by USING). */
  hidden: ReadonlySet<string>
  /** `alias.column` works (false for a join's inputs once the join has an alias of its own). */
  qualified: boolean
  unqualified: boolean
  /** Visible only to LATERAL items; `lateralOk` false: naming it is an error (the wrong side of a join). */
  lateralOnly: boolean
  lateralOk: boolean
  /** How many of the columns `*` stands for; absent: all. */
  readonly starred?: number
  /** What UPDATE or DELETE changes: FROM's items do not see it. MERGE's: nor does what is about source rows alone. */
  readonly target?: true | 'merge'
}

export interface CteScope {
  readonly name: string
  /** Mutable while its own definition is bound. */
  columns: readonly ColumnInfo[]
  query: Cte | undefined
  /** Inside its own recursive definition. */
  self: boolean
  recursive: boolean
  references: number
  /** How many of the last columns are of SEARCH and CYCLE. */
  added: number
  /** The non-recursive term, while the recursive one is bound. */
  base: Query | undefined
}

export interface Scope {
  readonly parent: Scope | undefined
  readonly relations: Relation[]
  items: Item[]
  readonly ctes: CteScope[]
  /** Later queries of a plain WITH: not yet to be named. */
  futureCtes: readonly string[]
  readonly windows: Window[]
  readonly windowNames: Map<string, number>
  /** Set while binding targets, HAVING, ORDER BY: what aggregates and window functions are allowed here. */
  clause: Clause
  hasAggregates: boolean
  hasWindows: boolean
  hasSetReturning: boolean
  /** How many set-returning calls were bound, and where the last one stood. */
  setReturningCalls: number
  lastSetReturning: number
  /** Depth of arguments of a function in FROM. */
  insideFunctionArguments: number
}

export type Clause =
  | 'select'
  | 'from'
  | 'where'
  | 'copy where'
  | 'having'
  | 'group by'
  | 'order by'
  | 'distinct on'
  | 'limit'
  | 'offset'
  | 'values'
  | 'returning'
  | 'insert'
  | 'update'
  | 'merge when'
  | 'join'
  | 'filter'
  | 'window'
  | 'check'
  | 'default'
  | 'index expression'
  | 'index predicate'
  | 'generated'
  | 'function in from'
  | 'policy'
  | 'other'
  | 'partition by'
  | 'window order by'
  | 'window range'
  | 'window rows'
  | 'window groups'
  | 'single values'
  | 'execute'
  | 'call'
  | 'alter using'

export const createScope = (parent: Scope | undefined, clause: Clause = 'select'): Scope => ({
  parent,
  relations: [],
  items: [],
  ctes: [],
  futureCtes: [],
  windows: [],
  windowNames: new Map(),
  clause,
  hasAggregates: false,
  hasWindows: false,
  hasSetReturning: false,
  setReturningCalls: 0,
  lastSetReturning: 0,
  insideFunctionArguments: 0,
})

export function within<T>(scope: Scope, clause: Clause, work: () => T): T {
  const before = scope.clause
  scope.clause = clause
  try {
    return work()
  } finally {
    scope.clause = before
  }
}

const varOf = (relation: number, column: number, info: ColumnInfo, level = 0): Expression => ({
  kind: 'var',
  level,
  relation,
  column,
  type: info.type,
  typmod: info.typmod,
  ...(info.collation === undefined ? {} : { collation: info.collation }),
})

export function itemOf(relation: number, source: Relation, extra: { schema?: string; rowType?: Oid } = {}): Item {
  const columns: { name: string; expression: Expression }[] = []
  source.columns.forEach((column, i) => {
    if (column.type !== 0) columns.push({ name: column.name, expression: varOf(relation, i + 1, column) })
  })
  return {
    alias: source.alias,
    schema: extra.schema,
    relation,
    columns,
    rowType: extra.rowType ?? oid(0),
    hidden: new Set(),
    qualified: true,
    unqualified: true,
    lateralOnly: false,
    lateralOk: true,
  }
}

export const raise = raiseExpression

/** `column` without a qualifier. undefined: no such column anywhere. Ambiguity throws 42702. */
export function findColumn(b: BindContext, scope: Scope, name: string, location?: number): Expression | undefined {
  let level = 0
  for (let s: Scope | undefined = scope; s !== undefined; s = s.parent, level++) {
    let found: Expression | undefined
    for (const item of s.items) {
      if (!item.unqualified || item.hidden.has(name)) continue
      for (const column of item.columns) {
        if (column.name !== name) continue
        if (found !== undefined) throw errorAt(b, '42702', `column reference "${name}" is ambiguous`, location)
        checkLateral(b, item, location)
        found = column.expression
      }
    }
    if (found !== undefined) return raise(found, level)
  }
  return undefined
}

function checkLateral(b: BindContext, item: Item, location?: number): void {
  if (item.lateralOnly && !item.lateralOk) {
    throw errorAt(
      b,
      item.target === 'merge' ? '42P01' : '42P10',
      `invalid reference to FROM-clause entry for table "${item.alias}"`,
      location,
      {
        ...(item.target
          ? {
              hint: `There is an entry for table "${item.alias}", but it cannot be referenced from this part of the query.`,
            }
          : { detail: 'The combining JOIN type must be INNER or LEFT for a LATERAL reference.' }),
      },
    )
  }
}

export function findItem(
  b: BindContext,
  scope: Scope,
  schema: string | undefined,
  alias: string,
  location?: number,
): { readonly item: Item; readonly level: number } | undefined {
  let level = 0
  for (let s: Scope | undefined = scope; s !== undefined; s = s.parent, level++) {
    const found = s.items.filter(
      (item) => item.qualified && item.alias === alias && (schema === undefined || item.schema === schema),
    )
    if (found.length > 1) throw errorAt(b, '42P09', `table reference "${alias}" is ambiguous`, location)
    if (found[0] !== undefined) {
      checkLateral(b, found[0], location)
      return { item: found[0], level }
    }
  }
  return undefined
}

/** 42P01 with PostgreSQL's hints for an alias that is not in scope. */
export function missingItem(b: BindContext, scope: Scope, alias: string, location?: number) {
  for (let s: Scope | undefined = scope; s !== undefined; s = s.parent) {
    const aliased = s.relations.find(
      (relation) => relation.kind === 'table' && relation.aliased && b.catalog.relation(relation.oid)?.name === alias,
    )
    if (aliased !== undefined) {
      return errorAt(b, '42P01', `invalid reference to FROM-clause entry for table "${alias}"`, location, {
        hint: `Perhaps you meant to reference the table alias "${aliased.alias}".`,
      })
    }
    if (s.relations.some((relation) => relation.alias === alias)) {
      return errorAt(b, '42P01', `invalid reference to FROM-clause entry for table "${alias}"`, location, {
        hint: `There is an entry for table "${alias}", but it cannot be referenced from this part of the query.`,
      })
    }
  }
  return errorAt(b, '42P01', `missing FROM-clause entry for table "${alias}"`, location)
}

/** The nearest column names so far (parse_relation.c's FuzzyAttrMatchState). */
interface Nearest {
  distance: number
  first: string | undefined
  second: string | undefined
}
const FUZZY_DISTANCE_MAX = 3

export function missingColumn(
  b: BindContext,
  scope: Scope,
  qualifier: string | undefined,
  name: string,
  location?: number,
) {
  const message = `column ${qualifier === undefined ? `"${name}"` : `${qualifier}.${name}`} does not exist`
  const nearest: Nearest = { distance: FUZZY_DISTANCE_MAX + 1, first: undefined, second: undefined }
  for (let s: Scope | undefined = scope; s !== undefined; s = s.parent) {
    for (const relation of s.relations) {
      const penalty = qualifier === undefined ? 0 : distance(qualifier, relation.alias, FUZZY_DISTANCE_MAX + 1)
      const columns = relation.columns.filter((column) => column.type !== 0)
      if (penalty === 0 && columns.some((column) => column.name === name)) {
        const hint = `There is a column named "${name}" in table "${relation.alias}", but it cannot be referenced from this part of the query.`
        return errorAt(b, '42703', message, location, { hint })
      }
      for (const column of columns) considerNear(nearest, name, relation.alias, column.name, penalty)
    }
  }
  if (nearest.first === undefined) return errorAt(b, '42703', message, location)
  const or = nearest.second === undefined ? '' : ` or the column "${nearest.second}"`
  const hint = `Perhaps you meant to reference the column "${nearest.first}"${or}.`
  return errorAt(b, '42703', message, location, { hint })
}

function considerNear(nearest: Nearest, name: string, alias: string, column: string, penalty: number): void {
  if (penalty > nearest.distance) return
  const far = distance(name, column, nearest.distance + 1 - penalty)
  if (far > Math.floor(name.length / 2)) return
  const total = far + penalty
  const shown = `${alias}.${column}`
  if (total < nearest.distance) {
    nearest.distance = total
    nearest.first = shown
    nearest.second = undefined
  } else if (total === nearest.distance) {
    if (nearest.second !== undefined) {
      // Three of a kind tell nothing; only nearer ones count from here.
      nearest.first = nearest.second = undefined
      nearest.distance = total - 1
    } else if (nearest.first !== undefined) nearest.second = shown
    else if (total <= FUZZY_DISTANCE_MAX) nearest.first = shown
  }
}

/** Levenshtein distance, given up above `limit`. */
function distance(x: string, y: string, limit: number): number {
  if (Math.abs(x.length - y.length) > limit) return limit + 1
  let row = Array.from({ length: y.length + 1 }, (_, i) => i)
  for (let i = 1; i <= x.length; i++) {
    const next = [i]
    for (let j = 1; j <= y.length; j++) {
      next[j] = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (x[i - 1] === y[j - 1] ? 0 : 1))
    }
    row = next
  }
  return row[y.length]!
}

/** A whole-row reference to an item. */
export function wholeRow(item: Item, level: number): Expression {
  if (item.relation >= 0)
    return {
      kind: 'var',
      level,
      relation: item.relation,
      column: 0,
      type: item.rowType === 0 ? OID.record : item.rowType,
      typmod: -1,
    }
  return {
    kind: 'row',
    fields: item.columns.map((column) => raise(column.expression, level)),
    names: item.columns.map((column) => column.name),
    type: OID.record,
    typmod: -1,
  }
}

export function findCte(scope: Scope, name: string): { readonly cte: CteScope; readonly level: number } | undefined {
  let level = 0
  for (let s: Scope | undefined = scope; s !== undefined; s = s.parent, level++) {
    const cte = s.ctes.find((each) => each.name === name)
    if (cte !== undefined) return { cte, level }
  }
  return undefined
}
