/**
 * Every backend message of protocol 3.0 (PostgreSQL manual, 55.7 "Message Formats"), each a function that appends it.
 * DataRow is in row.ts.
 */
import type { Field, Format } from '../../sql/session/session.ts'
import { createByteWriter, type ResettableByteWriter } from '../../sql/types/bytes.ts'
import type { ErrorFields, Notice, SqlError } from '../../sql/types/error.ts'

type To = ResettableByteWriter

/** Appends the type and room for the length; returns where the message starts. */
export function beginMessage(to: To, type: number): number {
  const at = to.reserve(5)
  to.buffer[at] = type
  return at
}

export function endMessage(to: To, at: number): void {
  const length = to.length - at - 1
  const bytes = to.buffer
  bytes[at + 1] = length >> 24
  bytes[at + 2] = length >> 16
  bytes[at + 3] = length >> 8
  bytes[at + 4] = length
}

/** Zero-terminated. */
function string(to: To, text: string): void {
  to.text(text)
  to.uint8(0)
}

function empty(to: To, type: number): void {
  const at = to.reserve(5)
  const bytes = to.buffer
  bytes[at] = type
  bytes[at + 1] = 0
  bytes[at + 2] = 0
  bytes[at + 3] = 0
  bytes[at + 4] = 4
}

export const parseComplete = (to: To): void => empty(to, 0x31)
export const bindComplete = (to: To): void => empty(to, 0x32)
export const closeComplete = (to: To): void => empty(to, 0x33)
export const noData = (to: To): void => empty(to, 0x6e)
export const emptyQueryResponse = (to: To): void => empty(to, 0x49)
export const portalSuspended = (to: To): void => empty(to, 0x73)
export const copyDone = (to: To): void => empty(to, 0x63)

const STATUS = { I: 0x49, T: 0x54, E: 0x45 } as const

export function readyForQuery(to: To, status: 'I' | 'T' | 'E'): void {
  const at = to.reserve(6)
  const bytes = to.buffer
  bytes[at] = 0x5a
  bytes[at + 1] = 0
  bytes[at + 2] = 0
  bytes[at + 3] = 0
  bytes[at + 4] = 5
  bytes[at + 5] = STATUS[status]
}

export function commandComplete(to: To, tag: string): void {
  const at = beginMessage(to, 0x43)
  string(to, tag)
  endMessage(to, at)
}

export function parameterDescription(to: To, oids: readonly number[]): void {
  const at = beginMessage(to, 0x74)
  to.int16(oids.length)
  for (const oid of oids) to.uint32(oid)
  endMessage(to, at)
}

/** As in Bind: none means text, one goes for all. */
export const formatOf = (formats: readonly Format[], column: number): Format =>
  formats.length === 0 ? 0 : formats.length === 1 ? formats[0]! : formats[column]!

/** A whole RowDescription on its own, to be kept and sent many times. */
export function rowDescription(fields: readonly Field[], formats: readonly Format[], encode?: To['encode']): Buffer {
  const to = createByteWriter(32 + fields.length * 40)
  to.encode = encode
  const at = beginMessage(to, 0x54)
  to.int16(fields.length)
  for (let i = 0; i < fields.length; i++) {
    const field = fields[i]!
    string(to, field.name)
    to.uint32(field.tableOid)
    to.int16(field.columnNumber)
    to.uint32(field.typeOid)
    to.int16(field.typeLength)
    to.int32(field.typmod)
    to.int16(formatOf(formats, i))
  }
  endMessage(to, at)
  return to.toBuffer()
}

function copyResponse(to: To, type: number, format: Format, columns: number): void {
  const at = beginMessage(to, type)
  to.uint8(format)
  to.int16(columns)
  for (let i = 0; i < columns; i++) to.int16(format)
  endMessage(to, at)
}
export const copyInResponse = (to: To, format: Format, columns: number): void => copyResponse(to, 0x47, format, columns)
export const copyOutResponse = (to: To, format: Format, columns: number): void =>
  copyResponse(to, 0x48, format, columns)

