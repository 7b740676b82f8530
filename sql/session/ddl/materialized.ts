/**
 * CREATE and REFRESH MATERIALIZED VIEW: a view that keeps its rows. It is filled as a plain table, under storage that nobody
 * has seen, and only then becomes what it is; so REFRESH is all or nothing, and readers of older snapshots keep the old rows.
 *
 *     CREATE     table of the query's columns ─► rows ─► kind m, with the query
 *     REFRESH    new storage, kind r ─► rows of the query, for its owner ─► kind m ─► indexes
 *
 * https://www.postgresql.org/docs/15/sql-creatematerializedview.html
 */
import type { CreateTableAsStmt, RefreshMatViewStmt } from '@pgsql/types'
import { oid } from '../../../storage/keys/brand.ts'
import { type BindContext, bind, namesOf, outputColumns, readView } from '../../binder/binder.ts'
import type { RelationRow } from '../../catalog/catalog.ts'
import type { Expression } from '../../plan/expression.ts'
import { EMPTY_QUERY, type Query } from '../../plan/query.ts'
import { sqlError } from '../../types/error.ts'
import { bindContext, planQuery } from '../statement.ts'
import {
  binder,
  current,
  type Ddl,
  defineDdl,
  noRelation,
  openRelation,
  requireRelationOwner,
  shownName,
  update,
} from './context.ts'
import { optionList } from './options.ts'
import { firstRow, fullName, ownQuery } from './query.ts'
import { fillIndex, replaceStorage } from './storage.ts'
import { newRelation, putTable } from './table-create.ts'
import { columnsFrom, settled } from './views.ts'

/** Answers how many rows there are; undefined: none were asked for, or the name was taken (IF NOT EXISTS). */
export async function createMaterialized(ddl: Ddl, node: CreateTableAsStmt): Promise<number | undefined> {
  const into = node.into!
  const name = into.rel!
  if (name.relpersistence === 't') throw sqlError('42601', 'materialized views cannot be temporary')
  if (name.relpersistence === 'u') throw sqlError('0A000', 'materialized views cannot be unlogged')
  const b = binder(ddl)
  const query = settled(ddl, bind(b, node.query!))
  if (query.ctes.some((cte) => cte.query.command !== 'select'))
    throw sqlError('0A000', 'materialized views must not use data-modifying statements in WITH')
  if ([...b.relationsUsed].some((each) => ddl.editor.relation(each)?.session !== undefined))
    throw sqlError('0A000', 'materialized views must not use temporary tables or views')
  if (b.parameters.length > 0) throw sqlError('0A000', 'materialized views may not be defined using bound parameters')
  const names = namesOf(into.colNames)
  const infos = outputColumns(query)
  const base = await newRelation(ddl, name, node.if_not_exists === true)
  if (base === undefined) return undefined
  if (names.length > infos.length) throw sqlError('42601', 'too many column names were specified')
  const shown = infos.map((info, i) => ({ ...info, name: names[i] ?? info.name }))
  const options = optionList(ddl, into.options, 'table')
  const columns = columnsFrom(ddl, shown)
  const row = putTable(ddl, { ...base, columns, ...(options === undefined ? {} : { options }) })
  const rows = into.skipData === true ? undefined : await fill(ddl, b, row, query)
  let at = 0
  const targets = query.targets.map((target) => (target.junk ? target : { ...target, name: shown[at++]!.name }))
  become(ddl, current(ddl, row.oid), { ...query, targets }, rows !== undefined)
  return rows
}

export function registerMaterialized(): void {
  defineDdl('RefreshMatViewStmt', 'REFRESH MATERIALIZED VIEW', async (ddl, node) => {
    await refresh(ddl, node)
    return 'REFRESH MATERIALIZED VIEW'
  })
}

