import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { matches } from '../../sql/types/tsearch/match.ts'
import { TOKEN, TokenParser } from '../../sql/types/tsearch/token-parser.ts'
import { registerTextSearch } from '../../sql/types/tsearch/tsearch.ts'
import { makeVector } from '../../sql/types/tsearch/vector-type.ts'
import { TsQuery, type TsQueryNode } from '../../sql/types/value.ts'
import { CONTEXT, named, registerAll } from '../types/cases.ts'
import { keyOf, signOf, throughBinary, throughStorage, throughText } from './values.ts'

registerAll()
registerTextSearch()
const tsvector = named('tsvector')
const tsquery = named('tsquery')

const lexeme = fc.oneof(
  fc.constantFrom('a', 'b', 'ab', 'cat', "it's", 'a b', '\\', 'é', '漢字', '\u{1f600}', '\uffff'),
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 6 }).filter((text) => !text.includes('\0')),
)
const code = fc.tuple(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 0, max: 3 })).map(([at, w]) => (w << 14) | at)
const vectors = fc
  .array(fc.record({ text: lexeme, positions: fc.array(code, { maxLength: 4 }) }), { maxLength: 6 })
  .map(makeVector)
const { node } = fc.letrec<{ node: TsQueryNode }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 4 },
    fc.record({
      kind: fc.constant('lexeme' as const),
      text: lexeme,
      weights: fc.integer({ min: 0, max: 15 }),
      prefix: fc.boolean(),
    }),
    fc.record({ kind: fc.constant('not' as const), operand: tie('node') }),
    fc.record({ kind: fc.constantFrom('and' as const, 'or' as const), left: tie('node'), right: tie('node') }),
    fc.record({
      kind: fc.constant('phrase' as const),
      distance: fc.integer({ min: 0, max: 5 }),
      left: tie('node'),
      right: tie('node'),
    }),
  ),
}))
const queries = node.map((root) => new TsQuery(root))

describe('tsvector and tsquery', () => {
  it('text, binary and storage give vectors back', () => {
    fc.assert(
      fc.property(vectors, (value) => {
        for (const way of [throughText, throughBinary, throughStorage]) expect(way(tsvector, value)).toEqual(value)
      }),
      { numRuns: 1000 },
    )
  })
  it('text, binary and storage give queries back', () => {
    fc.assert(
      fc.property(queries, (value) => {
        const printed = tsquery.output(value, CONTEXT)
        for (const way of [throughBinary, throughStorage]) expect(way(tsquery, value)).toEqual(value)
        expect(tsquery.output(tsquery.input(printed, -1, CONTEXT), CONTEXT)).toBe(printed)
      }),
      { numRuns: 1000 },
    )
  })
  it('keys order as values, equal values hash alike', () => {
    const check = <T extends typeof tsvector>(type: T, a: never, b: never) => {
      const order = Math.sign(type.compare!(a, b))
      expect(Math.sign(signOf(keyOf(type, a), keyOf(type, b)))).toBe(order)
      expect(type.hashKey!(a) === type.hashKey!(b)).toBe(order === 0)
    }
    fc.assert(
      fc.property(vectors, vectors, (a, b) => check(tsvector, a as never, b as never)),
      { numRuns: 1500 },
    )
    fc.assert(
      fc.property(queries, queries, (a, b) => check(tsquery, a as never, b as never)),
      { numRuns: 1500 },
    )
  })
})

describe('the parser', () => {
  const pieces = fc.constantFrom(
    ...['a', 'foo', 'é', '1', '22', '.', '-', '_', '@', '/', ':', '://', 'www.', '.com', '<', '>', '<b>', '</script>'],
    ...['<script>', "'", '&amp;', '~', '+', 'e5', ' ', '?', '=', '<!--', '-->', '\u0301', '\u{1f600}', '\\'],
  )
  const texts = fc.oneof(
    fc.array(pieces, { maxLength: 16 }).map((list) => list.join('')),
    fc.string({ unit: 'binary' }),
  )
  const COMPOUND: readonly number[] = [TOKEN.url, TOKEN.asciihword, TOKEN.hword, TOKEN.numhword]
  it('loses and invents nothing: tokens without their compounds are the text', () => {
    fc.assert(
      fc.property(texts, (text) => {
        const parser = new TokenParser(text)
        let seen = ''
        for (let token = parser.next(); token !== undefined; token = parser.next()) {
          expect(token.text).not.toBe('')
          if (!COMPOUND.includes(token.type)) seen += token.text
        }
        expect(text.startsWith(seen)).toBe(true)
      }),
      { numRuns: 3000 },
    )
  })
})

describe('matching', () => {
  /** Without phrases, weights and prefixes: a query is a sentence about a set of words. */
  const sense = (node: TsQueryNode, words: ReadonlySet<string>): boolean => {
    switch (node.kind) {
      case 'lexeme':
        return words.has(node.text)
      case 'not':
        return !sense(node.operand, words)
      case 'and':
        return sense(node.left, words) && sense(node.right, words)
      case 'or':
        return sense(node.left, words) || sense(node.right, words)
      case 'phrase':
        return false
    }
  }
  const plain = (node: TsQueryNode): TsQueryNode => {
    if (node.kind === 'lexeme') return { ...node, weights: 0, prefix: false }
    if (node.kind === 'not') return { kind: 'not', operand: plain(node.operand) }
    return { kind: node.kind === 'phrase' ? 'and' : node.kind, left: plain(node.left), right: plain(node.right) }
  }
  it('means what logic says', () => {
    fc.assert(
      fc.property(vectors, queries, (v, q) => {
        const root = plain(q.root!)
        expect(matches(v, new TsQuery(root))).toBe(sense(root, new Set(v.lexemes)))
      }),
      { numRuns: 2000 },
    )
  })
  it('a phrase of two words is found where the words are', () => {
    const word = (text: string): TsQueryNode => ({ kind: 'lexeme', text, weights: 0, prefix: false })
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 12 }),
        fc.integer({ min: 0, max: 4 }),
        (words, distance) => {
          const v = makeVector(words.map((text, i) => ({ text, positions: [i + 1] })))
          const q = new TsQuery({ kind: 'phrase', distance, left: word('a'), right: word('b') })
          expect(matches(v, q)).toBe(words.some((text, i) => text === 'a' && words[i + distance] === 'b'))
        },
      ),
      { numRuns: 1000 },
    )
  })
})
