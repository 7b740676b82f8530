/**
 * A bound query: what the binder makes of a SELECT, INSERT, UPDATE, DELETE or VALUES. In the shape of PostgreSQL's Query
 * node: a list of relations, a join tree over them, targets; ORDER BY, GROUP BY and DISTINCT point at targets.
 */
import type { Oid } from '../../storage/keys/brand.ts'
import type { Expression } from './expression.ts'

export interface Query {
  readonly command: 'select' | 'insert' | 'update' | 'delete' | 'merge'
  readonly ctes: readonly Cte[]
  readonly recursive: boolean
  /** What FROM names, joins' inputs, the target of INSERT/UPDATE/DELETE, subqueries of a set operation. Vars index this. */
  readonly relations: readonly Relation[]
  readonly from: readonly FromItem[]
  readonly where: Expression | undefined
  /** SELECT: the output columns (junk ones last, for sorting and grouping only). */
  readonly targets: readonly Target[]
  readonly groupBy: readonly GroupKey[]
  /** Each set lists positions in groupBy; undefined: one set of all keys (when groupBy is not empty or there are aggregates). */
  readonly groupingSets: readonly (readonly number[])[] | undefined
  readonly hasAggregates: boolean
  readonly having: Expression | undefined
  readonly windows: readonly Window[]
  readonly distinct: Distinct
  readonly orderBy: readonly OrderKey[]
  readonly limit: Expression | undefined
  readonly offset: Expression | undefined
  readonly withTies: boolean
  readonly setOperation: SetOperation | undefined
  readonly rowLocks: readonly RowLock[]
  /** INSERT, UPDATE, DELETE. */
  readonly modify: Modify | undefined
  /** True when some target is a set-returning call (ProjectSet). */
  readonly hasSetReturning: boolean
}

export interface Target {
  readonly name: string
  readonly expression: Expression
  readonly junk: boolean
  /** Where the column comes from, for RowDescription: 0 when it is computed. */
  readonly tableOid: Oid
  readonly columnNumber: number
}

export interface ColumnInfo {
  readonly name: string
  readonly type: Oid
  readonly typmod: number
  readonly collation?: Oid
}

/** A relation in scope. `columns[i]` is column i + 1 of its vars; `alias` its name in the query. */
export type Relation = {
  readonly alias: string
  /** Written with AS (for printing it back). */
  readonly aliased: boolean
  readonly columns: readonly ColumnInfo[]
  /** May see the relations before it in FROM. */
  readonly lateral: boolean
} /** `columns` are the table's columns by attribute number, dropped ones included (type 0). */ & (
  | { readonly kind: 'table'; readonly oid: Oid; readonly only: boolean; readonly sample?: Sample }
  | { readonly kind: 'subquery'; readonly query: Query /** A view's expansion. */; readonly viewOid?: Oid }
  | { readonly kind: 'function'; readonly calls: readonly FunctionSource[]; readonly ordinality: boolean }
  | { readonly kind: 'values'; readonly rows: readonly (readonly Expression[])[] }
  /** `level`: how many queries out the WITH stands. `self`: the recursive reference inside its own definition. */
  | { readonly kind: 'cte'; readonly name: string; readonly level: number; readonly self: boolean }
  /** EXCLUDED in ON CONFLICT; the old table of a transition … columns come from the insert's row. */
  | { readonly kind: 'excluded' }
)

/** TABLESAMPLE. `percent` is real, `seed` double precision. */
export interface Sample {
  readonly method: 'system' | 'bernoulli'
  readonly percent: Expression
  readonly seed: Expression | undefined
}

/** One function of ROWS FROM: `columns` how many output columns it gives. */
export interface FunctionSource {
  readonly call: Expression
  readonly columns: number
  /** The call returns a composite (its fields spread over the columns). */
  readonly composite: boolean
}

export type JoinType = 'inner' | 'left' | 'right' | 'full'
export type FromItem =
  | { readonly kind: 'relation'; readonly relation: number }
  | {
      readonly kind: 'join'
      readonly type: JoinType
      readonly left: FromItem
      readonly right: FromItem
      readonly on: Expression | undefined
      /** For printing it back. */
      readonly using: readonly string[] | undefined
      readonly natural: boolean
      readonly alias: string | undefined
    }

export interface GroupKey {
  /** Position in `targets`. */
  readonly target: number
}

export interface OrderKey {
  readonly target: number
  readonly descending: boolean
  readonly nullsFirst: boolean
}

export type Distinct =
  | { readonly kind: 'none' }
  | { readonly kind: 'all' }
  | { readonly kind: 'on'; readonly targets: readonly number[] }

export type FrameBound =
  | { readonly kind: 'unbounded-preceding' | 'unbounded-following' | 'current-row' }
  | { readonly kind: 'preceding' | 'following'; readonly offset: Expression }

