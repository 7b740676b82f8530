/**
 * kill -9 while vectors are inserted, changed and deleted, and while an index is built and made anew. After each restart a search through
 * the index must give what reading the table gives, a half-built index must not be there (one that was being built or made
 * anew concurrently may be: REINDEX makes it whole), and a checkpoint with a changed bit must do no harm. VECTOR_CRASH_CYCLES sets how often (40 for the long run).
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startAlopex, type TestServer } from '../support/server.ts'

const CYCLES = Number(process.env.VECTOR_CRASH_CYCLES ?? 3)

let server: TestServer
beforeAll(async () => {
  server = await startAlopex()
}, 60_000)
afterAll(() => server.dispose())

async function connected(): Promise<pg.Client> {
  const client = new pg.Client({ host: server.host, port: server.port, user: 'postgres', database: 'alopex' })
  client.on('error', () => {})
  await client.connect()
  return client
}

const RANDOM = `array[random(), random(), random(), random()]::real[]::vector(4)`

/** Twenty nearest of some places, by the index and by the table. Answers how many differed. */
async function wrongAnswers(client: pg.Client): Promise<number> {
  let wrong = 0
  await client.query('set hnsw.ef_search = 1000')
  for (let i = 0; i < 10; i++) {
    const query = `[${i / 10},${1 - i / 10},0.5,${(i * 7) % 3}]`
    const ask = async (setting: string) => {
      await client.query(setting)
      const sql = `select v <-> $1 d from t order by v <-> $1 limit 20`
      return JSON.stringify((await client.query({ text: sql, values: [query], rowMode: 'array' })).rows)
    }
    const exact = await ask('set enable_indexscan = off; set enable_seqscan = on')
    if ((await ask('set enable_indexscan = on; set enable_seqscan = off')) !== exact) wrong++
  }
  const plan = await client.query({
    text: `explain select id from t order by v <-> '[0,0,0,0]' limit 20`,
    rowMode: 'array',
  })
  expect(plan.rows.join(' ')).toContain('Vector Search: graph')
  return wrong
}

/** Set just before the server is killed: what fails before is a fault. */
let dying = false

async function untilKilled(step: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const client = await connected()
  for (;;) {
    try {
      await step(client)
    } catch (error) {
      // Two writers may meet in a deadlock, as anywhere.
      if ((error as { code?: string }).code === '40P01') continue
      if (!dying) throw error
      return
    }
  }
}

const change = () =>
  untilKilled(async (client) => {
    await client.query(`insert into t (v) select ${RANDOM} from generate_series(1, 20)`)
    await client.query(`update t set v = ${RANDOM} where id % 50 = (random() * 49)::int`)
    await client.query('delete from t where id % 97 = (random() * 96)::int')
  })

const build = () =>
  untilKilled(async (client) => {
    for (const way of ['', 'concurrently']) {
      await client.query(`create index ${way} other on t using hnsw (v vector_l2_ops)`)
      await client.query(`reindex index ${way} other`)
      await client.query('drop index other')
    }
  })

test(
  `${CYCLES} crashes during changes and builds: no wrong answer`,
  async () => {
    const first = await connected()
    await first.query('create table t (id serial primary key, v vector(4))')
    await first.query(`insert into t (v) select ${RANDOM} from generate_series(1, 1500)`)
    await first.query('create index i on t using hnsw (v vector_l2_ops)')
    await first.end()
    for (let cycle = 0; cycle < CYCLES; cycle++) {
      dying = false
      const work = [change(), change(), build()]
      await new Promise((resolve) => setTimeout(resolve, 400 + 150 * (cycle % 4)))
      dying = true
      await server.kill()
      await Promise.all(work)
      const folder = join(server.folder, 'vector')
      if (cycle % 3 === 2 && existsSync(folder)) {
        for (const name of readdirSync(folder)) {
          const bytes = readFileSync(join(folder, name))
          const at = Math.floor(bytes.length * 0.7)
          bytes[at] = bytes[at]! ^ 16
          writeFileSync(join(folder, name), bytes)
        }
      }
      await server.start()
      const client = await connected()
      expect(await wrongAnswers(client), `after crash ${cycle + 1}`).toBe(0)
      const names = `select relname from pg_class join pg_index on oid = indexrelid where indrelid = 't'::regclass and relname ~ 'other'`
      // What REINDEX CONCURRENTLY leaves beside the index is never valid.
      for (const { relname } of (await client.query(`${names} and relname <> 'other'`)).rows) {
        expect((await client.query(`${names} and relname = $1 and indisvalid`, [relname])).rows).toEqual([])
        await client.query(`drop index ${relname}`)
      }
      if ((await client.query(names)).rows.length === 1) {
        await client.query(`insert into t (v) select ${RANDOM} from generate_series(1, 20)`)
        await client.query('reindex index other')
        expect(await wrongAnswers(client), `made again after crash ${cycle + 1}`).toBe(0)
        await client.query('drop index other')
      }
      await client.end()
    }
  },
  60_000 + CYCLES * 10_000,
)
