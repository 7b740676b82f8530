/**
 * Composite values: rows of a named type, and anonymous ones (`ROW(1,'a')`, type record). A named type knows its columns
 * and reads and writes them in their order; an anonymous value carries its column types itself, so it can be printed and
 * compared but not read from text. Types of columns are looked up when needed: row types may hold each other.
 *
 *     text     (1,"a b",)            binary   n (oid length bytes)*
 *     row      n, null bitmap, values in their types' storage
 */
import { type Oid, oid } from '../../../storage/keys/brand.ts'
import { BinaryReader, receiveItem, sendItem } from '../array/binary.ts'
import { readStored, type StoredReader, skipStored, writeStored } from '../array/stored.ts'
import { sqlError } from '../error.ts'
import { OID } from '../oids.ts'
import type { ByteWriter, KeyEncoder, RowStorage, Type, TypeContext, TypeLookup } from '../type.ts'
import { RecordValue, type Value } from '../value.ts'

export interface CompositeColumn {
  readonly name: string
  readonly type: Oid
  readonly typmod: number
}

export interface CompositeType extends Type {
  readonly columns: readonly CompositeColumn[]
}

/** A composite type's columns; undefined for every other type, and for anonymous records. */
export const compositeColumns = (type: Type): readonly CompositeColumn[] | undefined =>
  'columns' in type ? (type as CompositeType).columns : undefined

const isSpace = (c: string) => c === ' ' || (c >= '\t' && c <= '\r')

const malformed = (text: string, detail: string) => sqlError('22P02', `malformed record literal: "${text}"`, { detail })

/** The columns' texts, null for NULL. Throws 22P02 as record_in does. */
function parseRecord(text: string, count: number): (string | null)[] {
  const fields: (string | null)[] = []
  let at = 0
  while (at < text.length && isSpace(text[at]!)) at++
  if (text[at] !== '(') throw malformed(text, 'Missing left parenthesis.')
  at++
  for (let i = 0; i < count; i++) {
    if (i > 0) {
      if (text[at] !== ',') throw malformed(text, 'Too few columns.')
      at++
    }
    if (text[at] === ',' || text[at] === ')') {
      fields.push(null)
      continue
    }
    let field = ''
    let quoted = false
    for (;;) {
      const c = text[at]
      if (c === undefined) throw malformed(text, 'Unexpected end of input.')
      if (!quoted && (c === ',' || c === ')')) break
      at++
      if (c === '\\') {
        if (at >= text.length) throw malformed(text, 'Unexpected end of input.')
        field += text[at++]
      } else if (c !== '"') {
        field += c
      } else if (!quoted) {
        quoted = true
      } else if (text[at] === '"') {
        field += '"'
        at++
      } else {
        quoted = false
      }
    }
    fields.push(field)
  }
  if (text[at++] !== ')') throw malformed(text, 'Too many columns.')
  while (at < text.length && isSpace(text[at]!)) at++
  if (at < text.length) throw malformed(text, 'Junk after right parenthesis.')
  return fields
}

