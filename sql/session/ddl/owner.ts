/** ALTER … OWNER TO, SET SCHEMA, RENAME. What belongs to a table (indexes, sequences, types) moves and changes hands with it. */
import type { AlterObjectSchemaStmt, AlterOwnerStmt, Node, RenameStmt } from '@pgsql/types'
import type { Oid } from '../../../storage/keys/brand.ts'
import { typeName } from '../../binder/binder.ts'
import { parseAclItem, printAclItem } from '../../catalog/acl.ts'
import type { FunctionRow, NamespaceRow, RelationRow } from '../../catalog/catalog.ts'
import { notSupported, sqlError } from '../../types/error.ts'
import { alterTag, checkKind, missing, requireColumn, withColumn } from './alter-target.ts'
import { constraintNamed } from './constraints.ts'
import {
  binder,
  current,
  type Ddl,
  defineDdl,
  hasRight,
  itemsOf,
  lockName,
  openRelation,
  requireMember,
  requireOwner,
  requireRelationOwner,
  requireRight,
  requireRole,
  requireSchema,
  roleFrom,
  roleOf,
  stringNode,
  update,
} from './context.ts'
import { renameDomainConstraint } from './domains.ts'
import { requireDatabase } from './roles.ts'
import { isRoutineKind, requireRoutine } from './routine-names.ts'
import { requireType } from './type-statements.ts'
import { changeType, freeTypeName } from './types.ts'
import { renameInside } from './views.ts'

const superuser = (ddl: Ddl): boolean => ddl.editor.role(roleOf(ddl))?.superuser === true

// ── Owner ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** An acl after a change of owner: what the old one had and granted is the new one's. */
function aclOwner(acl: readonly string[] | undefined, from: Oid, to: Oid): readonly string[] | undefined {
  if (acl === undefined) return undefined
  const items = acl.map(parseAclItem).map((item) => ({
    ...item,
    grantee: item.grantee === from ? to : item.grantee,
    grantor: item.grantor === from ? to : item.grantor,
  }))
  const merged = items.filter(
    (item, i) => items.findIndex((other) => other.grantee === item.grantee && other.grantor === item.grantor) === i,
  )
  return merged.map((item) => printAclItem(item))
}
export const owned = <T extends { readonly owner: Oid; readonly acl?: readonly string[] }>(row: T, owner: Oid): T => {
  const acl = aclOwner(row.acl, row.owner, owner)
  return { ...row, owner, ...(acl === undefined ? {} : { acl }) }
}

/** 42501 unless the new owner may have it: the current user belongs to it, and it may create in the schema. */
function checkNewOwner(ddl: Ddl, owner: Oid, namespace: Oid | undefined): void {
  if (superuser(ddl)) return
  requireMember(ddl, owner)
  if (namespace !== undefined && !hasRight(ddl, 'namespace', namespace, 'C'))
    requireRight(ddl, 'namespace', namespace, 'C')
}

export function changeOwner(ddl: Ddl, row: RelationRow, owner: Oid): void {
  if (row.owner === owner) return
  if (row.kind === 'i') {
    ddl.session.notice({
      severity: 'WARNING',
      code: '42809',
      message: `cannot change owner of index "${row.name}"`,
      fields: { hint: "Change the ownership of the index's table, instead." },
    })
    return
  }
  const linked = row.sequence?.ownedBy
  if (linked !== undefined) {
    throw sqlError('0A000', `cannot change owner of sequence "${row.name}"`, {
      detail: `Sequence "${row.name}" is linked to table "${ddl.editor.relation(linked.table)?.name}".`,
    })
  }
  checkNewOwner(ddl, owner, row.namespace)
  giveTo(ddl, row, owner)
}

