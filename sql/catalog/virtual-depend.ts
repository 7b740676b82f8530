/**
 * pg_depend and pg_shdepend of user objects. Dependencies are not kept: they follow from the descriptors, each time they
 * are asked for, in the directions and with the letters that PostgreSQL records (n normal, a auto, i internal).
 */
import { type Oid, oid } from '../../storage/keys/brand.ts'
import { EXTENSION, MEMBERS } from '../types/vector/catalog-rows.ts'
import type { RelationRow } from './catalog.ts'
import { CLASS, CLASS_OF } from './classes.ts'
import type { CatalogView } from './view.ts'
import { defaultOid } from './virtual-relations.ts'
import type { RowRecord, RowSource } from './virtual-source.ts'
import { userRows } from './virtual-source.ts'

/** Objects below this are PostgreSQL's own: nothing records that it needs them. */
const FIRST_USER_OID = 16384
const PUBLIC = oid(2200)

/** One object, or a part of it. */
export interface ObjectAddress {
  readonly classOid: Oid
  readonly object: Oid
  readonly sub: number
}
export interface Dependency {
  readonly from: ObjectAddress
  readonly to: ObjectAddress
  readonly type: 'n' | 'a' | 'i' | 'e'
}

const address = (classOid: Oid, object: Oid, sub = 0): ObjectAddress => ({ classOid, object, sub })
const isUser = (object: Oid): boolean => object >= FIRST_USER_OID || object === PUBLIC

/** What an expression or query (any plain tree) mentions: columns, relations, functions, types, sequences. */
export function references(view: CatalogView, tree: unknown, table: RelationRow | undefined): ObjectAddress[] {
  const found = new Map<string, ObjectAddress>()
  const add = (to: ObjectAddress): void => {
    if (isUser(to.object)) found.set(`${to.classOid} ${to.object} ${to.sub}`, to)
  }
  walk(view, tree, [], table, add)
  // A column stands for its table.
  const used = [...found.values()]
  const withColumns = new Set(used.filter((each) => each.sub !== 0).map((each) => each.object))
  return used.filter((each) => each.sub !== 0 || each.classOid !== CLASS.relation || !withColumns.has(each.object))
}

interface QueryLike {
  readonly relations: readonly { readonly kind: string; readonly oid?: Oid; readonly viewOid?: Oid }[]
}

function walk(
  view: CatalogView,
  node: unknown,
  queries: readonly QueryLike[],
  table: RelationRow | undefined,
  add: (to: ObjectAddress) => void,
): void {
  if (typeof node !== 'object' || node === null) return
  if (Array.isArray(node)) {
    for (const item of node) walk(view, item, queries, table, add)
    return
  }
  if (Object.getPrototypeOf(node) !== Object.prototype) return
  const record = node as Record<string, unknown>
  const inner = 'command' in record && 'relations' in record ? [record as unknown as QueryLike, ...queries] : queries
  const { kind } = record
  if (kind === 'var') {
    const relation = queries[record['level'] as number]?.relations[record['relation'] as number]
    const target =
      relation === undefined ? (queries.length === 0 ? table?.oid : undefined) : (relation.oid ?? relation.viewOid)
    if (target !== undefined) add(address(CLASS.relation, target, Math.max(0, record['column'] as number)))
  } else if (kind === 'table') {
    add(address(CLASS.relation, record['oid'] as Oid))
  } else if (kind === 'subquery' && record['viewOid'] !== undefined) {
    // A view is used as it stands: what it is made of is its own dependency.
    add(address(CLASS.relation, record['viewOid'] as Oid))
    return
  } else if (kind === 'const' && record['type'] === REGCLASS && typeof record['value'] === 'number') {
    add(address(CLASS.relation, oid(record['value'])))
  }
  if (typeof record['function'] === 'number') add(address(CLASS.function, record['function'] as Oid))
  if (kind === 'field') {
    // A field is a column of its composite type, whose type is that one's concern.
    const composite = view.typeRow(view.baseType((record['arg'] as { type: Oid }).type))
    if (composite?.kind === 'c') {
      add(address(CLASS.relation, composite.relation, (record['index'] as number) + 1))
      walk(view, record['arg'], inner, table, add)
      return
    }
  }
  // A column's type is the column's concern; so are the names and types that a relation of a query shows.
  if (typeof record['type'] === 'number' && kind !== 'var') add(address(CLASS.type, record['type'] as Oid))
  const isRelation = kind === 'table' || kind === 'subquery'
  for (const [key, value] of Object.entries(record))
    if (!isRelation || key !== 'columns') walk(view, value, inner, table, add)
}
const REGCLASS = oid(2205)

/** The functions that CREATE TYPE … AS RANGE makes: parts of their type. */
const RANGE_CONSTRUCTORS = /^(?:multi)?range_constructor\d$/

