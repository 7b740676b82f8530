/**
 * How much a search finds for its effort, measured on the index itself: queries are asked of the graph, and its answers
 * compared with exact ones. For rare rows the same is done with random sets of allowed slots.
 *
 * A query is a stored vector, asked as if it were not stored (`without`): where such queries lie is where others of their
 * kind will. What was measured lies on a curve, less what so small a sample cannot know; efforts in between are read off
 * it, in logarithms of effort and of what is missed.
 */
import type { GraphHits, GraphSearch, Slot } from './graph/graph.ts'
import type { IndexGraph } from './index-graph.ts'
import { graphJudge, type Judge } from './judge.ts'
import { turn } from './slices.ts'

export interface CalibrationRow {
  /** Of all entries that a search may return, 0 to 1. */
  readonly share: number
  readonly effort: number
  /** So many are to be found: one of DEPTHS. */
  readonly depth: number
  readonly recall: number
  /** The standard error of `recall`. */
  readonly error: number
}

/** Recall is measured of the 10 nearest, and of the 100 nearest: what lies further down takes more effort, how much depends on the data. */
const DEPTHS = [10, 100] as const
const [NEAR, DEEP] = DEPTHS
/** Within these bounds one query for so many slots, as long as exact answers take no more elements (queries times rows times dimensions). */
const QUERIES = { min: 160, max: 400 }
const EXACT_ELEMENTS = 12e9
const SLOTS_A_QUERY = 16
const EFFORTS = [10, 20, 40, 80, 160, 320, 640, 1280]
const SHARES = [1, 0.1, 0.01]
/** A recall that more effort need not better. */
const ENOUGH = 0.998
/** Standard errors that the true recall may lie below the measured one. */
const ERRORS = 1.5
/** Of what may be missed, this part is left for what the curve does between the measured efforts. */
const BETWEEN = 0.05
/** Its multiples lie evenly between 0 and 1, however many are taken. */
const GOLDEN = (Math.sqrt(5) - 1) / 2
/** What twice the effort leaves of what is missed behind the curve's end, if not more. */
const LEFT = 0.7
/** Up to so many elements (rows times dimensions) that match are measured exactly; above, a graph is asked for them alone. */
export const GATHER_ELEMENTS = 15_000_000
/** Efforts more for each row further down, where that was not measured. */
const ROOM = 2.5
/** So many candidates more for each row, at least, for ten times as many rows as were measured: what they are among may end between (a cluster). */
const BEHIND = 1.5
/** A smaller index is searched whole by any effort. */
const SLOTS_MIN = 200
/** A recall that is missed by more is not reached by twice the effort. */
const FAR = 0.1
/** Before anything was measured: as in 100,000 word vectors. */
const ASSUMED: readonly CalibrationRow[] = [
  { share: 1, depth: NEAR, effort: 60, recall: 0.9, error: 0 },
  { share: 1, depth: NEAR, effort: 130, recall: 0.95, error: 0 },
  { share: 1, depth: NEAR, effort: 300, recall: 0.98, error: 0 },
  { share: 1, depth: NEAR, effort: 500, recall: 0.99, error: 0 },
]

/** The rows of one share by depth, with efforts ascending. */
interface Curves {
  readonly share: number
  readonly near: readonly CalibrationRow[]
  readonly deep: readonly CalibrationRow[]
}

function curvesOf(table: readonly CalibrationRow[]): readonly Curves[] {
  const shares = [...new Set(table.map((row) => row.share))].sort((a, b) => b - a)
  const at = (share: number, depth: number) => table.filter((row) => row.share === share && row.depth === depth)
  return shares.map((share) => ({ share, near: at(share, NEAR), deep: at(share, DEEP) }))
}

export class Calibration {
  #table: readonly CalibrationRow[] = []
  /** By descending share. */
  #curves = curvesOf(ASSUMED)
  #running = false

  get table(): readonly CalibrationRow[] {
    return this.#table
  }

