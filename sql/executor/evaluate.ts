/**
 * The meaning of an expression: one walk over its tree for one row. The generated code of compile.ts must agree with it,
 * values and errors alike; test/property/expression.test.ts says so.
 */
import type { Oid } from '../../storage/keys/brand.ts'
import type { Catalog } from '../catalog/catalog.ts'
import type { Expression } from '../plan/expression.ts'
import { mapChildren } from '../plan/walk.ts'
import { SqlError, sqlError } from '../types/error.ts'
import type { CallContext } from '../types/function.ts'
import { OID } from '../types/oids.ts'
import { RecordValue, type Row, type Value } from '../types/value.ts'
import { domainRules, obey } from './domain.ts'
import type { ExpressionEnv } from './env.ts'
import { bindNullSafe, type Callable, callSite, siteOfCall } from './functions.ts'
import type { Execution } from './operator.ts'
import {
  anyArray,
  convertIo,
  fetchJsonSubscript,
  fetchSubscript,
  fieldOf,
  greatest,
  makeArray,
  mapArray,
  rowIsNull,
  storeJsonSubscript,
  storeSubscript,
} from './runtime.ts'
import { sqlValue } from './sql-value.ts'
import { bindSubplan, subplanSite } from './subplan.ts'

/** What a walk has at hand besides the tree. */
interface Walk {
  readonly row: Row
  readonly x: Execution
  readonly env: ExpressionEnv
  caseTest: Value
}

export const evaluate = (e: Expression, row: Row, x: Execution, env: ExpressionEnv): Value =>
  walk(e, { row, x, env, caseTest: null })

type Of<K extends Expression['kind']> = Extract<Expression, { kind: K }>

function walk(e: Expression, w: Walk): Value {
  switch (e.kind) {
    case 'const':
      return e.value
    case 'param':
      return w.x.parameters[e.index - 1] ?? null
    case 'column':
      return w.row[e.index]!
    case 'outer':
      return w.x.outer[e.slot] ?? null
    case 'case-test':
      return w.caseTest
    case 'call':
      return walkCall(e, w)
    case 'relabel': {
      const value = walk(e.arg, w)
      const rules = domainRules(w.env.catalog, e.type)
      if (rules === undefined) return value
      return obey(rules, value, w.x, (i) => evaluate(rules.checks[i]!.check, [value], w.x, w.env))
    }
    case 'coerce-io': {
      const value = walk(e.arg, w)
      return value === null
        ? null
        : convertIo(value, w.env.catalog.type(e.arg.type), w.env.catalog.type(e.type), w.x.context)
    }
    case 'array-coerce':
      return mapArray(walk(e.arg, w), (element) => withCaseTest(w, element, () => walk(e.element, w)))
    case 'and':
    case 'or': {
      const decided = e.kind === 'or'
      let unknown = false
      for (const arg of e.args) {
        const value = walk(arg, w)
        if (value === decided) return decided
        if (value === null) unknown = true
      }
      return unknown ? null : !decided
    }
    case 'not': {
      const value = walk(e.arg, w)
      return value === null ? null : !value
    }
    case 'is-null': {
      const value = walk(e.arg, w)
      return e.argIsRow ? rowIsNull(value, e.negated) : (value === null) !== e.negated
    }
    case 'boolean-test': {
      const value = walk(e.arg, w)
      const holds = e.test === 'unknown' ? value === null : value === (e.test === 'true')
      return holds !== e.negated
    }
    case 'distinct': {
      const left = walk(e.left, w)
      const right = walk(e.right, w)
      if (left === null || right === null) return left !== right
      return callWith(e, e.function, [e.left, e.right], OID.bool, w)(left, right) !== true
    }
    case 'nullif': {
      const left = walk(e.left, w)
      const right = walk(e.right, w)
      if (left === null || right === null) return left
      return callWith(e, e.function, [e.left, e.right], OID.bool, w)(left, right) === true ? null : left
    }
    case 'case':
      return e.arg === undefined ? walkCase(e, w) : withCaseTest(w, walk(e.arg, w), () => walkCase(e, w))
    case 'coalesce': {
      for (const arg of e.args) {
        const value = walk(arg, w)
        if (value !== null) return value
      }
      return null
    }
    case 'min-max':
      return greatest(
        e.op === 'least',
        w.env.catalog.type(e.type),
        e.args.map((arg) => walk(arg, w)),
      )
    case 'any-array': {
      const left = walk(e.left, w)
      const right = walk(e.right, w)
      const row = w.env.catalog.function(e.function)
      const element = { type: w.env.catalog.typeRow(e.right.type)?.element ?? OID.unknown, typmod: -1 }
      const compare: Callable = (a, b) => callWith(e, e.function, [e.left, element], OID.bool, w)(a, b)
      return anyArray(compare, row?.strict ?? true, e.all, left, right)
    }
    case 'array':
      return makeArray(
        e.elements.map((element) => walk(element, w)),
        e.nested,
      )
    case 'row':
      return new RecordValue(
        e.fields.map((field) => walk(field, w)),
        e.fields.map((field) => field.type),
        e.names,
      )
    case 'row-compare':
      return walkRowCompare(e, w)
    case 'field':
      return fieldOf(walk(e.arg, w), e.index)
    case 'subscript':
      return walkSubscript(e, w)
    case 'subplan':
      return walkSubplan(e, w)
    case 'sql-value':
      return sqlValue(e.op, e.typmod, w.x.context)
    default:
      throw unplanned(e)
  }
}

