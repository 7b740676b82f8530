/**
 * What exists: schemas, tables, types, functions, operators, roles. Built-in objects are PostgreSQL 15's own rows
 * (sql/catalog/data/*.tsv, written by a script from a real server); user objects are descriptors, one JSON value a key in
 * the store's catalog space, changed in the same transaction as data.
 *
 * A Catalog is an immutable view. A transaction with DDL has a CatalogEditor: the committed catalog with its own changes
 * on top; others keep the version they began with until it commits.
 */
import type { Oid } from '../../storage/keys/brand.ts'
import type { Expression } from '../plan/expression.ts'
import type { Query } from '../plan/query.ts'
import type { RowStorage, Type, TypeLookup } from '../types/type.ts'
import type { Int64, Value } from '../types/value.ts'

export interface Catalog extends TypeLookup {
  /** Grows with every committed change; plans remember the version they were made with. */
  readonly version: number
  readonly databaseOid: Oid
  readonly databaseName: string

  namespace(oid: Oid): NamespaceRow | undefined
  namespaceByName(name: string): NamespaceRow | undefined
  namespaces(): Iterable<NamespaceRow>

  relation(oid: Oid): RelationRow | undefined
  relationByName(namespace: Oid, name: string): RelationRow | undefined
  relations(): Iterable<RelationRow>
  /** Foreign keys of other tables (and its own) that point at this table. */
  referencing(table: Oid): readonly { readonly table: RelationRow; readonly constraint: ConstraintRow }[]

  /** pg_type row; `type(oid)` (TypeLookup) gives its behaviour, making arrays, enums and row types on demand. */
  typeRow(oid: Oid): TypeRow | undefined
  typeByName(namespace: Oid, name: string): TypeRow | undefined
  types(): Iterable<TypeRow>

  function(oid: Oid): FunctionRow | undefined
  /** All functions of that name in any schema. */
  functionsByName(name: string): readonly FunctionRow[]
  functions(): Iterable<FunctionRow>
  aggregate(functionOid: Oid): AggregateRow | undefined

  operator(oid: Oid): OperatorRow | undefined
  operatorsByName(name: string): readonly OperatorRow[]
  cast(source: Oid, target: Oid): CastRow | undefined
  /** The default b-tree operators of a type, following binary-coercible types (varchar -> text) and polymorphic classes (anyarray, anyenum, record). */
  btree(type: Oid): OrderOperators | undefined
  /** A b-tree operator's meaning: its strategy (1 <, 2 <=, 3 =, 4 >=, 5 >) and operator family; undefined when it is in none. */
  btreeStrategy(operator: Oid): { readonly strategy: 1 | 2 | 3 | 4 | 5; readonly family: Oid } | undefined
  /** Whether a family's operator gives an order (pg_amop's purpose 'o'): what a nearest-neighbour index of it can answer. */
  isOrderingOperator(family: Oid, operator: Oid): boolean
  opclass(oid: Oid): OpclassRow | undefined
  /** By access method name ('btree', 'hash', 'hnsw') and opclass name. */
  opclassByName(method: string, namespace: Oid | undefined, name: string): OpclassRow | undefined
  defaultOpclass(method: string, type: Oid): OpclassRow | undefined
  /** The operator by whose results an index of this class gives its rows in ascending order: distances of vectors. */
  distanceOperator(opclass: Oid): OperatorRow | undefined

  collation(oid: Oid): CollationRow | undefined
  collationByName(namespace: Oid, name: string): CollationRow | undefined

  role(oid: Oid): RoleRow | undefined
  roleByName(name: string): RoleRow | undefined
  roles(): Iterable<RoleRow>
  database(oid: Oid): DatabaseRow | undefined
  databaseByName(name: string): DatabaseRow | undefined
  databases(): Iterable<DatabaseRow>
  extensions(): Iterable<ExtensionRow>

  /** COMMENT ON: by (catalog class oid, object oid, column number or 0). */
  comment(classOid: Oid, object: Oid, subobject: number): string | undefined
  comments(): Iterable<CommentRow>
  /** Planner statistics of a table: rows and pages at the last ANALYZE, and per column. */
  statistics(table: Oid): TableStatistics | undefined

  /** Rows of a system catalog table (RelationRow.virtual) or of a sequence, columns by attribute number; with a lookup, quickly, those alone that match it. */
  virtualRows(relation: Oid, context: VirtualContext, lookup?: VirtualLookup): Iterable<readonly Value[]>
  /** About how many rows virtualRows gives: for the planner. */
  virtualSize(relation: Oid): number
}

/** `column` (an attribute number, of a type whose equal values are `===`) = `value` (not null). */
export interface VirtualLookup {
  readonly column: number
  readonly value: Value
}

