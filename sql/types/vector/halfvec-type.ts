/**
 * The type halfvec(n): 1 to 16,000 finite half precision floats, in memory the bits of each (half.ts). Text as vector's,
 * each element the float4 that it is; binary as pgvector's (int16 dimensions, int16 zero, halves). In a row it is its halves,
 * little-endian; in a key their bytes in their order, then the shorter one first. https://github.com/pgvector/pgvector
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
import { float4Text, outOfRange, parseElements, readFloat4 } from './element-text.ts'
import { HALF_INFINITY, HALF_SIGN, HALF_VALUES, isHalfZero, toHalf } from './half.ts'
import { packVector } from './packed.ts'
import { unitsKey } from './vector-type.ts'

const isInfinite = (half: number): boolean => (half & 0x7fff) === HALF_INFINITY

/** The half of a float4, which is 22003 when it is finite and too large. */
export function halfOf(n: number): number {
  const half = toHalf(n)
  if (isInfinite(half) && Number.isFinite(n)) throw outOfRange(float4Text(n), 'halfvec')
  return half
}

export const checkHalf = (half: number): void => checkFinite('halfvec', HALF_VALUES[half]!)

function readHalf(word: string): number {
  const n = readFloat4(word, 'halfvec')
  const half = toHalf(n)
  if (isInfinite(half) && Number.isFinite(n)) throw outOfRange(word, 'halfvec')
  checkHalf(half)
  return half
}

function parseHalfvec(text: string, typmod: number): Uint16Array {
  const halves = parseElements(text, 'halfvec', DIMENSIONS_MAX, readHalf)
  checkExpected(typmod, halves.length)
  return Uint16Array.from(halves)
}

function printHalfvec(halves: Uint16Array): string {
  let text = '['
  for (let i = 0; i < halves.length; i++) {
    if (i > 0) text += ','
    text += float4Text(HALF_VALUES[halves[i]!]!)
  }
  return `${text}]`
}

function receiveHalfvec(from: Buffer, start: number, end: number, typmod: number): Uint16Array {
  const count = receiveDimensions('halfvec', from, start, end, typmod)
  const halves = new Uint16Array(count)
  for (let i = 0; i < count; i++) {
    const at = start + 4 + 2 * i
    if (at + 2 > end) throw insufficient()
    halves[i] = from.readUInt16BE(at)
    checkHalf(halves[i]!)
  }
  if (end - start > 4 + 2 * count) throw tooLong()
  return halves
}

function sendHalfvec(halves: Uint16Array, to: ByteWriter): void {
  to.int16(halves.length)
  to.int16(0)
  const at = to.reserve(halves.byteLength)
  for (let i = 0; i < halves.length; i++) to.buffer.writeUInt16BE(halves[i]!, at + 2 * i)
}

function readHalfvec(from: Buffer, start: number, end: number): Uint16Array {
  const halves = new Uint16Array((end - start) >> 1)
  new Uint8Array(halves.buffer).set(from.subarray(start, end))
  return halves
}

/** The half's bits as a number in the halves' order; -0 is 0. */
const ordered = (half: number): number =>
  isHalfZero(half) ? HALF_SIGN : half & HALF_SIGN ? ~half & 0xffff : half | HALF_SIGN

export function compareHalfvecs(a: Uint16Array, b: Uint16Array): number {
  const shared = Math.min(a.length, b.length)
  for (let i = 0; i < shared; i++) {
    if (a[i] === b[i]) continue
    const difference = ordered(a[i]!) - ordered(b[i]!)
    if (difference !== 0) return difference < 0 ? -1 : 1
  }
  return a.length < b.length ? -1 : a.length > b.length ? 1 : 0
}

function encodeHalfvec(halves: Uint16Array, to: KeyEncoder): void {
  const bytes = Buffer.allocUnsafe(halves.length * 2)
  for (let i = 0; i < halves.length; i++) bytes.writeUInt16BE(ordered(halves[i]!), i * 2)
  to.bytes(bytes)
}

const halvesOf = (value: Value): Uint16Array => value as Uint16Array

export const halfvecType: Type = {
  oid: OID.halfvec,
  name: 'halfvec',
  elementOid: oid(0),
  delimiter: ',',
  input: parseHalfvec,
  output: (value) => printHalfvec(halvesOf(value)),
  receive: receiveHalfvec,
  send: (value, to) => sendHalfvec(halvesOf(value), to),
  compare: (a, b) => compareHalfvecs(halvesOf(a), halvesOf(b)),
  hashKey: (value) => unitsKey(halvesOf(value).map(ordered)),
  storage: { kind: 'bytes', write: (value, to) => to.bytes(packVector(value, 'f16')), read: readHalfvec },
  encodeKey: (value, to) => encodeHalfvec(halvesOf(value), to),
  typmodIn: dimensionsTypmod('halfvec'),
  typmodOut: (typmod) => `(${typmod})`,
}
