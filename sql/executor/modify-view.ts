/** WITH CHECK OPTION: what the views that a row is written through ask of it, after its table's own constraints. */
import type { RelationRow } from '../catalog/catalog.ts'
import type { ViewCheck } from '../plan/plan.ts'
import type { Row } from '../types/value.ts'
import { compilePredicate } from './compile.ts'
import type { CompileEnv } from './env.ts'
import { viewViolation } from './modify-table.ts'
import type { Execution } from './operator.ts'

export interface ViewChecks {
  bind(x: Execution): (row: Row) => void
}

/** Undefined when there are none. Throws 44000. */
export function compileViewChecks(
  checks: readonly ViewCheck[],
  table: RelationRow,
  env: CompileEnv,
): ViewChecks | undefined {
  if (checks.length === 0) return undefined
  const compiled = checks.map(({ view, condition }) => ({ view, holds: compilePredicate(condition, env) }))
  return {
    bind(x) {
      const bound = compiled.map(({ view, holds }) => ({ view, holds: holds.bind(x) }))
      return (row) => {
        for (const { view, holds } of bound) if (!holds(row)) throw viewViolation(view, table, row, x.context)
      }
    },
  }
}
