/**
 * COPY's three formats, both ways (PostgreSQL 15 manual, COPY, "File Formats"). Readers take chunks cut anywhere and give
 * records; writers give one record's bytes.
 *
 *     text     a\tb\\c\t\N\n                    csv   a,"b ""c""",\n
 *     binary   PGCOPY… | int16 fields (int32 length, bytes)… | int16 -1
 */
import { createByteWriter } from '../../types/bytes.ts'
import { type SqlError, sqlError } from '../../types/error.ts'
import type { Type, TypeContext } from '../../types/type.ts'
import type { Row, Value } from '../../types/value.ts'
import type { CopyOptions } from './copy-options.ts'

/** One line's fields as text; `raw` is the line for error messages. */
export interface TextRecord {
  readonly fields: readonly (string | null)[]
  readonly line: number
  readonly raw: string
}

const badFile = (message: string, hint?: string): SqlError => sqlError('22P04', message, hint === undefined ? {} : { hint })

/** An error with the place where it happened: `COPY t, line 3: "…"`. */
export function withLine(error: unknown, table: string, line: number, raw: string | undefined, column?: string): unknown {
  if (!(error instanceof Error) || error.name !== 'SqlError') return error
  const known = error as SqlError
  if (known.fields.context !== undefined) return error
  const shown = raw === undefined ? '' : `: "${raw.length > 100 ? `${raw.slice(0, 100)}...` : raw}"`
  known.fields = { ...known.fields, context: `COPY ${table}, line ${line}${column === undefined ? '' : `, column ${column}`}${shown}` }
  return error
}

// ── Reading text and csv ─────────────────────────────────────────────────────────────────────────────────────────

export abstract class LineReader {
  /** Nothing after the end-of-data mark counts. */
  done = false
  /** The line being read, from 1. */
  line = 0
  readonly table: string
  #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  #rest = ''
  /** How lines end, known from the first on. */
  protected ending: '\n' | '\r' | '\r\n' | undefined

  constructor(table: string) {
    this.table = table
  }

  /** The records that are whole with this chunk; undefined: the end. */
  *push(chunk: Uint8Array | undefined): Generator<TextRecord, void, undefined> {
    if (this.done) return
    let text: string
    try {
      text = this.#rest + this.#decoder.decode(chunk, { stream: chunk !== undefined })
    } catch {
      throw withLine(sqlError('22021', 'invalid byte sequence for encoding "UTF8"'), this.table, this.line + 1, undefined)
    }
    let at = 0
    while (at < text.length && !this.done) {
      const end = this.recordEnd(text, at, chunk === undefined)
      if (end === undefined) break
      const raw = text.slice(at, end.end)
      at = end.next
      this.line++
      if (raw === '\\.') {
        this.done = true
        return
      }
      this.line += end.inside
      yield { fields: this.fields(raw), line: this.line, raw }
    }
    this.#rest = text.slice(at)
    if (chunk === undefined) this.done = true
  }

  /** Where the record that begins at `at` ends, and the next begins; undefined: not yet. `inside`: lines it goes over. */
  protected abstract recordEnd(text: string, at: number, last: boolean): { readonly end: number; readonly next: number; readonly inside: number } | undefined
  protected abstract fields(raw: string): readonly (string | null)[]

  /** After the end at `i`: finds out or checks how lines end. */
  protected endAt(text: string, i: number, last: boolean): { readonly end: number; readonly next: number } | undefined {
    if (text[i] === '\n') return { end: i, next: i + 1 }
    // A carriage return: alone, or the first half.
    if (i + 1 >= text.length && !last && this.ending !== '\r') return undefined
    return text[i + 1] === '\n' && this.ending !== '\r' ? { end: i, next: i + 2 } : { end: i, next: i + 1 }
  }
  protected check(text: string, end: { readonly end: number; readonly next: number }, isCsv: boolean): void {
    const ending = text.slice(end.end, end.next) as '\n' | '\r' | '\r\n'
    this.ending ??= ending
    if (ending === this.ending || ending.length === 0) return
    const what = ending === '\n' ? 'newline' : 'carriage return'
    const letter = ending === '\n' ? '\\n' : '\\r'
    const error = isCsv ? badFile(`unquoted ${what} found in data`, `Use quoted CSV field to represent ${what}.`) : badFile(`literal ${what} found in data`, `Use "${letter}" to represent ${what}.`)
    throw withLine(error, this.table, this.line + 1, undefined)
  }
}

const ESCAPES: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' }

export class TextReader extends LineReader {
  readonly #options: CopyOptions
  constructor(options: CopyOptions, table: string) {
    super(table)
    this.#options = options
  }

