/** Sorting, grouping, set operations: against plain models, over and under work_mem. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { rowOrder } from '../../sql/executor/order.ts'
import { ArrayValue, type Row, type Value } from '../../sql/types/value.ts'
import { aggregate, catalog, column, constant, node, OID, op, run, sortKey, values } from './fixture.ts'

const { int4, int8, text, float8 } = OID
const types = [int4, text, float8]
const word = fc.oneof(
  fc.constantFrom('', 'a', 'ab', 'abcdefgh', 'abcdefgi', 'ä', '\uffff', '😀', '\ue000'),
  fc.string({ maxLength: 3 }).map((s) => s.replaceAll('\0', '')),
)
const anyRow = fc.tuple(
  fc.option(fc.oneof(fc.integer({ min: -4, max: 4 }), fc.integer()), { nil: null }),
  fc.option(word, { nil: null }),
  fc.option(
    fc.oneof(fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, -0), fc.double()),
    { nil: null },
  ),
)
const anyKeys = fc.array(
  fc.record({ at: fc.constantFrom(0, 1, 2), descending: fc.boolean(), nullsFirst: fc.boolean() }),
  { minLength: 1, maxLength: 3 },
)

describe('sort', () => {
  it('orders as comparing does, whatever the method', () => {
    fc.assert(
      fc.property(
        fc.array(anyRow, { maxLength: 40 }),
        anyKeys,
        fc.constantFrom(1, 40),
        fc.nat(50),
        (few, spec, times, limit) => {
          // Repeated until the radix path and several batches are reached.
          const rows: Row[] = Array.from({ length: times }, () => few).flat()
          const keys = spec.map(({ at, descending, nullsFirst }) =>
            sortKey(column(at, types[at]!), descending, nullsFirst),
          )
          const order = rowOrder(
            catalog,
            spec.map(({ at, ...each }) => ({ column: at, type: types[at]!, ...each })),
          )
          const expected = rows.slice().sort(order)
          const sort = (n: number | undefined, presorted = 0, input = values(types, rows)) =>
            node(
              {
                kind: 'sort',
                input,
                keys,
                limit: n === undefined ? undefined : constant(n, int8),
                offset: undefined,
                presorted,
              },
              types,
            )
          expect(run(sort(undefined))).toEqual(expected)
          expect(run(sort(undefined), 'often', { workMemBytes: 2000 })).toEqual(expected)
          const top = run(sort(limit))
          expect(top.length).toBe(Math.min(limit, rows.length))
          top.forEach((row, i) => expect(order(row, expected[i]!) === 0).toBe(true))
          const first = node(
            {
              kind: 'sort',
              input: values(types, rows),
              keys: keys.slice(0, 1),
              limit: undefined,
              offset: undefined,
              presorted: 0,
            },
            types,
          )
          expect(run(sort(undefined, 1, first))).toEqual(expected)
        },
      ),
      { numRuns: 120 },
    )
  })
  it('sorts by expressions and gives the rows without them', () => {
    const sort = node(
      {
        kind: 'sort',
        input: values([int4], [[1], [-3], [2]]),
        keys: [sortKey(op(column(0), '*', column(0)), true)],
        limit: undefined,
        offset: undefined,
        presorted: 0,
      },
      [int4],
    )
    expect(run(sort)).toEqual([[-3], [2], [1]])
  })
  it('keeps every kind of value through a file', () => {
    const rows: Row[] = Array.from({ length: 2500 }, (_, i) => [
      i,
      ArrayValue.of([i, null]),
      2n ** 60n + BigInt(i),
      new Uint8Array([i & 255]),
    ])
    const sort = node(
      {
        kind: 'sort',
        input: values([int4, OID.int4Array, int8, OID.bytea], rows),
        keys: [sortKey(column(0), true)],
        limit: undefined,
        offset: undefined,
        presorted: 0,
      },
      [int4, OID.int4Array, int8, OID.bytea],
    )
    expect(run(sort, 'often', { workMemBytes: 5000 })).toEqual(rows.toReversed())
  })
})

const show = (rows: readonly Row[]) =>
  rows
    .map((row) =>
      JSON.stringify(row.map((v) => (typeof v === 'number' && !Number.isFinite(v) ? String(v) : v === 0 ? 0 : v))),
    )
    .sort()

describe('aggregate', () => {
  const aggregates = () => [
    aggregate('count', []),
    aggregate('count', [column(0)], {}, [OID.any]),
    aggregate('sum', [column(0)]),
    aggregate('min', [column(1, text)]),
    aggregate('count', [column(0)], { distinct: true }, [OID.any]),
    aggregate('count', [], { filter: op(column(0), '>', constant(0)) }),
  ]
  const small = fc.tuple(
    fc.option(fc.integer({ min: -4, max: 4 }), { nil: null }),
    fc.option(fc.constantFrom('a', 'b', '\uffff', '😀'), { nil: null }),
    fc.constantFrom(0, -0, Number.NaN, 1),
  )
  const model = (rows: readonly Row[], key: (row: Row) => Value[]): Row[] => {
    const groups = new Map<string, Row[]>()
    for (const row of rows) {
      const id = JSON.stringify(key(row).map((v) => (typeof v === 'number' ? String(v + 0) : v)))
      groups.set(id, [...(groups.get(id) ?? []), row])
    }
    const codePoints = (s: Value) => [...(s as string)].map((c) => c.codePointAt(0)!)[0]!
    return [...groups.values()].map((group) => {
      const given = group.map(([n]) => n as number | null).filter((n) => n !== null)
      const texts = group
        .map((row) => row[1]!)
        .filter((t) => t !== null)
        .sort((a, b) => codePoints(a) - codePoints(b))
      return [
        ...key(group[0]!),
        group.length,
        given.length,
        given.length === 0 ? null : given.reduce((a, b) => a + b, 0),
        texts[0] ?? null,
        new Set(given).size,
        given.filter((n) => n > 0).length,
      ]
    })
  }
  const outputs = [int8, int8, int8, text, int8, int8]
  it('by hash and in order gives what a map gives', () => {
    fc.assert(
      fc.property(
        fc.array(small, { maxLength: 60 }),
        fc.subarray([0, 1, 2], { minLength: 1 }),
        fc.constantFrom(1, 30),
        (few, at, times) => {
          const rows: Row[] = Array.from({ length: times }, () => few).flat()
          const keys = at.map((i) => column(i, types[i]!))
          const expected = show(model(rows, (row) => at.map((i) => row[i]!)))
          const common = { kind: 'aggregate' as const, keys, sets: undefined, aggregates: aggregates(), groupings: [] }
          const out = [...at.map((i) => types[i]!), ...outputs]
          const hash = node({ ...common, strategy: 'hash', input: values(types, rows) }, out)
          for (const mode of ['once', 'often'] as const) expect(show(run(hash, mode))).toEqual(expected)
          expect(show(run(hash, 'often', { workMemBytes: 500 }))).toEqual(expected)
          const sorted = node(
            {
              kind: 'sort',
              input: values(types, rows),
              keys: keys.map((key) => sortKey(key)),
              limit: undefined,
              offset: undefined,
              presorted: 0,
            },
            types,
          )
          expect(show(run(node({ ...common, strategy: 'sorted', input: sorted }, out)))).toEqual(expected)
        },
      ),
      { numRuns: 60 },
    )
  })
  it('grouping sets: the keys outside a set are NULL, the empty set always has its row', () => {
    const plan = (rows: Row[]) =>
      node(
        {
          kind: 'aggregate',
          strategy: 'hash',
          input: values([int4, text], rows),
          keys: [column(0), column(1, text)],
          sets: [[0, 1], [0], [1], []],
          aggregates: [aggregate('sum', [column(0)])],
          groupings: [[0, 1], [1]],
        },
        [int4, text, int8, int4, int4],
      )
    expect(run(plan([]))).toEqual([[null, null, null, 3, 1]])
    expect(
      show(
        run(
          plan([
            [1, 'a'],
            [1, 'b'],
            [2, 'a'],
          ]),
        ),
      ),
    ).toEqual(
      show([
        [1, 'a', 1, 0, 0],
        [1, 'b', 1, 0, 0],
        [2, 'a', 2, 0, 0],
        [1, null, 2, 1, 1],
        [2, null, 2, 1, 1],
        [null, 'a', 3, 2, 0],
        [null, 'b', 1, 2, 0],
        [null, null, 4, 3, 1],
      ]),
    )
  })
  it('orders and deduplicates what it collects', () => {
    const plan = (a: ReturnType<typeof aggregate>) =>
      run(
        node(
          {
            kind: 'aggregate',
            strategy: 'plain',
            input: values([int4], [[3], [1], [null], [3], [2]]),
            keys: [],
            sets: undefined,
            aggregates: [a],
            groupings: [],
          },
          [OID.int4Array],
        ),
      )[0]![0]
    const collected = (more: object) =>
      (plan(aggregate('array_agg', [column(0)], more, [OID.anynonarray])) as ArrayValue).elements
    expect(collected({})).toEqual([3, 1, null, 3, 2])
    expect(collected({ distinct: true })).toEqual([1, 2, 3, null])
    expect(collected({ orderBy: [sortKey(column(0), true)] })).toEqual([null, 3, 3, 2, 1])
    expect(collected({ distinct: true, orderBy: [sortKey(column(0), true, false)] })).toEqual([3, 2, 1, null])
  })
  it('ordered-set aggregates, as PostgreSQL answers them', () => {
    const rows: Row[] = [[1], [2], [2], [4], [null]]
    const ask = (name: string, direct: ReturnType<typeof constant>[], type: typeof int4, declared: (typeof int4)[]) =>
      run(
        node(
          {
            kind: 'aggregate',
            strategy: 'plain',
            input: values([type], rows),
            keys: [],
            sets: undefined,
            groupings: [],
            aggregates: [
              aggregate(name, [column(0, type)], { directArgs: direct, orderBy: [sortKey(column(0, type))] }, declared),
            ],
          },
          [float8],
        ),
      )[0]![0]
    expect(ask('percentile_cont', [constant(0.5, float8)], float8, [float8, float8])).toBe(2)
    expect(ask('percentile_cont', [constant(0.9, float8)], float8, [float8, float8])).toBeCloseTo(3.4, 12)
    expect(ask('percentile_disc', [constant(0.76, float8)], int4, [float8, OID.anyelement])).toBe(4)
    expect(ask('mode', [], int4, [OID.anyelement])).toBe(2)
    expect(ask('rank', [constant(3)], int4, [OID.any])).toBe(4)
    expect(ask('dense_rank', [constant(3)], int4, [OID.any])).toBe(3)
    expect(ask('percent_rank', [constant(3)], int4, [OID.any])).toBe(0.6)
    expect(ask('cume_dist', [constant(2)], int4, [OID.any])).toBeCloseTo(4 / 6, 12)
    expect(() => ask('percentile_cont', [constant(2, float8)], float8, [float8, float8])).toThrow(
      'percentile value 2 is not between 0 and 1',
    )
  })
})

describe('set operations', () => {
  const anyRows = fc.array(fc.tuple(fc.option(fc.nat(3), { nil: null }), fc.constantFrom('a', 'b')), { maxLength: 20 })
  it.each([
    ['intersect', true],
    ['intersect', false],
    ['except', true],
    ['except', false],
  ] as const)('%s, all: %s', (name, all) => {
    fc.assert(
      fc.property(anyRows, anyRows, (left, right) => {
        const count = (rows: readonly Row[], row: Row) =>
          rows.filter((each) => JSON.stringify(each) === JSON.stringify(row)).length
        const distinct = [...new Map(left.map((row) => [JSON.stringify(row), row as Row])).values()]
        const expected = distinct.flatMap((row) => {
          const l = count(left, row)
          const r = count(right, row)
          const copies =
            name === 'intersect' ? (all ? Math.min(l, r) : r > 0 ? 1 : 0) : all ? Math.max(0, l - r) : r > 0 ? 0 : 1
          return Array.from({ length: copies }, () => row)
        })
        const plan = node(
          { kind: 'set-op', op: name, all, left: values([int4, text], left), right: values([int4, text], right) },
          [int4, text],
        )
        expect(run(plan)).toEqual(expected)
        expect(show(run(plan, 'often', { workMemBytes: 100 }))).toEqual(show(expected))
      }),
    )
  })
})
