/**
 * Orders of rows from sort keys. Sort keys that are not plain columns are computed once a row and appended to it, so that
 * every order is over columns; the operator cuts them off again. Strings compare by code point (default and "C" collations alike).
 */
import type { Oid } from '../../storage/keys/brand.ts'
import type { Catalog } from '../catalog/catalog.ts'
import type { PlanSortKey } from '../plan/plan.ts'
import { sqlError } from '../types/error.ts'
import { OID } from '../types/oids.ts'
import type { Row, Value } from '../types/value.ts'
import { compileRow } from './compile.ts'
import type { ExpressionEnv } from './env.ts'
import { rowJoiner } from './join-row.ts'
import type { Execution, MutableRow, RowBatch } from './operator.ts'

export type Compare = (a: Value, b: Value) => number
export type RowOrder = (a: Row, b: Row) => number

/** Types whose values are JavaScript numbers (or bigints) that `<` orders as SQL does, but for NaN. */
const NUMBERS: ReadonlySet<Oid> = new Set([
  OID.bool,
  OID.int2,
  OID.int4,
  OID.int8,
  OID.oid,
  OID.date,
  OID.time,
  OID.timestamp,
  OID.timestamptz,
]) // prettier-ignore

/** Whether `<` between two values, where it holds, says that SQL's order has them so: NaN, which it never holds with, comes last. */
export const isOrderedByNumber = (type: Oid): boolean => NUMBERS.has(type) || type === OID.float4 || type === OID.float8

const compareNumbers: Compare = (a, b) => (a! < b! ? -1 : a! > b! ? 1 : 0)

/** The type's default order. Throws 42883 when it has none. */
function typeOrder(catalog: Catalog, type: Oid): Compare {
  if (NUMBERS.has(type)) return compareNumbers
  const { compare, name } = catalog.type(type)
  if (compare === undefined)
    throw sqlError('42883', `could not identify an ordering operator for type ${name}`, {
      hint: 'Use an explicit ordering operator or modify the query.',
    })
  return compare
}

/** One column of an order, NULLs placed. */
export interface ColumnOrder {
  readonly column: number
  readonly type: Oid
  readonly descending: boolean
  readonly nullsFirst: boolean
}

function columnCompare(catalog: Catalog, { type, descending, nullsFirst }: Omit<ColumnOrder, 'column'>): Compare {
  const compare = typeOrder(catalog, type)
  const nullOrder = nullsFirst ? -1 : 1
  const sign = descending ? -1 : 1
  return (a, b) => {
    if (a === b) return 0
    if (a === null) return nullOrder
    if (b === null) return -nullOrder
    return sign * compare(a, b)
  }
}

/** The order of rows by these columns, the first that differs deciding. */
export function rowOrder(catalog: Catalog, columns: readonly ColumnOrder[]): RowOrder {
  const compares = columns.map((each) => columnCompare(catalog, each))
  const at = columns.map((each) => each.column)
  const [column, second] = at
  const [compare, compareSecond] = compares
  if (column === undefined || compare === undefined) return () => 0
  if (second === undefined || compareSecond === undefined) return (a, b) => compare(a[column]!, b[column]!)
  if (at.length === 2) return (a, b) => compare(a[column]!, b[column]!) || compareSecond(a[second]!, b[second]!)
  return (a, b) => {
    for (let i = 0; i < at.length; i++) {
      const order = compares[i]!(a[at[i]!]!, b[at[i]!]!)
      if (order !== 0) return order
    }
    return 0
  }
}

/** Sort keys made columns. `extend` appends the computed ones to each row of a batch. */
export interface SortColumns {
  readonly columns: readonly ColumnOrder[]
  /** Width of the rows without computed keys; undefined when there are none. */
  readonly width: number | undefined
  extend(x: Execution): (batch: RowBatch) => void
}

export function sortColumns(keys: readonly PlanSortKey[], width: number, env: ExpressionEnv): SortColumns {
  const computed = keys.filter((key) => key.expression.kind !== 'column')
  let next = width
  const columns = keys.map((key) => ({
    column: key.expression.kind === 'column' ? key.expression.index : next++,
    type: key.expression.type,
    descending: key.descending,
    nullsFirst: key.nullsFirst,
  }))
  if (computed.length === 0) return { columns, width: undefined, extend: () => () => undefined }
  const make = compileRow(
    computed.map((key) => key.expression),
    env,
  )
  const joined = rowJoiner(width, computed.length)
  return {
    columns,
    width,
    extend(x) {
      const values = make.bind(x)
      return (batch) => {
        for (let i = 0; i < batch.length; i++) batch[i] = joined(batch[i]!, values(batch[i]!))
      }
    },
  }
}

/** Takes the computed keys off again. */
export function cut(rows: readonly MutableRow[], width: number | undefined): void {
  if (width !== undefined) for (const row of rows) row.length = width
}