  protected recordEnd(text: string, at: number, last: boolean) {
    for (let from = at; ; ) {
      let i = text.indexOf('\n', from)
      const cr = this.ending === '\n' && i >= 0 ? text.slice(from, i).indexOf('\r') : text.indexOf('\r', from)
      const crAt = this.ending === '\n' && i >= 0 ? (cr < 0 ? -1 : from + cr) : cr
      if (crAt >= 0 && (i < 0 || crAt < i)) i = crAt
      if (i < 0) return last ? { end: text.length, next: text.length, inside: 0 } : undefined
      let slashes = 0
      while (i - slashes > at && text.charCodeAt(i - slashes - 1) === 92) slashes++
      if (slashes % 2 === 1) {
        from = i + 1
        continue
      }
      const end = this.endAt(text, i, last)
      if (end === undefined) return undefined
      this.check(text, end, false)
      return { ...end, inside: 0 }
    }
  }

  protected fields(raw: string): (string | null)[] {
    const { delimiter, null: nullText } = this.#options
    if (!raw.includes('\\')) {
      const fields: (string | null)[] = raw.split(delimiter)
      for (let i = 0; i < fields.length; i++) if (fields[i] === nullText) fields[i] = null
      return fields
    }
    const fields: (string | null)[] = []
    let from = 0
    for (let i = 0; i <= raw.length; i++) {
      if (i < raw.length && raw[i] === '\\') {
        i++
        continue
      }
      if (i < raw.length && raw[i] !== delimiter) continue
      const part = raw.slice(from, i)
      fields.push(part === nullText ? null : unescape(part))
      from = i + 1
    }
    if (from <= raw.length && raw.endsWith('\\') && fields.length === 0) fields.push(unescape(raw))
    return fields
  }
}

function unescape(text: string): string {
  if (!text.includes('\\')) return text
  // Codes of bytes may spell one character together.
  const bytes: number[] = []
  let out = ''
  const flush = (): void => {
    if (bytes.length === 0) return
    try {
      out += new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(bytes))
    } catch {
      throw sqlError('22021', `invalid byte sequence for encoding "UTF8": ${bytes.map((byte) => `0x${byte.toString(16).padStart(2, '0')}`).join(' ')}`)
    }
    bytes.length = 0
  }
  for (let i = 0; i < text.length; i++) {
    if (text[i] !== '\\' || i + 1 >= text.length) {
      flush()
      out += text[i]
      continue
    }
    const code = /^(?:([0-7]{1,3})|x([0-9a-fA-F]{1,2}))/.exec(text.slice(i + 1, i + 4))
    if (code !== null) {
      bytes.push((code[1] !== undefined ? Number.parseInt(code[1], 8) : Number.parseInt(code[2]!, 16)) & 0xff)
      i += code[0].length
      continue
    }
    flush()
    const letter = text[++i]!
    out += ESCAPES[letter] ?? letter
  }
  flush()
  if (out.includes('\0')) throw sqlError('22021', 'invalid byte sequence for encoding "UTF8": 0x00')
  return out
}

export class CsvReader extends LineReader {
  readonly #options: CopyOptions
  /** By position in the column list. */
  readonly #notNull: ReadonlySet<number>
  readonly #null: ReadonlySet<number>
  constructor(options: CopyOptions, table: string, forceNotNull: ReadonlySet<number>, forceNull: ReadonlySet<number>) {
    super(table)
    this.#options = options
    this.#notNull = forceNotNull
    this.#null = forceNull
  }

  protected recordEnd(text: string, at: number, last: boolean) {
    const { quote, escape } = this.#options
    let quoted = false
    let inside = 0
    for (let i = at; i < text.length; i++) {
      const c = text[i]!
      if (quoted) {
        if (c === escape && escape !== quote && (text[i + 1] === escape || text[i + 1] === quote)) i++
        else if (c === quote) quoted = false
        else if (c === (this.ending === '\r' ? '\r' : '\n')) inside++
        continue
      }
      if (c === quote) quoted = true
      else if (c === '\n' || c === '\r') {
        const end = this.endAt(text, i, last)
        if (end === undefined) return undefined
        this.check(text, end, true)
        return { ...end, inside }
      }
    }
    if (!last) return undefined
    if (quoted) throw withLine(badFile('unterminated CSV quoted field'), this.table, this.line + 1 + inside, text.slice(at))
    return { end: text.length, next: text.length, inside }
  }

