/**
 * Literals lifted out of simple queries, so that `… where aid = 17` and `… where aid = 42` share one plan: the text's shape
 * is the key, the literals become parameters.
 *
 *     select b from t where a = 17 and c = 'x' limit 5
 *     shape   select b from t where a = ▯ and c = ▯ limit ▯           literals 17, 'x', 5
 *     plan    select b from t where a = $1 and c = $2 limit 5         5 is not in a place where it may vary
 *
 * A literal may vary where its value cannot change what the statement means: as an operand of a comparison, in IN and
 * BETWEEN, in VALUES rows and in assigned values. Others (LIKE, LIMIT, ORDER BY 2, typed literals, function arguments) stay,
 * and statements that differ in them have plans of their own. Where a value decides which plan is best, there is one for each
 * order of magnitude (variants.ts).
 */
import type { Node } from '@pgsql/types'
import { LRUCache } from 'lru-cache'
import type { Oid } from '../../storage/keys/brand.ts'
import { tagOf } from '../parser/parser.ts'
import { OID } from '../types/oids.ts'
import type { Value } from '../types/value.ts'
import type { Statement } from './statement.ts'

/** Longer texts are parsed as they are. */
const TEXT_MAX = 4096
const LITERALS_MAX = 64

export interface Shape {
  readonly key: string
  /** Where each literal begins in the text, and its value: a number for plain integers, else its text. */
  readonly starts: readonly number[]
  readonly values: readonly (number | string)[]
  /** Types as the binder gives literals: int4, int8, numeric, or unknown for strings. */
  readonly types: readonly Oid[]
}

const INT4_MAX = 2147483647
const NOT_ASCII = /[^\x00-\x7f]/

/** What stands for a literal in a key: characters that no statement has outside of its literals. */
const INTEGER = '\u0001'
const STRING = '\u0002'

const MINUS = 45

const isDigit = (c: number): boolean => c >= 48 && c <= 57
const isWord = (c: number): boolean =>
  (c >= 97 && c <= 122) || (c >= 65 && c <= 90) || c === 95 || c === 36 || isDigit(c) || c >= 128

/**
 * The text with its literals cut out; undefined when there are none or the text holds something this scanner leaves to the
 * grammar (comments, dollar quotes, escapes, non-ASCII text, several statements).
 */
export function shapeOf(sql: string): Shape | undefined {
  const { length } = sql
  // The parser's locations count bytes, this scanner characters.
  if (length > TEXT_MAX || NOT_ASCII.test(sql)) return undefined
  const starts: number[] = []
  const values: (number | string)[] = []
  const types: Oid[] = []
  let key = ''
  let from = 0
  let i = 0
  while (i < length) {
    const c = sql.charCodeAt(i)
    if (isDigit(c)) {
      const start = i
      while (i < length && isDigit(sql.charCodeAt(i))) i++
      const next = i < length ? sql.charCodeAt(i) : 0
      // Decimals, exponents, 0x…: left to the grammar.
      if (next === 46 || isWord(next)) return undefined
      if (i - start > 9 && Number(sql.slice(start, i)) > INT4_MAX) return undefined
      key += sql.slice(from, start)
      key += INTEGER
      starts.push(start)
      values.push(integerAt(sql, start, i))
      types.push(OID.int4)
      from = i
    } else if (c === 39) {
      const start = i++
      for (;;) {
        const end = sql.indexOf("'", i)
        if (end < 0) return undefined
        i = end + 1
        if (sql.charCodeAt(i) !== 39) break
        i++
      }
      key += sql.slice(from, start)
      key += STRING
      starts.push(start)
      values.push(sql.slice(start + 1, i - 1).replaceAll("''", "'"))
      types.push(OID.unknown)
      from = i
    } else if (isWord(c)) {
      if (c === 36 || c >= 128) return undefined
      const start = i
      while (i < length && isWord(sql.charCodeAt(i))) i++
      // E'…', B'…', X'…', U&'…', N'…' are other kinds of literal.
      if (i - start === 1 && (sql.charCodeAt(i) === 39 || sql.charCodeAt(i) === 38)) return undefined
    } else if (c === 34) {
      const end = sql.indexOf('"', i + 1)
      if (end < 0) return undefined
      i = end + 1
    } else {
      if (c === 45 && sql.charCodeAt(i + 1) === 45) return undefined
      if (c === 47 && sql.charCodeAt(i + 1) === 42) return undefined
      if (c === 46 && isDigit(sql.charCodeAt(i + 1))) return undefined
      if (c === 59 && i < length - 1 && sql.slice(i + 1).trim() !== '') return undefined
      i++
    }
    if (starts.length > LITERALS_MAX) return undefined
  }
  if (starts.length === 0) return undefined
  key += sql.slice(from)
  return { key, starts, values, types }
}