/** Everything a user object needs. */
export function* dependencies(view: CatalogView): Iterable<Dependency> {
  for (const row of userRows(view, 'relation', undefined)) yield* relationDependencies(view, row)
  for (const row of userRows(view, 'type', undefined)) {
    const self = address(CLASS.type, row.oid)
    if (row.isArray) {
      yield { from: self, to: address(CLASS.type, row.element), type: 'i' }
    } else if (row.kind === 'c') {
      const relation = view.relation(row.relation)
      if (relation?.kind === 'c') yield* inNamespace(self, row.namespace)
      else yield { from: self, to: address(CLASS.relation, row.relation), type: 'i' }
    } else if (row.rangeType !== undefined) {
      yield { from: self, to: address(CLASS.type, row.rangeType), type: 'i' }
    } else {
      yield* inNamespace(self, row.namespace)
    }
    if (row.range !== undefined) {
      const used = [address(CLASS.type, row.range.subtype), address(CLASS.function, row.range.difference)]
      for (const to of used) if (isUser(to.object)) yield { from: self, to, type: 'n' }
    }
    if (row.kind === 'd' && isUser(row.baseType)) yield { from: self, to: address(CLASS.type, row.baseType), type: 'n' }
    for (const check of row.domain?.checks ?? []) {
      const constraint = address(CLASS.constraint, check.oid)
      yield { from: constraint, to: self, type: 'a' }
      for (const to of references(view, check.check, undefined)) yield { from: constraint, to, type: 'n' }
    }
  }
  for (const row of userRows(view, 'function', undefined)) {
    const self = address(CLASS.function, row.oid)
    if (RANGE_CONSTRUCTORS.test(row.source)) {
      yield { from: self, to: address(CLASS.type, row.returnType), type: 'i' }
      continue
    }
    yield* inNamespace(self, row.namespace)
    for (const type of new Set([row.returnType, ...(row.allArgTypes ?? row.argTypes)])) {
      if (isUser(type)) yield { from: self, to: address(CLASS.type, type), type: 'n' }
    }
    for (const to of [...references(view, row.defaults, undefined), ...(row.uses ?? [])])
      yield { from: self, to, type: 'n' }
    if (row.extension !== undefined) yield { from: self, to: address(CLASS.extension, row.extension), type: 'e' }
  }
  // A range's to its multirange: made with the types.
  for (const row of userRows(view, 'cast', undefined)) {
    if (view.typeRow(row.source)?.range === undefined) continue
    for (const to of [row.source, row.target])
      yield { from: address(CLASS.cast, row.oid), to: address(CLASS.type, to), type: 'i' }
  }
  for (const kind of ['operator', 'collation'] as const) {
    for (const row of userRows(view, kind, undefined))
      yield* inNamespace(address(CLASS_OF[kind], row.oid), row.namespace)
  }
  for (const row of view.ownAll('default-acl')) {
    if (row.namespace !== 0)
      yield { from: address(CLASS.defaultAcl, row.oid), to: address(CLASS.namespace, row.namespace), type: 'a' }
  }
  for (const row of view.ownAll('extension')) yield* inNamespace(address(CLASS.extension, row.oid), row.namespace)
}

function* inNamespace(from: ObjectAddress, namespace: Oid): Iterable<Dependency> {
  if (isUser(namespace)) yield { from, to: address(CLASS.namespace, namespace), type: 'n' }
}

function* relationDependencies(view: CatalogView, row: RelationRow): Iterable<Dependency> {
  const self = address(CLASS.relation, row.oid)
  if (row.kind === 'c') {
    yield { from: self, to: address(CLASS.type, row.rowType), type: 'i' }
  } else if (row.index === undefined) {
    yield* inNamespace(self, row.namespace)
  }
  if (row.index !== undefined) yield* indexDependencies(view, row, self)
  for (const column of row.columns) {
    if (column.dropped || row.kind === 'i') continue
    if (isUser(column.type))
      yield { from: address(CLASS.relation, row.oid, column.number), to: address(CLASS.type, column.type), type: 'n' }
    if (column.default === undefined || column.identity !== undefined) continue
    const from = address(CLASS.attrdef, oid(defaultOid(row.oid, column.number)))
    yield {
      from,
      to: address(CLASS.relation, row.oid, column.number),
      type: column.generated === undefined ? 'a' : 'i',
    }
    for (const to of references(view, column.default, row)) {
      if (to.object !== row.oid || to.sub !== column.number) yield { from, to, type: to.object === row.oid ? 'a' : 'n' }
    }
  }
  for (const constraint of row.constraints) {
    const from = address(CLASS.constraint, constraint.oid)
    for (const column of constraint.columns) yield { from, to: address(CLASS.relation, row.oid, column), type: 'a' }
    if (constraint.check !== undefined) {
      for (const to of references(view, constraint.check, row)) if (to.object !== row.oid) yield { from, to, type: 'n' }
    }
    if (constraint.foreignKey !== undefined) {
      if (constraint.index !== undefined) yield { from, to: address(CLASS.relation, constraint.index), type: 'n' }
      for (const column of constraint.foreignKey.columns)
        yield { from, to: address(CLASS.relation, constraint.foreignKey.table, column), type: 'n' }
    }
  }
  const owner = row.sequence?.ownedBy
  if (owner !== undefined)
    yield { from: self, to: address(CLASS.relation, owner.table, owner.column), type: owner.identity ? 'i' : 'a' }
  if (row.view !== undefined && 'query' in row.view) {
    const rule = address(CLASS.rewrite, row.oid)
    yield { from: rule, to: self, type: 'i' }
    yield { from: rule, to: self, type: 'n' }
    for (const to of references(view, row.view.query, undefined)) yield { from: rule, to, type: 'n' }
  }
}

