/**
 * Does a document match a query? Answers are yes, no, and maybe: a phrase over lexemes without positions cannot be decided.
 * For phrases each part gives the positions where it ends, or, under a negation, where it does not.
 * https://www.postgresql.org/docs/15/textsearch-intro.html
 */
import { compareText } from '../text/chars.ts'
import type { TsQuery, TsQueryNode, TsVector } from '../value.ts'
import { positionOf, weightOf } from './lexeme-reader.ts'
import type { LexemeNode } from './query-tree.ts'

export type Answer = 'yes' | 'no' | 'maybe'

/** Where a part of a phrase lies: the positions of its last word, ascending, and how many words it spans before that. */
interface Places {
  positions: readonly number[]
  /** True: everywhere but there. */
  negated: boolean
  width: number
}

/** Is a lexeme there? With `places` its positions are wanted too. */
export type Lookup = (lexeme: LexemeNode, places: Places | undefined) => Answer

const nowhere = (): Places => ({ positions: [], negated: false, width: 0 })

/** The answer to a whole tree: 'maybe' only where positions are missing. */
export function execute(node: TsQueryNode, lookup: Lookup): Answer {
  switch (node.kind) {
    case 'lexeme':
      return lookup(node, undefined)
    case 'not': {
      const answer = execute(node.operand, lookup)
      return answer === 'yes' ? 'no' : answer === 'no' ? 'yes' : 'maybe'
    }
    case 'and': {
      const left = execute(node.left, lookup)
      if (left === 'no') return 'no'
      const right = execute(node.right, lookup)
      return right === 'yes' ? left : right
    }
    case 'or': {
      const left = execute(node.left, lookup)
      if (left === 'yes') return 'yes'
      const right = execute(node.right, lookup)
      return right === 'no' ? left : right
    }
    case 'phrase': {
      const answer = executePhrase(node, lookup, undefined)
      return answer === 'maybe' ? 'no' : answer
    }
  }
}

/** What a merge of two lists of positions gives: those in both, in the left one only, in the right one only. */
const BOTH = 1
const LEFT = 2
const RIGHT = 4

function merge(
  out: Places | undefined,
  left: Places,
  right: Places,
  emit: number,
  leftOffset: number,
  rightOffset: number,
): Answer {
  const found: number[] = []
  let i = 0
  let j = 0
  while (i < left.positions.length || j < right.positions.length) {
    if (i === left.positions.length && !(emit & RIGHT)) break
    if (j === right.positions.length && !(emit & LEFT)) break
    const a = i < left.positions.length ? left.positions[i]! + leftOffset : Infinity
    const b = j < right.positions.length ? right.positions[j]! + rightOffset : Infinity
    const wanted = a < b ? LEFT : a > b ? RIGHT : BOTH
    if (a <= b) i++
    if (b <= a) j++
    const position = Math.min(a, b)
    if (!(emit & wanted) || position <= 0) continue
    if (out === undefined) return 'yes'
    found.push(position)
  }
  if (out !== undefined) out.positions = found
  return found.length > 0 ? 'yes' : 'no'
}

function executePhrase(node: TsQueryNode, lookup: Lookup, out: Places | undefined): Answer {
  if (node.kind === 'lexeme') return lookup(node, out)
  if (node.kind === 'not') {
    const places = out ?? nowhere()
    const answer = executePhrase(node.operand, lookup, places)
    if (answer === 'maybe') return 'maybe'
    if (answer === 'no') {
      places.negated = true
      return 'yes'
    }
    if (places.positions.length > 0) {
      places.negated = !places.negated
      return 'yes'
    }
    places.negated = false
    return 'no'
  }
  const left = nowhere()
  const right = nowhere()
  const both = node.kind !== 'or'
  const leftAnswer = executePhrase(node.left, lookup, left)
  if (both && leftAnswer === 'no') return 'no'
  const rightAnswer = executePhrase(node.right, lookup, right)
  if (both ? rightAnswer === 'no' : leftAnswer === 'no' && rightAnswer === 'no') return 'no'
  if (leftAnswer === 'maybe' || rightAnswer === 'maybe') return 'maybe'
  if (leftAnswer === 'no') left.width = 0
  if (rightAnswer === 'no') right.width = 0

  const widest = Math.max(left.width, right.width)
  let leftOffset = widest - left.width
  let rightOffset = widest - right.width
  if (node.kind === 'phrase') {
    leftOffset = node.distance + right.width
    rightOffset = 0
  }
  if (out !== undefined) out.width = node.kind === 'phrase' ? node.distance + left.width + right.width : widest
  /** Not so: what is merged is where the part is not. */
  const outside = (emit: number): Answer => {
    merge(out, left, right, emit, leftOffset, rightOffset)
    if (out !== undefined) out.negated = true
    return 'yes'
  }
  const inside = (emit: number): Answer => merge(out, left, right, emit, leftOffset, rightOffset)
  if (both) {
    if (left.negated && right.negated) return outside(BOTH | LEFT | RIGHT)
    return inside(left.negated ? RIGHT : right.negated ? LEFT : BOTH)
  }
  if (left.negated && right.negated) return outside(BOTH)
  if (left.negated) return outside(LEFT)
  if (right.negated) return outside(RIGHT)
  return inside(BOTH | LEFT | RIGHT)
}

/** The index of the first lexeme that is not before `text`. */
export function lowerBound(lexemes: readonly string[], text: string): number {
  let low = 0
  let high = lexemes.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (compareText(lexemes[middle]!, text) < 0) low = middle + 1
    else high = middle
  }
  return low
}

/** One lexeme of the vector that the operand names: do its weights fit, and where is it? */
function oneLexeme(v: TsVector, index: number, lexeme: LexemeNode, places: Places | undefined): Answer {
  const codes = v.positions[index]!
  // A stripped vector's lexemes have all weights.
  if (codes.length === 0) return places === undefined ? 'yes' : 'maybe'
  if (lexeme.weights === 0) {
    if (places !== undefined) places.positions = codes.map(positionOf)
    return 'yes'
  }
  const fits = (code: number): boolean => (lexeme.weights & (1 << weightOf(code))) !== 0
  if (places === undefined) return codes.some(fits) ? 'yes' : 'no'
  places.positions = codes.filter(fits).map(positionOf)
  return places.positions.length > 0 ? 'yes' : 'no'
}

function lookupIn(v: TsVector): Lookup {
  return (lexeme, places) => {
    const first = lowerBound(v.lexemes, lexeme.text)
    if (!lexeme.prefix) return v.lexemes[first] === lexeme.text ? oneLexeme(v, first, lexeme, places) : 'no'
    let answer: Answer = 'no'
    const positions = new Set<number>()
    for (let i = first; i < v.lexemes.length && v.lexemes[i]!.startsWith(lexeme.text); i++) {
      const mine = places === undefined ? undefined : nowhere()
      const found = oneLexeme(v, i, lexeme, mine)
      if (found === 'no') continue
      if (mine === undefined) return 'yes'
      if (found === 'maybe') {
        answer = 'maybe'
        positions.clear()
        break
      }
      for (const position of mine.positions) positions.add(position)
    }
    if (places !== undefined && positions.size > 0) {
      places.positions = [...positions].sort((a, b) => a - b)
      return 'yes'
    }
    return answer
  }
}

/** `vector @@ query`. The empty query matches nothing. */
export function matches(v: TsVector, q: TsQuery): boolean {
  return q.root !== undefined && execute(q.root, lookupIn(v)) !== 'no'
}
