/**
 * Password hashes of pgcrypto: gen_salt and crypt with bcrypt ('bf') and MD5 crypt ('md5').
 *
 * bcrypt: Provos, Mazières, "A Future-Adaptable Password Scheme", USENIX 1999. Its tables are Blowfish's, the first digits of
 * pi's fraction, computed here when first needed. MD5 crypt: Poul-Henning Kamp's, FreeBSD 1994.
 */
import { createHash, randomBytes } from 'node:crypto'
import { notSupported, sqlError } from '../error.ts'

// ── Blowfish ───────────────────────────────────────────────────────────────────────────────────────────────────

const P_WORDS = 18
const S_WORDS = 1024
let tables: Uint32Array | undefined

/** The first words of pi's fraction, by Machin's formula: 16 arctan 1/5 - 4 arctan 1/239. */
function piWords(count: number): Uint32Array {
  const bits = BigInt(count * 32 + 64)
  const one = 1n << bits
  const inverseTangent = (x: bigint): bigint => {
    const square = x * x
    let term = one / x
    let sum = term
    for (let n = 3n, minus = true; term !== 0n; n += 2n, minus = !minus) {
      term /= square
      sum += minus ? -(term / n) : term / n
    }
    return sum
  }
  const pi = 16n * inverseTangent(5n) - 4n * inverseTangent(239n)
  const hex = (pi - 3n * one).toString(16).padStart(Number(bits) / 4, '0')
  return Uint32Array.from({ length: count }, (_, i) => Number.parseInt(hex.slice(i * 8, i * 8 + 8), 16))
}

class Blowfish {
  /** P, then the four S-boxes. */
  readonly #box: Uint32Array
  left = 0
  right = 0
  constructor() {
    tables ??= piWords(P_WORDS + S_WORDS)
    this.#box = tables.slice()
  }

  /** Enciphers `left` and `right`. */
  encipher(): void {
    const box = this.#box
    let l = this.left
    let r = this.right
    for (let i = 0; i < 16; i += 2) {
      l ^= box[i]!
      r ^=
        (((box[P_WORDS + (l >>> 24)]! + box[P_WORDS + 256 + ((l >>> 16) & 255)]!) ^
          box[P_WORDS + 512 + ((l >>> 8) & 255)]!) +
          box[P_WORDS + 768 + (l & 255)]!) |
        0
      r ^= box[i + 1]!
      l ^=
        (((box[P_WORDS + (r >>> 24)]! + box[P_WORDS + 256 + ((r >>> 16) & 255)]!) ^
          box[P_WORDS + 512 + ((r >>> 8) & 255)]!) +
          box[P_WORDS + 768 + (r & 255)]!) |
        0
    }
    this.left = (r ^ box[17]!) >>> 0
    this.right = (l ^ box[16]!) >>> 0
  }

  /** Mixes a key in, then enciphers the tables with it; `salt` is mixed into what is enciphered. */
  expand(key: Uint32Array, salt?: Uint32Array): void {
    const box = this.#box
    for (let i = 0; i < P_WORDS; i++) box[i]! ^= key[i]!
    this.left = this.right = 0
    for (let i = 0; i < box.length; i += 2) {
      if (salt !== undefined) {
        this.left ^= salt[i & 2]!
        this.right ^= salt[(i & 2) + 1]!
      }
      this.encipher()
      box[i] = this.left
      box[i + 1] = this.right
    }
  }
}

/** 18 words of the bytes again and again. */
function cycled(bytes: Uint8Array): Uint32Array {
  const words = new Uint32Array(P_WORDS)
  for (let i = 0; i < P_WORDS * 4; i++) words[i >> 2] = (words[i >> 2]! << 8) | bytes[i % bytes.length]!
  return words
}

const BCRYPT_DIGITS = './ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
const BASE64_DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
const translate = (text: string, from: string, to: string): string =>
  [...text].map((c) => to[from.indexOf(c)] ?? '').join('')
const toDigits = (bytes: Buffer): string =>
  translate(bytes.toString('base64').replaceAll('=', ''), BASE64_DIGITS, BCRYPT_DIGITS)
const fromDigits = (text: string): Buffer => Buffer.from(translate(text, BCRYPT_DIGITS, BASE64_DIGITS), 'base64')

/** What is enciphered: "OrpheanBeholderScryDoubt". */
const MAGIC = Buffer.from('OrpheanBeholderScryDoubt')
const KEY_BYTES_MAX = 72
/** Rounds between two looks whether the statement is to end. */
const LOOK_EVERY = 128

