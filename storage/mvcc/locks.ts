/**
 * A lock table: who holds what, who waits in which order. Rows have one (four strengths), tables, other objects and
 * advisory keys another (eight modes). Pure: no clock, no promise. Asking answers 'granted', 'unavailable' or a Wait;
 * when locks are released, waits are settled in the order they came, and their `settle` tells whoever made the promise.
 *
 *     key -> Holding            one owner alone: the common case costs one map entry, the Holding is shared by all its keys
 *     key -> Queue              several holders, or someone waits
 *
 * First come, first served: a request that conflicts with an earlier wait queues behind it (so that a stream of readers
 * cannot starve a writer), unless its owner holds the target already: it then goes before those who wait for it.
 *
 * A bulk load does not fill the table: once an owner holds many rows its buffered writes stand for their locks (`Bulk`).
 */
import { invariant } from '../keys/invariant.ts'
import type { LockModes, WaitPolicy } from './lock-modes.ts'

/** From here on an owner's buffered writes stand for its exclusive row locks; for those of new rows much sooner. */
export const BULK_FROM = 4096
export const BULK_FROM_NEW = 32

/** Who takes locks: a transaction, or a session for advisory locks that outlive its transactions. */
export class LockOwner {
  readonly pid: number
  /** The transaction's id; 0 for a session. */
  readonly id: number
  readonly isSession: boolean
  /** Waits in progress: normally one at most. */
  readonly waits: Wait[] = []
  /** By table number: what it holds, once each. */
  readonly held: [string[], string[]] = [[], []]
  readonly #holdings: (Holding | undefined)[] = []

  constructor(pid: number, id: number, isSession = false) {
    this.pid = pid
    this.id = id
    this.isSession = isSession
  }

  /** The one object that stands for "this owner alone, with these modes". */
  holding(mask: number): Holding {
    return (this.#holdings[mask] ??= new Holding(this, mask))
  }
}

class Holding {
  readonly owner: LockOwner
  readonly mask: number
  constructor(owner: LockOwner, mask: number) {
    this.owner = owner
    this.mask = mask
  }
}

class Queue {
  readonly target: string
  readonly holders = new Map<LockOwner, number>()
  readonly waits: Wait[] = []
  constructor(target: string) {
    this.target = target
  }
}

/** How a wait ended. */
export type WaitOutcome =
  | { readonly kind: 'granted' }
  | { readonly kind: 'deadlock'; readonly detail: string }
  | { readonly kind: 'timeout' }
  | { readonly kind: 'cancelled' }

const GRANTED: WaitOutcome = { kind: 'granted' }

export class Wait {
  readonly owner: LockOwner
  readonly table: LockTable
  readonly queue: Queue
  readonly mode: number
  /** Called once, when the wait ends. Set by who waits. */
  settle: (outcome: WaitOutcome) => void = () => {}

  constructor(owner: LockOwner, table: LockTable, queue: Queue, mode: number) {
    this.owner = owner
    this.table = table
    this.queue = queue
    this.mode = mode
  }

  get target(): string {
    return this.queue.target
  }
}

/** An owner whose buffered writes stand for its row locks. */
export interface Bulk {
  readonly owner: LockOwner
  /** True when the key is among its buffered writes (or is just about to be). */
  holds(key: string): boolean
}

export interface LockEntry {
  readonly owner: LockOwner
  readonly target: string
  readonly mode: string
  readonly granted: boolean
}

/** A transaction and its session do not stand in each other's way. */
function sameSide(a: LockOwner, b: LockOwner): boolean {
  return a === b || (a.pid === b.pid && (a.isSession || b.isSession))
}

export class LockTable {
  readonly modes: LockModes
  /** Where owners keep this table's targets: 0 rows, 1 objects. */
  readonly number: 0 | 1
  readonly #entries = new Map<string, Holding | Queue>()
  readonly #bulks: Bulk[] = []
  /** No bulk holds a key above it. */
  #bulkTop = ''
  readonly #strongest: number

  constructor(modes: LockModes, number: 0 | 1) {
    this.modes = modes
    this.number = number
    this.#strongest = 1 << (modes.names.length - 1)
  }

  /** Number of entries, for tests and metrics. */
  get size(): number {
    return this.#entries.size
  }

