/**
 * pg_lsn, a position in the write-ahead log: in memory its canonical text, two halves in hexadecimal ('16/B374D848').
 * pg_snapshot and txid_snapshot: the transactions a snapshot sees, as text xmin:xmax:xip,…
 * Source: PostgreSQL manual, "pg_lsn Type" and "Transaction ID and Snapshot Information Functions".
 */
import { oid } from '../../../storage/keys/brand.ts'
import { sqlError } from '../error.ts'
import { type AggregateTable, type FunctionTable, scalar, set } from '../function.ts'
import { wrongBinaryLength } from '../number/integer.ts'
import * as numeric from '../number/numeric.ts'
import type { ByteWriter, Type } from '../type.ts'
import { type Int64, Numeric, type Value } from '../value.ts'
import { comparedBy, comparisons } from './comparison.ts'
import { extremes } from './extremes.ts'

const LSN = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/
const LSN_END = 1n << 64n

const lsnText = (position: bigint): string =>
  `${(position >> 32n).toString(16).toUpperCase()}/${(position & 0xffffffffn).toString(16).toUpperCase()}`

function positionOf(lsn: string): bigint {
  const slash = lsn.indexOf('/')
  return (BigInt(`0x${lsn.slice(0, slash)}`) << 32n) | BigInt(`0x${lsn.slice(slash + 1)}`)
}

function parseLsn(text: string): string {
  const match = LSN.exec(text)
  if (match === null) throw sqlError('22P02', `invalid input syntax for type pg_lsn: "${text}"`)
  return lsnText(positionOf(text))
}

function compareLsn(a: Value, b: Value): number {
  const x = positionOf(a as string)
  const y = positionOf(b as string)
  return x < y ? -1 : x > y ? 1 : 0
}

const writeLsn = (value: Value, to: ByteWriter): void => to.int64(BigInt.asIntN(64, positionOf(value as string)))

const PG_LSN: Type = {
  oid: oid(3220),
  name: 'pg_lsn',
  elementOid: oid(0),
  delimiter: ',',
  input: parseLsn,
  output: (value) => value as string,
  receive(from, start, end) {
    if (end - start !== 8) throw wrongBinaryLength()
    return lsnText(from.readBigUInt64BE(start))
  },
  send: writeLsn,
  compare: compareLsn,
  hashKey: (value) => value as string,
  storage: { kind: 'bytes', write: writeLsn, read: (from, start) => lsnText(from.readBigUInt64BE(start)) },
  encodeKey(value, to) {
    const bytes = new Uint8Array(8)
    new DataView(bytes.buffer).setBigUint64(0, positionOf(value as string))
    to.raw(bytes)
  },
}

/** A number of bytes further or back; fractions round. */
function moved(lsn: string, by: Numeric, sign: bigint): string {
  if (by.special === 'NaN')
    throw sqlError('0A000', sign > 0n ? 'cannot add NaN to pg_lsn' : 'cannot subtract NaN from pg_lsn')
  return lsnOfNumber(new Numeric(positionOf(lsn) * 10n ** BigInt(by.scale) + sign * by.digits, by.scale, by.special))
}

function lsnOfNumber(n: Numeric): string {
  if (n.special !== undefined)
    throw sqlError('0A000', `cannot convert ${n.special === 'NaN' ? 'NaN' : 'infinity'} to pg_lsn`)
  const whole = numeric.rescale(n.digits, n.scale, 0)
  if (whole < 0n || whole >= LSN_END) throw sqlError('22023', 'pg_lsn out of range')
  return lsnText(whole)
}

interface Snapshot {
  readonly xmin: bigint
  readonly xmax: bigint
  readonly running: readonly bigint[]
}

const SNAPSHOT = /^([0-9]+):([0-9]+):((?:[0-9]+,)*[0-9]+)?$/
const XID_END = 1n << 64n

