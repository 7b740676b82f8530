/**
 * Records PostgreSQL 15's answers into the date and time scripts of test/types (datetime-*.txt). Reads PGHOST and PGPORT.
 *
 *     npx tsx test/oracle/record-datetime.ts [script …]
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import pg from 'pg'
import type { Case, Literal } from '../types/datetime-cases.ts'
import { parseCases, typeName } from '../types/datetime-cases.ts'

const folder = new URL('../types/', import.meta.url)
const given = process.argv.slice(2)
const scripts =
  given.length > 0
    ? given
    : readdirSync(folder)
        .filter((name) => /^datetime-.*\.txt$/.test(name))
        .map((name) => new URL(name, folder).pathname)

const client = new pg.Client({
  host: process.env.PGHOST ?? 'localhost',
  port: Number(process.env.PGPORT ?? 5432),
  user: process.env.PGUSER ?? 'postgres',
  database: process.env.PGDATABASE ?? 'postgres',
})
await client.connect()
await client.query(`
  create function pg_temp.attempt(expression text) returns text language plpgsql as $$
  declare
    answer text;
    message text; code text; detail text; hint text;
  begin
    execute 'select string_agg(coalesce((value)::text, ''NULL''), '' | '') from (select ' || expression || ' as value) as rows' into answer;
    return coalesce(answer, '');
  exception when others then
    get stacked diagnostics message = message_text, code = returned_sqlstate, detail = pg_exception_detail, hint = pg_exception_hint;
    return '! ' || code || ' ' || message
      || case when detail <> '' then E'\\n  detail: ' || detail else '' end
      || case when hint <> '' then E'\\n  hint: ' || hint else '' end;
  end $$`)

const sqlLiteral = ({ type, typmod, text }: Literal): string => {
  if (text === undefined) return `null::${type}`
  const quoted = `'${text.replaceAll("'", "''")}'`
  return `cast(${quoted} as ${typmod === undefined ? type : type.replace(/^(\w+)/, `$1(${typmod.join(',')})`)})`
}

/** '[prosrc → type] ' of the function that the case calls. */
async function signature(item: Extract<Case, { kind: 'call' }>): Promise<string> {
  const types = item.args.map((arg) => typeName(arg.type))
  const { rows } = await client.query(
    `select prosrc, t.typname as result from pg_proc p join pg_type t on t.oid = prorettype
     where proname = $1 and pronamespace = 'pg_catalog'::regnamespace
       and array(select y.typname::text from unnest(proargtypes) with ordinality a(o, n) join pg_type y on y.oid = o order by n) = $2`,
    [item.name, types],
  )
  const [row] = rows as { prosrc: string; result: string }[]
  if (row === undefined) throw new Error(`no function ${item.name}(${types.join(',')})`)
  return `[${row.prosrc === '' ? `${item.name}(${types.join(',')})` : row.prosrc} → ${row.result}] `
}

for (const script of scripts) {
  await client.query('reset all')
  await client.query("set TimeZone = 'UTC'")
  const lines: string[] = []
  for (const item of parseCases(readFileSync(script, 'utf8'))) {
    lines.push(item.source)
    if (item.kind === 'set') await client.query(`set ${item.name} = '${item.value.replaceAll("'", "''")}'`)
    if (item.kind !== 'value' && item.kind !== 'call') continue
    const expression =
      item.kind === 'value'
        ? sqlLiteral(item.literal)
        : `pg_catalog."${item.name}"(${item.args.map(sqlLiteral).join(', ')})`
    const { rows } = await client.query('select pg_temp.attempt($1) as answer', [expression])
    const prefix = item.kind === 'call' ? await signature(item) : ''
    const [row] = rows as { answer: string }[]
    lines.push(...(prefix + (row?.answer ?? '')).split('\n').map((line) => `  ${line}`))
  }
  writeFileSync(script, lines.join('\n'))
}
await client.end()
