/**
 * What is in the store already, into an index that is being opened: from a checkpoint the graph and the keys of its slots, from
 * the entries their vectors, and whatever has come since the checkpoint.
 *
 *     checkpoint   slot 0  1  2  3        an entry's version timestamp says whether its slot still holds
 *     entries           a     c  d  e     a, c, d get their vectors, e a new slot, slot 1 is absent and led round
 */
import type { Key, Timestamp } from '../../storage/keys/brand.ts'
import { prefixSpan } from '../../storage/keys/map.ts'
import { type Kv, PAGE_HEADER_BYTES, type Txn } from '../../storage/kv/kv.ts'
import { pageRows, Slices } from './slices.ts'
import type { Slots } from './slots.ts'

export interface LoadOptions {
  readonly kv: Kv
  readonly prefix: Key
  readonly dimensions: number
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
        this.#countDead()
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
        const { buffer, bytes } = page
        for (let o = 0; o < bytes; ) {
          const start = o + PAGE_HEADER_BYTES
          const valueAt = start + buffer.readUInt32LE(o)
          const end = valueAt + buffer.readUInt32LE(o + 4)
          const at = buffer.readUInt32LE(o + 8) + buffer.readUInt32LE(o + 12) * 2 ** 32
          o = end
          this.#found(buffer, start + prefix.length, valueAt, end, at)
        }
        if (!slices.isOver) continue
        await slices.next()
        if (isOver()) return false
      }
      return true
    } finally {
      scanner.close()
    }
  }

  /** An entry of the store: a slot of the checkpoint's gets its vector, any other is a new slot. */
  #found(buffer: Buffer, start: number, valueAt: number, end: number, at: number): void {
    const { graph, keys } = this.#slots
    if (this.#touched.size > 0 && this.#touched.has(buffer.latin1Slice(start, valueAt))) return
    let slot: number | undefined = this.#near + 1
    const isNext = slot < this.#restored && graph.created(slot) === at && keys.isAt(slot, buffer, start, valueAt)
    if (!isNext) slot = keys.findIn(buffer, start, valueAt)
    const packed = this.#options.pack(buffer.subarray(valueAt, end))
    if (slot !== undefined && slot < this.#restored && graph.created(slot) === at && this.#slots.isLive(slot)) {
      graph.setVector(slot, packed)
      this.#near = slot
      return
    }
    this.#slots.append(buffer.latin1Slice(start, valueAt), packed, at)
    this.appended++
  }

  /** In one stretch: commits mark others meanwhile. */
  #countDead(): void {
    const { graph, keys } = this.#slots
    let dead = 0
    for (let slot = 0; slot < graph.slots; slot++) if (graph.deleted(slot) !== Infinity && keys.has(slot)) dead++
    this.#slots.dead = dead
  }
}
