/** Window functions and frames, against what PostgreSQL 15 answered (test/oracle/record-windows.ts). */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { Row } from '../../sql/types/value.ts'
import { aggregate, catalog, column, constant, context, node, OID, run, sortKey, values } from './fixture.ts'
import { printed, toPlan, toSql, type WindowCase } from './window-cases.ts'

const recorded = readFileSync(new URL('windows.recorded.txt', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n')

describe('recorded', () => {
  it.each(['once', 'often'] as const)('%s', (mode) => {
    for (const line of recorded) {
      const [spec, answers] = line.split('\t') as [string, string]
      const each = JSON.parse(spec) as WindowCase
      const plan = toPlan(each)
      const rows = run(plan, mode).toSorted((a, b) => (a[0] as number) - (b[0] as number))
      expect(
        rows.map((row) => printed(plan, row, context)),
        toSql(each),
      ).toEqual(JSON.parse(answers))
    }
  })
})

const { int4, int8 } = OID
const windowFunction = (name: string, args: ReturnType<typeof constant>[]) => ({
  function: catalog.functionsByName(name).find((f) => f.kind === 'w' && f.argTypes.length === args.length)!.oid,
  args,
  star: false,
  filter: undefined,
  aggregate: false,
  type: int8,
  typmod: -1,
})
const over = (
  rows: Row[],
  call: ReturnType<typeof windowFunction>,
  start: Parameters<typeof frame>[0] = { kind: 'unbounded-preceding' },
) => run(frame(start, rows, call))
const frame = (
  start: { kind: 'unbounded-preceding' } | { kind: 'preceding'; offset: ReturnType<typeof constant> },
  rows: Row[],
  call: ReturnType<typeof windowFunction>,
) =>
  node(
    {
      kind: 'window',
      input: values([int4], rows),
      partition: [],
      order: [sortKey(column(0))],
      mode: 'rows',
      start,
      end: { kind: 'current-row' },
      exclude: 'none',
      inRange: { start: undefined, end: undefined },
      calls: [call],
    },
    [int4, int8],
  )

it('arguments that cannot be', () => {
  expect(() => over([[1]], windowFunction('ntile', [constant(0)]))).toThrow(
    'argument of ntile must be greater than zero',
  )
  expect(() => over([[1]], windowFunction('nth_value', [column(0), constant(0)]))).toThrow(
    'argument of nth_value must be greater than zero',
  )
  const sum = {
    ...windowFunction('row_number', []),
    function: aggregate('sum', [column(0)]).function,
    args: [column(0)],
    aggregate: true,
  }
  expect(() => over([[1]], sum, { kind: 'preceding', offset: constant(null, int8) })).toThrow(
    'frame starting offset must not be null',
  )
  expect(() => over([[1]], sum, { kind: 'preceding', offset: constant(-1, int8) })).toThrow(
    'frame starting offset must not be negative',
  )
})

it('a long partition with a sliding frame', () => {
  const rows: Row[] = Array.from({ length: 5000 }, (_, i) => [i])
  const sum = {
    ...windowFunction('row_number', []),
    function: aggregate('sum', [column(0)]).function,
    args: [column(0)],
    aggregate: true,
  }
  const out = over(rows, sum, { kind: 'preceding', offset: constant(2, int8) })
  expect(out.map((row) => row[1])).toEqual(rows.map((_, i) => (i < 2 ? (i * (i + 1)) / 2 : 3 * i - 3)))
})
