/** CREATE TABLE AS and SELECT INTO: a table of the query's columns, then INSERT of the query's rows into it. */
import type { CreateTableAsStmt, InsertStmt, IntoClause, Node } from '@pgsql/types'
import { oid } from '../../../storage/keys/brand.ts'
import { bind, namesOf, outputColumns } from '../../binder/binder.ts'
import type { RelationRow } from '../../catalog/catalog.ts'
import { sqlError } from '../../types/error.ts'
import type { Value } from '../../types/value.ts'
import { bindContext, makeStatement, planQuery } from '../statement.ts'
import { executeParameters } from '../utilities/prepare.ts'
import type { Ddl } from './context.ts'
import { defineDdl } from './context.ts'
import { createMaterialized } from './materialized.ts'
import { optionList } from './options.ts'
import { newRelation, onCommitOf, putTable } from './table-create.ts'
import { onCommit } from './temporary.ts'
import { columnsFrom, settled } from './views.ts'

export function registerTableAs(): void {
  defineDdl(
    'CreateTableAsStmt',
    (node) => (node.objtype === 'OBJECT_MATVIEW' ? 'CREATE MATERIALIZED VIEW' : 'CREATE TABLE AS'),
    async (ddl, node) => {
      if (node.objtype !== 'OBJECT_MATVIEW') return createTableAs(ddl, node)
      const rows = await createMaterialized(ddl, node)
      return rows === undefined ? 'CREATE MATERIALIZED VIEW' : `SELECT ${rows}`
    },
  )
}

async function createTableAs(ddl: Ddl, node: CreateTableAsStmt): Promise<string> {
  const into = node.into!
  let { parameters } = ddl.call
  let query = node.query!
  let types = ddl.statement.givenTypes
  let { source } = ddl.statement
  if ('ExecuteStmt' in query) {
    const prepared = ddl.session.prepared.get(query.ExecuteStmt.name!)
    if (prepared === undefined) throw sqlError('26000', `prepared statement "${query.ExecuteStmt.name}" does not exist`)
    const execute = query.ExecuteStmt
    query = prepared.statement.node
    if (!('SelectStmt' in query)) throw sqlError('42809', 'prepared statement is not a SELECT')
    types = ddl.session.extended.preparedQuery(execute.name!).parameterTypes
    parameters = executeParameters(ddl.session, execute, types, ddl.statement, parameters)
    source = prepared.statement.source
  }
  if (!('SelectStmt' in query)) throw sqlError('42601', 'CREATE TABLE AS requires a query')
  const table = await makeTable(ddl, into, query, source, types, node.if_not_exists === true)
  if (table === undefined) return 'CREATE TABLE AS'
  if (into.skipData === true) return 'ExecuteStmt' in node.query! ? 'SELECT 0' : 'CREATE TABLE AS'
  const rows = await fill(ddl, table, query, source, types, parameters)
  return `SELECT ${rows}`
}

async function makeTable(
  ddl: Ddl,
  into: IntoClause,
  query: Node,
  source: string,
  types: Ddl['statement']['givenTypes'],
  ifNotExists: boolean,
): Promise<RelationRow | undefined> {
  if (into.tableSpaceName !== undefined && into.tableSpaceName !== '' && into.tableSpaceName !== 'pg_default')
    throw sqlError('42704', `tablespace "${into.tableSpaceName}" does not exist`)
  const b = bindContext(ddl.session, source, types, false)
  const bound = settled(ddl, bind(b, query))
  const names = namesOf(into.colNames)
  const infos = outputColumns(bound)
  if (names.length > infos.length) throw sqlError('42601', 'too many column names were specified')
  const base = await newRelation(ddl, into.rel!, ifNotExists)
  if (base === undefined) return undefined
  const columns = columnsFrom(
    ddl,
    infos.map((info, i) => ({ ...info, name: names[i] ?? info.name })),
  )
  const commit = onCommitOf(into.onCommit, base.persistence)
  const options = optionList(ddl, into.options, 'table')
  const row = putTable(ddl, {
    ...base,
    columns,
    ...(options === undefined ? {} : { options }),
    ...(commit === undefined ? {} : { onCommit: commit }),
  })
  if (commit !== undefined && commit !== 'preserve') onCommit(ddl, row.oid, commit)
  return row
}

async function fill(
  ddl: Ddl,
  table: RelationRow,
  query: Node,
  source: string,
  types: Ddl['statement']['givenTypes'],
  parameters: readonly Value[],
): Promise<number> {
  const schema = ddl.editor.namespace(table.namespace)!.name
  const insert: InsertStmt = {
    relation: { schemaname: schema, relname: table.name, inh: true, relpersistence: table.persistence },
    selectStmt: query as NonNullable<InsertStmt['selectStmt']>,
    override: 'OVERRIDING_NOT_SET',
  }
  const node: Node = { InsertStmt: insert }
  const { session } = ddl
  const statement = makeStatement(node, ddl.statement.text, source, types)
  const b = bindContext(session, source, types, false)
  const prepared = planQuery(session, b, bind(b, node), false)
  const given = parameters.map((value, i) => {
    const type = prepared.parameterTypes[i] ?? oid(25)
    return (types[i] ?? 0) === 0 && type !== 25 && typeof value === 'string'
      ? session.catalog.type(type).input(value, -1, session.context)
      : value
  })
  const tag = await session.runner.runQuery(statement, prepared, given, ddl.call.sink, false)
  return Number(tag.slice(tag.lastIndexOf(' ') + 1))
}
