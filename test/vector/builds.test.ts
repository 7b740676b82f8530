/** Builds of vector indexes beside others' work: progress, cancel, CONCURRENTLY under writers, memory; large commits; VACUUM. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Embedded, openEmbedded } from '../session/embedded.ts'

let db: Embedded
beforeEach(async () => {
  db = await openEmbedded()
  await db.ask('create table t (id int primary key, v vector(8))')
})
afterEach(() => db.close())
const turn = (ms = 0) => new Promise((resolve) => setTimeout(resolve, ms))

const VECTOR = `array[g % 37, g % 11, (g * 7) % 23, g % 5, g % 101, g % 3, g % 53, g % 7]::real[]::vector(8)`
const fill = (from: number, to: number) => `insert into t select g, ${VECTOR} from generate_series(${from}, ${to}) g`
const INDEXES = `select relname from pg_class where relname like 'i%' and relkind = 'i' and relname !~ '^in'`
const OPEN = 'select indexname, state, entries, tail from alopex_vector_indexes'

/** Nearest of several places, by the index and by the table, in one session. */
async function bothWays(name = 'c1', how: 'graph' | 'every entry' | false = 'graph'): Promise<void> {
  const ask = async (q: string) =>
    db.ask(`select v <-> '${q}', v <-> '${q}' < 3 from t order by v <-> '${q}' limit 25`, name)
  for (const q of ['[1,2,3,4,5,6,7,8]', '[30,5,20,2,90,1,40,3]', '[-9,-9,-9,-9,-9,-9,-9,-9]']) {
    await db.ask('set enable_indexscan = off; set enable_seqscan = on', name)
    const exact = await ask(q)
    await db.ask('set enable_indexscan = on; set enable_seqscan = off; set hnsw.ef_search = 1000', name)
    if (how !== false)
      expect(await db.ask(`explain select id from t order by v <-> '${q}' limit 25`, name)).toContain(
        `Vector Search: ${how}`,
      )
    expect(await ask(q)).toBe(exact)
  }
}

test('pg_stat_progress_create_index tells how far a build is', async () => {
  await db.ask(fill(1, 6000))
  const building = db.ask('create index i on t using hnsw (v vector_l2_ops)')
  const seen: string[] = []
  let isDone = false
  void building.then(() => {
    isDone = true
  })
  while (!isDone) {
    const row = await db.ask(
      'select relid::regclass, command, phase, tuples_total, tuples_done, blocks_total from pg_stat_progress_create_index',
      'c2',
    )
    if (row.split('\n').length > 1) seen.push(row.split('\n')[0]!)
    await turn()
  }
  expect(await building).toBe('CREATE INDEX')
  expect(seen.some((row) => row.startsWith('t|CREATE INDEX|'))).toBe(true)
  expect(seen.some((row) => row.includes('loading tuples'))).toBe(true)
  expect(await db.ask('select count(*) from pg_stat_progress_create_index')).toContain('0')
  await bothWays()
})

test('a build that is cancelled leaves nothing, a REINDEX that is leaves the index as it was', async () => {
  await db.ask(fill(1, 8000))
  const cancelled = 'ERROR 57014: canceling statement due to user request'
  const session = await db.session()
  const cancelIn = async (ms: number, sql: string) => {
    const running = db.ask(sql)
    await turn(ms)
    session.cancel()
    return running
  }
  for (const ms of [20, 150, 400]) {
    const answer = await cancelIn(ms, 'create index i on t using hnsw (v vector_l2_ops) with (ef_construction = 400)')
    expect(answer).toBe(cancelled)
    expect(await db.ask(INDEXES)).toBe('SELECT 0')
    expect(await db.ask(OPEN)).toBe('SELECT 0')
  }
  expect(await db.ask('create index i on t using hnsw (v vector_l2_ops) with (ef_construction = 400)')).toBe(
    'CREATE INDEX',
  )
  for (const ms of [20, 200]) {
    expect(await cancelIn(ms, 'reindex index i')).toBe(cancelled)
    expect(await db.ask(OPEN)).toBe('i|ready|8000|0\nSELECT 1')
    await bothWays()
  }
}, 30_000)