/** What the planner should have replaced. */
export const unplanned = (e: Expression) => sqlError('XX000', `unexpected expression of kind ${e.kind} in the executor`)

function withCaseTest<T>(w: Walk, value: Value, inside: () => T): T {
  const before = w.caseTest
  w.caseTest = value
  try {
    return inside()
  } finally {
    w.caseTest = before
  }
}

/** A function of this expression as this execution calls it; found once. `part` tells a node's functions apart. */
function callWith(
  e: Expression,
  fn: Oid,
  args: readonly { type: Oid; typmod: number }[],
  returnType: Oid,
  w: Walk,
  part = 0,
): Callable {
  let found = w.x.kept.get(e) as Map<number, Callable> | undefined
  if (found === undefined) w.x.kept.set(e, (found = new Map()))
  let call = found.get(part)
  if (call === undefined) {
    const site = e.kind === 'call' ? siteOfCall(w.env.catalog, e) : callSite(w.env.catalog, fn, args, returnType)
    call = bindNullSafe(site, w.x.context)
    found.set(part, call)
  }
  return call
}

function walkCall(e: Of<'call'>, w: Walk): Value {
  const args = e.args.map((arg) => walk(arg, w))
  // Before the body is looked for: a strict call with a NULL is never made.
  if (w.env.catalog.function(e.function)?.strict && args.includes(null)) return null
  return callWith(e, e.function, e.args, e.type, w)(...args)
}

function walkCase(e: Of<'case'>, w: Walk): Value {
  for (const { when, then } of e.whens) if (walk(when, w) === true) return walk(then, w)
  return walk(e.otherwise, w)
}

function walkRowCompare(e: Of<'row-compare'>, w: Walk): Value {
  const last = e.left.length - 1
  for (let i = 0; i <= last; i++) {
    const left = walk(e.left[i]!, w)
    const right = walk(e.right[i]!, w)
    if (left === null || right === null) return null
    const args = [e.left[i]!, e.right[i]!]
    const equal = i < last && callWith(e, e.equals[i]!, args, OID.bool, w, 2 * i)(left, right) === true
    if (!equal) return callWith(e, e.functions[i]!, args, OID.bool, w, 2 * i + 1)(left, right)
  }
  return null
}

function walkSubscript(e: Of<'subscript'>, w: Walk): Value {
  const container = walk(e.container, w)
  if (container === null && e.assign === undefined) return null
  const bound = (b: Expression | undefined) => (b === undefined ? undefined : walk(b, w))
  const upper = e.upper.map(bound)
  const lower = e.lower.map(bound)
  const json = e.containerType === OID.jsonb
  if (e.assign === undefined)
    return json ? fetchJsonSubscript(container, upper, w.x.context) : fetchSubscript(container, e.slice, lower, upper)
  const value = walk(e.assign, w)
  return json ? storeJsonSubscript(container, upper, value) : storeSubscript(container, e.slice, lower, upper, value)
}

function walkSubplan(e: Of<'subplan'>, w: Walk): Value {
  let run = w.x.kept.get(e) as ReturnType<typeof bindSubplan> | undefined
  if (run === undefined) w.x.kept.set(e, (run = bindSubplan(subplanSite(e, w.env), w.x)))
  for (const param of e.params) w.x.outer[param.slot] = walk(param.expression, w)
  const left = e.link.kind === 'any' || e.link.kind === 'all' ? e.link.left.map((part) => walk(part, w)) : []
  return run(left)
}

