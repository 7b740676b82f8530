/**
 * Runs a jsonpath over a tree. A path is a generator of items: each step takes one item and yields those it leads to, so
 * `exists` stops at the first. In lax mode arrays open and close by themselves and missing things are empty; in strict
 * mode they are errors. Inside predicates errors become "unknown". https://www.postgresql.org/docs/15/functions-json.html#STRICT-AND-LAX-MODES
 */
import {
  compareMoments,
  ISO_TEMPLATES,
  MOMENT_NAMES,
  Moment,
  momentOfText,
  momentText,
} from '../../datetime/standard.ts'
import { SqlError, sqlError } from '../../error.ts'
import { float8ToText, parseFloat8 } from '../../number/float-text.ts'
import * as numeric from '../../number/numeric.ts'
import { compareText } from '../../text/chars.ts'
import type { TypeContext } from '../../type.ts'
import { type JsonNode, Numeric } from '../../value.ts'
import { isArray, isObject, isScalar, makeObject, nodeKind } from '../node.ts'
import { compilePattern } from './parse.ts'
import {
  type Arithmetic,
  type Comparison,
  isPredicate,
  type JsonPath,
  LAST_LEVEL,
  type Method,
  type PathNode,
  type Predicate,
  type Step,
} from './syntax.ts'

type Truth = true | false | null
/** What is between two steps: JSON, or a moment that .datetime() has read. */
type Item = JsonNode | Moment

/** What the steps see beside the item. */
interface Scope {
  readonly root: JsonNode
  readonly variables: ReadonlyMap<string, JsonNode>
  readonly lax: boolean
  /** Below `**` missing members are no errors even in strict mode. */
  readonly forgiving: boolean
  readonly current: Item | undefined
  /** For comparisons that depend on the session's time zone; undefined where they are refused. */
  readonly context: TypeContext | undefined
  /** Elements of the innermost array being subscripted, for `last`. */
  readonly size: number
  readonly ids: Map<JsonNode, number>
}

const ARITHMETIC: Readonly<Record<Arithmetic, (a: Numeric, b: Numeric) => Numeric>> = {
  '+': numeric.add,
  '-': numeric.subtract,
  '*': numeric.multiply,
  '/': numeric.divide,
  '%': numeric.modulo,
}

/**
 * The items a path yields. Throws what PostgreSQL throws, as they are reached. `context` is given by the functions
 * named _tz: they may use the session's time zone.
 */
export function* runPath(
  path: JsonPath,
  root: JsonNode,
  variables: ReadonlyMap<string, JsonNode>,
  context?: TypeContext,
): Generator<JsonNode> {
  const lax = !path.strict
  const scope: Scope = { root, variables, lax, forgiving: lax, current: root, size: -1, ids: new Map(), context }
  for (const item of evaluate(path.expression, scope)) yield item instanceof Moment ? momentText(item) : item
}

/** Whether a path in lax mode yields anything: it stops at the first item. */
export function yieldsAny(
  path: JsonPath,
  root: JsonNode,
  variables: ReadonlyMap<string, JsonNode>,
  context?: TypeContext,
): boolean {
  return anyItem(path.expression, {
    root,
    variables,
    lax: true,
    forgiving: true,
    current: root,
    size: -1,
    ids: new Map(),
    context,
  })
}

/** Of a sign's operands those that are no numbers are passed over here, where elsewhere they are errors. */
function anyItem(node: PathNode, scope: Scope): boolean {
  const isSign = node.kind === 'sign'
  for (const item of isSign ? unwrapped(node.arg, scope) : evaluate(node, scope))
    if (!isSign || item instanceof Numeric) return true
  return false
}

const isList = (item: Item): item is readonly JsonNode[] => !(item instanceof Moment) && isArray(item)
const isMembers = (item: Item): item is ReadonlyMap<string, JsonNode> => !(item instanceof Moment) && isObject(item)
const kindOf = (item: Item): string => (item instanceof Moment ? MOMENT_NAMES[item.kind] : nodeKind(item))

