/**
 * Two and three connections, step by step: locks, snapshots, races and DDL against open transactions. What is in
 * concurrency.txt is PostgreSQL 15's record, word for word (interleave.ts says how to read it). concurrency-own.txt has
 * what is meant to differ:
 *
 *   an update whose row was changed meanwhile runs again as a whole, at a new snapshot; PostgreSQL looks at that row only
 *   the detail of a serialization failure
 *   a foreign key's parent is looked for among all that is committed, under REPEATABLE READ too
 *   two sessions that create the same table: the second one finds the table, not a duplicate key of a catalog
 *
 * RECORD=1 writes the file anew, from PostgreSQL with TEST_TARGET=postgres.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { TestServer } from '../support/server.ts'
import { isPostgres, startTarget } from '../support/target.ts'
import { readScenarios, Stage } from './interleave.ts'

let server: TestServer
let stage: Stage
beforeAll(async () => {
  server = await startTarget()
  stage = await Stage.open(server)
}, 60_000)
afterAll(async () => {
  await stage.close()
  await server.dispose()
})

const RECORD = process.env.RECORD === '1'

for (const name of isPostgres ? ['concurrency'] : ['concurrency', 'concurrency-own']) {
  const file = new URL(`./${name}.txt`, import.meta.url)
  const scenarios = readScenarios(readFileSync(file, 'utf8'))
  describe(name, () => {
    const played: string[] = []
    test.each(scenarios)('$name', async (scenario) => {
      const text = await stage.play(scenario)
      played.push(text)
      if (!RECORD) expect(text).toBe(scenario.text)
    })
    afterAll(() => {
      const isOwn = name.endsWith('-own')
      if (RECORD && isOwn !== isPostgres && played.length === scenarios.length)
        writeFileSync(file, `${played.join('\n\n')}\n`)
    })
  })
}
