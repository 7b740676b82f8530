/**
 * The string functions that need no pattern language, by pg_proc.prosrc; positions and lengths are in code points.
 * Source: PostgreSQL manual, "String Functions and Operators".
 */

import { arrayTooLarge, ITEMS_MAX } from '../array/shape.ts'
import { sqlError } from '../error.ts'
import { type FunctionTable, scalar, set } from '../function.ts'
import { ArrayValue, type Value } from '../value.ts'
import { initcap, lower, upper } from './case.ts'
import { charIndex, charLength, hasSurrogate, sliceChars } from './chars.ts'
import { mapPieces, PIECE, Pieces, reversed, TEXT_MAX, tooLong, unitsText } from './long.ts'
import { quoteIdent, quoteLiteral } from './quote.ts'

const negativeLength = () => sqlError('22011', 'negative substring length not allowed')

/** substring(s, start, length): start counts from 1 and may lie before the string. */
function substring(s: string, start: number, length: number): string {
  if (length < 0) throw negativeLength()
  const end = start + length
  return end <= 1 ? '' : sliceChars(s, Math.max(start, 1) - 1, end - 1)
}
const substringFrom = (s: string, start: number): string => sliceChars(s, Math.max(start, 1) - 1, Infinity)

function overlay(s: string, part: string, start: number, length: number): string {
  if (start <= 0) throw negativeLength()
  if (start + length > 2147483647) throw sqlError('22003', 'integer out of range')
  return substring(s, 1, start - 1) + part + substringFrom(s, start + length)
}

function position(s: string, part: string): number {
  const at = s.indexOf(part)
  return at < 0 ? 0 : hasSurrogate(s) ? charIndex(s, at) + 1 : at + 1
}

function pad(s: string, length: number, fill: string, left: boolean): string {
  const wanted = Math.max(length, 0)
  if (wanted > TEXT_MAX) throw tooLong()
  const own = charLength(s)
  if (own >= wanted) return sliceChars(s, 0, wanted)
  if (fill === '') return s
  const missing = wanted - own
  const padding = sliceChars(fill.repeat(Math.ceil(missing / charLength(fill))), 0, missing)
  return left ? padding + s : s + padding
}

function repeat(s: string, count: number): string {
  if (count <= 0 || s === '') return ''
  if (s.length * count > TEXT_MAX) throw tooLong()
  return s.repeat(count)
}

function replace(s: string, from: string, to: string): string {
  if (from === '') return s
  if (s.length <= PIECE) return s.replaceAll(from, () => to)
  const out = new Pieces()
  let done = 0
  for (let at = s.indexOf(from); at >= 0; at = s.indexOf(from, done)) {
    out.add(s.slice(done, at) + to)
    done = at + from.length
  }
  if (done === 0) return s
  out.add(s.slice(done))
  return out.text()
}

/** Cuts characters of a set from either end. */
function trimSet(s: string, characters: string, left: boolean, right: boolean): string {
  const all = new Set(characters)
  if (!hasSurrogate(s)) {
    let from = 0
    let to = s.length
    if (left) while (from < to && all.has(s[from]!)) from++
    if (right) while (to > from && all.has(s[to - 1]!)) to--
    return s.slice(from, to)
  }
  const points = [...s]
  let from = 0
  let to = points.length
  if (left) while (from < to && all.has(points[from]!)) from++
  if (right) while (to > from && all.has(points[to - 1]!)) to--
  return points.slice(from, to).join('')
}

function translate(s: string, from: string, to: string): string {
  const targets = [...to]
  const map = new Map<string, string>()
  let i = 0
  for (const c of from) {
    if (!map.has(c)) map.set(c, targets[i] ?? '')
    i++
  }
  if (s.length > PIECE && !hasSurrogate(s) && !hasSurrogate(to)) return translateUnits(s, map)
  return mapPieces(s, (piece) => {
    let out = ''
    for (const c of piece) out += map.get(c) ?? c
    return out
  })
}

/** The same for a long text whose characters are one unit each. */
function translateUnits(s: string, map: ReadonlyMap<string, string>): string {
  const GONE = -1
  const units = new Int32Array(0x10000)
  for (let unit = 0; unit < units.length; unit++) units[unit] = unit
  for (const [from, to] of map) units[from.charCodeAt(0)] = to === '' ? GONE : to.charCodeAt(0)
  const out = new Uint16Array(s.length)
  let end = 0
  for (let i = 0; i < s.length; i++) {
    const unit = units[s.charCodeAt(i)]!
    if (unit !== GONE) out[end++] = unit
  }
  return unitsText(out.subarray(0, end))
}

