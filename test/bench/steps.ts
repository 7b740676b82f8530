/** What is measured, in the order it is run. Tables of steps; the figures to reach stand beside them. */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DiscardClient } from '../support/discard-client.ts'
import { pgbench, psql } from '../support/psql.ts'
import type { TestServer } from '../support/server.ts'
import type { Side, Step } from './contest.ts'

export interface Plan {
  /** pgbench's scale: 100,000 accounts each. */
  readonly scale: number
  /** Seconds of a pgbench run. */
  readonly seconds: number
  readonly rounds: number
  /** For scripts and data files. */
  readonly folder: string
}

export const steps = (plan: Plan): Step[] => [
  memory('memory, idle after the start', { floorValue: 150, aimValue: 100 }),
  initialise(plan),
  ...queries(plan),
  ...selects(plan),
  ...copies(plan),
  ...inserts(plan),
  ...tpcb(plan),
  memory('memory, after all this', { floorValue: 700, aimValue: 400 }),
  ...startUps(plan),
]

/** One run of psql that must succeed. */
async function sql(server: TestServer, ...statements: string[]): Promise<string> {
  const commands = statements.flatMap((text) => ['-c', text])
  const ran = await psql(server, ['-qAt', '-v', 'ON_ERROR_STOP=1', ...commands], { timeoutMs: 600_000 })
  if (ran.code !== 0) throw new Error(ran.err === '' ? `psql ended with ${ran.code}` : ran.err)
  return ran.out
}

/** Milliseconds of the last statement, as psql's \timing tells. */
async function timed(server: TestServer, statement: string): Promise<number> {
  const printed = await sql(server, '\\timing on', statement)
  const time = /Time: ([\d.]+) ms/.exec(printed)
  if (time === null) throw new Error(`no time was printed: ${printed.slice(0, 200)}`)
  return Number(time[1])
}

