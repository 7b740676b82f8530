/**
 * Functions on very long values: they are refused, or quick, or end when statement_timeout is over, though a function cannot
 * pause. The server does not run out of memory.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Embedded, openEmbedded } from './embedded.ts'

let db: Embedded
beforeAll(async () => {
  db = await openEmbedded()
  await db.ask("set statement_timeout = '400ms'")
})
afterAll(() => db.close())

const TOO_LONG = 'ERROR 54000: requested length too large'
const TIMEOUT = 'ERROR 57014: canceling statement due to statement timeout'
const TOO_MANY = 'ERROR 54000: array size exceeds the maximum allowed (16777215)'

const REFUSED: readonly (readonly [sql: string, answer: string])[] = [
  ["select repeat('x', 1000000000)", TOO_LONG],
  ["select lpad('x', 300000000, 'yz')", TOO_LONG],
  ['select array_fill(1, array[100000000])', TOO_MANY],
  ['select array_fill(1, array[200000000])', 'ERROR 54000: array size exceeds the maximum allowed (134217727)'],
  ["select string_to_array(repeat('a,', 20000000), ',')", TOO_MANY],
]

const ENDED = [
  "select length(regexp_replace(repeat('ab', 5000000), 'a', 'xyz', 'g'))",
  "select repeat('a', 100000) ~ '(a+)\\1b'",
  "select jsonb_array_length(('[' || repeat('1,', 10000000) || '1]')::jsonb)",
  "select length(initcap(repeat('ab ', 20000000)))",
  'select length(array_fill(1, array[10000000])::text)',
  "select array_length(regexp_split_to_array(repeat('a,', 5000000), ','), 1)",
]

describe('functions on very long values', () => {
  for (const [sql, answer] of REFUSED) test(sql, async () => expect(await db.ask(sql)).toBe(answer))

  for (const sql of ENDED)
    test(sql, async () => {
      const start = performance.now()
      expect(await db.ask(sql)).toBe(TIMEOUT)
      expect(performance.now() - start).toBeLessThan(8000)
    }, 20_000)

  test('what was slow by the character is not', async () => {
    await db.ask('set statement_timeout = 0')
    const sql = `select length(translate(repeat('a', 10000000), 'a', 'b')), length(reverse(repeat('ab', 5000000))),
      length(upper(repeat('ü', 5000000))), length(quote_literal(repeat('''', 5000000))),
      length(replace(repeat('ab', 500000), 'a', 'xyz'))`
    const before = process.cpuUsage()
    expect(await db.ask(sql)).toBe('10000000|10000000|5000000|10000002|2000000\nSELECT 1')
    const { user, system } = process.cpuUsage(before)
    expect((user + system) / 1000).toBeLessThan(4000)
  }, 20_000)
})
