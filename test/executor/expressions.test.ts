/** Expressions the property test does not make: subqueries' forms, rows in quantified comparisons, subscripts of jsonb, time, fused code. */
import { describe, expect, it } from 'vitest'
import { compileExpression, generate } from '../../sql/executor/compile.ts'
import { CodeWriter } from '../../sql/executor/generate.ts'
import type { Execution } from '../../sql/executor/operator.ts'
import type { Expression, SubqueryLink } from '../../sql/plan/expression.ts'
import { ArrayValue, type Row, type Value } from '../../sql/types/value.ts'
import {
  and,
  call,
  catalog,
  column,
  constant,
  context,
  env,
  execution,
  node,
  OID,
  op,
  operatorRow,
  outer,
  values,
} from './fixture.ts'

const { int4, text, bool, jsonb } = OID
const typed = (type: typeof int4) => ({ type, typmod: -1 })
const both = ['once', 'often'] as const

function ask(e: Expression, row: Row = [], options: Partial<Execution> = {}): Value {
  const [once, often] = both.map((mode) => compileExpression(e, env(mode))(row, execution(options)))
  expect(often).toEqual(once)
  return often!
}
const subplan = (
  link: SubqueryLink,
  plan: ReturnType<typeof values>,
  params: { slot: number; expression: Expression }[] = [],
): Expression => ({
  kind: 'subplan',
  link,
  plan,
  params,
  number: 1,
  ...typed(link.kind === 'array' ? OID.int4Array : bool),
})

describe('subqueries', () => {
  const rows = values([int4], [[1], [2], [null]])
  const none = values([int4], [])
  it('EXISTS and ARRAY', () => {
    expect(ask(subplan({ kind: 'exists' }, rows))).toBe(true)
    expect(ask(subplan({ kind: 'exists' }, none))).toBe(false)
    expect(ask(subplan({ kind: 'array' }, rows))).toEqual(ArrayValue.of([1, 2, null]))
    expect(ask(subplan({ kind: 'array' }, none))).toEqual(ArrayValue.of([]))
    expect(ask({ ...subplan({ kind: 'scalar' }, none), type: int4 })).toBe(null)
  })
  it('correlated ones see the row that asks', () => {
    const matching = node({ kind: 'filter', input: rows, predicate: op(column(0), '=', outer(0)) }, [int4])
    const e = subplan({ kind: 'exists' }, matching, [{ slot: 0, expression: column(0) }])
    expect([[1], [3], [null]].map((row) => ask(e, row))).toEqual([true, false, false])
  })
  it('an uncorrelated one inside a correlated one is asked anew when the outer value it reads changes', () => {
    const inner = {
      ...subplan(
        { kind: 'scalar' },
        node({ kind: 'result', targets: [op(outer(0), '*', constant(10))], filter: undefined }, [int4]),
      ),
      type: int4,
    }
    const middle = node({ kind: 'project', input: values([int4], [[1]]), targets: [inner] }, [int4])
    const e = { ...subplan({ kind: 'scalar' }, middle, [{ slot: 0, expression: column(0) }]), type: int4 }
    for (const mode of both) {
      const x = execution()
      const compiled = compileExpression(e, env(mode))
      expect([1, 2, 2, 3].map((n) => compiled([n], x))).toEqual([10, 20, 20, 30])
    }
  })
  const quantified = (
    kind: 'any' | 'all',
    opName: string,
    left: (number | null)[],
    right: (number | null)[][],
  ): Value => {
    const operators = left.map(() => operatorRow(opName, int4, int4))
    return ask(
      subplan(
        {
          kind,
          left: left.map((v) => constant(v)),
          functions: operators.map((o) => o.function),
          operators: operators.map((o) => o.oid),
          opName,
          right: left.map((_, i) => column(i)),
        },
        values(
          left.map(() => int4),
          right,
        ),
      ),
    )
  }
  it('(a, b) = ANY: true, NULL where it hangs on one, else false', () => {
    expect(quantified('any', '=', [1, 2], [[1, 2]])).toBe(true)
    expect(
      quantified(
        'any',
        '=',
        [1, 2],
        [
          [1, null],
          [3, 3],
        ],
      ),
    ).toBe(null)
    expect(quantified('any', '=', [1, 2], [[3, null]])).toBe(false)
    expect(quantified('any', '=', [1, null], [[1, 5]])).toBe(null)
    expect(quantified('any', '=', [1, null], [[2, 5]])).toBe(false)
    expect(quantified('any', '=', [1, null], [])).toBe(false)
    expect(quantified('all', '<>', [1, 2], [[1, 2]])).toBe(false)
    expect(quantified('all', '<>', [1, 2], [[2, null]])).toBe(true)
    expect(quantified('all', '<>', [1, 2], [[1, null]])).toBe(null)
    expect(quantified('all', '<>', [null], [])).toBe(true)
  })
  it('(a, b) < ANY goes column by column', () => {
    expect(
      quantified(
        'any',
        '<',
        [1, 5],
        [
          [1, 5],
          [1, 6],
        ],
      ),
    ).toBe(true)
    expect(
      quantified(
        'any',
        '<',
        [1, 5],
        [
          [0, 9],
          [1, 5],
        ],
      ),
    ).toBe(false)
    expect(
      quantified(
        'all',
        '<=',
        [1, 5],
        [
          [1, 5],
          [2, null],
        ],
      ),
    ).toBe(true)
    expect(quantified('all', '<=', [1, 5], [[1, null]])).toBe(null)
  })
})

