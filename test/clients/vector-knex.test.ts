/** Knex with pgvector: its migrations, schema builder and inspection; every distance, indexes; transactions, joins, paging. */
import knexOf, { type Knex } from 'knex'
import pgvector, { SparseVector } from 'pgvector'
import 'pgvector/knex'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { TestServer } from '../support/server.ts'
import { hasVectors, startTarget } from '../support/target.ts'

// What importing pgvector/knex adds; its own declarations leave this out.
declare module 'knex' {
  namespace Knex {
    interface SchemaBuilder {
      enableExtension(name: string): SchemaBuilder
    }
    interface CreateTableBuilder {
      vector(name: string, options: { dimensions: number }): ColumnBuilder
      halfvec(name: string, options: { dimensions: number }): ColumnBuilder
      sparsevec(name: string, options: { dimensions: number }): ColumnBuilder
    }
  }
  interface Knex {
    l2Distance(column: string, value: number[] | SparseVector): Knex.Raw
    maxInnerProduct(column: string, value: number[] | SparseVector): Knex.Raw
    cosineDistance(column: string, value: number[] | SparseVector): Knex.Raw
    l1Distance(column: string, value: number[] | SparseVector): Knex.Raw
    hammingDistance(column: string, value: string): Knex.Raw
    jaccardDistance(column: string, value: string): Knex.Raw
  }
}

interface Item {
  id: number
  embedding: string | null
  half: string | null
  bits: string | null
  sparse: string | null
}

const sparse = (values: readonly number[]) => new SparseVector({ ...values }, values.length)

