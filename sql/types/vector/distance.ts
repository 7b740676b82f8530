/**
 * Distances between two vectors, in plain TypeScript: the meaning that the kernel is tested against, and the way of a
 * single pair, which never pays for copying its vectors into the kernel's memory. Sums are kept in doubles, four at a
 * time, and rounded to float4 at the end, so that what overflows a float4 is Infinity as it is in pgvector.
 */
import { sqlError } from '../error.ts'

export type Metric = 'l2-squared' | 'inner-product' | 'cosine' | 'l1'

const overflowing = Math.fround

/** 22000 unless both have the same number of dimensions. */
export function checkSameDimensions(a: Float32Array, b: Float32Array): void {
  if (a.length !== b.length) throw sqlError('22000', `different vector dimensions ${a.length} and ${b.length}`)
}

/** The sum of squared differences. */
function l2Squared(a: Float32Array, b: Float32Array): number {
  const n = a.length
  const blocks = n & -4
  let s0 = 0
  let s1 = 0
  let s2 = 0
  let s3 = 0
  let i = 0
  for (; i < blocks; i += 4) {
    const d0 = a[i]! - b[i]!
    const d1 = a[i + 1]! - b[i + 1]!
    const d2 = a[i + 2]! - b[i + 2]!
    const d3 = a[i + 3]! - b[i + 3]!
    s0 += d0 * d0
    s1 += d1 * d1
    s2 += d2 * d2
    s3 += d3 * d3
  }
  for (; i < n; i++) {
    const d = a[i]! - b[i]!
    s0 += d * d
  }
  return overflowing(s0 + s1 + (s2 + s3))
}

function dot(a: Float32Array, b: Float32Array): number {
  const n = a.length
  const blocks = n & -4
  let s0 = 0
  let s1 = 0
  let s2 = 0
  let s3 = 0
  let i = 0
  for (; i < blocks; i += 4) {
    s0 += a[i]! * b[i]!
    s1 += a[i + 1]! * b[i + 1]!
    s2 += a[i + 2]! * b[i + 2]!
    s3 += a[i + 3]! * b[i + 3]!
  }
  for (; i < n; i++) s0 += a[i]! * b[i]!
  return s0 + s1 + (s2 + s3)
}

const innerProduct = (a: Float32Array, b: Float32Array): number => overflowing(dot(a, b))

/** 1 - a·b / (|a| |b|), from 0 to 2; NaN when a norm is zero or does not fit a float4. */
function cosine(a: Float32Array, b: Float32Array): number {
  const n = a.length
  let s = 0
  let x = 0
  let y = 0
  let s1 = 0
  let x1 = 0
  let y1 = 0
  let i = 0
  for (; i < n - 1; i += 2) {
    const a0 = a[i]!
    const b0 = b[i]!
    const a1 = a[i + 1]!
    const b1 = b[i + 1]!
    s += a0 * b0
    x += a0 * a0
    y += b0 * b0
    s1 += a1 * b1
    x1 += a1 * a1
    y1 += b1 * b1
  }
  if (i < n) {
    s += a[i]! * b[i]!
    x += a[i]! * a[i]!
    y += b[i]! * b[i]!
  }
  const similarity = overflowing(s + s1) / Math.sqrt(overflowing(x + x1) * overflowing(y + y1))
  return 1 - Math.min(1, Math.max(-1, similarity))
}

/** The sum of absolute differences. */
function l1(a: Float32Array, b: Float32Array): number {
  const n = a.length
  const blocks = n & -4
  let s0 = 0
  let s1 = 0
  let s2 = 0
  let s3 = 0
  let i = 0
  for (; i < blocks; i += 4) {
    s0 += Math.abs(a[i]! - b[i]!)
    s1 += Math.abs(a[i + 1]! - b[i + 1]!)
    s2 += Math.abs(a[i + 2]! - b[i + 2]!)
    s3 += Math.abs(a[i + 3]! - b[i + 3]!)
  }
  for (; i < n; i++) s0 += Math.abs(a[i]! - b[i]!)
  return overflowing(s0 + s1 + (s2 + s3))
}

export const DISTANCES: Readonly<Record<Metric, (a: Float32Array, b: Float32Array) => number>> = {
  'l2-squared': l2Squared,
  'inner-product': innerProduct,
  cosine,
  l1,
}
