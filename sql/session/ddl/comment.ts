/** COMMENT ON, and comments as other statements copy or drop them. */
import type { CommentStmt, Node } from '@pgsql/types'
import type { Oid } from '../../../storage/keys/brand.ts'
import { findType, namesOf, resolveTypeName, typeName } from '../../binder/binder.ts'
import type { RelationRow } from '../../catalog/catalog.ts'
import { CLASS } from '../../catalog/classes.ts'
import { notSupported, sqlError } from '../../types/error.ts'
import {
  binder,
  type Ddl,
  defineDdl,
  itemsOf,
  KIND_WORDS,
  openRelation,
  rangeVarOf,
  requireOwner,
  requireRelationOwner,
  requireRole,
  roleOf,
  shownName,
  stringNode,
} from './context.ts'
import { findColumn } from './index-make.ts'
import { requireRoutine } from './routine-names.ts'

export function setComment(ddl: Ddl, classOid: Oid, object: Oid, sub: number, text: string): void {
  ddl.editor.put('comment', { oid: ddl.editor.nextOid(), classOid, object, subobject: sub, text })
}
export function removeComment(ddl: Ddl, classOid: Oid, object: Oid, sub = 0): void {
  if (ddl.editor.comment(classOid, object, sub) !== undefined) setComment(ddl, classOid, object, sub, '')
}

const RELATIONS: Partial<
  Record<NonNullable<CommentStmt['objtype']>, readonly [kind: RelationRow['kind'], word: string]>
> = {
  OBJECT_TABLE: ['r', 'a table'],
  OBJECT_VIEW: ['v', 'a view'],
  OBJECT_MATVIEW: ['m', 'a materialized view'],
  OBJECT_SEQUENCE: ['S', 'a sequence'],
  OBJECT_INDEX: ['i', 'an index'],
}

export function registerComment(): void {
  defineDdl('CommentStmt', 'COMMENT', async (ddl, node) => {
    const [classOid, object, sub] = await resolve(ddl, node)
    setComment(ddl, classOid, object, sub, node.comment ?? '')
    return 'COMMENT'
  })
}

async function requireNamed(ddl: Ddl, names: readonly Node[]): Promise<RelationRow> {
  const name = rangeVarOf(names)
  const row = await openRelation(ddl, name, 'share-update-exclusive')
  if (row === undefined) throw sqlError('42P01', `relation "${shownName(name)}" does not exist`)
  return row
}

async function resolve(ddl: Ddl, node: CommentStmt): Promise<readonly [Oid, Oid, number]> {
  const type = node.objtype!
  const object = node.object!
  const relation = RELATIONS[type]
  if (relation !== undefined) {
    const row = await requireNamed(ddl, itemsOf(object))
    if (row.kind !== relation[0]) throw sqlError('42809', `"${row.name}" is not ${relation[1]}`)
    requireRelationOwner(ddl, row)
    return [CLASS.relation, row.oid, 0]
  }
  switch (type) {
    case 'OBJECT_COLUMN': {
      const names = itemsOf(object)
      const row = await requireNamed(ddl, names.slice(0, -1))
      requireRelationOwner(ddl, row)
      if (!['r', 'v', 'm', 'c', 'p'].includes(row.kind))
        throw sqlError('42809', `cannot set comment on relation "${row.name}"`, {
          detail: `This operation is not supported for ${KIND_WORDS[row.kind] === 'index' ? 'indexes' : `${KIND_WORDS[row.kind]}s`}.`,
        })
      const name = stringNode(names.at(-1))!
      const column = findColumn(row, name)
      if (column === undefined) throw sqlError('42703', `column "${name}" of relation "${row.name}" does not exist`)
      return [CLASS.relation, row.oid, column.number]
    }
    case 'OBJECT_TABCONSTRAINT': {
      const names = itemsOf(object)
      const row = await requireNamed(ddl, names.slice(0, -1))
      requireRelationOwner(ddl, row)
      const name = stringNode(names.at(-1))!
      const constraint = row.constraints.find((each) => each.name === name)
      if (constraint === undefined)
        throw sqlError('42704', `constraint "${name}" for table "${row.name}" does not exist`)
      return [CLASS.constraint, constraint.oid, 0]
    }
    case 'OBJECT_DOMCONSTRAINT': {
      const items = itemsOf(object)
      const typeNode = items[0]!
      if (!('TypeName' in typeNode)) throw notSupported('this COMMENT')
      const row = ddl.editor.typeRow(resolveTypeName(binder(ddl), typeNode.TypeName).type)!
      requireOwner(ddl, row.owner, 'type', row.name)
      const name = stringNode(items[1])!
      const check = row.domain?.checks.find((each) => each.name === name)
      if (check === undefined) throw sqlError('42704', `constraint "${name}" for domain ${row.name} does not exist`)
      return [CLASS.constraint, check.oid, 0]
    }
    case 'OBJECT_SCHEMA': {
      const name = stringNode(object)!
      const row = ddl.editor.namespaceByName(name)
      if (row === undefined) throw sqlError('3F000', `schema "${name}" does not exist`)
      requireOwner(ddl, row.owner, 'schema', name)
      return [CLASS.namespace, row.oid, 0]
    }
    case 'OBJECT_TYPE':
    case 'OBJECT_DOMAIN': {
      if (!('TypeName' in object)) throw notSupported('this COMMENT')
      const names = namesOf(object.TypeName.names)
      const row = findType(binder(ddl), names.length > 1 ? names.at(-2) : undefined, names.at(-1)!)
      if (row === undefined) throw sqlError('42704', `type "${names.join('.')}" does not exist`)
      if (type === 'OBJECT_DOMAIN' && row.kind !== 'd') throw sqlError('42809', `"${names.join('.')}" is not a domain`)
      requireOwner(ddl, row.owner, 'type', typeName(binder(ddl), row.oid))
      return [CLASS.type, row.oid, 0]
    }
    case 'OBJECT_DATABASE': {
      const name = stringNode(object)!
      const row = ddl.editor.databaseByName(name)
      if (row === undefined) throw sqlError('3D000', `database "${name}" does not exist`)
      requireOwner(ddl, row.owner, 'database', name)
      return [CLASS.database, row.oid, 0]
    }
    case 'OBJECT_ROLE': {
      const row = requireRole(ddl, stringNode(object)!)
      const me = ddl.editor.role(roleOf(ddl))
      if (me?.superuser !== true && (row.superuser || me?.createRole !== true))
        throw sqlError('42501', row.superuser ? 'must be superuser' : `must have CREATEROLE privilege`)
      return [CLASS.role, row.oid, 0]
    }
    case 'OBJECT_EXTENSION': {
      const name = stringNode(object)!
      const row = [...ddl.editor.extensions()].find((each) => each.name === name)
      if (row === undefined) throw sqlError('42704', `extension "${name}" does not exist`)
      requireOwner(ddl, row.owner, 'extension', name)
      return [CLASS.extension, row.oid, 0]
    }
    case 'OBJECT_FUNCTION':
    case 'OBJECT_PROCEDURE':
    case 'OBJECT_ROUTINE':
    case 'OBJECT_AGGREGATE': {
      if (!('ObjectWithArgs' in object)) throw notSupported('this COMMENT')
      const row = requireRoutine(ddl, type, object.ObjectWithArgs)
      requireOwner(ddl, row.owner, row.kind === 'p' ? 'procedure' : 'function', row.name)
      return [CLASS.function, row.oid, 0]
    }
    default:
      throw notSupported(`COMMENT ON ${type.replace(/^OBJECT_/, '').replaceAll('_', ' ')}`)
  }
}