/** What rows that are made when asked for need of the session. */
export interface VirtualContext {
  /** The last value given (the start value when none was: `called` false). */
  sequenceState(sequence: RelationRow): { readonly value: Int64; readonly called: boolean }
}

/** One user object that is stored: the key is its class and oid. */
export type Descriptor =
  | NamespaceRow
  | RelationRow
  | TypeRow
  | FunctionRow
  | RoleRow
  | DatabaseRow
  | CommentRow
  | ExtensionRow
  | TableStatistics
  | CastRow
  | OperatorRow
  | CollationRow
  | DefaultAclRow
export type DescriptorKind =
  | 'namespace'
  | 'relation'
  | 'type'
  | 'function'
  | 'role'
  | 'database'
  | 'comment'
  | 'extension'
  | 'statistics'
  | 'cast'
  | 'operator'
  | 'collation'
  | 'default-acl'

/** The catalog of a transaction with DDL. Reads see its own changes at once. */
export interface CatalogEditor extends Catalog {
  put(kind: DescriptorKind, row: Descriptor): void
  remove(kind: DescriptorKind, oid: Oid): void
  nextOid(): Oid
  /** A new storage id for a table or index (as relfilenode): a rewritten table gets another one. */
  nextStorageId(): number
  mark(): number
  /** Undoes changes after the mark (ROLLBACK TO SAVEPOINT). */
  undo(mark: number): void
  readonly changed: boolean
}

/** ALTER DEFAULT PRIVILEGES: what new objects of a role are granted. */
export interface DefaultAclRow {
  readonly oid: Oid
  readonly role: Oid
  /** 0: in every schema. Then `acl` is the whole list, else what a schema adds to it. */
  readonly namespace: Oid
  /** pg_default_acl.defaclobjtype: r tables and views, S sequences, f functions, T types, n schemas. */
  readonly objects: 'r' | 'S' | 'f' | 'T' | 'n'
  readonly acl: readonly string[]
}

export interface NamespaceRow {
  readonly oid: Oid
  readonly name: string
  readonly owner: Oid
  /** Items as sql/catalog/acl.ts has them: roles by oid. Absent: the defaults of the kind. Everywhere the same. */
  readonly acl?: readonly string[]
}

/** A table, view, index, sequence or composite type. */
export interface RelationRow {
  readonly oid: Oid
  readonly name: string
  readonly namespace: Oid
  readonly owner: Oid
  /** pg_class.relkind: r table, i index, S sequence, v view, m materialized view, c composite type. */
  readonly kind: 'r' | 'i' | 'S' | 'v' | 'm' | 'c' | 't' | 'p'
  readonly persistence: 'p' | 't' | 'u'
  /** pg_type.oid of its row type, 0 for indexes and sequences. */
  readonly rowType: Oid
  /** Where its rows lie in the key map; 0 for views and virtual tables. */
  readonly storageId: number
  /** By attribute number (columns[0] is 1), dropped ones stay. */
  readonly columns: readonly ColumnRow[]
  /** Tables. */
  readonly constraints: readonly ConstraintRow[]
  /** Oids of its indexes (relkind i). */
  readonly indexes: readonly Oid[]
  readonly index?: IndexRow
  readonly sequence?: SequenceRow
  /** Views: a bound query (user views) or SQL text (system views, bound when used). */
  readonly view?: { readonly query: Query } | { readonly sql: string }
  /** Materialized views without their rows: false. */
  readonly populated?: boolean
  /** A system catalog whose rows come from Catalog.virtualRows. */
  readonly virtual?: boolean
  readonly options?: readonly string[]
  readonly acl?: readonly string[]
  /** Temporary tables: the session that owns it. */
  readonly session?: number
  /** Kind c or a view of a composite, ON COMMIT of temporary tables. */
  readonly onCommit?: 'preserve' | 'delete' | 'drop'
}

export interface ColumnRow {
  readonly number: number
  readonly name: string
  /** 0 for a dropped column. */
  readonly type: Oid
  readonly typmod: number
  readonly collation: Oid
  readonly notNull: boolean
  readonly default?: Expression
  readonly generated?: 'stored'
  readonly identity?: 'always' | 'by-default'
  readonly dropped: boolean
  /** A dropped column's slot in stored rows (RowStorage's kind), which keeps its place: see droppedColumn in sql/access/row.ts. */
  readonly storage?: RowStorage['kind']
  /** What rows written before the column was added have (text output of the value). */
  readonly missing?: { readonly value: Value }
  readonly acl?: readonly string[]
  readonly statisticsTarget?: number
  readonly storageMode?: 'p' | 'e' | 'm' | 'x'
}