function readSnapshot(text: string): Snapshot {
  const match = SNAPSHOT.exec(text)
  const [xmin, xmax] = [BigInt(match?.[1] ?? 0), BigInt(match?.[2] ?? 0)]
  const running: bigint[] = []
  let good = match !== null && xmin > 0n && xmax >= xmin && xmax < XID_END
  let last = 0n
  for (const part of match?.[3]?.split(',') ?? []) {
    const xid = BigInt(part)
    if (xid < xmin || xid >= xmax || xid < last) good = false
    // The same number twice is once.
    if (xid !== last) running.push(xid)
    last = xid
  }
  if (!good) throw sqlError('22P02', `invalid input syntax for type pg_snapshot: "${text}"`)
  return { xmin, xmax, running }
}

const snapshotText = ({ xmin, xmax, running }: Snapshot): string => `${xmin}:${xmax}:${running.join(',')}`
const canonicalSnapshot = (text: string): string => snapshotText(readSnapshot(text))

function snapshotType(name: string, number: number): Type {
  return {
    oid: oid(number),
    name,
    elementOid: oid(0),
    delimiter: ',',
    input: canonicalSnapshot,
    output: (value) => value as string,
    receive(from, start, end) {
      const count = from.readInt32BE(start)
      if (count < 0 || end - start !== 20 + count * 8) throw sqlError('22P03', 'invalid external pg_snapshot data')
      const at = (i: number) => from.readBigUInt64BE(start + 4 + i * 8)
      const running = Array.from({ length: count }, (_, i) => at(i + 2))
      return canonicalSnapshot(snapshotText({ xmin: at(0), xmax: at(1), running }))
    },
    send(value, to) {
      const { xmin, xmax, running } = readSnapshot(value as string)
      to.int32(running.length)
      for (const xid of [xmin, xmax, ...running]) to.int64(BigInt.asIntN(64, xid))
    },
    storage: { kind: 'text' },
  }
}

const int64 = (n: bigint): Int64 => (n <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(n) : n)
const part = (of: (snapshot: Snapshot) => bigint) => scalar((text: string) => int64(of(readSnapshot(text))))

export const LOG_POSITION_TYPES: readonly Type[] = [
  PG_LSN,
  snapshotType('pg_snapshot', 5038),
  snapshotType('txid_snapshot', 2970),
]

export const LOG_POSITION_FUNCTIONS: FunctionTable = {
  ...comparisons((op) => `pg_lsn_${op}`, comparedBy(compareLsn)),
  pg_lsn_cmp: scalar(compareLsn),
  pg_lsn_larger: scalar((a: string, b: string) => (compareLsn(a, b) >= 0 ? a : b)),
  pg_lsn_smaller: scalar((a: string, b: string) => (compareLsn(a, b) <= 0 ? a : b)),
  pg_lsn_mi: scalar((a: string, b: string): Value => numeric.fromInteger(positionOf(a) - positionOf(b))),
  pg_wal_lsn_diff: scalar((a: string, b: string): Value => numeric.fromInteger(positionOf(a) - positionOf(b))),
  pg_lsn_pli: scalar((lsn: string, by: Numeric) => moved(lsn, by, 1n)),
  'numeric_pl_pg_lsn(numeric,pg_lsn)': scalar((by: Numeric, lsn: string) => moved(lsn, by, 1n)),
  pg_lsn_mii: scalar((lsn: string, by: Numeric) => moved(lsn, by, -1n)),
  numeric_pg_lsn: scalar(lsnOfNumber),
  pg_snapshot_xmin: part(({ xmin }) => xmin),
  pg_snapshot_xmax: part(({ xmax }) => xmax),
  pg_snapshot_xip: set<[string]>(() => (text) => readSnapshot(text).running.map(int64)),
  pg_visible_in_snapshot: scalar((xid: Int64, text: string) => {
    const { xmin, xmax, running } = readSnapshot(text)
    const wanted = BigInt(xid)
    return wanted < xmin || (wanted < xmax && !running.includes(wanted))
  }),
}

export const LOG_POSITION_AGGREGATES: AggregateTable = extremes('pg_lsn', compareLsn)
