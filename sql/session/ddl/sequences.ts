/** CREATE SEQUENCE and ALTER SEQUENCE. A changed sequence goes on under a new storage id, so that the change rolls back with its transaction. */
import type { Node } from '@pgsql/types'
import type { RelationRow, SequenceRow } from '../../catalog/catalog.ts'
import { sqlError } from '../../types/error.ts'
import {
  type Ddl,
  defineDdl,
  lockName,
  notice,
  openRelation,
  rangeVarOf,
  relationNamespace,
  requireOwner,
  roleOf,
  shownName,
  stringNode,
  update,
} from './context.ts'
import { findColumn } from './index-make.ts'
import { putSequence, type SequenceOptions, sequenceOptions } from './sequence-options.ts'
import { removeSequenceState } from './storage.ts'
import { prepareTemporary } from './temporary.ts'

export function registerSequences(): void {
  defineDdl('CreateSeqStmt', 'CREATE SEQUENCE', async (ddl, node) => {
    const name = node.sequence!
    const { namespace, temporary } = relationNamespace(ddl, name)
    if (temporary) await prepareTemporary(ddl)
    await lockName(ddl, 'relation', { name: name.relname!, namespace: namespace.oid })
    if (ddl.editor.relationByName(namespace.oid, name.relname!) !== undefined) {
      if (node.if_not_exists !== true) throw sqlError('42P07', `relation "${name.relname}" already exists`)
      notice(ddl, `relation "${name.relname}" already exists, skipping`, '42P07')
      return 'CREATE SEQUENCE'
    }
    const options = sequenceOptions(ddl, node.options)
    if (options.restart !== undefined) throw sqlError('42601', 'syntax error at or near "RESTART"')
    const row = putSequence(
      ddl,
      {
        oid: ddl.editor.nextOid(),
        name: name.relname!,
        namespace: namespace.oid,
        owner: roleOf(ddl),
        persistence: temporary ? 't' : name.relpersistence === 'u' ? 'u' : 'p',
        ...(temporary ? { session: ddl.session.pid } : {}),
      },
      options.row,
    )
    if (options.ownedBy !== undefined) await setOwnedBy(ddl, row, options.ownedBy)
    return 'CREATE SEQUENCE'
  })

  defineDdl('AlterSeqStmt', 'ALTER SEQUENCE', async (ddl, node) => {
    const row = await openRelation(ddl, node.sequence!, 'share-row-exclusive')
    if (row === undefined) {
      const message = `relation "${shownName(node.sequence!)}" does not exist`
      if (node.missing_ok !== true) throw sqlError('42P01', message)
      notice(ddl, `${message}, skipping`)
      return 'ALTER SEQUENCE'
    }
    if (row.kind !== 'S') throw sqlError('42809', `"${row.name}" is not a sequence`)
    requireOwner(ddl, row.owner, 'sequence', row.name)
    const options = sequenceOptions(ddl, node.options, { before: row.sequence! })
    const changed = options.changed ? changeSequence(ddl, row, options) : row
    if (options.ownedBy !== undefined) {
      if (changed.sequence!.ownedBy?.identity === true) {
        const table = ddl.editor.relation(changed.sequence!.ownedBy.table)
        throw sqlError('0A000', 'cannot change ownership of identity sequence', {
          detail: `Sequence "${row.name}" is linked to table "${table?.name}".`,
        })
      }
      await setOwnedBy(ddl, changed, options.ownedBy)
    }
    return 'ALTER SEQUENCE'
  })
}

/** New parameters, and where it goes on: RESTART, or where it was. 22023 when that is out of the new bounds. */
export function changeSequence(ddl: Ddl, row: RelationRow, options: SequenceOptions): RelationRow {
  const before = ddl.session.sequences.peek(row)
  const value = options.restart ?? BigInt(before.value)
  const called = options.restart === undefined && before.called
  const { min, max } = options.row
  if (options.restart === undefined) {
    if (value < BigInt(min)) throw sqlError('22023', `RESTART value (${value}) cannot be less than MINVALUE (${min})`)
    if (value > BigInt(max))
      throw sqlError('22023', `RESTART value (${value}) cannot be greater than MAXVALUE (${max})`)
  }
  return restart(ddl, row, options.row, value, called)
}

export function restart(
  ddl: Ddl,
  row: RelationRow,
  sequence: SequenceRow,
  value: bigint,
  called: boolean,
): RelationRow {
  const changed = update(ddl, { ...row, sequence, storageId: ddl.editor.nextStorageId() })
  ddl.session.sequences.create(changed, value, called)
  removeSequenceState(ddl, row, false)
  return changed
}

async function setOwnedBy(ddl: Ddl, row: RelationRow, names: readonly Node[]): Promise<RelationRow> {
  if (names.length === 1) {
    if (stringNode(names[0]) !== 'none')
      throw sqlError('42601', 'invalid OWNED BY option', { hint: 'Specify OWNED BY table.column or OWNED BY NONE.' })
    const { ownedBy: _, ...rest } = row.sequence!
    return update(ddl, { ...row, sequence: rest })
  }
  const name = rangeVarOf(names.slice(0, -1))
  const table = await openRelation(ddl, name, 'access-share')
  if (table === undefined) throw sqlError('42P01', `relation "${shownName(name)}" does not exist`)
  if (!['r', 'v', 'p'].includes(table.kind))
    throw sqlError('42809', `sequence cannot be owned by relation "${table.name}"`)
  if (table.owner !== row.owner) throw sqlError('55000', 'sequence must have same owner as table it is linked to')
  if (table.namespace !== row.namespace)
    throw sqlError('55000', 'sequence must be in same schema as table it is linked to')
  const columnName = stringNode(names.at(-1))!
  const column = findColumn(table, columnName)
  if (column === undefined) throw sqlError('42703', `column "${columnName}" of relation "${table.name}" does not exist`)
  return update(ddl, {
    ...row,
    sequence: { ...row.sequence!, ownedBy: { table: table.oid, column: column.number, identity: false } },
  })
}
