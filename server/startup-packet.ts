/**
 * The first packet of a connection, decoded: a request (TLS, GSSAPI, cancel) or the parameters of a session (PostgreSQL
 * manual, 55.7 "StartupMessage"). Pure.
 */
import { sqlError } from '../sql/types/error.ts'
import { decodeText } from './wire/reader.ts'

export type StartupPacket =
  | { readonly kind: 'ssl' }
  | { readonly kind: 'gssenc' }
  | { readonly kind: 'cancel'; readonly pid: number; readonly secret: number }
  | {
      readonly kind: 'start'
      readonly user: string
      readonly database: string
      /** Everything else, with the settings in `options` first: a parameter of its own wins over `-c`. */
      readonly parameters: ReadonlyMap<string, string>
      /** A newer minor version or protocol options were asked for: NegotiateProtocolVersion is due. */
      readonly negotiate: boolean
      readonly unknownOptions: readonly string[]
    }

export const PROTOCOL_VERSION = 3 << 16
const CANCEL_CODE = 80_877_102
const SSL_CODE = 80_877_103
const GSSENC_CODE = 80_877_104
/** NAMEDATALEN - 1: longer names are cut, as everywhere in PostgreSQL. */
const NAME_BYTES_MAX = 63

const fatal = (code: string, message: string) => sqlError(code, message, { severity: 'FATAL' })

/** `from[start, end)` is the body, at least four bytes. Encryption can be asked for once: `encryptable` says whether it still can. */
export function readStartupPacket(
  from: Buffer,
  start: number,
  end: number,
  encryptable: { readonly ssl: boolean; readonly gssenc: boolean },
): StartupPacket {
  const code = from.readInt32BE(start)
  if (code === CANCEL_CODE) {
    if (end - start !== 12) throw fatal('08P01', 'invalid length of startup packet')
    return { kind: 'cancel', pid: from.readInt32BE(start + 4), secret: from.readInt32BE(start + 8) }
  }
  if (code === SSL_CODE && encryptable.ssl) return { kind: 'ssl' }
  if (code === GSSENC_CODE && encryptable.gssenc) return { kind: 'gssenc' }
  const major = code >>> 16
  const minor = code & 0xffff
  if (major !== 3) {
    throw fatal('0A000', `unsupported frontend protocol ${major}.${minor}: server supports 3.0 to 3.0`)
  }
  return readParameters(from, start + 4, end, minor)
}

function readParameters(from: Buffer, start: number, end: number, minor: number): StartupPacket {
  const given = new Map<string, string>()
  let at = start
  const text = (): string => {
    const stop = from.indexOf(0, at)
    if (stop === -1 || stop >= end) throw badLayout()
    const value = decodeText(from, at, stop)
    at = stop + 1
    return value
  }
  for (let name = text(); name !== ''; name = text()) given.set(name, text())
  if (at !== end) throw badLayout()

  const user = given.get('user') ?? ''
  if (user === '') throw fatal('28000', 'no PostgreSQL user name specified in startup packet')
  const replication = given.get('replication')
  if (replication !== undefined && !isFalse(replication))
    throw fatal('0A000', 'replication connections are not supported')
  const parameters = new Map(commandLineSettings(given.get('options') ?? ''))
  const unknownOptions: string[] = []
  for (const [name, value] of given) {
    if (name.startsWith('_pq_.')) unknownOptions.push(name)
    else if (!SPECIAL.has(name)) {
      // Deleted first, so that it comes after the settings it overrides.
      parameters.delete(name)
      parameters.set(name, value)
    }
  }
  return {
    kind: 'start',
    user: truncateName(user),
    database: truncateName(given.get('database') || user),
    parameters,
    negotiate: minor > 0 || unknownOptions.length > 0,
    unknownOptions,
  }
}

const SPECIAL = new Set(['user', 'database', 'replication', 'options'])
const badLayout = () => fatal('08P01', 'invalid startup packet layout: expected terminator as last byte')
const isFalse = (text: string): boolean => /^(?:f|fa|fal|fals|false|n|no|of|off|0)$/i.test(text)

function truncateName(name: string): string {
  if (name.length * 3 <= NAME_BYTES_MAX) return name
  const bytes = Buffer.from(name)
  if (bytes.length <= NAME_BYTES_MAX) return name
  let end = NAME_BYTES_MAX
  while ((bytes[end]! & 0xc0) === 0x80) end--
  return bytes.toString('utf8', 0, end)
}

/** `-c name=value`, `-cname=value` and `--name=value` of the options parameter (what PGOPTIONS holds). Others are 42601. */
function commandLineSettings(options: string): ReadonlyMap<string, string> {
  const settings = new Map<string, string>()
  const words = splitOptions(options)
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!
    let assignment: string | undefined
    if (word.startsWith('--')) assignment = word.slice(2)
    else if (word.startsWith('-c')) assignment = word.length > 2 ? word.slice(2) : words[++i]
    if (assignment === undefined) throw fatal('42601', `invalid command-line argument for server process: ${word}`)
    const equals = assignment.indexOf('=')
    if (equals <= 0) {
      throw fatal('42601', word.startsWith('--') ? `${word} requires a value` : `-c ${assignment} requires a value`)
    }
    settings.set(assignment.slice(0, equals).replaceAll('-', '_'), assignment.slice(equals + 1))
  }
  return settings
}

/** Words between white space; a backslash takes the next character as it is. */
function splitOptions(options: string): readonly string[] {
  const words: string[] = []
  for (const match of options.matchAll(/(?:\\[\s\S]|[^\s\\])+/g)) words.push(match[0].replace(/\\([\s\S])/g, '$1'))
  return words
}
