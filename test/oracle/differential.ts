/**
 * The same random queries to Alopex and to PostgreSQL 15: rows (as multisets unless ordered), column names and types,
 * errors with their SQLSTATE, message and position must be the same. What differs is printed, the shortest query of each
 * class first.
 *
 *   tsx test/oracle/differential.ts --ours postgres://alopex@127.0.0.1:5432/alopex --postgres 'postgres:///diff?host=/run/postgresql'
 *        [--seed 1] [--count 1000] [--changes 0.2] [--ctes] [--show 10]
 *
 * --ctes: the data stands in WITH queries, no tables are made. --changes: share of INSERT, UPDATE and DELETE statements.
 */
import { parseArgs } from 'node:util'
import pg from 'pg'
import { type Generated, Queries, random, type SqlType, type Table } from './differential-queries.ts'

const { values: options } = parseArgs({
  options: {
    ours: { type: 'string', default: 'postgres://alopex@127.0.0.1:5432/alopex' },
    postgres: { type: 'string', default: 'postgres:///diff?host=/run/postgresql' },
    seed: { type: 'string', default: '1' },
    count: { type: 'string', default: '1000' },
    changes: { type: 'string', default: '0' },
    show: { type: 'string', default: '10' },
    depth: { type: 'string', default: '2' },
    ctes: { type: 'boolean', default: false },
  },
})

const TABLES: readonly Table[] = [
  { name: 'ta', columns: columns('id int4, x int4, n numeric, s text, f bool') },
  { name: 'tb', columns: columns('id int4, x int4, s text, d date, l int8') },
  { name: 'tc', columns: columns('k int4, l int8, s text, r int4[], f bool, n numeric') },
]
function columns(text: string): Table['columns'] {
  return text.split(', ').map((part) => {
    const [name, type] = part.split(' ')
    return { name: name!, type: type as SqlType }
  })
}

function rowsFor(table: Table, next: () => number): string[][] {
  const value = (type: SqlType): string => {
    if (next() < 0.2) return 'null'
    const pick = (from: readonly string[]): string => from[Math.floor(next() * from.length)]!
    switch (type) {
      case 'int4':
      case 'int8':
        return pick(['0', '1', '2', '3', '4', '5', '-1'])
      case 'numeric':
        return pick(['0', '1.0', '1', '2.50', '2.5', '-1.5', '3'])
      case 'text':
        return pick(["'a'", "'b'", "'ab'", "'c'", "''", "'A'"])
      case 'bool':
        return pick(['true', 'false'])
      case 'date':
        return pick(["'2020-01-01'", "'2020-02-29'", "'2021-12-31'", "'2020-01-02'"])
      case 'int4[]':
        return pick(["'{1,2}'", "'{}'", "'{2,NULL,3}'", "'{3}'", "'{1,2,3}'"])
    }
  }
  return Array.from({ length: 8 }, (_, i) =>
    table.columns.map((column, at) => (at === 0 ? `${i}` : value(column.type))),
  )
}

interface Answer {
  readonly rows: readonly string[]
  readonly fields: string
  readonly error: { readonly code: string; readonly text: string } | undefined
}
const parser = { getTypeParser: () => (value: string) => value }

async function ask(client: pg.Client, sql: string): Promise<Answer> {
  try {
    const result = await client.query({ text: sql, rowMode: 'array', types: parser as never })
    return {
      rows: result.rows.map((row: unknown) => JSON.stringify(row)),
      fields: result.fields.map((field) => `${field.name}:${field.dataTypeID}:${field.dataTypeModifier}`).join(' '),
      error: undefined,
    }
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) throw error
    return {
      rows: [],
      fields: '',
      error: {
        code: error.code ?? '',
        text: `${error.code} ${error.message}${error.position === undefined ? '' : ` at ${error.position}`}${error.detail === undefined ? '' : ` DETAIL ${error.detail}`}${error.hint === undefined ? '' : ` HINT ${error.hint}`}`,
      },
    }
  }
}

/** Errors of evaluation may come from another row or part first. */
const isEvaluation = (code: string): boolean => code.startsWith('22') || code.startsWith('21') || code.startsWith('23')

