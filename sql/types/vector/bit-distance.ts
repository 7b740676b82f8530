/**
 * Distances between bit strings of one length: how many bits differ, and how little the sets of their ones overlap.
 * https://github.com/pgvector/pgvector#binary-vectors
 */
import { sqlError } from '../error.ts'
import { type FunctionTable, scalar } from '../function.ts'
import type { BitString } from '../value.ts'

const ONES = Uint8Array.from({ length: 256 }, (_, byte) => byte.toString(2).replaceAll('0', '').length)

/** 22000 unless both have the same number of bits. */
function checkSameLength(a: BitString, b: BitString): void {
  if (a.length !== b.length) throw sqlError('22000', `different bit lengths ${a.length} and ${b.length}`)
}

export function hamming(a: Uint8Array, b: Uint8Array): number {
  let count = 0
  for (let i = 0; i < a.length; i++) count += ONES[a[i]! ^ b[i]!]!
  return count
}

/** 1 - |a ∩ b| / |a ∪ b|; 1 when nothing is in both. */
export function jaccard(a: Uint8Array, b: Uint8Array): number {
  let both = 0
  let either = 0
  for (let i = 0; i < a.length; i++) {
    both += ONES[a[i]! & b[i]!]!
    either += ONES[a[i]! | b[i]!]!
  }
  return both === 0 ? 1 : 1 - both / either
}

export const BIT_DISTANCE_FUNCTIONS: FunctionTable = {
  hamming_distance: scalar((a: BitString, b: BitString) => {
    checkSameLength(a, b)
    return hamming(a.bytes, b.bytes)
  }),
  jaccard_distance: scalar((a: BitString, b: BitString) => {
    checkSameLength(a, b)
    return jaccard(a.bytes, b.bytes)
  }),
}
