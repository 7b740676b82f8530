/**
 * What an entry of a vector index holds: the vector's elements, and where its row's own key begins.
 *
 *     key    <prefix><tenant columns><row's key without the table's prefix>
 *     value  <elements, as packed.ts has them><u16: bytes of the tenant columns>
 *
 * A NULL has no entry, and neither has a vector of zeros where only directions count.
 */
import type { Value } from '../types/value.ts'
import { isZeroVector, packVector, type VectorValue } from '../types/vector/packed.ts'
import type { VectorIndexSpec } from './vector-index.ts'

/** Behind the elements. */
export const TRAILER_BYTES = 2

export interface VectorEntry {
  /** The entry's value, in a buffer that the next call writes again; undefined when the index leaves the vector out. */
  write(value: Value, tenantBytes: number): { readonly buffer: Buffer; readonly length: number } | undefined
}

export const isIndexed = (spec: Pick<VectorIndexSpec, 'metric'>, value: Value): boolean =>
  spec.metric !== 'cosine' || !isZeroVector(value as VectorValue)

export function vectorEntry(spec: VectorIndexSpec): VectorEntry {
  const { element } = spec
  const written = { buffer: Buffer.allocUnsafeSlow(256), length: 0 }
  return {
    write(value, tenantBytes) {
      if (!isIndexed(spec, value)) return undefined
      const bytes = packVector(value, element)
      const length = bytes.length + TRAILER_BYTES
      if (length > written.buffer.length) written.buffer = Buffer.allocUnsafeSlow(length * 2)
      written.buffer.set(bytes, 0)
      written.buffer.writeUInt16LE(tenantBytes, bytes.length)
      written.length = length
      return written
    },
  }
}
