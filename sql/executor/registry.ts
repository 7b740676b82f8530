/** Compilers of the plan kinds that have their own floor of helpers: scans over tables, data modification, row locks. */
import type { Plan } from '../plan/plan.ts'
import { notSupported } from '../types/error.ts'
import type { CompileEnv } from './env.ts'
import type { Operator } from './operator.ts'

export type PlanCompiler = (plan: Plan, env: CompileEnv) => Operator
const compilers = new Map<Plan['kind'], PlanCompiler>()

export function registerCompiler(kinds: readonly Plan['kind'][], compile: PlanCompiler): void {
  for (const kind of kinds) compilers.set(kind, compile)
}

export function otherCompilers(plan: Plan, env: CompileEnv): Operator {
  const compile = compilers.get(plan.kind)
  if (compile === undefined) throw notSupported(`plan node ${plan.kind}`)
  return compile(plan, env)
}