describe('other expressions', () => {
  it('jsonb subscripts, read and assigned', () => {
    const parse = (s: string) => catalog.type(jsonb).input(s, -1, context)
    const print = (v: Value) => (v === null ? null : catalog.type(jsonb).output(v, context))
    const at = (container: Value, path: Expression[], assign?: Value): Expression => ({
      kind: 'subscript',
      container: constant(container, jsonb),
      slice: false,
      upper: path,
      lower: path.map(() => undefined),
      containerType: jsonb,
      assign: assign === undefined ? undefined : constant(assign, jsonb),
      ...typed(jsonb),
    })
    expect(print(ask(at(parse('{"a": [1, 2]}'), [constant('a', text), constant(1)])))).toBe('2')
    expect(ask(at(parse('{"a": 1}'), [constant('b', text)]))).toBe(null)
    expect(print(ask(at(parse('{"a": 1}'), [constant('b', text)], parse('7'))))).toBe('{"a": 1, "b": 7}')
  })
  it('CURRENT_DATE and CURRENT_TIMESTAMP stand still', () => {
    expect(ask({ kind: 'sql-value', op: 'current_timestamp', ...typed(OID.timestamptz) })).toBe(
      context.transactionTimestamp,
    )
    expect(ask({ kind: 'sql-value', op: 'current_date', ...typed(OID.date) })).toBe(
      Math.floor(context.transactionTimestamp / 86_400_000_000),
    )
  })
  it('arrays of different shapes do not nest', () => {
    const nest = (...arrays: ArrayValue[]): Expression => ({
      kind: 'array',
      elements: arrays.map((a) => constant(a, OID.int4Array)),
      elementType: int4,
      nested: true,
      ...typed(OID.int4Array),
    })
    expect(ask(nest(ArrayValue.of([1, 2]), ArrayValue.of([3, 4])))).toEqual(
      new ArrayValue([1, 2, 3, 4], [2, 2], [1, 1]),
    )
    expect(() => ask(nest(ArrayValue.of([1, 2]), ArrayValue.of([3])))).toThrow(
      'multidimensional arrays must have array expressions with matching dimensions',
    )
  })
  it('a missing function fails only where it is reached', () => {
    const guarded: Expression = {
      kind: 'case',
      arg: undefined,
      whens: [{ when: op(column(0), '>', constant(0)), then: call('pg_backend_pid') }],
      otherwise: constant(0),
      ...typed(int4),
    }
    expect(ask(guarded, [0])).toBe(0)
    expect(() => ask(guarded, [1])).toThrow('function pg_backend_pid() is not supported')
  })
})

describe('code for callers with their own loop', () => {
  it('reads columns through the given source, filter and results in one function', () => {
    const w = new CodeWriter(env('often'), { column: (i) => `columns[${i}][i]`, notNull: (i) => i === 0 })
    w.condition(and(op(column(0), '>', constant(1)), op(column(1), '<', constant(9))), 'continue')
    const result = w.value(op(column(0), '+', column(1)))
    const scan = w.build<(columns: (number | null)[][], count: number) => Value[]>(
      `(columns, count) => { const out = []; for (let i = 0; i < count; i++) { ${w.lines.join('\n')}\nout.push(${result}) } return out }`,
    )
    expect(
      scan(execution())(
        [
          [1, 2, 3, 4],
          [1, 5, null, 9],
        ],
        4,
      ),
    ).toEqual([7])
    expect(w.lines.filter((line) => line.includes('columns[0]')).length).toBe(1)
  })
  it('gives the parts to put together', () => {
    const g = generate([op(column(0), '*', { kind: 'param', index: 1, ...typed(int4) })], env('often'), {
      column: (i) => `r.c${i}`,
    })
    const make = new Function(
      ...g.bindings.names,
      `return (x) => { ${g.setup}; return (r) => { ${g.prelude}; return ${g.results[0]} } }`,
    )
    expect(make(...g.bindings.values)(execution({ parameters: [6] }))({ c0: 7 })).toBe(42)
  })
})
