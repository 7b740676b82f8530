/** Full text search as PostgreSQL 15 answers (test/oracle/record-tsearch.ts). */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Embedded, openEmbedded } from '../session/embedded.ts'
import { readStatements } from './tsearch-cases.ts'

let db: Embedded
beforeAll(async () => {
  db = await openEmbedded()
})
afterAll(() => db.close())

/** As the file has it: rows behind =, no command tag. */
const written = (answer: string): string[] =>
  answer
    .split('\n')
    .filter((line) => !/^(SELECT \d+|SET|SHOW)$/.test(line))
    .map((line) => (/^(NOTICE|ERROR|DETAIL|HINT)\b/.test(line) ? line : `= ${line}`))

describe('what PostgreSQL answers', () => {
  for (const { sql, comment, expected } of readStatements(
    readFileSync(new URL('tsearch.cases.txt', import.meta.url), 'utf8'),
  ))
    if (!comment) test(sql, async () => expect(written(await db.ask(sql))).toEqual(expected))
})
