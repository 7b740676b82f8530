/**
 * The functions of PostgreSQL's extension uuid-ossp (manual, appendix F.49; RFC 4122). Version 1 ids bear a node that is random
 * for the process, with the multicast bit set as the RFC asks where there is no network card's address to show.
 */
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { type FunctionTable, scalar } from '../function.ts'

const hyphenated = (hex: string): string =>
  `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}`

/** The well-known name spaces differ in one digit. */
const namespace = (digit: string): string => `6ba7b81${digit}-9dad-11d1-80b4-00c04fd430c8`

/** 100 ns between 1582-10-15 and 1970-01-01. */
const GREGORIAN_OFFSET = 122192928000000000n
const TICKS_A_MS = 10_000n

let node: Buffer | undefined
let sequence = randomBytes(2).readUInt16BE() & 0x3fff
let last = 0n

/** Version 1: time, a sequence that moves when the clock does not, a node. */
function byTime(ownNode: Buffer): string {
  let ticks = BigInt(Date.now()) * TICKS_A_MS + GREGORIAN_OFFSET
  if (ticks <= last) ticks = last + 1n
  if (ticks - last > 1n << 40n) sequence = (sequence + 1) & 0x3fff
  last = ticks
  const time = ticks.toString(16).padStart(15, '0')
  const clock = (sequence | 0x8000).toString(16).padStart(4, '0')
  return hyphenated(`${time.slice(-8)}${time.slice(-12, -8)}1${time.slice(0, 3)}${clock}${ownNode.toString('hex')}`)
}

function multicastNode(): Buffer {
  const bytes = randomBytes(6)
  bytes[0]! |= 1
  return bytes
}

/** Versions 3 and 5: a hash of the name space and the name. */
function byName(algorithm: 'md5' | 'sha1', version: number, space: string, name: string): string {
  const bytes = createHash(algorithm)
    .update(Buffer.from(space.replaceAll('-', ''), 'hex'))
    .update(name)
    .digest()
    .subarray(0, 16)
  bytes[6] = (bytes[6]! & 0x0f) | (version << 4)
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  return hyphenated(bytes.toString('hex'))
}

export const UUID_OSSP_FUNCTIONS: FunctionTable = {
  uuid_nil: scalar(() => '00000000-0000-0000-0000-000000000000'),
  uuid_ns_dns: scalar(() => namespace('0')),
  uuid_ns_url: scalar(() => namespace('1')),
  uuid_ns_oid: scalar(() => namespace('2')),
  uuid_ns_x500: scalar(() => namespace('4')),
  uuid_generate_v1: scalar(() => byTime((node ??= multicastNode()))),
  uuid_generate_v1mc: scalar(() => byTime(multicastNode())),
  uuid_generate_v3: scalar((space: string, name: string) => byName('md5', 3, space, name)),
  uuid_generate_v4: scalar(() => randomUUID()),
  uuid_generate_v5: scalar((space: string, name: string) => byName('sha1', 5, space, name)),
}
