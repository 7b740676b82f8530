/**
 * Distances between two sparse vectors of the same dimensions: one walk along both lists of indices. Sums are kept in doubles
 * and rounded to float4 at the end, as those of dense vectors are (distance.ts).
 */
import type { SparseVector } from '../value.ts'
import type { Metric } from './distance.ts'

type Measure = (a: SparseVector, b: SparseVector) => number

/** Over the elements of either vector, 0 where one has none, the sum of what `term` gives. */
const summed =
  (term: (x: number, y: number) => number): Measure =>
  (a, b) => {
    const { indices: ai, values: av } = a
    const { indices: bi, values: bv } = b
    let sum = 0
    let i = 0
    let j = 0
    while (i < ai.length && j < bi.length) {
      const difference = ai[i]! - bi[j]!
      if (difference === 0) sum += term(av[i++]!, bv[j++]!)
      else if (difference < 0) sum += term(av[i++]!, 0)
      else sum += term(0, bv[j++]!)
    }
    for (; i < ai.length; i++) sum += term(av[i]!, 0)
    for (; j < bi.length; j++) sum += term(0, bv[j]!)
    return Math.fround(sum)
  }

export const sparseL2Squared: Measure = summed((x, y) => (x - y) * (x - y))
export const sparseL1: Measure = summed((x, y) => Math.abs(x - y))

export function sparseInnerProduct(a: SparseVector, b: SparseVector): number {
  const { indices: ai, values: av } = a
  const { indices: bi, values: bv } = b
  let sum = 0
  let j = 0
  for (let i = 0; i < ai.length; i++) {
    const index = ai[i]!
    while (j < bi.length && bi[j]! < index) j++
    if (j === bi.length) break
    if (bi[j] === index) sum += av[i]! * bv[j++]!
  }
  return Math.fround(sum)
}

function squares(values: Float32Array): number {
  let sum = 0
  for (let i = 0; i < values.length; i++) sum += values[i]! * values[i]!
  return sum
}

export const sparseNorm = (vector: SparseVector): number => Math.sqrt(squares(vector.values))

/** 1 - a·b / (|a| |b|), from 0 to 2; NaN when a norm is zero or does not fit a float4. */
export function sparseCosine(a: SparseVector, b: SparseVector): number {
  const norms = Math.fround(squares(a.values)) * Math.fround(squares(b.values))
  return 1 - Math.min(1, Math.max(-1, sparseInnerProduct(a, b) / Math.sqrt(norms)))
}

export const SPARSE_DISTANCES: Readonly<Record<Metric, Measure>> = {
  'l2-squared': sparseL2Squared,
  'inner-product': sparseInnerProduct,
  cosine: sparseCosine,
  l1: sparseL1,
}
