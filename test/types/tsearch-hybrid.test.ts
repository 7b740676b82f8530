/** alopex_hybrid_search is what one gets by ranking by hand and adding up; and it is a query like any other. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Embedded, openEmbedded } from '../session/embedded.ts'

let db: Embedded
const rows = async (sql: string, session?: string): Promise<string[]> =>
  (await db.ask(sql, session)).split('\n').filter((line) => !/^(SELECT|SET|CREATE \w+|DROP \w+|EXPLAIN)\b/.test(line))

beforeAll(async () => {
  db = await openEmbedded()
  await db.ask(`
    create table docs (id int primary key, body text, ts tsvector, v vector(3));
    insert into docs select i, concat_ws(' ', 'text', case when i % 3 = 0 then 'fox' end,
      case when i % 4 = 0 then 'quick' end, case when i % 24 = 0 then 'quick fox' end),
      null, case when i % 10 = 9 then null else ('[' || i % 7 || ',' || i % 11 || ',' || i % 13 || ']')::vector end
      from generate_series(1, 200) i;
    update docs set ts = to_tsvector(body)`)
})
afterAll(() => db.close())

/** The answer by hand: ids with scores, best first. */
async function byHand(query: string, vector: string, count: number, k: number, candidates: number): Promise<string[]> {
  const text = await rows(
    `select id from docs where ts @@ websearch_to_tsquery('${query}')
     order by ts_rank(ts, websearch_to_tsquery('${query}')) desc, id limit ${candidates}`,
  )
  const near = await rows(
    `select id, v <-> '${vector}' from docs where v is not null order by v <-> '${vector}' limit ${candidates}`,
  )
  const sorted = near
    .map((row) => row.split('|').map(Number))
    .sort((a, b) => a[1]! - b[1]! || a[0]! - b[0]!)
    .map(([id]) => String(id))
  const ids = [...new Set([...text, ...sorted])].map(Number).sort((a, b) => a - b)
  const worth = (list: string[], id: number) => (list.includes(`${id}`) ? 1 / (k + list.indexOf(`${id}`) + 1) : 0)
  return ids
    .map((id) => ({ id, score: worth(text, id) + worth(sorted, id) }))
    .sort((a, b) => b.score - a.score)
    .slice(0, count)
    .map(({ id, score }) => `${id}|${score}`)
}

