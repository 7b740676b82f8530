/**
 * How much a search finds for its effort, measured on the index itself: some stored vectors are asked as queries, the
 * graph's answers are compared with exact ones. For rare rows the same is done with random sets of allowed slots.
 */
import type { GraphHits, GraphSearch } from './graph/graph.ts'
import type { IndexGraph } from './index-graph.ts'

export interface CalibrationRow {
  /** Of all entries that a search may return, 0 to 1. */
  readonly share: number
  readonly effort: number
  /** At K. */
  readonly recall: number
}

const K = 10
const QUERIES = 32
const EFFORTS = [10, 16, 24, 40, 64, 100, 160, 250, 400, 640, 1000]
const SHARES = [1, 0.1, 0.01]
/** A recall that more effort need not better. */
const ENOUGH = 0.998
/** A smaller index is searched whole by any effort. */
const SLOTS_MIN = 200
/** A recall that is missed by more is not reached by twice the effort. */
const FAR = 0.1
/** Before anything was measured. */
const ASSUMED: readonly CalibrationRow[] = [
  { share: 1, effort: 40, recall: 0.9 },
  { share: 1, effort: 100, recall: 0.95 },
  { share: 1, effort: 200, recall: 0.98 },
  { share: 1, effort: 400, recall: 0.99 },
]

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

export class Calibration {
  #table: readonly CalibrationRow[] = []
  #running = false

  get table(): readonly CalibrationRow[] {
    return this.#table
  }

  restore(table: readonly CalibrationRow[]): void {
    this.#table = table
  }

  /** Measures the linked part of a graph; gives way between queries. */
  async run(graph: IndexGraph, linked: number, isOver: () => boolean): Promise<void> {
    if (this.#running || linked < SLOTS_MIN) return
    this.#running = true
    try {
      const table: CalibrationRow[] = []
      for (const share of SHARES) {
        if (linked * share < K * 4) break
        const rows = await measureShare(graph, linked, share, isOver)
        if (rows === undefined) return
        table.push(...rows)
      }
      this.#table = table
    } finally {
      this.#running = false
    }
  }

  /** The least effort that was measured to find `recall` of `limit` rows; all slots when nothing less is sure. */
  effortFor(recall: number, limit: number, share: number, slots: number): number {
    if (recall >= 1) return Math.max(limit, slots)
    const table = this.#table.length > 0 ? this.#table : ASSUMED
    // Rows of the share next below what is asked: rarer rows are harder to find.
    const shares = [...new Set(table.map((row) => row.share))].sort((a, b) => b - a)
    const nearest = shares.find((each) => each <= share) ?? shares.at(-1)!
    const rows = table.filter((row) => row.share === nearest)
    const found = rows.find((row) => row.recall >= recall)
    const last = rows.at(-1)!
    // Too far from it to be guessed: the graph falls into parts.
    if (found === undefined && last.recall < recall - FAR) return Math.max(limit, slots)
    const effort = found?.effort ?? last.effort * 2
    return Math.ceil(Math.max(limit, limit > K ? (effort * limit) / K : effort))
  }
}

interface Asked {
  readonly slot: number
  readonly query: Uint8Array
  /** How many there are to be found, and the distance of the last of them. */
  readonly wanted: number
  readonly bound: number
}

async function measureShare(
  graph: IndexGraph,
  linked: number,
  share: number,
  isOver: () => boolean,
): Promise<CalibrationRow[] | undefined> {
  const allow = share === 1 ? undefined : randomBits(linked, share)
  const options = { until: linked, ...(allow === undefined ? {} : { allow }) }
  const asked: Asked[] = []
  const step = Math.max(1, Math.floor(linked / (QUERIES * 2)))
  for (let slot = 0; slot < linked && asked.length < QUERIES; slot += step) {
    if (graph.deleted(slot) !== Infinity) continue
    const query = Uint8Array.from(graph.vector(slot))
    const exact = await graph.exact(query, { ...options, limit: K + 1 })
    const others = [...exact.distances].filter((_, i) => exact.slots[i] !== slot).slice(0, K)
    if (others.length > 0) asked.push({ slot, query, wanted: others.length, bound: others.at(-1)! })
    await turn()
    if (isOver()) return undefined
  }
  const wanted = asked.reduce((sum, each) => sum + each.wanted, 0)
  if (wanted === 0) return []
  const rows: CalibrationRow[] = []
  for (const effort of EFFORTS) {
    let found = 0
    for (const { slot, query, wanted: most, bound } of asked) {
      // The vector itself is among the answers.
      const hits = await first(graph.search(query, { ...options, effort: effort + 1 }))
      let good = 0
      // What is as near as the last of them is as good.
      for (let h = 0; h < hits.slots.length && good < most; h++)
        if (hits.slots[h] !== slot && hits.distances[h]! <= bound) good++
      found += good
      await turn()
      if (isOver()) return undefined
    }
    const recall = found / wanted
    rows.push({ share, effort, recall })
    if (recall >= ENOUGH) break
  }
  return rows
}

async function first(search: GraphSearch): Promise<GraphHits> {
  try {
    return (await search.next()) ?? { slots: new Uint32Array(0), distances: new Float64Array(0) }
  } finally {
    search.close()
  }
}

/** The same for the same numbers: a calibration can be repeated. */
function randomBits(count: number, share: number): Uint8Array {
  const bits = new Uint8Array((count + 7) >> 3)
  const below = share * 2 ** 32
  let state = 0x9e3779b9
  for (let i = 0; i < count; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    if (state >>> 0 < below) bits[i >> 3] = bits[i >> 3]! | (1 << (i & 7))
  }
  return bits
}
