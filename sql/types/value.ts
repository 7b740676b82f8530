/**
 * What an SQL value is in memory. Each type has one canonical form, so that equal values of scalar types are
 * `===` where this table says primitive.
 *
 * | SQL type                        | in memory                                                                       |
 * | ------------------------------- | ------------------------------------------------------------------------------- |
 * | any, NULL                       | null                                                                            |
 * | boolean                         | boolean                                                                         |
 * | smallint, integer, oid, reg*    | number                                                                          |
 * | bigint                          | Int64: a number when it is a safe integer, else a bigint (canonical, so `===`)  |
 * | real, double precision          | number                                                                          |
 * | numeric                         | Numeric                                                                         |
 * | text, varchar, char(n), name, "char", json, uuid, enum labels | string (char(n) padded; uuid lower case)          |
 * | bytea                           | Uint8Array                                                                      |
 * | date                            | number, days since 2000-01-01, or ±Infinity                                     |
 * | time                            | number, microseconds since midnight                                             |
 * | timetz                          | TimeTz                                                                          |
 * | timestamp, timestamptz          | Int64, microseconds since 2000-01-01 (UTC for timestamptz), or ±Infinity        |
 * | interval                        | Interval                                                                        |
 * | jsonb                           | Jsonb                                                                           |
 * | arrays, int2vector, oidvector   | ArrayValue                                                                      |
 * | composite types, records        | RecordValue                                                                     |
 * | vector                          | Float32Array                                                                    |
 * | halfvec                         | Uint16Array: the bits of its halves                                             |
 * | sparsevec                       | SparseVector                                                                    |
 * | bit, varbit                     | BitString                                                                       |
 * | tsvector, tsquery               | TsVector, TsQuery                                                               |
 * | range types, multirange types   | RangeValue, MultirangeValue                                                     |
 * | void                            | '' (empty string)                                                               |
 */
import type { Oid } from '../../storage/keys/brand.ts'

export type Int64 = number | bigint

export type Value =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Float32Array
  | Uint16Array
  | SparseVector
  | Numeric
  | TimeTz
  | Interval
  | Jsonb
  | ArrayValue
  | RecordValue
  | BitString
  | TsVector
  | TsQuery
  | RangeValue
  | MultirangeValue

export type Row = readonly Value[]

/** An exact decimal: digits × 10^-scale, shown with `scale` digits after the point; or a special value. */
export class Numeric {
  readonly digits: bigint
  readonly scale: number
  readonly special: 'NaN' | 'Infinity' | '-Infinity' | undefined
  constructor(digits: bigint, scale: number, special?: 'NaN' | 'Infinity' | '-Infinity') {
    this.digits = digits
    this.scale = scale
    this.special = special
  }
}

/** A time of day with its offset, in seconds west of UTC as PostgreSQL stores it (+02 is -7200). */
export class TimeTz {
  readonly micros: number
  readonly zoneSecondsWest: number
  constructor(micros: number, zoneSecondsWest: number) {
    this.micros = micros
    this.zoneSecondsWest = zoneSecondsWest
  }
}

export class Interval {
  readonly months: number
  readonly days: number
  readonly micros: Int64
  constructor(months: number, days: number, micros: Int64) {
    this.months = months
    this.days = days
    this.micros = micros
  }
}

/** A JSON tree with exact numbers; an object's keys in jsonb's order (by length, then bytes), each once. */
export type JsonNode = null | boolean | string | Numeric | readonly JsonNode[] | ReadonlyMap<string, JsonNode>
export class Jsonb {
  readonly root: JsonNode
  constructor(root: JsonNode) {
    this.root = root
  }
}

/** `elements` flat in row-major order; `dimensions` their lengths and `lower` their lower bounds (both empty for '{}'). */
export class ArrayValue {
  readonly elements: readonly Value[]
  readonly dimensions: readonly number[]
  readonly lower: readonly number[]
  constructor(elements: readonly Value[], dimensions: readonly number[], lower: readonly number[]) {
    this.elements = elements
    this.dimensions = dimensions
    this.lower = lower
  }
  /** A one-dimensional array from 1; empty when there are no elements. */
  static of(elements: readonly Value[]): ArrayValue {
    return elements.length === 0 ? new ArrayValue([], [], []) : new ArrayValue(elements, [elements.length], [1])
  }
}

/** A composite value: of a named row type, or anonymous (type oid 2249). `types` are the columns' type oids. */
export class RecordValue {
  readonly values: readonly Value[]
  readonly types: readonly Oid[]
  readonly names: readonly string[] | undefined
  constructor(values: readonly Value[], types: readonly Oid[], names?: readonly string[]) {
    this.values = values
    this.types = types
    this.names = names
  }
}

/** Bits packed from the most significant bit of the first byte. */
export class BitString {
  readonly bytes: Uint8Array
  readonly length: number
  constructor(bytes: Uint8Array, length: number) {
    this.bytes = bytes
    this.length = length
  }
}

/** `dimensions` numbers of which those at `indices` (from 0, ascending) are `values`, none of them 0, and all others 0. */
export class SparseVector {
  readonly dimensions: number
  readonly indices: Int32Array
  readonly values: Float32Array
  constructor(dimensions: number, indices: Int32Array, values: Float32Array) {
    this.dimensions = dimensions
    this.indices = indices
    this.values = values
  }
}

/**
 * Lexemes in order of their UTF-8 bytes, each once; beside each its positions, ascending: weight × 16384 + position, where
 * a position is 1 … 16383 and the weight 0 (D) … 3 (A). An empty list: a lexeme without positions.
 */
export class TsVector {
  readonly lexemes: readonly string[]
  readonly positions: readonly (readonly number[])[]
  constructor(lexemes: readonly string[], positions: readonly (readonly number[])[]) {
    this.lexemes = lexemes
    this.positions = positions
  }
}

/** `weights`: a bit a weight, 1 (D) … 8 (A); 0 asks for any. */
export type TsQueryNode =
  | { readonly kind: 'lexeme'; readonly text: string; readonly weights: number; readonly prefix: boolean }
  | { readonly kind: 'not'; readonly operand: TsQueryNode }
  | { readonly kind: 'and' | 'or'; readonly left: TsQueryNode; readonly right: TsQueryNode }
  /** The right operand's positions lie `distance` behind the left one's. */
  | { readonly kind: 'phrase'; readonly distance: number; readonly left: TsQueryNode; readonly right: TsQueryNode }

/** `root` is undefined for the empty query. */
export class TsQuery {
  readonly root: TsQueryNode | undefined
  constructor(root: TsQueryNode | undefined) {
    this.root = root
  }
}

/** A span of a subtype's values. A bound that is null is infinite, and then not inclusive; an empty range has no bounds. */
export class RangeValue {
  readonly lower: Value
  readonly upper: Value
  readonly lowerInclusive: boolean
  readonly upperInclusive: boolean
  readonly isEmpty: boolean
  constructor(lower: Value, upper: Value, lowerInclusive: boolean, upperInclusive: boolean, isEmpty: boolean) {
    this.lower = lower
    this.upper = upper
    this.lowerInclusive = lowerInclusive
    this.upperInclusive = upperInclusive
    this.isEmpty = isEmpty
  }
}

/** Ranges in ascending order, none of them empty, no two that overlap or touch. */
export class MultirangeValue {
  readonly ranges: readonly RangeValue[]
  constructor(ranges: readonly RangeValue[]) {
    this.ranges = ranges
  }
}
