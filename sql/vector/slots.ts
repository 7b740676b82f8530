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
   * The slot of the entry whose row's key lies in [start, end) of a buffer that a snapshot sees, if it sees any; -1: there is none.
   * The graph looks at the timestamps of those that it is asked for.
   */
  at(buffer: Uint8Array, start: number, end: number, snapshot: number): number {
    const { graph, keys, older } = this
    let slot = keys.findIn(buffer, start, end)
    while (slot !== undefined && older.size > 0 && graph.created(slot) > snapshot) slot = older.get(slot)
    return slot ?? -1
  }

  /** Bits of the slots that the rows have at the snapshot. `skip`: bytes of the table's own prefix in a row's key. */
  bitmap(rows: RowList, skip: number, snapshot: number): Uint8Array {
    const bits = new Uint8Array((this.graph.slots + 7) >> 3)
    for (let i = 0; i < rows.count; i++) {
      const slot = this.at(rows.bytes, rows.start(i) + skip, rows.end(i), snapshot)
      if (slot >= 0) bits[slot >> 3] = bits[slot >> 3]! | (1 << (slot & 7))
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