  acquire(owner: LockOwner, target: string, mode: number, policy: WaitPolicy): 'granted' | 'unavailable' | Wait {
    const entry = this.#entries.get(target)
    const bit = 1 << mode
    if (entry === undefined) {
      if (this.#bulks.length > 0 && this.#heldInBulk(owner, target)) return this.acquire(owner, target, mode, policy)
      this.#entries.set(target, owner.holding(bit))
      owner.held[this.number].push(target)
      return 'granted'
    }
    if (entry instanceof Holding) {
      if (entry.owner === owner) {
        if (!this.#covered(entry.mask, bit)) this.#entries.set(target, owner.holding(entry.mask | bit))
        return 'granted'
      }
      if ((this.modes.conflicts[mode]! & entry.mask) !== 0 && policy !== 'wait' && !sameSide(owner, entry.owner))
        return 'unavailable'
      const queue = new Queue(target)
      queue.holders.set(entry.owner, entry.mask)
      this.#entries.set(target, queue)
      return this.#acquireQueued(owner, queue, mode, policy)
    }
    return this.#acquireQueued(owner, entry, mode, policy)
  }

  #acquireQueued(owner: LockOwner, queue: Queue, mode: number, policy: WaitPolicy): 'granted' | 'unavailable' | Wait {
    const held = queue.holders.get(owner)
    const bit = 1 << mode
    if (held !== undefined && this.#covered(held, bit)) return 'granted'
    const mine = held ?? this.#heldBeside(owner, queue)
    const free = !this.#conflictsWithHolders(owner, queue, mode)
    if (free && (mine !== undefined || !this.#conflictsWithWaits(owner, queue, mode, queue.waits.length))) {
      this.#grant(owner, queue, bit)
      return 'granted'
    }
    if (policy !== 'wait') return 'unavailable'
    const wait = new Wait(owner, this, queue, mode)
    // Who holds the target already goes before those who wait for it to let go.
    if (mine === undefined) queue.waits.push(wait)
    else queue.waits.splice(this.#firstBlockedBy(queue, mine), 0, wait)
    owner.waits.push(wait)
    return wait
  }

  /** What a transaction's session holds, or a session's transaction. */
  #heldBeside(owner: LockOwner, queue: Queue): number | undefined {
    for (const [holder, mask] of queue.holders) if (sameSide(holder, owner)) return mask
    return undefined
  }

  #firstBlockedBy(queue: Queue, held: number): number {
    const at = queue.waits.findIndex((wait) => (this.modes.conflicts[wait.mode]! & held) !== 0)
    return at < 0 ? queue.waits.length : at
  }

  #grant(owner: LockOwner, queue: Queue, bit: number): void {
    const held = queue.holders.get(owner)
    if (held === undefined) owner.held[this.number].push(queue.target)
    queue.holders.set(owner, (held ?? 0) | bit)
  }

  #covered(mask: number, bit: number): boolean {
    if ((mask & bit) !== 0) return true
    for (let mode = 0; mode < this.modes.covers.length; mode++) {
      if ((mask & (1 << mode)) !== 0 && (this.modes.covers[mode]! & bit) !== 0) return true
    }
    return false
  }

  #conflictsWithHolders(owner: LockOwner, queue: Queue, mode: number): boolean {
    const conflicts = this.modes.conflicts[mode]!
    for (const [holder, mask] of queue.holders) if ((mask & conflicts) !== 0 && !sameSide(holder, owner)) return true
    return false
  }

