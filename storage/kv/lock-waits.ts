/**
 * The waiting side of locks: makes a promise of each Wait, with its lock_timeout, its cancellation, and the search for
 * deadlocks. Without a deadlock timeout the search runs when a wait begins and its own transaction is the victim; with
 * one it runs when the wait has lasted so long, as PostgreSQL's does.
 */
import type { Clock } from '../keys/clock.ts'
import { describeWait, findDeadlock } from '../mvcc/deadlock.ts'
import { OBJECT_MODES, ROW_MODES, type WaitPolicy } from '../mvcc/lock-modes.ts'
import { type LockOwner, LockTable, Wait, type WaitOutcome } from '../mvcc/locks.ts'
import { KvError } from '../range/errors.ts'

export interface WaitLimits {
  lockTimeoutMs(): number
  readonly deadlockTimeoutMs?: (() => number) | undefined
}

export class Locks {
  readonly rows = new LockTable(ROW_MODES, 0)
  readonly objects = new LockTable(OBJECT_MODES, 1)
  readonly #clock: Clock
  readonly #waits = new Set<Wait>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** undefined: granted. false: skipped. A promise of true: it waits. Throws lock-not-available for 'nowait'. */
  acquire(
    table: LockTable,
    owner: LockOwner,
    target: string,
    mode: number,
    policy: WaitPolicy,
    limits: WaitLimits,
  ): Promise<boolean> | false | undefined {
    const answer = table.acquire(owner, target, mode, policy)
    if (answer === 'granted') return undefined
    if (answer instanceof Wait) return this.#wait(answer, limits)
    if (policy === 'skip') return false
    throw new KvError({ kind: 'lock-not-available' })
  }

  #wait(wait: Wait, limits: WaitLimits): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const timers: (() => void)[] = []
      this.#waits.add(wait)
      wait.settle = (outcome) => {
        this.#waits.delete(wait)
        for (const cancel of timers) cancel()
        if (outcome.kind === 'granted') resolve(true)
        else reject(lockError(outcome))
      }
      const search = () => {
        const detail = findDeadlock(wait, this.#waits, describeWait)
        if (detail !== undefined) wait.table.abandon(wait, { kind: 'deadlock', detail })
      }
      const timeoutMs = limits.lockTimeoutMs()
      const deadlockMs = limits.deadlockTimeoutMs?.() ?? 0
      if (timeoutMs > 0) timers.push(this.#clock.after(timeoutMs, () => wait.table.abandon(wait, { kind: 'timeout' })))
      if (deadlockMs > 0) timers.push(this.#clock.after(deadlockMs, search))
      else search()
    })
  }

  /** Ends the waits of a process. */
  cancel(pid: number): void {
    for (const wait of [...this.#waits]) if (wait.owner.pid === pid) wait.table.abandon(wait, { kind: 'cancelled' })
  }

  /** Ends an owner's waits and lets go of all it holds. */
  releaseAll(owner: LockOwner): void {
    while (owner.waits.length > 0) owner.waits[0]!.table.abandon(owner.waits[0]!, { kind: 'cancelled' })
    this.rows.releaseAll(owner)
    this.objects.releaseAll(owner)
  }
}

function lockError(outcome: Exclude<WaitOutcome, { kind: 'granted' }>): KvError {
  switch (outcome.kind) {
    case 'deadlock':
      return new KvError({ kind: 'deadlock', detail: outcome.detail })
    case 'timeout':
      return new KvError({ kind: 'lock-timeout' })
    case 'cancelled':
      return new KvError({ kind: 'cancelled' })
  }
}
