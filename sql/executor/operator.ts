/**
 * How operators run. An operator is a synchronous generator of batches of rows; when something has to wait (a row lock, a
 * slow client, the end of this statement's time slice) it yields a Pause instead, and every operator above hands that up:
 *
 *     for (const step of input) {
 *       if (step instanceof Pause) { yield step; continue }
 *       …rows…
 *     }
 *
 * So a statement that does not wait runs in one synchronous stretch without a promise (a point query costs no await), and
 * one that does is resumed by its driver (sql/session) when the promise resolves.
 */
import type { Key, Oid } from '../../storage/keys/brand.ts'
import type { Txn } from '../../storage/kv/kv.ts'
import type { Catalog } from '../catalog/catalog.ts'
import type { CallContext } from '../types/function.ts'
import type { Value } from '../types/value.ts'
import type { VectorSettings } from '../vector/settings.ts'
import type { VectorIndexes } from '../vector/vector-index.ts'
import type { DeferredChecks } from './deferred.ts'

export type MutableRow = Value[]
/** At most about 1,024 rows, at least one. The receiver owns the array and the rows in it. */
export type RowBatch = MutableRow[]
export const BATCH_ROWS = 1024

/** How many rows a join gathers for its next batch: few at first, for a LIMIT above may want no more, and finding them may be dear. */
export const grownBatch = (rows: number): number => Math.min(BATCH_ROWS, rows * 2)

export class Pause {
  /** What to wait for; undefined: the time slice is over, let others run. */
  readonly promise: Promise<unknown> | undefined
  constructor(promise?: Promise<unknown>) {
    this.promise = promise
  }
}
export const SLICE_OVER = new Pause()

export type Step = RowBatch | Pause
export type Steps = Generator<Step, void, undefined>

/** A plan compiled for running: made once a plan, run many times. */
export interface Operator {
  run(execution: Execution): Steps
}

/** One run of one statement. */
export interface Execution {
  readonly txn: Txn
  readonly catalog: Catalog
  readonly context: CallContext
  /** $1… at 0…. */
  readonly parameters: readonly Value[]
  /** Outer slots (nested-loop parameters, correlated values). */
  readonly outer: Value[]
  /** Kept rows of CTEs and working tables by slot; subplans' results by their number. */
  readonly kept: Map<unknown, unknown>
  /** Rows inserted, updated, deleted by the top ModifyTable. */
  affected: number
  /** Bytes a hash table or sort may hold before it spills or fails with 53200. */
  readonly workMemBytes: number
  /** True when the statement's time slice is over: scans and long loops then yield SLICE_OVER. Cheap: compares a counter before it looks at the clock. Throws 57014 when cancelled. */
  sliceOver(): boolean
  /** Asked before work of some hundred microseconds: true when others have had this turn of the event loop; yield SLICE_OVER then. */
  crowded(): boolean
  /** Set while an operator evaluates what it can evaluate again: subqueries in it throw SLICE_OVER when the slice is over (pace.ts). */
  mayPause: boolean
  /** WHERE CURRENT OF: the key of the row that a cursor stands on; undefined when that is no row of the table. Throws 34000, 24000. */
  readonly currentOf?: (cursor: string, table: Oid) => Key | undefined
  /** Where constraint checks go that wait for the end of the transaction. */
  readonly deferred: DeferredChecks
  /** The graphs of vector indexes, and what the session sets about their searches. */
  readonly vectors: VectorIndexes
  readonly vectorSettings: VectorSettings
  /** Per-node counters for EXPLAIN ANALYZE, when asked. */
  readonly instruments: Map<object, Instrument> | undefined
}
export interface Instrument {
  rows: number
  loops: number
  startupMs: number
  totalMs: number
  /** Rows removed by a filter, memory, batches …: printed by EXPLAIN ANALYZE. */
  extra: Record<string, number | string>
}
