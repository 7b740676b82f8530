/**
 * What can be done to a tsquery: joining, negating, asking what it holds, and rewriting parts of it.
 * https://www.postgresql.org/docs/15/textsearch-features.html#TEXTSEARCH-MANIPULATE-TSQUERY
 */
import { bound, type FunctionTable, scalar } from '../function.ts'
import { comparedBy, comparisons } from '../misc/comparison.ts'
import { TsQuery, type TsQueryNode } from '../value.ts'
import { badDistance, DISTANCE_MAX } from './query-reader.ts'
import {
  compareOperands,
  compareQueries,
  countNodes,
  EMPTY_QUERY,
  type LexemeNode,
  lexemesOf,
  OPERATOR_NUMBERS,
  printQuery,
  withoutNot,
} from './query-tree.ts'
import { queryBytes, tsQueryType } from './query-type.ts'

/** The empty query disappears beside another one. */
const joined =
  (join: (left: TsQueryNode, right: TsQueryNode) => TsQueryNode) =>
  (a: TsQuery, b: TsQuery): TsQuery =>
    a.root === undefined ? b : b.root === undefined ? a : new TsQuery(join(a.root, b.root))

function phrase(a: TsQuery, b: TsQuery, distance: number): TsQuery {
  if (distance < 0 || distance > DISTANCE_MAX) throw badDistance()
  return joined((left, right) => ({ kind: 'phrase', distance, left, right }))(a, b)
}

const contains = (outer: TsQuery, inner: TsQuery): boolean => {
  const has = new Set(lexemesOf(outer).map((lexeme) => lexeme.text))
  return lexemesOf(inner).every((lexeme) => has.has(lexeme.text))
}

// -- ts_rewrite works on flat, sorted trees: a & b & c is one node with three children, so that a & c is found in it.

type Flat =
  | LexemeNode
  | { readonly kind: 'not' | 'and' | 'or' | 'phrase'; readonly distance: number; readonly children: readonly Flat[] }
type FlatOperator = Exclude<Flat, LexemeNode>

/** PostgreSQL's first child is the right operand. */
function flatten(node: TsQueryNode): Flat {
  if (node.kind === 'lexeme') return node
  if (node.kind === 'not') return { kind: 'not', distance: 0, children: [flatten(node.operand)] }
  const children: Flat[] = []
  const { kind } = node
  for (const child of [flatten(node.right), flatten(node.left)]) {
    if (kind !== 'phrase' && child.kind === kind) children.push(...child.children)
    else children.push(child)
  }
  if (kind !== 'phrase') children.sort(compareFlat)
  return { kind, distance: node.kind === 'phrase' ? node.distance : 0, children }
}

function compareFlat(a: Flat, b: Flat): number {
  if (a.kind === 'lexeme' || b.kind === 'lexeme') {
    if (a.kind !== 'lexeme') return -1
    if (b.kind !== 'lexeme') return 1
    return compareOperands(a.text, b.text)
  }
  if (a.kind !== b.kind) return OPERATOR_NUMBERS[b.kind] - OPERATOR_NUMBERS[a.kind]
  if (a.children.length !== b.children.length) return b.children.length - a.children.length
  for (let i = 0; i < a.children.length; i++) {
    const order = compareFlat(a.children[i]!, b.children[i]!)
    if (order !== 0) return order
  }
  return b.distance - a.distance
}

function unflatten(node: Flat): TsQueryNode {
  if (node.kind === 'lexeme') return node
  const [first, ...rest] = node.children.map(unflatten)
  if (node.kind === 'not') return { kind: 'not', operand: first! }
  const { kind, distance } = node
  // The first child is the innermost right operand; then come the second and, from the last backwards, the others.
  const [second, ...others] = rest
  return [second!, ...others.reverse()].reduce<TsQueryNode>(
    (right, left) => (kind === 'phrase' ? { kind, distance, left, right } : { kind, left, right }),
    first!,
  )
}

/** A substitute is not looked into again. */
type Substitute = { readonly node: Flat | undefined; readonly fixed: Set<Flat> }

const copied = (s: Substitute, sorted: boolean): Flat | undefined => {
  if (s.node === undefined) return undefined
  const copy = sorted ? sortedDeep(s.node) : { ...s.node }
  s.fixed.add(copy)
  return copy
}

