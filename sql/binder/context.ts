/**
 * What binding one statement needs and collects: the catalog, the search path, parameter types as they become known, and
 * the text for error positions. Scopes (scope.ts) nest inside it, one a query level.
 */
import { type Oid, oid } from '../../storage/keys/brand.ts'
import type { Catalog, RelationRow } from '../catalog/catalog.ts'
import type { Expression } from '../plan/expression.ts'
import type { Query } from '../plan/query.ts'
import { forEachChild } from '../plan/walk.ts'
import { type ErrorFields, type SqlError, sqlError } from '../types/error.ts'
import { OID, PG_CATALOG } from '../types/oids.ts'
import type { TypeContext } from '../types/type.ts'

export interface BindContext {
  readonly catalog: Catalog
  /** Namespace oids in order, pg_catalog included (first unless it is listed); the temporary schema first of all. */
  readonly searchPath: readonly Oid[]
  readonly typeContext: TypeContext
  readonly source: string
  /** Types of $1…; 0 while unknown. `fixed`: no others may appear (42P02). */
  readonly parameters: Oid[]
  readonly parametersFixed: boolean
  /** A parse of the statement's literals depended on a session setting or on the clock: the plan cache asks. */
  dependsOnSettings: boolean
  dependsOnClock: boolean
  /** Every table, view and sequence named: for locks and invalidation. */
  readonly relationsUsed: Set<Oid>
  /** Privileges wanted on what the statement itself names, as letters of PostgreSQL's ACLs (r, a, w, d). */
  readonly accesses: Map<Oid, string>
  /** Privileges wanted on what the views that it names are made of. */
  readonly viewAccesses: ViewAccess[]
  /** The statement stands in this function's body: a name that is no column may be one of its parameters. */
  readonly routine?: { readonly name: string; readonly parameters: readonly (string | undefined)[] }
  /** Sees a relation named in the query before the catalog is asked; undefined: no such thing. For transition tables and rules; unused otherwise. */
  notice(severity: 'NOTICE' | 'WARNING', code: string, message: string): void
}

/** A privilege that a view's own query needs. */
export interface ViewAccess {
  /** Who must have it: the view's owner; undefined: whoever runs the statement. */
  readonly role: Oid | undefined
  readonly relation: Oid
  readonly letters: string
  /** Where the relation is named: its columns are asked for where the table as a whole is not granted. */
  readonly query: Query
}

/** A character position, from 1, for a byte offset into `source`. */
function positionOf(source: string, location: number | undefined): number | undefined {
  if (location === undefined || location < 0) return undefined
  // Most statements are ASCII, where bytes are characters.
  let bytes = 0
  let characters = 0
  for (let i = 0; i < source.length && bytes < location; i++) {
    const code = source.charCodeAt(i)
    if (code < 0x80) bytes += 1
    else if (code < 0x800) bytes += 2
    else if (code >= 0xd800 && code < 0xdc00) {
      bytes += 4
      i++
    } else bytes += 3
    characters++
  }
  return characters + 1
}

export function errorAt(
  b: BindContext,
  code: string,
  message: string,
  location?: number,
  fields: ErrorFields = {},
): SqlError {
  const position = positionOf(b.source, location)
  return sqlError(code, message, position === undefined ? fields : { ...fields, position })
}

/**
 * Where bound expressions stand in the text, for errors found after their parse nodes are gone (grouping, aggregates'
 * levels, assignments). Beside the trees, not in them: the catalog keeps trees, and equal trees must be equal.
 */
