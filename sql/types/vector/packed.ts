/**
 * Vectors as bytes: what an index's entry holds, what a graph's slot holds, and what lies in a row.
 *
 *     type       value in JavaScript              element   bytes, little-endian
 *     vector     Float32Array                     f32       4 a dimension: float4
 *     halfvec    Uint16Array of halves' bits      f16       2 a dimension: IEEE half (half.ts converts)
 *     bit        BitString                        bit       1 for 8 dimensions, the first in the highest bit; zeros behind the last
 *     sparsevec  SparseVector                     sparse    8 an element that is not 0: uint32 index from 0, float4; by ascending index
 *
 * The number of dimensions is not in the bytes: whoever holds them knows it (an index from its column).
 */
import { type Oid, oid } from '../../../storage/keys/brand.ts'
import { invariant } from '../../../storage/keys/invariant.ts'
import { OID } from '../oids.ts'
import { BitString, SparseVector, type Value } from '../value.ts'

export type VectorElement = 'f32' | 'f16' | 'bit' | 'sparse'
/** A value of a type that has an element. */
export type VectorValue = Float32Array | Uint16Array | BitString | SparseVector

const ELEMENTS = new Map<Oid, VectorElement>([
  [OID.vector, 'f32'],
  [OID.halfvec, 'f16'],
  [oid(1560), 'bit'],
  [OID.sparsevec, 'sparse'],
])

/** The element of a type of vectors (pg_type.oid); undefined for other types. */
export const elementOfType = (type: Oid): VectorElement | undefined => ELEMENTS.get(type)

const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1
invariant(LITTLE_ENDIAN, 'typed arrays lie as the formats here say: little-endian')

/** Bytes of any packed vector of that many dimensions; undefined where they differ (sparse). */
export function packedLength(element: VectorElement, dimensions: number): number | undefined {
  switch (element) {
    case 'f32':
      return dimensions * 4
    case 'f16':
      return dimensions * 2
    case 'bit':
      return (dimensions + 7) >> 3
    case 'sparse':
      return undefined
  }
}

export const dimensionsOf = (value: VectorValue): number =>
  value instanceof SparseVector ? value.dimensions : value.length

const bytesOf = (array: Float32Array | Uint16Array): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength)

function packSparse({ indices, values }: SparseVector): Uint8Array {
  const words = new Uint32Array(indices.length * 2)
  const floats = new Float32Array(words.buffer)
  for (let i = 0; i < indices.length; i++) {
    words[2 * i] = indices[i]!
    floats[2 * i + 1] = values[i]!
  }
  return new Uint8Array(words.buffer)
}

/** The value's bytes: of f32, f16 and bit a view of the value itself, not to be written to. */
export function packVector(value: Value, element: VectorElement): Uint8Array {
  switch (element) {
    case 'f32':
      invariant(value instanceof Float32Array, 'not a vector')
      return bytesOf(value)
    case 'f16':
      invariant(value instanceof Uint16Array, 'not a halfvec')
      return bytesOf(value)
    case 'bit':
      invariant(value instanceof BitString, 'not a bit string')
      return value.bytes
    case 'sparse':
      invariant(value instanceof SparseVector, 'not a sparsevec')
      return packSparse(value)
  }
}

/** The value whose bytes these are. It keeps no reference to them, and they may lie at any offset. */
export function unpackVector(bytes: Uint8Array, element: VectorElement, dimensions: number): VectorValue {
  // A copy of its own: aligned, and the value's for good.
  const own = new Uint8Array(bytes)
  switch (element) {
    case 'f32':
      return new Float32Array(own.buffer)
    case 'f16':
      return new Uint16Array(own.buffer)
    case 'bit':
      return new BitString(own, dimensions)
    case 'sparse': {
      const words = new Uint32Array(own.buffer)
      const floats = new Float32Array(own.buffer)
      const indices = new Int32Array(words.length / 2)
      const values = new Float32Array(indices.length)
      for (let i = 0; i < indices.length; i++) {
        indices[i] = words[2 * i]!
        values[i] = floats[2 * i + 1]!
      }
      return new SparseVector(dimensions, indices, values)
    }
  }
}

/** The same for a moment: a view where the bytes may be viewed so, else a copy. */
export function viewVector(bytes: Uint8Array, element: VectorElement, dimensions: number): VectorValue {
  return element === 'f32' && bytes.byteOffset % 4 === 0
    ? new Float32Array(bytes.buffer, bytes.byteOffset, dimensions)
    : unpackVector(bytes, element, dimensions)
}

/** Whether every element is 0: such a vector has no cosine distance and is not indexed for it. */
export function isZeroVector(value: VectorValue): boolean {
  if (value instanceof SparseVector) return value.indices.length === 0
  if (value instanceof BitString) return value.bytes.every((byte) => byte === 0)
  if (value instanceof Uint16Array) return value.every((half) => (half & 0x7fff) === 0)
  return value.every((n) => n === 0)
}
