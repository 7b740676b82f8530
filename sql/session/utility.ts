/**
 * Utility statements: everything that is not a query. One entry a parse-tree tag; families register theirs (control.ts,
 * cursors.ts, copy.ts, explain.ts …, and ddl/). A tag without an entry is not supported and says so.
 */
import type { Node } from '@pgsql/types'
import type { Value } from '../types/value.ts'
import type { Backend } from './backend.ts'
import type { Field, MaybePromise, Sink } from './session.ts'
import type { Statement } from './statement.ts'

export interface UtilityCall {
  /** Of the extended protocol: for EXPLAIN, EXECUTE, DECLARE and CREATE TABLE AS over a query with $n. */
  readonly parameters: readonly Value[]
  readonly sink: Sink
  /** A simple Query: the result's fields have to be sent before its rows. */
  readonly simple: boolean
  /** One of several statements of a simple Query: commands that cannot run inside a transaction block refuse. */
  readonly several: boolean
}

export interface Utility {
  /** Result columns, for Describe; absent or undefined: no rows. */
  readonly fields?: (session: Backend, statement: Statement) => readonly Field[] | undefined
  /** Runs it; gives the command tag. Rows go to call.sink (`sink.fields` first when call.simple). */
  readonly run: (session: Backend, statement: Statement, call: UtilityCall) => MaybePromise<string>
}

const utilities = new Map<string, Utility>()

export const utilityFor = (tag: string): Utility | undefined => utilities.get(tag)

type Intersect<U> = (U extends unknown ? (k: U) => void : never) extends (k: infer I) => void ? I : never
type Bodies = Intersect<Node>

/** A utility by its tag, given the tree's body: `define('TruncateStmt', (session, node, call, statement) => …)`. */
export function define<K extends keyof Bodies>(
  tag: K,
  run: (session: Backend, node: Bodies[K], call: UtilityCall, statement: Statement) => MaybePromise<string>,
  fields?: (session: Backend, node: Bodies[K], statement: Statement) => readonly Field[] | undefined,
): void {
  const body = (statement: Statement): Bodies[K] => (statement.node as Bodies)[tag]
  utilities.set(tag, {
    run: (session, statement, call) => run(session, body(statement), call, statement),
    ...(fields === undefined
      ? {}
      : { fields: (session: Backend, statement: Statement) => fields(session, body(statement), statement) }),
  })
}
