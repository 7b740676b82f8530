/** Rows that are already there against a new rule: the first that breaks it ends the statement, in PostgreSQL's words. */

import { bind } from '../../binder/binder.ts'
import type { ColumnRow, ConstraintRow, RelationRow } from '../../catalog/catalog.ts'
import { sqlError } from '../../types/error.ts'
import { OID } from '../../types/oids.ts'
import { bindContext } from '../statement.ts'
import type { Ddl } from './context.ts'
import { eachRow, firstRow, fullName, ownQuery, parseOne, quoted } from './query.ts'

const place = (ddl: Ddl, table: RelationRow) => ({
  schema: ddl.editor.namespace(table.namespace)?.name,
  table: table.name,
})

/** 23502 */
export async function validateNotNull(ddl: Ddl, table: RelationRow, column: ColumnRow): Promise<void> {
  const found = await firstRow(
    ddl,
    ownQuery(ddl, `SELECT 1 FROM ONLY ${fullName(ddl, table)} WHERE ${quoted(column.name)} IS NULL LIMIT 1`),
  )
  if (found !== undefined) {
    throw sqlError('23502', `column "${column.name}" of relation "${table.name}" contains null values`, {
      ...place(ddl, table),
      column: column.name,
    })
  }
}

/** 23514: a row for which the condition is false (NULL will do). */
export async function validateCheck(ddl: Ddl, table: RelationRow, constraint: ConstraintRow): Promise<void> {
  const text = `SELECT 1 FROM ONLY ${fullName(ddl, table)} WHERE true`
  const query = bind(bindContext(ddl.session, text, [], true), parseOne(text))
  const broken = { ...query, where: { kind: 'not' as const, arg: constraint.check!, type: OID.bool, typmod: -1 } }
  if ((await firstRow(ddl, broken)) !== undefined) {
    throw sqlError(
      '23514',
      `check constraint "${constraint.name}" of relation "${table.name}" is violated by some row`,
      { ...place(ddl, table), constraint: constraint.name },
    )
  }
}

/** 23503 with the key that is not there. */
export async function validateForeignKey(ddl: Ddl, table: RelationRow, constraint: ConstraintRow): Promise<void> {
  const key = constraint.foreignKey!
  const target = ddl.editor.relation(key.table)!
  const own = constraint.columns.map((number) => table.columns[number - 1]!)
  const theirs = key.columns.map((number) => target.columns[number - 1]!)
  const on = own
    .map((column, i) => `pk.${quoted(theirs[i]!.name)} OPERATOR(pg_catalog.=) fk.${quoted(column.name)}`)
    .join(' AND ')
  const given = own
    .map((column) => `fk.${quoted(column.name)} IS NOT NULL`)
    .join(key.match === 'full' ? ' OR ' : ' AND ')
  const sql =
    `SELECT ${own.map((column) => `fk.${quoted(column.name)}`).join(', ')} FROM ONLY ${fullName(ddl, table)} fk ` +
    `LEFT OUTER JOIN ONLY ${fullName(ddl, target)} pk ON (${on}) WHERE pk.${quoted(theirs[0]!.name)} IS NULL AND (${given})`
  await eachRow(ddl, ownQuery(ddl, sql), (row) => {
    const fields = { ...place(ddl, table), constraint: constraint.name }
    const message = `insert or update on table "${table.name}" violates foreign key constraint "${constraint.name}"`
    if (row.slice(0, own.length).includes(null))
      throw sqlError('23503', message, {
        ...fields,
        detail: 'MATCH FULL does not allow mixing of null and nonnull key values.',
      })
    const values = own.map((column, i) => ddl.editor.type(column.type).output(row[i]!, ddl.session.context)).join(', ')
    throw sqlError('23503', message, {
      ...fields,
      detail: `Key (${own.map((column) => column.name).join(', ')})=(${values}) is not present in table "${target.name}".`,
    })
  })
}
