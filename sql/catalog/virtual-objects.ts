/** System tables about everything but relations: types, functions, operators, schemas, roles, databases, comments, extensions. */
import { type Oid, oid } from '../../storage/keys/brand.ts'
import type { FunctionRow, TypeRow } from './catalog.ts'
import { isSharedClass } from './classes.ts'
import { defaultText, expressionText, systemScope } from './deparse.ts'
import type { CatalogView } from './view.ts'
import { aclValue, numberArray, type RowRecord, type RowSource, textArray, userRows, vector } from './virtual-source.ts'

type Lookup = Parameters<RowSource>[1]

/** Input, output, receive and send functions by kind of type. */
const TYPE_FUNCTIONS: Readonly<Record<string, readonly [string, string, string, string]>> = {
  array: ['array_in', 'array_out', 'array_recv', 'array_send'],
  c: ['record_in', 'record_out', 'record_recv', 'record_send'],
  d: ['domain_in', '', 'domain_recv', ''],
  e: ['enum_in', 'enum_out', 'enum_recv', 'enum_send'],
  r: ['range_in', 'range_out', 'range_recv', 'range_send'],
  m: ['multirange_in', 'multirange_out', 'multirange_recv', 'multirange_send'],
}

const functionOid = (view: CatalogView, name: string): number =>
  name === '' ? 0 : (view.functionsByName(name)[0]?.oid ?? 0)

function* typeRows(view: CatalogView, lookup: Lookup): Iterable<RowRecord> {
  for (const row of userRows(view, 'type', lookup, 'oid')) yield typeRecord(view, row)
}

function typeRecord(view: CatalogView, row: TypeRow): RowRecord {
  const scope = systemScope(view)
  const names = TYPE_FUNCTIONS[row.isArray ? 'array' : row.kind] ?? ['', '', '', '']
  const base = row.kind === 'd' ? builtinFunctions(view, view.baseType(row.oid)) : undefined
  const fallback = row.domain?.default
  return {
    oid: row.oid,
    typname: row.name,
    typnamespace: row.namespace,
    typowner: row.owner,
    typlen: row.length,
    typbyval: row.byValue,
    typtype: row.kind,
    typcategory: row.category,
    typispreferred: row.preferred,
    typisdefined: true,
    typdelim: row.delimiter,
    typrelid: row.relation,
    typsubscript: row.isArray ? ARRAY_SUBSCRIPT : 0,
    typelem: row.element,
    typarray: row.array,
    typinput: functionOid(view, names[0]),
    typoutput: base?.output ?? functionOid(view, names[1]),
    typreceive: functionOid(view, names[2]),
    typsend: base?.send ?? functionOid(view, names[3]),
    typmodin: 0,
    typmodout: 0,
    typanalyze: TYPE_ANALYZE[row.isArray ? 'array' : row.kind] ?? 0,
    typalign: row.align,
    typstorage: row.storage,
    typnotnull: row.notNull,
    typbasetype: row.baseType,
    typtypmod: row.typmod,
    typndims: 0,
    typcollation: row.collation,
    typdefaultbin: fallback === undefined ? null : expressionText(scope, fallback, undefined),
    typdefault: fallback === undefined ? null : expressionText(scope, fallback, undefined),
    typacl: aclValue(view, row.acl),
  }
}
const ARRAY_SUBSCRIPT = 6179
/** array_typanalyze, range_typanalyze, multirange_typanalyze. */
const TYPE_ANALYZE: Readonly<Record<string, number>> = { array: 3816, r: 3916, m: 4242 }

/** A domain is printed by its base type's functions. */
function builtinFunctions(view: CatalogView, type: Oid): { readonly output: number; readonly send: number } {
  const row = view.typeRow(type)
  const prefix = row?.name ?? ''
  const first = (...names: string[]): number =>
    names.map((name) => functionOid(view, name)).find((found) => found !== 0) ?? 0
  return { output: first(`${prefix}out`, `${prefix}_out`), send: first(`${prefix}send`, `${prefix}_send`) }
}

function* enumRows(view: CatalogView, lookup: Lookup): Iterable<RowRecord> {
  for (const row of userRows(view, 'type', lookup, 'enumtypid')) {
    for (const label of row.enumLabels ?? []) {
      yield { oid: label.oid, enumtypid: row.oid, enumsortorder: label.order, enumlabel: label.label }
    }
  }
}

