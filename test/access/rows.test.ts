/** Rows in and out of tables: the simplest story, statement by statement. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Database, failure, openDatabase, type Session } from './fixture.ts'

let database: Database
let session: Session
beforeEach(async () => {
  database = await openDatabase()
  session = database.session()
})
afterEach(() => database.close())

describe.each(['once', 'often'] as const)('%s', (mode) => {
  const run = (text: string, parameters: readonly (number | string | null)[] = []) => session.run(text, parameters, mode)

  it('inserts, scans, looks up, updates and deletes', async () => {
    database.table('t', { columns: [['a', 'int4'], ['b', 'text'], ['c', 'float8']], primary: ['a'], indexes: [{ keys: ['b'] }] })
    await run(`insert into t values (2, 'two', 2.5), (1, 'one', null), (3, 'three', -1)`)
    expect(session.affected).toBe(3)
    expect(await run('select * from t')).toEqual([[1, 'one', null], [2, 'two', 2.5], [3, 'three', -1]])
    expect(await run('select c, b from t where a = 2')).toEqual([[2.5, 'two']])
    expect(await run(`select a from t where b = 'three'`)).toEqual([[3]])
    expect(await run('select a from t where a = $1', [7])).toEqual([])
    expect(await run(`update t set b = b || '!', c = 0 where a >= 2 returning a, b`)).toEqual([[2, 'two!'], [3, 'three!']])
    expect(await run(`select a from t where b = 'three'`)).toEqual([])
    expect(await run(`select a from t where b = 'three!'`)).toEqual([[3]])
    expect(await run(`delete from t where a = 1 returning *`)).toEqual([[1, 'one', null]])
    await run('update t set a = 10 where a = 2')
    expect(await run('select * from t')).toEqual([[3, 'three!', 0], [10, 'two!', 0]])
    expect(await run(`select a from t where b = 'two!'`)).toEqual([[10]])
  })

  it('numbers rows without a primary key, in the order they came', async () => {
    database.table('h', { columns: [['a', 'int8'], ['b', 'bool']] })
    await run('insert into h values (5, true), (4, false), (5, null)')
    await run('insert into h select a + 10, not b from h')
    expect(await run('select * from h')).toEqual([[5, true], [4, false], [5, null], [15, false], [14, true], [15, null]])
    await run('delete from h where a = 5')
    expect(await run('select a from h')).toEqual([[4], [15], [14], [15]])
  })

  it('refuses what constraints forbid', async () => {
    database.table('t', { columns: [['a', 'int4'], ['b', 'text', { notNull: true }], ['c', 'int4']], primary: ['a'], indexes: [{ name: 't_b_c_key', keys: ['b', 'c'], unique: true }], checks: { t_c_check: 'c > 0' } })
    await run(`insert into t values (1, 'x', 1)`)
    expect(await failure(run(`insert into t values (1, 'y', 2)`))).toBe('23505 | duplicate key value violates unique constraint "t_pkey" | Key (a)=(1) already exists.')
    expect(await failure(run(`insert into t values (2, 'x', 1)`))).toBe('23505 | duplicate key value violates unique constraint "t_b_c_key" | Key (b, c)=(x, 1) already exists.')
    expect(await failure(run(`insert into t values (2, null, 1)`))).toBe('23502 | null value in column "b" of relation "t" violates not-null constraint | Failing row contains (2, null, 1).')
    expect(await failure(run(`insert into t values (2, 'x', -1)`))).toBe('23514 | new row for relation "t" violates check constraint "t_c_check" | Failing row contains (2, x, -1).')
    await run(`insert into t values (2, 'x', null), (3, 'x', null)`)
    expect(await failure(run(`update t set c = 1 where a = 3`))).toMatch(/^23505/)
    expect(await run('select a from t')).toEqual([[1], [2], [3]])
    expect(await run(`insert into t values (1, 'q', 9), (9, 'q', 9) on conflict (a) do update set b = excluded.b, c = t.c + 41 returning *`)).toEqual([[1, 'q', 42], [9, 'q', 9]])
    await run(`insert into t values (1, 'z', 9), (10, 'z', 10) on conflict do nothing`)
    expect(session.affected).toBe(1)
  })
})
