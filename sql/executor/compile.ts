/**
 * Expressions ready to run: generated JavaScript when they will be asked often, the tree walk when not (env.mode).
 * Code is made at the first use, kept as long as the plan.
 * `bind` is written as a method: a closure with a name of its own costs 0.3 us to make under a loader that keeps names.
 */
import type { Oid } from '../../storage/keys/brand.ts'
import type { Catalog } from '../catalog/catalog.ts'
import type { Expression } from '../plan/expression.ts'
import { sqlError } from '../types/error.ts'
import type { CallContext } from '../types/function.ts'
import type { Row, Value } from '../types/value.ts'
import { domainRules } from './domain.ts'
import type { Compiled, CompiledPair, ExpressionEnv } from './env.ts'
import { evaluate } from './evaluate.ts'
import { bindDomain, CodeWriter, type GenerateOptions } from './generate.ts'
import type { Execution, MutableRow } from './operator.ts'

/** Makes it at the first `bind`. */
function lazily<T>(make: () => (x: Execution) => (row: Row) => T): Compiled<T> {
  let made: ((x: Execution) => (row: Row) => T) | undefined
  return {
    bind(x) {
      made ??= make()
      return made(x)
    },
  }
}

/** One value a row. */
export function compileValue(e: Expression, env: ExpressionEnv): Compiled<Value> {
  if (e.kind === 'column') {
    const { index } = e
    return {
      bind() {
        return (row) => row[index]!
      },
    }
  }
  if (e.kind === 'const') {
    const { value } = e
    return {
      bind() {
        return () => value
      },
    }
  }
  if (env.mode === 'once')
    return {
      bind(x) {
        return (row) => evaluate(e, row, x, env)
      },
    }
  return lazily(() => {
    const w = new CodeWriter(env)
    const result = w.value(e)
    return w.build(`(row) => { ${w.lines.join('\n')}\nreturn ${result} }`)
  })
}

/** A new row of values a row. */
export function compileRow(expressions: readonly Expression[], env: ExpressionEnv): Compiled<MutableRow> {
  if (env.mode === 'once')
    return {
      bind(x) {
        return (row) => expressions.map((e) => evaluate(e, row, x, env))
      },
    }
  return lazily(() => {
    const w = new CodeWriter(env)
    const results = expressions.map((e) => w.value(e))
    return w.build(`(row) => { ${w.lines.join('\n')}\nreturn [${results.join(', ')}] }`)
  })
}

const ALWAYS = { bind: () => () => true }

/** Whether a condition is true (not false, not NULL). */
export function compilePredicate(e: Expression | undefined, env: ExpressionEnv): Compiled<boolean> {
  if (e === undefined) return ALWAYS
  if (env.mode === 'once')
    return {
      bind(x) {
        return (row) => holds(e, row, x, env)
      },
    }
  return lazily(() => {
    const w = new CodeWriter(env)
    w.condition(e, 'return false')
    return w.build(`(row) => { ${w.lines.join('\n')}\nreturn true }`)
  })
}

/** A filter stops at the first condition that is not true, NULL or false. */
function holds(e: Expression, row: Row, x: Execution, env: ExpressionEnv): boolean {
  if (e.kind !== 'and') return evaluate(e, row, x, env) === true
  for (const arg of e.args) if (!holds(arg, row, x, env)) return false
  return true
}

/** A join's condition over the joined row, asked before that row is made. `outerWidth`: columns of the outer row. */
export function compileJoinPredicate(
  e: Expression | undefined,
  outerWidth: number,
  env: ExpressionEnv,
): CompiledPair<boolean> {
  if (e === undefined) return ALWAYS
  if (env.mode === 'once')
    return {
      bind: (x) => (outer, inner) =>
        holds(
          e,
          outer.length === outerWidth ? [...outer, ...inner] : [...outer.slice(0, outerWidth), ...inner],
          x,
          env,
        ),
    }
  let made: ((x: Execution) => (outer: Row, inner: Row) => boolean) | undefined
  return {
    bind(x) {
      if (made === undefined) {
        const w = new CodeWriter(env, { column: (i) => (i < outerWidth ? `outer[${i}]` : `inner[${i - outerWidth}]`) })
        w.condition(e, 'return false')
        made = w.build(`(outer, inner) => { ${w.lines.join('\n')}\nreturn true }`)
      }
      return made(x)
    },
  }
}

/** The simple form for callers with single rows: binds itself once an execution. */
export function compileExpression(e: Expression, env: ExpressionEnv): (row: Row, x: Execution) => Value {
  if (env.mode === 'once') return (row, x) => evaluate(e, row, x, env)
  const compiled = compileValue(e, env)
  return (row, x) => {
    let run = x.kept.get(compiled) as ((row: Row) => Value) | undefined
    if (run === undefined) x.kept.set(compiled, (run = compiled.bind(x)))
    return run(row)
  }
}

/** For values that no plan makes, such as those input functions read; undefined when the type has no rules. */
export function domainCheck(catalog: Catalog, context: CallContext, type: Oid): ((value: Value) => Value) | undefined {
  const rules = domainRules(catalog, type)
  if (rules === undefined) return undefined
  const env: ExpressionEnv = { catalog, mode: 'often', compilePlan: noSubqueries }
  const x = { catalog, context, parameters: [], outer: [], kept: new Map() } as unknown as Execution
  return bindDomain(rules, env, x)
}
const noSubqueries = (): never => {
  throw sqlError('XX000', "a subquery in a domain's check")
}

export interface Generated {
  /** Once an execution, with `x` in sight. */
  readonly setup: string
  /** Once a row. */
  readonly prelude: string
  /** A simple variable (or null, true, false) for each expression. */
  readonly results: readonly string[]
  /** Parameters and arguments of the function that encloses it all. */
  readonly bindings: { readonly names: readonly string[]; readonly values: readonly unknown[] }
}

/** Source for several expressions over one row, for callers that write the loop themselves. See CodeWriter for filters. */
export function generate(
  expressions: readonly Expression[],
  env: ExpressionEnv,
  options: GenerateOptions = {},
): Generated {
  const w = new CodeWriter(env, options)
  const results = expressions.map((e) => w.value(e))
  return { setup: w.setup, prelude: w.lines.join('\n'), results, bindings: { names: w.names, values: w.values } }
}
