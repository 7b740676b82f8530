/** Sequelize with pgvector: sync and alter, models and associations, every distance, indexes; introspection, transactions. */
import { SparseVector } from 'pgvector'
import {
  cosineDistance,
  hammingDistance,
  jaccardDistance,
  l1Distance,
  l2Distance,
  maxInnerProduct,
  registerTypes,
} from 'pgvector/sequelize'
import sequelizeModule, { type Model, type ModelStatic, type Sequelize as SequelizeType } from 'sequelize'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { TestServer } from '../support/server.ts'
import { hasVectors, startTarget } from '../support/target.ts'

const { DataTypes, Op, QueryTypes, Sequelize, Transaction, UniqueConstraintError, col, fn } = sequelizeModule

type Row = Record<string, unknown>
type AnyModel = ModelStatic<Model<Row, Row> & Row>

const sparse = (values: readonly number[]) => new SparseVector({ ...values }, values.length)

describe.skipIf(!hasVectors)('Sequelize', () => {
  let server: TestServer
  let sequelize: SequelizeType
  let Item: AnyModel
  let Author: AnyModel
  let Book: AnyModel
  let Tag: AnyModel
  beforeAll(async () => {
    server = await startTarget()
    registerTypes(Sequelize)
    sequelize = new Sequelize('alopex', 'postgres', '', {
      host: server.host,
      port: server.port,
      dialect: 'postgres',
      logging: false,
    })
    await sequelize.query('create extension if not exists vector')
    const vectors = DataTypes as unknown as Record<'VECTOR' | 'HALFVEC' | 'SPARSEVEC', (dimensions: number) => string>
    Item = sequelize.define(
      'Item',
      {
        embedding: { type: vectors.VECTOR(3) },
        half: { type: vectors.HALFVEC(3) },
        bits: { type: 'BIT(3)' },
        sparse: { type: vectors.SPARSEVEC(3) },
      },
      {
        tableName: 'items',
        underscored: true,
        timestamps: false,
        indexes: [
          { name: 'items_l2', fields: ['embedding'], using: 'hnsw', operator: 'vector_l2_ops' },
          { name: 'items_bits', fields: ['bits'], using: 'hnsw', operator: 'bit_hamming_ops' },
          { fields: [{ name: 'half' }], using: 'hnsw', operator: 'halfvec_cosine_ops' },
        ],
      },
    )
    Author = sequelize.define(
      'Author',
      {
        name: { type: DataTypes.STRING(40), allowNull: false, unique: true },
        balance: { type: DataTypes.DECIMAL(12, 2), defaultValue: 0 },
        rank: { type: DataTypes.ENUM('high', 'low'), defaultValue: 'low' },
        tags: DataTypes.ARRAY(DataTypes.TEXT),
        settings: DataTypes.JSONB,
        born: DataTypes.DATEONLY,
        key: { type: DataTypes.UUID, defaultValue: DataTypes.UUIDV4 },
        picture: DataTypes.BLOB,
        ratio: DataTypes.DOUBLE,
        large: DataTypes.BIGINT,
      },
      { paranoid: true, version: true },
    )
    Book = sequelize.define('Book', {
      title: { type: DataTypes.TEXT, allowNull: false },
      pages: DataTypes.INTEGER,
      embedding: vectors.VECTOR(2),
    })
    Tag = sequelize.define('Tag', { word: { type: DataTypes.STRING, primaryKey: true } }, { timestamps: false })
    Author.hasMany(Book, { foreignKey: { name: 'authorId', allowNull: false }, onDelete: 'CASCADE', as: 'books' })
    Book.belongsTo(Author, { foreignKey: 'authorId', as: 'author' })
    Book.belongsToMany(Tag, { through: 'book_tags', as: 'tags' })
    Tag.belongsToMany(Book, { through: 'book_tags', as: 'books' })
    await sequelize.sync({ force: true })
  })
  afterAll(async () => {
    await sequelize?.close()
    await server?.dispose()
  })

  const ids = (rows: readonly Row[]): unknown[] => rows.map(({ id }) => id)

  test('vectors of every type, nearest by every distance', async () => {
    const row = (values: number[], bits: string) => ({
      embedding: values,
      half: values,
      bits,
      sparse: sparse(values),
    })
    await Item.bulkCreate([row([1, 1, 1], '000'), row([2, 2, 2], '101'), row([1, 1, 2], '111'), {}])
    const nearest = (order: unknown) =>
      Item.findAll({ where: { embedding: { [Op.ne]: null } }, order: [order] as never, limit: 5 })
    for (const column of ['embedding', 'half', 'sparse']) {
      const near = column === 'sparse' ? sparse([1, 1, 1]) : [1, 1, 1]
      expect(ids(await nearest(l2Distance(column, near, sequelize)))).toEqual([1, 3, 2])
      expect(ids(await nearest(maxInnerProduct(column, near, sequelize)))).toEqual([2, 3, 1])
      expect(ids(await nearest(cosineDistance(column, near, sequelize)))[2]).toBe(3)
      expect(ids(await nearest(l1Distance(column, near, sequelize)))).toEqual([1, 3, 2])
    }
    expect(ids(await nearest(hammingDistance('bits', '101', sequelize)))).toEqual([2, 3, 1])
    expect(ids(await nearest(jaccardDistance('bits', '101', sequelize)))).toEqual([2, 3, 1])
    const found = await Item.findByPk(2)
    expect(found).toMatchObject({ embedding: [2, 2, 2], half: [2, 2, 2], bits: '101' })
    expect((found!.sparse as SparseVector).toArray()).toEqual([2, 2, 2])
    expect(await Item.findByPk(4)).toMatchObject({ embedding: null, half: null, sparse: null })
  })
  test('a distance as a column; a transaction’s ef_search', async () => {
    const rows = await sequelize.transaction(async (transaction) => {
      await sequelize.query('SET LOCAL hnsw.ef_search = 100', { transaction })
      await sequelize.query('SET LOCAL enable_seqscan = off', { transaction })
      const distance = l2Distance('embedding', [1, 1, 2], sequelize) as never
      return Item.findAll({
        attributes: ['id', [distance, 'distance']],
        where: { id: { [Op.lt]: 4 } },
        order: [distance],
        limit: 2,
        transaction,
        raw: true,
      })
    })
    expect(rows).toEqual([
      { id: 3, distance: 0 },
      { id: 1, distance: 1 },
    ])
    const [shown] = await sequelize.query('SHOW hnsw.ef_search')
    expect(shown).toEqual({ 'hnsw.ef_search': '40' })
    const [averages] = await sequelize.query('SELECT avg(embedding) AS mean FROM items')
    expect((averages[0] as { mean: number[] }).mean).toHaveLength(3)
  })
  test('what the query interface sees', async () => {
    const inspect = sequelize.getQueryInterface()
    expect((await inspect.showAllTables()).sort()).toEqual(['Authors', 'Books', 'Tags', 'book_tags', 'items'])
    const columns = await inspect.describeTable('Authors')
    expect(columns.name).toMatchObject({ type: 'CHARACTER VARYING(40)', allowNull: false, primaryKey: false })
    expect(columns.rank).toMatchObject({ type: 'USER-DEFINED', special: ['high', 'low'], defaultValue: 'low' })
    expect(columns.id).toMatchObject({ type: 'INTEGER', primaryKey: true })
    expect((await inspect.describeTable('items')).embedding).toMatchObject({ type: 'USER-DEFINED' })
    const indexes = (await inspect.showIndex('items')) as { name: string; primary: boolean; definition: string }[]
    expect(indexes.map(({ name, primary }) => [name, primary]).sort()).toEqual([
      ['items_bits', false],
      ['items_half', false],
      ['items_l2', false],
      ['items_pkey', true],
    ])
    expect(indexes.find(({ name }) => name === 'items_half')!.definition).toBe(
      'CREATE INDEX items_half ON public.items USING hnsw (half halfvec_cosine_ops)',
    )
    const keys = (await inspect.getForeignKeyReferencesForTable('Books')) as Row[]
    expect(keys).toMatchObject([
      {
        columnName: 'authorId',
        referencedTableName: 'Authors',
        referencedColumnName: 'id',
        constraintName: 'Books_authorId_fkey',
      },
    ])
    const constraints = await (
      inspect as unknown as { showConstraint(table: string): Promise<{ constraintName: string }[]> }
    ).showConstraint('Authors')
    expect(
      constraints
        .map((row) => row.constraintName)
        .filter((name) => !name.endsWith('not_null'))
        .sort(),
    ).toEqual(['Authors_name_key', 'Authors_pkey'])
  })
  test('migrations through the query interface, and sync with alter', async () => {
    const change = sequelize.getQueryInterface()
    await change.createTable('extra', {
      id: { type: DataTypes.INTEGER, primaryKey: true, autoIncrement: true },
      a: DataTypes.TEXT,
    })
    await change.addColumn('extra', 'b', { type: DataTypes.INTEGER, allowNull: false, defaultValue: 7 })
    await change.renameColumn('extra', 'a', 'c')
    await change.changeColumn('extra', 'b', { type: DataTypes.BIGINT, allowNull: true })
    await change.addIndex('extra', ['b', 'c'], { unique: true, name: 'extra_b_c' })
    await change.addConstraint('extra', {
      type: 'check',
      fields: ['b'],
      where: { b: { [Op.gt]: 0 } },
      name: 'extra_b_check',
    })
    await expect(change.bulkInsert('extra', [{ b: -1 }])).rejects.toThrow('extra_b_check')
    expect(await change.describeTable('extra')).toMatchObject({
      b: { type: 'BIGINT', allowNull: true },
      c: { type: 'TEXT' },
    })
    await change.removeConstraint('extra', 'extra_b_check')
    await change.removeIndex('extra', 'extra_b_c')
    await change.removeColumn('extra', 'c')
    await change.dropTable('extra')
    await sequelize.sync({ alter: true })
    await sequelize.sync()
    expect(await Item.count()).toBe(4)
  })
  test('models: create, include, many to many, paging, upsert, restore', async () => {
    const author = await Author.create({
      name: 'a',
      tags: ['x', 'y'],
      settings: { theme: { dark: true } },
      born: '2000-02-29',
      picture: Buffer.from([0, 255]),
      ratio: 0.1,
      large: '9007199254740993',
    })
    expect(await Author.findOne({ where: { name: 'a' } })).toMatchObject({
      id: author.id,
      balance: '0.00',
      rank: 'low',
      tags: ['x', 'y'],
      settings: { theme: { dark: true } },
      born: '2000-02-29',
      picture: Buffer.from([0, 255]),
      large: '9007199254740993',
      createdAt: expect.any(Date),
    })
    const { books } = (await Author.create(
      {
        name: 'b',
        books: Array.from({ length: 12 }, (_, i) => ({ title: `t${i}`, pages: i * 10, embedding: [i, 1] })),
      },
      { include: [{ model: Book, as: 'books' }] },
    )) as unknown as { books: (Row & { setTags(tags: unknown): Promise<void> })[] }
    expect(books).toHaveLength(12)
    await books[3]!.setTags(await Tag.bulkCreate([{ word: 'one' }, { word: 'two' }]))
    const page = await Book.findAndCountAll({
      include: [
        { model: Author, as: 'author', required: true, attributes: ['name'] },
        { model: Tag, as: 'tags', through: { attributes: [] } },
      ],
      where: { pages: { [Op.between]: [20, 90] }, title: { [Op.iLike]: 'T%' } },
      order: [['pages', 'ASC']],
      offset: 1,
      limit: 3,
      distinct: true,
    })
    expect(page.count).toBe(8)
    expect(page.rows.map((row) => [row.title, (row.author as Row).name, (row.tags as Row[]).length])).toEqual([
      ['t3', 'b', 2],
      ['t4', 'b', 0],
      ['t5', 'b', 0],
    ])
    const nearest = await Author.findAll({
      include: [
        {
          model: Book,
          as: 'books',
          separate: true,
          order: [l2Distance('embedding', [7, 1], sequelize)] as never,
          limit: 2,
        },
      ],
      where: { settings: null as never },
    })
    expect((nearest[0]!.books as Row[])[0]!.title).toBe('t7')
    const [again, isNew] = await Author.upsert({ name: 'a', ratio: 2 }, { conflictFields: ['name'] as never })
    expect([again.ratio, isNew]).toEqual([2, null])
    const [, made] = await Author.findCreateFind({ where: { name: 'c' }, defaults: { ratio: 3 } })
    expect(made).toBe(true)
    expect(
      await Author.update({ ratio: 4 }, { where: { settings: { theme: { dark: true } } as never }, returning: ['id'] }),
    ).toMatchObject([1, [{ id: author.id }]])
    await Author.increment('ratio', { by: 1, where: { name: 'a' } })
    expect(
      await Book.findAll({
        attributes: ['authorId', [fn('sum', col('pages')), 'total'], [fn('count', col('*')), 'n']],
        group: ['authorId'],
        having: Sequelize.where(fn('count', col('*')), Op.gt, 1),
        raw: true,
      }),
    ).toMatchObject([{ total: '660', n: '12' }])
    const one = await Author.findOne({ where: { name: 'c' } })
    await one!.destroy()
    expect(await Author.count()).toBe(2)
    await one!.restore()
    expect(await Author.count({ where: { tags: { [Op.contains]: ['x'] } } as never })).toBe(1)
    expect(await Author.count()).toBe(3)
  })
  test('transactions: undone, nested, isolated, locked; errors of constraints', async () => {
    await expect(
      sequelize.transaction({ isolationLevel: Transaction.ISOLATION_LEVELS.SERIALIZABLE }, async (transaction) => {
        await Author.update({ ratio: 77 }, { where: {}, transaction })
        expect(await Author.count({ where: { ratio: 77 }, transaction })).toBe(3)
        await sequelize.transaction({ transaction }, (inner) => Author.create({ name: 'd' }, { transaction: inner }))
        expect(await Author.findAll({ lock: transaction.LOCK.UPDATE, skipLocked: true, transaction })).toHaveLength(4)
        throw new Error('undone')
      }),
    ).rejects.toThrow('undone')
    expect(await Author.count({ where: { ratio: 77 } })).toBe(0)
    const failure = await Author.create({ name: 'a' }).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(UniqueConstraintError)
    expect((failure as InstanceType<typeof UniqueConstraintError>).fields).toEqual({ name: 'a' })
    await expect(Book.create({ title: 'x', authorId: 999 })).rejects.toMatchObject({
      name: 'SequelizeForeignKeyConstraintError',
      table: 'Books',
    })
    await expect(Item.create({ embedding: [1, 2] })).rejects.toThrow('expected 3 dimensions, not 2')
    expect(
      await sequelize.query('SELECT ?::int + ? AS sum', {
        replacements: [1, 2],
        type: QueryTypes.SELECT,
      }),
    ).toEqual([{ sum: 3 }])
    expect(
      await sequelize.query('SELECT $a::int * $b AS product', { bind: { a: 6, b: 7 }, type: QueryTypes.SELECT }),
    ).toEqual([{ product: 42 }])
  })
})
