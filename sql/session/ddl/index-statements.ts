/** CREATE INDEX, ALTER INDEX (through ALTER TABLE's statements), REINDEX. */
import type { IndexStmt } from '@pgsql/types'
import type { Oid } from '../../../storage/keys/brand.ts'
import type { RelationRow } from '../../catalog/catalog.ts'
import { notSupported, sqlError } from '../../types/error.ts'
import { preventInBlock } from '../control.ts'
import {
  beginDdl,
  current,
  type Ddl,
  defineDdl,
  forbidSystemCatalog,
  KIND_WORDS,
  lockName,
  lockObject,
  lockRelation,
  lookUpRelation,
  notice,
  openRelation,
  requireOpen,
  requireOwner,
  requireRelationOwner,
  requireRight,
  requireSchema,
  shownName,
  warning,
} from './context.ts'
import { buildConcurrently, holdingTable, reindexConcurrently } from './index-concurrently.ts'
import { bindPredicate, type IndexMethod, includeColumns, keyOfElement, putIndex } from './index-make.ts'
import { checkScalar, isVectorMethod } from './index-vector.ts'
import { chooseRelationName, indexColumnNames, nameAddition } from './names.ts'
import { optionKind, optionList } from './options.ts'
import { fillIndex, refillIndex } from './storage.ts'

export function registerIndexes(): void {
  defineDdl('IndexStmt', 'CREATE INDEX', async (ddl, node) => {
    await createIndex(ddl, node)
    return 'CREATE INDEX'
  })

  defineDdl('ReindexStmt', 'REINDEX', async (ddl, node) => {
    const concurrently = (node.params ?? []).some(
      (each) => 'DefElem' in each && each.DefElem.defname === 'concurrently',
    )
    if (concurrently) preventInBlock(ddl.session, ddl.call, 'REINDEX CONCURRENTLY')
    switch (node.kind!) {
      case 'REINDEX_OBJECT_INDEX': {
        const index = concurrently
          ? lookUpRelation(ddl, node.relation!)
          : await openRelation(ddl, node.relation!, 'access-exclusive')
        if (index === undefined) throw sqlError('42P01', `relation "${shownName(node.relation!)}" does not exist`)
        if (index.kind !== 'i') throw sqlError('42809', `"${index.name}" is not an index`)
        requireOwner(ddl, index.owner, 'index', index.name)
        if (concurrently) {
          await reindexBeside(ddl, index.index!.table, [index.oid])
          return 'REINDEX'
        }
        await inTurn(ddl, index.index!.table)
        await lockRelation(ddl, index.index!.table, 'share')
        await refillIndex(ddl, current(ddl, index.oid))
        return 'REINDEX'
      }
      case 'REINDEX_OBJECT_TABLE': {
        if (!concurrently) await inTurn(ddl, lookUpRelation(ddl, node.relation!)?.oid)
        const table = await requireOpen(ddl, node.relation!, concurrently ? 'share-update-exclusive' : 'share')
        if (table.kind !== 'r' && table.kind !== 'm')
          throw sqlError('42809', `"${table.name}" is not a table or materialized view`)
        requireOwner(ddl, table.owner, 'table', table.name)
        if (table.indexes.length === 0)
          notice(
            ddl,
            `table "${table.name}" has no indexes ${concurrently ? 'that can be reindexed concurrently' : 'to reindex'}`,
          )
        await reindexTable(ddl, table, concurrently)
        return 'REINDEX'
      }
      case 'REINDEX_OBJECT_SCHEMA': {
        const namespace = requireSchema(ddl, node.name!)
        requireOwner(ddl, namespace.owner, 'schema', namespace.name)
        for (const row of [...ddl.editor.ownAll('relation')])
          if ((row.kind === 'r' || row.kind === 'm') && row.namespace === namespace.oid)
            await reindexTable(ddl, row, concurrently)
        return 'REINDEX'
      }
      case 'REINDEX_OBJECT_SYSTEM':
      case 'REINDEX_OBJECT_DATABASE': {
        preventInBlock(
          ddl.session,
          ddl.call,
          node.kind === 'REINDEX_OBJECT_SYSTEM' ? 'REINDEX SYSTEM' : 'REINDEX DATABASE',
        )
        if (node.kind === 'REINDEX_OBJECT_SYSTEM' && concurrently)
          throw sqlError('0A000', 'cannot reindex system catalogs concurrently')
        if (node.name !== undefined && node.name !== '' && node.name !== ddl.editor.databaseName)
          throw sqlError('0A000', 'can only reindex the currently open database')
        const database = ddl.editor.database(ddl.editor.databaseOid)!
        requireOwner(ddl, database.owner, 'database', database.name)
        if (node.kind === 'REINDEX_OBJECT_DATABASE')
          for (const row of [...ddl.editor.ownAll('relation')])
            if (
              (row.kind === 'r' || row.kind === 'm') &&
              (row.session === undefined || row.session === ddl.session.pid)
            )
              await reindexTable(ddl, row, concurrently)
        return 'REINDEX'
      }
    }
  })
}

/**
 * Indexes of one table are made one after the other: its lock lets several in (pg_restore -j), but each of them changes what
 * the catalog has of the table. Before that lock is taken, so that whoever waits here holds nothing.
 */
