/** Vector indexes through SQL: what is built, what follows changes, what is left after DDL, checkpoints, restarts. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { type Database, openDatabaseOver } from './database.ts'

let database: Database | undefined
const folders: string[] = []
afterEach(async () => {
  await database?.close()
  database = undefined
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
})
const folder = () => {
  const path = mkdtempSync(join(tmpdir(), 'vector-'))
  folders.push(path)
  return path
}

const FILL = (count: number) =>
  `insert into t select g, array[g % 37, g % 11, (g * 7) % 23]::real[]::vector(3) from generate_series(1, ${count}) g`
const NEAREST = `select id from t order by v <-> '[5,5,5]', id limit 7`

/** The same rows with and without the index. */
async function bothWays(db: Database): Promise<void> {
  await db.run('set enable_indexscan = off; set enable_seqscan = on')
  const exact = await db.rows(`select v <-> '[5,5,5]' from t order by v <-> '[5,5,5]' limit 20`)
  await db.run('set enable_indexscan = on; set enable_seqscan = off; set hnsw.ef_search = 1000')
  expect(await db.rows(`select v <-> '[5,5,5]' from t order by v <-> '[5,5,5]' limit 20`)).toEqual(exact)
}

test('an index is ready when CREATE INDEX has ended, and follows changes', async () => {
  const db = (database = await openDatabaseOver())
  await db.run('create table t (id int primary key, v vector(3))')
  await db.run(FILL(600))
  await db.run('create index i on t using hnsw (v vector_l2_ops)')
  const [index] = db.indexes()
  expect(index!.status).toMatchObject({ state: 'ready', entries: 600, dead: 0, tail: 0 })
  await bothWays(db)
  await db.run(
    `update t set v = '[5,5,5]' where id in (7, 9); delete from t where id = 11; insert into t values (1000, '[5,5,6]')`,
  )
  await db.run(`update t set v = null where id = 13`)
  expect(index!.status).toMatchObject({ entries: 599, dead: 4 })
  await bothWays(db)
  await db.run(`begin; update t set v = '[5,5,5.5]' where id = 20; savepoint s; delete from t where id = 7`)
  await bothWays(db)
  await db.run('rollback to s')
  await bothWays(db)
  await db.run('rollback')
  await bothWays(db)
  expect(index!.status).toMatchObject({ entries: 599, dead: 4 })
})

test('rows without a vector come behind all others, none is missed', async () => {
  const db = (database = await openDatabaseOver())
  await db.run('create table t (id int primary key, v vector(3))')
  await db.run(FILL(20))
  await db.run('insert into t (id) select n from generate_series(1000, 1999) n')
  await db.run('create index i on t using hnsw (v vector_l2_ops); analyze t')
  const all = `select v from t order by v <-> '[5,5,5]' limit (select 2000)`
  expect(await db.rows(`explain (costs off) ${all}`)).toContainEqual(['  ->  Index Scan using i on t'])
  expect(await db.rows(`select count(*), count(v) from (${all}) s`)).toEqual([['1020', '20']])
})

test('an index of a transaction that rolls back leaves nothing; one that commits is adopted as it is', async () => {
  const db = (database = await openDatabaseOver())
  await db.run('create table t (id int primary key, v vector(3))')
  await db.run(FILL(300))
  await db.run('begin; create index i on t using hnsw (v vector_l2_ops)')
  expect(db.indexes()).toHaveLength(1)
  await bothWays(db)
  await db.run('rollback')
  expect(db.indexes()).toHaveLength(0)
  await db.run('begin; savepoint s; create index i on t using hnsw (v vector_l2_ops); rollback to s; commit')
  expect(db.indexes()).toHaveLength(0)
  await db.run('begin; create index i on t using hnsw (v vector_l2_ops)')
  await db.run(
    `delete from t where id < 10; update t set v = '[1,2,3]' where id = 100; insert into t values (999, '[9,9,9]')`,
  )
  await bothWays(db)
  await db.run('commit')
  expect(db.indexes()[0]!.status).toMatchObject({ state: 'ready', entries: 292 })
  await bothWays(db)
})

