/**
 * One search of a live index, at a transaction's snapshot. Three sources give ascending distances and are merged:
 *
 *     graph    linked slots with created <= t < deleted        beside it, and measured exactly:
 *     tail     slots that are committed and not linked yet
 *     own      what the transaction itself has written; committed rows it has overwritten or removed are left out
 *
 * An answer of the graph is completed by everything beside it that is nearer than the answer's last; when the graph has
 * no more, the rest beside it follows.
 */
import type { Key } from '../../storage/keys/brand.ts'
import type { Txn } from '../../storage/kv/kv.ts'
import type { Value } from '../types/value.ts'
import { unpackVector } from '../types/vector/packed.ts'
import { TRAILER_BYTES } from './entry.ts'
import type { GraphHits, GraphSearch } from './graph/graph.ts'
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
  /** Exact distances of rows by their entries at the snapshot: for a quantized graph. */
  measure(txn: Txn, names: readonly string[], query: Value): readonly (number | undefined)[]
  /** The search is over. Called once. */
  closed(): void
}

export interface SearchPlan {
  readonly effort: number
  readonly allow: Uint8Array | undefined
  readonly allowNames: ReadonlySet<string> | undefined
  readonly own: OwnEntries | undefined
}

export class LiveSearch implements VectorSearch {
  readonly #source: SearchSource
  readonly #txn: Txn
  readonly #query: Value
  readonly #plan: SearchPlan
  readonly #packed: Uint8Array
  readonly #at: number
  readonly #graph: IndexGraph
  readonly #search: GraphSearch | undefined
  /** The tail is what lay there when the search began. */
  readonly #tailFrom: number
  readonly #tailUntil: number
  /** Candidates beside the graph, ascending, and how many of them were given. */
  #beside: Candidate[] | undefined
  #given = 0
  #graphEnded = false
  #ended = false
  #isClosed = false
  #visited = 0

  constructor(source: SearchSource, txn: Txn, query: Value, packed: Uint8Array, plan: SearchPlan) {
    this.#source = source
    this.#txn = txn
    this.#query = query
    this.#plan = plan
    this.#packed = packed
    this.#at = txn.snapshot
    this.#graph = source.graph
    this.#tailFrom = source.linked
    this.#tailUntil = source.graph.slots
    const { effort, allow } = plan
    if (source.linked > 0) {
      this.#search = source.graph.search(packed, {
        effort,
        at: this.#at,
        until: source.linked,
        ...(allow === undefined ? {} : { allow }),
      })
    } else this.#graphEnded = true
  }

  get visited(): number {
    return this.#visited + (this.#search?.visited ?? 0)
  }

  next(): Hits | Promise<Hits | undefined> | undefined {
    if (this.#ended) return undefined
    if (this.#beside === undefined) {
      const beside = this.#measureBeside()
      if (beside instanceof Promise) {
        return beside.then((measured) => {
          this.#beside = measured
          return this.next()
        })
      }
      this.#beside = beside
    }
    while (!this.#graphEnded) {
      const answer = this.#search!.next()
      if (answer instanceof Promise) return answer.then((hits) => this.#taken(hits) ?? this.next())
      const hits = this.#taken(answer)
      if (hits !== undefined) return hits
    }
    return this.#rest()
  }

  close(): void {
    this.#ended = true
    if (this.#isClosed) return
    this.#isClosed = true
    this.#search?.close()
    this.#source.closed()
  }

  /** The tail and the transaction's own, by distance. */
  #measureBeside(): Candidate[] | Promise<Candidate[]> {
    const { own, allow, allowNames } = this.#plan
    const { spec, isQuantized } = this.#source
    const beside: Candidate[] = []
    if (own !== undefined) {
      for (const [name, value] of own) {
        if (value === undefined || allowNames?.has(name) === false) continue
        beside.push({ name, distance: spec.distance(value, this.#query) })
      }
      this.#visited += beside.length
    }
    const from = this.#tailFrom
    const until = this.#tailUntil
    if (from >= until) return beside.sort(byDistance)
    const exact = this.#graph.exact(this.#packed, {
      from,
      until,
      at: this.#at,
      ...(allow === undefined ? {} : { allow }),
    })
    this.#visited += until - from
    const withTail = (hits: GraphHits): Candidate[] => {
      const tail = this.#candidates(hits)
      if (isQuantized) tail.sort(byDistance)
      for (const each of tail) beside.push(each)
      return beside.sort(byDistance)
    }
    return exact instanceof Promise ? exact.then(withTail) : withTail(exact)
  }

  /** Slots as rows, without those that the transaction has written; exact distances when the graph's are rough. */
  #candidates({ slots, distances }: GraphHits): Candidate[] {
    const { own } = this.#plan
    const source = this.#source
    const out: Candidate[] = []
    for (let i = 0; i < slots.length; i++) {
      const name = source.name(slots[i]!)
      if (own?.has(name) !== true) out.push({ name, distance: distances[i]! })
    }
    if (!source.isQuantized || out.length === 0) return out
    const names = out.map((each) => each.name)
    const measured = source.measure(this.#txn, names, this.#query)
    return names
      .flatMap((name, i) => (measured[i] === undefined ? [] : [{ name, distance: measured[i] }]))
      .sort(byDistance)
  }

  /** An answer of the graph with what is nearer beside it; undefined when nothing is left of it. */
  #taken(hits: GraphHits | undefined): Hits | undefined {
    if (hits === undefined) {
      this.#graphEnded = true
      return undefined
    }
    const found = this.#candidates(hits)
    const beside = this.#beside!
    const last = found.at(-1)
    if (last === undefined) return undefined
    const merged: Candidate[] = []
    for (const each of found) {
      while (this.#given < beside.length && nearer(beside[this.#given]!.distance, each.distance) <= 0)
        merged.push(beside[this.#given++]!)
      merged.push(each)
    }
    return this.#hits(merged)
  }

  #rest(): Hits | undefined {
    const beside = this.#beside!
    if (this.#given >= beside.length) {
      this.close()
      return undefined
    }
    const from = this.#given
    this.#given = Math.min(beside.length, from + Math.max(1, this.#plan.effort))
    return this.#hits(beside.slice(from, this.#given))
  }

  #hits(candidates: readonly Candidate[]): Hits {
    const { rowPrefix } = this.#source.spec
    const keys = new Array<Key>(candidates.length)
    const distances = new Float64Array(candidates.length)
    for (let i = 0; i < candidates.length; i++) {
      keys[i] = (rowPrefix + candidates[i]!.name) as Key
      distances[i] = candidates[i]!.distance
    }
    return { keys, distances }
  }
}

const byDistance = (a: Candidate, b: Candidate): number => nearer(a.distance, b.distance)
