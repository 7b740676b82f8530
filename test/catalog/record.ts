/**
 * Records PostgreSQL 15's answers into test/catalog/recorded.txt: npx tsx test/catalog/record.ts <connection url>.
 * Everything happens in a schema of a database of its own, dropped at the end.
 */
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { QUERIES, TABLES } from './queries.ts'

const url = process.argv[2]
if (url === undefined)
  throw new Error('usage: npx tsx test/catalog/record.ts <connection url of a PostgreSQL 15 superuser>')
const admin = new pg.Client(url)
await admin.connect()
await admin.query('drop database if exists catalog_record')
await admin.query('create database catalog_record template template0')
const target = new URL(url)
target.pathname = '/catalog_record'
const client = new pg.Client(target.href)
await client.connect()
const rows = async (sql: string): Promise<unknown[][]> => (await client.query({ text: sql, rowMode: 'array' })).rows

const formatType = await rows(`
  select t.oid::int8::int4, m, format_type(t.oid, m) from pg_type t, unnest(array[null, -1, 2, 5, 14, 655366, 131074]) m
  where t.oid < 10000 and t.typtype <> 'c' and (m is null or m = -1 or t.typname ~ '^_?(varchar|bpchar|numeric|bit|varbit|time|timetz|timestamp|timestamptz|interval|int4|text|name)$')
    and (t.typname !~ 'interval' or m is null or m = -1)
  union all select 1186, m, format_type(1186, m) from unnest(array[(4 << 16) + 65535, (8 << 16) + 65535, (7168 << 16) + 3, (32767 << 16) + 2]) m
  order by 1, 2 nulls first`)
const functions = await rows(`
  select p.oid::int8::int4, pg_get_function_arguments(p.oid), pg_get_function_identity_arguments(p.oid), pg_get_function_result(p.oid), p.oid::regprocedure::text, p.oid::regproc::text
  from pg_proc p where p.oid < 10000 and (p.proargmodes is not null or p.pronargdefaults > 0 or p.prokind <> 'f' or p.provariadic <> 0 or p.oid::int8 % 17 = 0) order by 1`)
const operators = await rows(
  `select oid::int8::int4, oid::regoperator::text, oid::regoper::text from pg_operator where oid::int8 % 3 = 0 order by 1`,
)
const described = await rows(`
  select classid::int8::int4, objid::int8::int4, objsubid, pg_describe_object(classid, objid, objsubid), i.type, i.schema, i.name, i.identity
  from pg_depend, lateral pg_identify_object(classid, objid, objsubid) i where objid::int8 % 13 = 0 and classid not in (2618, 2604) order by 1, 2, 3`)
const indexes = await rows(
  `select indexrelid::int8::int4, pg_get_indexdef(indexrelid), pg_get_indexdef(indexrelid, 1, true) from pg_index where indexrelid < 10000 order by 1`,
)
const constraints = await rows(
  `select oid::int8::int4, pg_get_constraintdef(oid) from pg_constraint where conrelid < 10000 and conrelid > 0 order by 1`,
)
const privileges = await rows(`
  select r.rolname, c.relname, p, has_table_privilege(r.oid, c.oid, p) from pg_roles r, pg_class c, unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) p
  where c.relname in ('pg_class', 'pg_authid', 'pg_settings', 'pg_user_mapping', 'pg_shadow', 'pg_hba_file_rules') and r.rolname in ('postgres', 'pg_read_all_data', 'pg_write_all_data', 'pg_monitor', 'pg_read_all_settings')
  order by 1, 2, 3`)

await client.query(TABLES)
const queries: Record<string, readonly unknown[]> = {}
for (const query of QUERIES) {
  await client.query(`create view v as ${query}`)
  queries[query] = (await rows(`select pg_get_viewdef('v'), pg_get_viewdef('v', true)`))[0]!
  await client.query('drop view v')
}
await client.end()
await admin.query('drop database catalog_record')
await admin.end()

const sections = { formatType, functions, operators, described, indexes, constraints, privileges }
const text = Object.entries(sections).map(
  ([name, list]) => `${JSON.stringify(name)}: [\n${list.map((row) => JSON.stringify(row)).join(',\n')}\n]`,
)
text.push(
  `"queries": {\n${Object.entries(queries)
    .map(([query, answers]) => `${JSON.stringify(query)}: ${JSON.stringify(answers)}`)
    .join(',\n')}\n}`,
)
writeFileSync(fileURLToPath(new URL('./recorded.txt', import.meta.url)), `{\n${text.join(',\n')}\n}\n`)