test('DDL: TRUNCATE, REINDEX, ALTER TYPE, DROP', async () => {
  const db = (database = await openDatabaseOver())
  await db.run('create table t (id int primary key, v vector(3), w int)')
  await db.run(FILL(200).replace('insert into t', 'insert into t (id, v)'))
  await db.run('create index i on t using hnsw (v vector_l2_ops)')
  await db.run('reindex index i')
  expect(db.indexes()).toHaveLength(1)
  await bothWays(db)
  await db.run('alter table t alter w type bigint')
  await bothWays(db)
  expect(db.indexes()).toHaveLength(1)
  await db.run('begin; truncate t; insert into t values (1, $$[1,1,1]$$); rollback')
  await bothWays(db)
  await db.run('truncate t; insert into t values (1, $$[1,1,1]$$)')
  expect(await db.rows(NEAREST)).toEqual([['1']])
  await bothWays(db)
  await db.run('drop index i')
  expect(db.indexes()).toHaveLength(0)
  await db.run('create index i on t using hnsw (v vector_l2_ops); drop table t')
  expect(db.indexes()).toHaveLength(0)
})

test('maintenance_work_mem bounds the graph, and nothing is left behind', async () => {
  const db = (database = await openDatabaseOver())
  await db.run('create table t (id int primary key, v vector(3))')
  await db.run(FILL(30_000))
  await db.run(`set maintenance_work_mem = '1MB'`)
  const failed = await db.run('create index i on t using hnsw (v vector_l2_ops)').catch((error: unknown) => error)
  expect(failed).toMatchObject({ code: '53200' })
  expect(db.indexes()).toHaveLength(0)
  expect(await db.rows(`select count(*) from pg_class where relname = 'i'`)).toEqual([['0']])
}, 20_000)

test('a checkpoint is taken over after a restart; a damaged one is told of and built anew', async () => {
  const path = folder()
  const db = (database = await openDatabaseOver({ vectorFolder: path }))
  await db.run('create table t (id int primary key, v vector(3))')
  await db.run(FILL(500))
  await db.run('create index i on t using hnsw (v vector_l2_ops)')
  await db.reopen()
  const [file] = readdirSync(path)
  expect(file).toMatch(/^[0-9a-f]+\.graph$/)
  await db.ready()
  expect(db.indexes()[0]!.status).toMatchObject({ state: 'ready', entries: 500, tail: 0, dead: 0 })
  await bothWays(db)
  await db.run(`update t set v = '[5,5,5]' where id = 3; delete from t where id = 4`)
  await bothWays(db)
  await db.reopen()
  await db.ready()
  await bothWays(db)
  expect(db.warnings).toEqual([])
  await db.stop()
  const bytes = readFileSync(join(path, file!))
  bytes[bytes.length >> 1] = bytes[bytes.length >> 1]! ^ 4
  writeFileSync(join(path, file!), bytes)
  await db.start()
  await db.ready()
  expect(db.warnings).toHaveLength(1)
  expect(db.warnings[0]).toContain('checkpoint')
  await bothWays(db)
  await db.run('drop table t')
  await db.reopen()
  expect(readdirSync(path)).toEqual([])
}, 20_000)

test('a checkpoint that cannot be written is told of, and left at the next end; recall that was measured is in it', async () => {
  const path = folder()
  const db = (database = await openDatabaseOver({ vectorFolder: path }))
  await db.run('create table t (id int primary key, v vector(3))')
  await db.run(FILL(600))
  await db.run('create index i on t using hnsw (v vector_l2_ops)')
  const measured = () => db.rows('select calibration, last_build, build_ms from alopex_vector_indexes')
  await expect.poll(async () => (await measured())[0]![0], { timeout: 5000 }).not.toBeNull()
  const before = await measured()
  const names = () => readdirSync(path)
  await expect.poll(names).toEqual([expect.stringMatching(/^[0-9a-f]+\.graph$/)])
  const [file] = names()
  await db.reopen()
  await db.ready()
  expect(await measured()).toEqual(before)
  mkdirSync(join(path, `${file}.new`))
  await db.run(`update t set v = v + '[1,0,0]' where id < 200`)
  await expect.poll(() => db.warnings.length, { timeout: 5000 }).toBe(1)
  expect(db.warnings[0]).toContain('no checkpoint of index "i" could be written')
  await bothWays(db)
  await db.run(`update t set v = v + '[1,0,0]' where id = 1`)
  rmSync(join(path, `${file}.new`), { recursive: true })
  await db.reopen()
  await db.ready()
  await bothWays(db)
  expect(names()).toEqual([file])
  expect(db.warnings).toHaveLength(1)
}, 20_000)

