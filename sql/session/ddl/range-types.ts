/**
 * CREATE TYPE … AS RANGE: the range type, its multirange type, the array types of both, the functions that construct them
 * and the cast from the one to the other. https://www.postgresql.org/docs/15/sql-createtype.html
 */
import type { CreateRangeStmt, DefElem, Node } from '@pgsql/types'
import { type Oid, oid } from '../../../storage/keys/brand.ts'
import { errorAt, findCollation, namesOf, resolveTypeName, typeName } from '../../binder/binder.ts'
import type { FunctionRow, TypeRow } from '../../catalog/catalog.ts'
import { sqlError } from '../../types/error.ts'
import { OID, PG_CATALOG } from '../../types/oids.ts'
import { binder, creationNamespace, type Ddl, defineDdl, lockName, qualifiedName, roleOf } from './context.ts'
import { cutName } from './names.ts'
import { freeTypeName, putRangeType } from './types.ts'

export function registerRangeTypes(): void {
  defineDdl('CreateRangeStmt', 'CREATE TYPE', async (ddl, node) => {
    await createRange(ddl, node)
    return 'CREATE TYPE'
  })
}

const ATTRIBUTES = [
  'subtype',
  'subtype_opclass',
  'collation',
  'canonical',
  'subtype_diff',
  'multirange_type_name',
] as const
type Attribute = (typeof ATTRIBUTES)[number]

function attributesOf(ddl: Ddl, params: readonly Node[]): ReadonlyMap<Attribute, DefElem> {
  const found = new Map<Attribute, DefElem>()
  for (const param of params) {
    if (!('DefElem' in param)) continue
    const name = ATTRIBUTES.find((each) => each === param.DefElem.defname)
    if (name === undefined) throw sqlError('42601', `type attribute "${param.DefElem.defname}" not recognized`)
    if (found.has(name)) throw errorAt(binder(ddl), '42601', 'conflicting or redundant options', param.DefElem.location)
    found.set(name, param.DefElem)
  }
  return found
}

/** A name, possibly with its schema, as the grammar gives it: as a type's. */
function nameOf(elem: DefElem): readonly Node[] {
  const { arg } = elem
  if (arg !== undefined && 'TypeName' in arg) return arg.TypeName.names ?? []
  if (arg !== undefined && 'List' in arg) return arg.List.items ?? []
  return arg === undefined ? [] : [arg]
}

async function createRange(ddl: Ddl, node: CreateRangeStmt): Promise<void> {
  const b = binder(ddl)
  const { schema, name } = qualifiedName(node.typeName ?? [])
  const namespace = creationNamespace(ddl, schema)
  await lockName(ddl, 'type', { name, namespace: namespace.oid })
  freeTypeName(ddl, namespace.oid, name, false)
  const given = attributesOf(ddl, node.params ?? [])
  const of = given.get('subtype')?.arg
  if (of === undefined || !('TypeName' in of)) throw sqlError('42601', 'type attribute "subtype" is required')
  const subtype = ddl.editor.typeRow(resolveTypeName(b, of.TypeName).type)!
  if (subtype.kind === 'p') throw sqlError('42804', `range subtype cannot be ${typeName(b, subtype.oid)}`)
  const multirange = multirangeName(ddl, name, namespace.oid, given.get('multirange_type_name'))
  await lockName(ddl, 'type', { name: multirange.name, namespace: multirange.namespace })
  const opclass = opclassOf(ddl, subtype, given.get('subtype_opclass'))
  const collation = collationOf(ddl, subtype, given.get('collation'))
  if (given.has('canonical'))
    throw sqlError('42P17', 'cannot specify a canonical function without a pre-created shell type', {
      hint: 'Create the type as a shell type, then create its canonicalization function, then do a full CREATE TYPE.',
    })
  const difference = differenceOf(ddl, subtype.oid, given.get('subtype_diff'))
  const owner = roleOf(ddl)
  const align = subtype.align === 'd' ? 'd' : 'i'
  const { editor } = ddl
  const range = { oid: editor.nextOid(), array: editor.nextOid(), name, namespace: namespace.oid, owner }
  const multi = { oid: editor.nextOid(), array: editor.nextOid(), ...multirange, owner }
  putRangeType(ddl, range, align, {
    range: {
      subtype: subtype.oid,
      multirange: multi.oid,
      collation,
      opclass,
      canonical: oid(0),
      difference,
    },
  })
  freeTypeName(ddl, multi.namespace, multi.name, false)
  putRangeType(ddl, multi, align, { rangeType: range.oid })
  const of2 = { namespace: range.namespace, name, returnType: range.oid, strict: false }
  putConstructor(ddl, { ...of2, source: 'range_constructor2', argTypes: [subtype.oid, subtype.oid] })
  putConstructor(ddl, { ...of2, source: 'range_constructor3', argTypes: [subtype.oid, subtype.oid, OID.text] })
  const ofMulti = { namespace: multi.namespace, name: multi.name, returnType: multi.oid, strict: true }
  putConstructor(ddl, { ...ofMulti, source: 'multirange_constructor0', argTypes: [] })
  const cast = putConstructor(ddl, { ...ofMulti, source: 'multirange_constructor1', argTypes: [range.oid] })
  putConstructor(ddl, {
    ...ofMulti,
    source: 'multirange_constructor2',
    argTypes: [range.array],
    variadic: range.oid,
    allArgTypes: [range.array],
    argModes: ['v'],
  })
  editor.put('cast', {
    oid: editor.nextOid(),
    source: range.oid,
    target: multi.oid,
    function: cast,
    context: 'e',
    method: 'f',
  })
}

