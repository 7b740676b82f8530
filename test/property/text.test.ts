/** Laws of strings and small types: code point order, LIKE against its definition, round trips, key order. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createByteWriter } from '../../sql/types/bytes.ts'
import { BIT_TYPES } from '../../sql/types/misc/bits.ts'
import { IDENTIFIER_TYPES } from '../../sql/types/misc/identifiers.ts'
import { VECTOR_TYPES, vectorOf } from '../../sql/types/misc/vectors.ts'
import { BYTEA_TYPE } from '../../sql/types/text/bytea.ts'
import { charLength, compareText, sliceChars, utf8 } from '../../sql/types/text/chars.ts'
import { like } from '../../sql/types/text/like.ts'
import { regex } from '../../sql/types/text/regex.ts'
import { STRING_TYPES } from '../../sql/types/text/string-types.ts'
import type { Type } from '../../sql/types/type.ts'
import type { Value } from '../../sql/types/value.ts'
import { context } from '../types/check.ts'
import { expectKeyOrder, expectStored } from './type-laws.ts'

const unit = fc.oneof(
  fc.constantFrom('a', 'b', ' ', 'é', '日', '\ud7ff', '\ue000', '\uffff', '😀', '𐀀'),
  fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }).filter((c) => c !== '\0'),
)
const text = fc.array(unit, { maxLength: 8 }).map((units) => units.join(''))

describe('text', () => {
  test('order is that of UTF-8 bytes', () => {
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(Math.sign(compareText(a, b))).toBe(Buffer.compare(utf8(a), utf8(b)))
      }),
      { numRuns: 3000 },
    )
  })
  test('length and slices count code points', () => {
    fc.assert(
      fc.property(text, fc.nat(9), fc.nat(9), (s, from, count) => {
        expect(charLength(s)).toBe([...s].length)
        expect(sliceChars(s, from, from + count)).toBe([...s].slice(from, from + count).join(''))
      }),
    )
  })
})

/** LIKE as it is defined: % any sequence, _ any character. */
function isLike(s: readonly string[], p: readonly string[]): boolean {
  if (p.length === 0) return s.length === 0
  if (p[0] === '%') return isLike(s, p.slice(1)) || (s.length > 0 && isLike(s.slice(1), p))
  return s.length > 0 && (p[0] === '_' || p[0] === s[0]) && isLike(s.slice(1), p.slice(1))
}

describe('patterns', () => {
  const letters = fc.array(fc.constantFrom('a', 'b', '😀'), { maxLength: 9 })
  test('LIKE is what its definition says', () => {
    const pattern = fc.array(fc.constantFrom('a', 'b', '😀', '%', '_'), { maxLength: 7 })
    fc.assert(
      fc.property(letters, pattern, (s, p) => {
        expect(like(s.join(''), p.join(''))).toBe(isLike(s, p))
      }),
      { numRuns: 5000 },
    )
  })
  test('a regular expression finds the longest leftmost match', () => {
    const atom = fc.constantFrom('a', 'b', '.', '[ab]', '(a|ab)', '(?:b|ba)')
    const piece = fc.tuple(atom, fc.constantFrom('', '*', '+', '?')).map(([a, q]) => a + q)
    const pattern = fc.array(piece, { minLength: 1, maxLength: 4 }).map((pieces) => pieces.join(''))
    const subject = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 8 }).map((units) => units.join(''))
    fc.assert(
      fc.property(subject, pattern, (s, p) => {
        const found = regex(p).find(s, 0)
        const whole = new RegExp(`^(?:${p})$`)
        let want: [number, number] | undefined
        for (let i = 0; i <= s.length && want === undefined; i++) {
          for (let j = s.length; j >= i && want === undefined; j--) if (whole.test(s.slice(i, j))) want = [i, j]
        }
        expect(found?.slice(0, 2)).toEqual(want)
        expect(regex(p).test(s)).toBe(want !== undefined)
      }),
      { numRuns: 1000 },
    )
  })
})

const byName = new Map(
  [...STRING_TYPES, ...BIT_TYPES, ...IDENTIFIER_TYPES, ...VECTOR_TYPES, BYTEA_TYPE].map((t) => [t.name, t]),
)
const typeNamed = (name: string): Type => byName.get(name)!
const bitText = fc.array(fc.constantFrom('0', '1'), { maxLength: 20 }).map((bits) => bits.join(''))

/** Values of each type, by their text or directly. */
const ARBITRARIES: readonly (readonly [string, fc.Arbitrary<Value>])[] = [
  ['text', text],
  ['varchar', text],
  ['bpchar', text],
  ['bytea', fc.uint8Array({ maxLength: 6 })],
  ['bit', bitText.map((bits) => typeNamed('bit').input(bits, -1, context))],
  ['varbit', bitText.map((bits) => typeNamed('varbit').input(bits, -1, context))],
  ['uuid', fc.uuid().map((id) => id.toLowerCase())],
  ['oid', fc.integer({ min: 0, max: 0xffffffff })],
  ['xid8', fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((v) => (v <= 2n ** 53n - 1n ? Number(v) : v))],
  [
    'tid',
    fc.tuple(fc.integer({ min: 0, max: 0xffffffff }), fc.nat(65535)).map(([block, offset]) => block * 65536 + offset),
  ],
  ['oidvector', fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 4 }).map(vectorOf)],
  ['int2vector', fc.array(fc.integer({ min: -3, max: 3 }), { maxLength: 4 }).map(vectorOf)],
]

describe.each(ARBITRARIES)('%s', (name, arbitrary) => {
  test('comes back from text, wire and rows; keys and hash keys agree with its order', () => {
    const type = typeNamed(name)
    fc.assert(
      fc.property(arbitrary, arbitrary, (a, b) => {
        expect(type.input(type.output(a, context), -1, context)).toEqual(a)
        const to = createByteWriter()
        type.send(a, to, context)
        expect(type.receive(to.toBuffer(), 0, to.length, -1, context)).toEqual(a)
        expectStored(type, a)
        expectKeyOrder(type, a, b)
        expect(type.hashKey!(a) === type.hashKey!(b)).toBe(type.compare!(a, b) === 0)
      }),
    )
  })
})
