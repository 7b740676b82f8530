/** Indexes of every element and of smaller copies of them, through SQL: what a search gives beside a scan, also after changes and a restart. */
import { mkdtempSync, rmSync } from 'node:fs'
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
  const path = mkdtempSync(join(tmpdir(), 'vector-kinds-'))
  folders.push(path)
  return path
}

const DIMENSIONS = 24
/** As many different ones as there are rows. */
const NUMBERS = (g: string) =>
  `(select array_agg((('x' || substr(md5(${g} || ':' || i), 1, 4))::bit(16)::int - 32768) / 1000.0) from generate_series(1, ${DIMENSIONS}) i)`
const DENSE = (g: string) => `${NUMBERS(g)}::real[]::vector`
/** Mostly zeros. */
const SPARSE = (g: string) =>
  `(select ('{' || string_agg(distinct i || ':' || 1 + (${g} * i) % 17, ',') || '}/1000')::sparsevec from (select 1 + (${g} * (j * 7 + 1) + j * 131) % 1000 i from generate_series(1, 2 + ${g} % 9) j) x)`

interface Kind {
  readonly type: string
  readonly value: (g: string) => string
  readonly opclass: string
  readonly operator: string
  readonly quantization?: string
  /** Share of the true nearest that a search with much effort must find. */
  readonly recall: number
}
const KINDS: readonly Kind[] = [
  ...(['l2:<->', 'ip:<#>', 'cosine:<=>', 'l1:<+>'] as const).flatMap((each) => {
    const [metric, operator] = each.split(':') as [string, string]
    return [
      { type: `vector(${DIMENSIONS})`, value: DENSE, opclass: `vector_${metric}_ops`, operator, recall: 1 },
      { type: `halfvec(${DIMENSIONS})`, value: DENSE, opclass: `halfvec_${metric}_ops`, operator, recall: 1 },
      { type: 'sparsevec(1000)', value: SPARSE, opclass: `sparsevec_${metric}_ops`, operator, recall: 0.9 },
    ]
  }),
  ...['hamming:<~>', 'jaccard:<%>'].map((each) => {
    const [metric, operator] = each.split(':') as [string, string]
    const value = (g: string) => `('x' || md5((${g})::text))::bit(128)`
    return { type: 'bit(128)', value, opclass: `bit_${metric}_ops`, operator, recall: 1 }
  }),
  ...(['l2:<->', 'cosine:<=>'] as const).flatMap((each) => {
    const [metric, operator] = each.split(':') as [string, string]
    const whole = { type: `vector(${DIMENSIONS})`, value: DENSE, opclass: `vector_${metric}_ops`, operator }
    return [
      { ...whole, quantization: 'f16', recall: 1 },
      { ...whole, quantization: 'bit', recall: 0.9 },
    ]
  }),
  {
    type: `halfvec(${DIMENSIONS})`,
    value: DENSE,
    opclass: 'halfvec_l2_ops',
    operator: '<->',
    quantization: 'bit',
    recall: 0.9,
  },
]

const LIMIT = 20

/** Of the exact nearest of some rows' vectors, the share that a search gives; exact order and distances of what it gives. */
async function recallOf(db: Database, { operator, value, type }: Kind): Promise<number> {
  let found = 0
  const queries = ['3', '77', '401', '9999']
  for (const each of queries) {
    const query = (await db.rows(`select (${value(each)})::${type}`))[0]![0]!
    const literal = type.startsWith('bit') ? `B'${query}'` : `'${query}'`
    const sql = `select id, v ${operator} ${literal} from t order by v ${operator} ${literal} limit ${LIMIT}`
    await db.run('set enable_indexscan = off; set enable_seqscan = on')
    const exact = await db.rows(sql)
    await db.run('set enable_indexscan = on; set enable_seqscan = off; set hnsw.ef_search = 400')
    expect((await db.rows(`explain ${sql}`)).join('\n')).toContain('Vector Search: graph')
    const given = await db.rows(sql)
    expect(given).toHaveLength(LIMIT)
    const distances = given.map(([, distance]) => Number(distance))
    expect(distances).toEqual([...distances].sort((a, b) => a - b))
    const last = Number(exact.at(-1)![1])
    const all = new Map(exact.map(([id, distance]) => [id, distance]))
    for (const [id, distance] of given) {
      // What is as near as the last of them is as good.
      if (all.has(id!)) expect(distance).toBe(all.get(id!))
      if (Number(distance) <= last) found++
    }
  }
  return found / (LIMIT * queries.length)
}

for (const kind of KINDS) {
  const { type, value, opclass, quantization, recall } = kind
  const options = quantization === undefined ? '' : ` with (quantization = ${quantization})`
  test(`${type} ${opclass}${options}`, async () => {
    const db = (database = await openDatabaseOver({ vectorFolder: folder() }))
    await db.run(`create table t (id int primary key, v ${type})`)
    await db.run(`insert into t select g, ${value('g')} from generate_series(1, 500) g`)
    await db.run(`create index i on t using hnsw (v ${opclass})${options}`)
    expect(await recallOf(db, kind)).toBeGreaterThanOrEqual(recall)
    await db.run(`insert into t select g, ${value('g')} from generate_series(501, 560) g`)
    await db.run(`update t set v = ${value('id + 1000')} where id % 10 = 3; delete from t where id % 17 = 1`)
    expect(await recallOf(db, kind)).toBeGreaterThanOrEqual(recall)
    await db.run(`begin; update t set v = ${value('id + 2000')} where id % 20 = 5; delete from t where id = 77`)
    expect(await recallOf(db, kind)).toBeGreaterThanOrEqual(recall)
    await db.run('rollback')
    await db.ready()
    const entries = db.indexes()[0]!.status.entries
    await db.reopen()
    await db.ready()
    expect(entries).toBe(527)
    expect(db.indexes()[0]!.status).toMatchObject({ state: 'ready', entries, tail: 0 })
    expect(await recallOf(db, kind)).toBeGreaterThanOrEqual(recall)
    expect(db.warnings).toEqual([])
  })
}
