/**
 * Text to query. Three ways of writing: tsquery's own syntax (`fat & !(cat | rat) <2> dog:A*`), plain text whose words are
 * all asked for, and web search (`"fat cat" or -dog`). What an operand becomes (itself, its stems, a stop word) is said by
 * whoever calls. Operators bind as `!` before `<->` before `&` before `|`.
 * https://www.postgresql.org/docs/15/textsearch-controls.html
 */
import { sqlError } from '../error.ts'
import { TsQuery } from '../value.ts'
import { isDigit, isLetter, isSpaceAt } from './characters.ts'
import { isOperator, LEXEME_BYTES_LIMIT, LexemeReader } from './lexeme-reader.ts'
import { checkDepth, type Draft, EMPTY_QUERY, eachNode, withoutStops } from './query-tree.ts'
import { byteLength } from './vector-type.ts'

export const DISTANCE_MAX = 16384
/** Pending operators of one level. */
const OPERATORS_MAX = 32

type OperatorKind = 'not' | 'and' | 'or' | 'phrase'
const PRIORITY: Readonly<Record<OperatorKind, number>> = { or: 1, and: 2, phrase: 3, not: 4 }

type Token =
  | { readonly kind: 'end' | 'open' | 'close' | 'wrong' | 'stop' }
  | { readonly kind: 'operand'; readonly text: string; readonly weights: number; readonly prefix: boolean }
  | { readonly kind: 'operator'; readonly operator: OperatorKind; readonly distance: number }

const END: Token = { kind: 'end' }
const operator = (kind: OperatorKind, distance = 0): Token => ({ kind: 'operator', operator: kind, distance })
const operand = (text: string, weights = 0, prefix = false): Token => ({ kind: 'operand', text, weights, prefix })

const syntaxError = (text: string) => sqlError('42601', `syntax error in tsquery: "${text}"`)
export const badDistance = () =>
  sqlError('22023', `distance in phrase operator must be an integer value between zero and ${DISTANCE_MAX} inclusive`)

const MODIFIERS: Readonly<Record<string, number>> = { a: 8, A: 8, b: 4, B: 4, c: 2, C: 2, d: 1, D: 1 }

/** tsquery's own syntax. */
function standardTokens(text: string): () => Token {
  let at = 0
  let parentheses = 0
  let expect: 'first' | 'operand' | 'operator' = 'first'

  const modifiers = (): { weights: number; prefix: boolean } => {
    let weights = 0
    let prefix = false
    if (text[at] !== ':') return { weights, prefix }
    for (at++; at < text.length; at++) {
      const bit = MODIFIERS[text[at]!]
      if (bit !== undefined) weights |= bit
      else if (text[at] === '*') prefix = true
      else break
    }
    return { weights, prefix }
  }
  /** `<->` and `<5>`; undefined when it is neither. */
  const phrase = (): Token | undefined => {
    if (text[at] !== '<') return undefined
    let next = at + 1
    let distance = 1
    if (text[next] === '-') next++
    else {
      const start = next
      while (isDigit(text[next])) next++
      if (next === start) return undefined
      distance = Number(text.slice(start, next))
      if (distance > DISTANCE_MAX) throw badDistance()
    }
    // Nothing may follow, but something must: at the very end it is no operator.
    if (text[next] !== '>' || next + 1 === text.length) return undefined
    at = next + 1
    return operator('phrase', distance)
  }

  return () => {
    for (;;) {
      while (isSpaceAt(text, at)) at++
      const c = text[at]
      if (expect === 'operator') {
        if (c === undefined) return parentheses > 0 ? { kind: 'wrong' } : END
        if (c === ')') {
          at++
          return { kind: --parentheses < 0 ? 'wrong' : 'close' }
        }
        const found = c === '&' ? operator('and') : c === '|' ? operator('or') : phrase()
        if (found === undefined) return { kind: 'wrong' }
        if (c === '&' || c === '|') at++
        expect = 'operand'
        return found
      }
      if (c === '!') {
        at++
        expect = 'operand'
        return operator('not')
      }
      if (c === '(') {
        at++
        parentheses++
        expect = 'operand'
        return { kind: 'open' }
      }
      if (c === ':') throw syntaxError(text)
      const reader = new LexemeReader(text, 'query', at)
      const lexeme = reader.next()
      at = reader.at
      if (lexeme === undefined) {
        if (expect === 'first') return END
        throw sqlError('42601', `no operand in tsquery: "${text}"`)
      }
      const { weights, prefix } = modifiers()
      expect = 'operator'
      return operand(lexeme.text, weights, prefix)
    }
  }
}

