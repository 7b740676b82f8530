/**
 * From a pg_type row to the type's behaviour: base types are registered by sql/types; arrays, domains, enums and row
 * types are made here from their rows.
 */
import type { Oid } from '../../storage/keys/brand.ts'
import { arrayType } from '../types/array/array.ts'
import { notSupported, sqlError } from '../types/error.ts'
import { multirangeType, type RangeType, rangeType } from '../types/range/range-type.ts'
import { type CompositeColumn, compositeType, type StoredAttribute } from '../types/record/composite.ts'
import { enumType } from '../types/record/enum.ts'
import { builtinTypes } from '../types/registry.ts'
import type { Type, TypeContext } from '../types/type.ts'
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
  if (row.kind === 'd') return domainType(row, source)
  if (row.kind === 'e') {
    const labels = [...(row.enumLabels ?? [])].sort((a, b) => a.order - b.order)
    return enumType(
      oid,
      row.name,
      labels.map((label) => label.label),
      labels.map((label) => label.oid),
      labels.map((label) => label.order),
    )
  }
  if (row.kind === 'c') {
    const { columns, attributes } = columnsOf(row, source)
    return compositeType(oid, row.name, columns, source, attributes)
  }
  if (row.range !== undefined) return rangeType({ oid, name: row.name, bounds: source.type(row.range.subtype) })
  if (row.rangeType !== undefined) return multirangeType(oid, row.name, source.type(row.rangeType) as RangeType)
  throw notSupported(`type ${row.name}`)
}

/** As its base type, but what is read obeys the domain's rules. */
function domainType(domain: TypeRow, source: TypeSource): Type {
  let inner = domain
  for (let row = source.typeRow(inner.baseType); row?.kind === 'd'; row = source.typeRow(inner.baseType)) inner = row
  const base = source.type(inner.baseType)
  const checked = (value: Value, context: TypeContext): Value => {
    if (context.checkDomain === undefined) throw sqlError('XX000', `no catalog to read domain ${domain.name} with`)
    context.checkDomain(domain.oid, value)
    return value
  }
  return {
    ...base,
    oid: domain.oid,
    name: domain.name,
    input: (text, _, context) => checked(base.input(text, inner.typmod, context), context),
    receive: (from, start, end, _, context) => checked(base.receive(from, start, end, inner.typmod, context), context),
    checkNull: (context) => {
      checked(null, context)
    },
  }
}

/** A row type's columns without the dropped ones, and all of them as they are stored. */
function columnsOf(
  row: TypeRow,
  source: TypeSource,
): { readonly columns: readonly CompositeColumn[]; readonly attributes: readonly StoredAttribute[] } {
  const columns: CompositeColumn[] = []
  const attributes: StoredAttribute[] = []
  for (const column of source.relation(row.relation)?.columns ?? []) {
    if (column.dropped) {
      attributes.push(column.storage ?? 'bytes')
      continue
    }
    attributes.push(columns.length)
    columns.push({ name: column.name, type: column.type, typmod: column.typmod })
  }
  return { columns, attributes }
}
