/**
 * Whatever has happened to a table (transactions beside each other, DDL, a restart), a search through any of its vector indexes gives
 * what reading the table gives, at the snapshot of whoever asks. Background work is made to take turns everywhere: clocks jump, so
 * that slices end early, and graph threads answer late. VISIBILITY_RUNS sets how many such stories are told.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { SqlError } from '../../sql/types/error.ts'
import { Graph } from '../../sql/vector/graph/graph.ts'
import { GraphPool } from '../../sql/vector/graph/pool.ts'
import type { Graphs } from '../../sql/vector/index-graph.ts'
import { type Database, openDatabaseOver } from './database.ts'

const RUNS = Number(process.env.VISIBILITY_RUNS ?? 6)
const ROWS = 260

// ---- a world in which nothing is done at once

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

class SlowPool extends GraphPool {
  override async run(...args: Parameters<GraphPool['run']>): ReturnType<GraphPool['run']> {
    await pause(Math.random() * 4)
    const answer = await super.run(...args)
    await pause(Math.random() * 4)
    return answer
  }

  override async link(...args: Parameters<GraphPool['link']>): Promise<void> {
    await pause(Math.random() * 20)
    await super.link(...args)
    await pause(Math.random() * 20)
  }
}

function slowGraphs(): Graphs {
  const pool = new SlowPool(1)
  return {
    create: (spec, limits) => Graph.create(spec, limits, pool),
    restore: (spec, limits, blocks) => Graph.restore(spec, limits, blocks, pool),
    close: () => pool.close(),
  }
}

const { now } = performance
let skew = 0
/** How often a look at the clock finds that three milliseconds have passed. */
let jumps = 0
let folder = ''
let db: Database | undefined
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'visibility-'))
  performance.now = () => {
    if (Math.random() < jumps) skew += 3
    return now.call(performance) + skew
  }
})
afterEach(async () => {
  performance.now = now
  await db?.close()
  db = undefined
  rmSync(folder, { recursive: true })
})

// ---- what is asked

interface Kind {
  readonly name: string
  readonly index: string
  readonly distance: (q: string) => string
  readonly where?: string
}

const KINDS: readonly Kind[] = [
  { name: 'i_l2', index: 'hnsw (v vector_l2_ops)', distance: (q) => `v <-> '[${q}]'` },
  {
    name: 'i_ip',
    index: 'hnsw (v vector_ip_ops) with (m = 2, ef_construction = 4)',
    distance: (q) => `v <#> '[${q}]'`,
  },
  { name: 'i_flat', index: 'ivfflat (v vector_l2_ops) with (lists = 2)', distance: (q) => `v <-> '[${q}]'` },
  {
    name: 'i_part',
    index: 'hnsw (v vector_cosine_ops) where cat < 5',
    distance: (q) => `v <=> '[${q}]'`,
    where: `cat < 5 and v <> '[0,0,0]'`,
  },
  { name: 'i_tenant', index: 'hnsw (cat, v vector_l1_ops)', distance: (q) => `v <+> '[${q}]'`, where: 'cat = 1' },
  {
    name: 'i_expression',
    index: 'hnsw ((v::halfvec(3)) halfvec_l2_ops)',
    distance: (q) => `v::halfvec(3) <-> '[${q}]'`,
  },
  { name: 'i_f16', index: 'hnsw (w vector_l2_ops) with (quantization = f16)', distance: (q) => `w <-> '[${q}]'` },
  { name: 'i_half', index: 'hnsw (h halfvec_ip_ops)', distance: (q) => `h <#> '[${q}]'` },
  { name: 'i_bit', index: 'hnsw (b bit_hamming_ops)', distance: (q) => `b <~> ${bits(q)}` },
  {
    name: 'i_sparse',
    index: 'hnsw (s sparsevec_l2_ops)',
    distance: (q) =>
      `s <-> '{${q
        .split(',')
        .map((e, i) => `${i + 1}:${e}`)
        .join(',')}}/3'`,
  },
]