describe('alopex_hybrid_search', () => {
  test.each([
    ['quick fox', '[1,2,3]', 10, 60, 100],
    ['fox or quick', '[0,0,0]', 25, 1, 30],
    ['-fox', '[6,10,12]', 5, 60, 7],
    ['nothing like it', '[1,1,1]', 4, 60, 5],
  ])('%s, near %s: %i of them', async (query, vector, count, k, candidates) => {
    const expected = await byHand(query, vector, count, k, candidates)
    for (const column of ['body', 'ts'])
      expect(
        await rows(`select id, score from alopex_hybrid_search('docs', '${column}', '${query}', 'v', '${vector}',
          ${count}, ${k}, ${candidates})`),
      ).toEqual(expected)
  })
  test('ranks and distances come with the rows', async () => {
    expect(await rows(`select * from alopex_hybrid_search('docs', 'body', 'quick fox', 'v', '[3,2,11]', 3)`)).toEqual([
      ...(await rows(`select h.* from alopex_hybrid_search(tbl => 'public.docs', query => 'quick fox',
        text_column => 'body', query_vector => '[3,2,11]', vector_column => 'v', match_count => 3) h`)),
    ])
  })
  test('arguments may be parameters and columns of what stands before', async () => {
    await db.ask(`prepare h(text, vector, int) as select id from alopex_hybrid_search('docs', 'body', $1, 'v', $2, $3)`)
    const plain = await rows(`select id from alopex_hybrid_search('docs', 'body', 'quick', 'v', '[1,2,3]', 4)`)
    expect(plain).toHaveLength(4)
    expect(await rows(`execute h('quick', '[1,2,3]', 4)`)).toEqual(plain)
    expect(
      await rows(`select h.id from (values ('quick', 4)) a(word, n),
        alopex_hybrid_search('docs', 'body', a.word, 'v', '[1,2,3]', a.n) h`),
    ).toEqual(plain)
  })
  test('a key of several columns is a row as text; a table without one has no answer', async () => {
    await db.ask(`create table pairs (a int, b text, body text, v halfvec(2), primary key (b, a));
      insert into pairs values (1, 'x y', 'fox', '[1,0]'), (2, 'z', 'dog', '[0,1]');
      create table bare (body text, v vector(2))`)
    expect(await rows(`select id from alopex_hybrid_search('pairs', 'body', 'dog', 'v', '[1,1]')`)).toEqual([
      '(z,2)',
      '("x y",1)',
    ])
    expect(await rows(`select id from alopex_hybrid_search('bare', 'body', 'dog', 'v', '[1,1]')`)).toEqual([
      'ERROR 55000: alopex_hybrid_search needs a primary key on "bare"',
    ])
  })
  test('the index on the vectors says which distance counts, and serves it', async () => {
    await db.ask(`create table near (id int primary key, body text, v vector(2));
      insert into near select i, 'x', ('[' || i || ',' || 1 || ']')::vector from generate_series(1, 2000) i;
      create index on near using hnsw (v vector_ip_ops); analyze near`)
    expect(await rows(`select id, distance from alopex_hybrid_search('near', 'body', 'y', 'v', '[1,0]', 2)`)).toEqual([
      '2000|-2000',
      '1999|-1999',
    ])
    const plan = await db.ask(`explain select * from alopex_hybrid_search('near', 'body', 'y', 'v', '[1,0]', 2)`)
    expect(plan).toContain('Index Scan using near_v_idx')
  })
  test('it sees what the one who asks may see', async () => {
    await db.ask(`create role reader; create table secret (id int primary key, body text, v vector(1))`)
    const asked = `select id from alopex_hybrid_search('secret', 'body', 'x', 'v', '[1]')`
    await db.ask('set role reader', 'other')
    expect(await rows(asked, 'other')).toEqual(['ERROR 42501: permission denied for table secret'])
    await db.ask('grant select on secret to reader')
    expect(await rows(asked, 'other')).toEqual([])
    await db.ask(`begin; insert into secret values (1, 'x', '[1]')`)
    expect(await rows(asked)).toEqual(['1'])
    expect(await rows(asked, 'other')).toEqual([])
    await db.ask('rollback')
  })
  test.each([
    [`'docs', 'nope', 'x', 'v', '[1,1,1]'`, 'ERROR 42703: column "nope" of relation "docs" does not exist'],
    [`'docs', 'body', 'x', 'body', '[1,1,1]'`, 'ERROR 42804: column "body" of relation "docs" is not a vector'],
    [`'nope', 'body', 'x', 'v', '[1,1,1]'`, 'ERROR 42P01: relation "nope" does not exist'],
    [`'docs', 'body', 'x', 'v', '[1,1]'`, 'ERROR 22000: different vector dimensions 3 and 2'],
    [`'docs', 'body', 'x', 'v', '[1,1,1]', -1`, 'ERROR 2201W: LIMIT must not be negative'],
    [
      `current_user, 'body', 'x', 'v', '[1,1,1]'`,
      'ERROR 0A000: alopex_hybrid_search with a table or column name that is not a constant is not supported',
    ],
  ])('%s is answered %s', async (args, answer) => {
    expect((await rows(`select * from alopex_hybrid_search(${args})`)).at(-1)).toBe(answer)
  })
  test('a column of the table itself cannot be an argument', async () => {
    expect((await rows(`select * from docs d, alopex_hybrid_search('docs', 'body', body, 'v', d.v) h`))[0]).toBe(
      'ERROR 42702: column reference "body" is ambiguous',
    )
  })
  test('rrf_score', async () => {
    expect(await rows('select rrf_score(1), rrf_score(1, 1), rrf_score(null), rrf_score(rank => 2, k => 2)')).toEqual([
      `${1 / 61}|0.5|∅|0.25`,
    ])
    expect(await rows('select rrf_score(-60)')).toEqual(['ERROR 22012: division by zero'])
  })
  test('the extension may live in a schema of its own', async () => {
    const asked = `select id from alopex_hybrid_search('docs', 'body', 'quick', 'v', '[1,2,3]', 3)`
    const before = await rows(asked)
    await db.ask('create schema elsewhere; create extension vector schema elsewhere')
    expect(await rows(asked)).toEqual(before)
  })
})
