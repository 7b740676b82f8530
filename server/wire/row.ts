/**
 * A result's shape on the wire: its RowDescription, built once, and how each column of a DataRow is encoded, chosen once
 * from the column's type and format. Numbers, booleans and strings are written where they belong; every other type goes
 * through its `output` or `send`.
 */
import type { Field, Format } from '../../sql/session/session.ts'
import type { ResettableByteWriter } from '../../sql/types/bytes.ts'
import type { TypeContext } from '../../sql/types/type.ts'
import type { Row, Value } from '../../sql/types/value.ts'
import { beginMessage, endMessage, formatOf } from './messages.ts'

const ENCODE_OUTPUT = 0
const ENCODE_SEND = 1
const ENCODE_INTEGER = 2
const ENCODE_STRING = 3
const ENCODE_BOOLEAN = 4
const ENCODE_INT16 = 5
const ENCODE_INT32 = 6
const ENCODE_INT64 = 7
const ENCODE_BOOLEAN_BYTE = 8
const ENCODE_BYTES = 9
const ENCODE_FLOAT64 = 10

/** Built-in types with a direct way, by pg_type.oid: bool bytea int8 int2 int4 text oid json float8 bpchar varchar name uuid. */
const TEXT_ENCODERS: ReadonlyMap<number, number> = new Map([
  [16, ENCODE_BOOLEAN],
  [20, ENCODE_INTEGER],
  [21, ENCODE_INTEGER],
  [23, ENCODE_INTEGER],
  [26, ENCODE_INTEGER],
  [19, ENCODE_STRING],
  [25, ENCODE_STRING],
  [114, ENCODE_STRING],
  [1042, ENCODE_STRING],
  [1043, ENCODE_STRING],
  [2950, ENCODE_STRING],
])
const BINARY_ENCODERS: ReadonlyMap<number, number> = new Map([
  [16, ENCODE_BOOLEAN_BYTE],
  [17, ENCODE_BYTES],
  [20, ENCODE_INT64],
  [21, ENCODE_INT16],
  [23, ENCODE_INT32],
  [26, ENCODE_INT32],
  [701, ENCODE_FLOAT64],
  [19, ENCODE_STRING],
  [25, ENCODE_STRING],
  [114, ENCODE_STRING],
  [1042, ENCODE_STRING],
  [1043, ENCODE_STRING],
])

export class RowShape {
  readonly fields: readonly Field[]
  readonly formats: readonly Format[]
  /** The whole RowDescription message. */
  readonly description: Buffer
  readonly #encoders: Uint8Array

  constructor(fields: readonly Field[], formats: readonly Format[], description: Buffer) {
    this.fields = fields
    this.formats = formats
    this.description = description
    this.#encoders = new Uint8Array(fields.length)
    for (let i = 0; i < fields.length; i++) {
      const type = fields[i]!.type
      this.#encoders[i] =
        formatOf(formats, i) === 1
          ? (BINARY_ENCODERS.get(type.oid) ?? ENCODE_SEND)
          : (TEXT_ENCODERS.get(type.oid) ?? ENCODE_OUTPUT)
    }
  }

  /** Appends one DataRow. When a value cannot be written, what was appended is taken back and its error goes on. */
  write(to: ResettableByteWriter, values: Row, context: TypeContext): void {
    const at = beginMessage(to, 0x44)
    try {
      const encoders = this.#encoders
      const count = encoders.length
      to.int16(count)
      for (let i = 0; i < count; i++) {
        const value = values[i]!
        if (value === null) to.int32(-1)
        else this.#column(to, i, encoders[i]!, value, context)
      }
      endMessage(to, at)
    } catch (error) {
      to.truncate(at)
      throw error
    }
  }

  #column(to: ResettableByteWriter, i: number, encoder: number, value: Value, context: TypeContext): void {
    switch (encoder) {
      case ENCODE_INTEGER:
        if (typeof value === 'number' && value >= -0x8000_0000 && value <= 0x7fff_ffff) writeInteger(to, value)
        else writeString(to, String(value))
        return
      case ENCODE_STRING:
        writeString(to, value as string)
        return
      case ENCODE_BOOLEAN: {
        const at = to.reserve(5)
        setInt32(to.buffer, at, 1)
        to.buffer[at + 4] = value === true ? 0x74 : 0x66
        return
      }
      case ENCODE_INT16: {
        const at = to.reserve(6)
        const n = value as number
        setInt32(to.buffer, at, 2)
        to.buffer[at + 4] = n >> 8
        to.buffer[at + 5] = n
        return
      }
      case ENCODE_INT32: {
        const at = to.reserve(8)
        setInt32(to.buffer, at, 4)
        setInt32(to.buffer, at + 4, value as number)
        return
      }
      case ENCODE_INT64:
        to.int32(8)
        to.int64(value as number | bigint)
        return
      case ENCODE_BOOLEAN_BYTE: {
        const at = to.reserve(5)
        setInt32(to.buffer, at, 1)
        to.buffer[at + 4] = value === true ? 1 : 0
        return
      }
      case ENCODE_FLOAT64:
        to.int32(8)
        to.float64(value as number)
        return
      case ENCODE_BYTES: {
        const bytes = value as Uint8Array
        to.int32(bytes.length)
        to.bytes(bytes)
        return
      }
      case ENCODE_SEND: {
        const at = to.reserve(4)
        this.fields[i]!.type.send(value, to, context)
        to.setInt32(at, to.length - at - 4)
        return
      }
      default:
        writeString(to, this.fields[i]!.type.output(value, context))
    }
  }
}

function setInt32(to: Buffer, at: number, n: number): void {
  to[at] = n >> 24
  to[at + 1] = n >> 16
  to[at + 2] = n >> 8
  to[at + 3] = n
}

function writeString(to: ResettableByteWriter, text: string): void {
  const at = to.reserve(4)
  to.text(text)
  setInt32(to.buffer, at, to.length - at - 4)
}

/** The digits of an integer of at most 32 bits, after their count. */
function writeInteger(to: ResettableByteWriter, n: number): void {
  const at = to.reserve(15)
  const bytes = to.buffer
  let first = at + 4
  let rest = n
  if (n < 0) {
    bytes[first++] = 0x2d
    rest = -n
  }
  let last = first + decimalDigits(rest)
  setInt32(bytes, at, last - at - 4)
  to.truncate(last)
  do {
    const tenth = (rest / 10) | 0
    bytes[--last] = 0x30 + rest - tenth * 10
    rest = tenth
  } while (last > first)
}

const decimalDigits = (n: number): number =>
  n < 100_000
    ? n < 100
      ? n < 10
        ? 1
        : 2
      : n < 1000
        ? 3
        : n < 10_000
          ? 4
          : 5
    : n < 10_000_000
      ? n < 1_000_000
        ? 6
        : 7
      : n < 100_000_000
        ? 8
        : n < 1_000_000_000
          ? 9
          : 10
