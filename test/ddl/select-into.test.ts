/** SELECT … INTO as the tree of CREATE TABLE AS, wherever the INTO clause stands. */
import { expect, test } from 'vitest'
import { parse } from '../../sql/parser/parser.ts'
import { selectInto } from '../../sql/session/ddl/select-into.ts'

async function turned(sql: string) {
  const [first] = await parse(sql)
  return selectInto(first!.node)
}

test.each(['select 1 as a into t', 'select 1 as a into t union all select 2'])('%s', async (sql) => {
  const node = await turned(sql)
  expect(node).toMatchObject({ CreateTableAsStmt: { into: { rel: { relname: 't' } }, is_select_into: true } })
  expect(JSON.stringify('CreateTableAsStmt' in node && node.CreateTableAsStmt.query)).not.toContain('intoClause')
})

test('other queries stay as they are', async () => {
  const [first] = await parse('select 1')
  expect(selectInto(first!.node)).toBe(first!.node)
})
