/** Drizzle: its migrator, a schema with every common column, CRUD, joins, relational queries, vectors. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  and,
  asc,
  cosineDistance,
  count,
  desc,
  eq,
  gt,
  inArray,
  isNull,
  l2Distance,
  relations,
  sql,
  sum,
} from 'drizzle-orm'
import { drizzle, type NodePgDatabase } from 'drizzle-orm/node-postgres'
import { migrate } from 'drizzle-orm/node-postgres/migrator'
import {
  bigserial,
  boolean,
  date,
  integer,
  jsonb,
  numeric,
  pgEnum,
  pgTable,
  primaryKey,
  serial,
  text,
  timestamp,
  uuid,
  varchar,
  vector,
} from 'drizzle-orm/pg-core'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { TestServer } from '../support/server.ts'
import { isPostgres, startTarget } from '../support/target.ts'

const role = pgEnum('role', ['admin', 'member'])
const users = pgTable('users', {
  id: serial().primaryKey(),
  name: varchar({ length: 40 }).notNull().unique(),
  role: role().default('member').notNull(),
  balance: numeric({ precision: 12, scale: 2 }).default('0').notNull(),
  isActive: boolean('is_active').default(true).notNull(),
  settings: jsonb().$type<{ theme?: string }>(),
  tags: text().array(),
  born: date(),
  key: uuid().defaultRandom(),
  created: timestamp({ withTimezone: true }).defaultNow().notNull(),
})
const posts = pgTable('posts', {
  id: bigserial({ mode: 'number' }).primaryKey(),
  author: integer()
    .notNull()
    .references(() => users.id, { onDelete: 'cascade' }),
  title: text().notNull(),
})
const groups = pgTable('groups', { id: serial().primaryKey(), name: text().notNull() })
const members = pgTable(
  'members',
  { user: integer().references(() => users.id), group: integer('group_id').references(() => groups.id) },
  (table) => [primaryKey({ columns: [table.user, table.group] })],
)
const docs = pgTable('docs', { id: serial().primaryKey(), embedding: vector({ dimensions: 3 }) })
const schema = {
  users,
  posts,
  groups,
  members,
  userRelations: relations(users, ({ many }) => ({ posts: many(posts), members: many(members) })),
  postRelations: relations(posts, ({ one }) => ({
    author: one(users, { fields: [posts.author], references: [users.id] }),
  })),
  memberRelations: relations(members, ({ one }) => ({
    user: one(users, { fields: [members.user], references: [users.id] }),
    group: one(groups, { fields: [members.group], references: [groups.id] }),
  })),
  groupRelations: relations(groups, ({ many }) => ({ members: many(members) })),
}

/** As drizzle-kit writes it. */
const MIGRATION = [
  `CREATE TYPE "public"."role" AS ENUM('admin', 'member');`,
  `CREATE TABLE "users" (
	"id" serial PRIMARY KEY NOT NULL,
	"name" varchar(40) NOT NULL,
	"role" "role" DEFAULT 'member' NOT NULL,
	"balance" numeric(12, 2) DEFAULT '0' NOT NULL,
	"is_active" boolean DEFAULT true NOT NULL,
	"settings" jsonb,
	"tags" text[],
	"born" date,
	"key" uuid DEFAULT gen_random_uuid(),
	"created" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "users_name_unique" UNIQUE("name")
);`,
  `CREATE TABLE "posts" ("id" bigserial PRIMARY KEY NOT NULL, "author" integer NOT NULL, "title" text NOT NULL);`,
  `CREATE TABLE "groups" ("id" serial PRIMARY KEY NOT NULL, "name" text NOT NULL);`,
  `CREATE TABLE "members" ("user" integer, "group_id" integer, CONSTRAINT "members_user_group_id_pk" PRIMARY KEY("user","group_id"));`,
  `ALTER TABLE "posts" ADD CONSTRAINT "posts_author_users_id_fk" FOREIGN KEY ("author") REFERENCES "public"."users"("id") ON DELETE cascade ON UPDATE no action;`,
  `ALTER TABLE "members" ADD CONSTRAINT "members_user_users_id_fk" FOREIGN KEY ("user") REFERENCES "public"."users"("id") ON DELETE no action ON UPDATE no action;`,
  `ALTER TABLE "members" ADD CONSTRAINT "members_group_id_groups_id_fk" FOREIGN KEY ("group_id") REFERENCES "public"."groups"("id") ON DELETE no action ON UPDATE no action;`,
].join('\n--> statement-breakpoint\n')

