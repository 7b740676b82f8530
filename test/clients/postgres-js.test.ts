/** postgres.js: tagged queries, helpers, pipelines, cursors, transactions, arrays and json, COPY both ways, LISTEN. */

import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import postgres from 'postgres'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { TestServer } from '../support/server.ts'
import { startTarget } from '../support/target.ts'

let server: TestServer
let sql: postgres.Sql
beforeAll(async () => {
  server = await startTarget()
  sql = postgres({
    host: server.host,
    port: server.port,
    user: 'postgres',
    database: 'alopex',
    max: 4,
    onnotice: () => {},
  })
  await sql`create table bird (id int generated always as identity primary key, name text not null, wings int default 2, tags text[], facts jsonb, seen timestamptz)`
})
afterAll(async () => {
  await sql?.end()
  await server?.dispose()
})

test('helpers for rows, columns and lists', async () => {
  const seen = new Date('2024-02-29T00:00:00Z')
  const inserted = await sql`insert into bird ${sql([
    { name: 'wren', tags: ['small', 'brown, mostly'], facts: { song: true }, seen },
    { name: 'kea', tags: [], facts: { song: null, at: ['nz'] }, seen: null },
  ] as never)} returning id, name`
  expect([...inserted]).toEqual([
    { id: 1, name: 'wren' },
    { id: 2, name: 'kea' },
  ])
  expect(inserted.count).toBe(2)
  expect([
    ...(await sql`select ${sql(['tags', 'facts', 'seen'])} from bird where name in ${sql(['wren', 'dodo'])}`),
  ]).toEqual([{ tags: ['small', 'brown, mostly'], facts: { song: true }, seen }])
  const changed =
    await sql`update bird set ${sql({ wings: 3, name: 'kea!' }, 'wings', 'name')} where id = ${2} returning *`
  expect(changed[0]).toMatchObject({ wings: 3, name: 'kea!', facts: { song: null, at: ['nz'] } })
  expect([...(await sql`select name from ${sql('bird')} where tags @> ${['small']} order by ${sql('name')}`)]).toEqual([
    { name: 'wren' },
  ])
})
test('arrays and json as parameters', async () => {
  const [row] = await sql`select ${sql.array([1, 2, 3])}::int[] as a, ${sql.json({ x: [1] })}::jsonb as j, ${
    [
      ['a', 'b'],
      ['c', 'd'],
    ] as never
  }::text[] as m, ${null}::text as n`
  expect(row).toEqual({
    a: [1, 2, 3],
    j: { x: [1] },
    m: [
      ['a', 'b'],
      ['c', 'd'],
    ],
    n: null,
  })
  expect([
    ...(await sql`select * from unnest(${[1, 2]}::int[], ${['a', null as unknown as string]}::text[]) as t(n, s)`),
  ]).toEqual([
    { n: 1, s: 'a' },
    { n: 2, s: null },
  ])
})
test('a hundred at once in a few connections', async () => {
  const rows = await Promise.all(Array.from({ length: 200 }, (_, i) => sql`select ${i}::int as n, ${`text ${i}`} as t`))
  expect(rows.map(([row]) => [row!.n, row!.t])).toEqual(Array.from({ length: 200 }, (_, i) => [i, `text ${i}`]))
})
test('cursors', async () => {
  const sums: number[] = []
  await sql`select i from generate_series(1, 25) i`.cursor(10, (rows) => {
    sums.push(rows.reduce((sum, row) => sum + row.i, 0))
  })
  expect(sums).toEqual([55, 155, 115])
  const firsts: number[] = []
  for await (const [row] of sql`select i from generate_series(1, 1000) i`.cursor()) {
    firsts.push(row!.i)
    if (firsts.length === 3) break
  }
  expect(firsts).toEqual([1, 2, 3])
})
test('transactions and savepoints', async () => {
  await expect(
    sql.begin(async (tx) => {
      await tx`insert into bird (name) values ('lost')`
      throw new Error('no')
    }),
  ).rejects.toThrow('no')
  await sql.begin('isolation level serializable', async (tx) => {
    await tx`insert into bird (name) values ('kept')`
    await tx
      .savepoint(async (inner) => {
        await inner`insert into bird (name) values ('undone')`
        await inner`select 1/0`
      })
      .catch(() => {})
    expect((await tx`show transaction_isolation`)[0]).toEqual({ transaction_isolation: 'serializable' })
  })
  expect((await sql`select name from bird where name in ('lost', 'kept', 'undone')`).map(({ name }) => name)).toEqual([
    'kept',
  ])
})
test('errors', async () => {
  await expect(sql`insert into bird (name) values (${null})`).rejects.toMatchObject({
    code: '23502',
    column_name: 'name',
    table_name: 'bird',
    schema_name: 'public',
  })
  await expect(sql`select ${'x'}::int`).rejects.toMatchObject({ code: '22P02' })
})
test('COPY in and out', async () => {
  await sql`create table copied (n int primary key, t text)`
  const lines = Array.from({ length: 20_000 }, (_, i) => `${i}\t${i % 7 === 0 ? '\\N' : `line\\t${i}`}\n`)
  await pipeline(Readable.from(lines), await sql`copy copied from stdin`.writable())
  expect([...(await sql`select count(*)::int as rows, count(t)::int as texts, max(n) as last from copied`)]).toEqual([
    { rows: 20_000, texts: 17_142, last: 19_999 },
  ])
  const chunks: Buffer[] = []
  for await (const chunk of await sql`copy (select * from copied where n < 3 order by n) to stdout with (format csv, header)`.readable())
    chunks.push(chunk as Buffer)
  expect(Buffer.concat(chunks).toString()).toBe('n,t\n0,\n1,line\t1\n2,line\t2\n')
})
test('LISTEN', async () => {
  let resolve: (payload: string) => void = () => {}
  const message = new Promise<string>((done) => {
    resolve = done
  })
  const { unlisten } = await sql.listen('news', (payload) => resolve(payload))
  await sql.notify('news', 'a wren')
  expect(await message).toBe('a wren')
  await unlisten()
})
test('dynamic schemas are described', async () => {
  const described = await sql`select id, name, facts from bird where id = ${1}`.describe()
  expect(described.columns.map(({ name, type }) => [name, type])).toEqual([
    ['id', 23],
    ['name', 25],
    ['facts', 3802],
  ])
  expect(described.types).toEqual([23])
})
