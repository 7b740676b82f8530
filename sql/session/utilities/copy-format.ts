/**
 * COPY's csv and binary formats, both ways, and text's first line (PostgreSQL 15 manual, COPY, "File Formats"); the text
 * format itself is sql/executor/copy-format.ts. Readers take chunks cut anywhere and give rows; writers give a row's bytes.
 *
 *     csv      a,"b ""c""",\n
 *     binary   PGCOPY… | int16 fields (int32 length, bytes)… | int16 -1
 */
import { type CopyColumn, CopyTextWriter, shownCopyData } from '../../executor/copy-format.ts'
import { createByteWriter } from '../../types/bytes.ts'
import { type SqlError, sqlError } from '../../types/error.ts'
import { OID } from '../../types/oids.ts'
import { badSequence, badSequenceAt, cutCharacterBytes } from '../../types/text/chars.ts'
import type { Type, TypeContext } from '../../types/type.ts'
import type { Row, Value } from '../../types/value.ts'
import type { CopyOptions } from './copy-options.ts'

/** One line's fields as text; `raw` is the line for error messages. */
export interface TextRecord {
  readonly fields: readonly (string | null)[]
  readonly line: number
  readonly raw: string
}

const badFile = (message: string, hint?: string): SqlError =>
  sqlError('22P04', message, hint === undefined ? {} : { hint })

/** An error with the place where it happened: `COPY t, line 3: "…"`. */
export function withLine(
  error: unknown,
  table: string,
  line: number,
  /** Null: of a column, a NULL. */
  raw: string | null | undefined,
  column?: string,
): unknown {
  if (!(error instanceof Error) || error.name !== 'SqlError') return error
  const known = error as SqlError
  if (known.fields.context !== undefined) return error
  const given = raw === null ? 'null input' : `"${shownCopyData(raw ?? '')}"`
  const shown = raw === undefined ? '' : `: ${given}`
  known.fields = {
    ...known.fields,
    context: `COPY ${table}, line ${line}${column === undefined ? '' : `, column ${column}`}${shown}`,
  }
  return error
}

// ── The first line ───────────────────────────────────────────────────────────────────────────────────────────────

/** Takes the header line off the front of text-format data. */
export class HeaderLine {
  /** undefined until the line is whole. */
  fields: string[] | undefined
  raw = ''
  #kept: Buffer = Buffer.alloc(0)
  readonly #delimiter: string
  constructor(delimiter: string) {
    this.#delimiter = delimiter
  }
  /** What of the data comes after the header line; undefined while that is not whole. */
  push(chunk: Buffer | undefined): Buffer | undefined {
    if (chunk !== undefined) this.#kept = this.#kept.length === 0 ? chunk : Buffer.concat([this.#kept, chunk])
    const bytes = this.#kept
    let end = bytes.findIndex((c) => c === 10 || c === 13)
    if (end < 0 || (bytes[end] === 13 && end + 1 === bytes.length)) {
      if (chunk !== undefined) return undefined
      if (end < 0) end = bytes.length
    }
    this.raw = bytes.toString('utf8', 0, end)
    this.fields = this.raw.split(this.#delimiter)
    return bytes.subarray(bytes[end] === 13 && bytes[end + 1] === 10 ? end + 2 : Math.min(end + 1, bytes.length))
  }
}

/** The chunks last read, to show a line that turned out wrong later. */
export class RecentLines {
  #bytes: Buffer = Buffer.alloc(0)
  note(chunk: Buffer): void {
    const before = this.#bytes.lastIndexOf(10)
    const tail = this.#bytes.subarray(before + 1)
    this.#bytes = tail.length === 0 ? chunk : Buffer.concat([tail, chunk])
  }
  /** The n-th line (from 0) that ended, or will end, in the last chunk. */
  line(n: number): string | undefined {
    let at = 0
    for (let i = 0; i < n; i++) {
      at = this.#bytes.indexOf(10, at) + 1
      if (at === 0) return undefined
    }
    const end = this.#bytes.indexOf(10, at)
    return this.#bytes.toString('utf8', at, end < 0 ? this.#bytes.length : end).replace(/\r$/, '')
  }
}

// ── Reading csv ──────────────────────────────────────────────────────────────────────────────────────────────────

interface RecordEnd {
  readonly end: number
  readonly next: number
  /** Lines that its quoted fields go over. */
  readonly inside: number
}

export class CsvReader {
  /** Nothing after the end-of-data mark counts. */
  done = false
  /** The line being read, from 1. */
  line = 0
  readonly #table: string
  readonly #options: CopyOptions
  /** By position in the column list. */
  readonly #notNull: ReadonlySet<number>
  readonly #null: ReadonlySet<number>
  /** The beginning of a character that a chunk ended in. */
  #cut = Buffer.alloc(0)
  #rest = ''
  /** How lines end, known from the first on. */
  #ending: string | undefined