/** Words, "quoted text", or, and - before what must not be there; nothing is a mistake. */
function webTokens(text: string): () => Token {
  let at = 0
  let expect: 'first' | 'operand' | 'operator' = 'first'

  /** `or` by itself with something behind it. */
  const isOr = (): boolean => {
    if (text.slice(at, at + 2).toLowerCase() !== 'or') return false
    const next = text.codePointAt(at + 2)
    if (next === undefined) return false
    const c = String.fromCodePoint(next)
    if (c === '-' || c === '_' || isLetter(c) || isDigit(c)) return false
    for (let i = at + 2 + c.length; i < text.length; i++) if (!isSpaceAt(text, i)) return true
    return false
  }

  return () => {
    for (;;) {
      while (isSpaceAt(text, at)) at++
      const c = text[at]
      if (expect === 'operator') {
        if (c === undefined) return END
        if (isOperator(c)) {
          at++
          continue
        }
        expect = 'operand'
        if (c !== '"' && isOr()) {
          at += 2
          return operator('or')
        }
        return operator('and')
      }
      if (c === '-') {
        at++
        expect = 'operand'
        return operator('not')
      }
      if (c === '"') {
        const start = at + 1
        const quote = text.indexOf('"', start)
        const end = quote < 0 ? text.length : quote
        at = quote < 0 ? end : end + 1
        expect = 'operator'
        return operand(text.slice(start, end))
      }
      if (isOperator(c)) {
        at++
        continue
      }
      const reader = new LexemeReader(text, 'web', at)
      const lexeme = reader.next()
      at = reader.at
      if (lexeme === undefined) {
        if (expect === 'first') return END
        // An operator asked for an operand that never came.
        expect = 'operator'
        return { kind: 'stop' }
      }
      expect = 'operator'
      return operand(lexeme.text)
    }
  }
}

/** The whole text is one operand. */
function plainTokens(text: string): () => Token {
  let done = text === ''
  return () => {
    if (done) return END
    done = true
    return operand(text)
  }
}

const STYLES = { standard: standardTokens, web: webTokens, plain: plainTokens } as const
export type QueryStyle = keyof typeof STYLES

/** What an operand stands for; undefined leaves nothing on the tree's stack (no such thing happens in correct text). */
export type OperandMeaning = (text: string, weights: number, prefix: boolean) => Draft

/** An operand that means itself. Throws 54000 for one that is too long. */
export function lexemeOperand(whole: string): OperandMeaning {
  return (text, weights, prefix) => {
    if (byteLength(text) >= LEXEME_BYTES_LIMIT) throw sqlError('54000', `word is too long in tsquery: "${whole}"`)
    return { kind: 'lexeme', text, weights, prefix }
  }
}

interface Pending {
  readonly operator: OperatorKind
  readonly distance: number
}

function reduce(stack: Draft[], pending: Pending, whole: string): void {
  const right = stack.pop()
  if (right === undefined) throw malformed(whole)
  if (pending.operator === 'not') {
    stack.push({ kind: 'not', operand: right })
    return
  }
  const left = stack.pop()
  if (left === undefined) throw malformed(whole)
  if (pending.operator === 'phrase') stack.push({ kind: 'phrase', distance: pending.distance, left, right })
  else stack.push({ kind: pending.operator, left, right })
}
const malformed = (_whole: string) => sqlError('XX000', 'malformed tsquery: operand not found')

function readLevel(next: () => Token, stack: Draft[], whole: string, meaning: OperandMeaning, depth: number): void {
  checkDepth(depth)
  const operators: Pending[] = []
  const settle = (incoming: OperatorKind): void => {
    for (let last = operators.at(-1); last !== undefined; last = operators.at(-1)) {
      const mine = PRIORITY[incoming]
      const its = PRIORITY[last.operator]
      if (incoming === 'not' ? mine >= its : mine > its) break
      operators.pop()
      reduce(stack, last, whole)
    }
  }
  for (;;) {
    const token = next()
    switch (token.kind) {
      case 'operand':
        stack.push(meaning(token.text, token.weights, token.prefix))
        break
      case 'stop':
        stack.push({ kind: 'stop' })
        break
      case 'operator':
        settle(token.operator)
        if (operators.length === OPERATORS_MAX) throw sqlError('XX000', 'tsquery stack too small')
        operators.push({ operator: token.operator, distance: token.distance })
        break
      case 'open':
        readLevel(next, stack, whole, meaning, depth + 1)
        break
      case 'close':
      case 'end':
        settle('or')
        return
      case 'wrong':
        throw syntaxError(whole)
    }
  }
}

const NODES_MAX = 0x3fff_ffff / 12

/** Reads `text` into a query. `notice` hears when nothing is left to ask for. Throws 42601, 54000. */
export function readQuery(
  text: string,
  style: QueryStyle,
  meaning: OperandMeaning,
  notice: (message: string) => void,
): TsQuery {
  const stack: Draft[] = []
  readLevel(STYLES[style](text), stack, text, meaning, 0)
  const draft = stack.pop()
  if (draft === undefined) {
    notice(`text-search query doesn't contain lexemes: "${text}"`)
    return EMPTY_QUERY
  }
  if (stack.length > 0) throw sqlError('XX000', 'malformed tsquery: extra nodes')
  const root = withoutStops(draft)
  if (root === undefined) {
    notice("text-search query contains only stop words or doesn't contain lexemes, ignored")
    return EMPTY_QUERY
  }
  let nodes = 0
  eachNode(root, () => nodes++)
  if (nodes > NODES_MAX) throw sqlError('54000', 'tsquery is too large')
  return new TsQuery(root)
}
