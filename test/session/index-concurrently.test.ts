/**
 * CREATE INDEX CONCURRENTLY while others write: it waits for transactions that may not know of the index, not for others;
 * afterwards the index has every row once; what could not be unique leaves an index that is not valid. And sessions that are
 * told to end: at once when they are idle, when their statement ends else.
 */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Embedded, openEmbedded } from './embedded.ts'

let db: Embedded
const turn = (ms = 0) => new Promise((resolve) => setTimeout(resolve, ms))
beforeEach(async () => {
  db = await openEmbedded()
  await db.ask('create table t (id int primary key, v int, w text)')
})
afterEach(() => db.close())

const VALID = `select indexrelid::regclass, indisvalid from pg_index where indrelid = 't'::regclass order by 1`

test('writers go on and the index has what the table has', async () => {
  await db.ask('insert into t select i, i % 50, i::text from generate_series(1, 9000) i')
  let going = true
  let meanwhile = 0
  let seed = 1
  const random = (below: number) => {
    seed = (seed * 1103515245 + 12345) % 2147483648
    return seed % below
  }
  const writer = async (name: string, base: number) => {
    for (let i = 0; going; i++, meanwhile++) {
      const id = 1 + random(9000)
      const sql = [
        `update t set v = ${random(50)} where id = ${id}`,
        `insert into t values (${base + i}, ${random(50)}, 'new')`,
        `delete from t where id = ${id}`,
        `begin; update t set v = v + 1 where id = ${id}; ${i % 2 === 0 ? 'commit' : 'rollback'}`,
        `update t set id = ${base + 50000 + i} where id = ${id}`,
      ][random(5)]!
      await db.ask(sql, name)
      await turn()
    }
  }
  const writers = [writer('w1', 100_000), writer('w2', 200_000)]
  await turn(20)
  const before = meanwhile
  expect(await db.ask('create index concurrently t_v on t (v)')).toBe('CREATE INDEX')
  expect(await db.ask('create index concurrently t_w on t ((v + 1)) where v > 10')).toBe('CREATE INDEX')
  expect(meanwhile - before).toBeGreaterThan(5)
  const oids = await db.ask(`select oid, relname from pg_class where relname in ('t_v', 't_w') order by 1`)
  const storages = `select relfilenode from pg_class where relname in ('t_v', 't_w') order by 1`
  const old = await db.ask(storages)
  const then = meanwhile
  expect(await db.ask('reindex index concurrently t_v')).toBe('REINDEX')
  expect(await db.ask('reindex table concurrently t')).toBe('REINDEX')
  expect(meanwhile - then).toBeGreaterThan(5)
  expect(await db.ask(`select oid, relname from pg_class where relname in ('t_v', 't_w') order by 1`)).toBe(oids)
  expect(await db.ask(storages)).not.toBe(old)
  expect(await db.ask(VALID)).toBe('t_pkey|t\nt_v|t\nt_w|t\nSELECT 3')
  going = false
  await Promise.all(writers)
  for (const way of ['seqscan', 'hashjoin', 'mergejoin']) await db.ask(`set enable_${way} = off`)
  const byIndex = `select count(*), sum(s.id) from generate_series(0, 60) g, lateral (select id from t where v = g) s`
  expect(await db.ask(`explain (costs off) ${byIndex}`)).toContain('t_v')
  expect(await db.ask(byIndex)).toBe(await db.ask('select count(*), sum(id) from t where v + 0 >= 0'))
  for (const v of [12, 30, 50]) {
    const byOther = `select count(*), sum(id) from t where v + 1 = ${v} and v > 10`
    expect(await db.ask(`explain (costs off) ${byOther}`)).toContain('t_w')
    expect(await db.ask(byOther)).toBe(await db.ask(`select count(*), sum(id) from t where v + 0 = ${v - 1}`))
  }
}, 30_000)

test('it waits for who may write without knowing of the index, and for older snapshots', async () => {
  await db.ask(`insert into t values (1, 1, 'a')`)
  await db.ask('begin', 'writer')
  await db.ask(`insert into t values (2, 2, 'b')`, 'writer')
  await db.ask('begin isolation level repeatable read', 'reader')
  await db.ask('select * from t', 'reader')
  let done = false
  const building = db.ask('create index concurrently t_w on t (w)').then((answer) => {
    done = true
    return answer
  })
  await turn(60)
  expect(done).toBe(false)
  // Later statements know the index; new writers are not kept out.
  expect(await db.ask(`update t set w = 'bb' where id = 2`, 'writer')).toBe('UPDATE 1')
  expect(await db.ask(`insert into t values (3, 3, 'c')`, 'other')).toBe('INSERT 0 1')
  await db.ask('commit', 'writer')
  await turn(60)
  expect(done).toBe(false)
  await db.ask('commit', 'reader')
  expect(await building).toBe('CREATE INDEX')
  await db.ask('set enable_seqscan = off')
  expect(await db.ask(`explain (costs off) select id from t where w = 'bb'`)).toContain('t_w')
  for (const [w, id] of [
    ['a', '1'],
    ['b', undefined],
    ['bb', '2'],
    ['c', '3'],
  ])
    expect((await db.ask(`select id from t where w = '${w}'`)).includes(`${id}`)).toBe(id !== undefined)
})

