/**
 * The type vector(n): 1 to 16,000 finite float4s. Text `[1,2.5,3]`, binary as pgvector's (int16 dimensions, int16 zero,
 * float4s). In a row it is its floats, little-endian; in a key their bytes in the floats' order, which is vector_cmp's:
 * element by element, then the shorter one first. https://github.com/pgvector/pgvector
 */
import { oid } from '../../../storage/keys/brand.ts'
import { sqlError } from '../error.ts'
import { float4ToText, parseFloat4 } from '../number/float-text.ts'
import { OID } from '../oids.ts'
import type { ByteWriter, KeyEncoder, Type } from '../type.ts'
import type { Value } from '../value.ts'

export const DIMENSIONS_MAX = 16_000

export function checkDimensions(count: number): void {
  if (count < 1) throw sqlError('22000', 'vector must have at least 1 dimension')
  if (count > DIMENSIONS_MAX) throw sqlError('54000', `vector cannot have more than ${DIMENSIONS_MAX} dimensions`)
}

export function checkExpected(typmod: number, count: number): void {
  if (typmod !== -1 && typmod !== count) throw sqlError('22000', `expected ${typmod} dimensions, not ${count}`)
}

export function checkElement(n: number): void {
  if (Number.isNaN(n)) throw sqlError('22000', 'NaN not allowed in vector')
  if (n === Infinity || n === -Infinity) throw sqlError('22000', 'infinite value not allowed in vector')
}

const isSpace = (code: number) => code === 32 || (code >= 9 && code <= 13)

/** What strtof takes: decimal and hexadecimal numbers, infinity and NaN. */
const NUMBER =
  /[+-]?(?:0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)(?:[pP][+-]?\d+)?|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|inf(?:inity)?|nan)/iy
const PLAIN = /^[+-]?[\d.]/

const double = new Float64Array(1)
const halves = new Uint32Array(double.buffer)
const LOW = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? 0 : 1
const FLOAT4_NORMAL_MIN = 1.1754943508222875e-38

/** The float4 next to a number's text, rounded once; too large is 22003, too small is zero. */
function readFloat4(text: string): number {
  const exact = Number(text)
  const rounded = Math.fround(exact)
  double[0] = exact
  // Exactly between two float4s (or below their normal range) the double's own rounding may have decided wrongly.
  const between = (halves[LOW]! & 0x1fff_ffff) === 0x1000_0000
  const size = Math.abs(exact)
  if (!between && size >= FLOAT4_NORMAL_MIN && size < Infinity && Number.isFinite(rounded)) return rounded
  if (PLAIN.test(text) && !/^[+-]?0[xX]/.test(text)) {
    if (!Number.isFinite(rounded)) throw sqlError('22003', `"${text}" is out of range for type vector`)
    if (rounded === 0) return rounded
  }
  return parseFloat4(text)
}

const malformed = (text: string, detail?: string) =>
  sqlError('22P02', `invalid input syntax for type vector: "${text}"`, detail === undefined ? {} : { detail })

function afterSpaces(text: string, start: number): number {
  let at = start
  while (isSpace(text.charCodeAt(at))) at++
  return at
}

function parseVector(text: string, typmod: number): Float32Array {
  let at = afterSpaces(text, 0)
  if (text[at] !== '[') throw malformed(text, 'Vector contents must start with "[".')
  at = afterSpaces(text, at + 1)
  if (text[at] === ']') throw sqlError('22000', 'vector must have at least 1 dimension')
  const elements: number[] = []
  for (;;) {
    if (elements.length === DIMENSIONS_MAX) checkDimensions(DIMENSIONS_MAX + 1)
    NUMBER.lastIndex = at = afterSpaces(text, at)
    const word = NUMBER.exec(text)?.[0]
    if (word === undefined) throw malformed(text)
    const n = readFloat4(word)
    checkElement(n)
    elements.push(n)
    at = afterSpaces(text, at + word.length)
    const next = text[at++]
    if (next === ']') break
    if (next !== ',') throw malformed(text)
  }
  at = afterSpaces(text, at)
  if (at < text.length) throw malformed(text, 'Junk after closing right brace.')
  checkExpected(typmod, elements.length)
  return Float32Array.from(elements)
}

const POWERS = Array.from({ length: 14 }, (_, i) => 10 ** i)
const ZEROS = ['', '0', '00', '000']

/**
 * PostgreSQL's text of a float4, the shortest decimal that reads back. Between 1e-4 and 1e5 it is found by arithmetic:
 * the nearest decimal of p digits is one exact division of doubles, more digits only come nearer, so the least p that
 * reads back is the answer. What is at a border between two float4s goes the long way.
 */
