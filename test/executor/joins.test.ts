/** Every join, by every method, in memory and from files, against two loops. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { PlanJoin } from '../../sql/plan/plan.ts'
import type { Row } from '../../sql/types/value.ts'
import { column, constant, node, OID, op, outer, run, sortKey, values } from './fixture.ts'

const { int4, text } = OID
const types = [int4, text]
const JOINS: readonly PlanJoin[] = ['inner', 'left', 'right', 'full', 'semi', 'anti']

/** What a join is: `matches` on rows, NULL keys and all. */
function model(
  join: PlanJoin,
  left: readonly Row[],
  right: readonly Row[],
  matches: (a: Row, b: Row) => boolean,
): Row[] {
  const out: Row[] = []
  const found = right.map(() => false)
  for (const a of left) {
    let any = false
    right.forEach((b, i) => {
      if (!matches(a, b)) return
      any = true
      found[i] = true
      if (join !== 'semi' && join !== 'anti') out.push([...a, ...b])
    })
    if (join === 'semi' && any) out.push(a)
    if (join === 'anti' && !any) out.push(a)
    if ((join === 'left' || join === 'full') && !any) out.push([...a, null, null])
  }
  if (join === 'right' || join === 'full') right.forEach((b, i) => found[i] || out.push([null, null, ...b]))
  return out
}
const sorted = (rows: readonly Row[]) => rows.map((row) => JSON.stringify(row)).sort()
const outputTypes = (join: PlanJoin) => (join === 'semi' || join === 'anti' ? types : [...types, ...types])

const anyRows = (max: number) =>
  fc.array(
    fc.tuple(
      fc.option(fc.integer({ min: 0, max: 6 }), { nil: null }),
      fc.option(fc.constantFrom('a', 'b', 'c'), { nil: null }),
    ),
    { maxLength: max },
  )
const equal = (columns: number) => (a: Row, b: Row) =>
  a.slice(0, columns).every((value, i) => value !== null && value === b[i])
const keys = (columns: number) => types.slice(0, columns).map((type, i) => column(i, type))
const inOrder = (rows: readonly Row[]) =>
  node(
    {
      kind: 'sort',
      input: values(types, rows),
      keys: [sortKey(column(0)), sortKey(column(1, text))],
      limit: undefined,
      offset: undefined,
      presorted: 0,
    },
    types,
  )

describe.each(JOINS)('%s join', (join) => {
  it('by hash, by merge and by loops gives what two loops give', () => {
    fc.assert(
      fc.property(anyRows(12), anyRows(12), fc.constantFrom(1, 2), fc.boolean(), (left, right, width, residual) => {
        // The residual condition: the left number is not 3 (over the joined row).
        const on = residual ? op(column(0), '<>', constant(3)) : undefined
        const matches = (a: Row, b: Row) => equal(width)(a, b) && (!residual || a[0] !== 3)
        const expected = sorted(model(join, left, right, matches))
        const common = { join, outerKeys: keys(width), innerKeys: keys(width), on, nullAware: false }
        for (const mode of ['once', 'often'] as const) {
          const hash = node(
            { kind: 'hash-join', outer: values(types, left), inner: values(types, right), ...common },
            outputTypes(join),
          )
          expect(sorted(run(hash, mode))).toEqual(expected)
          const merge = node(
            { kind: 'merge-join', outer: inOrder(left), inner: inOrder(right), ...common },
            outputTypes(join),
          )
          expect(sorted(run(merge, mode))).toEqual(expected)
          const equals = keys(width).map((key, i) => op(key, '=', column(2 + i, key.type)))
          const condition = {
            kind: 'and' as const,
            args: on === undefined ? equals : [...equals, on],
            type: OID.bool,
            typmod: -1,
          }
          const loop = node(
            {
              kind: 'nested-loop',
              join,
              outer: values(types, left),
              inner: values(types, right),
              params: [],
              on: condition,
            },
            outputTypes(join),
          )
          expect(sorted(run(loop, mode))).toEqual(expected)
        }
      }),
      { numRuns: 60 },
    )
  })
  it('by hash gives the same from files', () => {
    const left: Row[] = Array.from({ length: 3000 }, (_, i) => [i % 11 === 0 ? null : i % 700, `l${i}`])
    const right: Row[] = Array.from({ length: 2500 }, (_, i) => [i % 13 === 0 ? null : i % 900, `r${i}`])
    const plan = node(
      {
        kind: 'hash-join',
        join,
        outer: values(types, left),
        inner: values(types, right),
        outerKeys: keys(1),
        innerKeys: keys(1),
        on: undefined,
        nullAware: false,
      },
      outputTypes(join),
    )
    expect(sorted(run(plan, 'often', { workMemBytes: 20_000 }))).toEqual(sorted(run(plan)))
    expect(run(plan).length).toBe(model(join, left, right, equal(1)).length)
  })
})

describe('nested loop with parameters', () => {
  it.each(['inner', 'left', 'semi', 'anti'] as const)('%s', (join) => {
    const left: Row[] = [
      [1, 'a'],
      [null, 'b'],
      [3, 'c'],
      [3, 'd'],
    ]
    const right: Row[] = [
      [1, 'x'],
      [3, 'y'],
      [3, 'z'],
      [null, 'w'],
    ]
    const inner = node({ kind: 'filter', input: values(types, right), predicate: op(column(0), '=', outer(0)) }, types)
    const plan = node(
      {
        kind: 'nested-loop',
        join,
        outer: values(types, left),
        inner,
        params: [{ slot: 0, expression: column(0) }],
        on: undefined,
      },
      outputTypes(join),
    )
    expect(run(plan)).toEqual(model(join, left, right, equal(1)))
    expect(run(plan, 'once')).toEqual(model(join, left, right, equal(1)))
  })
  it('keeps inner rows in a file when they are many', () => {
    const many: Row[] = Array.from({ length: 3000 }, (_, i) => [i, `r${i}`])
    const plan = node(
      {
        kind: 'nested-loop',
        join: 'full',
        outer: values(types, [
          [5, 'a'],
          [2999, 'b'],
          [-1, 'c'],
        ]),
        inner: values(types, many),
        params: [],
        on: op(column(0), '=', column(2)),
      },
      [...types, ...types],
    )
    const rows = run(plan, 'often', { workMemBytes: 10_000 })
    expect(rows.length).toBe(3001)
    expect(rows.slice(0, 3)).toEqual([
      [5, 'a', 5, 'r5'],
      [2999, 'b', 2999, 'r2999'],
      [-1, 'c', null, null],
    ])
  })
})

it('NOT IN: no row at all when an inner key is NULL, NULL outer keys only when the inner side is empty', () => {
  const anti = (left: Row[], right: Row[]) =>
    run(
      node(
        {
          kind: 'hash-join',
          join: 'anti',
          outer: values(types, left),
          inner: values(types, right),
          outerKeys: keys(1),
          innerKeys: keys(1),
          on: undefined,
          nullAware: true,
        },
        types,
      ),
    )
  const left: Row[] = [
    [1, 'a'],
    [null, 'b'],
    [2, 'c'],
  ]
  expect(anti(left, [])).toEqual(left)
  expect(anti(left, [[1, 'x']])).toEqual([[2, 'c']])
  expect(
    anti(left, [
      [1, 'x'],
      [null, 'y'],
    ]),
  ).toEqual([])
})
