/** Laws of the number types: exact arithmetic against BigInt rationals, canonical integers, round trips, key order. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createByteWriter, readInt64 } from '../../sql/types/bytes.ts'
import { SqlError } from '../../sql/types/error.ts'
import { compareFloat, FLOAT_TYPES } from '../../sql/types/number/float.ts'
import { float4ToText, float8ToText, parseFloat4, parseFloat8 } from '../../sql/types/number/float-text.ts'
import * as int from '../../sql/types/number/int.ts'
import { INTEGER_TYPES } from '../../sql/types/number/integer.ts'
import * as n from '../../sql/types/number/numeric.ts'
import * as math from '../../sql/types/number/numeric-math.ts'
import { NUMERIC_TYPE } from '../../sql/types/number/numeric-type.ts'
import { type Int64, Numeric } from '../../sql/types/value.ts'
import { context } from '../types/check.ts'
import { expectKeyOrder, expectStored } from './type-laws.ts'

const anyInt64 = fc.oneof(
  fc.bigInt({ min: int.INT8_MIN, max: int.INT8_MAX }),
  fc.bigInt({ min: -(2n ** 54n), max: 2n ** 54n }),
  fc.bigInt({ min: -10n, max: 10n }),
)
const canonical = (v: bigint): Int64 =>
  v >= BigInt(Number.MIN_SAFE_INTEGER) && v <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(v) : v

const outcome = (run: () => unknown): unknown => {
  try {
    return run()
  } catch (error) {
    if (error instanceof SqlError) return error.code
    throw error
  }
}

describe('int8', () => {
  const operations: [string, (a: Int64, b: Int64) => Int64, (a: bigint, b: bigint) => bigint][] = [
    ['+', int.int8pl, (a, b) => a + b],
    ['-', int.int8mi, (a, b) => a - b],
    ['*', int.int8mul, (a, b) => a * b],
    ['/', int.int8div, (a, b) => a / b],
    ['%', int.int8mod, (a, b) => a % b],
    ['&', int.int8and, (a, b) => a & b],
    ['|', int.int8or, (a, b) => a | b],
    ['#', int.int8xor, (a, b) => a ^ b],
  ]
  test.each(operations)('%s agrees with bigints and stays canonical', (_name, run, exact) => {
    fc.assert(
      fc.property(anyInt64, anyInt64, (a, b) => {
        const got = outcome(() => run(canonical(a), canonical(b)))
        if (b === 0n && (exact === operations[3]![2] || exact === operations[4]![2])) {
          expect(got).toBe('22012')
          return
        }
        const want = exact(a, b)
        expect(got).toBe(want < int.INT8_MIN || want > int.INT8_MAX ? '22003' : canonical(want))
        expect(Object.is(got, -0)).toBe(false)
      }),
      { numRuns: 2000 },
    )
  })
  test('big-endian bytes and back', () => {
    fc.assert(
      fc.property(anyInt64, (a) => {
        const to = createByteWriter(8)
        to.int64(canonical(a))
        expect(readInt64(to.buffer, 0)).toBe(canonical(a))
        expect(to.buffer.readBigInt64BE(0)).toBe(a)
      }),
    )
  })
})

const anyNumeric = fc
  .tuple(fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }), fc.integer({ min: 0, max: 30 }), fc.boolean())
  .map(([digits, scale, small]) => new Numeric(small ? digits % 100000n : digits, small ? scale % 5 : scale))
const anyNumericOrSpecial = fc.oneof(
  { weight: 9, arbitrary: anyNumeric },
  { weight: 1, arbitrary: fc.constantFrom(n.NAN, n.INFINITY, n.NEGATIVE_INFINITY) },
)

/** A number as a fraction of bigints. */
const fraction = (a: Numeric): [bigint, bigint] => [a.digits, 10n ** BigInt(a.scale)]
const abs = (a: bigint): bigint => (a < 0n ? -a : a)

