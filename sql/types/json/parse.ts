/**
 * JSON text, read once from left to right by PostgreSQL's grammar and with its errors (detail and context to the
 * character). What comes out is up to a `Builder`: nothing (json's input only checks), jsonb's tree, or a tree of spans
 * over the text, by which the functions on json give back pieces of the text as they were written.
 * https://www.postgresql.org/docs/15/datatype-json.html
 *
 * No closures are made while reading: the loader that runs TypeScript names each one it meets, which costs more than the
 * reading itself.
 */
import { checkDeadline } from '../deadline.ts'
import { type SqlError, sqlError } from '../error.ts'

/** Arrays and objects inside each other: half of what the deepest recursion over trees can take. PostgreSQL's bound is its stack, some thousands. */
export const DEPTH_MAX = 1200

export interface Builder<T> {
  /** False: strings are checked, not decoded (surrogates and \u0000 are let through), and `decoded` is ''. */
  readonly decode: boolean
  string(decoded: string, start: number, end: number): T
  number(text: string, start: number, end: number): T
  literal(value: boolean | null, start: number, end: number): T
  array(items: T[], start: number, end: number): T
  object(keys: string[], values: T[], start: number, end: number): T
}

export const depthError = (): SqlError =>
  sqlError('54001', 'stack depth limit exceeded', {
    hint:
      'Increase the configuration parameter "max_stack_depth" (currently 2048kB), after ensuring the platform\'s ' +
      'stack depth limit is adequate.',
  })

type Token = '{' | '}' | '[' | ']' | ',' | ':' | 'string' | 'number' | 'true' | 'false' | 'null' | 'end'

const PUNCTUATION: Readonly<Record<number, Token>> = { 123: '{', 125: '}', 91: '[', 93: ']', 44: ',', 58: ':' }
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
}
const HEX = /^[0-9a-fA-F]$/

