/** Function bodies that ask the session they run in: pg_proc rows of PostgreSQL's own names, found by prosrc. */
import type { Oid } from '../../../storage/keys/brand.ts'
import type { Catalog } from '../../catalog/catalog.ts'
import { bound, type CallInfo, type FunctionBody, type FunctionTable, set } from '../../types/function.ts'
import { RecordValue, type Value } from '../../types/value.ts'
import type { Backend } from '../backend.ts'
import type { SessionCallContext } from '../call-context.ts'

/** A context's host is its session. */
const sessionOf = (call: CallInfo): Backend => (call.context as SessionCallContext).host as Backend

/** `ofSession((session, a, b) => …)`. */
export const ofSession = <A extends Value[]>(body: (session: Backend, ...args: A) => Value): FunctionBody =>
  bound<A>((call) => {
    const session = sessionOf(call)
    return (...args) => body(session, ...args)
  })

/** Types of a built-in function's output columns, by its prosrc. */
const outputs = new Map<string, readonly Oid[]>()
function outputTypes(catalog: Catalog, source: string): readonly Oid[] {
  let types = outputs.get(source)
  if (types === undefined) {
    types = []
    for (const row of catalog.functions()) {
      if (row.source !== source || row.allArgTypes === undefined) continue
      types = row.allArgTypes.filter((_, i) => row.argModes?.[i] === 'o' || row.argModes?.[i] === 't')
      break
    }
    outputs.set(source, types)
  }
  return types
}

/** Rows of several columns, as the pg_proc row of this prosrc describes them. */
export const rowsOfSession = <A extends Value[]>(
  source: string,
  body: (session: Backend, ...args: A) => Iterable<readonly Value[]>,
): FunctionTable => ({
  [source]: set<A>((call) => {
    const session = sessionOf(call)
    return function* (...args) {
      const types = outputTypes(session.catalog, source)
      for (const row of body(session, ...args)) yield new RecordValue(row, types)
    }
  }),
})

/** The same for a function that gives one row. */
export const rowOfSession = <A extends Value[]>(
  source: string,
  body: (session: Backend, ...args: A) => readonly Value[],
): FunctionTable => ({
  [source]: bound<A>((call) => {
    const session = sessionOf(call)
    return (...args) => new RecordValue(body(session, ...args), outputTypes(session.catalog, source))
  }),
})

/** One column. */
export const valuesOfSession = <A extends Value[]>(
  body: (session: Backend, ...args: A) => Iterable<Value>,
): FunctionBody =>
  set<A>((call) => {
    const session = sessionOf(call)
    return (...args) => body(session, ...args)
  })
