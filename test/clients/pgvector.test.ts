/** pgvector's own client over pg, postgres.js and Kysely: types, parameters, every distance, averages, errors. */
import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import pgvector, { SparseVector } from 'pgvector'
import { cosineDistance, l1Distance, l2Distance, maxInnerProduct } from 'pgvector/kysely'
import pgvectorPg from 'pgvector/pg'
import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { MEMBERS } from '../../sql/types/vector/catalog-rows.ts'
import type { TestServer } from '../support/server.ts'
import { isPostgres, startTarget } from '../support/target.ts'

// pgvector is no part of PostgreSQL.
describe.skipIf(isPostgres)('pgvector', () => {
  let server: TestServer
  let client: pg.Client
  const options = () => ({ host: server.host, port: server.port, user: 'postgres', database: 'alopex' })
  beforeAll(async () => {
    server = await startTarget()
    client = new pg.Client(options())
    await client.connect()
    await client.query('create extension if not exists vector')
    await pgvectorPg.registerTypes(client)
    await client.query('create table item (id bigserial primary key, embedding vector(3))')
    await client.query('insert into item (embedding) values ($1), ($2), ($3), ($4)', [
      pgvector.toSql([1, 1, 1]),
      pgvector.toSql([2, 2, 2]),
      pgvector.toSql([1, 1, 2]),
      null,
    ])
  })
  afterAll(async () => {
    await client?.end()
    await server?.dispose()
  })

  test('vectors come back as arrays', async () => {
    expect((await client.query('select embedding from item order by id')).rows.map((row) => row.embedding)).toEqual([
      [1, 1, 1],
      [2, 2, 2],
      [1, 1, 2],
      null,
    ])
  })
  test.each([
    ['<->', ['1', '3', '2']],
    ['<=>', ['1', '2', '3']],
    ['<#>', ['2', '3', '1']],
    ['<+>', ['1', '3', '2']],
  ])('nearest by %s', async (operator, ids) => {
    const { rows } = await client.query(
      `select id from item where embedding is not null order by embedding ${operator} $1, id limit 5`,
      [pgvector.toSql([1, 1, 1])],
    )
    expect(rows.map(({ id }) => id)).toEqual(ids)
  })
  test('NULLs come last', async () => {
    const { rows } = await client.query('select id from item order by embedding <-> $1 limit 4', [
      pgvector.toSql([1, 1, 1]),
    ])
    expect(rows.map(({ id }) => id)).toEqual(['1', '3', '2', '4'])
  })
  test('functions, casts and aggregates', async () => {
    const { rows } = await client.query({
      rowMode: 'array',
      text: `select l2_distance('[1,2]'::vector, '[4,6]'), inner_product('[1,2]'::vector, '[3,4]'), cosine_distance('[1,0]'::vector, '[0,1]'),
               l1_distance('[1,2]'::vector, '[4,6]'), vector_dims('[1,2,3]'::vector), vector_norm('[3,4]'::vector),
               '[1,2]'::vector + '[3,4]', '[1,2]'::vector - '[3,4]', '[1,2]'::vector * '[3,4]',
               array[1,2]::vector, '{1.5,2}'::real[]::vector(2), '[1,2]'::vector::real[], '[1,2]'::vector < '[1,3]'`,
    })
    expect(rows[0]).toEqual([5, 11, 1, 7, 3, 5, [4, 6], [-2, -2], [3, 8], [1, 2], [1.5, 2], [1, 2], true])
    const sums = await client.query('select avg(embedding), sum(embedding) from item')
    expect(sums.rows[0].avg.map((x: number) => Math.round(x * 1000))).toEqual([1333, 1333, 1667])
    expect(sums.rows[0].sum).toEqual([4, 4, 5])
  })
  test.each([
    ["insert into item (embedding) values ('[1,2]')", '22000', 'expected 3 dimensions, not 2'],
    ["select '[1,2]'::vector <-> '[1,2,3]'", '22000', 'different vector dimensions 2 and 3'],
    ["select '[1,NaN]'::vector", '22000', 'NaN not allowed in vector'],
    ["select '[1,x]'::vector", '22P02', 'invalid input syntax for type vector: "[1,x]"'],
    ["select '[]'::vector", '22000', 'vector must have at least 1 dimension'],
    ['create table t (v vector(0))', '22023', 'dimensions for type vector must be at least 1'],
  ])('%s', async (text, code, message) => {
    await expect(client.query(text)).rejects.toMatchObject({ code, message })
  })
  test('halfvec, sparsevec and bit', async () => {
    await client.query('create table other (id serial primary key, h halfvec(3), s sparsevec(3), b bit(3))')
    for (const [h, s, b] of [
      [[1, 1, 1], new SparseVector({ 2: 1.5 }, 3), '000'],
      [[2, 2, 2.5], new SparseVector({ 0: 2, 2: 1 }, 3), '101'],
      [[1, 1, 2], new SparseVector({ 0: 1, 1: 1, 2: 2 }, 3), '111'],
    ] as const)
      await client.query('insert into other (h, s, b) values ($1, $2, $3)', [pgvector.toSql(h), pgvector.toSql(s), b])
    const { rows } = await client.query('select h, s, b from other order by id')
    expect(rows[1]).toMatchObject({ h: [2, 2, 2.5], b: '101' })
    expect(rows.map((row) => (row.s as SparseVector).toArray())).toEqual([
      [0, 0, 1.5],
      [2, 0, 1],
      [1, 1, 2],
    ])
    for (const [order, value, ids] of [
      ['h <-> $1', pgvector.toSql([2, 2, 2]), [2, 3, 1]],
      ['s <-> $1', pgvector.toSql(new SparseVector({ 2: 1 }, 3)), [1, 3, 2]],
      ['b <~> $1', '101', [2, 3, 1]],
      ['b <%> $1', '101', [2, 3, 1]],
    ] as const)
      expect(
        (await client.query(`select id from other order by ${order}, id`, [value])).rows.map((row) => row.id),
      ).toEqual(ids)
  })
  test('the extension’s objects are in the schema it was created in', async () => {
    await client.query('create database apart')
    const other = new pg.Client({ ...options(), database: 'apart' })
    await other.connect()
    try {
      await other.query("create schema ext; set search_path = ''")
      await other.query('create extension if not exists vector with schema ext')
      await expect(other.query("select '[1]'::vector")).rejects.toMatchObject({ code: '42704' })
      const { rows } = await other.query({
        rowMode: 'array',
        text: `select '[1,2]'::ext.vector operator(ext.<->) '[1,4]', ext.l2_norm('{2:3}/2'::ext.sparsevec), 'ext.halfvec'::regtype::text,
                 (select array_agg(typname order by typname) from pg_type where typnamespace = 'ext'::regnamespace and typelem = 0)::text,
                 (select count(*)::int from pg_depend where refclassid = 'pg_extension'::regclass and refobjid > 16383 and deptype = 'e')`,
      })
      expect(rows[0]).toEqual([2, 3, 'ext.halfvec', '{halfvec,sparsevec,vector}', MEMBERS.length])
      await other.query('create table public.early (v ext.vector(2))')
      await expect(other.query('drop extension vector')).rejects.toMatchObject({
        code: '2BP01',
        detail: 'column v of table public.early depends on type ext.vector',
      })
    } finally {
      await other.end()
    }
  })
  test('postgres.js', async () => {
    const sql = postgres({ ...options(), max: 1 })
    const vector = pgvector.toSql([1, 1, 1])
    expect(
      (await sql`select id, embedding from item order by embedding <-> ${vector} limit 2`).map((row) => [
        row.id,
        pgvector.fromSql(row.embedding),
      ]),
    ).toEqual([
      ['1', [1, 1, 1]],
      ['3', [1, 1, 2]],
    ])
    await sql.end()
  })
  test('Kysely', async () => {
    interface Tables {
      item: { id: string; embedding: string }
    }
    const database = new Kysely<Tables>({
      dialect: new PostgresDialect({ pool: new pg.Pool({ ...options(), max: 2 }) }),
    })
    for (const [distance, ids] of [
      [l2Distance, ['1', '3']],
      [cosineDistance, ['1', '2']],
      [maxInnerProduct, ['2', '3']],
      [l1Distance, ['1', '3']],
    ] as const) {
      const rows = await database
        .selectFrom('item')
        .select('id')
        .where('embedding', 'is not', null)
        .orderBy(distance('embedding', [1, 1, 1]))
        .orderBy('id')
        .limit(2)
        .execute()
      expect(rows.map(({ id }) => id)).toEqual(ids)
    }
    await database.destroy()
  })
})
