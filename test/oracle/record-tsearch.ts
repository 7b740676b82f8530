/**
 * Answers the statements of test/types/tsearch.cases.txt from a PostgreSQL 15, in a database of its own with UTF-8 character
 * classes, as ours are:
 *
 *     PGHOST=… PGPORT=… PGUSER=postgres npx tsx test/oracle/record-tsearch.ts
 */
import { readFileSync, writeFileSync } from 'node:fs'
import pg from 'pg'
import { readStatements } from '../types/tsearch-cases.ts'

const FILE = new URL('../types/tsearch.cases.txt', import.meta.url)
const DATABASE = 'record_tsearch'

const admin = new pg.Client({ database: 'postgres' })
await admin.connect()
await admin.query(`drop database if exists ${DATABASE}`)
await admin.query(`create database ${DATABASE} template template0 encoding 'UTF8' lc_collate 'C' lc_ctype 'C.UTF-8'`)

const asText = { getTypeParser: () => (text: string) => text }
const client = new pg.Client({ types: asText as unknown as pg.CustomTypesConfig, database: DATABASE })
await client.connect()
await client.query(`set default_text_search_config = 'pg_catalog.english'`)
let said: string[] = []
client.on('notice', (notice) => said.push(`${notice.severity}: ${notice.message}`))

const out: string[] = []
for (const part of readStatements(readFileSync(FILE, 'utf8'))) {
  out.push(part.sql)
  if (part.comment) continue
  said = []
  try {
    const result = await client.query<(string | null)[]>({ text: part.sql, rowMode: 'array' })
    out.push(
      ...said,
      ...result.rows
        .map((row) => row.map((value) => value ?? '∅').join('|'))
        .flatMap((row) => row.split('\n'))
        .map((line) => `= ${line}`),
    )
  } catch (error) {
    const { code, message, detail, hint } = error as { code: string; message: string; detail?: string; hint?: string }
    out.push(`ERROR ${code}: ${message}`)
    if (detail !== undefined) out.push(`DETAIL: ${detail}`)
    if (hint !== undefined) out.push(`HINT: ${hint}`)
  }
}
writeFileSync(FILE, `${out.join('\n')}\n`)
await client.end()
await admin.query(`drop database ${DATABASE}`)
await admin.end()