test('CREATE INDEX CONCURRENTLY while others write: ready and whole when it ends', async () => {
  await db.ask(fill(1, 5000))
  let going = true
  let seed = 1
  const random = (below: number) => {
    seed = (seed * 1103515245 + 12345) % 2147483648
    return seed % below
  }
  let count = 0
  const writer = async (name: string, base: number) => {
    for (let i = 0; going; i++, count++) {
      const id = 1 + random(5000)
      await db.ask(
        [
          `update t set v = v + array_fill(${random(9)}::real, array[8])::vector where id = ${id}`,
          `insert into t values (${base + i}, array_fill(${random(99)}::real, array[8])::vector)`,
          `delete from t where id = ${id}`,
          `begin; update t set v = null where id = ${id}; ${i % 2 === 0 ? 'commit' : 'rollback'}`,
        ][random(4)]!,
        name,
      )
      await turn()
    }
  }
  const writers = [writer('w1', 100_000), writer('w2', 200_000)]
  await turn(20)
  const before = count
  const building = db.ask('create index concurrently i on t using hnsw (v vector_l2_ops)')
  expect(await building).toBe('CREATE INDEX')
  expect(count - before).toBeGreaterThan(5)
  expect(await db.ask(OPEN)).toMatch(/^i\|ready\|/)
  await bothWaysWhile()
  const then = count
  expect(await db.ask('reindex index concurrently i')).toBe('REINDEX')
  expect(count - then).toBeGreaterThan(5)
  expect(await db.ask(OPEN)).toMatch(/^i\|ready\|.*\nSELECT 1$/)
  await bothWaysWhile()
  going = false
  await Promise.all(writers)
  await bothWays()

  /** In one snapshot, while others write. */
  async function bothWaysWhile() {
    await db.ask('begin isolation level repeatable read')
    await bothWays('c1')
    await db.ask('commit')
  }
}, 30_000)

test('what stops CREATE INDEX CONCURRENTLY leaves an index that is not valid, and no graph', async () => {
  await db.ask(fill(1, 9000))
  await db.ask(`set maintenance_work_mem = '1MB'`)
  expect(await db.ask('create index concurrently i on t using hnsw (v vector_l2_ops)')).toContain('ERROR 53200')
  expect(await db.ask(`select indisvalid from pg_index where indexrelid = 'i'::regclass`)).toBe('f\nSELECT 1')
  expect(await db.ask(OPEN)).toBe('SELECT 0')
  await bothWays('c1', false)
  await db.ask(`set maintenance_work_mem = '64MB'`)
  expect(await db.ask('reindex index i')).toBe('REINDEX')
  expect(await db.ask(OPEN)).toBe('i|ready|9000|0\nSELECT 1')
  await bothWays()
}, 20_000)

test('a large commit is taken over in slices: who sees it gets exact answers meanwhile, older snapshots the graph', async () => {
  await db.ask(fill(1, 2000))
  await db.ask('create index i on t using hnsw (v vector_l2_ops)')
  await db.ask('begin isolation level repeatable read; select 1', 'old')
  const old = await db.ask('select count(*) from t', 'old')
  await db.ask(`${fill(2001, 12_000)}; update t set v = v + '[1,1,1,1,1,1,1,1]' where id % 3 = 0`)
  for (let i = 0; i < 4; i++) {
    await bothWays('c1', false)
    await db.ask(`update t set v = '[1,2,3,4,5,6,7,9]' where id = ${i + 1}; delete from t where id = ${2500 + i}`)
    await bothWays('old', false)
    expect(await db.ask('select count(*) from t', 'old')).toBe(old)
    await turn(5)
  }
  await expect.poll(() => db.ask(OPEN), { timeout: 10_000 }).toBe('i|ready|11996|0\nSELECT 1')
  await bothWays()
  const measured = () => db.ask('select recall > 0.5 from alopex_vector_indexes')
  await expect.poll(measured, { timeout: 10_000 }).toBe('t\nSELECT 1')
}, 30_000)

test('a table that is filled after its index is measured too', async () => {
  await db.ask('create index i on t using hnsw (v vector_l2_ops)')
  expect(await db.ask(OPEN)).toBe('i|ready|0|0\nSELECT 1')
  await db.ask(fill(1, 3000))
  await expect
    .poll(() => db.ask('select tail, recall > 0.5, last_build is not null from alopex_vector_indexes'), {
      timeout: 10_000,
    })
    .toBe('0|t|t\nSELECT 1')
}, 20_000)

test('VACUUM builds a graph anew that has some dead slots', async () => {
  await db.ask(fill(1, 900))
  await db.ask('create index i on t using hnsw (v vector_l2_ops)')
  await db.ask('delete from t where id % 10 = 0')
  const dead = 'select entries, dead_share > 0 from alopex_vector_indexes'
  expect(await db.ask(dead)).toBe('810|t\nSELECT 1')
  expect(await db.ask('vacuum t')).toBe('VACUUM')
  expect(await db.ask(dead)).toBe('810|f\nSELECT 1')
  await bothWays('c1', 'every entry')
  await db.ask('delete from t where id % 10 = 1')
  expect(await db.ask('vacuum')).toBe('VACUUM')
  expect(await db.ask(dead)).toBe('720|f\nSELECT 1')
  await bothWays('c1', 'every entry')
})