  constructor(options: CopyOptions, table: string, forceNotNull: ReadonlySet<number>, forceNull: ReadonlySet<number>) {
    this.#options = options
    this.#table = table
    this.#notNull = forceNotNull
    this.#null = forceNull
  }

  /** The records that are whole with this chunk; undefined: the end. */
  *push(chunk: Uint8Array | undefined): Generator<TextRecord, void, undefined> {
    if (this.done) return
    const last = chunk === undefined
    const bytes = last ? this.#cut : Buffer.concat([this.#cut, chunk])
    const whole = last ? bytes.length : bytes.length - cutCharacterBytes(bytes)
    this.#cut = bytes.subarray(whole)
    // Records before a bad sequence count, so that the error names its line.
    const good = badSequenceAt(bytes.subarray(0, whole))
    const text = this.#rest + bytes.toString('utf8', 0, good)
    let at = 0
    while (at < text.length) {
      const found = this.#recordEnd(text, at, last && good === whole)
      if (found === undefined) break
      const raw = text.slice(at, found.end)
      at = found.next
      this.line++
      if (raw === '\\.') {
        this.done = true
        return
      }
      this.line += found.inside
      yield { fields: this.#fields(raw), line: this.line, raw }
    }
    this.#rest = text.slice(at)
    if (good < whole) {
      const inside = this.#rest.split(this.#lineEnd()).length - 1
      throw withLine(sqlError('22021', badSequence(bytes, good)), this.#table, this.line + 1 + inside, undefined)
    }
    if (last) this.done = true
  }

  /** Where the record that begins at `at` ends, and the next begins; undefined: not yet. */
  #recordEnd(text: string, at: number, last: boolean): RecordEnd | undefined {
    const { quote, escape: escapeChar } = this.#options
    const lineEnd = this.#lineEnd()
    let quoted = false
    let inside = 0
    for (let i = at; i < text.length; i++) {
      const c = text[i]!
      if (quoted) {
        if (c === escapeChar && escapeChar !== quote && (text[i + 1] === escapeChar || text[i + 1] === quote)) i++
        else if (c === quote) quoted = false
        else if (c === lineEnd) inside++
        continue
      }
      if (c === quote) quoted = true
      else if (c === '\n' || c === '\r') {
        if (c === '\r' && i + 1 >= text.length && !last && this.#ending !== '\r') return undefined
        const next = c === '\r' && text[i + 1] === '\n' && this.#ending !== '\r' ? i + 2 : i + 1
        this.#checkEnding(text.slice(i, next))
        return { end: i, next, inside }
      }
    }
    if (!last) return undefined
    if (quoted)
      throw withLine(badFile('unterminated CSV quoted field'), this.#table, this.line + 1 + inside, text.slice(at))
    return { end: text.length, next: text.length, inside }
  }

  /** What counts as a line inside quotes, as PostgreSQL counts them. */
  #lineEnd(): string {
    return this.#ending?.endsWith('\n') ? '\n' : '\r'
  }

  #checkEnding(ending: string): void {
    this.#ending ??= ending
    if (ending === this.#ending) return
    const what = ending === '\n' ? 'newline' : 'carriage return'
    throw withLine(
      badFile(`unquoted ${what} found in data`, `Use quoted CSV field to represent ${what}.`),
      this.#table,
      this.line + 1,
      undefined,
    )
  }

  #fields(raw: string): (string | null)[] {
    const { delimiter, quote, escape: escapeChar, null: nullText } = this.#options
    const fields: (string | null)[] = []
    const add = (value: string, wasQuoted: boolean): void => {
      const position = fields.length
      const isNull = value === nullText && (wasQuoted ? this.#null.has(position) : !this.#notNull.has(position))
      fields.push(isNull ? null : value)
    }
    if (!raw.includes(quote)) {
      for (const value of raw.split(delimiter)) add(value, false)
      return fields
    }
    let value = ''
    let quoted = false
    let wasQuoted = false
    for (let i = 0; i < raw.length; i++) {
      const c = raw[i]!
      if (quoted) {
        if (c === escapeChar && (raw[i + 1] === escapeChar || raw[i + 1] === quote)) value += raw[++i]
        else if (c === quote) quoted = false
        else value += c
      } else if (c === delimiter) {
        add(value, wasQuoted)
        value = ''
        wasQuoted = false
      } else if (c === quote) {
        quoted = true
        wasQuoted = true
      } else value += c
    }
    add(value, wasQuoted)
    return fields
  }
}

// ── Reading binary ───────────────────────────────────────────────────────────────────────────────────────────────

const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1')

export class BinaryReader {
  line = 0
  done = false
  readonly #columns: readonly CopyColumn[]
  readonly #context: TypeContext
  readonly #table: string
  #rest: Buffer = Buffer.alloc(0)
  #begun = false
  constructor(columns: readonly CopyColumn[], context: TypeContext, table: string) {
    this.#columns = columns
    this.#context = context
    this.#table = table
  }

  *push(chunk: Uint8Array | undefined): Generator<Value[], void, undefined> {
    if (chunk === undefined) {
      if (!this.#begun) throw badFile('COPY file signature not recognized')
      if (this.#rest.length > 0)
        throw withLine(badFile('unexpected EOF in COPY data'), this.#table, this.line + 1, undefined)
      return
    }
    if (this.done) {
      if (chunk.length > 0) throw badFile('received copy data after EOF marker')
      return
    }
    const bytes = this.#rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#rest, chunk])
    let at = 0
    if (!this.#begun) {
      const start = this.#header(bytes)
      if (start === undefined) {
        this.#rest = bytes
        return
      }
      at = start
      this.#begun = true
    }
    for (;;) {
      const end = this.#wholeRow(bytes, at)
      if (end === undefined) break
      this.line++
      if (bytes.readInt16BE(at) === -1) {
        this.done = true
        if (end < bytes.length) throw badFile('received copy data after EOF marker')
        at = end
        break
      }
      yield this.#row(bytes, at)
      at = end
    }
    this.#rest = bytes.subarray(at)
  }

  #header(bytes: Buffer): number | undefined {
    const known = Math.min(bytes.length, SIGNATURE.length)
    if (!bytes.subarray(0, known).equals(SIGNATURE.subarray(0, known)))
      throw badFile('COPY file signature not recognized')
    if (bytes.length < SIGNATURE.length + 8) return undefined
    const flags = bytes.readUInt32BE(SIGNATURE.length)
    if ((flags & (1 << 16)) !== 0) throw badFile('invalid COPY file header (WITH OIDS)')
    if ((flags & 0xfffe0000) !== 0) throw badFile('unrecognized critical flags in COPY file header')
    const extension = bytes.readInt32BE(SIGNATURE.length + 4)
    if (extension < 0) throw badFile('invalid COPY file header (missing length)')
    const start = SIGNATURE.length + 8 + extension
    return bytes.length < start ? undefined : start
  }

  #wholeRow(bytes: Buffer, from: number): number | undefined {
    if (bytes.length - from < 2) return undefined
    const count = bytes.readInt16BE(from)
    let at = from + 2
    if (count === -1) return at
    if (count !== this.#columns.length)
      throw withLine(
        badFile(`row field count is ${count}, expected ${this.#columns.length}`),
        this.#table,
        this.line + 1,
        undefined,
      )
    for (let i = 0; i < count; i++) {
      if (bytes.length - at < 4) return undefined
      const length = bytes.readInt32BE(at)
      at += 4
      if (length < -1)
        throw withLine(badFile('invalid field size'), this.#table, this.line + 1, undefined, this.#columns[i]!.name)
      if (length > 0) at += length
      if (at > bytes.length) return undefined
    }
    return at
  }

  #row(bytes: Buffer, from: number): Value[] {
    let at = from + 2
    return this.#columns.map(({ name, type, typmod }) => {
      const length = bytes.readInt32BE(at)
      at += 4
      if (length === -1) {
        type.checkNull?.(this.#context)
        return null
      }
      at += length
      try {
        return type.receive(bytes, at - length, at, typmod, this.#context)
      } catch (error) {
        throw withLine(error, this.#table, this.line, undefined, name)
      }
    })
  }
}

// ── Writing ──────────────────────────────────────────────────────────────────────────────────────────────────────

export interface CopyWriter {
  /** Before the rows: the header line, or the binary signature. */
  readonly head: Uint8Array | undefined
  /** Valid until the next row. */
  row(values: Row): Uint8Array
  readonly tail: Uint8Array | undefined
}

export function copyWriter(
  options: CopyOptions,
  names: readonly string[],
  types: readonly Type[],
  forced: ReadonlySet<number>,
  context: TypeContext,
): CopyWriter {
  if (options.format === 'binary') return binaryWriter(types, context)
  return options.format === 'csv'
    ? csvWriter(options, names, types, forced, context)
    : textWriter(options, names, types, context)
}

function textWriter(
  options: CopyOptions,
  names: readonly string[],
  types: readonly Type[],
  context: TypeContext,
): CopyWriter {
  const writer = new CopyTextWriter(
    types.map((type) => ({ type })),
    options,
    context,
  )
  return {
    head: options.header === false ? undefined : headLine(options, names, context),
    row(values) {
      writer.row(values)
      return writer.take()
    },
    tail: undefined,
  }
}

/** The columns' names as a row of texts. */
function headLine(options: CopyOptions, names: readonly string[], context: TypeContext): Buffer {
  const type = context.type(OID.text)
  const writer = new CopyTextWriter(
    names.map(() => ({ type })),
    options,
    context,
  )
  writer.row(names)
  return Buffer.from(writer.take())
}

function csvWriter(
  options: CopyOptions,
  names: readonly string[],
  types: readonly Type[],
  forced: ReadonlySet<number>,
  context: TypeContext,
): CopyWriter {
  const { delimiter, null: nullText, quote, escape: escapeChar } = options
  const csv = (value: string, force: boolean): string => {
    const needs =
      force ||
      value === nullText ||
      value.includes(delimiter) ||
      value.includes(quote) ||
      value.includes('\n') ||
      value.includes('\r') ||
      (types.length === 1 && value === '\\.')
    if (!needs) return value
    let body = ''
    for (const c of value) body += c === quote || c === escapeChar ? escapeChar + c : c
    return quote + body + quote
  }
  const line = (fields: readonly string[]): Buffer => Buffer.from(`${fields.join(delimiter)}\n`)
  return {
    head: options.header === false ? undefined : line(names.map((name) => csv(name, false))),
    row: (values) =>
      line(
        types.map((type, i) => (values[i] === null ? nullText : csv(type.output(values[i]!, context), forced.has(i)))),
      ),
    tail: undefined,
  }
}

const END_OF_ROWS = Buffer.from([0xff, 0xff])

function binaryWriter(types: readonly Type[], context: TypeContext): CopyWriter {
  const to = createByteWriter()
  // PostgreSQL sends the signature with the first row, or with the end: readers take a message for a row.
  const signature = Buffer.concat([SIGNATURE, Buffer.alloc(8)])
  let isFirst = true
  return {
    head: undefined,
    row(values) {
      to.reset()
      if (isFirst) to.bytes(signature)
      isFirst = false
      to.int16(types.length)
      types.forEach((type, i) => {
        const value = values[i]!
        if (value === null) {
          to.int32(-1)
          return
        }
        const at = to.reserve(4)
        const from = to.length
        type.send(value, to, context)
        to.setInt32(at, to.length - from)
      })
      return to.buffer.subarray(0, to.length)
    },
    get tail() {
      return isFirst ? Buffer.concat([signature, END_OF_ROWS]) : END_OF_ROWS
    },
  }
}
