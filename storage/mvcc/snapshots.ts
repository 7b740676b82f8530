/**
 * Which snapshots are in use: a list in the order they were taken, which is the order of their timestamps. The first one
 * is the watermark: versions that only older readers could see may go. Taking and giving back allocate nothing.
 */
import type { Timestamp } from '../keys/brand.ts'

/** Something that reads at a snapshot; lies in the list while `isListed`. */
export class SnapshotHolder {
  snapshot = 0 as Timestamp
  isListed = false
  before: SnapshotHolder | undefined
  after: SnapshotHolder | undefined
}

export class Snapshots {
  #first: SnapshotHolder | undefined
  #last: SnapshotHolder | undefined

  /** The holder reads at `at` from now on. `at` never goes back from one call to the next. */
  take(holder: SnapshotHolder, at: Timestamp): void {
    if (holder.isListed) {
      if (holder.snapshot === at) return
      this.release(holder)
    }
    holder.snapshot = at
    holder.isListed = true
    holder.before = this.#last
    if (this.#last === undefined) this.#first = holder
    else this.#last.after = holder
    this.#last = holder
  }

  release(holder: SnapshotHolder): void {
    if (!holder.isListed) return
    const { before, after } = holder
    if (before === undefined) this.#first = after
    else before.after = after
    if (after === undefined) this.#last = before
    else after.before = before
    holder.before = holder.after = undefined
    holder.isListed = false
  }

  /** A new holder for the snapshot of one that is about to move on, in its place. */
  leaveBehind(holder: SnapshotHolder): SnapshotHolder {
    const kept = new SnapshotHolder()
    this.share(kept, holder)
    return kept
  }

  /** The holder reads at the snapshot of another one from now on, in its place. */
  share(holder: SnapshotHolder, other: SnapshotHolder): void {
    this.release(holder)
    holder.snapshot = other.snapshot
    holder.isListed = true
    holder.before = other
    holder.after = other.after
    if (other.after === undefined) this.#last = holder
    else other.after.before = holder
    other.after = holder
  }

  /** The oldest snapshot in use. */
  oldest(): Timestamp | undefined {
    return this.#first?.snapshot
  }
}