/** The n-th field, from the end when n is negative; '' when there is none. */
function splitPart(s: string, separator: string, n: number): string {
  if (n === 0) throw sqlError('22023', 'field position must not be zero')
  if (s === '') return ''
  if (separator === '') return n === 1 || n === -1 ? s : ''
  let field = n
  if (n < 0) {
    // Fields are told from the left, however they are counted.
    let fields = 1
    for (let i = s.indexOf(separator); i >= 0; i = s.indexOf(separator, i + separator.length)) fields++
    field = fields + n + 1
    if (field <= 0) return ''
  }
  let at = 0
  for (; field > 1; field--) {
    const next = s.indexOf(separator, at)
    if (next < 0) return ''
    at = next + separator.length
  }
  const end = s.indexOf(separator, at)
  return s.slice(at, end < 0 ? s.length : end)
}

function characters(s: string): string[] {
  if (s.length > 2 * ITEMS_MAX) throw arrayTooLarge()
  return [...s]
}

/** string_to_array and string_to_table: no separator (null) splits into characters. */
function split(s: string | null, separator: string | null, nullText: string | null = null): (string | null)[] {
  if (s === null || s === '') return []
  const fields = separator === null ? characters(s) : separator === '' ? [s] : s.split(separator, ITEMS_MAX + 1)
  if (fields.length > ITEMS_MAX) throw arrayTooLarge()
  return nullText === null ? fields : fields.map((field) => (field === nullText ? null : field))
}
const toArray = (s: string | null, separator: string | null, nullText: string | null = null): Value =>
  s === null ? null : ArrayValue.of(split(s, separator, nullText))

function chr(n: number): string {
  if (n < 0) throw sqlError('22023', 'character number must be positive')
  if (n === 0) throw sqlError('54000', 'null character not permitted')
  if (n > 0x10ffff) throw sqlError('54000', `requested character too large for encoding: ${n}`)
  if (n >= 0xd800 && n <= 0xdfff) throw sqlError('54000', `requested character not valid for encoding: ${n}`)
  return String.fromCodePoint(n)
}

/** left(s, -2) is all but the last two. */
const left = (s: string, n: number): string => sliceChars(s, 0, n < 0 ? Math.max(charLength(s) + n, 0) : n)
const right = (s: string, n: number): string => {
  const length = charLength(s)
  return sliceChars(s, n < 0 ? Math.min(-n, length) : Math.max(length - n, 0), Infinity)
}

const FORMS: ReadonlySet<string> = new Set(['NFC', 'NFD', 'NFKC', 'NFKD'])
function normalize(s: string, form: string): string {
  const name = form.toUpperCase()
  if (!FORMS.has(name)) throw sqlError('22023', `invalid normalization form: ${form}`)
  return s.normalize(name)
}

const UNICODE_ESCAPE = /\\(?:(\\)|([0-9a-fA-F]{4})|\+([0-9a-fA-F]{6})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))?/g
const invalidPair = () => sqlError('42601', 'invalid Unicode surrogate pair')

/** unistr: \XXXX, \+XXXXXX, \uXXXX and \UXXXXXXXX. */
function unistr(s: string): string {
  const out = s.replace(UNICODE_ESCAPE, (_all, backslash, four, six, short, long) => {
    if (backslash !== undefined) return '\\'
    const digits: string | undefined = four ?? six ?? short ?? long
    if (digits === undefined) {
      throw sqlError('42601', 'invalid Unicode escape', {
        hint: 'Unicode escapes must be \\XXXX, \\+XXXXXX, \\uXXXX, or \\UXXXXXXXX.',
      })
    }
    const point = Number.parseInt(digits, 16)
    if (point === 0 || point > 0x10ffff)
      throw sqlError('22023', `invalid Unicode code point: ${point.toString(16).toUpperCase().padStart(4, '0')}`)
    return String.fromCodePoint(point)
  })
  if (/[\ud800-\udfff]/u.test(out)) throw invalidPair()
  return out
}

const blanksBoth = (s: string): string => trimSet(s, ' ', true, true)

