/**
 * The text format of COPY at speed: bytes to values and back without a string for each field (PostgreSQL 15 manual, COPY,
 * "Text Format").
 *
 *     1\t2\tabc\t\N\n        numbers are read digit by digit, \N is seen as it passes; a line with any other backslash or
 *                            a carriage return goes the long way
 *
 * Readers take chunks cut anywhere and give rows of values; errors have PostgreSQL's words and the line they are about.
 */
import { createByteWriter, type ResettableByteWriter } from '../types/bytes.ts'
import { SqlError, sqlError } from '../types/error.ts'
import { OID } from '../types/oids.ts'
import { decodeUtf8 } from '../types/text/chars.ts'
import type { Type, TypeContext } from '../types/type.ts'
import type { Row, Value } from '../types/value.ts'
import type { RowBatch } from './operator.ts'

export interface CopyTextOptions {
  /** One byte. */
  readonly delimiter: string
  readonly null: string
}
export interface CopyColumn {
  readonly name: string
  readonly type: Type
  readonly typmod: number
}

const NEWLINE = 0x0a
const RETURN = 0x0d
const BACKSLASH = 0x5c
const LETTER_N = 0x4e
const DOT = 0x2e
const NO_BYTES = Buffer.alloc(0)

/** Characters of a line or field that a message shows (PostgreSQL: MAX_COPY_DATA_DISPLAY). */
const SHOWN_MAX = 100
export const shownCopyData = (text: string): string =>
  text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}...` : text

type FieldReader = (bytes: Buffer, start: number, end: number) => Value

export class CopyTextReader {
  /** The line of the last row that came out, from 1. */
  line = 0
  /** The end-of-data mark has come: nothing after it counts. */
  done = false
  readonly #table: string
  readonly #columns: readonly CopyColumn[]
  readonly #readers: readonly FieldReader[]
  readonly #delimiter: number
  /** Refuse a NULL: of columns that may. */
  readonly #checkNull: readonly (((context: TypeContext) => void) | undefined)[]
  readonly #context: TypeContext
  readonly #null: Buffer
  readonly #defaultNull: boolean
  #rest: Buffer = NO_BYTES
  /** How lines end, known from the first on. */
  #ending: '\n' | '\r' | '\r\n' | undefined

  constructor(table: string, columns: readonly CopyColumn[], options: CopyTextOptions, context: TypeContext) {
    this.#table = table
    this.#columns = columns
    this.#readers = columns.map((column) => fieldReader(column, context))
    this.#checkNull = columns.map(({ type }) => type.checkNull)
    this.#context = context
    this.#delimiter = options.delimiter.charCodeAt(0)
    this.#null = Buffer.from(options.null)
    this.#defaultNull = options.null === '\\N'
  }

  /** The rows that are whole with this chunk, which is not kept; undefined: the end of the data. */
  push(chunk: Buffer | undefined): RowBatch {
    const rows: RowBatch = []
    if (this.done) return rows
    const last = chunk === undefined
    const bytes = last ? this.#rest : this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    let at = 0
    while (at < bytes.length && !this.done) {
      const next = this.#fast(bytes, at, rows)
      if (next > 0) {
        at = next
        continue
      }
      const slow = this.#slow(bytes, at, last, rows)
      if (slow < 0) break
      at = slow
    }
    this.#rest = this.done ? NO_BYTES : Buffer.from(bytes.subarray(at))
    if (last) this.done = true
    return rows
  }

  /** Reads a line that ends in a plain newline and has no escapes; 0: it is not such a line, or not all there, or wrong. */
  #fast(bytes: Buffer, from: number, rows: RowBatch): number {
    try {
      return this.#plainLine(bytes, from, rows)
    } catch (error) {
      // What is wrong first, as PostgreSQL looks at it, the long way finds out.
      if (error instanceof SqlError) return 0
      throw error
    }
  }

  #plainLine(bytes: Buffer, from: number, rows: RowBatch): number {
    if (this.#ending !== undefined && this.#ending !== '\n') return 0
    const readers = this.#readers
    const columns = readers.length
    const delimiter = this.#delimiter
    const limit = bytes.length
    const row: Value[] = []
    let start = from
    for (let i = from; i < limit; i++) {
      const c = bytes[i]!
      if (c > BACKSLASH) continue
      if (c === delimiter || c === NEWLINE) {
        const column = row.length
        if (column >= columns) return 0
        const isNull = this.#isNull(bytes, start, i)
        if (isNull) this.#checkNull[column]?.(this.#context)
        row.push(isNull ? null : readers[column]!(bytes, start, i))
        start = i + 1
        if (c === delimiter) continue
        if (row.length < columns) return 0
        this.#ending = '\n'
        this.line++
        rows.push(row)
        return start
      }
      if (c === RETURN) return 0
      if (c === BACKSLASH) {
        if (!this.#defaultNull || i !== start || bytes[i + 1] !== LETTER_N) return 0
        const after = bytes[i + 2]
        if (after !== delimiter && after !== NEWLINE) return 0
        i++
      }
    }
    return 0
  }

  #isNull(bytes: Buffer, start: number, end: number): boolean {
    const marker = this.#null
    if (end - start !== marker.length) return false
    for (let i = 0; i < marker.length; i++) if (bytes[start + i] !== marker[i]) return false
    return true
  }

  #nullField(column: number): null {
    try {
      this.#checkNull[column]?.(this.#context)
      return null
    } catch (error) {
      throw this.#located(error, `, column ${this.#columns[column]!.name}: null input`, this.line + 1)
    }
  }

  #field(column: number, bytes: Buffer, start: number, end: number): Value {
    try {
      return this.#readers[column]!(bytes, start, end)
    } catch (error) {
      throw this.#located(
        error,
        `, column ${this.#columns[column]!.name}: "${shownCopyData(bytes.toString('utf8', start, end))}"`,
        this.line + 1,
      )
    }
  }

  #located(error: unknown, where: string, line: number): unknown {
    if (error instanceof SqlError && error.fields.context === undefined)
      error.fields = { ...error.fields, context: `COPY ${this.#table}, line ${line}${where}` }
    return error
  }

  #broken(message: string, raw: string, hint?: string): unknown {
    return this.#located(
      sqlError('22P04', message, hint === undefined ? {} : { hint }),
      `: "${shownCopyData(raw)}"`,
      this.line + 1,
    )
  }

  /** Any line; -1: it is not all there yet. Gives where the next one begins. */
  #slow(bytes: Buffer, from: number, last: boolean, rows: RowBatch): number {
    let end = -1
    let next = -1
    for (let i = from; i < bytes.length; i++) {
      const c = bytes[i]!
      if (c === BACKSLASH) {
        i++
        continue
      }
      if (c === NEWLINE && this.#ending !== '\r') {
        if (this.#ending === '\r\n') throw this.#wrongEnd('newline', '\\n')
        end = i
        next = i + 1
        this.#ending ??= '\n'
        break
      }
      if (c === RETURN) {
        if (this.#ending === '\n') throw this.#wrongEnd('carriage return', '\\r')
        if (i + 1 >= bytes.length && !last && this.#ending !== '\r') return -1
        const pair = bytes[i + 1] === NEWLINE
        if (this.#ending === '\r\n' && !pair) throw this.#wrongEnd('carriage return', '\\r')
        end = i
        next = i + (pair && this.#ending !== '\r' ? 2 : 1)
        this.#ending ??= pair ? '\r\n' : '\r'
        break
      }
    }
    if (end < 0) {
      if (!last) return -1
      end = next = bytes.length
    }
    if (end - from === 2 && bytes[from] === BACKSLASH && bytes[from + 1] === DOT) {
      this.done = true
      return next
    }
    rows.push(this.#parts(bytes, from, end))
    this.line++
    return next
  }

  #wrongEnd(what: string, letter: string): unknown {
    return this.#located(
      sqlError('22P04', `literal ${what} found in data`, { hint: `Use "${letter}" to represent ${what}.` }),
      '',
      this.line + 1,
    )
  }

  #parts(bytes: Buffer, from: number, end: number): Value[] {
    const columns = this.#readers.length
    const raw = (): string => bytes.toString('utf8', from, end)
    const fields: (Buffer | null)[] = []
    let start = from
    let escaped = false
    for (let i = from; i <= end && (columns > 0 || end > from); i++) {
      if (i < end && bytes[i] === BACKSLASH) {
        escaped = true
        i++
        if (i < end) continue
      }
      if (i < end && bytes[i] !== this.#delimiter) continue
      const stop = Math.min(i, end)
      fields.push(
        this.#isNull(bytes, start, stop) ? null : escaped ? unescaped(bytes, start, stop) : bytes.subarray(start, stop),
      )
      start = i + 1
      escaped = false
    }
    if (fields.length > columns) throw this.#broken('extra data after last expected column', raw())
    return this.#columns.map(({ name }, column) => {
      const field = fields[column]
      if (field === undefined) throw this.#broken(`missing data for column "${name}"`, raw())
      return field === null ? this.#nullField(column) : this.#field(column, field, 0, field.length)
    })
  }
}

