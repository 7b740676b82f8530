/**
 * inet, cidr, macaddr and macaddr8: canonical text in memory ('192.168.1.5/24', '::1', '08:00:2b:01:02:03'), addresses in
 * big-endian bytes where they are compared and stored. A cidr's text always has its mask, an inet's only a partial one.
 * Source: PostgreSQL manual, "Network Address Types" and "Network Address Functions and Operators".
 */
import { oid } from '../../../storage/keys/brand.ts'
import { sqlError } from '../error.ts'
import { type AggregateTable, type FunctionTable, scalar } from '../function.ts'
import { wrongBinaryLength } from '../number/integer.ts'
import type { ByteWriter, KeyEncoder, Type } from '../type.ts'
import type { Int64, Value } from '../value.ts'
import { type Address, addressText, cidrOf, maskOf, parseAddress, readAddress } from './address.ts'
import { comparedBy, comparisons } from './comparison.ts'
import { extremes } from './extremes.ts'
import { hash32, hash64 } from './hash.ts'

const sign = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0)

/** The network's bits first, then the mask, then the host's bits; version 4 before 6. */
function compareAddresses(a: Address, b: Address): number {
  if (a.size !== b.size) return a.size < b.size ? -1 : 1
  const common = BigInt(a.size - Math.min(a.mask, b.mask))
  return sign(a.bits >> common, b.bits >> common) || a.mask - b.mask || sign(a.bits, b.bits)
}
const compareNetworks = (a: Value, b: Value): number =>
  compareAddresses(readAddress(a as string), readAddress(b as string))

const contains = (outer: Address, inner: Address): boolean =>
  outer.size === inner.size &&
  inner.mask >= outer.mask &&
  outer.bits >> BigInt(outer.size - outer.mask) === inner.bits >> BigInt(outer.size - outer.mask)

function write(value: Value, to: ByteWriter): void {
  const { size, bits, mask } = readAddress(value as string)
  to.uint8(size === 32 ? 4 : 6)
  to.uint8(mask)
  writeBits(bits, size / 8, to)
}

function writeBits(bits: bigint, bytes: number, to: ByteWriter): void {
  const at = to.reserve(bytes)
  for (let i = 0; i < bytes; i++) to.buffer[at + i] = Number((bits >> BigInt(8 * (bytes - 1 - i))) & 0xffn)
}

function readBits(from: Buffer, start: number, bytes: number): bigint {
  return BigInt(`0x${from.toString('hex', start, start + bytes)}`)
}

/** Two bits for each bit of the network (1 and 2; 0 ends it), then the address: bytes in the order of the values. */
function encodeKey(value: Value, to: KeyEncoder): void {
  const { size, bits, mask } = readAddress(value as string)
  const key = new Uint8Array(1 + size / 4 + size / 8)
  key[0] = size === 32 ? 4 : 6
  for (let i = 0; i < size; i++) {
    const bit = Number((bits >> BigInt(size - 1 - i)) & 1n)
    if (i < mask) key[1 + (i >> 2)]! |= (bit + 1) << (6 - 2 * (i & 3))
    if (bit === 1) key[1 + size / 4 + (i >> 3)]! |= 0x80 >> (i & 7)
  }
  to.raw(key)
}

const AF_INET = 2 // of the binary format; version 6 is one more

