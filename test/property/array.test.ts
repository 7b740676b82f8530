import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { assignSlice, assignSubscript, slice, subscript } from '../../sql/types/array/subscript.ts'
import { SqlError } from '../../sql/types/error.ts'
import { ArrayValue, type Value } from '../../sql/types/value.ts'
import { CONTEXT, named, registerAll } from '../types/cases.ts'
import { isText, keyOf, signOf, throughBinary, throughStorage, throughText } from './values.ts'

registerAll()

const arrays = (element: fc.Arbitrary<Value>): fc.Arbitrary<ArrayValue> =>
  fc
    .array(fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: -2, max: 2 })), { maxLength: 3 })
    .chain((shape) => {
      const items = shape.length === 0 ? 0 : shape.reduce((n, [length]) => n * length, 1)
      return fc.array(fc.option(element, { freq: 4 }), { minLength: items, maxLength: items }).map(
        (elements) =>
          new ArrayValue(
            elements,
            shape.map(([length]) => length),
            shape.map(([, low]) => low),
          ),
      )
    })

const words = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.constantFrom('', 'NULL', 'null', '{', '}', '"', '\\', ',', ' ', 'a b', '\n'),
)
const TYPES: readonly (readonly [string, fc.Arbitrary<Value>])[] = [
  ['_int4', fc.integer({ min: -3, max: 3 })],
  ['_text', words.filter((word) => isText(word))],
  ['_bool', fc.boolean()],
  ['_float8', fc.double({ noNaN: true })],
  ['_timestamp', fc.oneof(fc.integer({ min: -1e12, max: 1e12 }), fc.constantFrom(Infinity, -Infinity))],
]

describe('arrays', () => {
  for (const [name, element] of TYPES) {
    const type = named(name)
    const values = arrays(element)
    it(`${name}: text, binary and storage give the value back`, () => {
      fc.assert(
        fc.property(values, (value) => {
          for (const way of [throughText, throughBinary, throughStorage])
            expect(type.compare!(way(type, value), value)).toBe(0)
          expect(throughStorage(type, value)).toEqual(value)
        }),
        { numRuns: 300 },
      )
    })
    it(`${name}: keys order as values, equal values hash alike`, () => {
      fc.assert(
        fc.property(values, values, (a, b) => {
          const order = type.compare!(a, b)
          expect(signOf(keyOf(type, a), keyOf(type, b))).toBe(order)
          expect(signOf(keyOf(type, a, true), keyOf(type, b, true))).toBe(order === 0 ? 0 : -order)
          expect(type.hashKey!(a) === type.hashKey!(b)).toBe(order === 0)
        }),
        { numRuns: 1000 },
      )
    })
  }

  it('no text crashes the reader: it is a value or an error with a code', () => {
    const pieces = fc.constantFrom('{', '}', '"', '\\', ',', ' ', '1', 'NULL', '[', ']', ':', '=', '-')
    const type = named('_int4')
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 14 }), (parts) => {
        try {
          const value = type.input(parts.join(''), -1, CONTEXT)
          expect(type.compare!(throughText(type, value), value)).toBe(0)
        } catch (error) {
          expect(error).toBeInstanceOf(SqlError)
        }
      }),
      { numRuns: 5000 },
    )
  })

  it('no bytes crash the binary reader', () => {
    const type = named('_int4')
    const valid = Buffer.from([0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 23, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 9])
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { maxLength: 3 }),
        fc.nat(valid.length),
        (edits, end) => {
          const bytes = Buffer.from(valid)
          for (const [at, byte] of edits) bytes[at] = byte
          try {
            type.receive(bytes, 0, end, -1, CONTEXT)
          } catch (error) {
            expect(error).toBeInstanceOf(SqlError)
          }
        },
      ),
      { numRuns: 3000 },
    )
  })

  it('what is assigned at a subscript is found there, and nothing else changes', () => {
    fc.assert(
      fc.property(arrays(fc.integer()), fc.integer({ min: -5, max: 5 }), fc.integer(), (array, index, value) => {
        if (array.dimensions.length > 1) return
        const changed = assignSubscript(array, [index], value)
        expect(subscript(changed, [index])).toBe(value)
        for (let i = -8; i <= 8; i++) if (i !== index) expect(subscript(changed, [i])).toBe(subscript(array, [i]))
      }),
    )
  })

  it('a slice assigned to a slice is that slice', () => {
    fc.assert(
      fc.property(arrays(fc.integer()), fc.integer({ min: -4, max: 4 }), fc.nat(3), (array, lower, more) => {
        if (array.dimensions.length > 1) return
        const source = ArrayValue.of(Array.from({ length: more + 1 }, (_, i) => i))
        const changed = assignSlice(array, [{ lower, upper: lower + more }], source)!
        expect(slice(changed, [{ lower, upper: lower + more }])).toEqual(source)
      }),
    )
  })

  it('assignment keeps to shapes', () => {
    const matrix = named('_int4').input('{{1,2},{3,4}}', -1, CONTEXT) as ArrayValue
    expect(() => assignSubscript(matrix, [1], 0)).toThrow('wrong number of array subscripts')
    expect(() => assignSubscript(matrix, [3, 1], 0)).toThrow('array subscript out of range')
    expect(() => assignSubscript(ArrayValue.of([1]), [2147483647], 0)).toThrow('array size exceeds the maximum allowed')
    expect(() => assignSlice(null, [{ lower: 1, upper: undefined }], matrix)).toThrow(
      'array slice subscript must provide both boundaries',
    )
    expect(() =>
      assignSlice(
        matrix,
        [
          { lower: 1, upper: 2 },
          { lower: 1, upper: 2 },
        ],
        ArrayValue.of([1]),
      ),
    ).toThrow('source array too small')
    expect(slice(matrix, [{ lower: 2, upper: undefined }])).toEqual(named('_int4').input('{{3,4}}', -1, CONTEXT))
    expect(
      slice(matrix, [
        { lower: undefined, upper: undefined },
        { lower: 2, upper: 9 },
      ]),
    ).toEqual(named('_int4').input('{{2},{4}}', -1, CONTEXT))
  })
})