function* evaluate(node: PathNode, scope: Scope): Generator<Item> {
  if (isPredicate(node)) {
    yield truth(node, scope)
    return
  }
  switch (node.kind) {
    case 'root':
      yield scope.root
      return
    case 'current':
      yield scope.current!
      return
    case 'last':
      yield numeric.fromInteger(scope.size - 1)
      return
    case 'literal':
      yield node.value
      return
    case 'variable': {
      const value = scope.variables.get(node.name)
      if (value === undefined) throw sqlError('42704', `could not find jsonpath variable "${node.name}"`)
      yield value
      return
    }
    case 'path':
      for (const item of evaluate(node.head, scope)) yield* follow(node.steps, 0, item, scope, scope.lax)
      return
    case 'arithmetic': {
      const left = single(node.left, scope, `left operand of jsonpath operator ${node.op}`)
      const right = single(node.right, scope, `right operand of jsonpath operator ${node.op}`)
      yield ARITHMETIC[node.op](left, right)
      return
    }
    case 'sign':
      for (const item of unwrapped(node.arg, scope)) {
        if (!(item instanceof Numeric))
          throw sqlError('2203B', `operand of unary jsonpath operator ${node.op} is not a numeric value`)
        yield node.op === '-' ? numeric.negate(item) : item
      }
  }
}

/** In lax mode arrays among the items give their elements. */
function* unwrapped(node: PathNode, scope: Scope): Generator<Item> {
  for (const item of evaluate(node, scope)) {
    if (scope.lax && isList(item)) yield* item
    else yield item
  }
}

function single(node: PathNode, scope: Scope, what: string): Numeric {
  const items = [...unwrapped(node, scope)]
  const [item] = items
  if (items.length !== 1 || !(item instanceof Numeric)) throw sqlError('22038', `${what} is not a single numeric value`)
  return item
}

/** The items that the steps from `at` lead to. `unwrap`: an array that the step cannot take is opened (once). */
function* follow(steps: readonly Step[], at: number, item: Item, scope: Scope, unwrap: boolean): Generator<Item> {
  const step = steps[at]
  if (step === undefined) {
    yield item
    return
  }
  const opens = unwrap && isList(item)
  switch (step.kind) {
    case 'key':
      if (isMembers(item)) {
        const value = item.get(step.name)
        if (value !== undefined) yield* follow(steps, at + 1, value, scope, scope.lax)
        else if (!scope.forgiving) throw sqlError('2203A', `JSON object does not contain key "${step.name}"`)
      } else if (opens) {
        yield* opened(steps, at, item, scope)
      } else if (!scope.forgiving) {
        throw sqlError('2203A', 'jsonpath member accessor can only be applied to an object')
      }
      return
    case 'any-key':
      if (isMembers(item)) for (const value of item.values()) yield* follow(steps, at + 1, value, scope, scope.lax)
      else if (opens) yield* opened(steps, at, item, scope)
      else if (!scope.forgiving)
        throw sqlError('2203C', 'jsonpath wildcard member accessor can only be applied to an object')
      return
    case 'any-element':
      if (isList(item)) for (const element of item) yield* follow(steps, at + 1, element, scope, scope.lax)
      else if (scope.lax) yield* follow(steps, at + 1, item, scope, scope.lax)
      else if (!scope.forgiving)
        throw sqlError('22039', 'jsonpath wildcard array accessor can only be applied to an array')
      return
    case 'elements':
      for (const element of subscripted(step, item, scope)) yield* follow(steps, at + 1, element, scope, scope.lax)
      return
    case 'any': {
      const inside = { ...scope, forgiving: true }
      if (step.first === 0) yield* follow(steps, at + 1, item, inside, scope.lax)
      for (const value of descendants(item, 1, step.first, step.last))
        yield* follow(steps, at + 1, value, inside, scope.lax)
      return
    }
    case 'filter':
      if (opens) yield* opened(steps, at, item, scope)
      else if (truth(step.predicate, { ...scope, current: item }) === true)
        yield* follow(steps, at + 1, item, scope, scope.lax)
      return
    case 'method':
      if (opens && step.name !== 'type' && step.name !== 'size') yield* opened(steps, at, item, scope)
      else for (const value of METHODS[step.name](item, scope)) yield* follow(steps, at + 1, value, scope, scope.lax)
      return
    case 'datetime':
      if (opens) yield* opened(steps, at, item, scope)
      else yield* follow(steps, at + 1, readMoment(item, step.template), scope, scope.lax)
      return
  }
}

