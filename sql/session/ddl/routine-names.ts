/** A function or procedure as statements name it: `f(int, text)`, `f` where there is one of that name only. */
import type { Node, ObjectWithArgs } from '@pgsql/types'
import { resolveTypeName, typeName } from '../../binder/binder.ts'
import type { FunctionRow } from '../../catalog/catalog.ts'
import { sqlError } from '../../types/error.ts'
import { PG_CATALOG } from '../../types/oids.ts'
import { binder, type Ddl, qualifiedName } from './context.ts'

export type RoutineKind = 'OBJECT_FUNCTION' | 'OBJECT_PROCEDURE' | 'OBJECT_ROUTINE' | 'OBJECT_AGGREGATE'
const WORDS: Readonly<Record<RoutineKind, string>> = {
  OBJECT_FUNCTION: 'function',
  OBJECT_PROCEDURE: 'procedure',
  OBJECT_ROUTINE: 'routine',
  OBJECT_AGGREGATE: 'aggregate',
}
export const isRoutineKind = (type: string | undefined): type is RoutineKind => type !== undefined && type in WORDS

const KINDS: Readonly<Record<RoutineKind, string>> = {
  OBJECT_FUNCTION: 'fw',
  OBJECT_PROCEDURE: 'p',
  OBJECT_ROUTINE: 'fwpa',
  OBJECT_AGGREGATE: 'a',
}

/** Throws 42883 when there is none, 42725 when a name without arguments means several, 42809 for one of another kind. */
export function requireRoutine(ddl: Ddl, type: RoutineKind, node: ObjectWithArgs): FunctionRow {
  const found = findRoutine(ddl, type, node)
  if (found !== undefined) return found
  throw missingRoutine(ddl, type, node)
}

export function missingRoutine(ddl: Ddl, type: RoutineKind, node: ObjectWithArgs) {
  const { shown, types } = nameOf(ddl, node)
  if (node.args_unspecified === true) return sqlError('42883', `could not find a ${WORDS[type]} named "${shown}"`)
  return sqlError('42883', `${WORDS[type]} ${shown}(${types.map((each) => each.shown).join(', ')}) does not exist`)
}

function nameOf(ddl: Ddl, node: ObjectWithArgs) {
  const { schema, name } = qualifiedName(node.objname ?? [])
  const b = binder(ddl)
  const types = inputTypes(node).map((each) => {
    const { type } = resolveTypeName(b, each)
    return { type, shown: typeName(b, type) }
  })
  return { schema, name, shown: schema === undefined ? name : `${schema}.${name}`, types }
}
type TypeNode = Extract<Node, { TypeName: unknown }>['TypeName']
const inputTypes = (node: ObjectWithArgs): TypeNode[] =>
  (node.objargs ?? []).flatMap((arg) => ('TypeName' in arg ? [arg.TypeName] : []))

export function findRoutine(ddl: Ddl, type: RoutineKind, node: ObjectWithArgs): FunctionRow | undefined {
  const { schema, name, shown, types } = nameOf(ddl, node)
  const namespaces = schema === undefined ? ddl.session.searchPath : schemaNamed(ddl, schema)
  const candidates = namespaces.flatMap((namespace) =>
    ddl.editor.functionsByName(name).filter((row) => row.namespace === namespace),
  )
  const fits = (row: FunctionRow): boolean => KINDS[type].includes(row.kind)
  if (node.args_unspecified === true) {
    const all = candidates.filter(fits)
    if (all.length > 1)
      throw sqlError('42725', `${WORDS[type]} name "${shown}" is not unique`, {
        hint: `Specify the argument list to select the ${WORDS[type]} unambiguously.`,
      })
    return all[0]
  }
  const same = (row: FunctionRow, given: readonly number[]): boolean =>
    row.argTypes.length === given.length && row.argTypes.every((arg, i) => arg === given[i])
  const wanted = types.map((each) => each.type)
  const found = candidates.find((row) => same(row, wanted))
  if (found !== undefined && !fits(found)) throw wrongKind(ddl, type, found)
  // A procedure may be named with its OUT parameters too.
  return (
    found ??
    candidates.find((row) => row.kind === 'p' && fits(row) && sameList(row.allArgTypes ?? row.argTypes, wanted))
  )
}
const sameList = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((each, i) => each === b[i])

function schemaNamed(ddl: Ddl, name: string) {
  if (name === 'pg_temp') return ddl.session.tempNamespace === 0 ? [] : [ddl.session.tempNamespace]
  const row = name === 'pg_catalog' ? { oid: PG_CATALOG } : ddl.editor.namespaceByName(name)
  return row === undefined ? [] : [row.oid]
}

function wrongKind(ddl: Ddl, type: RoutineKind, row: FunctionRow) {
  const b = binder(ddl)
  const signature = `${row.name}(${row.argTypes.map((each) => typeName(b, each)).join(', ')})`
  const article = type === 'OBJECT_AGGREGATE' ? 'an' : 'a'
  return sqlError('42809', `${signature} is not ${article} ${WORDS[type]}`)
}
