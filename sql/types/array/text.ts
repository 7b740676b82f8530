/**
 * An array's text form: `{1,2,NULL}`, `{{a,"b c"},{"",d}}`, `[0:1]={x,y}`. Reading goes over the text twice, as
 * PostgreSQL does: `countDimensions` walks the braces and finds every fault of shape, then `readElements` takes the
 * elements out of a text that is known to be well-formed. https://www.postgresql.org/docs/15/arrays.html#ARRAYS-IO
 */
import { checkDeadline } from '../deadline.ts'
import { sqlError } from '../error.ts'
import { ArrayValue, type Value } from '../value.ts'
import { checkBounds, DIMENSIONS_MAX, EMPTY_ARRAY, itemCount, tooManyDimensions } from './shape.ts'

const QUOTE = 34
const BACKSLASH = 92
const OPEN = 123
const CLOSE = 125

const isSpace = (code: number) => code === 32 || (code >= 9 && code <= 13)

const malformed = (text: string, detail: string) => sqlError('22P02', `malformed array literal: "${text}"`, { detail })

const unexpected = (text: string, code: number) =>
  malformed(text, `Unexpected "${String.fromCharCode(code)}" character.`)

/** Where the walk stands: what may follow depends on it. */
type Expecting =
  | 'no level'
  | 'level started'
  | 'element started'
  | 'quoted started'
  | 'quoted completed'
  | 'element delimited'
  | 'level completed'
  | 'level delimited'

/** The lengths of each dimension of the braces at `start`; empty for an array without elements. */
function countDimensions(text: string, start: number, delimiter: number): number[] {
  const lengths = [1, 1, 1, 1, 1, 1]
  const lengthsBefore = [0, 0, 0, 0, 0, 0]
  let at = start
  let level = 0
  let dimensions = 1
  let quoted = false
  let empty = true
  let state: Expecting = 'no level'
  for (let done = false; !done; at++) {
    if (at >= text.length) throw malformed(text, 'Unexpected end of input.')
    const code = text.charCodeAt(at)
    if (code === BACKSLASH) {
      if (
        state !== 'level started' &&
        state !== 'element started' &&
        state !== 'quoted started' &&
        state !== 'element delimited'
      )
        throw unexpected(text, code)
      if (state !== 'quoted started') state = 'element started'
      if (++at >= text.length) throw malformed(text, 'Unexpected end of input.')
    } else if (code === QUOTE) {
      if (state !== 'level started' && state !== 'quoted started' && state !== 'element delimited')
        throw malformed(text, 'Unexpected array element.')
      quoted = !quoted
      state = quoted ? 'quoted started' : 'quoted completed'
    } else if (quoted) {
    } else if (code === OPEN) {
      if (state !== 'no level' && state !== 'level started' && state !== 'level delimited') throw unexpected(text, code)
      state = 'level started'
      if (level >= DIMENSIONS_MAX) throw tooManyDimensions(level + 1)
      level++
      if (dimensions < level) dimensions = level
    } else if (code === CLOSE) {
      if (
        state !== 'element started' &&
        state !== 'quoted completed' &&
        state !== 'level completed' &&
        !(level === 1 && state === 'level started')
      )
        throw unexpected(text, code)
      if (state !== 'level completed' && state !== 'level started') empty = false
      state = 'level completed'
      level--
      if (lengthsBefore[level] !== 0 && lengths[level] !== lengthsBefore[level])
        throw malformed(text, 'Multidimensional arrays must have sub-arrays with matching dimensions.')
      lengthsBefore[level] = lengths[level]!
      lengths[level] = 1
      done = level === 0
    } else if (code === delimiter) {
      if (state !== 'element started' && state !== 'quoted completed' && state !== 'level completed')
        throw unexpected(text, code)
      if (state !== 'level completed') empty = false
      state = state === 'level completed' ? 'level delimited' : 'element delimited'
      lengths[level - 1]!++
    } else if (!isSpace(code)) {
      if (state !== 'level started' && state !== 'element started' && state !== 'element delimited')
        throw malformed(text, 'Unexpected array element.')
      state = 'element started'
    }
  }
  for (; at < text.length; at++)
    if (!isSpace(text.charCodeAt(at))) throw malformed(text, 'Junk after closing right brace.')
  // An element was begun, or the braces hold nothing at all.
  if (empty) return []
  return lengthsBefore.slice(0, dimensions)
}

/** The elements of well-formed braces in their order. */
function readElements(
  text: string,
  start: number,
  delimiter: number,
  element: (text: string) => Value,
  checkNull: (() => void) | undefined,
): Value[] {
  const elements: Value[] = []
  let at = start
  while (at < text.length) {
    const code = text.charCodeAt(at)
    if (code === OPEN || code === CLOSE || code === delimiter || isSpace(code)) {
      at++
      continue
    }
    let word = ''
    let literal = false
    if (code === QUOTE) {
      literal = true
      let from = ++at
      for (; text.charCodeAt(at) !== QUOTE; at++) {
        if (text.charCodeAt(at) !== BACKSLASH) continue
        word += text.slice(from, at)
        from = ++at
      }
      word += text.slice(from, at)
      at++
    } else {
      let from = at
      let solid = at // behind the last character that is no trailing space
      for (; at < text.length; at++) {
        const c = text.charCodeAt(at)
        if (c === delimiter || c === CLOSE) break
        if (c === BACKSLASH) {
          literal = true
          word += text.slice(from, at)
          from = ++at
          // An escaped character above U+FFFF is two units; the second is taken as an ordinary one.
          solid = at + 1
        } else if (!isSpace(c)) {
          solid = at + 1
        }
      }
      word += text.slice(from, solid)
    }
    if (!literal && word.length === 4 && word.toLowerCase() === 'null') {
      checkNull?.()
      elements.push(null)
    } else if ((elements.push(element(word)) & 4095) === 0) checkDeadline()
  }
  return elements
}

