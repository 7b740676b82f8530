/**
 * What compiling a plan or an expression needs, and what comes out. Everything compiled is shared by all executions of a
 * plan, so it keeps no state of one; `bind(x)` gives the function that one execution calls for its rows.
 *
 *     const predicate = compilePredicate(plan.predicate, env)      once a plan, makes nothing yet
 *     const holds = predicate.bind(x)                              once an execution
 *     if (holds(row)) …                                            once a row
 */

import type { Catalog } from '../catalog/catalog.ts'
import type { Plan } from '../plan/plan.ts'
import type { Row } from '../types/value.ts'
import type { Execution, Operator } from './operator.ts'

export interface CompileEnv {
  readonly catalog: Catalog
  /**
   * 'often': expressions become generated JavaScript (about 15 us each to make, a few ns a row). 'once': they are walked
   * (nothing to make, about 100 ns a node and row): for statements that see few rows and are not repeated.
   */
  readonly mode: 'once' | 'often'
  /** The door of the executor, handed down so that subplans in expressions can be compiled below it. */
  readonly compilePlan: (plan: Plan, env: CompileEnv) => Operator
}

export interface Compiled<T> {
  bind(x: Execution): (row: Row) => T
}
/** Over two rows, a join's outer and inner. */
export interface CompiledPair<T> {
  bind(x: Execution): (outer: Row, inner: Row) => T
}

export type ExpressionEnv = Pick<CompileEnv, 'catalog' | 'mode' | 'compilePlan'>
