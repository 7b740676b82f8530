/**
 * The types that come with relations: each table, view and composite type has a row type of its name, and an array type
 * of that. When another type's array type has taken the name, that one moves out of the way.
 */
import { type Oid, oid } from '../../../storage/keys/brand.ts'
import type { RelationRow, TypeRow } from '../../catalog/catalog.ts'
import { sqlError } from '../../types/error.ts'
import type { Ddl } from './context.ts'
import { arrayTypeName } from './names.ts'

type Base = Pick<TypeRow, 'oid' | 'name' | 'namespace' | 'owner'>

const plain = (base: Base): Omit<TypeRow, 'kind' | 'category' | 'array'> => ({
  ...base,
  length: -1,
  byValue: false,
  preferred: false,
  delimiter: ',',
  relation: oid(0),
  element: oid(0),
  isArray: false,
  align: 'd',
  storage: 'x',
  notNull: false,
  baseType: oid(0),
  typmod: -1,
  collation: oid(0),
})

/** Frees the name: an array type made by the system gets another; 42710 when a real type has it. */
export function freeTypeName(ddl: Ddl, namespace: Oid, name: string, forRelation: boolean): void {
  const taken = ddl.editor.typeByName(namespace, name)
  if (taken === undefined) return
  if (taken.isArray && taken.element !== 0) {
    ddl.editor.put('type', { ...taken, name: arrayTypeName(ddl.editor, namespace, name) })
    return
  }
  throw sqlError('42710', `type "${name}" already exists`, {
    ...(forRelation
      ? {
          hint: "A relation has an associated type of the same name, so you must use a name that doesn't conflict with any existing type.",
        }
      : {}),
  })
}

/** Puts an array type for `element` and gives its oid. */
function putArrayType(ddl: Ddl, element: Base & Partial<TypeRow>, arrayOid: Oid): void {
  ddl.editor.put('type', {
    ...plain({
      oid: arrayOid,
      name: arrayTypeName(ddl.editor, element.namespace, element.name),
      namespace: element.namespace,
      owner: element.owner,
    }),
    kind: 'b',
    category: 'A',
    element: element.oid,
    array: oid(0),
    isArray: true,
    align: element.align === 'd' || element.kind === 'c' ? 'd' : 'i',
    collation: element.collation ?? oid(0),
    delimiter: element.delimiter ?? ',',
  })
}

/** The row type of a relation that is being made: `row.rowType` is its oid. */
export function putRowType(ddl: Ddl, row: RelationRow): void {
  const type: TypeRow = {
    ...plain({ oid: row.rowType, name: row.name, namespace: row.namespace, owner: row.owner }),
    kind: 'c',
    category: 'C',
    relation: row.oid,
    array: ddl.editor.nextOid(),
  }
  ddl.editor.put('type', type)
  putArrayType(ddl, type, type.array)
}

export function putEnumType(ddl: Ddl, base: Base, labels: readonly string[]): TypeRow {
  const type: TypeRow = {
    ...plain(base),
    length: 4,
    byValue: true,
    kind: 'e',
    category: 'E',
    align: 'i',
    storage: 'p',
    array: ddl.editor.nextOid(),
    enumLabels: labels.map((label, i) => ({ oid: ddl.editor.nextOid(), label, order: i + 1 })),
  }
  ddl.editor.put('type', type)
  putArrayType(ddl, type, type.array)
  return type
}

export function putDomainType(
  ddl: Ddl,
  base: Base,
  of: TypeRow,
  rest: Pick<TypeRow, 'typmod' | 'collation' | 'notNull' | 'domain'>,
): TypeRow {
  const type: TypeRow = {
    ...plain(base),
    length: of.length,
    byValue: of.byValue,
    kind: 'd',
    category: of.category,
    delimiter: of.delimiter,
    align: of.align,
    storage: of.storage,
    baseType: of.oid,
    array: ddl.editor.nextOid(),
    ...rest,
  }
  ddl.editor.put('type', type)
  putArrayType(ddl, type, type.array)
  return type
}

/** A range or multirange type with its array type. */
export function putRangeType(
  ddl: Ddl,
  base: Base & { readonly array: Oid },
  align: string,
  of: Required<Pick<TypeRow, 'range'>> | Required<Pick<TypeRow, 'rangeType'>>,
): TypeRow {
  const type: TypeRow = { ...plain(base), kind: 'range' in of ? 'r' : 'm', category: 'R', align, ...base, ...of }
  ddl.editor.put('type', type)
  putArrayType(ddl, type, type.array)
  return type
}

/** Name, schema or owner of a type, of its array type too. */
export function changeType(ddl: Ddl, type: Oid, change: Partial<Pick<TypeRow, 'name' | 'namespace' | 'owner'>>): void {
  const row = ddl.editor.typeRow(type)
  if (row === undefined) return
  const moved: TypeRow = { ...row, ...change }
  const array = row.array === 0 ? undefined : ddl.editor.typeRow(row.array)
  if (change.name !== undefined || change.namespace !== undefined) {
    freeTypeName(ddl, moved.namespace, moved.name, false)
    ddl.editor.put('type', moved)
    if (array !== undefined)
      ddl.editor.put('type', {
        ...array,
        namespace: moved.namespace,
        owner: moved.owner,
        name: arrayTypeName(ddl.editor, moved.namespace, moved.name),
      })
    return
  }
  ddl.editor.put('type', moved)
  if (array !== undefined) ddl.editor.put('type', { ...array, owner: moved.owner })
}

/** Row, enum or domain type and its array type. */
export function removeType(ddl: Ddl, type: Oid): void {
  const row = ddl.editor.typeRow(type)
  if (row === undefined) return
  if (row.array !== 0 && ddl.editor.typeRow(row.array) !== undefined) ddl.editor.remove('type', row.array)
  ddl.editor.remove('type', type)
}
