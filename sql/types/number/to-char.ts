/**
 * to_char(number, picture) and to_number(text, picture). A picture is walked pattern by pattern while the digits of the
 * number (already rounded to the picture's places) are laid under it; to_number walks the same way over the input.
 * Locale symbols are those of the C locale: '.', ',', and a blank for currency.
 * Source: PostgreSQL manual, "Data Type Formatting Functions".
 */
import { sqlError } from '../error.ts'
import { type FunctionTable, scalar } from '../function.ts'
import { type Int64, Numeric } from '../value.ts'
import { roundHalfEven } from './int.ts'
import * as n from './numeric.ts'
import { numericToInt4 } from './numeric-functions.ts'
import { coerceNumeric, numericTypmod, parseNumeric } from './numeric-type.ts'
import { type Pattern, type Picture, parsePicture } from './picture.ts'

const isDigit = (c: string | undefined): boolean => c !== undefined && c >= '0' && c <= '9'

/** The last digit after the point that is not zero; the point's own place when all are; -1 without a point. */
function lastRelevantDigit(digits: string): number {
  const point = digits.indexOf('.')
  if (point < 0) return -1
  let last = point
  for (let i = point + 1; i < digits.length; i++) if (digits[i] !== '0') last = i
  return last
}

/** 1st, 2nd, 3rd, 4th, 11th. */
function ordinal(digits: string, upper: boolean): string {
  const last = digits.at(-1)
  if (!isDigit(last)) throw sqlError('22P02', `"${digits}" is not a number`)
  const teen = digits.length > 1 && digits.at(-2) === '1'
  const suffix = teen ? 'th' : ({ 1: 'st', 2: 'nd', 3: 'rd' }[last!] ?? 'th')
  return upper ? suffix.toUpperCase() : suffix
}

/** Lays digits under a picture. `blanks` is how many places before the point the number leaves empty. */
class Writer {
  readonly #p: Picture
  readonly #digits: string
  readonly #sign: '+' | '-'
  readonly #blanks: number
  readonly #zeroStart: number
  readonly #lastRelevant: number
  readonly #anchor: Picture['sign']
  readonly #bracket: boolean
  readonly #count: number
  #at = 0
  #place = 0
  #signDone: boolean
  #inNumber = false
  #out = ''

