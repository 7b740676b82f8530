/**
 * The elements of a graph's copy of a vector: those of the column, or smaller ones when the index is quantized.
 *
 *     f32 → f16    each float4 to the nearest half         f32, f16 → bit    1 where the element is above 0 (binary_quantize)
 */
import { toHalf } from '../types/vector/half.ts'
import { packedLength } from '../types/vector/packed.ts'
import type { VectorElement, VectorIndexSpec, VectorMetric } from './vector-index.ts'

export interface GraphElements {
  readonly element: VectorElement
  readonly metric: VectorMetric
  /** Bytes of each vector, where the column's packed elements are the graph's and of one length. */
  readonly bytes: number | undefined
  /** Packed elements of the column to packed elements of the graph; the result may be written again by the next call. */
  readonly pack: (packed: Uint8Array) => Uint8Array
}

export function graphElements(spec: VectorIndexSpec): GraphElements {
  const { element, metric, dimensions, quantization } = spec
  if (quantization === 'none' || quantization === element) {
    return { element, metric, bytes: packedLength(element, dimensions), pack: (packed) => packed }
  }
  if (quantization === 'f16') {
    const halves = new Uint16Array(dimensions)
    const out = new Uint8Array(halves.buffer)
    const floats = new Float32Array(dimensions)
    const bytes = new Uint8Array(floats.buffer)
    return {
      element: 'f16',
      metric,
      bytes: undefined,
      pack(packed) {
        bytes.set(packed)
        for (let i = 0; i < dimensions; i++) halves[i] = clamped(floats[i]!)
        return out
      },
    }
  }
  const bits = new Uint8Array((dimensions + 7) >> 3)
  const signBit = element === 'f16' ? 0x8000 : 0x8000_0000
  const words = element === 'f16' ? new Uint16Array(dimensions) : new Uint32Array(dimensions)
  const bytes = new Uint8Array(words.buffer)
  return {
    element: 'bit',
    metric: 'hamming',
    bytes: undefined,
    pack(packed) {
      bytes.set(packed)
      bits.fill(0)
      for (let i = 0; i < dimensions; i++) {
        const word = words[i]!
        if (word !== 0 && word < signBit) bits[i >> 3] = bits[i >> 3]! | (0x80 >> (i & 7))
      }
      return bits
    },
  }
}

/** What is too large for a half becomes the largest one: its direction is what counts. */
const HALF_MAX = 65_504
const clamped = (n: number): number => toHalf(Math.max(-HALF_MAX, Math.min(HALF_MAX, n)))
