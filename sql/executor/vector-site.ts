/** What a vector scan is made of: what is compiled once a plan, and what stays the same through one run. */
import type { Key } from '../../storage/keys/brand.ts'
import type { Expression } from '../plan/expression.ts'
import type { Plan } from '../plan/plan.ts'
import type { ColumnInfo } from '../plan/query.ts'
import { OID } from '../types/oids.ts'
import type { Value } from '../types/value.ts'
import type { RowList } from '../vector/row-list.ts'
import type { VectorIndexSpec } from '../vector/vector-index.ts'
import type { Compiled } from './env.ts'
import type { Execution, Instrument, MutableRow, Steps } from './operator.ts'
import type { compileKeys, compilePages } from './scan.ts'

export type VectorScan = Extract<Plan, { kind: 'vector-scan' }>
/** Adds the rows that another index names. */
export type Keys = ReturnType<typeof compileKeys>

/** What is compiled once a plan. */
export interface Site {
  readonly plan: VectorScan
  readonly spec: VectorIndexSpec
  readonly query: (x: Execution) => Value
  readonly tenant: (x: Execution) => Key | undefined
  readonly limits: (x: Execution) => { readonly skip: number; readonly count: number }
  readonly value: Compiled<Value>
  readonly within: Compiled<boolean>
  /** Rows with their keys, filtered; `measured`: with what their distances are measured from. */
  pages(measured: boolean): ReturnType<typeof compilePages>
  /** A row by its key alone, where that holds all that is wanted and nothing is asked of the row. */
  readonly rowOfKey: ((key: Key) => MutableRow) | undefined
  readonly keys: Keys | undefined
  readonly otherwise: Keys | undefined
  /** What the keys of rows begin with whose vectors the index leaves out. */
  readonly leftOut: Key
  readonly exact: Exact
}

/** What stays the same through one run. */
export interface Run {
  readonly x: Execution
  readonly query: Value
  /** Rows the Limit above wants; Infinity: all. */
  readonly wanted: number
  /** Keys of the rows that went up. */
  readonly given: Set<Key>
  readonly instrument: Instrument | undefined
  /** Rows that were asked for by their keys. */
  read: number
}

export interface Only {
  readonly rows: RowList
  /** Only those that stand before all others, for want of a distance. */
  readonly firstOnly: boolean
}
/** All rows that were not given, in order; with `only`, of these alone. */
export type Exact = (run: Run, only?: Only) => Steps

/** For EXPLAIN ANALYZE. */
export function note(run: Run, name: string, value: number | string): void {
  if (run.instrument !== undefined) run.instrument.extra[name] = value
}

/** The table's rows as this scan wants them, each with its key; `measured`: with what their distances are measured from. */
export function rowsPlan(
  plan: VectorScan,
  filter: Expression | undefined,
  measured: boolean,
): Extract<Plan, { kind: 'seq-scan' }> {
  const { table, alias, estimate } = plan
  const more = measured ? plan.measured : []
  const wanted = [...plan.wanted, ...more.map(({ attribute }) => attribute)]
  const columns = [...plan.columns.slice(0, plan.wanted.length), ...more.map(({ info }) => info), KEY_COLUMN]
  return { kind: 'seq-scan', table, alias, wanted, filter, withKey: true, columns, estimate }
}
export const KEY_COLUMN: ColumnInfo = { name: '', type: OID.internal, typmod: -1 }