async function inTurn(ddl: Ddl, table: Oid | undefined): Promise<void> {
  if (table !== undefined) await lockObject(ddl, `indexes of ${table}`, 'exclusive')
}

async function reindexTable(ddl: Ddl, table: RelationRow, concurrently: boolean): Promise<void> {
  if (concurrently) return reindexBeside(ddl, table.oid, table.indexes)
  await inTurn(ddl, table.oid)
  await lockRelation(ddl, table.oid, 'share')
  for (const index of current(ddl, table.oid).indexes) await refillIndex(ddl, current(ddl, index))
}

/** One index after the other, in transactions of their own; those that are gone by then are passed over. */
async function reindexBeside(ddl: Ddl, tableOid: Oid, indexes: readonly Oid[]): Promise<void> {
  const work = async () => {
    for (const oid of indexes) {
      const now = beginDdl(ddl.session, ddl.call, ddl.statement)
      const index = now.editor.relation(oid)
      if (index === undefined || index.index!.clustered) continue
      // Nobody else sees a temporary table: there is nothing to be concurrent with.
      if (index.session !== undefined) await refillIndex(now, index)
      else if (!index.index!.valid && indexes.length > 1)
        warning(
          now,
          '0A000',
          `cannot reindex invalid index "${now.editor.namespace(index.namespace)?.name}.${index.name}" concurrently, skipping`,
        )
      else await reindexConcurrently(now, tableOid, oid)
    }
  }
  await lockRelation(ddl, tableOid, 'share-update-exclusive')
  await holdingTable(ddl.session, tableOid, work)
}

/** Access methods of PostgreSQL that this server has no index of. */
const MISSING_METHODS = new Set(['gin', 'gist', 'spgist', 'brin'])
const isMethod = (name: string): name is IndexMethod => ['btree', 'hash', 'hnsw', 'ivfflat'].includes(name)

async function createIndex(ddl: Ddl, node: IndexStmt): Promise<void> {
  const concurrently = node.concurrent === true
  if (concurrently) preventInBlock(ddl.session, ddl.call, 'CREATE INDEX CONCURRENTLY')
  const method = node.accessMethod === undefined || node.accessMethod === '' ? 'btree' : node.accessMethod
  if (!concurrently) await inTurn(ddl, lookUpRelation(ddl, node.relation!)?.oid)
  const table = await requireOpen(ddl, node.relation!, concurrently ? 'share-update-exclusive' : 'share')
  if (table.kind !== 'r' && table.kind !== 'm') {
    throw sqlError('42809', `cannot create index on relation "${table.name}"`, {
      detail: `This operation is not supported for ${table.kind === 'i' ? 'indexes' : `${KIND_WORDS[table.kind]}s`}.`,
    })
  }
  forbidSystemCatalog(table)
  requireRelationOwner(ddl, table)
  if (table.session !== undefined && table.session !== ddl.session.pid)
    throw sqlError('0A000', 'cannot create indexes on temporary tables of other sessions')
  if (table.namespace !== ddl.session.tempNamespace) requireRight(ddl, 'namespace', table.namespace, 'C')
  if (MISSING_METHODS.has(method)) throw notSupported(`index access method "${method}"`)
  if (!isMethod(method)) throw sqlError('42704', `access method "${method}" does not exist`)
  if ((node.excludeOpNames?.length ?? 0) > 0) throw notSupported('exclusion constraints')
  const elements = (node.indexParams ?? []).flatMap((each) => ('IndexElem' in each ? [each.IndexElem] : []))
  const including = (node.indexIncludingParams ?? []).map((each) =>
    'IndexElem' in each ? each.IndexElem.name : undefined,
  )
  const keys = elements.map((element, i) => {
    const before = i < elements.length - 1 && isVectorMethod(method)
    if (before) checkScalar(ddl, element, method)
    return keyOfElement(ddl, table, element, before ? 'btree' : method)
  })
  const include = includeColumns(ddl, table, node.indexIncludingParams, (each) =>
    'IndexElem' in each ? each.IndexElem.name || undefined : undefined,
  )
  const names = indexColumnNames([...keys.map((key) => key.name), ...including])
  const name =
    node.idxname === undefined || node.idxname === ''
      ? chooseRelationName(ddl.editor, table.namespace, table.name, nameAddition(names), 'idx')
      : node.idxname
  await lockName(ddl, 'relation', { name, namespace: table.namespace })
  if (ddl.editor.relationByName(table.namespace, name) !== undefined) {
    if (node.if_not_exists !== true) throw sqlError('42P07', `relation "${name}" already exists`)
    notice(ddl, `relation "${name}" already exists, skipping`, '42P07')
    return
  }
  const index = putIndex(ddl, table.oid, {
    name,
    method,
    keys,
    include,
    unique: node.unique === true,
    nullsNotDistinct: node.nulls_not_distinct === true,
    primary: false,
    predicate: node.whereClause === undefined ? undefined : bindPredicate(ddl, table, node.whereClause),
    clustered: false,
    immediate: true,
    options: optionList(ddl, node.options, optionKind(method)),
    // Nobody else sees a temporary table: there is nothing to be concurrent with.
    valid: !concurrently || table.session !== undefined,
  })
  if (index.index!.valid) await fillIndex(ddl, current(ddl, table.oid), index)
  else await holdingTable(ddl.session, table.oid, () => buildConcurrently(ddl, table.oid, index.oid))
}
