/**
 * Elements of vectors as text: float4s read as strtof reads them, printed as PostgreSQL prints them, and the list in
 * brackets that vector and halfvec share. Every message names the type. https://github.com/pgvector/pgvector
 */
import { sqlError } from '../error.ts'
import { float4ToText, parseFloat4 } from '../number/float-text.ts'

const isSpace = (code: number) => code === 32 || (code >= 9 && code <= 13)

/** What strtof takes: decimal and hexadecimal numbers, infinity and NaN. */
const NUMBER =
  /[+-]?(?:0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)(?:[pP][+-]?\d+)?|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|inf(?:inity)?|nan)/iy
const PLAIN = /^[+-]?[\d.]/

const double = new Float64Array(1)
const halves = new Uint32Array(double.buffer)
const LOW = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? 0 : 1
const FLOAT4_NORMAL_MIN = 1.1754943508222875e-38

/** What is not 0 but too small for a float4. */
const VANISHES = /^[+-]?[0.]*[1-9]/

/** 22003 */
export const outOfRange = (word: string, type: string) =>
  sqlError('22003', `"${word}" is out of range for type ${type}`)

/** The float4 next to a number's text, rounded once; too large is 22003, too small is zero. */
export function readFloat4(text: string, type: string): number {
  const exact = Number(text)
  const rounded = Math.fround(exact)
  double[0] = exact
  // Exactly between two float4s (or below their normal range) the double's own rounding may have decided wrongly.
  const between = (halves[LOW]! & 0x1fff_ffff) === 0x1000_0000
  const size = Math.abs(exact)
  if (!between && size >= FLOAT4_NORMAL_MIN && size < Infinity && Number.isFinite(rounded)) return rounded
  if (PLAIN.test(text) && !/^[+-]?0[xX]/.test(text)) {
    if (!Number.isFinite(rounded)) throw outOfRange(text, type)
    if (rounded === 0) return rounded
  }
  return parseFloat4(text)
}

/** Whether the text is of a number that is not 0: what reads as 0 then was too small. */
export const isNonZero = (text: string): boolean => VANISHES.test(text)

/** 22P02 */
export const malformed = (text: string, type: string, detail?: string) =>
  sqlError('22P02', `invalid input syntax for type ${type}: "${text}"`, detail === undefined ? {} : { detail })

export function afterSpaces(text: string, start: number): number {
  let at = start
  while (isSpace(text.charCodeAt(at))) at++
  return at
}

/** The number's text at that place; undefined when there is none. */
export function numberAt(text: string, at: number): string | undefined {
  NUMBER.lastIndex = at
  return NUMBER.exec(text)?.[0]
}

/** `[1, 2.5]`: each element's text is given to `read`; how many there may be is the caller's to say. */
export function parseElements(text: string, type: string, max: number, read: (word: string) => number): number[] {
  let at = afterSpaces(text, 0)
  if (text[at] !== '[') throw malformed(text, type, 'Vector contents must start with "[".')
  at = afterSpaces(text, at + 1)
  if (text[at] === ']') throw sqlError('22000', `${type} must have at least 1 dimension`)
  const elements: number[] = []
  for (;;) {
    if (elements.length === max) throw sqlError('54000', `${type} cannot have more than ${max} dimensions`)
    at = afterSpaces(text, at)
    const word = numberAt(text, at)
    if (word === undefined) throw malformed(text, type)
    elements.push(read(word))
    at = afterSpaces(text, at + word.length)
    const next = text[at++]
    if (next === ']') break
    if (next !== ',') throw malformed(text, type)
  }
  at = afterSpaces(text, at)
  if (at < text.length) throw malformed(text, type, 'Junk after closing right brace.')
  return elements
}

const POWERS = Array.from({ length: 14 }, (_, i) => 10 ** i)
const ZEROS = ['', '0', '00', '000']

/**
 * PostgreSQL's text of a float4, the shortest decimal that reads back. Between 1e-4 and 1e5 it is found by arithmetic:
 * the nearest decimal of p digits is one exact division of doubles, more digits only come nearer, so the least p that
 * reads back is the answer. What is at a border between two float4s goes the long way.
 */
export function float4Text(n: number): string {
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