const quoteField = (text: string) =>
  text === '' || /[\s"\\(),]/.test(text) ? `"${text.replace(/["\\]/g, '$&$&')}"` : text

function printRecord(record: RecordValue, context: TypeContext): string {
  const fields = record.values.map((value, i) =>
    value === null ? '' : quoteField(context.type(record.types[i]!).output(value, context)),
  )
  return `(${fields.join()})`
}

function sendRecord(record: RecordValue, to: ByteWriter, context: TypeContext): void {
  to.int32(record.values.length)
  record.values.forEach((value, i) => {
    to.uint32(record.types[i]!)
    sendItem(context.type(record.types[i]!), value, to, context)
  })
}

const nameOf = (type: Oid, context: TypeLookup & Partial<Pick<TypeContext, 'names'>>): string =>
  context.names?.typeName(type) ?? context.type(type).name

function receiveRecord(
  from: Buffer,
  start: number,
  end: number,
  columns: readonly CompositeColumn[],
  context: TypeContext,
): RecordValue {
  const reader = new BinaryReader(from, start, end)
  const count = reader.int32()
  if (count !== columns.length) throw sqlError('42804', `wrong number of columns: ${count}, expected ${columns.length}`)
  const values = columns.map((column, i) => {
    const sent = reader.uint32()
    if (sent !== column.type)
      throw sqlError(
        '42804',
        `binary data has type ${sent} (${context.names?.typeName(oid(sent)) ?? '???'}) instead of expected ` +
          `${column.type} (${nameOf(column.type, context)}) in record column ${i + 1}`,
      )
    return receiveItem(reader, context.type(column.type), column.typmod, context)
  })
  if (reader.at !== end) throw sqlError('22P03', 'incorrect binary data format')
  return recordOf(columns, values)
}

/** A value of a composite type from its columns' values. */
export const recordOf = (columns: readonly CompositeColumn[], values: readonly Value[]): RecordValue => {
  const { types, names } = headOf(columns)
  return new RecordValue(values, types, names)
}

/** The same `types` and `names` arrays for all values of a type: consumers may keep what they made for them. */
const heads = new WeakMap<readonly CompositeColumn[], { types: readonly Oid[]; names: readonly string[] }>()
function headOf(columns: readonly CompositeColumn[]) {
  let head = heads.get(columns)
  if (head === undefined) {
    head = { types: columns.map((column) => column.type), names: columns.map((column) => column.name) }
    heads.set(columns, head)
  }
  return head
}

type Lookup = TypeLookup & Partial<Pick<TypeContext, 'names'>>

function* commonColumns(a: RecordValue, b: RecordValue, lookup: Lookup): Generator<readonly [Type, Value, Value]> {
  const shared = Math.min(a.values.length, b.values.length)
  for (let i = 0; i < shared; i++) {
    const type = a.types[i]!
    if (type !== b.types[i])
      throw sqlError(
        '42804',
        `cannot compare dissimilar column types ${nameOf(type, lookup)} and ${nameOf(b.types[i]!, lookup)} ` +
          `at record column ${i + 1}`,
      )
    yield [lookup.type(type), a.values[i]!, b.values[i]!]
  }
}

const checkCounts = (a: RecordValue, b: RecordValue) => {
  if (a.values.length !== b.values.length)
    throw sqlError('42804', 'cannot compare record types with different numbers of columns')
}

/** Column by column, NULL above everything. Throws 42804 for rows of different types, 42883 without an order. */
export function compareRecords(a: RecordValue, b: RecordValue, lookup: Lookup): number {
  for (const [type, left, right] of commonColumns(a, b, lookup)) {
    if (!type.compare)
      throw sqlError('42883', `could not identify a comparison function for type ${nameOf(type.oid, lookup)}`)
    if (left === null || right === null) {
      if (left === right) continue
      return left === null ? 1 : -1
    }
    const order = type.compare(left, right)
    if (order !== 0) return order < 0 ? -1 : 1
  }
  checkCounts(a, b)
  return 0
}

/** Equality of rows as record_eq has it: NULLs are equal. */
export function equalRecords(a: RecordValue, b: RecordValue, lookup: Lookup): boolean {
  for (const [type, left, right] of commonColumns(a, b, lookup)) {
    const { compare, hashKey } = type
    if (!compare && !hashKey)
      throw sqlError('42883', `could not identify an equality operator for type ${nameOf(type.oid, lookup)}`)
    if (left === null || right === null) {
      if (left !== right) return false
      continue
    }
    if (compare ? compare(left, right) !== 0 : hashKey!(left) !== hashKey!(right)) return false
  }
  checkCounts(a, b)
  return true
}

function hashRecord(record: RecordValue, lookup: Lookup): string {
  let key = ''
  record.values.forEach((value, i) => {
    if (value === null) {
      key += 'n'
      return
    }
    const { hashKey } = lookup.type(record.types[i]!)
    if (!hashKey)
      throw sqlError('42883', `could not identify a hash function for type ${nameOf(record.types[i]!, lookup)}`)
    const part = String(hashKey(value))
    key += `${part.length}.${part}`
  })
  return key
}

const KEY_END = 0
const KEY_VALUE = 2
const KEY_NULL = 3

function encodeRecord(record: RecordValue, to: KeyEncoder, lookup: Lookup): void {
  record.values.forEach((value, i) => {
    if (value === null) {
      to.byte(KEY_NULL)
      return
    }
    const { encodeKey } = lookup.type(record.types[i]!)
    if (!encodeKey)
      throw sqlError('42883', `could not identify a comparison function for type ${nameOf(record.types[i]!, lookup)}`)
    to.byte(KEY_VALUE)
    encodeKey(value, to)
  })
  to.byte(KEY_END)
}

function writeValues(values: readonly Value[], types: readonly Oid[], to: ByteWriter, lookup: Lookup): void {
  for (let i = 0; i < values.length; i += 8) {
    let bits = 0
    for (let j = 0; j < 8 && i + j < values.length; j++) if (values[i + j] === null) bits |= 1 << j
    to.uint8(bits)
  }
  values.forEach((value, i) => {
    if (value !== null) writeStored(lookup.type(types[i]!), value, to)
  })
}

function readValues(reader: StoredReader, types: readonly Oid[], lookup: Lookup): Value[] {
  const bitmap = reader.at
  reader.at += (types.length + 7) >> 3
  return types.map((type, i) =>
    reader.from[bitmap + (i >> 3)]! & (1 << (i & 7)) ? null : readStored(lookup.type(type), reader),
  )
}

const ordered = (lookup: Lookup) => ({
  compare: (a: Value, b: Value) => compareRecords(a as RecordValue, b as RecordValue, lookup),
  hashKey: (value: Value) => hashRecord(value as RecordValue, lookup),
  encodeKey: (value: Value, to: KeyEncoder) => encodeRecord(value as RecordValue, to, lookup),
})

/** An attribute as it is stored: a column's place among the columns, or how a dropped one's values lie. */
export type StoredAttribute = number | RowStorage['kind']

/**
 * A named row type. A row stored with fewer attributes than the type has now reads NULL for the later ones; what was stored
 * of attributes that are dropped is stepped over. `attributes`: in order; without it each is a column.
 */
export function compositeType(
  typeOid: Oid,
  name: string,
  columns: readonly CompositeColumn[],
  lookup: TypeLookup,
  attributes: readonly StoredAttribute[] = columns.map((_, i) => i),
): CompositeType {
  return {
    oid: typeOid,
    name,
    columns,
    elementOid: oid(0),
    delimiter: ',',
    input: (text, _typmod, context) => {
      const fields = parseRecord(text, columns.length)
      const values = fields.map((field, i) => {
        const { type, typmod } = columns[i]!
        const found = context.type(type)
        if (field !== null) return found.input(field, typmod, context)
        found.checkNull?.(context)
        return null
      })
      return recordOf(columns, values)
    },
    output: (value, context) => printRecord(value as RecordValue, context),
    receive: (from, start, end, _typmod, context) => receiveRecord(from, start, end, columns, context),
    send: (value, to, context) => sendRecord(value as RecordValue, to, context),
    storage: {
      kind: 'bytes',
      write: (value, to) => {
        const { values, types } = value as RecordValue
        to.int16(attributes.length)
        writeValues(
          attributes.map((at) => (typeof at === 'number' ? (values[at] ?? null) : null)),
          attributes.map((at) => types[typeof at === 'number' ? at : 0]!),
          to,
          lookup,
        )
      },
      read: (from, start) => {
        const { types } = headOf(columns)
        const values: Value[] = types.map(() => null)
        const count = from.readInt16BE(start)
        const bitmap = start + 2
        const reader: StoredReader = { from, at: bitmap + ((count + 7) >> 3) }
        for (let i = 0; i < count; i++) {
          if (from[bitmap + (i >> 3)]! & (1 << (i & 7))) continue
          const at = attributes[i]!
          if (typeof at === 'number') values[at] = readStored(lookup.type(types[at]!), reader)
          else skipStored(at, reader)
        }
        return recordOf(columns, values)
      },
    },
    ...ordered(lookup),
  }
}

const anonymousInput = () => sqlError('0A000', 'input of anonymous composite types is not implemented')

/** The type record. `lookup` finds the columns' types where no context is at hand (order, storage). */
export function recordType(lookup: TypeLookup): Type {
  return {
    oid: OID.record,
    name: 'record',
    elementOid: oid(0),
    delimiter: ',',
    input: () => {
      throw anonymousInput()
    },
    output: (value, context) => printRecord(value as RecordValue, context),
    receive: () => {
      throw anonymousInput()
    },
    send: (value, to, context) => sendRecord(value as RecordValue, to, context),
    storage: {
      kind: 'bytes',
      write: (value, to) => {
        const record = value as RecordValue
        to.int16(record.values.length)
        for (const type of record.types) to.uint32(type)
        to.uint8(record.names ? 1 : 0)
        for (const name of record.names ?? []) {
          to.int16(Buffer.byteLength(name))
          to.text(name)
        }
        writeValues(record.values, record.types, to, lookup)
      },
      read: (from, start) => {
        const count = from.readInt16BE(start)
        const reader: StoredReader = { from, at: start + 2 }
        const types: Oid[] = []
        for (let i = 0; i < count; i++, reader.at += 4) types.push(oid(from.readUInt32BE(reader.at)))
        let names: string[] | undefined
        if (from[reader.at++] === 1) {
          names = []
          for (let i = 0; i < count; i++) {
            const length = from.readInt16BE(reader.at)
            names.push(from.toString('utf8', reader.at + 2, reader.at + 2 + length))
            reader.at += 2 + length
          }
        }
        return new RecordValue(readValues(reader, types, lookup), types, names)
      },
    },
    ...ordered(lookup),
  }
}