let server: TestServer
let pool: pg.Pool
let database: NodePgDatabase<typeof schema>
const folder = mkdtempSync(join(tmpdir(), 'alopex-drizzle-'))
beforeAll(async () => {
  server = await startTarget()
  pool = new pg.Pool({ host: server.host, port: server.port, user: 'postgres', database: 'alopex', max: 4 })
  database = drizzle(pool, { schema })
})
afterAll(async () => {
  await pool?.end()
  await server?.dispose()
  rmSync(folder, { recursive: true })
})

test('the migrator', async () => {
  mkdirSync(join(folder, 'meta'))
  writeFileSync(join(folder, '0000_first.sql'), MIGRATION)
  const entries = [{ idx: 0, version: '7', when: 1700000000000, tag: '0000_first', breakpoints: true }]
  writeFileSync(join(folder, 'meta', '_journal.json'), JSON.stringify({ version: '7', dialect: 'postgresql', entries }))
  await migrate(database, { migrationsFolder: folder })
  await migrate(database, { migrationsFolder: folder })
  expect((await database.execute(sql`select count(*)::int as n from drizzle.__drizzle_migrations`)).rows).toEqual([
    { n: 1 },
  ])
})
test('insert, update, delete', async () => {
  const inserted = await database
    .insert(users)
    .values([
      {
        name: 'Ada',
        role: 'admin',
        balance: '12.50',
        settings: { theme: 'dark' },
        tags: ['a', 'b'],
        born: '1815-12-10',
      },
      { name: 'Bob' },
      { name: 'Cy', isActive: false },
    ])
    .returning()
  expect(inserted[0]).toMatchObject({
    id: 1,
    role: 'admin',
    balance: '12.50',
    isActive: true,
    settings: { theme: 'dark' },
    tags: ['a', 'b'],
    born: '1815-12-10',
  })
  expect(inserted[1]).toMatchObject({ id: 2, role: 'member', balance: '0.00', settings: null, tags: null })
  expect(inserted[0]!.created).toBeInstanceOf(Date)
  expect(inserted[0]!.key).toMatch(/^[\da-f-]{36}$/)
  await database.insert(users).values({ name: 'Bob' }).onConflictDoNothing()
  await database
    .insert(users)
    .values({ name: 'Bob', balance: '3' })
    .onConflictDoUpdate({ target: users.name, set: { balance: sql`excluded.balance + ${users.balance}` } })
  expect(await database.select({ balance: users.balance }).from(users).where(eq(users.name, 'Bob'))).toEqual([
    { balance: '3.00' },
  ])
  expect(
    await database
      .update(users)
      .set({ tags: ['x'] })
      .where(and(isNull(users.tags), eq(users.isActive, false)))
      .returning({ id: users.id }),
  ).toEqual([{ id: 3 }])
  expect((await database.delete(users).where(eq(users.name, 'Cy'))).rowCount).toBe(1)
  await database.insert(posts).values([
    { author: 1, title: 'first' },
    { author: 1, title: 'second' },
    { author: 2, title: 'third' },
  ])
  await database.insert(groups).values([{ name: 'g1' }, { name: 'g2' }])
  await database.insert(members).values([
    { user: 1, group: 1 },
    { user: 1, group: 2 },
    { user: 2, group: 2 },
  ])
})
test('select with joins, groups, subqueries and common tables', async () => {
  expect(
    await database
      .select({ name: users.name, posts: count(posts.id), total: sum(posts.id).mapWith(Number) })
      .from(users)
      .leftJoin(posts, eq(posts.author, users.id))
      .groupBy(users.id)
      .having(({ posts: n }) => gt(n, 0))
      .orderBy(({ posts: n }) => desc(n)),
  ).toEqual([
    { name: 'Ada', posts: 2, total: 3 },
    { name: 'Bob', posts: 1, total: 3 },
  ])
  const rich = database.$with('rich').as(database.select().from(users).where(gt(users.balance, '5')))
  expect(await database.with(rich).select({ name: rich.name }).from(rich)).toEqual([{ name: 'Ada' }])
  expect(
    await database
      .select({ t: posts.title })
      .from(posts)
      .where(inArray(posts.author, database.select({ id: users.id }).from(users).where(eq(users.role, 'member')))),
  ).toEqual([{ t: 'third' }])
  expect(await database.$count(posts, gt(posts.id, 1))).toBe(2)
})
test('relational queries', async () => {
  const found = await database.query.users.findMany({
    columns: { name: true },
    with: {
      posts: { columns: { title: true }, orderBy: [desc(posts.id)], limit: 1 },
      members: { with: { group: true }, orderBy: [asc(members.group)] },
    },
    where: eq(users.isActive, true),
    orderBy: [asc(users.name)],
    extras: { shout: sql<string>`upper(${users.name})`.as('shout') },
  })
  expect(found).toEqual([
    {
      name: 'Ada',
      shout: 'ADA',
      posts: [{ title: 'second' }],
      members: [
        { user: 1, group: { id: 1, name: 'g1' } },
        { user: 1, group: { id: 2, name: 'g2' } },
      ],
    },
    { name: 'Bob', shout: 'BOB', posts: [{ title: 'third' }], members: [{ user: 2, group: { id: 2, name: 'g2' } }] },
  ])
  expect(
    await database.query.posts.findFirst({
      with: { author: { columns: { name: true } } },
      where: eq(posts.title, 'third'),
    }),
  ).toEqual({
    id: 3,
    title: 'third',
    author: { name: 'Bob' },
  })
})
test('transactions and prepared statements', async () => {
  await expect(
    database.transaction(async (tx) => {
      await tx.insert(groups).values({ name: 'lost' })
      tx.rollback()
    }),
  ).rejects.toThrow()
  await database.transaction(
    async (tx) => {
      await tx.insert(groups).values({ name: 'kept' })
      await tx
        .transaction(async (inner) => {
          await inner.insert(groups).values({ name: 'undone' })
          throw new Error('no')
        })
        .catch(() => {})
    },
    { isolationLevel: 'repeatable read' },
  )
  const byName = database
    .select({ name: groups.name })
    .from(groups)
    .where(eq(groups.name, sql.placeholder('name')))
    .prepare('by_name')
  expect(await Promise.all(['kept', 'lost', 'undone'].map((name) => byName.execute({ name })))).toEqual([
    [{ name: 'kept' }],
    [],
    [],
  ])
})
test.skipIf(isPostgres)('vectors', async () => {
  await database.execute(sql`create table docs (id serial primary key, embedding vector(3))`)
  await database.insert(docs).values([{ embedding: [1, 0, 0] }, { embedding: [0, 1, 0] }, { embedding: null }])
  expect(
    await database
      .select()
      .from(docs)
      .orderBy(cosineDistance(docs.embedding, [0, 2, 0]), docs.id)
      .limit(2),
  ).toEqual([
    { id: 2, embedding: [0, 1, 0] },
    { id: 1, embedding: [1, 0, 0] },
  ])
  expect(
    await database
      .select({ d: l2Distance(docs.embedding, [1, 0, 0]) })
      .from(docs)
      .where(eq(docs.id, 1)),
  ).toEqual([{ d: 0 }])
})
