/** DROP of everything that other objects can depend on: what goes is listed, locked, reported, then taken away in order. */
import type { DropStmt, Node, ObjectWithArgs } from '@pgsql/types'
import { type Oid, oid } from '../../../storage/keys/brand.ts'
import { droppedColumn } from '../../access/row.ts'
import { findType, namesOf, typeName } from '../../binder/binder.ts'
import type { ExtensionRow, FunctionRow, RelationRow, TypeRow } from '../../catalog/catalog.ts'
import { CLASS, KIND_OF } from '../../catalog/classes.ts'
import { ownedBy } from '../../catalog/privileges.ts'
import type { MutableRow } from '../../executor/operator.ts'
import { notSupported, SqlError, sqlError } from '../../types/error.ts'
import type { Row } from '../../types/value.ts'
import { preventInBlock } from '../control.ts'
import { removeComment } from './comment.ts'
import {
  binder,
  type Ddl,
  defineDdl,
  forbidSystemCatalog,
  itemsOf,
  KIND_WORDS,
  lockRelation,
  lookUpRelation,
  notice,
  openRelation,
  qualifiedName,
  rangeVarOf,
  requireOwner,
  roleOf,
  shownName,
  stringNode,
  update,
} from './context.ts'
import { type DropItem, dependencyGraph, dropList, type Graph, type ObjectAddress, reportDrop } from './depend.ts'
import { findRoutine, type RoutineKind, requireRoutine } from './routine-names.ts'
import { removeSequenceState, removeStorage, rewriteTable } from './storage.ts'
import { removeType } from './types.ts'

/** Drops with everything that depends on it, silently: temporary tables, DROP OWNED. */
export const dropAll = (ddl: Ddl, targets: readonly ObjectAddress[]): Promise<void> => perform(ddl, targets, true, true)

/** As a DROP statement does: reports, refuses without CASCADE. */
export const drop = (ddl: Ddl, targets: readonly ObjectAddress[], cascade: boolean): Promise<void> =>
  perform(ddl, targets, cascade, false)

async function perform(ddl: Ddl, targets: readonly ObjectAddress[], cascade: boolean, quiet: boolean): Promise<void> {
  if (targets.length === 0) return
  const locked = new Set<Oid>()
  for (;;) {
    const graph = dependencyGraph(ddl)
    const list = dropList(ddl, graph, targets)
    const relations = list
      .map((item) => relationOf(ddl, graph, item.address))
      .filter((each): each is Oid => each !== undefined && !locked.has(each))
    if (relations.length > 0) {
      if (!quiet && !cascade) reportDrop(ddl, list, targets, false)
      for (const relation of relations) {
        if (locked.has(relation)) continue
        locked.add(relation)
        await lockRelation(ddl, relation, 'access-exclusive')
      }
      continue
    }
    if (!quiet) reportDrop(ddl, list, targets, cascade)
    const rewritten = new Map<Oid, RelationRow>()
    // Rows are moved while the types of the columns that go are still there to read them with.
    const isType = ({ address }: DropItem): boolean => address.classOid === CLASS.type
    for (const { address } of list.filter((item) => !isType(item))) remove(ddl, graph, address, rewritten)
    for (const [table, before] of rewritten) {
      const now = ddl.editor.relation(table)
      if (now !== undefined) await rewriteTable(ddl, before, now, withoutDropped(before, now))
    }
    for (const { address } of list.filter(isType)) remove(ddl, graph, address, rewritten)
    return
  }
}

/** From a row of the live columns to one of those that have stayed; undefined when all have. */
function withoutDropped(before: RelationRow, after: RelationRow): ((old: Row) => MutableRow) | undefined {
  const live = before.columns.filter((column) => !column.dropped)
  const kept = live.flatMap((column, i) => (after.columns[column.number - 1]!.dropped ? [] : [i]))
  if (kept.length === live.length) return undefined
  return (old) => kept.map((i) => old[i]!)
}

