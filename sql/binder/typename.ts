/** Type names as written in SQL to type and typmod: `numeric(10,2)[]`, `interval day to second(3)`, `"My".color`. */
import type { Node, TypeName } from '@pgsql/types'
import type { Oid } from '../../storage/keys/brand.ts'
import type { TypeRow } from '../catalog/catalog.ts'
import { OID } from '../types/oids.ts'
import { arrayTypeOf, at, type BindContext, errorAt, requireNamespace } from './context.ts'

export interface ResolvedType {
  readonly type: Oid
  readonly typmod: number
  readonly setOf: boolean
}

export const stringOf = (node: Node | undefined): string =>
  node !== undefined && 'String' in node ? (node.String.sval ?? '') : ''
export const namesOf = (nodes: readonly Node[] | undefined): string[] => (nodes ?? []).map(stringOf)

export function findType(
  b: BindContext,
  schema: string | undefined,
  name: string,
  location?: number,
): TypeRow | undefined {
  if (schema !== undefined) return b.catalog.typeByName(requireNamespace(b, schema, location), name)
  for (const namespace of b.searchPath) {
    const row = b.catalog.typeByName(namespace, name)
    if (row !== undefined) return row
  }
  return undefined
}

export function resolveTypeName(b: BindContext, node: TypeName): ResolvedType {
  const names = namesOf(node.names)
  const name = names.at(-1)!
  const schema = names.length > 1 ? names.at(-2) : undefined
  if (node.pct_type) throw errorAt(b, '0A000', '%TYPE is not supported', node.location)
  let row = findType(b, schema, name, node.location)
  if (row === undefined) {
    throw errorAt(
      b,
      '42704',
      `type "${names.join('.')}${'[]'.repeat(node.arrayBounds?.length ?? 0)}" does not exist`,
      node.location,
    )
  }
  const typmod = typmodOf(b, row, node)
  if ((node.arrayBounds?.length ?? 0) > 0) {
    const array = arrayTypeOf(b, row.oid)
    row = array === 0 ? undefined : b.catalog.typeRow(array)
    if (row === undefined) throw errorAt(b, '42704', `could not find array type for data type ${name}`, node.location)
  }
  return { type: row.oid, typmod, setOf: node.setof === true }
}

function typmodOf(b: BindContext, row: TypeRow, node: TypeName): number {
  const mods = node.typmods ?? []
  if (mods.length === 0) return node.typemod ?? -1
  const type = b.catalog.type(row.oid)
  if (type.typmodIn === undefined)
    throw errorAt(b, '42601', `type modifier is not allowed for type "${namesOf(node.names).at(-1)}"`, node.location)
  const args = mods.map((mod) => {
    if ('A_Const' in mod) {
      const value = mod.A_Const
      if (value.ival !== undefined) return String(value.ival.ival ?? 0)
      if (value.fval !== undefined) return value.fval.fval ?? '0'
      if (value.sval !== undefined) return value.sval.sval ?? ''
    }
    if ('ColumnRef' in mod) return namesOf(mod.ColumnRef.fields)[0] ?? ''
    throw errorAt(b, '42601', 'type modifiers must be simple constants or identifiers', node.location)
  })
  return at(b, node.location, () => type.typmodIn!(args))
}

/** The oid of a type name's last part for pseudo-casts such as `int4(x)`. */
export const typeForCall = (b: BindContext, schema: string | undefined, name: string): TypeRow | undefined => {
  const row =
    schema === undefined ? findType(b, undefined, name) : b.catalog.namespaceByName(schema) && findType(b, schema, name)
  return row?.kind === 'p' && row.oid !== OID.record ? undefined : row
}
