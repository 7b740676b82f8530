/**
 * VACUUM, ANALYZE, CLUSTER, CHECKPOINT, LOCK TABLE. VACUUM runs a round of garbage collection; the store cleans up after
 * itself anyway. CLUSTER by the primary key is what tables always are.
 */
import type { Node, VacuumStmt } from '@pgsql/types'
import { databaseSpan } from '../../../storage/keys/map.ts'
import { TABLE_LOCK_MODES } from '../../../storage/kv/kv.ts'
import { entryPrefix, relationSpan } from '../../access/keys.ts'
import { isVectorIndex } from '../../access/vector-spec.ts'
import type { RelationRow } from '../../catalog/catalog.ts'
import { ownedBy } from '../../catalog/privileges.ts'
import { notSupported, sqlError } from '../../types/error.ts'
import type { Backend } from '../backend.ts'
import { preventInBlock, requireBlock } from '../control.ts'
import { define } from '../utility.ts'
import { analyzeTable } from './analyze.ts'
import {
  beginDdl,
  type Ddl,
  defineDdl,
  hasRight,
  KIND_WORDS,
  lockRelation,
  noRelation,
  openRelation,
  requireOpen,
  requireOwner,
  requireRight,
  roleOf,
  warning,
} from './context.ts'
import { checkClusterable, findColumn } from './index-make.ts'
import { refillIndex } from './storage.ts'

export function registerMaintenance(): void {
  define('VacuumStmt', async (session, node, call, statement) => {
    const options = new Map(
      (node.options ?? []).flatMap((each) =>
        'DefElem' in each ? [[each.DefElem.defname!, each.DefElem.arg] as const] : [],
      ),
    )
    const vacuum = node.is_vacuumcmd === true
    const command = vacuum ? 'VACUUM' : 'ANALYZE'
    checkOptions(options, vacuum)
    if (vacuum) preventInBlock(session, call, 'VACUUM')
    const ddl = beginDdl(session, call, statement)
    const targets = await tablesOf(ddl, node, command)
    if (vacuum)
      await collect(
        session,
        node.rels === undefined || node.rels.length === 0 ? undefined : targets.map((each) => each.table),
      )
    if (!vacuum || truth(options, 'analyze'))
      for (const { table, columns } of targets) await analyzeTable(ddl, table, columns)
    await ddl.editor.settled()
    return command
  })

  defineDdl('ClusterStmt', 'CLUSTER', async (ddl, node) => {
    if (node.relation === undefined) {
      preventInBlock(ddl.session, ddl.call, 'CLUSTER')
      return 'CLUSTER'
    }
    const table = await requireOpen(ddl, node.relation, 'access-exclusive')
    if (table.kind !== 'r' && table.kind !== 'm') throw sqlError('42809', `"${table.name}" is not a table`)
    requireOwner(ddl, table.owner, 'table', table.name)
    if (node.indexname === undefined || node.indexname === '') {
      if (!table.indexes.some((each) => ddl.editor.relation(each)?.index?.clustered === true))
        throw sqlError('42704', `there is no previously clustered index for table "${table.name}"`)
    } else {
      const index = ddl.editor.relationByName(table.namespace, node.indexname)
      if (index?.index === undefined || index.index.table !== table.oid)
        throw sqlError('42704', `index "${node.indexname}" for table "${table.name}" does not exist`)
      checkClusterable(index)
      if (!index.index.clustered) throw notSupported('CLUSTER on an index other than the primary key')
    }
    for (const each of table.indexes) await refillIndex(ddl, ddl.editor.relation(each)!)
    return 'CLUSTER'
  })

  define('CheckPointStmt', (session) => {
    if (!session.isSuperuser)
      throw sqlError('42501', 'must be superuser or have privileges of pg_checkpoint to do CHECKPOINT')
    // Every commit is durable when it is acknowledged: there is nothing to write.
    return 'CHECKPOINT'
  })

  define('LockStmt', async (session, node, call, statement) => {
    requireBlock(session, 'LOCK TABLE')
    session.transaction.ensure().beginStatement()
    const ddl = { session, statement, call, editor: session.catalog } as unknown as Ddl
    // LOCKMODE counts from 1 (AccessShareLock) to 8 (AccessExclusiveLock).
    const mode = TABLE_LOCK_MODES[(node.mode ?? 8) - 1]!
    for (const each of node.relations ?? []) {
      if (!('RangeVar' in each)) continue
      const table = findToLock(session, each.RangeVar.schemaname, each.RangeVar.relname!)
      if (table === undefined) throw noRelation(each.RangeVar)
      if (!['r', 'v', 'p'].includes(table.kind))
        throw sqlError('42809', `cannot lock relation "${table.name}"`, {
          detail: `This operation is not supported for ${table.kind === 'i' ? 'indexes' : `${KIND_WORDS[table.kind]}s`}.`,
        })
      const letters = mode === 'access-share' ? 'r' : mode === 'row-share' || mode === 'row-exclusive' ? 'wdDa' : 'wdD'
      if (![...letters].some((letter) => hasRight(ddl, 'relation', table.oid, letter)))
        requireRight(ddl, 'relation', table.oid, letters[0]!)
      // 'skip' answers false where 'nowait' would throw the words for a row.
      const granted = session.transaction
        .ensure()
        .lockTarget(`relation ${table.oid}`, mode, node.nowait === true ? 'skip' : 'wait')
      if (granted === false) throw sqlError('55P03', `could not obtain lock on relation "${table.name}"`)
      if (granted instanceof Promise) await session.waits.interruptible(granted, 'Lock')
    }
    return 'LOCK TABLE'
  })
}

