/**
 * The text of ranges, `[1,5)` `("a b",)` `empty`, and of multiranges, `{[1,3),[5,)}`.
 * https://www.postgresql.org/docs/15/rangetypes.html#RANGETYPES-IO
 */
import { sqlError } from '../error.ts'
import type { MultirangeValue, RangeValue, Value } from '../value.ts'

const isSpace = (c: string | undefined): boolean => c !== undefined && (c === ' ' || (c >= '\t' && c <= '\r'))
const EMPTY = 'empty'
const isEmptyWord = (text: string, at: number): boolean => text.slice(at, at + EMPTY.length).toLowerCase() === EMPTY

function afterSpace(text: string, at: number): number {
  while (isSpace(text[at])) at++
  return at
}

/** A range's bounds as texts; a bound that is null is infinite. */
export interface RangeText {
  readonly isEmpty: boolean
  readonly lower: string | null
  readonly upper: string | null
  readonly lowerInclusive: boolean
  readonly upperInclusive: boolean
}
const NOTHING: RangeText = { isEmpty: true, lower: null, upper: null, lowerInclusive: false, upperInclusive: false }

/** Throws 22P02. */
export function parseRange(text: string): RangeText {
  const malformed = (detail: string) => sqlError('22P02', `malformed range literal: "${text}"`, { detail })
  let at = afterSpace(text, 0)
  if (isEmptyWord(text, at)) {
    if (afterSpace(text, at + EMPTY.length) < text.length) throw malformed('Junk after "empty" key word.')
    return NOTHING
  }
  const open = text[at++]
  if (open !== '[' && open !== '(') throw malformed('Missing left parenthesis or bracket.')
  const bound = (): string | null => {
    if (text[at] === ',' || text[at] === ')' || text[at] === ']') return null
    let word = ''
    let quoted = false
    for (;;) {
      const c = text[at]
      if (c === undefined) throw malformed('Unexpected end of input.')
      if (!quoted && (c === ',' || c === ')' || c === ']')) return word
      at++
      if (c === '\\') {
        if (at >= text.length) throw malformed('Unexpected end of input.')
        word += text[at++]
      } else if (c !== '"') word += c
      else if (!quoted) quoted = true
      else if (text[at] === '"') {
        word += '"'
        at++
      } else quoted = false
    }
  }
  const lower = bound()
  if (text[at++] !== ',') throw malformed('Missing comma after lower bound.')
  const upper = bound()
  const close = text[at++]
  if (close !== ']' && close !== ')') throw malformed('Too many commas.')
  if (afterSpace(text, at) < text.length) throw malformed('Junk after right parenthesis or bracket.')
  return { isEmpty: false, lower, upper, lowerInclusive: open === '[', upperInclusive: close === ']' }
}

const quoteBound = (text: string): string =>
  text === '' || /[\s"\\()[\],]/.test(text) ? `"${text.replace(/["\\]/g, '$&$&')}"` : text

export function printRange(range: RangeValue, print: (value: Value) => string): string {
  if (range.isEmpty) return EMPTY
  const bound = (value: Value) => (value === null ? '' : quoteBound(print(value)))
  const open = range.lowerInclusive ? '[' : '('
  const close = range.upperInclusive ? ']' : ')'
  return `${open}${bound(range.lower)},${bound(range.upper)}${close}`
}

/** The ranges between a multirange's braces, each as its own text. Throws 22P02. */
export function splitMultirange(text: string): string[] {
  const malformed = (detail: string) => sqlError('22P02', `malformed multirange literal: "${text}"`, { detail })
  const found: string[] = []
  let at = afterSpace(text, 0)
  if (text[at++] !== '{') throw malformed('Missing left brace.')
  for (let isFirst = true; ; isFirst = false) {
    at = afterSpace(text, at)
    if (at >= text.length) throw malformed('Unexpected end of input.')
    if (isFirst && text[at] === '}') break
    if (text[at] === '[' || text[at] === '(') {
      const end = endOfRange(text, at)
      if (end < 0) throw malformed('Unexpected end of input.')
      found.push(text.slice(at, end))
      at = end
    } else if (isEmptyWord(text, at)) {
      found.push(EMPTY)
      at += EMPTY.length
    } else throw malformed('Expected range start.')
    at = afterSpace(text, at)
    if (at >= text.length) throw malformed('Unexpected end of input.')
    if (text[at] === '}') break
    if (text[at] !== ',') throw malformed('Expected comma or end of multirange.')
    at++
  }
  if (afterSpace(text, at + 1) < text.length) throw malformed('Junk after closing right brace.')
  return found
}

/** Behind the bracket that closes the range at `start`; -1 when none does. */
function endOfRange(text: string, start: number): number {
  let quoted = false
  for (let at = start; at < text.length; at++) {
    const c = text[at]
    if (c === '\\') at++
    else if (c === '"') quoted = !quoted
    else if (!quoted && (c === ']' || c === ')')) return at + 1
  }
  return -1
}

export const printMultirange = (value: MultirangeValue, print: (value: Value) => string): string =>
  `{${value.ranges.map((range) => printRange(range, print)).join()}}`
