/** The laws every type keeps, for values made at random: what is written is read back, and keys order as values do. */

import { createByteWriter } from '../../sql/types/bytes.ts'
import type { Type } from '../../sql/types/type.ts'
import type { Value } from '../../sql/types/value.ts'
import { createKeyEncoder } from '../../storage/keys/encode.ts'
import { CONTEXT } from '../types/cases.ts'

export const throughText = (type: Type, value: Value): Value => type.input(type.output(value, CONTEXT), -1, CONTEXT)

/** Behind some bytes, so that offsets matter. */
export function throughBinary(type: Type, value: Value): Value {
  const writer = createByteWriter()
  writer.int16(7)
  type.send(value, writer, CONTEXT)
  const bytes = writer.toBuffer()
  return type.receive(bytes, 2, bytes.length, -1, CONTEXT)
}

export function throughStorage(type: Type, value: Value): Value {
  if (type.storage.kind !== 'bytes') return value
  const writer = createByteWriter()
  writer.uint8(7)
  type.storage.write(value, writer)
  const bytes = writer.toBuffer()
  const read = type.storage.read(bytes, 1, bytes.length)
  bytes.fill(0xee) // must not be looked at any more
  return read
}

const encoder = createKeyEncoder()
export function keyOf(type: Type, value: Value, descending = false): string {
  encoder.start('')
  encoder.column(false, descending)
  type.encodeKey!(value, encoder)
  return encoder.finish()
}

export const signOf = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** What PostgreSQL's text can hold: no NUL, no lone surrogate. */
export const isText = (s: string): boolean => !s.includes('\0') && Buffer.from(s).toString() === s
