/**
 * Names to oids and back, for the reg* types and to_reg* functions: PostgreSQL's rules of quoting, schema qualification
 * and search path over a catalog. Source: PostgreSQL manual, "Object Identifier Types".
 */
import { type Oid, oid } from '../../storage/keys/brand.ts'
import { sqlError } from '../types/error.ts'
import { OID } from '../types/oids.ts'
import type { NameLookup } from '../types/type.ts'
import type { FunctionRow, OperatorRow } from './catalog.ts'
import {
  collationName,
  formatType,
  functionSignature,
  type NameScope,
  namespaceUnless,
  operatorSignature,
  quoteIdentifier,
  quoteQualified,
  relationName,
} from './names.ts'
import { dataTable, fields } from './tsv.ts'

/** 'a."B c"' to ['a', 'B c']; unquoted parts in lower case. Throws 42602 for what is no name. */
function splitQualified(text: string): string[] {
  const parts: string[] = []
  let at = 0
  const bad = () => sqlError('42602', 'invalid name syntax')
  const skip = (): void => {
    while (at < text.length && /\s/.test(text[at]!)) at++
  }
  for (;;) {
    skip()
    let part = ''
    if (text[at] === '"') {
      for (at++; ; at++) {
        if (at >= text.length) throw bad()
        if (text[at] !== '"') part += text[at]
        else if (text[at + 1] === '"') {
          part += '"'
          at++
        } else break
      }
      at++
      if (part === '') throw bad()
    } else {
      const start = at
      while (at < text.length && text[at] !== '.' && !/\s/.test(text[at]!)) at++
      part = text.slice(start, at).toLowerCase()
      if (part === '' || part.includes('"')) throw bad()
    }
    parts.push(part)
    skip()
    if (at >= text.length) return parts
    if (text[at] !== '.') throw bad()
    at++
  }
}

interface Qualified {
  readonly schema: string | undefined
  readonly name: string
}

function qualified(scope: NameScope, text: string): Qualified {
  const parts = splitQualified(text)
  const name = parts.pop()!
  const schema = parts.pop()
  const database = parts.pop()
  if (parts.length > 0) throw sqlError('42601', `improper qualified name (too many dotted names): ${text}`)
  if (database !== undefined && database !== scope.catalog.databaseName) {
    throw sqlError('0A000', `cross-database references are not implemented: "${text}"`)
  }
  return { schema, name }
}

/** The schemas to look in: the one that was written, or the search path. Throws 3F000. */
function namespacesOf(scope: NameScope, { schema }: Qualified): readonly Oid[] {
  if (schema === undefined) return scope.searchPath
  const row = scope.catalog.namespaceByName(schema)
  if (row === undefined) throw sqlError('3F000', `schema "${schema}" does not exist`)
  return [row.oid]
}

function first<T>(namespaces: readonly Oid[], find: (namespace: Oid) => T | undefined): T | undefined {
  for (const namespace of namespaces) {
    const found = find(namespace)
    if (found !== undefined) return found
  }
  return undefined
}

/** Type names of more than one word, and those whose catalog name is another. */
const TYPE_WORDS: ReadonlyMap<string, string> = new Map([
  ['boolean', 'bool'],
  ['smallint', 'int2'],
  ['integer', 'int4'],
  ['int', 'int4'],
  ['bigint', 'int8'],
  ['real', 'float4'],
  ['double precision', 'float8'],
  ['decimal', 'numeric'],
  ['dec', 'numeric'],
  ['character varying', 'varchar'],
  ['char varying', 'varchar'],
  ['national character varying', 'varchar'],
  ['national char varying', 'varchar'],
  ['nchar varying', 'varchar'],
  ['character', 'bpchar'],
  ['char', 'bpchar'],
  ['nchar', 'bpchar'],
  ['national character', 'bpchar'],
  ['national char', 'bpchar'],
  ['bit varying', 'varbit'],
  ['timestamp without time zone', 'timestamp'],
  ['timestamp with time zone', 'timestamptz'],
  ['time without time zone', 'time'],
  ['time with time zone', 'timetz'],
]) // prettier-ignore

const TYPE_PATTERN =
  /^(.*?)\s*(?:\(\s*([^()]*?)\s*\))?\s*(with time zone|without time zone)?\s*((?:\[\s*\d*\s*\]\s*)*|(?<=\s)array)$/is