/** The table, view … that a drop touches. */
function relationOf(ddl: Ddl, graph: Graph, address: ObjectAddress): Oid | undefined {
  switch (address.classOid) {
    case CLASS.relation: {
      const row = ddl.editor.relation(address.object)
      return row?.index?.table ?? row?.oid
    }
    case CLASS.attrdef:
      return graph.defaults.get(address.object)?.object
    case CLASS.constraint:
      return tableOfConstraint(ddl, address.object)?.oid
    default:
      return undefined
  }
}

function tableOfConstraint(ddl: Ddl, constraint: Oid): RelationRow | undefined {
  for (const row of ddl.editor.ownAll('relation'))
    if (row.constraints.some((each) => each.oid === constraint)) return row
  return undefined
}

function remove(ddl: Ddl, graph: Graph, address: ObjectAddress, rewritten: Map<Oid, RelationRow>): void {
  const { editor } = ddl
  switch (address.classOid) {
    case CLASS.relation: {
      const row = editor.relation(address.object)
      if (row === undefined) return
      if (address.sub > 0) removeColumn(ddl, row, address.sub)
      else removeRelation(ddl, row, rewritten)
      return
    }
    case CLASS.attrdef: {
      const column = graph.defaults.get(address.object)
      const row = column && editor.relation(column.object)
      if (row === undefined || column === undefined) return
      if (row.columns[column.sub - 1]!.generated !== undefined) {
        removeColumn(ddl, row, column.sub)
        return
      }
      update(ddl, {
        ...row,
        columns: row.columns.map((each) => (each.number === column.sub ? withoutDefault(each) : each)),
      })
      return
    }
    case CLASS.constraint: {
      const table = tableOfConstraint(ddl, address.object)
      if (table !== undefined) {
        update(ddl, { ...table, constraints: table.constraints.filter((each) => each.oid !== address.object) })
        removeComment(ddl, CLASS.constraint, address.object)
        return
      }
      for (const type of editor.ownAll('type')) {
        const checks = type.domain?.checks
        if (checks?.some((each) => each.oid === address.object))
          editor.put('type', {
            ...type,
            domain: { ...type.domain!, checks: checks.filter((each) => each.oid !== address.object) },
          })
      }
      return
    }
    case CLASS.rewrite:
    case CLASS.opclass: // an extension's, built in
      return
    case CLASS.type: {
      const row = editor.typeRow(address.object)
      // An extension's built-in type stays: only what uses it goes.
      if (row !== undefined && row.oid >= 16384) {
        if (row.kind === 'c' && editor.relation(row.relation)?.kind === 'c') editor.remove('relation', row.relation)
        removeType(ddl, row.oid)
      }
      return
    }
    default: {
      const kind = KIND_OF.get(address.classOid)
      if (kind === undefined) throw sqlError('XX000', `objects of class ${address.classOid} cannot be dropped`)
      editor.remove(kind, address.object)
    }
  }
}

const withoutDefault = ({ default: _, ...column }: RelationRow['columns'][number]): RelationRow['columns'][number] =>
  column

function removeColumn(ddl: Ddl, row: RelationRow, number: number): void {
  removeComment(ddl, CLASS.relation, row.oid, number)
  update(ddl, {
    ...row,
    columns: row.columns.map((column) =>
      column.number === number && !column.dropped ? droppedColumn(column, ddl.editor) : column,
    ),
  })
  const statistics = ddl.editor.statistics(row.oid)
  if (statistics !== undefined)
    ddl.editor.put('statistics', {
      ...statistics,
      columns: statistics.columns.filter((column) => column.column !== number),
    })
}

function removeRelation(ddl: Ddl, row: RelationRow, rewritten: Map<Oid, RelationRow>): void {
  const { editor } = ddl
  if (row.index !== undefined) {
    const table = editor.relation(row.index.table)
    if (table !== undefined) {
      // Without its clustered index a table's rows are numbered: they are written anew.
      if (row.index.clustered && !rewritten.has(table.oid)) rewritten.set(table.oid, table)
      update(ddl, { ...table, indexes: table.indexes.filter((each) => each !== row.oid) })
    }
  }
  for (const index of row.indexes) {
    const each = editor.relation(index)
    if (each === undefined) continue
    removeStorage(ddl, each)
    editor.remove('relation', index)
  }
  if (row.kind === 'S') removeSequenceState(ddl, row)
  else removeStorage(ddl, row)
  editor.remove('relation', row.oid)
  if (row.rowType !== 0) removeType(ddl, row.rowType)
}

