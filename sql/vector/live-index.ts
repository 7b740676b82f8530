/**
 * One vector index in memory: its graph, the keys of its slots, and what keeps them in step with the store.
 *
 *     loading   entries are being read (from a checkpoint's graph, or into an empty one); commits are followed meanwhile
 *     pending   CREATE INDEX is building it in a transaction that has not committed: nobody else can name it
 *     ready     slots tell what each snapshot from `since` on sees; the linker moves the tail into the graph
 *     failed    the graph could not be kept (memory): everyone scans exactly until it is opened anew
 *
 * The feed calls `#commit` before a commit is visible, so that whoever can see an entry finds its slot; a large commit is
 * taken over bit by bit (backlog.ts), and snapshots that see it are not served meanwhile. Neither is a snapshot older than
 * `since`: what died before is not in the graph.
 */
import type { Key, Timestamp } from '../../storage/keys/brand.ts'
import { prefixSpan } from '../../storage/keys/map.ts'
import { type Changes, type Kv, PAGE_HEADER_BYTES, type Txn, type WritesMark } from '../../storage/kv/kv.ts'
import { sqlError } from '../types/error.ts'
import type { Value } from '../types/value.ts'
import { packVector, unpackVector } from '../types/vector/packed.ts'
import { Backlog } from './backlog.ts'
import { Calibration } from './calibration.ts'
import { type CheckpointFile, readCheckpoint, writeCheckpoint } from './checkpoint.ts'
import { type GraphElements, graphElements } from './elements.ts'
import { TRAILER_BYTES } from './entry.ts'
import { EntriesSearch } from './exact-search.ts'
import type { Graphs, IndexGraph } from './index-graph.ts'
import { type Candidate, LiveSearch, nearer, ownEntries, type SearchSource } from './live-search.ts'
import type { RowList } from './row-list.ts'
import { graphTooLarge } from './settings.ts'
import { SlotKeys } from './slot-keys.ts'
import type {
  BuildOptions,
  Hits,
  SearchOptions,
  VectorIndex,
  VectorIndexSpec,
  VectorIndexStatus,
  VectorSearch,
} from './vector-index.ts'

/** So many entries in the tail are linked at once; fewer when nothing has come for LINK_AFTER_MS. */
const LINK_AT = 256
const LINK_AFTER_MS = 50
/** So few slots are linked in this thread: to wake others takes longer. */
const LINKED_HERE = 64
const LINK_SLICE_MS = 2
/** Distances that are measured at once: few enough to be answered without a promise. */
const GATHER_SLOTS = 1024
/** Entries read between two turns of the event loop. */
const SLICE_ROWS = 512
/** A graph is built anew when this share of its slots is dead. */
const DEAD_SHARE = 0.22
const VACUUM_DEAD_SHARE = 0.05
const REBUILD_SLOTS_MIN = 1000
/** Changes after which a new checkpoint is written: this many, and this share of the slots. */
const CHECKPOINT_CHANGES = 5000
const CHECKPOINT_SHARE = 0.1
/** What a segment can hold. */
const BYTES_MAX = 4 * 2 ** 30
/** A store that is closed waits so long for a linker that is still at work; the tail it leaves is linked after the next start. */
const CLOSE_MS = 3000

