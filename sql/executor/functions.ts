/**
 * From a row of pg_proc to something that can be called: `catalog.function(oid).source` names the body. A function
 * without a body is an error of the call, not of the plan: `CASE WHEN false THEN missing() END` is fine.
 */
import type { Oid } from '../../storage/keys/brand.ts'
import type { Catalog, FunctionRow } from '../catalog/catalog.ts'
import type { Expression } from '../plan/expression.ts'
import { notSupported, SqlError, sqlError } from '../types/error.ts'
import { type CallContext, type CallInfo, type FunctionBody, functionBodies } from '../types/function.ts'
import type { Value } from '../types/value.ts'

export type Callable = (...args: Value[]) => Value

/** A function at one place of one expression. */
export interface CallSite {
  readonly body: FunctionBody | undefined
  readonly strict: boolean
  /** For 0A000: 'int4pl(int4, int4)'. */
  readonly signature: string
  readonly argTypes: readonly Oid[]
  readonly argTypmods: readonly number[]
  readonly returnType: Oid
  readonly variadic: boolean
}

interface Typed {
  readonly type: Oid
  readonly typmod: number
}

export function callSite(
  catalog: Catalog,
  fn: Oid,
  args: readonly Typed[],
  returnType: Oid,
  variadic = false,
): CallSite {
  const row = catalog.function(fn)
  if (row === undefined) throw sqlError('XX000', `cache lookup failed for function ${fn}`)
  const names = row.argTypes.map((type) => catalog.typeRow(type)?.name ?? String(type))
  return {
    body: bodyOf(row),
    strict: row.strict,
    signature: `${row.name}(${names.join(', ')})`,
    argTypes: args.map((arg) => arg.type),
    argTypmods: args.map((arg) => arg.typmod),
    returnType,
    variadic,
  }
}
/** A user's function is run by the session, which plans its statements. */
function bodyOf(row: FunctionRow): FunctionBody | undefined {
  const { oid, body, returnsSet } = row
  if (body === undefined || oid < FIRST_USER_OID) return functionBodies.get(row.source)
  const run = (call: CallInfo, args: readonly Value[]): Iterable<Value> => {
    if (call.context.runRoutine === undefined) throw notSupported('a function of language SQL here')
    return call.context.runRoutine(oid, call, args)
  }
  if (returnsSet)
    return {
      kind: 'set',
      bind:
        (call) =>
        (...args: Value[]) =>
          run(call, args),
    }
  return {
    kind: 'bound',
    bind:
      (call) =>
      (...args: Value[]) => {
        for (const value of run(call, args)) return value
        return null
      },
  }
}
const FIRST_USER_OID = 16384

export function siteOfCall(catalog: Catalog, e: Extract<Expression, { kind: 'call' }>): CallSite {
  const site = callSite(catalog, e.function, e.args, e.type, e.variadic)
  const row = catalog.function(e.function)
  // With arguments that are all known PostgreSQL runs a function of language SQL; otherwise its body stands in the query.
  if (
    row?.body === undefined ||
    row.oid >= FIRST_USER_OID ||
    site.body === undefined ||
    !e.args.every((arg) => arg.kind === 'const')
  )
    return site
  return { ...site, body: withContext(site.body, `SQL function "${row.name}" statement 1`) }
}

/** The same body; its errors tell where they came from. */
function withContext(body: FunctionBody, context: string): FunctionBody {
  if (body.kind === 'set') return body
  const told =
    (run: Callable): Callable =>
    (...args) => {
      try {
        return run(...args)
      } catch (error) {
        if (error instanceof SqlError && error.fields.context === undefined) error.fields = { ...error.fields, context }
        throw error
      }
    }
  if (body.kind === 'scalar') return { kind: 'scalar', run: told(body.run as unknown as Callable), js: undefined }
  return { kind: 'bound', bind: (call) => told(body.bind(call) as unknown as Callable) }
}

export const notImplemented = (signature: string) => sqlError('0A000', `function ${signature} is not supported`)

export const callInfo = (site: CallSite, context: CallContext): CallInfo => ({
  argTypes: site.argTypes,
  argTypmods: site.argTypmods,
  returnType: site.returnType,
  variadic: site.variadic,
  context,
})

/** The function as one execution calls it. Throws 0A000 when there is no body. */
export function bindCall(site: CallSite, context: CallContext): Callable {
  const { body } = site
  if (body === undefined) throw notImplemented(site.signature)
  switch (body.kind) {
    case 'scalar':
      return body.run as unknown as Callable
    case 'bound':
      return body.bind(callInfo(site, context)) as unknown as Callable
    case 'set':
      throw sqlError('0A000', 'set-valued function called in context that cannot accept a set')
  }
}

/** The same, answering NULL for NULL arguments when the function is strict. */
export function bindNullSafe(site: CallSite, context: CallContext): Callable {
  const call = bindCall(site, context)
  if (!site.strict) return call
  return (...args) => {
    for (const arg of args) if (arg === null) return null
    return call(...args)
  }
}
