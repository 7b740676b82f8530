/**
 * PostgreSQL's own objects as rows of the catalog: made from sql/catalog/data when first asked for, kept for the life of
 * the process, shared by all databases and sessions. Nothing here can be changed; what a user alters of a built-in object
 * (its comment, its privileges) is a descriptor that stands before it.
 *
 * Each index is built on its first use by one pass over the first fields of the lines, so that a start costs what it uses.
 */
import { type Oid, oid } from '../../storage/keys/brand.ts'
import { invariant } from '../../storage/keys/invariant.ts'
import { aclFromText } from './acl.ts'
import { builtinDomain } from './builtin-domains.ts'
import type {
  AggregateRow,
  CastRow,
  CollationRow,
  ColumnRow,
  ConstraintRow,
  ExtensionRow,
  FunctionRow,
  IndexKey,
  NamespaceRow,
  OpclassRow,
  OperatorRow,
  RangeRow,
  RelationRow,
  TypeRow,
} from './catalog.ts'
import { columnOf, type DataTable, dataTable, dataText, type FieldReader, fields, reader } from './tsv.ts'
import { VECTOR_VIEW, VECTOR_VIEW_SQL } from './vector-view.ts'

/** A value computed on first use. */
function lazy<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined
  return () => {
    made ??= { value: make() }
    return made.value
  }
}

const oids = (numbers: readonly number[]): Oid[] => numbers.map(oid)

const roleNames = lazy(() => {
  const table = dataTable('pg_authid')
  return new Map(
    table.lines.map((line) => {
      const row = reader(table, line)
      return [row.text('rolname'), oid(row.number('oid'))] as const
    }),
  )
})
const acl = (texts: readonly string[] | undefined): { readonly acl?: readonly string[] } =>
  texts === undefined ? {} : { acl: aclFromText(texts, (name) => roleNames().get(name)) }

/** Rows of one file, found by oid (the first field) and by name (the second), each made once. */
class Table<T extends { readonly oid: Oid }> {
  readonly #file: string
  readonly #make: (row: FieldReader) => T
  readonly #rows = new Map<number, T>()
  readonly #byOid: () => ReadonlyMap<number, number>
  readonly #byName: () => ReadonlyMap<string, readonly number[]>

