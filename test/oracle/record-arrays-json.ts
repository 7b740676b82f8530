/**
 * Asks PostgreSQL 15 for the answers of test/types/{array,json,jsonpath,record}.cases.txt and writes them under the cases. The connection comes from
 * PGHOST, PGPORT, PGUSER; nothing is left in the database.
 *
 *     PGHOST=/var/run/postgresql npx tsx test/oracle/record-arrays-json.ts
 */
import { readFileSync, writeFileSync } from 'node:fs'
import pg from 'pg'
import { type Argument, type Case, errorLines, escapeLine, OWN_TYPES, parseCases } from '../types/cases.ts'

const folder = new URL('../types/', import.meta.url)
const client = new pg.Client()
await client.connect()
await client.query('begin')
await client.query('create schema recorded_cases')
await client.query('set local search_path = recorded_cases, pg_catalog')
await client.query("set local timezone = 'UTC'")
await client.query(OWN_TYPES)

const literal = (argument: Argument): string => {
  if (argument.fields) return `row(${argument.fields.map(literal).join(', ')})`
  const value = argument.text === undefined ? 'null' : `'${argument.text.replaceAll("'", "''")}'`
  return `${value}::${argument.type === 'char' ? '"char"' : argument.type}`
}

async function sqlOf(test: Case): Promise<string> {
  const args = (test.rows[0] ?? []).map(literal)
  if (test.kind === 'in') return `select pg_typeof(t)::oid as type, t::text as text from (select ${args[0]!} as t) v`
  if (test.kind === 'agg') {
    const name = /^\w+/.exec(test.name)![0]
    const columns = args.map((_, i) => `c${i}`)
    const rows = test.rows.map((row) => `(${row.map(literal).join(', ')})`).join(', ')
    return `select pg_typeof(t)::oid as type, t::text as text from (select ${name}(${columns.join(', ')}) as t from (values ${rows}) v(${columns.join(', ')})) w`
  }
  const found = await client.query('select proname, proretset, provariadic from pg_proc where prosrc = $1 limit 1', [
    test.name,
  ])
  const { proname, proretset, provariadic } = found.rows[0] ?? {}
  const takesArray = provariadic !== undefined && ![0, 2276].includes(Number(provariadic))
  if (test.variadic || takesArray) args[args.length - 1] = `variadic ${args.at(-1)!}`
  const call = `pg_catalog.${proname}(${args.join(', ')})`
  if (proretset) return `select pg_typeof(t)::oid as type, t::text as text from ${call} t`
  return `select pg_typeof(t)::oid as type, t::text as text from (select ${call} as t) v`
}

async function record(test: Case): Promise<string[]> {
  await client.query('savepoint one')
  try {
    const { rows } = await client.query(await sqlOf(test))
    const lines: string[] = []
    for (const { type, text } of rows) {
      const name = (await client.query('select typname from pg_type where oid = $1', [type])).rows[0].typname
      lines.push(text === null ? '= null' : `= ${name} ${escapeLine(name === 'bool' ? text.slice(0, 1) : text)}`)
    }
    return lines
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) throw error
    const fields = { detail: error.detail, hint: error.hint, context: error.where }
    return errorLines(error.code ?? '', error.message, fields)
  } finally {
    await client.query('rollback to savepoint one')
  }
}

for (const family of ['array', 'json', 'jsonpath', 'record']) {
  const path = new URL(`${family}.cases.txt`, folder)
  const lines: string[] = []
  for (const part of parseCases(readFileSync(path, 'utf8'))) {
    if (typeof part === 'string') lines.push(part)
    else lines.push(part.line, ...(await record(part)))
  }
  writeFileSync(path, `${lines.join('\n')}\n`)
}
await client.query('rollback')
await client.end()
