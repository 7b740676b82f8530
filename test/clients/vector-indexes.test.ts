/** Indexes as each client makes them, and searches that use them: pg, postgres.js, Kysely, Drizzle. */
import { jaccardDistance, l1Distance, l2Distance, cosineDistance as nearByCosine, sql as text } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import { bit, halfvec, index, pgTable, serial, sparsevec, vector } from 'drizzle-orm/pg-core'
import { Kysely, PostgresDialect, sql } from 'kysely'
import pg from 'pg'
import pgvector, { SparseVector } from 'pgvector'
import { hammingDistance, l2Distance as nearest } from 'pgvector/kysely'
import pgvectorPg from 'pgvector/pg'
import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { TestServer } from '../support/server.ts'
import { hasVectors, startTarget } from '../support/target.ts'

const ROWS = 500

/** Row i lies at (i, i²/100, 1). */
const at = (i: number): number[] => [i, (i * i) / 100, 1]

describe.skipIf(!hasVectors)('vector indexes', () => {
  let server: TestServer
  let shared: pg.Client
  const clients: pg.Client[] = []
  const options = () => ({ host: server.host, port: server.port, user: 'postgres', database: 'alopex' })
  beforeAll(async () => {
    server = await startTarget()
    shared = new pg.Client(options())
    await shared.connect()
    await shared.query('create extension vector')
  })
  afterAll(async () => {
    for (const client of clients) await client.end()
    await shared?.end()
    await server?.dispose()
  })

  test('pg: a search inside a transaction with its own effort', async () => {
    const client = new pg.Client(options())
    await client.connect()
    clients.push(client)
    await pgvectorPg.registerTypes(client)
    await client.query('create table plain (id int primary key, v vector(3), h halfvec(3), b bit(8), s sparsevec(3))')
    const columns = Array.from({ length: ROWS }, (_, i) => i)
    await client.query(
      `insert into plain select * from unnest($1::int[], $2::vector[], $3::halfvec[], $4::bit(8)[], $5::sparsevec[])`,
      [
        columns,
        columns.map((i) => pgvector.toSql(at(i))),
        columns.map((i) => pgvector.toSql(at(i))),
        columns.map((i) => (i % 256).toString(2).padStart(8, '0')),
        columns.map((i) => pgvector.toSql(new SparseVector({ 0: i, 2: 1 }, 3))),
      ],
    )
    for (const definition of [
      'hnsw (v vector_l2_ops) with (m = 8, ef_construction = 32)',
      'hnsw (h halfvec_l2_ops)',
      'hnsw (b bit_hamming_ops)',
      'hnsw (s sparsevec_l2_ops)',
      'ivfflat (v vector_cosine_ops) with (lists = 10)',
    ])
      await client.query(`create index on plain using ${definition}`)
    await client.query(
      'begin; set local hnsw.ef_search = 200; set local enable_seqscan = off; set local enable_sort = off',
    )
    const near = async (order: string, value: unknown) => {
      const { rows } = await client.query<{ id: number }>(`select id from plain order by ${order} $1 limit 3`, [value])
      return rows.map(({ id }) => id)
    }
    expect((await near('v <->', pgvector.toSql(at(100)))).sort()).toEqual([100, 101, 99])
    expect((await near('h <->', pgvector.toSql(at(200)))).sort()).toEqual([199, 200, 201])
    expect((await near('s <->', pgvector.toSql(new SparseVector({ 0: 50, 2: 1 }, 3)))).sort()).toEqual([49, 50, 51])
    expect((await near('b <~>', '00000111')).slice(0, 2).sort()).toEqual([263, 7])
    const { rows: plan } = await client.query(`explain select id from plain order by v <-> '[1,1,1]' limit 3`)
    expect(plan.map((row) => row['QUERY PLAN']).join('\n')).toContain('Index Scan using plain_v_idx on plain')
    await client.query('rollback')
    expect((await client.query('select id, v, h from plain where id = 3')).rows).toEqual([
      { id: 3, v: [3, 0.09, 1].map(Math.fround).map((x) => Number(x.toPrecision(7))), h: expect.any(Array) },
    ])
  })
  test('postgres.js: lists of rows, indexes, a transaction', async () => {
    const client = postgres({ ...options(), max: 2, onnotice: () => {} })
    await client`create table lists (id serial primary key, v vector(3))`
    const rows = Array.from({ length: ROWS }, (_, i) => ({ v: pgvector.toSql(at(i)) }))
    expect((await client`insert into lists ${client(rows, 'v')} returning id`).length).toBe(ROWS)
    await client`create index on lists using hnsw (v vector_cosine_ops)`
    const found = await client.begin(async (inside) => {
      await inside`set local hnsw.iterative_scan = relaxed_order`
      await inside`delete from lists where id = 101`
      return inside`select id, v <=> ${pgvector.toSql(at(100))} as distance from lists where id % 2 = 1 order by distance limit 2`
    })
    expect(found.map(({ id }) => id).sort()).toEqual([103, 99])
    await client.end()
  })
  test('Kysely: its schema builder, a distance as a column', async () => {
    interface Tables {
      built: { id: number; v: string; b: string }
    }
    const database = new Kysely<Tables>({
      dialect: new PostgresDialect({ pool: new pg.Pool({ ...options(), max: 2 }) }),
    })
    await database.schema
      .createTable('built')
      .addColumn('id', 'integer', (column) => column.primaryKey().generatedAlwaysAsIdentity())
      .addColumn('v', sql`vector(3)`, (column) => column.notNull())
      .addColumn('b', sql`bit(3)`)
      .execute()
    await database
      .insertInto('built')
      .values(
        Array.from(
          { length: ROWS },
          (_, i) => ({ v: pgvector.toSql(at(i)), b: (i % 8).toString(2).padStart(3, '0') }) as never,
        ),
      )
      .execute()
    await database.schema.createIndex('built_v').on('built').using('hnsw').expression(sql`v vector_l2_ops`).execute()
    await database.schema.createIndex('built_b').on('built').using('hnsw').expression(sql`b bit_hamming_ops`).execute()
    const found = await database.transaction().execute((inside) =>
      inside
        .selectFrom('built')
        .select(['id', nearest('v', at(10)).as('distance')])
        .where('id', '>', 5)
        .orderBy(nearest('v', at(10)))
        .limit(1)
        .execute(),
    )
    expect(found).toEqual([{ id: 11, distance: 0 }])
    const near = await database.selectFrom('built').select('b').orderBy(hammingDistance('b', '101')).limit(3).execute()
    expect(near).toEqual([{ b: '101' }, { b: '101' }, { b: '101' }])
    await database.destroy()
  })
  test('Drizzle: columns of every type, and its indexes', async () => {
    const drawn = pgTable(
      'drawn',
      {
        id: serial().primaryKey(),
        v: vector({ dimensions: 3 }),
        h: halfvec({ dimensions: 3 }),
        b: bit({ dimensions: 3 }),
        s: sparsevec({ dimensions: 3 }),
      },
      (table) => [index('drawn_v').using('hnsw', table.v.op('vector_l2_ops'))],
    )
    const database = drizzle(shared)
    // As drizzle-kit writes them.
    await database.execute(
      text`CREATE TABLE "drawn" ("id" serial PRIMARY KEY NOT NULL, "v" vector(3), "h" halfvec(3), "b" bit(3), "s" sparsevec(3))`,
    )
    await database.execute(text`CREATE INDEX "drawn_v" ON "drawn" USING hnsw ("v" vector_l2_ops)`)
    await database.execute(
      text`CREATE INDEX IF NOT EXISTS "drawn_h" ON "drawn" USING hnsw ("h" halfvec_cosine_ops) WITH (m=16)`,
    )
    const inserted = await database
      .insert(drawn)
      .values([
        { v: [1, 1, 1], h: [1, 1, 1], b: '000', s: '{1:1,2:1,3:1}/3' },
        { v: [2, 2, 2], h: [2, 2, 2], b: '101', s: '{1:2,2:2,3:2}/3' },
        { v: [1, 1, 2], h: [1, 1, 2], b: '111', s: '{1:1,2:1,3:2}/3' },
      ])
      .returning()
    expect(inserted[1]).toEqual({ id: 2, v: [2, 2, 2], h: [2, 2, 2], b: '101', s: '{1:2,2:2,3:2}/3' })
    const ids = async (distance: ReturnType<typeof l2Distance>) =>
      (await database.select({ id: drawn.id }).from(drawn).orderBy(distance).limit(5)).map(({ id }) => id)
    expect(await ids(l2Distance(drawn.v, [1, 1, 1]))).toEqual([1, 3, 2])
    expect(await ids(l1Distance(drawn.h, [1, 1, 1]))).toEqual([1, 3, 2])
    expect((await ids(nearByCosine(drawn.h, [1, 1, 1])))[2]).toBe(3)
    expect(await ids(jaccardDistance(drawn.b, '101'))).toEqual([2, 3, 1])
    expect(await ids(l2Distance(drawn.s, '{1:1,2:1,3:1}/3'))).toEqual([1, 3, 2])
    const { rows } = await database.execute(text`select indexdef from pg_indexes where tablename = 'drawn' order by 1`)
    expect(rows.map(({ indexdef }) => String(indexdef).replace(/^.*USING /, ''))).toEqual([
      "hnsw (h halfvec_cosine_ops) WITH (m='16')",
      'hnsw (v vector_l2_ops)',
      'btree (id)',
    ])
  })
})
