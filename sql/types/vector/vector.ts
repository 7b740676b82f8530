/**
 * vector: the door. Functions by the names of pgvector's C functions, so that its operators, casts and aggregates find
 * them; the rows that declare them are in catalog-rows.ts. https://github.com/pgvector/pgvector#vector-functions
 */
import { sqlError } from '../error.ts'
import {
  type AggregateBody,
  type AggregateTable,
  bound,
  type FunctionTable,
  install,
  installAggregates,
  scalar,
} from '../function.ts'
import { comparedBy, comparisons } from '../misc/comparison.ts'
import { parseFloat4 } from '../number/float-text.ts'
import { toText } from '../number/numeric.ts'
import { registerTypes } from '../registry.ts'
import { ArrayValue, BitString, type Numeric, type Value } from '../value.ts'
import { checkSameDimensions } from './distance.ts'
import { PAIR_DISTANCES } from './kernel.ts'
import { checkDimensions, checkElement, checkExpected, compareVectors, vectorType } from './vector-type.ts'

type Vector = Float32Array

const { cosine, l1, 'l2-squared': l2Squared, 'inner-product': innerProduct } = PAIR_DISTANCES

const overflow = () => sqlError('22003', 'value out of range: overflow')
const underflow = () => sqlError('22003', 'value out of range: underflow')

const distance = (measure: (a: Vector, b: Vector) => number) =>
  scalar((a: Vector, b: Vector) => {
    checkSameDimensions(a, b)
    return measure(a, b)
  })

/** Element by element in float4 arithmetic; an infinite result is 22003. */
function combined(a: Vector, b: Vector, operate: (x: number, y: number) => number): Vector {
  checkSameDimensions(a, b)
  const result = new Float32Array(a.length)
  for (let i = 0; i < a.length; i++) {
    const n = Math.fround(operate(a[i]!, b[i]!))
    if (n === Infinity || n === -Infinity) throw overflow()
    result[i] = n
  }
  return result
}

const add = (a: Vector, b: Vector): Vector => combined(a, b, (x, y) => x + y)

function multiply(a: Vector, b: Vector): Vector {
  const result = combined(a, b, (x, y) => x * y)
  for (let i = 0; i < a.length; i++) if (result[i] === 0 && a[i] !== 0 && b[i] !== 0) throw underflow()
  return result
}

function concatenate(a: Vector, b: Vector): Vector {
  checkDimensions(a.length + b.length)
  const result = new Float32Array(a.length + b.length)
  result.set(a)
  result.set(b, a.length)
  return result
}

function norm(vector: Vector): number {
  let sum = 0
  for (let i = 0; i < vector.length; i++) sum += vector[i]! * vector[i]!
  return Math.sqrt(sum)
}

function normalize(vector: Vector): Vector {
  const length = norm(vector)
  if (length === 0) return new Float32Array(vector.length)
  return vector.map((n) => {
    const scaled = Math.fround(n / length)
    if (!Number.isFinite(scaled)) throw overflow()
    return scaled
  })
}

/** Elements from `start` (1 is the first), `count` of them, as far as there are any. */
function subvector(vector: Vector, start: number, count: number): Vector {
  if (count < 1) checkDimensions(0)
  const end = Math.min(start + count, vector.length + 1)
  const from = Math.max(start, 1)
  if (from > vector.length) checkDimensions(0)
  checkDimensions(end - from)
  return vector.slice(from - 1, end - 1)
}

function binaryQuantize(vector: Vector): BitString {
  const bytes = new Uint8Array((vector.length + 7) >> 3)
  for (let i = 0; i < vector.length; i++) if (vector[i]! > 0) bytes[i >> 3]! |= 0x80 >> (i & 7)
  return new BitString(bytes, vector.length)
}

function sphericalDistance(a: Vector, b: Vector): number {
  const product = innerProduct(a, b)
  return Math.acos(Math.min(1, Math.max(-1, product))) / Math.PI
}

function fromArray(array: ArrayValue, typmod: number, toFloat4: (value: Value) => number): Vector {
  if (array.dimensions.length > 1) throw sqlError('22000', 'array must be 1-D')
  if (array.elements.includes(null)) throw sqlError('22004', 'array must not contain nulls')
  checkDimensions(array.elements.length)
  checkExpected(typmod, array.elements.length)
  const vector = new Float32Array(array.elements.length)
  for (let i = 0; i < vector.length; i++) vector[i] = toFloat4(array.elements[i]!)
  vector.forEach(checkElement)
  return vector
}

/** The state of avg as SQL sees it: the count, then the sums. */
function stateOf(array: ArrayValue, caller: string): readonly number[] {
  if (array.dimensions.length !== 1 || array.elements.includes(null))
    throw sqlError('XX000', `${caller}: expected state array`)
  return array.elements as readonly number[]
}

