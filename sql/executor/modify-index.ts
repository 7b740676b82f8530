/**
 * Making an index, and moving a table's rows to new storage, for DDL. Both read the newest state with the transaction's own
 * writes (the caller holds a table lock that keeps others from writing) and write to storage nobody has seen yet.
 *
 *     CREATE INDEX                    buildIndex(x, env, table, index)
 *     ALTER TABLE … TYPE, ADD PRIMARY KEY, …   rewriteTable(x, env, from, to, row); then buildIndex for each index of `to`
 */
import type { Key } from '../../storage/keys/brand.ts'
import { PAGE_HEADER_BYTES, type Page } from '../../storage/kv/kv.ts'
import { SortedRuns } from '../access/index-build.ts'
import { keyWriter, nextRowNumber, numberedKey, rowSpan } from '../access/keys.ts'
import { layoutOf, partialRowReader, viewOf, wholeRowReader } from '../access/row.ts'
import type { RelationRow } from '../catalog/catalog.ts'
import { sqlError } from '../types/error.ts'
import type { Row } from '../types/value.ts'
import type { CompileEnv } from './env.ts'
import { ForeignQueue } from './modify-foreign.ts'
import { IndexRun, TableRun } from './modify-rows.ts'
import { indexWriter, keyDescription, type TableWriter, tableFields, tableWriter } from './modify-table.ts'
import { type Execution, type MutableRow, type Pause, SLICE_OVER } from './operator.ts'

/**
 * Writes the entries of `index` for every row of `table`. Descriptors as they will be; `index` need not be in
 * `table.indexes` yet. A clustered index has no entries. Answers how many rows there were. Throws 23505 `could not create
 * unique index`.
 */
export function* buildIndex(
  x: Execution,
  env: CompileEnv,
  table: RelationRow,
  index: RelationRow,
): Generator<Pause, number, undefined> {
  if (index.index?.clustered === true) return 0
  let rows = 0
  const writer = tableWriter(table, env)
  const run = new IndexRun(indexWriter(table, index, { ...env, mode: 'often' }), writer.prefix.length, x)
  const { meets, late } = run.writer
  const runs = new SortedRuns(x.txn, meets, (key) =>
    duplicated(x, table, index, run.values(findRow(x, table, (row, rowKey) => run.entry(row, rowKey) === key))),
  )
  const seen = late ? new Set<Key>() : undefined
  const read = partialRowReader(layoutOf(table, x.catalog), run.writer.attributes)
  const asBytes = !late && run.writer.vector === undefined
  for (const page of newestPages(x, table)) {
    const { buffer, bytes } = page
    const view = viewOf(buffer)
    for (let o = 0; o < bytes; ) {
      const from = o + PAGE_HEADER_BYTES
      const at = from + view.getUint32(o, true)
      o = at + view.getUint32(o + 4, true)
      const row = read(buffer, at)
      rows++
      if (asBytes) {
        const length = run.writeEntry(row, buffer, from, at)
        if (length > 0) runs.addEntry(run.entryBytes, length, buffer, from, at)
        continue
      }
      const rowKey = buffer.latin1Slice(from, at) as Key
      const entry = run.entry(row, rowKey)
      if (entry === undefined) continue
      if (seen !== undefined && run.distinct) {
        if (seen.has(run.bare)) throw duplicated(x, table, index, run.values(row))
        seen.add(run.bare)
      }
      runs.add(entry, run.writer.vector === undefined ? rowKey : run.value.latin1Slice(0, run.length))
    }
    if (runs.full) yield* written(runs, x)
    if (x.sliceOver()) yield SLICE_OVER
  }
  yield* written(runs, x)
  return rows
}

function* written(runs: SortedRuns, x: Execution): Generator<Pause, void, undefined> {
  for (const _ of runs.flush()) if (x.sliceOver()) yield SLICE_OVER
}

export function duplicated(x: Execution, table: RelationRow, index: RelationRow, key: Row) {
  return sqlError('23505', `could not create unique index "${index.name}"`, {
    detail: `Key ${keyDescription(x.catalog, index, key, x.context)} is duplicated.`,
    ...tableFields(x.catalog, table),
    constraint: index.name,
  })
}

/** A row that answers, for the message. */
function findRow(x: Execution, table: RelationRow, test: (row: Row, key: Key) => boolean): Row {
  const read = wholeRowReader(layoutOf(table, x.catalog))
  for (const page of newestPages(x, table)) {
    const { buffer, bytes } = page
    for (let o = 0; o < bytes; ) {
      const at = o + PAGE_HEADER_BYTES + buffer.readUInt32LE(o)
      const key = buffer.latin1Slice(o + PAGE_HEADER_BYTES, at) as Key
      o = at + buffer.readUInt32LE(o + 4)
      const row = read(buffer, at)
      if (test(row, key)) return row
    }
  }
  return []
}

