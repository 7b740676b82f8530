/**
 * The door to the graph of a vector index: HNSW (Malkov, Yashunin: "Efficient and robust approximate nearest neighbor
 * search using hierarchical navigable small world graphs", 2016) over one shared WebAssembly.Memory. Vectors, links and
 * timestamps lie in that memory; whatever is done once a vector is done by the kernel (sql/types/vector/kernel.c), in
 * this thread or in workers that share the memory. layout.ts draws it.
 *
 * A vector has a slot: its place, its number, for ever. Slots are given in ascending order, never used again, never
 * moved; a changed vector is a new slot. A slot is appended (its vector and the time it was created), later linked (only
 * then a search finds it by walking), perhaps marked deleted (it stays walkable). So the owner's order is
 *
 *     append -> [tail: exact(query, { from: linked })] -> linkAll -> search ... markDeleted -> [rebuild one day]
 *
 * One thread owns a graph: it alone appends, marks and grows. Linking and searching go on in any thread at the same time.
 */
import { invariant } from '../../../storage/keys/invariant.ts'
import { sqlError } from '../../types/error.ts'
import { kernelModule } from '../../types/vector/kernel.ts'
import type { VectorElement, VectorMetric } from '../vector-index.ts'
import { blocksOf, fillFrom } from './checkpoint.ts'
import {
  CONTEXT,
  EFFORT_MAX,
  endOf,
  GRAPH,
  HEADER_AT,
  idsAt,
  type Layout,
  LIST_MAX,
  layoutOf,
  listBytes,
  PAGE,
  RECORD,
  recordAt,
  STAGE_BYTES,
  upperBytes,
  vectorAt,
} from './layout.ts'
import type { GraphPool } from './pool.ts'
import { budgetOf, ExactSearch, type GraphKernel, type Inside, OpenSearch, type Wanted } from './search.ts'

/** Number of a vector in its graph, from 0. Without gaps, but for `sparse` elements: long vectors take several numbers. */
export type Slot = number

export interface GraphSpec {
  readonly element: VectorElement
  readonly metric: VectorMetric
  readonly dimensions: number
  /** Links on the upper layers, 2 to 100; twice as many on the lowest. */
  readonly m: number
  readonly efConstruction: number
  /** Levels are drawn from this: the same seed and order of slots give the same levels. */
  readonly seed?: number
}

export interface GraphLimits {
  /** What the graph may take, all included; at most 4 GiB are used. Beyond it `append` throws 53200. */
  readonly bytesMax: number
}

export interface GraphSearchOptions {
  /** Candidates kept while the search walks (ef), at least 1; so many hits has the first answer. */
  readonly effort: number
  /** Only slots with created <= at < deleted are returned. Default: everything not deleted. */
  readonly at?: number
  /** Bit `slot & 7` of byte `slot >> 3` says whether the slot may be returned; slots behind its end may not. Read until the search is closed. */
  readonly allow?: Uint8Array | undefined
  /** Only slots below this are returned (the tail is somebody else's). Default: all there are when the search begins. */
  readonly until?: Slot
  /** As if this slot were not there: the walk neither finds it nor passes through it, unless the graph's walks begin there. */
  readonly without?: Slot
}

/** Slots by ascending distance. Distances are the operator's: `<->` not squared, `<#>` negative. */
export interface GraphHits {
  readonly slots: Uint32Array
  readonly distances: Float64Array
}

/** One search that goes on until every slot it may return was returned, each once. Close it when it is not needed any more. */
export interface GraphSearch {
  /**
   * The next nearest: first the `effort` best, then what lies behind them, at last what no link leads to. Ascending within
   * one answer; a later answer may hold something nearer than an earlier one's last. undefined: there are no more.
   * Short searches are answered at once; long ones are a promise, while a worker (or this thread in slices) goes on.
   */
  next(): GraphHits | undefined | Promise<GraphHits | undefined>
  /** Distances computed so far. */
  readonly visited: number
  close(): void
}

export interface ExactOptions {
  /** So many nearest; all when it is absent. */
  readonly limit?: number
  readonly at?: number
  readonly allow?: Uint8Array | undefined
  /** The slots to look at, in any order; without it all from `from` (default 0) to before `until` (default: all there are). */
  readonly slots?: Uint32Array
  readonly from?: Slot
  readonly until?: Slot
}

