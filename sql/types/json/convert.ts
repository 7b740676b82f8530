/**
 * Any SQL value as JSON: `to_json` writes text, `to_jsonb` makes a tree, by the same table of kinds. Numbers and booleans
 * stay what they are, dates take their ISO form whatever DateStyle says, arrays and rows go member by member, the rest is
 * its text in quotes. A writer is made once for a type and used for every value.
 * https://www.postgresql.org/docs/15/functions-json.html#FUNCTIONS-JSON-CREATION-TABLE
 */
import type { Oid } from '../../../storage/keys/brand.ts'
import { sqlError } from '../error.ts'
import { parseDecimal } from '../number/numeric.ts'
import { OID } from '../oids.ts'
import { compositeColumns } from '../record/composite.ts'
import { DEFAULT_SETTINGS } from '../settings.ts'
import type { TypeContext } from '../type.ts'
import { type ArrayValue, type Jsonb, type JsonNode, Numeric, type RecordValue, type Value } from '../value.ts'
import { jsonb, makeObject, parseTree, quoteJson } from './node.ts'

type Kind = 'boolean' | 'integer' | 'number' | 'date' | 'timestamp' | 'json' | 'jsonb' | 'array' | 'row' | 'text'

const KINDS: ReadonlyMap<number, Kind> = new Map<number, Kind>([
  [OID.bool, 'boolean'],
  [OID.int2, 'integer'],
  [OID.int4, 'integer'],
  [OID.int8, 'integer'],
  [OID.float4, 'number'],
  [OID.float8, 'number'],
  [OID.numeric, 'number'],
  [OID.date, 'date'],
  [OID.timestamp, 'timestamp'],
  [OID.timestamptz, 'timestamp'],
  [OID.json, 'json'],
  [OID.jsonb, 'jsonb'],
  [OID.record, 'row'],
])

function kindOf(type: Oid, context: TypeContext): Kind {
  const known = KINDS.get(type)
  if (known !== undefined) return known
  const found = context.type(type)
  if (found.elementOid !== 0) return 'array'
  return compositeColumns(found) ? 'row' : 'text'
}

const isJsonNumber = (text: string) => /^-?\d/.test(text)

/** The context with ISO dates, for what JSON calls a date. */
const isoContext = (context: TypeContext): TypeContext => ({
  type: (of) => context.type(of),
  settings: { ...(context.settings ?? DEFAULT_SETTINGS), dateStyle: 'ISO' },
  transactionTimestamp: context.transactionTimestamp,
  ...(context.names && { names: context.names }),
})

/** XSD's form: a T between date and time, minutes in every offset. */
const xsd = (text: string) => text.replace(' ', 'T').replace(/([+-]\d\d)(?=$| BC)/, '$1:00')

/** The text JSON puts in quotes for scalars, and as an object's key. */
function scalarText(type: Oid, kind: Kind, context: TypeContext): (value: Value) => string {
  const found = context.type(type)
  if (kind === 'boolean') return (value) => (value ? 'true' : 'false')
  if (kind === 'date' || kind === 'timestamp') {
    const iso = isoContext(context)
    return kind === 'date' ? (value) => found.output(value, iso) : (value) => xsd(found.output(value, iso))
  }
  return (value) => found.output(value, context)
}

/** Fields of rows: writers by column type, found again while rows keep the same columns. */
function rowWriter<T>(
  make: (type: Oid) => (value: Value) => T,
): (row: RecordValue) => { writers: ((v: Value) => T)[]; names: string[] } {
  let types: readonly Oid[] | undefined
  let names: readonly string[] | undefined
  let last: { writers: ((v: Value) => T)[]; names: string[] } | undefined
  return (row) => {
    if (last !== undefined && row.types === types && row.names === names) return last
    types = row.types
    names = row.names
    last = { writers: row.types.map(make), names: row.types.map((_, i) => row.names?.[i] ?? `f${i + 1}`) }
    return last
  }
}

/** Every array, by its dimensions: `leaf` for elements, `level` for what stands in one pair of brackets. */
function nested<T>(array: ArrayValue, leaf: (value: Value) => T, level: (items: T[], depth: number) => T): T {
  let next = 0
  const walk = (depth: number): T => {
    const items: T[] = []
    const length = array.dimensions[depth] ?? 0
    for (let i = 0; i < length; i++)
      items.push(depth + 1 === array.dimensions.length ? leaf(array.elements[next++]!) : walk(depth + 1))
    return level(items, depth)
  }
  return walk(0)
}