function findToLock(session: Backend, schema: string | undefined, name: string): RelationRow | undefined {
  const path =
    schema === undefined || schema === '' ? session.searchPath : [session.catalog.namespaceByName(schema)?.oid]
  for (const namespace of path) {
    const found = namespace === undefined ? undefined : session.catalog.relationByName(namespace, name)
    if (found !== undefined) return found
  }
  return undefined
}

const VACUUM_OPTIONS = new Set([
  'analyze',
  'verbose',
  'freeze',
  'full',
  'disable_page_skipping',
  'skip_locked',
  'index_cleanup',
  'process_toast',
  'process_main',
  'truncate',
  'parallel',
])
function checkOptions(options: ReadonlyMap<string, Node | undefined>, vacuum: boolean): void {
  for (const name of options.keys()) {
    if (vacuum ? !VACUUM_OPTIONS.has(name) : name !== 'verbose' && name !== 'skip_locked')
      throw sqlError('42601', `unrecognized ${vacuum ? 'VACUUM' : 'ANALYZE'} option "${name}"`)
  }
}
function truth(options: ReadonlyMap<string, Node | undefined>, name: string): boolean {
  if (!options.has(name)) return false
  const arg = options.get(name)
  if (arg === undefined) return true
  if ('Boolean' in arg) return arg.Boolean.boolval === true
  if ('Integer' in arg) return (arg.Integer.ival ?? 0) !== 0
  return 'String' in arg ? ['true', 'on', 'yes', '1'].includes((arg.String.sval ?? '').toLowerCase()) : true
}

interface Target {
  readonly table: RelationRow
  readonly columns: readonly number[] | undefined
}

async function tablesOf(ddl: Ddl, node: VacuumStmt, command: string): Promise<Target[]> {
  const out: Target[] = []
  const verb = command === 'VACUUM' ? 'vacuum' : 'analyze'
  const mine = (row: RelationRow): boolean => {
    const database = ddl.editor.database(ddl.editor.databaseOid)
    return (
      ownedBy(ddl.editor, roleOf(ddl), row.owner) ||
      (database !== undefined && ownedBy(ddl.editor, roleOf(ddl), database.owner))
    )
  }
  if (node.rels === undefined || node.rels.length === 0) {
    for (const row of [...ddl.editor.ownAll('relation')]) {
      if ((row.kind !== 'r' && row.kind !== 'm') || (row.session !== undefined && row.session !== ddl.session.pid))
        continue
      if (!mine(row)) continue
      await lockRelation(ddl, row.oid, 'share-update-exclusive')
      const now = ddl.editor.relation(row.oid)
      if (now !== undefined) out.push({ table: now, columns: undefined })
    }
    return out
  }
  for (const each of node.rels) {
    if (!('VacuumRelation' in each)) continue
    const { relation, va_cols } = each.VacuumRelation
    const row = await openRelation(ddl, relation!, 'share-update-exclusive')
    if (row === undefined) throw noRelation(relation!)
    if (row.kind !== 'r' && row.kind !== 'm' && row.kind !== 't') {
      warning(ddl, '01000', `skipping "${row.name}" --- cannot ${verb} non-tables or special system tables`)
      continue
    }
    if (row.virtual === true) continue
    if (!mine(row)) {
      warning(ddl, '01000', `permission denied to ${verb} "${row.name}", skipping it`)
      continue
    }
    const columns = (va_cols ?? []).map((item) => {
      const name = 'String' in item ? (item.String.sval ?? '') : ''
      const column = findColumn(row, name)
      if (column === undefined) throw sqlError('42703', `column "${name}" of relation "${row.name}" does not exist`)
      return column.number
    })
    out.push({ table: row, columns: columns.length === 0 ? undefined : columns })
  }
  return out
}

async function collect(session: Backend, tables: readonly RelationRow[] | undefined): Promise<void> {
  const { vectors } = session.server
  if (tables === undefined) {
    await session.waits.interruptible(session.kv.collectGarbage(), undefined)
    await session.waits.interruptible(vectors.vacuum(databaseSpan(session.databaseOid).from), undefined)
    return
  }
  for (const table of tables) {
    for (const row of [table, ...table.indexes.map((each) => session.catalog.relation(each))]) {
      if (row !== undefined && row.storageId !== 0)
        await session.waits.interruptible(session.kv.collectGarbage(relationSpan(session.databaseOid, row)), undefined)
      if (row !== undefined && isVectorIndex(row))
        await session.waits.interruptible(vectors.vacuum(entryPrefix(session.databaseOid, row)), undefined)
    }
  }
}
