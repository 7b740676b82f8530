/** What PostgreSQL 15 answered to tools about the objects of tools.sql (recorded in tools.txt by record-tools.ts), against ours. */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Embedded, openEmbedded } from '../session/embedded.ts'

const read = (file: string): string => readFileSync(new URL(file, import.meta.url), 'utf8')
const recorded = read('./tools.txt')
  .trimEnd()
  .split('\n\n====\n')
  .map((block) => {
    const [sql, answer] = block.split(/\n----\n?/)
    return [sql!, answer ?? ''] as const
  })

let embedded: Embedded
beforeAll(async () => {
  embedded = await openEmbedded()
  expect(await embedded.ask(read('./tools.sql'))).not.toContain('ERROR')
})
afterAll(() => embedded.close())

/** Rows without an ORDER BY at the end come in any order. */
const lines = (sql: string, text: string): string =>
  /order by [^)]*$/i.test(sql) ? text : text.split('\n').sort().join('\n')

test.each(recorded)('%s', async (sql, answer) => {
  const said = (await embedded.ask(sql)).split('\n')
  expect(said.pop()).toMatch(/^(SELECT|SHOW)/)
  expect(lines(sql, said.join('\n'))).toBe(lines(sql, answer))
})