export function giveTo(ddl: Ddl, row: RelationRow, owner: Oid): void {
  update(
    ddl,
    owned(
      {
        ...row,
        columns: row.columns.map((column) => {
          const acl = aclOwner(column.acl, row.owner, owner)
          return acl === undefined ? column : { ...column, acl }
        }),
      },
      owner,
    ),
  )
  if (row.rowType !== 0) changeType(ddl, row.rowType, { owner })
  for (const each of parts(ddl, row)) update(ddl, owned(each, owner))
}

/** Indexes and owned sequences. */
function parts(ddl: Ddl, row: RelationRow): RelationRow[] {
  const sequences = [...ddl.editor.ownAll('relation')].filter((each) => each.sequence?.ownedBy?.table === row.oid)
  return [...row.indexes.map((each) => current(ddl, each)), ...sequences]
}

export function registerOwners(): void {
  defineDdl(
    'AlterOwnerStmt',
    (node) => `ALTER ${word(node.objectType)}`,
    (ddl, node) => {
      alterOwner(ddl, node)
      return `ALTER ${word(node.objectType)}`
    },
  )
  defineDdl(
    'AlterObjectSchemaStmt',
    (node) => `ALTER ${word(node.objectType)}`,
    async (ddl, node) => {
      await alterSchema(ddl, node)
      return `ALTER ${word(node.objectType)}`
    },
  )
  defineDdl('RenameStmt', renameTag, async (ddl, node) => {
    await rename(ddl, node)
    return renameTag(node)
  })
}

const word = (type: string | undefined): string =>
  (type ?? 'OBJECT_TABLE').replace('OBJECT_', '').replace('MATVIEW', 'MATERIALIZED VIEW').replaceAll('_', ' ')

function alterOwner(ddl: Ddl, node: AlterOwnerStmt): void {
  const owner = roleFrom(ddl, node.newowner!)
  const { editor } = ddl
  switch (node.objectType!) {
    case 'OBJECT_SCHEMA': {
      const row = requireSchema(ddl, stringNode(node.object)!)
      if (row.owner === owner) return
      requireOwner(ddl, row.owner, 'schema', row.name)
      if (!superuser(ddl)) {
        requireMember(ddl, owner)
        requireRight(ddl, 'database', editor.databaseOid, 'C', `permission denied for database ${editor.databaseName}`)
      }
      editor.put('namespace', owned(row, owner))
      return
    }
    case 'OBJECT_DATABASE': {
      const row = requireDatabase(ddl, stringNode(node.object)!)
      requireOwner(ddl, row.owner, 'database', row.name)
      if (!superuser(ddl)) {
        requireMember(ddl, owner)
        if (editor.role(roleOf(ddl))?.createDatabase !== true)
          throw sqlError('42501', 'permission denied to change owner of database')
      }
      editor.put('database', owned(row, owner))
      return
    }
    case 'OBJECT_TYPE':
    case 'OBJECT_DOMAIN': {
      const row = requireType(ddl, itemsOf(node.object))
      if (node.objectType === 'OBJECT_DOMAIN' && row.kind !== 'd')
        throw sqlError('42809', `${typeName(binder(ddl), row.oid)} is not a domain`)
      const relation = row.kind === 'c' ? editor.relation(row.relation) : undefined
      if (relation !== undefined && relation.kind !== 'c')
        throw sqlError('42809', `${typeName(binder(ddl), row.oid)} is a table's row type`, {
          hint: 'Use ALTER TABLE instead.',
        })
      if (row.isArray)
        throw sqlError('42809', `cannot alter array type ${typeName(binder(ddl), row.oid)}`, {
          hint: `You can alter type ${typeName(binder(ddl), row.element)}, which will alter the array type as well.`,
        })
      if (row.owner === owner) return
      requireOwner(ddl, row.owner, 'type', typeName(binder(ddl), row.oid))
      checkNewOwner(ddl, owner, row.namespace)
      if (relation !== undefined) update(ddl, owned(relation, owner))
      changeType(ddl, row.oid, { owner })
      return
    }
    case 'OBJECT_FUNCTION':
    case 'OBJECT_PROCEDURE':
    case 'OBJECT_ROUTINE': {
      const row = ownRoutine(ddl, node.objectType!, node.object)
      if (row.owner === owner) return
      checkNewOwner(ddl, owner, row.namespace)
      editor.put('function', owned(row, owner))
      return
    }
    default:
      throw notSupported(`ALTER ${word(node.objectType)} OWNER TO`)
  }
}