describe.skipIf(!hasVectors)('Knex', () => {
  let server: TestServer
  let knex: Knex
  beforeAll(async () => {
    server = await startTarget()
    knex = knexOf({
      client: 'pg',
      connection: { host: server.host, port: server.port, user: 'postgres', database: 'alopex' },
      pool: { min: 0, max: 4 },
    })
    await knex.schema.enableExtension('vector')
    await knex.schema.createTable('items', (table) => {
      table.increments('id')
      table.vector('embedding', { dimensions: 3 })
      table.halfvec('half', { dimensions: 3 })
      table.specificType('bits', 'bit(3)')
      table.sparsevec('sparse', { dimensions: 3 })
    })
    await knex('items').insert([
      item([1, 1, 1], '000'),
      item([2, 2, 2], '101'),
      item([1, 1, 2], '111'),
      { embedding: null, half: null, bits: null, sparse: null },
    ])
  })
  afterAll(async () => {
    await knex?.destroy()
    await server?.dispose()
  })

  const item = (values: number[], bits: string): Omit<Item, 'id'> => ({
    embedding: pgvector.toSql(values),
    half: pgvector.toSql(values),
    bits,
    sparse: pgvector.toSql(sparse(values)),
  })
  const ids = (rows: readonly { id: number }[]): number[] => rows.map(({ id }) => id)

  test('nearest by every distance of every type', async () => {
    const query = () => knex<Item>('items').whereNotNull('embedding')
    for (const column of ['embedding', 'half', 'sparse']) {
      const near = column === 'sparse' ? sparse([1, 1, 1]) : [1, 1, 1]
      expect(ids(await query().orderBy(knex.l2Distance(column, near)).limit(5))).toEqual([1, 3, 2])
      expect(ids(await query().orderBy(knex.maxInnerProduct(column, near)).limit(5))).toEqual([2, 3, 1])
      expect(ids(await query().orderBy(knex.cosineDistance(column, near)).limit(5)).sort()).toEqual([1, 2, 3])
      expect(ids(await query().orderBy(knex.l1Distance(column, near)).limit(5))).toEqual([1, 3, 2])
    }
    expect(ids(await query().orderBy(knex.hammingDistance('bits', '101')).limit(5))).toEqual([2, 3, 1])
    expect(ids(await query().orderBy(knex.jaccardDistance('bits', '101')).limit(5))).toEqual([2, 3, 1])
    const [first] = await query().orderBy('id')
    expect(pgvector.fromSql(first!.embedding)).toEqual([1, 1, 1])
    expect(first).toMatchObject({ half: '[1,1,1]', bits: '000', sparse: '{1:1,2:1,3:1}/3' })
  })
  test('indexes of the schema builder, and ef_search in a transaction', async () => {
    await knex.schema.alterTable('items', (table) => {
      table.index(knex.raw('embedding vector_l2_ops') as never, 'items_l2', 'hnsw')
      table.index(knex.raw('half halfvec_cosine_ops') as never, 'items_half', 'hnsw')
      table.index(knex.raw('bits bit_hamming_ops') as never, 'items_bits', 'hnsw')
      table.index(knex.raw('sparse sparsevec_ip_ops') as never, 'items_sparse', 'hnsw')
    })
    const { rows } = await knex.raw("select indexdef from pg_indexes where indexname = 'items_l2'")
    expect(rows[0].indexdef).toBe('CREATE INDEX items_l2 ON public.items USING hnsw (embedding vector_l2_ops)')
    const found = await knex.transaction(async (transaction) => {
      await transaction.raw('set local hnsw.ef_search = 100')
      await transaction.raw('set local enable_seqscan = off')
      expect((await transaction.raw('show hnsw.ef_search')).rows).toEqual([{ 'hnsw.ef_search': '100' }])
      return transaction<Item>('items')
        .orderBy(knex.l2Distance('embedding', [1, 1, 2]))
        .limit(2)
    })
    expect(found[0]!.id).toBe(3)
    expect((await knex.raw('show hnsw.ef_search')).rows).toEqual([{ 'hnsw.ef_search': '40' }])
    await knex.schema.alterTable('items', (table) => {
      table.dropIndex([], 'items_l2')
    })
  })
  test('what the schema looks like', async () => {
    expect(await knex.schema.hasTable('items')).toBe(true)
    expect(await knex.schema.hasTable('nothing')).toBe(false)
    expect(await knex.schema.hasColumn('items', 'embedding')).toBe(true)
    const columns = await knex('items').columnInfo()
    expect(columns.id).toMatchObject({ type: 'integer', nullable: false })
    expect(columns.embedding).toMatchObject({ type: 'USER-DEFINED', nullable: true })
    expect(columns.bits).toMatchObject({ type: 'bit', maxLength: 3 })
  })
  test('migrations forth and back', async () => {
    const steps: Record<string, { up(knex: Knex): Promise<void>; down(knex: Knex): Promise<void> }> = {
      '001_authors': {
        up: (database) =>
          database.schema
            .createTable('authors', (table) => {
              table.bigIncrements('id')
              table.string('name', 40).notNullable().unique()
              table.enum('rank', ['high', 'low']).defaultTo('low')
              table.decimal('balance', 12, 2).defaultTo(0)
              table.specificType('tags', 'text[]')
              table.timestamps(true, true)
            })
            .createTable('books', (table) => {
              table.uuid('id').primary().defaultTo(database.fn.uuid())
              table.bigInteger('author').notNullable().references('id').inTable('authors').onDelete('cascade').index()
              table.jsonb('about')
              table.integer('pages').checkPositive()
              table.comment('what they wrote')
              table.unique(['author', 'pages'])
            }),
        down: (database) => database.schema.dropTable('books').dropTable('authors'),
      },
      '002_more': {
        up: (database) =>
          database.schema.alterTable('books', (table) => {
            table.text('title').notNullable().defaultTo('untitled')
            table.renameColumn('about', 'details')
            table.setNullable('pages')
            table.bigInteger('pages').alter()
          }),
        down: (database) =>
          database.schema.alterTable('books', (table) => {
            table.dropColumn('title')
            table.renameColumn('details', 'about')
          }),
      },
    }
    const migrations: Knex.MigratorConfig = {
      migrationSource: {
        getMigrations: async () => Object.keys(steps),
        getMigrationName: (name: string) => name,
        getMigration: async (name: string) => steps[name]!,
      },
    }
    expect((await knex.migrate.latest(migrations))[1]).toEqual(['001_authors', '002_more'])
    expect((await knex.migrate.latest(migrations))[1]).toEqual([])
    expect(await knex.migrate.currentVersion(migrations)).toBe('002')
    expect((await knex.migrate.down(migrations))[1]).toEqual(['002_more'])
    expect(await knex.schema.hasColumn('books', 'about')).toBe(true)
    expect((await knex.migrate.up(migrations))[1]).toEqual(['002_more'])
    expect(await knex('books').columnInfo('details')).toMatchObject({ type: 'jsonb' })
  })
  test('returning, upserts, joins, paging, aggregates, JSON', async () => {
    const authors = await knex('authors')
      .insert(['a', 'b', 'c'].map((name, i) => ({ name, balance: `${i}.50`, tags: ['x', name] })))
      .returning(['id', 'name', 'tags', 'created_at'])
    expect(authors).toMatchObject([
      { id: '1', name: 'a', tags: ['x', 'a'], created_at: expect.any(Date) },
      { id: '2', name: 'b' },
      { id: '3', name: 'c' },
    ])
    const merged = await knex('authors')
      .insert({ name: 'b', balance: 9 })
      .onConflict('name')
      .merge(['balance'])
      .returning('balance')
    expect(merged).toEqual([{ balance: '9.00' }])
    await knex('authors').insert({ name: 'b' }).onConflict('name').ignore()
    await knex.batchInsert(
      'books',
      Array.from({ length: 25 }, (_, i) => ({ author: 1 + (i % 2), pages: 100 + i, details: { price: i } })),
      10,
    )
    const joined = await knex('authors as a')
      .leftJoin('books as b', 'b.author', 'a.id')
      .groupBy('a.name')
      .orderBy('a.name')
      .select('a.name')
      .count('b.id as books')
      .max('b.pages as most')
    expect(joined).toEqual([
      { name: 'a', books: '13', most: '124' },
      { name: 'b', books: '12', most: '123' },
      { name: 'c', books: '0', most: null },
    ])
    expect(await knex('books').orderBy('pages').offset(10).limit(2).pluck('pages')).toEqual(['110', '111'])
    expect(
      await knex('books').whereJsonSupersetOf('details', { price: 7 }).jsonExtract('details', '$.price', 'price'),
    ).toEqual([{ price: 7 }])
    expect(
      await knex
        .with('big', knex('books').where('pages', '>', 120))
        .from('big')
        .whereIn('author', knex('authors').select('id').where('name', 'a'))
        .countDistinct('pages as n')
        .first(),
    ).toEqual({ n: '2' })
    expect(await knex('books').where('pages', '<', 105).del().returning('pages')).toHaveLength(5)
  })
  test('transactions: nested ones, undone ones, locks', async () => {
    await expect(
      knex.transaction(async (outer) => {
        await outer('authors').update({ balance: 1 })
        await expect(outer.transaction((inner) => inner('authors').insert({ name: 'a' }))).rejects.toMatchObject({
          code: '23505',
          constraint: 'authors_name_unique',
        })
        expect(await outer('authors').where('balance', 1).forUpdate().pluck('name')).toHaveLength(3)
        throw new Error('undone')
      }),
    ).rejects.toThrow('undone')
    expect(await knex('authors').where('balance', 1)).toEqual([])
    const level = await knex.transaction((inside) => inside.raw('show transaction_isolation'), {
      isolationLevel: 'repeatable read',
    })
    expect(level.rows).toEqual([{ transaction_isolation: 'repeatable read' }])
  })
})