test('many dead slots: the graph is built anew beside the old one while changes go on', async () => {
  const db = (database = await openDatabaseOver())
  await db.run('create table t (id int primary key, v vector(3))')
  await db.run(FILL(1500))
  await db.run('create index i on t using hnsw (v vector_l2_ops)')
  for (let i = 0; i < 12; i++) {
    await db.run(`update t set v = v + '[1,0,0]' where id % 10 = ${i % 10}; delete from t where id = ${i + 1}`)
    await bothWays(db)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  await expect.poll(() => db.indexes()[0]!.status.dead / 1500, { timeout: 10_000 }).toBeLessThan(0.25)
  await bothWays(db)
  expect(db.indexes()[0]!.status.entries).toBe(1488)
}, 20_000)

test('what an index tells of itself', async () => {
  const db = (database = await openDatabaseOver())
  await db.run('create table t (id int primary key, v vector(3))')
  await db.run(FILL(400))
  await db.run('create index i on t using hnsw (v vector_l2_ops)')
  expect(
    await db.rows(
      'select schemaname, tablename, indexname, method, state, phase, entries, tail, dead_share from alopex_vector_indexes',
    ),
  ).toEqual([['public', 't', 'i', 'hnsw', 'ready', null, '400', '0', '0']])
  await expect.poll(() => db.rows('select recall >= 0.9 from alopex_vector_indexes')).toEqual([['t']])
  expect(
    await db.rows(
      'select last_build > now() - interval $$1 minute$$, build_ms > 0, memory_bytes > 0 from alopex_vector_indexes',
    ),
  ).toEqual([['t', 't', 't']])
})

test('columns before the vector divide the rows', async () => {
  const db = (database = await openDatabaseOver())
  await db.run('create table t (id int primary key, tenant text, v vector(3))')
  await db.run(FILL(400).replace('insert into t', 'insert into t (id, v)'))
  await db.run(`update t set tenant = case id % 3 when 0 then 'a' when 1 then 'b' end`)
  await db.run('create index i on t using hnsw (tenant, v vector_l2_ops)')
  expect(await db.rows(`select indexdef from pg_indexes where indexname = 'i'`)).toEqual([
    ['CREATE INDEX i ON public.t USING hnsw (tenant, v vector_l2_ops)'],
  ])
  await bothWays(db)
})

test('entries that one transaction cannot hold are refused, and nothing is left; CONCURRENTLY writes them in several', async () => {
  const db = (database = await openDatabaseOver({ txnBytesMax: 4 << 20 }))
  await db.run('create table t (id int primary key, v vector(256))')
  for (let from = 0; from < 5000; from += 500)
    await db.run(
      `insert into t select g, array_fill(g % 97, array[256])::vector(256) from generate_series(${from}, ${from + 499}) g`,
    )
  await expect(db.run('create index i on t using hnsw (v vector_l2_ops)')).rejects.toMatchObject({
    code: '53200',
    message: 'out of memory',
    fields: {
      detail: 'The entries of index "i" are more than one transaction may hold.',
      hint: 'CREATE INDEX CONCURRENTLY and REINDEX CONCURRENTLY write them in several transactions.',
    },
  })
  expect(db.indexes()).toHaveLength(0)
  expect(await db.rows(`select 1 from pg_class where relname = 'i'`)).toEqual([])
  await db.run('create index concurrently i on t using hnsw (v vector_l2_ops)')
  expect(db.indexes()[0]!.status).toMatchObject({ state: 'ready', entries: 5000 })
})

test('graphs of storage that a rollback takes back are gone, those it gives back stay', async () => {
  const db = (database = await openDatabaseOver())
  await db.run('create table t (id int, v vector(3))')
  await db.run(FILL(300))
  await db.run('create index i on t using hnsw (v vector_l2_ops)')
  const [index] = db.indexes()
  const nearest = async () => {
    await db.run('set enable_seqscan = off')
    return db.rows(`select id from t order by v <-> '[5,5,5]' limit 1`)
  }
  const before = await nearest()
  for (const [what, found] of [
    ['truncate t', 0],
    [`alter table t alter v type vector(3) using v + '[1,0,0]'`, 1],
    ['reindex index i', 1],
    ['drop index i', 1],
  ] as const)
    for (const [begin, end] of [
      ['begin', 'rollback'],
      ['begin; savepoint s', 'rollback to s; commit'],
      ['begin; savepoint s', 'rollback to s; insert into t values (-1, null); commit'],
    ] as const) {
      await db.run(`${begin}; ${what}`)
      expect(await nearest()).toHaveLength(found)
      await db.run(end)
      expect(db.indexes(), `${begin}; ${what}; ${end}`).toEqual([index])
      expect(await nearest()).toEqual(before)
    }
  await db.run('begin; truncate t; savepoint s; truncate t')
  expect(await nearest()).toEqual([])
  await db.run('rollback to s; commit')
  expect(await nearest()).toEqual([])
  expect(db.indexes()).toHaveLength(1)
  expect(db.indexes()[0]).not.toBe(index)
})