// ── The statement ──────────────────────────────────────────────────────────────────────────────────────────────

type Kind = RelationRow['kind']
const RELATIONS: Partial<
  Record<NonNullable<DropStmt['removeType']>, { readonly kind: Kind; readonly word: string; readonly code: string }>
> = {
  OBJECT_TABLE: { kind: 'r', word: 'table', code: '42P01' },
  OBJECT_VIEW: { kind: 'v', word: 'view', code: '42P01' },
  OBJECT_MATVIEW: { kind: 'm', word: 'materialized view', code: '42P01' },
  OBJECT_SEQUENCE: { kind: 'S', word: 'sequence', code: '42P01' },
  OBJECT_INDEX: { kind: 'i', word: 'index', code: '42704' },
}
const HINTS: Readonly<Record<Kind, string>> = {
  r: 'Use DROP TABLE to remove a table.',
  v: 'Use DROP VIEW to remove a view.',
  m: 'Use DROP MATERIALIZED VIEW to remove a materialized view.',
  S: 'Use DROP SEQUENCE to remove a sequence.',
  i: 'Use DROP INDEX to remove an index.',
  c: 'Use DROP TYPE to remove a type.',
  t: '',
  p: 'Use DROP TABLE to remove a table.',
}

const wordsOf = (type: string): string =>
  type
    .replace(/^OBJECT_/, '')
    .replace('MATVIEW', 'MATERIALIZED VIEW')
    .replace('FDW', 'FOREIGN DATA WRAPPER')
    .replace('TSCONFIGURATION', 'TEXT SEARCH CONFIGURATION')
    .replace('TSDICTIONARY', 'TEXT SEARCH DICTIONARY')
    .replace('TSPARSER', 'TEXT SEARCH PARSER')
    .replace('TSTEMPLATE', 'TEXT SEARCH TEMPLATE')
    .replace('OPCLASS', 'OPERATOR CLASS')
    .replace('OPFAMILY', 'OPERATOR FAMILY')
    .replace('STATISTIC_EXT', 'STATISTICS')
    .replaceAll('_', ' ')

export function registerDrop(): void {
  defineDdl(
    'DropStmt',
    (node) => `DROP ${wordsOf(node.removeType!)}`,
    async (ddl, node) => {
      const type = node.removeType!
      const tag = `DROP ${wordsOf(type)}`
      const cascade = node.behavior === 'DROP_CASCADE'
      if (node.concurrent === true) {
        preventInBlock(ddl.session, ddl.call, 'DROP INDEX CONCURRENTLY')
        if ((node.objects?.length ?? 0) > 1)
          throw sqlError('0A000', 'DROP INDEX CONCURRENTLY does not support dropping multiple objects')
        if (cascade) throw sqlError('0A000', 'DROP INDEX CONCURRENTLY does not support CASCADE')
      }
      const targets: ObjectAddress[] = []
      for (const object of node.objects ?? []) {
        const found = await resolve(ddl, type, object, node.missing_ok === true)
        if (
          found !== undefined &&
          !targets.some((target) => target.classOid === found.classOid && target.object === found.object)
        )
          targets.push(found)
      }
      await drop(ddl, targets, cascade)
      return tag
    },
  )
}