export type ForeignKeyAction = 'no-action' | 'restrict' | 'cascade' | 'set-null' | 'set-default'
export interface ConstraintRow {
  readonly oid: Oid
  readonly name: string
  /** pg_constraint.contype. */
  readonly type: 'p' | 'u' | 'c' | 'f' | 'x' | 't'
  /** Attribute numbers of this table. */
  readonly columns: readonly number[]
  /** p and u: the index. f: the referenced unique index. */
  readonly index?: Oid
  /** c: over vars of relation 0. */
  readonly check?: Expression
  readonly noInherit?: boolean
  readonly foreignKey?: {
    readonly table: Oid
    readonly columns: readonly number[]
    readonly onUpdate: ForeignKeyAction
    readonly onDelete: ForeignKeyAction
    /** SET NULL / SET DEFAULT (columns). */
    readonly onDeleteColumns: readonly number[]
    readonly match: 'simple' | 'full'
    /** Equality functions: referenced = referencing. */
    readonly operators: readonly Oid[]
  }
  readonly deferrable: boolean
  readonly initiallyDeferred: boolean
  readonly validated: boolean
}

export interface IndexRow {
  readonly table: Oid
  readonly method: 'btree' | 'hash' | 'hnsw' | 'ivfflat' | 'gin' | 'gist' | 'brin'
  readonly keys: readonly IndexKey[]
  /** INCLUDE: attribute numbers. */
  readonly include: readonly number[]
  readonly unique: boolean
  readonly nullsNotDistinct: boolean
  readonly primary: boolean
  /** Over vars of relation 0. */
  readonly predicate?: Expression
  readonly valid: boolean
  /** In a catalog at a snapshot from before it was filled: no plan reads it. */
  readonly unread?: true
  /** The rows of the table themselves lie in this index's order (the primary key): it has no entries of its own. */
  readonly clustered: boolean
  readonly immediate: boolean
}
export interface IndexKey {
  /** Attribute number, or 0 for an expression. */
  readonly column: number
  readonly expression?: Expression
  readonly type: Oid
  readonly typmod: number
  readonly opclass: Oid
  readonly collation: Oid
  readonly descending: boolean
  readonly nullsFirst: boolean
}

export interface SequenceRow {
  readonly type: Oid
  readonly start: number | bigint
  readonly increment: number | bigint
  readonly min: number | bigint
  readonly max: number | bigint
  readonly cache: number | bigint
  readonly cycle: boolean
  /** OWNED BY. `identity`: made for an identity column. */
  readonly ownedBy?: { readonly table: Oid; readonly column: number; readonly identity: boolean }
}

export interface TypeRow {
  readonly oid: Oid
  readonly name: string
  readonly namespace: Oid
  readonly owner: Oid
  readonly length: number
  readonly byValue: boolean
  /** b base, c composite, d domain, e enum, p pseudo, r range, m multirange. */
  readonly kind: 'b' | 'c' | 'd' | 'e' | 'p' | 'r' | 'm'
  readonly category: string
  readonly preferred: boolean
  readonly delimiter: string
  readonly relation: Oid
  readonly element: Oid
  readonly array: Oid
  /** True for true array types (typsubscript = array_subscript_handler with typlen -1). */
  readonly isArray: boolean
  readonly align: string
  readonly storage: string
  readonly notNull: boolean
  readonly baseType: Oid
  readonly typmod: number
  readonly collation: Oid
  readonly enumLabels?: readonly { readonly oid: Oid; readonly label: string; readonly order: number }[]
  /** Checks over VALUE (column 1 of relation 0, of the type below), default a value of that type. */
  readonly domain?: {
    readonly default?: Expression
    readonly checks: readonly {
      readonly oid: Oid
      readonly name: string
      readonly check: Expression
      readonly validated: boolean
    }[]
  }
  /** A range type's row of pg_range. */
  readonly range?: RangeRow
  /** A multirange type's range type. */
  readonly rangeType?: Oid
  readonly acl?: readonly string[]
}

export interface RangeRow {
  readonly subtype: Oid
  readonly multirange: Oid
  readonly collation: Oid
  readonly opclass: Oid
  /** 0 when none. */
  readonly canonical: Oid
  readonly difference: Oid
}