function networkType(name: 'inet' | 'cidr', number: number): Type {
  const isCidr = name === 'cidr'
  return {
    oid: oid(number),
    name,
    elementOid: oid(0),
    delimiter: ',',
    input: (text) => addressText(parseAddress(text, isCidr), isCidr),
    output: (value) => addressText(readAddress(value as string), isCidr),
    receive(from, start, end) {
      const [family, mask, , bytes] = [from[start], from[start + 1] ?? 0, 0, from[start + 3] ?? 0]
      const size = family === AF_INET ? 32 : 128
      if (family !== AF_INET && family !== AF_INET + 1)
        throw sqlError('22P03', `invalid address family in external "${name}" value`)
      if (mask > size) throw sqlError('22P03', `invalid bits in external "${name}" value`)
      if (bytes * 8 !== size || end - start !== 4 + bytes)
        throw sqlError('22P03', `invalid length in external "${name}" value`)
      const address = { size, mask, bits: readBits(from, start + 4, bytes) } as const
      return addressText(isCidr ? cidrOf(address, () => 'external "cidr" value') : address, isCidr)
    },
    send(value, to) {
      const { size, bits, mask } = readAddress(value as string)
      to.uint8(size === 32 ? AF_INET : AF_INET + 1)
      to.uint8(mask)
      to.uint8(isCidr ? 1 : 0)
      to.uint8(size / 8)
      writeBits(bits, size / 8, to)
    },
    compare: compareNetworks,
    hashKey: (value) => addressText(readAddress(value as string), false),
    storage: {
      kind: 'bytes',
      write,
      read(from, start) {
        const size = from[start] === 4 ? 32 : 128
        return addressText({ size, mask: from[start + 1]!, bits: readBits(from, start + 2, size / 8) }, isCidr)
      },
    },
    encodeKey,
  }
}

const H = '([0-9a-f]{1,2})'
/** Six bytes: between colons or hyphens, in two halves, in three pairs, or alone. */
const MAC6 = [
  `${'([0-9a-f]+):'.repeat(5)}([0-9a-f]+)`,
  `${'([0-9a-f]+)-'.repeat(5)}([0-9a-f]+)`,
  `${H}${H}${H}[:]${H}${H}${H}`,
  `${H}${H}${H}-${H}${H}${H}`,
  `${H}${H}[.]${H}${H}[.]${H}${H}`,
  `${H}${H}-${H}${H}-${H}${H}`,
  `${H}${H}${H}${H}${H}${H}`,
].map((form) => new RegExp(`^\\s*${form}\\s*$`, 'i'))
/** Pairs of digits, with one kind of separator anywhere between them. */
const MAC8 = /^\s*[0-9a-f]{2}(?:[:.-]?[0-9a-f]{2})*\s*$/i

function parseMac6(text: string): string {
  for (const form of MAC6) {
    const match = form.exec(text)
    if (match === null) continue
    const octets = match.slice(1).map((part) => Number.parseInt(part, 16))
    if (octets.some((octet) => octet > 255))
      throw sqlError('22003', `invalid octet value in "macaddr" value: "${text}"`)
    return octets.map((octet) => octet.toString(16).padStart(2, '0')).join(':')
  }
  throw sqlError('22P02', `invalid input syntax for type macaddr: "${text}"`)
}

function parseMac8(text: string): string {
  const digits = text.replaceAll(/[\s:.-]/g, '').toLowerCase()
  const isOne = new Set(text.match(/[:.-]/g)).size <= 1
  if (MAC8.test(text) && isOne && digits.length === 16) return colons(digits)
  // Six bytes of eight: ff:fe stands between the maker's and the device's.
  if (MAC8.test(text) && isOne && digits.length === 12) return colons(`${digits.slice(0, 6)}fffe${digits.slice(6)}`)
  throw sqlError('22P02', `invalid input syntax for type macaddr8: "${text}"`)
}
const colons = (digits: string): string => digits.replace(/..(?=.)/g, '$&:')
const macBits = (text: string): bigint => BigInt(`0x${text.replaceAll(':', '')}`)
const macText = (bits: bigint, bytes: number): string =>
  colons(
    BigInt.asUintN(8 * bytes, bits)
      .toString(16)
      .padStart(2 * bytes, '0'),
  )
const compareMacs = (a: Value, b: Value): number => (a! < b! ? -1 : a! > b! ? 1 : 0)
const macBytes = (text: string): Uint8Array => Buffer.from(text.replaceAll(':', ''), 'hex')

