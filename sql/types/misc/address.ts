/**
 * Network addresses as text and as numbers: version 4 ('10.1.2.3/8', and for a cidr '10' or '192.168.1'), version 6
 * ('2001:db8::1/64', '::ffff:1.2.3.4').
 */
import { sqlError } from '../error.ts'

/** `size` bits, of which the first `mask` are the network's. */
export interface Address {
  readonly size: 32 | 128
  readonly mask: number
  readonly bits: bigint
}

export const maskOf = ({ size, mask }: Address): bigint => ((1n << BigInt(mask)) - 1n) << BigInt(size - mask)

const MASK = /^[0-9]{1,3}$/

/** Text as a user writes it. Throws 22P02. */
export function parseAddress(text: string, isCidr: boolean): Address {
  const slash = text.indexOf('/')
  const place = slash < 0 ? text : text.slice(0, slash)
  const mask = slash < 0 ? undefined : text.slice(slash + 1)
  const address =
    mask !== undefined && !MASK.test(mask)
      ? undefined
      : place.includes(':')
        ? version6(place, mask)
        : version4(place, mask, isCidr)
  if (address === undefined)
    throw sqlError('22P02', `invalid input syntax for type ${isCidr ? 'cidr' : 'inet'}: "${text}"`)
  return isCidr ? cidrOf(address, () => `cidr value: "${text}"`) : address
}

/** A cidr's host bits are zero. */
export function cidrOf(address: Address, what: () => string): Address {
  if ((address.bits & maskOf(address)) !== address.bits)
    throw sqlError('22P02', `invalid ${what()}`, { detail: 'Value has bits set to right of mask.' })
  return address
}

function octetsOf(text: string, most: number): number[] | undefined {
  const parts = text.split('.')
  if (parts.length > most || !parts.every((part) => /^[0-9]{1,3}$/.test(part) && Number(part) <= 255)) return undefined
  return parts.map(Number)
}

/** The mask of a network without one: by its class, and no less than what is written. */
function classMask(octets: readonly number[]): number {
  const first = octets[0]!
  const byClass = first >= 240 ? 32 : first >= 224 ? 8 : first >= 192 ? 24 : first >= 128 ? 16 : 8
  const mask = Math.max(byClass, octets.length * 8)
  return mask === 8 && first === 224 ? 4 : mask
}

function version4(text: string, given: string | undefined, isCidr: boolean): Address | undefined {
  const octets = octetsOf(text, 4)
  if (octets === undefined) return undefined
  const mask = given !== undefined ? Number(given) : isCidr ? classMask(octets) : 32
  if (mask > 32 || (!isCidr && Math.floor(mask / 8) > octets.length)) return undefined
  let bits = 0n
  for (let i = 0; i < 4; i++) bits = (bits << 8n) | BigInt(octets[i] ?? 0)
  return { size: 32, mask, bits }
}

function version6(text: string, given: string | undefined): Address | undefined {
  const mask = given === undefined ? 128 : Number(given)
  if (mask > 128) return undefined
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const words = halves.map((half, i) => wordsOf(half, i === halves.length - 1))
  const [head, tail = []] = words
  if (head === undefined || words.some((half) => half === undefined)) return undefined
  const missing = 8 - head.length - tail.length
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined
  let bits = 0n
  for (const word of [...head, ...new Array<number>(missing).fill(0), ...tail]) bits = (bits << 16n) | BigInt(word)
  return { size: 128, mask, bits }
}

/** Words between colons; the last may be a version 4 address. */
function wordsOf(text: string, isLast: boolean): number[] | undefined {
  if (text === '') return []
  const words: number[] = []
  const parts = text.split(':')
  for (const [i, part] of parts.entries()) {
    if (isLast && i === parts.length - 1 && part.includes('.')) {
      const octets = octetsOf(part, 4)
      if (octets?.length !== 4) return undefined
      words.push(octets[0]! * 256 + octets[1]!, octets[2]! * 256 + octets[3]!)
    } else if (/^[0-9a-f]{1,4}$/i.test(part)) words.push(Number.parseInt(part, 16))
    else return undefined
  }
  return words
}

/** Text that is canonical already, of an inet or a cidr. */
export function readAddress(text: string): Address {
  const slash = text.indexOf('/')
  const place = slash < 0 ? text : text.slice(0, slash)
  const mask = slash < 0 ? undefined : text.slice(slash + 1)
  const address = place.includes(':') ? version6(place, mask) : version4(place, mask, false)
  if (address === undefined) throw sqlError('XX000', `no network address: "${text}"`)
  return address
}

/** `withMask`: a full mask is shown too. */
export function addressText(address: Address, withMask: boolean): string {
  const { size, mask, bits } = address
  const text = size === 32 ? dotted(bits) : colonned(bits)
  return mask === size && !withMask ? text : `${text}/${mask}`
}

const dotted = (bits: bigint): string => [24n, 16n, 8n, 0n].map((shift) => (bits >> shift) & 0xffn).join('.')

function colonned(bits: bigint): string {
  const words = Array.from({ length: 8 }, (_, i) => Number((bits >> BigInt(112 - 16 * i)) & 0xffffn))
  let best = { at: -1, length: 1 }
  for (let at = 0; at < 8; at++) {
    let length = 0
    while (at + length < 8 && words[at + length] === 0) length++
    if (length > best.length) best = { at, length }
  }
  const isVersion4 =
    best.at === 0 &&
    (best.length === 6 || (best.length === 7 && words[7] !== 1) || (best.length === 5 && words[5] === 0xffff))
  const shown = words.map((word) => word.toString(16))
  if (isVersion4) shown.splice(6, 2, dotted(bits & 0xffffffffn))
  if (best.at < 0) return shown.join(':')
  const length = isVersion4 ? Math.min(best.length, 6) : best.length
  return `${shown.slice(0, best.at).join(':')}::${shown.slice(best.at + length).join(':')}`
}