/** Transactions a second, the connections' opening left out. */
async function tps(plan: Plan, server: TestServer, args: readonly string[]): Promise<number> {
  const ran = await pgbench(server, ['-n', '-T', String(plan.seconds), ...args], (plan.seconds + 60) * 1000)
  const rate = /^tps = ([\d.]+) \(without/m.exec(ran.out)
  const failed = /^number of failed transactions: ([1-9]\d*)/m.exec(ran.out)
  if (ran.code !== 0 || rate === null || failed !== null) {
    const lines = ran.err.split('\n').filter((line) => /error|fatal|killed/i.test(line))
    throw new Error(lines[0] ?? failed?.[0] ?? `pgbench ended with ${ran.code}`)
  }
  return Number(rate[1])
}

const clients = (count: number): string[] => ['-c', String(count), '-j', String(Math.min(count, 2))]

function initialise(plan: Plan): Step {
  return {
    name: `pgbench -i -s ${plan.scale}`,
    unit: 'ms',
    better: 'less',
    rounds: 1,
    async run({ server }) {
      const began = performance.now()
      const ran = await pgbench(server, ['-i', '-q', '-s', String(plan.scale)], 600_000)
      if (ran.code !== 0) throw new Error(ran.err.split('\n').find((line) => line.includes('error')) ?? ran.err)
      const ms = performance.now() - began
      await sql(server, 'analyze')
      return ms
    },
  }
}

function selects(plan: Plan): Step[] {
  const figures: Record<string, { floor: number; aim: number }> = {
    'prepared 8': { floor: 1, aim: 1.5 },
    'prepared 32': { floor: 1, aim: 1.5 },
    'simple 8': { floor: 0.9, aim: 1.3 },
  }
  return ['simple', 'extended', 'prepared'].flatMap((mode) =>
    [1, 8, 32].map(
      (count): Step => ({
        name: `pgbench -S ${mode}, ${count} ${count === 1 ? 'client' : 'clients'}`,
        unit: 'tps',
        better: 'more',
        ...figures[`${mode} ${count}`],
        rounds: plan.rounds,
        run: ({ server }) => tps(plan, server, ['-S', '-M', mode, ...clients(count)]),
      }),
    ),
  )
}

function tpcb(plan: Plan): Step[] {
  return [1, 8, 32].map(
    (count): Step => ({
      name: `TPC-B prepared, ${count} ${count === 1 ? 'client' : 'clients'}`,
      unit: 'tps',
      better: 'more',
      ...(count === 8 ? { floor: 0.6, aim: 1 } : {}),
      rounds: plan.rounds,
      run: ({ server }) => tps(plan, server, ['-M', 'prepared', ...clients(count)]),
    }),
  )
}

function inserts(plan: Plan): Step[] {
  const prepare = ({ server }: Side): Promise<void> =>
    sql(
      server,
      'drop table if exists bench_insert',
      'create table bench_insert (id bigserial primary key, a int, b text)',
    ).then(() => {})
  const one = join(plan.folder, 'insert-1.sql')
  const many = join(plan.folder, 'insert-1000.sql')
  writeFileSync(one, "\\set a random(1, 1000000)\ninsert into bench_insert (a, b) values (:a, 'a row of some text');\n")
  const rows = Array.from({ length: 1000 }, (_, i) => `(${i}, 'a row of some text ${i}')`)
  writeFileSync(many, `insert into bench_insert (a, b) values ${rows.join(', ')};\n`)
  return [
    {
      name: 'INSERT of 1 row, autocommit, prepared, 8 clients',
      unit: 'rows/s',
      better: 'more',
      floor: 0.7,
      aim: 1,
      rounds: plan.rounds,
      prepare,
      run: ({ server }) => tps(plan, server, ['-M', 'prepared', '-f', one, ...clients(8)]),
    },
    {
      name: 'INSERT of 1,000 rows, prepared, 8 clients',
      unit: 'rows/s',
      better: 'more',
      rounds: plan.rounds,
      prepare,
      run: async ({ server }) => 1000 * (await tps(plan, server, ['-M', 'prepared', '-f', many, ...clients(8)])),
    },
  ]
}

/** The table that pgbench makes, empty. */
const COPY_TABLE =
  'create table bench_copy (aid integer not null primary key, bid integer, abalance integer, filler character(84))'

function copies(plan: Plan): Step[] {
  const rows = plan.scale * 100_000
  const file = join(plan.folder, 'accounts.tsv')
  let written: Promise<void> | undefined
  return [
    {
      name: `COPY in of ${rows.toLocaleString('en-US')} rows with a primary key`,
      unit: 'ms',
      better: 'less',
      floor: 2,
      aim: 1,
      rounds: plan.rounds,
      async prepare() {
        await (written ??= writeAccounts(file, rows))
      },
      async run({ server }) {
        await sql(server, 'drop table if exists bench_copy', COPY_TABLE)
        return timed(server, `\\copy bench_copy from '${file}'`)
      },
    },
    {
      name: `COPY out of ${rows.toLocaleString('en-US')} rows`,
      unit: 'ms',
      better: 'less',
      rounds: plan.rounds,
      run: ({ server }) => timed(server, "\\copy pgbench_accounts to '/dev/null'"),
    },
    {
      name: `CREATE INDEX on ${rows.toLocaleString('en-US')} rows`,
      unit: 'ms',
      better: 'less',
      rounds: plan.rounds,
      async run({ server }) {
        await sql(server, 'drop index if exists bench_index')
        return timed(server, 'create index bench_index on bench_copy (bid, aid)')
      },
    },
  ]
}

async function writeAccounts(file: string, rows: number): Promise<void> {
  const out = createWriteStream(file)
  const filler = ' '.repeat(84)
  for (let aid = 1; aid <= rows; ) {
    let text = ''
    for (const end = Math.min(aid + 10_000, rows + 1); aid < end; aid++) {
      text += `${aid}\t${1 + Math.floor((aid - 1) / 100_000)}\t0\t${filler}\n`
    }
    if (!out.write(text)) await once(out, 'drain')
  }
  await new Promise<void>((resolve, reject) => out.once('error', reject).end(() => resolve()))
}

interface Query {
  readonly name: string
  readonly text: string
  readonly floor?: number
  readonly aim?: number
}

const AGGREGATE = { floor: 4, aim: 1 }
const OTHER = { floor: 4, aim: 1.5 }

/** The eleven queries. */
const QUERIES: readonly Query[] = [
  { name: 'count(*)', text: 'select count(*) from pgbench_accounts', ...AGGREGATE },
  {
    name: 'count(*), sum, avg',
    text: 'select count(*), sum(abalance), avg(abalance) from pgbench_accounts',
    ...AGGREGATE,
  },
  {
    name: 'group by bid (10 groups)',
    text: 'select bid, count(*), sum(abalance) from pgbench_accounts group by bid',
    ...AGGREGATE,
  },
  {
    name: 'group by aid % 100000',
    text: 'select aid % 100000, count(*) from pgbench_accounts group by 1',
    ...AGGREGATE,
  },
  {
    name: 'join with branches, aggregate',
    text: 'select b.bbalance, count(*), sum(a.abalance) from pgbench_accounts a join pgbench_branches b on b.bid = a.bid group by 1',
    ...OTHER,
  },
  {
    name: 'order by abalance limit 10',
    text: 'select * from pgbench_accounts order by abalance limit 10',
    ...OTHER,
  },
  {
    name: 'full sort',
    text: 'select aid, abalance from pgbench_accounts order by abalance desc, aid desc offset 99990',
  },
  { name: 'LIKE filter', text: "select count(*) from pgbench_accounts where filler like '%alopex%'", ...OTHER },
  {
    name: '100,000-row range by key',
    text: 'select count(*), sum(abalance) from pgbench_accounts where aid between 1001 and 101000',
  },
  {
    name: 'update 10,000 rows',
    text: 'update pgbench_accounts set abalance = abalance + 1 where aid between 50001 and 60000',
  },
  { name: 'select all as text', text: 'select * from pgbench_accounts' },
]

function queries(plan: Plan): Step[] {
  const rows = plan.scale * 100_000
  return QUERIES.map(
    ({ name, text, ...figures }): Step => ({
      name,
      unit: 'ms',
      better: 'less',
      oneProcess: true,
      ...figures,
      rounds: plan.rounds + 2,
      warmUps: 2,
      async run({ server, contestant }) {
        const options = contestant === 'postgres-1' ? '-c max_parallel_workers_per_gather=0' : ''
        const client = await DiscardClient.connect(server, options)
        try {
          return (await client.query(text.replace('offset 99990', `offset ${rows - 10}`))).ms
        } finally {
          client.close()
        }
      },
    }),
  )
}

function startUps(plan: Plan): Step[] {
  const firstAnswer = async (server: TestServer): Promise<number> => {
    const ready = await server.start()
    const began = performance.now()
    const client = await DiscardClient.connect(server)
    await client.query('select abalance from pgbench_accounts where aid = 4711')
    client.close()
    return ready + performance.now() - began
  }
  return [
    {
      name: 'start to first answer',
      unit: 'ms',
      better: 'less',
      floorValue: 1500,
      aimValue: 500,
      rounds: plan.rounds,
      async run({ server }) {
        await server.stop()
        return firstAnswer(server)
      },
    },
    {
      name: 'start to first answer after kill -9',
      unit: 'ms',
      better: 'less',
      rounds: plan.rounds,
      async run({ server }) {
        await sql(server, 'update pgbench_tellers set tbalance = tbalance')
        await server.kill()
        return firstAnswer(server)
      },
    },
    {
      name: 'memory, after the start on this store',
      unit: 'MB',
      better: 'less',
      rounds: 1,
      run: async ({ server }) => proportionalMegabytes(server.pid),
    },
  ]
}

function memory(name: string, figures: { floorValue: number; aimValue: number }): Step {
  return {
    name,
    unit: 'MB',
    better: 'less',
    ...figures,
    rounds: 1,
    run: async ({ server }) => proportionalMegabytes(server.pid),
  }
}

/** Memory of a process and its children, each shared page counted once (PSS). */
export function proportionalMegabytes(pid: number): number {
  let kilobytes = 0
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8')
      const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
      if (Number(name) !== pid && parent !== pid) continue
      const rollup = readFileSync(`/proc/${name}/smaps_rollup`, 'utf8')
      kilobytes += Number(/^Pss:\s+(\d+)/m.exec(rollup)?.[1] ?? 0)
    } catch {
      // It ended meanwhile.
    }
  }
  return kilobytes / 1024
}