  restore(table: readonly CalibrationRow[]): void {
    this.#table = table
    this.#curves = curvesOf(table.length > 0 ? table : ASSUMED)
  }

  /** Measures the linked part of a graph; gives way between queries. `judging`: what is truly near, where the graph does not know. */
  async run(graph: IndexGraph, linked: number, isOver: () => boolean, judging?: () => Judge): Promise<void> {
    if (this.#running || linked < SLOTS_MIN) return
    this.#running = true
    let judge: Judge | undefined
    try {
      // A commit that is being followed is to be seen.
      await turn()
      if (isOver()) return
      judge = judging?.() ?? graphJudge(graph, linked, isOver)
      const table: CalibrationRow[] = []
      for (const [i, share] of SHARES.entries()) {
        // Of rows that are rarer than the share before, fewer are measured exactly.
        const most = linked * (SHARES[i - 1] ?? Infinity)
        if (linked * share < NEAR * 4 || most * Math.max(1, graph.spec.dimensions) <= GATHER_ELEMENTS) break
        const rows = await measureShare(graph, judge, linked, share, isOver)
        if (rows === undefined) return
        table.push(...rows)
      }
      this.restore(table)
    } finally {
      judge?.close()
      this.#running = false
    }
  }

  /** The least effort that was measured to find `recall` of `limit` rows; all slots when nothing less is sure. */
  effortFor(recall: number, limit: number, share: number, slots: number): number {
    if (recall >= 1) return Math.max(limit, slots)
    // Rows of the share next below what is asked: rarer rows are harder to find.
    const curves = this.#curves.find((each) => each.share <= share) ?? this.#curves.at(-1)!
    const near = effortOn(curves.near, recall)
    const deep = near === undefined || limit <= NEAR ? near : furtherDown(curves, near, recall, limit)
    // Too far from it to be guessed: the graph falls into parts.
    return Math.max(limit, Math.ceil(deep ?? slots))
  }
}

/** For more rows than NEAR: a power of their number up to DEEP; behind it between that and a straight line. */
function furtherDown({ deep }: Curves, near: number, recall: number, limit: number): number | undefined {
  if (deep.length === 0) return near + ROOM * (limit - NEAR)
  const effort = effortOn(deep, recall)
  if (effort === undefined) return undefined
  const at = Math.max(effort, near)
  const power = near * (at / near) ** (Math.log(limit / NEAR) / Math.log(DEEP / NEAR))
  if (limit <= DEEP) return power
  const line = at + ((limit - DEEP) * (at - near)) / (DEEP - NEAR)
  return Math.max(Math.sqrt(power * line), limit * (1 + BEHIND * Math.log10(limit / DEEP)))
}

/** Where the curve through the rows (of ascending effort) reaches the recall; undefined: it stays far below. */
function effortOn(rows: readonly CalibrationRow[], recall: number): number | undefined {
  const missed = (row: CalibrationRow): number => Math.log(Math.max(1 - sureOf(row), 1e-4))
  const wanted = Math.log(Math.max(1 - recall, 1e-4))
  let before: CalibrationRow | undefined
  for (const row of rows) {
    if (missed(row) <= wanted) {
      if (before === undefined) return row.effort
      const part = (missed(before) - wanted) / (missed(before) - missed(row))
      return before.effort * (row.effort / before.effort) ** part
    }
    // What chance has made worse again is as it was.
    if (before === undefined || sureOf(row) >= sureOf(before)) before = row
  }
  const last = rows.at(-1)!
  if (sureOf(last) < recall - FAR) return undefined
  // As flat as it ends: where it does not rise any more, there is no such effort.
  const flat = rows.length < 2 ? 0 : Math.exp(missed(last) - missed(rows.at(-2)!))
  const left = Math.max(LEFT, flat)
  return left < 1 ? last.effort * 2 ** ((wanted - missed(last)) / Math.log(left)) : undefined
}

const sureOf = ({ recall, error }: CalibrationRow): number => recall - BETWEEN * (1 - recall) - ERRORS * error

interface Asked {
  readonly slot: number
  /** For each depth: how many there are to be found, and the distance of the last of them. */
  readonly wanted: readonly { readonly count: number; readonly bound: number }[]
}

async function measureShare(
  graph: IndexGraph,
  judge: Judge,
  linked: number,
  share: number,
  isOver: () => boolean,
): Promise<CalibrationRow[] | undefined> {
  const allow = share === 1 ? undefined : randomBits(linked, share)
  const options = { until: linked, ...(allow === undefined ? {} : { allow }) }
  const depths = DEPTHS.filter((depth) => linked * share >= depth * 4)
  const asked: Asked[] = []
  /** Stored twice: they would be found too easily, their twins lead to what is near. */
  const twins: Asked[] = []
  const most = Math.min(linked / SLOTS_A_QUERY, EXACT_ELEMENTS / (linked * Math.max(1, graph.spec.dimensions)))
  const queries = Math.min(linked, Math.max(QUERIES.min, Math.min(QUERIES.max, Math.floor(most))))
  for (let i = 0; i < queries * 2 && asked.length < queries; ) {
    const slots: Slot[] = []
    for (const end = Math.min(queries * 2, i + queries - asked.length); i < end; i++) {
      // Early and late ones alike: those that came first are found more easily.
      const slot = Math.floor(((i * GOLDEN) % 1) * linked)
      if (graph.deleted(slot) === Infinity) slots.push(slot)
    }
    const nearest = await judge.nearest(slots, depths.at(-1)! + 1, allow)
    if (nearest === undefined) return undefined
    for (const [at, slot] of slots.entries()) {
      const hits = nearest[at]!
      const others = hits.distances.filter((_, j) => hits.slots[j] !== slot)
      const wanted = depths.map((depth) => {
        const count = Math.min(depth, others.length)
        return { count, bound: others[count - 1]! }
      })
      if (others.length > 0) (isTwice(graph, slot, hits) ? twins : asked).push({ slot, wanted })
    }
  }
  if (asked.length < QUERIES.min) asked.push(...twins.slice(0, queries - asked.length))
  if (asked.length === 0) return []
  const rows: CalibrationRow[] = []
  for (const effort of EFFORTS) {
    const sums = depths.map(() => ({ found: 0, squares: 0 }))
    for (const { slot, wanted } of asked) {
      const query = Uint8Array.from(graph.vector(slot))
      const hits = await first(graph.search(query, { ...options, effort, without: slot }))
      const distances = await judge.measured(slot, hits)
      for (const [i, { count, bound }] of wanted.entries()) {
        // What is as near as the last of them is as good.
        let good = 0
        while (good < count && good < distances.length && distances[good]! <= bound) good++
        sums[i]!.found += good / count
        sums[i]!.squares += (good / count) ** 2
      }
      await turn()
      if (isOver()) return undefined
    }
    const measured = sums.map(({ found, squares }, i): CalibrationRow => {
      const recall = found / asked.length
      const error = Math.sqrt(Math.max(0, squares / asked.length - recall * recall) / asked.length)
      return { share, depth: depths[i]!, effort, recall, error }
    })
    rows.push(...measured.filter(({ depth }) => effort * 2 > depth))
    if (measured.every(({ recall }) => recall >= ENOUGH)) break
  }
  return rows
}

/** Whether another slot holds the same vector: the same elements, at the same distance. */
function isTwice(graph: IndexGraph, slot: Slot, { slots, distances }: GraphHits): boolean {
  const own = slots.indexOf(slot)
  const elements = Uint8Array.from(graph.vector(slot))
  return slots.some(
    (other, i) =>
      other !== slot &&
      (own === -1 || distances[i] === distances[own]) &&
      Buffer.compare(graph.vector(other), elements) === 0,
  )
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
