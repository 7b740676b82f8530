/**
 * Window calls over one small table, as SQL for PostgreSQL and as a plan for us. Rows of equal keys come in any order, so
 * what hangs on their order is asked with the row's number as the last key.
 */
import type { Expression } from '../../sql/plan/expression.ts'
import type { Plan, PlanSortKey } from '../../sql/plan/plan.ts'
import type { FrameBound } from '../../sql/plan/query.ts'
import type { Row, Value } from '../../sql/types/value.ts'
import { catalog, column, constant, node, OID, op, sortKey, values } from './fixture.ts'

const { int4, int8, text, float8 } = OID

export type Bound =
  | 'unbounded preceding'
  | 'current row'
  | 'unbounded following'
  | `${number} preceding`
  | `${number} following`
export interface WindowCase {
  readonly call: string
  readonly filter: boolean
  readonly partition: boolean
  readonly key: 'k' | 'f' | undefined
  readonly descending: boolean
  readonly nullsFirst: boolean
  readonly mode: 'rows' | 'range' | 'groups'
  readonly start: Bound
  readonly end: Bound
  readonly exclude: 'no others' | 'current row' | 'group' | 'ties'
}

/** id, p, k, f, v. */
export const TABLE: readonly Row[] = Array.from({ length: 30 }, (_, i) => [
  i,
  i % 7 === 6 ? null : i % 2 === 0 ? 'x' : 'y',
  i % 6 === 5 ? null : (i * 7) % 9,
  i % 10 === 9 ? null : ((i * 5) % 11) / 2,
  i % 4 === 3 ? null : (i * 13) % 17,
])
export const CALLS = {
  aggregates: ['count(*)', 'count(v)', 'sum(v)', 'min(v)', 'max(v)', 'avg(v)', 'sum(f)', 'bool_and(v>3)'],
  ordered: [
    'array_agg(v)',
    'first_value(v)',
    'last_value(v)',
    'nth_value(v,2)',
    'nth_value(v,null)',
    'lag(v)',
    'lag(v,2)',
    'lag(v,1,-1)',
    'lag(v,-1)',
    'lead(v)',
    'lead(v,k)',
    'lead(v,3,-1)',
    'row_number()',
    'ntile(4)',
    'ntile(50)',
  ],
  ranks: ['rank()', 'dense_rank()', 'percent_rank()', 'cume_dist()'],
} as const

const isOrdered = (c: WindowCase) => (CALLS.ordered as readonly string[]).includes(c.call) || c.mode === 'rows'
const rangeOffsets = (c: WindowCase) => c.mode === 'range' && /\d/.test(c.start + c.end)

export function toSql(c: WindowCase): string {
  const keys =
    c.key === undefined ? [] : [`${c.key} ${c.descending ? 'desc' : 'asc'} nulls ${c.nullsFirst ? 'first' : 'last'}`]
  if (isOrdered(c)) keys.push('id')
  const bounds = (b: Bound) =>
    rangeOffsets(c) ? b.replace(/^(\S*\d\S*) /, c.key === 'f' ? '$1::float8 ' : '$1::int4 ') : b
  const over = [
    c.partition ? 'partition by p' : '',
    keys.length > 0 ? `order by ${keys.join(', ')}` : '',
    `${c.mode} between ${bounds(c.start)} and ${bounds(c.end)}`,
    `exclude ${c.exclude}`,
  ]
  return `select (${c.call}${c.filter ? ' filter (where k <> 3)' : ''} over (${over.join(' ')}))::text from t order by id`
}

const columns = {
  p: column(1, text),
  k: column(2),
  f: column(3, float8),
  v: column(4),
}
const functionOf = (name: string, types: readonly number[]) => {
  const found = catalog
    .functionsByName(name)
    .filter((f) => (f.kind === 'w' || f.kind === 'a') && f.argTypes.length === types.length)
  const row =
    found.find((f) => f.argTypes.every((type, i) => type === types[i])) ??
    found.find((f) => catalog.typeRow(f.argTypes[0]!)?.kind === 'p') ??
    found[0]
  if (row === undefined) throw new Error(`no function ${name}`)
  return row
}

function argument(source: string): Expression {
  if (source === 'null') return constant(null)
  if (source === 'v>3') return op(columns.v, '>', constant(3))
  return source in columns ? columns[source as keyof typeof columns] : constant(Number(source))
}

export function toPlan(c: WindowCase): Plan {
  const order: PlanSortKey[] = c.key === undefined ? [] : [sortKey(columns[c.key], c.descending, c.nullsFirst)]
  if (isOrdered(c)) order.push(sortKey(column(0)))
  const partition = c.partition ? [columns.p] : []
  const types = [int4, text, int4, float8, int4]
  const input = node(
    {
      kind: 'sort',
      input: values(types, TABLE),
      keys: [...partition.map((e) => sortKey(e)), ...order],
      limit: undefined,
      offset: undefined,
      presorted: 0,
    },
    types,
  )
  const offsetType = c.mode === 'range' ? (c.key === 'f' ? float8 : int4) : int8
  const bound = (b: Bound): FrameBound => {
    const [size, side] = b.split(' ') as [string, 'preceding' | 'following']
    if (b === 'current row') return { kind: 'current-row' }
    if (size === 'unbounded') return { kind: `unbounded-${side}` }
    return { kind: side, offset: constant(Number(size), offsetType) }
  }
  const inRange = rangeOffsets(c)
    ? catalog.functionsByName('in_range').find((f) => f.argTypes[0] === offsetType && f.argTypes[2] === offsetType)!.oid
    : undefined
  const [, name, list] = /^(\w+)\((.*)\)$/.exec(c.call)!
  const args = list === '' || list === '*' ? [] : list!.split(',').map(argument)
  const row = functionOf(
    name!,
    args.map((arg) => arg.type),
  )
  const result =
    name === 'array_agg'
      ? OID.int4Array
      : catalog.typeRow(row.returnType)?.kind === 'p'
        ? args[0]!.type
        : row.returnType
  const filter = c.filter ? op(columns.k, '<>', constant(3)) : undefined
  const exclude = ({ 'no others': 'none', 'current row': 'current-row', group: 'group', ties: 'ties' } as const)[
    c.exclude
  ]
  const call = {
    function: row.oid,
    args,
    star: list === '*',
    filter,
    aggregate: row.kind === 'a',
    type: result,
    typmod: -1,
  }
  return node(
    {
      kind: 'window',
      input,
      partition,
      order,
      mode: c.mode,
      start: bound(c.start),
      end: bound(c.end),
      exclude,
      inRange: { start: inRange, end: inRange },
      calls: [call],
    },
    [...types, result],
  )
}

export const printed = (
  plan: Plan,
  row: Row,
  context: Parameters<ReturnType<typeof catalog.type>['output']>[1],
): string | null => {
  const value = row[row.length - 1] as Value
  // A cast to text writes booleans out.
  if (typeof value === 'boolean') return String(value)
  return value === null ? null : catalog.type(plan.columns[plan.columns.length - 1]!.type).output(value, context)
}
