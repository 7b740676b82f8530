/** Stored rows give back what went in, for every storage, whatever columns were added or dropped since; row keys order as values do. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { keyOrder } from '../../sql/access/index-build.ts'
import { keyColumn, keyWriter, numberedKey, pointWriter } from '../../sql/access/keys.ts'
import { droppedColumn, rowLayout, rowReader, rowWriter, TABLE_OID, wholeRowReader } from '../../sql/access/row.ts'
import type { ColumnRow, IndexKey } from '../../sql/catalog/catalog.ts'
import { OID } from '../../sql/types/oids.ts'
import { Interval, Numeric, type Row, TimeTz, type Value } from '../../sql/types/value.ts'
import { type Oid, oid } from '../../storage/keys/brand.ts'
import { rowKeyPrefix } from '../../storage/keys/map.ts'
import { catalog } from '../executor/fixture.ts'
import { isText, signOf } from './values.ts'

const int64 = fc
  .oneof(fc.maxSafeInteger(), fc.integer(), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }))
  .map((n) => {
    const number = Number(n)
    return Number.isSafeInteger(number) ? number + 0 : BigInt(n)
  })
const text = fc
  .oneof(
    fc.string({ maxLength: 60 }),
    fc.string({ unit: 'grapheme', maxLength: 20 }),
    fc.constantFrom('', 'é', 'x'.repeat(200)),
  )
  .filter(isText)
const zero = (n: number) => (Object.is(n, -0) ? 0 : n)

/** Types of every storage kind, with values. */
const TYPES: readonly (readonly [Oid, fc.Arbitrary<Value>])[] = [
  [OID.bool, fc.boolean()],
  [OID.int2, fc.integer({ min: -0x8000, max: 0x7fff })],
  [OID.int4, fc.integer()],
  [OID.oid, fc.integer({ min: 0, max: 0xffff_ffff })],
  [OID.int8, int64],
  [OID.float4, fc.float().map(Math.fround)],
  [OID.float8, fc.double()],
  [
    OID.date,
    fc.oneof(
      fc.integer({ min: -2_000_000, max: 2_000_000 }),
      fc.constantFrom(Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY),
    ),
  ],
  [
    OID.timestamptz,
    fc.oneof(
      int64.filter((n) => n < 9_000_000_000_000_000_000n && n > -9_000_000_000_000_000_000n),
      fc.constantFrom(Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY),
    ),
  ],
  [OID.time, fc.integer({ min: 0, max: 86_400_000_000 })],
  [OID.text, text],
  [
    OID.numeric,
    fc
      .tuple(fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }), fc.integer({ min: 0, max: 20 }))
      .map(([digits, scale]) => new Numeric(digits, scale)),
  ],
  [OID.bytea, fc.uint8Array({ maxLength: 30 })],
  [OID.uuid, fc.uuid()],
  [
    OID.interval,
    fc
      .tuple(fc.integer({ min: -1000, max: 1000 }), fc.integer({ min: -1000, max: 1000 }), fc.maxSafeInteger())
      .map(([m, d, u]) => new Interval(m, d, zero(u))),
  ],
  [
    OID.timetz,
    fc
      .tuple(fc.integer({ min: 0, max: 86_399_999_999 }), fc.integer({ min: -50_000, max: 50_000 }))
      .map(([micros, zone]) => new TimeTz(micros, zone)),
  ],
]

const column = (type: Oid, number: number, rest: Partial<ColumnRow> = {}): ColumnRow => ({
  number,
  name: `c${number}`,
  type,
  typmod: -1,
  collation: oid(0),
  notNull: false,
  dropped: false,
  ...rest,
})

const table = fc
  .array(fc.tuple(fc.integer({ min: 0, max: TYPES.length - 1 }), fc.boolean()), { minLength: 1, maxLength: 20 })
  .chain((shape) =>
    fc.record({
      columns: fc.constant(shape.map(([at, notNull], i) => column(TYPES[at]![0], i + 1, { notNull }))),
      row: fc.tuple(...shape.map(([at, notNull]) => (notNull ? TYPES[at]![1] : fc.option(TYPES[at]![1], { freq: 3 })))),
    }),
  )

function stored(columns: readonly ColumnRow[], row: Row): Buffer {
  const to = rowWriter(rowLayout(columns, catalog))(row)
  return Buffer.concat([Buffer.from('--'), to.buffer.subarray(0, to.length), Buffer.from('--')])
}
const read = (columns: readonly ColumnRow[], bytes: Buffer) => wholeRowReader(rowLayout(columns, catalog))(bytes, 2)

