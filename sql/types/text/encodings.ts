/**
 * Character sets: PostgreSQL's names and numbers for them, and conversion from and to UTF-8. Single-byte sets come from
 * the platform's own decoders, turned around for encoding. Source: PostgreSQL manual, "Character Set Support".
 */

import { notSupported, sqlError } from '../error.ts'
import { decodeUtf8, hexOfBytes, utf8 } from './chars.ts'
import { unitsText } from './long.ts'

/** In the order of their numbers. */
const NAMES = `SQL_ASCII EUC_JP EUC_CN EUC_KR EUC_TW EUC_JIS_2004 UTF8 MULE_INTERNAL LATIN1 LATIN2 LATIN3 LATIN4 LATIN5
  LATIN6 LATIN7 LATIN8 LATIN9 LATIN10 WIN1256 WIN1258 WIN866 WIN874 KOI8R WIN1251 WIN1252 ISO_8859_5 ISO_8859_6 ISO_8859_7
  ISO_8859_8 WIN1250 WIN1253 WIN1254 WIN1255 WIN1257 KOI8U SJIS BIG5 GBK UHC GB18030 JOHAB SHIFT_JIS_2004`.split(/\s+/)

/** PostgreSQL's other spellings, without punctuation and in lower case. */
const ALIASES: Readonly<Record<string, string>> = {
  unicode: 'UTF8',
  iso88591: 'LATIN1',
  iso88592: 'LATIN2',
  iso88593: 'LATIN3',
  iso88594: 'LATIN4',
  iso88599: 'LATIN5',
  iso885910: 'LATIN6',
  iso885913: 'LATIN7',
  iso885914: 'LATIN8',
  iso885915: 'LATIN9',
  iso885916: 'LATIN10',
  windows1250: 'WIN1250',
  windows1251: 'WIN1251',
  windows1252: 'WIN1252',
  windows1253: 'WIN1253',
  windows1254: 'WIN1254',
  windows1255: 'WIN1255',
  windows1256: 'WIN1256',
  windows1257: 'WIN1257',
  windows1258: 'WIN1258',
  windows866: 'WIN866',
  windows874: 'WIN874',
  win: 'WIN1251',
  alt: 'WIN866',
  koi8: 'KOI8R',
  abc: 'WIN1258',
  tcvn: 'WIN1258',
  tcvn5712: 'WIN1258',
  vscii: 'WIN1258',
  mskanji: 'SJIS',
  shiftjis: 'SJIS',
  windows932: 'SJIS',
  win932: 'SJIS',
  windows936: 'GBK',
  win936: 'GBK',
  windows949: 'UHC',
  win949: 'UHC',
  windows950: 'BIG5',
  win950: 'BIG5',
}
const plain = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]/g, '')
const BY_PLAIN_NAME = new Map(NAMES.map((name) => [plain(name), name]))

/** PostgreSQL's name of a character set, or undefined. */
export const encodingName = (text: string): string | undefined => BY_PLAIN_NAME.get(plain(text)) ?? ALIASES[plain(text)]
export const encodingNumber = (text: string): number => NAMES.indexOf(encodingName(text) ?? '')
export const encodingOfNumber = (n: number): string => NAMES[n] ?? ''

/** What the platform calls the single-byte sets. */
const LABELS: Readonly<Record<string, string>> = {
  LATIN2: 'iso-8859-2',
  LATIN3: 'iso-8859-3',
  LATIN4: 'iso-8859-4',
  LATIN6: 'iso-8859-10',
  LATIN7: 'iso-8859-13',
  LATIN8: 'iso-8859-14',
  LATIN9: 'iso-8859-15',
  LATIN10: 'iso-8859-16',
  ISO_8859_5: 'iso-8859-5',
  ISO_8859_6: 'iso-8859-6',
  ISO_8859_7: 'iso-8859-7',
  ISO_8859_8: 'iso-8859-8',
  KOI8R: 'koi8-r',
  KOI8U: 'koi8-u',
  WIN866: 'ibm866',
  WIN874: 'windows-874',
  WIN1250: 'windows-1250',
  WIN1251: 'windows-1251',
  WIN1253: 'windows-1253',
  WIN1254: 'windows-1254',
  WIN1255: 'windows-1255',
  WIN1256: 'windows-1256',
  WIN1257: 'windows-1257',
  WIN1258: 'windows-1258',
}