const ESCAPES: ReadonlyMap<number, number> = new Map(
  [...'bfnrtv'].map((letter, i) => [letter.charCodeAt(0), [8, 12, 10, 13, 9, 11][i]!]),
)
const isOctal = (c: number | undefined): c is number => c !== undefined && c >= 0x30 && c <= 0x37
const hexDigit = (c: number | undefined): number => {
  if (c === undefined) return -1
  if (c >= 0x30 && c <= 0x39) return c - 0x30
  const letter = c | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}

/** The field's bytes with backslash sequences replaced: \b \f \n \r \t \v, \ooo, \xhh, and the character itself. */
function unescaped(bytes: Buffer, start: number, end: number): Buffer {
  const out = Buffer.allocUnsafe(end - start)
  let length = 0
  for (let i = start; i < end; i++) {
    let c = bytes[i]!
    if (c === BACKSLASH && i + 1 < end) {
      c = bytes[++i]!
      const known = ESCAPES.get(c)
      if (known !== undefined) c = known
      else if (isOctal(c)) {
        c -= 0x30
        for (let more = 0; more < 2 && i + 1 < end && isOctal(bytes[i + 1]); more++) c = c * 8 + bytes[++i]! - 0x30
        c &= 0xff
      } else if (c === 0x78 && i + 1 < end && hexDigit(bytes[i + 1]) >= 0) {
        c = hexDigit(bytes[++i])
        if (i + 1 < end && hexDigit(bytes[i + 1]) >= 0) c = c * 16 + hexDigit(bytes[++i])
      }
    }
    out[length++] = c
  }
  return out.subarray(0, length)
}