function float4Text(n: number): string {
  const size = n < 0 ? -n : n
  if (!(size >= 1e-4 && size < 1e5)) return n === 0 && !Object.is(n, -0) ? '0' : float4ToText(n, 1)
  if (Number.isInteger(n)) return String(n)
  double[0] = size
  // A power of two: the border below is nearer than the one above.
  if ((halves[1 - LOW]! & 0xf_ffff) === 0 && halves[LOW] === 0) return float4ToText(n, 1)
  const exponent =
    size < 1
      ? size >= 0.1
        ? -1
        : size >= 0.01
          ? -2
          : size >= 0.001
            ? -3
            : -4
      : size < 10
        ? 0
        : size < 100
          ? 1
          : size < 1000
            ? 2
            : size < 10_000
              ? 3
              : 4
  let digits = 7
  let power = POWERS[digits - 1 - exponent]!
  let whole = Math.round(size * power)
  let decimal = whole / power
  if (Math.fround(decimal) === size) {
    while (digits > 1 && digits - 2 - exponent >= 0) {
      const lower = POWERS[digits - 2 - exponent]!
      const shorter = Math.round(size * lower)
      if (Math.fround(shorter / lower) !== size) break
      digits--
      power = lower
      whole = shorter
      decimal = shorter / lower
    }
  } else {
    while (digits < 9 && Math.fround(decimal) !== size) {
      power = POWERS[digits++ - exponent]!
      whole = Math.round(size * power)
      decimal = whole / power
    }
  }
  double[0] = decimal
  if ((halves[LOW]! & 0x1fff_ffff) === 0x1000_0000 || whole >= POWERS[digits]!) return float4ToText(n, 1)
  const sign = n < 0 ? '-' : ''
  const text = String(whole)
  if (exponent < 0) return `${sign}0.${ZEROS[-1 - exponent]!}${text}`
  return `${sign}${text.slice(0, exponent + 1)}.${text.slice(exponent + 1)}`
}

function printVector(vector: Float32Array): string {
  let text = '['
  for (let i = 0; i < vector.length; i++) {
    if (i > 0) text += ','
    text += float4Text(vector[i]!)
  }
  return `${text}]`
}

const insufficient = () => sqlError('08P01', 'insufficient data left in message')

function receiveVector(from: Buffer, start: number, end: number, typmod: number): Float32Array {
  if (end - start < 4) throw insufficient()
  const count = from.readUInt16BE(start)
  const unused = from.readUInt16BE(start + 2)
  checkDimensions(count)
  checkExpected(typmod, count)
  if (unused !== 0) throw sqlError('22000', `expected unused to be 0, not ${unused}`)
  if (end - start < 4 + 4 * count) throw insufficient()
  if (end - start > 4 + 4 * count) throw sqlError('22P03', 'incorrect binary data format')
  const vector = new Float32Array(count)
  for (let i = 0; i < count; i++) {
    const n = from.readFloatBE(start + 4 + 4 * i)
    checkElement(n)
    vector[i] = n
  }
  return vector
}

function sendVector(vector: Float32Array, to: ByteWriter): void {
  to.int16(vector.length)
  to.int16(0)
  for (const n of vector) to.float32(n)
}

const LITTLE_ENDIAN = LOW === 0

function writeVector(vector: Float32Array, to: ByteWriter): void {
  if (LITTLE_ENDIAN) {
    to.bytes(new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength))
    return
  }
  const at = to.reserve(vector.byteLength)
  for (let i = 0; i < vector.length; i++) to.buffer.writeFloatLE(vector[i]!, at + 4 * i)
}

function readVector(from: Buffer, start: number, end: number): Float32Array {
  const vector = new Float32Array((end - start) >> 2)
  if (LITTLE_ENDIAN) new Uint8Array(vector.buffer).set(from.subarray(start, end))
  else for (let i = 0; i < vector.length; i++) vector[i] = from.readFloatLE(start + 4 * i)
  return vector
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

/** One character for two bytes of the floats: short, and equal for equal vectors (-0 is 0). */
function hashVector(vector: Float32Array): string {
  const normal = vector.includes(0) ? vector.map((n) => (n === 0 ? 0 : n)) : vector
  const units = new Uint16Array(normal.buffer, normal.byteOffset, normal.length * 2)
  let key = ''
  for (let i = 0; i < units.length; i += 8192) key += String.fromCharCode(...units.subarray(i, i + 8192))
  return key
}

/** A modifier is the number of dimensions. Throws 22023, 22P02. */
function vectorTypmod(args: readonly string[]): number {
  const numbers = args.map((arg) => {
    if (!/^\s*[+-]?\d+\s*$/.test(arg)) throw sqlError('22P02', `invalid input syntax for type integer: "${arg}"`)
    return Number(arg)
  })
  const [count] = numbers
  if (numbers.length !== 1 || count === undefined) throw sqlError('22023', 'invalid type modifier')
  if (count < 1) throw sqlError('22023', 'dimensions for type vector must be at least 1')
  if (count > DIMENSIONS_MAX) throw sqlError('22023', `dimensions for type vector cannot exceed ${DIMENSIONS_MAX}`)
  return count
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
  typmodIn: vectorTypmod,
  typmodOut: (typmod) => `(${typmod})`,
}
