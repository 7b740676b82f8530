/**
 * tsvector: the lexemes of a document, sorted, each with its positions and weights. Text `'cat':3 'fat':2B,4C`, binary as
 * PostgreSQL's; the order compares sizes first, then lexemes and positions, as PostgreSQL's does (it means nothing but is one).
 * https://www.postgresql.org/docs/15/datatype-textsearch.html
 */
import { oid } from '../../../storage/keys/brand.ts'
import { createByteWriter } from '../bytes.ts'
import { sqlError } from '../error.ts'
import { compareText, decodeUtf8 } from '../text/chars.ts'
import type { ByteWriter, KeyEncoder, Type } from '../type.ts'
import { TsVector, type Value } from '../value.ts'
import {
  LEXEME_BYTES_LIMIT,
  LexemeReader,
  POSITIONS_MAX,
  positionOf,
  quoteLexeme,
  TSVECTOR,
  uniquePositions,
  VECTOR_BYTES_MAX,
  weightOf,
} from './lexeme-reader.ts'

export const EMPTY_VECTOR = new TsVector([], [])
const NO_POSITIONS: readonly number[] = []

const ASCII = /^[\x00-\x7f]*$/
export const byteLength = (text: string): number => (ASCII.test(text) ? text.length : Buffer.byteLength(text))

/** Sorts lexemes, joins equal ones and their positions. */
export function makeVector(
  words: readonly { readonly text: string; readonly positions: readonly number[] }[],
): TsVector {
  if (words.length === 0) return EMPTY_VECTOR
  const sorted = [...words].sort((a, b) => compareText(a.text, b.text))
  const lexemes: string[] = []
  const positions: (readonly number[])[] = []
  for (let i = 0; i < sorted.length; ) {
    const { text } = sorted[i]!
    let codes: readonly number[] = sorted[i]!.positions
    for (i++; i < sorted.length && sorted[i]!.text === text; i++) codes = [...codes, ...sorted[i]!.positions]
    lexemes.push(text)
    positions.push(codes.length === 0 ? NO_POSITIONS : uniquePositions(codes))
  }
  return new TsVector(lexemes, positions)
}

/** Bytes of lexemes and positions as PostgreSQL lays them out. */
export function dataBytes(v: TsVector): number {
  let bytes = 0
  for (let i = 0; i < v.lexemes.length; i++) {
    bytes += byteLength(v.lexemes[i]!)
    const count = v.positions[i]!.length
    if (count > 0) bytes = ((bytes + 1) & ~1) + 2 + 2 * count
  }
  return bytes
}

export function checkVectorBytes(bytes: number): void {
  if (bytes > VECTOR_BYTES_MAX)
    throw sqlError('54000', `string is too long for tsvector (${bytes} bytes, max ${VECTOR_BYTES_MAX} bytes)`)
}

function parseVector(text: string): TsVector {
  const reader = new LexemeReader(text, 'vector')
  const words: { text: string; positions: number[] }[] = []
  let total = 0
  for (let word = reader.next(); word !== undefined; word = reader.next()) {
    const bytes = byteLength(word.text)
    if (bytes >= LEXEME_BYTES_LIMIT)
      throw sqlError('54000', `word is too long (${bytes} bytes, max ${LEXEME_BYTES_LIMIT - 1} bytes)`)
    checkVectorBytes(total)
    total += bytes
    words.push(word)
  }
  const vector = makeVector(words)
  checkVectorBytes(dataBytes(vector))
  return vector
}

const WEIGHT_LETTERS = ['', 'C', 'B', 'A']

function printVector(v: TsVector): string {
  let out = ''
  for (let i = 0; i < v.lexemes.length; i++) {
    if (i > 0) out += ' '
    out += quoteLexeme(v.lexemes[i]!)
    const codes = v.positions[i]!
    for (let j = 0; j < codes.length; j++)
      out += `${j === 0 ? ':' : ','}${positionOf(codes[j]!)}${WEIGHT_LETTERS[weightOf(codes[j]!)]}`
  }
  return out
}

export function compareTsVectors(a: TsVector, b: TsVector): number {
  const size = 4 * (a.lexemes.length - b.lexemes.length) + dataBytes(a) - dataBytes(b)
  if (size !== 0) return size
  if (a.lexemes.length !== b.lexemes.length) return a.lexemes.length - b.lexemes.length
  for (let i = 0; i < a.lexemes.length; i++) {
    const x = a.positions[i]!
    const y = b.positions[i]!
    if (x.length > 0 !== y.length > 0) return x.length > 0 ? -1 : 1
    const words = compareText(a.lexemes[i]!, b.lexemes[i]!)
    if (words !== 0) return words
    if (x.length !== y.length) return y.length - x.length
    for (let j = 0; j < x.length; j++) {
      const position = positionOf(y[j]!) - positionOf(x[j]!)
      if (position !== 0) return position
      if (x[j] !== y[j]) return y[j]! - x[j]!
    }
  }
  return 0
}