// ── Schema ─────────────────────────────────────────────────────────────────────────────────────────────────────

async function alterSchema(ddl: Ddl, node: AlterObjectSchemaStmt): Promise<void> {
  const type = node.objectType!
  if (type === 'OBJECT_TYPE' || type === 'OBJECT_DOMAIN') {
    const row = requireType(ddl, itemsOf(node.object))
    if (type === 'OBJECT_DOMAIN' && row.kind !== 'd')
      throw sqlError('42809', `${typeName(binder(ddl), row.oid)} is not a domain`)
    const target = requireSchema(ddl, node.newschema!)
    requireOwner(ddl, row.owner, 'type', typeName(binder(ddl), row.oid))
    const relation = row.kind === 'c' ? ddl.editor.relation(row.relation) : undefined
    if (relation !== undefined && relation.kind !== 'c')
      throw sqlError('42809', `${typeName(binder(ddl), row.oid)} is a table's row type`, {
        hint: 'Use ALTER TABLE instead.',
      })
    checkMove(ddl, row.namespace, target)
    if (row.namespace === target.oid) return
    if (ddl.editor.typeByName(target.oid, row.name) !== undefined)
      throw sqlError('42710', `type "${row.name}" already exists in schema "${target.name}"`)
    if (relation !== undefined) update(ddl, { ...relation, namespace: target.oid })
    changeType(ddl, row.oid, { namespace: target.oid })
    return
  }
  if (isRoutineKind(type)) {
    const row = ownRoutine(ddl, type, node.object)
    const target = requireSchema(ddl, node.newschema!)
    checkMove(ddl, row.namespace, target)
    if (row.namespace === target.oid) return
    freeRoutineName(ddl, row, target, row.name)
    ddl.editor.put('function', { ...row, namespace: target.oid })
    return
  }
  if (!['OBJECT_TABLE', 'OBJECT_VIEW', 'OBJECT_SEQUENCE', 'OBJECT_MATVIEW'].includes(type))
    throw notSupported(`ALTER ${word(type)} SET SCHEMA`)
  const row = await openRelation(ddl, node.relation!, 'access-exclusive')
  if (row === undefined) return missing(ddl, node.relation!, node.missing_ok === true)
  checkKind(row, type)
  if (row.kind === 'i')
    throw sqlError('42809', `"${row.name}" is not a table, view, materialized view, sequence, or foreign table`)
  requireRelationOwner(ddl, row)
  const linked = row.sequence?.ownedBy
  if (linked !== undefined)
    throw sqlError('0A000', 'cannot move an owned sequence into another schema', {
      detail: `Sequence "${row.name}" is linked to table "${ddl.editor.relation(linked.table)?.name}".`,
    })
  const target = requireSchema(ddl, node.newschema!)
  checkMove(ddl, row.namespace, target)
  if (row.namespace === target.oid) return
  for (const each of [row, ...parts(ddl, row)]) {
    await lockName(ddl, 'relation', { name: each.name, namespace: target.oid })
    if (ddl.editor.relationByName(target.oid, each.name) !== undefined)
      throw sqlError('42P07', `relation "${each.name}" already exists in schema "${target.name}"`)
    update(ddl, { ...current(ddl, each.oid), namespace: target.oid })
  }
  if (row.rowType !== 0) changeType(ddl, row.rowType, { namespace: target.oid })
}

