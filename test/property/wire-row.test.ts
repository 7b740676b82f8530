/** DataRow's fast ways write what the plain way would: every value reads back as its type's text or bytes. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { rowDescription } from '../../server/wire/messages.ts'
import { RowShape } from '../../server/wire/row.ts'
import type { Format } from '../../sql/session/session.ts'
import { createByteWriter } from '../../sql/types/bytes.ts'
import type { Type } from '../../sql/types/type.ts'
import type { Value } from '../../sql/types/value.ts'
import { BOOL, BYTEA, context, field, INT4, INT8, POINTLESS, TEXT } from '../server/fake-session.ts'

const int64 = fc.oneof(
  fc.maxSafeInteger(),
  fc.integer(),
  fc
    .bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
    .map((n) => (n >= BigInt(Number.MIN_SAFE_INTEGER) && n <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(n) : n)),
)
const text = fc.oneof(
  fc.string(),
  fc.string({ unit: 'grapheme', maxLength: 200 }),
  fc.string({ minLength: 60, maxLength: 3000 }),
)

interface Column {
  readonly type: Type
  readonly value: Value
  readonly format: Format
}
const column: fc.Arbitrary<Column> = fc.oneof(
  ...(
    [
      [INT4, fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })],
      [INT4, fc.constantFrom(0, -1, 9, 10, 99, 100, 999_999_999, 1_000_000_000, 2147483647, -2147483648)],
      [INT8, int64],
      [BOOL, fc.boolean()],
      [TEXT, text],
      [POINTLESS, text],
      [BYTEA, fc.uint8Array()],
    ] as [Type, fc.Arbitrary<Value>][]
  ).map(([type, value]) =>
    fc.record({ type: fc.constant(type), value: fc.option(value), format: fc.constantFrom(0 as const, 1 as const) }),
  ),
)

/** The plain way: what the column should read as. */
function expected({ type, value, format }: Column): Buffer | null {
  if (value === null) return null
  if (format === 0) {
    return Buffer.from(typeof value === 'boolean' ? (value ? 't' : 'f') : type.output(value, context))
  }
  const bytes = Buffer.alloc(8)
  if (type === INT4) return bytes.writeInt32BE(value as number) === 4 ? bytes.subarray(0, 4) : null
  if (type === INT8) return bytes.writeBigInt64BE(BigInt(value as number | bigint)) === 8 ? bytes : null
  if (type === BOOL) return Buffer.from([value === true ? 1 : 0])
  if (type === BYTEA) return Buffer.from(value as Uint8Array)
  return Buffer.from(String(value))
}

test('rows of every kind, one after the other in one buffer', () => {
  fc.assert(
    fc.property(fc.array(fc.array(column, { maxLength: 8 }), { maxLength: 10 }), (rows) => {
      const to = createByteWriter(64)
      for (const row of rows) {
        const fields = row.map(({ type }, i) => field(`c${i}`, type))
        const formats = row.map(({ format }) => format)
        new RowShape(fields, formats, rowDescription(fields, formats)).write(
          to,
          row.map(({ value }) => value),
          context,
        )
      }
      const bytes = to.toBuffer()
      let at = 0
      for (const row of rows) {
        expect(bytes[at]).toBe(0x44)
        const end = at + 1 + bytes.readInt32BE(at + 1)
        expect(bytes.readInt16BE(at + 5)).toBe(row.length)
        at += 7
        for (const one of row) {
          const length = bytes.readInt32BE(at)
          at += 4
          const want = expected(one)
          if (want === null) expect(length).toBe(-1)
          else {
            expect(bytes.subarray(at, at + length)).toEqual(want)
            at += length
          }
        }
        expect(at).toBe(end)
      }
      expect(at).toBe(bytes.length)
    }),
    { numRuns: 500 },
  )
})

test('a value that cannot be written takes its row back', () => {
  const broken: Type = {
    ...POINTLESS,
    output() {
      throw new RangeError('no')
    },
  }
  const fields = [field('a', TEXT), field('b', broken)]
  const to = createByteWriter()
  to.text('before')
  expect(() => new RowShape(fields, [], rowDescription(fields, [])).write(to, ['x', 'y'], context)).toThrow('no')
  expect(to.toBuffer().toString()).toBe('before')
})
