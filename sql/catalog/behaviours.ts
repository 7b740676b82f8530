/**
 * From a pg_type row to the type's behaviour: base types are registered by sql/types; arrays, domains, enums and row
 * types are made here from their rows.
 */
import type { Oid } from '../../storage/keys/brand.ts'
import { arrayType } from '../types/array/array.ts'
import { notSupported, sqlError } from '../types/error.ts'
import { builtinTypes } from '../types/registry.ts'
import type { ByteWriter, Type, TypeContext } from '../types/type.ts'
import type { Value } from '../types/value.ts'
import type { RelationRow, TypeRow } from './catalog.ts'

export interface TypeSource {
  type(oid: Oid): Type
  typeRow(oid: Oid): TypeRow | undefined
  relation(oid: Oid): RelationRow | undefined
}

/** Throws 42704 for an oid that is no type, 0A000 for a type without behaviour. */
export function behaviourOf(oid: Oid, source: TypeSource): Type {
  const registered = builtinTypes.get(oid)
  if (registered !== undefined) return registered
  const row = source.typeRow(oid)
  if (row === undefined) throw sqlError('42704', `type with OID ${oid} does not exist`)
  if (row.isArray) return arrayType(source.type(row.element), oid, row.name)
  if (row.kind === 'd') return { ...source.type(row.baseType), oid, name: row.name }
  if (row.kind === 'e') return enumType(row)
  throw notSupported(`type ${row.name}`)
}

/** A value is its label; a stored one the label's oid, so that ALTER TYPE … RENAME VALUE needs no rewriting. */
function enumType(row: TypeRow): Type {
  const labels = row.enumLabels ?? []
  const byLabel = new Map(labels.map((label) => [label.label, label]))
  const byOid = new Map(labels.map((label) => [label.oid as number, label.label]))
  const order = (value: Value): number => byLabel.get(value as string)?.order ?? 0
  const labelOf = (text: string, code: string): string => {
    if (!byLabel.has(text)) throw sqlError(code, `invalid input value for enum ${row.name}: "${text}"`)
    return text
  }
  return {
    oid: row.oid,
    name: row.name,
    elementOid: row.element,
    delimiter: row.delimiter,
    input: (text: string) => labelOf(text, '22P02'),
    output: (value) => value as string,
    receive: (from: Buffer, start: number, end: number) => labelOf(from.toString('utf8', start, end), '22P02'),
    send: (value: Value, to: ByteWriter, _context: TypeContext) => to.text(value as string),
    compare: (a, b) => order(a) - order(b),
    hashKey: (value) => value as string,
    storage: {
      kind: 'bytes',
      write: (value, to) => to.uint32(byLabel.get(value as string)!.oid),
      read: (from, start) => {
        const number = from.readUInt32BE(start)
        const label = byOid.get(number)
        if (label === undefined) throw sqlError('22P03', `invalid internal value for enum: ${number}`)
        return label
      },
    },
    encodeKey: (value, to) => to.float64(order(value)),
  }
}
