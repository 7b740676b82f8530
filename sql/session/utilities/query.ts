/** Queries inside utility statements (DECLARE, COPY, EXPLAIN, CREATE TABLE AS): bound, planned and given their parameters. */
import type { Node } from '@pgsql/types'
import { type BindContext, bind } from '../../binder/binder.ts'
import { OID } from '../../types/oids.ts'
import type { Row, Value } from '../../types/value.ts'
import type { Backend } from '../backend.ts'
import type { Sink } from '../session.ts'
import { bindContext, type PreparedQuery, planQuery, type Statement } from '../statement.ts'

export interface InnerQuery {
  readonly prepared: PreparedQuery
  readonly parameters: readonly Value[]
}

/** For what is bound under `statement`: its text gives error positions, its types those of $1…. */
export const contextOf = (
  session: Backend,
  statement: Statement,
  parameters: readonly Value[] | undefined,
): BindContext => bindContext(session, statement.source, statement.givenTypes, parameters?.length === 0)

/** Binds and plans. `parameters` undefined: only to describe it. */
export function innerQuery(
  session: Backend,
  statement: Statement,
  node: Node,
  parameters: readonly Value[] | undefined,
): InnerQuery {
  const b = contextOf(session, statement, parameters)
  const prepared: PreparedQuery = {
    ...planQuery(session, b, bind(b, node), false),
    again: () => innerQuery(session, statement, node, undefined).prepared,
  }
  return { prepared, parameters: settled(session, statement, prepared, parameters ?? []) }
}

/** Parameters whose types only the binding has found came as text. */
function settled(
  session: Backend,
  statement: Statement,
  prepared: PreparedQuery,
  parameters: readonly Value[],
): readonly Value[] {
  return parameters.map((value, i) => {
    const given = statement.givenTypes[i] ?? 0
    const type = prepared.parameterTypes[i] ?? OID.text
    if (given !== 0 || type === OID.text || typeof value !== 'string') return value
    return session.catalog.type(type).input(value, -1, session.context)
  })
}

/** A sink that hands rows to `row` and everything that is not about the result to the real one. */
export function rowSink(
  sink: Sink,
  row: (values: Row) => void,
  flow: () => Promise<void> | undefined = () => undefined,
): Sink {
  return {
    fields: () => {},
    row,
    flow,
    commandComplete: () => {},
    emptyQuery: () => {},
    portalSuspended: () => {},
    notice: (notice) => sink.notice(notice),
    parameterStatus: (name, value) => sink.parameterStatus(name, value),
    notification: (pid, channel, payload) => sink.notification(pid, channel, payload),
    copyIn: (format, columns) => sink.copyIn(format, columns),
    copyOut: (format, columns) => sink.copyOut(format, columns),
    copyData: (bytes) => sink.copyData(bytes),
    copyDone: () => sink.copyDone(),
  }
}
