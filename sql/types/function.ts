/**
 * Functions, operators, casts and aggregates as tables. What they are called, what they take and return, whether they
 * are strict or volatile is PostgreSQL's own pg_proc (sql/catalog/data); here are their bodies, found by pg_proc.prosrc
 * ('int4pl', 'textlike'), so that an operator, a cast and a function that PostgreSQL implements by one C function share one body.
 *
 *     install({ int4pl: scalar((a: number, b: number) => int4(a + b), { js: (a, b) => `h.int4(${a} + ${b})` }) })
 *
 * A strict function's body never sees null. A row of pg_proc whose prosrc has no body here answers 0A000 when it is called.
 */
import type { Oid } from '../../storage/keys/brand.ts'
import type { TypeContext } from './type.ts'
import type { Value } from './value.ts'

/** What a body may ask of the statement that runs it. Higher layers extend it (session, catalog functions). */
export interface CallContext extends TypeContext {
  /** Microseconds since 2000-01-01 UTC. */
  readonly statementTimestamp: number
  /** The clock now, microseconds since 2000-01-01 UTC (clock_timestamp). */
  clockTimestamp(): number
  random(): number
  setSeed(seed: number): void
  notice(severity: 'NOTICE' | 'WARNING' | 'INFO', code: string, message: string): void
  /** Throws 57014 or 57P01 when the statement has been cancelled: long loops call it now and then. */
  checkInterrupts(): void
  /**
   * Runs a user's function: the values of its rows, one of a function that returns no set. Absent where there is no session
   * to run statements in.
   */
  runRoutine?(fn: Oid, call: CallInfo, args: readonly Value[]): Iterable<Value>
}

/** How one call was resolved: for polymorphic bodies and those that need the context. */
export interface CallInfo {
  readonly argTypes: readonly Oid[]
  readonly argTypmods: readonly number[]
  readonly returnType: Oid
  /** True when the call was written with VARIADIC: the last argument is the array itself. */
  readonly variadic: boolean
  /** The output columns of a call in FROM whose function returns record: its column definition list (json_to_record). */
  readonly columns?: readonly { readonly name: string; readonly type: Oid; readonly typmod: number }[]
  readonly context: CallContext
}

type Body = (...args: never[]) => Value
type SetBody = (...args: never[]) => Iterable<Value>

export type FunctionBody =
  /** Depends on its arguments only. `js` is the same as an expression over argument expressions (each a simple variable), `h` the helpers below. */
  | {
      readonly kind: 'scalar'
      readonly run: Body
      readonly js: ((...args: string[]) => string) | undefined
      readonly stored?: StoredBody
    }
  /** Made once per call site and execution: sees types and context. */
  | { readonly kind: 'bound'; readonly bind: (call: CallInfo) => Body }
  /** Returns a set: one Value a row; for several output columns each Value is a RecordValue. */
  | { readonly kind: 'set'; readonly bind: (call: CallInfo) => SetBody }

/**
 * A function of two arguments, either way round, of which one lies in a page of stored rows: it is not made a value first.
 *
 *     const page = stage(bytes, length)             once a page
 *     run(page, start, end, other)                  the function of what [start, end) holds and of another value
 *
 * `run` answers undefined when it cannot tell (something else was staged meanwhile, the value is of another shape): then the
 * function itself is to be asked.
 */
export interface StoredBody {
  stage(bytes: Uint8Array, length: number): number
  run(page: number, start: number, end: number, other: never): number | undefined
}

export const scalar = <A extends Value[]>(
  run: (...args: A) => Value,
  options: { js?: (...args: string[]) => string; stored?: StoredBody } = {},
): FunctionBody => ({
  kind: 'scalar',
  run: run as unknown as Body,
  js: options.js,
  ...(options.stored === undefined ? {} : { stored: options.stored }),
})
/** `bound((call) => (a, b) => …)`. */
export const bound = <A extends Value[]>(bind: (call: CallInfo) => (...args: A) => Value): FunctionBody => ({
  kind: 'bound',
  bind: bind as unknown as (call: CallInfo) => Body,
})
export const set = <A extends Value[]>(bind: (call: CallInfo) => (...args: A) => Iterable<Value>): FunctionBody => ({
  kind: 'set',
  bind: bind as unknown as (call: CallInfo) => SetBody,
})

/**
 * An aggregate, found by its printed signature: 'sum(int4)', 'count(*)' is 'count()', 'array_agg(anynonarray)'; argument
 * types as pg_proc has them (pg_type.typname). The executor skips rows where a strict aggregate's argument is null
 * (`strict`: any null argument skips the row).
 */
export interface AggregateBody<S = unknown> {
  readonly strict: boolean
  bind(call: CallInfo): {
    init(): S
    step(state: S, ...args: never[]): S
    /** null when there was no row, for most; count gives 0. */
    final(state: S): Value
    /** Takes a row out again, for moving window frames; absent: the frame is computed anew. */
    inverse?(state: S, ...args: never[]): S
  }
}
export type FunctionTable = Readonly<Record<string, FunctionBody>>
export type AggregateTable = Readonly<Record<string, AggregateBody>>

/** By pg_proc.prosrc. */
export const functionBodies = new Map<string, FunctionBody>()
/** By printed signature. */
export const aggregateBodies = new Map<string, AggregateBody>()
/** What `js` templates call as h.name(…): range checks and the like. */
export const helpers: Record<string, (...args: never[]) => unknown> = {}

export function install(table: FunctionTable): void {
  for (const [prosrc, body] of Object.entries(table)) functionBodies.set(prosrc, body)
}
export function installAggregates(table: AggregateTable): void {
  for (const [signature, body] of Object.entries(table)) aggregateBodies.set(signature, body)
}
export function installHelpers(table: Record<string, (...args: never[]) => unknown>): void {
  Object.assign(helpers, table)
}
