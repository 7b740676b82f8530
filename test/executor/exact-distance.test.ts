/** Exact nearest rows: distances that are measured where the vectors lie in a page are those of values, and so are the errors. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Embedded, openEmbedded } from '../session/embedded.ts'

let database: Embedded
beforeAll(async () => {
  database = await openEmbedded()
  await database.ask('create extension if not exists vector')
  await database.ask('create table t (id int primary key, note text, v vector, w vector(100) not null)')
  const rows: string[] = []
  for (let i = 0; i < 1500; i++) {
    const dims = i % 7 === 0 ? 3 : 70
    const vector = (n: number) =>
      `[${Array.from({ length: n }, (_, d) => (i % 50 === 9 ? 0 : ((i * 37 + d * 11) % 101) - 50)).join()}]`
    rows.push(
      `(${i}, ${i % 3 === 0 ? 'null' : `'${'x'.repeat(i % 5)}'`}, ${i % 11 === 0 ? 'null' : `'${vector(dims)}'`}, '${vector(100)}')`,
    )
  }
  await database.ask(`insert into t values ${rows.join(', ')}`)
  await database.ask(`alter table t add column late vector(64) default '[${Array(64).fill(1).join()}]'`)
})
afterAll(() => database.close())

const vectorOf = (n: number) => `'[${Array.from({ length: n }, (_, d) => (d % 9) - 4).join()}]'`
/** Runs it often enough for code of its own, by the page and (through a materialized CTE) by the value. */
async function bothWays(
  column: string,
  operator: string,
  dims: number,
  where: string,
  order = 'asc',
): Promise<[string, string]> {
  const distance = (from: string) => `${from} ${operator} ${vectorOf(dims)}`
  const paged = `select id, ${distance(column)} from t where ${where} order by ${distance(column)} ${order} limit 40`
  const valued = `with all_rows as materialized (select id, ${column} as v from t where ${where})
    select id, ${distance('v')} from all_rows order by ${distance('v')} ${order} limit 40`
  let answer = ''
  for (let n = 0; n < 3; n++) answer = await database.ask(paged)
  return [answer, await database.ask(valued)]
}
const distancesOf = (answer: string) => answer.split('\n').map((line) => line.replace(/^\s*\d+/, ''))

for (const operator of ['<->', '<=>', '<#>', '<+>']) {
  test(`${operator} in pages is ${operator} of values`, async () => {
    for (const [column, dims, where] of [
      ['w', 100, 'true'],
      ['w', 100, 'id % 3 = 1'],
      ['v', 70, 'id % 7 > 0'],
      ['v', 3, 'id % 7 = 0'],
      ['late', 64, 'id < 300'],
    ] as const) {
      for (const order of ['asc', 'desc', 'asc nulls first']) {
        const [paged, valued] = await bothWays(column, operator, dims, where, order)
        expect(paged.length).toBeGreaterThan(100)
        expect(distancesOf(paged)).toEqual(distancesOf(valued))
      }
    }
  })
}

test('a filter by distance, either way round, and a vector of another length', async () => {
  const near = (text: string) => database.ask(`select count(*) from t where ${text} < 300`)
  for (let n = 0; n < 3; n++) {
    expect(await near(`w <-> ${vectorOf(100)}`)).toBe(await near(`${vectorOf(100)} <-> w`))
    expect(await near(`w <-> ${vectorOf(100)}`)).not.toMatch(/\b0\b/)
    expect(await database.ask(`select id from t order by w <-> ${vectorOf(99)} limit 3`)).toContain(
      'different vector dimensions 100 and 99',
    )
    expect(await database.ask(`select id from t order by ${vectorOf(99)} <-> w limit 3`)).toContain(
      'different vector dimensions 99 and 100',
    )
    expect(await database.ask(`select id from t order by v <-> ${vectorOf(70)} limit 3`)).toContain(
      'different vector dimensions 3 and 70',
    )
    expect(await database.ask('select id from t order by w <-> null::vector limit 2')).toMatch(/0\s+1/)
  }
})
