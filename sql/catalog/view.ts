/**
 * A catalog as a reader sees it: the descriptors of one database and of the cluster before PostgreSQL's own rows.
 * Immutable when published; CatalogEditor (editor.ts) is the same over a fork.
 */
import { type Oid, oid } from '../../storage/keys/brand.ts'
import { OID } from '../types/oids.ts'
import type { Type } from '../types/type.ts'
import type { Value } from '../types/value.ts'
import { EXTENSION } from '../types/vector/catalog-rows.ts'
import { behaviourOf } from './behaviours.ts'
import * as builtin from './builtin.ts'
import type {
  AggregateRow,
  CastRow,
  Catalog,
  CollationRow,
  CommentRow,
  DatabaseRow,
  DescriptorKind,
  ExtensionRow,
  FunctionRow,
  NamespaceRow,
  OpclassRow,
  OperatorRow,
  OrderOperators,
  RelationRow,
  RoleRow,
  TableStatistics,
  TypeRow,
  VirtualContext,
  VirtualLookup,
} from './catalog.ts'
import { type HomedKind, HomedRows, isOfExtension } from './extension-home.ts'
import { commentName, nextVersion, type Objects, qualified, type Reference, type RowOf } from './objects.ts'
import { virtualRows, virtualSize } from './virtual.ts'

export class CatalogView implements Catalog {
  readonly databaseOid: Oid
  protected local: Objects
  protected shared: Objects
  readonly #version: number
  /** Storage ids of indexes that are not read. */
  readonly #unread: ReadonlySet<number> | undefined
  #types = new Map<Oid, Type>()
  #btree = new Map<Oid, OrderOperators | undefined>()
  /** undefined: not looked for yet. */
  #homed: HomedRows | 'none' | undefined

  constructor(version: number, databaseOid: Oid, local: Objects, shared: Objects, unread?: ReadonlySet<number>) {
    this.#version = version
    this.#unread = unread
    this.databaseOid = databaseOid
    this.local = local
    this.shared = shared
  }

  /** The same, but plans do not read the indexes of these storage ids. */
  without(unread: ReadonlySet<number>): CatalogView {
    return new CatalogView(nextVersion(), this.databaseOid, this.local, this.shared, unread)
  }

  get version(): number {
    return this.#version
  }

  get databaseName(): string {
    return this.database(this.databaseOid)?.name ?? ''
  }

  /** The view's objects have changed (editors): what was made from them is made again. */
  protected invalidate(kind: DescriptorKind): void {
    if (kind === 'type' || kind === 'relation') {
      this.#types = new Map()
      this.#btree = new Map()
    }
    if (kind === 'extension') this.#homed = undefined
  }

