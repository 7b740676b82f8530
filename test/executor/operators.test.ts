/** Operators on plans made by hand, against what they should give, with NULLs, duplicates and more than one batch. */
import { describe, expect, it } from 'vitest'
import type { Row } from '../../sql/types/value.ts'
import { aggregate, and, call, column, constant, estimate, node, OID, op, run, sortKey, values } from './fixture.ts'

const { int4, text, bool, int8 } = OID
const numbers = (count: number): Row[] =>
  Array.from({ length: count }, (_, i) => [i % 7 === 0 ? null : i, `t${i % 10}`])
const table = (count: number) => values([int4, text], numbers(count))

describe.each(['once', 'often'] as const)('simple operators, %s', (mode) => {
  it('filters and projects over several batches', () => {
    const filter = node(
      {
        kind: 'filter',
        input: table(3000),
        predicate: and(op(column(0), '>', constant(10)), op(column(0), '<', constant(2000))),
      },
      [int4, text],
    )
    const project = node(
      { kind: 'project', input: filter, targets: [op(column(0), '+', constant(1)), column(1, text)] },
      [int4, text],
    )
    const expected = numbers(3000)
      .filter(([n]) => n !== null && (n as number) > 10 && (n as number) < 2000)
      .map(([n, t]) => [(n as number) + 1, t])
    expect(run(project, mode)).toEqual(expected)
  })
  it('limits, skips, and knows negative limits', () => {
    const limit = (count: number | null, offset: number | null) =>
      node(
        {
          kind: 'limit',
          input: table(3000),
          limit: constant(count, int8),
          offset: constant(offset, int8),
          ties: undefined,
        },
        [int4, text],
      )
    expect(run(limit(5, 1022), mode)).toEqual(numbers(3000).slice(1022, 1027))
    expect(run(limit(0, 0), mode)).toEqual([])
    expect(run(limit(null, 2999), mode)).toEqual(numbers(3000).slice(2999))
    expect(() => run(limit(-1, 0), mode)).toThrow('LIMIT must not be negative')
    expect(() => run(limit(1, -1), mode)).toThrow('OFFSET must not be negative')
  })
  it('keeps ties with the last row', () => {
    const sorted = values([int4], [[1], [2], [2], [2], [3], [null], [null]])
    const ties = (count: number) =>
      run(
        node(
          { kind: 'limit', input: sorted, limit: constant(count, int8), offset: undefined, ties: [sortKey(column(0))] },
          [int4],
        ),
        mode,
      )
    expect(ties(2)).toEqual([[1], [2], [2], [2]])
    expect(ties(6)).toEqual([[1], [2], [2], [2], [3], [null], [null]])
    expect(ties(1)).toEqual([[1]])
  })
  it('drops adjacent duplicates', () => {
    const unique = node(
      {
        kind: 'unique',
        input: values(
          [int4, text],
          [
            [1, 'a'],
            [1, 'b'],
            [null, 'c'],
            [null, 'd'],
            [2, 'e'],
          ],
        ),
        by: [0],
      },
      [int4, text],
    )
    expect(run(unique, mode)).toEqual([
      [1, 'a'],
      [null, 'c'],
      [2, 'e'],
    ])
  })
  it('gives one row, or none, without input', () => {
    expect(run(node({ kind: 'result', targets: [constant(1)], filter: undefined }, [int4]), mode)).toEqual([[1]])
    expect(run(node({ kind: 'result', targets: [constant(1)], filter: constant(null, bool) }, [int4]), mode)).toEqual(
      [],
    )
  })
  it('aggregates without groups, on rows and on none', () => {
    const aggregates = [
      aggregate('count', []),
      aggregate('count', [column(0)], {}, [OID.any]),
      aggregate('sum', [column(0)]),
      aggregate('max', [column(1, text)]),
    ]
    const plan = (rows: number) =>
      node(
        {
          kind: 'aggregate',
          strategy: 'plain',
          input: table(rows),
          keys: [],
          sets: undefined,
          aggregates,
          groupings: [],
        },
        [int8, int8, int8, text],
      )
    expect(run(plan(0), mode)).toEqual([[0, 0, null, null]])
    const given = numbers(2500)
      .map(([n]) => n as number | null)
      .filter((n) => n !== null)
    expect(run(plan(2500), mode)).toEqual([[2500, given.length, given.reduce((a, b) => a + b, 0), 't9']])
  })
  it('has rows counted when asked', () => {
    const plan = node({ kind: 'filter', input: table(2000), predicate: op(column(0), '<', constant(5)) }, [int4, text])
    const instruments = new Map()
    expect(run(plan, mode, { instruments }).length).toBe(4)
    expect(instruments.get(plan)).toMatchObject({ rows: 4, loops: 1, extra: { 'Rows Removed by Filter': 1996 } })
    expect(instruments.get((plan as { input: object }).input)).toMatchObject({ rows: 2000, loops: 1 })
  })
})

it('names a function without a body when it is called, and only then', () => {
  const missing = call('pg_backend_pid')
  const plan = (rows: Row[]) => node({ kind: 'project', input: values([int4], rows), targets: [missing] }, [int4])
  expect(run(plan([]))).toEqual([])
  expect(() => run(plan([[1]]))).toThrow('function pg_backend_pid() is not supported')
  expect(estimate.rows).toBe(1000)
})
