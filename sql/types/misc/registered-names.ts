/**
 * The reg* types: an oid that is read and shown as a name. The names live in the catalog, reached by context.names;
 * digits are always accepted, '-' is 0, and an oid without a name is shown as its digits.
 * Source: PostgreSQL manual, "Object Identifier Types".
 */
import { type Oid, oid } from '../../../storage/keys/brand.ts'
import { notSupported, SqlError } from '../error.ts'
import { bound, type CallInfo, type FunctionBody, type FunctionTable } from '../function.ts'
import { quoteIdent } from '../text/quote.ts'
import type { NameLookup, Type } from '../type.ts'
import { parseOid, UNSIGNED32 } from './identifiers.ts'

interface Registry {
  readonly oid: number
  readonly name: string
  find(names: NameLookup, text: string): Oid
  show(names: NameLookup, id: Oid): string | undefined
}

const quoted = (name: string | undefined): string | undefined => (name === undefined ? undefined : quoteIdent(name))

const REGISTRIES: readonly Registry[] = [
  { oid: 2205, name: 'regclass', find: (n, t) => n.findRelation(t), show: (n, id) => n.relationName(id) },
  { oid: 2206, name: 'regtype', find: (n, t) => n.findType(t).oid, show: (n, id) => n.typeName(id) },
  { oid: 24, name: 'regproc', find: (n, t) => n.findFunction(t, false), show: (n, id) => n.functionName(id, false) },
  {
    oid: 2202,
    name: 'regprocedure',
    find: (n, t) => n.findFunction(t, true),
    show: (n, id) => n.functionName(id, true),
  },
  { oid: 2203, name: 'regoper', find: (n, t) => n.findOperator(t, false), show: (n, id) => n.operatorName(id, false) },
  {
    oid: 2204,
    name: 'regoperator',
    find: (n, t) => n.findOperator(t, true),
    show: (n, id) => n.operatorName(id, true),
  },
  { oid: 4089, name: 'regnamespace', find: (n, t) => n.findNamespace(t), show: (n, id) => quoted(n.namespaceName(id)) },
  { oid: 4096, name: 'regrole', find: (n, t) => n.findRole(t), show: (n, id) => quoted(n.roleName(id)) },
  { oid: 4191, name: 'regcollation', find: (n, t) => n.findCollation(t), show: (n, id) => n.collationName(id) },
  { oid: 3734, name: 'regconfig', find: (n, t) => n.findConfig(t), show: (n, id) => n.configName(id) },
  { oid: 3769, name: 'regdictionary', find: (n, t) => n.findDictionary(t), show: (n, id) => n.dictionaryName(id) },
]

const DIGITS = /^[0-9]+$/

function find(registry: Registry, text: string, names: NameLookup | undefined): Oid {
  if (text === '-') return oid(0)
  if (DIGITS.test(text)) return oid(parseOid(text))
  if (names === undefined) throw notSupported(`name lookup for type ${registry.name} without a catalog`)
  return registry.find(names, text)
}

function show(registry: Registry, id: number, names: NameLookup | undefined): string {
  if (id === 0) return registry.name === 'regoper' || registry.name === 'regoperator' ? '0' : '-'
  return (names === undefined ? undefined : registry.show(names, oid(id))) ?? String(id)
}

export const REGISTERED_NAME_TYPES: readonly Type[] = REGISTRIES.map((registry) => ({
  ...UNSIGNED32,
  oid: oid(registry.oid),
  name: registry.name,
  input: (text, _typmod, context) => find(registry, text, context.names),
  output: (value, context) => show(registry, value as number, context.names),
}))

/** What "there is no such object" is called: undefined table, function, object, schema, column's type. */
const NOT_FOUND = new Set(['42P01', '42883', '42704', '3F000', '42725', '0A000'])

/** to_regclass and its kind: null when there is no such object. */
function lookup(registry: Registry): FunctionBody {
  return bound((call: CallInfo) => (text: string) => {
    try {
      return find(registry, text, call.context.names)
    } catch (error) {
      if (error instanceof SqlError && NOT_FOUND.has(error.code)) return null
      throw error
    }
  })
}

function tableOfFunctions(): FunctionTable {
  const table: Record<string, FunctionBody> = {}
  for (const registry of REGISTRIES) table[`to_${registry.name}`] = lookup(registry)
  const regclass = REGISTRIES[0]!
  table.text_regclass = bound((call) => (text: string) => find(regclass, text, call.context.names))
  return table
}

export const REGISTERED_NAME_FUNCTIONS: FunctionTable = tableOfFunctions()
