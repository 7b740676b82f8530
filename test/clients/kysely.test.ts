/** Kysely: migrations (with their lock), introspection, queries of every kind, transactions, changed tables. */
import { type Generated, Kysely, type Migration, Migrator, PostgresDialect, sql } from 'kysely'
import { jsonArrayFrom } from 'kysely/helpers/postgres'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { TestServer } from '../support/server.ts'
import { startTarget } from '../support/target.ts'

interface Tables {
  person: { id: Generated<number>; name: string; age: number | null; created: Generated<Date> }
  pet: { id: Generated<number>; owner: number; name: string; kind: 'cat' | 'dog' }
}

let server: TestServer
let database: Kysely<Tables>
beforeAll(async () => {
  server = await startTarget()
  const pool = new pg.Pool({ host: server.host, port: server.port, user: 'postgres', database: 'alopex', max: 4 })
  database = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) })
})
afterAll(async () => {
  await database?.destroy()
  await server?.dispose()
})

const migrations: Record<string, Migration> = {
  '1-person': {
    up: async (db) => {
      await db.schema
        .createTable('person')
        .addColumn('id', 'serial', (column) => column.primaryKey())
        .addColumn('name', 'varchar(50)', (column) => column.notNull().unique())
        .addColumn('age', 'integer', (column) => column.check(sql`age >= 0`))
        .addColumn('created', 'timestamptz', (column) => column.defaultTo(sql`now()`).notNull())
        .execute()
    },
    down: (db) => db.schema.dropTable('person').execute(),
  },
  '2-pet': {
    up: async (db) => {
      await db.schema.createType('species').asEnum(['cat', 'dog']).execute()
      await db.schema
        .createTable('pet')
        .addColumn('id', 'integer', (column) => column.primaryKey().generatedAlwaysAsIdentity())
        .addColumn('owner', 'integer', (column) => column.references('person.id').onDelete('cascade').notNull())
        .addColumn('name', 'text', (column) => column.notNull())
        .addColumn('kind', sql`species`, (column) => column.notNull())
        .execute()
      await db.schema.createIndex('pet_owner').on('pet').columns(['owner', 'name']).execute()
      await db.schema
        .createView('cats')
        .as(db.withoutPlugins().selectFrom('pet').selectAll().where('kind', '=', 'cat'))
        .execute()
    },
    down: async (db) => {
      await db.schema.dropView('cats').execute()
      await db.schema.dropTable('pet').execute()
      await db.schema.dropType('species').execute()
    },
  },
}