function macType(name: string, number: number, bytes: 6 | 8): Type {
  const put = (value: Value, to: ByteWriter) => to.bytes(macBytes(value as string))
  return {
    oid: oid(number),
    name,
    elementOid: oid(0),
    delimiter: ',',
    input: bytes === 6 ? parseMac6 : parseMac8,
    output: (value) => value as string,
    receive(from, start, end) {
      if (end - start !== bytes && !(bytes === 8 && end - start === 6)) throw wrongBinaryLength()
      const digits = from.toString('hex', start, end)
      return bytes === 8 ? parseMac8(digits) : colons(digits)
    },
    send: put,
    compare: compareMacs,
    hashKey: (value) => value as string,
    storage: { kind: 'bytes', write: put, read: (from, start) => colons(from.toString('hex', start, start + bytes)) },
    encodeKey: (value, to) => to.raw(macBytes(value as string)),
  }
}

export const NETWORK_TYPES: readonly Type[] = [
  networkType('inet', 869),
  networkType('cidr', 650),
  macType('macaddr', 829, 6),
  macType('macaddr8', 774, 8),
]

const on = (of: (address: Address) => Value) => scalar((text: string) => of(readAddress(text)))
const pair = (of: (a: Address, b: Address) => Value) =>
  scalar((a: string, b: string) => of(readAddress(a), readAddress(b)))
const inet = (address: Address): string => addressText(address, false)
const cidr = (address: Address): string => addressText(address, true)
const masked = (a: Address): Address => ({ ...a, bits: a.bits & maskOf(a) })
const all = (size: number): bigint => (1n << BigInt(size)) - 1n

function bitwise(verb: string, of: (a: bigint, b: bigint) => bigint) {
  return pair((a, b) => {
    if (a.size !== b.size) throw sqlError('22023', `cannot ${verb} inet values of different sizes`)
    return inet({ size: a.size, mask: Math.max(a.mask, b.mask), bits: of(a.bits, b.bits) })
  })
}

function moved(address: Address, by: bigint): string {
  const bits = address.bits + by
  if (bits < 0n || bits > all(address.size)) throw sqlError('22003', 'result is out of range')
  return inet({ ...address, bits })
}

function withMask(address: Address, mask: number): Address {
  const length = mask === -1 ? address.size : mask
  if (length < 0 || length > address.size) throw sqlError('22023', `invalid mask length: ${mask}`)
  return { ...address, mask: length }
}

/** The hash is of the family, the mask and the address. */
const networkBytes = (text: string): { bytes: Uint8Array } => {
  const { size, mask, bits } = readAddress(text)
  const hex = bits.toString(16).padStart(size / 4, '0')
  return { bytes: Buffer.concat([Buffer.from([size === 32 ? AF_INET : AF_INET + 1, mask]), Buffer.from(hex, 'hex')]) }
}
const macHash = (text: string): { bytes: Uint8Array } => ({ bytes: macBytes(text) })

function macOperators(name: 'macaddr' | 'macaddr8', bytes: 6 | 8): FunctionTable {
  return {
    ...comparisons((op) => `${name}_${op}`, comparedBy(compareMacs)),
    [`${name}_cmp`]: scalar(compareMacs),
    [`${name}_not`]: scalar((a: string) => macText(~macBits(a), bytes)),
    [`${name}_and`]: scalar((a: string, b: string) => macText(macBits(a) & macBits(b), bytes)),
    [`${name}_or`]: scalar((a: string, b: string) => macText(macBits(a) | macBits(b), bytes)),
    [`${name}_trunc`]: scalar((a: string) => a.slice(0, 8) + ':00'.repeat(bytes - 3)),
    [`hash${name}`]: scalar((a: string) => hash32(macHash, a)),
    [`hash${name}extended`]: scalar((a: string, seed: Int64) => hash64(macHash, a, seed)),
  }
}

