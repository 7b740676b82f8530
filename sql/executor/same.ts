/** Whether two rows are alike in some columns or expressions: NULLs alike, values by their types' equality. */
import type { Oid } from '../../storage/keys/brand.ts'
import type { Expression } from '../plan/expression.ts'
import type { Row, Value } from '../types/value.ts'
import { compileRow } from './compile.ts'
import type { ExpressionEnv } from './env.ts'
import type { Execution } from './operator.ts'

type SameValue = (a: Value, b: Value) => boolean

function sameValue(env: ExpressionEnv, type: Oid): SameValue {
  const { hashKey } = env.catalog.type(type)
  return (a, b) => {
    if (a === b) return true
    if (a === null || b === null || hashKey === undefined) return false
    const x = hashKey(a)
    const y = hashKey(b)
    return x === y || (Number.isNaN(x) && Number.isNaN(y))
  }
}

/** Keys of these types, value by value. */
export function sameKey(env: ExpressionEnv, types: readonly Oid[]): (a: Row, b: Row) => boolean {
  const same = types.map((type) => sameValue(env, type))
  return (a, b) => {
    for (let i = 0; i < same.length; i++) if (!same[i]!(a[i]!, b[i]!)) return false
    return true
  }
}

/** Rows by expressions over them; plain columns are compared where they are. */
export function sameRows(
  env: ExpressionEnv,
  expressions: readonly Expression[],
): (x: Execution) => (a: Row, b: Row) => boolean {
  const columns = expressions.map((e) =>
    e.kind === 'column' ? { at: e.index, same: sameValue(env, e.type) } : undefined,
  )
  if (columns.every((column) => column !== undefined)) {
    const same = (a: Row, b: Row) => {
      for (const column of columns) if (!column.same(a[column.at]!, b[column.at]!)) return false
      return true
    }
    return () => same
  }
  const key = compileRow(expressions, env)
  const same = sameKey(
    env,
    expressions.map((e) => e.type),
  )
  return (x) => {
    const keyOf = key.bind(x)
    return (a, b) => same(keyOf(a), keyOf(b))
  }
}