/** Some pages go by between two looks at the clock: rows with vectors are long. */
const PAGE_ROWS = 128

function* newestPages(x: Execution, table: RelationRow): Generator<Page, void, undefined> {
  const scanner = x.txn.scanNewest(rowSpan(x.catalog.databaseOid, table))
  try {
    for (let page = scanner.next(PAGE_ROWS); page !== undefined; page = scanner.next(PAGE_ROWS)) yield page
  } finally {
    scanner.close()
  }
}

/**
 * Writes every row of `from` as `to` has it (another storage id; perhaps other columns, another clustered key). `row` makes
 * a row of `to`'s live columns from one of `from`'s; generated columns are computed and constraints checked (23502, 23514)
 * here. Without it the columns are the same, and stored rows are copied as they lie. Throws 23505 `could not create unique
 * index` when the clustered key is not unique. Answers how many rows there were.
 */
export function* rewriteTable(
  x: Execution,
  env: CompileEnv,
  from: RelationRow,
  to: RelationRow,
  convert: ((old: Row) => MutableRow) | undefined,
): Generator<Pause, number, undefined> {
  const row = convert ?? ((old: Row): MutableRow => [...old])
  const source = tableWriter(from, env)
  const target = tableWriter(to, env)
  const run = new TableRun(target, x, new ForeignQueue(x, env))
  const { primary } = target
  const primaryKey = primary && keyWriter(primary.space.prefix, primary.space.columns, primary.positions)
  const runs = new SortedRuns(x.txn, primary !== undefined, (key) => {
    const values = row(findRow(x, from, (old) => primaryKey!(row(old)) === key))
    return duplicated(
      x,
      to,
      primary!.relation,
      primary!.positions.map((at) => values[at]!),
    )
  })
  const read = convert === undefined && isSameLayout(from, to) ? checkedColumns(target, to, x) : undefined
  let count = 0
  for (const page of newestPages(x, from)) {
    const { buffer, bytes } = page
    const view = viewOf(buffer)
    for (let o = 0; o < bytes; ) {
      const at = o + PAGE_HEADER_BYTES + view.getUint32(o, true)
      o = at + view.getUint32(o + 4, true)
      const checked = read?.(buffer, at)
      if (checked !== undefined) {
        const key =
          primaryKey === undefined ? numberedKey(target.prefix, nextRowNumber(x.txn.snapshot)) : primaryKey(checked)
        runs.addBytes(key, buffer.subarray(at, o), o - at)
        count++
        continue
      }
      const next = row(source.read(buffer, at))
      run.prepare(next)
      const key =
        primaryKey === undefined ? numberedKey(target.prefix, nextRowNumber(x.txn.snapshot)) : primaryKey(next)
      const encoded = target.write(next)
      runs.addBytes(key, encoded.buffer, encoded.length)
      count++
    }
    if (runs.full) yield* written(runs, x)
    if (x.sliceOver()) yield SLICE_OVER
  }
  yield* written(runs, x)
  return count
}

/** A stored row means the same in both, nothing in it is computed, and every column it lacks is NULL. */
function isSameLayout(from: RelationRow, to: RelationRow): boolean {
  if (from.columns.length !== to.columns.length) return false
  return from.columns.every((a, i) => {
    const b = to.columns[i]!
    const alike = a.type === b.type && a.dropped === b.dropped && a.storage === b.storage
    return alike && a.missing === undefined && b.generated === undefined
  })
}

/** Reads what a row that is copied needs: its key's columns. undefined when it breaks a rule, or there are more rules than NOT NULL. */
function checkedColumns(
  { primary, notNull, checks }: TableWriter,
  to: RelationRow,
  x: Execution,
): ((buffer: Buffer, at: number) => Row | undefined) | undefined {
  if (checks.length > 0) return undefined
  const attributes = new Set([...(primary?.attributes ?? []), ...notNull.map(({ column }) => column.number)])
  const read = partialRowReader(layoutOf(to, x.catalog), attributes)
  const positions = notNull.map(({ position }) => position)
  return (buffer, at) => {
    const row = read(buffer, at)
    for (let i = 0; i < positions.length; i++) if (row[positions[i]!] === null) return undefined
    return row
  }
}