export const NETWORK_FUNCTIONS: FunctionTable = {
  ...comparisons((op) => `network_${op}`, comparedBy(compareNetworks)),
  network_cmp: scalar(compareNetworks),
  network_larger: scalar((a: string, b: string) => (compareNetworks(a, b) > 0 ? a : b)),
  network_smaller: scalar((a: string, b: string) => (compareNetworks(a, b) < 0 ? a : b)),
  network_sub: pair((a, b) => contains(b, a) && a.mask > b.mask),
  network_subeq: pair((a, b) => contains(b, a)),
  network_sup: pair((a, b) => contains(a, b) && b.mask > a.mask),
  network_supeq: pair((a, b) => contains(a, b)),
  network_overlap: pair((a, b) => contains(a, b) || contains(b, a)),
  network_family: on((a) => (a.size === 32 ? 4 : 6)),
  network_host: on((a) => inet({ ...a, mask: a.size })),
  network_show: on(cidr),
  network_masklen: on((a) => a.mask),
  network_netmask: on((a) => inet({ size: a.size, mask: a.size, bits: maskOf(a) })),
  network_hostmask: on((a) => inet({ size: a.size, mask: a.size, bits: all(a.size) ^ maskOf(a) })),
  network_broadcast: on((a) => inet({ ...a, bits: a.bits | (all(a.size) ^ maskOf(a)) })),
  network_network: on((a) => cidr(masked(a))),
  inet_to_cidr: on((a) => cidr(masked(a))),
  inet_abbrev: on(inet),
  cidr_abbrev: on((a) => {
    if (a.size !== 32) return cidr(a)
    // As many octets as the mask covers, one at least.
    const octets = inet({ ...a, mask: a.size }).split('.')
    return `${octets.slice(0, Math.max(1, Math.ceil(a.mask / 8))).join('.')}/${a.mask}`
  }),
  inet_set_masklen: scalar((a: string, mask: number) => inet(withMask(readAddress(a), mask))),
  cidr_set_masklen: scalar((a: string, mask: number) => cidr(masked(withMask(readAddress(a), mask)))),
  inet_same_family: pair((a, b) => a.size === b.size),
  inet_merge: pair((a, b) => {
    if (a.size !== b.size) throw sqlError('22023', 'cannot merge addresses from different families')
    let mask = Math.min(a.mask, b.mask)
    while (mask > 0 && a.bits >> BigInt(a.size - mask) !== b.bits >> BigInt(a.size - mask)) mask--
    return cidr(masked({ ...a, mask }))
  }),
  inetnot: on((a) => inet({ ...a, bits: all(a.size) ^ a.bits })),
  inetand: bitwise('AND', (a, b) => a & b),
  inetor: bitwise('OR', (a, b) => a | b),
  inetpl: scalar((a: string, by: Int64) => moved(readAddress(a), BigInt(by))),
  'int8pl_inet(int8,inet)': scalar((by: Int64, a: string) => moved(readAddress(a), BigInt(by))),
  inetmi_int8: scalar((a: string, by: Int64) => moved(readAddress(a), -BigInt(by))),
  inetmi: pair((a, b) => {
    if (a.size !== b.size) throw sqlError('22023', 'cannot subtract inet values of different sizes')
    const difference = a.bits - b.bits
    if (BigInt.asIntN(64, difference) !== difference) throw sqlError('22003', 'result is out of range')
    return Number.isSafeInteger(Number(difference)) ? Number(difference) : difference
  }),
  hashinet: scalar((a: string) => hash32(networkBytes, a)),
  hashinetextended: scalar((a: string, seed: Int64) => hash64(networkBytes, a, seed)),
  ...macOperators('macaddr', 6),
  ...macOperators('macaddr8', 8),
  macaddrtomacaddr8: scalar((a: string) => `${a.slice(0, 8)}:ff:fe:${a.slice(9)}`),
  macaddr8tomacaddr: scalar((a: string) => {
    if (a.slice(9, 14) !== 'ff:fe')
      throw sqlError('22003', 'macaddr8 data out of range to convert to macaddr', {
        hint:
          'Only addresses that have FF and FE as values in the 4th and 5th bytes from the left, ' +
          'for example xx:xx:xx:ff:fe:xx:xx:xx, are eligible to be converted from macaddr8 to macaddr.',
      })
    return a.slice(0, 9) + a.slice(15)
  }),
  macaddr8_set7bit: scalar((a: string) => macText(macBits(a) | (2n << 56n), 8)),
}

export const NETWORK_AGGREGATES: AggregateTable = extremes('inet', compareNetworks)