/** Digits that stay within a safe integer. */
const DIGITS_MAX = 15

function fieldReader({ type, typmod }: CopyColumn, context: TypeContext): FieldReader {
  const slow: FieldReader = (bytes, start, end) => type.input(decodeUtf8(bytes, start, end), typmod, context)
  switch (type.oid) {
    case OID.int2:
      return integerReader(-0x8000, 0x7fff, slow)
    case OID.int4:
      return integerReader(-0x8000_0000, 0x7fff_ffff, slow)
    case OID.int8:
      return integerReader(Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER, slow)
    case OID.text:
      return decodeUtf8
    case OID.varchar:
      return typmod === -1 ? decodeUtf8 : slow
    case OID.bpchar: {
      // The same short text again and again, padded once.
      let last: string | undefined
      let padded: Value = null
      return (bytes, start, end) => {
        const text = decodeUtf8(bytes, start, end)
        if (text !== last) {
          padded = type.input(text, typmod, context)
          last = text
        }
        return padded
      }
    }
    default:
      return slow
  }
}

function integerReader(min: number, max: number, slow: FieldReader): FieldReader {
  return (bytes, start, end) => {
    const negative = bytes[start] === 0x2d
    let i = negative ? start + 1 : start
    if (i >= end || end - i > DIGITS_MAX) return slow(bytes, start, end)
    let n = 0
    for (; i < end; i++) {
      const digit = bytes[i]! - 0x30
      if (digit < 0 || digit > 9) return slow(bytes, start, end)
      n = n * 10 + digit
    }
    if (negative) n = n === 0 ? 0 : -n
    return n < min || n > max ? slow(bytes, start, end) : n
  }
}

