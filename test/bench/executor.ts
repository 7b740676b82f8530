/** What rows cost in the executor, in ns a row, over a source that costs almost nothing. `npx tsx test/bench/executor.ts` */

import type { CompileEnv } from '../../sql/executor/env.ts'
import { compilePlan } from '../../sql/executor/executor.ts'
import { BATCH_ROWS, type Operator, type RowBatch } from '../../sql/executor/operator.ts'
import type { Plan } from '../../sql/plan/plan.ts'
import type { Row } from '../../sql/types/value.ts'
import {
  aggregate,
  and,
  catalog,
  column,
  constant,
  env,
  estimate,
  execution,
  info,
  node,
  OID,
  op,
  sortKey,
} from '../executor/fixture.ts'

const { int4, int8, text, float8 } = OID
const ROWS = 1_000_000
const sources = new Map<object, () => Operator>()
/** Compiles as the executor does, but for the sources. */
const often: CompileEnv = {
  ...env('often'),
  compilePlan: (plan, inside) => sources.get(plan)?.() ?? compilePlan(plan, inside),
}

/** A source of rows made one by one, as a scan would. */
function source(types: readonly number[], rows: number, make: (i: number) => Row): Plan {
  const plan: Plan = {
    kind: 'seq-scan',
    table: catalog.databaseOid,
    alias: 's',
    wanted: [],
    filter: undefined,
    withKey: false,
    columns: types.map((type) => info(type as typeof int4)),
    estimate,
  }
  sources.set(plan, () => ({
    *run() {
      for (let from = 0; from < rows; from += BATCH_ROWS) {
        const batch: RowBatch = []
        for (let i = from; i < Math.min(rows, from + BATCH_ROWS); i++) batch.push(make(i) as RowBatch[number])
        yield batch
      }
    },
  }))
  return plan
}

const scatter = (i: number) => (Math.imul(i, 0x9e3779b1) >>> 0) % ROWS
const table = source([int4, int4, int4, float8, text], ROWS, (i) => [
  i,
  i % 1000,
  scatter(i),
  i * 0.5,
  `name${i % 5000}`,
])
const agg = (
  keys: Plan['columns'][number]['type'][],
  indexes: number[],
  aggregates: ReturnType<typeof aggregate>[],
  input = table,
) =>
  node(
    {
      kind: 'aggregate',
      strategy: indexes.length === 0 ? 'plain' : 'hash',
      input,
      sets: undefined,
      groupings: [],
      aggregates,
      keys: indexes.map((i, k) => column(i, keys[k]!)),
    },
    [...keys, ...aggregates.map((a) => a.type)],
  )
const sumCount = () => [aggregate('sum', [column(0)]), aggregate('count', [])]
const small = source([int4, text], 100_000, (i) => [i, `n${i}`])
const join = (inner: Plan, key: number) =>
  node(
    {
      kind: 'hash-join',
      join: 'inner',
      outer: table,
      inner,
      outerKeys: [column(key)],
      innerKeys: [column(0)],
      on: undefined,
      nullAware: false,
    },
    [int4, int4, int4, float8, text, int4, text],
  )
const sort = (keys: ReturnType<typeof sortKey>[], limit?: number) =>
  node(
    {
      kind: 'sort',
      input: table,
      keys,
      limit: limit === undefined ? undefined : constant(limit, int8),
      offset: undefined,
      presorted: 0,
    },
    [int4, int4, int4, float8, text],
  )

const plans: Record<string, Plan> = {
  'source alone': table,
  'filter (2 conditions)': node(
    {
      kind: 'filter',
      input: table,
      predicate: and(op(column(0), '>', constant(10)), op(column(1), '<', constant(500))),
    },
    [int4, int4, int4, float8, text],
  ),
  'project (2 expressions)': node(
    {
      kind: 'project',
      input: table,
      targets: [op(column(0), '+', column(1)), op(column(3, float8), '*', constant(2, float8))],
    },
    [int4, float8],
  ),
  'aggregate: sum, count': agg([], [], sumCount()),
  'aggregate: sum, avg, min, max': agg(
    [],
    [],
    [
      aggregate('sum', [column(0)]),
      aggregate('avg', [column(0)]),
      aggregate('min', [column(0)]),
      aggregate('max', [column(3, float8)]),
    ],
  ),
  'hash aggregate, 1,000 groups: sum, count': agg([int4], [1], sumCount()),
  'hash aggregate, 1,000,000 groups: sum, count': agg([int4], [2], sumCount()),
  'hash aggregate, 5,000 text groups': agg([text], [4], sumCount()),
  'hash aggregate, two keys': agg([int4, text], [1, 4], sumCount()),
  'count(distinct), 1,000 groups': agg([int4], [1], [aggregate('count', [column(2)], { distinct: true }, [OID.any])]),
  'hash join, 1,000 inner rows': join(
    source([int4, text], 1000, (i) => [i, `n${i}`]),
    1,
  ),
  'hash join, 100,000 inner rows, one row in ten': join(small, 2),
  'sort by integer': sort([sortKey(column(2))]),
  'sort by text, integer': sort([sortKey(column(4, text)), sortKey(column(2))]),
  'sort by integer, limit 10': sort([sortKey(column(2))], 10),
  'window: row_number, sum': node(
    {
      kind: 'window',
      input: sort([sortKey(column(1))]),
      partition: [column(1)],
      order: [sortKey(column(2))],
      mode: 'range',
      start: { kind: 'unbounded-preceding' },
      end: { kind: 'current-row' },
      exclude: 'none',
      inRange: { start: undefined, end: undefined },
      calls: [
        {
          function: catalog.functionsByName('row_number')[0]!.oid,
          args: [],
          star: false,
          filter: undefined,
          aggregate: false,
          type: int8,
          typmod: -1,
        },
        {
          function: sumCount()[0]!.function,
          args: [column(0)],
          star: false,
          filter: undefined,
          aggregate: true,
          type: int8,
          typmod: -1,
        },
      ],
    },
    [int4, int4, int4, float8, text, int8, int8],
  ),
}

let base = 0
const only = process.argv[2]
for (const [name, plan] of Object.entries(plans)) {
  if (only !== undefined && name !== 'source alone' && !name.includes(only)) continue
  const operator = often.compilePlan(plan, often)
  let best = Number.POSITIVE_INFINITY
  let count = 0
  for (let round = 0; round < 4; round++) {
    const x = execution({ workMemBytes: 4e9 })
    const from = performance.now()
    count = 0
    for (const step of operator.run(x)) if (Array.isArray(step)) count += step.length
    best = Math.min(best, performance.now() - from)
  }
  const each = (best * 1e6) / ROWS
  if (name === 'source alone') base = each
  process.stdout.write(
    `${name.padEnd(50)} ${(each - (name === 'source alone' ? 0 : base)).toFixed(0).padStart(5)} ns a row, ${count} rows out\n`,
  )
}
