/**
 * The same SQL on PostgreSQL 15 and on Alopex, and where they part:
 *
 *     npx tsx test/oracle/compare.ts script.sql …
 *     npx tsx test/oracle/compare.ts -c "select 1/0" -c "…"
 *     echo 'select 1' | npx tsx test/oracle/compare.ts -
 *
 * Prints each block whose answers differ (rows, tags, errors with SQLSTATE) and a count. Exit code 0 when none does.
 */
import { readFileSync } from 'node:fs'
import { cut, grade, marked, printedBlocks } from '../conformance/blocks.ts'
import { psql } from '../support/psql.ts'
import { startAlopex, startPostgres } from '../support/server.ts'

const words = process.argv.slice(2)
const scripts: string[] = []
for (let i = 0; i < words.length; i++) {
  if (words[i] === '-c') scripts.push(`${words[++i] ?? ''}${/;\s*$/.test(words[i] ?? '') ? '' : ';'}`)
  else scripts.push(readFileSync(words[i] === '-' ? 0 : words[i]!, 'utf8'))
}
if (scripts.length === 0) {
  console.log('usage: npx tsx test/oracle/compare.ts FILE … | -c SQL … | -')
  process.exit(2)
}

const blocks = cut(scripts.join('\n'))
const servers = [await startPostgres(), await startAlopex()]
let parted = 0
try {
  const options = { input: marked(blocks), mergeErrors: true }
  const [expected, got] = await Promise.all(
    servers.map(async (server) => printedBlocks((await psql(server, ['-v', 'VERBOSITY=verbose'], options)).out)),
  )
  for (const [i, { text }] of blocks.entries()) {
    const result = grade(expected!.get(i) ?? '', got!.get(i))
    if (result === 'exact') continue
    parted++
    console.log(`--- ${result === 'semantic' ? 'in words only' : 'different'}\n${text.trim()}`)
    console.log(`--- PostgreSQL\n${expected!.get(i)}\n--- Alopex\n${got!.get(i) ?? '(not reached)'}\n`)
  }
} finally {
  for (const server of servers) await server.dispose()
}
console.log(`${blocks.length} blocks, ${parted} differ`)
process.exit(parted === 0 ? 0 : 1)