// ---- out

/** Rows to text-format bytes: `row` appends to `bytes`, `take` gives what there is and begins anew. */
export class CopyTextWriter {
  readonly #to = createByteWriter(64 << 10)
  readonly #writers: readonly ((value: NonNullable<Value>, to: ResettableByteWriter) => void)[]
  readonly #delimiter: number
  readonly #null: Buffer

  constructor(columns: readonly Pick<CopyColumn, 'type'>[], options: CopyTextOptions, context: TypeContext) {
    const delimiter = options.delimiter.charCodeAt(0)
    this.#delimiter = delimiter
    this.#null = Buffer.from(options.null)
    this.#writers = columns.map(({ type }) => {
      if (type.oid === OID.int2 || type.oid === OID.int4 || type.oid === OID.int8) return writeInteger
      if (type.oid === OID.text || type.oid === OID.varchar || type.oid === OID.bpchar)
        return (value, to) => writeText(value as string, to, delimiter)
      return (value, to) => writeText(type.output(value, context), to, delimiter)
    })
  }

  get length(): number {
    return this.#to.length
  }

  row(values: Row): void {
    const to = this.#to
    const writers = this.#writers
    for (let i = 0; i < writers.length; i++) {
      if (i > 0) to.uint8(this.#delimiter)
      const value = values[i]!
      if (value === null) to.bytes(this.#null)
      else writers[i]!(value, to)
    }
    to.uint8(NEWLINE)
  }

  /** Valid until the next row. */
  take(): Buffer {
    const bytes = this.#to.buffer.subarray(0, this.#to.length)
    this.#to.reset()
    return bytes
  }
}

function writeInteger(value: NonNullable<Value>, to: ResettableByteWriter): void {
  if (typeof value !== 'number' || value > 0x7fff_ffff || value < -0x7fff_ffff) {
    to.text(String(value))
    return
  }
  let n = value < 0 ? -value : value
  let digits = 1
  for (let power = 10; n >= power; power *= 10) digits++
  const length = value < 0 ? digits + 1 : digits
  const at = to.reserve(length)
  const { buffer } = to
  for (let i = at + length - 1; digits > 0; digits--, i--) {
    const rest = (n / 10) | 0
    buffer[i] = 0x30 + n - rest * 10
    n = rest
  }
  if (value < 0) buffer[at] = 0x2d
}

const SHORT: ReadonlyMap<string, string> = new Map([
  ['\b', '\\b'],
  ['\f', '\\f'],
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
  ['\v', '\\v'],
  ['\\', '\\\\'],
])

function writeText(text: string, to: ResettableByteWriter, delimiter: number): void {
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (c === BACKSLASH || c === delimiter || (c < 0x20 && c >= 8 && c <= 13)) {
      to.text(escapedText(text, delimiter))
      return
    }
  }
  to.text(text)
}

function escapedText(text: string, delimiter: number): string {
  let out = ''
  for (const c of text) {
    const short = SHORT.get(c)
    out += short ?? (c.charCodeAt(0) === delimiter ? `\\${c}` : c)
  }
  return out
}
