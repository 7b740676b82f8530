/**
 * One vector index in memory: its graph, the keys of its slots, and what keeps them in step with the store.
 *
 *     loading   entries are being read (from a checkpoint's graph, or into an empty one: load.ts); commits are followed meanwhile
 *     pending   CREATE INDEX is building it in a transaction that has not committed: nobody else can name it
 *     ready     slots tell what each snapshot from `since` on sees; the linker (linker.ts) moves the tail into the graph
 *     failed    the graph could not be kept (memory): everyone scans exactly until it is opened anew
 *
 * The feed calls `#commit` before a commit is visible, so that whoever can see an entry finds its slot; a large commit is
 * taken over bit by bit (backlog.ts), and snapshots that see it are not served meanwhile. Neither is a snapshot older than
 * `since`: what died before is not in the graph.
 */
import type { Key, Timestamp } from '../../storage/keys/brand.ts'
import { invariant } from '../../storage/keys/invariant.ts'
import { prefixSpan } from '../../storage/keys/map.ts'
import { type Changes, type Kv, PAGE_HEADER_BYTES, type Txn, type WritesMark } from '../../storage/kv/kv.ts'
import { sqlError } from '../types/error.ts'
import type { Value } from '../types/value.ts'
import { packVector, viewVector } from '../types/vector/packed.ts'
import { Backlog } from './backlog.ts'
import { BuildProgress } from './build-progress.ts'
import { Calibration } from './calibration.ts'
import { type CheckpointFile, readCheckpoint, writeCheckpoint } from './checkpoint.ts'
import { type GraphElements, graphElements } from './elements.ts'
import { TRAILER_BYTES } from './entry.ts'
import { EntriesSearch } from './exact-search.ts'
import type { Graphs, IndexGraph } from './index-graph.ts'
import { EntriesJudge } from './judge.ts'
import { Linker } from './linker.ts'
import { type Candidate, LiveSearch, ownEntries, type SearchSource } from './live-search.ts'
import { EntryLoader } from './load.ts'
import { distancesOf, measuredEntries, nearestHits } from './measured.ts'
import { Rebuild } from './rebuild.ts'
import type { RowList } from './row-list.ts'
import { graphTooLarge } from './settings.ts'
import { pageRows, Slices } from './slices.ts'
import { FOUND_ROWS, Slots } from './slots.ts'
import type {
  BuildOptions,
  Hits,
  SearchOptions,
  VectorIndex,
  VectorIndexSpec,
  VectorIndexStatus,
  VectorSearch,
} from './vector-index.ts'

/** A transaction that has gone on writing to the index it has built: so many entries are looked at in its commit. */
const ADOPTED_AT_ONCE = 4096
/** A graph is built anew when this share of its slots is dead. */
const DEAD_SHARE = 0.22
const VACUUM_DEAD_SHARE = 0.05
const REBUILD_SLOTS_MIN = 1000
/** After a rebuild that failed, this many times as many dead slots. */
const REBUILD_AGAIN = 1.5
/** Changes after which a new checkpoint is written: this many, and this share of the slots. */
const CHECKPOINT_CHANGES = 5000
const CHECKPOINT_SHARE = 0.1
/** What a segment can hold. */
const BYTES_MAX = 4 * 2 ** 30
/** When slots of a transaction that builds were created: it has no timestamp yet, and nobody who sees them is older. */
const BUILT = 0
/** A store that is closed waits so long for a linker that is still at work; the tail it leaves is linked after the next start. */
const CLOSE_MS = 3000

/** Slots of rows that other indexes name; used from one line to the next. */
const FOUND = new Int32Array(FOUND_ROWS)
const FOUND_SLOTS = new Uint32Array(FOUND.buffer)

export interface LiveOptions {
  readonly kv: Kv
  readonly graphs: Graphs
  /** Of its checkpoint; undefined: it has none. */
  readonly file: string | undefined
  warn(message: string, fields?: Record<string, unknown>): void
}

