/** The plan kinds that touch stored rows, made known to the executor. Called once by whoever puts a database together. */
import type { Plan } from '../plan/plan.ts'
import { compileDelete } from './delete.ts'
import type { CompileEnv } from './env.ts'
import { compileInsert } from './insert.ts'
import { compileLockRows } from './lock-rows.ts'
import { compileMerge } from './merge.ts'
import type { Operator } from './operator.ts'
import { registerCompiler } from './registry.ts'
import { compileScan } from './scan.ts'
import { compileUpdate } from './update.ts'
import { compileVectorScan } from './vector-scan.ts'

function compile(plan: Plan, env: CompileEnv): Operator {
  switch (plan.kind) {
    case 'seq-scan':
    case 'index-scan':
      return compileScan(plan, env)
    case 'vector-scan':
      return compileVectorScan(plan, env)
    case 'insert':
      return compileInsert(plan, env)
    case 'update':
      return compileUpdate(plan, env)
    case 'delete':
      return compileDelete(plan, env)
    case 'merge':
      return compileMerge(plan, env)
    case 'lock-rows':
      return compileLockRows(plan, env)
    default:
      throw new TypeError(`plan node ${plan.kind} touches no table`)
  }
}

export function registerTableOperators(): void {
  registerCompiler(
    ['seq-scan', 'index-scan', 'vector-scan', 'insert', 'update', 'delete', 'merge', 'lock-rows'],
    compile,
  )
}