function readMoment(item: Item, template: string | undefined): Moment {
  if (typeof item !== 'string')
    throw sqlError('22031', 'jsonpath item method .datetime() can only be applied to a string')
  if (template !== undefined) return momentOfText(item, template)
  for (const iso of ISO_TEMPLATES) {
    try {
      return momentOfText(item, iso)
    } catch (error) {
      if (!isSuppressed(error)) throw error
    }
  }
  throw sqlError('22031', `datetime format is not recognized: "${item}"`, {
    hint: 'Use a datetime template argument to specify the input data format.',
  })
}

function* opened(steps: readonly Step[], at: number, array: readonly JsonNode[], scope: Scope): Generator<Item> {
  for (const element of array) yield* follow(steps, at, element, scope, false)
}

function* subscripted(step: Step & { kind: 'elements' }, item: Item, scope: Scope): Generator<Item> {
  if (!isList(item) && !scope.lax) {
    if (!scope.forgiving) throw sqlError('22039', 'jsonpath array accessor can only be applied to an array')
    return
  }
  const array = isList(item) ? item : [item]
  const inside = { ...scope, size: array.length, current: item }
  const index = (node: PathNode): number => {
    const items = [...evaluate(node, inside)]
    const [found] = items
    if (items.length !== 1 || !(found instanceof Numeric))
      throw sqlError('22033', 'jsonpath array subscript is not a single numeric value')
    const whole = Number(numeric.toText(numeric.trunc(found, 0)))
    if (!(whole >= -0x8000_0000 && whole <= 0x7fff_ffff))
      throw sqlError('22033', 'jsonpath array subscript is out of integer range')
    return whole
  }
  for (const range of step.ranges) {
    const from = index(range.from)
    const to = range.to === undefined ? from : index(range.to)
    if (!scope.forgiving && (from < 0 || from > to || to >= array.length))
      throw sqlError('22033', 'jsonpath array subscript is out of bounds')
    for (let i = Math.max(from, 0); i <= Math.min(to, array.length - 1); i++) yield array[i]!
  }
}

/** Members of members between two levels, each before its own; both bounds LAST_LEVEL: the leaves only. */
function* descendants(node: Item, level: number, first: number, last: number): Generator<JsonNode> {
  if (level > last || node instanceof Moment || isScalar(node)) return
  for (const value of isArray(node) ? node : (node as ReadonlyMap<string, JsonNode>).values()) {
    if (level >= first || (first === LAST_LEVEL && last === LAST_LEVEL && isScalar(value))) yield value
    if (level < last) yield* descendants(value, level + 1, first, last)
  }
}

const method = (name: string, what: string, code: string) => sqlError(code, `jsonpath item method .${name}() ${what}`)

const onNumber =
  (name: string, apply: (n: Numeric) => Numeric) =>
  (item: Item): JsonNode[] => {
    if (!(item instanceof Numeric)) throw method(name, 'can only be applied to a numeric value', '22036')
    return [apply(item)]
  }

function toDouble(item: Item): JsonNode {
  if (typeof item !== 'string' && !(item instanceof Numeric))
    throw method('double', 'can only be applied to a string or numeric value', '22036')
  let n: number
  try {
    n = parseFloat8(typeof item === 'string' ? item : numeric.toText(item))
  } catch (error) {
    if (!(error instanceof SqlError)) throw error
    n = Number.NaN
  }
  if (!Number.isFinite(n))
    throw sqlError(
      '22036',
      typeof item === 'string'
        ? 'string argument of jsonpath item method .double() is not a valid representation of a double precision number'
        : 'numeric argument of jsonpath item method .double() is out of range for type double precision',
    )
  return numeric.parseDecimal(float8ToText(n, 1))!
}

/** A number for each object of the document, the same whenever it is met. */
function idOf(node: JsonNode, scope: Scope): Numeric {
  if (scope.ids.size === 0) {
    let next = 0
    const visit = (at: JsonNode): void => {
      if (isScalar(at)) return
      if (!scope.ids.has(at)) scope.ids.set(at, next++)
      for (const value of isArray(at) ? at : (at as ReadonlyMap<string, JsonNode>).values()) visit(value)
    }
    visit(scope.root)
  }
  let id = scope.ids.get(node)
  if (id === undefined) scope.ids.set(node, (id = scope.ids.size))
  return numeric.fromInteger(id)
}