function integerAt(sql: string, start: number, end: number): number {
  let n = 0
  for (let i = start; i < end; i++) n = n * 10 + sql.charCodeAt(i) - 48
  return n
}

/** A literal that became a parameter. `negative`: with the minus before it, as the grammar reads -5. */
interface Taken {
  readonly at: number
  readonly negative: boolean
}

/** What is known of a shape: which literals stay, and the statement for each combination of those. */
interface Known {
  readonly fixed: readonly number[]
  readonly lifted: readonly Taken[]
  readonly statements: Map<string, Statement>
}

const SHAPES = 1000
const STATEMENTS_PER_SHAPE = 50

export interface Lifted {
  readonly statement: Statement
  /** Values of its parameters; strings of unknown type still as text. */
  readonly values: readonly Value[]
}

/** The statements that are kept by shape. */
export class ShapeCache {
  readonly #shapes = new LRUCache<string, Known>({ max: SHAPES })

  /** The kept statement of this shape, if there is one. */
  find(shape: Shape): Lifted | undefined {
    const known = this.#shapes.get(shape.key)
    if (known === undefined) return undefined
    const statement = known.statements.get(fixedText(known, shape))
    return statement === undefined ? undefined : { statement, values: valuesAt(known.lifted, shape) }
  }

  /** Makes (and keeps) the statement with parameters from the parsed text; undefined when nothing in it may vary. */
  lift(shape: Shape, node: Node, sql: string): Lifted | undefined {
    if (!LIFTABLE.has(tagOf(node))) return undefined
    const lifted: Taken[] = []
    const replaced = replaceLiterals(node, 'fixed', (location, value) => {
      const taken = takenAt(shape, sql, location)
      // A string that goes on in the next line is one literal of the grammar and two of the scanner.
      if (taken === undefined || literalAt(taken, shape) !== value || lifted.some(({ at }) => at === taken.at))
        return undefined
      return lifted.push(taken)
    }) as Node
    if (lifted.length === 0) return undefined
    // Which literals may vary depends on the shape alone.
    const fixed = shape.starts.map((_, i) => i).filter((i) => !lifted.some(({ at }) => at === i))
    let known = this.#shapes.get(shape.key)
    if (known === undefined || known.statements.size >= STATEMENTS_PER_SHAPE) {
      known = { fixed, lifted, statements: new Map() }
      this.#shapes.set(shape.key, known)
    }
    const types = lifted.map(({ at }) => shape.types[at]!)
    const statement: Statement = {
      node: replaced,
      tag: tagOf(replaced),
      text: sql,
      source: sql,
      givenTypes: types,
      prepared: undefined,
      uses: 0,
    }
    known.statements.set(fixedText(known, shape), statement)
    return { statement, values: valuesAt(lifted, shape) }
  }
}

/** The literal that the grammar says stands at this place: there, or behind its minus. */
function takenAt(shape: Shape, sql: string, location: number): Taken | undefined {
  const at = shape.starts.indexOf(location)
  if (at >= 0) return { at, negative: false }
  if (sql.charCodeAt(location) !== MINUS) return undefined
  const behind = shape.starts.findIndex((start) => start > location)
  if (behind < 0 || sql.slice(location + 1, shape.starts[behind]).trim() !== '') return undefined
  return { at: behind, negative: true }
}

/** 0 - n, for -0 is no integer. */
function literalAt({ at, negative }: Taken, shape: Shape): number | string {
  const value = shape.values[at]!
  return negative && typeof value === 'number' ? 0 - value : value
}

