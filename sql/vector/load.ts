/**
 * What is in the store already, into an index that is being opened: from a checkpoint the graph and the keys of its slots, from
 * the entries their vectors, and whatever has come since the checkpoint.
 *
 *     checkpoint   slot 0  1  2  3        an entry's version timestamp says whether its slot still holds
 *     entries           a     c  d  e     a, c, d get their vectors, e a new slot, slot 1 is absent and led round
 */
import type { Key, Timestamp } from '../../storage/keys/brand.ts'
import { prefixSpan } from '../../storage/keys/map.ts'
import { type Kv, PAGE_HEADER_BYTES, type Page, type Txn } from '../../storage/kv/kv.ts'
import { PAGE_ROWS_MAX, pageRows, Slices } from './slices.ts'
import type { Slots } from './slots.ts'

export interface LoadOptions {
  readonly kv: Kv
  readonly prefix: Key
  readonly dimensions: number
  /** Of each packed vector, where entries begin with it. */
  readonly bytes: number | undefined
  pack(value: Uint8Array): Uint8Array
  isOver(): boolean
}

/** Follows the commits that come while it reads. */
export class EntryLoader {
  readonly #options: LoadOptions
  readonly #slots: Slots
  /** Slots that a checkpoint has given. */
  readonly #restored: number
  /** Ends of keys that commits have written since: their entries are passed over. */
  readonly #touched = new Set<string>()
  /** Of a page: slots, and where their vectors lie. */
  readonly #found = new Uint32Array(PAGE_ROWS_MAX)
  readonly #places = new Uint32Array(PAGE_ROWS_MAX)
  /** Where the last entry was: its neighbour in the store was often its neighbour in the graph. */
  #near = -1
  /** Entries that were in no checkpoint. */
  appended = 0

  constructor(slots: Slots, options: LoadOptions) {
    this.#options = options
    this.#slots = slots
    this.#restored = slots.graph.slots
  }

  /** A commit has written the key. */
  touch(name: string): void {
    this.#touched.add(name)
  }

  /** Reads all there are. Answers the oldest snapshot that the slots can serve; undefined: it is over. */
  async run(): Promise<Timestamp | undefined> {
    const { kv } = this.#options
    const txn = kv.begin({ isolation: 'repeatable-read', readOnly: true, pid: 0, lockTimeoutMs: () => 0 })
    try {
      txn.beginStatement()
      if (!(await this.#read(txn))) return undefined
      if (this.#restored > 0) {
        await this.#slots.graph.dropAbsent()
        if (this.#options.isOver()) return undefined
        this.#slots.dead = this.#slots.graph.dead
      }
      // What a commit has replaced meanwhile may be missing.
      return this.#touched.size === 0 ? txn.snapshot : kv.now()
    } finally {
      txn.rollback()
    }
  }

  async #read(txn: Txn): Promise<boolean> {
    const { prefix, dimensions, isOver } = this.#options
    const rows = pageRows(dimensions)
    const slices = new Slices()
    const scanner = txn.scan(prefixSpan(prefix))
    try {
      for (let page = scanner.next(rows); page !== undefined; page = scanner.next(rows)) {
        this.#page(page)
        if (!slices.isOver) continue
        await slices.next()
        if (isOver()) return false
      }
      return true
    } finally {
      scanner.close()
    }
  }

  #page({ buffer, bytes: end }: Page): void {
    const { prefix, bytes, pack } = this.#options
    const { graph } = this.#slots
    const begin = PAGE_HEADER_BYTES + prefix.length
    let found = 0
    for (let o = 0; o < end; ) {
      const start = o + begin
      const valueAt = o + PAGE_HEADER_BYTES + buffer.readUInt32LE(o)
      const at = buffer.readUInt32LE(o + 8) + buffer.readUInt32LE(o + 12) * 2 ** 32
      o = valueAt + buffer.readUInt32LE(o + 4)
      if (this.#touched.size > 0 && this.#touched.has(buffer.latin1Slice(start, valueAt))) continue
      const slot = this.#slotOf(buffer, start, valueAt, at)
      if (slot < 0) {
        this.#slots.append(buffer.latin1Slice(start, valueAt), pack(buffer.subarray(valueAt, o)), at)
        this.appended++
      } else if (bytes === undefined) graph.setVector(slot, pack(buffer.subarray(valueAt, o)))
      else {
        this.#found[found] = slot
        this.#places[found++] = valueAt
      }
    }
    if (bytes !== undefined && found > 0)
      graph.setVectors(this.#found, this.#places, found, bytes, buffer.subarray(0, end))
  }

  /** The slot of the checkpoint whose vector an entry holds; -1: there is none. */
  #slotOf(buffer: Buffer, start: number, end: number, at: number): number {
    const { graph, keys } = this.#slots
    const next = this.#near + 1
    const isNext = next < this.#restored && graph.created(next) === at && keys.isAt(next, buffer, start, end)
    const slot = isNext ? next : keys.findIn(buffer, start, end)
    if (slot === undefined || slot >= this.#restored || graph.created(slot) !== at || !this.#slots.isLive(slot))
      return -1
    this.#near = slot
    return slot
  }
}
