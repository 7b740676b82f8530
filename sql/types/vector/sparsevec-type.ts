/**
 * The type sparsevec(n): 1 to 1,000,000,000 dimensions of which at most 16,000 are not 0. Text `{1:1.5,7:2}/10` (indices
 * from 1, in any order), binary as pgvector's (int32 dimensions, count, zero; indices from 0; float4s). Its order is that of
 * the vector written out in full. In a row: the dimensions and its packed pairs (packed.ts). In a key one token an element,
 * in the order of the index, and one for the end, so that the bytes' order is the vectors':
 *
 *     1, index, 1, value      a negative element: before the zeros of whoever has none there
 *     1, dimensions, 0        the end: before what comes behind it, behind negative elements in front of it
 *     2, ~index, value        a positive element: behind zeros and ends, the sooner the larger
 *
 * https://github.com/pgvector/pgvector
 */
import { oid } from '../../../storage/keys/brand.ts'
import { sqlError } from '../error.ts'
import { OID } from '../oids.ts'
import type { ByteWriter, KeyEncoder, Type } from '../type.ts'
import { SparseVector, type Value } from '../value.ts'
import {
  checkDimensionCount,
  checkExpected,
  checkFinite,
  checkNonZeroCount,
  checkUnused,
  dimensionsTypmod,
  insufficient,
  NONZERO_MAX,
  tooLong,
} from './dimensions.ts'
import { afterSpaces, float4Text, isNonZero, malformed, numberAt, outOfRange, readFloat4 } from './element-text.ts'
import { packVector, unpackVector } from './packed.ts'
import { unitsKey } from './vector-type.ts'

const INT_MAX = 2_147_483_647

/** Throws 22000 unless the index is one of the vector's and behind the one before. */
function checkIndex(indices: Int32Array, i: number, dimensions: number): void {
  const index = indices[i]!
  if (index < 0 || index >= dimensions) throw sqlError('22000', 'sparsevec index out of bounds')
  if (i === 0) return
  if (index < indices[i - 1]!) throw sqlError('22000', 'sparsevec indices must be in ascending order')
  if (index === indices[i - 1]) throw sqlError('22000', 'sparsevec indices must not contain duplicates')
}

/** What strtol takes. */
const INTEGER = /[+-]?\d+/y

function integerAt(text: string, at: number): string | undefined {
  INTEGER.lastIndex = at
  return INTEGER.exec(text)?.[0]
}

const clamped = (word: string, least: number): number => Math.max(least, Math.min(INT_MAX, Number(word)))

function readElement(word: string): number {
  const n = readFloat4(word, 'sparsevec')
  if (n === 0 && isNonZero(word)) throw outOfRange(word, 'sparsevec')
  checkFinite('sparsevec', n)
  return n
}

function parseSparsevec(text: string, typmod: number): SparseVector {
  const bad = (detail?: string) => malformed(text, 'sparsevec', detail)
  let commas = 0
  for (let at = text.indexOf(','); at !== -1; at = text.indexOf(',', at + 1)) commas++
  checkNonZeroCount(commas + 1, Infinity)

  const indices = new Int32Array(Math.min(commas + 1, NONZERO_MAX))
  const values = new Float32Array(indices.length)
  let count = 0
  let ascending = true
  let at = afterSpaces(text, 0)
  if (text[at] !== '{') throw bad('Vector contents must start with "{".')
  at = afterSpaces(text, at + 1)
  if (text[at] === '}') at++
  else
    for (;;) {
      at = afterSpaces(text, at)
      const index = integerAt(text, at)
      if (index === undefined) throw bad()
      at = afterSpaces(text, at + index.length)
      if (text[at] !== ':') throw bad()
      at = afterSpaces(text, at + 1)
      const word = numberAt(text, at)
      if (word === undefined) throw bad()
      const value = readElement(word)
      if (value !== 0) {
        indices[count] = clamped(index, -INT_MAX) - 1
        values[count] = value
        if (count > 0 && indices[count]! <= indices[count - 1]!) ascending = false
        count++
      }
      at = afterSpaces(text, at + word.length)
      const next = text[at++]
      if (next === '}') break
      if (next !== ',') throw bad()
    }
  at = afterSpaces(text, at)
  if (text[at] !== '/') throw bad('Unexpected end of input.')
  at = afterSpaces(text, at + 1)
  const word = integerAt(text, at)
  if (word === undefined) throw bad()
  at = afterSpaces(text, at + word.length)
  if (at < text.length) throw bad('Junk after closing.')
  const dimensions = clamped(word, -INT_MAX - 1)
  checkDimensionCount('sparsevec', dimensions)
  checkExpected(typmod, dimensions)
  const vector = ascending
    ? new SparseVector(dimensions, indices.slice(0, count), values.slice(0, count))
    : sorted(dimensions, indices, values, count)
  for (let i = 0; i < count; i++) checkIndex(vector.indices, i, dimensions)
  return vector
}

function sorted(dimensions: number, indices: Int32Array, values: Float32Array, count: number): SparseVector {
  const order = Uint32Array.from({ length: count }, (_, i) => i).sort((i, j) => indices[i]! - indices[j]!)
  return new SparseVector(
    dimensions,
    Int32Array.from(order, (i) => indices[i]!),
    Float32Array.from(order, (i) => values[i]!),
  )
}