function valuesAt(taken: readonly Taken[], shape: Shape): Value[] {
  const values: Value[] = []
  for (const each of taken) values.push(literalAt(each, shape))
  return values
}

const fixedText = (known: Known, shape: Shape): string =>
  known.fixed.length === 0 ? '' : known.fixed.map((at) => shape.values[at]).join('\u0000')

const LIFTABLE = new Set(['SelectStmt', 'InsertStmt', 'UpdateStmt', 'DeleteStmt'])

type Lift = (location: number, value: number | string) => number | undefined

/**
 * Where a node stands. 'condition': inside WHERE or ON, where operands of comparisons may vary; 'value': a VALUES item or an assigned
 * value, which may vary itself; 'operand': directly under such an operator; 'fixed': anywhere else.
 */
type Place = 'fixed' | 'condition' | 'value' | 'operand'

/** The tree with literals in varying places replaced by parameters. */
function replaceLiterals(tree: unknown, place: Place, lift: Lift): unknown {
  if (typeof tree !== 'object' || tree === null) return tree
  if (Array.isArray(tree)) return tree.map((each) => replaceLiterals(each, place, lift))
  const node = tree as Record<string, unknown>
  const literal = node['A_Const'] as
    | { ival?: { ival?: number }; sval?: { sval?: string }; location?: number }
    | undefined
  if (literal !== undefined) {
    if ((place !== 'value' && place !== 'operand') || (literal.ival === undefined && literal.sval === undefined))
      return tree
    const value = literal.sval === undefined ? (literal.ival!.ival ?? 0) : (literal.sval.sval ?? '')
    const number = lift(literal.location ?? 0, value)
    return number === undefined ? tree : { ParamRef: { number, location: literal.location } }
  }
  const result: Record<string, unknown> = {}
  for (const name in node) result[name] = replaceLiterals(node[name], placeOf(name, node, place), lift)
  return result
}

/** Where the field `name` of `node` stands, given where the node does. */
function placeOf(name: string, node: Record<string, unknown>, place: Place): Place {
  switch (name) {
    case 'whereClause':
    case 'quals':
      return 'condition'
    case 'valuesLists':
      return 'value'
    case 'targetList':
      // UPDATE's assignments; SELECT's targets may have to match GROUP BY and ORDER BY.
      return 'relation' in node ? 'value' : 'fixed'
    case 'ResTarget':
    case 'val':
      return place
    case 'lexpr':
    case 'rexpr':
      if (place === 'value' || place === 'fixed') return place
      if (isComparison(node)) return 'operand'
      return place === 'operand' && isArithmetic(node) ? 'operand' : 'condition'
    // Wrappers of the parse tree, and AND/OR, hand the place down.
    case 'A_Expr':
    case 'BoolExpr':
    case 'List':
    case 'items':
      return place
    case 'args':
      return 'boolop' in node ? place : 'fixed'
    default:
      return 'fixed'
  }
}

const COMPARISONS = new Set(['=', '<>', '<', '<=', '>', '>='])

const ARITHMETIC = new Set(['+', '-', '*', '/', '%'])

/** 1 + 2 as an operand: computed when the statement runs. */
function isArithmetic(node: Record<string, unknown>): boolean {
  const name = node['name'] as { String?: { sval?: string } }[] | undefined
  return node['kind'] === 'AEXPR_OP' && name?.length === 1 && ARITHMETIC.has(name[0]?.String?.sval ?? '')
}

/** a = 1, a > 1, a IN (1, 2), a = ANY ('{1,2}'), a BETWEEN 1 AND 2. */
function isComparison(node: Record<string, unknown>): boolean {
  switch (node['kind']) {
    case 'AEXPR_BETWEEN':
    case 'AEXPR_NOT_BETWEEN':
      return true
    case 'AEXPR_OP':
    case 'AEXPR_IN':
    case 'AEXPR_OP_ANY': {
      const name = node['name'] as { String?: { sval?: string } }[] | undefined
      return name?.length === 1 && COMPARISONS.has(name[0]?.String?.sval ?? '')
    }
    default:
      return false
  }
}
