/**
 * Aggregate calls made ready: for each call the expressions it is fed with, and once an execution an Accumulator
 * (init, step, final). DISTINCT, ORDER BY and WITHIN GROUP keep their rows in the state and feed them, sorted, at the end.
 */

import type { Expression } from '../plan/expression.ts'
import type { Plan } from '../plan/plan.ts'
import { notSupported, sqlError } from '../types/error.ts'
import { aggregateBodies, type CallContext, type CallInfo } from '../types/function.ts'
import type { Row, Value } from '../types/value.ts'
import type { CompileEnv } from './env.ts'
import { type KeyTable, keyTable } from './hashing.ts'
import { type ColumnOrder, rowOrder } from './order.ts'
import { orderedSet } from './ordered-set.ts'

export type AggregatePlan = Extract<Plan, { kind: 'aggregate' }>
export type AggregateOfPlan = AggregatePlan['aggregates'][number]

export interface Accumulator {
  init(): unknown
  step(state: unknown, ...args: Value[]): unknown
  final(state: unknown): Value
  inverse?(state: unknown, ...args: Value[]): unknown
}

export interface AggregateSite {
  /** Evaluated for each row, in order: what `step` takes. */
  readonly inputs: readonly Expression[]
  /** A row is passed over when one of so many leading inputs is NULL. */
  readonly strictInputs: number
  readonly filter: Expression | undefined
  /** count(*) and count(x): the state is the number itself. */
  readonly counts: boolean
  make(context: CallContext): Accumulator
}

const COUNT: Accumulator = {
  init: () => 0,
  step: (state) => (state as number) + 1,
  final: (state) => state as number,
  inverse: (state) => (state as number) - 1,
}

interface Call {
  readonly function: AggregateOfPlan['function']
  readonly args: readonly Expression[]
  readonly type: AggregateOfPlan['type']
  readonly variadic?: boolean
}

/** The body of an aggregate as one execution uses it. Throws 0A000 when there is none. */
export function plainAggregate(
  call: Call,
  env: CompileEnv,
): { readonly strict: boolean; readonly counts: boolean; make(context: CallContext): Accumulator } {
  const { catalog } = env
  const row = catalog.aggregate(call.function)
  const name = catalog.function(call.function)?.name ?? String(call.function)
  const signature = row?.signature ?? `${name}()`
  if (signature === 'count()' || signature === 'count(any)') return { strict: true, counts: true, make: () => COUNT }
  const body = aggregateBodies.get(signature)
  return {
    strict: body?.strict ?? false,
    counts: false,
    make(context) {
      if (body === undefined) throw notSupported(`aggregate function ${signature}`)
      const info: CallInfo = {
        argTypes: call.args.map((arg) => arg.type),
        argTypmods: call.args.map((arg) => arg.typmod),
        returnType: call.type,
        variadic: call.variadic ?? false,
        context,
      }
      return body.bind(info) as unknown as Accumulator
    },
  }
}

export function aggregateSite(call: AggregateOfPlan, env: CompileEnv): AggregateSite {
  const row = env.catalog.aggregate(call.function)
  if (row !== undefined && row.kind !== 'n') return orderedSetSite(call, env)
  const plain = plainAggregate(call, env)
  const strictInputs = plain.strict ? call.args.length : 0
  const common = { strictInputs, filter: call.filter }
  if (!call.distinct && call.orderBy.length === 0) {
    return { ...common, inputs: call.args, counts: plain.counts, make: plain.make }
  }
  const width = call.args.length
  const inputs = [...call.args, ...call.orderBy.map((key) => key.expression)]
  const columns: ColumnOrder[] = call.orderBy.map((key, i) => ({
    column: width + i,
    type: key.expression.type,
    descending: key.descending,
    nullsFirst: key.nullsFirst,
  }))
  // DISTINCT sorts by its arguments; the ORDER BY expressions, which are among them, come first.
  if (call.distinct)
    call.args.forEach((arg, column) => columns.push({ column, type: arg.type, descending: false, nullsFirst: false }))
  const needsOrder = !plain.counts
  const { distinct } = call
  const types = call.args.map((arg) => arg.type)
  return {
    ...common,
    inputs,
    counts: false,
    make(context) {
      const inner = plain.make(context)
      const order = needsOrder ? rowOrder(env.catalog, columns) : undefined
      interface Collected {
        readonly rows: Row[]
        readonly seen: ReturnType<typeof keyTable> | undefined
      }
      return {
        init: (): Collected => ({ rows: [], seen: distinct ? keyTable(env.catalog, types) : undefined }),
        step(state, ...args) {
          const { rows, seen } = state as Collected
          if (seen === undefined || fresh(seen, args.length === width ? args : args.slice(0, width))) {
            if (order !== undefined || seen === undefined) rows.push(args)
          }
          return state
        },
        final(state) {
          const { rows, seen } = state as Collected
          if (plain.counts) return seen?.size ?? rows.length
          // A copy: a state may be asked more than once, and rows are numbered by first sight.
          const sorted = order === undefined ? rows : rows.slice().sort(order)
          let result = inner.init()
          for (const args of sorted)
            result = inner.step(result, ...(args.length === width ? args : args.slice(0, width)))
          return inner.final(result)
        },
      }
    },
  }
}

/** Whether the table did not have the key yet. */
function fresh(table: KeyTable, key: Row): boolean {
  const before = table.size
  table.add(key)
  return table.size > before
}

/** WITHIN GROUP: rows of sorted arguments, and the direct arguments as the group's first row has them. */
function orderedSetSite(call: AggregateOfPlan, env: CompileEnv): AggregateSite {
  const row = env.catalog.aggregate(call.function)!
  const hypothetical = row.kind === 'h'
  const width = call.orderBy.length
  const columns = call.orderBy.map((key, column) => ({
    column,
    type: key.expression.type,
    descending: key.descending,
    nullsFirst: key.nullsFirst,
  }))
  const directArgs = call.directArgs
  return {
    inputs: [...call.orderBy.map((key) => key.expression), ...directArgs],
    strictInputs: hypothetical ? 0 : 1,
    filter: call.filter,
    counts: false,
    make(context) {
      const body = orderedSet(row.signature)
      if (body === undefined) throw notSupported(`aggregate function ${row.signature}`)
      const order = rowOrder(env.catalog, columns)
      const types = call.orderBy.map((key) => key.expression.type)
      const info = { catalog: env.catalog, context, types, order, returnType: call.type }
      interface Collected {
        readonly rows: Value[][]
        direct: readonly Value[] | undefined
      }
      return {
        init: (): Collected => ({ rows: [], direct: undefined }),
        step(state, ...args) {
          const collected = state as Collected
          collected.direct ??= args.slice(width)
          collected.rows.push(args.slice(0, width))
          return state
        },
        final(state) {
          const { rows, direct } = state as Collected
          const values = direct ?? directArgs.map((arg) => (arg.kind === 'const' ? arg.value : null))
          if (hypothetical && values.length !== width)
            throw sqlError(
              '42883',
              'the number of hypothetical direct arguments must match the number of ordering columns',
            )
          return body(rows.slice().sort(order), values, info)
        },
      }
    },
  }
}
