/**
 * The functions of sparsevec, by the names of pgvector's C functions, and its casts from and to the other types.
 * https://github.com/pgvector/pgvector#sparse-vectors
 */
import { bound, type FunctionTable, scalar } from '../function.ts'
import { comparedBy, comparisons } from '../misc/comparison.ts'
import { type ArrayValue, SparseVector } from '../value.ts'
import { arrayElements, elementConversion } from './dense.ts'
import {
  checkDimensionCount,
  checkExpected,
  checkFinite,
  checkNonZeroCount,
  checkSame,
  overflow,
} from './dimensions.ts'
import { fromHalves } from './half.ts'
import { vectorToHalfvec } from './halfvec.ts'
import { sparseCosine, sparseInnerProduct, sparseL1, sparseL2Squared, sparseNorm } from './sparse-distance.ts'
import { compareSparsevecs } from './sparsevec-type.ts'

const distance = (measure: (a: SparseVector, b: SparseVector) => number) =>
  scalar((a: SparseVector, b: SparseVector) => {
    checkSame('sparsevec', a.dimensions, b.dimensions)
    return measure(a, b)
  })

/** The elements that are not 0 (NaN is not). */
function fromDense(floats: Float32Array): SparseVector {
  let count = 0
  for (let i = 0; i < floats.length; i++) if (floats[i] !== 0) count++
  checkNonZeroCount(count, floats.length)
  const indices = new Int32Array(count)
  const values = new Float32Array(count)
  let at = 0
  for (let i = 0; i < floats.length; i++) {
    if (floats[i] === 0) continue
    indices[at] = i
    values[at++] = floats[i]!
  }
  return new SparseVector(floats.length, indices, values)
}

/** All elements of a vector of at most 16,000. */
function toDense({ dimensions, indices, values }: SparseVector): Float32Array {
  const floats = new Float32Array(dimensions)
  for (let i = 0; i < indices.length; i++) floats[indices[i]!] = values[i]!
  return floats
}

/** What becomes 0 by it is left out. */
function normalize(vector: SparseVector): SparseVector {
  const length = sparseNorm(vector)
  const values = vector.values.map((n) => {
    const scaled = Math.fround(n / length)
    if (!Number.isFinite(scaled)) throw overflow()
    return scaled
  })
  if (!values.includes(0)) return new SparseVector(vector.dimensions, vector.indices, values)
  return new SparseVector(
    vector.dimensions,
    vector.indices.filter((_, i) => values[i] !== 0),
    values.filter((n) => n !== 0),
  )
}

export const SPARSEVEC_FUNCTIONS: FunctionTable = {
  sparsevec_l2_distance: distance((a, b) => Math.sqrt(sparseL2Squared(a, b))),
  sparsevec_l2_squared_distance: distance(sparseL2Squared),
  sparsevec_inner_product: distance(sparseInnerProduct),
  sparsevec_negative_inner_product: distance((a, b) => -sparseInnerProduct(a, b)),
  sparsevec_cosine_distance: distance(sparseCosine),
  sparsevec_l1_distance: distance(sparseL1),
  sparsevec_l2_norm: scalar(sparseNorm),
  sparsevec_l2_normalize: scalar(normalize),
  sparsevec_cmp: scalar(compareSparsevecs),
  ...comparisons((op) => `sparsevec_${op}`, comparedBy(compareSparsevecs)),
  sparsevec: scalar((vector: SparseVector, typmod: number) => {
    checkExpected(typmod, vector.dimensions)
    return vector
  }),
  vector_to_sparsevec: scalar((vector: Float32Array, typmod: number) => {
    checkExpected(typmod, vector.length)
    return fromDense(vector)
  }),
  halfvec_to_sparsevec: scalar((halves: Uint16Array, typmod: number) => {
    checkExpected(typmod, halves.length)
    return fromDense(fromHalves(halves))
  }),
  sparsevec_to_vector: scalar((vector: SparseVector, typmod: number) => {
    checkDimensionCount('vector', vector.dimensions)
    checkExpected(typmod, vector.dimensions)
    return toDense(vector)
  }),
  sparsevec_to_halfvec: scalar((vector: SparseVector, typmod: number) => {
    checkDimensionCount('halfvec', vector.dimensions)
    checkExpected(typmod, vector.dimensions)
    return vectorToHalfvec(toDense(vector), -1)
  }),
  array_to_sparsevec: bound<[ArrayValue, number]>((call) => {
    const toFloat4 = elementConversion(call)
    return (array, typmod) => {
      const vector = fromDense(arrayElements('sparsevec', array, typmod, toFloat4))
      for (const n of vector.values) checkFinite('sparsevec', n)
      return vector
    }
  }),
}