function accumulate(array: ArrayValue, vector: Vector): ArrayValue {
  const state = stateOf(array, 'vector_accum')
  const started = state[0]! !== 0
  if (started) checkExpected(state.length - 1, vector.length)
  else if (state.length > 1) checkExpected(state.length - 1, vector.length)
  const sums = Array.from(vector, (n, i) => {
    const sum = (started ? state[i + 1]! : 0) + n
    if (!Number.isFinite(sum)) throw overflow()
    return sum
  })
  return ArrayValue.of([state[0]! + 1, ...sums])
}

function combine(a: ArrayValue, b: ArrayValue): ArrayValue {
  const left = stateOf(a, 'vector_combine')
  const right = stateOf(b, 'vector_combine')
  if (left[0] === 0 || right[0] === 0) {
    const state = left[0] === 0 ? right : left
    if (state.length > 1) checkDimensions(state.length - 1)
    return ArrayValue.of(state)
  }
  checkDimensions(left.length - 1)
  checkExpected(left.length - 1, right.length - 1)
  return ArrayValue.of(
    left.map((n, i) => {
      const sum = n + right[i]!
      if (!Number.isFinite(sum)) throw overflow()
      return sum
    }),
  )
}

function average(count: number, sums: ArrayLike<number>): Vector {
  checkDimensions(sums.length)
  const vector = new Float32Array(sums.length)
  for (let i = 0; i < vector.length; i++) {
    vector[i] = sums[i]! / count
    checkElement(vector[i]!)
  }
  return vector
}

const VECTOR_FUNCTIONS: FunctionTable = {
  l2_distance: distance((a, b) => Math.sqrt(l2Squared(a, b))),
  vector_l2_squared_distance: distance(l2Squared),
  inner_product: distance(innerProduct),
  vector_negative_inner_product: distance((a, b) => -innerProduct(a, b)),
  cosine_distance: distance(cosine),
  l1_distance: distance(l1),
  vector_spherical_distance: distance(sphericalDistance),
  vector_dims: scalar((vector: Vector) => vector.length),
  vector_norm: scalar(norm),
  l2_normalize: scalar(normalize),
  binary_quantize: scalar(binaryQuantize),
  subvector: scalar(subvector),
  vector_add: scalar(add),
  vector_sub: scalar((a: Vector, b: Vector) => combined(a, b, (x, y) => x - y)),
  vector_mul: scalar(multiply),
  vector_concat: scalar(concatenate),
  vector_cmp: scalar(compareVectors),
  ...comparisons((op) => `vector_${op}`, comparedBy(compareVectors)),
  vector: scalar((vector: Vector, typmod: number) => {
    checkExpected(typmod, vector.length)
    return vector
  }),
  array_to_vector: bound<[ArrayValue, number]>((call) => {
    const element = call.context.type(call.context.type(call.argTypes[0]!).elementOid).name
    const toFloat4 =
      element === 'numeric' ? (n: Value) => parseFloat4(toText(n as Numeric)) : (n: Value) => Math.fround(n as number)
    return (array, typmod) => fromArray(array, typmod, toFloat4)
  }),
  vector_to_float4: scalar((vector: Vector) => ArrayValue.of(Array.from(vector))),
  vector_accum: scalar(accumulate),
  vector_combine: scalar(combine),
  vector_avg: scalar((array: ArrayValue) => {
    const [count, ...sums] = stateOf(array, 'vector_avg')
    return count === 0 ? null : average(count!, sums)
  }),
}

interface Sums {
  count: number
  sums: Float64Array
}

const avg: AggregateBody<Sums> = {
  strict: true,
  bind: () => ({
    init: () => ({ count: 0, sums: new Float64Array(0) }),
    step: (state, vector: Vector) => {
      if (state.count === 0) state.sums = new Float64Array(vector.length)
      else checkExpected(state.sums.length, vector.length)
      state.count++
      for (let i = 0; i < vector.length; i++) state.sums[i]! += vector[i]!
      return state
    },
    final: ({ count, sums }) => (count === 0 ? null : average(count, sums)),
  }),
}

const sum: AggregateBody<{ total: Vector | null }> = {
  strict: true,
  bind: () => ({
    init: () => ({ total: null }),
    step: (state, vector: Vector) => {
      state.total = state.total === null ? vector : add(state.total, vector)
      return state
    },
    final: ({ total }) => total,
  }),
}

export function registerVector(): void {
  registerTypes([vectorType])
  install(VECTOR_FUNCTIONS)
  installAggregates({ 'avg(vector)': avg, 'sum(vector)': sum } as AggregateTable)
}