function checkMove(ddl: Ddl, from: Oid, target: NamespaceRow): void {
  requireRight(ddl, 'namespace', target.oid, 'C')
  if (ddl.editor.namespace(from)?.name.startsWith('pg_temp_') === true || target.name.startsWith('pg_temp_'))
    throw sqlError('0A000', 'cannot move objects into or out of temporary schemas')
  if (target.oid < 16384 && target.name !== 'public')
    throw sqlError('42501', `permission denied for schema ${target.name}`)
}

// ── Rename ─────────────────────────────────────────────────────────────────────────────────────────────────────

function renameTag(node: RenameStmt): string {
  const type = node.renameType!
  if (type === 'OBJECT_COLUMN' || type === 'OBJECT_ATTRIBUTE')
    return alterTag(node.relationType === undefined && type === 'OBJECT_ATTRIBUTE' ? 'OBJECT_TYPE' : node.relationType)
  if (type === 'OBJECT_TABCONSTRAINT') return 'ALTER TABLE'
  if (type === 'OBJECT_DOMCONSTRAINT') return 'ALTER DOMAIN'
  return `ALTER ${word(type)}`
}

async function rename(ddl: Ddl, node: RenameStmt): Promise<void> {
  const name = node.newname!
  const { editor } = ddl
  switch (node.renameType!) {
    case 'OBJECT_TABLE':
    case 'OBJECT_VIEW':
    case 'OBJECT_MATVIEW':
    case 'OBJECT_SEQUENCE':
    case 'OBJECT_INDEX': {
      const row = await openRelation(
        ddl,
        node.relation!,
        node.renameType === 'OBJECT_INDEX' ? 'share-update-exclusive' : 'access-exclusive',
      )
      if (row === undefined) return missing(ddl, node.relation!, node.missing_ok === true)
      // ALTER TABLE and ALTER INDEX rename anything, as they always have.
      checkKind(row, node.renameType === 'OBJECT_INDEX' ? 'OBJECT_TABLE' : node.renameType!)
      requireRelationOwner(ddl, row)
      requireRight(ddl, 'namespace', row.namespace, 'C')
      await renameRelation(ddl, row, name)
      return
    }
    case 'OBJECT_COLUMN':
    case 'OBJECT_ATTRIBUTE': {
      const row = await openRelation(ddl, node.relation!, 'access-exclusive')
      if (row === undefined) return missing(ddl, node.relation!, node.missing_ok === true)
      if (node.renameType === 'OBJECT_COLUMN' && row.kind === 'c')
        throw sqlError('42809', `"${row.name}" is a composite type`, { hint: 'Use ALTER TYPE instead.' })
      if (row.kind === 'S' || row.kind === 't')
        throw sqlError('42809', `cannot rename columns of relation "${row.name}"`, {
          detail: 'This operation is not supported for sequences.',
        })
      requireRelationOwner(ddl, row)
      renameColumn(ddl, row, node.subname!, name)
      return
    }
    case 'OBJECT_TABCONSTRAINT': {
      const row = await openRelation(ddl, node.relation!, 'access-exclusive')
      if (row === undefined) return missing(ddl, node.relation!, node.missing_ok === true)
      requireRelationOwner(ddl, row)
      const constraint = constraintNamed(row, node.subname!)
      if (constraint === undefined)
        throw sqlError('42704', `constraint "${node.subname}" for table "${row.name}" does not exist`)
      if (constraint.type !== 'f' && constraint.index !== undefined)
        return renameRelation(ddl, current(ddl, constraint.index), name)
      if (constraintNamed(row, name) !== undefined)
        throw sqlError('42710', `constraint "${name}" for relation "${row.name}" already exists`)
      update(ddl, {
        ...row,
        constraints: row.constraints.map((each) => (each === constraint ? { ...each, name } : each)),
      })
      return
    }
    case 'OBJECT_DOMCONSTRAINT':
      renameDomainConstraint(ddl, itemsOf(node.object), node.subname!, name)
      return
    case 'OBJECT_SCHEMA': {
      const row = requireSchema(ddl, node.subname!)
      if (editor.namespaceByName(name) !== undefined) throw sqlError('42P06', `schema "${name}" already exists`)
      requireOwner(ddl, row.owner, 'schema', row.name)
      requireRight(ddl, 'database', editor.databaseOid, 'C', `permission denied for database ${editor.databaseName}`)
      if (name.startsWith('pg_'))
        throw sqlError('42939', `unacceptable schema name "${name}"`, {
          detail: 'The prefix "pg_" is reserved for system schemas.',
        })
      editor.put('namespace', { ...row, name })
      return
    }
    case 'OBJECT_ROLE': {
      const row = requireRole(ddl, node.subname!)
      if (row.oid === ddl.session.sessionUser) throw sqlError('0A000', 'session user cannot be renamed')
      if (row.oid === ddl.session.userOid) throw sqlError('0A000', 'current user cannot be renamed')
      if (name.startsWith('pg_'))
        throw sqlError('42939', `role name "${name}" is reserved`, {
          detail: 'Role names starting with "pg_" are reserved.',
        })
      if (editor.roleByName(name) !== undefined) throw sqlError('42710', `role "${name}" already exists`)
      const me = editor.role(roleOf(ddl))
      if (me?.superuser !== true && (row.superuser || me?.createRole !== true))
        throw sqlError(
          '42501',
          row.superuser ? 'must be superuser to rename superusers' : 'permission denied to rename role',
        )
      if (row.password?.startsWith('md5') === true) {
        const { password: _, ...rest } = row
        ddl.session.notice({
          severity: 'NOTICE',
          code: '00000',
          message: 'MD5 password cleared because of role rename',
          fields: {},
        })
        editor.put('role', { ...rest, name })
      } else editor.put('role', { ...row, name })
      return
    }
    case 'OBJECT_DATABASE': {
      const row = requireDatabase(ddl, node.subname!)
      requireOwner(ddl, row.owner, 'database', row.name)
      if (!superuser(ddl) && editor.role(roleOf(ddl))?.createDatabase !== true)
        throw sqlError('42501', 'permission denied to rename database')
      if (editor.databaseByName(name) !== undefined) throw sqlError('42P04', `database "${name}" already exists`)
      if (row.oid === editor.databaseOid) throw sqlError('0A000', 'current database cannot be renamed')
      if ([...ddl.session.server.backends.values()].some((other) => other.databaseOid === row.oid))
        throw sqlError('55006', `database "${row.name}" is being accessed by other users`)
      editor.put('database', { ...row, name })
      return
    }
    case 'OBJECT_TYPE':
    case 'OBJECT_DOMAIN': {
      const row = requireType(ddl, itemsOf(node.object))
      requireOwner(ddl, row.owner, 'type', typeName(binder(ddl), row.oid))
      if (node.renameType === 'OBJECT_DOMAIN' && row.kind !== 'd')
        throw sqlError('42809', `${typeName(binder(ddl), row.oid)} is not a domain`)
      const relation = row.kind === 'c' ? editor.relation(row.relation) : undefined
      if (relation !== undefined && relation.kind !== 'c')
        throw sqlError('42809', `${typeName(binder(ddl), row.oid)} is a table's row type`, {
          hint: 'Use ALTER TABLE instead.',
        })
      if (relation !== undefined) return renameRelation(ddl, relation, name)
      if (row.isArray)
        throw sqlError('42809', `cannot alter array type ${typeName(binder(ddl), row.oid)}`, {
          hint: `You can alter type ${typeName(binder(ddl), row.element)}, which will alter the array type as well.`,
        })
      freeTypeName(ddl, row.namespace, name, false)
      changeType(ddl, row.oid, { name })
      return
    }
    case 'OBJECT_FUNCTION':
    case 'OBJECT_PROCEDURE':
    case 'OBJECT_ROUTINE': {
      const row = ownRoutine(ddl, node.renameType!, node.object)
      requireRight(ddl, 'namespace', row.namespace, 'C')
      freeRoutineName(ddl, row, editor.namespace(row.namespace)!, name)
      editor.put('function', { ...row, name })
      return
    }
    default:
      throw notSupported(`ALTER ${word(node.renameType)} RENAME`)
  }
}

