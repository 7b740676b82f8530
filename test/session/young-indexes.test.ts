/** Snapshots from before an index was filled: its entries are newer than they are, so that their plans must do without it. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Embedded, openEmbedded } from './embedded.ts'

let db: Embedded
beforeEach(async () => {
  db = await openEmbedded()
  await db.ask('create table t (id int primary key, n int, tenant int, v vector(3))')
  await db.ask(
    'insert into t select g, g, g % 3, array[g, g % 11, g % 5]::real[]::vector(3) from generate_series(1, 300) g',
  )
})
afterEach(() => db.close())

const QUESTIONS = [
  'select count(*), sum(n) from t where n between 20 and 40',
  `select id from t order by v <-> '[100,2,3]', id limit 12`,
  `select id from t where tenant = 1 order by v <-> '[100,2,3]', id limit 12`,
  `select id from t where n in (3, 5, 7) order by v <-> '[4,2,3]' limit 2`,
]
const tell = async (session: string) => {
  const answers: string[] = []
  for (const each of QUESTIONS) answers.push(await db.ask(each, session))
  return answers
}
const plans = async (session: string) => {
  const answers: string[] = []
  for (const each of QUESTIONS) answers.push(await db.ask(`explain ${each}`, session))
  return answers.join('\n')
}
const INDEXES = ['i on t (n)', 'j on t using hnsw (v vector_l2_ops)', 'k on t using hnsw (tenant, v vector_l2_ops)']

for (const level of ['repeatable read', 'serializable']) {
  test(`${level}: an index that was made after the snapshot is not read by it`, async () => {
    await db.ask('set enable_seqscan = off', 'old')
    await db.ask(`begin isolation level ${level}; select 1`, 'old')
    const before = await tell('old')
    await db.ask(`delete from t where id % 2 = 0; update t set v = '[100,2,3]' where id > 250`)
    for (const each of INDEXES) expect(await db.ask(`create index ${each}`)).toBe('CREATE INDEX')
    expect(await tell('old')).toEqual(before)
    expect(await plans('old')).not.toMatch(/using [ijk] /)
    // What is written is written to it.
    await db.ask('begin', 'w')
    expect(await db.ask(`update t set n = n + 0, v = '[100,2,3]' where id = 1`, 'old')).toBe('UPDATE 1')
    await db.ask('rollback', 'w')
    await db.ask('commit', 'old')
    await db.ask('set enable_seqscan = off')
    expect(await plans('old')).toMatch(/using [ijk] /)
    expect(await tell('old')).toEqual(await tell('c1'))
    await db.ask('set enable_seqscan = on; set enable_indexscan = off')
    expect(await tell('old')).toEqual(await tell('c1'))
  })

  test(`${level}: nor one that was made anew, or for rows that are all gone`, async () => {
    const before = await tell('c1')
    for (const each of INDEXES) await db.ask(`create index ${each}`)
    // Each begins before what follows; none holds a lock on the table until it asks.
    const anew = ['delete from t where id % 3 = 0; reindex table t', 'delete from t; reindex table t']
    const made = [...anew, ...INDEXES.map((each) => `drop index ${each[0]}; create index ${each}`)]
    for (const i of made.keys()) {
      await db.ask('set enable_seqscan = off', `old${i}`)
      await db.ask(`begin isolation level ${level}; select 1`, `old${i}`)
      if (i === 0) expect(await db.ask(made[0]!)).toMatch(/REINDEX$/)
    }
    for (const each of made.slice(1)) expect(await db.ask(each)).toMatch(/(REINDEX|CREATE INDEX)$/)
    expect(await tell('old0')).toEqual(before)
    for (const i of made.keys()) if (i > 1) expect(await tell(`old${i}`)).toEqual(await tell('old1'))
    expect(await tell('c1')).toEqual(['0|∅\nSELECT 1', ...QUESTIONS.slice(1).map(() => 'SELECT 0')])
    expect((await tell('old1')).join('')).not.toContain('SELECT 0')
  })
}

test('a unique index that is not read is one all the same', async () => {
  await db.ask('begin isolation level repeatable read; select 1', 'old')
  await db.ask('create unique index i on t (n)')
  expect(await db.ask('insert into t values (1000, 1000) on conflict (n) do nothing', 'old')).toBe('INSERT 0 1')
  expect(await db.ask('insert into t values (1001, 1000) on conflict (n) do nothing', 'old')).toBe('INSERT 0 0')
  expect(await db.ask('insert into t values (1001, 7)', 'old')).toContain('ERROR 23505')
})