/** Among the children of a node that was put in order again. */
function sortedDeep(node: Flat): Flat {
  if (node.kind === 'lexeme') return { ...node }
  const children = node.children.map(sortedDeep)
  return { ...node, children: node.kind === 'phrase' ? children : children.sort(compareFlat) }
}

function replaceHere(node: Flat, target: Flat, substitute: Substitute): Flat | undefined {
  if (node.kind !== target.kind || substitute.fixed.has(node)) return node
  if (node.kind === 'lexeme' || target.kind === 'lexeme' || node.children.length === target.children.length)
    return compareFlat(node, target) === 0 ? copied(substitute, false) : node
  if (node.children.length < target.children.length || (node.kind !== 'and' && node.kind !== 'or')) return node
  return replaceSome(node, target, substitute)
}

/** Some children of an AND or OR are all of the target's. */
function replaceSome(node: FlatOperator, target: FlatOperator, substitute: Substitute): Flat {
  const rest: Flat[] = []
  let j = 0
  for (const child of node.children) {
    const order = j < target.children.length ? compareFlat(child, target.children[j]!) : -1
    if (order > 0) return node
    if (order === 0) j++
    else rest.push(child)
  }
  if (j < target.children.length) return node
  const copy = copied(substitute, true)
  if (copy !== undefined) rest.push(copy)
  return { ...node, children: rest.sort(compareFlat) }
}

function replaceAll(node: Flat, target: Flat, substitute: Substitute): Flat | undefined {
  const found = replaceHere(node, target, substitute)
  if (found === undefined || found.kind === 'lexeme' || substitute.fixed.has(found)) return found
  const children = found.children.flatMap((child) => replaceAll(child, target, substitute) ?? [])
  if (children.length === 0) return undefined
  if (children.length === 1 && found.kind !== 'not') return children[0]
  return { ...found, children }
}

/** `query` with every `target` in it replaced (ts_rewrite). */
function rewrite(query: TsQuery, target: TsQuery, substitute: TsQuery): TsQuery {
  if (query.root === undefined || target.root === undefined) return query
  const by: Substitute = {
    node: substitute.root === undefined ? undefined : unsorted(substitute.root),
    fixed: new Set(),
  }
  const rewritten = replaceAll(flatten(query.root), flatten(target.root), by)
  return rewritten === undefined ? EMPTY_QUERY : new TsQuery(unflatten(rewritten))
}

/** The substitute comes in as it is. */
function unsorted(node: TsQueryNode): Flat {
  if (node.kind === 'lexeme') return node
  const children = node.kind === 'not' ? [unsorted(node.operand)] : [unsorted(node.right), unsorted(node.left)]
  return { kind: node.kind, distance: node.kind === 'phrase' ? node.distance : 0, children }
}

export const QUERY_FUNCTIONS: FunctionTable = {
  tsqueryin: bound(
    ({ context }) =>
      (text: string) =>
        tsQueryType.input(text, -1, context),
  ),
  tsqueryout: bound(
    ({ context }) =>
      (q: TsQuery) =>
        tsQueryType.output(q, context),
  ),
  tsquerysend: scalar((q: TsQuery) => queryBytes(q)),
  ...comparisons((op) => `tsquery_${op}`, comparedBy(compareQueries)),
  tsquery_cmp: scalar((a: TsQuery, b: TsQuery) => Math.sign(compareQueries(a, b))),
  tsquery_and: scalar(joined((left, right) => ({ kind: 'and', left, right }))),
  tsquery_or: scalar(joined((left, right) => ({ kind: 'or', left, right }))),
  tsquery_not: scalar((q: TsQuery) => (q.root === undefined ? q : new TsQuery({ kind: 'not', operand: q.root }))),
  tsquery_phrase: scalar((a: TsQuery, b: TsQuery) => phrase(a, b, 1)),
  tsquery_phrase_distance: scalar(phrase),
  tsquery_numnode: scalar(countNodes),
  tsquerytree: scalar((q: TsQuery) => {
    if (q.root === undefined) return ''
    const root = withoutNot(q.root)
    return root === undefined ? 'T' : printQuery(new TsQuery(root))
  }),
  tsq_mcontains: scalar(contains),
  tsq_mcontained: scalar((inner: TsQuery, outer: TsQuery) => contains(outer, inner)),
  tsquery_rewrite: scalar(rewrite),
}
