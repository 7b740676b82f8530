/** Options of CREATE SEQUENCE, ALTER SEQUENCE and identity columns to a SequenceRow, with PostgreSQL's checks in its order. */
import type { Node } from '@pgsql/types'
import { type Oid, oid } from '../../../storage/keys/brand.ts'
import { errorAt, resolveTypeName } from '../../binder/binder.ts'
import type { ColumnRow, RelationRow, SequenceRow } from '../../catalog/catalog.ts'
import { sqlError } from '../../types/error.ts'
import { OID } from '../../types/oids.ts'
import type { Int64 } from '../../types/value.ts'
import { binder, type Ddl } from './context.ts'

interface Limits {
  readonly name: string
  readonly min: bigint
  readonly max: bigint
}
const LIMITS: ReadonlyMap<Oid, Limits> = new Map([
  [OID.int2, { name: 'smallint', min: -(2n ** 15n), max: 2n ** 15n - 1n }],
  [OID.int4, { name: 'integer', min: -(2n ** 31n), max: 2n ** 31n - 1n }],
  [OID.int8, { name: 'bigint', min: -(2n ** 63n), max: 2n ** 63n - 1n }],
])

export interface SequenceOptions {
  readonly row: SequenceRow
  /** RESTART [WITH n]: the next value. */
  readonly restart: bigint | undefined
  readonly ownedBy: readonly Node[] | undefined
  /** Identity columns: SEQUENCE NAME. */
  readonly name: readonly Node[] | undefined
  /** Something other than OWNED BY was said. */
  readonly changed: boolean
}

const int64 = (n: bigint): Int64 =>
  n >= BigInt(Number.MIN_SAFE_INTEGER) && n <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(n) : n

function integerOf(node: Node | undefined): bigint | undefined {
  if (node === undefined) return undefined
  if ('Integer' in node) return BigInt(node.Integer.ival ?? 0)
  if ('Float' in node) return bigintOf(node.Float.fval ?? '0')
  if ('A_Const' in node) {
    if (node.A_Const.ival !== undefined) return BigInt(node.A_Const.ival.ival ?? 0)
    if (node.A_Const.fval !== undefined) return bigintOf(node.A_Const.fval.fval ?? '0')
  }
  return undefined
}
function bigintOf(text: string): bigint {
  if (!/^[+-]?\d+$/.test(text)) throw sqlError('22P02', `invalid input syntax for type bigint: "${text}"`)
  const n = BigInt(text)
  if (n < -(2n ** 63n) || n >= 2n ** 63n) throw sqlError('22003', `value "${text}" is out of range for type bigint`)
  return n
}

