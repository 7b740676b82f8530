/** TypeORM with vector columns: synchronize and migrations, entities and relations, query builder, transactions. */

import pgvector from 'pgvector'
import {
  DataSource,
  type EntityManager,
  EntitySchema,
  In,
  type MigrationInterface,
  type QueryRunner,
  Table,
} from 'typeorm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { TestServer } from '../support/server.ts'
import { hasVectors, startTarget } from '../support/target.ts'

interface Item {
  id: number
  embedding: number[] | null
  half: number[] | null
  bits: string | null
}
interface Author {
  id: number
  name: string
  balance: string
  rank: 'high' | 'low'
  tags: string[] | null
  settings: unknown
  key: string
  born: string | null
  isActive: boolean
  createdAt: Date
  updatedAt: Date
  deletedAt: Date | null
  version: number
  books?: Book[]
}
interface Book {
  id: string
  title: string
  pages: number | null
  author?: Author
  tags?: Tag[]
}
interface Tag {
  word: string
}

const ItemEntity = new EntitySchema<Item>({
  name: 'Item',
  tableName: 'items',
  columns: {
    id: { type: Number, primary: true, generated: true },
    embedding: { type: 'vector', length: 3, nullable: true },
    half: { type: 'halfvec', length: 3, nullable: true },
    bits: { type: 'bit', length: 3, nullable: true },
  },
})
const AuthorEntity = new EntitySchema<Author>({
  name: 'Author',
  columns: {
    id: { type: Number, primary: true, generated: 'increment' },
    name: { type: 'varchar', length: 40, unique: true },
    balance: { type: 'numeric', precision: 12, scale: 2, default: 0 },
    rank: { type: 'enum', enum: ['high', 'low'], default: 'low' },
    tags: { type: 'text', array: true, nullable: true },
    settings: { type: 'jsonb', nullable: true },
    key: { type: 'uuid', generated: 'uuid' },
    born: { type: 'date', nullable: true },
    isActive: { type: 'boolean', default: true, name: 'is_active' },
    createdAt: { type: 'timestamptz', createDate: true },
    updatedAt: { type: 'timestamptz', updateDate: true },
    deletedAt: { type: 'timestamptz', deleteDate: true, nullable: true },
    version: { type: 'int', version: true },
  },
  relations: { books: { type: 'one-to-many', target: 'Book', inverseSide: 'author', cascade: true } },
  checks: [{ name: 'author_balance', expression: 'balance >= 0' }],
})
const BookEntity = new EntitySchema<Book>({
  name: 'Book',
  columns: {
    id: { type: 'bigint', primary: true, generated: 'increment' },
    title: { type: 'text', comment: 'as it is printed' },
    pages: { type: 'int', nullable: true },
  },
  relations: {
    author: { type: 'many-to-one', target: 'Author', inverseSide: 'books', onDelete: 'CASCADE', nullable: false },
    tags: { type: 'many-to-many', target: 'Tag', joinTable: { name: 'book_tags' }, cascade: true },
  },
  indices: [
    { name: 'book_title', columns: ['title'] },
    { name: 'book_long', columns: ['pages'], where: 'pages > 100' },
  ],
  uniques: [{ columns: ['title', 'pages'] }],
})
const TagEntity = new EntitySchema<Tag>({ name: 'Tag', columns: { word: { type: 'varchar', primary: true } } })

class AddIndexes1700000000000 implements MigrationInterface {
  readonly name = 'AddIndexes1700000000000'
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('CREATE INDEX items_l2 ON items USING hnsw (embedding vector_l2_ops)')
    await runner.query('CREATE INDEX items_half ON items USING hnsw (half halfvec_cosine_ops) WITH (m = 8)')
    await runner.createTable(
      new Table({
        name: 'extra',
        columns: [
          { name: 'id', type: 'int', isPrimary: true, isGenerated: true, generationStrategy: 'increment' },
          { name: 'item', type: 'int', isNullable: true },
          { name: 'at', type: 'timestamp', default: 'now()' },
        ],
        indices: [{ name: 'extra_item', columnNames: ['item'] }],
        foreignKeys: [{ columnNames: ['item'], referencedTableName: 'items', referencedColumnNames: ['id'] }],
      }),
    )
  }
  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable('extra')
    await runner.query('DROP INDEX items_half')
    await runner.query('DROP INDEX items_l2')
  }
}

