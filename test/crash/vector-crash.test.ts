/**
 * kill -9 while vectors are inserted, changed and deleted, while tables are emptied, rewritten and vacuumed, and while indexes are built
 * and made anew. After each restart, from its first moment on,
 *
 *     what was acknowledged is there, and of each writer nothing else but the one change that was under way
 *     a search through an index gives what reading the table gives
 *     a half-built index is not there (one that was made concurrently may be, not valid: REINDEX makes it whole)
 *
 * whatever has become of the checkpoints meanwhile: a bit changed, an end missing, another index's file or one from some crashes
 * ago in its place. VECTOR_CRASH_CYCLES sets how often (40 for the long run).
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startAlopex, type TestServer } from '../support/server.ts'

const CYCLES = Number(process.env.VECTOR_CRASH_CYCLES ?? 3)
const WRITERS = 3
const ROWS = 250
/** Rows of the table that is emptied and filled. */
const FILLED = 400

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
const random = (below: number): number => Math.floor(Math.random() * below)

// ---- what the writers were told

/** By id, how often a row was written; -1: it is not there. */
type Rows = Map<number, number>
interface Book {
  readonly rows: Rows
  /** What a statement under way would make of them. */
  next: Rows | undefined
}
const books: Book[] = Array.from({ length: WRITERS }, () => ({ rows: new Map(), next: undefined }))

/** The vector of a row that was written so often. */
const vectorOf = (id: string, n: string): string =>
  `array[${id} % 7, ${n} % 5, (${id} * 3 + ${n}) % 11, ${id} % 3]::real[]`

/** Set just before the server is killed: what fails before is a fault. */
let dying = false

async function untilKilled(step: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const client = await connected()
  for (;;) {
    try {
      await step(client)
    } catch (error) {
      // A change may meet a table that is being rewritten in a deadlock, as anywhere.
      if ((error as { code?: string }).code === '40P01') continue
      if (!dying) throw error
      return
    }
  }
}

const write = (writer: number) =>
  untilKilled(async (client) => {
    const book = books[writer]!
    book.next = undefined
    const first = writer * ROWS + random(ROWS)
    const ids = Array.from({ length: 1 + random(20) }, (_, i) => writer * ROWS + ((first + i) % ROWS))
    const next = new Map(book.rows)
    const there = ids.filter((id) => (book.rows.get(id) ?? -1) >= 0)
    const n = random(1000)
    const isRemoved = random(4) === 0
    for (const id of isRemoved ? there : ids) next.set(id, isRemoved ? -1 : n)
    const list = `(${ids.join(', ')})`
    book.next = next
    if (isRemoved) await client.query(`delete from t where id in ${list}`)
    else
      await client.query(
        `insert into t select id, ${n}, ${vectorOf('id', `${n}`)}, ${vectorOf('id', `${n}`)} from unnest(array[${ids}]) id
         on conflict (id) do update set n = excluded.n, v = excluded.v, h = excluded.h`,
      )
    for (const [id, times] of next) book.rows.set(id, times)
    book.next = undefined
  })

/** The writers' rows, or what the statement under way has made of them. */
async function checkBooks(client: pg.Client): Promise<void> {
  const { rows } = await client.query({ text: 'select id, n from t order by id', rowMode: 'array' })
  for (const [writer, book] of books.entries()) {
    const found = rows.filter(([id]) => Math.floor((id as number) / ROWS) === writer)
    const said = (all: Rows) => [...all].filter(([, n]) => n >= 0).sort(([a], [b]) => a - b)
    const isNext = book.next !== undefined && JSON.stringify(found) === JSON.stringify(said(book.next))
    if (!isNext) expect(found, `rows of writer ${writer}`).toEqual(said(book.rows))
    book.rows.clear()
    for (const [id, n] of found) book.rows.set(id as number, n as number)
    book.next = undefined
  }
  const { rows: filled } = await client.query('select count(*)::int n from filled')
  expect([0, FILLED]).toContain(filled[0].n)
}

// ---- what goes on beside them

const build = () =>
  untilKilled(async (client) => {
    for (const way of ['', 'concurrently']) {
      await client.query(`create index ${way} other on t using hnsw (v vector_l2_ops)`)
      await client.query(`reindex index ${way} other`)
      await client.query('drop index other')
    }
    await client.query('reindex table t')
    await client.query('vacuum t')
  })

const refill = () =>
  untilKilled(async (client) => {
    await client.query('truncate filled')
    await client.query(`insert into filled select g, ${vectorOf('g', 'g')} from generate_series(1, ${FILLED}) g`)
    await client.query(`alter table filled alter v type vector(4) using v + '[1,0,0,0]'`)
    await client.query(`update filled set v = v + '[0,1,0,0]'`)
    await client.query('vacuum filled')
  })

// ---- what searches give

let asked = 0
let indexed = 0
const PLACES = ['0,0,0,0', '3,2,5,1', '6,4,10,2', '-2,9,1,1']

