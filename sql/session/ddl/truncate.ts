/** TRUNCATE: tables under new, empty storage, in the transaction as anything else; others see the rows until it commits. */
import type { Oid } from '../../../storage/keys/brand.ts'
import type { RelationRow } from '../../catalog/catalog.ts'
import { ownedBy } from '../../catalog/privileges.ts'
import { sqlError } from '../../types/error.ts'
import {
  current,
  type Ddl,
  defineDdl,
  forbidSystemCatalog,
  hasRight,
  KIND_WORDS,
  lockRelation,
  notice,
  requireOpen,
  requireOwner,
  requireRight,
} from './context.ts'
import { restart } from './sequences.ts'
import { replaceStorage } from './storage.ts'

export function registerTruncate(): void {
  defineDdl('TruncateStmt', 'TRUNCATE TABLE', async (ddl, node) => {
    const tables = new Map<Oid, RelationRow>()
    for (const each of node.relations ?? []) {
      if (!('RangeVar' in each)) continue
      const row = await requireOpen(ddl, each.RangeVar, 'access-exclusive')
      check(ddl, row)
      tables.set(row.oid, row)
    }
    const cascade = node.behavior === 'DROP_CASCADE'
    for (const table of tables.keys()) {
      for (const { table: other } of ddl.editor.referencing(table)) {
        if (tables.has(other.oid)) continue
        if (!cascade) {
          throw sqlError('0A000', 'cannot truncate a table referenced in a foreign key constraint', {
            detail: `Table "${other.name}" references "${current(ddl, table).name}".`,
            hint: `Truncate table "${other.name}" at the same time, or use TRUNCATE ... CASCADE.`,
          })
        }
        await lockRelation(ddl, other.oid, 'access-exclusive')
        notice(ddl, `truncate cascades to table "${other.name}"`)
        const row = current(ddl, other.oid)
        check(ddl, row)
        tables.set(row.oid, row)
      }
    }
    if (node.restart_seqs === true) {
      for (const row of [...ddl.editor.ownAll('relation')]) {
        const owner = row.sequence?.ownedBy
        if (owner === undefined || !tables.has(owner.table)) continue
        if (!ownedBy(ddl.editor, ddl.session.userOid, row.owner)) requireOwner(ddl, row.owner, 'sequence', row.name)
        restart(ddl, row, row.sequence!, BigInt(row.sequence!.start), false)
      }
    }
    for (const table of tables.keys()) replaceStorage(ddl, current(ddl, table))
    return 'TRUNCATE TABLE'
  })
}

function check(ddl: Ddl, row: RelationRow): void {
  if (row.kind !== 'r') throw sqlError('42809', `"${row.name}" is not a table`)
  forbidSystemCatalog(row)
  if (!hasRight(ddl, 'relation', row.oid, 'D'))
    requireRight(ddl, 'relation', row.oid, 'D', `permission denied for ${KIND_WORDS[row.kind]} ${row.name}`)
  if (row.session !== undefined && row.session !== ddl.session.pid)
    throw sqlError('0A000', 'cannot truncate temporary tables of other sessions')
}