  constructor(picture: Picture, digits: string, sign: '+' | '-', blanks: number) {
    this.#p = picture
    this.#digits = digits
    this.#sign = sign
    this.#blanks = blanks
    this.#zeroStart = picture.zeroStart - (picture.zeroStart > 0 ? 1 : 0)
    const separate = picture.plus || picture.minus
    this.#bracket = picture.bracket && !(sign === '+' && picture.fill && !separate)
    if (separate) this.#signDone = !(picture.plus && !picture.minus)
    else this.#signDone = sign === '+' && picture.fill && !picture.anchored
    this.#anchor = !separate && picture.sign === 'pre' && picture.pre === picture.signAt ? 'post' : picture.sign
    this.#count = picture.post + picture.pre - 1
    let last = picture.fill && picture.decimal ? lastRelevantDigit(digits) : -1
    if (last >= 0 && picture.zeroEnd > blanks) {
      last = Math.max(last, Math.min(digits.length - 1, picture.zeroEnd - blanks))
    }
    this.#lastRelevant = last
    if (!this.#signDone && blanks === 0) this.#count++
  }

  run(): string {
    for (const node of this.#p.nodes) {
      if ('character' in node) this.#out += node.character
      else this.#pattern(node.pattern)
    }
    // A digit place beyond a shortened number ends the text.
    const end = this.#out.indexOf('\0')
    return end < 0 ? this.#out : this.#out.slice(0, end)
  }

  #pattern(pattern: Pattern): void {
    const { fill, roman, decimal } = this.#p
    switch (pattern) {
      case '9':
      case '0':
      case 'D':
      case 'point':
        if (!roman) this.#digit(pattern)
        return
      case 'comma':
      case 'G':
        if (this.#inNumber) this.#out += ','
        else if (!fill) this.#out += ' '
        return
      case 'L':
        this.#out += ' '
        return
      case 'RN':
      case 'rn': {
        const text = pattern === 'rn' ? this.#digits.toLowerCase() : this.#digits
        this.#out += fill ? text : text.padStart(15)
        return
      }
      case 'TH':
      case 'th':
        if (roman || this.#digits[0] === '#' || this.#sign === '-' || decimal) return
        this.#out += ordinal(this.#digits, pattern === 'TH')
        return
      case 'MI':
        if (this.#sign === '-') this.#out += '-'
        else if (!fill) this.#out += ' '
        return
      case 'PL':
        if (this.#sign === '+') this.#out += '+'
        else if (!fill) this.#out += ' '
        return
      case 'SG':
        this.#out += this.#sign
        return
      default:
        return
    }
  }

  /** '9.9' shows 0.1 as ' .1': the zero before the point is a blank. */
  #isBlankZero(): boolean {
    return !this.#p.zero && this.#at === 0 && this.#digits[0] === '0' && this.#p.post !== 0
  }

  #writeSign(): void {
    const { zero, fill, anchored } = this.#p
    const begins = this.#place >= this.#blanks || (zero && this.#zeroStart === this.#place)
    const isEmptyFraction = this.#lastRelevant >= 0 && this.#digits[this.#lastRelevant] === '.'
    if (this.#signDone || !begins || (this.#isBlankZero() && !isEmptyFraction)) return
    if (anchored) {
      if (this.#anchor !== 'pre') return
      this.#out += this.#sign
    } else if (this.#bracket) this.#out += this.#sign === '+' ? ' ' : '<'
    else if (this.#sign === '-') this.#out += '-'
    else if (!fill) this.#out += ' '
    this.#signDone = true
  }

  #digit(pattern: Pattern): void {
    this.#inNumber = false
    this.#writeSign()
    const { zero, fill, decimal, anchored } = this.#p
    const before = this.#place < this.#blanks
    if (before && (this.#zeroStart > this.#place || !zero)) {
      if (!fill) this.#out += ' '
    } else if (before && zero) {
      this.#out += '0'
      this.#inNumber = true
    } else {
      this.#writeDigit(pattern)
      if (this.#at < this.#digits.length) this.#at++
    }
    let end = this.#count + (this.#blanks > 0 ? 1 : 0) + (decimal ? 1 : 0)
    if (this.#lastRelevant >= 0 && this.#lastRelevant === this.#at) end = this.#place
    if (this.#place + 1 === end) {
      if (this.#signDone && this.#bracket) this.#out += this.#sign === '+' ? ' ' : '>'
      else if (anchored && this.#anchor === 'post') this.#out += this.#sign
    }
    this.#place++
  }

  #writeDigit(pattern: Pattern): void {
    const c = this.#digits[this.#at] ?? '\0'
    const last = this.#lastRelevant
    const isEmptyFraction = last >= 0 && this.#digits[last] === '.'
    if (c === '.') {
      if (!isEmptyFraction || this.#p.fill) this.#out += '.'
    } else if (last >= 0 && this.#at > last && pattern !== '0') {
      return
    } else if (this.#isBlankZero()) {
      if (!this.#p.fill) this.#out += ' '
      else if (isEmptyFraction) this.#out += '0'
    } else {
      this.#out += c
      this.#inNumber = true
    }
  }
}

const ROMAN: readonly (readonly [value: number, letters: string])[] = [
  [1000, 'M'],
  [900, 'CM'],
  [500, 'D'],
  [400, 'CD'],
  [100, 'C'],
  [90, 'XC'],
  [50, 'L'],
  [40, 'XL'],
  [10, 'X'],
  [9, 'IX'],
  [5, 'V'],
  [4, 'IV'],
  [1, 'I'],
]

function roman(value: number): string {
  if (value > 3999 || value < 1) return '#'.repeat(15)
  let rest = value
  let out = ''
  for (const [size, letters] of ROMAN) {
    for (; rest >= size; rest -= size) out += letters
  }
  return out
}

const writeRoman = (picture: Picture, value: number): string =>
  new Writer(
    {
      ...picture,
      post: 0,
      pre: 0,
      decimal: false,
      zero: false,
      anchored: false,
      sign: 'none',
      bracket: false,
      plus: false,
      minus: false,
    },
    roman(value),
    '+',
    0,
  ).run()

/** What is shown of NaN and the infinities in scientific notation. */
const scientificHashes = (p: Picture): string => ` ${'#'.repeat(p.pre)}.${'#'.repeat(p.post + 4)}`

/** Lays a decimal text under the picture; too long a number shows # in every place. */
function layOut(picture: Picture, text: string): string {
  const sign = text.startsWith('-') ? '-' : '+'
  const digits = sign === '-' ? text.slice(1) : text
  const point = digits.indexOf('.')
  const length = point < 0 ? digits.length : point
  if (length > picture.pre) {
    return new Writer(picture, `${'#'.repeat(picture.pre)}.${'#'.repeat(picture.post)}`, sign, 0).run()
  }
  return new Writer(picture, digits, sign, picture.pre - length).run()
}

/** d.ddde+XX of an exact decimal; rounding may carry to 10.0, as PostgreSQL shows it. */
function scientific(a: Numeric, places: number): string {
  const exponent = a.digits === 0n ? 0 : n.decimalLength(a.digits) - a.scale - 1
  const mantissa = n.toText(new Numeric(n.rescale(a.digits, a.scale + exponent, places), places))
  const size = Math.abs(exponent)
  return `${mantissa}e${exponent < 0 ? '-' : '+'}${String(size).padStart(2, '0')}`
}

function numericToChar(a: Numeric, format: string): string {
  const picture = parsePicture(format)
  if (picture.roman) return writeRoman(picture, numericToInt4(a))
  if (picture.scientific) {
    if (a.special !== undefined) return scientificHashes(picture)
    const text = scientific(a, picture.post)
    return text.startsWith('-') ? text : ` ${text}`
  }
  let value = a
  if (picture.isMulti) {
    value = n.multiply(a, new Numeric(n.pow10(picture.multi), 0))
    picture.pre += picture.multi
  }
  return layOut(picture, n.toText(n.round(value, picture.post)))
}

/** The exact value of a double. */
function exactDecimal(a: number): Numeric {
  let mantissa = a
  let scale = 0
  while (!Number.isInteger(mantissa)) {
    mantissa *= 2
    scale++
  }
  return new Numeric(BigInt(mantissa) * 5n ** BigInt(scale), scale)
}

/** As C's %.*f: exact, half to even. */
function fixed(a: number, places: number): string {
  const exact = exactDecimal(Math.abs(a))
  let digits = n.truncate(exact.digits, exact.scale, places)
  if (exact.scale > places) {
    const unit = n.pow10(exact.scale - places)
    const rest = 2n * (exact.digits % unit)
    if (rest > unit || (rest === unit && digits % 2n === 1n)) digits++
  }
  const negative = a < 0 || Object.is(a, -0)
  return (negative ? '-' : '') + n.toText(new Numeric(digits, places))
}

function floatToChar(a: number, format: string, digitsMax: number): string {
  const picture = parsePicture(format)
  if (picture.roman) {
    const whole = roundHalfEven(a)
    return writeRoman(picture, whole >= 1 && whole <= 3999 ? whole : 0)
  }
  const isSpecial = a - a !== 0
  if (picture.scientific) {
    if (isSpecial) return scientificHashes(picture)
    const [mantissa, exponent] = a.toExponential(picture.post).split('e') as [string, string]
    return `${a < 0 ? '' : ' '}${mantissa}e${exponent[0]}${exponent.slice(1).padStart(2, '0')}`
  }
  let value = a
  if (picture.isMulti) {
    value = a * 10 ** picture.multi
    picture.pre += picture.multi
  }
  const name = Number.isNaN(value) ? 'NaN' : value < 0 ? '-Infinity' : 'Infinity'
  const length = isSpecial ? name.replace('-', '').length : fixed(Math.abs(value), 0).length
  if (length >= digitsMax) picture.post = 0
  else if (length + picture.post > digitsMax) picture.post = digitsMax - length
  return layOut(picture, isSpecial ? name : fixed(value, picture.post))
}

/** Characters that are never skipped as filling. */
const DATA = '0123456789.,+-'

/** Walks a text along a picture, gathering a sign and digits. */
class TextReader {
  readonly #p: Picture
  readonly #in: readonly string[]
  #at = 0
  #sign = ' '
  #digits = ''
  #before = 0
  #after = 0
  #sawPoint = false

  constructor(picture: Picture, text: string) {
    this.#p = picture
    this.#in = [...text]
  }

  #done(): boolean {
    return this.#at >= this.#in.length
  }
  #skipFilling(count: number): void {
    for (let i = 0; i < count && !this.#done() && !DATA.includes(this.#in[this.#at]!); i++) this.#at++
  }

  run(): { readonly text: string; readonly places: number } {
    for (const node of this.#p.nodes) {
      if (this.#done()) break
      if ('character' in node) this.#at++
      else this.#pattern(node.pattern)
    }
    return { text: this.#sign + this.#digits.replace(/\.$/, ''), places: this.#after }
  }

  #pattern(pattern: Pattern): void {
    const c = this.#in[this.#at]
    switch (pattern) {
      case '9':
      case '0':
      case 'D':
      case 'point':
        this.#number(pattern)
        this.#at++
        return
      case 'comma':
      case 'G':
        if (!this.#p.fill && c === ',') this.#at++
        return
      case 'L':
        this.#skipFilling(1)
        return
      case 'TH':
      case 'th':
        if (!this.#p.decimal) this.#skipFilling(2)
        return
      case 'MI':
      case 'PL':
      case 'SG': {
        const signs = pattern === 'MI' ? '-' : pattern === 'PL' ? '+' : '+-'
        if (signs.includes(c!)) {
          this.#sign = c!
          this.#at++
        } else this.#skipFilling(1)
        return
      }
      default:
        return
    }
  }

  #leadingSign(): void {
    const c = this.#in[this.#at]
    if (this.#p.anchored && this.#p.sign === 'pre') {
      if (c !== '-' && c !== '+') return
      this.#sign = c
    } else if (c === '-' || (this.#p.bracket && c === '<')) this.#sign = '-'
    else if (c === '+') this.#sign = '+'
    else return
    this.#at++
  }

  #number(pattern: Pattern): void {
    if (this.#in[this.#at] === ' ') this.#at++
    if (this.#done()) return
    const isDigitPattern = pattern === '0' || pattern === '9'
    if (this.#sign === ' ' && isDigitPattern && this.#before + this.#after === 0) this.#leadingSign()
    if (this.#done()) return
    let isRead = false
    const c = this.#in[this.#at]!
    if (isDigit(c)) {
      if (this.#sawPoint && this.#after === this.#p.post) return
      this.#digits += c
      if (this.#sawPoint) this.#after++
      else this.#before++
      isRead = true
    } else if (this.#p.decimal && !this.#sawPoint && c === '.') {
      this.#digits += '.'
      this.#sawPoint = true
      isRead = true
    }
    if (this.#sign === ' ' && this.#before + this.#after > 0) this.#trailingSign(isRead)
  }

  #trailingSign(isRead: boolean): void {
    const { anchored, plus, minus } = this.#p
    if (anchored && isRead) {
      const next = this.#in[this.#at + 1]
      if (next !== '-' && next !== '+') return
      this.#sign = next
      this.#at++
    } else if (!isRead && (plus || minus)) {
      const c = this.#in[this.#at]
      if (c === '-' || c === '+') this.#sign = c
    }
  }
}

function toNumber(text: string, format: string): Numeric | null {
  if (format === '') return null
  const picture = parsePicture(format)
  if (picture.scientific) throw notSupportedInput('EEEE')
  if (picture.roman) throw notSupportedInput('RN')
  const read = new TextReader(picture, text).run()
  const precision = picture.pre + picture.multi + read.places
  const value = coerceNumeric(parseNumeric(read.text), numericTypmod(precision, read.places))
  if (!picture.isMulti) return value
  const scale = Math.max(picture.multi, n.SIGNIFICANT_DIGITS_MIN)
  return n.multiply(value, new Numeric(n.pow10(scale - picture.multi), scale))
}

const notSupportedInput = (pattern: string) => sqlError('0A000', `"${pattern}" not supported for input`)

const integerToChar = (a: Int64, format: string): string =>
  format === '' ? '' : numericToChar(new Numeric(BigInt(a), 0), format)

export const TO_CHAR_FUNCTIONS: FunctionTable = {
  int4_to_char: scalar(integerToChar),
  int8_to_char: scalar(integerToChar),
  numeric_to_char: scalar(numericToChar),
  float4_to_char: scalar((a: number, format: string) => floatToChar(a, format, 6)),
  float8_to_char: scalar((a: number, format: string) => floatToChar(a, format, 15)),
  numeric_to_number: scalar(toNumber),
}