export interface FunctionRow {
  readonly oid: Oid
  readonly name: string
  readonly namespace: Oid
  readonly owner: Oid
  readonly language: Oid
  /** f function, p procedure, a aggregate, w window. */
  readonly kind: 'f' | 'p' | 'a' | 'w'
  readonly strict: boolean
  readonly returnsSet: boolean
  readonly volatility: 'i' | 's' | 'v'
  readonly parallel: string
  readonly argDefaults: number
  readonly returnType: Oid
  readonly argTypes: readonly Oid[]
  /** With OUT and TABLE columns, when there are any. */
  readonly allArgTypes?: readonly Oid[]
  readonly argModes?: readonly string[]
  readonly argNames?: readonly string[]
  /** 0 when not variadic; else the element type. */
  readonly variadic: Oid
  readonly cost: number
  readonly rows: number
  readonly securityDefiner: boolean
  readonly leakproof: boolean
  /** The body's name in functionBodies (sql/types/function.ts); for a built-in of language SQL its signature: 'lpad(text,int4)'. */
  readonly source: string
  /** A built-in of language SQL, a user's function: the body's text ('RETURN …', 'BEGIN ATOMIC …', or statements). */
  readonly body?: string
  /** SET clauses: 'name=value'. */
  readonly config?: readonly string[]
  /** What a body written after the standard mentions: it is bound when the function is made. */
  readonly uses?: readonly { readonly classOid: Oid; readonly object: Oid; readonly sub: number }[]
  /** The extension it belongs to. */
  readonly extension?: Oid
  /** Defaults of the last arguments: bound expressions; for built-ins SQL text bound when used. */
  readonly defaults?: readonly (Expression | string)[]
  readonly acl?: readonly string[]
}

export interface AggregateRow {
  readonly function: Oid
  /** n normal, o ordered-set, h hypothetical-set. */
  readonly kind: 'n' | 'o' | 'h'
  readonly directArgs: number
  readonly sortOperator: Oid
  /** Key in aggregateBodies: 'sum(int4)'. */
  readonly signature: string
}

export interface OperatorRow {
  readonly oid: Oid
  readonly name: string
  readonly namespace: Oid
  readonly kind: 'b' | 'l'
  readonly left: Oid
  readonly right: Oid
  readonly result: Oid
  readonly commutator: Oid
  readonly negator: Oid
  readonly function: Oid
  readonly canMerge: boolean
  readonly canHash: boolean
  /** oprrest and oprjoin names ('eqsel', 'scalarltsel'): for the planner's estimates. */
  readonly restriction: string
  readonly join: string
}

export interface CastRow {
  readonly oid: Oid
  readonly source: Oid
  readonly target: Oid
  /** 0 for binary-coercible and I/O casts. */
  readonly function: Oid
  readonly context: 'e' | 'a' | 'i'
  readonly method: 'f' | 'i' | 'b'
}

export interface OpclassRow {
  readonly oid: Oid
  readonly name: string
  readonly namespace: Oid
  readonly method: string
  readonly family: Oid
  readonly inputType: Oid
  readonly isDefault: boolean
}

export interface OrderOperators {
  readonly family: Oid
  readonly opclass: Oid
  readonly lt: Oid
  readonly le: Oid
  readonly eq: Oid
  readonly ge: Oid
  readonly gt: Oid
}

export interface CollationRow {
  readonly oid: Oid
  readonly name: string
  readonly namespace: Oid
  readonly provider: string
}

export interface RoleRow {
  readonly oid: Oid
  readonly name: string
  readonly superuser: boolean
  readonly inherit: boolean
  readonly createRole: boolean
  readonly createDatabase: boolean
  readonly canLogin: boolean
  readonly replication: boolean
  readonly bypassRls: boolean
  readonly connectionLimit: number
  readonly password?: string
  /** ISO text. */
  readonly validUntil?: string
  readonly memberOf: readonly { readonly role: Oid; readonly admin: boolean; readonly grantor: Oid }[]
  /** ALTER ROLE … SET: name=value, per database oid ('0' for all). */
  readonly settings?: Readonly<Record<string, readonly string[]>>
}

export interface DatabaseRow {
  readonly oid: Oid
  readonly name: string
  readonly owner: Oid
  readonly connectionLimit: number
  readonly allowConnections: boolean
  readonly isTemplate: boolean
  readonly acl?: readonly string[]
  readonly settings?: readonly string[]
}

export interface ExtensionRow {
  readonly oid: Oid
  readonly name: string
  readonly owner: Oid
  readonly namespace: Oid
  readonly version: string
}

export interface CommentRow {
  readonly oid: Oid
  readonly classOid: Oid
  readonly object: Oid
  readonly subobject: number
  readonly text: string
}

export interface TableStatistics {
  /** The table's oid. */
  readonly oid: Oid
  readonly rows: number
  readonly bytes: number
  readonly analyzedAt: number
  readonly columns: readonly ColumnStatistics[]
}
export interface ColumnStatistics {
  readonly column: number
  readonly nullFraction: number
  readonly averageWidth: number
  /** Positive: that many distinct values; negative: minus the ratio to rows (as pg_stats.n_distinct). */
  readonly distinct: number
  /** Most common values, as values of the column's type, and their frequencies. */
  readonly commonValues: readonly Value[]
  readonly commonFrequencies: readonly number[]
  /** Bounds of equal-height buckets of the other values. */
  readonly histogram: readonly Value[]
  readonly correlation: number
}

export type { Type }
