/** Two transactions at once: who waits for whom, what each sees after the wait, and who fails. On both engines. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openMemoryEngine } from '../../storage/engine/memory.ts'
import { openRocksEngine } from '../../storage/engine/rocksdb.ts'
import { type Database, failure, openDatabase, type Session } from './fixture.ts'

const ENGINES = {
  memory: () => ({ engine: openMemoryEngine(), clean: () => undefined }),
  rocksdb: () => {
    const path = mkdtempSync(join(tmpdir(), 'alopex-access-'))
    return { engine: openRocksEngine({ path }), clean: () => rmSync(path, { recursive: true }) }
  },
}

const turns = () => new Promise((resolve) => setTimeout(resolve, 5))
/** True when the work is still under way after some turns of the event loop. */
async function waits(work: Promise<unknown>): Promise<boolean> {
  let done = false
  work.then(
    () => (done = true),
    () => (done = true),
  )
  await turns()
  return !done
}

describe.each(['memory', 'rocksdb'] as const)('%s', (name) => {
  let database: Database
  let clean: () => void
  let one: Session
  let two: Session
  beforeEach(async () => {
    const opened = ENGINES[name]()
    clean = opened.clean
    database = await openDatabase(opened.engine)
    database.table('t', {
      columns: [
        ['a', 'int4'],
        ['n', 'int4'],
        ['u', 'text'],
      ],
      primary: ['a'],
      indexes: [{ name: 't_u_key', keys: ['u'], unique: true }, { keys: ['n'] }],
    })
    one = database.session()
    two = database.session()
    await one.run(`insert into t values (1, 0, 'one'), (2, 0, 'two'), (3, 5, 'three')`)
  })
  afterEach(async () => {
    one.rollback()
    two.rollback()
    await database.close()
    clean()
  })
  const rows = () => database.session().run('select * from t')

  it('counts up one row from many sides without beginning again', async () => {
    const sessions = Array.from({ length: 8 }, () => database.session())
    const work = sessions.map(async (session) => {
      for (let i = 0; i < 10; i++) {
        session.begin()
        await session.run('update t set n = n + 1 where a = $1', [1], 'often')
        await turns()
        await session.commit()
      }
    })
    await Promise.all(work)
    expect((await rows())[0]).toEqual([1, 80, 'one'])
    expect(sessions.reduce((sum, session) => sum + session.restarts, 0)).toBe(0)
  })

  it('does not hold a key that it did not find', async () => {
    one.begin()
    await one.run('update t set n = 1 where a = 99')
    await one.run('delete from t where a = 99')
    await two.run(`insert into t values (99, 0, 'here')`)
    await one.run('update t set n = 1 where a = 99')
    await one.commit()
    expect((await rows()).at(-1)).toEqual([99, 1, 'here'])
  })

  it('runs a statement again that met a newer row', async () => {
    one.begin()
    await one.run('update t set n = 7 where n = 5')
    const waiting = two.run('update t set n = n + 100 where n >= 5 returning a, n')
    expect(await waits(waiting)).toBe(true)
    await one.commit()
    expect(await waiting).toEqual([[3, 107]])
    expect(two.restarts).toBe(1)
  })

  it('skips a row that no longer fits, or is gone', async () => {
    one.begin()
    await one.run('update t set n = 0 where a = 3')
    await one.run('delete from t where a = 2')
    const update = two.run('update t set n = -1 where n = 5')
    const remove = database.session().run('delete from t where a = 2 returning *')
    expect(await waits(update)).toBe(true)
    expect(await waits(remove)).toBe(true)
    await one.commit()
    await update
    expect(two.affected).toBe(0)
    expect(await remove).toEqual([])
    expect(await rows()).toEqual([
      [1, 0, 'one'],
      [3, 0, 'three'],
    ])
  })

  it.each(['repeatable-read', 'serializable'] as const)('refuses a changed row under %s', async (isolation) => {
    const other = database.session(isolation)
    other.begin()
    await other.run('select * from t')
    await one.run('update t set n = 9 where a = 1')
    expect(await failure(other.run('update t set n = 8 where a = 1'))).toMatch(/^write-conflict/)
    other.rollback()
  })

  it('waits for a key that someone else is inserting', async () => {
    for (const [text, wanted] of [
      [`insert into t values (9, 0, 'x')`, 't_pkey'],
      [`insert into t values (8, 0, 'nine')`, 't_u_key'],
    ] as const) {
      one.begin()
      await one.run(`insert into t values (9, 1, 'nine')`)
      let waiting = failure(two.run(text))
      expect(await waits(waiting)).toBe(true)
      one.rollback()
      expect(await waiting).toBe('no error')
      await one.run('delete from t where a in (8, 9)')

      one.begin()
      await one.run(`insert into t values (9, 1, 'nine')`)
      waiting = failure(two.run(text))
      expect(await waits(waiting)).toBe(true)
      await one.commit()
      expect(await waiting).toContain(`"${wanted}"`)
      await one.run('delete from t where a in (8, 9)')
    }
  })

  it('waits for the one who frees a unique value', async () => {
    one.begin()
    await one.run(`update t set u = 'uno' where a = 1`)
    const waiting = two.run(`insert into t values (7, 0, 'one')`)
    expect(await waits(waiting)).toBe(true)
    await one.commit()
    await waiting
    expect(await rows()).toHaveLength(4)
    one.begin()
    await one.run('delete from t where a = 2')
    const update = failure(two.run(`update t set u = 'two' where a = 3`))
    expect(await waits(update)).toBe(true)
    one.rollback()
    expect(await update).toContain('Key (u)=(two) already exists.')
  })

  it('upserts one row from many sides', async () => {
    const sessions = Array.from({ length: 6 }, () => database.session())
    await Promise.all(
      sessions.map(async (session) => {
        for (let i = 0; i < 5; i++)
          await session.run(`insert into t values (50, 1, 'fifty') on conflict (a) do update set n = t.n + 1`)
      }),
    )
    expect((await rows()).at(-1)).toEqual([50, 30, 'fifty'])
    expect(sessions.reduce((sum, session) => sum + session.restarts, 0)).toBe(0)
  })

  it('does nothing when the conflicting row comes to be', async () => {
    one.begin()
    await one.run(`insert into t values (60, 1, 'sixty')`)
    const waiting = two.run(
      `insert into t values (60, 2, 'other'), (61, 2, 'sixty'), (62, 2, 'x') on conflict do nothing returning a`,
    )
    expect(await waits(waiting)).toBe(true)
    await one.commit()
    expect(await waiting).toEqual([[62]])
  })

  it('locks rows for update, no key update, share and key share', async () => {
    one.begin()
    await one.run('select * from t where a = 1 for update')
    expect(await failure(two.run('select * from t where a = 1 for update nowait'))).toBe(
      '55P03 | could not obtain lock on row in relation "t"',
    )
    expect(await two.run('select a from t order by a for update skip locked')).toEqual([[2], [3]])
    expect(await two.run('select a from t order by a limit 1 for update skip locked')).toEqual([[2]])
    const waiting = two.run('update t set n = n + 1 where a = 1 returning n')
    expect(await waits(waiting)).toBe(true)
    await one.run('update t set n = 40 where a = 1')
    await one.commit()
    expect(await waiting).toEqual([[41]])
    one.begin()
    await one.run('select * from t where a = 2 for key share')
    await two.run('update t set n = 3 where a = 2')
    const remove = two.run('delete from t where a = 2')
    expect(await waits(remove)).toBe(true)
    await one.commit()
    await remove
    one.begin()
    await one.run('select * from t where n = 5 for share')
    expect(await two.run('select a from t where a = 3 for share nowait')).toEqual([[3]])
    one.rollback()
  })

  it('takes a queue item each, and only one', async () => {
    one.begin()
    two.begin()
    const take = 'select a from t order by a limit 1 for update skip locked'
    expect(await one.run(take)).toEqual([[1]])
    expect(await two.run(take)).toEqual([[2]])
    one.rollback()
    two.rollback()
  })

  it('keeps a parent while a child points at it', async () => {
    database.table('c', {
      columns: [
        ['p', 'int4'],
        ['u', 'text'],
      ],
      foreign: [
        { name: 'c_p', columns: ['p'], table: 't', references: ['a'] },
        { name: 'c_u', columns: ['u'], table: 't', references: ['u'] },
      ],
    })
    one.begin()
    await one.run(`insert into c values (1, null), (null, 'two')`)
    // Changing what is no key does not disturb the child.
    await two.run('update t set n = 77 where a in (1, 2)')
    const remove = failure(two.run('delete from t where a = 1'))
    const rename = failure(database.session().run(`update t set u = 'zwei' where a = 2`))
    expect(await waits(remove)).toBe(true)
    expect(await waits(rename)).toBe(true)
    await one.commit()
    expect(await remove).toContain('Key (a)=(1) is still referenced from table "c".')
    expect(await rename).toContain('Key (u)=(two) is still referenced from table "c".')
    one.begin()
    await one.run('delete from t where a = 3')
    const child = failure(two.run('insert into c values (3, null)'))
    expect(await waits(child)).toBe(true)
    await one.commit()
    expect(await child).toContain('Key (p)=(3) is not present in table "t".')
    // A parent that is only being inserted is not waited for.
    one.begin()
    await one.run(`insert into t values (4, 0, 'four')`)
    expect(await failure(two.run('insert into c values (4, null)'))).toContain(
      'Key (p)=(4) is not present in table "t".',
    )
    expect(await failure(two.run(`insert into c values (null, 'four')`))).toContain(
      'Key (u)=(four) is not present in table "t".',
    )
    await one.commit()
    await two.run(`insert into c values (4, 'four')`)
  })

  it('finds a deadlock', async () => {
    one.begin()
    two.begin()
    await one.run('update t set n = 1 where a = 1')
    await two.run('update t set n = 2 where a = 2')
    const first = failure(one.run('update t set n = 1 where a = 2'))
    expect(await waits(first)).toBe(true)
    expect(await failure(two.run('update t set n = 2 where a = 1'))).toMatch(/^deadlock/)
    two.rollback()
    expect(await first).toBe('no error')
    one.rollback()
  })
})