const NEVER = (): never => {
  throw sqlError('XX000', 'a constant expression reached for its execution')
}

/**
 * The expression with immutable calls on constants replaced by their values, for the planner. What throws is left as it
 * is: it throws when, and if, it is reached. Lazy branches are folded only as far as their conditions are constant.
 */
export function constantFold(e: Expression, catalog: Catalog, context: CallContext): Expression {
  const env: ExpressionEnv = { catalog, mode: 'once', compilePlan: NEVER }
  const fold = (node: Expression): Expression => {
    const folded = simplify(mapChildren(node, fold), catalog)
    if (!isFoldable(folded, catalog)) return folded
    try {
      const x = { catalog, context, parameters: [], outer: [], kept: new Map() } as unknown as Execution
      const value = evaluate(folded, [], x, env)
      const { type, typmod, collation } = folded
      return { kind: 'const', value, type, typmod, ...(collation === undefined ? {} : { collation }) }
    } catch (error) {
      if (error instanceof SqlError) return folded
      throw error
    }
  }
  return fold(e)
}

const isConst = (e: Expression | undefined): boolean => e === undefined || e.kind === 'const'

function isFoldable(e: Expression, catalog: Catalog): boolean {
  switch (e.kind) {
    case 'call': {
      const row = catalog.function(e.function)
      // A user's function may read tables, whatever it says, for which there is no snapshot yet.
      const own = row?.body !== undefined && row.oid >= 16384
      return !e.setReturning && row?.volatility === 'i' && !own && e.args.every(isConst)
    }
    case 'relabel':
      return isConst(e.arg) && domainRules(catalog, e.type) === undefined
    case 'not':
    case 'is-null':
    case 'boolean-test':
      return isConst(e.arg)
    case 'coerce-io':
      // Text forms of times depend on settings: only plain types' conversions are immutable.
      return isConst(e.arg) && STABLE_TEXT.has(e.arg.type) && STABLE_TEXT.has(e.type)
    case 'and':
    case 'or':
    case 'min-max':
      return e.args.every(isConst)
    case 'distinct':
    case 'nullif':
      return isConst(e.left) && isConst(e.right) && catalog.function(e.function)?.volatility === 'i'
    case 'any-array':
      return isConst(e.left) && isConst(e.right) && catalog.function(e.function)?.volatility === 'i'
    case 'array':
      return e.elements.every(isConst)
    default:
      return false
  }
}
const STABLE_TEXT: ReadonlySet<Oid> = new Set([
  OID.bool,
  OID.int2,
  OID.int4,
  OID.int8,
  OID.numeric,
  OID.text,
  OID.varchar,
  OID.bpchar,
  OID.name,
  OID.uuid,
  OID.jsonb,
  OID.json,
]) // prettier-ignore

/** Drops what constants decide in AND, OR, CASE and COALESCE. */
function simplify(e: Expression, catalog: Catalog): Expression {
  // A strict function with a NULL argument is never called, whatever the other arguments are.
  if (e.kind === 'call' && !e.setReturning && e.args.some((arg) => arg.kind === 'const' && arg.value === null))
    if (catalog.function(e.function)?.strict) return { kind: 'const', value: null, type: e.type, typmod: e.typmod }
  if (e.kind === 'and' || e.kind === 'or') {
    const decided = e.kind === 'or'
    const args: Expression[] = []
    for (const arg of e.args) {
      if (arg.kind !== 'const' || arg.value === null) args.push(arg)
      else if (arg.value === decided) return arg
    }
    if (args.length === 0) return { kind: 'const', value: !decided, type: e.type, typmod: e.typmod }
    return args.length === 1 ? args[0]! : { ...e, args }
  }
  if (e.kind === 'case' && e.arg === undefined) {
    const whens: { when: Expression; then: Expression }[] = []
    for (const each of e.whens) {
      if (each.when.kind !== 'const') whens.push(each)
      else if (each.when.value === true) return whens.length === 0 ? each.then : { ...e, whens, otherwise: each.then }
    }
    return whens.length === 0 ? e.otherwise : { ...e, whens }
  }
  if (e.kind === 'coalesce') {
    const args: Expression[] = []
    for (const arg of e.args) {
      if (arg.kind === 'const' && arg.value === null) continue
      args.push(arg)
      if (arg.kind === 'const') break
    }
    if (args.length === 0) return { kind: 'const', value: null, type: e.type, typmod: e.typmod }
    return args.length === 1 ? args[0]! : { ...e, args }
  }
  return e
}