async function resolve(
  ddl: Ddl,
  type: NonNullable<DropStmt['removeType']>,
  object: Node,
  missingOk: boolean,
): Promise<ObjectAddress | undefined> {
  const relation = RELATIONS[type]
  if (relation !== undefined) return resolveRelation(ddl, relation, itemsOf(object), missingOk)
  const skip = (code: string, message: string): undefined => {
    if (!missingOk) throw sqlError(code, message)
    notice(ddl, `${message}, skipping`)
    return undefined
  }
  switch (type) {
    case 'OBJECT_TYPE':
    case 'OBJECT_DOMAIN': {
      if (!('TypeName' in object)) return undefined
      const names = namesOf(object.TypeName.names)
      if (names.length > 1 && ddl.editor.namespaceByName(names.at(-2)!) === undefined)
        return skip('3F000', `schema "${names.at(-2)}" does not exist`)
      const row = dropType(ddl, object.TypeName)
      if (row === undefined) return skip('42704', `type "${names.join('.')}" does not exist`)
      if (type === 'OBJECT_DOMAIN' && row.kind !== 'd') throw sqlError('42809', `"${names.join('.')}" is not a domain`)
      const namespace = ddl.editor.namespace(row.namespace)
      if (
        !ownedBy(ddl.editor, roleOf(ddl), row.owner) &&
        !(namespace !== undefined && ownedBy(ddl.editor, roleOf(ddl), namespace.owner))
      )
        throw sqlError('42501', `must be owner of type ${typeName(binder(ddl), row.oid)}`)
      if (row.oid < 16384)
        throw sqlError(
          '2BP01',
          `cannot drop type ${typeName(binder(ddl), row.oid)} because it is required by the database system`,
        )
      if (row.kind === 'c') await lockRelation(ddl, row.relation, 'access-exclusive')
      return { classOid: CLASS.type, object: row.oid, sub: 0 }
    }
    case 'OBJECT_SCHEMA': {
      const name = stringNode(object)!
      const row = ddl.editor.namespaceByName(name)
      if (row === undefined) return skip('3F000', `schema "${name}" does not exist`)
      requireOwner(ddl, row.owner, 'schema', row.name)
      if (row.oid < 16384 && row.name !== 'public')
        throw sqlError('2BP01', `cannot drop schema ${row.name} because it is required by the database system`)
      return { classOid: CLASS.namespace, object: row.oid, sub: 0 }
    }
    case 'OBJECT_EXTENSION': {
      const name = stringNode(object)!
      const row = [...ddl.editor.extensions()].find((each: ExtensionRow) => each.name === name)
      if (row === undefined) return skip('42704', `extension "${name}" does not exist`)
      if (row.oid < 16384) throw notSupported(`dropping the built-in extension ${name}`)
      requireOwner(ddl, row.owner, 'extension', name)
      return { classOid: CLASS.extension, object: row.oid, sub: 0 }
    }
    case 'OBJECT_COLLATION': {
      const { schema, name } = qualifiedName(itemsOf(object))
      const path = schema === undefined ? ddl.session.searchPath : [ddl.editor.namespaceByName(schema)?.oid ?? oid(0)]
      const row = path
        .map((namespace) => ddl.editor.collationByName(namespace, name))
        .find((each) => each !== undefined)
      if (row === undefined) return skip('42704', `collation "${name}" for encoding "UTF8" does not exist`)
      throw sqlError('2BP01', `cannot drop collation ${name} because it is required by the database system`)
    }
    case 'OBJECT_FUNCTION':
    case 'OBJECT_PROCEDURE':
    case 'OBJECT_ROUTINE':
    case 'OBJECT_AGGREGATE': {
      if (!('ObjectWithArgs' in object)) return undefined
      const named = object.ObjectWithArgs
      const row = missingOk ? dropRoutine(ddl, type, named) : requireRoutine(ddl, type, named)
      if (row === undefined) {
        const { schema, name } = qualifiedName(named.objname ?? [])
        const args = (named.objargs ?? []).flatMap((arg) =>
          'TypeName' in arg ? [namesOf(arg.TypeName.names).join('.')] : [],
        )
        const shown = schema === undefined ? name : `${schema}.${name}`
        return skip('42883', `${type.slice('OBJECT_'.length).toLowerCase()} ${shown}(${args.join(',')}) does not exist`)
      }
      const word = { p: 'procedure', a: 'aggregate', f: 'function', w: 'function' }[row.kind]
      if (row.oid < 16384)
        throw sqlError(
          '2BP01',
          `cannot drop function ${row.name}(${row.argTypes.map((arg) => typeName(binder(ddl), arg)).join(',')}) because it is required by the database system`,
        )
      requireOwner(ddl, row.owner, word, row.name)
      return { classOid: CLASS.function, object: row.oid, sub: 0 }
    }
    case 'OBJECT_TRIGGER':
    case 'OBJECT_RULE':
    case 'OBJECT_POLICY': {
      const parts = itemsOf(object)
      const table = rangeVarOf(parts.slice(0, -1))
      const row = lookUpRelation(ddl, table)
      const name = stringNode(parts.at(-1))!
      if (row === undefined) return skip('42P01', `relation "${shownName(table)}" does not exist`)
      const word = type.slice('OBJECT_'.length).toLowerCase()
      return skip(
        '42704',
        `${word} "${name}" for ${word === 'trigger' ? 'table' : word === 'rule' ? 'relation' : 'table'} "${row.name}" does not exist`,
      )
    }
    default:
      throw notSupported(`DROP ${wordsOf(type)}`)
  }
}

