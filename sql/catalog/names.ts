/**
 * How catalog objects are written in SQL: quoting, schema qualification where the search path does not find them, and
 * the names of types (PostgreSQL's quote_identifier, *_is_visible and format_type).
 */
import { type Oid, oid } from '../../storage/keys/brand.ts'
import { OID } from '../types/oids.ts'
import { quoteIdent } from '../types/text/quote.ts'
import type { Catalog, CollationRow, FunctionRow, OperatorRow, RelationRow, TypeRow } from './catalog.ts'

/** `searchPath`: the effective one, with pg_catalog (and the session's temporary schema) where it is looked in. */
export interface NameScope {
  readonly catalog: Catalog
  readonly searchPath: readonly Oid[]
}

export const quoteIdentifier = quoteIdent
export const quoteQualified = (namespace: string | undefined, name: string): string =>
  namespace === undefined ? quoteIdentifier(name) : `${quoteIdentifier(namespace)}.${quoteIdentifier(name)}`

/** The first schema of the path that has such an object is this one's. */
function visible(scope: NameScope, namespace: Oid, has: (namespace: Oid) => boolean): boolean {
  for (const candidate of scope.searchPath) {
    if (candidate === namespace) return true
    if (has(candidate)) return false
  }
  return false
}
const sameTypes = (a: readonly Oid[], b: readonly Oid[]): boolean =>
  a.length === b.length && a.every((type, i) => type === b[i])

export const relationVisible = (scope: NameScope, row: RelationRow): boolean =>
  visible(scope, row.namespace, (ns) => scope.catalog.relationByName(ns, row.name) !== undefined)
export const typeVisible = (scope: NameScope, row: TypeRow): boolean =>
  visible(scope, row.namespace, (ns) => scope.catalog.typeByName(ns, row.name) !== undefined)
export const collationVisible = (scope: NameScope, row: CollationRow): boolean =>
  visible(scope, row.namespace, (ns) => scope.catalog.collationByName(ns, row.name) !== undefined)
export const functionVisible = (scope: NameScope, row: FunctionRow): boolean =>
  visible(scope, row.namespace, (ns) =>
    scope.catalog
      .functionsByName(row.name)
      .some((other) => other.namespace === ns && sameTypes(other.argTypes, row.argTypes)),
  )
export const operatorVisible = (scope: NameScope, row: OperatorRow): boolean =>
  visible(scope, row.namespace, (ns) =>
    scope.catalog
      .operatorsByName(row.name)
      .some((other) => other.namespace === ns && other.left === row.left && other.right === row.right),
  )

/** undefined when the object is found without it. */
export const namespaceUnless = (scope: NameScope, isVisible: boolean, namespace: Oid): string | undefined =>
  isVisible ? undefined : scope.catalog.namespace(namespace)?.name

export const relationName = (scope: NameScope, row: RelationRow): string =>
  quoteQualified(namespaceUnless(scope, relationVisible(scope, row), row.namespace), row.name)
export const qualifiedRelationName = (scope: NameScope, row: RelationRow): string =>
  quoteQualified(scope.catalog.namespace(row.namespace)?.name, row.name)
export const collationName = (scope: NameScope, row: CollationRow): string =>
  quoteQualified(namespaceUnless(scope, collationVisible(scope, row), row.namespace), row.name)

/** Written names of types that are not their pg_type.typname. */
const SQL_NAMES: ReadonlyMap<Oid, string> = new Map([
  [OID.bool, 'boolean'],
  [OID.bpchar, 'character'],
  [OID.float4, 'real'],
  [OID.float8, 'double precision'],
  [OID.int2, 'smallint'],
  [OID.int4, 'integer'],
  [OID.int8, 'bigint'],
  [OID.numeric, 'numeric'],
  [OID.interval, 'interval'],
  [OID.bit, 'bit'],
  [OID.varbit, 'bit varying'],
  [OID.varchar, 'character varying'],
])
/** Of those, the ones that take a typmod. */
const LENGTHS: ReadonlySet<Oid> = new Set([OID.bpchar, OID.numeric, OID.interval, OID.bit, OID.varbit, OID.varchar])
const TIMES: ReadonlyMap<Oid, readonly [name: string, zone: string]> = new Map([
  [OID.time, ['time', 'without time zone'] as const],
  [OID.timetz, ['time', 'with time zone'] as const],
  [OID.timestamp, ['timestamp', 'without time zone'] as const],
  [OID.timestamptz, ['timestamp', 'with time zone'] as const],
])

/**
 * PostgreSQL's format_type. `typmod` undefined: none was given (bit and bpchar without one are then 'bit', 'character');
 * '-' for oid 0, '???' for a type that does not exist. `qualify`: the schema always stands before names that need one.
 */
export function formatType(scope: NameScope, type: Oid, typmod?: number, qualify = false): string {
  if (type === 0) return '-'
  const row = scope.catalog.typeRow(type)
  if (row === undefined) return '???'
  if (row.isArray && row.element !== 0 && row.storage !== 'p')
    return `${formatType(scope, row.element, typmod, qualify)}[]`
  const modified = typmod !== undefined && typmod >= 0
  const time = TIMES.get(type)
  if (time !== undefined) return `${time[0]}${modified ? `(${typmod})` : ''} ${time[1]}`
  const name = SQL_NAMES.get(type)
  // "bit" and bpchar with typmod -1 are not BIT(1) and CHAR(1): their catalog names say so.
  if (name !== undefined && (modified || typmod === undefined || (type !== OID.bit && type !== OID.bpchar))) {
    return modified && LENGTHS.has(type) ? name + printTypmod(scope, type, typmod) : name
  }
  const plain = quoteQualified(namespaceUnless(scope, !qualify && typeVisible(scope, row), row.namespace), row.name)
  return modified ? plain + printTypmod(scope, type, typmod) : plain
}

function printTypmod(scope: NameScope, type: Oid, typmod: number): string {
  if (type === OID.varchar || type === OID.bpchar) return typmod > 4 ? `(${typmod - 4})` : ''
  if (type === OID.bit || type === OID.varbit) return `(${typmod})`
  if (type === OID.numeric) {
    if (typmod < 4) return ''
    const packed = typmod - 4
    return `(${(packed >> 16) & 0xffff},${((packed & 0x7ff) ^ 1024) - 1024})`
  }
  const print = scope.catalog.type(type).typmodOut
  return print === undefined ? `(${typmod})` : print(typmod)
}

/** 'lower(text)': as regprocedure prints it. */
export function functionSignature(scope: NameScope, row: FunctionRow, qualify = false): string {
  const namespace = namespaceUnless(scope, !qualify && functionVisible(scope, row), row.namespace)
  return `${quoteQualified(namespace, row.name)}(${row.argTypes.map((type) => formatType(scope, type, undefined, qualify)).join(',')})`
}

/** '+(integer,integer)': as regoperator prints it; a missing left argument is NONE. */
export function operatorSignature(scope: NameScope, row: OperatorRow, qualify = false): string {
  const namespace = namespaceUnless(scope, !qualify && operatorVisible(scope, row), row.namespace)
  const name = namespace === undefined ? row.name : `${quoteIdentifier(namespace)}.${row.name}`
  const side = (type: Oid): string => (type === 0 ? 'NONE' : formatType(scope, type, undefined, qualify))
  return `${name}(${side(row.left)},${side(row.right)})`
}

/** The path inside which system views were written. */
export const SYSTEM_PATH: readonly Oid[] = [oid(11)]