export interface LiveOptions {
  readonly kv: Kv
  readonly graphs: Graphs
  /** Of its checkpoint; undefined: it has none. */
  readonly file: string | undefined
  warn(message: string, fields?: Record<string, unknown>): void
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** What is in memory of an index, replaced as a whole when it is built anew. */
interface Slots {
  /** Searches that are open; a graph that was replaced is closed with the last of them. */
  searches: number
  isReplaced: boolean
  readonly graph: IndexGraph
  readonly keys: SlotKeys
  /** The slot that a slot has replaced: the same row's version before. */
  readonly older: Map<number, number>
  /** Slots below are linked. */
  linked: number
  dead: number
}

export class LiveIndex implements VectorIndex {
  readonly spec: VectorIndexSpec
  readonly prefix: Key
  readonly isQuantized: boolean
  readonly #options: LiveOptions
  readonly #elements: GraphElements
  readonly #calibration: Calibration
  #state: 'loading' | 'pending' | 'ready' | 'failed' | 'closed' = 'loading'
  #slots: Slots
  #since = 0
  readonly #unfollow: () => void
  readonly #backlog = new Backlog()
  /** While loading: ends of keys that commits have written since; the store's reader passes them over. */
  #touched: Set<string> | undefined
  /** While pending: what the building transaction had written when the graph was filled. */
  #mark: WritesMark | undefined
  #linking: Promise<void> | undefined
  #linkTimer: NodeJS.Timeout | undefined
  /** While a new graph is made beside this one: what has changed here since. */
  #rebuild: { readonly changes: ((to: Slots, slotOf: number[]) => void)[] } | undefined
  #rebuilding: Promise<void> | undefined
  #changes = 0
  #saving: Promise<void> | undefined
  /** Slots there were when recall was measured last. */
  #measuredSlots = 0
  #phase = ''
  #blocksDone = 0
  #blocksTotal = 0
  #builtAt: number | undefined
  #buildMs: number | undefined
  readonly loaded: Promise<void>

  /** `load`: reads the store's entries in the background; else `build` fills it. `prefix`: of its entries (with a tenant's columns). */
  constructor(spec: VectorIndexSpec, prefix: Key, options: LiveOptions, load: boolean) {
    this.spec = spec
    this.prefix = prefix
    this.#options = options
    this.#elements = graphElements(spec)
    this.isQuantized = spec.quantization !== 'none' && spec.quantization !== spec.element
    this.#calibration = new Calibration()
    this.#slots = this.#empty()
    this.#unfollow = options.kv.follow(prefix, (at, changes) => this.#commit(at, changes))
    if (load) {
      this.#touched = new Set()
      this.loaded = this.#load().catch((error: unknown) => this.#failed(error))
    } else {
      this.#state = 'pending'
      this.loaded = Promise.resolve()
    }
  }

  #graphSpec() {
    const { dimensions, m, efConstruction } = this.spec
    const { element, metric } = this.#elements
    return { element, metric, dimensions, m, efConstruction }
  }

