/** New indexes over rows that are there, and rows moved to new storage. */
import { afterEach, beforeEach, expect, it } from 'vitest'
import { removeStorage } from '../../sql/access/index-build.ts'
import { relationSpan } from '../../sql/access/keys.ts'
import { droppedColumn } from '../../sql/access/row.ts'
import type { RelationRow } from '../../sql/catalog/catalog.ts'
import { compileEnv } from '../../sql/executor/executor.ts'
import { buildIndex, rewriteTable } from '../../sql/executor/modify-index.ts'
import type { Row } from '../../sql/types/value.ts'
import { type Database, failure, openDatabase, type Session } from './fixture.ts'

let database: Database
let session: Session
beforeEach(async () => {
  database = await openDatabase()
  session = database.session()
  database.table('t', {
    columns: [
      ['a', 'int4'],
      ['b', 'int4'],
      ['c', 'text'],
    ],
  })
  await session.run("insert into t select i, i % 100, 'x' || i from generate_series(1, 3000) i")
})
afterEach(() => database.close())

/** The index as `table` would have it, taken from a table of the same shape. */
function indexFor(name: string, definition: Parameters<Database['table']>[1]['indexes']): RelationRow {
  const twin = database.table(`twin_of_${name}`, {
    columns: [
      ['a', 'int4'],
      ['b', 'int4'],
      ['c', 'text'],
    ],
    indexes: definition!,
  })
  const table = database.relation('t')
  const index = database.catalog.relation(twin.indexes[0]!)!
  return { ...index, name, index: { ...index.index!, table: table.oid } }
}

async function build(index: RelationRow): Promise<void> {
  const table = database.relation('t')
  const x = session.execution()
  x.txn.beginStatement()
  try {
    for (const pause of buildIndex(x, compileEnv(database.catalog, 'often'), table, index)) await pause.promise
    await session.commit()
  } catch (error) {
    session.rollback()
    throw error
  }
  database.put(index, { ...table, indexes: [...table.indexes, index.oid] })
}

it('builds an index that finds, and is kept from then on', async () => {
  await build(indexFor('i', [{ keys: ['b desc', 'c'] }]))
  expect(session.plan('select a from t where b = 7').planned.plan).toMatchObject({
    kind: 'project',
    input: { kind: 'index-scan' },
  })
  expect(await session.run('select count(*), sum(a) from t where b = 7')).toEqual([[30, 30 * 7 + 100 * 435]])
  await session.run('update t set b = 8 where b = 7')
  expect(await session.run('select count(*) from t where b = 7')).toEqual([[0]])
  expect(await session.run('select count(*) from t where b = 8')).toEqual([[60]])
})

it('refuses a unique index over duplicates, not over NULLs', async () => {
  await session.run('insert into t values (null, null, null), (null, null, null)')
  expect(await failure(build(indexFor('u', [{ keys: ['b'], unique: true }])))).toBe(
    '23505 | could not create unique index "u" | Key (b)=(0) is duplicated.',
  )
  expect(await failure(build(indexFor('l', [{ keys: ['b'], unique: true, deferrable: 'deferred' }])))).toMatch(
    /^23505 \| could not create unique index "l"/,
  )
  await build(indexFor('v', [{ keys: ['a'], unique: true }]))
  expect(await failure(session.run('insert into t values (5, 5, null)'))).toContain('"v"')
  await build(indexFor('w', [{ keys: ['(lower(c))'], unique: true, where: 'b > 50' }]))
  expect(await failure(session.run("insert into t values (5000, 60, 'X60')"))).toContain(
    'Key (lower(c))=(x60) already exists.',
  )
})

it('moves rows to new storage in the order of a new key, with other columns', async () => {
  const from = database.relation('t')
  const shaped = database.table('shape', {
    columns: [
      ['a', 'int4'],
      ['b', 'int8'],
      ['c', 'text'],
      ['d', 'int4', { generated: 'a * 2' }],
    ],
    primary: ['c'],
  })
  const to: RelationRow = { ...shaped, oid: from.oid, name: 't' }
  const x = session.execution()
  x.txn.beginStatement()
  const pkey = database.catalog.relation(shaped.indexes[0]!)!
  database.put({ ...pkey, index: { ...pkey.index!, table: from.oid } }, to)
  const move = rewriteTable(
    { ...x, catalog: database.catalog },
    compileEnv(database.catalog, 'often'),
    from,
    to,
    (old: Row) => [...old, null],
  )
  let step = move.next()
  for (; step.done !== true; step = move.next()) await step.value.promise
  expect(step.value).toBe(3000)
  removeStorage(database.kv, x.txn, database.catalog.databaseOid, from)
  await session.commit()
  expect(await session.run('select * from t limit 3')).toEqual([
    [1, 1, 'x1', 2],
    [10, 10, 'x10', 20],
    [100, 0, 'x100', 200],
  ])
  expect(await session.run(`select a, d from t where c = 'x2999'`)).toEqual([[2999, 5998]])
  await database.kv.collectGarbage()
  const reader = session.execution().txn
  expect(reader.anyIn(relationSpan(database.catalog.databaseOid, from))).toBe(false)
  session.rollback()
})

it('refuses to order rows by a key that is not unique', async () => {
  const from = database.relation('t')
  const to = {
    ...database.table('shape', {
      columns: [
        ['a', 'int4'],
        ['b', 'int4'],
        ['c', 'text'],
      ],
      primary: ['b'],
    }),
    name: 't',
  }
  const x = session.execution()
  const move = async () => {
    for (const pause of rewriteTable(
      { ...x, catalog: database.catalog },
      compileEnv(database.catalog, 'often'),
      from,
      to,
      (old) => [...old],
    ))
      await pause.promise
  }
  expect(await failure(move())).toBe('23505 | could not create unique index "shape_pkey" | Key (b)=(0) is duplicated.')
  session.rollback()
})

it('reads rows from before columns were added and dropped', async () => {
  const table = database.relation('t')
  const added = { ...table.columns[1]!, number: 4, name: 'd', missing: { value: 42 } }
  database.put({
    ...table,
    columns: [table.columns[0]!, droppedColumn(table.columns[1]!, database.catalog), table.columns[2]!, added],
  })
  expect(await session.run('select * from t where a = 5')).toEqual([[5, 'x5', 42]])
  await session.run('update t set d = null where a = 5')
  await session.run(`insert into t values (7000, 'new', 1)`)
  expect(await session.run('select * from t where a in (5, 6, 7000) order by a')).toEqual([
    [5, 'x5', null],
    [6, 'x6', 42],
    [7000, 'new', 1],
  ])
})
