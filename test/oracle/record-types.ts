/**
 * Answers the cases of test/types/*.cases.txt from a PostgreSQL 15 (PGHOST, PGPORT, PGUSER as for psql):
 *
 *     PGHOST=/tmp/pg npx tsx test/oracle/record-types.ts test/types/number.cases.txt …
 */
import { readFileSync, writeFileSync } from 'node:fs'
import pg from 'pg'
import { decode, encode, fields, readSections, rows, type Section } from '../types/recorded.ts'

const asText = { getTypeParser: () => (text: string) => text }
const admin = new pg.Client({ database: 'postgres' })
const client = new pg.Client({ types: asText as unknown as pg.CustomTypesConfig, database: 'record_types' })

const literal = (text: string | null, type: string): string =>
  text === null ? `null::${type}` : `${pg.escapeLiteral(text)}::${type}`
/** pg_type.typname as SQL may write it without a typmod: a plain bit would be bit(1). */
const sqlType = (name: string): string => (name === 'any' ? 'text' : `pg_catalog.${pg.escapeIdentifier(name)}`)

interface DatabaseError {
  readonly code: string
  readonly message: string
  readonly detail?: string
}

async function answer(sql: string): Promise<string> {
  try {
    const result = await client.query<(string | null)[]>({ text: sql, rowMode: 'array' })
    const values = result.rows.map((row) => encode(row[0]!) + (row.length > 1 ? ` [${row[1]}]` : ''))
    return values.length === 0 ? '(none)' : values.join(' ; ')
  } catch (error) {
    const { code, message, detail } = error as DatabaseError
    return `!${code} ${encode(message)}${detail === undefined ? '' : ` {${detail}}`}`
  }
}

async function describe(section: Section): Promise<string> {
  if (section.kind === 'type') return `## type ${section.name}`
  const { rows: found } = await client.query<string[]>({
    text: `select prosrc, (select typname from pg_type t where t.oid = prorettype), prolang = 14 from pg_proc
      where proname = $1 and $2 = coalesce((select string_agg(typname, ',' order by o) from
        unnest(proargtypes) with ordinality a(t, o) join pg_type on pg_type.oid = a.t), '')`,
    values: [section.name, section.argTypes.join(',')],
    rowMode: 'array',
  })
  const row = found[0]
  if (row === undefined) throw new Error(`no function ${section.title}`)
  const prosrc = row[2] === 't' ? section.title : row[0]
  return `## ${section.kind} ${section.title} ${row[1]}${section.kind === 'function' ? ` ${prosrc}` : ''}`
}

function question(section: Section, input: string, send: string | undefined): string {
  const name = section.kind === 'type' ? '' : pg.escapeIdentifier(section.name)
  if (section.kind === 'type') {
    const value = literal(decode(input), sqlType(section.name))
    return `select ${value}, encode(${send}(${value}), 'hex')`
  }
  const typed = (row: (string | null)[]) =>
    row.map((field, i) => literal(field, sqlType(section.argTypes[i] ?? 'text')))
  if (section.kind === 'function') {
    const args = section.argTypes.length === 0 ? [] : typed(fields(input))
    return `select pg_catalog.${name}(${args.join(', ')})`
  }
  const columns = section.argTypes.map((_, i) => `c${i}`)
  const all = rows(input)
  const none = `select ${section.argTypes.map((type) => `null::${sqlType(type)}`).join(', ') || '1'} where false`
  const from = all.length === 0 ? none : `values ${all.map((row) => `(${typed(row).join(', ') || '1'})`).join(', ')}`
  const args = columns.length === 0 ? '*' : columns.join(', ')
  return `select pg_catalog.${name}(${args}) from (${from}) as t(${columns.join(', ') || 'c0'})`
}

// A database of its own: order by code points, character classes of Unicode.
const DATABASE = 'record_types'
await admin.connect()
if ((await admin.query('select from pg_database where datname = $1', [DATABASE])).rowCount === 0) {
  await admin.query(`create database ${DATABASE} template template0 lc_collate 'C' lc_ctype 'C.UTF-8'`)
}
await admin.end()
await client.connect()
await client.query("set timezone = 'UTC'")
for (const path of process.argv.slice(2)) {
  const comments = readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('# '))
  const out = [...comments]
  for (const section of readSections(path)) {
    out.push('', await describe(section))
    let send: string | undefined
    if (section.kind === 'type') {
      const found = await client.query<string[]>({
        text: 'select typsend::text from pg_type where typname = $1',
        values: [section.name],
        rowMode: 'array',
      })
      send = found.rows[0]![0]
    }
    for (const { input } of section.cases) out.push(`${input} => ${await answer(question(section, input, send))}`)
  }
  writeFileSync(path, `${out.join('\n')}\n`)
}
await client.end()