test('migrations up, down and up again', async () => {
  const migrator = new Migrator({ db: database, provider: { getMigrations: async () => migrations } })
  for (const [move, expected] of [
    [() => migrator.migrateToLatest(), ['1-person', '2-pet']],
    [() => migrator.migrateDown(), ['2-pet']],
    [() => migrator.migrateToLatest(), ['2-pet']],
  ] as const) {
    const { error, results } = await move()
    expect(error).toBeUndefined()
    expect(results?.map(({ migrationName, status }) => [migrationName, status])).toEqual(
      expected.map((name) => [name, 'Success']),
    )
  }
})
test('introspection', async () => {
  const tables = await database.introspection.getTables()
  const shown = tables.map(({ name, isView, columns }) => [
    name,
    isView,
    columns
      .map(
        (column) =>
          `${column.name} ${column.dataType}${column.isNullable ? '' : '!'}${column.hasDefaultValue ? '=' : ''}${column.isAutoIncrementing ? '+' : ''}`,
      )
      .join(', '),
  ])
  expect(shown).toEqual([
    ['cats', true, 'id int4, owner int4, name text, kind species'],
    ['person', false, 'id int4!=+, name varchar!, age int4, created timestamptz!='],
    ['pet', false, 'id int4!+, owner int4!, name text!, kind species!'],
  ])
  expect((await database.introspection.getSchemas()).map(({ name }) => name)).toContain('public')
})
test('insert, upsert, update, delete', async () => {
  const people = await database
    .insertInto('person')
    .values([
      { name: 'Ada', age: 36 },
      { name: 'Bob', age: null },
      { name: 'Cy', age: 20 },
    ])
    .returning(['id', 'name'])
    .execute()
  expect(people.map(({ id }) => id)).toEqual([1, 2, 3])
  await database
    .insertInto('pet')
    .values([
      { owner: 1, name: 'Tom', kind: 'cat' },
      { owner: 1, name: 'Rex', kind: 'dog' },
      { owner: 3, name: 'Kit', kind: 'cat' },
    ])
    .execute()
  const upserted = await database
    .insertInto('person')
    .values({ name: 'Bob', age: 50 })
    .onConflict((conflict) => conflict.column('name').doUpdateSet({ age: (eb) => eb.ref('excluded.age') }))
    .returningAll()
    .executeTakeFirstOrThrow()
  expect(upserted).toMatchObject({ id: 2, age: 50 })
  expect(upserted.created).toBeInstanceOf(Date)
  const updated = await database
    .updateTable('person')
    .set((eb) => ({ age: eb('age', '+', 1) }))
    .where('age', '>', 30)
    .executeTakeFirst()
  expect(updated.numUpdatedRows).toBe(2n)
  const deleted = await database
    .deleteFrom('pet')
    .using('person')
    .whereRef('pet.owner', '=', 'person.id')
    .where('person.name', '=', 'Cy')
    .executeTakeFirst()
  expect(deleted.numDeletedRows).toBe(1n)
})
test('joins, groups, subqueries, common tables, windows, json', async () => {
  const counted = await database
    .selectFrom('person')
    .leftJoin('pet', 'pet.owner', 'person.id')
    .select(({ fn }) => ['person.name', fn.count<string>('pet.id').as('pets')])
    .groupBy('person.id')
    .having((eb) => eb.fn.count('pet.id'), '<', 5)
    .orderBy('person.name')
    .execute()
  expect(counted).toEqual([
    { name: 'Ada', pets: '2' },
    { name: 'Bob', pets: '0' },
    { name: 'Cy', pets: '0' },
  ])
  const nested = await database
    .selectFrom('person')
    .select((eb) => [
      'name',
      jsonArrayFrom(
        eb
          .selectFrom('pet')
          .select(['pet.name', 'pet.kind'])
          .whereRef('pet.owner', '=', 'person.id')
          .orderBy('pet.name'),
      ).as('pets'),
    ])
    .where('id', 'in', [1, 2])
    .orderBy('id')
    .execute()
  expect(nested).toEqual([
    {
      name: 'Ada',
      pets: [
        { name: 'Rex', kind: 'dog' },
        { name: 'Tom', kind: 'cat' },
      ],
    },
    { name: 'Bob', pets: [] },
  ])
  const ranked = await database
    .with('old', (db) => db.selectFrom('person').selectAll().where('age', '>=', 30))
    .selectFrom('old')
    .select((eb) => [
      'name',
      eb.fn
        .agg<string>('rank')
        .over((over) => over.orderBy('age', 'desc'))
        .as('rank'),
    ])
    .where((eb) =>
      eb.or([eb('name', 'like', 'A%'), eb.exists(eb.selectFrom('pet').select('id').where('kind', '=', 'dog'))]),
    )
    .orderBy('rank')
    .execute()
  expect(ranked).toEqual([
    { name: 'Bob', rank: '1' },
    { name: 'Ada', rank: '2' },
  ])
  const both = await database
    .selectFrom('person')
    .select('name')
    .union(database.selectFrom('pet').select('name'))
    .orderBy('name')
    .limit(3)
    .offset(1)
    .execute()
  expect(both.map(({ name }) => name)).toEqual(['Bob', 'Cy', 'Rex'])
})
test('transactions', async () => {
  await expect(
    database.transaction().execute(async (tx) => {
      await tx.insertInto('person').values({ name: 'Lost', age: 1 }).execute()
      await tx.insertInto('person').values({ name: 'Ada', age: 1 }).execute()
    }),
  ).rejects.toMatchObject({ code: '23505', constraint: 'person_name_key' })
  await database
    .transaction()
    .setIsolationLevel('serializable')
    .execute((tx) => tx.insertInto('person').values({ name: 'Kept', age: 1 }).execute())
  const controlled = await database.startTransaction().execute()
  const saved = await controlled.savepoint('s').execute()
  await saved.deleteFrom('person').execute()
  const back = await saved.rollbackToSavepoint('s').execute()
  await back.commit().execute()
  expect((await database.selectFrom('person').select('name').orderBy('id').execute()).map(({ name }) => name)).toEqual([
    'Ada',
    'Bob',
    'Cy',
    'Kept',
  ])
})
test('changes of a table', async () => {
  await database.schema.alterTable('person').addColumn('email', 'text').execute()
  await database.schema
    .alterTable('person')
    .alterColumn('age', (column) => column.setDefault(18))
    .execute()
  await database.schema.alterTable('person').renameColumn('email', 'mail').execute()
  await database.schema.alterTable('person').dropColumn('mail').execute()
  await database.schema.alterTable('pet').addUniqueConstraint('pet_once', ['owner', 'name']).execute()
  await expect(
    database.insertInto('pet').values({ owner: 1, name: 'Tom', kind: 'dog' }).execute(),
  ).rejects.toMatchObject({ constraint: 'pet_once' })
  await database.schema.alterTable('pet').renameTo('animal').execute()
  expect((await database.introspection.getTables()).map(({ name }) => name)).toContain('animal')
})
