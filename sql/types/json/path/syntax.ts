/**
 * jsonpath's tree, and its one printed form: keys quoted, operators spaced, brackets where they are needed, as
 * jsonpath_out has it. A path is a head with steps: `$.a[*]` is the root, the key a, every element.
 * https://www.postgresql.org/docs/15/functions-json.html#FUNCTIONS-SQLJSON-PATH
 */
import { toText } from '../../number/numeric.ts'
import type { Numeric } from '../../value.ts'
import { quoteJson } from '../node.ts'

export type Comparison = '==' | '!=' | '<' | '<=' | '>' | '>='
export type Arithmetic = '+' | '-' | '*' | '/' | '%'
export type Method = 'abs' | 'size' | 'type' | 'floor' | 'double' | 'ceiling' | 'keyvalue'

export type PathNode =
  | { readonly kind: 'root' | 'current' | 'last' }
  | { readonly kind: 'literal'; readonly value: null | boolean | string | Numeric }
  | { readonly kind: 'variable'; readonly name: string }
  | { readonly kind: 'path'; readonly head: PathNode; readonly steps: readonly Step[] }
  | { readonly kind: 'arithmetic'; readonly op: Arithmetic; readonly left: PathNode; readonly right: PathNode }
  | { readonly kind: 'sign'; readonly op: '+' | '-'; readonly arg: PathNode }
  | Predicate

/** What is true, false or unknown. */
export type Predicate =
  | { readonly kind: 'compare'; readonly op: Comparison; readonly left: PathNode; readonly right: PathNode }
  | { readonly kind: 'and' | 'or'; readonly left: Predicate; readonly right: Predicate }
  | { readonly kind: 'not' | 'unknown'; readonly arg: Predicate }
  | { readonly kind: 'exists'; readonly arg: PathNode }
  | { readonly kind: 'starts-with'; readonly arg: PathNode; readonly initial: PathNode }
  | { readonly kind: 'like-regex'; readonly arg: PathNode; readonly pattern: string; readonly flags: string }

/** The end of an array as a bound of `**`. */
export const LAST_LEVEL = 0xffff_ffff

export type Step =
  | { readonly kind: 'key'; readonly name: string }
  | { readonly kind: 'any-key' | 'any-element' }
  | {
      readonly kind: 'elements'
      readonly ranges: readonly { readonly from: PathNode; readonly to: PathNode | undefined }[]
    }
  /** `**{first to last}`, LAST_LEVEL for `last`; all levels are 0 to LAST_LEVEL. */
  | { readonly kind: 'any'; readonly first: number; readonly last: number }
  | { readonly kind: 'filter'; readonly predicate: Predicate }
  | { readonly kind: 'method'; readonly name: Method }
  | { readonly kind: 'datetime'; readonly template: string | undefined }

export interface JsonPath {
  readonly strict: boolean
  readonly expression: PathNode
}

const PREDICATES: ReadonlySet<string> = new Set([
  'compare',
  'and',
  'or',
  'not',
  'unknown',
  'exists',
  'starts-with',
  'like-regex',
])
export const isPredicate = (node: PathNode): node is Predicate => PREDICATES.has(node.kind)

function priority(node: PathNode): number {
  switch (node.kind) {
    case 'or':
      return 0
    case 'and':
      return 1
    case 'compare':
    case 'starts-with':
      return 2
    case 'arithmetic':
      return node.op === '+' || node.op === '-' ? 3 : 4
    case 'sign':
      return 5
    default:
      return 6
  }
}

function printStep(step: Step): string {
  switch (step.kind) {
    case 'key':
      return `.${quoteJson(step.name)}`
    case 'any-key':
      return '.*'
    case 'any-element':
      return '[*]'
    case 'elements': {
      const range = ({ from, to }: (typeof step.ranges)[number]) =>
        print(from, false) + (to === undefined ? '' : ` to ${print(to, false)}`)
      return `[${step.ranges.map(range).join()}]`
    }
    case 'any': {
      const { first, last } = step
      const level = (n: number) => (n === LAST_LEVEL ? 'last' : String(n))
      if (first === 0 && last === LAST_LEVEL) return '.**'
      return first === last ? `.**{${level(first)}}` : `.**{${level(first)} to ${level(last)}}`
    }
    case 'filter':
      return `?(${print(step.predicate, false)})`
    case 'method':
      return `.${step.name}()`
    case 'datetime':
      return `.datetime(${step.template === undefined ? '' : quoteJson(step.template)})`
  }
}

const OPERATORS = { and: '&&', or: '||' } as const

function print(node: PathNode, brackets: boolean): string {
  const inside = (child: PathNode) => print(child, priority(child) <= priority(node))
  const framed = (text: string) => (brackets ? `(${text})` : text)
  switch (node.kind) {
    case 'root':
      return '$'
    case 'current':
      return '@'
    case 'last':
      return 'last'
    case 'literal':
      return typeof node.value === 'string'
        ? quoteJson(node.value)
        : node.value === null || typeof node.value === 'boolean'
          ? String(node.value)
          : toText(node.value)
    case 'variable':
      return `$${quoteJson(node.name)}`
    case 'path': {
      const number = node.head.kind === 'literal' && typeof node.head.value === 'object' && node.head.value !== null
      const head = print(node.head, true)
      return (number ? `(${head})` : head) + node.steps.map(printStep).join('')
    }
    case 'arithmetic':
    case 'compare':
      return framed(`${inside(node.left)} ${node.op} ${inside(node.right)}`)
    case 'and':
    case 'or':
      return framed(`${inside(node.left)} ${OPERATORS[node.kind]} ${inside(node.right)}`)
    case 'sign':
      return framed(node.op + inside(node.arg))
    case 'not':
      return `!(${print(node.arg, false)})`
    case 'unknown':
      return `(${print(node.arg, false)}) is unknown`
    case 'exists':
      return `exists (${print(node.arg, false)})`
    case 'starts-with':
      return framed(`${inside(node.arg)} starts with ${inside(node.initial)}`)
    case 'like-regex': {
      const flags = node.flags === '' ? '' : ` flag "${node.flags}"`
      return framed(`${inside(node.arg)} like_regex ${quoteJson(node.pattern)}${flags}`)
    }
  }
}

export const printPath = (path: JsonPath): string => (path.strict ? 'strict ' : '') + print(path.expression, true)
