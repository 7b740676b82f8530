/**
 * Constraint checks that wait for the end of the transaction (DEFERRABLE INITIALLY DEFERRED, SET CONSTRAINTS … DEFERRED), one list
 * a transaction:
 *
 *     statement → add(check) …            SET CONSTRAINTS IMMEDIATE → setMode, runDue        COMMIT → run
 *
 * A journal, so that ROLLBACK TO SAVEPOINT takes back what came after it: checks, modes, and that checks were run.
 */
import type { Oid } from '../../storage/keys/brand.ts'
import type { ConstraintRow } from '../catalog/catalog.ts'
import type { Execution, Steps } from './operator.ts'

export interface DeferredCheck {
  readonly constraint: ConstraintRow
  /** Looks at the newest state, which need not be what it was. Throws 23503 or 23505. */
  run(x: Execution): Steps
}

type Entry =
  | { readonly kind: 'check'; readonly check: DeferredCheck; done: boolean }
  | { readonly kind: 'mode'; readonly deferred: boolean; readonly constraints: ReadonlySet<Oid> | undefined }
  | { readonly kind: 'ran'; readonly checks: readonly (Entry & { kind: 'check' })[] }

export class DeferredChecks {
  readonly #journal: Entry[] = []
  #pending = 0
  #modes = 0

  /** No check waits. */
  get empty(): boolean {
    return this.#pending === 0
  }

  /** Whether the constraint's checks wait for the end of the transaction now. */
  waits(constraint: ConstraintRow): boolean {
    if (!constraint.deferrable) return false
    if (this.#modes > 0) {
      for (let i = this.#journal.length - 1; i >= 0; i--) {
        const entry = this.#journal[i]!
        if (entry.kind === 'mode' && (entry.constraints === undefined || entry.constraints.has(constraint.oid)))
          return entry.deferred
      }
    }
    return constraint.initiallyDeferred
  }

  add(check: DeferredCheck): void {
    this.#journal.push({ kind: 'check', check, done: false })
    this.#pending++
  }

  /** SET CONSTRAINTS (undefined: ALL); after IMMEDIATE, run what is due with `runDue`. */
  setMode(constraints: readonly Oid[] | undefined, deferred: boolean): void {
    this.#journal.push({ kind: 'mode', deferred, constraints: constraints && new Set(constraints) })
    this.#modes++
  }

  /** All checks, in the order they came: before the commit. */
  run(x: Execution): Steps {
    return this.#run(x, () => true)
  }

  /** The checks of constraints that are immediate now. */
  runDue(x: Execution): Steps {
    return this.#run(x, (constraint) => !this.waits(constraint))
  }

  *#run(x: Execution, isDue: (constraint: ConstraintRow) => boolean): Steps {
    const due = this.#journal.filter(
      (entry) => entry.kind === 'check' && !entry.done && isDue(entry.check.constraint),
    ) as (Entry & { kind: 'check' })[]
    if (due.length === 0) return
    for (const { check } of due) yield* check.run(x)
    for (const entry of due) entry.done = true
    this.#pending -= due.length
    this.#journal.push({ kind: 'ran', checks: due })
  }

  mark(): number {
    return this.#journal.length
  }

  undoTo(mark: number): void {
    while (this.#journal.length > mark) {
      const entry = this.#journal.pop()!
      if (entry.kind === 'mode') this.#modes--
      else if (entry.kind === 'check') this.#pending -= entry.done ? 0 : 1
      else {
        for (const each of entry.checks) each.done = false
        this.#pending += entry.checks.length
      }
    }
  }
}
