/**
 * How much a search finds for its effort, measured on the index itself: queries are asked of the graph, and its answers
 * compared with exact ones. For rare rows the same is done with random sets of allowed slots.
 *
 * The queries are stored vectors (a stored one itself is found too easily: its own links lead to what is near), some way
 * towards another one: about as hard as vectors of the same kind that are not stored. What was measured lies on a curve;
 * efforts in between are read off it, in logarithms of effort and of what is missed.
 */
import { HALF_VALUES, toHalf } from '../types/vector/half.ts'
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
const QUERIES = 160
const EFFORTS = [10, 20, 40, 80, 160, 320, 640, 1280]
const SHARES = [1, 0.1, 0.01]
/** How far queries lie from their stored vectors towards others, in turns. */
const BLENDS = [0.1, 0.3]
/** A recall that more effort need not better. */
const ENOUGH = 0.998
/** Of what may be missed, this part is left for what a sample cannot know. */
const MARGIN = 0.2
/** Its multiples lie evenly between 0 and 1, however many are taken. */
const GOLDEN = (Math.sqrt(5) - 1) / 2
/** What twice the effort leaves of what is missed, where the curve does not say so. */
const HALVING = 0.7
/** Up to so many elements (rows times dimensions) that match are measured exactly; above, a graph is asked for them alone. */
export const GATHER_ELEMENTS = 15_000_000
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
      for (const [i, share] of SHARES.entries()) {
        // Of rows that are rarer than the share before, fewer are measured exactly.
        const most = linked * (SHARES[i - 1] ?? Infinity)
        if (linked * share < K * 4 || most * Math.max(1, graph.spec.dimensions) <= GATHER_ELEMENTS) break
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
    const effort = effortOn(rows, 1 - (1 - recall) * (1 - MARGIN))
    // Too far from it to be guessed: the graph falls into parts.
    if (effort === undefined) return Math.max(limit, slots)
    return Math.ceil(Math.max(limit, limit > K ? (effort * limit) / K : effort))
  }
}

/** Where the curve through the rows (of ascending effort) reaches the recall; undefined: it stays far below. */
function effortOn(rows: readonly CalibrationRow[], recall: number): number | undefined {
  const missed = (row: CalibrationRow): number => Math.log(Math.max(1 - row.recall, 1e-4))
  const wanted = Math.log(Math.max(1 - recall, 1e-4))
  let before: CalibrationRow | undefined
  for (const row of rows) {
    if (missed(row) <= wanted) {
      if (before === undefined) return row.effort
      const part = (missed(before) - wanted) / (missed(before) - missed(row))
      return before.effort * (row.effort / before.effort) ** part
    }
    // What chance has made worse again is as it was.
    if (before === undefined || row.recall >= before.recall) before = row
  }
  const last = rows.at(-1)!
  if (last.recall < recall - FAR) return undefined
  return last.effort * 2 ** ((wanted - missed(last)) / Math.log(HALVING))
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
  const queries = Math.min(QUERIES, linked)
  for (let i = 0; i < queries * 2 && asked.length < queries; i++) {
    // Early and late ones alike: those that came first are found more easily.
    const slot = Math.floor(((i * GOLDEN) % 1) * linked)
    if (graph.deleted(slot) !== Infinity) continue
    const query = blended(graph, slot, (slot + (linked >> 1)) % linked, BLENDS[asked.length % BLENDS.length]!)
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

/** A slot's vector some part of the way towards another one's; of bits, that part of the bytes. Sparse ones stay as they are. */
function blended(graph: IndexGraph, slot: number, other: number, part: number): Uint8Array {
  const from = Uint8Array.from(graph.vector(slot))
  const { element } = graph.spec
  if (part === 0 || element === 'sparse' || graph.deleted(other) !== Infinity) return from
  const to = Uint8Array.from(graph.vector(other))
  if (element === 'bit') {
    const every = Math.round(1 / part)
    for (let i = slot % every; i < from.length; i += every) from[i] = to[i]!
    return from
  }
  const target = to.buffer
  if (element === 'f16') {
    const halves = new Uint16Array(from.buffer)
    const others = new Uint16Array(target)
    for (let i = 0; i < halves.length; i++)
      halves[i] = toHalf(HALF_VALUES[halves[i]!]! * (1 - part) + HALF_VALUES[others[i]!]! * part)
    return from
  }
  const floats = new Float32Array(from.buffer)
  const others = new Float32Array(target)
  for (let i = 0; i < floats.length; i++) floats[i] = floats[i]! * (1 - part) + others[i]! * part
  return from
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
