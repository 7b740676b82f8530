/**
 * Records PostgreSQL 15's answers to what tools ask of the catalogs, after tools.sql, into tools.txt:
 * npx tsx test/catalog/record-tools.ts <connection url of a superuser named postgres>. A database of its own is made and dropped.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { toolQuestions } from './tools.ts'

const url = process.argv[2]
if (url === undefined)
  throw new Error('usage: npx tsx test/catalog/record-tools.ts <connection url of a PostgreSQL 15>')
const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url))
const admin = new pg.Client(url)
await admin.connect()
await admin.query('drop database if exists catalog_tools')
await admin.query('create database catalog_tools template template0')
const target = new URL(url)
target.pathname = '/catalog_tools'
const client = new pg.Client({ connectionString: target.href, types: { getTypeParser: () => (text: unknown) => text } })
await client.connect()
await client.query(readFileSync(here('./tools.sql'), 'utf8'))
const blocks: string[] = []
for (const sql of toolQuestions()) {
  const { rows } = await client.query<(string | null)[]>({ text: sql, rowMode: 'array' })
  // Ours are asked in the database postgres.
  const lines = rows.map((row) => row.map((value) => (value ?? '∅').replaceAll('catalog_tools', 'postgres')).join('|'))
  blocks.push([sql, '----', ...lines].join('\n'))
}
writeFileSync(here('./tools.txt'), `${blocks.join('\n\n====\n')}\n`)
await client.end()
await admin.query('drop database catalog_tools')
await admin.end()
