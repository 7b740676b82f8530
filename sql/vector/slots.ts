/**
 * What is in memory of an index, replaced as a whole when it is built anew: the graph, the key of each of its slots, which slot
 * a slot has replaced, how far it is linked.
 *
 *     slot     0    1    2    3    4    5    6
 *     key      a    b    c    b    d              b was changed: slot 3 has replaced slot 1, which is dead
 *                                       ^ linked  slots from here on are the tail
 */

import type { IndexGraph } from './index-graph.ts'
import type { RowList } from './row-list.ts'
import { SlotKeys } from './slot-keys.ts'

/** Rows that are looked for at once. */
export const FOUND_ROWS = 1024

export class Slots {
  readonly graph: IndexGraph
  readonly keys: SlotKeys
  /** The slot that a slot has replaced: the same row's version before. */
  readonly older = new Map<number, number>()
  /** Slots below are linked. */
  linked: number
  dead = 0
  /** Searches that are open; a graph that was replaced is closed with the last of them. */
  #searches = 0
  #isReplaced = false

  constructor(graph: IndexGraph, keys = new SlotKeys(), linked = 0) {
    this.graph = graph
    this.keys = keys
    this.linked = linked
  }

  /** Slots that are not linked yet. */
  get tail(): number {
    return this.graph.slots - this.linked
  }

  get bytes(): number {
    return this.graph.bytes + this.keys.size
  }

  append(name: string, packed: Uint8Array, created: number): number {
    const slot = this.graph.append(packed, created)
    this.keys.add(name, slot)
    return slot
  }

  markDeleted(slot: number, at: number): void {
    this.graph.markDeleted(slot, at)
    this.dead++
  }

  isLive(slot: number): boolean {
    return this.graph.deleted(slot) === Infinity
  }

  /**
   * The slots of the entries that a snapshot sees, if it sees any, of the rows from `from` to before `to`; -1: there is none.
   * `skip`: bytes of the table's own prefix in a row's key. The graph looks at the timestamps of those that it is asked for.
   */
  find({ bytes, starts }: RowList, skip: number, snapshot: number, from: number, to: number, out: Int32Array): void {
    const { graph, keys, older } = this
    keys.findMany(bytes, starts, skip, from, to, out)
    if (older.size === 0) return
    for (let i = 0; i < to - from; i++) {
      let slot = out[i]!
      while (slot >= 0 && graph.created(slot) > snapshot) slot = older.get(slot) ?? -1
      out[i] = slot
    }
  }

  /** Bits of the slots that the rows have at the snapshot. */
  bitmap(rows: RowList, skip: number, snapshot: number): Uint8Array {
    const bits = new Uint8Array((this.graph.slots + 7) >> 3)
    const slots = new Int32Array(Math.min(rows.count, FOUND_ROWS))
    for (let from = 0; from < rows.count; from += FOUND_ROWS) {
      const to = Math.min(rows.count, from + FOUND_ROWS)
      this.find(rows, skip, snapshot, from, to, slots)
      for (let i = 0; i < to - from; i++) {
        const slot = slots[i]!
        if (slot >= 0) bits[slot >> 3] = bits[slot >> 3]! | (1 << (slot & 7))
      }
    }
    return bits
  }

  /** A search begins; it calls what this gives at its end, once. */
  use(): () => void {
    this.#searches++
    return () => {
      this.#searches--
      this.#closeUnused()
    }
  }

  /** Another takes its place, or none. */
  replace(): void {
    this.#isReplaced = true
    this.#closeUnused()
  }

  #closeUnused(): void {
    if (this.#isReplaced && this.#searches === 0) this.graph.close()
  }
}
