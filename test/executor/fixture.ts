/** Plans and expressions by hand, over the built-in catalog, and a way to run them. */

import { builtinCatalog } from '../../sql/catalog/bootstrap.ts'
import { registerCatalogTypes } from '../../sql/catalog/catalog-types.ts'
import type { CompileEnv } from '../../sql/executor/env.ts'
import { compileEnv, compilePlan, runPlan } from '../../sql/executor/executor.ts'
import { type Execution, Pause, type RowBatch } from '../../sql/executor/operator.ts'
import type { Expression } from '../../sql/plan/expression.ts'
import type { Plan, PlanNode, PlanSortKey } from '../../sql/plan/plan.ts'
import type { ColumnInfo } from '../../sql/plan/query.ts'
import { registerArrays } from '../../sql/types/array/array.ts'
import { registerDatetime } from '../../sql/types/datetime/datetime.ts'
import type { CallContext } from '../../sql/types/function.ts'
import { registerJson } from '../../sql/types/json/json.ts'
import { registerMisc } from '../../sql/types/misc/misc.ts'
import { registerNumber } from '../../sql/types/number/number.ts'
import { OID } from '../../sql/types/oids.ts'
import { registerRecords } from '../../sql/types/record/record.ts'
import { DEFAULT_SETTINGS } from '../../sql/types/settings.ts'
import { registerText } from '../../sql/types/text/text.ts'
import type { Row, Value } from '../../sql/types/value.ts'
import { defaultVectorSettings } from '../../sql/vector/settings.ts'
import { type Oid, oid } from '../../storage/keys/brand.ts'
import type { Txn } from '../../storage/kv/kv.ts'

for (const register of [
  registerNumber,
  registerText,
  registerDatetime,
  registerArrays,
  registerJson,
  registerMisc,
  registerRecords,
  registerCatalogTypes,
])
  register()

export const catalog = builtinCatalog()

export const context: CallContext = {
  type: (type) => catalog.type(type),
  settings: DEFAULT_SETTINGS,
  transactionTimestamp: 800_000_000_000_000,
  statementTimestamp: 800_000_000_000_000,
  clockTimestamp: () => 800_000_000_000_001,
  random: () => 0.5,
  setSeed: () => undefined,
  notice: () => undefined,
  checkInterrupts: () => undefined,
}

export function execution(options: Partial<Execution> = {}): Execution {
  return {
    txn: undefined as unknown as Txn,
    deferred: undefined as unknown as Execution['deferred'],
    vectors: undefined as unknown as Execution['vectors'],
    vectorSettings: defaultVectorSettings(),
    catalog,
    context,
    parameters: [],
    outer: [],
    kept: new Map(),
    affected: 0,
    workMemBytes: 64 << 20,
    sliceOver: () => false,
    crowded: () => false,
    mayPause: false,
    instruments: undefined,
    ...options,
  }
}

export const env = (mode: CompileEnv['mode']): CompileEnv => compileEnv(catalog, mode)

export function drain(steps: Iterable<RowBatch | Pause>): Row[] {
  const rows: Row[] = []
  for (const step of steps) if (!(step instanceof Pause)) for (const row of step) rows.push(row)
  return rows
}
export const run = (plan: Plan, mode: CompileEnv['mode'] = 'often', options: Partial<Execution> = {}): Row[] =>
  drain(runPlan(compilePlan(plan, env(mode)), execution(options)))

const typed = (type: Oid) => ({ type, typmod: -1 })
export const constant = (value: Value, type: Oid = OID.int4): Expression => ({ kind: 'const', value, ...typed(type) })
export const column = (index: number, type: Oid = OID.int4): Expression => ({ kind: 'column', index, ...typed(type) })
export const outer = (slot: number, type: Oid = OID.int4): Expression => ({ kind: 'outer', slot, ...typed(type) })

/** A function by name and argument types. */
export function call(name: string, ...args: Expression[]): Expression {
  const row =
    catalog
      .functionsByName(name)
      .find((f) => f.argTypes.length === args.length && f.argTypes.every((type, i) => type === args[i]!.type)) ??
    catalog.functionsByName(name).find((f) => f.argTypes.length === args.length)
  if (row === undefined) throw new Error(`no function ${name}`)
  return {
    kind: 'call',
    function: row.oid,
    args,
    display: 'function',
    variadic: false,
    setReturning: row.returnsSet,
    ...typed(row.returnType),
  }
}
export function operatorRow(name: string, left: Oid, right: Oid) {
  const row = catalog.operatorsByName(name).find((o) => o.left === left && o.right === right)
  if (row === undefined) throw new Error(`no operator ${name}`)
  return row
}
/** A binary operator by name and its arguments' types. */
export function op(left: Expression, name: string, right: Expression): Expression {
  const row = operatorRow(name, left.type, right.type)
  return {
    kind: 'call',
    function: row.function,
    args: [left, right],
    display: 'operator',
    operator: row.oid,
    variadic: false,
    setReturning: false,
    ...typed(row.result),
  }
}
export const and = (...args: Expression[]): Expression => ({ kind: 'and', args, ...typed(OID.bool) })
export const or = (...args: Expression[]): Expression => ({ kind: 'or', args, ...typed(OID.bool) })

export const info = (type: Oid, name = 'c'): ColumnInfo => ({ name, type, typmod: -1 })
export const estimate = { rows: 1000, startupCost: 0, totalCost: 0, width: 8 }
export const node = (plan: PlanNode, types: readonly Oid[]): Plan => ({
  ...plan,
  columns: types.map((type) => info(type)),
  estimate,
})

export const values = (types: readonly Oid[], rows: readonly Row[]): Plan =>
  node({ kind: 'values', rows: rows.map((row) => row.map((value, i) => constant(value, types[i]!))) }, types)
export const sortKey = (expression: Expression, descending = false, nullsFirst = descending): PlanSortKey => ({
  expression,
  descending,
  nullsFirst,
})

/** An aggregate by name and argument types. */
export function aggregate(
  name: string,
  args: Expression[],
  more: Partial<Extract<Plan, { kind: 'aggregate' }>['aggregates'][number]> = {},
  declared?: readonly Oid[],
) {
  const wanted = declared ?? args.map((arg) => arg.type)
  const rows = catalog.functionsByName(name).filter((f) => f.kind === 'a' && f.argTypes.length === wanted.length)
  const row = rows.find((f) => f.argTypes.every((type, i) => type === wanted[i])) ?? rows[0]
  if (row === undefined) throw new Error(`no aggregate ${name}`)
  const polymorphic = catalog.typeRow(row.returnType)?.kind === 'p'
  const base = {
    function: row.oid,
    directArgs: [],
    args,
    star: args.length === 0,
    distinct: false,
    orderBy: [],
    filter: undefined,
    variadic: false,
    level: 0,
  }
  return { ...base, type: polymorphic ? (args[0]?.type ?? OID.int4) : row.returnType, typmod: -1, ...more }
}

export { OID, oid }
