/**
 * Writes sql/catalog/data: what a fresh PostgreSQL 15 database says about itself. One file a system table, in COPY's text
 * form (tab between columns, \N for NULL), first line the columns with their types; system views as SQL in views.sql.
 *
 *     npx tsx test/oracle/dump-catalog.ts postgres://postgres@127.0.0.1:5432/postgres
 *
 * The server's own database `catalog_dump` is made from template0 and dropped again, so that nothing of a user is in it.
 * reg* columns are written as numbers, expressions (pg_node_tree) as the SQL that PostgreSQL prints for them.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import pg from 'pg'

const OUT = fileURLToPath(new URL('../../sql/catalog/data/', import.meta.url))

/** Tables whose rows belong to one server or are made anew by ours. */
const LEFT_OUT = new Set(['pg_statistic', 'pg_statistic_ext', 'pg_statistic_ext_data', 'pg_database', 'pg_shdepend'])

/** What stands in a file beyond the table's own columns: name, SQL over the row `t`. */
const EXTRA: Record<string, readonly (readonly [name: string, type: string, sql: string])[]> = {
  pg_proc: [
    [
      'argdefaults',
      'text[]',
      `(select array_agg(pg_get_function_arg_default(t.oid, n) order by n) filter (where pg_get_function_arg_default(t.oid, n) is not null)
       from generate_series(1, coalesce(array_length(t.proallargtypes, 1), t.pronargs)) n where t.pronargdefaults > 0)`,
    ],
  ],
  pg_type: [
    ['domainchecks', 'text[]', `(select array_agg(pg_get_expr(conbin, 0)) from pg_constraint where contypid = t.oid)`],
  ],
}

/** pg_node_tree columns that pg_get_expr cannot print by itself. */
const PRINTED: Record<string, string> = {
  'pg_proc.proargdefaults': 'pg_get_expr(t.proargdefaults, 0)',
  'pg_proc.prosqlbody': 'pg_get_function_sqlbody(t.oid)',
  'pg_rewrite.ev_action': 'null::text',
  'pg_rewrite.ev_qual': 'null::text',
  'pg_type.typdefaultbin': 'pg_get_expr(t.typdefaultbin, 0)',
  'pg_constraint.conbin': 'pg_get_expr(t.conbin, t.conrelid)',
  'pg_attrdef.adbin': 'pg_get_expr(t.adbin, t.adrelid)',
  'pg_index.indexprs': 'pg_get_expr(t.indexprs, t.indrelid)',
  'pg_index.indpred': 'pg_get_expr(t.indpred, t.indrelid)',
}

const ORDER: Record<string, string> = {
  pg_attribute: 'attrelid, attnum',
  pg_aggregate: 'aggfnoid::oid',
  pg_index: 'indexrelid',
  // string_agg over it without an order shows PostgreSQL's own.
  pg_opclass: 'ctid',
  pg_depend: 'classid, objid, objsubid, refclassid, refobjid, refobjsubid',
  pg_description: 'classoid, objoid, objsubid',
  pg_shdescription: 'classoid, objoid',
  pg_init_privs: 'classoid, objoid, objsubid',
  pg_range: 'rngtypid',
  pg_ts_config_map: 'mapcfg, maptokentype, mapseqno',
}

const escaped = (text: string | null): string =>
  text === null
    ? '\\N'
    : text.replace(/[\\\n\t\r]/g, (c) => (c === '\\' ? '\\\\' : c === '\n' ? '\\n' : c === '\t' ? '\\t' : '\\r'))

type TextRow = Record<string, string | null>