  /** The schema the vector extension was created in; undefined while it is not. */
  get extensionHome(): Oid | undefined {
    const homed = this.#homedRows()
    return homed === 'none' ? undefined : homed.home
  }
  #homedRows(): HomedRows | 'none' {
    if (this.#homed === undefined) {
      const extension = this.local.named('extension', EXTENSION.name)[0]
      this.#homed = extension === undefined ? 'none' : new HomedRows(extension.namespace)
    }
    return this.#homed
  }
  /** A built-in row as it is seen here. */
  #seen<R extends { readonly oid: Oid; readonly namespace: Oid } | undefined>(kind: HomedKind, row: R): R {
    if (row === undefined || !isOfExtension(kind, row.oid)) return row
    const homed = this.#homedRows()
    return homed === 'none' ? row : homed.of(kind, row)
  }
  #allSeen<R extends { readonly oid: Oid; readonly namespace: Oid }>(
    kind: HomedKind,
    rows: readonly R[],
  ): readonly R[] {
    return rows.some((row) => isOfExtension(kind, row.oid)) ? rows.map((row) => this.#seen(kind, row)) : rows
  }
  *#eachSeen<R extends { readonly oid: Oid; readonly namespace: Oid }>(
    kind: HomedKind,
    rows: Iterable<R>,
  ): Iterable<R> {
    for (const row of rows) yield this.#seen(kind, row)
  }

  namespace(wanted: Oid): NamespaceRow | undefined {
    return this.local.get('namespace', wanted) ?? builtinNamespace(builtin.namespaces.byOid(wanted))
  }
  namespaceByName(name: string): NamespaceRow | undefined {
    return this.local.named('namespace', name)[0] ?? builtinNamespace(builtin.namespaces.byName(name)[0])
  }
  namespaces(): Iterable<NamespaceRow> {
    return this.#both('namespace', withoutPublic())
  }

  relation(wanted: Oid): RelationRow | undefined {
    const row = this.local.get('relation', wanted) ?? builtin.relations.byOid(wanted)
    if (this.#unread === undefined || row?.index === undefined || !this.#unread.has(row.storageId)) return row
    return { ...row, index: { ...row.index, unread: true } }
  }
  relationByName(namespace: Oid, name: string): RelationRow | undefined {
    const own = this.local.named('relation', qualified(namespace, name))[0]
    return own ?? builtin.relations.byName(name).find((row) => row.namespace === namespace)
  }
  relations(): Iterable<RelationRow> {
    return this.#both('relation', builtin.relations.all())
  }
  referencing(table: Oid): readonly Reference[] {
    return this.local.referencing(table)
  }

  type(wanted: Oid): Type {
    let type = this.#types.get(wanted)
    if (type === undefined) {
      type = behaviourOf(wanted, this)
      this.#types.set(wanted, type)
    }
    return type
  }
  typeRow(wanted: Oid): TypeRow | undefined {
    return this.local.get('type', wanted) ?? this.#seen('type', builtin.types.byOid(wanted))
  }
  typeByName(namespace: Oid, name: string): TypeRow | undefined {
    const own = this.local.named('type', qualified(namespace, name))[0]
    return own ?? this.#allSeen('type', builtin.types.byName(name)).find((row) => row.namespace === namespace)
  }
  types(): Iterable<TypeRow> {
    return this.#both('type', this.#eachSeen('type', builtin.types.all()))
  }

  function(wanted: Oid): FunctionRow | undefined {
    return this.local.get('function', wanted) ?? this.#seen('function', builtin.functions.byOid(wanted))
  }
  functionsByName(name: string): readonly FunctionRow[] {
    return this.#named('function', name, this.#allSeen('function', builtin.functions.byName(name)))
  }
  functions(): Iterable<FunctionRow> {
    return this.#both('function', this.#eachSeen('function', builtin.functions.all()))
  }
  aggregate(fn: Oid): AggregateRow | undefined {
    return builtin.aggregate(fn)
  }

  operator(wanted: Oid): OperatorRow | undefined {
    return this.local.get('operator', wanted) ?? this.#seen('operator', builtin.operators.byOid(wanted))
  }
  operatorsByName(name: string): readonly OperatorRow[] {
    return this.#named('operator', name, this.#allSeen('operator', builtin.operators.byName(name)))
  }
  cast(source: Oid, target: Oid): CastRow | undefined {
    return this.local.named('cast', `${source} ${target}`)[0] ?? builtin.cast(source, target)
  }

  btree(type: Oid): OrderOperators | undefined {
    if (this.#btree.has(type)) return this.#btree.get(type)
    const found = this.#findBtree(type)
    this.#btree.set(type, found)
    return found
  }
  #findBtree(type: Oid): OrderOperators | undefined {
    const opclass = this.defaultOpclass('btree', type)
    if (opclass === undefined) return undefined
    const { family, inputType } = opclass
    const [lt, le, eq, ge, gt] = [1, 2, 3, 4, 5].map((strategy) =>
      builtin.familyOperator(family, inputType, inputType, strategy),
    )
    if (lt === undefined || le === undefined || eq === undefined || ge === undefined || gt === undefined)
      return undefined
    return { family, opclass: opclass.oid, lt, le, eq, ge, gt }
  }
  btreeStrategy(operator: Oid): { readonly strategy: 1 | 2 | 3 | 4 | 5; readonly family: Oid } | undefined {
    const member = builtin.btreeMember(operator)
    return member === undefined ? undefined : { strategy: member.strategy as 1 | 2 | 3 | 4 | 5, family: member.family }
  }

  isOrderingOperator(family: Oid, operator: Oid): boolean {
    return builtin.orderingOperators(family).includes(operator)
  }

  opclass(wanted: Oid): OpclassRow | undefined {
    return this.#seen('opclass', builtin.opclasses.byOid(wanted))
  }
  opclassByName(method: string, namespace: Oid | undefined, name: string): OpclassRow | undefined {
    return this.#allSeen('opclass', builtin.opclasses.byName(name)).find(
      (row) => row.method === method && (namespace === undefined || row.namespace === namespace),
    )
  }
  /** PostgreSQL's GetDefaultOpClass: the type's own, else one it is binary-coercible to. */
  defaultOpclass(method: string, type: Oid): OpclassRow | undefined {
    const base = this.baseType(type)
    let coercible: OpclassRow | undefined
    for (const row of builtin.opclasses.all()) {
      if (!row.isDefault || row.method !== method) continue
      if (row.inputType === base) return row
      if (this.binaryCoercible(base, row.inputType)) {
        const preferred = this.typeRow(row.inputType)?.preferred === true
        if (coercible === undefined || preferred) coercible = row
      }
    }
    return coercible
  }

  distanceOperator(opclass: Oid): OperatorRow | undefined {
    const row = this.opclass(opclass)
    const operator = row === undefined ? undefined : builtin.orderingOperators(row.family)[0]
    return operator === undefined ? undefined : this.operator(operator)
  }

  /** A domain's base type; any other type is its own. */
  baseType(type: Oid): Oid {
    for (let row = this.typeRow(type); row?.kind === 'd'; row = this.typeRow(type)) type = row.baseType
    return type
  }

  /** A value of the one type is one of the other as it stands (PostgreSQL's IsBinaryCoercible). */
  binaryCoercible(source: Oid, target: Oid): boolean {
    if (source === target || target === OID.any || target === OID.anyelement || target === OID.anycompatible)
      return true
    const base = this.baseType(source)
    if (base === target) return true
    const row = this.typeRow(base)
    if (row === undefined) return false
    if (target === OID.anyarray || target === OID.anycompatiblearray) return row.isArray
    if (target === OID.anyenum) return row.kind === 'e'
    if (target === OID.anyrange || target === OID.anycompatiblerange) return row.kind === 'r'
    if (target === OID.anymultirange || target === OID.anycompatiblemultirange) return row.kind === 'm'
    if (target === OID.record) return row.kind === 'c'
    if (target === OID.recordArray) return row.isArray && this.typeRow(row.element)?.kind === 'c'
    const cast = this.cast(base, target)
    return cast?.method === 'b' && cast.context === 'i'
  }

  collation(wanted: Oid): CollationRow | undefined {
    return this.local.get('collation', wanted) ?? builtin.collations.byOid(wanted)
  }
  collationByName(namespace: Oid, name: string): CollationRow | undefined {
    const own = this.local.named('collation', qualified(namespace, name))[0]
    return own ?? builtin.collations.byName(name).find((row) => row.namespace === namespace)
  }

  role(wanted: Oid): RoleRow | undefined {
    return this.shared.get('role', wanted)
  }
  roleByName(name: string): RoleRow | undefined {
    return this.shared.named('role', name)[0]
  }
  roles(): Iterable<RoleRow> {
    return this.shared.all('role')
  }
  database(wanted: Oid): DatabaseRow | undefined {
    return this.shared.get('database', wanted)
  }
  databaseByName(name: string): DatabaseRow | undefined {
    return this.shared.named('database', name)[0]
  }
  databases(): Iterable<DatabaseRow> {
    return this.shared.all('database')
  }
  extensions(): Iterable<ExtensionRow> {
    return [...this.local.all('extension'), ...builtin.extensions()]
  }

  comment(classOid: Oid, object: Oid, subobject: number): string | undefined {
    const name = commentName(classOid, object, subobject)
    const own = this.local.named('comment', name)[0] ?? this.shared.named('comment', name)[0]
    const text = own === undefined ? builtin.description(classOid, object, subobject) : own.text
    return text === '' ? undefined : text
  }
  *comments(): Iterable<CommentRow> {
    yield* this.shared.all('comment')
    yield* this.local.all('comment')
  }
  statistics(table: Oid): TableStatistics | undefined {
    return this.local.get('statistics', table)
  }

  virtualRows(relation: Oid, context: VirtualContext, lookup?: VirtualLookup): Iterable<readonly Value[]> {
    return virtualRows(this, relation, context, lookup)
  }
  virtualSize(relation: Oid): number {
    return virtualSize(this, relation)
  }

  /** Descriptors of this database alone. */
  own<K extends DescriptorKind>(kind: K, wanted: Oid): RowOf[K] | undefined {
    return this.local.get(kind, wanted)
  }
  ownAll<K extends DescriptorKind>(kind: K): Iterable<RowOf[K]> {
    return this.local.all(kind)
  }
  ownCount(kind: DescriptorKind): number {
    return this.local.count(kind)
  }
  /** A descriptor of this oid stands before a built-in object. */
  isBuiltin(kind: DescriptorKind, wanted: Oid): boolean {
    return wanted < FIRST_USER_OID && BUILTIN[kind]?.(wanted) !== undefined
  }
  /** pg_am.oid by name. */
  accessMethod(name: string): Oid | undefined {
    for (const [method, methodName] of builtin.accessMethods()) if (methodName === name) return method
    return undefined
  }

  /** Descriptors first; a built-in row that a descriptor replaces is left out. */
  *#both<K extends 'namespace' | 'relation' | 'type' | 'function' | 'operator'>(
    kind: K,
    own: Iterable<RowOf[K]>,
  ): Iterable<RowOf[K]> {
    for (const row of own) if (this.local.get(kind, row.oid) === undefined) yield row
    yield* this.local.all(kind)
  }
  #named<K extends 'function' | 'operator'>(kind: K, name: string, own: readonly RowOf[K][]): readonly RowOf[K][] {
    const added = this.local.named(kind, name)
    if (added.length === 0) return own
    return [...own.filter((row) => this.local.get(kind, row.oid) === undefined), ...added]
  }
}

const FIRST_USER_OID = 16384
const BUILTIN: Partial<Record<DescriptorKind, (wanted: Oid) => unknown>> = {
  relation: (wanted) => builtin.relations.byOid(wanted),
  type: (wanted) => builtin.types.byOid(wanted),
  function: (wanted) => builtin.functions.byOid(wanted),
  operator: (wanted) => builtin.operators.byOid(wanted),
  namespace: (wanted) => builtin.namespaces.byOid(wanted),
  collation: (wanted) => builtin.collations.byOid(wanted),
}

/** `public` is a descriptor of each database: it can be dropped. */
const PUBLIC = oid(2200)
const builtinNamespace = (row: NamespaceRow | undefined): NamespaceRow | undefined =>
  row?.oid === PUBLIC ? undefined : row
function* withoutPublic(): Iterable<NamespaceRow> {
  for (const row of builtin.namespaces.all()) if (row.oid !== PUBLIC) yield row
}
