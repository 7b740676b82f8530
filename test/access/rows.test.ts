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
  const run = (text: string, parameters: readonly (number | string | null)[] = []) =>
    session.run(text, parameters, mode)

  it('inserts, scans, looks up, updates and deletes', async () => {
    database.table('t', {
      columns: [
        ['a', 'int4'],
        ['b', 'text'],
        ['c', 'float8'],
      ],
      primary: ['a'],
      indexes: [{ keys: ['b'] }],
    })
    await run(`insert into t values (2, 'two', 2.5), (1, 'one', null), (3, 'three', -1)`)
    expect(session.affected).toBe(3)
    expect(await run('select * from t')).toEqual([
      [1, 'one', null],
      [2, 'two', 2.5],
      [3, 'three', -1],
    ])
    expect(await run('select c, b from t where a = 2')).toEqual([[2.5, 'two']])
    expect(await run(`select a from t where b = 'three'`)).toEqual([[3]])
    expect(await run('select a from t where a = $1', [7])).toEqual([])
    expect(await run(`update t set b = b || '!', c = 0 where a >= 2 returning a, b`)).toEqual([
      [2, 'two!'],
      [3, 'three!'],
    ])
    expect(await run(`select a from t where b = 'three'`)).toEqual([])
    expect(await run(`select a from t where b = 'three!'`)).toEqual([[3]])
    expect(await run(`delete from t where a = 1 returning *`)).toEqual([[1, 'one', null]])
    await run('update t set a = 10 where a = 2')
    expect(await run('select * from t')).toEqual([
      [3, 'three!', 0],
      [10, 'two!', 0],
    ])
    expect(await run(`select a from t where b = 'two!'`)).toEqual([[10]])
  })

  it('numbers rows without a primary key, in the order they came', async () => {
    database.table('h', {
      columns: [
        ['a', 'int8'],
        ['b', 'bool'],
      ],
    })
    await run('insert into h values (5, true), (4, false), (5, null)')
    await run('insert into h select a + 10, not b from h')
    expect(await run('select * from h')).toEqual([
      [5, true],
      [4, false],
      [5, null],
      [15, false],
      [14, true],
      [15, null],
    ])
    await run('delete from h where a = 5')
    expect(await run('select a from h')).toEqual([[4], [15], [14], [15]])
  })

  it('refuses what constraints forbid', async () => {
    database.table('t', {
      columns: [
        ['a', 'int4'],
        ['b', 'text', { notNull: true }],
        ['c', 'int4'],
      ],
      primary: ['a'],
      indexes: [{ name: 't_b_c_key', keys: ['b', 'c'], unique: true }],
      checks: { t_c_check: 'c > 0' },
    })
    await run(`insert into t values (1, 'x', 1)`)
    expect(await failure(run(`insert into t values (1, 'y', 2)`))).toBe(
      '23505 | duplicate key value violates unique constraint "t_pkey" | Key (a)=(1) already exists.',
    )
    expect(await failure(run(`insert into t values (2, 'x', 1)`))).toBe(
      '23505 | duplicate key value violates unique constraint "t_b_c_key" | Key (b, c)=(x, 1) already exists.',
    )
    expect(await failure(run(`insert into t values (2, null, 1)`))).toBe(
      '23502 | null value in column "b" of relation "t" violates not-null constraint | Failing row contains (2, null, 1).',
    )
    expect(await failure(run(`insert into t values (2, 'x', -1)`))).toBe(
      '23514 | new row for relation "t" violates check constraint "t_c_check" | Failing row contains (2, x, -1).',
    )
    await run(`insert into t values (2, 'x', null), (3, 'x', null)`)
    expect(await failure(run(`update t set c = 1 where a = 3`))).toMatch(/^23505/)
    expect(await run('select a from t')).toEqual([[1], [2], [3]])
    expect(
      await run(
        `insert into t values (1, 'q', 9), (9, 'q', 9) on conflict (a) do update set b = excluded.b, c = t.c + 41 returning *`,
      ),
    ).toEqual([
      [1, 'q', 42],
      [9, 'q', 9],
    ])
    await run(`insert into t values (1, 'z', 9), (10, 'z', 10) on conflict do nothing`)
    expect(session.affected).toBe(1)
  })
})

describe('one statement', () => {
  it('does not read its own changes', async () => {
    database.table('t', {
      columns: [
        ['a', 'int4'],
        ['b', 'int4'],
      ],
      primary: ['a'],
      indexes: [{ keys: ['b'] }],
    })
    await session.run('insert into t select i, i % 3 from generate_series(1, 3000) i')
    await session.run('insert into t select a + 10000, b from t where b = 1')
    expect(session.affected).toBe(1000)
    // Every row moves ahead of the scan.
    await session.run('update t set a = a + 100000, b = b + 1')
    expect(session.affected).toBe(4000)
    expect(await session.run('select count(*), min(a), max(b) from t')).toEqual([[4000, 100001, 3]])
    await session.run('update t set b = b + 1 where b in (1, 2, 3)')
    expect(await session.run('select b, count(*) from t group by b order by b')).toEqual([
      [2, 1000],
      [3, 2000],
      [4, 1000],
    ])
    await session.run('update t set b = (select max(b) from t)')
    expect(await session.run('select distinct b from t')).toEqual([[4]])
    await session.run('insert into t select x.a + y.a, 0 from t x join t y on y.a = x.a - 1 where x.b = 4')
    expect(session.affected).toBe(2999)
  })

  it('changes each row once', async () => {
    database.table('t', {
      columns: [
        ['a', 'int4'],
        ['b', 'int4'],
      ],
      primary: ['a'],
    })
    await session.run('insert into t values (1, 0), (2, 0)')
    expect(
      await session.run('update t set b = t.b + 1 from (values (1), (1), (2)) v (x) where v.x = t.a returning a, b'),
    ).toEqual([
      [1, 1],
      [2, 1],
    ])
    expect(
      await session.run(
        'with d as (delete from t where a = 1 returning a) update t set b = b + 10 where a in (1, 2) returning a, b',
      ),
    ).toEqual([
      [1, 11],
      [2, 11],
    ])
    expect(await session.run('select * from t')).toEqual([
      [1, 11],
      [2, 11],
    ])
    expect(await session.run('delete from t using (values (1), (1), (2)) v (x) where v.x = t.a')).toEqual([])
    expect(session.affected).toBe(2)
    expect(await session.run('select * from t')).toEqual([])
  })

  it('with a data-modifying WITH sees the state before it', async () => {
    database.table('t', {
      columns: [
        ['a', 'int4'],
        ['b', 'int4'],
      ],
      primary: ['a'],
    })
    await session.run('insert into t values (1, 0)')
    expect(
      await session.run(
        'with i as (insert into t values (2, 5) returning *), u as (update t set b = 7 returning *) select (select count(*) from i), (select b from u), (select array_agg(b) from t)',
      ),
    ).toMatchObject([[1, 7, { elements: [0] }]])
    expect(await session.run('select * from t')).toEqual([
      [1, 7],
      [2, 5],
    ])
    await session.run(
      'with i as (insert into t values (3, 5), (4, 5), (5, 5) returning a) update t set b = 1 from i where t.a = i.a - 2',
    )
    expect(session.affected).toBe(2)
  })
})