describe.skipIf(!hasVectors)('TypeORM', () => {
  let server: TestServer
  let source: DataSource
  beforeAll(async () => {
    server = await startTarget()
    source = new DataSource({
      type: 'postgres',
      host: server.host,
      port: server.port,
      username: 'postgres',
      database: 'alopex',
      uuidExtension: 'pgcrypto',
      entities: [ItemEntity, AuthorEntity, BookEntity, TagEntity],
      migrations: [AddIndexes1700000000000],
    })
    await source.initialize()
    await source.synchronize()
  })
  afterAll(async () => {
    await source?.destroy()
    await server?.dispose()
  })

  test('a second synchronize finds nothing to do', async () => {
    const { upQueries } = await source.driver.createSchemaBuilder().log()
    expect(upQueries.map(({ query }) => query)).toEqual([])
    const changed = new DataSource({
      ...source.options,
      entities: [
        ItemEntity,
        BookEntity,
        TagEntity,
        new EntitySchema<Author>({
          ...AuthorEntity.options,
          columns: {
            ...AuthorEntity.options.columns,
            name: { type: 'varchar', length: 60, unique: true },
            rank: { type: 'enum', enum: ['high', 'low', 'middle'], default: 'low' },
            isActive: { type: 'boolean', default: false, name: 'is_active' },
          },
        }),
      ],
    } as never)
    await changed.initialize()
    await changed.synchronize()
    expect((await changed.driver.createSchemaBuilder().log()).upQueries).toEqual([])
    await changed.destroy()
    await source.synchronize()
    expect((await source.driver.createSchemaBuilder().log()).upQueries).toEqual([])
  })
  test('vectors of every type, nearest by every distance', async () => {
    const items = source.getRepository(ItemEntity)
    const row = (values: number[], bits: string) => ({ embedding: values, half: values, bits })
    await items.save([row([1, 1, 1], '000'), row([2, 2, 2], '101'), row([1, 1, 2], '111')])
    await items.insert({ embedding: null })
    expect(await items.findOneBy({ id: 2 })).toEqual({ id: 2, embedding: [2, 2, 2], half: [2, 2, 2], bits: '101' })
    const nearest = async (distance: string, value: string) => {
      const found = await items
        .createQueryBuilder('item')
        .where('item.embedding is not null')
        .orderBy(`${distance} :value`)
        .setParameter('value', value)
        .limit(5)
        .getMany()
      return found.map(({ id }) => id)
    }
    const near = pgvector.toSql([1, 1, 1])
    for (const column of ['embedding', 'half']) {
      expect(await nearest(`${column} <->`, near)).toEqual([1, 3, 2])
      expect(await nearest(`${column} <#>`, near)).toEqual([2, 3, 1])
      expect((await nearest(`${column} <=>`, near))[2]).toBe(3)
      expect(await nearest(`${column} <+>`, near)).toEqual([1, 3, 2])
    }
    expect(await nearest('bits <~>', '101')).toEqual([2, 3, 1])
    expect(await nearest('bits <%>', '101')).toEqual([2, 3, 1])
    await expect(items.save({ embedding: [1, 2] })).rejects.toThrow('expected 3 dimensions, not 2')
  })
  test('migrations forth and back; ef_search in a transaction', async () => {
    expect((await source.runMigrations()).map(({ name }) => name)).toEqual(['AddIndexes1700000000000'])
    expect(await source.showMigrations()).toBe(false)
    const runner = source.createQueryRunner()
    const table = await runner.getTable('extra')
    expect(table!.columns.map(({ name, type, isPrimary, isNullable }) => [name, type, isPrimary, isNullable])).toEqual([
      ['id', 'integer', true, false],
      ['item', 'integer', false, true],
      ['at', 'timestamp without time zone', false, false],
    ])
    expect(table!.foreignKeys).toMatchObject([{ columnNames: ['item'], referencedTableName: 'items' }])
    expect(table!.indices).toMatchObject([{ name: 'extra_item', columnNames: ['item'], isUnique: false }])
    expect((await runner.getTable('items'))!.findColumnByName('embedding')).toMatchObject({
      type: 'vector',
      length: '3',
    })
    await runner.release()
    const found = await source.transaction(async (manager: EntityManager) => {
      await manager.query('SET LOCAL hnsw.ef_search = 100')
      await manager.query('SET LOCAL enable_seqscan = off')
      return manager.query('SELECT id FROM items ORDER BY embedding <-> $1 LIMIT 1', [pgvector.toSql([1, 1, 2])])
    })
    expect(found).toEqual([{ id: 3 }])
    expect(await source.query('SHOW hnsw.ef_search')).toEqual([{ 'hnsw.ef_search': '40' }])
    await source.undoLastMigration()
    expect(await source.query("SELECT to_regclass('extra')::text AS extra")).toEqual([{ extra: null }])
  })
  test('entities: cascades, relations, paging, returning, soft removal, versions', async () => {
    const authors = source.getRepository(AuthorEntity)
    const books = source.getRepository(BookEntity)
    await source.getRepository(TagEntity).save([{ word: 'one' }, { word: 'two' }])
    const saved = await authors.save([
      {
        name: 'a',
        tags: ['x', 'y'],
        settings: { deep: [1, null] },
        born: '2000-02-29',
        books: Array.from({ length: 6 }, (_, i) => ({
          title: `t${i}`,
          pages: i * 50,
          tags: i === 2 ? [{ word: 'one' }, { word: 'two' }] : [],
        })),
      },
      { name: 'b' },
    ])
    expect(saved[0]).toMatchObject({
      id: 1,
      rank: 'low',
      balance: '0.00',
      isActive: true,
      version: 1,
      createdAt: expect.any(Date),
    })
    expect(
      await authors.find({
        where: { name: 'a' },
        relations: { books: { tags: true } },
        order: { books: { pages: 'DESC', tags: { word: 'ASC' } } },
      }),
    ).toMatchObject([
      {
        tags: ['x', 'y'],
        settings: { deep: [1, null] },
        born: '2000-02-29',
        books: [
          { title: 't5' },
          { title: 't4' },
          { title: 't3' },
          { tags: [{ word: 'one' }, { word: 'two' }] },
          {},
          {},
        ],
      },
    ])
    const [page, count] = await books.findAndCount({
      relations: { author: true, tags: true },
      where: { author: { name: In(['a', 'c']) } },
      order: { title: 'ASC' },
      skip: 1,
      take: 2,
    })
    expect([count, page.map(({ title, author, tags }) => [title, author!.name, tags!.length])]).toEqual([
      6,
      [
        ['t1', 'a', 0],
        ['t2', 'a', 2],
      ],
    ])
    const updated = await books
      .createQueryBuilder()
      .update()
      .set({ pages: () => 'pages + 1' })
      .where('pages > :least', { least: 150 })
      .returning(['id', 'pages'])
      .execute()
    expect(updated).toMatchObject({ affected: 2, raw: [{ pages: 201 }, { pages: 251 }] })
    await authors.upsert(
      [
        { name: 'b', balance: '5' },
        { name: 'c', balance: '7' },
      ],
      ['name'],
    )
    expect(
      await books
        .createQueryBuilder('book')
        .leftJoin('book.author', 'author')
        .select('author.name', 'name')
        .addSelect('sum(book.pages)::int', 'pages')
        .groupBy('author.name')
        .having('count(*) > :n', { n: 2 })
        .getRawMany(),
    ).toEqual([{ name: 'a', pages: 752 }])
    const b = await authors.findOneByOrFail({ name: 'b' })
    expect(b.balance).toBe('5.00')
    await authors.save({ ...b, isActive: false })
    expect((await authors.findOneByOrFail({ name: 'b' })).version).toBe(b.version + 1)
    await authors.softRemove(b)
    expect(await authors.count()).toBe(2)
    expect(await authors.count({ withDeleted: true })).toBe(3)
    await authors.restore(b.id)
    await authors.delete({ name: 'a' })
    expect(await books.count()).toBe(0)
  })
  test('transactions: undone, nested, locked, isolated; errors of constraints', async () => {
    const authors = source.getRepository(AuthorEntity)
    await expect(
      source.transaction('SERIALIZABLE', async (manager) => {
        await manager.updateAll(AuthorEntity, { balance: '99' })
        await expect(manager.transaction((inner) => inner.insert(AuthorEntity, { name: 'b' }))).rejects.toMatchObject({
          code: '23505',
          driverError: { table: 'author' },
        })
        expect(
          await manager.find(AuthorEntity, { where: { balance: '99' }, lock: { mode: 'pessimistic_write' } }),
        ).toHaveLength(2)
        throw new Error('undone')
      }),
    ).rejects.toThrow('undone')
    expect(await authors.countBy({ balance: '99' })).toBe(0)
    await expect(authors.insert({ name: 'z', balance: '-1' })).rejects.toMatchObject({
      code: '23514',
      constraint: 'author_balance',
    })
    const stream = await authors.createQueryBuilder('author').orderBy('author.id').getMany()
    expect(stream.map(({ name }) => name)).toEqual(['b', 'c'])
  })
})
