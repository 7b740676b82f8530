/**
 * The bodies of PostgreSQL's array functions and operators. Most are polymorphic: a call is bound once to its element
 * type, which brings equality, order and text. https://www.postgresql.org/docs/15/functions-array.html
 */
import type { Oid } from '../../../storage/keys/brand.ts'
import { sqlError } from '../error.ts'
import { bound, type CallInfo, type FunctionBody, type FunctionTable, scalar, set } from '../function.ts'
import { Pieces } from '../text/long.ts'
import type { Type, TypeContext } from '../type.ts'
import { ArrayValue, type Value } from '../value.ts'
import { compareArrays } from './order.ts'
import { EMPTY_ARRAY, shaped, tooManyDimensions } from './shape.ts'
import { printBounds } from './text.ts'

const INT32_MAX = 2_147_483_647

/** The name errors use for a type: 'integer' where names are known, else 'int4'. */
const typeLabel = (context: TypeContext, type: Oid): string => context.names?.typeName(type) ?? context.type(type).name

/** The element type of the call's array argument `index`. */
function elementOf(call: CallInfo, index: number): Type {
  const array = call.context.type(call.argTypes[index]!)
  return call.context.type(array.elementOid)
}

export function orderOf(context: TypeContext, type: Type): (a: Value, b: Value) => number {
  if (type.compare) return type.compare
  throw sqlError('42883', `could not identify a comparison function for type ${typeLabel(context, type.oid)}`)
}

function equalityOf(context: TypeContext, type: Type): (a: Value, b: Value) => boolean {
  const { compare, hashKey } = type
  if (compare) return (a, b) => compare(a, b) === 0
  if (hashKey) return (a, b) => hashKey(a) === hashKey(b)
  throw sqlError('42883', `could not identify an equality operator for type ${typeLabel(context, type.oid)}`)
}

/** A hash set's membership where the type hashes, for the operators that would else be quadratic. */
function membership(
  type: Type,
  equal: (a: Value, b: Value) => boolean,
  among: readonly Value[],
): (v: Value) => boolean {
  const { hashKey } = type
  if (!hashKey || among.length < 8) return (value) => among.some((other) => other !== null && equal(value, other))
  const keys = new Set(among.filter((value) => value !== null).map(hashKey))
  return (value) => keys.has(hashKey(value))
}

const comparison = (test: (order: number) => boolean): FunctionBody =>
  bound<[ArrayValue, ArrayValue]>((call) => {
    const compare = orderOf(call.context, elementOf(call, 0))
    return (a, b) => test(compareArrays(a, b, compare))
  })

const choice = (second: (order: number) => boolean): FunctionBody =>
  bound<[ArrayValue, ArrayValue]>((call) => {
    const compare = orderOf(call.context, elementOf(call, 0))
    return (a, b) => (second(compareArrays(a, b, compare)) ? b : a)
  })

function sameShape(a: ArrayValue, b: ArrayValue): boolean {
  if (a.elements.length !== b.elements.length || a.dimensions.length !== b.dimensions.length) return false
  for (let i = 0; i < a.dimensions.length; i++)
    if (a.dimensions[i] !== b.dimensions[i] || a.lower[i] !== b.lower[i]) return false
  return true
}

const equality = (wanted: boolean): FunctionBody =>
  bound<[ArrayValue, ArrayValue]>((call) => {
    const equal = equalityOf(call.context, elementOf(call, 0))
    return (a, b) => {
      if (!sameShape(a, b)) return !wanted
      for (let i = 0; i < a.elements.length; i++) {
        const x = a.elements[i]!
        const y = b.elements[i]!
        if (x === null || y === null ? x !== y : !equal(x, y)) return !wanted
      }
      return wanted
    }
  })