/** Exact nearest neighbours. PostgreSQL takes part where pgvector is installed beside it. */
export function vectorSteps(plan: Plan, isPgvectorThere: boolean): Step[] {
  const shapes = [
    { rows: plan.scale * 5000, dimensions: 128 },
    { rows: plan.scale * 2000, dimensions: 768 },
  ]
  return shapes.flatMap(({ rows, dimensions }) => {
    const table = `bench_vector_${dimensions}`
    const size = `${rows.toLocaleString('en-US')} × ${dimensions}`
    const file = join(plan.folder, `${table}.tsv`)
    const random = numbers(dimensions)
    const vector = () => `[${Array.from({ length: dimensions }, () => (random() - 0.5).toFixed(5)).join(',')}]`
    let written = false
    const neighbours = (name: string, where: string, operator: string): Step => ({
      name: `10 nearest of ${size}, exact, ${name}`,
      unit: 'ms',
      better: 'less',
      alopexOnly: !isPgvectorThere,
      rounds: plan.rounds * 4,
      warmUps: 3,
      async run({ server }) {
        const client = await DiscardClient.connect(server)
        try {
          const answer = await client.query(
            `select id from ${table} ${where} order by v ${operator} '${vector()}' limit 10`,
          )
          return answer.ms
        } finally {
          client.close()
        }
      },
    })
    return [
      {
        name: `COPY in of ${size} vectors`,
        unit: 'ms',
        better: 'less',
        alopexOnly: !isPgvectorThere,
        rounds: 1,
        async prepare({ server }) {
          if (server.kind === 'postgres') await sql(server, 'create extension if not exists vector')
          if (!written) {
            const lines = Array.from({ length: rows }, (_, i) => `${i}\t${i % 10}\t${vector()}\n`)
            writeFileSync(file, lines.join(''))
            written = true
          }
          await sql(
            server,
            `drop table if exists ${table}`,
            `create table ${table} (id int primary key, part int, v vector(${dimensions}))`,
          )
        },
        run: ({ server }) => timed(server, `\\copy ${table} from '${file}'`),
      },
      neighbours('L2', '', '<->'),
      neighbours('cosine', '', '<=>'),
      neighbours('L2, of a tenth', 'where part = 3', '<->'),
    ] satisfies Step[]
  })
}

/** The same numbers in every run. */
function numbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

export const postgresVersion = (bin: string): string =>
  execFileSync(join(bin, 'postgres'), ['--version'], { encoding: 'utf8' }).replace(
    /^postgres \(PostgreSQL\) (\S+).*$/s,
    'PostgreSQL $1',
  )
