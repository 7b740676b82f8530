/**
 * Descriptors as JSON. What JSON has no word for is an object with the one key '$' (its tag) and 'v':
 *
 *     9007199254740993n     {"$":"bigint","v":"9007199254740993"}
 *     Infinity              {"$":"number","v":"Infinity"}
 *     numeric 1.50          {"$":"numeric","v":["150",2]}
 *
 * Properties that are undefined are left out, as everywhere in JSON; undefined inside an array has a tag.
 */
import { invariant } from '../../storage/keys/invariant.ts'
import {
  ArrayValue,
  BitString,
  Interval,
  Jsonb,
  type JsonNode,
  MultirangeValue,
  Numeric,
  RangeValue,
  RecordValue,
  SparseVector,
  TimeTz,
  type Value,
} from '../types/value.ts'
import type { Descriptor } from './catalog.ts'

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }
const tagged = (tag: string, value: Json): Json => ({ $: tag, v: value })
const base64 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
const fromBase64 = (text: unknown): Uint8Array => new Uint8Array(Buffer.from(text as string, 'base64'))

export const encodeDescriptor = (row: Descriptor): Uint8Array => Buffer.from(JSON.stringify(toJson(row)))
export const decodeDescriptor = (bytes: Buffer): Descriptor =>
  fromJson(JSON.parse(bytes.toString('utf8'))) as Descriptor

export function toJson(value: unknown): Json {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value
    case 'number':
      return Number.isFinite(value) && !Object.is(value, -0)
        ? value
        : tagged('number', Object.is(value, -0) ? '-0' : String(value))
    case 'bigint':
      return tagged('bigint', value.toString())
    case 'undefined':
      return tagged('undefined', null)
    case 'object':
      return value === null ? null : objectToJson(value)
    default:
      throw new TypeError(`no JSON form of a ${typeof value}`)
  }
}

function objectToJson(value: object): Json {
  if (Array.isArray(value)) return value.map(toJson)
  if (value instanceof Float32Array)
    return tagged('float32', base64(new Uint8Array(value.buffer, value.byteOffset, value.byteLength)))
  if (value instanceof Uint16Array)
    return tagged('half', base64(new Uint8Array(value.buffer, value.byteOffset, value.byteLength)))
  if (value instanceof SparseVector)
    return tagged('sparse', [value.dimensions, [...value.indices], [...value.values].map(toJson)])
  if (value instanceof Uint8Array) return tagged('bytes', base64(value))
  if (value instanceof Numeric) return tagged('numeric', numericParts(value))
  if (value instanceof TimeTz) return tagged('timetz', [value.micros, value.zoneSecondsWest])
  if (value instanceof Interval) return tagged('interval', [value.months, value.days, toJson(value.micros)])
  if (value instanceof Jsonb) return tagged('jsonb', nodeToJson(value.root))
  if (value instanceof ArrayValue)
    return tagged('array', [value.elements.map(toJson), toJson(value.dimensions), toJson(value.lower)])
  if (value instanceof RecordValue)
    return tagged('record', [value.values.map(toJson), toJson(value.types), toJson(value.names)])
  if (value instanceof RangeValue)
    return tagged('range', [
      toJson(value.lower),
      toJson(value.upper),
      value.lowerInclusive,
      value.upperInclusive,
      value.isEmpty,
    ])
  if (value instanceof MultirangeValue) return tagged('multirange', value.ranges.map(toJson))
  if (value instanceof BitString) return tagged('bits', [base64(value.bytes), value.length])
  // fromEntries makes own properties of every key, __proto__ too.
  const out = Object.fromEntries(
    Object.entries(value).flatMap(([key, item]) => (item === undefined ? [] : [[key, toJson(item)]])),
  )
  return Object.hasOwn(out, '$') ? tagged('object', out) : out
}

const numericParts = (n: Numeric): Json => [
  n.digits.toString(),
  n.scale,
  ...(n.special === undefined ? [] : [n.special]),
]

/** jsonb: an object is a list of pairs, so that its keys mean nothing here. */
function nodeToJson(node: JsonNode): Json {
  if (node instanceof Numeric) return tagged('numeric', numericParts(node))
  if (node instanceof Map)
    return tagged(
      'pairs',
      [...(node as ReadonlyMap<string, JsonNode>)].map(([key, item]) => [key, nodeToJson(item)]),
    )
  if (Array.isArray(node)) return (node as readonly JsonNode[]).map(nodeToJson)
  return node as null | boolean | string
}

function nodeFromJson(json: Json): JsonNode {
  if (Array.isArray(json)) return (json as readonly Json[]).map(nodeFromJson)
  if (json === null || typeof json !== 'object') return json as null | boolean | string
  const { $: tag, v } = json as { $: string; v: Json }
  if (tag === 'numeric') return fromJson(json) as Numeric
  invariant(tag === 'pairs', `no jsonb node ${tag}`)
  return new Map((v as readonly (readonly [string, Json])[]).map(([key, item]) => [key, nodeFromJson(item)]))
}

type Parts = readonly Json[]
const TAGS: Readonly<Record<string, (v: Json) => unknown>> = {
  number: (v) => Number(v),
  bigint: (v) => BigInt(v as string),
  undefined: () => undefined,
  bytes: fromBase64,
  float32: (v) => new Float32Array(fromBase64(v).buffer),
  half: (v) => new Uint16Array(fromBase64(v).buffer),
  sparse: (v) => {
    const [dimensions, indices, values] = (v as Parts).map(fromJson) as [number, number[], number[]]
    return new SparseVector(dimensions, Int32Array.from(indices), Float32Array.from(values))
  },
  numeric: (v) => {
    const [digits, scale, special] = v as [string, number, 'NaN' | undefined]
    return new Numeric(BigInt(digits), scale, special)
  },
  timetz: (v) => new TimeTz(...(v as unknown as [number, number])),
  interval: (v) => {
    const [months, days, micros] = v as Parts
    return new Interval(months as number, days as number, fromJson(micros!) as number | bigint)
  },
  jsonb: (v) => new Jsonb(nodeFromJson(v)),
  array: (v) => {
    const [elements, dimensions, lower] = (v as Parts).map(fromJson) as [never, never, never]
    return new ArrayValue(elements, dimensions, lower)
  },
  record: (v) => {
    const [values, types, names] = (v as Parts).map(fromJson) as [never, never, never]
    return new RecordValue(values, types, names)
  },
  bits: (v) => {
    const [bytes, length] = v as Parts
    return new BitString(fromBase64(bytes), length as number)
  },
  range: (v) => {
    const [lower, upper, ...flags] = (v as Parts).map(fromJson) as [Value, Value, boolean, boolean, boolean]
    return new RangeValue(lower, upper, ...flags)
  },
  multirange: (v) => new MultirangeValue((v as Parts).map(fromJson) as RangeValue[]),
  object: (v) => mapObject(v as { readonly [key: string]: Json }),
}

export function fromJson(json: Json): unknown {
  if (json === null || typeof json !== 'object') return json
  if (Array.isArray(json)) return (json as readonly Json[]).map(fromJson)
  const object = json as { readonly [key: string]: Json }
  if (!Object.hasOwn(object, '$')) return mapObject(object)
  const tag = object['$']
  const decode = TAGS[tag as string]
  invariant(decode, `no descriptor tag ${JSON.stringify(tag)}`)
  return decode(object['v']!)
}

function mapObject(object: { readonly [key: string]: Json }): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).map(([key, item]) => [key, fromJson(item)]))
}
