/**
 * Statements from a file or stdin (one a line) to Alopex and to PostgreSQL 15; what they answer differently is printed.
 *
 *   tsx test/oracle/compare.ts --ours postgres://… --postgres postgres://… [file.sql]
 */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import pg from 'pg'

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    ours: { type: 'string', default: 'postgres://alopex@127.0.0.1:5432/alopex' },
    postgres: { type: 'string', default: 'postgres:///diff?host=/run/postgresql' },
  },
})

const raw = { getTypeParser: () => (value: string) => value }

async function ask(client: pg.Client, sql: string): Promise<string> {
  const timer = setTimeout(() => void cancel(client), 5000)
  try {
    const result = await client.query({ text: sql, rowMode: 'array', types: raw as never })
    const fields = result.fields
      .map(
        (field) =>
          `${field.name}:${field.dataTypeID}${field.dataTypeModifier < 0 ? '' : `(${field.dataTypeModifier})`}`,
      )
      .join(' ')
    return `${result.command} ${result.rowCount ?? ''} ${fields}\n      ${result.rows
      .slice(0, 40)
      .map((row) => JSON.stringify(row))
      .join(' ')}`
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) throw error
    const part = (name: string, value: string | undefined): string => (value === undefined ? '' : ` ${name} ${value}`)
    return `${error.code} ${error.message}${part('at', error.position)}${part('DETAIL', error.detail)}${part('HINT', error.hint)}`
  } finally {
    clearTimeout(timer)
  }
}

/** A statement that does not end is cancelled, as psql does at Ctrl-C. */
async function cancel(client: pg.Client): Promise<void> {
  const { processID, host, port, user, database } = client as pg.Client & {
    processID: number
    user: string
    database: string
  }
  const other = new pg.Client({ host, port, user, database })
  await other.connect()
  await other.query(`select pg_cancel_backend(${processID})`)
  await other.end()
}

const ours = new pg.Client({ connectionString: options.ours })
const theirs = new pg.Client({ connectionString: options.postgres })
await ours.connect()
await theirs.connect()
let different = 0
let all = 0
for (const line of readFileSync(positionals[0] ?? 0, 'utf8').split('\n')) {
  if (line.trim() === '' || line.startsWith('--')) continue
  const [a, b] = await Promise.all([ask(ours, line), ask(theirs, line)])
  all++
  if (a === b) continue
  different++
  console.log(`${line}\n   ours ${a}\n   pg   ${b}`)
}
console.log(`${different} of ${all} differ`)
await ours.end()
await theirs.end()
