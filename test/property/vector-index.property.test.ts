/**
 * Whatever interleaving of transactions: a search of the index, drained, gives each entry its snapshot sees once, nearest
 * first where one answer is concerned, as the exact search over the entries does.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { vectorEntry } from '../../sql/vector/entry.ts'
import { exactHits } from '../../sql/vector/exact-search.ts'
import { openGraphs } from '../../sql/vector/graphs.ts'
import type { Graphs } from '../../sql/vector/index-graph.ts'
import { RowList } from '../../sql/vector/row-list.ts'
import type { Hits, VectorIndex, VectorIndexSpec } from '../../sql/vector/vector-index.ts'
import { openVectorIndexes } from '../../sql/vector/vector-indexes.ts'
import { openMemoryEngine } from '../../storage/engine/memory.ts'
import { type Key, oid } from '../../storage/keys/brand.ts'
import { int32Key } from '../../storage/keys/encode.ts'
import { indexPrefix } from '../../storage/keys/map.ts'
import type { Isolation, Kv, Savepoint, Txn } from '../../storage/kv/kv.ts'
import { openKv } from '../../storage/kv/open-kv.ts'
import { openLocalLog } from '../../storage/range/local-log.ts'
import { manualClock } from '../storage/manual-clock.ts'
import { arrayGraphs } from '../vector/array-graph.ts'

const prefix = indexPrefix(5, 200, 1)
const rowPrefix = indexPrefix(5, 100, 0)
const spec: VectorIndexSpec = {
  index: oid(1),
  table: oid(2),
  name: 'i',
  prefix,
  rowPrefix,
  element: 'f32',
  dimensions: 2,
  metric: 'l2',
  distance: (a, b) => Math.hypot(...[...(a as Float32Array)].map((n, i) => n - (b as Float32Array)[i]!)),
  method: 'hnsw',
  m: 4,
  efConstruction: 16,
  lists: 1,
  quantization: 'none',
  tenantColumns: 0,
}
const entry = vectorEntry(spec)
const keyOf = (id: number) => (prefix + int32Key('' as Key, id)) as Key
const rowOf = (id: number) => (rowPrefix + int32Key('' as Key, id)) as Key

async function drained(
  index: VectorIndex,
  txn: Txn,
  query: Float32Array,
  effort: number,
  allow?: RowList,
): Promise<Hits> {
  const search = index.search(txn, query, { effort, tenant: undefined, allow })
  const keys: Key[] = []
  const distances: number[] = []
  for (;;) {
    const hits = await search.next()
    if (hits === undefined) break
    expect(hits.keys.length).toBeGreaterThan(0)
    expect([...hits.distances]).toEqual([...hits.distances].sort((a, b) => a - b))
    keys.push(...hits.keys)
    distances.push(...hits.distances)
  }
  expect(await search.next()).toBeUndefined()
  search.close()
  return { keys, distances: Float64Array.from(distances) }
}

const rounded = ({ keys, distances }: Hits) =>
  keys.map((key, i) => `${key.slice(rowPrefix.length)} ${distances[i]!.toFixed(4)}`).sort()

type Step =
  | { readonly kind: 'begin'; readonly txn: number; readonly isolation: Isolation }
  | { readonly kind: 'put'; readonly txn: number; readonly id: number; readonly x: number; readonly y: number }
  | { readonly kind: 'remove'; readonly txn: number; readonly id: number }
  | { readonly kind: 'end'; readonly txn: number; readonly commits: boolean }
  | { readonly kind: 'savepoint' | 'rollback to' | 'statement'; readonly txn: number }
  | {
      readonly kind: 'search'
      readonly txn: number
      readonly x: number
      readonly effort: number
      readonly some: boolean
    }
  | { readonly kind: 'turns'; readonly count: number }
  | { readonly kind: 'reopen' }

const txnNumber = fc.integer({ min: 0, max: 2 })
const id = fc.integer({ min: 0, max: 30 })
const place = fc.integer({ min: -20, max: 20 })
const isolation = fc.constantFrom<Isolation>('read-committed', 'repeatable-read', 'serializable')
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('begin' as const), txn: txnNumber, isolation }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('put' as const), txn: txnNumber, id, x: place, y: place }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('remove' as const), txn: txnNumber, id }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('end' as const), txn: txnNumber, commits: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('savepoint' as const, 'rollback to' as const, 'statement' as const),
      txn: txnNumber,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('search' as const),
      txn: txnNumber,
      x: place,
      effort: fc.integer({ min: 1, max: 40 }),
      some: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('turns' as const), count: fc.integer({ min: 1, max: 6 }) }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'reopen' as const }) },
)

async function run(graphs: Graphs, steps: readonly Step[]): Promise<void> {
  const engine = openMemoryEngine()
  const kv: Kv = await openKv(engine, { clock: manualClock(), openLog: openLocalLog(engine) })
  const warned: unknown[] = []
  const openIndexes = () =>
    openVectorIndexes({ kv, graphs, folder: undefined, warn: (message, fields) => warned.push(message, fields) })
  let indexes = openIndexes()
  const txns: (Txn | undefined)[] = [undefined, undefined, undefined]
  const marks: (Savepoint | undefined)[] = [undefined, undefined, undefined]
  const begin = (n: number, level: Isolation): Txn => {
    const txn = kv.begin({ isolation: level, readOnly: false, pid: n + 1, lockTimeoutMs: () => 0 })
    txn.beginStatement()
    txns[n] = txn
    marks[n] = undefined
    return txn
  }
  const active = (n: number) => txns[n] ?? begin(n, 'read-committed')
  const locks = (txn: Txn, key: Key) => txn.lock(key, 'update', 'skip') !== false
  for (const it of steps) {
    switch (it.kind) {
      case 'begin':
        if (txns[it.txn] === undefined) begin(it.txn, it.isolation)
        break
      case 'put': {
        const txn = active(it.txn)
        if (!locks(txn, keyOf(it.id))) break
        const { buffer, length } = entry.write(Float32Array.of(it.x, it.y), 0)!
        txn.put(keyOf(it.id), buffer, length)
        break
      }
      case 'remove': {
        const txn = active(it.txn)
        if (locks(txn, keyOf(it.id))) txn.remove(keyOf(it.id))
        break
      }
      case 'end': {
        const txn = txns[it.txn]
        txns[it.txn] = undefined
        if (txn === undefined) break
        if (it.commits) await txn.commit().catch((error: Error) => expect(error.name).toBe('KvError'))
        else txn.rollback()
        break
      }
      case 'savepoint':
        marks[it.txn] = active(it.txn).savepoint()
        break
      case 'rollback to':
        if (marks[it.txn] !== undefined) txns[it.txn]?.rollbackTo(marks[it.txn]!)
        break
      case 'statement':
        active(it.txn).beginStatement()
        break
      case 'search': {
        const txn = active(it.txn)
        const query = Float32Array.of(it.x, 0)
        const allow = it.some ? RowList.of(Array.from({ length: 16 }, (_, i) => rowOf(i * 2))) : undefined
        const exact = exactHits(spec, txn, query, { tenant: undefined, allow })
        const index = indexes.open(spec)
        expect(rounded(await drained(index, txn, query, it.effort, allow))).toEqual(rounded(exact))
        if (allow !== undefined) expect(rounded(index.nearestOf(txn, query, allow, 100))).toEqual(rounded(exact))
        break
      }
      case 'turns':
        for (let i = 0; i < it.count; i++) await new Promise((resolve) => setImmediate(resolve))
        break
      case 'reopen':
        await indexes.close()
        indexes = openIndexes()
        break
    }
  }
  for (const txn of txns) txn?.rollback()
  await indexes.close()
  await kv.close()
  expect(warned).toEqual([])
}

test('a drained search equals the exact one (array graph)', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 120 }), (steps) => run(arrayGraphs, steps)),
    { numRuns: 150 },
  )
})

test('a drained search equals the exact one (the graph itself)', async () => {
  const graphs = openGraphs()
  // Opened and closed again and again: the threads stay.
  const kept: Graphs = { ...graphs, close: async () => {} }
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 120 }), (steps) => run(kept, steps)),
    { numRuns: 60 },
  )
  await graphs.close()
})
