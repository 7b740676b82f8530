/**
 * tsquery's trees: how they are counted, compared, printed, and built from parts. PostgreSQL keeps them as a list in prefix
 * order, right operand first; what depends on that order (comparison, binary form, ranking) walks the same way here.
 */
import { sqlError } from '../error.ts'
import { compareText } from '../text/chars.ts'
import { TsQuery, type TsQueryNode } from '../value.ts'
import { quoteLexeme } from './lexeme-reader.ts'
import { byteLength } from './vector-type.ts'

export type LexemeNode = Extract<TsQueryNode, { kind: 'lexeme' }>

export const EMPTY_QUERY = new TsQuery(undefined)

/** A tree is never deeper than this: whoever builds one asks `checkDepth`. */
const DEPTH_MAX = 4000
export function checkDepth(depth: number): void {
  if (depth > DEPTH_MAX) throw sqlError('54001', 'stack depth limit exceeded')
}

/** The nodes below in PostgreSQL's order: itself, right operand, left operand. */
export function eachNode(node: TsQueryNode | undefined, visit: (node: TsQueryNode) => void): void {
  if (node === undefined) return
  visit(node)
  if (node.kind === 'lexeme') return
  if (node.kind === 'not') eachNode(node.operand, visit)
  else {
    eachNode(node.right, visit)
    eachNode(node.left, visit)
  }
}

export function lexemesOf(q: TsQuery): LexemeNode[] {
  const out: LexemeNode[] = []
  eachNode(q.root, (node) => {
    if (node.kind === 'lexeme') out.push(node)
  })
  return out
}

export function countNodes(q: TsQuery): number {
  let count = 0
  eachNode(q.root, () => count++)
  return count
}

/** Nodes first, then bytes: what comparison looks at before the trees. */
function sizes(q: TsQuery): readonly [nodes: number, bytes: number] {
  let nodes = 0
  let bytes = 0
  eachNode(q.root, (node) => {
    nodes++
    if (node.kind === 'lexeme') bytes += byteLength(node.text) + 1
  })
  return [nodes, bytes]
}
export const querySizes = sizes

const CRC_TABLE = Int32Array.from({ length: 256 }, (_, n) => {
  let c = n
  for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1
  return c
})
/** The checksum by which operands are ordered: a reflected table used from the high end, signed. */
export function lexemeCrc(text: string): number {
  let crc = -1
  for (const byte of Buffer.from(text)) crc = CRC_TABLE[((crc >>> 24) ^ byte) & 255]! ^ (crc << 8)
  return ~crc
}

/** The order of lexemes as operands: by their checksums, the larger first. */
export function compareOperands(a: string, b: string): number {
  const x = lexemeCrc(a)
  const y = lexemeCrc(b)
  return x === y ? compareText(a, b) : y - x
}

/** PostgreSQL's numbers of the operators. */
export const OPERATOR_NUMBERS = { not: 1, and: 2, or: 3, phrase: 4 } as const

/** Weights and prefixes do not count. */
function compareNodes(a: TsQueryNode, b: TsQueryNode): number {
  if (a.kind === 'lexeme' || b.kind === 'lexeme') {
    if (a.kind !== 'lexeme') return -1
    if (b.kind !== 'lexeme') return 1
    return compareOperands(a.text, b.text)
  }
  if (a.kind !== b.kind) return OPERATOR_NUMBERS[b.kind] - OPERATOR_NUMBERS[a.kind]
  if (a.kind === 'not') return b.kind === 'not' ? compareNodes(a.operand, b.operand) : 0
  if (b.kind === 'not') return 0
  const children = compareNodes(a.right, b.right) || compareNodes(a.left, b.left)
  if (children !== 0) return children
  return a.kind === 'phrase' && b.kind === 'phrase' ? b.distance - a.distance : 0
}

export function compareQueries(a: TsQuery, b: TsQuery): number {
  const [nodes, bytes] = sizes(a)
  const [otherNodes, otherBytes] = sizes(b)
  if (nodes !== otherNodes) return nodes - otherNodes
  if (bytes !== otherBytes) return bytes - otherBytes
  return a.root === undefined || b.root === undefined ? 0 : compareNodes(a.root, b.root)
}

