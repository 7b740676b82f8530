/**
 * When the statement that runs now is to end. A function's loop over a long value cannot pause for the timer that ends
 * statements; it asks here now and then.
 *
 *     session: a statement begins, or goes on after a wait → setDeadline     a long loop: every so often → checkDeadline
 */
import { sqlError } from './error.ts'

let deadline = Number.POSITIVE_INFINITY

/** `at`: by performance.now(), in milliseconds; Infinity: never. */
export function setDeadline(at: number): void {
  deadline = at
}

/** Throws 57014 once statement_timeout is over. */
export function checkDeadline(): void {
  if (deadline !== Number.POSITIVE_INFINITY && performance.now() > deadline)
    throw sqlError('57014', 'canceling statement due to statement timeout')
}