const METHODS: Readonly<Record<Method, (item: Item, scope: Scope) => Iterable<JsonNode>>> = {
  type: (item) => [kindOf(item)],
  size: (item, scope) => {
    if (isList(item)) return [numeric.fromInteger(item.length)]
    if (scope.lax) return [numeric.fromInteger(1)]
    if (scope.forgiving) return []
    throw method('size', 'can only be applied to an array', '22039')
  },
  abs: onNumber('abs', (n) => (numeric.sign(n) < 0 ? numeric.negate(n) : n)),
  floor: onNumber('floor', numeric.floor),
  ceiling: onNumber('ceiling', numeric.ceil),
  double: (item) => [toDouble(item)],
  keyvalue: (item, scope) => {
    if (!isMembers(item)) throw method('keyvalue', 'can only be applied to an object', '2203C')
    const id = idOf(item, scope)
    return [...item].map(([key, value]) =>
      makeObject([
        ['key', key],
        ['value', value],
        ['id', id],
      ]),
    )
  },
}

/** An error inside a predicate makes it unknown; what is not PostgreSQL's own error is one still. */
function orUnknown(run: () => Truth): Truth {
  try {
    return run()
  } catch (error) {
    if (isSuppressed(error)) return null
    throw error
  }
}

/** Errors that `silent` and predicates swallow: of data and of numbers, not of missing features or variables. */
export const isSuppressed = (error: unknown): boolean => error instanceof SqlError && /^22/.test(error.code)

function truth(node: Predicate, scope: Scope): Truth {
  switch (node.kind) {
    case 'and': {
      const left = truth(node.left, scope)
      if (left === false) return false
      const right = truth(node.right, scope)
      return right === true ? left : right
    }
    case 'or': {
      const left = truth(node.left, scope)
      if (left === true) return true
      const right = truth(node.right, scope)
      return right === false ? left : right
    }
    case 'not': {
      const arg = truth(node.arg, scope)
      return arg === null ? null : !arg
    }
    case 'unknown':
      return truth(node.arg, scope) === null
    case 'exists':
      return orUnknown(() => {
        if (!scope.lax) return [...evaluate(node.arg, scope)].length > 0
        return anyItem(node.arg, scope)
      })
    case 'compare':
      return overPairs(
        node.left,
        scope,
        () => [...unwrapped(node.right, scope)],
        (a, b) => compareItems(node.op, a, b!, scope.context),
      )
    case 'starts-with':
      return overPairs(
        node.arg,
        scope,
        () => [...evaluate(node.initial, scope)],
        (a, b) => (typeof a === 'string' && typeof b === 'string' ? a.startsWith(b) : null),
      )
    case 'like-regex': {
      const pattern = compilePattern(node.pattern, node.flags)
      return overPairs(
        node.arg,
        scope,
        () => [undefined],
        (a) => (typeof a === 'string' ? pattern.test(a) : null),
      )
    }
  }
}

/** Lax: true as soon as one pair is, though another is unknown. Strict: every pair must be known. */
function overPairs(
  left: PathNode,
  scope: Scope,
  right: () => (Item | undefined)[],
  test: (a: Item, b: Item | undefined) => Truth,
): Truth {
  return orUnknown(() => {
    const lefts = [...unwrapped(left, scope)]
    const rights = right()
    let found = false
    let unknown = false
    for (const a of lefts)
      for (const b of rights) {
        const result = test(a, b)
        if (result === null) {
          if (!scope.lax) return null
          unknown = true
        } else if (result) {
          if (scope.lax) return true
          found = true
        }
      }
    return found ? true : unknown ? null : false
  })
}

const ORDER: Readonly<Record<Comparison, (order: number) => boolean>> = {
  '==': (order) => order === 0,
  '!=': (order) => order !== 0,
  '<': (order) => order < 0,
  '<=': (order) => order <= 0,
  '>': (order) => order > 0,
  '>=': (order) => order >= 0,
}

function compareItems(op: Comparison, a: Item, b: Item, context: TypeContext | undefined): Truth {
  if (a instanceof Moment || b instanceof Moment) {
    if (a === null || b === null) return op === '!='
    if (!(a instanceof Moment && b instanceof Moment)) return null
    const order = compareMoments(a, b, context)
    return order === undefined ? null : ORDER[op](order)
  }
  if (nodeKind(a) !== nodeKind(b)) return a === null || b === null ? op === '!=' : null
  const test = ORDER[op]
  if (a === null) return test(0)
  if (typeof a === 'boolean') return test(Number(a) - Number(b))
  if (typeof a === 'string') return test(compareText(a, b as string))
  return a instanceof Numeric ? test(numeric.compare(a, b as Numeric)) : null
}
