/**
 * A physical plan: one union of plain data. An operator's row is an array of values; expressions inside see their input
 * row as `column` 0…n-1, values of enclosing operators as `outer` slots.
 *
 *     Limit ── Sort ── HashJoin ┬─ SeqScan orders            a join's row: the outer input's columns, then the inner's
 *                               └─ IndexScan customers
 *
 * sql/executor has one file an operator; sql/planner makes the trees; sql/planner/explain.ts prints them.
 */
import type { Oid } from '../../storage/keys/brand.ts'
import type { AggregateCall, Expression, SubqueryLink } from './expression.ts'
import type { ColumnInfo, FrameBound, Sample } from './query.ts'

export interface Estimate {
  readonly rows: number
  readonly startupCost: number
  readonly totalCost: number
  readonly width: number
}

export type Plan = PlanNode & {
  /** The output row. A row key (see `withKey`) is a last, unnamed column of type 0. */
  readonly columns: readonly ColumnInfo[]
  readonly estimate: Estimate
}

/** Sorting by an expression over the input row, in its type's default b-tree order. */
export interface PlanSortKey {
  readonly expression: Expression
  readonly descending: boolean
  readonly nullsFirst: boolean
  readonly collation?: Oid
}

export type PlanJoin = 'inner' | 'left' | 'right' | 'full' | 'semi' | 'anti'

/** One condition on one index column, in index order: equalities first, then at most one range. */
export interface IndexBounds {
  /** Values for the leading columns (over `outer` slots and parameters; NULL gives no rows unless `isNull`). */
  readonly equal: readonly (
    | { readonly kind: 'value'; readonly expression: Expression }
    | { readonly kind: 'null' }
    | { readonly kind: 'any'; readonly array: Expression }
  )[]
  readonly lower: { readonly expression: Expression; readonly inclusive: boolean } | undefined
  readonly upper: { readonly expression: Expression; readonly inclusive: boolean } | undefined
  /** With a range and no upper/lower NULLs must not come: true when the range condition excludes them. */
  readonly notNull: boolean
}

export interface RowSource {
  readonly table: Oid
  readonly alias: string
  /** Attribute numbers of the columns wanted, in output order. -6 is tableoid. */
  readonly wanted: readonly number[]
  /** Over the output row. */
  readonly filter: Expression | undefined
  /** The output row ends with the row's key (a Key): for UPDATE, DELETE and row locks. */
  readonly withKey: boolean
}

