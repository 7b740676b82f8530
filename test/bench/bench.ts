/**
 * `npm run bench [-- quick] [-- vector] [-- NAME …]`: PostgreSQL 15 and Alopex side by side in one run.
 *
 *     npm run bench                   everything, about a quarter of an hour; writes RESULTS.md
 *     npm run bench -- quick          scale 1 and runs of 3 s; prints only
 *     npm run bench -- copy insert    the steps whose names contain one of the words (and pgbench -i before them)
 *     npm run bench -- vector …       vector indexes beside pgvector (vector.ts says what may follow); RESULTS-vector.md
 *     npm run bench -- only-alopex …  without PostgreSQL
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { postgresBin, startAlopex, startPostgres, type TestServer } from '../support/server.ts'
import { isPgvectorInstalled } from '../support/target.ts'
import { contest, type Result } from './contest.ts'
import { report } from './report.ts'
import { type Plan, postgresVersion, steps, vectorSteps } from './steps.ts'
import { benchVectors } from './vector.ts'

const RESULTS = new URL('RESULTS.md', import.meta.url).pathname

async function bench(words: readonly string[]): Promise<void> {
  const isQuick = words.includes('quick')
  const bin = words.includes('only-alopex') ? undefined : postgresBin()
  const names = words.filter((word) => word !== 'quick' && word !== 'only-alopex')
  const folder = mkdtempSync(join(tmpdir(), 'alopex-bench-'))
  const plan: Plan = isQuick
    ? { scale: 1, seconds: 3, rounds: 1, folder }
    : { scale: 10, seconds: 5, rounds: 3, folder }
  const chosen = [...steps(plan), ...vectorSteps(plan, bin !== undefined && isPgvectorInstalled(bin))].filter(
    ({ name }) =>
      names.length === 0 ||
      name.startsWith('pgbench -i') ||
      names.some((word) => name.toLowerCase().includes(word.toLowerCase())),
  )

  const servers: TestServer[] = []
  const results: Result[] = []
  try {
    if (bin !== undefined) servers.push(await startPostgres())
    else console.log('without PostgreSQL 15: the figures stand alone')
    servers.push(await startAlopex())
    for (const step of chosen) results.push(await contest(step, servers, (text) => console.log(text)))
  } finally {
    for (const server of servers) await server.dispose()
    rmSync(folder, { recursive: true })
  }
  const postgres = bin === undefined ? 'without PostgreSQL' : postgresVersion(bin)
  const text = report(results, { mode: words.join(' '), postgres, scale: plan.scale })
  console.log(`\n${text}`)
  if (words.length === 0) writeFileSync(RESULTS, text)
}

const words = process.argv.slice(2)
await (words.includes('vector') ? benchVectors(words) : bench(words))
