/**
 * A bound, typed scalar expression: names are gone, every operator and function is a row of pg_proc, every implicit
 * conversion is written out. Plain data: the catalog keeps these trees for defaults, checks, index expressions and views.
 *
 * The binder writes columns as `var` (which relation of which query, which column); the planner rewrites them to
 * `column` (a position in the operator's input row) and `outer` (a slot that an enclosing operator fills).
 */
import type { Oid } from '../../storage/keys/brand.ts'
import type { Value } from '../types/value.ts'
import type { SubplanExpression } from './plan.ts'
import type { Query } from './query.ts'

interface Typed {
  /** pg_type.oid of the result. */
  readonly type: Oid
  /** -1 when none. */
  readonly typmod: number
  /** pg_collation.oid when the result is collatable and its collation was stated (COLLATE); absent: the type's default. */
  readonly collation?: Oid
}

/** How a call was written, for printing it back. */
/** `syntax`: a function by SQL's own grammar for it (SUBSTRING(a FROM 2)). */
export type Display = 'function' | 'operator' | 'cast' | 'implicit' | 'syntax'

export type Expression =
  /** A literal; an untyped one still has type unknown (705) until the binder settles it. */
  | ({ readonly kind: 'const'; readonly value: Value } & Typed)
  /** $index, from 1. */
  | ({ readonly kind: 'param'; readonly index: number } & Typed)
  /** `level` 0 is this query, 1 the enclosing one …; `relation` indexes its Query.relations; `column` from 1, 0 is the whole row, negative a system column. */
  | ({ readonly kind: 'var'; readonly level: number; readonly relation: number; readonly column: number } & Typed)
  /** Planner: position in the input row (from 0). */
  | ({ readonly kind: 'column'; readonly index: number } & Typed)
  /** Planner: slot of the execution's outer values (nested-loop parameters, correlated subqueries). */
  | ({ readonly kind: 'outer'; readonly slot: number } & Typed)
  /** A function, operator or cast function. `setReturning` calls are evaluated by ProjectSet or FunctionScan only. */
  | ({
      readonly kind: 'call'
      readonly function: Oid
      readonly args: readonly Expression[]
      readonly display: Display
      /** pg_operator.oid when written as an operator. */
      readonly operator?: Oid
      readonly variadic: boolean
      readonly setReturning: boolean
    } & Typed)
  /** Binary-compatible: the same value under another type. */
  | ({ readonly kind: 'relabel'; readonly arg: Expression; readonly display: Display } & Typed)
  /** Through the source type's output and the target type's input. */
  | ({ readonly kind: 'coerce-io'; readonly arg: Expression; readonly display: Display } & Typed)
  /** Each element through `element`, an expression over `case-test`. */
  | ({
      readonly kind: 'array-coerce'
      readonly arg: Expression
      readonly element: Expression
      readonly display: Display
    } & Typed)
  /** The value under conversion or comparison in array-coerce and simple CASE. */
  | ({ readonly kind: 'case-test' } & Typed)
  | ({ readonly kind: 'and' | 'or'; readonly args: readonly Expression[] } & Typed)
  | ({ readonly kind: 'not'; readonly arg: Expression } & Typed)
  /** IS [NOT] NULL. On a row value: every field is (not) null; `argIsRow` says so. */
  | ({
      readonly kind: 'is-null'
      readonly arg: Expression
      readonly negated: boolean
      readonly argIsRow: boolean
    } & Typed)
  | ({
      readonly kind: 'boolean-test'
      readonly arg: Expression
      readonly test: 'true' | 'false' | 'unknown'
      readonly negated: boolean
    } & Typed)
  /** IS DISTINCT FROM by the equality function; IS NOT DISTINCT FROM is not(distinct). */
  | ({
      readonly kind: 'distinct'
      readonly function: Oid
      readonly operator: Oid
      readonly left: Expression
      readonly right: Expression
    } & Typed)
  | ({
      readonly kind: 'nullif'
      readonly function: Oid
      readonly operator: Oid
      readonly left: Expression
      readonly right: Expression
    } & Typed)
  /** With `arg`, each `when` is a comparison whose one side is `case-test`. */
  | ({
      readonly kind: 'case'
      readonly arg: Expression | undefined
      readonly whens: readonly { readonly when: Expression; readonly then: Expression }[]
      readonly otherwise: Expression
    } & Typed)
  | ({ readonly kind: 'coalesce'; readonly args: readonly Expression[] } & Typed)
  | ({ readonly kind: 'min-max'; readonly op: 'greatest' | 'least'; readonly args: readonly Expression[] } & Typed)
  /** left op ANY/ALL (right), right an array. */
  | ({
      readonly kind: 'any-array'
      readonly function: Oid
      readonly operator: Oid
      readonly all: boolean
      readonly left: Expression
      readonly right: Expression
    } & Typed)
  /** ARRAY[…]; `nested`: the elements are arrays that become its dimensions. */
  | ({
      readonly kind: 'array'
      readonly elements: readonly Expression[]
      readonly elementType: Oid
      readonly nested: boolean
    } & Typed)
  | ({
      readonly kind: 'row'
      readonly fields: readonly Expression[]
      readonly names: readonly string[] | undefined
    } & Typed)
  /** (a, b) < (c, d): `functions` are the columns' own operators' functions of the same op. `=` and `<>` are and/or of calls instead. */
  | ({
      readonly kind: 'row-compare'
      readonly op: '<' | '<=' | '>' | '>='
      readonly functions: readonly Oid[]
      readonly operators: readonly Oid[]
      /** Equality functions for the leading columns. */
      readonly equals: readonly Oid[]
      readonly left: readonly Expression[]
      readonly right: readonly Expression[]
    } & Typed)
  /** (row).field; `index` from 0. */
  | ({ readonly kind: 'field'; readonly arg: Expression; readonly index: number; readonly name: string } & Typed)
  /** container[i][j], container[l:u]; with `assign`, the container with that part replaced (UPDATE … SET a[1] = x). A missing bound is undefined. */
  | ({
      readonly kind: 'subscript'
      readonly container: Expression
      readonly slice: boolean
      readonly upper: readonly (Expression | undefined)[]
      readonly lower: readonly (Expression | undefined)[]
      readonly containerType: Oid
      readonly assign: Expression | undefined
    } & Typed)
  | ({ readonly kind: 'subquery'; readonly link: SubqueryLink; readonly query: Query } & Typed)
  /** Planner: what a subquery becomes. */
  | SubplanExpression
  /** Only inside targets, HAVING and ORDER BY of a query with aggregation; the planner replaces it by a column of the Aggregate operator. */
  | ({ readonly kind: 'aggregate' } & AggregateCall & Typed)
  /** Replaced by a column of the Window operator. `window` indexes Query.windows. */
  | ({
      readonly kind: 'window'
      readonly function: Oid
      readonly args: readonly Expression[]
      readonly star: boolean
      readonly filter: Expression | undefined
      readonly aggregate: boolean
      readonly window: number
    } & Typed)
  /** GROUPING(a, b): positions in Query.groupBy. */
  | ({
      readonly kind: 'grouping'
      readonly refs: readonly number[]
      readonly level: number
      readonly args: readonly Expression[]
    } & Typed)
  | ({ readonly kind: 'sql-value'; readonly op: SqlValueOp } & Typed)
  /** DEFAULT in VALUES and SET: replaced by the column's default before planning. */
  | ({ readonly kind: 'default' } & Typed)
  | ({ readonly kind: 'current-of'; readonly cursor: string; readonly relation: number } & Typed)