  protected fields(raw: string): (string | null)[] {
    const { delimiter, quote, escape, null: nullText } = this.#options
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
        if (c === escape && (raw[i + 1] === escape || raw[i + 1] === quote)) value += raw[++i]
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
  readonly #types: readonly Type[]
  readonly #typmods: readonly number[]
  readonly #names: readonly string[]
  readonly #context: TypeContext
  readonly #table: string
  #rest: Buffer = Buffer.alloc(0)
  #begun = false
  constructor(types: readonly Type[], typmods: readonly number[], names: readonly string[], context: TypeContext, table: string) {
    this.#types = types
    this.#typmods = typmods
    this.#names = names
    this.#context = context
    this.#table = table
  }

  *push(chunk: Uint8Array | undefined): Generator<{ readonly values: Value[]; readonly line: number }, void, undefined> {
    if (chunk === undefined) {
      if (!this.#begun) throw badFile('COPY file signature not recognized')
      if (this.#rest.length > 0) throw withLine(badFile('unexpected EOF in COPY data'), this.#table, this.line + 1, undefined)
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
      yield { values: this.#row(bytes, at), line: this.line }
      at = end
    }
    this.#rest = bytes.subarray(at)
  }

  #header(bytes: Buffer): number | undefined {
    const known = Math.min(bytes.length, SIGNATURE.length)
    if (!bytes.subarray(0, known).equals(SIGNATURE.subarray(0, known))) throw badFile('COPY file signature not recognized')
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
    if (count !== this.#types.length) throw withLine(badFile(`row field count is ${count}, expected ${this.#types.length}`), this.#table, this.line + 1, undefined)
    for (let i = 0; i < count; i++) {
      if (bytes.length - at < 4) return undefined
      const length = bytes.readInt32BE(at)
      at += 4
      if (length < -1) throw withLine(badFile('invalid field size'), this.#table, this.line + 1, undefined, this.#names[i])
      if (length > 0) at += length
      if (at > bytes.length) return undefined
    }
    return at
  }

  #row(bytes: Buffer, from: number): Value[] {
    let at = from + 2
    return this.#types.map((type, i) => {
      const length = bytes.readInt32BE(at)
      at += 4
      if (length === -1) return null
      at += length
      try {
        return type.receive(bytes, at - length, at, this.#typmods[i]!, this.#context)
      } catch (error) {
        throw withLine(error, this.#table, this.line, undefined, this.#names[i])
      }
    })
  }
}

// ── Writing ──────────────────────────────────────────────────────────────────────────────────────────────────────

export interface CopyWriter {
  /** Before the rows: the header line, or the binary signature. */
  readonly head: Uint8Array | undefined
  row(values: Row): Uint8Array
  readonly tail: Uint8Array | undefined
}

const SPECIAL: Readonly<Record<string, string>> = { '\b': '\\b', '\f': '\\f', '\n': '\\n', '\r': '\\r', '\t': '\\t', '\v': '\\v', '\\': '\\\\' }

export function copyWriter(options: CopyOptions, names: readonly string[], types: readonly Type[], forced: ReadonlySet<number>, context: TypeContext): CopyWriter {
  if (options.format === 'binary') return binaryWriter(types, context)
  const { delimiter, null: nullText, quote, escape } = options
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what the format escapes
  const escaped = new RegExp(`[\\b\\f\\n\\r\\t\\v\\\\${/[\]^\\-]/.test(delimiter) ? `\\${delimiter}` : delimiter}]`, 'g')
  const text = (value: string): string => value.replace(escaped, (c) => SPECIAL[c] ?? `\\${c}`)
  const csv = (value: string, force: boolean): string => {
    const needs = force || value === nullText || value.includes(delimiter) || value.includes(quote) || value.includes('\n') || value.includes('\r') || (types.length === 1 && value === '\\.')
    if (!needs) return value
    let body = ''
    for (const c of value) body += c === quote || c === escape ? escape + c : c
    return quote + body + quote
  }
  const line = (fields: readonly string[]): Buffer => Buffer.from(`${fields.join(delimiter)}\n`)
  const isCsv = options.format === 'csv'
  return {
    head: options.header === false ? undefined : line(names.map((name) => (isCsv ? csv(name, false) : text(name)))),
    row: (values) =>
      line(
        types.map((type, i) => {
          const value = values[i]!
          if (value === null) return nullText
          const shown = type.output(value, context)
          return isCsv ? csv(shown, forced.has(i)) : text(shown)
        }),
      ),
    tail: undefined,
  }
}

function binaryWriter(types: readonly Type[], context: TypeContext): CopyWriter {
  const to = createByteWriter()
  return {
    head: Buffer.concat([SIGNATURE, Buffer.alloc(8)]),
    row(values) {
      to.reset()
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
    tail: Buffer.from([0xff, 0xff]),
  }
}
