/**
 * One search of a live index, at a transaction's snapshot. Three sources give ascending distances and are merged:
 *
 *     graph    linked slots with created <= t < deleted, answer by answer
 *     tail     slots that are committed and not linked yet (or all, where nothing is to be missed): each is measured, and they
 *              come `effort` at a time
 *     own      what the transaction itself has written; committed rows it has overwritten or removed are left out
 *
 * An answer ends where one of them has to be asked for more.
 */
import type { Key } from '../../storage/keys/brand.ts'
import type { Txn } from '../../storage/kv/kv.ts'
import type { Value } from '../types/value.ts'
import { unpackVector } from '../types/vector/packed.ts'
import { TRAILER_BYTES } from './entry.ts'
import type { GraphHits, GraphSearch } from './graph/graph.ts'
import { EFFORT_MAX } from './graph/layout.ts'
import type { IndexGraph } from './index-graph.ts'
import type { Hits, VectorIndexSpec, VectorSearch } from './vector-index.ts'

/** A transaction's own entries by the ends of their keys; undefined: removed. */
export type OwnEntries = ReadonlyMap<string, Value | undefined>

export function ownEntries(txn: Txn, prefix: Key, spec: VectorIndexSpec): OwnEntries | undefined {
  let own: Map<string, Value | undefined> | undefined
  txn.eachOwn(prefix, (key, value) => {
    own ??= new Map()
    const vector = value && unpackVector(value.subarray(0, value.length - TRAILER_BYTES), spec.element, spec.dimensions)
    own.set(key.slice(prefix.length), vector)
  })
  return own
}

export interface Candidate {
  readonly name: string
  readonly distance: number
  /** Where the distance is the graph's, near the operator's own; undefined: it is that. */
  readonly slot?: number
}

/** NaN is behind everything. */
export const nearer = (a: number, b: number): number =>
  a < b ? -1 : a > b ? 1 : Number.isNaN(a) ? (Number.isNaN(b) ? 0 : 1) : Number.isNaN(b) ? -1 : 0

/** What a search needs of its index. */
export interface SearchSource {
  readonly spec: VectorIndexSpec
  readonly graph: IndexGraph
  /** Slots below are linked. */
  readonly linked: number
  readonly isQuantized: boolean
  name(slot: number): string
  /** By the operator. */
  distance(slot: number, query: Value): number
  /** Exact distances of rows by their entries at the snapshot: for a quantized graph. */
  measure(txn: Txn, names: readonly string[], query: Value): readonly (number | undefined)[]
  /** The search is over. Called once. */
  closed(): void
}

export interface SearchPlan {
  readonly effort: number
  /** No walk: every slot is measured. */
  readonly all: boolean
  readonly allow: Uint8Array | undefined
  readonly allowNames: ReadonlySet<string> | undefined
  readonly own: OwnEntries | undefined
}

const NONE: readonly Candidate[] = []

export class LiveSearch implements VectorSearch {
  readonly #source: SearchSource
  readonly #txn: Txn
  readonly #query: Value
  readonly #plan: SearchPlan
  /** The transaction's own, ascending, and how many of them were given. */
  readonly #own: readonly Candidate[]
  #ownGiven = 0
  readonly #sources: readonly [graph: Source, tail: Source]
  #ended = false
  #isClosed = false

