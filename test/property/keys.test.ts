/** The law of keys: bytes compare as values do, for every type, direction and place of NULLs, in any number of columns. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Key } from '../../storage/keys/brand.ts'
import { OrderedDecoder } from '../../storage/keys/decode.ts'
import { createKeyEncoder, type OrderedEncoder } from '../../storage/keys/encode.ts'
import * as map from '../../storage/keys/map.ts'
import { printKey } from '../../storage/keys/print.ts'

interface Kind {
  readonly values: fc.Arbitrary<unknown>
  readonly compare: (a: never, b: never) => number
  readonly encode: (to: OrderedEncoder, value: never) => void
}

const sign = (a: number | bigint | string, b: number | bigint | string) => (a < b ? -1 : a > b ? 1 : 0)
const compareFloats = (a: number, b: number) =>
  Number.isNaN(a) || Number.isNaN(b) ? Number(Number.isNaN(a)) - Number(Number.isNaN(b)) : sign(a, b)

interface Decimal {
  readonly digits: bigint
  readonly scale: number
}
const compareDecimals = (a: Decimal, b: Decimal) => {
  const scale = Math.max(a.scale, b.scale)
  return sign(a.digits * 10n ** BigInt(scale - a.scale), b.digits * 10n ** BigInt(scale - b.scale))
}

const KINDS: Readonly<Record<string, Kind>> = {
  bool: {
    values: fc.boolean(),
    compare: (a: boolean, b: boolean) => Number(a) - Number(b),
    encode: (to, v: boolean) => to.boolean(v),
  },
  int2: { values: fc.integer({ min: -32768, max: 32767 }), compare: sign, encode: (to, v: number) => to.int16(v) },
  int4: { values: fc.integer(), compare: sign, encode: (to, v: number) => to.int32(v) },
  oid: { values: fc.nat(0xffff_ffff), compare: sign, encode: (to, v: number) => to.uint32(v) },
  int8: {
    values: fc.oneof(fc.maxSafeInteger(), fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n)),
    compare: sign,
    encode: (to, v: number | bigint) => to.int64(v),
  },
  float8: { values: fc.double(), compare: compareFloats, encode: (to, v: number) => to.float64(v) },
  numeric: {
    values: fc.record({
      digits: fc.oneof(fc.bigInt(-1000n, 1000n), fc.bigInt(-(10n ** 60n), 10n ** 60n)),
      scale: fc.nat(130),
    }),
    compare: compareDecimals,
    encode: (to, v: Decimal) => to.decimal(v.digits, v.scale, undefined),
  },
  text: {
    values: fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: fc.constantFrom('\0', '\x01', 'a', 'ÿ', '😀') })),
    compare: (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b)),
    encode: (to, v: string) => to.text(v),
  },
  bytea: {
    values: fc.oneof(
      fc.uint8Array(),
      fc.array(fc.constantFrom(0, 1, 255)).map((bytes) => Uint8Array.from(bytes)),
    ),
    compare: (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b),
    encode: (to, v: Uint8Array) => to.bytes(v),
  },
  uuid: {
    values: fc.uint8Array({ minLength: 16, maxLength: 16 }),
    compare: (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b),
    encode: (to, v: Uint8Array) => to.raw(v),
  },
}

const encoder = createKeyEncoder()

interface Column {
  readonly kind: Kind
  readonly nullsFirst: boolean
  readonly descending: boolean
}

const column: fc.Arbitrary<Column> = fc.record({
  kind: fc.constantFrom(...Object.values(KINDS)),
  nullsFirst: fc.boolean(),
  descending: fc.boolean(),
})

const row = (columns: readonly Column[]) =>
  fc.tuple(...columns.map(({ kind }) => fc.option(kind.values, { nil: null, freq: 4 })))

const twoRows = fc
  .array(column, { minLength: 1, maxLength: 3 })
  .chain((columns) => fc.tuple(fc.constant(columns), row(columns), fc.integer({ min: 0, max: 3 }), row(columns)))
  // Rows that agree in their first columns are where later ones are compared.
  .map(([columns, a, same, b]) => ({ columns, a, b: b.map((value, i) => (i < same ? a[i] : value)) }))

function encode(columns: readonly Column[], values: readonly unknown[], prefix: Key | '' = ''): Key {
  encoder.start(prefix)
  for (const [i, { kind, nullsFirst, descending }] of columns.entries()) {
    encoder.column(nullsFirst, descending)
    if (values[i] === null) encoder.null()
    else kind.encode(encoder, values[i] as never)
  }
  return encoder.finish()
}

function compareRows(columns: readonly Column[], a: readonly unknown[], b: readonly unknown[]): number {
  for (const [i, { kind, nullsFirst, descending }] of columns.entries()) {
    const [x, y] = [a[i], b[i]]
    let order: number
    if (x === null || y === null) order = (Number(x === null) - Number(y === null)) * (nullsFirst ? -1 : 1)
    else order = kind.compare(x as never, y as never) * (descending ? -1 : 1)
    if (order !== 0) return Math.sign(order)
  }
  return 0
}

test.each(Object.keys(KINDS))('%s', (name) => {
  const kind = KINDS[name]!
  const columns = [{ kind, nullsFirst: false, descending: false }]
  fc.assert(
    fc.property(kind.values, kind.values, (a, b) => {
      expect(sign(encode(columns, [a]), encode(columns, [b]))).toBe(compareRows(columns, [a], [b]))
    }),
    { numRuns: 1000 },
  )
})

test('rows of several columns', () => {
  fc.assert(
    fc.property(twoRows, ({ columns, a, b }) => {
      const [x, y] = [encode(columns, a), encode(columns, b)]
      expect(sign(x, y)).toBe(compareRows(columns, a, b))
      // No key is the beginning of another.
      if (x !== y) expect(x.startsWith(y) || y.startsWith(x)).toBe(false)
    }),
    { numRuns: 3000 },
  )
})

test('a successor lies behind its key and before the next one', () => {
  fc.assert(
    fc.property(twoRows, ({ columns, a, b }) => {
      const prefix = map.indexPrefix(5, 16384, 2)
      const [x, y] = [encode(columns, a, prefix), encode(columns, b, prefix)]
      const after = map.successor(x)
      expect(after > x).toBe(true)
      if (y > x) expect(y >= after).toBe(true)
      const span = map.indexSpan(5, 16384, 2)
      expect(span.from <= x && after <= span.to).toBe(true)
      expect(map.indexPrefixLength(x)).toBe(prefix.length)
    }),
  )
})

test('ids keep their order in keys and come back', () => {
  const id = fc.oneof(
    fc.nat(0xffff_ffff),
    fc.constantFrom(0, 239, 240, 241, 255, 256, 65535, 65536, 0xff_ffff, 0x100_0000, 0xffff_ffff),
  )
  fc.assert(
    fc.property(id, id, (a, b) => {
      expect(sign(map.varint(a), map.varint(b))).toBe(sign(a, b))
      expect(map.readVarint(map.varint(a), 0)).toEqual([a, map.varint(a).length])
      expect(sign(map.rowKeyPrefix(5, a), map.rowKeyPrefix(5, b))).toBe(sign(a, b))
    }),
    { numRuns: 1000 },
  )
})

test('what loses nothing comes back', () => {
  const back: Readonly<Record<string, (from: OrderedDecoder) => unknown>> = {
    int2: (from) => from.int16(),
    int4: (from) => from.int32(),
    int8: (from) => from.int64(),
    text: (from) => from.text(),
    uuid: (from) => Uint8Array.from(Buffer.from(from.raw(16), 'latin1')),
  }
  const same = (value: unknown) =>
    typeof value === 'bigint' && Number.isSafeInteger(Number(value)) ? Number(value) : value
  const column = fc.constantFrom(...Object.keys(back)).chain((kind) => fc.tuple(fc.constant(kind), KINDS[kind]!.values))
  const prefix = map.rowKeyPrefix(5, 16384)
  fc.assert(
    fc.property(fc.array(column, { minLength: 1, maxLength: 4 }), (columns) => {
      const encoder = createKeyEncoder()
      encoder.start(prefix)
      for (const [kind, value] of columns) {
        encoder.column(false, false)
        KINDS[kind]!.encode(encoder, value as never)
      }
      const decoder = new OrderedDecoder()
      decoder.start(encoder.finish(), prefix.length)
      // Text that no UTF-8 holds (half a surrogate pair) is another text in the key already.
      const stored = (value: unknown) => (typeof value === 'string' ? Buffer.from(value).toString() : same(value))
      for (const [kind, value] of columns) expect(back[kind]!(decoder)).toEqual(stored(value))
    }),
    { numRuns: 2000 },
  )
})

test('every string of bytes prints', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 40 }),
      fc.constantFrom('', '\x03\x01', '\x08\x01\x01\x00'),
      (bytes, start) => {
        expect(printKey((start + Buffer.from(bytes).latin1Slice()) as Key)).toMatch(/^\//)
      },
    ),
    { numRuns: 2000 },
  )
})