  #empty(): Slots {
    return {
      searches: 0,
      isReplaced: false,
      graph: this.#options.graphs.create(this.#graphSpec(), { bytesMax: BYTES_MAX }),
      keys: new SlotKeys(),
      older: new Map(),
      linked: 0,
      dead: 0,
    }
  }

  // ---- what the store says

  #commit(at: Timestamp, changes: Changes): void {
    if (this.#state === 'closed' || this.#state === 'failed') return
    try {
      if (this.#state === 'pending') this.#adopt(at, changes)
      else if (this.#backlog.takes(at, changes)) this.#drain()
      else changes.each((key, value) => this.#changed(at, key.slice(this.prefix.length), value))
      this.#wantLink()
    } catch (error) {
      // A commit must not fail because of what is derived from it.
      this.#failed(error)
    }
  }

  /** What waits while entries are read is applied to them afterwards. */
  #drain(): void {
    if (this.#state !== 'ready') return
    const apply = (at: Timestamp, key: string, value: Uint8Array | undefined) => {
      const name = key.slice(this.prefix.length)
      const known = this.#slots.keys.find(name)
      // It may have been read from the store already.
      if (known === undefined || this.#slots.graph.created(known) < at) this.#changed(at, name, value)
    }
    const sliced = () => {
      this.#wantLink()
      return !this.#closed()
    }
    this.#backlog.drain(apply, sliced).catch((error: unknown) => this.#failed(error))
  }

  /** The transaction that built the index commits. */
  #adopt(at: Timestamp, changes: Changes): void {
    const { graph, keys } = this.#slots
    if (this.#mark !== undefined && changes.isAsAt(this.#mark)) {
      for (let slot = 0; slot < graph.slots; slot++) if (keys.has(slot)) graph.setCreated(slot, at)
    } else {
      const here = new Set<number>()
      changes.each((key, value) => {
        if (value === undefined) return
        const name = key.slice(this.prefix.length)
        const slot = keys.find(name)
        if (slot !== undefined && sameBytes(graph.vector(slot), this.#pack(value))) graph.setCreated(slot, at)
        else this.#append(at, name, value)
        here.add(keys.find(name)!)
      })
      for (let slot = 0; slot < graph.slots; slot++)
        if (!here.has(slot) && keys.has(slot)) {
          graph.markDeleted(slot, 0)
          this.#slots.dead++
        }
    }
    this.#since = at
    this.#state = 'ready'
    this.#changes = graph.slots
    this.#wantCheckpoint()
    this.#measureSoon()
  }

  #changed(at: number, name: string, value: Uint8Array | undefined): void {
    const { graph, keys } = this.#slots
    this.#touched?.add(name)
    const old = keys.find(name)
    if (old !== undefined && graph.deleted(old) === Infinity) {
      graph.markDeleted(old, at)
      this.#slots.dead++
      this.#rebuild?.changes.push((to, slotOf) => {
        const slot = slotOf[old] ?? -1
        if (slot < 0) return
        to.graph.markDeleted(slot, at)
        to.dead++
      })
    }
    this.#changes++
    if (value === undefined) return
    const slot = this.#append(at, name, value)
    if (old === undefined) return
    this.#slots.older.set(slot, old)
    this.#rebuild?.changes.push((to, slotOf) => {
      const before = slotOf[old] ?? -1
      if (before >= 0) to.older.set(slotOf[slot]!, before)
    })
  }

  #pack(value: Uint8Array): Uint8Array {
    return this.#elements.pack(value.subarray(0, value.length - TRAILER_BYTES))
  }

  #append(at: number, name: string, value: Uint8Array): number {
    const { graph, keys } = this.#slots
    const slot = graph.append(this.#pack(value), at)
    keys.add(name, slot)
    if (this.#rebuild !== undefined) {
      // The other graph's owner takes it over when it is complete.
      const packed = Uint8Array.from(this.#pack(value))
      this.#rebuild.changes.push((to, slotOf) => {
        const there = to.graph.append(packed, at)
        to.keys.add(name, there)
        slotOf[slot] = there
      })
    }
    return slot
  }

  #failed(error: unknown): void {
    if (this.#state === 'closed') return
    this.#state = 'failed'
    this.#phase = ''
    this.#unfollow()
    clearTimeout(this.#linkTimer)
    this.#options.warn(`the graph of index "${this.spec.name}" is given up: searches read all entries`, { err: error })
  }

  // ---- loading

  async #load(): Promise<void> {
    const { kv, file } = this.#options
    this.#phase = 'loading'
    const from = file === undefined ? undefined : await this.#restore(file)
    if (this.#state === 'closed') return
    const txn = kv.begin({ isolation: 'repeatable-read', readOnly: true, pid: 0, lockTimeoutMs: () => 0 })
    const restored = from?.graph.slots ?? 0
    try {
      txn.beginStatement()
      const scanner = txn.scan(prefixSpan(this.prefix))
      try {
        for (let page = scanner.next(SLICE_ROWS); page !== undefined; page = scanner.next(SLICE_ROWS)) {
          const { buffer, bytes } = page
          for (let o = 0; o < bytes; ) {
            const start = o + PAGE_HEADER_BYTES
            const valueAt = start + buffer.readUInt32LE(o)
            const end = valueAt + buffer.readUInt32LE(o + 4)
            const at = buffer.readUInt32LE(o + 8) + buffer.readUInt32LE(o + 12) * 2 ** 32
            o = end
            this.#found(
              buffer.latin1Slice(start + this.prefix.length, valueAt),
              at,
              buffer.subarray(valueAt, end),
              restored,
            )
          }
          await turn()
          if (this.#closed()) return
        }
      } finally {
        scanner.close()
      }
      if (restored > 0) {
        this.#slots.graph.dropAbsent()
        this.#slots.dead = this.#countDead()
      }
      this.#since = kv.now()
    } finally {
      txn.rollback()
    }
    this.#touched = undefined
    this.#state = 'ready'
    this.#phase = ''
    this.#drain()
    if (this.#slots.linked < this.#slots.graph.slots) await this.#linkNow()
    if (this.#closed()) return
    if (this.#calibration.table.length === 0) this.#measureSoon()
    else this.#measuredSlots = this.#slots.linked
  }

  #closed(): boolean {
    return this.#state === 'closed' || this.#state === 'failed'
  }

  /** An entry of the store: a slot of the checkpoint's gets its vector, any other is a new slot. */
  #found(name: string, at: number, value: Uint8Array, restored: number): void {
    if (this.#touched!.has(name)) return
    const { graph, keys } = this.#slots
    const slot = keys.find(name)
    const isKnown = slot !== undefined && slot < restored && graph.created(slot) === at
    if (isKnown && graph.deleted(slot) === Infinity) graph.setVector(slot, this.#pack(value))
    else {
      this.#append(at, name, value)
      this.#changes++
    }
  }

  #countDead(): number {
    const { graph, keys } = this.#slots
    let dead = 0
    for (let slot = 0; slot < graph.slots; slot++) if (graph.deleted(slot) !== Infinity && keys.has(slot)) dead++
    return dead
  }

  /** Takes over a good checkpoint; a bad one is told of and forgotten. */
  async #restore(file: string): Promise<Slots | undefined> {
    let found: CheckpointFile | undefined
    try {
      found = await readCheckpoint(file, this.#fingerprint())
      if (found === undefined) return undefined
      const graph = this.#options.graphs.restore(this.#graphSpec(), { bytesMax: BYTES_MAX }, found.blocks)
      const slots: Slots = {
        searches: 0,
        isReplaced: false,
        graph,
        keys: found.keys,
        older: new Map(),
        linked: Math.min(found.linked, graph.slots),
        dead: 0,
      }
      this.#calibration.restore(found.calibration)
      this.#slots.graph.close()
      // What was committed while the file was read is in the store: it is read from there.
      this.#touched!.clear()
      this.#slots = slots
      return slots
    } catch (error) {
      this.#options.warn(`the checkpoint of index "${this.spec.name}" is not usable: its graph is built anew`, {
        err: error,
      })
      return undefined
    }
  }

  /** What a checkpoint must have been made with. */
  #fingerprint(): string {
    const { element, metric, quantization } = this.spec
    return JSON.stringify({ prefix: this.prefix, element, metric, quantization, graph: this.#graphSpec() })
  }

  // ---- building, in CREATE INDEX

  /** Fills and links the graph with the transaction's own entries. Throws 53200 beyond the limit, and what `check` throws. */
  async build(txn: Txn, { bytesMax, check }: BuildOptions): Promise<void> {
    const began = performance.now()
    this.#phase = 'building index: loading tuples'
    const { graph, keys } = this.#slots
    const empty = graph.bytes
    const scanner = txn.scanNewest(prefixSpan(this.prefix))
    try {
      for (let page = scanner.next(SLICE_ROWS); page !== undefined; page = scanner.next(SLICE_ROWS)) {
        const { buffer, bytes } = page
        for (let o = 0; o < bytes; ) {
          const start = o + PAGE_HEADER_BYTES
          const valueAt = start + buffer.readUInt32LE(o)
          o = valueAt + buffer.readUInt32LE(o + 4)
          // Nobody sees it before the commit says when that was.
          this.#append(Infinity, buffer.latin1Slice(start + this.prefix.length, valueAt), buffer.subarray(valueAt, o))
        }
        if (graph.bytes - empty + keys.size > bytesMax) throw graphTooLarge(this.spec.name, bytesMax, keys.count)
        await turn()
        this.#checkOpen()
        check()
      }
    } finally {
      scanner.close()
    }
    if (graph.slots === 0) {
      // There is nothing to be hidden until the commit, and without entries the feed would not tell of it.
      this.#state = 'ready'
      this.#phase = ''
      return
    }
    this.#mark = txn.markOwn(this.prefix)
    this.#blocksTotal = graph.slots
    this.#phase = 'building index'
    await this.#link(graph.slots)
    this.#buildMs = performance.now() - began
    this.#builtAt = Date.now()
    this.#checkOpen()
    check()
    this.#phase = ''
  }

  /** The statement has been ended meanwhile. */
  #checkOpen(): void {
    if (this.#closed()) throw sqlError('57014', 'canceling statement due to user request')
  }

  // ---- the linker

  #wantLink(): void {
    if (this.#state !== 'ready' || this.#linking !== undefined) return
    const waiting = this.#slots.graph.slots - this.#slots.linked
    if (waiting <= 0) this.#wantMaintenance()
    else if (waiting >= LINK_AT) this.#linkSoon()
    else if (this.#linkTimer === undefined) {
      this.#linkTimer = setTimeout(() => {
        this.#linkTimer = undefined
        this.#linkSoon()
      }, LINK_AFTER_MS)
      this.#linkTimer.unref()
    }
  }

  #linkSoon(): void {
    this.#linkNow().catch((error: unknown) => this.#failed(error))
  }

  async #linkNow(): Promise<void> {
    if (this.#linking !== undefined || this.#closed()) return
    const began = performance.now()
    const { graph, linked } = this.#slots
    const many = graph.slots - linked >= LINK_AT * 4
    if (many) {
      this.#phase = 'building index'
      this.#blocksTotal = graph.slots
    }
    await this.#link(graph.slots)
    if (many) {
      this.#phase = ''
      this.#buildMs = performance.now() - began
      this.#builtAt = Date.now()
    }
    // Half of what a search walks through was not there when it was measured.
    if (this.#slots.linked > this.#measuredSlots * 2) this.#measureSoon()
    this.#wantLink()
  }

  /** Links the tail up to a slot: a few here, many in the threads. */
  async #link(until: number): Promise<void> {
    const slots = this.#slots
    const { linked } = slots
    const progress = (done: number) => {
      this.#blocksDone = done
    }
    this.#linking = until - linked <= LINKED_HERE ? this.#linkHere(until) : slots.graph.linkAll(linked, until, progress)
    try {
      await this.#linking
      slots.linked = until
    } finally {
      this.#linking = undefined
    }
  }

  async #linkHere(until: number): Promise<void> {
    const { graph, keys, linked } = this.#slots
    let since = performance.now()
    for (let slot = linked; slot < until; slot++) {
      if (keys.has(slot)) graph.link(slot)
      if (performance.now() - since < LINK_SLICE_MS) continue
      await turn()
      if (this.#closed()) return
      since = performance.now()
    }
  }

  #wantMaintenance(): void {
    const { graph, dead } = this.#slots
    if (graph.slots >= REBUILD_SLOTS_MIN && dead > graph.slots * DEAD_SHARE) {
      this.#rebuilt().catch((error: unknown) =>
        this.#options.warn(`index "${this.spec.name}" could not be built anew`, { err: error }),
      )
    } else this.#wantCheckpoint()
  }

  /** VACUUM: a smaller share of dead slots is reason enough. */
  async vacuum(): Promise<void> {
    const { graph, dead } = this.#slots
    if (this.#state === 'ready' && dead > graph.slots * VACUUM_DEAD_SHARE) await this.#rebuilt()
  }

  /** Once at a time. */
  #rebuilt(): Promise<void> {
    this.#rebuilding ??= this.#rebuildNow().finally(() => {
      this.#rebuild = undefined
      this.#rebuilding = undefined
      if (!this.#closed()) this.#wantLink()
    })
    return this.#rebuilding
  }

  /** A new graph of the live slots, made beside the old one, which goes on serving; then they change places. */
  async #rebuildNow(): Promise<void> {
    const began = performance.now()
    const from = this.#slots
    const to = this.#empty()
    const rebuild = { changes: [] as ((to: Slots, slotOf: number[]) => void)[] }
    this.#rebuild = rebuild
    const count = from.graph.slots
    const copied = new Int32Array(count).fill(-1)
    for (let slot = 0; slot < count; slot++) {
      if (from.graph.deleted(slot) === Infinity && from.graph.created(slot) !== Infinity) {
        const there = to.graph.append(Uint8Array.from(from.graph.vector(slot)), from.graph.created(slot))
        to.keys.add(from.keys.key(slot), there)
        copied[slot] = there
      }
      if (slot % SLICE_ROWS === 0) {
        await turn()
        if (this.#closed()) return to.graph.close()
      }
    }
    // A slot that died before it was copied is missing for older snapshots.
    const since = this.#options.kv.now()
    this.#blocksTotal = to.graph.slots
    this.#phase = 'building index'
    await to.graph.linkAll(0, to.graph.slots, (done) => {
      this.#blocksDone = done
    })
    to.linked = to.graph.slots
    const slotOf = [...copied]
    for (let done = 0; done < rebuild.changes.length || this.#linking !== undefined; ) {
      const began = performance.now()
      while (done < rebuild.changes.length && performance.now() - began < LINK_SLICE_MS)
        rebuild.changes[done++]!(to, slotOf)
      await (this.#linking?.catch(() => undefined) ?? turn())
      if (this.#closed()) return to.graph.close()
    }
    this.#rebuild = undefined
    this.#slots = to
    this.#since = Math.max(this.#since, since)
    this.#phase = ''
    this.#buildMs = performance.now() - began
    this.#builtAt = Date.now()
    this.#changes = to.graph.slots
    // Searches that began in the old graph end there.
    from.isReplaced = true
    closeUnused(from)
    this.#measureSoon()
  }

  // ---- checkpoints

  #wantCheckpoint(): void {
    const { graph } = this.#slots
    if (this.#options.file === undefined || this.#saving !== undefined) return
    if (this.#changes < CHECKPOINT_CHANGES && this.#changes < graph.slots * CHECKPOINT_SHARE) return
    this.save().catch((error: unknown) => this.#notSaved(error))
  }

  /** Writes a checkpoint, once the linker rests. */
  async save(): Promise<void> {
    const { file } = this.#options
    if (file === undefined || this.#state !== 'ready') return
    if (this.#saving !== undefined) return this.#saving
    this.#saving = (async () => {
      while (this.#linking !== undefined) await this.#linking.catch(() => undefined)
      if (this.#state !== 'ready') return
      const { graph, keys, linked } = this.#slots
      this.#changes = 0
      const calibration = this.#calibration.table
      // Taken in one stretch: nothing is linked meanwhile.
      const blocks = [...graph.checkpoint()]
      await writeCheckpoint(file, { fingerprint: this.#fingerprint(), linked, keys, calibration, blocks })
    })()
    try {
      await this.#saving
    } finally {
      this.#saving = undefined
    }
  }

  /** `dropped`: for good; otherwise the store is being closed, and a checkpoint is left when something has changed. */
  async close(dropped: boolean): Promise<void> {
    this.#unfollow()
    clearTimeout(this.#linkTimer)
    if (!dropped) {
      const saved = this.#saveLast().catch((error: unknown) => this.#notSaved(error))
      await Promise.race([saved, new Promise((resolve) => setTimeout(resolve, CLOSE_MS).unref())])
    }
    this.#state = 'closed'
    // A checkpoint that is being written must not appear after it was removed.
    await this.#saving?.catch((error: unknown) => this.#notSaved(error))
    this.#slots.isReplaced = true
    if (dropped) closeUnused(this.#slots)
    else this.#slots.graph.close()
  }

  async #saveLast(): Promise<void> {
    await this.#saving
    if (this.#state === 'ready' && this.#changes > 0) await this.save()
  }

  #notSaved(error: unknown): void {
    this.#options.warn(`no checkpoint of index "${this.spec.name}" could be written`, { err: error })
  }

  // ---- searches

  get prefixes(): readonly Key[] {
    return [this.prefix]
  }

  isReadyFor(txn: Txn): boolean {
    const { from } = this.#backlog
    return this.#state === 'ready' && txn.snapshot >= this.#since && (from === undefined || txn.snapshot < from)
  }

  search(txn: Txn, query: Value, options: SearchOptions): VectorSearch {
    txn.noteRead(this.prefix)
    if (!this.isReadyFor(txn)) return new EntriesSearch(this.spec, txn, query, options)
    const own = ownEntries(txn, this.prefix, this.spec)
    const { allow } = options
    // The graph and keys of now, also when the index is built anew meanwhile.
    const slots = this.#slots
    const { graph, keys, linked } = slots
    slots.searches++
    const source: SearchSource = {
      closed() {
        slots.searches--
        closeUnused(slots)
      },
      spec: this.spec,
      graph,
      linked,
      isQuantized: this.isQuantized,
      name: (slot) => keys.key(slot),
      measure: (...args) => this.#distances(...args),
    }
    return new LiveSearch(source, txn, query, this.#packQuery(query), {
      effort: options.effort,
      allow: allow && this.#bitmap(allow, txn.snapshot),
      allowNames: own && allow && new Set(this.#names(allow)),
      own,
    })
  }

  /** A copy: the query outlives the next packing. */
  #packQuery(query: Value): Uint8Array {
    return Uint8Array.from(this.#elements.pack(packVector(query, this.spec.element)))
  }

  /** What the rows' keys are behind their table's prefix. */
  #names(rows: RowList, from = 0, to = rows.count): string[] {
    return rows.keys(from, to).map((key) => key.slice(this.spec.rowPrefix.length))
  }

  /** Bits of the slots that the rows have at the snapshot. A transaction's own rows come from elsewhere: their slots are passed over. */
  #bitmap(rows: RowList, at: number): Uint8Array {
    const bits = new Uint8Array((this.#slots.graph.slots + 7) >> 3)
    for (let i = 0; i < rows.count; i++) {
      const slot = this.#slotAt(rows, i, at)
      if (slot >= 0) bits[slot >> 3] = bits[slot >> 3]! | (1 << (slot & 7))
    }
    return bits
  }

  /** The slot of a row's entry that a snapshot sees, if it sees any; -1: there is none. */
  #slotAt(rows: RowList, i: number, at: number): number {
    const { graph, keys, older } = this.#slots
    let slot = keys.findIn(rows.bytes, rows.start(i) + this.spec.rowPrefix.length, rows.end(i))
    // The graph looks at the timestamps of those that it is asked for.
    while (slot !== undefined && older.size > 0 && graph.created(slot) > at) slot = older.get(slot)
    return slot ?? -1
  }

  nearestOf(txn: Txn, query: Value, rows: RowList, limit: number, from = 0, to = rows.count): Hits {
    if (txn.isolation === 'serializable')
      for (const name of this.#names(rows, from, to)) txn.noteRead((this.prefix + name) as Key)
    if (!this.isReadyFor(txn) || this.isQuantized)
      return this.#hits(this.#measured(txn, this.#names(rows, from, to), query), limit)
    const own = ownEntries(txn, this.prefix, this.spec)
    const { graph, keys } = this.#slots
    const slots = new Uint32Array(to - from)
    const found: Candidate[] = []
    let count = 0
    for (let i = from; i < to; i++) {
      if (own !== undefined) {
        const name = rows.key(i).slice(this.spec.rowPrefix.length)
        const mine = own.get(name)
        if (mine !== undefined) found.push({ name, distance: this.spec.distance(mine, query) })
        if (own.has(name)) continue
      }
      const slot = this.#slotAt(rows, i, txn.snapshot)
      if (slot >= 0) slots[count++] = slot
    }
    const packed = this.#packQuery(query)
    for (let at = 0; at < count; at += GATHER_SLOTS) {
      const part = slots.subarray(at, Math.min(count, at + GATHER_SLOTS))
      const hits = graph.exact(packed, { slots: part, limit, at: txn.snapshot })
      if (hits instanceof Promise) return this.#hits(this.#measured(txn, this.#names(rows, from, to), query), limit)
      for (let i = 0; i < hits.slots.length; i++)
        found.push({ name: keys.key(hits.slots[i]!), distance: hits.distances[i]! })
    }
    return this.#hits(found, limit)
  }

  /** Exact distances by the entries in the store. */
  #distances(txn: Txn, names: readonly string[], query: Value): readonly (number | undefined)[] {
    const { distance, element, dimensions } = this.spec
    const page = txn.getMany(names.map((name) => (this.prefix + name) as Key))
    const { buffer, bytes } = page
    const out = new Array<number | undefined>(names.length)
    let i = 0
    for (let o = 0; o < bytes; ) {
      const start = o + PAGE_HEADER_BYTES
      const valueAt = start + buffer.readUInt32LE(o)
      o = valueAt + buffer.readUInt32LE(o + 4)
      const name = buffer.latin1Slice(start + this.prefix.length, valueAt)
      while (names[i] !== name) i++
      out[i++] = distance(unpackVector(buffer.subarray(valueAt, o - TRAILER_BYTES), element, dimensions), query)
    }
    return out
  }

  #measured(txn: Txn, names: readonly string[], query: Value): Candidate[] {
    const distances = this.#distances(txn, names, query)
    return names.flatMap((name, i) => (distances[i] === undefined ? [] : [{ name, distance: distances[i] }]))
  }

  #hits(candidates: Candidate[], limit: number): Hits {
    const best = candidates.sort((a, b) => nearer(a.distance, b.distance)).slice(0, limit)
    return {
      keys: best.map(({ name }) => (this.spec.rowPrefix + name) as Key),
      distances: Float64Array.from(best, ({ distance }) => distance),
    }
  }

  // ---- what it tells

  #measureSoon(): void {
    const slots = this.#slots
    this.#measuredSlots = slots.linked
    this.#calibration
      .run(slots.graph, slots.linked, () => this.#closed() || this.#slots !== slots)
      .catch((error: unknown) =>
        this.#options.warn(`index "${this.spec.name}" could not be calibrated`, { err: error }),
      )
  }

  effortFor(recall: number, limit: number, share: number): number {
    return this.#calibration.effortFor(recall, limit, share, this.#slots.graph.slots)
  }

  get status(): VectorIndexStatus {
    const { graph, keys, linked, dead } = this.#slots
    return {
      state: STATES[this.#state],
      entries: keys.named - dead,
      dead,
      tail: graph.slots - linked + this.#backlog.size,
      bytes: graph.bytes + keys.size,
      calibration: this.#calibration.table,
      builtAt: this.#builtAt,
      buildMs: this.#buildMs,
      blocksDone: this.#blocksDone,
      blocksTotal: this.#blocksTotal,
      phase: this.#phase,
    }
  }
}

const STATES = { loading: 'loading', pending: 'building', ready: 'ready', failed: 'failed', closed: 'failed' } as const

function closeUnused(slots: Slots): void {
  if (slots.isReplaced && slots.searches === 0) slots.graph.close()
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0
}
