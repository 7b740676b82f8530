/**
 * Filtered searches through SQL: alopex.min_recall holds on average whatever share of the rows a filter keeps, whether a
 * b-tree knows them, and also where they all lie far from what is searched for; the rows come in order and are never fewer than there are.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Database, openDatabaseOver } from './database.ts'

const ROWS = 6000
const DIMENSIONS = 24
const QUERIES = 25

let database: Database
let vectors: Float64Array[]
let queries: string[]

/** The same numbers in every run, below 1. */
function numbers(seed: number): () => number {
  let x = seed
  return () => {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0
    return x / 2 ** 32
  }
}

beforeAll(async () => {
  const chance = numbers(7)
  const gauss = () => Math.sqrt(-2 * Math.log(chance() + 1e-12)) * Math.cos(2 * Math.PI * chance())
  const around = (centre: number): Float64Array =>
    Float64Array.from(
      { length: DIMENSIONS },
      (_, i) => Math.round((gauss() + Math.sin(centre * 7 + i) * 2) * 1000) / 1000,
    )
  vectors = Array.from({ length: ROWS }, () => around(Math.floor(chance() * 12)))
  queries = Array.from({ length: QUERIES }, () => `[${around(Math.floor(chance() * 12)).join(',')}]`)
  database = await openDatabaseOver()
  const { run } = database
  await run(`create table t (id int primary key, part int, known int, far int, v vector(${DIMENSIONS}))`)
  const order = vectors
    .map((vector, id) => ({ id, at: vector[0]! + vector[1]! }))
    .sort((a, b) => a.at - b.at)
    .map(({ id }) => id)
  const rank = new Int32Array(ROWS)
  for (const [i, id] of order.entries()) rank[id] = i
  for (let from = 0; from < ROWS; from += 1000) {
    const rows = vectors.slice(from, from + 1000).map((vector, i) => {
      const part = Math.floor(chance() * 1000)
      return `(${from + i}, ${part}, ${part}, ${rank[from + i]}, '[${vector.join(',')}]')`
    })
    await run(`insert into t values ${rows.join(', ')}`)
  }
  await run('create index on t using hnsw (v vector_l2_ops)')
  await run('create index on t (known)')
  await run('analyze t')
  await database.ready()
  const [index] = database.indexes()
  while (index!.status.calibration.length === 0) await new Promise((resolve) => setTimeout(resolve, 20))
}, 40_000)

afterAll(() => database.close())

/** The answers' mean recall; each has as many rows as there are, in order. */
async function recall(where: string, limit: number, offset = 0): Promise<number> {
  let found = 0
  let wanted = 0
  for (const query of queries) {
    const tail = `from t where ${where} order by v <-> '${query}' limit ${limit} offset ${offset}`
    const rows = await database.rows(`select id, v <-> '${query}' ${tail}`)
    await database.run('begin')
    await database.run('set local enable_indexscan = off')
    const exact = await database.rows(`select id ${tail}`)
    await database.run('commit')
    const distances = rows.map((row) => Number(row[1]))
    expect(distances).toEqual([...distances].sort((a, b) => a - b))
    expect(new Set(rows.map((row) => row[0])).size).toBe(exact.length)
    const truth = new Set(exact.map((row) => row[0]))
    wanted += truth.size
    found += rows.filter((row) => truth.has(row[0]!)).length
  }
  return found / wanted
}

const FILTERS = [
  'true',
  'part < 500',
  'part < 100',
  'part < 30',
  'known < 500',
  'known < 100',
  'known < 10',
  'part < 300 and id % 2 = 0',
  'far < 400',
  'known < 600 and far < 300',
]

test.each(FILTERS)(
  'min_recall holds: %s',
  async (where) => {
    expect(await recall(where, 10)).toBeGreaterThanOrEqual(0.94)
  },
  30_000,
)

test.each([
  ['part < 500', 100, 0],
  ['part < 100', 10, 40],
])(
  'further down the list: %s',
  async (where, limit, offset) => {
    expect(await recall(where, limit, offset)).toBeGreaterThanOrEqual(0.93)
  },
  30_000,
)

test('a higher min_recall finds more, 1 all', async () => {
  await database.run('set alopex.min_recall = 0.99')
  expect(await recall('part < 300', 10)).toBeGreaterThanOrEqual(0.98)
  await database.run('set alopex.min_recall = 1')
  expect(await recall('part < 300', 10)).toBe(1)
  await database.run('reset alopex.min_recall')
}, 30_000)