export const STRING_FUNCTIONS: FunctionTable = {
  upper: scalar(upper),
  lower: scalar(lower),
  initcap: scalar(initcap),
  textoctetlen: scalar((s: string) => Buffer.byteLength(s)),
  bpcharoctetlen: scalar((s: string) => Buffer.byteLength(s)),
  'bit_length(text)': scalar((s: string) => Buffer.byteLength(s) * 8),
  text_substr: scalar(substring),
  text_substr_no_len: scalar(substringFrom),
  textoverlay: scalar(overlay),
  textoverlay_no_len: scalar((s: string, part: string, start: number) => overlay(s, part, start, charLength(part))),
  textpos: scalar(position),
  lpad: scalar((s: string, length: number, fill: string) => pad(s, length, fill, true)),
  rpad: scalar((s: string, length: number, fill: string) => pad(s, length, fill, false)),
  'lpad(text,int4)': scalar((s: string, length: number) => pad(s, length, ' ', true)),
  'rpad(text,int4)': scalar((s: string, length: number) => pad(s, length, ' ', false)),
  btrim: scalar((s: string, all: string) => trimSet(s, all, true, true)),
  btrim1: scalar(blanksBoth),
  ltrim: scalar((s: string, all: string) => trimSet(s, all, true, false)),
  ltrim1: scalar((s: string) => trimSet(s, ' ', true, false)),
  rtrim: scalar((s: string, all: string) => trimSet(s, all, false, true)),
  repeat: scalar(repeat),
  replace_text: scalar(replace),
  translate: scalar(translate),
  text_reverse: scalar(reversed),
  split_part: scalar(splitPart),
  text_to_array: scalar((s: string | null, by: string | null) => toArray(s, by)),
  text_to_array_null: scalar((s: string | null, by: string | null, nullText: string | null) =>
    toArray(s, by, nullText),
  ),
  text_to_table: set(() => (s: string | null, by: string | null) => split(s, by)),
  text_to_table_null: set(
    () => (s: string | null, by: string | null, nullText: string | null) => split(s, by, nullText),
  ),
  text_starts_with: scalar((s: string, prefix: string) => s.startsWith(prefix), {
    js: (s, prefix) => `${s}.startsWith(${prefix})`,
  }),
  text_left: scalar(left),
  text_right: scalar(right),
  ascii: scalar((s: string) => s.codePointAt(0) ?? 0),
  chr: scalar(chr),
  quote_ident: scalar(quoteIdent),
  quote_literal: scalar(quoteLiteral),
  quote_nullable: scalar((s: string | null) => (s === null ? 'NULL' : quoteLiteral(s))),
  unicode_normalize_func: scalar(normalize),
  unicode_is_normalized: scalar((s: string, form: string) => normalize(s, form) === s),
  unistr: scalar(unistr),
  parse_ident: scalar(parseIdent),
}

const PART_START = /[\p{L}_\u0080-\uffff]/u
const PART_REST = /[\p{L}\p{N}_$\u0080-\uffff]/u
const isSpace = (c: string | undefined): boolean => c !== undefined && ' \t\n\v\f\r'.includes(c)

/** Splits a qualified name into its parts, folding unquoted ones to lower case. */
function parseIdent(text: string, strict: boolean): ArrayValue {
  const invalid = (detail?: string) =>
    sqlError('22023', `string is not a valid identifier: "${text}"`, detail === undefined ? {} : { detail })
  const parts: string[] = []
  let at = 0
  const skip = (): void => {
    while (isSpace(text[at])) at++
  }
  skip()
  let afterDot = false
  for (;;) {
    if (text[at] === '"') {
      let part = ''
      for (at++; ; at++) {
        if (at >= text.length) throw invalid('String has unclosed double quotes.')
        if (text[at] !== '"') part += text[at]
        else if (text[at + 1] === '"') part += text[at++]
        else break
      }
      at++
      if (part === '') throw invalid('Quoted identifier must not be empty.')
      parts.push(part)
    } else if (at < text.length && PART_START.test(text[at]!)) {
      const start = at
      while (at < text.length && PART_REST.test(text[at]!)) at++
      parts.push(lower(text.slice(start, at)))
    } else if (text[at] === '.') throw invalid('No valid identifier before ".".')
    else if (afterDot) throw invalid('No valid identifier after ".".')
    else throw invalid()
    skip()
    if (text[at] === '.') {
      afterDot = true
      at++
      skip()
    } else if (at >= text.length || !strict) return ArrayValue.of(parts)
    else throw invalid()
  }
}