describe('numeric', () => {
  test('sum, difference and product are exact', () => {
    fc.assert(
      fc.property(anyNumeric, anyNumeric, (a, b) => {
        const [p, q] = fraction(a)
        const [r, s] = fraction(b)
        const sum = fraction(n.add(a, b))
        expect(sum[0] * q * s).toBe((p * s + r * q) * sum[1])
        const product = fraction(n.multiply(a, b))
        expect(product[0] * q * s).toBe(p * r * product[1])
        expect(n.compare(n.add(n.subtract(a, b), b), a)).toBe(0)
      }),
    )
  })
  test('a quotient is off by at most half a unit of its last place', () => {
    fc.assert(
      fc.property(anyNumeric, anyNumeric, (a, b) => {
        fc.pre(b.digits !== 0n)
        const quotient = n.divide(a, b)
        const [p, q] = fraction(a)
        const [r, s] = fraction(b)
        // |quotient - a/b| · 2 · 10^scale <= 1
        const error = abs(quotient.digits * q * r - p * s * 10n ** BigInt(quotient.scale))
        expect(error * 2n <= abs(q * r)).toBe(true)
        const whole = n.divideTruncated(a, b)
        expect(n.compare(n.add(n.multiply(whole, b), n.modulo(a, b)), a)).toBe(0)
      }),
    )
  })
  test('a square root is the nearest of its scale', () => {
    fc.assert(
      fc.property(anyNumeric, (a) => {
        fc.pre(a.digits >= 0n)
        const root = math.sqrt(a)
        const low = (2n * root.digits - 1n) ** 2n
        const high = (2n * root.digits + 1n) ** 2n
        const exact = 4n * a.digits * 10n ** BigInt(2 * root.scale)
        const unit = 10n ** BigInt(a.scale)
        expect(root.digits === 0n || low * unit <= exact).toBe(true)
        expect(exact <= high * unit).toBe(true)
      }),
    )
  })
  test('exp and ln undo each other', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 1n, max: 10n ** 12n }), fc.integer({ min: 0, max: 10 }), (digits, scale) => {
        const a = new Numeric(digits, scale)
        const back = math.expAt(math.lnAt(a, 60), 40)
        const distance = n.subtract(back, a)
        expect(abs(distance.digits) * 10n ** 20n < 10n ** BigInt(distance.scale)).toBe(true)
      }),
      { numRuns: 50 },
    )
  })
  test('text, wire and row forms come back the same, with their scale', () => {
    fc.assert(
      fc.property(anyNumericOrSpecial, (a) => {
        const text = NUMERIC_TYPE.output(a, context)
        expect(NUMERIC_TYPE.input(text, -1, context)).toEqual(a)
        const to = createByteWriter()
        NUMERIC_TYPE.send(a, to, context)
        expect(NUMERIC_TYPE.receive(to.buffer, 0, to.length, -1, context)).toEqual(a)
        expectStored(NUMERIC_TYPE, a)
      }),
    )
  })
  test('equal numbers have one hash key, keys sort as numbers do', () => {
    fc.assert(
      fc.property(anyNumericOrSpecial, anyNumericOrSpecial, fc.integer({ min: 0, max: 8 }), (a, b, extra) => {
        expectKeyOrder(NUMERIC_TYPE, a, b)
        expect(n.hashKey(a) === n.hashKey(b)).toBe(n.compare(a, b) === 0)
        if (a.special !== undefined) return
        const wider = new Numeric(a.digits * 10n ** BigInt(extra), a.scale + extra)
        expect(n.hashKey(wider)).toBe(n.hashKey(a))
        expectKeyOrder(NUMERIC_TYPE, a, wider)
      }),
      { numRuns: 1000 },
    )
  })
})

const float4 = fc.float({ noNaN: false })

describe('floats', () => {
  test('float8 text reads back, and no shorter one does', () => {
    fc.assert(
      fc.property(fc.double(), (a) => {
        const text = float8ToText(a, 1)
        expect(parseFloat8(text)).toBe(a)
      }),
      { numRuns: 3000 },
    )
  })
  test('float4 text reads back, and no shorter one does', () => {
    fc.assert(
      fc.property(float4, (a) => {
        const text = float4ToText(a, 1)
        expect(parseFloat4(text)).toBe(a)
        if (a - a !== 0 || a === 0) return
        const digits = text
          .replace(/e.*$/, '')
          .replace(/[-.]/g, '')
          .replace(/^0+|0+$/g, '').length
        const shorter = Math.abs(a).toExponential(Math.max(digits - 2, 0))
        if (digits > 1 && Math.fround(Number(shorter)) === Math.abs(a)) {
          // Only a decimal exactly on the border between two float4s may have been passed over.
          const border = Number(shorter)
          expect(border === Math.abs(a)).toBe(false)
        }
      }),
      { numRuns: 3000 },
    )
  })
  test('keys sort as floats do, NaN last', () => {
    const special = fc.constantFrom(NaN, Infinity, -Infinity, 0, -0, 5e-324)
    const any = fc.oneof(fc.double(), special)
    fc.assert(
      fc.property(any, any, (a, b) => {
        expectKeyOrder(FLOAT_TYPES[1]!, a, b)
        expect(compareFloat(a, b)).toBe(-compareFloat(b, a) + 0)
      }),
      { numRuns: 1000 },
    )
  })
})

test('integer keys sort as integers do', () => {
  const [int2, int4, int8] = INTEGER_TYPES
  fc.assert(
    fc.property(fc.integer({ min: -32768, max: 32767 }), fc.integer({ min: -32768, max: 32767 }), (a, b) =>
      expectKeyOrder(int2!, a, b),
    ),
  )
  fc.assert(fc.property(fc.integer(), fc.integer(), (a, b) => expectKeyOrder(int4!, a, b)))
  fc.assert(fc.property(anyInt64, anyInt64, (a, b) => expectKeyOrder(int8!, canonical(a), canonical(b))))
})