const INTERNAL_LANGUAGE = oid(12)
const BOOTSTRAP_ROLE = oid(10)

type Constructor = Pick<FunctionRow, 'namespace' | 'name' | 'returnType' | 'strict' | 'source' | 'argTypes'> &
  Partial<FunctionRow>

function putConstructor(ddl: Ddl, row: Constructor): Oid {
  const made: FunctionRow = {
    oid: ddl.editor.nextOid(),
    owner: BOOTSTRAP_ROLE,
    language: INTERNAL_LANGUAGE,
    kind: 'f',
    returnsSet: false,
    volatility: 'i',
    parallel: 's',
    argDefaults: 0,
    variadic: oid(0),
    cost: 1,
    rows: 0,
    securityDefiner: false,
    leakproof: false,
    ...row,
  }
  ddl.editor.put('function', made)
  return made.oid
}

/** The name given, or the range's with 'range' made 'multirange'. Throws 42710 when it is taken. */
function multirangeName(
  ddl: Ddl,
  range: string,
  namespace: Oid,
  given: DefElem | undefined,
): { readonly name: string; readonly namespace: Oid } {
  if (given !== undefined) {
    const { schema, name } = qualifiedName(nameOf(given))
    const home = schema === undefined ? namespace : creationNamespace(ddl, schema).oid
    if (name === range && home === namespace) throw sqlError('42710', `type "${name}" already exists`)
    freeTypeName(ddl, home, name, false)
    return { name, namespace: home }
  }
  const name = range.includes('range')
    ? cutName(range.replace('range', 'multirange'))
    : `${cutName(range, '_multirange'.length)}_multirange`
  const taken = ddl.editor.typeByName(namespace, name)
  if (taken !== undefined && !(taken.isArray && taken.element !== 0))
    throw sqlError('42710', `type "${name}" already exists`, {
      detail: `Failed while creating a multirange type for type "${range}".`,
      hint: 'You can manually specify a multirange type name using the "multirange_type_name" attribute.',
    })
  return { name, namespace }
}

function opclassOf(ddl: Ddl, subtype: TypeRow, given: DefElem | undefined): Oid {
  const shown = typeName(binder(ddl), subtype.oid)
  if (given === undefined) {
    const found = ddl.editor.defaultOpclass('btree', subtype.oid)
    if (found === undefined)
      throw sqlError('42704', `data type ${shown} has no default operator class for access method "btree"`, {
        hint: 'You must specify an operator class for the range type or define a default operator class for the subtype.',
      })
    return found.oid
  }
  const { schema, name } = qualifiedName(nameOf(given))
  const namespace = schema === undefined ? undefined : ddl.editor.namespaceByName(schema)?.oid
  const found = ddl.editor.opclassByName('btree', namespace, name)
  const words = schema === undefined ? name : `${schema}.${name}`
  if (found === undefined) throw sqlError('42704', `operator class "${words}" does not exist for access method "btree"`)
  if (!ddl.editor.binaryCoercible(subtype.oid, found.inputType))
    throw sqlError('42804', `operator class "${words}" does not accept data type ${shown}`)
  return found.oid
}

function collationOf(ddl: Ddl, subtype: TypeRow, given: DefElem | undefined): Oid {
  if (given === undefined) return subtype.collation
  if (subtype.collation === 0)
    throw sqlError('42809', 'range collation specified but subtype does not support collation')
  return findCollation(binder(ddl), namesOf([...nameOf(given)]))
}

/** 0 when none was named. Throws 42883, 42P17. */
function differenceOf(ddl: Ddl, subtype: Oid, given: DefElem | undefined): Oid {
  if (given === undefined) return oid(0)
  const b = binder(ddl)
  const { schema, name } = qualifiedName(nameOf(given))
  const path =
    schema === undefined ? [PG_CATALOG, ...ddl.session.searchPath] : [ddl.editor.namespaceByName(schema)?.oid ?? oid(0)]
  const fits = (row: FunctionRow) => row.argTypes.length === 2 && row.argTypes.every((type) => type === subtype)
  const candidates = ddl.editor.functionsByName(name).filter(fits)
  const found = path.map((home) => candidates.find((row) => row.namespace === home)).find((row) => row !== undefined)
  const shown = typeName(b, subtype)
  const signature = `${schema === undefined ? name : `${schema}.${name}`}(${shown}, ${shown})`
  if (found === undefined) throw sqlError('42883', `function ${signature} does not exist`)
  if (found.returnType !== OID.float8)
    throw sqlError('42P17', `range subtype diff function ${signature} must return type double precision`)
  if (found.volatility !== 'i') throw sqlError('42P17', `range subtype diff function ${signature} must be immutable`)
  return found.oid
}
