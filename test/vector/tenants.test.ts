/** `USING hnsw (tenant, v …)` with tenants large enough for graphs of their own: answers, rows that move between tenants, restarts. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
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

const VECTOR = `array[g % 37, g % 11, (g * 7) % 23, g % 101]::real[]::vector(4)`
const QUERIES = ['[5,5,5,5]']

/** The nearest of each tenant, by the index and by the table. */
async function bothWays(db: Database): Promise<void> {
  for (const tenant of ['a', 'b', 'small', 'none']) {
    for (const query of QUERIES) {
      const sql = `select v <-> '${query}' from t where tenant = '${tenant}' order by v <-> '${query}' limit 20`
      await db.run('set enable_indexscan = off; set enable_seqscan = on')
      const exact = await db.rows(sql)
      await db.run('set enable_indexscan = on; set enable_seqscan = off; set hnsw.ef_search = 1000')
      expect((await db.rows(`explain ${sql}`)).join('\n')).toContain('using i')
      expect(await db.rows(sql)).toEqual(exact)
    }
  }
}

const graphs = async (db: Database) => (await db.rows('select entries, tail, state from alopex_vector_indexes'))[0]

test('tenants with many rows get graphs, others are read; rows move between them; a restart changes nothing', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tenants-'))
  folders.push(folder)
  const db = (database = await openDatabaseOver({ vectorFolder: folder }))
  await db.run('create table t (id int primary key, tenant text, v vector(4))')
  await db.run(
    `insert into t select g, case when g % 20 = 0 then 'small' when g % 2 = 0 then 'a' else 'b' end, ${VECTOR} from generate_series(1, 13000) g`,
  )
  await db.run('create index i on t using hnsw (tenant, v vector_l2_ops)')
  await bothWays(db)
  await expect.poll(() => graphs(db), { timeout: 15_000 }).toEqual(['13000', '0', 'ready'])
  await bothWays(db)
  await db.run(`update t set tenant = 'b' where tenant = 'a' and id % 100 = 2`)
  await db.run(`update t set tenant = 'small', v = '[5,5,5,6]' where tenant = 'b' and id % 100 = 3`)
  await db.run(`update t set tenant = 'a' where tenant = 'small' and id % 100 = 40`)
  await db.run(
    `delete from t where id % 100 = 4; insert into t values (20000, 'a', '[5,5,5,5]'), (20001, 'b', '[5,5,5,5.5]')`,
  )
  await bothWays(db)
  await db.run(
    `begin; update t set tenant = 'b' where tenant = 'a' and id % 50 = 6; update t set v = '[30,2,20,91]' where id % 500 = 7`,
  )
  await bothWays(db)
  await db.run('rollback')
  await db.reopen()
  await bothWays(db)
  await expect.poll(async () => (await graphs(db))![2], { timeout: 15_000 }).toBe('ready')
  await db.ready()
  await bothWays(db)
  expect(readdirSync(folder).length).toBeGreaterThan(0)
  await db.run('drop index i')
  await db.reopen()
  expect(readdirSync(folder)).toEqual([])
  expect(db.warnings).toEqual([])
}, 30_000)

test('CREATE INDEX makes the graphs of large tenants, within maintenance_work_mem', async () => {
  const db = (database = await openDatabaseOver())
  await db.run('create table t (id int primary key, cat int, tenant text, v vector(4))')
  await db.run(
    `insert into t select g, g % 50, case when g % 20 = 0 then 'small' when g % 2 = 0 then 'a' else 'b' end, ${VECTOR} from generate_series(1, 13000) g`,
  )
  await db.run(`set maintenance_work_mem = '2MB'`)
  const failed = await db
    .run('create index i on t using hnsw (tenant, v vector_l2_ops)')
    .catch((error: unknown) => error)
  expect(failed).toMatchObject({ code: '53200' })
  expect(db.indexes()).toHaveLength(0)
  await db.run(`set maintenance_work_mem = '64MB'; begin; create index i on t using hnsw (tenant, v vector_l2_ops)`)
  await bothWays(db)
  await db.run(`insert into t values (30000, 1, 'a', '[5,5,5,5]'); delete from t where id in (1, 2); commit`)
  await bothWays(db)
  const [index] = db.indexes()
  await expect.poll(() => index!.status, { timeout: 10_000 }).toMatchObject({ state: 'ready', tail: 0 })
  expect(index!.status.bytes).toBeGreaterThan(2 ** 21)
  await bothWays(db)
  // Rows that another index names: of one tenant only its own are measured.
  await db.run('create index on t (cat)')
  await db.run('analyze t')
  for (const tenant of ['a', 'b', 'small']) {
    const sql = `select id, v <-> '[5,5,5,5]' from t where tenant = '${tenant}' and cat in (1, 10) order by v <-> '[5,5,5,5]', id limit 30`
    await db.run('set enable_indexscan = off; set enable_seqscan = on')
    const exact = await db.rows(sql)
    await db.run('set enable_indexscan = on; set enable_seqscan = off')
    expect(await db.rows(sql)).toEqual(exact)
  }
  expect(db.warnings).toEqual([])
}, 30_000)