/** Six bits of three elements from -2 to 2. */
const bits = (q: string): string =>
  `B'${q
    .split(',')
    .map((e) => ['00', '01', '11', '10', '00'][Number(e) + 2])
    .join('')}'`
/** v, w, h, b, s: from three elements, so that many distances are tied. */
const values = (q: string): string =>
  `'[${q}]', '[${q}]', '[${q}]', ${bits(q)}, '{${q
    .split(',')
    .map((e, i) => `${i + 1}:${e}`)
    .join(',')}}/3'`

const FILL = `insert into t select i, i % 10, x, x, x, case when i % 3 = 0 then B'001101' else B'110010' end, x::sparsevec
  from (select i, case when i % 17 <> 0 then array[i % 5 - 2, i % 3 - 1, i % 7 - 3]::real[]::vector end x
    from generate_series(1, ${ROWS}) i) filled`

const element = fc.integer({ min: -2, max: 2 })
const elements = fc.tuple(element, element, element).map((each) => each.join(','))
const id = fc.integer({ min: 1, max: ROWS + 30 })
const kind = fc.constantFrom(...KINDS)
const writer = fc.constantFrom('w1', 'w2', 'old')

const write = fc.oneof(
  fc.tuple(id, elements).map(([of, q]) => `update t set (v, w, h, b, s) = (${values(q)}) where id = ${of}`),
  fc.tuple(id, elements).map(([of, q]) => `insert into t values (${1000 + of}, ${of % 10}, ${values(q)})`),
  fc.tuple(id, elements).map(([of, q]) => `update t set (v, w, h, b, s) = (${values(q)}) where id % 13 = ${of % 13}`),
  id.map((of) => `update t set v = v, w = w, s = s where id % 7 = ${of % 7}`),
  id.map((of) => `update t set v = null, w = null, h = null where id = ${of}`),
  elements.map(
    (q) => `update t set v = v + '[${q}]', w = w + '[${q}]', h = h + '[${q}]', s = (v - '[${q}]')::sparsevec, b = ~b`,
  ),
  id.map((of) => `update t set cat = (cat + 1) % 10 where id % 11 = ${of % 11}`),
  id.map((of) => `delete from t where id between ${of} and ${of + 9}`),
)
const control = fc.constantFrom(
  'begin',
  'begin isolation level repeatable read; select 1',
  'begin isolation level serializable; select 1',
  'commit',
  'commit',
  'rollback',
  'savepoint s',
  'rollback to s',
)
const ddl = fc.oneof(
  kind.map(({ name }) => `reindex index ${name}`),
  kind.map(({ name }) => `reindex index concurrently ${name}`),
  kind.map(({ name, index }) => `drop index if exists ${name}; create index ${name} on t using ${index}`),
  kind.map(
    ({ name, index }) => `begin; drop index if exists ${name}; create index ${name} on t using ${index}; rollback`,
  ),
  kind.map(({ name, index }) => `create index concurrently ${name} on t using ${index}`),
  kind.map(({ name }) => `drop index concurrently if exists ${name}`),
  fc.constant(`begin; delete from t; reindex table t; ${FILL}; commit`),
  fc.constant(`truncate t`),
  fc.constant(`begin; truncate t; ${FILL}; savepoint s; truncate t; rollback to s; commit`),
  fc.constant(`alter table t alter v type vector(3) using v + '[1,0,0]'`),
  fc.constant(`alter table t alter h type vector(3), alter h type halfvec(3)`),
  fc.constant('vacuum t'),
)

type Step =
  | { readonly kind: 'run'; readonly session: string; readonly sql: string }
  | { readonly kind: 'ask'; readonly session: string; readonly of: Kind; readonly to: string; readonly effort: number }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'reopen' }