export interface Window {
  readonly name: string | undefined
  readonly partitionBy: readonly Expression[]
  readonly orderBy: readonly {
    readonly expression: Expression
    readonly descending: boolean
    readonly nullsFirst: boolean
  }[]
  readonly mode: 'rows' | 'range' | 'groups'
  readonly start: FrameBound
  readonly end: FrameBound
  readonly exclude: 'none' | 'current-row' | 'group' | 'ties'
  /** The frame was written (for printing it back). */
  readonly explicitFrame: boolean
  /** RANGE with offsets: in_range function of the ordering column and its offset types. */
  readonly inRange: { readonly start: Oid | undefined; readonly end: Oid | undefined }
}

export interface Cte {
  readonly name: string
  readonly query: Query
  readonly columns: readonly ColumnInfo[]
  /** Its columns' names were written. */
  readonly aliased: boolean
  readonly materialized: 'default' | 'always' | 'never'
  readonly recursive: boolean
  /** SEARCH and CYCLE are rewritten by the binder: what was written, for printing it back. `columns`: without theirs. */
  readonly written?: {
    readonly query: Query
    readonly columns: readonly ColumnInfo[]
    readonly search?: { readonly breadth: boolean; readonly columns: readonly string[]; readonly sequence: string }
    readonly cycle?: {
      readonly columns: readonly string[]
      readonly mark: string
      readonly value: Expression
      readonly otherwise: Expression
      readonly path: string
    }
  }
  /** Counted by the binder. */
  readonly references: number
}

export type SetOperation =
  /** `relation` in Query.relations, a subquery. */
  | { readonly kind: 'leaf'; readonly relation: number }
  | {
      readonly kind: 'union' | 'intersect' | 'except'
      readonly all: boolean
      readonly left: SetOperation
      readonly right: SetOperation
      readonly columns: readonly ColumnInfo[]
      /** Conversions of each side's columns to `columns`, over `column` i; undefined: none needed. */
      readonly leftCasts: readonly Expression[] | undefined
      readonly rightCasts: readonly Expression[] | undefined
    }

export interface RowLock {
  readonly relation: number
  readonly strength: 'key-share' | 'share' | 'no-key-update' | 'update'
  readonly policy: 'wait' | 'nowait' | 'skip'
  /** From a locking clause further out: rows are locked there. */
  readonly implied?: boolean
}

export interface Modify {
  /** The target table's position in `relations`. */
  readonly relation: number
  /** INSERT: what goes to each listed attribute number; the source is `targets` (select or VALUES), in the same order. Columns not listed get their default. */
  readonly insertColumns: readonly number[]
  readonly overriding: 'none' | 'user' | 'system'
  /** INSERT … DEFAULT VALUES has no from and no targets. UPDATE: attribute number and new value. */
  readonly assignments: readonly { readonly column: number; readonly value: Expression }[]
  readonly onConflict: OnConflict | undefined
  readonly returning: readonly Target[]
  /** Views' WITH CHECK OPTION: what new rows must satisfy (vars of the target). */
  readonly checks?: readonly { readonly view: string; readonly condition: Expression }[]
  /** MERGE: the WHEN clauses, in their order. FROM is one join of the target with the source. */
  readonly merge?: readonly MergeAction[]
}

/** One WHEN clause: for pairs, or (`matched` false) for source rows without a partner. */
export type MergeAction = { readonly matched: boolean; readonly condition: Expression | undefined } & (
  | { readonly kind: 'update'; readonly assignments: Modify['assignments'] }
  /** `columns`: what is not listed gets its default. */
  | { readonly kind: 'insert'; readonly columns: readonly number[]; readonly values: readonly Expression[] }
  | { readonly kind: 'delete' | 'nothing' }
)

export type OnConflict =
  /** `indexes`: unique indexes inferred; empty for ON CONFLICT DO NOTHING without a target: any unique violation. */
  | { readonly kind: 'nothing'; readonly indexes: readonly Oid[] }
  | {
      readonly kind: 'update'
      readonly indexes: readonly Oid[]
      /** Vars: relation = the target table, `excluded` = the position of the excluded relation. */
      readonly excluded: number
      readonly assignments: readonly { readonly column: number; readonly value: Expression }[]
      readonly where: Expression | undefined
    }

/** A query of nothing, for those who write one by hand. */
export const EMPTY_QUERY: Query = {
  command: 'select',
  ctes: [],
  recursive: false,
  relations: [],
  from: [],
  where: undefined,
  targets: [],
  groupBy: [],
  groupingSets: undefined,
  hasAggregates: false,
  having: undefined,
  windows: [],
  distinct: { kind: 'none' },
  orderBy: [],
  limit: undefined,
  offset: undefined,
  withTies: false,
  setOperation: undefined,
  rowLocks: [],
  modify: undefined,
  hasSetReturning: false,
}