function ownRoutine(ddl: Ddl, type: string, object: Node | undefined): FunctionRow {
  if (!isRoutineKind(type) || object === undefined || !('ObjectWithArgs' in object))
    throw notSupported(`ALTER ${word(type)}`)
  const row = requireRoutine(ddl, type, object.ObjectWithArgs)
  requireOwner(ddl, row.owner, row.kind === 'p' ? 'procedure' : 'function', row.name)
  if (row.oid < 16384) throw notSupported('altering a built-in function')
  return row
}
/** 42723 when another one has the name and the arguments there. */
function freeRoutineName(ddl: Ddl, row: FunctionRow, namespace: NamespaceRow, name: string): void {
  const taken = ddl.editor
    .functionsByName(name)
    .some((each) => each.namespace === namespace.oid && String(each.argTypes) === String(row.argTypes))
  if (!taken) return
  const signature = `${name}(${row.argTypes.map((type) => typeName(binder(ddl), type)).join(', ')})`
  throw sqlError('42723', `function ${signature} already exists in schema "${namespace.name}"`)
}

/** An index of a constraint takes the constraint with it. */
async function renameRelation(ddl: Ddl, row: RelationRow, name: string): Promise<void> {
  await lockName(ddl, 'relation', { name, namespace: row.namespace })
  if (ddl.editor.relationByName(row.namespace, name) !== undefined)
    throw sqlError('42P07', `relation "${name}" already exists`)
  update(ddl, { ...row, name })
  if (row.rowType !== 0) changeType(ddl, row.rowType, { name })
  renameInside(ddl, row.oid, row.name, name, 0)
  if (row.index === undefined) return
  const table = current(ddl, row.index.table)
  if (table.constraints.some((each) => each.type !== 'f' && each.index === row.oid)) {
    update(ddl, {
      ...table,
      constraints: table.constraints.map((each) =>
        each.type !== 'f' && each.index === row.oid ? { ...each, name } : each,
      ),
    })
  }
}