/** A type as SQL writes it: 'numeric(10,2)[]', 'timestamp(3) with time zone', 's."T"'. */
function findType(scope: NameScope, text: string): { readonly oid: Oid; readonly typmod: number } {
  const missing = () => sqlError('42704', `type "${text}" does not exist`)
  const match = TYPE_PATTERN.exec(text.trim().replace(/^setof\s+/i, ''))
  if (match === null || match[1] === '') throw sqlError('42601', `invalid type name "${text}"`)
  const [, base, args, zone, dimensions] = match
  const words =
    base!.toLowerCase().replace(/\s+/g, ' ') + (zone === undefined ? '' : ` ${zone.toLowerCase().replace(/\s+/g, ' ')}`)
  const known = base!.includes('"') ? undefined : TYPE_WORDS.get(words)
  let found: Oid | undefined
  if (known !== undefined) {
    found = scope.catalog.typeByName(PG_CATALOG, known)?.oid
  } else {
    if (zone !== undefined) throw sqlError('42601', `invalid type name "${text}"`)
    const name = qualified(scope, base!)
    found = first(namespacesOf(scope, name), (ns) => scope.catalog.typeByName(ns, name.name)?.oid)
  }
  if (found === undefined) throw missing()
  let typmod = -1
  if (args !== undefined) {
    const typmodIn = scope.catalog.type(found).typmodIn
    if (typmodIn === undefined)
      throw sqlError('42601', `type modifier is not allowed for type "${formatType(scope, found)}"`)
    typmod = typmodIn(args.split(',').map((arg) => arg.trim()))
  } else if (found === OID.bpchar && known !== undefined) {
    typmod = 5
  }
  if (dimensions === '') return { oid: found, typmod }
  const array = scope.catalog.typeRow(found)?.array ?? 0
  if (array === 0) throw missing()
  return { oid: oid(array), typmod }
}
const PG_CATALOG = oid(11)

/** 'f(integer, s.t)' to the name and its argument types; NONE is 0. */
function withArguments(scope: NameScope, text: string): { readonly name: string; readonly types: readonly Oid[] } {
  const open = text.indexOf('(')
  if (open < 0) throw sqlError('22P02', 'expected a left parenthesis')
  if (!text.trimEnd().endsWith(')')) throw sqlError('22P02', 'expected a right parenthesis')
  const inside = text.slice(open + 1, text.lastIndexOf(')'))
  const args = inside.trim() === '' ? [] : inside.split(/,(?![^(]*\))/).map((arg) => arg.trim())
  return {
    name: text.slice(0, open).trim(),
    types: args.map((arg) => (arg.toLowerCase() === 'none' ? oid(0) : findType(scope, arg).oid)),
  }
}
const sameTypes = (a: readonly Oid[], b: readonly Oid[]): boolean =>
  a.length === b.length && a.every((type, i) => type === b[i])

/** Functions that a name without arguments could mean: of the first schemas on the path, hidden ones left out. */
function functionCandidates(scope: NameScope, name: Qualified): FunctionRow[] {
  const namespaces = namespacesOf(scope, name)
  const out: FunctionRow[] = []
  for (const namespace of namespaces) {
    for (const row of scope.catalog.functionsByName(name.name)) {
      if (row.namespace === namespace && !out.some((other) => sameTypes(other.argTypes, row.argTypes))) out.push(row)
    }
  }
  return out
}

function findFunction(scope: NameScope, text: string, hasArguments: boolean): Oid {
  if (!hasArguments) {
    const candidates = functionCandidates(scope, qualified(scope, text))
    if (candidates.length > 1) throw sqlError('42725', `more than one function named "${text}"`)
    if (candidates[0] === undefined) throw sqlError('42883', `function "${text}" does not exist`)
    return candidates[0].oid
  }
  const { name, types } = withArguments(scope, text)
  const found = functionCandidates(scope, qualified(scope, name)).find((row) => sameTypes(row.argTypes, types))
  if (found === undefined) throw sqlError('42883', `function "${text}" does not exist`)
  return found.oid
}

