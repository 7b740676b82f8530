/** pg_size_pretty and pg_size_bytes. Source: PostgreSQL manual, "Database Object Management Functions". */
import { sqlError } from '../error.ts'
import { type FunctionTable, scalar } from '../function.ts'
import { type Int64, Numeric } from '../value.ts'
import { trimSpace } from './int.ts'
import * as n from './numeric.ts'
import { numericToInt8 } from './numeric-functions.ts'

/** Each unit is shown below `limit`; all but the first are kept doubled until shown, to round half up at the end. */
const UNITS: readonly {
  readonly name: string
  readonly limit: bigint
  readonly round: boolean
  readonly bits: bigint
}[] = [
  { name: 'bytes', limit: 10n * 1024n, round: false, bits: 0n },
  { name: 'kB', limit: 20n * 1024n - 1n, round: true, bits: 10n },
  { name: 'MB', limit: 20n * 1024n - 1n, round: true, bits: 20n },
  { name: 'GB', limit: 20n * 1024n - 1n, round: true, bits: 30n },
  { name: 'TB', limit: 20n * 1024n - 1n, round: true, bits: 40n },
  { name: 'PB', limit: 20n * 1024n - 1n, round: true, bits: 50n },
]

const halfRounded = (size: bigint): bigint => (size >= 0n ? (size + 1n) / 2n : (size - 1n) / 2n)

function pretty(bytes: bigint): string {
  let size = bytes
  for (const [i, unit] of UNITS.entries()) {
    const next = UNITS[i + 1]
    if (next === undefined || n.abs(size) < unit.limit) {
      return `${unit.round ? halfRounded(size) : size} ${unit.name}`
    }
    // Truncating division, keeping one extra bit for the rounding of the next unit.
    const bits = next.bits - unit.bits - (next.round ? 1n : 0n) + (unit.round ? 1n : 0n)
    size /= 1n << bits
  }
  throw sqlError('XX000', 'no size unit')
}

/** As pretty, for numeric: fractions are kept in bytes and dropped by the first division. */
function prettyNumeric(a: Numeric): string {
  if (a.special !== undefined) return `${a.special} PB`
  if (n.abs(a.digits) < 10240n * n.pow10(a.scale)) return `${n.toText(a)} bytes`
  return pretty(a.digits / n.pow10(a.scale))
}

const SIZE = /^([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)[ \t\n\v\f\r]*(.*)$/s

function sizeBytes(text: string): Int64 {
  const parts = SIZE.exec(trimSpace(text))
  if (parts === null) throw sqlError('22023', `invalid size: "${text}"`)
  const unitText = parts[2]!
  const unit = UNITS.find(
    ({ name }) => name.toLowerCase() === unitText.toLowerCase() || (name === 'bytes' && unitText === ''),
  )
  if (unit === undefined) {
    throw sqlError('22023', `invalid size: "${text}"`, {
      detail: `Invalid size unit: "${unitText}".`,
      hint: 'Valid units are "bytes", "kB", "MB", "GB", "TB", and "PB".',
    })
  }
  const number = n.parseDecimal(parts[1]!)!
  return numericToInt8(unit.bits === 0n ? number : n.multiply(number, new Numeric(1n << unit.bits, 0)))
}

export const SIZE_FUNCTIONS: FunctionTable = {
  pg_size_pretty: scalar((bytes: Int64) => pretty(BigInt(bytes))),
  pg_size_pretty_numeric: scalar(prettyNumeric),
  pg_size_bytes: scalar(sizeBytes),
}