/** `relation(a, b)` over the elements' equality; `=` on elements never holds for NULL. */
const elementwise = (
  relation: (
    a: readonly Value[],
    inB: (among: readonly Value[]) => (v: Value) => boolean,
    b: readonly Value[],
  ) => boolean,
): FunctionBody =>
  bound<[ArrayValue, ArrayValue]>((call) => {
    const type = elementOf(call, 0)
    const equal = equalityOf(call.context, type)
    return (a, b) => relation(a.elements, (among) => membership(type, equal, among), b.elements)
  })

const containsAll = (inner: readonly Value[], isIn: (value: Value) => boolean) =>
  inner.every((value) => value !== null && isIn(value))

function append(array: ArrayValue | null, value: Value): ArrayValue {
  if (array === null || array.dimensions.length === 0) return ArrayValue.of([value])
  if (array.dimensions.length > 1) throw sqlError('22000', 'argument must be empty or one-dimensional array')
  if (array.lower[0]! + array.dimensions[0]! > INT32_MAX) throw sqlError('22003', 'integer out of range')
  return shaped([...array.elements, value], [array.elements.length + 1], array.lower)
}

function prepend(value: Value, array: ArrayValue | null): ArrayValue {
  if (array === null || array.dimensions.length === 0) return ArrayValue.of([value])
  if (array.dimensions.length > 1) throw sqlError('22000', 'argument must be empty or one-dimensional array')
  if (array.lower[0]! - 1 < -INT32_MAX - 1) throw sqlError('22003', 'integer out of range')
  return shaped([value, ...array.elements], [array.elements.length + 1], array.lower)
}

const incompatible = (detail: string) => sqlError('2202E', 'cannot concatenate incompatible arrays', { detail })
const sameLengths = (a: readonly number[], b: readonly number[]) =>
  a.length === b.length && a.every((n, i) => n === b[i])

/** `a || b`: along the outer dimension, or one array as an element of the other. */
function concatenate(a: ArrayValue | null, b: ArrayValue | null): ArrayValue | null {
  if (a === null || b === null) return a ?? b
  const m = a.dimensions.length
  const n = b.dimensions.length
  if (m === 0 && n > 0) return b
  if (n === 0) return a
  if (Math.abs(m - n) > 1)
    throw incompatible(`Arrays of ${m} and ${n} dimensions are not compatible for concatenation.`)
  const elements = [...a.elements, ...b.elements]
  if (m === n) {
    if (!sameLengths(a.dimensions.slice(1), b.dimensions.slice(1)))
      throw incompatible('Arrays with differing element dimensions are not compatible for concatenation.')
    return shaped(elements, [a.dimensions[0]! + b.dimensions[0]!, ...a.dimensions.slice(1)], a.lower)
  }
  const outer = m > n ? a : b
  const inner = m > n ? b : a
  if (!sameLengths(outer.dimensions.slice(1), inner.dimensions))
    throw incompatible('Arrays with differing dimensions are not compatible for concatenation.')
  return shaped(elements, [outer.dimensions[0]! + 1, ...outer.dimensions.slice(1)], outer.lower)
}

/** The positions of elements not distinct from `wanted`, from `start`. */
function* positions(
  array: ArrayValue,
  wanted: Value,
  start: number,
  equal: (a: Value, b: Value) => boolean,
): Generator<number> {
  if (array.dimensions.length > 1)
    throw sqlError('0A000', 'searching for elements in multidimensional arrays is not supported')
  const low = array.lower[0] ?? 1
  for (let i = Math.max(0, start - low); i < array.elements.length; i++) {
    const value = array.elements[i]!
    if (wanted === null ? value === null : value !== null && equal(value, wanted)) yield low + i
  }
}

const position = (call: CallInfo) => {
  const equal = equalityOf(call.context, elementOf(call, 0))
  return (array: ArrayValue | null, wanted: Value, start: number | null): Value => {
    if (array === null) return null
    if (start === null) throw sqlError('22004', 'initial position must not be null')
    return positions(array, wanted, start, equal).next().value ?? null
  }
}