/** Values of `type` to JSON text; `pretty` puts line feeds between the members of the outermost level. */
export function jsonWriter(type: Oid, context: TypeContext, pretty = false): (value: Value) => string {
  const kind = kindOf(type, context)
  const separator = pretty ? ',\n ' : ','
  switch (kind) {
    case 'boolean':
      return (value) => (value === null ? 'null' : value ? 'true' : 'false')
    case 'integer':
      return (value) => (value === null ? 'null' : String(value))
    case 'json':
      return (value) => (value === null ? 'null' : (value as string))
    case 'array': {
      const element = jsonWriter(context.type(type).elementOid, context)
      return (value) =>
        value === null
          ? 'null'
          : nested(value as ArrayValue, element, (items, depth) => `[${items.join(depth === 0 ? separator : ',')}]`)
    }
    case 'row': {
      const fields = rowWriter((column) => jsonWriter(column, context))
      return (value) => {
        if (value === null) return 'null'
        const row = value as RecordValue
        const { writers, names } = fields(row)
        return `{${row.values.map((field, i) => `${quoteJson(names[i]!)}:${writers[i]!(field)}`).join(separator)}}`
      }
    }
    case 'number': {
      const text = scalarText(type, kind, context)
      return (value) => {
        if (value === null) return 'null'
        const printed = text(value)
        return isJsonNumber(printed) ? printed : quoteJson(printed)
      }
    }
    case 'jsonb': {
      const found = context.type(type)
      return (value) => (value === null ? 'null' : found.output(value, context))
    }
    case 'date':
    case 'timestamp':
    case 'text': {
      const text = scalarText(type, kind, context)
      return (value) => (value === null ? 'null' : quoteJson(text(value)))
    }
  }
}

/** Values of `type` to a tree. */
export function nodeMaker(type: Oid, context: TypeContext): (value: Value) => JsonNode {
  const kind = kindOf(type, context)
  switch (kind) {
    case 'boolean':
      return (value) => value as boolean | null
    case 'integer':
      return (value) => (value === null ? null : new Numeric(BigInt(value as number | bigint), 0))
    case 'number': {
      const found = context.type(type)
      return (value) => {
        if (value === null) return null
        if (value instanceof Numeric) return value.special ?? value
        const printed = found.output(value, context)
        return isJsonNumber(printed) ? parseDecimal(printed)! : printed
      }
    }
    case 'json':
      return (value) => (value === null ? null : parseTree(value as string))
    case 'jsonb':
      return (value) => (value === null ? null : (value as Jsonb).root)
    case 'array': {
      const element = nodeMaker(context.type(type).elementOid, context)
      return (value) => (value === null ? null : nested<JsonNode>(value as ArrayValue, element, (items) => items))
    }
    case 'row': {
      const fields = rowWriter((column) => nodeMaker(column, context))
      return (value) => {
        if (value === null) return null
        const row = value as RecordValue
        const { writers, names } = fields(row)
        return makeObject(row.values.map((field, i) => [names[i]!, writers[i]!(field)] as const))
      }
    }
    case 'date':
    case 'timestamp':
    case 'text': {
      const text = scalarText(type, kind, context)
      return (value) => (value === null ? null : text(value))
    }
  }
}

/** Values of `type` to an object's key; throws 22023 for what is no scalar. NULL is the caller's to refuse. */
export function keyMaker(type: Oid, context: TypeContext): (value: Value) => string {
  const kind = kindOf(type, context)
  if (kind === 'array' || kind === 'row' || kind === 'json' || kind === 'jsonb')
    return () => {
      throw sqlError('22023', 'key value must be scalar, not array, composite, or json')
    }
  return scalarText(type, kind, context)
}

/** Whether json_agg puts the type's values on lines of their own. */
export const isStructured = (type: Oid, context: TypeContext): boolean => {
  const kind = kindOf(type, context)
  return kind === 'array' || kind === 'row'
}

export const toJsonb = (type: Oid, context: TypeContext): ((value: Value) => Jsonb) => {
  const make = nodeMaker(type, context)
  return (value) => jsonb(make(value))
}
