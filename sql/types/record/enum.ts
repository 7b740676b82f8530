/**
 * Enums: a value is its label, its place among the labels is its order. A row holds the label's oid and a key its sort
 * order (pg_enum.oid and enumsortorder), so that labels can be renamed and added between others without touching rows.
 */
import { type Oid, oid } from '../../../storage/keys/brand.ts'
import { sqlError } from '../error.ts'
import {
  type AggregateBody,
  type AggregateTable,
  bound,
  type CallInfo,
  type FunctionBody,
  type FunctionTable,
  scalar,
} from '../function.ts'
import { decodeUtf8 } from '../text/chars.ts'
import type { Type, TypeContext } from '../type.ts'
import { ArrayValue, type Value } from '../value.ts'

export interface EnumType extends Type {
  /** In their order. */
  readonly labels: readonly string[]
}

const enumLabels = (type: Type): readonly string[] | undefined =>
  'labels' in type ? (type as EnumType).labels : undefined

/** `labelOids` are pg_enum.oid, `sortOrders` pg_enum.enumsortorder (1, 2, … when they were never squeezed between). */
export function enumType(
  typeOid: Oid,
  name: string,
  labels: readonly string[],
  labelOids: readonly Oid[],
  sortOrders: readonly number[] = labels.map((_, i) => i + 1),
): EnumType {
  const places = new Map(labels.map((label, i) => [label, i]))
  const byOid = new Map(labelOids.map((label, i) => [label as number, labels[i]!]))
  const known = (label: string, context: TypeContext) => {
    if (places.has(label)) return label
    throw sqlError('22P02', `invalid input value for enum ${context.names?.typeName(typeOid) ?? name}: "${label}"`)
  }
  return {
    oid: typeOid,
    name,
    labels,
    elementOid: oid(0),
    delimiter: ',',
    input: (text, _typmod, context) => known(text, context),
    output: (value) => value as string,
    receive: (from, start, end, _typmod, context) => known(decodeUtf8(from, start, end), context),
    send: (value, to) => to.text(value as string),
    compare: (a, b) => (a === b ? 0 : places.get(a as string)! < places.get(b as string)! ? -1 : 1),
    hashKey: (value) => value as string,
    storage: {
      kind: 'bytes',
      write: (value, to) => to.uint32(labelOids[places.get(value as string)!]!),
      read: (from, start) => {
        const label = from.readUInt32BE(start)
        const found = byOid.get(label)
        if (found === undefined) throw sqlError('22P03', `invalid internal value for enum: ${label}`)
        return found
      },
    },
    encodeKey: (value, to) => to.float64(sortOrders[places.get(value as string)!]!),
  }
}

/** The enum type of an argument that may be NULL: its declared type tells. */
function enumOf(call: CallInfo): EnumType {
  const type = call.context.type(call.argTypes[0]!)
  if (!enumLabels(type)) throw sqlError('0A000', 'could not determine actual enum type')
  return type as EnumType
}

const edge = (end: 0 | -1): FunctionBody =>
  bound<[Value]>((call) => {
    const { labels, oid: typeOid, name } = enumOf(call)
    return () => {
      const label = labels.at(end)
      if (label === undefined)
        throw sqlError('55000', `enum ${call.context.names?.typeName(typeOid) ?? name} contains no values`)
      return label
    }
  })

const compared = <T extends Value>(result: (order: number, a: Value, b: Value) => T): FunctionBody =>
  bound<[Value, Value]>((call) => {
    const compare = enumOf(call).compare!
    return (a, b) => result(compare(a!, b!), a, b)
  })

export const ENUM_FUNCTIONS: FunctionTable = {
  enum_eq: scalar((a: string, b: string) => a === b, { js: (a, b) => `(${a} === ${b})` }),
  enum_ne: scalar((a: string, b: string) => a !== b, { js: (a, b) => `(${a} !== ${b})` }),
  enum_lt: compared((order) => order < 0),
  enum_le: compared((order) => order <= 0),
  enum_gt: compared((order) => order > 0),
  enum_ge: compared((order) => order >= 0),
  enum_cmp: compared((order) => order),
  enum_smaller: compared((order, a, b) => (order <= 0 ? a : b)),
  enum_larger: compared((order, a, b) => (order >= 0 ? a : b)),
  enum_first: edge(0),
  enum_last: edge(-1),
  enum_range_all: bound<[Value]>((call) => {
    const { labels } = enumOf(call)
    return () => ArrayValue.of(labels)
  }),
  enum_range_bounds: bound<[string | null, string | null]>((call) => {
    const { labels } = enumOf(call)
    return (from, to) =>
      ArrayValue.of(
        labels.slice(from === null ? 0 : labels.indexOf(from), to === null ? undefined : labels.indexOf(to) + 1),
      )
  }),
}

const extreme = (takes: (order: number) => boolean): AggregateBody<Value> => ({
  strict: true,
  bind: (call) => {
    const compare = enumOf(call).compare!
    return {
      init: () => null,
      step: (state, label: string) => (state === null || takes(compare(label, state)) ? label : state),
      final: (state) => state,
    }
  },
})

export const ENUM_AGGREGATES = {
  'max(anyenum)': extreme((order) => order > 0),
  'min(anyenum)': extreme((order) => order < 0),
} as AggregateTable
