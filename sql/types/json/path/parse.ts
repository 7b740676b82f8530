/** Reads jsonpath, by recursive descent with PostgreSQL's precedence: || && ! comparison + * sign accessor. */
import { type SqlError, sqlError } from '../../error.ts'
import { negate, parseDecimal } from '../../number/numeric.ts'
import { regex } from '../../text/regex.ts'
import { Numeric } from '../../value.ts'
import { DEPTH_MAX, depthError } from '../parse.ts'
import {
  type Arithmetic,
  type Comparison,
  isPredicate,
  type JsonPath,
  LAST_LEVEL,
  type Method,
  type PathNode,
  type Predicate,
  type Step,
} from './syntax.ts'

interface Token {
  readonly kind: 'word' | 'string' | 'variable' | 'number' | 'sign' | 'end'
  /** A word's, string's, variable's value; a sign's own text; a number's text. */
  readonly value: string
  /** As it stands in the path, for errors. */
  readonly text: string
}

const SIGNS = ['**', '&&', '||', '==', '!=', '<>', '<=', '>=']
const SPECIAL = '?%$.[]{}()|&!=<>@#,*:-+/\\"'
const NUMBER = /(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?/y
const ESCAPES: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' }
const METHODS: readonly string[] = ['abs', 'size', 'type', 'floor', 'double', 'ceiling', 'keyvalue']
const COMPARISONS: Readonly<Record<string, Comparison>> = {
  '==': '==',
  '!=': '!=',
  '<>': '!=',
  '<': '<',
  '<=': '<=',
  '>': '>',
  '>=': '>=',
}

const isBlank = (c: string) => c === ' ' || (c >= '\t' && c <= '\r' && c !== '\v')
const isWordCharacter = (c: string) => !SPECIAL.includes(c) && !isBlank(c)

const syntaxError = (message: string, token: string) =>
  sqlError(
    '42601',
    token === '' ? `${message} at end of jsonpath input` : `${message} at or near "${token}" of jsonpath input`,
  )

class Parser {
  readonly #text: string
  #at = 0
  #token: Token
  #depth = 0

  constructor(text: string) {
    this.#text = text
    this.#token = this.#lex()
  }

  parse(): JsonPath {
    if (this.#atEnd()) throw sqlError('22P02', `invalid input syntax for type jsonpath: "${this.#text}"`)
    let strict = false
    if (this.#isWord('strict') || this.#isWord('lax')) {
      strict = this.#isWord('strict')
      this.#advance()
    }
    const expression = this.#or(false, false)
    if (!this.#atEnd()) throw this.#unexpected()
    return { strict, expression }
  }

  #or(current: boolean, last: boolean): PathNode {
    if (++this.#depth > DEPTH_MAX / 4) throw depthError()
    let left = this.#and(current, last)
    while (this.#isSign('||')) {
      left = { kind: 'or', left: this.#asPredicate(left), right: this.#predicateAfter(() => this.#and(current, last)) }
    }
    this.#depth--
    return left
  }

  #and(current: boolean, last: boolean): PathNode {
    let left = this.#comparison(current, last)
    while (this.#isSign('&&')) {
      left = {
        kind: 'and',
        left: this.#asPredicate(left),
        right: this.#predicateAfter(() => this.#comparison(current, last)),
      }
    }
    return left
  }

  #predicateAfter(read: () => PathNode): Predicate {
    this.#advance()
    return this.#asPredicate(read())
  }

  #comparison(current: boolean, last: boolean): PathNode {
    if (this.#isSign('!')) {
      this.#advance()
      if (!this.#isSign('(') && !this.#isWord('exists')) throw this.#unexpected()
      return { kind: 'not', arg: this.#asPredicate(this.#primary(current, last)) }
    }
    const left = this.#sum(current, last)
    const op = this.#token.kind === 'sign' ? COMPARISONS[this.#token.value] : undefined
    if (op !== undefined && !isPredicate(left)) {
      this.#advance()
      return { kind: 'compare', op, left, right: this.#asExpression(this.#sum(current, last)) }
    }
    if (this.#isWord('starts') && !isPredicate(left)) {
      this.#advance()
      this.#word('with')
      const { kind, value } = this.#token
      if (kind !== 'string' && kind !== 'variable') throw this.#unexpected()
      this.#advance()
      const initial: PathNode = kind === 'string' ? { kind: 'literal', value } : { kind: 'variable', name: value }
      return { kind: 'starts-with', arg: left, initial }
    }
    if (this.#isWord('like_regex') && !isPredicate(left)) {
      this.#advance()
      const pattern = this.#string()
      let flags = ''
      if (this.#isWord('flag')) {
        this.#advance()
        flags = regexFlags(this.#string())
      }
      compilePattern(pattern, flags)
      return { kind: 'like-regex', arg: left, pattern, flags }
    }
    return left
  }

  #sum(current: boolean, last: boolean): PathNode {
    let left = this.#product(current, last)
    while (this.#isSign('+') || this.#isSign('-')) left = this.#operation(left, () => this.#product(current, last))
    return left
  }

  #product(current: boolean, last: boolean): PathNode {
    let left = this.#unary(current, last)
    while (this.#isSign('*') || this.#isSign('/') || this.#isSign('%'))
      left = this.#operation(left, () => this.#unary(current, last))
    return left
  }

  #operation(left: PathNode, read: () => PathNode): PathNode {
    const op = this.#token.value as Arithmetic
    const operand = this.#asExpression(left)
    this.#advance()
    return { kind: 'arithmetic', op, left: operand, right: this.#asExpression(read()) }
  }

  #unary(current: boolean, last: boolean): PathNode {
    if (!this.#isSign('+') && !this.#isSign('-')) return this.#primary(current, last)
    if (++this.#depth > DEPTH_MAX / 4) throw depthError()
    const op = this.#token.value as '+' | '-'
    this.#advance()
    const arg = this.#asExpression(this.#unary(current, last))
    this.#depth--
    if (arg.kind === 'literal' && arg.value instanceof Numeric)
      return { kind: 'literal', value: op === '-' ? negate(arg.value) : arg.value }
    return { kind: 'sign', op, arg }
  }

  #primary(current: boolean, last: boolean): PathNode {
    if (this.#isWord('exists')) {
      this.#advance()
      this.#sign('(')
      const arg = this.#asExpression(this.#or(current, last))
      this.#sign(')')
      return { kind: 'exists', arg }
    }
    let head: PathNode
    if (this.#isSign('(')) {
      this.#advance()
      head = this.#or(current, last)
      this.#sign(')')
      if (this.#isWord('is') && isPredicate(head)) {
        this.#advance()
        this.#word('unknown')
        return { kind: 'unknown', arg: head }
      }
    } else {
      head = this.#head(current, last)
    }
    const steps: Step[] = []
    for (let step = this.#step(last); step !== undefined; step = this.#step(last)) steps.push(step)
    return steps.length === 0 ? head : { kind: 'path', head, steps }
  }

  #head(current: boolean, last: boolean): PathNode {
    const { kind, value } = this.#token
    if (kind === 'string') return this.#taken({ kind: 'literal', value })
    if (kind === 'variable') return this.#taken({ kind: 'variable', name: value })
    if (kind === 'number') return this.#taken({ kind: 'literal', value: parseDecimal(value)! })
    if (kind === 'sign' && value === '$') return this.#taken({ kind: 'root' })
    if (kind === 'sign' && value === '@') {
      if (!current) throw sqlError('42601', '@ is not allowed in root expressions')
      return this.#taken({ kind: 'current' })
    }
    if (kind === 'word') {
      if (value === 'null') return this.#taken({ kind: 'literal', value: null })
      if (value === 'true' || value === 'false') return this.#taken({ kind: 'literal', value: value === 'true' })
      if (value.toLowerCase() === 'last') {
        if (!last) throw sqlError('42601', 'LAST is allowed only in array subscripts')
        return this.#taken({ kind: 'last' })
      }
    }
    throw this.#unexpected()
  }

  #taken(node: PathNode): PathNode {
    this.#advance()
    return node
  }

  #step(last: boolean): Step | undefined {
    if (this.#isSign('[')) return this.#elements()
    if (this.#isSign('?')) {
      this.#advance()
      this.#sign('(')
      const predicate = this.#asPredicate(this.#or(true, last))
      this.#sign(')')
      return { kind: 'filter', predicate }
    }
    if (!this.#isSign('.')) return undefined
    this.#advance()
    if (this.#isSign('*')) {
      this.#advance()
      return { kind: 'any-key' }
    }
    if (this.#isSign('**')) return this.#levels()
    const { kind, value } = this.#token
    if (kind !== 'word' && kind !== 'string') throw this.#unexpected()
    this.#advance()
    if (kind === 'string' || !this.#isSign('(')) return { kind: 'key', name: value }
    const name = value.toLowerCase()
    if (name !== 'datetime' && !METHODS.includes(name)) throw this.#unexpected()
    this.#advance()
    const template = name === 'datetime' && this.#token.kind === 'string' ? this.#string() : undefined
    this.#sign(')')
    return name === 'datetime' ? { kind: 'datetime', template } : { kind: 'method', name: name as Method }
  }

  #elements(): Step {
    this.#advance()
    if (this.#isSign('*')) {
      this.#advance()
      this.#sign(']')
      return { kind: 'any-element' }
    }
    const ranges: { from: PathNode; to: PathNode | undefined }[] = []
    for (;;) {
      const from = this.#asExpression(this.#or(true, true))
      let to: PathNode | undefined
      if (this.#isWord('to')) {
        this.#advance()
        to = this.#asExpression(this.#or(true, true))
      }
      ranges.push({ from, to })
      if (!this.#isSign(',')) break
      this.#advance()
    }
    this.#sign(']')
    return { kind: 'elements', ranges }
  }

  #levels(): Step {
    this.#advance()
    if (!this.#isSign('{')) return { kind: 'any', first: 0, last: LAST_LEVEL }
    this.#advance()
    const first = this.#level()
    let last = first
    if (this.#isWord('to')) {
      this.#advance()
      last = this.#level()
    }
    this.#sign('}')
    return { kind: 'any', first, last }
  }

  #level(): number {
    const { kind, value } = this.#token
    if (kind === 'number' && /^\d+$/.test(value)) {
      this.#advance()
      return Number(value)
    }
    this.#word('last')
    return LAST_LEVEL
  }

  #asPredicate(node: PathNode): Predicate {
    if (!isPredicate(node)) throw this.#unexpected()
    return node
  }

  #asExpression(node: PathNode): PathNode {
    if (isPredicate(node)) throw this.#unexpected()
    return node
  }

  #atEnd(): boolean {
    return this.#token.kind === 'end'
  }
  #isSign(text: string): boolean {
    return this.#token.kind === 'sign' && this.#token.value === text
  }
  #isWord(text: string): boolean {
    return this.#token.kind === 'word' && this.#token.value.toLowerCase() === text
  }
  #sign(text: string): void {
    if (!this.#isSign(text)) throw this.#unexpected()
    this.#advance()
  }
  #word(text: string): void {
    if (!this.#isWord(text)) throw this.#unexpected()
    this.#advance()
  }
  #string(): string {
    const { kind, value } = this.#token
    if (kind !== 'string') throw this.#unexpected()
    this.#advance()
    return value
  }

  /** PostgreSQL's scanner has read to the end when a word or a number is the last thing. */
  #unexpected(): SqlError {
    const { kind, text } = this.#token
    const atEnd = kind === 'end' || (this.#at >= this.#text.length && (kind === 'word' || kind === 'number'))
    return syntaxError('syntax error', atEnd ? '' : text)
  }

  #advance(): void {
    this.#token = this.#lex()
  }

  #lex(): Token {
    const text = this.#text
    for (;;) {
      while (this.#at < text.length && isBlank(text[this.#at]!)) this.#at++
      if (!text.startsWith('/*', this.#at)) break
      const end = text.indexOf('*/', this.#at + 2)
      if (end < 0) throw syntaxError('unexpected end of comment', '')
      this.#at = end + 2
    }
    const start = this.#at
    const c = text[start]
    if (c === undefined) return { kind: 'end', value: '', text: '' }
    if (c === '"') return { kind: 'string', value: this.#quoted(), text: text.slice(start, this.#at) }
    if (c === '$' && start + 1 < text.length) {
      const next = text[start + 1]!
      if (next === '"' || next === '\\' || isWordCharacter(next)) {
        this.#at++
        const value = next === '"' ? this.#quoted() : this.#bare()
        return { kind: 'variable', value, text: text.slice(start, this.#at) }
      }
    }
    NUMBER.lastIndex = start
    const number = /[\d.]/.test(c) ? NUMBER.exec(text)?.[0] : undefined
    if (number !== undefined) {
      this.#at = start + number.length
      const after = text[this.#at]
      if (after !== undefined && (isWordCharacter(after) || after === '\\'))
        throw syntaxError('trailing junk after numeric literal', text.slice(start, this.#at + 1))
      return { kind: 'number', value: number, text: number }
    }
    const sign = SIGNS.find((two) => text.startsWith(two, start)) ?? (c !== '\\' && SPECIAL.includes(c) ? c : undefined)
    if (sign !== undefined) {
      this.#at += sign.length
      return { kind: 'sign', value: sign, text: sign }
    }
    return { kind: 'word', value: this.#bare(), text: text.slice(start, this.#at) }
  }

  #bare(): string {
    const text = this.#text
    let value = ''
    while (this.#at < text.length) {
      const c = text[this.#at]!
      if (c === '\\') value += this.#escape()
      else if (isWordCharacter(c)) {
        value += c
        this.#at++
      } else break
    }
    return value
  }

  #quoted(): string {
    const text = this.#text
    let value = ''
    this.#at++
    for (;;) {
      const c = text[this.#at]
      if (c === undefined) throw syntaxError('unexpected end of quoted string', '')
      if (c === '"') break
      if (c === '\\') value += this.#escape()
      else {
        value += c
        this.#at++
      }
    }
    this.#at++
    return value
  }

  /** \n, \x41, \u0041, \u{41}; any other character stands for itself. Surrogates come in pairs. */
  #escape(): string {
    const unit = this.#escapedUnit()
    const code = unit.charCodeAt(0)
    if (unit.length > 1 || code < 0xd800 || code > 0xdfff) return unit
    if (code > 0xdbff) throw lowSurrogate()
    if (this.#text[this.#at] !== '\\') throw lowSurrogate()
    const low = this.#escapedUnit()
    const next = low.charCodeAt(0)
    if (next >= 0xd800 && next <= 0xdbff)
      throw sqlError('22P02', 'invalid input syntax for type jsonpath', {
        detail: 'Unicode high surrogate must not follow a high surrogate.',
      })
    if (next < 0xdc00 || next > 0xdfff) throw lowSurrogate()
    return unit + low
  }

  #escapedUnit(): string {
    const text = this.#text
    const letter = text[++this.#at]
    if (letter === undefined) throw syntaxError('unexpected end after backslash', '')
    this.#at++
    if (letter !== 'u' && letter !== 'x') {
      const whole = String.fromCodePoint(text.codePointAt(this.#at - 1)!)
      this.#at += whole.length - 1
      return ESCAPES[letter] ?? whole
    }
    const pattern = letter === 'x' ? /[0-9a-fA-F]{2}/y : /[0-9a-fA-F]{4}|\{[0-9a-fA-F]{1,6}\}/y
    pattern.lastIndex = this.#at
    const digits = pattern.exec(text)?.[0]
    if (digits === undefined) throw this.#badEscape(letter)
    this.#at += digits.length
    const code = Number.parseInt(digits.replace(/[{}]/g, ''), 16)
    if (code === 0)
      throw sqlError('22P05', 'unsupported Unicode escape sequence', { detail: '\\u0000 cannot be converted to text.' })
    if (code > 0x10ffff) throw sqlError('22P05', 'could not convert Unicode to server encoding')
    return String.fromCodePoint(code)
  }

  /** Shown with as many digits as are good, and for \\u with the escapes just before it. */
  #badEscape(letter: string): Error {
    const begin =
      letter === 'x'
        ? /\\x[0-9a-fA-F]?$/
        : /(?:\\u(?:[0-9a-fA-F]{4}|\{[0-9a-fA-F]{1,6}\}))*\\u(?:[0-9a-fA-F]{0,3}|\{[0-9a-fA-F]{0,6})$/
    const good = letter === 'x' ? /[0-9a-fA-F]?/y : /\{[0-9a-fA-F]{0,6}|[0-9a-fA-F]{0,3}/y
    good.lastIndex = this.#at
    const end = this.#at + (good.exec(this.#text)?.[0].length ?? 0)
    const near = begin.exec(this.#text.slice(0, end))?.[0] ?? ''
    return syntaxError(letter === 'x' ? 'invalid hex character sequence' : 'invalid unicode sequence', near)
  }
}

const lowSurrogate = () =>
  sqlError('22P02', 'invalid input syntax for type jsonpath', {
    detail: 'Unicode low surrogate must follow a high surrogate.',
  })

const FLAGS = 'ismxq'

function regexFlags(given: string): string {
  for (const flag of given)
    if (!FLAGS.includes(flag))
      throw sqlError('42601', 'invalid input syntax for type jsonpath', {
        detail: `Unrecognized flag character "${flag}" in LIKE_REGEX predicate.`,
      })
  return [...FLAGS].filter((flag) => given.includes(flag)).join('')
}

/** XQuery's flags as PostgreSQL's own: without s a dot stops at a newline, with m anchors see lines. */
export function compilePattern(pattern: string, flags: string): { test(text: string): boolean } {
  if (flags.includes('x') && !flags.includes('q'))
    throw sqlError('0A000', 'XQuery "x" flag (expanded regular expressions) is not implemented')
  const ignoreCase = flags.includes('i') ? 'i' : ''
  if (flags.includes('q')) return regex(pattern, `${ignoreCase}q`)
  const lines = flags.includes('m')
  const newlines = flags.includes('s') ? (lines ? 'w' : 's') : lines ? 'n' : 'p'
  return regex(pattern, ignoreCase + newlines)
}

/** Throws 22P02, 42601, 22P05, 2201B, 54001. */
export const parsePath = (text: string): JsonPath => new Parser(text).parse()