/** Slots linked at once in this thread, when there is no pool. */
const LINKED_AT_ONCE = 4
const PROGRESS_MS = 50
/** After a restore, slots that are looked at between looks at the clock, and how long others may wait. */
const DROPPED_AT_ONCE = 256
const DROP_SLICE_MS = 2

export class Graph {
  readonly spec: GraphSpec
  readonly #inside: Inside
  readonly #layout: Layout
  readonly #bytesMax: number
  #upperUsed = 0
  /** Of the present buffer: made anew when the memory grows. */
  #bytes = new Uint8Array(0)
  #words = new Uint32Array(0)
  #floats = new Float64Array(0)
  /** After a restore: 1 for a slot that has no vector yet. */
  #absent: Uint8Array | undefined
  #linking: Promise<void> | undefined

  /** Throws 53200 when the memory is not to be had. Without a pool everything is done in this thread, in slices. */
  static create(spec: GraphSpec, limits: GraphLimits, pool?: GraphPool): Graph {
    return new Graph(spec, limits, pool)
  }

  /**
   * The graph that `checkpoint` wrote: links, levels, timestamps. Its vectors are missing: setVector for each that there
   * is, then dropAbsent. Rejects with CheckpointError when a block is damaged or of a graph of another kind.
   */
  static async restore(
    spec: GraphSpec,
    limits: GraphLimits,
    blocks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
    pool?: GraphPool,
  ): Promise<Graph> {
    const graph = new Graph(spec, limits, pool)
    try {
      const layout = graph.#layout
      const filled = await fillFrom(blocks, spec, layout, {
        reserve(end) {
          graph.#reserve(end)
          return { words: graph.#words, floats: graph.#floats, bytes: graph.#bytes }
        },
        slots: (content, from, count, { slots, upperUsed }) =>
          graph.#inside.kernel.restored(HEADER_AT, graph.#stage(content), from, count, slots, layout.upper, upperUsed),
      })
      graph.#upperUsed = filled.upperUsed
      graph.#set('slots', filled.slots)
      graph.#set('entry', filled.entry)
      graph.#set('coded', filled.coded)
      graph.#absent = new Uint8Array(filled.slots).fill(1)
      if (layout.heads > 0)
        for (let slot = 0; slot < filled.slots; slot++) if (!graph.#isHead(slot)) graph.#absent[slot] = 0
      return graph
    } catch (error) {
      graph.close()
      throw error
    }
  }

  private constructor(spec: GraphSpec, { bytesMax }: GraphLimits, pool: GraphPool | undefined) {
    this.spec = spec
    this.#bytesMax = bytesMax
    const layout = layoutOf(spec, bytesMax, 1 + (pool?.size ?? 0))
    this.#layout = layout
    let memory: WebAssembly.Memory
    try {
      const initial = Math.min(layout.pagesMax, Math.ceil(layout.records / PAGE) + 1)
      memory = new WebAssembly.Memory({ initial, maximum: layout.pagesMax, shared: true })
    } catch {
      throw sqlError('53200', 'out of memory', { detail: `Failed to reserve memory for a graph of vectors.` })
    }
    const module = kernelModule()
    const kernel = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as GraphKernel
    const [own, ...others] = layout.contexts
    invariant(own !== undefined, 'a context of its own')
    kernel.__stack_pointer.value = own.stackTop
    this.#inside = { spec, layout, memory, kernel, context: own, pool, graph: 0, owner: undefined }
    this.#look()
    for (const { at, words } of layout.contexts)
      for (const [word, address] of words) this.#words[(at >> 2) + word] = address
    const header: Readonly<Record<keyof typeof GRAPH, number>> = {
      stride: layout.stride,
      records: layout.records,
      upper: layout.upper,
      upperStride: listBytes(spec.m),
      kind: layout.kind,
      groups: layout.groups,
      m: spec.m,
      efConstruction: Math.min(Math.max(spec.efConstruction, 1), 4096),
      slots: 0,
      entry: 0,
      lock: 0,
      next: 0,
      scale: layout.scale,
      heads: layout.heads,
      blockBits: layout.blockBits,
      blockBytes: layout.blockBytes,
      vectors: layout.vectors,
      vectorStride: layout.vectorStride,
      codes: layout.codes,
      codeStride: layout.codeStride,
      codeGroups: layout.codeGroups,
      coded: layout.isRough ? 1 : 0,
      dead: 0,
    }
    for (const [name, value] of Object.entries(header)) this.#set(name as keyof typeof GRAPH, value)
    if (pool === undefined) return
    const contexts = others.map(({ at, stackTop, words }) => {
      const imageAt = words.find(([word]) => word === CONTEXT.imageAt)![1]
      return { context: at, stackTop, imageAt }
    })
    this.#inside.graph = pool.attach({ memory, module, header: HEADER_AT, contexts })
  }

  /** Laid out as layout.ts draws it. */
  get memory(): WebAssembly.Memory {
    return this.#inside.memory
  }

  /** One more than the highest slot. */
  get slots(): number {
    return this.#word('slots')
  }

  /** Bytes in use: records and upper lists. */
  get bytes(): number {
    return this.slots * this.#layout.slotBytes + this.#upperUsed
  }

  /**
   * The vector's bytes are packed as sql/types/vector/packed.ts packs them. `created`: Infinity while it is nobody's.
   * Throws 53200 beyond the limit; nothing was appended then.
   */
  append(packed: Uint8Array, created: number): Slot {
    const { slotBytes, slotsMax, heads } = this.#layout
    const slot = this.slots
    const units = this.#unitsOf(packed.length)
    const level = levelOf(this.spec, slot)
    if (slot + units > slotsMax || this.bytes + units * slotBytes + upperBytes(level, this.spec.m) > this.#bytesMax)
      throw sqlError('53200', 'vector index graph no longer fits into its memory', {
        detail: `${this.#bytesMax} bytes are allowed; ${slot} slots take ${this.bytes}.`,
        hint: 'Increase maintenance_work_mem.',
      })
    this.#reserve(endOf(this.#layout, slot + units))
    const word = this.#record(slot)
    this.#floats[(word >> 1) + RECORD.created] = created
    this.#floats[(word >> 1) + RECORD.deleted] = Infinity
    this.#words[word + RECORD.upper] = this.#newUpper(level)
    if (heads > 0) this.#bytes[heads + (slot >> 3)]! |= 1 << (slot & 7)
    this.#write(slot, packed)
    this.#set('slots', slot + units)
    return slot
  }

  /** The slot is of this time after all. */
  setCreated(slot: Slot, created: number): void {
    this.#floats[(this.#record(slot) >> 1) + RECORD.created] = created
  }

  /** Searches from `at` on do not return it. It stays where it is and leads to its neighbours. */
  markDeleted(slot: Slot, at: number): void {
    const word = (this.#record(slot) >> 1) + RECORD.deleted
    if (this.#floats[word] === Infinity) this.#set('dead', this.dead + 1)
    this.#floats[word] = at
  }

  created(slot: Slot): number {
    return this.#floats[(this.#record(slot) >> 1) + RECORD.created]!
  }

  /** Infinity while it lives. */
  deleted(slot: Slot): number {
    return this.#floats[(this.#record(slot) >> 1) + RECORD.deleted]!
  }

  /** The bytes that were appended: a view, valid until the next call. */
  vector(slot: Slot): Uint8Array {
    const at = this.#floatsAt(slot) ?? vectorAt(this.#layout, slot)
    switch (this.spec.element) {
      case 'f32':
        return this.#bytes.subarray(at, at + this.spec.dimensions * 4)
      case 'f16':
        return this.#bytes.subarray(at, at + this.spec.dimensions * 2)
      case 'bit':
        return this.#bytes.subarray(at, at + ((this.spec.dimensions + 7) >> 3))
      case 'sparse':
        return this.#bytes.subarray(at + 16, at + 16 + this.#words[at >>> 2]! * 8)
    }
  }

  /** Where a parted vector is put together. */
  #floatsAt(slot: Slot): number | undefined {
    const { layout, kernel, context } = this.#inside
    return layout.isParted ? kernel.floats_of(HEADER_AT, context.at, slot) : undefined
  }

  /** In this thread, now: for few. */
  link(slot: Slot): void {
    OpenSearch.claim(this.#inside, undefined)
    this.#inside.kernel.link(HEADER_AT, this.#inside.context.at, slot)
  }

  /**
   * Links the slots from `from` to before `until`, in the pool's threads; resolves when all are linked. One call at a
   * time: a later one waits for the earlier. Rejects when the graph is closed meanwhile.
   * `onProgress` hears now and then how many slots were begun.
   */
  async linkAll(from: Slot, until: Slot, onProgress?: (linked: number) => void): Promise<void> {
    while (this.#linking !== undefined) await this.#linking.catch(() => undefined)
    this.#linking = this.#linkAll(from, until, onProgress)
    try {
      await this.#linking
    } finally {
      this.#linking = undefined
    }
  }

  async #linkAll(from: Slot, until: Slot, onProgress: ((linked: number) => void) | undefined): Promise<void> {
    invariant(until <= this.slots, 'a slot to be linked is not there')
    if (from >= until) return
    const { pool, kernel, context, graph } = this.#inside
    Atomics.store(this.#words, (HEADER_AT >> 2) + GRAPH.next, from)
    const report = () => onProgress?.(Math.min(this.#word('next'), until) - from)
    if (pool !== undefined) {
      const timer = onProgress === undefined ? undefined : setInterval(report, PROGRESS_MS)
      try {
        await pool.link(graph, until)
      } finally {
        clearInterval(timer)
      }
      if (this.#word('next') < until) throw new Error('the graph was closed while its slots were linked')
    } else {
      const more = (): boolean => {
        OpenSearch.claim(this.#inside, undefined)
        return kernel.link_some(HEADER_AT, context.at, until, LINKED_AT_ONCE) !== 0
      }
      while (more()) {
        report()
        await new Promise(setImmediate)
      }
    }
    report()
  }

  /** `query`: packed as a vector is. */
  search(query: Uint8Array, options: GraphSearchOptions): GraphSearch {
    const { until } = options
    return new OpenSearch(
      this.#inside,
      query,
      until === undefined ? { ...options, until: this.slots } : (options as Wanted),
    )
  }

  /** The same without a walk: every slot from `from` on is measured, and each answer is nearer than the next. */
  sweep(query: Uint8Array, options: GraphSearchOptions & { readonly from: Slot }): GraphSearch {
    return new OpenSearch(this.#inside, query, { ...options, until: options.until ?? this.slots }, true)
  }

  /** The nearest of some or all slots, each measured. A promise where it takes long. */
  exact(query: Uint8Array, options: ExactOptions = {}): GraphHits | Promise<GraphHits> {
    return new ExactSearch(this.#inside, query, { ...options, until: options.until ?? this.slots }).all()
  }

  /** So many slots that are named `exact` measures at once. */
  get atOnce(): number {
    return Math.min(budgetOf(this.#inside), EFFORT_MAX)
  }

  /**
   * Links, levels, timestamps and the entry point, as blocks with a CRC each; no vectors. Of the slots there are now, the first
   * `linked` of which are linked: blocks may be asked for one after the other while the graph is used, linking included.
   */
  checkpoint(linked: Slot): Generator<Uint8Array> {
    return blocksOf(this.spec, this.#layout, {
      slots: this.slots,
      linked,
      entry: this.#entryBelow(linked),
      upperUsed: this.#upperUsed,
      coded: this.#word('coded'),
      views: () => ({ words: this.#words, floats: this.#floats, bytes: this.#bytes }),
    })
  }

  /** Where searches begin; one that is just being linked is not yet the entry of those before it. */
  #entryBelow(linked: Slot): number {
    const entry = this.#word('entry')
    if (entry <= linked) return entry
    let below = 0
    for (let slot = 0; slot < linked; slot++)
      if (this.#isHead(slot) && (below === 0 || this.#level(slot) > this.#level(below - 1))) below = slot + 1
    return below
  }

  /** After a restore: the slot's vector. */
  setVector(slot: Slot, packed: Uint8Array): void {
    invariant(this.#absent !== undefined, 'vectors are set after a restore')
    invariant(this.#fits(slot, packed.length), 'a vector has the room it had before')
    this.#absent[slot] = 0
    this.#write(slot, packed)
  }

  /** The same of many slots, the first `count` of `slots`: their vectors, of one length, lie in a buffer at `places`. */
  setVectors(slots: Uint32Array, places: Uint32Array, count: number, bytes: number, from: Uint8Array): void {
    if (from.length > STAGE_BYTES || count > LIST_MAX / 2 || this.spec.element === 'sparse') {
      for (let i = 0; i < count; i++) this.setVector(slots[i]!, from.subarray(places[i]!, places[i]! + bytes))
      return
    }
    const absent = this.#absent
    invariant(absent !== undefined, 'vectors are set after a restore')
    invariant(bytes <= this.#layout.vectorBytes, 'a vector of other dimensions')
    for (let i = 0; i < count; i++) absent[slots[i]!] = 0
    const stage = this.#stage(from)
    const { kernel, context } = this.#inside
    const listAt = this.#words[(context.at >> 2) + CONTEXT.listAt]!
    this.#words.set(slots.subarray(0, count), listAt >> 2)
    this.#words.set(places.subarray(0, count), (listAt >> 2) + count)
    kernel.stored_all(HEADER_AT, context.at, stage, listAt, count, bytes)
  }

  /** Where the bytes lie now, for the kernel. */
  #stage(bytes: Uint8Array): number {
    const { context } = this.#inside
    invariant(bytes.length <= STAGE_BYTES, 'what is brought in has room')
    OpenSearch.claim(this.#inside, undefined)
    // Aligned as they are where they lie: into shared memory V8 copies words, or else single bytes.
    const at = this.#words[(context.at >> 2) + CONTEXT.imageAt]! + (bytes.byteOffset & 7)
    this.#bytes.set(bytes, at)
    return at
  }

  /** How many slots are dead. */
  get dead(): number {
    return this.#word('dead')
  }

  /**
   * After a restore, when every vector that there is was given: slots without one are dead, and the graph is made not to
   * lead through them; their neighbours are joined with each other instead.
   */
  async dropAbsent(): Promise<void> {
    const absent = this.#absent
    invariant(absent !== undefined, 'nothing was restored')
    this.#absent = undefined
    if (!absent.includes(1)) return
    let entry = 0
    let top = -1
    let since = performance.now()
    for (let slot = 0; slot < absent.length; slot++) {
      if (slot % DROPPED_AT_ONCE === 0 && performance.now() - since > DROP_SLICE_MS) {
        await new Promise(setImmediate)
        since = performance.now()
      }
      if (absent[slot] === 1) this.markDeleted(slot, -Infinity)
      else if (this.#isHead(slot)) {
        const level = this.#level(slot)
        if (level > top && (this.#links(slot, 0).length > 0 || slot === this.#word('entry') - 1)) {
          top = level
          entry = slot + 1
        }
        for (let layer = 0; layer <= level; layer++) this.#leadRound(slot, layer, absent)
      }
    }
    this.#set('entry', entry)
  }

  /** A slot's list without those that are absent: in their place stand the best of what they lead to. */
  #leadRound(slot: Slot, layer: number, absent: Uint8Array): void {
    const links = this.#links(slot, layer)
    if (!links.some((id) => absent[id] === 1)) return
    const candidates = new Set<Slot>()
    for (const id of links)
      if (absent[id] !== 1) candidates.add(id)
      else for (const next of this.#links(id, layer)) if (next !== slot && absent[next] !== 1) candidates.add(next)
    OpenSearch.claim(this.#inside, undefined)
    const { kernel, context } = this.#inside
    const listAt = this.#words[(context.at >> 2) + CONTEXT.listAt]!
    this.#words.set([...candidates], listAt >> 2)
    kernel.choose_again(HEADER_AT, context.at, slot, layer, listAt, candidates.size)
  }

  /** Frees the memory as soon as no search holds it; searches that are open must not be used any more. */
  close(): void {
    this.#inside.pool?.detach(this.#inside.graph)
  }

  #write(slot: Slot, packed: Uint8Array): void {
    const { vectorBytes } = this.#layout
    const at = vectorAt(this.#layout, slot)
    if (this.spec.element === 'sparse') {
      this.#words[at >>> 2] = packed.length / 8
      this.#bytes.set(packed, at + 16)
    } else {
      invariant(packed.length <= vectorBytes, 'a vector of other dimensions')
      this.#bytes.set(packed, at)
    }
    OpenSearch.claim(this.#inside, undefined)
    this.#inside.kernel.stored(HEADER_AT, this.#inside.context.at, slot)
  }

  /** Records that a vector of so many bytes takes. */
  #unitsOf(bytes: number): number {
    const { vectorBytes, stride } = this.#layout
    if (this.spec.element !== 'sparse') return 1
    return 1 + Math.max(0, Math.ceil((16 + bytes - vectorBytes) / stride))
  }

  #fits(slot: Slot, bytes: number): boolean {
    const units = this.#unitsOf(bytes)
    if (!this.#isHead(slot) || slot + units > this.slots) return false
    for (let i = 1; i < units; i++) if (this.#isHead(slot + i)) return false
    return true
  }

  #isHead(slot: Slot): boolean {
    const { heads } = this.#layout
    return heads === 0 || ((this.#bytes[heads + (slot >> 3)]! >> (slot & 7)) & 1) === 1
  }

  /** Index of the record's first word. */
  #record(slot: Slot): number {
    return recordAt(this.#layout, slot) / 4
  }

  #level(slot: Slot): number {
    const upper = this.#words[this.#record(slot) + RECORD.upper]!
    return upper === 0 ? 0 : this.#bytes[upper]!
  }

  #links(slot: Slot, layer: number): readonly Slot[] {
    if (layer > this.#level(slot)) return []
    const record = this.#record(slot)
    if (layer === 0) return idsAt(this.#bytes, record * 4 + RECORD.list)
    return idsAt(this.#bytes, this.#words[record + RECORD.upper]! + 2 + (layer - 1) * listBytes(this.spec.m))
  }

  /** Room for the lists of the layers 1 to `level`; 0 when there are none or there is no room. */
  #newUpper(level: number): number {
    if (level === 0) return 0
    const bytes = upperBytes(level, this.spec.m)
    const { upper, upperEnd } = this.#layout
    if (upper + this.#upperUsed + bytes > upperEnd) return 0
    const at = upper + this.#upperUsed
    this.#upperUsed += bytes
    this.#bytes[at] = level
    return at
  }

  #word(name: keyof typeof GRAPH): number {
    return Atomics.load(this.#words, (HEADER_AT >> 2) + GRAPH[name])
  }

  #set(name: keyof typeof GRAPH, value: number): void {
    Atomics.store(this.#words, (HEADER_AT >> 2) + GRAPH[name], value)
  }

  /** The memory reaches to `end`, and in steps of an eighth somewhat further. */
  #reserve(end: number): void {
    const { memory } = this.#inside
    if (end <= this.#bytes.length) return
    const pages = this.#bytes.length / PAGE
    const wanted = Math.min(
      this.#layout.pagesMax,
      Math.max(Math.ceil(end / PAGE), pages + 16, Math.ceil(pages * 1.125)),
    )
    try {
      memory.grow(wanted - pages)
    } catch {
      throw sqlError('53200', 'out of memory', { detail: `Failed on request of ${wanted - pages} pages for a graph.` })
    }
    this.#look()
  }

  #look(): void {
    const { buffer } = this.#inside.memory
    this.#bytes = new Uint8Array(buffer)
    this.#words = new Uint32Array(buffer)
    this.#floats = new Float64Array(buffer)
  }
}

/** Drawn from the seed and the slot, with the odds of the paper: each layer has an m-th of the nodes below it. */
function levelOf({ m, seed = 0 }: GraphSpec, slot: Slot): number {
  let x = (Math.imul(slot + 1, 0x9e3779b1) ^ Math.imul(seed + 0x632be5ab, 0x85ebca6b)) >>> 0
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d)
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b)
  const chance = (((x ^ (x >>> 16)) >>> 0) + 1) / 2 ** 32
  return Math.min(31, Math.floor(-Math.log(chance) / Math.log(m)))
}
