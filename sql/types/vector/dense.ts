/**
 * What vector and halfvec share: parts of them, casts from arrays, and the average. An average's state in SQL is an array of
 * float8, the count and then the sums; inside an aggregate it is a Float64Array that is added to in place.
 * https://github.com/pgvector/pgvector#vector-functions
 */
import { sqlError } from '../error.ts'
import type { AggregateBody, CallInfo } from '../function.ts'
import { parseFloat4 } from '../number/float-text.ts'
import { toText } from '../number/numeric.ts'
import { ArrayValue, BitString, type Numeric, type Value } from '../value.ts'
import { checkDimensionCount, checkExpected, overflow, type VectorTypeName } from './dimensions.ts'

export type Dense = Float32Array | Uint16Array

/** Elements from `start` (1 is the first), `count` of them, as far as there are any: their places from 0, the end excluded. */
export function subvectorBounds(type: VectorTypeName, length: number, start: number, count: number): [number, number] {
  if (count < 1) checkDimensionCount(type, 0)
  const end = Math.min(start + count, length + 1)
  const from = Math.max(start, 1)
  if (from > length) checkDimensionCount(type, 0)
  checkDimensionCount(type, end - from)
  return [from - 1, end - 1]
}

/** A bit for each element, set where it is positive. */
export function signBits(length: number, isPositive: (i: number) => boolean): BitString {
  const bytes = new Uint8Array((length + 7) >> 3)
  for (let i = 0; i < length; i++) if (isPositive(i)) bytes[i >> 3]! |= 0x80 >> (i & 7)
  return new BitString(bytes, length)
}

const float4OfNumber = (n: Value): number => Math.fround(n as number)
const float4OfNumeric = (n: Value): number => parseFloat4(toText(n as Numeric))

/** For a cast from an array of int4, float4, float8 or numeric: the conversion of its elements to float4. */
export function elementConversion(call: CallInfo): (value: Value) => number {
  const array = call.context.type(call.argTypes[0]!)
  return call.context.type(array.elementOid).name === 'numeric' ? float4OfNumeric : float4OfNumber
}

/** The elements of a cast's array as float4s, not yet checked to be finite. Throws 22000, 22004, 54000. */
export function arrayElements(
  type: VectorTypeName,
  array: ArrayValue,
  typmod: number,
  toFloat4: (value: Value) => number,
): Float32Array {
  const { elements } = array
  if (array.dimensions.length > 1) throw sqlError('22000', 'array must be 1-D')
  if (elements.includes(null)) throw sqlError('22004', 'array must not contain nulls')
  checkDimensionCount(type, elements.length)
  checkExpected(typmod, elements.length)
  const floats = new Float32Array(elements.length)
  for (let i = 0; i < floats.length; i++) floats[i] = toFloat4(elements[i]!)
  return floats
}

/** The state of avg as SQL sees it: the count, then the sums. */
function stateOf(array: ArrayValue, caller: string): readonly number[] {
  if (array.dimensions.length !== 1 || array.elements.includes(null))
    throw sqlError('XX000', `${caller}: expected state array`)
  return array.elements as readonly number[]
}

function notInfinite(sum: number): number {
  if (sum === Infinity || sum === -Infinity) throw overflow()
  return sum
}

export function accumulate(caller: string, array: ArrayValue, floats: Float32Array): ArrayValue {
  const state = stateOf(array, caller)
  const isNew = state.length === 1
  if (!isNew) checkExpected(state.length - 1, floats.length)
  const sums = Array.from(floats, (n, i) => (isNew ? n : notInfinite(state[i + 1]! + n)))
  return ArrayValue.of([state[0]! + 1, ...sums])
}

/** vector_combine, which halfvec_combine is too. A state without sums yet takes those of the other. */
export function combine(a: ArrayValue, b: ArrayValue): ArrayValue {
  const left = stateOf(a, 'vector_combine')
  const right = stateOf(b, 'vector_combine')
  const count = left[0]! + right[0]!
  if (left.length === 1 && right.length === 1) return ArrayValue.of([count])
  const longer = left.length === 1 ? right : left
  checkDimensionCount('vector', longer.length - 1)
  if (left.length === 1 || right.length === 1) return ArrayValue.of([count, ...longer.slice(1)])
  checkExpected(left.length - 1, right.length - 1)
  return ArrayValue.of(left.map((n, i) => (i === 0 ? count : notInfinite(n + right[i]!))))
}

type FromSums = (count: number, sums: ArrayLike<number>) => Dense

/** The final function of avg over its SQL state. */
export function averageOfState(caller: string, array: ArrayValue, average: FromSums): Dense | null {
  const [count, ...sums] = stateOf(array, caller)
  return count === 0 ? null : average(count!, sums)
}

interface Sums {
  count: number
  sums: Float64Array
}

/** `read` gives an element's number. */
export const avgOf = <V extends Dense>(
  read: (vector: V, i: number) => number,
  average: FromSums,
): AggregateBody<Sums> => ({
  strict: true,
  bind: () => ({
    init: () => ({ count: 0, sums: new Float64Array(0) }),
    step: (state, vector: V) => {
      if (state.count === 0) state.sums = new Float64Array(vector.length)
      else checkExpected(state.sums.length, vector.length)
      state.count++
      for (let i = 0; i < vector.length; i++) state.sums[i]! += read(vector, i)
      return state
    },
    final: ({ count, sums }) => (count === 0 ? null : average(count, sums)),
  }),
})

export const sumOf = <V extends Dense>(add: (a: V, b: V) => V): AggregateBody<{ total: V | null }> => ({
  strict: true,
  bind: () => ({
    init: () => ({ total: null }),
    step: (state, vector: V) => {
      state.total = state.total === null ? vector : add(state.total, vector)
      return state
    },
    final: ({ total }) => total,
  }),
})