const BOUND = /[0-9+-]*/y
function readBound(text: string, at: number): string {
  BOUND.lastIndex = at
  return BOUND.exec(text)?.[0] ?? ''
}
const toInt32 = (digits: string) => Number.parseInt(digits, 10) | 0

/** Reads a whole array literal; `element` reads one element's text, `checkNull` may refuse NULL. Throws 22P02, 2202E, 54000. */
export function parseArray(
  text: string,
  delimiterText: string,
  element: (text: string) => Value,
  checkNull?: () => void,
): ArrayValue {
  const delimiter = delimiterText.charCodeAt(0)
  const dimensions: number[] = []
  const lower: number[] = []
  let at = 0
  for (;;) {
    while (isSpace(text.charCodeAt(at))) at++
    if (text[at] !== '[') break
    at++
    if (dimensions.length >= DIMENSIONS_MAX) throw tooManyDimensions(dimensions.length + 1)
    let digits = readBound(text, at)
    if (digits === '') throw malformed(text, '"[" must introduce explicitly-specified array dimensions.')
    at += digits.length
    let low = 1
    if (text[at] === ':') {
      low = toInt32(digits)
      digits = readBound(text, ++at)
      if (digits === '') throw malformed(text, 'Missing array dimension value.')
      at += digits.length
    }
    if (text[at] !== ']') throw malformed(text, 'Missing "]" after array dimensions.')
    at++
    const high = toInt32(digits)
    if (high < low) throw sqlError('2202E', 'upper bound cannot be less than lower bound')
    dimensions.push(high - low + 1)
    lower.push(low)
  }
  if (dimensions.length === 0) {
    if (text.charCodeAt(at) !== OPEN) throw malformed(text, 'Array value must start with "{" or dimension information.')
    for (const length of countDimensions(text, at, delimiter)) {
      dimensions.push(length)
      lower.push(1)
    }
  } else {
    if (text[at] !== '=') throw malformed(text, 'Missing "=" after array dimensions.')
    at++
    while (isSpace(text.charCodeAt(at))) at++
    if (text.charCodeAt(at) !== OPEN) throw malformed(text, 'Array contents must start with "{".')
    const found = countDimensions(text, at, delimiter)
    if (found.length !== dimensions.length || found.some((length, i) => length !== dimensions[i]))
      throw malformed(text, 'Specified array dimensions do not match array contents.')
  }
  const items = itemCount(dimensions)
  checkBounds(dimensions, lower)
  if (items === 0) return EMPTY_ARRAY
  const elements = readElements(text, at, delimiter, element, checkNull)
  if (elements.length !== items)
    throw malformed(text, 'Multidimensional arrays must have sub-arrays with matching dimensions.')
  return new ArrayValue(elements, dimensions, lower)
}

function quoted(word: string, delimiter: number): string {
  let quotes = word.length === 0 || (word.length === 4 && word.toLowerCase() === 'null')
  let escapes = false
  for (let i = 0; i < word.length; i++) {
    const code = word.charCodeAt(i)
    if (code === QUOTE || code === BACKSLASH) escapes = true
    else if (code === OPEN || code === CLOSE || code === delimiter || isSpace(code)) quotes = true
  }
  if (escapes) return `"${word.replace(/["\\]/g, '\\$&')}"`
  return quotes ? `"${word}"` : word
}

export function printArray(array: ArrayValue, delimiter: string, element: (value: Value) => string): string {
  const { elements, dimensions, lower } = array
  if (elements.length === 0) return '{}'
  const bounds = lower.every((low) => low === 1) ? '' : `${printBounds(array)}=`
  return bounds + printLevel(array, 0, 0, elements.length, delimiter, element, dimensions)
}

/** The elements from `from` to `to`, as the dimensions from `depth` on part them. */
function printLevel(
  array: ArrayValue,
  depth: number,
  from: number,
  to: number,
  delimiter: string,
  element: (value: Value) => string,
  dimensions: readonly number[],
): string {
  const done: string[] = []
  let text = '{'
  const step = (to - from) / dimensions[depth]!
  const leaf = depth + 1 === dimensions.length
  const code = delimiter.charCodeAt(0)
  for (let i = from; i < to; i += step) {
    if (i > from) text += delimiter
    if ((i & 4095) === 4095) {
      // A text that grows by a word at a time is a tree of them; it is made one text now and then.
      checkDeadline()
      done.push(text)
      text = ''
    }
    if (leaf) {
      const value = array.elements[i]!
      text += value === null ? 'NULL' : quoted(element(value), code)
    } else {
      text += printLevel(array, depth + 1, i, i + step, delimiter, element, dimensions)
    }
  }
  return done.length === 0 ? `${text}}` : `${done.join('')}${text}}`
}

/** '[1:2][0:3]', as array_dims and the text form have it. */
export const printBounds = (array: ArrayValue): string =>
  array.dimensions.map((length, i) => `[${array.lower[i]!}:${array.lower[i]! + length - 1}]`).join('')