describe('stored rows', () => {
  it('come back', () => {
    fc.assert(
      fc.property(table, ({ columns, row }) => {
        const bytes = stored(columns, row)
        expect(read(columns, bytes)).toEqual(row)
        const some = columns.filter((_, i) => i % 2 === 1).map(({ number }) => number)
        expect(rowReader(rowLayout(columns, catalog), [...some, TABLE_OID], 77)(bytes, 2)).toEqual([
          ...some.map((number) => row[number - 1]),
          77,
        ])
      }),
      { numRuns: 400 },
    )
  })

  it('keep their places when columns are dropped and added', () => {
    const added = fc
      .tuple(fc.integer({ min: 0, max: TYPES.length - 1 }), fc.boolean())
      .chain(([at, filled]) => fc.tuple(fc.constant(TYPES[at]![0]), filled ? TYPES[at]![1] : fc.constant(null)))
    fc.assert(
      fc.property(
        table,
        fc.array(fc.nat(19), { maxLength: 5 }),
        fc.array(added, { maxLength: 9 }),
        ({ columns, row }, drops, adds) => {
          const bytes = stored(columns, row)
          const later: ColumnRow[] = columns.map((each, i) => (drops.includes(i) ? droppedColumn(each, catalog) : each))
          for (const [type, missing] of adds)
            later.push(column(type, later.length + 1, missing === null ? {} : { missing: { value: missing } }))
          const expected = [...row.filter((_, i) => !drops.includes(i)), ...adds.map(([, missing]) => missing)]
          expect(read(later, bytes)).toEqual(expected)
          // Written anew, all columns are there.
          expect(read(later, stored(later, expected))).toEqual(expected)
        },
      ),
      { numRuns: 400 },
    )
  })
})

it('keys are put in order by counting', () => {
  const bytes = fc.string({ unit: fc.constantFrom('\0', '\x01', 'a', '\xff'), maxLength: 12 })
  fc.assert(
    fc.property(fc.array(bytes, { maxLength: 60 }), fc.constantFrom('', 'shared'), (keys, prefix) => {
      const all = keys.map((key) => prefix + key)
      const ordering = keyOrder(all)
      let step = ordering.next()
      while (step.done !== true) step = ordering.next()
      expect([...step.value].map((i) => all[i])).toEqual([...all].sort())
    }),
    { numRuns: 1000 },
  )
})

describe('row keys', () => {
  const prefix = rowKeyPrefix(5, 100)
  const key = (type: Oid, descending: boolean, nullsFirst: boolean): IndexKey => ({
    column: 1,
    type,
    typmod: -1,
    opclass: oid(0),
    collation: oid(0),
    descending,
    nullsFirst,
  })

  it('order as columns do, directions and NULLs included', () => {
    const columns = fc.array(fc.tuple(fc.integer({ min: 0, max: TYPES.length - 1 }), fc.boolean(), fc.boolean()), {
      minLength: 1,
      maxLength: 3,
    })
    const pair = columns.chain((shape) => {
      const value = fc.tuple(...shape.map(([at]) => fc.option(TYPES[at]![1], { freq: 4 })))
      // The second often shares its beginning with the first.
      return fc
        .tuple(fc.constant(shape), value, value, fc.nat(3))
        .map(([s, a, b, shared]) => [s, a, b.map((v, i) => (i < shared - 1 ? a[i]! : v))] as const)
    })
    fc.assert(
      fc.property(pair, ([shape, a, b]) => {
        const space = shape.map(([at, descending, nullsFirst]) =>
          keyColumn(key(TYPES[at]![0], descending, nullsFirst), catalog),
        )
        const write = keyWriter(
          prefix,
          space,
          shape.map((_, i) => i),
        )
        let order = 0
        for (let i = 0; i < shape.length && order === 0; i++) {
          const { type, descending, nullsFirst } = space[i]!
          const [x, y] = [a[i]!, b[i]!]
          if (x === null || y === null) order = x === y ? 0 : (x === null) === nullsFirst ? -1 : 1
          else order = Math.sign(type.compare!(x, y)) * (descending ? -1 : 1)
        }
        const [k, l] = [write(a), write(b)]
        expect(signOf(k, l)).toBe(order + 0)
        expect(k.startsWith(l) && k !== l).toBe(false)
        if (!a.includes(null)) expect(pointWriter({ prefix, columns: space })(a)).toBe(k)
      }),
      { numRuns: 1500 },
    )
  })

  it('of integers of another width find what fits', () => {
    const point = (type: Oid) => pointWriter({ prefix, columns: [keyColumn(key(type, false, false), catalog)] })
    expect(point(OID.int4)([2 ** 31])).toBe(undefined)
    expect(point(OID.int4)([-(2n ** 40n)])).toBe(undefined)
    expect(point(OID.int2)([40_000])).toBe(undefined)
    expect(point(OID.int2)([-32_768])).toBeDefined()
    expect(point(OID.int8)([2n ** 60n])).toBeDefined()
    expect(point(OID.int4)([null])).toBe(undefined)
    expect(numberedKey(prefix, 5) < numberedKey(prefix, 2 ** 40)).toBe(true)
  })
})
