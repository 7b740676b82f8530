/**
 * Asks a PostgreSQL 15 (PGHOST, PGPORT, PGUSER as for psql) what window calls answer, and writes
 * test/executor/windows.recorded.txt: a case and its column of answers on each line.
 *
 *     PGHOST=/tmp/pg npx tsx test/oracle/record-windows.ts
 */
import { writeFileSync } from 'node:fs'
import pg from 'pg'
import { type Bound, CALLS, TABLE, toSql, type WindowCase } from '../executor/window-cases.ts'

let seed = 20221013
const random = (below: number): number => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
  return Math.floor((seed / 2 ** 32) * below)
}
const pick = <T>(list: readonly T[]): T => list[random(list.length)]!
const RANKS = ['unbounded preceding', 'preceding', 'current row', 'following', 'unbounded following']

function randomCase(): WindowCase {
  const mode = pick(['rows', 'range', 'groups'] as const)
  const key = mode === 'rows' && random(6) === 0 ? undefined : pick(['k', 'f'] as const)
  const from = random(4)
  const to = Math.max(1, from + random(5 - from))
  const size = () => (mode === 'range' && key === 'f' ? random(6) / 2 : random(4))
  const bound = (rank: number): Bound => (rank === 1 || rank === 3 ? `${size()} ${RANKS[rank]}` : RANKS[rank]) as Bound
  const calls =
    mode === 'rows'
      ? [...CALLS.aggregates, ...CALLS.ordered, ...CALLS.ranks]
      : [...CALLS.aggregates, ...CALLS.aggregates, ...CALLS.ranks]
  const call = pick(calls)
  const filter = (CALLS.aggregates as readonly string[]).includes(call) && random(4) === 0
  const exclude = random(2) === 0 ? 'no others' : pick(['current row', 'group', 'ties'] as const)
  return {
    call,
    filter,
    partition: random(2) === 0,
    key,
    descending: random(2) === 0,
    nullsFirst: random(2) === 0,
    mode,
    start: bound(from),
    end: bound(to),
    exclude,
  }
}

const client = new pg.Client({ database: 'postgres' })
await client.connect()
await client.query('create temp table t (id int, p text, k int, f float8, v int)')
for (const row of TABLE) await client.query('insert into t values ($1, $2, $3, $4, $5)', [...row])
const lines: string[] = []
for (let i = 0; i < 500; i++) {
  const each = randomCase()
  const { rows } = await client.query<(string | null)[]>({ text: toSql(each), rowMode: 'array' })
  lines.push(`${JSON.stringify(each)}\t${JSON.stringify(rows.map(([value]) => value))}`)
}
await client.end()
writeFileSync(new URL('../executor/windows.recorded.txt', import.meta.url), `${lines.join('\n')}\n`)