const locations = new WeakMap<Expression, number>()
/** The same node noted at a place. A shared node (a column in scope) must be copied first. */
export function located<E extends Expression>(e: E, location: number | undefined): E {
  if (location !== undefined && location >= 0) locations.set(e, location)
  return e
}
/** The leftmost place of an expression or its parts (exprLocation). */
export function placeOf(e: Expression): number | undefined {
  let found = locations.get(e)
  forEachChild(e, (child) => {
    const at = placeOf(child)
    if (at !== undefined && (found === undefined || at < found)) found = at
  })
  return found
}
/** A parameter of the function whose body this is: `name`, `f.name`. */
export function routineParameter(b: BindContext, qualifier: string | undefined, name: string): Expression | undefined {
  if (b.routine === undefined || (qualifier !== undefined && qualifier !== b.routine.name)) return undefined
  const index = b.routine.parameters.indexOf(name)
  return index < 0 ? undefined : { kind: 'param', index: index + 1, type: b.parameters[index]!, typmod: -1 }
}

export const ownPlace = (e: Expression): number | undefined => locations.get(e)

/** Runs `work`; an SqlError without a position gets this one. */
export function at<T>(b: BindContext, location: number | undefined, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (error instanceof Error && error.name === 'SqlError') {
      const failure = error as SqlError
      if (failure.fields.position === undefined && location !== undefined)
        failure.fields = { ...failure.fields, position: positionOf(b.source, location) }
    }
    throw error
  }
}

/** 'integer', 'character varying(10)': as format_type prints it. */
export const typeName = (b: BindContext, type: Oid, typmod = -1): string => {
  const printed = b.typeContext.names?.typeName(type, typmod)
  return printed ?? b.catalog.typeRow(type)?.name ?? `${type}`
}

/** A domain's base type, anything else itself. */
export function baseType(b: BindContext, type: Oid): Oid {
  let row = b.catalog.typeRow(type)
  while (row !== undefined && row.kind === 'd') row = b.catalog.typeRow(row.baseType)
  return row?.oid ?? type
}
export function baseTypmod(b: BindContext, type: Oid, typmod: number): number {
  let row = b.catalog.typeRow(type)
  let mod = typmod
  while (row !== undefined && row.kind === 'd') {
    mod = row.typmod
    row = b.catalog.typeRow(row.baseType)
  }
  return mod
}

/** The element type of a true array, else 0. */
export function elementType(b: BindContext, type: Oid): Oid {
  const row = b.catalog.typeRow(baseType(b, type))
  if (row === undefined) return oid(0)
  return row.isArray || row.oid === OID.int2vector || row.oid === OID.oidvector ? row.element : oid(0)
}
export const arrayTypeOf = (b: BindContext, element: Oid): Oid => b.catalog.typeRow(element)?.array ?? oid(0)

/** Looks a relation up by name; the first schema on the path wins. */
export function findRelation(b: BindContext, schema: string | undefined, name: string): RelationRow | undefined {
  if (schema !== undefined) {
    const namespace = b.catalog.namespaceByName(schema)
    return namespace && b.catalog.relationByName(namespace.oid, name)
  }
  for (const namespace of b.searchPath) {
    const found = b.catalog.relationByName(namespace, name)
    if (found !== undefined) return found
  }
  return undefined
}

export function requireNamespace(b: BindContext, name: string, location?: number): Oid {
  // The session's own temporary schema is on its path.
  const own =
    name === 'pg_temp' ? b.searchPath.find((each) => b.catalog.namespace(each)?.name.startsWith('pg_temp_')) : undefined
  if (own !== undefined) return own
  const row = b.catalog.namespaceByName(name)
  if (row === undefined) throw errorAt(b, '3F000', `schema "${name}" does not exist`, location)
  return row.oid
}

export const pathRank = (b: BindContext, namespace: Oid): number => {
  const rank = b.searchPath.indexOf(namespace)
  return rank < 0 && namespace === PG_CATALOG ? 0 : rank
}

/** Notes that the statement needs this privilege on a relation. */
export function wantAccess(b: BindContext, relation: Oid, letter: 'r' | 'a' | 'w' | 'd'): void {
  const known = b.accesses.get(relation) ?? ''
  if (!known.includes(letter)) b.accesses.set(relation, known + letter)
}
