/** Constraint checks that wait for the transaction's end (DEFERRABLE INITIALLY DEFERRED, SET CONSTRAINTS DEFERRED). */
import type { Oid } from '../../storage/keys/brand.ts'
import type { ConstraintRow } from '../catalog/catalog.ts'
import type { Execution, Steps } from './operator.ts'

export interface DeferredCheck {
  readonly constraint: Oid
  /** Runs the check against what is true then; throws the violation. */
  run(x: Execution): Steps
}

export class DeferredChecks {
  #queue: DeferredCheck[] = []
  /** SET CONSTRAINTS, in order: undefined constraints mean ALL. */
  #modes: { readonly constraints: readonly Oid[] | undefined; readonly deferred: boolean }[] = []

  get empty(): boolean {
    return this.#queue.length === 0
  }
  /** Whether a check of this constraint waits now. */
  waits(constraint: ConstraintRow): boolean {
    if (!constraint.deferrable) return false
    for (let i = this.#modes.length - 1; i >= 0; i--) {
      const mode = this.#modes[i]!
      if (mode.constraints === undefined || mode.constraints.includes(constraint.oid)) return mode.deferred
    }
    return constraint.initiallyDeferred
  }
  add(check: DeferredCheck): void {
    this.#queue.push(check)
  }
  setMode(constraints: readonly Oid[] | undefined, deferred: boolean): void {
    this.#modes.push({ constraints, deferred })
  }
  /** Runs and forgets what is due. */
  *run(x: Execution): Steps {
    const due = this.#queue
    this.#queue = []
    for (const check of due) yield* check.run(x)
  }
  mark(): number {
    return this.#queue.length
  }
  undoTo(mark: number): void {
    this.#queue.length = Math.min(mark, this.#queue.length)
    if (mark === 0) this.#modes = []
  }
}
