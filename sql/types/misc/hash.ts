/**
 * PostgreSQL's hash functions (hashtext, hashint4, …), which applications use for advisory locks and for spreading keys:
 * Bob Jenkins' lookup3 over little-endian words, giving 32 bits, or 64 with a seed.
 * Source: http://burtleburtle.net/bob/hash/doobs.html (public domain), with PostgreSQL's start value.
 */
import { type FunctionBody, type FunctionTable, scalar } from '../function.ts'
import { int8Wrapped } from '../number/int.ts'
import * as n from '../number/numeric.ts'
import { groups } from '../number/numeric-type.ts'
import { trimBlanks, utf8 } from '../text/chars.ts'
import type { ArrayValue, Int64, Numeric, Value } from '../value.ts'

const START = 0x9e3779b9 + 3923095

/** The three words of state; 32-bit integers. */
let a = 0
let b = 0
let c = 0

const rotate = (x: number, by: number): number => (x << by) | (x >>> (32 - by))

function mix(): void {
  a = ((a - c) ^ rotate(c, 4)) | 0
  c = (c + b) | 0
  b = ((b - a) ^ rotate(a, 6)) | 0
  a = (a + c) | 0
  c = ((c - b) ^ rotate(b, 8)) | 0
  b = (b + a) | 0
  a = ((a - c) ^ rotate(c, 16)) | 0
  c = (c + b) | 0
  b = ((b - a) ^ rotate(a, 19)) | 0
  a = (a + c) | 0
  c = ((c - b) ^ rotate(b, 4)) | 0
  b = (b + a) | 0
}

function finish(): void {
  c = ((c ^ b) - rotate(b, 14)) | 0
  a = ((a ^ c) - rotate(c, 11)) | 0
  b = ((b ^ a) - rotate(a, 25)) | 0
  c = ((c ^ b) - rotate(b, 16)) | 0
  a = ((a ^ c) - rotate(c, 4)) | 0
  b = ((b ^ a) - rotate(a, 14)) | 0
  c = ((c ^ b) - rotate(b, 24)) | 0
}

function begin(length: number, seed: Int64): void {
  a = b = c = (START + length) | 0
  const wide = BigInt.asUintN(64, BigInt(seed))
  if (wide === 0n) return
  a = (a + Number(wide >> 32n)) | 0
  b = (b + Number(wide & 0xffffffffn)) | 0
  mix()
}

const wordAt = (bytes: Uint8Array, at: number): number =>
  (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24)

function hashBytes(bytes: Uint8Array, seed: Int64): void {
  begin(bytes.length, seed)
  let at = 0
  for (; bytes.length - at >= 12; at += 12) {
    a = (a + wordAt(bytes, at)) | 0
    b = (b + wordAt(bytes, at + 4)) | 0
    c = (c + wordAt(bytes, at + 8)) | 0
    mix()
  }
  a = (a + wordAt(bytes, at)) | 0
  b = (b + wordAt(bytes, at + 4)) | 0
  // The lowest byte of c is the length's.
  c = (c + (wordAt(bytes, at + 8) << 8)) | 0
  finish()
}

function hashWord(word: number, seed: Int64): void {
  begin(4, seed)
  a = (a + word) | 0
  finish()
}

const wide = (): Int64 => int8Wrapped((BigInt(b >>> 0) << 32n) | BigInt(c >>> 0))

/** A value as what is hashed: a 32-bit word, or bytes; a plain result where PostgreSQL hashes nothing. */
export type Hashed =
  | { readonly word: number }
  | { readonly bytes: Uint8Array; readonly xor?: number }
  | { readonly special: bigint }

/** The hash of one value by 32 bits, and by 64 with a seed: what `pair` makes functions of. */
export const hash32 = (of: (value: never) => Hashed, value: Value): number => {
  const hashed = run(of, value, 0)
  if ('special' in hashed) return Number(hashed.special)
  return 'xor' in hashed ? c ^ (hashed.xor ?? 0) : c
}
export const hash64 = (of: (value: never) => Hashed, value: Value, seed: Int64): Int64 => {
  const hashed = run(of, value, seed)
  if ('special' in hashed) return int8Wrapped(BigInt(seed) + hashed.special)
  return 'xor' in hashed ? int8Wrapped(BigInt(wide()) ^ BigInt(hashed.xor ?? 0)) : wide()
}

function run(of: (value: never) => Hashed, value: Value, seed: Int64): Hashed {
  const hashed = of(value as never)
  if ('word' in hashed) hashWord(hashed.word, seed)
  else if ('bytes' in hashed) hashBytes(hashed.bytes, seed)
  return hashed
}

function pair(name: string, of: (value: never) => Hashed): FunctionTable {
  const narrow: FunctionBody = scalar((value: Value) => hash32(of, value))
  const seeded: FunctionBody = scalar((value: Value, seed: Int64) => hash64(of, value, seed))
  const extended = name === 'hash_numeric' || name === 'uuid_hash' ? `${name}_extended` : `${name}extended`
  return { [name]: narrow, [extended]: seeded }
}

/** Equal integers of different sizes hash alike: the high half is folded into the low. */
export function int8Word(value: Int64): Hashed {
  const low = Number(BigInt.asIntN(32, BigInt(value)))
  const high = Number(BigInt.asIntN(32, BigInt(value) >> 32n))
  return { word: low ^ (value >= 0 ? high : ~high) }
}

export function floatBytes(value: number): Hashed {
  if (value === 0) return { special: 0n }
  const bytes = Buffer.allocUnsafe(8)
  bytes.writeDoubleLE(!Number.isNaN(value) ? value : NaN)
  return { bytes }
}

export function numericBytes(value: Numeric): Hashed {
  if (value.special !== undefined) return { special: 0n }
  if (value.digits === 0n) return { special: -1n }
  const { digits, weight } = groups(n.trimScale(value))
  return { bytes: new Uint8Array(Int16Array.from(digits).buffer), xor: weight }
}

export function tidBytes(value: number): Hashed {
  const block = Math.floor(value / 65536)
  return { bytes: new Uint8Array(Uint16Array.of(block >>> 16, block & 0xffff, value % 65536).buffer) }
}

export const textBytes = (value: string): Hashed => ({ bytes: utf8(value) })
export const word = (value: number): Hashed => ({ word: value | 0 })

export const charWord = (value: string | boolean): Hashed => ({
  word: typeof value === 'boolean' ? Number(value) : value === '' ? 0 : (value.charCodeAt(0) << 24) >> 24,
})
export const uuidBytes = (value: string): Hashed => ({ bytes: Buffer.from(value.replaceAll('-', ''), 'hex') })
export const bpcharBytes = (value: string): Hashed => textBytes(trimBlanks(value))

export const HASH_FUNCTIONS: FunctionTable = {
  ...pair('hashint2', word),
  ...pair('hashint4', word),
  ...pair('hashint8', int8Word),
  ...pair('hashoid', word),
  // "char" and boolean share this one.
  ...pair('hashchar', charWord),
  ...pair('hashfloat4', floatBytes),
  ...pair('hashfloat8', floatBytes),
  ...pair('hash_numeric', numericBytes),
  ...pair('hashtext', textBytes),
  ...pair('hashname', textBytes),
  ...pair('hashbpchar', bpcharBytes),
  ...pair('uuid_hash', uuidBytes),
  ...pair('hashtid', tidBytes),
  ...pair('hashoidvector', (value: ArrayValue) => ({
    bytes: new Uint8Array(Uint32Array.from(value.elements as readonly number[]).buffer),
  })),
}
