/**
 * The functions of halfvec, by the names of pgvector's C functions. Distances are those of the float4s that the halves are:
 * both are written out into floats, and a value that was an argument of the call before is not written out again.
 * https://github.com/pgvector/pgvector#half-precision-vectors
 */
import { type AggregateTable, bound, type FunctionTable, scalar } from '../function.ts'
import { comparedBy, comparisons } from '../misc/comparison.ts'
import { ArrayValue, type Value } from '../value.ts'
import {
  accumulate,
  arrayElements,
  averageOfState,
  avgOf,
  elementConversion,
  signBits,
  subvectorBounds,
  sumOf,
} from './dense.ts'
import { checkDimensionCount, checkExpected, checkSame, overflow, underflow } from './dimensions.ts'
import { DISTANCES } from './distance.ts'
import { fromHalves, HALF_INFINITY, HALF_VALUES, isHalfZero, toHalf, writeHalves } from './half.ts'
import { checkHalf, compareHalfvecs, halfOf } from './halfvec-type.ts'

type Half = Uint16Array

/** Written-out copies of the arguments, one for each side. */
class Scratch {
  #floats = new Float32Array(0)
  #words = new Uint32Array(this.#floats.buffer)
  #of: Half | undefined
  fill(halves: Half): Float32Array {
    if (halves === this.#of) return this.#floats
    if (this.#floats.length !== halves.length) {
      this.#floats = new Float32Array(halves.length)
      this.#words = new Uint32Array(this.#floats.buffer)
    }
    writeHalves(halves, this.#floats, this.#words)
    this.#of = halves
    return this.#floats
  }
}
const left = new Scratch()
const right = new Scratch()

const distance = (measure: (a: Float32Array, b: Float32Array) => number) =>
  scalar((a: Half, b: Half) => {
    checkSame('halfvec', a.length, b.length)
    return measure(left.fill(a), right.fill(b))
  })

const { cosine, l1, 'l2-squared': l2Squared, 'inner-product': innerProduct } = DISTANCES

/** Element by element, rounded to a half; what is too large is 22003. */
function combined(a: Half, b: Half, operate: (x: number, y: number) => number): Half {
  checkSame('halfvec', a.length, b.length)
  const result = new Uint16Array(a.length)
  for (let i = 0; i < a.length; i++) {
    const half = toHalf(operate(HALF_VALUES[a[i]!]!, HALF_VALUES[b[i]!]!))
    if ((half & 0x7fff) === HALF_INFINITY) throw overflow()
    result[i] = half
  }
  return result
}

const add = (a: Half, b: Half): Half => combined(a, b, (x, y) => x + y)

function multiply(a: Half, b: Half): Half {
  const result = combined(a, b, (x, y) => x * y)
  for (let i = 0; i < a.length; i++)
    if (isHalfZero(result[i]!) && !isHalfZero(a[i]!) && !isHalfZero(b[i]!)) throw underflow()
  return result
}

function concatenate(a: Half, b: Half): Half {
  checkDimensionCount('halfvec', a.length + b.length)
  const result = new Uint16Array(a.length + b.length)
  result.set(a)
  result.set(b, a.length)
  return result
}

function norm(halves: Half): number {
  let sum = 0
  for (let i = 0; i < halves.length; i++) sum += HALF_VALUES[halves[i]!]! ** 2
  return Math.sqrt(sum)
}

function normalize(halves: Half): Half {
  const length = norm(halves)
  if (length === 0) return new Uint16Array(halves.length)
  return halves.map((half) => {
    const scaled = toHalf(HALF_VALUES[half]! / length)
    if ((scaled & 0x7fff) === HALF_INFINITY) throw overflow()
    return scaled
  })
}

/** Halves of float4s: 22003 for what is too large, 22000 for what is not finite. */
function checkedHalves(floats: ArrayLike<number>): Half {
  const halves = new Uint16Array(floats.length)
  for (let i = 0; i < halves.length; i++) halves[i] = halfOf(Math.fround(floats[i]!))
  halves.forEach(checkHalf)
  return halves
}

function average(count: number, sums: ArrayLike<number>): Half {
  checkDimensionCount('halfvec', sums.length)
  const halves = new Uint16Array(sums.length)
  for (let i = 0; i < halves.length; i++) {
    halves[i] = halfOf(Math.fround(sums[i]! / count))
    checkHalf(halves[i]!)
  }
  return halves
}

export function vectorToHalfvec(vector: Float32Array, typmod: number): Half {
  checkExpected(typmod, vector.length)
  return checkedHalves(vector)
}

export const HALFVEC_FUNCTIONS: FunctionTable = {
  halfvec_l2_distance: distance((a, b) => Math.sqrt(l2Squared(a, b))),
  halfvec_l2_squared_distance: distance(l2Squared),
  halfvec_inner_product: distance(innerProduct),
  halfvec_negative_inner_product: distance((a, b) => -innerProduct(a, b)),
  halfvec_cosine_distance: distance(cosine),
  halfvec_l1_distance: distance(l1),
  halfvec_spherical_distance: distance((a, b) => Math.acos(Math.min(1, Math.max(-1, innerProduct(a, b)))) / Math.PI),
  halfvec_vector_dims: scalar((halves: Half) => halves.length),
  halfvec_l2_norm: scalar(norm),
  halfvec_l2_normalize: scalar(normalize),
  halfvec_binary_quantize: scalar((halves: Half) => signBits(halves.length, (i) => HALF_VALUES[halves[i]!]! > 0)),
  halfvec_subvector: scalar((halves: Half, start: number, count: number) =>
    halves.slice(...subvectorBounds('halfvec', halves.length, start, count)),
  ),
  halfvec_add: scalar(add),
  halfvec_sub: scalar((a: Half, b: Half) => combined(a, b, (x, y) => x - y)),
  halfvec_mul: scalar(multiply),
  halfvec_concat: scalar(concatenate),
  halfvec_cmp: scalar(compareHalfvecs),
  ...comparisons((op) => `halfvec_${op}`, comparedBy(compareHalfvecs)),
  halfvec: scalar((halves: Half, typmod: number) => {
    checkExpected(typmod, halves.length)
    return halves
  }),
  halfvec_to_vector: scalar((halves: Half, typmod: number) => {
    checkExpected(typmod, halves.length)
    return fromHalves(halves)
  }),
  vector_to_halfvec: scalar(vectorToHalfvec),
  array_to_halfvec: bound<[ArrayValue, number]>((call) => {
    const toFloat4 = elementConversion(call)
    return (array, typmod) => checkedHalves(arrayElements('halfvec', array, typmod, toFloat4))
  }),
  halfvec_to_float4: scalar((halves: Half) => ArrayValue.of(Array.from(fromHalves(halves)))),
  halfvec_accum: scalar((state: ArrayValue, halves: Half) => accumulate('halfvec_accum', state, fromHalves(halves))),
  halfvec_avg: scalar((state: ArrayValue): Value => averageOfState('halfvec_avg', state, average)),
}

export const HALFVEC_AGGREGATES = {
  'avg(halfvec)': avgOf((halves: Half, i) => HALF_VALUES[halves[i]!]!, average),
  'sum(halfvec)': sumOf(add),
} as AggregateTable