function* rangeRows(view: CatalogView, lookup: Lookup): Iterable<RowRecord> {
  for (const row of userRows(view, 'type', lookup, 'rngtypid')) {
    if (row.range === undefined) continue
    yield {
      rngtypid: row.oid,
      rngsubtype: row.range.subtype,
      rngmultitypid: row.range.multirange,
      rngcollation: row.range.collation,
      rngsubopc: row.range.opclass,
      rngcanonical: row.range.canonical,
      rngsubdiff: row.range.difference,
    }
  }
}

function* functionRows(view: CatalogView, lookup: Lookup): Iterable<RowRecord> {
  for (const row of userRows(view, 'function', lookup, 'oid')) yield functionRecord(view, row)
}

function functionRecord(view: CatalogView, row: FunctionRow): RowRecord {
  const scope = systemScope(view)
  return {
    oid: row.oid,
    proname: row.name,
    pronamespace: row.namespace,
    proowner: row.owner,
    prolang: row.language,
    procost: row.cost,
    prorows: row.rows,
    provariadic: row.variadic,
    prosupport: 0,
    prokind: row.kind,
    prosecdef: row.securityDefiner,
    proleakproof: row.leakproof,
    proisstrict: row.strict,
    proretset: row.returnsSet,
    provolatile: row.volatility,
    proparallel: row.parallel,
    pronargs: row.argTypes.length,
    pronargdefaults: row.argDefaults,
    prorettype: row.returnType,
    proargtypes: vector(row.argTypes),
    proallargtypes: row.allArgTypes === undefined ? null : numberArray(row.allArgTypes),
    proargmodes: textArray(row.argModes),
    proargnames: textArray(row.argNames),
    proargdefaults:
      row.defaults === undefined || row.defaults.length === 0
        ? null
        : row.defaults.map((value) => defaultText(scope, value)).join(', '),
    prosrc: row.body === undefined ? row.source : /^(RETURN |BEGIN ATOMIC)/.test(row.body) ? '' : row.body,
    proconfig: textArray(row.config),
    proacl: aclValue(view, row.acl),
  }
}

function* operatorRows(view: CatalogView, lookup: Lookup): Iterable<RowRecord> {
  for (const row of userRows(view, 'operator', lookup, 'oid')) {
    yield {
      oid: row.oid,
      oprname: row.name,
      oprnamespace: row.namespace,
      oprowner: 10,
      oprkind: row.kind,
      oprcanmerge: row.canMerge,
      oprcanhash: row.canHash,
      oprleft: row.left,
      oprright: row.right,
      oprresult: row.result,
      oprcom: row.commutator,
      oprnegate: row.negator,
      oprcode: row.function,
      oprrest: functionOid(view, row.restriction),
      oprjoin: functionOid(view, row.join),
    }
  }
}

function* castRows(view: CatalogView, lookup: Lookup): Iterable<RowRecord> {
  for (const row of userRows(view, 'cast', lookup, 'oid')) {
    yield {
      oid: row.oid,
      castsource: row.source,
      casttarget: row.target,
      castfunc: row.function,
      castcontext: row.context,
      castmethod: row.method,
    }
  }
}

function* collationRows(view: CatalogView, lookup: Lookup): Iterable<RowRecord> {
  for (const row of userRows(view, 'collation', lookup, 'oid')) {
    yield {
      oid: row.oid,
      collname: row.name,
      collnamespace: row.namespace,
      collowner: 10,
      collprovider: row.provider,
      collisdeterministic: true,
      collencoding: -1,
      collcollate: row.provider === 'c' ? row.name : null,
      collctype: row.provider === 'c' ? row.name : null,
    }
  }
}

function* namespaceRows(view: CatalogView): Iterable<RowRecord> {
  for (const row of view.ownAll('namespace')) {
    if (row.oid !== PUBLIC && view.isBuiltin('namespace', row.oid)) continue
    yield { oid: row.oid, nspname: row.name, nspowner: row.owner, nspacl: aclValue(view, row.acl) }
  }
}
const PUBLIC = oid(2200)

