/** A catalog store in memory, and descriptors as CREATE TABLE would write them. */

import type { CatalogEditor, ColumnRow, RelationRow } from '../../sql/catalog/catalog.ts'
import { installCatalogFunctions } from '../../sql/catalog/functions.ts'
import { registerArrays } from '../../sql/types/array/array.ts'
import { registerDatetime } from '../../sql/types/datetime/datetime.ts'
import { registerJson } from '../../sql/types/json/json.ts'
import { registerMisc } from '../../sql/types/misc/misc.ts'
import { registerNumber } from '../../sql/types/number/number.ts'
import { registerRecords } from '../../sql/types/record/record.ts'
import { registerText } from '../../sql/types/text/text.ts'
import { registerVector } from '../../sql/types/vector/vector.ts'
import { openMemoryEngine } from '../../storage/engine/memory.ts'
import { type Oid, oid } from '../../storage/keys/brand.ts'
import type { Kv, Txn } from '../../storage/kv/kv.ts'
import { openKv } from '../../storage/kv/open-kv.ts'
import { openLocalLog } from '../../storage/range/local-log.ts'
import { manualClock } from '../storage/manual-clock.ts'

export function registerEverything(): void {
  for (const register of [
    registerNumber,
    registerText,
    registerDatetime,
    registerMisc,
    registerJson,
    registerVector,
    registerRecords,
    registerArrays,
  ])
    register()
  installCatalogFunctions()
}

export async function memoryKv(): Promise<Kv> {
  const engine = openMemoryEngine()
  return openKv(engine, { clock: manualClock(), openLog: openLocalLog(engine) })
}

let pids = 1
export function begin(kv: Kv): Txn {
  const txn = kv.begin({ isolation: 'read-committed', readOnly: false, pid: pids++, lockTimeoutMs: () => 0 })
  txn.beginStatement()
  return txn
}

export const PUBLIC = oid(2200)
export const DATABASE = oid(5)
export const OWNER = oid(10)

export function column(number: number, name: string, type: number, options: Partial<ColumnRow> = {}): ColumnRow {
  return {
    number,
    name,
    type: oid(type),
    typmod: -1,
    collation: oid(type === 25 || type === 1043 ? 100 : 0),
    notNull: false,
    dropped: false,
    ...options,
  }
}

export function table(
  self: Oid,
  name: string,
  columns: readonly ColumnRow[],
  options: Partial<RelationRow> = {},
): RelationRow {
  return {
    oid: self,
    name,
    namespace: PUBLIC,
    owner: OWNER,
    kind: 'r',
    persistence: 'p',
    rowType: oid(0),
    storageId: 1,
    columns,
    constraints: [],
    indexes: [],
    ...options,
  }
}

/** A table of one int4 column. */
export function createTable(editor: CatalogEditor, name: string, options: Partial<RelationRow> = {}): RelationRow {
  const row = table(editor.nextOid(), name, [column(1, 'a', 23)], { storageId: editor.nextStorageId(), ...options })
  editor.put('relation', row)
  return row
}