function bcrypt(password: string, setting: string, checkInterrupts: () => void): string {
  const parts = /^(\$2[axy]\$)(\d\d)\$([./A-Za-z0-9]{22})/.exec(setting)
  const cost = Number(parts?.[2])
  if (parts === null || cost < 4 || cost > 31) throw invalidSalt()
  const key = cycled(Buffer.concat([Buffer.from(password), Buffer.alloc(1)]).subarray(0, KEY_BYTES_MAX))
  const saltBytes = fromDigits(parts[3]!).subarray(0, 16)
  const salt = cycled(saltBytes)
  const cipher = new Blowfish()
  cipher.expand(key, salt.subarray(0, 4))
  for (let i = 0; i < 2 ** cost; i++) {
    cipher.expand(key)
    cipher.expand(salt)
    if (i % LOOK_EVERY === 0) checkInterrupts()
  }
  const out = Buffer.from(MAGIC)
  for (let at = 0; at < out.length; at += 8) {
    cipher.left = out.readUInt32BE(at)
    cipher.right = out.readUInt32BE(at + 4)
    for (let i = 0; i < 64; i++) cipher.encipher()
    out.writeUInt32BE(cipher.left, at)
    out.writeUInt32BE(cipher.right, at + 4)
  }
  return `${parts[1]}${parts[2]}$${toDigits(saltBytes)}${toDigits(out.subarray(0, 23))}`
}

// ── MD5 crypt ──────────────────────────────────────────────────────────────────────────────────────────────────

const CRYPT_DIGITS = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const md5 = (...parts: readonly Uint8Array[]): Buffer => {
  const hash = createHash('md5')
  for (const part of parts) hash.update(part)
  return hash.digest()
}

/** The digits of a number, lowest six bits first. */
const sixes = (value: number, count: number): string =>
  Array.from({ length: count }, (_, i) => CRYPT_DIGITS[(value >>> (6 * i)) & 63]).join('')

function md5Crypt(password: string, setting: string): string {
  const salt = Buffer.from(setting.slice(3).split('$')[0]!.slice(0, 8))
  const key = Buffer.from(password)
  const other = md5(key, salt, key)
  const parts: Buffer[] = [key, Buffer.from('$1$'), salt]
  for (let left = key.length; left > 0; left -= 16) parts.push(other.subarray(0, Math.min(16, left)))
  for (let n = key.length; n > 0; n >>= 1) parts.push((n & 1) === 1 ? Buffer.alloc(1) : key.subarray(0, 1))
  let sum = md5(...parts)
  for (let i = 0; i < 1000; i++) {
    const round: Buffer[] = [(i & 1) === 1 ? key : sum]
    if (i % 3 !== 0) round.push(salt)
    if (i % 7 !== 0) round.push(key)
    round.push((i & 1) === 1 ? sum : key)
    sum = md5(...round)
  }
  const three = (a: number, b: number, c: number): string => sixes((sum[a]! << 16) | (sum[b]! << 8) | sum[c]!, 4)
  const digits = [
    three(0, 6, 12),
    three(1, 7, 13),
    three(2, 8, 14),
    three(3, 9, 15),
    three(4, 10, 5),
    sixes(sum[11]!, 2),
  ]
  return `$1$${salt.toString()}$${digits.join('')}`
}

// ── The functions ──────────────────────────────────────────────────────────────────────────────────────────────

const invalidSalt = () => sqlError('22023', 'invalid salt')

export function crypt(password: string, setting: string, checkInterrupts: () => void): string {
  if (/^\$2[axy]?\$/.test(setting)) return bcrypt(password, setting, checkInterrupts)
  if (setting.startsWith('$1$')) return md5Crypt(password, setting)
  if (setting.length < 2) throw invalidSalt()
  throw notSupported('crypt with DES')
}

const BCRYPT_COST = 6
export function genSalt(type: string, rounds: number): string {
  switch (type.toLowerCase()) {
    case 'bf': {
      const cost = rounds === 0 ? BCRYPT_COST : rounds
      if (cost < 4 || cost > 31) throw sqlError('22023', 'gen_salt: Incorrect number of rounds')
      return `$2a$${String(cost).padStart(2, '0')}$${toDigits(randomBytes(16))}`
    }
    case 'md5':
      if (rounds !== 0 && rounds !== 1000) throw sqlError('22023', 'gen_salt: Incorrect number of rounds')
      return `$1$${[...randomBytes(8)].map((byte) => CRYPT_DIGITS[byte & 63]).join('')}`
    case 'des':
    case 'xdes':
      throw notSupported(`gen_salt('${type}')`)
    default:
      throw sqlError('22023', 'gen_salt: Unknown salt algorithm')
  }
}
