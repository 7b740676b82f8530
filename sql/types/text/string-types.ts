/**
 * text, varchar(n), char(n), name, "char", unknown and cstring: strings in memory, UTF-8 on the wire and in rows.
 * char(n) is kept padded and compared without its trailing blanks; name is cut to 63 bytes; "char" is one byte.
 * Source: PostgreSQL manual, "Character Types".
 */
import { oid } from '../../../storage/keys/brand.ts'
import { sqlError } from '../error.ts'
import type { KeyEncoder, Type } from '../type.ts'
import type { Value } from '../value.ts'
import { charLength, clipBytes, compareText, decodeUtf8, sliceChars, trimBlanks, utf8 } from './chars.ts'

export const NAME_BYTES_MAX = 63
const LENGTH_MAX = 10485760

const tooLong = (type: string) => sqlError('22001', `value too long for type ${type}`)

/** varchar's coercion: an implicit one may only cut blanks, an explicit one cuts anything. */
export function coerceVarchar(s: string, typmod: number, explicit: boolean): string {
  const most = typmod - 4
  if (typmod < 4 || s.length <= most || charLength(s) <= most) return s
  const kept = sliceChars(s, 0, most)
  if (!explicit && trimBlanks(s.slice(kept.length)) !== '') throw tooLong(`character varying(${most})`)
  return kept
}

/** char(n)'s coercion: cuts as varchar, and pads with blanks. */
export function coerceBpchar(s: string, typmod: number, explicit: boolean): string {
  if (typmod < 4) return s
  const length = typmod - 4
  const own = charLength(s)
  if (own === length) return s
  if (own < length) return s + ' '.repeat(length - own)
  const kept = sliceChars(s, 0, length)
  if (!explicit && trimBlanks(s.slice(kept.length)) !== '') throw tooLong(`character(${length})`)
  return kept
}

export const coerceName = (s: string): string => clipBytes(s, NAME_BYTES_MAX)

/** The first byte of the UTF-8 form, as a character of 0..255; '' for none. */
function toChar(s: string): string {
  const first = s.charCodeAt(0)
  if (s === '' || first === 0) return ''
  return first < 0x80 ? s[0]! : String.fromCharCode(utf8(s)[0]!)
}

const OCTAL_CHAR = /^\\[0-7]{3}$/

/** "char" from text: `\101` is the byte of that octal number, anything else counts by its first byte. */
export const charInput = (s: string): string => {
  if (!OCTAL_CHAR.test(s)) return toChar(s)
  const code = Number.parseInt(s.slice(1), 8) & 0xff
  return code === 0 ? '' : String.fromCharCode(code)
}

/** Bytes beyond ASCII cannot be shown as UTF-8 alone: they appear as \ooo. */
export const charText = (c: string): string =>
  c === '' || c.charCodeAt(0) < 0x80 ? c : `\\${c.charCodeAt(0).toString(8).padStart(3, '0')}`

const integerArgument = (text: string): number => {
  if (!/^[+-]?[0-9]+$/.test(text.trim())) throw sqlError('22P02', `invalid input syntax for type integer: "${text}"`)
  return Number(text)
}

/** (n) of the character and bit types. `limit` is the largest n. */
export function lengthTypmod(
  typeName: string,
  offset: number,
  limit = LENGTH_MAX,
): (args: readonly string[]) => number {
  return (args) => {
    if (args.length !== 1) throw sqlError('22023', 'invalid type modifier')
    const length = integerArgument(args[0]!)
    if (length < 1) throw sqlError('22023', `length for type ${typeName} must be at least 1`)
    if (length > limit) throw sqlError('22023', `length for type ${typeName} cannot exceed ${limit}`)
    return length + offset
  }
}

const stringType = {
  elementOid: oid(0),
  delimiter: ',',
  output: (value: Value) => value as string,
  receive: (from: Buffer, start: number, end: number): Value => decodeUtf8(from, start, end),
  send: (value: Value, to: { text(s: string): void }) => to.text(value as string),
  compare: (a: Value, b: Value) => compareText(a as string, b as string),
  hashKey: (value: Value) => value as string,
  storage: { kind: 'text' as const },
  encodeKey: (value: Value, to: KeyEncoder) => to.text(value as string),
} satisfies Partial<Type>

const typmodOut = (typmod: number): string => (typmod < 4 ? '' : `(${typmod - 4})`)

export const STRING_TYPES: readonly Type[] = [
  { ...stringType, oid: oid(25), name: 'text', input: (text) => text, decodeKey: (from) => from.text() },
  {
    ...stringType,
    oid: oid(1043),
    name: 'varchar',
    decodeKey: (from) => from.text(),
    input: (text, typmod) => coerceVarchar(text, typmod, false),
    receive: (from, start, end, typmod) => coerceVarchar(decodeUtf8(from, start, end), typmod, false),
    typmodIn: lengthTypmod('varchar', 4),
    typmodOut,
  },
  {
    ...stringType,
    oid: oid(1042),
    name: 'bpchar',
    input: (text, typmod) => coerceBpchar(text, typmod, false),
    receive: (from, start, end, typmod) => coerceBpchar(decodeUtf8(from, start, end), typmod, false),
    compare: (a, b) => compareText(trimBlanks(a as string), trimBlanks(b as string)),
    hashKey: (value) => trimBlanks(value as string),
    encodeKey: (value, to) => to.text(trimBlanks(value as string)),
    typmodIn: lengthTypmod('char', 4),
    typmodOut,
  },
  {
    ...stringType,
    oid: oid(19),
    name: 'name',
    input: coerceName,
    receive(from, start, end) {
      const s = decodeUtf8(from, start, end)
      if (end - start > NAME_BYTES_MAX) {
        throw sqlError('42622', 'identifier too long', { detail: 'Identifier must be less than 64 characters.' })
      }
      return s
    },
  },
  {
    ...stringType,
    oid: oid(18),
    name: 'char',
    input: charInput,
    output: (value) => charText(value as string),
    receive: (from, start, end) => (end === start || from[start] === 0 ? '' : String.fromCharCode(from[start]!)),
    send: (value, to) => to.uint8(value === '' ? 0 : (value as string).charCodeAt(0)),
  },
  { ...stringType, oid: oid(705), name: 'unknown', input: (text) => text },
  { ...stringType, oid: oid(2275), name: 'cstring', input: (text) => text },
]
