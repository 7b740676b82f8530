/**
 * What a vector benchmark does to a server: the same on each side. Searches are prepared and go through the `pg` driver;
 * their figures are queries a second of the clock, the server's own milliseconds of CPU for one, and recall.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import type { TestServer } from '../support/server.ts'
import { type DataSet, K, textOf } from './vector-data.ts'

export const OPERATORS = { l2: '<->', cosine: '<=>' } as const

export async function connect(server: TestServer, settings: readonly string[] = []): Promise<pg.Client> {
  const client = new pg.Client({ host: server.host, port: server.port, user: 'postgres', database: 'alopex' })
  await client.connect()
  for (const setting of settings) await client.query(`set ${setting}`)
  return client
}

export interface Figures {
  readonly qps: number
  /** Of the server's processes, for one query. */
  readonly cpuMs: number
  readonly recall: number
  /** The mean number of rows. */
  readonly rows: number
}

export interface Searches {
  readonly table: string
  readonly data: DataSet
  /** `part < limit`; 1000 is no filter. */
  readonly limit: number
  readonly truth: readonly Set<number>[]
  readonly settings: readonly string[]
  readonly clients: number
  readonly count: number
}

export async function search(server: TestServer, searches: Searches): Promise<Figures> {
  const { table, data, limit, truth, settings, clients, count } = searches
  const where = limit === 1000 ? '' : `where part < ${limit} `
  const query = {
    name: 'nearest',
    text: `select id from ${table} ${where}order by v ${OPERATORS[data.metric]} $1 limit ${K}`,
  }
  const texts = data.queries.map(textOf)
  const sessions = await Promise.all(Array.from({ length: clients }, () => connect(server, settings)))
  let next = 0
  let found = 0
  let wanted = 0
  let rows = 0
  const run = async (client: pg.Client): Promise<void> => {
    while (next < count) {
      const i = next++ % texts.length
      const result = await client.query<{ id: number }>({ ...query, values: [texts[i]!] })
      const nearest = truth[i]!
      for (const { id } of result.rows) if (nearest.has(id)) found++
      wanted += nearest.size
      rows += result.rows.length
    }
  }
  try {
    for (const client of sessions) await client.query({ ...query, values: [texts[0]!] })
    const cpu = cpuMilliseconds(server.pid)
    const began = performance.now()
    await Promise.all(sessions.map(run))
    const seconds = (performance.now() - began) / 1000
    const cpuMs = (cpuMilliseconds(server.pid) - cpu) / count
    return { qps: count / seconds, cpuMs, recall: wanted === 0 ? 1 : found / wanted, rows: rows / count }
  } finally {
    await Promise.all(sessions.map((client) => client.end()))
  }
}

/** What EXPLAIN says first of how the search is done. */
export async function planOf(server: TestServer, searches: Searches): Promise<string> {
  const { table, data, limit, settings } = searches
  const client = await connect(server, settings)
  const where = limit === 1000 ? '' : `where part < ${limit} `
  const near = textOf(data.queries[0]!)
  const text = `explain (costs off) select id from ${table} ${where}order by v ${OPERATORS[data.metric]} '${near}' limit ${K}`
  const { rows } = await client.query<{ 'QUERY PLAN': string }>(text)
  await client.end()
  const lines = rows.map((row) => row['QUERY PLAN'].trim().replace(/^->\s+/, ''))
  return lines.find((line) => / (?:Scan|Search|Gather)/.test(line))?.replaceAll(`'${near}'`, '…') ?? lines.join('; ')
}

export interface Stall {
  readonly longest: number
  readonly p99: number
}

/** Another session's point queries while `work` goes on. */
export async function watched<T>(
  server: TestServer,
  table: string,
  rows: number,
  work: () => Promise<T>,
): Promise<[T, Stall]> {
  const probe = fileURLToPath(new URL('vector-probe.ts', import.meta.url))
  const child = spawn(process.execPath, ['--import', 'tsx', probe, `${server.port}`, table, `${rows}`], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let said = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  const ended = once(child, 'exit')
  while (!said.includes('ready')) {
    if (child.exitCode !== null) throw new Error('the probe ended')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  try {
    const result = await work()
    child.stdin.end()
    await ended
    return [result, JSON.parse(said.split('\n')[1]!) as Stall]
  } finally {
    child.stdin.end()
  }
}

/** A process and its children, by their number. */
function processes(pid: number): number[] {
  const children = readdirSync('/proc').filter((name) => {
    if (!/^\d+$/.test(name)) return false
    const words = statOf(`/proc/${name}`)
    return words !== undefined && Number(words[1]) === pid
  })
  return [pid, ...children.map(Number)]
}

/** What stands behind the name in a stat file: state, parent …; undefined when the process has ended. */
function statOf(folder: string): string[] | undefined {
  try {
    const stat = readFileSync(`${folder}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  } catch {
    return undefined
  }
}

/** CPU time of a process, its children and those of its children that have ended, by the clock's hundredths. */
export function cpuSeconds(pid: number): number {
  let ticks = 0
  for (const each of processes(pid)) {
    const words = statOf(`/proc/${each}`)
    if (words === undefined) continue
    const [user, system, childUser, childSystem] = words.slice(11, 15).map(Number) as [number, number, number, number]
    ticks += user + system + (each === pid ? childUser + childSystem : 0)
  }
  return ticks / 100
}

/** CPU time of the threads that are alive, to the microsecond: for work during which none ends. */
function cpuMilliseconds(pid: number): number {
  let nanoseconds = 0
  for (const each of processes(pid)) {
    for (const thread of readdirSync(`/proc/${each}/task`))
      nanoseconds += Number(readFileSync(`/proc/${each}/task/${thread}/schedstat`, 'utf8').split(' ')[0])
  }
  return nanoseconds / 1e6
}