function* indexDependencies(view: CatalogView, row: RelationRow, self: ObjectAddress): Iterable<Dependency> {
  const index = row.index!
  const table = view.relation(index.table)
  const constraint = table?.constraints.find(
    (each) => (each.type === 'p' || each.type === 'u') && each.index === row.oid,
  )
  if (constraint !== undefined) {
    yield { from: self, to: address(CLASS.constraint, constraint.oid), type: 'i' }
    return
  }
  const columns = new Set([...index.keys.map((key) => key.column), ...index.include].filter((column) => column > 0))
  const others: ObjectAddress[] = []
  for (const tree of [...index.keys.map((key) => key.expression), index.predicate]) {
    for (const to of references(view, tree, table)) {
      if (to.object === index.table) columns.add(to.sub)
      else others.push(to)
    }
  }
  for (const column of columns) yield { from: self, to: address(CLASS.relation, index.table, column), type: 'a' }
  for (const to of others) yield { from: self, to, type: 'n' }
}

function* dependRows(view: CatalogView): Iterable<RowRecord> {
  for (const { from, to, type } of dependencies(view)) {
    yield {
      classid: from.classOid,
      objid: from.object,
      objsubid: from.sub,
      refclassid: to.classOid,
      refobjid: to.object,
      refobjsubid: to.sub,
      deptype: type,
    }
  }
  for (const extension of view.ownAll('extension')) {
    if (extension.name !== EXTENSION.name) continue
    const of = { refclassid: CLASS.extension, refobjid: extension.oid, refobjsubid: 0, deptype: 'e' }
    for (const [classid, objid] of MEMBERS) yield { classid, objid, objsubid: 0, ...of }
  }
}

/** Owners and grantees other than the bootstrap superuser. */
function* sharedRows(view: CatalogView): Iterable<RowRecord> {
  const BOOTSTRAP = 10
  for (const kind of ['relation', 'type', 'function', 'namespace'] as const) {
    for (const row of userRows(view, kind, undefined)) {
      // Array and row types, indexes and the like belong to their object.
      if (kind === 'type' && 'isArray' in row && (row.isArray || row.relation !== 0)) continue
      if (kind === 'relation' && 'index' in row) continue
      const base = {
        dbid: view.databaseOid,
        classid: CLASS_OF[kind],
        objid: row.oid,
        objsubid: 0,
        refclassid: CLASS.role,
      }
      if (row.owner !== BOOTSTRAP) yield { ...base, refobjid: row.owner, deptype: 'o' }
      const grantees = new Set((row.acl ?? []).map((item) => Number(item.slice(0, item.indexOf('=')))))
      for (const grantee of grantees)
        if (grantee >= FIRST_USER_OID && grantee !== row.owner) yield { ...base, refobjid: grantee, deptype: 'a' }
      if (kind !== 'relation' || !('columns' in row)) continue
      for (const column of row.columns) {
        const named = new Set((column.acl ?? []).map((item) => Number(item.slice(0, item.indexOf('=')))))
        for (const grantee of named)
          if (grantee >= FIRST_USER_OID && grantee !== row.owner)
            yield { ...base, objsubid: column.number, refobjid: grantee, deptype: 'a' }
      }
    }
  }
  for (const row of view.ownAll('default-acl')) {
    const base = { dbid: view.databaseOid, classid: CLASS.defaultAcl, objid: row.oid, objsubid: 0 }
    if (row.role !== BOOTSTRAP) yield { ...base, refclassid: CLASS.role, refobjid: row.role, deptype: 'o' }
    for (const grantee of new Set(row.acl.map((item) => Number(item.slice(0, item.indexOf('='))))))
      if (grantee >= FIRST_USER_OID && grantee !== row.role)
        yield { ...base, refclassid: CLASS.role, refobjid: grantee, deptype: 'a' }
  }
  for (const row of view.databases()) {
    if (row.owner !== BOOTSTRAP)
      yield {
        dbid: 0,
        classid: CLASS.database,
        objid: row.oid,
        objsubid: 0,
        refclassid: CLASS.role,
        refobjid: row.owner,
        deptype: 'o',
      }
  }
}

export const DEPENDENCY_ROWS: Readonly<Record<string, RowSource>> = { pg_depend: dependRows, pg_shdepend: sharedRows }