  constructor(file: string, make: (row: FieldReader) => T, nameColumn?: string) {
    this.#file = file
    this.#make = make
    this.#byOid = lazy(() => {
      const index = new Map<number, number>()
      const { lines } = dataTable(file)
      for (let i = 0; i < lines.length; i++) index.set(Number(lines[i]!.slice(0, lines[i]!.indexOf('\t'))), i)
      return index
    })
    this.#byName = lazy(() => {
      const table = dataTable(file)
      const at = columnOf(table, nameColumn ?? table.columns[1]!)
      const index = new Map<string, number[]>()
      const add = (name: string, line: number): void => {
        const same = index.get(name)
        if (same === undefined) index.set(name, [line])
        else same.push(line)
      }
      for (let i = 0; i < table.lines.length; i++) add(nthField(table.lines[i]!, at), i)
      return index
    })
  }

  get count(): number {
    return dataTable(this.#file).lines.length
  }

  at(line: number): T {
    let row = this.#rows.get(line)
    if (row === undefined) {
      const table = dataTable(this.#file)
      row = this.#make(reader(table, table.lines[line]!))
      this.#rows.set(line, row)
    }
    return row
  }

  byOid(wanted: Oid): T | undefined {
    const line = this.#byOid().get(wanted)
    return line === undefined ? undefined : this.at(line)
  }

  byName(name: string): readonly T[] {
    return (this.#byName().get(name) ?? []).map((line) => this.at(line))
  }

  *all(): Iterable<T> {
    for (let i = 0; i < this.count; i++) yield this.at(i)
  }
}

/** The n-th field of a line when it has no escapes (names of built-in objects have none). */
function nthField(line: string, n: number): string {
  let start = 0
  for (let i = 0; i < n; i++) start = line.indexOf('\t', start) + 1
  const end = line.indexOf('\t', start)
  const text = end < 0 ? line.slice(start) : line.slice(start, end)
  return text.includes('\\') ? text.replace(/\\\\/g, '\\') : text
}

/** Lines of a file by the number in one of their fields. */
const groupedBy = (file: string, column: string) =>
  lazy(() => {
    const table = dataTable(file)
    const at = columnOf(table, column)
    const groups = new Map<number, string[]>()
    for (const line of table.lines) {
      const group = Number(nthField(line, at))
      const same = groups.get(group)
      if (same === undefined) groups.set(group, [line])
      else same.push(line)
    }
    return groups as ReadonlyMap<number, readonly string[]>
  })

const readersOf = (table: DataTable, lines: readonly string[] | undefined): FieldReader[] =>
  (lines ?? []).map((line) => reader(table, line))

export const namespaces = new Table<NamespaceRow>('pg_namespace', (r) => ({
  oid: oid(r.number('oid')),
  name: r.text('nspname'),
  owner: oid(r.number('nspowner')),
  ...acl(r.texts('nspacl')),
}))

/** pg_range by rngtypid. */
const ranges = lazy(() => {
  const table = dataTable('pg_range')
  return new Map(
    table.lines.map((line) => {
      const r = reader(table, line)
      const row: RangeRow = {
        subtype: oid(r.number('rngsubtype')),
        multirange: oid(r.number('rngmultitypid')),
        collation: oid(r.number('rngcollation')),
        opclass: oid(r.number('rngsubopc')),
        canonical: oid(r.number('rngcanonical')),
        difference: oid(r.number('rngsubdiff')),
      }
      return [r.number('rngtypid'), row] as const
    }),
  )
})
function rangeOfMultirange(multirange: number): Oid {
  for (const [range, row] of ranges()) if (row.multirange === multirange) return oid(range)
  throw new Error(`pg_range has no row for multirange ${multirange}`)
}

export const types = new Table<TypeRow>('pg_type', (r) => {
  const kind = r.text('typtype') as TypeRow['kind']
  const domain = kind === 'd' ? { domain: builtinDomain(r.text('typname')) } : {}
  const range = kind === 'r' ? ranges().get(r.number('oid')) : undefined
  return {
    oid: oid(r.number('oid')),
    name: r.text('typname'),
    namespace: oid(r.number('typnamespace')),
    owner: oid(r.number('typowner')),
    length: r.number('typlen'),
    byValue: r.bool('typbyval'),
    kind,
    category: r.text('typcategory'),
    preferred: r.bool('typispreferred'),
    delimiter: r.text('typdelim'),
    relation: oid(r.number('typrelid')),
    element: oid(r.number('typelem')),
    array: oid(r.number('typarray')),
    isArray: r.number('typsubscript') === ARRAY_SUBSCRIPT_HANDLER && r.number('typlen') === -1,
    align: r.text('typalign'),
    storage: r.text('typstorage'),
    notNull: r.bool('typnotnull'),
    baseType: oid(r.number('typbasetype')),
    typmod: r.number('typtypmod'),
    collation: oid(r.number('typcollation')),
    ...domain,
    ...(range === undefined ? {} : { range }),
    ...(kind === 'm' ? { rangeType: rangeOfMultirange(r.number('oid')) } : {}),
    ...acl(r.texts('typacl')),
  }
})
const ARRAY_SUBSCRIPT_HANDLER = 6179

const SQL_LANGUAGE = 14

export const functions = new Table<FunctionRow>('pg_proc', (r) => {
  const argTypes = oids(r.numbers('proargtypes'))
  const all = r.texts('proallargtypes')
  const modes = r.texts('proargmodes')
  const names = r.texts('proargnames')
  const defaults = r.texts('argdefaults')
  const source = r.text('prosrc')
  const language = r.number('prolang')
  const name = r.text('proname')
  const sql = language === SQL_LANGUAGE
  return {
    oid: oid(r.number('oid')),
    name,
    namespace: oid(r.number('pronamespace')),
    owner: oid(r.number('proowner')),
    language: oid(language),
    kind: r.text('prokind') as FunctionRow['kind'],
    strict: r.bool('proisstrict'),
    returnsSet: r.bool('proretset'),
    volatility: r.text('provolatile') as FunctionRow['volatility'],
    parallel: r.text('proparallel'),
    argDefaults: r.number('pronargdefaults'),
    returnType: oid(r.number('prorettype')),
    argTypes,
    ...(all === undefined ? {} : { allArgTypes: all.map((text) => oid(Number(text))) }),
    ...(modes === undefined ? {} : { argModes: modes }),
    ...(names === undefined ? {} : { argNames: names }),
    variadic: oid(r.number('provariadic')),
    cost: r.number('procost'),
    rows: r.number('prorows'),
    securityDefiner: r.bool('prosecdef'),
    leakproof: r.bool('proleakproof'),
    source: sql ? signature(name, argTypes) : source,
    ...(sql ? { body: r.nullable('prosqlbody') ?? source } : {}),
    ...(defaults === undefined ? {} : { defaults }),
    ...acl(r.texts('proacl')),
  }
})

/** 'lpad(text,int4)': how SQL-language functions and aggregates are found among the bodies. */
function signature(name: string, argTypes: readonly Oid[]): string {
  return `${name}(${argTypes.map((type) => types.byOid(type)?.name ?? String(type)).join(',')})`
}

const functionLines = groupedBy('pg_proc', 'oid')
/** pg_proc.prosupport: the planner's helper of a built-in function. */
export function supportFunction(fn: Oid): FunctionRow | undefined {
  const r = readersOf(dataTable('pg_proc'), functionLines().get(fn))[0]
  return r === undefined ? undefined : functions.byOid(oid(r.number('prosupport')))
}

const aggregateLines = groupedBy('pg_aggregate', 'aggfnoid')
const aggregateRows = new Map<Oid, AggregateRow | undefined>()
export function aggregate(fn: Oid): AggregateRow | undefined {
  if (aggregateRows.has(fn)) return aggregateRows.get(fn)
  const line = aggregateLines().get(fn)?.[0]
  let row: AggregateRow | undefined
  if (line !== undefined) {
    const r = reader(dataTable('pg_aggregate'), line)
    const target = functions.byOid(fn)
    invariant(target, `pg_aggregate names function ${fn}`)
    row = {
      function: fn,
      kind: r.text('aggkind') as AggregateRow['kind'],
      directArgs: r.number('aggnumdirectargs'),
      sortOperator: oid(r.number('aggsortop')),
      signature: signature(target.name, target.argTypes),
    }
  }
  aggregateRows.set(fn, row)
  return row
}

const functionName = (number: number): string => (number === 0 ? '' : (functions.byOid(oid(number))?.name ?? ''))

export const operators = new Table<OperatorRow>('pg_operator', (r) => ({
  oid: oid(r.number('oid')),
  name: r.text('oprname'),
  namespace: oid(r.number('oprnamespace')),
  kind: r.text('oprkind') as OperatorRow['kind'],
  left: oid(r.number('oprleft')),
  right: oid(r.number('oprright')),
  result: oid(r.number('oprresult')),
  commutator: oid(r.number('oprcom')),
  negator: oid(r.number('oprnegate')),
  function: oid(r.number('oprcode')),
  canMerge: r.bool('oprcanmerge'),
  canHash: r.bool('oprcanhash'),
  restriction: functionName(r.number('oprrest')),
  join: functionName(r.number('oprjoin')),
}))

const castRows = new Table<CastRow>(
  'pg_cast',
  (r) => ({
    oid: oid(r.number('oid')),
    source: oid(r.number('castsource')),
    target: oid(r.number('casttarget')),
    function: oid(r.number('castfunc')),
    context: r.text('castcontext') as CastRow['context'],
    method: r.text('castmethod') as CastRow['method'],
  }),
  'oid',
)
/** Two oids as one safe integer. */
const pair = (a: Oid, b: Oid): number => a * 0x1_0000_0000 + b
const castIndex = lazy(() => new Map([...castRows.all()].map((row) => [pair(row.source, row.target), row])))
export const cast = (source: Oid, target: Oid): CastRow | undefined => castIndex().get(pair(source, target))

export const collations = new Table<CollationRow>('pg_collation', (r) => ({
  oid: oid(r.number('oid')),
  name: r.text('collname'),
  namespace: oid(r.number('collnamespace')),
  provider: r.text('collprovider'),
}))

/** plpgsql, as every new database of PostgreSQL has it. */
export const extensions = lazy((): readonly ExtensionRow[] => {
  const table = dataTable('pg_extension')
  return readersOf(table, table.lines).map((r) => ({
    oid: oid(r.number('oid')),
    name: r.text('extname'),
    owner: oid(r.number('extowner')),
    namespace: oid(r.number('extnamespace')),
    version: r.text('extversion'),
  }))
})

/** pg_am: oid to name, built-in and added. */
export const accessMethods = lazy(() => {
  const table = dataTable('pg_am')
  return new Map(table.lines.map((line) => fields(line)).map((row) => [oid(Number(row[0])), row[1]!]))
})

export const opclasses = new Table<OpclassRow>(
  'pg_opclass',
  (r) => ({
    oid: oid(r.number('oid')),
    name: r.text('opcname'),
    namespace: oid(r.number('opcnamespace')),
    method: accessMethods().get(oid(r.number('opcmethod'))) ?? '',
    family: oid(r.number('opcfamily')),
    inputType: oid(r.number('opcintype')),
    isDefault: r.bool('opcdefault'),
  }),
  'opcname',
)

/** A member of a b-tree operator family. */
export interface FamilyOperator {
  readonly family: Oid
  readonly left: Oid
  readonly right: Oid
  readonly strategy: number
  readonly operator: Oid
}
const BTREE = oid(403)
const btreeMembers = lazy(() => {
  const table = dataTable('pg_amop')
  const out: FamilyOperator[] = []
  for (const line of table.lines) {
    const r = reader(table, line)
    if (r.number('amopmethod') !== BTREE || r.text('amoppurpose') !== 's') continue
    out.push({
      family: oid(r.number('amopfamily')),
      left: oid(r.number('amoplefttype')),
      right: oid(r.number('amoprighttype')),
      strategy: r.number('amopstrategy'),
      operator: oid(r.number('amopopr')),
    })
  }
  return out
})
const btreeByOperator = lazy(() => {
  const index = new Map<Oid, FamilyOperator>()
  for (const member of btreeMembers()) if (!index.has(member.operator)) index.set(member.operator, member)
  return index
})
const btreeByFamily = lazy(() => {
  const index = new Map<string, Oid>()
  for (const m of btreeMembers()) index.set(`${m.family} ${m.left} ${m.right} ${m.strategy}`, m.operator)
  return index
})
/** By operator family: the operators whose results its indexes give in ascending order (distances). */
const orderingMembers = lazy(() => {
  const table = dataTable('pg_amop')
  const members = new Map<Oid, Oid[]>()
  for (const line of table.lines) {
    const r = reader(table, line)
    if (r.text('amoppurpose') !== 'o') continue
    const family = oid(r.number('amopfamily'))
    members.set(family, [...(members.get(family) ?? []), oid(r.number('amopopr'))])
  }
  return members
})
export const orderingOperators = (family: Oid): readonly Oid[] => orderingMembers().get(family) ?? []

export const btreeMember = (operator: Oid): FamilyOperator | undefined => btreeByOperator().get(operator)
export const familyOperator = (family: Oid, left: Oid, right: Oid, strategy: number): Oid | undefined =>
  btreeByFamily().get(`${family} ${left} ${right} ${strategy}`)

const attributeLines = groupedBy('pg_attribute', 'attrelid')
const constraintLines = groupedBy('pg_constraint', 'conrelid')
const indexLines = groupedBy('pg_index', 'indexrelid')

/** System views' SQL by oid: sections of a file, each under a line '-- oid schema.name'. */
const viewTexts = (file: string) =>
  lazy(() => {
    const index = new Map<number, string>()
    for (const section of dataText(file).split(/^-- (?=\d+ \w+\.)/m)) {
      const end = section.indexOf('\n')
      if (end < 0) continue
      index.set(Number.parseInt(section, 10), section.slice(end + 1).trimEnd())
    }
    index.set(VECTOR_VIEW, VECTOR_VIEW_SQL)
    return index
  })
const plainViews = viewTexts('views.sql')
const prettyViews = viewTexts('views-pretty.sql')
/** As pg_get_viewdef(oid) prints it, with pg_catalog as the search path. */
const viewSql = (view: Oid): string | undefined => plainViews().get(view)
/** As pg_get_viewdef(oid, true) does. */
export const prettyViewSql = (view: Oid): string | undefined => prettyViews().get(view)

export const relations = new Table<RelationRow>('pg_class', (r) => {
  const self = r.number('oid')
  const kind = r.text('relkind') as RelationRow['kind']
  const sql = kind === 'v' ? viewSql(oid(self)) : undefined
  invariant(kind !== 'v' || sql !== undefined, `no text of view ${r.text('relname')}`)
  const index = kind === 'i' ? { index: systemIndex(self) } : {}
  return {
    oid: oid(self),
    name: r.text('relname'),
    namespace: oid(r.number('relnamespace')),
    owner: oid(r.number('relowner')),
    kind,
    persistence: 'p',
    rowType: oid(r.number('reltype')),
    storageId: 0,
    columns: columnsOf(self),
    constraints: constraintsOf(self),
    indexes: [],
    ...index,
    ...(sql === undefined ? {} : { view: { sql } }),
    ...(kind === 'r' || kind === 't' ? { virtual: true } : {}),
    ...acl(r.texts('relacl')),
  }
})

function columnsOf(relation: number): ColumnRow[] {
  const out: ColumnRow[] = []
  for (const r of readersOf(dataTable('pg_attribute'), attributeLines().get(relation))) {
    const number = r.number('attnum')
    if (number < 1) continue
    out.push({
      number,
      name: r.text('attname'),
      type: oid(r.number('atttypid')),
      typmod: r.number('atttypmod'),
      collation: oid(r.number('attcollation')),
      notNull: r.bool('attnotnull'),
      dropped: false,
      ...acl(r.texts('attacl')),
    })
  }
  return out
}

function constraintsOf(relation: number): ConstraintRow[] {
  return readersOf(dataTable('pg_constraint'), relation === 0 ? undefined : constraintLines().get(relation)).map(
    (r) => ({
      oid: oid(r.number('oid')),
      name: r.text('conname'),
      type: r.text('contype') as ConstraintRow['type'],
      columns: r.numbers('conkey'),
      index: oid(r.number('conindid')),
      deferrable: r.bool('condeferrable'),
      initiallyDeferred: r.bool('condeferred'),
      validated: r.bool('convalidated'),
    }),
  )
}

function systemIndex(self: number): NonNullable<RelationRow['index']> {
  const r = readersOf(dataTable('pg_index'), indexLines().get(self))[0]
  invariant(r, `no pg_index row of ${self}`)
  const table = columnsOf(r.number('indrelid'))
  const classes = r.numbers('indclass')
  const collations_ = r.numbers('indcollation')
  const options = r.numbers('indoption')
  const keys = r.numbers('indkey').map(
    (column, i): IndexKey => ({
      column,
      type: table[column - 1]!.type,
      typmod: table[column - 1]!.typmod,
      opclass: oid(classes[i]!),
      collation: oid(collations_[i]!),
      descending: (options[i]! & 1) !== 0,
      nullsFirst: (options[i]! & 2) !== 0,
    }),
  )
  return {
    table: oid(r.number('indrelid')),
    method: 'btree',
    keys,
    include: [],
    unique: r.bool('indisunique'),
    nullsNotDistinct: r.bool('indnullsnotdistinct'),
    primary: r.bool('indisprimary'),
    valid: true,
    clustered: false,
    immediate: r.bool('indimmediate'),
  }
}

/** pg_description and pg_shdescription. */
const descriptions = lazy(() => {
  const index = new Map<string, string>()
  const local = dataTable('pg_description')
  for (const line of local.lines) {
    const [object, classOid, sub, text] = fields(line)
    index.set(`${classOid} ${object} ${sub}`, text!)
  }
  const shared = dataTable('pg_shdescription')
  for (const line of shared.lines) {
    const [object, classOid, text] = fields(line)
    index.set(`${classOid} ${object} 0`, text!)
  }
  return index
})
export const description = (classOid: Oid, object: Oid, sub: number): string | undefined =>
  descriptions().get(`${classOid} ${object} ${sub}`)
