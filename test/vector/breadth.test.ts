/**
 * Queries around a search: the index gives what a scan gives, wherever the ordered rows go (joins, CTEs, LATERAL, set
 * operations, window functions, cursors, prepared statements), and is used there.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Embedded, openEmbedded } from '../session/embedded.ts'

let embedded: Embedded

beforeAll(async () => {
  embedded = await openEmbedded()
  const { ask } = embedded
  const vector = `('[' || i * 37 % 1009 || ',' || i * 53 % 997 || ',' || i * 71 % 991 || ']')::vector`
  await ask('create table t (id int primary key, cat int, name text, v vector(3), h halfvec(3), b bit(8))')
  await ask(
    `insert into t select i, i % 7, 'n' || i, x, x::halfvec(3), (i % 256)::bit(8)
      from generate_series(1, 2000) i, lateral (select case when i % 23 > 0 then ${vector} end) v(x)`,
  )
  await ask('create table u (id int primary key, tid int, q vector(3))')
  await ask(
    `insert into u select i, i * 10, ('[' || i * 40 || ',' || i * 20 || ',' || i * 30 || ']')::vector from generate_series(1, 20) i`,
  )
  await ask('create table c (cat int primary key, name text)')
  await ask(`insert into c select i, 'c' || i from generate_series(0, 6) i`)
  for (const name of ['l2', 'ip', 'cosine', 'l1']) await ask(`create index on t using hnsw (v vector_${name}_ops)`)
  await ask('create index on t using hnsw (h halfvec_l2_ops)')
  await ask('create index on t using hnsw (b bit_hamming_ops)')
  await ask('create index on t using hnsw ((subvector(v, 1, 2)::vector(2)) vector_l2_ops)')
  await ask('create index on t using hnsw (v vector_l2_ops) where cat = 1')
  await ask('create index on t (cat)')
  await ask('analyze t')
  await ask('analyze u')
}, 30_000)

afterAll(() => embedded.close())

const D = `v <-> '[500,400,300]'`
const QUERIES = [
  `select id, ${D} from t order by ${D}, id limit 5 offset 3`,
  `select id from t where ${D} < 60 order by ${D}, id limit 20`,
  `select id from t where 1 - (v <=> '[5,4,3]') > 0.999 order by v <=> '[5,4,3]', id limit 5`,
  `select id from t order by 1 - (v <=> '[5,4,3]') desc nulls last, id limit 5`,
  `select id from t order by h <-> '[500,400,300]', id limit 5`,
  `select id from t order by b <~> '00001111', id limit 5`,
  `select id from t where cat = 1 order by ${D}, id limit 4`,
  `select id from t where cat = any('{2,3}') order by ${D}, id limit 4`,
  `select id from t order by subvector(v, 1, 2)::vector(2) <-> '[4,4]', id limit 4`,
  `select t from t order by ${D}, id limit 2`,
  `select 1 from t order by ${D}, id limit 3`,
  `select id, abs(${D}) + 1 from t where (${D})::int % 2 <> 0 order by ${D}, id limit 3`,
  `select id from t where vector_norm(v) > 900 order by ${D}, id limit 3`,
  `select t.id, c.name from t join c on c.cat = t.cat order by ${D}, t.id limit 4`,
  `select t.id, u.id from t left join u on u.tid = t.id order by ${D}, t.id limit 4`,
  `select u.id, x.id from u cross join lateral (select id from t order by t.v <-> u.q, id limit 2) x order by 1, 2`,
  `select u.id, (select t.id from t order by t.v <-> u.q, t.id limit 1) from u order by u.id`,
  `with near as (select id, cat from t order by ${D}, id limit 30) select cat, count(*), min(id) from near group by cat order by cat`,
  `(select id from t order by ${D}, id limit 3) union all (select id from t order by v <-> '[9,9,9]', id limit 3)`,
  `select id from t where not exists (select 1 from u where u.tid = t.id) order by ${D}, id limit 3`,
  `select avg(v) from (select v from t order by ${D}, id limit 5) x`,
  `select id, rank() over (order by ${D}), row_number() over (order by ${D}, id) from t order by ${D}, id limit 5`,
  `select id, dense_rank() over (order by ${D}) + 1 from t where cat = 4 limit 5`,
  `select coalesce(a.id, b.id) id, coalesce(1.0 / (60 + a.r), 0) + coalesce(1.0 / (60 + b.r), 0)
    from (select id, rank() over (order by ${D}) r from t order by ${D} limit 20) a
    full join (select id, rank() over (order by length(name) desc, id) r from t where name like '%7%' order by length(name) desc, id limit 20) b
    on a.id = b.id order by 2 desc, 1 limit 8`,
]

for (const text of QUERIES)
  test(text.replace(/\s+/g, ' '), async () => {
    const { ask } = embedded
    const found = await ask(text)
    expect(await ask(`explain ${text}`)).toContain('Vector Search')
    await ask('set enable_indexscan = off')
    const exact = await ask(text)
    await ask('set enable_indexscan = on')
    expect(exact).not.toContain('ERROR')
    expect(found).toBe(exact)
  })

test('numbering the nearest reads no more than those', async () => {
  const plan = await embedded.ask(
    `explain (analyze, timing off, costs off) select rank() over (order by ${D}) from t order by ${D} limit 5`,
  )
  expect(plan).toMatch(/Index Scan using .* \(actual rows=5 loops=1\)/)
})

test('what the keys of rows hold is not read from the rows', async () => {
  const { ask } = embedded
  await ask('create table k (a text, b uuid, c bigint, n int, v vector(2), primary key (a, c, b))')
  await ask(
    `insert into k select 'x' || chr(195 + i % 20), md5(i::text)::uuid, i * 10000000000000000, i, array[i, i % 9]::vector
      from generate_series(-300, 300) i`,
  )
  await ask('create index on k using hnsw (v vector_l2_ops)')
  const nearest = (columns: string) => `select ${columns}, v <-> '[2.2,5]' from k order by v <-> '[2.2,5]' limit 7`
  const read = async (columns: string) =>
    / Rows Fetched: (\d+)/.exec(await ask(`explain (analyze, timing off) ${nearest(columns)}`))?.[1]
  await ask('set enable_seqscan = off')
  expect(await read('a, b, c')).toBe('0')
  expect(await read('c')).toBe('0')
  expect(await read('c, n')).toBe('7')
  const found = await ask(nearest('a, b, c'))
  const also = await ask(nearest('n')) // reads the rows
  await ask('set enable_seqscan = on')
  await ask('set enable_indexscan = off')
  expect(found).toBe(await ask(nearest('a, b, c')))
  expect(also).toBe(await ask(nearest('n')))
  await ask('reset enable_indexscan')
  await ask('drop table k')
})

test('what the bounds of another index stand for is not asked of the rows', async () => {
  const { ask } = embedded
  await ask('create table k (id int primary key, n int, m int, v vector(2))')
  await ask(`insert into k select i, i % 50, i % 7, case when i % 90 > 0 then array[i, i % 9]::vector end
      from generate_series(1, 5000) i`)
  await ask('create index on k using hnsw (v vector_l2_ops); create index on k (n); analyze k')
  const nearest = (where: string, columns = 'id') =>
    `select ${columns}, v <-> '[2.2,5]' from k where ${where} order by v <-> '[2.2,5]' limit 7`
  const read = async (where: string, columns?: string) =>
    / Rows Fetched: (\d+)/.exec(await ask(`explain (analyze, timing off) ${nearest(where, columns)}`))?.[1]
  expect(await read('n = 3')).toBe('0')
  expect(await read('n in (3, 10)')).toBe('0')
  expect(await read('n = 3', 'id, n')).toBe('7')
  expect(Number(await read('n = 3 and m < 6'))).toBeGreaterThan(0)
  const bothWays = async (where: string, columns?: string) => {
    const found = await ask(nearest(where, columns))
    await ask('set enable_indexscan = off')
    expect(await ask(nearest(where, columns))).toBe(found)
    await ask('reset enable_indexscan')
    return found
  }
  expect(await bothWays('n = 3')).toMatch(/^3\|/)
  // Its own changes, of the column alone.
  await ask('begin; update k set n = 4 where id = 3; update k set n = 3 where id = 4; delete from k where id = 53')
  expect(await bothWays('n = 3')).toMatch(/^4\|/)
  expect(await bothWays('n = 4', 'n, id')).toMatch(/^4\|3\|/)
  await ask('rollback')
  expect(await bothWays('n = 3')).toMatch(/^3\|/)
  await ask('drop table k')
})

test('a bound gives min(LIMIT, matching) rows, however little the walk looks', async () => {
  const { ask } = embedded
  await ask('create table b (id int primary key, v vector(4))')
  await ask(
    `insert into b select i, array[i * 37 % 101, i * 53 % 103, i * 71 % 107, i * 89 % 109]::vector from generate_series(1, 3000) i`,
  )
  await ask('create index on b using hnsw (v vector_l2_ops) with (m = 2, ef_construction = 4)')
  await ask('set hnsw.ef_search = 8')
  for (let i = 1; i <= 40; i++) {
    const near = `v <-> '[${(i * 31) % 101},${(i * 17) % 103},${(i * 61) % 107},${(i * 43) % 109}]'`
    const text = (limit: string) =>
      `select count(*) from (select id from b where ${near} < 14 order by ${near} limit ${limit}) x`
    await ask('set enable_seqscan = off')
    const found = await ask(text('30'))
    await ask('set enable_seqscan = on')
    await ask('set enable_indexscan = off')
    expect(found, near).toBe(await ask(text('30')))
    await ask('reset enable_indexscan')
  }
  await ask('reset hnsw.ef_search')
  await ask('drop table b')
})

test('what looks ahead, or back over all rows, is not limited below', async () => {
  const { ask } = embedded
  expect(await ask(`select count(*) over (), lead(id) over (order by id) from t order by id limit 1`)).toBe(
    '2000|2\nSELECT 1',
  )
  expect(await ask(`select row_number() over (order by id desc) from t order by id limit 1`)).toBe('2000\nSELECT 1')
  expect(await ask(`select rank() over (partition by cat order by id) from t order by id limit 2 offset 1`)).toBe(
    '1\n1\nSELECT 2',
  )
})

test('prepared statements lift the query vector and the limit, by custom and by generic plans', async () => {
  const { ask } = embedded
  await ask('prepare p(vector, int) as select id from t order by v <-> $1, id limit $2')
  const direct = await ask(`select id from t order by ${D}, id limit 3`)
  for (const mode of ['auto', 'force_generic_plan', 'force_custom_plan']) {
    await ask(`set plan_cache_mode = ${mode}`)
    for (let i = 0; i < 7; i++) expect(await ask(`execute p('[500,400,300]', 3)`)).toBe(direct)
    expect(await ask(`explain execute p('[500,400,300]', 3)`)).toContain('Vector Search')
    expect(await ask(`execute p('[1,2]', 3)`)).toBe('ERROR 22000: different vector dimensions 3 and 2')
    expect(await ask('execute p(null, 2)')).toBe('1\n2\nSELECT 2')
  }
  await ask('reset plan_cache_mode')
})

test('all rows are found that an iterative scan is asked for, in either order', async () => {
  const { ask } = embedded
  for (const mode of ['off', 'strict_order', 'relaxed_order']) {
    await ask(`set hnsw.iterative_scan = ${mode}`)
    await ask('set hnsw.ef_search = 10')
    const found = await ask(`select id from t where id % 50 = 1 order by ${D} limit 30`)
    expect(new Set(found.split('\n')).size).toBe(31)
    await ask('reset hnsw.ef_search')
  }
  await ask('reset hnsw.iterative_scan')
})

test('nothing is missed when nothing may be, and EXPLAIN says how', async () => {
  const { ask } = embedded
  await ask('set alopex.min_recall = 1')
  expect(await ask(`explain select id from t order by ${D} limit 3`)).toContain(
    'Vector Search: every entry, 25 at a time (recall 1), no filter',
  )
  expect(await ask(`explain analyze select id from t order by ${D} limit 3`)).toContain('Sampled Recall: 1.000')
  await ask('reset alopex.min_recall')
})