export class LiveIndex implements VectorIndex {
  readonly spec: VectorIndexSpec
  readonly prefix: Key
  readonly isQuantized: boolean
  readonly #options: LiveOptions
  readonly #elements: GraphElements
  readonly #calibration = new Calibration()
  readonly #progress = new BuildProgress()
  readonly #backlog: Backlog
  readonly #linker: Linker
  readonly #unfollow: () => void
  #state: 'loading' | 'pending' | 'ready' | 'failed' | 'closed' = 'loading'
  #error: unknown
  #slots: Slots
  #since = 0
  /** While loading, once the checkpoint is read. */
  #loader: EntryLoader | undefined
  #reading: Promise<void> | undefined
  /** While it is loaded from a checkpoint, or may be. */
  #coming: Promise<void> | undefined
  #arrived = (): void => {}
  /** While pending: what the building transaction had written when the graph was filled. */
  #mark: WritesMark | undefined
  /** While slots that were built get their transaction's timestamp. */
  #stamping: Promise<void> | undefined
  #rebuild: Rebuild | undefined
  #rebuilding: Promise<void> | undefined
  /** So many dead slots are borne with: a rebuild has failed. */
  #deadBorne = 0
  /** Since the last checkpoint was begun; whether it could not be written; whether recall was measured since. */
  #changes = 0
  #isUnsaved = false
  #isMeasured = false
  #saving: Promise<void> | undefined
  #isDropped = false
  /** Slots there were when recall was measured last. */
  #measuredSlots = 0
  readonly loaded: Promise<void>

