/**
 * Where rows and index entries lie:
 *
 *     /table/<db>/<table's storage>/pk/<primary key columns | row number>                  the row
 *     /table/<db>/<index's storage>/1/<key columns>[<row's columns of its own key>]         -> the row's key
 *
 *     /table/<db>/<vector index's storage>/2/…                                             a row whose vector it leaves out
 *
 * A table whose primary key is `clustered` keeps its rows in that order; any other numbers its rows. The entry of a unique
 * index ends after its columns, so that two equal rows meet in one key; where equal rows may stand side by side (the index
 * is not unique, is checked late, or a column is NULL and NULLs are distinct) the row's own key is appended.
 */
import type { Key, Oid } from '../../storage/keys/brand.ts'
import { OrderedDecoder } from '../../storage/keys/decode.ts'
import { createKeyEncoder, int32Key, int64Key } from '../../storage/keys/encode.ts'
import { invariant } from '../../storage/keys/invariant.ts'
import { indexPrefix, prefixSpan, rowKeyPrefix, successor, tableSpan } from '../../storage/keys/map.ts'
import type { Span } from '../../storage/kv/kv.ts'
import type { Catalog, IndexKey, RelationRow } from '../catalog/catalog.ts'
import type { IndexBounds } from '../plan/plan.ts'
import type { Type, TypeLookup } from '../types/type.ts'
import type { ArrayValue, Row, Value } from '../types/value.ts'

/** The index number of entries under an index's own storage id. */
const ENTRIES = 1
const LEFT_OUT = 2

export const rowPrefix = (database: Oid, table: RelationRow): Key => rowKeyPrefix(database, table.storageId)
export const entryPrefix = (database: Oid, index: RelationRow): Key => indexPrefix(database, index.storageId, ENTRIES)
/** The rows that a vector index covers but cannot compare: NULL, a vector of length zero where directions count. As entries. */
export const leftOutPrefix = (database: Oid, index: RelationRow): Key =>
  indexPrefix(database, index.storageId, LEFT_OUT)
/** All that is stored under a table's or index's storage id. */
export const relationSpan = (database: Oid, relation: RelationRow): Span => tableSpan(database, relation.storageId)
/** The table's rows. */
export const rowSpan = (database: Oid, table: RelationRow): Span => prefixSpan(rowPrefix(database, table))

/** One column of keys: its order, and which value of a row goes there. */
export interface KeyColumn {
  readonly type: Type
  readonly descending: boolean
  readonly nullsFirst: boolean
}

export const keyColumn = (key: IndexKey, types: TypeLookup): KeyColumn => ({
  type: types.type(key.type),
  descending: key.descending,
  nullsFirst: key.nullsFirst,
})

/** The primary key index whose order the rows are kept in. */
export function clusteredIndex(catalog: Pick<Catalog, 'relation'>, table: RelationRow): RelationRow | undefined {
  for (const oid of table.indexes) {
    const row = catalog.relation(oid)
    if (row?.index?.clustered === true) return row
  }
  return undefined
}

/** One encoder serves all: a key is finished before the next begins. */
const encoder = createKeyEncoder()

/**
 * Encodes columns taken from a row of values, after a prefix.
 */
export type KeyWriter = (row: Row) => Key

export function keyWriter(prefix: Key, columns: readonly KeyColumn[], positions: readonly number[]): KeyWriter {
  const encode = columns.map(({ type }) => encodeOf(type))
  const single = columns.length === 1 && !columns[0]!.descending
  const position = positions[0]!
  const general: KeyWriter = (row) => {
    encoder.start(prefix)
    for (let i = 0; i < columns.length; i++) {
      const column = columns[i]!
      const value = row[positions[i]!]!
      encoder.column(column.nullsFirst, column.descending)
      if (value === null) encoder.null()
      else encode[i]!(value, encoder)
    }
    return encoder.finish()
  }
  if (single && isInt32(columns[0]!.type))
    return (row) => (row[position] === null ? general(row) : int32Key(prefix, row[position] as number))
  if (single && columns[0]!.type.storage.kind === 'int64')
    return (row) => (typeof row[position] === 'number' ? int64Key(prefix, row[position] as number) : general(row))
  return general
}

/** One decoder serves all: a key is read at once. */
const decoder = new OrderedDecoder()

/**
 * Reads columns (attribute numbers, in the order they are wanted) from the keys of a table's rows; undefined where a key does
 * not hold them all, as they were. `index`: the one whose order the rows are kept in.
 */
export function keyReader(
  prefix: Key,
  index: RelationRow | undefined,
  wanted: readonly number[],
  types: TypeLookup,
): ((key: Key) => Value[]) | undefined {
  const keys = index?.index?.keys ?? []
  const last = Math.max(...wanted.map((attribute) => keys.findIndex((key) => key.column === attribute)), -1)
  if (wanted.some((attribute) => attribute <= 0 || !keys.some((key) => key.column === attribute))) return undefined
  const read = keys.slice(0, last + 1).map((key) => ({
    at: wanted.indexOf(key.column),
    decode: key.descending || key.expression !== undefined ? undefined : types.type(key.type).decodeKey,
  }))
  if (read.some(({ decode }) => decode === undefined)) return undefined
  return (key) => {
    const row: Value[] = new Array<Value>(wanted.length).fill(null)
    decoder.start(key, prefix.length)
    for (const { at, decode } of read) {
      const value = decode!(decoder)
      if (at >= 0) row[at] = value
    }
    return row
  }
}