  /** Against the first `before` waits of the queue. */
  #conflictsWithWaits(owner: LockOwner, queue: Queue, mode: number, before: number): boolean {
    const conflicts = this.modes.conflicts[mode]!
    for (let i = 0; i < before; i++) {
      const wait = queue.waits[i]!
      if ((conflicts & (1 << wait.mode)) !== 0 && !sameSide(wait.owner, owner)) return true
    }
    return false
  }

  /** Lets go of everything the owner holds here; whoever can go on is granted. */
  releaseAll(owner: LockOwner): void {
    const targets = owner.held[this.number]
    for (let i = 0; i < targets.length; i++) this.#release(owner, targets[i]!)
    targets.length = 0
  }

  /** Lets go of what the owner took since it held `count` targets, but for those it keeps. Modes added to older ones stay. */
  releaseSince(owner: LockOwner, count: number, keeps: (target: string) => boolean): void {
    const targets = owner.held[this.number]
    const since = targets.splice(count)
    for (const target of since) {
      if (keeps(target)) targets.push(target)
      else this.#release(owner, target)
    }
  }

  /** Lets go of one mode; false when it was not held. */
  releaseMode(owner: LockOwner, target: string, mode: number): boolean {
    const entry = this.#entries.get(target)
    const bit = 1 << mode
    const held =
      entry === undefined
        ? 0
        : entry instanceof Holding
          ? entry.owner === owner
            ? entry.mask
            : 0
          : (entry.holders.get(owner) ?? 0)
    if (entry === undefined || (held & bit) === 0) return false
    if (held === bit) {
      const targets = owner.held[this.number]
      targets.splice(targets.indexOf(target), 1)
      this.#release(owner, target)
    } else if (entry instanceof Holding) {
      this.#entries.set(target, owner.holding(held & ~bit))
    } else {
      entry.holders.set(owner, held & ~bit)
      this.#serve(entry)
    }
    return true
  }

  #release(owner: LockOwner, target: string): void {
    const entry = this.#entries.get(target)
    invariant(entry !== undefined, `a lock on ${target} was lost`)
    if (entry instanceof Holding) {
      this.#entries.delete(target)
      return
    }
    entry.holders.delete(owner)
    this.#serve(entry)
  }

  /** Ends a wait that was not granted. */
  abandon(wait: Wait, outcome: WaitOutcome): void {
    const at = wait.queue.waits.indexOf(wait)
    if (at < 0) return
    wait.queue.waits.splice(at, 1)
    this.#settle(wait, outcome)
    this.#serve(wait.queue)
  }

  /** Grants what can be granted, in order; a queue nobody waits in folds back to a Holding, or away. */
  #serve(queue: Queue): void {
    const granted: Wait[] = []
    let ahead = 0
    // Behind a wait for the strongest mode nobody can go on: a hot row's long queue costs nothing here.
    for (let i = 0; i < queue.waits.length && (ahead & this.#strongest) === 0; ) {
      const wait = queue.waits[i]!
      const isBehind =
        (this.modes.conflicts[wait.mode]! & ahead) !== 0 && this.#conflictsWithWaits(wait.owner, queue, wait.mode, i)
      if (isBehind || this.#conflictsWithHolders(wait.owner, queue, wait.mode)) {
        ahead |= 1 << wait.mode
        i++
      } else {
        queue.waits.splice(i, 1)
        this.#grant(wait.owner, queue, 1 << wait.mode)
        granted.push(wait)
      }
    }
    if (queue.waits.length === 0 && queue.holders.size <= 1) {
      const [last] = queue.holders
      if (last === undefined) this.#entries.delete(queue.target)
      else this.#entries.set(queue.target, last[0].holding(last[1]))
    }
    for (const wait of granted) this.#settle(wait, GRANTED)
  }

  #settle(wait: Wait, outcome: WaitOutcome): void {
    wait.owner.waits.splice(wait.owner.waits.indexOf(wait), 1)
    wait.settle(outcome)
  }

  /** The owners a wait cannot get past: conflicting holders, and conflicting waits before it. */
  blockersOf(wait: Wait): LockOwner[] {
    const conflicts = this.modes.conflicts[wait.mode]!
    const out: LockOwner[] = []
    for (const [holder, mask] of wait.queue.holders) {
      if ((mask & conflicts) !== 0 && !sameSide(holder, wait.owner)) out.push(holder)
    }
    for (const other of wait.queue.waits) {
      if (other === wait) break
      if ((conflicts & (1 << other.mode)) !== 0 && !sameSide(other.owner, wait.owner)) out.push(other.owner)
    }
    return out
  }

  /** Modes that `owner` holds on the target, as a mask. */
  heldBy(owner: LockOwner, target: string): number {
    const entry = this.#entries.get(target)
    if (entry === undefined) return 0
    if (entry instanceof Holding) return entry.owner === owner ? entry.mask : 0
    return entry.holders.get(owner) ?? 0
  }

  /** True when the target has no entry and no other owner's buffered write stands for one. */
  isFree(owner: LockOwner, target: string): boolean {
    return !this.#entries.has(target) && this.#otherBulk(owner, target) === undefined
  }

  /** This owner's buffered writes, none of them above `top`, stand for its locks from now on. */
  addBulk(bulk: Bulk, top: string): void {
    this.#bulks.push(bulk)
    this.raiseBulkTop(top)
  }

  /** A bulk is about to write a key: keys mostly ascend, and those of others need not be asked about one above them all. */
  raiseBulkTop(key: string): void {
    if (key > this.#bulkTop) this.#bulkTop = key
  }

  removeBulk(owner: LockOwner): void {
    const at = this.#bulks.findIndex((bulk) => bulk.owner === owner)
    if (at >= 0) this.#bulks.splice(at, 1)
    if (this.#bulks.length === 0) this.#bulkTop = ''
  }

  #otherBulk(owner: LockOwner, key: string): Bulk | undefined {
    if (key > this.#bulkTop) return undefined
    for (let i = 0; i < this.#bulks.length; i++) {
      const bulk = this.#bulks[i]!
      if (bulk.owner !== owner && bulk.holds(key)) return bulk
    }
    return undefined
  }

  /** A lock that only a buffered write stands for gets its entry now that someone else asks. */
  #heldInBulk(owner: LockOwner, key: string): boolean {
    const bulk = this.#otherBulk(owner, key)
    if (bulk === undefined) return false
    this.hold(bulk.owner, key)
    return true
  }

  /** Enters a lock in the strongest mode that its owner has by other means. */
  hold(owner: LockOwner, key: string): void {
    this.#entries.set(key, owner.holding(this.#strongest))
    owner.held[this.number].push(key)
  }

  *rows(): Generator<LockEntry> {
    const entry = (owner: LockOwner, target: string, mode: number, granted: boolean): LockEntry => ({
      owner,
      target,
      mode: this.modes.names[mode]!,
      granted,
    })
    for (const [target, held] of this.#entries) {
      const holders: Iterable<readonly [LockOwner, number]> =
        held instanceof Holding ? [[held.owner, held.mask]] : held.holders
      for (const [owner, mask] of holders) {
        for (let mode = 0; mode < this.modes.names.length; mode++)
          if ((mask & (1 << mode)) !== 0) yield entry(owner, target, mode, true)
      }
      if (held instanceof Queue) for (const wait of held.waits) yield entry(wait.owner, target, wait.mode, false)
    }
  }
}