/** 0x80 to 0x9f of windows-1252, which the platform decodes as Latin 1; ? where there is none. */
const WIN1252 = '€?‚ƒ„…†‡ˆ‰Š‹Œ?Ž??‘’“”•–—˜™š›œ?žŸ'

/** Sets of one byte a character, other than ASCII: those that are converted. */
export const isSingleByte = (name: string): boolean =>
  name in LABELS || name === 'LATIN1' || name === 'LATIN5' || name === 'WIN1252'

/** Where LATIN5 is not LATIN1. The platform decodes it as windows-1254, which has more. */
const LATIN5: Readonly<Record<number, string>> = {
  208: 'Ğ',
  221: 'İ',
  222: 'Ş',
  240: 'ğ',
  253: 'ı',
  254: 'ş',
}

interface SingleByteSet {
  readonly toText: readonly (string | undefined)[]
  readonly toByte: ReadonlyMap<string, number>
}

const tables = new Map<string, SingleByteSet>()
function singleByteSet(name: string): SingleByteSet {
  const known = tables.get(name)
  if (known !== undefined) return known
  const label = LABELS[name]
  if (!isSingleByte(name)) throw notSupported(`conversion of encoding "${name}"`)
  const decoder = label === undefined ? undefined : new TextDecoder(label)
  const toText = Array.from({ length: 256 }, (_, byte) => {
    if (name === 'WIN1252' && byte >= 0x80 && byte < 0xa0)
      return WIN1252[byte - 0x80] === '?' ? undefined : WIN1252[byte - 0x80]
    if (name === 'LATIN5' && LATIN5[byte] !== undefined) return LATIN5[byte]
    const c = decoder === undefined ? String.fromCharCode(byte) : decoder.decode(Uint8Array.of(byte))
    return c === '\ufffd' ? undefined : c
  })
  const toByte = new Map<string, number>()
  for (const [byte, c] of toText.entries()) if (c !== undefined) toByte.set(c, byte)
  const made = { toText, toByte }
  tables.set(name, made)
  return made
}

const noEquivalent = (bytes: Iterable<number>, from: string, to: string) =>
  sqlError(
    '22P05',
    `character with byte sequence ${hexOfBytes(bytes)} in encoding "${from}" has no equivalent in encoding "${to}"`,
  )

/** 22021 and 22P05 for what cannot be text. */
export function decodeFrom(bytes: Uint8Array, name: string): string {
  if (name === 'UTF8' || name === 'SQL_ASCII') return decodeUtf8(bytes)
  const { toText } = singleByteSet(name)
  const out = new Uint16Array(bytes.length)
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!
    if (byte === 0) throw sqlError('22021', `invalid byte sequence for encoding "${name}": 0x00`)
    const c = toText[byte]
    if (c === undefined) throw noEquivalent([byte], name, 'UTF8')
    out[i] = c.charCodeAt(0)
  }
  return unitsText(out)
}

/** `lenient`: a question mark for what the set has not; otherwise that is 22P05. */
export function encodeTo(s: string, name: string, lenient = false): Uint8Array {
  if (name === 'UTF8' || name === 'SQL_ASCII') return new Uint8Array(utf8(s))
  const { toByte } = singleByteSet(name)
  const out = new Uint8Array(s.length)
  for (let i = 0; i < s.length; i++) {
    const unit = s.charCodeAt(i)
    // The lower half is ASCII in all of them.
    const byte = unit < 0x80 ? unit : (toByte.get(s[i]!) ?? (lenient ? 0x3f : undefined))
    if (byte === undefined) throw noEquivalent(utf8(String.fromCodePoint(s.codePointAt(i)!)), 'UTF8', name)
    out[i] = byte
  }
  return out
}
