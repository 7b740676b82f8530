/**
 * The type vector(n): 1 to 16,000 finite float4s. Text `[1,2.5,3]`, binary as pgvector's (int16 dimensions, int16 zero,
 * float4s). In a row it is its floats, little-endian; in a key their bytes in the floats' order, which is vector_cmp's:
 * element by element, then the shorter one first. https://github.com/pgvector/pgvector
 */
import { oid } from '../../../storage/keys/brand.ts'
import { OID } from '../oids.ts'
import type { ByteWriter, KeyEncoder, Type } from '../type.ts'
import type { Value } from '../value.ts'
import {
  checkExpected,
  checkFinite,
  DIMENSIONS_MAX,
  dimensionsTypmod,
  insufficient,
  receiveDimensions,
  tooLong,
} from './dimensions.ts'
import { float4Text, parseElements, readFloat4 } from './element-text.ts'
import { plainFloats } from './kernel.ts'
import { packVector } from './packed.ts'

function parseVector(text: string, typmod: number): Float32Array {
  const plain = plainFloats(text, DIMENSIONS_MAX)
  if (plain !== undefined) {
    checkExpected(typmod, plain.length)
    return plain
  }
  const elements = parseElements(text, 'vector', DIMENSIONS_MAX, (word) => {
    const n = readFloat4(word, 'vector')
    checkFinite('vector', n)
    return n
  })
  checkExpected(typmod, elements.length)
  return Float32Array.from(elements)
}

function printVector(vector: Float32Array): string {
  let text = '['
  for (let i = 0; i < vector.length; i++) {
    if (i > 0) text += ','
    text += float4Text(vector[i]!)
  }
  return `${text}]`
}

function receiveVector(from: Buffer, start: number, end: number, typmod: number): Float32Array {
  const count = receiveDimensions('vector', from, start, end, typmod)
  if (end - start < 4 + 4 * count) throw insufficient()
  if (end - start > 4 + 4 * count) throw tooLong()
  const vector = new Float32Array(count)
  for (let i = 0; i < count; i++) {
    const n = from.readFloatBE(start + 4 + 4 * i)
    checkFinite('vector', n)
    vector[i] = n
  }
  return vector
}

function sendVector(vector: Float32Array, to: ByteWriter): void {
  to.int16(vector.length)
  to.int16(0)
  for (const n of vector) to.float32(n)
}

const writeVector = (vector: Float32Array, to: ByteWriter): void => to.bytes(packVector(vector, 'f32'))

function readVector(from: Buffer, start: number, end: number): Float32Array {
  const vector = new Float32Array((end - start) >> 2)
  new Uint8Array(vector.buffer).set(from.subarray(start, end))
  return vector
}

/** One character for each unit. */
export function unitsKey(units: Uint16Array): string {
  let key = ''
  for (let i = 0; i < units.length; i += 8192) key += String.fromCharCode(...units.subarray(i, i + 8192))
  return key
}

export function compareVectors(a: Float32Array, b: Float32Array): number {
  const shared = Math.min(a.length, b.length)
  for (let i = 0; i < shared; i++) {
    if (a[i]! < b[i]!) return -1
    if (a[i]! > b[i]!) return 1
  }
  return a.length < b.length ? -1 : a.length > b.length ? 1 : 0
}

/** Each float as bytes in its order: a positive one with its sign bit set, a negative one inverted; -0 as 0. */
function encodeVector(vector: Float32Array, to: KeyEncoder): void {
  const bytes = Buffer.allocUnsafe(vector.length * 4)
  for (let i = 0; i < vector.length; i++) {
    const n = vector[i]!
    bytes.writeFloatBE(n === 0 ? 0 : n, i * 4)
    const bits = bytes.readUInt32BE(i * 4)
    bytes.writeUInt32BE((bits & 0x8000_0000 ? ~bits : bits | 0x8000_0000) >>> 0, i * 4)
  }
  to.bytes(bytes)
}

/** Short, and equal for equal vectors (-0 is 0). */
function hashVector(vector: Float32Array): string {
  const normal = vector.includes(0) ? vector.map((n) => (n === 0 ? 0 : n)) : vector
  return unitsKey(new Uint16Array(normal.buffer, normal.byteOffset, normal.length * 2))
}

const vectorOf = (value: Value): Float32Array => value as Float32Array

export const vectorType: Type = {
  oid: OID.vector,
  name: 'vector',
  elementOid: oid(0),
  delimiter: ',',
  input: parseVector,
  output: (value) => printVector(vectorOf(value)),
  receive: (from, start, end, typmod) => receiveVector(from, start, end, typmod),
  send: (value, to) => sendVector(vectorOf(value), to),
  compare: (a, b) => compareVectors(vectorOf(a), vectorOf(b)),
  hashKey: (value) => hashVector(vectorOf(value)),
  storage: { kind: 'bytes', write: (value, to) => writeVector(vectorOf(value), to), read: readVector },
  encodeKey: (value, to) => encodeVector(vectorOf(value), to),
  typmodIn: dimensionsTypmod('vector'),
  typmodOut: (typmod) => `(${typmod})`,
}