function remove(array: ArrayValue, unwanted: Value, equal: (a: Value, b: Value) => boolean): ArrayValue {
  if (array.dimensions.length > 1)
    throw sqlError('0A000', 'removing elements from multidimensional arrays is not supported')
  const kept = array.elements.filter((value) =>
    value === null || unwanted === null ? value !== unwanted : !equal(value, unwanted),
  )
  if (kept.length === array.elements.length) return array
  return kept.length === 0 ? EMPTY_ARRAY : new ArrayValue(kept, [kept.length], array.lower)
}

function fill(value: Value, lengths: ArrayValue | null, lows: ArrayValue | null): ArrayValue {
  if (lengths === null || lows === null) throw sqlError('22004', 'dimension array or low bound array cannot be null')
  const checked = (array: ArrayValue): readonly number[] => {
    if (array.dimensions.length > 1)
      throw sqlError('2202E', 'wrong number of array subscripts', {
        detail: 'Dimension array must be one dimensional.',
      })
    if (array.elements.includes(null)) throw sqlError('22004', 'dimension values cannot be null')
    return array.elements as readonly number[]
  }
  const dimensions = checked(lengths)
  if (dimensions.length > 6) throw tooManyDimensions(dimensions.length)
  const lower = checked(lows)
  if (lower.length !== dimensions.length)
    throw sqlError('2202E', 'wrong number of array subscripts', {
      detail: 'Low bound array has different size than dimensions array.',
    })
  const empty = shaped([], dimensions, lower)
  if (empty.dimensions.length === 0) return empty
  const items = dimensions.reduce((product, length) => product * length, 1)
  return new ArrayValue(new Array(items).fill(value), dimensions, lower)
}

function joined(call: CallInfo): (array: ArrayValue, separator: string, forNull: string | null) => string {
  const { context } = call
  const element = elementOf(call, 0)
  return (array, separator, forNull) => {
    const out = new Pieces()
    let first = true
    for (const value of array.elements) {
      if (value === null && forNull === null) continue
      if (!first) out.add(separator)
      first = false
      out.add(value === null ? forNull! : element.output(value, context))
    }
    return out.text()
  }
}

function trim(array: ArrayValue, count: number): ArrayValue {
  const length = array.dimensions[0] ?? 0
  if (count < 0 || count > length) throw sqlError('2202E', `number of elements to trim must be between 0 and ${length}`)
  if (length - count === 0) return EMPTY_ARRAY
  const inner = array.elements.length / length
  const kept = length - count
  return new ArrayValue(
    array.elements.slice(0, kept * inner),
    [kept, ...array.dimensions.slice(1)],
    array.dimensions.map(() => 1),
  )
}

function* subscripts(array: ArrayValue, dimension: number, reverse: boolean): Generator<number> {
  const length = array.dimensions[dimension - 1]
  if (length === undefined) return
  const low = array.lower[dimension - 1]!
  for (let i = 0; i < length; i++) yield reverse ? low + length - 1 - i : low + i
}

/** width_bucket(operand, thresholds): how many sorted thresholds are at or below the operand. */
function bucket(operand: Value, thresholds: ArrayValue, compare: (a: Value, b: Value) => number): number {
  if (thresholds.dimensions.length > 1) throw sqlError('2202E', 'thresholds must be one-dimensional array')
  if (thresholds.elements.includes(null)) throw sqlError('22004', 'thresholds array must not contain NULLs')
  let left = 0
  let right = thresholds.elements.length
  while (left < right) {
    const middle = (left + right) >> 1
    if (compare(operand, thresholds.elements[middle]!) < 0) right = middle
    else left = middle + 1
  }
  return left
}