async function main(url: string): Promise<void> {
  const admin = new pg.Client(url)
  await admin.connect()
  await admin.query('drop database if exists catalog_dump')
  await admin.query('create database catalog_dump template template0')
  const target = new URL(url)
  target.pathname = '/catalog_dump'
  const client = new pg.Client({
    connectionString: target.href,
    types: { getTypeParser: () => (text: unknown) => text },
  })
  await client.connect()
  const ask = async (sql: string): Promise<TextRow[]> => (await client.query<TextRow>(sql)).rows
  mkdirSync(OUT, { recursive: true })
  await client.query(`set datestyle = 'ISO'; set timezone = 'UTC'; set search_path = pg_catalog`)

  const write = (name: string, columns: readonly (readonly [string, string])[], rows: readonly TextRow[]): void => {
    const lines = [columns.map(([column, type]) => `${column}:${type}`).join('\t')]
    for (const row of rows) lines.push(columns.map(([column]) => escaped(row[column] ?? null)).join('\t'))
    writeFileSync(`${OUT}${name}.tsv`, `${lines.join('\n')}\n`)
  }

  const tables = await ask(
    `select c.oid, c.relname, n.nspname from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind = 'r' and n.nspname in ('pg_catalog', 'information_schema') order by 1`,
  )
  for (const table of tables) {
    const name = table['relname']!
    if (LEFT_OUT.has(name)) continue
    const attributes = await ask(
      `select attname, format_type(atttypid, -1) as type from pg_attribute where attrelid = ${table['oid']} and attnum > 0 and not attisdropped order by attnum`,
    )
    const columns: [string, string][] = []
    const list: string[] = []
    for (const { attname, type } of attributes) {
      const quoted = `t."${attname}"`
      const printed = type === 'pg_node_tree' ? (PRINTED[`${name}.${attname}`] ?? 'null::text') : undefined
      list.push(`${printed ?? (type === 'regproc' ? `${quoted}::oid` : quoted)} as "${attname}"`)
      columns.push([attname!, type!])
    }
    for (const [column, type, sql] of EXTRA[name] ?? []) {
      list.push(`${sql} as "${column}"`)
      columns.push([column, type])
    }
    const order = ORDER[name] ?? (attributes.some((a) => a['attname'] === 'oid') ? 'oid' : '1')
    const where = name === 'pg_rewrite' ? `where rulename = '_RETURN'` : ''
    const rows = await ask(`select ${list.join(', ')} from ${table['nspname']}.${name} t ${where} order by ${order}`)
    if (rows.length > 0) write(name, columns, rows)
  }

  const views = await ask(
    `select c.oid, n.nspname || '.' || c.relname as name, pg_get_viewdef(c.oid) as sql, pg_get_viewdef(c.oid, true) as pretty from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind = 'v' and n.nspname in ('pg_catalog', 'information_schema') order by c.oid`,
  )
  for (const [file, column] of [
    ['views', 'sql'],
    ['views-pretty', 'pretty'],
  ] as const)
    writeFileSync(`${OUT}${file}.sql`, views.map((v) => `-- ${v['oid']} ${v['name']}\n${v[column]}\n`).join('\n'))

  const settings = await ask(
    `select name, boot_val, unit, category, short_desc, extra_desc, context, vartype, min_val, max_val, enumvals,
       array_to_string(pg_settings_get_flags(name), ' ') as flags from pg_settings where name !~ '\\.' order by name`,
  )
  const settingColumns = [
    'name',
    'boot_val',
    'unit',
    'category',
    'short_desc',
    'extra_desc',
    'context',
    'vartype',
    'min_val',
    'max_val',
  ] as const
  write(
    'settings',
    [...settingColumns.map((c) => [c, 'text'] as const), ['enumvals', 'text[]'], ['flags', 'text']],
    settings,
  )
  write(
    'keywords',
    ['word', 'catcode', 'barelabel', 'catdesc', 'baredesc'].map((c) => [c, 'text'] as const),
    await ask('select * from pg_get_keywords() order by word'),
  )
  await client.end()
  await admin.query('drop database catalog_dump')
  await admin.end()
}

const url = process.argv[2]
if (url === undefined)
  throw new Error('usage: npx tsx test/oracle/dump-catalog.ts <connection url of a PostgreSQL 15 superuser>')
await main(url)