export type PlanNode =
  /** One row without input; no row when `filter` is not true. */
  | { readonly kind: 'result'; readonly targets: readonly Expression[]; readonly filter: Expression | undefined }
  | { readonly kind: 'values'; readonly rows: readonly (readonly Expression[])[] }
  /** `currentOf`: only the row that this cursor stands on. */
  | ({ readonly kind: 'seq-scan'; readonly currentOf?: string } & RowSource)
  /** `index` is the primary key's oid too: then rows lie in it. `bounds.equal` on all columns of a unique index: at most one row. */
  | ({
      readonly kind: 'index-scan'
      readonly index: Oid
      readonly bounds: IndexBounds
      readonly reverse: boolean
      readonly unique: boolean
    } & RowSource)
  /** The nearest rows by a vector index, see VectorScanPlan. */
  | ({ readonly kind: 'vector-scan' } & VectorScanPlan)
  /** A system catalog: rows come from Catalog.virtualRows. `lookup`: rows whose column equals the value only (an optimisation; the filter still holds). */
  | ({
      readonly kind: 'virtual-scan'
      readonly lookup: { readonly column: number; readonly value: Expression } | undefined
    } & RowSource)
  | {
      readonly kind: 'function-scan'
      readonly alias: string
      readonly calls: readonly {
        readonly call: Expression
        readonly columns: readonly ColumnInfo[]
        readonly composite: boolean
      }[]
      readonly ordinality: boolean
    }
  | { readonly kind: 'filter'; readonly input: Plan; readonly predicate: Expression }
  /** TABLESAMPLE of the scan below. */
  | ({ readonly kind: 'sample'; readonly input: Plan } & Sample)
  | { readonly kind: 'project'; readonly input: Plan; readonly targets: readonly Expression[] }
  /** Targets with set-returning calls: one output row a position of the longest set. */
  | { readonly kind: 'project-set'; readonly input: Plan; readonly targets: readonly Expression[] }
  /** For each outer row sets `params` slots (expressions over the outer row) and runs the inner plan again; without params the inner rows are kept. */
  | {
      readonly kind: 'nested-loop'
      readonly join: PlanJoin
      readonly outer: Plan
      readonly inner: Plan
      readonly params: readonly { readonly slot: number; readonly expression: Expression }[]
      /** Over the joined row. */
      readonly on: Expression | undefined
    }
  /** Builds a table of `inner` by its keys, probes with `outer`. Keys compare by their types' equality. */
  | {
      readonly kind: 'hash-join' | 'merge-join'
      readonly join: PlanJoin
      readonly outer: Plan
      readonly inner: Plan
      readonly outerKeys: readonly Expression[]
      readonly innerKeys: readonly Expression[]
      readonly on: Expression | undefined
      /** anti for NOT IN: no row at all when an inner key is NULL, NULL outer keys only match an empty inner. */
      readonly nullAware: boolean
    }
  /** `limit`: keep only that many (top-n); over parameters only; `offset` is added to it. */
  | {
      readonly kind: 'sort'
      readonly input: Plan
      readonly keys: readonly PlanSortKey[]
      readonly limit: Expression | undefined
      readonly offset: Expression | undefined /** Input is ordered by so many leading keys already. */
      readonly presorted: number
    }
  | {
      readonly kind: 'limit'
      readonly input: Plan
      readonly limit: Expression | undefined
      readonly offset: Expression | undefined
      readonly ties: readonly PlanSortKey[] | undefined
    }
  /** Drops rows equal to the row before in these columns (input sorted by them). */
  | { readonly kind: 'unique'; readonly input: Plan; readonly by: readonly number[] }
  /**
   * Output row: the group keys (NULL where a key is not in the set), then the aggregates, then one int4 for each `groupings`.
   * 'sorted': input ordered by the keys. Without keys one row always comes (for the empty set).
   */
  | {
      readonly kind: 'aggregate'
      readonly strategy: 'plain' | 'hash' | 'sorted'
      readonly input: Plan
      readonly keys: readonly Expression[]
      /** undefined: one set with all keys. */
      readonly sets: readonly (readonly number[])[] | undefined
      readonly aggregates: readonly (AggregateCall & { readonly type: Oid; readonly typmod: number })[]
      /** GROUPING(...) calls: positions in keys. */
      readonly groupings: readonly (readonly number[])[]
    }
  /** Input sorted by partition and order keys. Output: the input row, then one column a call. */
  | {
      readonly kind: 'window'
      readonly input: Plan
      readonly partition: readonly Expression[]
      readonly order: readonly PlanSortKey[]
      readonly mode: 'rows' | 'range' | 'groups'
      readonly start: FrameBound
      readonly end: FrameBound
      readonly exclude: 'none' | 'current-row' | 'group' | 'ties'
      readonly inRange: { readonly start: Oid | undefined; readonly end: Oid | undefined }
      readonly calls: readonly {
        readonly function: Oid
        readonly args: readonly Expression[]
        readonly star: boolean
        readonly filter: Expression | undefined
        readonly aggregate: boolean
        readonly type: Oid
        readonly typmod: number
      }[]
    }
  | { readonly kind: 'append'; readonly inputs: readonly Plan[] }
  /** Hashed INTERSECT and EXCEPT, rows compared by their types' equality, NULLs alike. */
  | {
      readonly kind: 'set-op'
      readonly op: 'intersect' | 'except'
      readonly all: boolean
      readonly left: Plan
      readonly right: Plan
    }
  /** `slot`: the working table that `cte-scan`s with `work: true` read. */
  | {
      readonly kind: 'recursive-union'
      readonly slot: number
      readonly base: Plan
      readonly step: Plan
      readonly distinct: boolean
    }
  | {
      readonly kind: 'cte-scan'
      readonly slot: number
      readonly work: boolean
      readonly name: string
      readonly alias: string
    }
  /** Runs each plan once, when first read (data-modifying ones to their end always), and keeps its rows in its slot. */
  | {
      readonly kind: 'with'
      readonly ctes: readonly {
        readonly slot: number
        readonly name: string
        readonly plan: Plan
        readonly modifies: boolean
      }[]
      readonly body: Plan
    }
  | { readonly kind: 'materialize'; readonly input: Plan }
  /** `key`: position of the row key in the input row. Output: the input row without the keys, or with them (`keep`). */
  | {
      readonly kind: 'lock-rows'
      readonly keep?: boolean
      readonly input: Plan
      readonly locks: readonly {
        readonly table: Oid
        readonly key: number
        readonly strength: 'key-share' | 'share' | 'no-key-update' | 'update'
        readonly policy: 'wait' | 'nowait' | 'skip'
      }[]
    }
  | ({ readonly kind: 'insert' } & InsertPlan)
  | ({ readonly kind: 'update' } & UpdatePlan)
  | ({ readonly kind: 'delete' } & DeletePlan)
  | ({ readonly kind: 'merge' } & MergePlan)

/**
 * Rows by ascending distance from a value: `ORDER BY v <-> $1 LIMIT k` over an index whose operator class has `<->`. The
 * output row ends with the distance (and then the key, when that is wanted). The index proposes rows; of each the filter and the
 * operator's own value are computed, and rows go up in that value's order.
 */