/** `'fat' & !( 'cat' | 'rat':*A )`, with the parentheses that precedence asks for. */
const PRIORITY = { or: 1, and: 2, phrase: 3, not: 4, lexeme: 5 } as const
const LETTERS: readonly (readonly [number, string])[] = [
  [8, 'A'],
  [4, 'B'],
  [2, 'C'],
  [1, 'D'],
]

function printNode(node: TsQueryNode, parent: number, behindPhrase: boolean): string {
  if (node.kind === 'lexeme') {
    const weights = LETTERS.map(([bit, letter]) => (node.weights & bit ? letter : '')).join('')
    return quoteLexeme(node.text) + (node.prefix || weights !== '' ? `:${node.prefix ? '*' : ''}${weights}` : '')
  }
  const priority = PRIORITY[node.kind]
  if (node.kind === 'not') return `!${printNode(node.operand, priority, false)}`
  const sign =
    node.kind !== 'phrase' ? (node.kind === 'and' ? '&' : '|') : node.distance === 1 ? '<->' : `<${node.distance}>`
  const left = printNode(node.left, priority, false)
  const text = `${left} ${sign} ${printNode(node.right, priority, node.kind === 'phrase')}`
  return priority < parent || (node.kind === 'phrase' && behindPhrase) ? `( ${text} )` : text
}

export const printQuery = (q: TsQuery): string => (q.root === undefined ? '' : printNode(q.root, -1, false))

/** What stays when only an index could be asked: no negations; undefined when nothing can be said (querytree). */
export function withoutNot(node: TsQueryNode): TsQueryNode | undefined {
  if (node.kind === 'lexeme') return node
  if (node.kind === 'not') return undefined
  const left = withoutNot(node.left)
  const right = withoutNot(node.right)
  if (left === undefined || right === undefined) return node.kind === 'or' ? undefined : (left ?? right)
  return { ...node, left, right }
}

interface Cleaned {
  readonly node: TsQueryNode | undefined
  /** What must be added to the distance of a phrase left or right of this node for the stop words that went. */
  readonly left: number
  readonly right: number
}

/** A tree that is being made: operands may be stop words, which `withoutStops` takes out. */
export type Draft =
  | { readonly kind: 'stop' }
  | LexemeNode
  | { readonly kind: 'not'; readonly operand: Draft }
  | { readonly kind: 'and' | 'or'; readonly left: Draft; readonly right: Draft }
  | { readonly kind: 'phrase'; readonly distance: number; readonly left: Draft; readonly right: Draft }

/** Takes stop words out; a phrase's distances grow by the words that went. */
export const withoutStops = (draft: Draft): TsQueryNode | undefined => clean(draft).node

function clean(draft: Draft): Cleaned {
  if (draft.kind === 'lexeme') return { node: draft, left: 0, right: 0 }
  if (draft.kind === 'stop') return { node: undefined, left: 0, right: 0 }
  if (draft.kind === 'not') {
    const { node, left, right } = clean(draft.operand)
    return { node: node === undefined ? undefined : { kind: 'not', operand: node }, left, right }
  }
  const a = clean(draft.left)
  const b = clean(draft.right)
  const distance = draft.kind === 'phrase' ? draft.distance : 0
  const phrase = draft.kind === 'phrase'
  if (a.node === undefined && b.node === undefined) {
    // Each side's left and right are the same number here.
    const gone = phrase ? a.left + distance + b.left : Math.max(a.left, b.left)
    return { node: undefined, left: gone, right: gone }
  }
  if (a.node === undefined) return { node: b.node, left: phrase ? a.left + distance + b.left : b.left, right: b.right }
  if (b.node === undefined)
    return { node: a.node, left: a.left, right: phrase ? a.right + distance + b.right : a.right }
  if (draft.kind !== 'phrase') return { node: { kind: draft.kind, left: a.node, right: b.node }, left: 0, right: 0 }
  const node: TsQueryNode = { kind: 'phrase', distance: distance + a.right + b.left, left: a.node, right: b.node }
  return { node, left: a.left, right: b.right }
}
