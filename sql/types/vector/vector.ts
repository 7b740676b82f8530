/**
 * The vector types: the door. The functions of vector are here, by the names of pgvector's C functions, so that its
 * operators, casts and aggregates find them; those of halfvec, sparsevec and bit in files of their own; the rows that
 * declare them in catalog-rows.ts. https://github.com/pgvector/pgvector#vector-functions
 */
import {
  type AggregateTable,
  bound,
  type FunctionBody,
  type FunctionTable,
  install,
  installAggregates,
  scalar,
} from '../function.ts'
import { comparedBy, comparisons } from '../misc/comparison.ts'
import { registerTypes } from '../registry.ts'
import { ArrayValue, type Value } from '../value.ts'
import { BIT_DISTANCE_FUNCTIONS } from './bit-distance.ts'
import {
  accumulate,
  arrayElements,
  averageOfState,
  avgOf,
  combine,
  elementConversion,
  signBits,
  subvectorBounds,
  sumOf,
} from './dense.ts'
import { checkDimensionCount, checkExpected, checkFinite, overflow, underflow } from './dimensions.ts'
import { checkSameDimensions, type Metric } from './distance.ts'
import { HALFVEC_AGGREGATES, HALFVEC_FUNCTIONS } from './halfvec.ts'
import { halfvecType } from './halfvec-type.ts'
import { PAIR_DISTANCES, STAGED_DISTANCES } from './kernel.ts'
import { SPARSEVEC_FUNCTIONS } from './sparsevec.ts'
import { sparsevecType } from './sparsevec-type.ts'
import { compareVectors, vectorType } from './vector-type.ts'

type Vector = Float32Array

type Distance = (a: Vector, b: Vector) => number

/** What `pair` gives, after `finish`; of vectors in stored rows too, by the same metric. */
function distance(metric: Metric, finish: (measured: number) => number = (measured) => measured): FunctionBody {
  const pair: Distance = PAIR_DISTANCES[metric]
  const inPage = STAGED_DISTANCES.run[metric]
  const run = (page: number, start: number, end: number, other: Vector): number | undefined => {
    const measured = inPage(page, start, end, other)
    return measured === undefined ? undefined : finish(measured)
  }
  return scalar(
    (a: Vector, b: Vector) => {
      checkSameDimensions(a, b)
      return finish(pair(a, b))
    },
    { stored: { stage: STAGED_DISTANCES.stage, run } },
  )
}

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
  checkDimensionCount('vector', a.length + b.length)
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

function sphericalDistance(product: number): number {
  return Math.acos(Math.min(1, Math.max(-1, product))) / Math.PI
}

function average(count: number, sums: ArrayLike<number>): Vector {
  checkDimensionCount('vector', sums.length)
  const vector = new Float32Array(sums.length)
  for (let i = 0; i < vector.length; i++) {
    vector[i] = sums[i]! / count
    checkFinite('vector', vector[i]!)
  }
  return vector
}

const VECTOR_FUNCTIONS: FunctionTable = {
  l2_distance: distance('l2-squared', Math.sqrt),
  vector_l2_squared_distance: distance('l2-squared'),
  inner_product: distance('inner-product'),
  vector_negative_inner_product: distance('inner-product', (product) => -product),
  cosine_distance: distance('cosine'),
  l1_distance: distance('l1'),
  vector_spherical_distance: distance('inner-product', sphericalDistance),
  vector_dims: scalar((vector: Vector) => vector.length),
  vector_norm: scalar(norm),
  l2_normalize: scalar(normalize),
  binary_quantize: scalar((vector: Vector) => signBits(vector.length, (i) => vector[i]! > 0)),
  subvector: scalar((vector: Vector, start: number, count: number) =>
    vector.slice(...subvectorBounds('vector', vector.length, start, count)),
  ),
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
    const toFloat4 = elementConversion(call)
    return (array, typmod) => {
      const vector = arrayElements('vector', array, typmod, toFloat4)
      for (const n of vector) checkFinite('vector', n)
      return vector
    }
  }),
  vector_to_float4: scalar((vector: Vector) => ArrayValue.of(Array.from(vector))),
  vector_accum: scalar((state: ArrayValue, vector: Vector) => accumulate('vector_accum', state, vector)),
  vector_combine: scalar(combine),
  vector_avg: scalar((state: ArrayValue): Value => averageOfState('vector_avg', state, average)),
}

const VECTOR_AGGREGATES = {
  'avg(vector)': avgOf((vector: Vector, i) => vector[i]!, average),
  'sum(vector)': sumOf(add),
} as AggregateTable

export function registerVector(): void {
  registerTypes([vectorType, halfvecType, sparsevecType])
  install(VECTOR_FUNCTIONS)
  install(HALFVEC_FUNCTIONS)
  install(SPARSEVEC_FUNCTIONS)
  install(BIT_DISTANCE_FUNCTIONS)
  installAggregates(VECTOR_AGGREGATES)
  installAggregates(HALFVEC_AGGREGATES)
}