test('a failure leaves an index that is maintained but not used', async () => {
  await db.ask(`insert into t values (1, 1, 'a'), (2, 1, 'b')`)
  expect(await db.ask('create unique index concurrently t_v on t (v)')).toContain('could not create unique index "t_v"')
  const states = await db.ask(VALID)
  expect(states).toMatch(/t_v\W+f/)
  expect(states).toMatch(/t_pkey\W+t/)
  expect(await db.ask('explain (costs off) select * from t where v = 1')).not.toContain('t_v')
  expect(await db.ask('insert into t values (3, 1, null) on conflict (v) do nothing')).toContain('no unique')
  expect(await db.ask('delete from t where id = 2')).toBe('DELETE 1')
  expect(await db.ask('reindex index t_v')).toBe('REINDEX')
  expect(await db.ask(VALID)).not.toMatch(/t_v\W+f/)
  expect(await db.ask('begin; create index concurrently on t (w)')).toContain('cannot run inside a transaction block')
})

test('REINDEX CONCURRENTLY: a unique index stays one, what fails leaves an index beside it', async () => {
  await db.ask(`insert into t values (1, 1, 'a'), (2, 2, 'b')`)
  await db.ask('alter table t add constraint t_v unique (v)')
  expect(await db.ask('reindex (concurrently) index t_v')).toBe('REINDEX')
  expect(await db.ask(`insert into t values (3, 2, 'c')`)).toContain('23505')
  expect(await db.ask(`insert into t values (3, 2, 'c') on conflict on constraint t_v do nothing`)).toBe('INSERT 0 0')
  expect(await db.ask(`select conname from pg_constraint where conrelid = 't'::regclass order by 1`)).toContain('t_v')
  await db.ask(`set statement_timeout = 20; begin; update t set v = 5 where id = 1`, 'writer')
  const failed = db.session().then((session) => setTimeout(() => session.cancel(), 60))
  expect(await db.ask('reindex index concurrently t_v')).toContain('57014')
  await failed
  expect(await db.ask(VALID)).toBe('t_pkey|t\nt_v|t\nt_v_ccnew|f\nSELECT 3')
  expect(await db.ask('commit', 'writer')).toBe('COMMIT')
  expect(await db.ask('drop index t_v_ccnew; reindex index concurrently t_v')).toContain('REINDEX')
  expect(await db.ask('select id from t where v = 5')).toBe('1\nSELECT 1')
  expect(await db.ask('begin; reindex index concurrently t_v')).toContain('cannot run inside a transaction block')
})

test('a session whose statement ends is ended when it was told to meanwhile', async () => {
  const pid = /\d+/.exec(await db.ask('select pg_backend_pid()', 'victim'))![0]
  const slow = db.ask('select count(*) from generate_series(1, 300000)', 'victim')
  await db.ask(`select pg_terminate_backend(${pid})`)
  const said = `${await slow}\n${await db.ask('select 1', 'victim')}`
  expect(said).toContain('terminating connection due to administrator command')
})

test('indexes of one table that are made at once are made one after the other', async () => {
  await db.ask('insert into t select i, i % 50, i::text from generate_series(1, 3000) i')
  const asked = [
    'create index on t (v)',
    'create index concurrently on t (w)',
    'reindex table t',
    'create index on t (w)',
    'create index concurrently on t (v)',
    'reindex index t_pkey',
    'analyze t',
    `comment on table t is 'x'`,
    'create index on t ((v + 1))',
  ]
  const answers = await Promise.all(asked.map((sql, i) => db.ask(sql, `s${i}`)))
  expect(asked.map((sql, i) => `${sql}: ${answers[i]}`).filter((answer) => answer.includes('ERROR'))).toEqual([])
  expect(
    await db.ask(`${VALID.replace('indexrelid::regclass', 'count(*)').replace(/ order by 1/, ' group by 2')}`),
  ).toBe('6|t\nSELECT 1')
})

test('whoever waits for the table that an index is made of concurrently, and must end first, is a deadlock', async () => {
  await db.ask('insert into t select i, i % 50, i::text from generate_series(1, 300) i')
  await db.ask('begin', 'w')
  await db.ask('update t set v = 0 where id = 1', 'w')
  const making = db.ask('create index concurrently on t (v)')
  await turn(30)
  const altering = db.ask('alter table t add c int', 'w')
  expect(await making).toContain('ERROR 40P01: deadlock detected')
  expect(await altering).toBe('ALTER TABLE')
  expect(await db.ask('commit', 'w')).toBe('COMMIT')
})
