/**
 * What a statement costs to plan grows with its length, not with a power of it. Each shape is asked once; the bounds, in
 * milliseconds of this process's own time, are many times what it takes and a fraction of what a steep planner would.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Embedded, openEmbedded } from '../session/embedded.ts'

let db: Embedded
beforeAll(async () => {
  db = await openEmbedded()
  await db.ask('create table t (a int primary key, b int); insert into t values (1, 1), (2, 2)')
  await db.ask('create view v0 as select * from t')
  for (let i = 1; i <= 60; i++) await db.ask(`create view v${i} as select * from v${i - 1}`)
})
afterAll(() => db.close())

const list = (n: number, f: (i: number) => string): string[] => Array.from({ length: n }, (_, i) => f(i))
const nest = (n: number, f: (inner: string, i: number) => string, core: string): string =>
  list(n, String).reduce((inner, i) => f(inner, Number(i)), core)

/** A statement and how many rows it gives. */
const SHAPES: readonly (readonly [name: string, sql: string, rows: number])[] = [
  ['subqueries in subqueries', nest(150, (s) => `select * from (${s}) s`, 'select a from t'), 2],
  [
    'subqueries that compute and filter',
    nest(60, (s, i) => `select a + 1 as a from (${s}) s where a > ${i}`, 'select a from t'),
    2,
  ],
  ['views over views', 'select a from v60', 2],
  ['joins of views over views', `select x.a from ${list(8, (i) => `v30 w${i}`).join(', ')}, v20 x where x.a = 1`, 256],
  ['IN in IN', nest(60, (s) => `select a from t where a in (${s})`, 'select a from t'), 2],
  ['1,000 grouping keys', grouped(1000), 1],
  ['1,000 aggregates', `select ${list(1000, (i) => `sum(a + ${i})`).join(', ')} from t`, 1],
  ['20,000 rows of VALUES', `select count(*) from (values ${list(20000, (i) => `(${i}, 'x')`).join(', ')}) v`, 1],
  [
    'a join of 20 tables',
    `select t0.a from t t0 ${list(19, (i) => `join t t${i + 1} on t${i + 1}.a = t${i}.a`).join(' ')}`,
    2,
  ],
  [
    'a chain of 40 tables that FROM names in another order',
    `select t0.a from ${list(40, (i) => `t t${(i * 7) % 40}`).join(', ')}
      where ${list(39, (i) => `t${i + 1}.a = t${i}.a`).join(' and ')}`,
    2,
  ],
]

function grouped(n: number): string {
  const keys = list(n, (i) => `a + ${i}`).join(', ')
  return `select ${keys} from t where a = 1 group by ${keys}`
}

describe('planning is not steep', () => {
  for (const [name, sql, rows] of SHAPES)
    test(name, async () => {
      const before = process.cpuUsage()
      const said = await db.ask(sql)
      const { user, system } = process.cpuUsage(before)
      expect(said.split('\n').at(-1)).toBe(`SELECT ${rows}`)
      expect((user + system) / 1000).toBeLessThan(3000)
    }, 20_000)
})