const isDigit = (c: number) => c >= 48 && c <= 57
/** What belongs to a word, so that `truex` and `12abc` are reported whole. */
const isWord = (c: number) => isDigit(c) || (c >= 65 && c <= 90) || (c >= 97 && c <= 122) || c === 95 || c >= 128
/** The end of the character at `at`, which may be two units. */
const characterEnd = (text: string, at: number) =>
  Math.min(text.length, at + ((text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1))

class Parser<T> {
  readonly #text: string
  readonly #builder: Builder<T>
  #at = 0
  #line = 1
  #lineStart = 0
  #token: Token = 'end'
  #tokenStart = 0
  #tokenEnd = 0
  #string = ''
  #depth = 0

  constructor(text: string, builder: Builder<T>) {
    this.#text = text
    this.#builder = builder
  }

  parse(): T {
    this.#next()
    const value = this.#value()
    if (this.#token !== 'end') throw this.#unexpected('end of input')
    return value
  }

  #value(): T {
    const start = this.#tokenStart
    const end = this.#tokenEnd
    switch (this.#token) {
      case '{':
        return this.#object(start)
      case '[':
        return this.#array(start)
      case 'string': {
        const decoded = this.#string
        this.#next()
        return this.#builder.string(decoded, start, end)
      }
      case 'number':
        this.#next()
        return this.#builder.number(this.#text.slice(start, end), start, end)
      case 'true':
      case 'false':
      case 'null': {
        const value = this.#token === 'null' ? null : this.#token === 'true'
        this.#next()
        return this.#builder.literal(value, start, end)
      }
      default:
        throw this.#unexpected('JSON value')
    }
  }

  #array(start: number): T {
    if (++this.#depth > DEPTH_MAX) throw depthError()
    const items: T[] = []
    this.#next()
    if (this.#token !== ']') {
      items.push(this.#value())
      while (this.#token === ',') {
        this.#next()
        if ((items.push(this.#value()) & 4095) === 0) checkDeadline()
      }
    }
    if (this.#token !== ']') throw this.#unexpected('"," or "]"')
    const end = this.#tokenEnd
    this.#depth--
    this.#next()
    return this.#builder.array(items, start, end)
  }

  #object(start: number): T {
    if (++this.#depth > DEPTH_MAX) throw depthError()
    const keys: string[] = []
    const values: T[] = []
    this.#next()
    if (this.#is('string')) {
      this.#field(keys, values)
      while (this.#is(',')) {
        this.#next()
        if (!this.#is('string')) throw this.#unexpected('string')
        this.#field(keys, values)
        if ((keys.length & 4095) === 0) checkDeadline()
      }
      if (!this.#is('}')) throw this.#unexpected('"," or "}"')
    } else if (!this.#is('}')) {
      throw this.#unexpected('string or "}"')
    }
    const end = this.#tokenEnd
    this.#depth--
    this.#next()
    return this.#builder.object(keys, values, start, end)
  }

  #field(keys: string[], values: T[]): void {
    keys.push(this.#string)
    this.#next()
    if (this.#token !== ':') throw this.#unexpected('":"')
    this.#next()
    values.push(this.#value())
  }

  #is(token: Token): boolean {
    return this.#token === token
  }

  #next(): void {
    const text = this.#text
    let at = this.#at
    let code = text.charCodeAt(at)
    while (code === 32 || code === 9 || code === 10 || code === 13) {
      at++
      if (code === 10) {
        this.#line++
        this.#lineStart = at
      }
      code = text.charCodeAt(at)
    }
    this.#tokenStart = at
    if (at >= text.length) {
      this.#token = 'end'
      this.#tokenEnd = this.#at = at
      return
    }
    if (code === 34) {
      this.#lexString(at)
    } else if (code === 45 || isDigit(code)) {
      this.#lexNumber(code === 45 ? at + 1 : at)
    } else {
      const token = PUNCTUATION[code]
      if (token !== undefined) {
        this.#token = token
        this.#tokenEnd = this.#at = at + 1
        return
      }
      this.#lexWord(at)
    }
    this.#at = this.#tokenEnd
  }

  #lexWord(start: number): void {
    const text = this.#text
    let at = start
    while (at < text.length && isWord(text.charCodeAt(at))) at++
    const word = text.slice(start, at)
    if (word !== 'true' && word !== 'false' && word !== 'null') {
      this.#tokenEnd = at === start ? characterEnd(text, at) : at
      throw this.#invalidToken()
    }
    this.#token = word
    this.#tokenEnd = at
  }

  #lexNumber(start: number): void {
    const text = this.#text
    let at = start
    let bad = false
    if (text.charCodeAt(at) === 48) at++
    else {
      at = this.#digitsEnd(start)
      bad = at === start
    }
    if (text.charCodeAt(at) === 46) {
      const fraction = ++at
      at = this.#digitsEnd(at)
      if (at === fraction) bad = true
    }
    let code = text.charCodeAt(at)
    if (code === 101 || code === 69) {
      code = text.charCodeAt(++at)
      if (code === 43 || code === 45) at++
      const exponent = at
      at = this.#digitsEnd(at)
      if (at === exponent) bad = true
    }
    for (; at < text.length && isWord(text.charCodeAt(at)); at++) bad = true
    this.#token = 'number'
    this.#tokenEnd = at
    if (bad) throw this.#invalidToken()
  }

  #digitsEnd(start: number): number {
    let at = start
    while (isDigit(this.#text.charCodeAt(at))) at++
    return at
  }

  #lexString(start: number): void {
    const text = this.#text
    const decode = this.#builder.decode
    let at = start + 1
    let from = at
    let decoded = ''
    let high = -1 // a high surrogate that waits for its other half
    for (; ; at++) {
      const code = text.charCodeAt(at)
      if (code === 34) break
      if (at >= text.length) {
        this.#tokenEnd = at
        throw this.#invalidToken()
      }
      if (code < 32)
        throw this.#failAt(at, `Character with value 0x${code.toString(16).padStart(2, '0')} must be escaped.`)
      if (code !== 92) {
        if (high !== -1) throw this.#lowMissing(at)
        continue
      }
      if (decode) decoded += text.slice(from, at)
      at++
      const letter = text[at]
      if (letter === undefined) {
        this.#tokenEnd = at
        throw this.#invalidToken()
      }
      if (letter !== 'u') {
        const plain = ESCAPES[letter]
        if (high !== -1) throw this.#lowMissing(at)
        if (plain === undefined) {
          this.#tokenStart = at
          const end = characterEnd(text, at)
          throw this.#failAt(end, `Escape sequence "\\${text.slice(at, end)}" is invalid.`)
        }
        if (decode) decoded += plain
        from = at + 1
        continue
      }
      for (let i = 0; i < 4; i++) {
        at++
        if (at >= text.length) {
          this.#tokenEnd = at
          throw this.#invalidToken()
        }
        if (!HEX.test(text[at]!))
          throw this.#failAt(characterEnd(text, at), '"\\u" must be followed by four hexadecimal digits.')
      }
      from = at + 1
      if (!decode) continue
      const unit = Number.parseInt(text.slice(at - 3, at + 1), 16)
      if (unit >= 0xd800 && unit <= 0xdbff) {
        if (high !== -1) throw this.#failAt(at + 1, 'Unicode high surrogate must not follow a high surrogate.')
        high = unit
        continue
      }
      if (unit >= 0xdc00 && unit <= 0xdfff) {
        if (high === -1) throw this.#failAt(at + 1, 'Unicode low surrogate must follow a high surrogate.')
        decoded += String.fromCharCode(high, unit)
        high = -1
        continue
      }
      if (high !== -1) throw this.#lowMissing(at)
      if (unit === 0) {
        this.#tokenEnd = at + 1
        throw sqlError('22P05', 'unsupported Unicode escape sequence', {
          detail: '\\u0000 cannot be converted to text.',
          context: this.#context(),
        })
      }
      decoded += String.fromCharCode(unit)
    }
    if (high !== -1) throw this.#lowMissing(at)
    this.#string = decode ? (decoded === '' ? text.slice(from, at) : decoded + text.slice(from, at)) : ''
    this.#token = 'string'
    this.#tokenEnd = at + 1
  }

  #failAt(end: number, detail: string): SqlError {
    this.#tokenEnd = end
    return this.#failure(detail)
  }

  #lowMissing(at: number): SqlError {
    return this.#failAt(characterEnd(this.#text, at), 'Unicode low surrogate must follow a high surrogate.')
  }

  #unexpected(expected: string): SqlError {
    if (this.#token === 'end') return this.#failure('The input string ended unexpectedly.')
    return this.#failure(`Expected ${expected}, but found "${this.#text.slice(this.#tokenStart, this.#tokenEnd)}".`)
  }

  #invalidToken(): SqlError {
    return this.#failure(`Token "${this.#text.slice(this.#tokenStart, this.#tokenEnd)}" is invalid.`)
  }

  #failure(detail: string): SqlError {
    return sqlError('22P02', 'invalid input syntax for type json', { detail, context: this.#context() })
  }

  /** The line up to the fault, its last fifty bytes or fewer. */
  #context(): string {
    const text = this.#text
    const end = this.#tokenEnd
    const line = Buffer.from(text.slice(this.#lineStart, end))
    let from = 0
    while (line.length - from >= 50) {
      from++
      while ((line[from]! & 0xc0) === 0x80) from++
    }
    if (from <= 3) from = 0
    const after = text[end]
    const suffix = this.#token !== 'end' || this.#tokenStart < end
    const more = suffix && after !== undefined && after !== '\n' && after !== '\r'
    return `JSON data, line ${this.#line}: ${from > 0 ? '...' : ''}${line.toString('utf8', from)}${more ? '...' : ''}`
  }
}

/** Throws 22P02, 22P05 with PostgreSQL's detail and context, 54001 when it is nested too deep. */
export const parseJson = <T>(text: string, builder: Builder<T>): T => new Parser(text, builder).parse()

const CHECK: Builder<undefined> = {
  decode: false,
  string: () => undefined,
  number: () => undefined,
  literal: () => undefined,
  array: () => undefined,
  object: () => undefined,
}

/** json's input: nothing but the check. */
export function checkJson(text: string): void {
  parseJson(text, CHECK)
}
