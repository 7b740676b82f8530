/**
 * What is in memory of an index, replaced as a whole when it is built anew: the graph, the key of each of its slots, which slot
 * a slot has replaced, how far it is linked.
 *
 *     slot     0    1    2    3    4    5    6
 *     key      a    b    c    b    d              b was changed: slot 3 has replaced slot 1, which is dead
 *                                       ^ linked  slots from here on are the tail
 */

import type { IndexGraph } from './index-graph.ts'
import type { OwnEntries } from './live-search.ts'
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

  /** The slot of a row's entry that a snapshot sees. */
  at(name: string, snapshot: number): number | undefined {
    const { graph, keys, older } = this
    for (let slot = keys.find(name); slot !== undefined; slot = older.get(slot))
      if (graph.created(slot) <= snapshot) return snapshot < graph.deleted(slot) ? slot : undefined
    return undefined
  }

  /** Bits of the slots that the names have at the snapshot, but for those that the transaction has written itself. */
  bitmap(names: readonly string[], snapshot: number, own: OwnEntries | undefined): Uint8Array {
    const bits = new Uint8Array((this.graph.slots + 7) >> 3)
    for (const name of names) {
      if (own?.has(name) === true) continue
      const slot = this.at(name, snapshot)
      if (slot !== undefined) bits[slot >> 3] = bits[slot >> 3]! | (1 << (slot & 7))
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
