/**
 * The descriptors of one database (or of the cluster: roles and databases), by oid and by name. A published Objects never
 * changes; an editor works on a fork, which copies a kind's maps on the first change of that kind.
 */
import type { Oid } from '../../storage/keys/brand.ts'
import type {
  CastRow,
  CollationRow,
  CommentRow,
  ConstraintRow,
  DatabaseRow,
  DefaultAclRow,
  Descriptor,
  DescriptorKind,
  ExtensionRow,
  FunctionRow,
  NamespaceRow,
  OperatorRow,
  RelationRow,
  RoleRow,
  TableStatistics,
  TypeRow,
} from './catalog.ts'

export interface RowOf {
  namespace: NamespaceRow
  relation: RelationRow
  type: TypeRow
  function: FunctionRow
  role: RoleRow
  database: DatabaseRow
  comment: CommentRow
  extension: ExtensionRow
  statistics: TableStatistics
  cast: CastRow
  operator: OperatorRow
  collation: CollationRow
  'default-acl': DefaultAclRow
}

/** How a descriptor is found other than by oid. */
const NAME: { readonly [K in DescriptorKind]: (row: RowOf[K]) => string } = {
  namespace: (row) => row.name,
  relation: (row) => qualified(row.namespace, row.name),
  type: (row) => qualified(row.namespace, row.name),
  function: (row) => row.name,
  role: (row) => row.name,
  database: (row) => row.name,
  comment: (row) => commentName(row.classOid, row.object, row.subobject),
  extension: (row) => row.name,
  statistics: () => '',
  cast: (row) => `${row.source} ${row.target}`,
  operator: (row) => row.name,
  collation: (row) => qualified(row.namespace, row.name),
  'default-acl': (row) => `${row.role} ${row.namespace} ${row.objects}`,
}
export const DESCRIPTOR_KINDS = Object.keys(NAME) as readonly DescriptorKind[]

export const qualified = (namespace: Oid, name: string): string => `${namespace} ${name}`
export const commentName = (classOid: Oid, object: Oid, subobject: number): string =>
  `${classOid} ${object} ${subobject}`

export interface Reference {
  readonly table: RelationRow
  readonly constraint: ConstraintRow
}

interface KindMaps {
  readonly byOid: Map<Oid, Descriptor>
  readonly byName: Map<string, readonly Descriptor[]>
}

const NOTHING: readonly never[] = []

let versions = 1
/** Each version of a catalog, committed or not, has a number of its own in the process; later ones are greater. */
export const nextVersion = (): number => ++versions

export class Objects {
  #kinds: Record<DescriptorKind, KindMaps>
  #references: Map<Oid, readonly Reference[]>
  /** Kinds whose maps belong to this object alone. */
  readonly #own = new Set<DescriptorKind>()

  constructor(from?: Objects) {
    if (from === undefined) {
      this.#kinds = Object.fromEntries(DESCRIPTOR_KINDS.map((kind) => [kind, emptyMaps()])) as Record<
        DescriptorKind,
        KindMaps
      >
      this.#references = new Map()
      for (const kind of DESCRIPTOR_KINDS) this.#own.add(kind)
    } else {
      this.#kinds = { ...from.#kinds }
      this.#references = from.#references
    }
  }

  /** A copy that can be changed without changing this one. This one must not be changed afterwards. */
  fork(): Objects {
    return new Objects(this)
  }

  get<K extends DescriptorKind>(kind: K, oid: Oid): RowOf[K] | undefined {
    return this.#kinds[kind].byOid.get(oid) as RowOf[K] | undefined
  }

  /** All of that name: one for most kinds, several for functions and operators. */
  named<K extends DescriptorKind>(kind: K, name: string): readonly RowOf[K][] {
    return (this.#kinds[kind].byName.get(name) ?? NOTHING) as readonly RowOf[K][]
  }

  all<K extends DescriptorKind>(kind: K): Iterable<RowOf[K]> {
    return this.#kinds[kind].byOid.values() as Iterable<RowOf[K]>
  }

  count(kind: DescriptorKind): number {
    return this.#kinds[kind].byOid.size
  }

  referencing(table: Oid): readonly Reference[] {
    return this.#references.get(table) ?? NOTHING
  }

  /** Puts a row, or takes it away (undefined). Returns what was there. */
  set<K extends DescriptorKind>(kind: K, oid: Oid, row: RowOf[K] | undefined): RowOf[K] | undefined {
    if (!this.#own.has(kind)) {
      const shared = this.#kinds[kind]
      this.#kinds[kind] = { byOid: new Map(shared.byOid), byName: new Map(shared.byName) }
      if (kind === 'relation') this.#references = new Map(this.#references)
      this.#own.add(kind)
    }
    const { byOid, byName } = this.#kinds[kind]
    const old = byOid.get(oid) as RowOf[K] | undefined
    if (old !== undefined) {
      const name = NAME[kind](old)
      const rest = (byName.get(name) ?? NOTHING).filter((other) => other !== old)
      if (rest.length === 0) byName.delete(name)
      else byName.set(name, rest)
      if (kind === 'relation') this.#dropReferences(old as RelationRow)
    }
    if (row === undefined) {
      byOid.delete(oid)
      return old
    }
    byOid.set(oid, row)
    const name = NAME[kind](row)
    byName.set(name, [...(byName.get(name) ?? NOTHING), row])
    if (kind === 'relation') this.#addReferences(row as RelationRow)
    return old
  }

  #addReferences(table: RelationRow): void {
    for (const constraint of table.constraints) {
      if (constraint.foreignKey === undefined) continue
      const target = constraint.foreignKey.table
      this.#references.set(target, [...this.referencing(target), { table, constraint }])
    }
  }

  #dropReferences(table: RelationRow): void {
    for (const constraint of table.constraints) {
      if (constraint.foreignKey === undefined) continue
      const target = constraint.foreignKey.table
      const rest = this.referencing(target).filter((reference) => reference.table !== table)
      if (rest.length === 0) this.#references.delete(target)
      else this.#references.set(target, rest)
    }
  }
}

const emptyMaps = (): KindMaps => ({ byOid: new Map(), byName: new Map() })