/** IF EXISTS: a type that is not there is no routine of it. */
function dropRoutine(ddl: Ddl, type: RoutineKind, node: ObjectWithArgs): FunctionRow | undefined {
  try {
    return findRoutine(ddl, type, node)
  } catch (error) {
    if (error instanceof SqlError && (error.code === '42704' || error.code === '3F000')) return undefined
    throw error
  }
}

/** As resolveTypeName, but without modifiers and undefined when it is not there. */
function dropType(ddl: Ddl, node: NonNullable<Extract<Node, { TypeName: unknown }>['TypeName']>): TypeRow | undefined {
  const names = namesOf(node.names)
  const row = findType(binder(ddl), names.length > 1 ? names.at(-2) : undefined, names.at(-1)!)
  if (row === undefined || (node.arrayBounds?.length ?? 0) === 0) return row
  return row.array === 0 ? undefined : ddl.editor.typeRow(row.array)
}

async function resolveRelation(
  ddl: Ddl,
  wanted: { readonly kind: Kind; readonly word: string; readonly code: string },
  names: readonly Node[],
  missingOk: boolean,
): Promise<ObjectAddress | undefined> {
  const name = rangeVarOf(names)
  if (
    name.schemaname !== undefined &&
    name.schemaname !== 'pg_temp' &&
    ddl.editor.namespaceByName(name.schemaname) === undefined
  ) {
    const message = `schema "${name.schemaname}" does not exist`
    if (!missingOk) throw sqlError('3F000', message)
    notice(ddl, `${message}, skipping`)
    return undefined
  }
  const seen = lookUpRelation(ddl, name)
  if (seen !== undefined) {
    const kind = seen.kind === 'p' ? 'r' : seen.kind
    if (kind !== wanted.kind) {
      throw sqlError(
        '42809',
        `"${seen.name}" is not ${'aeiou'.includes(wanted.word[0]!) ? 'an' : 'a'} ${wanted.word}`,
        { hint: HINTS[seen.kind] },
      )
    }
    const namespace = ddl.editor.namespace(seen.namespace)
    const mine = namespace !== undefined && ownedBy(ddl.editor, roleOf(ddl), namespace.owner) && seen.oid >= 16384
    if (!mine) requireOwner(ddl, seen.owner, KIND_WORDS[seen.kind], seen.name)
    forbidSystemCatalog(seen)
  }
  const row = seen === undefined ? undefined : await openRelation(ddl, name, 'access-exclusive')
  if (row === undefined) {
    const message = `${wanted.word} "${name.relname}" does not exist`
    if (!missingOk) throw sqlError(wanted.code, message)
    notice(ddl, `${message}, skipping`)
    return undefined
  }
  return { classOid: CLASS.relation, object: row.oid, sub: 0 }
}