function operatorCandidates(scope: NameScope, text: string): OperatorRow[] {
  const match = /^(?:(.*)\.)?([^."\s]+)$/s.exec(text.trim())
  if (match === null) throw sqlError('42602', 'invalid name syntax')
  const schema = match[1] === undefined ? undefined : splitQualified(match[1]).pop()!
  const name = { schema, name: match[2]! }
  const out: OperatorRow[] = []
  for (const namespace of namespacesOf(scope, name)) {
    for (const row of scope.catalog.operatorsByName(name.name)) {
      if (row.namespace === namespace && !out.some((other) => other.left === row.left && other.right === row.right))
        out.push(row)
    }
  }
  return out
}

function findOperator(scope: NameScope, text: string, hasArguments: boolean): Oid {
  if (!hasArguments) {
    if (text.trim() === '0') return oid(0)
    const candidates = operatorCandidates(scope, text)
    if (candidates.length > 1) throw sqlError('42725', `more than one operator named ${text}`)
    if (candidates[0] === undefined) throw sqlError('42883', `operator does not exist: ${text}`)
    return candidates[0].oid
  }
  const { name, types } = withArguments(scope, text)
  if (types.length === 1)
    throw sqlError('42P02', 'missing argument', {
      hint: 'Use NONE to denote the missing argument of a unary operator.',
    })
  if (types.length !== 2)
    throw sqlError('54023', 'too many arguments', { hint: 'Provide two argument types for operator.' })
  const found = operatorCandidates(scope, name).find((row) => row.left === types[0] && row.right === types[1])
  if (found === undefined) throw sqlError('42883', `operator does not exist: ${text}`)
  return found.oid
}

function single(text: string): string {
  const parts = splitQualified(text)
  if (parts.length !== 1) throw sqlError('42602', 'invalid name syntax')
  return parts[0]!
}

function found<T extends { readonly oid: Oid }>(row: T | undefined, code: string, message: string): Oid {
  if (row === undefined) throw sqlError(code, message)
  return row.oid
}

/** Text search objects are the data's alone: oid, name, schema come first in their tables. */
function findSearchObject(scope: NameScope, table: string, kind: string, text: string): Oid {
  const name = qualified(scope, text)
  const namespaces = namespacesOf(scope, name).map(String)
  const row = dataTable(table)
    .lines.map(fields)
    .find((each) => each[1] === name.name && namespaces.includes(each[2]!))
  if (row === undefined) throw sqlError('42704', `${kind} "${text}" does not exist`)
  return oid(Number(row[0]))
}
function searchObjectName(scope: NameScope, table: string, wanted: Oid): string | undefined {
  const line = dataTable(table).lines.find((each) => each.startsWith(`${wanted}\t`))
  if (line === undefined) return undefined
  const [, name, namespace] = fields(line)
  const schema = oid(Number(namespace))
  return quoteQualified(namespaceUnless(scope, scope.searchPath.includes(schema), schema), name!)
}

/** `scope` is asked anew at each call: its search path and catalog may change during the session. */
export function nameLookup(scope: NameScope): NameLookup {
  return {
    findRelation: (text) => {
      const name = qualified(scope, text)
      const shown = name.schema === undefined ? name.name : `${name.schema}.${name.name}`
      const row = first(namespacesOf(scope, name), (ns) => scope.catalog.relationByName(ns, name.name))
      return found(row, '42P01', `relation "${shown}" does not exist`)
    },
    findType: (text) => findType(scope, text),
    findFunction: (text, hasArguments) => findFunction(scope, text, hasArguments),
    findOperator: (text, hasArguments) => findOperator(scope, text, hasArguments),
    findNamespace: (text) =>
      found(scope.catalog.namespaceByName(single(text)), '3F000', `schema "${single(text)}" does not exist`),
    findRole: (text) => found(scope.catalog.roleByName(single(text)), '42704', `role "${single(text)}" does not exist`),
    findCollation: (text) => {
      const name = qualified(scope, text)
      const row = first(namespacesOf(scope, name), (ns) => scope.catalog.collationByName(ns, name.name))
      return found(row, '42704', `collation "${text}" for encoding "UTF8" does not exist`)
    },
    findConfig: (text) => findSearchObject(scope, 'pg_ts_config', 'text search configuration', text),
    findDictionary: (text) => findSearchObject(scope, 'pg_ts_dict', 'text search dictionary', text),
    configName: (wanted) => searchObjectName(scope, 'pg_ts_config', wanted),
    dictionaryName: (wanted) => searchObjectName(scope, 'pg_ts_dict', wanted),
    relationName: (wanted) => {
      const row = scope.catalog.relation(wanted)
      return row === undefined ? undefined : relationName(scope, row)
    },
    typeName: (wanted, typmod) =>
      scope.catalog.typeRow(wanted) === undefined
        ? undefined
        : formatType(scope, wanted, typmod === undefined || typmod < 0 ? undefined : typmod),
    functionName: (wanted, hasArguments) => {
      const row = scope.catalog.function(wanted)
      if (row === undefined) return undefined
      if (hasArguments) return functionSignature(scope, row)
      const candidates = functionCandidates(scope, { schema: undefined, name: row.name })
      const unique = candidates.length === 1 && candidates[0]!.oid === wanted
      return quoteQualified(namespaceUnless(scope, unique, row.namespace), row.name)
    },
    operatorName: (wanted, hasArguments) => {
      const row = scope.catalog.operator(wanted)
      if (row === undefined) return undefined
      if (hasArguments) return operatorSignature(scope, row)
      const candidates = scope.catalog
        .operatorsByName(row.name)
        .filter((other) => scope.searchPath.includes(other.namespace))
      const namespace = namespaceUnless(scope, candidates.length === 1 && candidates[0]!.oid === wanted, row.namespace)
      return namespace === undefined ? row.name : `${quoteIdentifier(namespace)}.${row.name}`
    },
    namespaceName: (wanted) => scope.catalog.namespace(wanted)?.name,
    roleName: (wanted) => scope.catalog.role(wanted)?.name,
    collationName: (wanted) => {
      const row = scope.catalog.collation(wanted)
      return row === undefined ? undefined : collationName(scope, row)
    },
  }
}
