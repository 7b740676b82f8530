import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SqlError } from '../../sql/types/error.ts'
import { assignJsonbSubscript } from '../../sql/types/json/change.ts'
import { containsNode, isArray, isObject } from '../../sql/types/json/node.ts'
import { DEPTH_MAX } from '../../sql/types/json/parse.ts'
import { type Jsonb, type JsonNode, Numeric } from '../../sql/types/value.ts'
import { CONTEXT, named, registerAll } from '../types/cases.ts'
import { isText, keyOf, signOf, throughBinary, throughStorage, throughText } from './values.ts'

registerAll()
const json = named('json')
const jsonb = named('jsonb')
const read = (text: string): Jsonb => jsonb.input(text, -1, CONTEXT) as Jsonb

/** A tree as JSON.parse would give it. */
function plain(node: JsonNode): unknown {
  if (node instanceof Numeric)
    return Number(jsonb.output(read(String(Number(node.digits))), CONTEXT)) / 10 ** node.scale
  if (isArray(node)) return node.map(plain)
  if (isObject(node)) return Object.fromEntries([...node].map(([key, value]) => [key, plain(value)]))
  return node
}

const strings = fc.string({ unit: 'grapheme', maxLength: 6 }).filter((s) => isText(s))
const trees = fc.letrec<{ tree: unknown }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom(null, true, false, [], {}),
    fc.integer({ min: -100, max: 100 }),
    fc.integer({ min: -1000, max: 1000 }).map((n) => n / 8),
    fc.constantFrom('', 'a', 'b', 'é', '\u{1f600}', '\uffff'),
    strings,
    fc.array(tie('tree'), { maxLength: 3 }),
    fc.dictionary(fc.oneof(fc.constantFrom('a', 'b', 'aa', 'é', 'zz'), strings), tie('tree'), { maxKeys: 3 }),
  ),
})).tree
const values = trees.map((tree) => read(JSON.stringify(tree)))

describe('jsonb', () => {
  it('is what JSON.parse reads', () => {
    fc.assert(
      fc.property(trees, (tree) => {
        expect(plain(read(JSON.stringify(tree, null, 2)).root)).toEqual(JSON.parse(JSON.stringify(tree)))
        expect(JSON.parse(jsonb.output(read(JSON.stringify(tree)), CONTEXT))).toEqual(JSON.parse(JSON.stringify(tree)))
      }),
      { numRuns: 1000 },
    )
  })
  it('text, binary and storage give the value back', () => {
    fc.assert(
      fc.property(values, (value) => {
        for (const way of [throughText, throughBinary, throughStorage]) expect(way(jsonb, value)).toEqual(value)
      }),
      { numRuns: 500 },
    )
  })
  it('numbers of any size are kept to the digit', () => {
    fc.assert(
      fc.property(fc.bigInt(-(10n ** 60n), 10n ** 60n), fc.nat(80), (digits, scale) => {
        const value = throughStorage(jsonb, read(`${digits}e-${scale}`)) as Jsonb
        expect((value.root as Numeric).digits).toBe(digits)
        expect((value.root as Numeric).scale).toBe(scale)
      }),
    )
  })
  it('keys order as values, equal values hash alike', () => {
    fc.assert(
      fc.property(values, values, (a, b) => {
        const order = Math.sign(jsonb.compare!(a, b))
        expect(signOf(keyOf(jsonb, a), keyOf(jsonb, b))).toBe(order)
        expect(jsonb.compare!(b, a) > 0).toBe(order < 0)
        expect(jsonb.hashKey!(a) === jsonb.hashKey!(b)).toBe(order === 0)
      }),
      { numRuns: 2000 },
    )
  })
  it('contains itself, and what it was merged from', () => {
    fc.assert(
      fc.property(values, values, (a, b) => {
        expect(containsNode(a.root, a.root)).toBe(true)
        expect(containsNode([a.root, b.root], [b.root])).toBe(true)
      }),
    )
  })
  it('a text is json exactly when JavaScript thinks so', () => {
    const pieces = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"',
      'a',
      '1',
      '-',
      '.',
      'e',
      '0',
      '\\u0041',
      '\\',
      ' ',
      'null',
      'true',
      '\n',
    )
    const accepts = (run: () => unknown) => {
      try {
        run()
        return true
      } catch (error) {
        if (!(error instanceof SqlError) && !(error instanceof SyntaxError)) throw error
        return false
      }
    }
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 8 }), (parts) => {
        const text = parts.join('')
        const expected = accepts(() => JSON.parse(text))
        expect(accepts(() => json.input(text, -1, CONTEXT))).toBe(expected)
        expect(accepts(() => read(text))).toBe(expected)
      }),
      { numRuns: 10000 },
    )
  })
  it('nesting ends in 54001, and what is just below it can be used', () => {
    for (const [open, close] of [
      ['[', ']'],
      ['{"a":', '}'],
    ] as const) {
      for (const type of [json, jsonb])
        for (const depth of [DEPTH_MAX + 1, 100_000])
          expect(() => type.input(open.repeat(depth), -1, CONTEXT)).toThrow('stack depth limit exceeded')
      const deep = read(`${open.repeat(DEPTH_MAX)}${open === '[' ? '' : 1}${close.repeat(DEPTH_MAX)}`)
      expect(jsonb.compare!(throughStorage(jsonb, deep), deep)).toBe(0)
      expect(containsNode(deep.root, deep.root)).toBe(true)
      expect(keyOf(jsonb, deep)).toBe(keyOf(jsonb, throughBinary(jsonb, deep)))
      expect(jsonb.hashKey!(deep)).toBe(jsonb.hashKey!(throughText(jsonb, deep)))
    }
  })
  it('subscripts assign as PostgreSQL does', () => {
    const assign = (start: string | null, path: string[], value: string | null, first = false) =>
      jsonb.output(
        assignJsonbSubscript(start === null ? null : read(start), path, first, value === null ? null : read(value)),
        CONTEXT,
      )
    expect(assign('{}', ['a', '2', 'b'], '1')).toBe('{"a": [null, null, {"b": 1}]}')
    expect(assign(null, ['a'], '1')).toBe('{"a": 1}')
    expect(assign(null, ['1'], '5', true)).toBe('[null, 5]')
    expect(assign('{"a": [1]}', ['a', '3'], null)).toBe('{"a": [1, null, null, null]}')
    expect(assign('{"a": [1, 2]}', ['a', '-1'], '9')).toBe('{"a": [1, 9]}')
    expect(() => assign('{"a": 1}', ['a', 'b'], '1')).toThrow('cannot replace existing key')
    expect(() => assign('5', ['a'], '1')).toThrow('cannot replace existing key')
    expect(() => assign('[1]', ['-3'], '1')).toThrow('path element at position 1 is out of range: -3')
  })
})
