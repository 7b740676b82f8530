/** Queries that a statement runs for itself: to check the rows of a table against a new rule, to sample it, to fill it. */
import type { Node } from '@pgsql/types'
import { bind } from '../../binder/binder.ts'
import type { RelationRow } from '../../catalog/catalog.ts'
import { quoteIdentifier, quoteQualified } from '../../catalog/names.ts'
import { Pause, type Steps } from '../../executor/operator.ts'
import { parse } from '../../parser/parser.ts'
import type { Query } from '../../plan/query.ts'
import { sqlError } from '../../types/error.ts'
import type { Row } from '../../types/value.ts'
import { startSlice } from '../scheduler.ts'
import { bindContext, planQuery } from '../statement.ts'
import type { Ddl } from './context.ts'

/** A table's name as any search path understands it. */
export const fullName = (ddl: Ddl, row: RelationRow): string =>
  quoteQualified(ddl.editor.namespace(row.namespace)?.name, row.name)
export const quoted = quoteIdentifier

export function parseOne(sql: string): Node {
  const parsed = parse(sql)
  if (parsed instanceof Promise) throw sqlError('54001', 'stack depth limit exceeded')
  return parsed[0]!.node
}

/** The server's own query, bound under the catalog with this transaction's changes. */
export function ownQuery(ddl: Ddl, sql: string): Query {
  return bind({ ...bindContext(ddl.session, sql, [], true), source: sql }, parseOne(sql))
}

/** Runs a query to its end, or until `visit` answers false. Rows must be copied to be kept. */
export async function eachRow(ddl: Ddl, query: Query, visit: (row: Row) => boolean | undefined): Promise<void> {
  const { session } = ddl
  const prepared = planQuery(session, bindContext(session, '', [], true), query, true)
  const txn = session.transaction.ensure()
  const steps = prepared.operator.run(session.runner.newExecution(txn, prepared.planned.outerSlots, []))
  await drive(ddl, steps, visit)
}

/** Drives steps of an operator or of storage work: pauses are waited for, rows are visited. */
async function drive(ddl: Ddl, steps: Steps, visit: (row: Row) => boolean | undefined = () => {}): Promise<void> {
  startSlice()
  try {
    for (;;) {
      const step = steps.next()
      if (step.done) return
      if (step.value instanceof Pause) {
        await paused(ddl, step.value)
        continue
      }
      for (const row of step.value) if (visit(row) === false) return
    }
  } finally {
    steps.return(undefined)
  }
}

async function paused({ session }: Ddl, { promise }: Pause): Promise<void> {
  if (promise === undefined) await session.waits.turn()
  else await session.waits.interruptible(promise, 'Lock')
  session.checkInterrupts()
  startSlice()
}

/** The first row, if there is one. */
export async function firstRow(ddl: Ddl, query: Query): Promise<Row | undefined> {
  let found: Row | undefined
  await eachRow(ddl, query, (row) => {
    found = [...row]
    return false
  })
  return found
}

/** Work without rows. */
export async function drivePauses<T>(ddl: Ddl, steps: Generator<Pause, T, undefined>): Promise<T> {
  startSlice()
  let ended = false
  try {
    for (;;) {
      const step = steps.next()
      if (step.done === true) {
        ended = true
        return step.value
      }
      await paused(ddl, step.value)
    }
  } finally {
    // What the steps hold open (scans) is closed when the statement is ended while it waits.
    if (!ended) steps.return(undefined as never)
  }
}
