/**
 * The text form of lexemes, which tsvector and tsquery share: words between blanks, quoted words ('it''s'), a backslash
 * before what should lose its meaning, and in a tsvector positions with weights (`cat:1A,5`).
 * https://www.postgresql.org/docs/15/datatype-textsearch.html
 */
import { oid } from '../../../storage/keys/brand.ts'
import { type SqlError, sqlError } from '../error.ts'
import { isDigit, isSpaceAt } from './characters.ts'
import { engineeredSort } from './engineered-sort.ts'

export const TSVECTOR = oid(3614)
export const TSQUERY = oid(3615)

export const POSITION_MAX = 16383
const POSITION_LIMIT = 16384
/** Bytes of one lexeme, exclusive; of all lexemes of a vector. */
export const LEXEME_BYTES_LIMIT = 2047
export const VECTOR_BYTES_MAX = (1 << 20) - 1
/** Positions a lexeme keeps. */
export const POSITIONS_MAX = 256

const WEIGHT_SHIFT = 14
export const positionOf = (code: number): number => code & POSITION_MAX
export const weightOf = (code: number): number => code >> WEIGHT_SHIFT
export const withWeight = (position: number, weight: number): number => (weight << WEIGHT_SHIFT) | position
export const limitedPosition = (position: number): number => Math.min(position, POSITION_MAX)

/** Who reads: a tsvector's input, a tsquery's (operators end a word), or a web search (quotes and backslashes are nothing). */
export type ReaderStyle = 'vector' | 'query' | 'web'

export interface Lexeme {
  readonly text: string
  readonly positions: number[]
}

export const isOperator = (c: string | undefined): boolean => c !== undefined && '!&|()<'.includes(c)

const WEIGHTS: Readonly<Record<string, number>> = { a: 3, A: 3, '*': 3, b: 2, B: 2, c: 1, C: 1, d: 0, D: 0 }

export class LexemeReader {
  readonly #text: string
  readonly #style: ReaderStyle
  /** UTF-16 offset of what comes next. */
  at: number

  constructor(text: string, style: ReaderStyle, at = 0) {
    this.#text = text
    this.#style = style
    this.at = at
  }

  #error(): SqlError {
    const name = this.#style === 'vector' ? 'tsvector' : 'tsquery'
    return sqlError('42601', `syntax error in ${name}: "${this.#text}"`)
  }

  /** The next lexeme; undefined at the end of the text. Throws 42601. */
  next(): Lexeme | undefined {
    const text = this.#text
    const web = this.#style === 'web'
    while (this.at < text.length && isSpaceAt(text, this.at)) this.at++
    const first = text[this.at]
    if (first === undefined) return undefined
    if (!web && first === "'") return this.#quoted()
    if (this.#style !== 'vector' && isOperator(first)) throw this.#error()
    if (web && first === '"') throw this.#error()
    return this.#bare()
  }

  #escaped(): string {
    const c = this.#text.codePointAt(++this.at)
    if (c === undefined) throw sqlError('42601', `there is no escaped character: "${this.#text}"`)
    const escaped = String.fromCodePoint(c)
    this.at += escaped.length
    return escaped
  }

  #bare(): Lexeme {
    const text = this.#text
    const web = this.#style === 'web'
    const delimited = this.#style !== 'vector'
    let word = ''
    for (;;) {
      const c = text[this.at]
      if (!web && c === '\\') {
        word += this.#escaped()
        continue
      }
      if (c === undefined || isSpaceAt(text, this.at) || (delimited && isOperator(c)) || (web && c === '"')) {
        if (word === '') throw this.#error()
        return { text: word, positions: [] }
      }
      // The first character is part of the word whatever it is.
      if (c === ':' && word !== '') {
        if (delimited) return { text: word, positions: [] }
        this.at++
        return { text: word, positions: this.#positions() }
      }
      word += c
      this.at++
    }
  }

  #quoted(): Lexeme {
    const text = this.#text
    let word = ''
    this.at++
    for (;;) {
      const c = text[this.at]
      if (c === undefined) throw this.#error()
      if (c === '\\') {
        word += this.#escaped()
        continue
      }
      this.at++
      if (c !== "'") word += c
      else if (text[this.at] === "'") {
        word += "'"
        this.at++
      } else break
    }
    if (word === '') throw this.#error()
    if (this.#style !== 'vector' || text[this.at] !== ':') return { text: word, positions: [] }
    this.at++
    return { text: word, positions: this.#positions() }
  }

  /** `1A,5,7*`: each a number and at most one weight (none after a weight but D's repetition, as PostgreSQL has it). */
  #positions(): number[] {
    const text = this.#text
    const positions: number[] = []
    for (;;) {
      if (!isDigit(text[this.at])) throw this.#error()
      const start = this.at
      while (isDigit(text[this.at])) this.at++
      // What C's atoi makes of it: numbers that do not fit are cut to the limit.
      const position = limitedPosition(Number(text.slice(start, this.at)))
      if (position === 0) throw sqlError('42601', `wrong position info in tsvector: "${text}"`)
      let weight = 0
      for (;;) {
        const c = text[this.at]
        if (c === ',') break
        const given = c === undefined ? undefined : WEIGHTS[c]
        if (given !== undefined) {
          if (weight !== 0) throw this.#error()
          weight = given
        } else if (c === undefined || isSpaceAt(text, this.at)) {
          positions.push(withWeight(position, weight))
          return positions
        } else if (!isDigit(c)) throw this.#error()
        this.at++
      }
      positions.push(withWeight(position, weight))
      this.at++
    }
  }
}

/** A tsvector keeps each position once, with its greatest weight, and at most 256 of them. */
export function uniquePositions(codes: readonly number[]): readonly number[] {
  if (codes.length < 2) return codes
  const sorted = engineeredSort([...codes], (a, b) => positionOf(a) - positionOf(b))
  const kept: number[] = [sorted[0]!]
  for (let i = 1; i < sorted.length; i++) {
    const code = sorted[i]!
    const last = kept.at(-1)!
    if (positionOf(code) !== positionOf(last)) {
      kept.push(code)
      if (kept.length >= POSITIONS_MAX || positionOf(code) === POSITION_LIMIT - 1) break
    } else if (weightOf(code) > weightOf(last)) kept[kept.length - 1] = code
  }
  return kept
}

/** A lexeme as both types print it: in quotes, quotes and backslashes doubled. */
export const quoteLexeme = (text: string): string => `'${text.replace(/['\\]/g, '$&$&')}'`