  /** `load`: reads the store's entries in the background; else `build` fills it. `prefix`: of its entries (with a tenant's columns). */
  constructor(spec: VectorIndexSpec, prefix: Key, options: LiveOptions, load: boolean) {
    this.spec = spec
    this.prefix = prefix
    this.#options = options
    this.#elements = graphElements(spec)
    this.isQuantized = spec.quantization !== 'none' && spec.quantization !== spec.element
    this.#backlog = new Backlog(spec.dimensions)
    this.#slots = this.#empty()
    this.#linker = new Linker({
      progress: this.#progress,
      slots: () => this.#slots,
      isReady: () => this.#state === 'ready',
      isOver: () => this.#closed(),
      linked: () => {
        // Half of what a search walks through was not there when it was measured.
        if (this.#slots.linked > this.#measuredSlots * 2) this.#measureSoon()
      },
      rests: () => this.#wantMaintenance(),
      failed: (error) => this.#failed(error),
    })
    this.#unfollow = options.kv.follow(prefix, (at, changes) => this.#commit(at, changes))
    if (load) {
      this.#coming = new Promise((resolve) => {
        this.#arrived = resolve
      })
      this.loaded = this.#load()
        .catch((error: unknown) => this.#failed(error))
        .finally(() => this.#noLongerComing())
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
    return new Slots(this.#options.graphs.create(this.#graphSpec(), { bytesMax: BYTES_MAX }))
  }

  // ---- what the store says

  #commit(at: Timestamp, changes: Changes): void {
    if (this.#closed()) return
    // What is committed while a checkpoint is read is among the entries that are read then.
    if (this.#state === 'loading' && this.#loader === undefined) return
    try {
      if (this.#state === 'pending') this.#adopt(at, changes)
      else if (this.#backlog.takes(at, changes)) this.#drain()
      else changes.each((key, value) => this.#changed(at, key.slice(this.prefix.length), value))
      this.#linker.want()
    } catch (error) {
      // A commit must not fail because of what is derived from it.
      this.#failed(error)
    }
  }

  /** What waits while entries are read is applied to them afterwards. */
  #drain(): void {
    if (this.#state !== 'ready') return
    const apply = (at: Timestamp, key: string, value: Uint8Array | undefined) =>
      this.#apply(at, key.slice(this.prefix.length), value)
    const sliced = () => {
      this.#linker.want()
      return !this.#closed()
    }
    this.#backlog.drain(apply, sliced).catch((error: unknown) => this.#failed(error))
  }

  /** A change that may be known: the entry was read from the store, or by the transaction that has built the index. */
  #apply(at: Timestamp, name: string, value: Uint8Array | undefined): void {
    const { graph, keys } = this.#slots
    const known = keys.find(name)
    if (known !== undefined) {
      const created = graph.created(known)
      if (created > at) return
      const isOfThisCommit = created === at || (created === BUILT && at === this.#since)
      const isKnown = isOfThisCommit && this.#slots.isLive(known) && value !== undefined
      if (isKnown && sameBytes(graph.vector(known), this.#pack(value))) return
    }
    this.#changed(at, name, value)
  }

  /** The transaction that built the index commits. */
  #adopt(at: Timestamp, changes: Changes): void {
    const { graph } = this.#slots
    this.#since = at
    this.#state = 'ready'
    if (this.#mark === undefined || !changes.isAsAt(this.#mark)) {
      if (changes.most <= ADOPTED_AT_ONCE)
        changes.each((key, value) => this.#apply(at, key.slice(this.prefix.length), value))
      else if (this.#backlog.takes(at, changes)) this.#drain()
    }
    this.#changes = graph.slots
    this.#stamping = this.#stamp(this.#slots, at).finally(() => {
      this.#stamping = undefined
      this.#wantCheckpoint()
    })
    this.#measureSoon()
  }

  /** Slots of the transaction that has built them are of its commit: a checkpoint's are known by that. */
  async #stamp({ graph, keys }: Slots, at: Timestamp): Promise<void> {
    const slices = new Slices()
    for (let slot = 0, count = graph.slots; slot < count; slot++) {
      if (keys.has(slot) && graph.created(slot) === BUILT) graph.setCreated(slot, at)
      if (slot % 1024 === 1023 && slices.isOver) await slices.next()
    }
  }

  #changed(at: number, name: string, value: Uint8Array | undefined): void {
    const slots = this.#slots
    this.#loader?.touch(name)
    const old = slots.keys.find(name)
    if (old !== undefined && slots.isLive(old)) {
      slots.markDeleted(old, at)
      this.#rebuild?.deleted(old, at)
    }
    this.#changes++
    if (value === undefined) return
    const packed = this.#pack(value)
    const slot = slots.append(name, packed, at)
    this.#rebuild?.appended(slot, name, packed, at)
    if (old === undefined) return
    slots.older.set(slot, old)
    this.#rebuild?.replaced(slot, old)
  }

  #pack(value: Uint8Array): Uint8Array {
    return this.#elements.pack(value.subarray(0, value.length - TRAILER_BYTES))
  }

  #failed(error: unknown): void {
    if (this.#state === 'closed') return
    this.#state = 'failed'
    this.#error = error
    this.#progress.phase = ''
    this.#unfollow()
    this.#linker.close()
    this.#noLongerComing()
    this.#options.warn(`the graph of index "${this.spec.name}" is given up: searches read all entries`, { err: error })
  }

  #closed(): boolean {
    return this.#state === 'closed' || this.#state === 'failed'
  }

  // ---- loading

  get coming(): Promise<void> | undefined {
    return this.#coming
  }

  #noLongerComing(): void {
    this.#coming = undefined
    this.#arrived()
  }

  async #load(): Promise<void> {
    this.#progress.phase = 'loading'
    this.#reading = this.#read()
    await this.#reading
    if (this.#state !== 'ready') return
    this.#drain()
    if (this.#slots.tail > 0) await this.#linker.all()
    if (this.#closed()) return
    if (this.#calibration.table.length === 0) this.#measureSoon()
    else this.#measuredSlots = this.#slots.linked
  }

  async #read(): Promise<void> {
    const { kv, file } = this.#options
    const found = file === undefined ? undefined : await this.#restored(file)
    if (found === undefined) this.#noLongerComing()
    else this.#take(found)
    if (this.#closed()) return
    this.#loader = new EntryLoader(this.#slots, {
      kv,
      prefix: this.prefix,
      dimensions: this.spec.dimensions,
      bytes: this.#elements.bytes,
      pack: (value) => this.#pack(value),
      isOver: () => this.#closed(),
    })
    const since = await this.#loader.run()
    if (since === undefined || this.#closed()) return
    this.#since = since
    this.#changes += this.#loader.appended
    this.#loader = undefined
    this.#state = 'ready'
    this.#progress.phase = ''
    this.#noLongerComing()
  }

  #take({ graph, keys, notes }: CheckpointFile<IndexGraph>): void {
    this.#slots.graph.close()
    this.#slots = new Slots(graph, keys, Math.min(notes.linked, graph.slots))
    this.#calibration.restore(notes.calibration)
    this.#progress.builtAt = notes.builtAt
    this.#progress.buildMs = notes.buildMs
  }

  /** A good checkpoint; a bad one is told of and forgotten. */
  async #restored(file: string): Promise<CheckpointFile<IndexGraph> | undefined> {
    const { graphs } = this.#options
    const make = (blocks: AsyncIterable<Uint8Array>) => {
      if (this.#closed()) throw new Error('the index was closed')
      return graphs.restore(this.#graphSpec(), { bytesMax: BYTES_MAX }, blocks)
    }
    try {
      return await readCheckpoint(file, this.#fingerprint(), make)
    } catch (error) {
      if (!this.#closed())
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
  async build(txn: Txn, options: BuildOptions): Promise<void> {
    const { check } = options
    const began = performance.now()
    this.#progress.phase = 'building index: loading tuples'
    const slots = this.#slots
    const { graph } = slots
    await this.#fill(txn, slots, options)
    if (graph.slots === 0) {
      // There is nothing to be hidden until the commit, and without entries the feed would not tell of it. Rows of the
      // table that are gone by now have no entries: older snapshots may see them.
      this.#since = this.#options.kv.now()
      this.#state = 'ready'
      this.#progress.phase = ''
      return
    }
    this.#mark = txn.markOwn()
    this.#progress.linking(graph.slots)
    await this.#linker.until(graph.slots)
    this.#checkOpen()
    check()
    this.#progress.built(began)
  }

  async #fill(txn: Txn, slots: Slots, { bytesMax, bytesTaken = 0, check }: BuildOptions): Promise<void> {
    const rows = pageRows(this.spec.dimensions)
    const empty = slots.graph.bytes
    const slices = new Slices()
    const scanner = txn.scanNewest(prefixSpan(this.prefix))
    try {
      for (let page = scanner.next(rows); page !== undefined; page = scanner.next(rows)) {
        const { buffer, bytes } = page
        for (let o = 0; o < bytes; ) {
          const start = o + PAGE_HEADER_BYTES
          const valueAt = start + buffer.readUInt32LE(o)
          o = valueAt + buffer.readUInt32LE(o + 4)
          const name = buffer.latin1Slice(start + this.prefix.length, valueAt)
          slots.append(name, this.#pack(buffer.subarray(valueAt, o)), BUILT)
        }
        if (bytesTaken + slots.bytes - empty > bytesMax) throw graphTooLarge(this.spec.name, bytesMax, slots.keys.named)
        if (!slices.isOver) continue
        await slices.next()
        this.#checkOpen()
        check()
      }
    } finally {
      scanner.close()
    }
  }

  /** The statement has been ended meanwhile. */
  #checkOpen(): void {
    if (this.#state === 'failed') throw this.#error
    if (this.#state === 'closed') throw sqlError('57014', 'canceling statement due to user request')
  }

  // ---- many dead slots

  #wantMaintenance(): void {
    const { graph, dead } = this.#slots
    if (graph.slots >= REBUILD_SLOTS_MIN && dead > Math.max(graph.slots * DEAD_SHARE, this.#deadBorne))
      this.#rebuilt().catch((error: unknown) =>
        this.#options.warn(`index "${this.spec.name}" could not be built anew`, { err: error }),
      )
    else this.#wantCheckpoint()
  }

  /** VACUUM: a smaller share of dead slots is reason enough. */
  async vacuum(): Promise<void> {
    const { graph, dead } = this.#slots
    if (this.#state === 'ready' && dead > graph.slots * VACUUM_DEAD_SHARE) await this.#rebuilt()
  }

  /** Once at a time. */
  #rebuilt(): Promise<void> {
    this.#rebuilding ??= this.#rebuildNow()
      .catch((error: unknown) => {
        this.#deadBorne = this.#slots.dead * REBUILD_AGAIN
        throw error
      })
      .finally(() => {
        this.#rebuild = undefined
        this.#rebuilding = undefined
        if (!this.#closed()) this.#linker.want()
      })
    return this.#rebuilding
  }

  async #rebuildNow(): Promise<void> {
    await this.#stamping
    if (this.#closed()) return
    const began = performance.now()
    let since = 0
    this.#rebuild = new Rebuild(this.#slots, {
      progress: this.#progress,
      empty: () => this.#empty(),
      isOver: () => this.#closed(),
      linking: () => this.#linker.work,
    })
    const copied = () => {
      // A slot that died before it was copied is missing for older snapshots.
      since = this.#options.kv.now()
    }
    const swap = (to: Slots) => {
      const from = this.#slots
      this.#rebuild = undefined
      this.#slots = to
      this.#since = Math.max(this.#since, since)
      this.#progress.built(began)
      this.#changes = to.graph.slots
      this.#deadBorne = 0
      // Searches that began in the old graph end there.
      from.replace()
      this.#measureSoon()
    }
    await this.#rebuild.run(copied, swap)
  }

  // ---- checkpoints

  #wantCheckpoint(): void {
    const { graph } = this.#slots
    if (this.#options.file === undefined || this.#saving !== undefined || this.#state !== 'ready') return
    const isWanted = this.#changes >= CHECKPOINT_CHANGES || this.#changes >= graph.slots * CHECKPOINT_SHARE
    if (isWanted || this.#isMeasured) this.save().catch((error: unknown) => this.#notSaved(error))
  }

  /** Writes a checkpoint, beside all that goes on. */
  async save(): Promise<void> {
    const { file } = this.#options
    if (file === undefined || this.#state !== 'ready') return
    if (this.#saving !== undefined) return this.#saving
    this.#saving = this.#write(file)
    try {
      await this.#saving
    } finally {
      this.#saving = undefined
    }
    if (!this.#closed()) this.#linker.want()
  }

  async #write(file: string): Promise<void> {
    await this.#stamping
    if (this.#state !== 'ready') return
    const { graph, keys, linked } = this.#slots
    const { builtAt, buildMs } = this.#progress
    this.#changes = 0
    this.#isMeasured = false
    this.#isUnsaved = true
    const isWritten = await writeCheckpoint(
      file,
      {
        fingerprint: this.#fingerprint(),
        notes: { linked, calibration: this.#calibration.table, builtAt, buildMs },
        keys,
        keyCount: keys.count,
        blocks: graph.checkpoint(linked),
      },
      () => this.#isDropped,
    )
    if (isWritten) this.#isUnsaved = false
  }

  /** `dropped`: for good; otherwise the store is being closed, and a checkpoint is left when something has changed. */
  async close(dropped: boolean): Promise<void> {
    this.#unfollow()
    this.#linker.close()
    if (dropped) this.#isDropped = true
    else {
      const saved = this.#saveLast().catch((error: unknown) => this.#notSaved(error))
      await Promise.race([saved, new Promise((resolve) => setTimeout(resolve, CLOSE_MS).unref())])
    }
    this.#state = 'closed'
    this.#noLongerComing()
    // A checkpoint that is being written must not appear after it was removed.
    await this.#saving?.catch((error: unknown) => this.#notSaved(error))
    // What reads the store ends before it is closed.
    await this.#reading?.catch(() => undefined)
    if (dropped) this.#slots.replace()
    else this.#slots.graph.close()
  }

  async #saveLast(): Promise<void> {
    await this.#saving?.catch((error: unknown) => this.#notSaved(error))
    // What waits to be linked is linked after the start; while much is, that is done first.
    await this.#linker.work
    if (this.#state === 'ready' && (this.#changes > 0 || this.#isUnsaved)) await this.save()
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
    const source: SearchSource = {
      closed: slots.use(),
      spec: this.spec,
      graph,
      linked,
      isQuantized: this.isQuantized,
      name: (slot) => keys.key(slot),
      distance: (slot, value) => this.#distance(graph, slot, value),
      measure: (...args) => distancesOf(this.spec, this.prefix, ...args),
    }
    return new LiveSearch(source, txn, query, this.#packQuery(query), {
      effort: options.effort,
      all: options.all === true,
      // A transaction's own rows come from elsewhere: their slots are passed over.
      allow: allow && slots.bitmap(allow, this.spec.rowPrefix.length, txn.snapshot),
      allowNames: own && allow && new Set(this.#names(allow)),
      own,
    })
  }

  /** By the operator, from the vector of a slot. */
  #distance(graph: IndexGraph, slot: number, query: Value): number {
    const { element, dimensions, distance } = this.spec
    return distance(viewVector(graph.vector(slot), element, dimensions), query)
  }

  /** Of its own where packing makes other elements: the query outlives the next packing. */
  #packQuery(query: Value): Uint8Array {
    const packed = packVector(query, this.spec.element)
    return this.isQuantized ? this.#elements.pack(packed).slice() : packed
  }

  /** What the rows' keys are behind their table's prefix. */
  #names(rows: RowList, from = 0, to = rows.count): string[] {
    return rows.keys(from, to).map((key) => key.slice(this.spec.rowPrefix.length))
  }

  nearestOf(txn: Txn, query: Value, rows: RowList, limit: number, _tenant?: Key, from = 0, to = rows.count): Hits {
    if (txn.isolation === 'serializable')
      for (const name of this.#names(rows, from, to)) txn.noteRead((this.prefix + name) as Key)
    if (!this.isReadyFor(txn) || this.isQuantized)
      return nearestHits(this.spec, this.#measured(txn, this.#names(rows, from, to), query), limit)
    const own = ownEntries(txn, this.prefix, this.spec)
    const { graph, keys } = this.#slots
    const skip = this.spec.rowPrefix.length
    const packed = this.#elements.pack(packVector(query, this.spec.element))
    const found: Candidate[] = []
    for (let at = from; at < to; at += FOUND_ROWS) {
      const end = Math.min(to, at + FOUND_ROWS)
      this.#slots.find(rows, skip, txn.snapshot, at, end, FOUND)
      let count = 0
      for (let i = at; i < end; i++) {
        const slot = FOUND[i - at]!
        if (own !== undefined) {
          const name = rows.key(i).slice(skip)
          const mine = own.get(name)
          if (mine !== undefined) found.push({ name, distance: this.spec.distance(mine, query) })
          if (own.has(name)) continue
        }
        if (slot >= 0) FOUND[count++] = slot
      }
      for (let i = 0; i < count; i += graph.atOnce) {
        const slots = FOUND_SLOTS.subarray(i, Math.min(count, i + graph.atOnce))
        const hits = graph.exact(packed, { slots, limit: Math.min(limit, slots.length), at: txn.snapshot })
        invariant(!(hits instanceof Promise), 'so few are measured at once')
        for (let j = 0; j < hits.slots.length; j++)
          found.push({ name: keys.key(hits.slots[j]!), distance: hits.distances[j]!, slot: hits.slots[j]! })
      }
    }
    return nearestHits(this.spec, found, limit, (slot) => this.#distance(graph, slot, query))
  }

  #measured(txn: Txn, names: readonly string[], query: Value): Candidate[] {
    return measuredEntries(this.spec, this.prefix, txn, names, query)
  }

  // ---- what it tells

  #measureSoon(): void {
    const slots = this.#slots
    this.#measuredSlots = slots.linked
    const before = this.#calibration.table
    const isOver = (): boolean => this.#closed() || this.#slots !== slots
    const { kv } = this.#options
    const judging = this.isQuantized ? () => new EntriesJudge(kv, this.spec, this.prefix, slots, isOver) : undefined
    this.#calibration
      .run(slots.graph, slots.linked, isOver, judging)
      .then(() => {
        if (this.#calibration.table === before) return
        this.#isMeasured = true
        if (this.#linker.work === undefined) this.#wantCheckpoint()
      })
      .catch((error: unknown) => {
        // The threads of the graphs end with the server.
        if (this.#closed()) return
        this.#options.warn(`index "${this.spec.name}" could not be calibrated`, { err: error })
      })
  }

  effortFor(recall: number, limit: number, share: number): number {
    return this.#calibration.effortFor(recall, limit, share, this.#slots.graph.slots)
  }

  get status(): VectorIndexStatus {
    const { keys, dead, tail, bytes } = this.#slots
    const { builtAt, buildMs, blocksDone, blocksTotal, phase } = this.#progress
    return {
      state: STATES[this.#state],
      entries: keys.named - dead,
      dead,
      tail: tail + this.#backlog.size,
      bytes,
      calibration: this.#calibration.table,
      builtAt,
      buildMs,
      blocksDone,
      blocksTotal,
      phase,
    }
  }
}

const STATES = { loading: 'loading', pending: 'building', ready: 'ready', failed: 'failed', closed: 'failed' } as const

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0
}
