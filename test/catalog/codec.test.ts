/** Descriptors survive being written as JSON, whatever values their expressions hold. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fromJson, toJson } from '../../sql/catalog/codec.ts'
import { ArrayValue, BitString, Interval, Jsonb, Numeric, RecordValue, TimeTz } from '../../sql/types/value.ts'

const roundTrip = (value: unknown): unknown => fromJson(JSON.parse(JSON.stringify(toJson(value))) as never)

const number = fc.oneof(
  fc.double(),
  fc.integer(),
  fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0),
)
const numeric = fc
  .record({ digits: fc.bigInt(), scale: fc.nat(20) })
  .map(({ digits, scale }) => new Numeric(digits, scale))
const scalar = fc.oneof(
  number,
  fc.bigInt(),
  fc.string(),
  fc.boolean(),
  fc.constant(null),
  numeric,
  fc.constant(new Numeric(0n, 0, 'NaN')),
  fc.uint8Array(),
  fc.float32Array(),
  fc.tuple(fc.integer(), fc.integer()).map(([micros, west]) => new TimeTz(micros, west)),
  fc.tuple(fc.integer(), fc.integer(), fc.bigInt()).map(([months, days, micros]) => new Interval(months, days, micros)),
  fc.uint8Array().map((bytes) => new BitString(bytes, bytes.length * 8)),
)
const node = fc.letrec((tie) => ({
  node: fc.oneof(
    { depthSize: 'small' },
    fc.constant(null),
    fc.boolean(),
    fc.string(),
    numeric,
    fc.array(tie('node')),
    fc.array(fc.tuple(fc.string(), tie('node'))).map((pairs) => new Map(pairs)),
  ),
})).node
const value = fc.oneof(
  scalar,
  node.map((root) => new Jsonb(root as never)),
  fc.array(scalar).map((elements) => ArrayValue.of(elements)),
  fc.array(scalar).map(
    (values) =>
      new RecordValue(
        values,
        values.map(() => 25 as never),
        undefined,
      ),
  ),
)
const tree = fc.letrec((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small' },
    value,
    fc.array(fc.oneof(tie('tree'), fc.constant(undefined))),
    fc.dictionary(fc.oneof(fc.string(), fc.constant('$')), tie('tree')),
  ),
})).tree

test('every tree comes back as it was', () => {
  fc.assert(
    fc.property(tree, (before) => {
      expect(roundTrip(before)).toEqual(before)
    }),
  )
})

test('an undefined property is left out', () => {
  expect(roundTrip({ a: undefined, b: 1 })).toStrictEqual({ b: 1 })
})