/** Searches through the indexes, by every entry and by walks that go on to the end, against the tables. Answers how many differed. */
async function wrongAnswers(client: pg.Client): Promise<string[]> {
  const wrong: string[] = []
  await client.query('begin isolation level repeatable read')
  for (const place of PLACES) {
    for (const [table, distance] of [
      ['t', `v <-> '[${place}]'`],
      ['t', `h <#> '[${place}]'`],
      ['filled', `v <=> '[${place}]'`],
    ] as const) {
      const where = distance.includes('<=>') ? `where v <> '[0,0,0,0]'` : ''
      for (const sql of [
        `select id, ${distance} d from ${table} ${where} order by ${distance}, id limit 50`,
        `select id, d from (select id, ${distance} d from ${table} ${where} order by ${distance} limit 5000) x order by id`,
      ]) {
        const ask = async (settings: string) => {
          await client.query(settings)
          return JSON.stringify((await client.query({ text: sql, rowMode: 'array' })).rows)
        }
        const exact = await ask('set local enable_indexscan = off; set local enable_seqscan = on')
        const effort = sql.includes('from (') ? 10 : 1000
        const found = await ask(
          `set local enable_indexscan = on; set local enable_seqscan = off; set local hnsw.ef_search = ${effort}`,
        )
        const plan = await client.query({ text: `explain ${sql}`, rowMode: 'array' })
        asked++
        if (plan.rows.join(' ').includes('Vector Search')) indexed++
        if (found !== exact) wrong.push(`${sql}: ${found} instead of ${exact}`)
      }
    }
  }
  await client.query('commit')
  return wrong
}

type Damage = (file: string, content: Buffer, others: readonly Buffer[]) => void
const DAMAGES: readonly Damage[] = [
  () => {},
  (file, content) => {
    for (let i = 0; i < 1 + random(3); i++) {
      const at = random(content.length)
      content[at] = content[at]! ^ (1 << random(8))
    }
    writeFileSync(file, content)
  },
  (file, content) => writeFileSync(file, content.subarray(0, random(content.length))),
  (file, _, others) => writeFileSync(file, others[random(others.length)]!),
  (file) => writeFileSync(file, kept.get(file) ?? ''),
  (file, content) => writeFileSync(file, Buffer.concat([content, content])),
  (file) => {
    rmSync(file)
    mkdirSync(file)
  },
]
/** Checkpoints that were good some crashes ago. */
const kept = new Map<string, Buffer>()

/** Each checkpoint may be damaged in some way. */
function damage(cycle: number): void {
  const folder = join(server.folder, 'vector')
  if (!existsSync(folder)) return
  const files = readdirSync(folder)
    .map((name) => join(folder, name))
    .filter((file) => statSync(file).isFile())
  const contents = files.map((file) => readFileSync(file)).filter(({ length }) => length > 0)
  for (const file of files) {
    const content = readFileSync(file)
    if (cycle % 3 === 0) kept.set(file, content)
    else if (content.length > 0) DAMAGES[random(DAMAGES.length)]!(file, content, contents)
  }
}

test(
  `${CYCLES} crashes during changes and builds: nothing lost, no wrong answer`,
  async () => {
    const first = await connected()
    await first.query('create table t (id int unique, n int, v vector(4), h halfvec(4))')
    await first.query('create table filled (id int, v vector(4))')
    await first.query('create index i on t using hnsw (v vector_l2_ops)')
    await first.query('create index j on t using hnsw (h halfvec_ip_ops)')
    await first.query('create index k on filled using hnsw (v vector_cosine_ops)')
    await first.query(
      `insert into t select g, 0, ${vectorOf('g', '0')}, ${vectorOf('g', '0')} from generate_series(0, ${WRITERS * ROWS - 1}) g`,
    )
    for (const [writer, { rows }] of books.entries())
      for (let id = writer * ROWS; id < (writer + 1) * ROWS; id++) rows.set(id, 0)
    await first.end()
    for (let cycle = 0; cycle < CYCLES; cycle++) {
      dying = false
      const work = [...books.map((_, writer) => write(writer)), build(), refill()]
      await new Promise((resolve) => setTimeout(resolve, 300 + random(1200)))
      dying = true
      await server.kill()
      await Promise.all(work)
      damage(cycle)
      await server.start()
      const client = await connected()
      expect(await wrongAnswers(client), `after crash ${cycle + 1}`).toEqual([])
      await checkBooks(client)
      const names = `select relname from pg_class join pg_index on oid = indexrelid where indrelid = 't'::regclass and relname ~ 'other|_cc'`
      // What REINDEX CONCURRENTLY leaves beside the index is never valid.
      for (const { relname } of (await client.query(`${names} and relname <> 'other'`)).rows) {
        expect((await client.query(`${names} and relname = $1 and indisvalid`, [relname])).rows).toEqual([])
        await client.query(`drop index ${relname}`)
      }
      if ((await client.query(names)).rows.length === 1) {
        await client.query('reindex index other')
        expect(await wrongAnswers(client), `made again after crash ${cycle + 1}`).toEqual([])
        await client.query('drop index other')
      }
      await client.end()
    }
    expect(indexed / asked).toBeGreaterThan(0.6)
  },
  60_000 + CYCLES * 10_000,
)