function* roleRows(view: CatalogView): Iterable<RowRecord> {
  for (const row of view.roles()) {
    yield {
      oid: row.oid,
      rolname: row.name,
      rolsuper: row.superuser,
      rolinherit: row.inherit,
      rolcreaterole: row.createRole,
      rolcreatedb: row.createDatabase,
      rolcanlogin: row.canLogin,
      rolreplication: row.replication,
      rolbypassrls: row.bypassRls,
      rolconnlimit: row.connectionLimit,
      rolpassword: row.password ?? null,
      rolvaliduntil: row.validUntil === undefined ? null : timestampOf(row.validUntil),
    }
  }
}
const EPOCH_2000_MS = 946_684_800_000
function timestampOf(iso: string): number {
  if (iso === 'infinity') return Number.POSITIVE_INFINITY
  if (iso === '-infinity') return Number.NEGATIVE_INFINITY
  return (Date.parse(iso) - EPOCH_2000_MS) * 1000
}

function* memberRows(view: CatalogView): Iterable<RowRecord> {
  for (const row of view.roles()) {
    for (const { role, admin, grantor } of row.memberOf)
      yield { roleid: role, member: row.oid, grantor, admin_option: admin }
  }
}

const UTF8 = 6

function* databaseRows(view: CatalogView): Iterable<RowRecord> {
  for (const row of view.databases()) {
    yield {
      oid: row.oid,
      datname: row.name,
      datdba: row.owner,
      encoding: UTF8,
      datlocprovider: 'c',
      datistemplate: row.isTemplate,
      datallowconn: row.allowConnections,
      datconnlimit: row.connectionLimit,
      datfrozenxid: 3,
      datminmxid: 1,
      dattablespace: 1663,
      datcollate: 'C',
      datctype: 'C',
      datacl: aclValue(view, row.acl),
    }
  }
}

function* settingRows(view: CatalogView): Iterable<RowRecord> {
  for (const row of view.databases()) {
    if (row.settings !== undefined && row.settings.length > 0)
      yield { setdatabase: row.oid, setrole: 0, setconfig: textArray(row.settings) }
  }
  for (const row of view.roles()) {
    for (const [database, settings] of Object.entries(row.settings ?? {})) {
      if (settings.length > 0) yield { setdatabase: Number(database), setrole: row.oid, setconfig: textArray(settings) }
    }
  }
}

function* descriptionRows(view: CatalogView): Iterable<RowRecord> {
  for (const row of view.comments()) {
    if (!isSharedClass(row.classOid))
      yield { objoid: row.object, classoid: row.classOid, objsubid: row.subobject, description: row.text }
  }
}
function* sharedDescriptionRows(view: CatalogView): Iterable<RowRecord> {
  for (const row of view.comments()) {
    if (isSharedClass(row.classOid)) yield { objoid: row.object, classoid: row.classOid, description: row.text }
  }
}

function* defaultAclRows(view: CatalogView): Iterable<RowRecord> {
  for (const row of view.ownAll('default-acl')) {
    yield {
      oid: row.oid,
      defaclrole: row.role,
      defaclnamespace: row.namespace,
      defaclobjtype: row.objects,
      defaclacl: aclValue(view, row.acl),
    }
  }
}

function* extensionRows(view: CatalogView): Iterable<RowRecord> {
  for (const row of view.ownAll('extension')) {
    yield {
      oid: row.oid,
      extname: row.name,
      extowner: row.owner,
      extnamespace: row.namespace,
      extrelocatable: true,
      extversion: row.version,
    }
  }
}

export const OBJECT_ROWS: Readonly<Record<string, RowSource>> = {
  pg_type: typeRows,
  pg_enum: enumRows,
  pg_range: rangeRows,
  pg_default_acl: defaultAclRows,
  pg_proc: functionRows,
  pg_operator: operatorRows,
  pg_cast: castRows,
  pg_collation: collationRows,
  pg_namespace: namespaceRows,
  pg_authid: roleRows,
  pg_auth_members: memberRows,
  pg_database: databaseRows,
  pg_db_role_setting: settingRows,
  pg_description: descriptionRows,
  pg_shdescription: sharedDescriptionRows,
  pg_extension: extensionRows,
}