export const ARRAY_FUNCTIONS: FunctionTable = {
  array_eq: equality(true),
  array_ne: equality(false),
  array_lt: comparison((order) => order < 0),
  array_le: comparison((order) => order <= 0),
  array_gt: comparison((order) => order > 0),
  array_ge: comparison((order) => order >= 0),
  btarraycmp: bound<[ArrayValue, ArrayValue]>((call) => {
    const compare = orderOf(call.context, elementOf(call, 0))
    return (a, b) => compareArrays(a, b, compare)
  }),
  array_larger: choice((order) => order <= 0),
  array_smaller: choice((order) => order >= 0),

  arrayoverlap: elementwise((a, isIn, b) => {
    const inB = isIn(b)
    return a.some((value) => value !== null && inB(value))
  }),
  arraycontains: elementwise((a, isIn, b) => containsAll(b, isIn(a))),
  arraycontained: elementwise((a, isIn, b) => containsAll(a, isIn(b))),

  array_append: scalar(append),
  array_prepend: scalar(prepend),
  array_cat: scalar(concatenate),
  array_remove: bound<[ArrayValue | null, Value]>((call) => {
    const equal = equalityOf(call.context, elementOf(call, 0))
    return (array, unwanted) => array && remove(array, unwanted, equal)
  }),
  array_replace: bound<[ArrayValue | null, Value, Value]>((call) => {
    const equal = equalityOf(call.context, elementOf(call, 0))
    return (array, from, to) => {
      if (array === null) return null
      const matches = (value: Value) => (value === null || from === null ? value === from : equal(value, from))
      return new ArrayValue(
        array.elements.map((value) => (matches(value) ? to : value)),
        array.dimensions,
        array.lower,
      )
    }
  }),
  array_position: bound<[ArrayValue | null, Value]>((call) => {
    const find = position(call)
    return (array, wanted) => find(array, wanted, -INT32_MAX)
  }),
  array_position_start: bound<[ArrayValue | null, Value, number | null]>(position),
  array_positions: bound<[ArrayValue | null, Value]>((call) => {
    const equal = equalityOf(call.context, elementOf(call, 0))
    return (array, wanted) => array && ArrayValue.of([...positions(array, wanted, -INT32_MAX, equal)])
  }),

  array_length: scalar((array: ArrayValue, dimension: number) => array.dimensions[dimension - 1] ?? null),
  array_lower: scalar((array: ArrayValue, dimension: number) => array.lower[dimension - 1] ?? null),
  array_upper: scalar((array: ArrayValue, dimension: number) => {
    const length = array.dimensions[dimension - 1]
    return length === undefined ? null : array.lower[dimension - 1]! + length - 1
  }),
  array_ndims: scalar((array: ArrayValue) => array.dimensions.length || null),
  array_dims: scalar((array: ArrayValue) => (array.dimensions.length === 0 ? null : printBounds(array))),
  array_cardinality: scalar((array: ArrayValue) => array.elements.length),

  array_fill: scalar((value: Value, lengths: ArrayValue | null) =>
    fill(value, lengths, lengths && ArrayValue.of(lengths.elements.map(() => 1))),
  ),
  array_fill_with_lower_bounds: scalar(fill),
  array_to_text: bound<[ArrayValue, string]>((call) => {
    const join = joined(call)
    return (array, separator) => join(array, separator, null)
  }),
  array_to_text_null: bound<[ArrayValue | null, string | null, string | null]>((call) => {
    const join = joined(call)
    return (array, separator, forNull) =>
      array === null || separator === null ? null : join(array, separator, forNull)
  }),
  trim_array: scalar(trim),
  width_bucket_array: bound<[Value, ArrayValue]>((call) => {
    const compare = orderOf(call.context, elementOf(call, 1))
    return (operand, thresholds) => bucket(operand, thresholds, compare)
  }),

  array_unnest: set<[ArrayValue]>(() => (array) => array.elements),
  generate_subscripts: set<[ArrayValue, number, boolean]>(() => subscripts),
  generate_subscripts_nodir: set<[ArrayValue, number]>(() => (array, dimension) => subscripts(array, dimension, false)),
}
