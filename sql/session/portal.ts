/** A statement being run: its parameters, where its rows come from, and how far it has come. */
import type { Execution, MutableRow, Steps } from '../executor/operator.ts'
import type { Value } from '../types/value.ts'
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
  /** SQL cursors. */
  readonly cursor: CursorState | undefined
}

export interface CursorState {
  readonly hold: boolean
  readonly scroll: boolean
  readonly binary: boolean
  /** Rows read so far, for moving backwards; the position is after row `position`. */
  readonly rows: MutableRow[]
  position: number
  readonly createdAt: number
  readonly definition: string
}
