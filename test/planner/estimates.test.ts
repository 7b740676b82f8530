/** How many rows a condition is expected to keep, of a table that was analyzed: as PostgreSQL 15 estimates it, about. */
import { expect, test } from 'vitest'
import { openEmbedded } from '../session/embedded.ts'

/** PostgreSQL's own estimates, of the same rows. */
const EXPECTED: readonly (readonly [condition: string, rows: number])[] = [
  ["a LIKE '%test%'", 10109],
  ["a LIKE '%other%'", 1],
  ["a LIKE 'test 1%'", 1123],
  ["a NOT LIKE '%99%'", 10008],
  ["a ILIKE 'TEST%'", 10109],
  ["a ~ '5$'", 1],
  ['b', 101],
  ['NOT b', 10009],
  ['b IS NOT TRUE', 10009],
  ['b IS TRUE', 101],
  ['b IS UNKNOWN', 1],
  ['b = true', 101],
  ["n <> 'x4'", 2526],
  ['n IS NULL', 7582],
  ["tags @> ARRAY['t3']", 1428],
  ["tags && ARRAY['t3', 'u5']", 1529],
  [`j @> '{"a":3}'`, 1011],
]

test('conditions are estimated by the values that statistics hold', async () => {
  const e = await openEmbedded()
  await e.ask('CREATE TABLE t (id int, a text, b bool, tags text[], j jsonb, n text)')
  await e.ask(
    `INSERT INTO t SELECT i, 'test ' || i, i % 100 = 0, ARRAY['t' || i % 7, 'u' || i % 100], jsonb_build_object('a', i % 10),
            CASE WHEN i % 4 = 0 THEN 'x' || i END FROM generate_series(1, 10000) i`,
  )
  await e.ask('ANALYZE t')
  for (const [condition, rows] of EXPECTED) {
    const plan = await e.ask(`EXPLAIN SELECT * FROM t WHERE ${condition}`)
    const found = Number(/rows=(\d+)/.exec(plan)?.[1])
    expect(found / rows, condition).toBeGreaterThan(0.9)
    expect(found / rows, condition).toBeLessThan(1.1)
  }
  await e.close()
})
