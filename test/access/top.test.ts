/** The first rows of a scan in some order: the scan that leaves rows out gives what sorting all of them does. */
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type Database, openDatabase, type Session } from './fixture.ts'

let database: Database
let session: Session
beforeEach(async () => {
  database = await openDatabase()
  session = database.session()
  database.table('t', {
    columns: [
      ['a', 'int4'],
      ['b', 'int8'],
      ['c', 'text'],
      ['d', 'bool'],
    ],
  })
  await session.run(
    "insert into t select nullif(i * 7919 % 101, 5), i * 9007199254740, 'x' || i, nullif(i % 3, 0) = 1 from generate_series(1, 2000) i",
  )
})
afterEach(() => database.close())

const ORDERS = [
  'a, c',
  'a desc, c',
  'a nulls first, c desc',
  'a desc nulls last, c',
  'b',
  'b desc',
  'd, c',
  'd desc, b',
  '-a, b',
  'a % 10 desc, c',
  'c desc',
]

for (const order of ORDERS) {
  it(`order by ${order}`, async () => {
    const all = await session.run(`select * from t where c <> 'x7' order by ${order}`)
    for (const limit of [0, 1, 10, 300, 5000]) {
      const text = `select * from t where c <> 'x7' order by ${order} limit ${limit} offset 2`
      expect(await session.run(text, [], 'often')).toEqual(all.slice(2, 2 + limit))
    }
  })
}

it('a key that fails for a row that is not wanted fails the statement', async () => {
  await expect(session.run('select c from t order by a, 1 / (b - 9007199254740) limit 1', [], 'often')).rejects.toThrow(
    'division by zero',
  )
})