/** `before`: what ALTER SEQUENCE starts from. `type`: an identity column's, where none is stated. */
export function sequenceOptions(
  ddl: Ddl,
  nodes: readonly Node[] | undefined,
  options: { before?: SequenceRow; type?: Oid; identity?: boolean } = {},
): SequenceOptions {
  const b = binder(ddl)
  const given = new Map<string, Node | undefined>()
  for (const node of nodes ?? []) {
    if (!('DefElem' in node)) continue
    const { defname, arg, location } = node.DefElem
    if (given.has(defname!)) throw errorAt(b, '42601', 'conflicting or redundant options', location)
    given.set(defname!, arg)
  }
  const { before } = options
  const stated = given.get('as')
  let type = options.type ?? before?.type ?? OID.int8
  if (stated !== undefined && 'TypeName' in stated) type = resolveTypeName(b, stated.TypeName).type
  const limits = LIMITS.get(type)
  if (limits === undefined)
    throw sqlError(
      '22023',
      options.identity === true
        ? 'identity column type must be smallint, integer, or bigint'
        : 'sequence type must be smallint, integer, or bigint',
    )
  const increment = integerOf(given.get('increment')) ?? (before === undefined ? 1n : BigInt(before.increment))
  if (increment === 0n) throw sqlError('22023', 'INCREMENT must not be zero')
  const cycleNode = given.get('cycle')
  const cycle =
    cycleNode === undefined
      ? (before?.cycle ?? false)
      : 'Boolean' in cycleNode
        ? cycleNode.Boolean.boolval === true
        : true

  // A limit that was its old type's default follows the new type.
  const old = before === undefined || type === before.type ? undefined : LIMITS.get(before.type)
  const followsMax = old !== undefined && BigInt(before!.max) === old.max
  const followsMin = old !== undefined && BigInt(before!.min) === old.min
  const keptMax = before === undefined ? undefined : followsMax ? limits.max : BigInt(before.max)
  const keptMin = before === undefined ? undefined : followsMin ? limits.min : BigInt(before.min)
  const max =
    integerOf(given.get('maxvalue')) ??
    (given.has('maxvalue') ? undefined : keptMax) ??
    (increment > 0n ? limits.max : -1n)
  const min =
    integerOf(given.get('minvalue')) ??
    (given.has('minvalue') ? undefined : keptMin) ??
    (increment < 0n ? limits.min : 1n)
  if (max < limits.min || max > limits.max)
    throw sqlError('22023', `MAXVALUE (${max}) is out of range for sequence data type ${limits.name}`)
  if (min < limits.min || min > limits.max)
    throw sqlError('22023', `MINVALUE (${min}) is out of range for sequence data type ${limits.name}`)
  if (min >= max) throw sqlError('22023', `MINVALUE (${min}) must be less than MAXVALUE (${max})`)
  const start =
    integerOf(given.get('start')) ?? (before === undefined ? (increment > 0n ? min : max) : BigInt(before.start))
  if (start < min) throw sqlError('22023', `START value (${start}) cannot be less than MINVALUE (${min})`)
  if (start > max) throw sqlError('22023', `START value (${start}) cannot be greater than MAXVALUE (${max})`)
  const restart = given.has('restart') ? (integerOf(given.get('restart')) ?? start) : undefined
  if (restart !== undefined && restart < min)
    throw sqlError('22023', `RESTART value (${restart}) cannot be less than MINVALUE (${min})`)
  if (restart !== undefined && restart > max)
    throw sqlError('22023', `RESTART value (${restart}) cannot be greater than MAXVALUE (${max})`)
  const cache = integerOf(given.get('cache')) ?? (before === undefined ? 1n : BigInt(before.cache))
  if (cache <= 0n) throw sqlError('22023', `CACHE (${cache}) must be greater than zero`)
  const ownedBy = given.get('owned_by')
  const name = given.get('sequence_name')
  return {
    row: {
      type,
      start: int64(start),
      increment: int64(increment),
      min: int64(min),
      max: int64(max),
      cache: int64(cache),
      cycle,
      ...(before?.ownedBy === undefined ? {} : { ownedBy: before.ownedBy }),
    },
    restart,
    ownedBy: ownedBy !== undefined && 'List' in ownedBy ? (ownedBy.List.items ?? []) : undefined,
    name: name !== undefined && 'List' in name ? (name.List.items ?? []) : undefined,
    changed: [...given.keys()].some((key) => key !== 'owned_by' && key !== 'sequence_name'),
  }
}

const sequenceColumn = (number: number, name: string, type: Oid): ColumnRow => ({
  number,
  name,
  type,
  typmod: -1,
  collation: oid(0),
  notNull: true,
  dropped: false,
})
const SEQUENCE_COLUMNS: readonly ColumnRow[] = [
  sequenceColumn(1, 'last_value', OID.int8),
  sequenceColumn(2, 'log_cnt', OID.int8),
  sequenceColumn(3, 'is_called', OID.bool),
]

/** Makes the sequence with its first value. */
export function putSequence(
  ddl: Ddl,
  base: Pick<RelationRow, 'oid' | 'name' | 'namespace' | 'owner' | 'persistence'> & { readonly session?: number },
  sequence: SequenceRow,
): RelationRow {
  const row: RelationRow = {
    ...base,
    kind: 'S',
    rowType: oid(0),
    storageId: ddl.editor.nextStorageId(),
    columns: SEQUENCE_COLUMNS,
    constraints: [],
    indexes: [],
    sequence,
  }
  ddl.editor.put('relation', row)
  ddl.session.sequences.create(row)
  return row
}
