/** Set-returning functions, WITH, recursion, Materialize, Append. */
import { describe, expect, it } from 'vitest'
import { compilePlan, runPlan } from '../../sql/executor/executor.ts'
import type { Expression } from '../../sql/plan/expression.ts'
import { call, column, constant, drain, env, execution, info, node, OID, op, outer, run, values } from './fixture.ts'

const { int4, int8, text } = OID
const series = (from: Expression, to: Expression) => call('generate_series', from, to)

describe('sets in the target list', () => {
  const project = (targets: Expression[], rows: (number | null)[][] = [[1]]) =>
    run(
      node(
        { kind: 'project-set', input: values([int4], rows), targets },
        targets.map((t) => t.type),
      ),
    )
  it('go on as long as the longest, NULL after the end of the others', () => {
    expect(project([series(constant(1), constant(3)), series(constant(7), constant(8)), column(0)])).toEqual([
      [1, 7, 1],
      [2, 8, 1],
      [3, null, 1],
    ])
  })
  it('give no row when all are empty', () => {
    expect(project([series(constant(2), constant(1)), column(0)], [[1], [2]])).toEqual([])
    expect(project([series(constant(1), column(0))], [[2], [null], [1]])).toEqual([[1], [2], [1]])
  })
  it('stand inside expressions and inside each other', () => {
    expect(project([op(series(constant(1), constant(2)), '*', constant(10))])).toEqual([[10], [20]])
    expect(project([series(constant(1), series(constant(1), constant(3)))])).toEqual([[1], [1], [2], [1], [2], [3]])
  })
  it('cross batches', () => {
    expect(project([series(constant(1), constant(3000))], [[1], [2]]).length).toBe(6000)
  })
})

describe('functions in FROM', () => {
  const scan = (calls: Expression[], ordinality: boolean) =>
    run(
      node(
        {
          kind: 'function-scan',
          alias: 'f',
          ordinality,
          calls: calls.map((each) => ({ call: each, columns: [info(int4)], composite: false })),
        },
        [...calls.map((c) => c.type), ...(ordinality ? [int8] : [])],
      ),
    )
  it('run side by side, numbered', () => {
    expect(scan([series(constant(1), constant(3)), series(constant(5), constant(6))], true)).toEqual([
      [1, 5, 1],
      [2, 6, 2],
      [3, null, 3],
    ])
    expect(scan([call('length', constant('abc', text))], false)).toEqual([[3]])
    expect(scan([series(constant(null), constant(3))], false)).toEqual([])
  })
})

describe('WITH', () => {
  const cteScan = (slot: number, work = false) => node({ kind: 'cte-scan', slot, work, name: 'c', alias: 'c' }, [int4])
  it('runs a plan once for all its readers', () => {
    const body = node(
      { kind: 'nested-loop', join: 'inner', outer: cteScan(0), inner: cteScan(0), params: [], on: undefined },
      [int4, int4],
    )
    const plan = node(
      { kind: 'with', ctes: [{ slot: 0, name: 'c', plan: values([int4], [[1], [2]]), modifies: false }], body },
      [int4, int4],
    )
    const instruments = new Map()
    expect(run(plan, 'often', { instruments })).toEqual([
      [1, 1],
      [1, 2],
      [2, 1],
      [2, 2],
    ])
    expect(instruments.get((plan as unknown as { ctes: { plan: object }[] }).ctes[0]!.plan)).toMatchObject({
      loops: 1,
      rows: 2,
    })
  })
  const recursive = (distinct: boolean, step: Expression, until: number | undefined) =>
    node(
      {
        kind: 'recursive-union',
        slot: 0,
        distinct,
        base: values([int4], [[1]]),
        step: node(
          {
            kind: 'project',
            targets: [step],
            input:
              until === undefined
                ? cteScan(0, true)
                : node({ kind: 'filter', input: cteScan(0, true), predicate: op(column(0), '<', constant(until)) }, [
                    int4,
                  ]),
          },
          [int4],
        ),
      },
      [int4],
    )
  it('recurs until nothing comes, or nothing new', () => {
    expect(run(recursive(false, op(column(0), '+', constant(1)), 5))).toEqual([[1], [2], [3], [4], [5]])
    expect(run(recursive(true, op(op(column(0), '*', constant(2)), '%', constant(7)), undefined))).toEqual([
      [1],
      [2],
      [4],
    ])
  })
  it('recurs without end under a limit, also through a CTE', () => {
    const endless = recursive(false, op(column(0), '+', constant(1)), undefined)
    const limited = (input: typeof endless) =>
      node({ kind: 'limit', input, limit: constant(3, int8), offset: undefined, ties: undefined }, [int4])
    expect(run(limited(endless))).toEqual([[1], [2], [3]])
    expect(
      run(
        node(
          { kind: 'with', ctes: [{ slot: 1, name: 'c', plan: endless, modifies: false }], body: limited(cteScan(1)) },
          [int4],
        ),
      ),
    ).toEqual([[1], [2], [3]])
  })
  it('runs what modifies to its end even when nobody reads it', () => {
    const instruments = new Map()
    const unread = values([int4], [[1], [2], [3]])
    const plan = node(
      { kind: 'with', ctes: [{ slot: 0, name: 'c', plan: unread, modifies: true }], body: values([int4], [[9]]) },
      [int4],
    )
    expect(run(plan, 'often', { instruments })).toEqual([[9]])
    expect(instruments.get(unread)).toMatchObject({ rows: 3 })
  })
  it('keeps rows over work_mem in files', () => {
    const rows = Array.from({ length: 4000 }, (_, i) => [i])
    const body = node({ kind: 'append', inputs: [cteScan(0), cteScan(0)] }, [int4])
    const plan = node(
      { kind: 'with', ctes: [{ slot: 0, name: 'c', plan: values([int4], rows), modifies: false }], body },
      [int4],
    )
    expect(run(plan, 'often', { workMemBytes: 3000 })).toEqual([...rows, ...rows])
  })
})

describe('materialize', () => {
  it('runs its input once, and again when an outer value it reads has changed', () => {
    const input = node(
      { kind: 'filter', input: values([int4], [[1], [2], [3]]), predicate: op(column(0), '>', outer(0)) },
      [int4],
    )
    const plan = node({ kind: 'materialize', input }, [int4])
    const instruments = new Map()
    const x = execution({ outer: [1], instruments })
    const operator = compilePlan(plan, env('often'))
    expect(drain(runPlan(operator, x))).toEqual([[2], [3]])
    expect(drain(runPlan(operator, x))).toEqual([[2], [3]])
    expect(instruments.get(input)).toMatchObject({ loops: 1 })
    x.outer[0] = 2
    expect(drain(runPlan(operator, x))).toEqual([[3]])
    expect(instruments.get(input)).toMatchObject({ loops: 2 })
  })
})