function difference(ours: Answer, theirs: Answer, query: Generated): string | undefined {
  if (ours.error !== undefined || theirs.error !== undefined) {
    if (ours.error?.text === theirs.error?.text) return undefined
    if (theirs.error?.code === '57014') return undefined // too much for either
    if (
      ours.error !== undefined &&
      theirs.error !== undefined &&
      isEvaluation(ours.error.code) &&
      isEvaluation(theirs.error.code)
    )
      return undefined
    return `error\n    ours      ${ours.error?.text ?? `${ours.rows.length} rows`}\n    postgres  ${theirs.error?.text ?? `${theirs.rows.length} rows`}`
  }
  if (ours.fields !== theirs.fields) return `columns\n    ours      ${ours.fields}\n    postgres  ${theirs.fields}`
  // Which of two equal numbers (1.0, 1) a group or set keeps is nobody's business.
  const [mine, others] = [ours.rows.map(withoutZeros), theirs.rows.map(withoutZeros)]
  const [a, b] = query.ordered ? [mine, others] : [[...mine].sort(), [...others].sort()]
  if (a.length === b.length && a.every((row, i) => row === b[i])) return undefined
  if (query.ordered && [...a].sort().join('\n') === [...b].sort().join('\n'))
    return `order\n    ours      ${a.join(' ')}\n    postgres  ${b.join(' ')}`
  return `rows\n    ours      ${a.slice(0, 12).join(' ')} (${a.length})\n    postgres  ${b.slice(0, 12).join(' ')} (${b.length})`
}

const withoutZeros = (row: string): string =>
  row.replace(/(-?\d+)\.(\d*?)0*(?=\D)/g, (_, whole: string, rest: string) =>
    rest === '' ? whole : `${whole}.${rest}`,
  )

const shape = (found: string): string =>
  found
    .replace(/"[^"]*"|\d+|'[^']*'/g, '#')
    .slice(0, found.startsWith('rows') ? 4 : found.startsWith('order') ? 5 : 160)

async function main(): Promise<void> {
  const ours = new pg.Client({ connectionString: options.ours })
  const theirs = new pg.Client({ connectionString: options.postgres })
  ours.on('error', (error) => console.error(`connection lost: ${error.message}`))
  await ours.connect()
  await theirs.connect()
  for (const client of [ours, theirs]) await client.query("set statement_timeout = '4s'")
  const first = Number(options.seed)
  const count = Number(options.count)
  const changes = Number(options.changes)
  const data = TABLES.map((table) => rowsFor(table, random(first * 7919 + table.name.charCodeAt(1))))
  if (!options.ctes) {
    const statements = TABLES.flatMap((table, i) => [
      `drop table if exists ${table.name} cascade`,
      `create table ${table.name} (${table.columns.map((column, at) => `${column.name} ${column.type}${at === 0 ? ' primary key' : ''}`).join(', ')})`,
      ...table.columns.slice(1, 4).map((column) => `create index on ${table.name} (${column.name})`),
      `insert into ${table.name} values ${data[i]!.map((row) => `(${row.join(', ')})`).join(', ')}`,
    ])
    for (const client of [ours, theirs]) for (const sql of statements) await client.query(sql)
  }
  const prefix = options.ctes
    ? `with ${TABLES.map((table, i) => `${table.name}(${table.columns.map((column) => column.name).join(', ')}) as (values ${data[i]!.map((row, at) => `(${row.map((value, c) => (at === 0 ? `${value}::${table.columns[c]!.type}` : value)).join(', ')})`).join(', ')})`).join(', ')} `
    : ''
  const found = new Map<string, { count: number; seed: number; sql: string; text: string }>()
  let errors = 0
  let rows = 0
  for (let i = 0; i < count; i++) {
    const seed = first * 1_000_003 + i
    const next = random(seed)
    const generator = new Queries(next, TABLES)
    const change = changes > 0 && generator.chance(changes)
    const query = change ? generator.change() : generator.select(Number(options.depth), undefined)
    const sql =
      prefix === ''
        ? query.sql
        : /^with recursive /.test(query.sql)
          ? query.sql.replace(/^with recursive /, `${prefix.replace(/^with /, 'with recursive ').trimEnd()}, `)
          : /^with /.test(query.sql)
            ? query.sql.replace(/^with /, `${prefix.trimEnd()}, `)
            : prefix + query.sql
    let a: Answer
    let b: Answer
    if (change) {
      await Promise.all([ours.query('begin'), theirs.query('begin')])
      ;[a, b] = await Promise.all([ask(ours, sql), ask(theirs, sql)])
      await Promise.all([ours.query('rollback'), theirs.query('rollback')])
    } else [a, b] = await Promise.all([ask(ours, sql), ask(theirs, sql)])
    if (b.error !== undefined) errors++
    rows += b.rows.length
    const text = difference(a, b, query)
    if (text === undefined) continue
    const name = shape(text)
    const known = found.get(name)
    if (known === undefined) found.set(name, { count: 1, seed, sql: query.sql, text })
    else {
      known.count++
      if (query.sql.length < known.sql.length) Object.assign(known, { sql: query.sql, text, seed })
    }
  }
  const list = [...found.values()].sort((x, y) => y.count - x.count)
  for (const each of list.slice(0, Number(options.show)))
    console.log(`${each.count} × ${each.text}\n    seed ${each.seed}: ${each.sql}\n`)
  console.log(
    `${count} queries, ${errors} with errors, ${rows} rows; ${list.reduce((sum, each) => sum + each.count, 0)} differ in ${list.length} classes`,
  )
  await ours.end()
  await theirs.end()
}

await main()
