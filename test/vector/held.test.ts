/**
 * What goes on beside the linking of a graph, while that is held: commits small and large, a graph that is made anew, a checkpoint, a
 * restart, snapshots from before all of it. In every state each session sees through the index what it sees in the table.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Graph } from '../../sql/vector/graph/graph.ts'
import { GraphPool } from '../../sql/vector/graph/pool.ts'
import type { Graphs } from '../../sql/vector/index-graph.ts'
import { type Database, openDatabaseOver } from './database.ts'

/** While it is held, what is to be linked waits, before its first slot or behind its last. */
let held: { readonly at: 'before' | 'behind'; readonly until: Promise<void>; readonly go: () => void } | undefined
let waiting = 0

function hold(at: 'before' | 'behind'): void {
  let go = (): void => {}
  const until = new Promise<void>((resolve) => {
    go = resolve
  })
  held = { at, until, go }
}
function release(): void {
  held?.go()
  held = undefined
}

class HeldPool extends GraphPool {
  override async link(...args: Parameters<GraphPool['link']>): Promise<void> {
    const now = held
    waiting++
    if (now?.at === 'before') await now.until
    await super.link(...args)
    if (now?.at === 'behind') await now.until
    waiting--
  }
}

function heldGraphs(): Graphs {
  const pool = new HeldPool(1)
  return {
    create: (spec, limits) => Graph.create(spec, limits, pool),
    restore: (spec, limits, blocks) => Graph.restore(spec, limits, blocks, pool),
    close: () => pool.close(),
  }
}

let folder: string
let db: Database
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'held-'))
  db = await openDatabaseOver({ vectorFolder: folder, vectorGraphs: heldGraphs })
  await db.run('create table t (id int unique, v vector(3))')
})
afterEach(async () => {
  release()
  await db.close()
  rmSync(folder, { recursive: true })
})

const VECTOR = 'array[g % 37, g % 11, (g * 7) % 23]::real[]::vector(3)'
const fill = (from: number, to: number) => `insert into t select g, ${VECTOR} from generate_series(${from}, ${to}) g`
const PLACES = ['5,5,5', '-3,4,0']

/** Some nearest, by every entry and by a walk to the end. */
async function bothWays(...sessions: string[]): Promise<void> {
  for (const session of sessions)
    for (const place of PLACES) {
      const distance = `v <-> '[${place}]'`
      const near = `select id from t order by ${distance}, id limit 40`
      const all = `select count(*), sum(id), min(d), max(d) from (select id, ${distance} d from t order by ${distance} limit 9999) x`
      for (const [sql, effort] of [
        [near, 1000],
        [all, 7],
      ] as const) {
        await db.run(`set enable_indexscan = off; set enable_seqscan = on`, session)
        const exact = await db.rows(sql, session)
        await db.run(`set enable_indexscan = on; set enable_seqscan = off; set hnsw.ef_search = ${effort}`, session)
        // Nearer than the effort everything is measured; further, the first 40 need not be the nearest.
        if (sql === all || db.indexes()[0]!.status.entries <= 1000)
          expect(await db.rows(sql, session), `${session}: ${sql}`).toEqual(exact)
      }
    }
}
/** A transaction that keeps its snapshot. */
const keep = (session: string) => db.run('begin isolation level repeatable read; select 1', session)
const status = () => db.indexes()[0]!.status
const linking = () => expect.poll(() => waiting, { timeout: 10_000 }).toBeGreaterThan(0)
const resting = () =>
  expect.poll(() => [waiting, status().tail, status().state], { timeout: 20_000 }).toEqual([0, 0, 'ready'])

for (const at of ['before', 'behind'] as const) {
  test(`commits, held ${at} linking`, async () => {
    await db.run(fill(1, 700))
    await db.run('create index i on t using hnsw (v vector_l2_ops)')
    await keep('one')
    hold(at)
    await db.run(`update t set v = v + '[1,0,0]' where id <= 300`)
    await linking()
    await bothWays('one', 'now')
    await keep('two')
    await db.run('delete from t where id % 5 = 0')
    await db.run(`update t set v = v + '[0,2,0]' where id between 200 and 220`)
    await bothWays('one', 'two', 'now')
    await keep('three')
    await db.run(`${fill(2001, 2900)}; update t set v = v - '[0,0,1]' where id % 3 = 0`)
    await db.run(`delete from t where id in (3, 6, 2003)`)
    await bothWays('one', 'two', 'three', 'now')
    await db.run(`begin; update t set v = '[5,5,5]' where id = 7; delete from t where id = 8`, 'own')
    await bothWays('own')
    release()
    await resting()
    await bothWays('one', 'two', 'three', 'own', 'now')
  }, 60_000)

  test(`a graph is made anew, held ${at} its linking`, async () => {
    await db.run(fill(1, 1500))
    await db.run('create index i on t using hnsw (v vector_l2_ops)')
    await resting()
    await keep('one')
    await db.run('delete from t where id % 10 = 0')
    await resting()
    const { bytes } = status()
    hold(at)
    await db.run('delete from t where id % 4 = 1')
    await linking()
    await bothWays('one', 'now')
    await keep('two')
    // Copied already: changed, removed, and put in again.
    await db.run(`update t set v = v + '[1,0,0]' where id % 4 = 2 and id < 200`)
    await db.run(`delete from t where id % 4 = 3 and id < 200`)
    await db.run(fill(100, 150).replace('select g', 'select g + 10000'))
    await db.run(`insert into t values (3, '[5,5,5]'), (7, '[5,5,6]')`)
    await bothWays('one', 'two', 'now')
    await keep('three')
    await db.run(`${fill(20_000, 20_600)}; delete from t where id between 1000 and 1400`)
    await bothWays('one', 'two', 'three', 'now')
    release()
    await expect.poll(() => status().dead, { timeout: 20_000 }).toBeLessThan(450)
    await resting()
    expect(status().bytes).toBeLessThan(bytes * 1.2)
    await bothWays('one', 'two', 'three', 'now')
  }, 60_000)

  test(`a restart while linking is held ${at}, and one while its tail is`, async () => {
    await db.run(fill(1, 600))
    await db.run('create index i on t using hnsw (v vector_l2_ops)')
    await resting()
    hold(at)
    await db.run(`update t set v = v + '[1,0,0]' where id <= 400; delete from t where id > 550`)
    await linking()
    const stopping = db.stop()
    await new Promise((resolve) => setTimeout(resolve, 50))
    release()
    await stopping
    hold(at)
    waiting = 0
    await db.start()
    await bothWays('now')
    await db.run(`update t set v = v + '[0,1,0]' where id % 2 = 0`)
    await keep('one')
    await db.run('delete from t where id % 7 = 0')
    await bothWays('one', 'now')
    release()
    await resting()
    await bothWays('one', 'now')
  }, 60_000)
}