const isInt32 = (type: Type) => type.storage.kind === 'int32'

function encodeOf(type: Type): NonNullable<Type['encodeKey']> {
  invariant(type.encodeKey !== undefined, `type ${type.name} has no order`)
  return type.encodeKey
}

// ---- hidden row numbers

let lastRowNumber = 0
/**
 * The next number of a row without a primary key. One counter for all tables of the process that never falls behind the
 * store's clock (`floor`: the transaction's snapshot): numbers grow, none comes twice, also after a restart, since a store
 * begins above every timestamp it gave out.
 */
export function nextRowNumber(floor: number): number {
  lastRowNumber = lastRowNumber < floor ? floor : lastRowNumber + 1
  return lastRowNumber
}
export const numberedKey = (prefix: Key, number: number): Key => int64Key(prefix, number)

// ---- spans of index scans

/** What a scan reads of an index: its prefix and columns. */
export interface KeySpace {
  readonly prefix: Key
  readonly columns: readonly KeyColumn[]
}

/** Values of the bounds' expressions, in their places; NULL for the places of `null`. */
export interface BoundValues {
  readonly equal: readonly Value[]
  readonly lower: Value
  readonly upper: Value
}

/** Whether a value of any integer type lies below, in, or above the column's own type. */
function fit(type: Type, value: Value): -1 | 0 | 1 {
  const max = type.storage.kind === 'int16' ? 0x7fff : type.storage.kind === 'int32' ? 0x7fff_ffff : undefined
  if (max === undefined || (typeof value !== 'number' && typeof value !== 'bigint')) return 0
  return value > max ? 1 : value < -max - 1 ? -1 : 0
}

function append(prefix: Key, column: KeyColumn, value: Value): Key {
  encoder.start(prefix)
  encoder.column(column.nullsFirst, column.descending)
  if (value === null) encoder.null()
  else encodeOf(column.type)(value, encoder)
  return encoder.finish()
}

/** The key of a whole row of column values; undefined when one is NULL or fits no row. */
export function pointWriter(space: KeySpace): (values: Row) => Key | undefined {
  const { columns } = space
  const write = keyWriter(
    space.prefix,
    columns,
    columns.map((_, i) => i),
  )
  return (values) => {
    for (let i = 0; i < columns.length; i++)
      if (values[i] === null || fit(columns[i]!.type, values[i]!) !== 0) return undefined
    return write(values)
  }
}

/** The keys that begin with the equal columns, in key order; none when a value is NULL or fits no row. */
export function equalPrefixes(space: KeySpace, bounds: IndexBounds, values: BoundValues): readonly Key[] {
  let prefixes: Key[] = [space.prefix]
  for (let i = 0; i < bounds.equal.length; i++) {
    const column = space.columns[i]!
    const bound = bounds.equal[i]!
    const value = values.equal[i]!
    if (bound.kind === 'any') {
      if (value === null) return []
      const elements = (value as ArrayValue).elements.filter(
        (element) => element !== null && fit(column.type, element) === 0,
      )
      const next = new Set<Key>()
      for (const prefix of prefixes) for (const element of elements) next.add(append(prefix, column, element))
      prefixes = [...next].sort()
      continue
    }
    if (bound.kind === 'value' && (value === null || fit(column.type, value) !== 0)) return []
    prefixes = prefixes.map((prefix) => append(prefix, column, bound.kind === 'null' ? null : value))
  }
  return prefixes
}

/** The span of one prefix under the range of the next column; undefined when it is empty. */
export function rangeSpan(space: KeySpace, prefix: Key, bounds: IndexBounds, values: BoundValues): Span | undefined {
  const { lower, upper } = bounds
  if (lower === undefined && upper === undefined && !bounds.notNull) return prefixSpan(prefix)
  const column = space.columns[bounds.equal.length]!
  let low: { readonly key: Key; readonly inclusive: boolean } | undefined
  let high: { readonly key: Key; readonly inclusive: boolean } | undefined
  if (lower !== undefined) {
    if (values.lower === null) return undefined
    const place = fit(column.type, values.lower)
    if (place > 0) return undefined
    if (place === 0) low = { key: append(prefix, column, values.lower), inclusive: lower.inclusive }
  }
  if (upper !== undefined) {
    if (values.upper === null) return undefined
    const place = fit(column.type, values.upper)
    if (place < 0) return undefined
    if (place === 0) high = { key: append(prefix, column, values.upper), inclusive: upper.inclusive }
  }
  if (column.descending) [low, high] = [high, low]
  // The ends without a value still leave the NULLs out, which lie before 01 or from ff on.
  const from =
    low === undefined
      ? ((prefix + (column.nullsFirst ? '\x01' : '')) as Key)
      : low.inclusive
        ? low.key
        : successor(low.key)
  const to =
    high === undefined
      ? column.nullsFirst
        ? successor(prefix)
        : (`${prefix}\xff` as Key)
      : high.inclusive
        ? successor(high.key)
        : high.key
  return from < to ? { from, to } : undefined
}