function renameColumn(ddl: Ddl, row: RelationRow, from: string, to: string): void {
  const column = row.columns.find((each) => !each.dropped && each.name === from)
  if (column === undefined) throw sqlError('42703', `column "${from}" does not exist`)
  requireColumn(row, from)
  if (row.columns.some((each) => !each.dropped && each.name === to))
    throw sqlError('42701', `column "${to}" of relation "${row.name}" already exists`)
  if (['tableoid', 'cmax', 'xmax', 'cmin', 'xmin', 'ctid'].includes(to))
    throw sqlError('42701', `column name "${to}" conflicts with a system column name`)
  const renamed = withColumn(row, { ...column, name: to })
  if (row.view !== undefined && 'query' in row.view) {
    let at = 0
    const { query } = row.view
    update(ddl, {
      ...renamed,
      view: {
        query: {
          ...query,
          targets: query.targets.map((target) =>
            target.junk ? target : ++at === column.number ? { ...target, name: to } : target,
          ),
        },
      },
    })
  } else update(ddl, renamed)
  renameInside(ddl, row.oid, from, to, column.number)
  // The attributes of indexes are called as the table's columns.
  for (const each of row.indexes) {
    const index = current(ddl, each)
    const numbers = [...index.index!.keys.map((key) => key.column), ...index.index!.include]
    if (!numbers.includes(column.number)) continue
    update(ddl, {
      ...index,
      columns: index.columns.map((attribute, i) =>
        numbers[i] === column.number && attribute.name === from ? { ...attribute, name: to } : attribute,
      ),
    })
  }
}