function encodeVector(v: TsVector, to: KeyEncoder): void {
  to.int32(4 * v.lexemes.length + dataBytes(v))
  to.int32(v.lexemes.length)
  v.lexemes.forEach((lexeme, i) => {
    const codes = v.positions[i]!
    to.byte(codes.length > 0 ? 0 : 1)
    to.text(lexeme)
    if (codes.length === 0) return
    to.int16(-codes.length)
    for (const code of codes) {
      to.int16(-positionOf(code))
      to.byte(3 - weightOf(code))
    }
  })
}

const invalid = (what: string) => sqlError('XX000', `invalid tsvector: ${what}`)
const shortMessage = () => sqlError('08P01', 'insufficient data left in message')

/** Text that ends with a zero byte; its end (behind the zero) comes with it. */
export function receiveCString(from: Buffer, start: number, end: number): { text: string; next: number } {
  const zero = from.indexOf(0, start)
  if (zero < 0 || zero >= end) throw sqlError('08P01', 'invalid string in message')
  return { text: decodeUtf8(from, start, zero), next: zero + 1 }
}

const COUNT_MAX = 0x3fff_ffff / 4

function receiveVector(from: Buffer, start: number, end: number): TsVector {
  if (end - start < 4) throw shortMessage()
  const count = from.readInt32BE(start)
  if (count < 0 || count > COUNT_MAX) throw sqlError('XX000', 'invalid size of tsvector')
  let at = start + 4
  let bytes = 0
  const words: { text: string; positions: number[] }[] = []
  for (let i = 0; i < count; i++) {
    const word = receiveCString(from, at, end)
    at = word.next
    if (end - at < 2) throw shortMessage()
    const positionCount = from.readUInt16BE(at)
    at += 2
    if (byteLength(word.text) > LEXEME_BYTES_LIMIT) throw invalid('lexeme too long')
    if (bytes > VECTOR_BYTES_MAX) throw invalid('maximum total lexeme length exceeded')
    if (positionCount > POSITIONS_MAX) throw sqlError('XX000', 'unexpected number of tsvector positions')
    if (end - at < 2 * positionCount) throw shortMessage()
    const positions: number[] = []
    for (let j = 0; j < positionCount; j++, at += 2) {
      const code = from.readUInt16BE(at)
      if (j > 0 && positionOf(code) <= positionOf(positions[j - 1]!))
        throw sqlError('XX000', 'position information is misordered')
      positions.push(code)
    }
    bytes += byteLength(word.text) + 2 * positionCount
    words.push({ text: word.text, positions })
  }
  if (at !== end) throw sqlError('22P03', 'incorrect binary data format')
  return makeVector(words)
}

function sendVector(v: TsVector, to: ByteWriter): void {
  to.int32(v.lexemes.length)
  v.lexemes.forEach((lexeme, i) => {
    to.text(lexeme)
    to.uint8(0)
    const codes = v.positions[i]!
    to.int16(codes.length)
    for (const code of codes) to.int16(code)
  })
}

/** In a row: as in the binary form, for lexemes hold no zero byte. */
function readVector(from: Buffer, start: number): TsVector {
  const count = from.readInt32BE(start)
  const lexemes: string[] = new Array(count)
  const positions: (readonly number[])[] = new Array(count)
  let at = start + 4
  for (let i = 0; i < count; i++) {
    const zero = from.indexOf(0, at)
    lexemes[i] = from.toString('utf8', at, zero)
    const positionCount = from.readUInt16BE(zero + 1)
    at = zero + 3
    if (positionCount === 0) positions[i] = NO_POSITIONS
    else {
      const codes: number[] = new Array(positionCount)
      for (let j = 0; j < positionCount; j++, at += 2) codes[j] = from.readUInt16BE(at)
      positions[i] = codes
    }
  }
  return new TsVector(lexemes, positions)
}

export const tsVectorType: Type = {
  oid: TSVECTOR,
  name: 'tsvector',
  elementOid: oid(0),
  delimiter: ',',
  input: parseVector,
  output: (value) => printVector(value as TsVector),
  receive: receiveVector,
  send: (value, to) => sendVector(value as TsVector, to),
  compare: (a, b) => compareTsVectors(a as TsVector, b as TsVector),
  hashKey: (value: Value) => printVector(value as TsVector),
  storage: {
    kind: 'bytes',
    write: (value, to) => sendVector(value as TsVector, to),
    read: readVector,
  },
  encodeKey: (value, to) => encodeVector(value as TsVector, to),
}

/** The bytes of the binary form (tsvectorsend). */
export function vectorBytes(v: TsVector): Uint8Array {
  const to = createByteWriter()
  sendVector(v, to)
  return to.toBuffer()
}