function printSparsevec({ dimensions, indices, values }: SparseVector): string {
  let text = '{'
  for (let i = 0; i < indices.length; i++) {
    if (i > 0) text += ','
    text += `${indices[i]! + 1}:${float4Text(values[i]!)}`
  }
  return `${text}}/${dimensions}`
}

function receiveSparsevec(from: Buffer, start: number, end: number, typmod: number): SparseVector {
  if (end - start < 12) throw insufficient()
  const dimensions = from.readInt32BE(start)
  const count = from.readInt32BE(start + 4)
  checkDimensionCount('sparsevec', dimensions)
  checkNonZeroCount(count, dimensions)
  checkExpected(typmod, dimensions)
  checkUnused(from.readInt32BE(start + 8))
  const indices = new Int32Array(count)
  const values = new Float32Array(count)
  const first = start + 12
  for (let i = 0; i < count; i++) {
    if (first + 4 * i + 4 > end) throw insufficient()
    indices[i] = from.readInt32BE(first + 4 * i)
    checkIndex(indices, i, dimensions)
  }
  const second = first + 4 * count
  for (let i = 0; i < count; i++) {
    if (second + 4 * i + 4 > end) throw insufficient()
    const n = from.readFloatBE(second + 4 * i)
    checkFinite('sparsevec', n)
    if (n === 0) throw sqlError('22000', 'binary representation of sparsevec cannot contain zero values')
    values[i] = n
  }
  if (second + 4 * count < end) throw tooLong()
  return new SparseVector(dimensions, indices, values)
}

function sendSparsevec({ dimensions, indices, values }: SparseVector, to: ByteWriter): void {
  to.int32(dimensions)
  to.int32(indices.length)
  to.int32(0)
  for (const index of indices) to.int32(index)
  for (const n of values) to.float32(n)
}

function writeSparsevec(vector: SparseVector, to: ByteWriter): void {
  to.int32(vector.dimensions)
  to.bytes(packVector(vector, 'sparse'))
}

const readSparsevec = (from: Buffer, start: number, end: number): Value =>
  unpackVector(from.subarray(start + 4, end), 'sparse', from.readInt32BE(start))

/** Zeros are less than what is positive and more than what is negative; what ends first is less than what goes on. */
export function compareSparsevecs(a: SparseVector, b: SparseVector): number {
  const shared = Math.min(a.indices.length, b.indices.length)
  for (let i = 0; i < shared; i++) {
    const x = a.values[i]!
    const y = b.values[i]!
    if (a.indices[i]! < b.indices[i]!) return x < 0 ? -1 : 1
    if (a.indices[i]! > b.indices[i]!) return y < 0 ? 1 : -1
    if (x < y) return -1
    if (x > y) return 1
  }
  if (b.indices.length > shared && b.indices[shared]! < a.dimensions) return b.values[shared]! < 0 ? 1 : -1
  if (a.indices.length > shared && a.indices[shared]! < b.dimensions) return a.values[shared]! < 0 ? -1 : 1
  return a.dimensions < b.dimensions ? -1 : a.dimensions > b.dimensions ? 1 : 0
}

const TOKEN_BYTES = 10

function encodeSparsevec({ dimensions, indices, values }: SparseVector, to: KeyEncoder): void {
  const bytes = Buffer.allocUnsafe((indices.length + 1) * TOKEN_BYTES)
  let at = 0
  for (let i = 0; i < indices.length; i++) {
    const negative = values[i]! < 0
    bytes[at++] = negative ? 1 : 2
    bytes.writeUInt32BE(negative ? indices[i]! : ~indices[i]! >>> 0, at)
    at += 4
    if (negative) bytes[at++] = 1
    bytes.writeFloatBE(values[i]!, at)
    if (negative) bytes.writeUInt32BE(~bytes.readUInt32BE(at) >>> 0, at)
    at += 4
  }
  bytes[at++] = 1
  bytes.writeUInt32BE(dimensions, at)
  at += 4
  bytes[at++] = 0
  to.bytes(bytes.subarray(0, at))
}

const hashSparsevec = (vector: SparseVector): string => {
  const bytes = packVector(vector, 'sparse')
  return `${vector.dimensions}/${unitsKey(new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2))}`
}

const sparseOf = (value: Value): SparseVector => value as SparseVector

export const sparsevecType: Type = {
  oid: OID.sparsevec,
  name: 'sparsevec',
  elementOid: oid(0),
  delimiter: ',',
  input: parseSparsevec,
  output: (value) => printSparsevec(sparseOf(value)),
  receive: receiveSparsevec,
  send: (value, to) => sendSparsevec(sparseOf(value), to),
  compare: (a, b) => compareSparsevecs(sparseOf(a), sparseOf(b)),
  hashKey: (value) => hashSparsevec(sparseOf(value)),
  storage: { kind: 'bytes', write: (value, to) => writeSparsevec(sparseOf(value), to), read: readSparsevec },
  encodeKey: (value, to) => encodeSparsevec(sparseOf(value), to),
  typmodIn: dimensionsTypmod('sparsevec'),
  typmodOut: (typmod) => `(${typmod})`,
}