export function copyData(to: To, bytes: Uint8Array): void {
  to.uint8(0x64)
  to.int32(bytes.length + 4)
  to.bytes(bytes)
}

export function parameterStatus(to: To, name: string, value: string): void {
  const at = beginMessage(to, 0x53)
  string(to, name)
  string(to, value)
  endMessage(to, at)
}

export function backendKeyData(to: To, pid: number, secret: number): void {
  const at = beginMessage(to, 0x4b)
  to.int32(pid)
  to.int32(secret)
  endMessage(to, at)
}

export function notificationResponse(to: To, pid: number, channel: string, payload: string): void {
  const at = beginMessage(to, 0x41)
  to.int32(pid)
  string(to, channel)
  string(to, payload)
  endMessage(to, at)
}

/** `minor` is the newest minor version of protocol 3 that is spoken here. PostgreSQL 15 sends it as the whole version number. */
export function negotiateProtocolVersion(to: To, version: number, unknownOptions: readonly string[]): void {
  const at = beginMessage(to, 0x76)
  to.int32(version)
  to.int32(unknownOptions.length)
  for (const option of unknownOptions) string(to, option)
  endMessage(to, at)
}

export type AuthenticationRequest =
  | { readonly kind: 'ok' }
  | { readonly kind: 'cleartext' }
  | { readonly kind: 'md5'; readonly salt: Uint8Array }
  | { readonly kind: 'sasl'; readonly mechanisms: readonly string[] }
  | { readonly kind: 'sasl-continue'; readonly data: string }
  | { readonly kind: 'sasl-final'; readonly data: string }

const AUTHENTICATION_CODES = {
  ok: 0,
  cleartext: 3,
  md5: 5,
  sasl: 10,
  'sasl-continue': 11,
  'sasl-final': 12,
} as const satisfies Record<AuthenticationRequest['kind'], number>

export function authentication(to: To, request: AuthenticationRequest): void {
  const at = beginMessage(to, 0x52)
  to.int32(AUTHENTICATION_CODES[request.kind])
  if (request.kind === 'md5') to.bytes(request.salt)
  else if (request.kind === 'sasl') {
    for (const mechanism of request.mechanisms) string(to, mechanism)
    to.uint8(0)
  } else if (request.kind === 'sasl-continue' || request.kind === 'sasl-final') to.text(request.data)
  endMessage(to, at)
}

/** The fields of ErrorResponse and NoticeResponse by their letters (manual, 55.8), in PostgreSQL's order. */
const FIELD_LETTERS: readonly (readonly [letter: string, field: keyof ErrorFields])[] = [
  ['D', 'detail'],
  ['H', 'hint'],
  ['P', 'position'],
  ['W', 'context'],
  ['s', 'schema'],
  ['t', 'table'],
  ['c', 'column'],
  ['d', 'dataType'],
  ['n', 'constraint'],
]

function report(to: To, type: number, severity: string, code: string, message: string, fields: ErrorFields): void {
  const at = beginMessage(to, type)
  string(to, `S${severity}`)
  string(to, `V${severity}`)
  string(to, `C${code}`)
  string(to, `M${clean(message)}`)
  for (const [letter, field] of FIELD_LETTERS) {
    const value = fields[field]
    if (value !== undefined) string(to, letter + clean(String(value)))
  }
  to.uint8(0)
  endMessage(to, at)
}

/** A zero byte would end the field early. */
const clean = (text: string): string => (text.includes('\0') ? text.replaceAll('\0', '\\0') : text)

export function errorResponse(to: To, error: SqlError): void {
  const { encode } = to
  // Whatever it says, an error reaches the client.
  if (encode !== undefined) to.encode = (text) => encode(text, true)
  report(to, 0x45, error.fields.severity ?? 'ERROR', error.code, error.message, error.fields)
  to.encode = encode
}

/** Throws 22P05, and writes nothing, when the client's character set has not what it says. */
export function noticeResponse(to: To, notice: Notice): void {
  const before = to.length
  try {
    report(to, 0x4e, notice.severity, notice.code, notice.message, notice.fields)
  } catch (error) {
    to.truncate(before)
    throw error
  }
}