export type SubqueryLink =
  | { readonly kind: 'exists' }
  | { readonly kind: 'scalar' }
  | { readonly kind: 'array' }
  /** left op ANY/ALL (subquery). */
  | {
      readonly kind: 'any' | 'all'
      readonly left: readonly Expression[]
      /** One comparison function per column; the row comparison `=` when there are several. */
      readonly functions: readonly Oid[]
      readonly operators: readonly Oid[]
      readonly opName: string
      /** The subquery's columns after coercion to the operators' right argument types: expressions over `column` i. */
      readonly right: readonly Expression[]
    }

export interface AggregateCall {
  readonly function: Oid
  /** For ordered-set aggregates: the direct arguments (before WITHIN GROUP). */
  readonly directArgs: readonly Expression[]
  readonly args: readonly Expression[]
  readonly star: boolean
  readonly distinct: boolean
  readonly orderBy: readonly SortKey[]
  readonly filter: Expression | undefined
  readonly variadic: boolean
  /** 0: of this query; 1: of the enclosing query … */
  readonly level: number
}

/** An ordering of an expression by a b-tree operator class's order of its type. */
export interface SortKey {
  readonly expression: Expression
  readonly descending: boolean
  readonly nullsFirst: boolean
  readonly collation?: Oid
}

export type SqlValueOp =
  | 'current_date'
  | 'current_time'
  | 'current_timestamp'
  | 'localtime'
  | 'localtimestamp'
  | 'current_user'
  | 'session_user'
  | 'user'
  | 'current_role'
  | 'current_catalog'
  | 'current_schema'