  constructor(source: SearchSource, txn: Txn, query: Value, packed: Uint8Array, plan: SearchPlan) {
    this.#source = source
    this.#txn = txn
    this.#query = query
    this.#plan = plan
    const { effort, all, allow } = plan
    const at = txn.snapshot
    const { graph, linked } = source
    // The tail is what lies there now.
    const until = graph.slots
    const walked = all ? 0 : linked
    this.#sources = [
      new Source(walked === 0 ? undefined : graph.search(packed, { effort, at, allow, until: walked })),
      new Source(walked === until ? undefined : graph.sweep(packed, { effort, at, allow, from: walked, until })),
    ]
    this.#own = this.#measureOwn()
  }

  get visited(): number {
    return this.#own.length + this.#sources[0].visited + this.#sources[1].visited
  }

  next(): Hits | Promise<Hits | undefined> | undefined {
    if (this.#ended) return undefined
    const filling = this.#fill()
    return filling === undefined ? this.#merged() : filling.then(() => this.#merged())
  }

  close(): void {
    this.#ended = true
    if (this.#isClosed) return
    this.#isClosed = true
    for (const each of this.#sources) each.close()
    this.#source.closed()
  }

  #measureOwn(): readonly Candidate[] {
    const { own, allowNames } = this.#plan
    if (own === undefined) return NONE
    const out: Candidate[] = []
    for (const [name, value] of own)
      if (value !== undefined && allowNames?.has(name) !== false)
        out.push({ name, distance: this.#source.spec.distance(value, this.#query) })
    return out.sort(byDistance)
  }

  /** Every source that has not ended has something. The tail comes first: it is done at once. */
  #fill(): Promise<void> | undefined {
    for (const source of [this.#sources[1], this.#sources[0]]) {
      while (source.isEmpty && source.search !== undefined) {
        const answer = source.search.next()
        if (answer instanceof Promise)
          return answer.then((hits) => {
            this.#take(source, hits)
            return this.#fill()
          })
        this.#take(source, answer)
      }
    }
    return undefined
  }

  #take(source: Source, hits: GraphHits | undefined): void {
    const isLast = hits === undefined || (source === this.#sources[1] && hits.slots.length < this.#answerMax)
    if (isLast) source.close()
    source.queue = hits === undefined ? [] : this.#candidates(hits)
    source.given = 0
  }

  /** A sweep's answer that is smaller is its last. */
  get #answerMax(): number {
    return Math.min(Math.max(1, this.#plan.effort), EFFORT_MAX)
  }

  /** Slots as rows, without those that the transaction has written; exact distances when the graph's are rough. */
  #candidates({ slots, distances }: GraphHits): Candidate[] {
    const { own } = this.#plan
    const source = this.#source
    const out: Candidate[] = []
    for (let i = 0; i < slots.length; i++) {
      const name = source.name(slots[i]!)
      if (own?.has(name) !== true) out.push({ name, distance: distances[i]!, slot: slots[i]! })
    }
    if (!source.isQuantized || out.length === 0) return out
    const names = out.map((each) => each.name)
    const measured = source.measure(this.#txn, names, this.#query)
    return names
      .flatMap((name, i) => (measured[i] === undefined ? [] : [{ name, distance: measured[i] }]))
      .sort(byDistance)
  }

  /** The heads of all in order, until one that has not ended is used up: what it has next may be nearer than the others'. */
  #merged(): Hits | undefined {
    const [graph, tail] = this.#sources
    const own = this.#own
    const out: Candidate[] = []
    for (;;) {
      const [g, t, o] = [graph.head, tail.head, own[this.#ownGiven]]
      if ((g === undefined && graph.search !== undefined) || (t === undefined && tail.search !== undefined)) break
      let best = g
      let from: Source | undefined = graph
      if (t !== undefined && (best === undefined || nearer(t.distance, best.distance) < 0)) {
        best = t
        from = tail
      }
      if (o !== undefined && (best === undefined || nearer(o.distance, best.distance) < 0)) {
        best = o
        from = undefined
      }
      if (best === undefined) break
      out.push(best)
      if (from === undefined) this.#ownGiven++
      else from.given++
    }
    if (out.length > 0) return this.#hits(out)
    this.close()
    return undefined
  }

  #hits(candidates: readonly Candidate[]): Hits {
    const { rowPrefix } = this.#source.spec
    const keys = new Array<Key>(candidates.length)
    const distances = new Float64Array(candidates.length)
    for (let i = 0; i < candidates.length; i++) {
      keys[i] = (rowPrefix + candidates[i]!.name) as Key
      distances[i] = candidates[i]!.distance
    }
    return { keys, distances, distanceOf: (hit) => this.#distanceOf(candidates[hit]!) }
  }

  #distanceOf({ slot, distance }: Candidate): number {
    return slot === undefined ? distance : this.#source.distance(slot, this.#query)
  }
}

/** What a search of the graph has given and was not passed on yet. */
class Source {
  /** undefined: there is no more. */
  search: GraphSearch | undefined
  queue: readonly Candidate[] = []
  given = 0
  #visited = 0

  constructor(search: GraphSearch | undefined) {
    this.search = search
  }

  get head(): Candidate | undefined {
    return this.queue[this.given]
  }

  get isEmpty(): boolean {
    return this.given >= this.queue.length
  }

  get visited(): number {
    return this.search?.visited ?? this.#visited
  }

  close(): void {
    this.#visited = this.visited
    this.search?.close()
    this.search = undefined
  }
}

const byDistance = (a: Candidate, b: Candidate): number => nearer(a.distance, b.distance)
