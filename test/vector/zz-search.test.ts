/**
 * Whatever is asked of a vector index, with an effort beyond its size, is what a scan and a sort give: under any filter, in
 * any dress of the order, while transactions of two sessions change the rows.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { openEmbedded } from '../session/embedded.ts'

const ROWS = 400

const element = fc.integer({ min: -2, max: 2 })
const vector = fc.tuple(element, element, element).map((elements) => `'[${elements.join(',')}]'`)
const id = fc.integer({ min: 1, max: ROWS + 40 })
const value = fc.oneof({ weight: 9, arbitrary: vector }, { weight: 1, arbitrary: fc.constant('NULL') })

const operator = fc.constantFrom('<->', '<#>', '<=>', '<+>')
const filter = fc.oneof(
  { weight: 3, arbitrary: fc.constant('true') },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 9 }).map((cat) => `cat = ${cat}`) },
  { weight: 1, arbitrary: fc.constant(`cat in (1, 2) and id % 3 = 0`) },
  { weight: 1, arbitrary: fc.constant(`name like 'n1%'`) },
  { weight: 1, arbitrary: fc.constant('big') },
  { weight: 1, arbitrary: fc.constant('v is not null and cat > 2') },
  { weight: 1, arbitrary: fc.constant(`exists (select 1 from other o where o.cat = t.cat)`) },
  { weight: 1, arbitrary: fc.constant('id < 0') },
)

interface Question {
  readonly operator: string
  readonly to: string
  readonly filter: string
  readonly limit: number
  readonly offset: number
  readonly bound: number | undefined
  readonly dress: (typeof DRESSES)[number]
}
/** The distance as it is, and turned, with the places of NULLs by default and otherwise. */
const DRESSES = ['D', 'D', 'D', 'D nulls first', '1 - D desc', 'D * -2 desc nulls last'] as const

const question: fc.Arbitrary<Question> = fc.record({
  operator,
  to: vector,
  filter,
  limit: fc.constantFrom(1, 3, 10, 10, 60, 1000),
  offset: fc.constantFrom(0, 0, 0, 5),
  bound: fc.constantFrom(undefined, undefined, undefined, 0, 1.5, 3),
  dress: fc.constantFrom(...DRESSES),
})

const sql = ({ operator: o, to, filter: where, limit, offset, bound, dress }: Question): string => {
  const near = bound === undefined ? '' : ` and v ${o} ${to} < ${bound}`
  return `select id, v ${o} ${to} from t where ${where}${near} order by ${dress.replace('D', `(v ${o} ${to})`)}, id limit ${limit} offset ${offset}`
}

type Step =
  | { readonly kind: 'run'; readonly session: string; readonly sql: string }
  | { readonly kind: 'ask'; readonly session: string; readonly question: Question }

const session = fc.constantFrom('c1', 'c2')
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('run' as const),
      session,
      sql: fc.oneof(
        fc.tuple(id, value).map(([of, v]) => `update t set v = ${v} where id = ${of}`),
        fc
          .tuple(id, value)
          .map(
            ([of, v]) =>
              `insert into t values (${of + ROWS}, ${of % 10}, 'n${of}', ${of % 2 === 0}, ${v}) on conflict do nothing`,
          ),
        id.map((of) => `delete from t where id between ${of} and ${of + 5}`),
        fc.tuple(id, fc.integer({ min: 0, max: 9 })).map(([of, cat]) => `update t set cat = ${cat} where id = ${of}`),
      ),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('run' as const),
      session,
      sql: fc.constantFrom(
        'begin',
        'begin isolation level repeatable read',
        'commit',
        'rollback',
        'savepoint s',
        'rollback to s',
      ),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('ask' as const), session, question }) },
)

/** Both sessions may change the same rows: a change that would wait is not made. */
const LOCKS = 'set lock_timeout = 1'

/** Lines of an answer without its tag: id and distance. */
const rowsOf = (answer: string): string[] => answer.split('\n').slice(0, -1)
const distance = (row: string): number => Number(row.split('|')[1])

/** `check` compares what an index gives with what a scan gives. */
async function compare(effort: number, check: (found: string, exact: string, text: string) => void): Promise<void> {
  const embedded = await openEmbedded()
  const { ask } = embedded
  try {
    await ask(`create table t (id int primary key, cat int, name text, big boolean, v vector(3))`)
    await ask(`create table other (cat int)`)
    await ask(`insert into other values (1), (4), (7)`)
    const fill = `insert into t select i, i % 10, 'n' || i, i % 2 = 0,
      case when i % 17 = 0 then null else ('[' || i % 5 - 2 || ',' || i % 3 - 1 || ',' || i % 7 - 3 || ']')::vector end
      from generate_series(1, ${ROWS}) i`
    await ask(fill)
    for (const name of ['l2', 'ip', 'cosine', 'l1']) await ask(`create index on t using hnsw (v vector_${name}_ops)`)
    await ask(`create index on t (cat)`)
    for (const name of ['c1', 'c2']) for (const set of [`set hnsw.ef_search = ${effort}`, LOCKS]) await ask(set, name)
    await ask('analyze t')
    let asked = 0
    let indexed = 0
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
        for (const each of steps) {
          if (each.kind === 'run') {
            await ask(each.sql, each.session)
            continue
          }
          const text = sql(each.question)
          const found = await ask(text, each.session)
          asked++
          if ((await ask(`explain ${text}`, each.session)).includes('Vector Search')) indexed++
          await ask('set enable_indexscan = off', each.session)
          check(found, await ask(text, each.session), text)
          await ask('set enable_indexscan = on', each.session)
        }
        for (const name of ['c1', 'c2']) await ask('rollback', name)
        await ask('delete from t')
        await ask(fill)
        return true
      }),
      { numRuns: 120, seed: Number(process.env.SEED), endOnFailure: true },
    )
    expect(indexed / asked).toBeGreaterThan(0.3)
  } finally {
    await embedded.close()
  }
}

test('gives what a scan gives, when nothing may be missed', { timeout: 600_000 }, async () => {
  await compare(1000, (found, exact, text) => expect(found, text).toBe(exact))
})

test('gives as many rows as there are, each once, in order, however little it looks', { timeout: 600_000 }, async () => {
  await compare(8, (found, exact, text) => {
    if (exact.startsWith('ERROR')) return expect(found, text).toBe(exact)
    const rows = rowsOf(found)
    expect(rows.length, text).toBe(rowsOf(exact).length)
    expect(new Set(rows.map((row) => row.split('|')[0])).size, text).toBe(rows.length)
    const distances = rows.map(distance).filter((each) => !Number.isNaN(each))
    const sorted = [...distances].sort((a, b) => a - b)
    expect(distances, text).toEqual(sorted)
  })
})
