/** A statement being run: its parameters, where its rows come from, and how far it has come. */
import type { Execution, Instrument, MutableRow, Steps } from '../executor/operator.ts'
import type { RowStore } from '../executor/store.ts'
import type { Value } from '../types/value.ts'
import type { KeyColumn } from './current-row.ts'
import type { Field, Format } from './session.ts'
import type { PreparedQuery, Statement } from './statement.ts'

export interface Portal {
  readonly name: string
  readonly statement: Statement
  readonly parameters: readonly Value[]
  readonly formats: readonly Format[]
  prepared: PreparedQuery | undefined
  fields: readonly Field[] | undefined
  execution: Execution | undefined
  steps: Steps | undefined
  /** Rows that were produced but not yet taken. */
  pending: MutableRow[]
  pendingAt: number
  /** All rows are taken; a further Execute gives none. */
  done: boolean
  /** Rows given so far. */
  sent: number
  /** Of a suspended one: the rows that it will go on with, since another statement has run. */
  kept?: RowStore
  /** Of a finished utility statement whose rows are kept in `pending`. */
  tag?: string
  /** SQL cursors, and the protocol's portals once FETCH has read from them. */
  cursor: CursorState | undefined
  /** EXPLAIN ANALYZE: the plan's counters. */
  readonly instruments?: Map<object, Instrument>
}

export const newPortal = (
  name: string,
  statement: Statement,
  parameters: readonly Value[],
  formats: readonly Format[],
  prepared: PreparedQuery | undefined,
): Portal => ({
  name,
  statement,
  parameters,
  formats,
  prepared,
  fields: prepared?.fields,
  execution: undefined,
  steps: undefined,
  pending: [],
  pendingAt: 0,
  done: false,
  sent: 0,
  cursor: undefined,
})

export interface CursorState {
  /** WITH HOLD. */
  readonly hold: boolean
  /** Its rows are all in `rows`: it lives on after its transaction. */
  held: boolean
  /** May move backwards: then `rows` has every row read so far. */
  readonly scroll: boolean
  readonly binary: boolean
  rows: RowStore | undefined
  /** Rows read before there was a store: it does not have them. */
  dropped: number
  /** A FETCH ended with an error: nothing more comes. */
  failed: boolean
  /** No row comes after those read so far: `count` is how many there are. */
  complete: boolean
  count: number
  /** The keys that its plan gives behind its own columns, and the last row read with them: for WHERE CURRENT OF. */
  readonly keys: readonly KeyColumn[]
  last: MutableRow | undefined
  /** On row `position`, from 1; 0 before the first, count + 1 after the last. */
  position: number
  /** Order in which cursors were declared, for ROLLBACK TO SAVEPOINT. */
  readonly sequence: number
  /** Microseconds since 2000-01-01 UTC. */
  readonly createdAt: number
  /** For pg_cursors. */
  readonly definition: string
}