async function refresh(ddl: Ddl, node: RefreshMatViewStmt): Promise<void> {
  const concurrently = node.concurrent === true
  const row = await openRelation(ddl, node.relation!, concurrently ? 'exclusive' : 'access-exclusive')
  if (row === undefined) throw noRelation(node.relation!)
  if (row.kind !== 'm' && row.kind !== 'r') throw sqlError('42809', `"${row.name}" is not a table or materialized view`)
  requireRelationOwner(ddl, row)
  if (row.kind !== 'm' || row.view === undefined || !('query' in row.view))
    throw sqlError('0A000', `"${shownName(node.relation!)}" is not a materialized view`)
  const { query } = row.view
  const keeps = node.skipData !== true
  if (concurrently) checkConcurrent(ddl, row, keeps)
  const { view: _, populated: __, ...rest } = replaceStorage(ddl, row)
  const table = update(ddl, { ...rest, kind: 'r', indexes: [] })
  if (keeps) {
    const b = bindContext(ddl.session, '', [], true)
    await fill(ddl, b, table, readView(b, row))
    if (concurrently) await refuseDuplicates(ddl, table)
  }
  const { indexes } = row
  const filled = become(ddl, { ...current(ddl, table.oid), indexes }, query, keeps)
  for (const each of indexes) await fillIndex(ddl, filled, current(ddl, each))
}

function checkConcurrent(ddl: Ddl, row: RelationRow, keeps: boolean): void {
  if (row.populated === false)
    throw sqlError('0A000', 'CONCURRENTLY cannot be used when the materialized view is not populated')
  if (!keeps) throw sqlError('42601', 'CONCURRENTLY and WITH NO DATA options cannot be used together')
  const fits = row.indexes.some((each) => {
    const index = ddl.editor.relation(each)?.index
    return index?.unique === true && index.predicate === undefined && index.keys.every((key) => key.column > 0)
  })
  if (fits) return
  throw sqlError('55000', `cannot refresh materialized view "${fullName(ddl, row)}" concurrently`, {
    hint: 'Create a unique index with no WHERE clause on one or more columns of the materialized view.',
  })
}

/** What PostgreSQL's comparison of old and new rows cannot tell apart. */
async function refuseDuplicates(ddl: Ddl, table: RelationRow): Promise<void> {
  const name = fullName(ddl, table)
  const sql = `SELECT d::text FROM ${name} d WHERE d.* IS NOT NULL GROUP BY 1 HAVING count(*) > 1 LIMIT 1`
  ddl.session.transaction.ensure().beginStatement()
  const found = await firstRow(ddl, ownQuery(ddl, sql))
  if (found === undefined) return
  throw sqlError(
    '21000',
    `new data for materialized view "${table.name}" contains duplicate rows without any null columns`,
    { detail: `Row: ${found[0] as string}` },
  )
}

const become = (ddl: Ddl, table: RelationRow, query: Query, populated: boolean): RelationRow =>
  update(ddl, { ...table, kind: 'm', view: { query }, ...(populated ? {} : { populated: false }) })

/** INSERT of the query's rows into the table. */
async function fill(ddl: Ddl, b: BindContext, table: RelationRow, query: Query): Promise<number> {
  const { session } = ddl
  const columns = outputColumns(query)
  const target = table.columns.map(({ name, type, typmod }) => ({ name, type, typmod }))
  const insert: Query = {
    ...EMPTY_QUERY,
    command: 'insert',
    relations: [
      {
        kind: 'table',
        oid: table.oid,
        only: false,
        alias: table.name,
        aliased: false,
        columns: target,
        lateral: false,
      },
      { kind: 'subquery', query, alias: '*SELECT*', aliased: true, columns, lateral: false },
    ],
    from: [{ kind: 'relation', relation: 1 }],
    targets: columns.map(({ name, ...rest }, i) => {
      const expression: Expression = { kind: 'var', level: 0, relation: 1, column: i + 1, ...rest }
      return { name, expression, junk: false, tableOid: oid(0), columnNumber: 0 }
    }),
    modify: {
      relation: 0,
      insertColumns: table.columns.map((column) => column.number),
      overriding: 'none',
      assignments: [],
      onConflict: undefined,
      returning: [],
    },
  }
  const prepared = planQuery(session, b, insert, false)
  const tag = await session.runner.runQuery(ddl.statement, prepared, [], ddl.call.sink, false)
  return Number(tag.slice(tag.lastIndexOf(' ') + 1))
}