const run = (session: fc.Arbitrary<string>, sql: fc.Arbitrary<string>): fc.Arbitrary<Step> =>
  fc.record({ kind: fc.constant('run' as const), session, sql })
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: run(writer, write) },
    { weight: 4, arbitrary: run(writer, control) },
    { weight: 2, arbitrary: run(fc.constant('ddl'), ddl) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 60 }) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('reopen' as const) }) },
    {
      weight: 10,
      arbitrary: fc.record({
        kind: fc.constant('ask' as const),
        session: writer,
        of: kind,
        to: elements,
        effort: fc.constantFrom(1000, 1000, 5),
      }),
    },
  ),
  { minLength: 10, maxLength: 60, size: 'max' },
)

async function answer(sql: string, session: string): Promise<string> {
  try {
    return (await db!.rows(sql, session)).map((row) => row.join('|')).join('\n')
  } catch (error) {
    const { code, message } = error as SqlError
    if (code === undefined) throw error
    return `ERROR ${code}: ${message}`
  }
}

const SETTINGS = 'set lock_timeout = 1; set statement_timeout = 2000; set enable_seqscan = off'
const known = new Set<string>()

async function told(sql: string, session: string): Promise<string> {
  if (!known.has(session)) {
    await db!.run(SETTINGS, session)
    known.add(session)
  }
  const said = await answer(sql, session)
  // A block that has failed tells nothing more.
  if (said.startsWith('ERROR') && sql !== 'rollback') await answer('rollback', session)
  return said
}

/** Answers whether an index was asked. */
async function compare({ session, of, to, effort }: Extract<Step, { kind: 'ask' }>): Promise<boolean> {
  const distance = of.distance(to)
  // As pgvector, an index gives no NULL where the table is not to be read.
  const where = ` where ${distance} is not null${of.where === undefined ? '' : ` and ${of.where}`}`
  // With little effort nothing is in order but all are found.
  const sql =
    effort > 5
      ? `select id, ${distance} from t${where} order by ${distance}, id limit 300`
      : `select id, d from (select id, ${distance} d from t${where} order by ${distance} limit 300) x order by id`
  await told(`set hnsw.ef_search = ${effort}; set ivfflat.probes = ${effort > 5 ? 2 : 1}`, session)
  const found = await told(sql, session)
  const plan = await told(`explain ${sql}`, session)
  await told('set enable_indexscan = off', session)
  const exact = await told(sql, session)
  await told('set enable_indexscan = on', session)
  expect(found, `${session}: ${sql}\n${plan}`).toBe(exact)
  return plan.includes('Vector Search')
}

test(
  'an index search sees what its snapshot sees, whatever happens beside it',
  async () => {
    let asked = 0
    let indexed = 0
    await fc.assert(
      fc.asyncProperty(steps, fc.constantFrom(0, 0.02, 0.3), async (story, pace) => {
        known.clear()
        db = await openDatabaseOver({ vectorFolder: folder, vectorGraphs: slowGraphs })
        await db.run(
          'create table t (id int, cat int, v vector(3), w vector(3), h halfvec(3), b bit(6), s sparsevec(3))',
        )
        await db.run(FILL)
        for (const { name, index } of KINDS) await db.run(`create index ${name} on t using ${index}`)
        await db.run('analyze t')
        jumps = pace
        try {
          for (const step of story) {
            if (step.kind === 'run') {
              if (step.session === 'ddl' && /concurrently/.test(step.sql))
                for (const each of ['w1', 'w2', 'old']) await told('rollback', each)
              await told(step.sql, step.session)
              if (step.session === 'ddl') await told('rollback', 'ddl')
            } else if (step.kind === 'wait') await pause(step.ms)
            else if (step.kind === 'reopen') {
              await db.reopen()
              known.clear()
            } else {
              asked++
              if (await compare(step)) indexed++
            }
          }
        } finally {
          jumps = 0
          await db.close()
          db = undefined
        }
      }),
      { numRuns: RUNS, endOnFailure: true },
    )
    expect(indexed / asked).toBeGreaterThan(0.5)
  },
  60_000 + RUNS * 10_000,
)