export interface VectorScanPlan extends RowSource {
  readonly index: Oid
  /** What is searched for, over outer slots, parameters and subplans. */
  readonly query: Expression
  /** What rows have to be asked for that `gather` names: its bounds stand for the other conditions. Over the wanted columns alone. */
  readonly rest: Expression | undefined
  /** Columns that only the distance and the filter read, but not `rest`: behind the wanted ones where a row has to be measured. */
  readonly measured: readonly { readonly attribute: number; readonly info: ColumnInfo }[]
  /** The indexed value, and the operator's value; like the filter and the predicate over the wanted columns and these. */
  readonly value: Expression
  readonly distance: Expression
  /** How many rows are wanted, as the Limit above says; undefined: all. Over parameters only. */
  readonly limit: Expression | undefined
  readonly offset: Expression | undefined
  /** What follows the last row wanted is looked at too (further sort keys, WITH TIES). */
  readonly ties: boolean
  /** Over the output row with its distance. Once a row fails it, every row further away does. */
  readonly within: Expression | undefined
  /** The index's own condition (a partial index), which the rows of a scan of the table have to be asked for. */
  readonly predicate: Expression | undefined
  /** Values of the leading columns that split the index into graphs of their own. */
  readonly tenant: readonly Expression[]
  /** Another index that knows which rows match; its bounds alone, the filter holds all conditions. */
  readonly gather: (PlanNode & { readonly kind: 'index-scan' }) | undefined
  /** The same for a search that is begun without it, when too few of the rows it comes to pass the filter. */
  readonly otherwise: (PlanNode & { readonly kind: 'index-scan'; readonly estimate: Estimate }) | undefined
  /** Rows that the index has no entry for (NULL, a vector of length zero under cosine distance) come too, at their place. */
  readonly others: boolean
  /** Where those of them stand whose distance is NULL or NaN. */
  readonly nulls: 'first' | 'last'
  readonly nans: 'first' | 'last'
  /** The share of the index's entries that the filter is expected to keep, 0 to 1, and of how many. */
  readonly share: number
  readonly entries: number
}

/** Input rows: one value for each live column of the table in attribute order (defaults filled in by the planner, generated columns NULL until the executor computes them). */
export interface InsertPlan {
  readonly table: Oid
  readonly alias: string
  readonly input: Plan
  readonly conflict:
    | { readonly kind: 'none' }
    | { readonly kind: 'nothing'; readonly indexes: readonly Oid[] }
    /** Expressions over: the existing row's live columns, then the excluded row's. */
    | {
        readonly kind: 'update'
        readonly indexes: readonly Oid[]
        readonly assignments: readonly { readonly column: number; readonly value: Expression }[]
        readonly where: Expression | undefined
      }
  /** Over the new row's live columns; empty: no output rows, only a count. */
  readonly returning: readonly Expression[] | undefined
  readonly checks: readonly ViewCheck[]
}
/** WITH CHECK OPTION of a view that is written through; over the new row's live columns. */
export interface ViewCheck {
  readonly view: string
  readonly condition: Expression
}
/** Input rows: the old row's live columns, anything else, and last the row key. Values are over the input row. */
export interface UpdatePlan {
  readonly table: Oid
  readonly alias: string
  readonly input: Plan
  readonly assignments: readonly { readonly column: number; readonly value: Expression }[]
  /** Over: the new row's live columns, then the rest of the input row after the old row's columns. */
  readonly returning: readonly Expression[] | undefined
  readonly checks: readonly ViewCheck[]
}
export interface DeletePlan {
  readonly table: Oid
  readonly alias: string
  readonly input: Plan
  /** Over the input row. */
  readonly returning: readonly Expression[] | undefined
}

/** Input rows: the target row's live columns, anything else, and last its key, NULL for a source row without a partner. */
export interface MergePlan {
  readonly table: Oid
  readonly alias: string
  readonly input: Plan
  /** Over the input row. An INSERT's values are those of all live columns. */
  readonly actions: readonly ({ readonly matched: boolean; readonly condition: Expression | undefined } & (
    | { readonly kind: 'update'; readonly assignments: UpdatePlan['assignments'] }
    | { readonly kind: 'insert'; readonly values: readonly Expression[] }
    | { readonly kind: 'delete' | 'nothing' }
  ))[]
}

/** A subquery after planning, as an Expression of kind 'subplan'. */
export interface SubplanExpression {
  readonly kind: 'subplan'
  readonly link: SubqueryLink
  readonly plan: Plan
  /** Values of the row at hand that the plan reads as `outer` slots; empty: it runs once per execution and is kept (hashed for ANY with `=`). */
  readonly params: readonly { readonly slot: number; readonly expression: Expression }[]
  readonly type: Oid
  readonly typmod: number
  readonly collation?: Oid
  /** Number in EXPLAIN: SubPlan 1, InitPlan 1. */
  readonly number: number
}

/** What one execution needs room for. */
export interface PlannedStatement {
  readonly plan: Plan
  /** Number of `outer` slots and of with-slots. */
  readonly outerSlots: number
  readonly cteSlots: number
  /** Tables read and written, for locks and invalidation. */
  readonly reads: readonly Oid[]
  readonly writes: readonly Oid[]
  readonly command: 'select' | 'insert' | 'update' | 'delete' | 'merge'
  readonly catalogVersion: number
}
