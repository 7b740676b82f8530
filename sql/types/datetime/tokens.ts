/**
 * Cuts the text of a date, time or interval into fields, each with a first guess of what it is; decode.ts and
 * decode-interval.ts give them meaning. Whitespace and stray punctuation only part fields; words become lower case.
 *
 *     'Jan 8 1999 04:05:06 -8'  ─►  word jan · number 8 · number 1999 · time 04:05:06 · zone -8
 */

import { failure } from './failure.ts'
import { dateWord } from './words.ts'

export interface Token {
  /** `special` is a signed word (+infinity); `zone` a signed number, which in an interval is a quantity. */
  kind: 'number' | 'word' | 'date' | 'time' | 'zone' | 'special'
  text: string
}

const FIELDS_MAX = 25
const isDigit = (c: number): boolean => c >= 48 && c <= 57
const isAlpha = (c: number): boolean => (c >= 97 && c <= 122) || (c >= 65 && c <= 90)
const isSpace = (c: number): boolean => c === 32 || (c >= 9 && c <= 13)
const isPunctuation = (c: number): boolean => c > 32 && c < 127 && !isDigit(c) && !isAlpha(c)

const COLON = 58
const DOT = 46
const MINUS = 45
const PLUS = 43
const SLASH = 47

const codeAt = (text: string, at: number): number => (at < text.length ? text.charCodeAt(at) : 0)
function afterDigits(text: string, start: number): number {
  let at = start
  while (isDigit(codeAt(text, at))) at++
  return at
}

/** Throws failure.format when the text has another shape, or is longer than `lengthMax` in all its fields. */
export function tokenize(text: string, lengthMax: number): Token[] {
  const tokens: Token[] = []
  const length = text.length
  let used = 0
  let at = 0
  while (at < length) {
    const c = codeAt(text, at)
    if (isSpace(c)) {
      at++
      continue
    }
    let start = at
    let prefix = ''
    let kind: Token['kind']
    if (isDigit(c)) {
      at = afterDigits(text, at)
      const delimiter = codeAt(text, at)
      if (delimiter === COLON) {
        kind = 'time'
        at++
        while (isDigit(codeAt(text, at)) || codeAt(text, at) === COLON || codeAt(text, at) === DOT) at++
      } else if (delimiter === MINUS || delimiter === SLASH || delimiter === DOT) {
        at++
        if (isDigit(codeAt(text, at))) {
          kind = delimiter === DOT ? 'number' : 'date'
          at = afterDigits(text, at)
          if (codeAt(text, at) === delimiter) {
            kind = 'date'
            at++
            while (isDigit(codeAt(text, at)) || codeAt(text, at) === delimiter) at++
          }
        } else {
          kind = 'date'
          while (isDigit(codeAt(text, at)) || isAlpha(codeAt(text, at)) || codeAt(text, at) === delimiter) at++
        }
      } else kind = 'number'
    } else if (c === DOT) {
      kind = 'number'
      at++
      at = afterDigits(text, at)
    } else if (isAlpha(c)) {
      kind = 'word'
      while (isAlpha(codeAt(text, at))) at++
      const next = codeAt(text, at)
      const isDate =
        next === MINUS ||
        next === SLASH ||
        next === DOT ||
        ((next === PLUS || isDigit(next)) && dateWord(text.slice(start, at).toLowerCase()) === undefined)
      if (isDate) {
        kind = 'date'
        do at++
        while (isDigit(codeAt(text, at)) || isAlpha(codeAt(text, at)) || '+-/_.:'.includes(text[at] ?? '?'))
      }
    } else if (c === PLUS || c === MINUS) {
      prefix = c === PLUS ? '+' : '-'
      at++
      while (isSpace(codeAt(text, at))) at++
      start = at
      if (isDigit(codeAt(text, at))) {
        kind = 'zone'
        while (
          isDigit(codeAt(text, at)) ||
          codeAt(text, at) === COLON ||
          codeAt(text, at) === DOT ||
          codeAt(text, at) === MINUS
        )
          at++
      } else if (isAlpha(codeAt(text, at))) {
        kind = 'special'
        while (isAlpha(codeAt(text, at))) at++
      } else throw failure.format
    } else if (isPunctuation(c)) {
      at++
      continue
    } else throw failure.format
    const field = prefix + text.slice(start, at)
    used += field.length + 1
    if (used > lengthMax || tokens.length >= FIELDS_MAX) throw failure.format
    tokens.push({ kind, text: kind === 'number' || kind === 'time' || kind === 'zone' ? field : field.toLowerCase() })
  }
  return tokens
}

/** The whole number at the start of a text, and where it ends; `value` is NaN when it does not fit 32 bits. */
export function leadingInteger(text: string, start: number): { readonly value: number; readonly end: number } {
  let at = start
  const sign = text.charCodeAt(at)
  if (sign === PLUS || sign === MINUS) at++
  const first = at
  let value = 0
  while (at < text.length) {
    const digit = text.charCodeAt(at) - 48
    if (digit < 0 || digit > 9) break
    value = value * 10 + digit
    at++
  }
  if (at === first) return { value: 0, end: start }
  if (sign === MINUS) value = -value
  return { value: value > 2147483647 || value < -2147483648 ? Number.NaN : value, end: at }
}

/** A fraction '.25' that ends the text, below 1; '.' alone is 0. */
export function fraction(text: string, start: number): number {
  const rest = text.slice(start)
  if (rest === '.') return 0
  if (!/^\.\d+$/.test(rest)) throw failure.format
  return Number(`0${rest}`)
}
