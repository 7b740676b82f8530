/**
 * Statements that keep a processor busy end when they are told to, whatever operator they are in, and others are answered
 * meanwhile. Times are generous: a machine that runs tests is busy.
 */
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startAlopex, type TestServer } from '../support/server.ts'

const TIMEOUT_MS = 150
/** How much later than asked a statement may end, and how long a point query may take beside it. */
const LATE_MS = 1000

let server: TestServer
let busy: pg.Client
let other: pg.Client
beforeAll(async () => {
  server = await startAlopex()
  busy = await connect()
  other = await connect()
  await busy.query('create table big (a int primary key, b int, s text)')
  await busy.query('insert into big select g, g % 1000, md5(g::text) from generate_series(1, 60000) g')
  await busy.query('create table sink (a int, s text)')
}, 60_000)
afterAll(async () => {
  await busy.end()
  await other.end()
  await server.dispose()
})

async function connect(): Promise<pg.Client> {
  const client = new pg.Client({ host: server.host, port: server.port, user: 'postgres', database: 'alopex' })
  client.on('error', () => {})
  await client.connect()
  return client
}

const ENDLESS = 'generate_series(1, 2000000000)'
const STATEMENTS: Readonly<Record<string, string>> = {
  'a cross join': `select count(*) from generate_series(1, 100000) a, generate_series(1, 100000) b where a + b = -1`,
  'a join of tables': 'select count(*) from big x, big y where x.b + y.b = -5',
  'a hash join': 'select count(*) from big x join big y using (b) join big z using (b)',
  'a function in FROM': `select count(*) from ${ENDLESS}`,
  'a function among the targets': `select count(*) from (select ${ENDLESS}) x`,
  'an aggregate': `select max(md5(g::text)) from ${ENDLESS} g`,
  'an aggregate with costly arguments': `select count(length(repeat(md5(g::text), 20000))) from ${ENDLESS} g`,
  groups: `select count(*) from (select md5(g::text), count(*) from ${ENDLESS} g group by 1) x`,
  'distinct values': `select count(distinct md5(g::text)) from ${ENDLESS} g`,
  'a sort': `select * from (select md5(g::text) m from ${ENDLESS} g) x order by m`,
  'a costly filter': `select count(*) from ${ENDLESS} g where length(regexp_replace(repeat(md5(g::text), 100), '[a-f]', 'x', 'g')) = 0`,
  'a costly projection': `select repeat(md5(g::text), 20000) like '%x' from ${ENDLESS} g`,
  'a costly filter of a scan': `select count(*) from big x, generate_series(1, 1000) where length(replace(repeat(s, 1000), 'a', 'bb')) = 0`,
  'a window':
    'select max(m) from (select max(a) over (order by a rows between 20000 preceding and current row exclude current row) m from big) x',
  'a frame without inverse':
    'select max(m) from (select max(a) over (order by a rows between 40000 preceding and current row) m from big) x',
  'a recursive query': 'with recursive r(n) as (select 1 union all select n + 1 from r) select count(*) from r',
  'a recursive query over distinct rows':
    'with recursive r(n) as (select 1 union select (n * 7 + 1) % 100000007 from r) select count(*) from r',
  'a scalar subquery': `select (select count(*) from ${ENDLESS})`,
  'a scalar subquery in a filter': `select 1 from big where a = (select max(g) from ${ENDLESS} g)`,
  EXISTS: `select 1 where exists (select from ${ENDLESS} g where g < 0)`,
  IN: `select count(*) from (values (-1), (-2)) v (x) where x in (select g from ${ENDLESS} g)`,
  ALL: `select count(*) from (values (-1), (-2)) v (x) where x < all (select g from ${ENDLESS} g)`,
  'an array of a subquery': `select cardinality(array(select ${ENDLESS}))`,
  'a correlated subquery': 'select count(*) from big x where (select count(*) from big y where y.b <> x.b) > 5',
  'a subquery in a subquery': `select (select (select count(*) from ${ENDLESS} g where g > x) from (values (1)) v (x))`,
  'a subquery in CASE': `select case when a > 0 then (select count(*) from ${ENDLESS}) end from big`,
  'a lateral join': 'select count(*) from big x, lateral (select count(*) from big y where y.b <> x.b) z',
  INTERSECT: `select md5(g::text) from ${ENDLESS} g intersect select md5(g::text) from ${ENDLESS} g`,
  INSERT: `insert into sink select g, 'x' from ${ENDLESS} g`,
  'CREATE TABLE AS': `create table made as select g from ${ENDLESS} g`,
  'an UPDATE with a costly value': 'update big x set b = (select count(*) from big y where y.b <> x.b)',
  'EXPLAIN ANALYZE': `explain analyze select count(*) from ${ENDLESS}`,
}

describe('statement_timeout', () => {
  test.each(Object.entries(STATEMENTS))('%s', async (_, sql) => {
    await busy.query(`set statement_timeout = ${TIMEOUT_MS}`)
    const began = performance.now()
    let over = false
    const done = busy.query(sql).then(
      () => 'finished',
      (error: pg.DatabaseError) => `${error.code} ${error.message}`,
    )
    const ended = done.finally(() => {
      over = true
    })
    while (!over) {
      const asked = performance.now()
      await other.query({ name: 'point', text: 'select s from big where a = $1', values: [7] })
      expect(performance.now() - asked).toBeLessThan(LATE_MS)
    }
    expect(await ended).toBe('57014 canceling statement due to statement timeout')
    expect(performance.now() - began).toBeLessThan(TIMEOUT_MS + LATE_MS)
  })
})

describe('a cancel', () => {
  test('ends a statement in each of its waits', async () => {
    await busy.query('set statement_timeout = 0')
    await other.query('begin; update big set b = b where a = 1; lock table sink')
    for (const sql of [
      'select pg_sleep(60)',
      'update big set b = 0 where a = 1',
      'select count(*) from sink',
      'drop table sink',
      `select (select count(*) from ${ENDLESS})`,
    ]) {
      const pid = (await busy.query('select pg_backend_pid() as pid')).rows[0].pid
      const ended = busy.query(sql).catch((error: pg.DatabaseError) => `${error.code} ${error.message}`)
      await new Promise((resolve) => setTimeout(resolve, 50))
      const asked = performance.now()
      await other.query('select pg_cancel_backend($1)', [pid])
      expect(await ended).toBe('57014 canceling statement due to user request')
      expect(performance.now() - asked).toBeLessThan(LATE_MS)
    }
    await other.query('rollback')
    expect((await busy.query('select count(*)::int as n from big')).rows[0].n).toBe(60_000)
  })

  test('of an idle session does nothing to its next statement', async () => {
    const pid = (await busy.query('select pg_backend_pid() as pid')).rows[0].pid
    await other.query('select pg_cancel_backend($1)', [pid])
    expect((await busy.query('select 1 as one')).rows[0].one).toBe(1)
  })

  test('leaves the settings of a transaction that failed as they were', async () => {
    await busy.query('begin')
    await busy.query('set local statement_timeout = 100')
    const ended = await busy.query('select 1/0 from big').catch((error: pg.DatabaseError) => error.code)
    expect(ended).toBe('22012')
    await busy.query('rollback')
    expect((await busy.query('show statement_timeout')).rows[0].statement_timeout).toBe('0')
  })
})
