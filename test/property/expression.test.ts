/** compile() must agree with evaluate(): the same value, or the same SQLSTATE, for any typed expression and row. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compileExpression, compilePredicate, compileRow } from '../../sql/executor/compile.ts'
import { constantFold, evaluate } from '../../sql/executor/evaluate.ts'
import type { Expression } from '../../sql/plan/expression.ts'
import { SqlError } from '../../sql/types/error.ts'
import { ArrayValue, type Value } from '../../sql/types/value.ts'
import type { Oid } from '../../storage/keys/brand.ts'
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
  or,
  outer,
  run,
  values,
} from '../executor/fixture.ts'

const { int4, text, bool, int4Array, textArray, record } = OID
const typed = (type: Oid) => ({ type, typmod: -1 })

// The row: two integers, a text, a boolean, an array. Parameters $1 integer, $2 text; outer slot 0 an integer.
const anyInt = fc.oneof(fc.integer({ min: -3, max: 5 }), fc.constantFrom(2147483647, -2147483648, 7))
const anyText = fc.constantFrom('', 'a', 'ab', '12', '-7', 'Z', 'ä')
const orNull = <T extends Value>(arb: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 5, arbitrary: arb as fc.Arbitrary<Value> }, { weight: 1, arbitrary: fc.constant<Value>(null) })
const anyArray = fc.array(orNull(anyInt), { maxLength: 12 }).map((elements) => ArrayValue.of(elements))
const anyRow = fc.tuple(orNull(anyInt), orNull(anyInt), orNull(anyText), orNull(fc.boolean()), orNull(anyArray))

const comparisons = ['=', '<>', '<', '<=', '>', '>=']
const inner = values([int4], [[1], [3], [null], [5]])

interface Trees {
  int: Expression
  text: Expression
  bool: Expression
  array: Expression
}
const trees = fc.letrec<Trees>((tie) => {
  const int = tie('int') as fc.Arbitrary<Expression>
  const str = tie('text') as fc.Arbitrary<Expression>
  const bit = tie('bool') as fc.Arbitrary<Expression>
  const arr = tie('array') as fc.Arbitrary<Expression>
  const caseOf = (type: Oid, value: fc.Arbitrary<Expression>): fc.Arbitrary<Expression> =>
    fc.oneof(
      fc.tuple(bit, value, bit, value, value).map(
        ([w1, t1, w2, t2, otherwise]): Expression => ({
          kind: 'case',
          arg: undefined,
          whens: [
            { when: w1, then: t1 },
            { when: w2, then: t2 },
          ],
          otherwise,
          ...typed(type),
        }),
      ),
      fc.tuple(int, int, value, value).map(
        ([arg, test, then, otherwise]): Expression => ({
          kind: 'case',
          arg,
          whens: [{ when: op({ kind: 'case-test', ...typed(int4) }, '=', test), then }],
          otherwise,
          ...typed(type),
        }),
      ),
    )
  const coalesce = (type: Oid, value: fc.Arbitrary<Expression>) =>
    fc
      .array(value, { minLength: 1, maxLength: 3 })
      .map((args): Expression => ({ kind: 'coalesce', args, ...typed(type) }))
  const minMax = (type: Oid, value: fc.Arbitrary<Expression>) =>
    fc
      .tuple(fc.constantFrom('greatest' as const, 'least' as const), fc.array(value, { minLength: 1, maxLength: 3 }))
      .map(([kind, args]): Expression => ({ kind: 'min-max', op: kind, args, ...typed(type) }))
  const nullif = (type: Oid, value: fc.Arbitrary<Expression>) =>
    fc.tuple(value, value).map(([left, right]): Expression => {
      const o = operatorRow('=', type, type)
      return { kind: 'nullif', function: o.function, operator: o.oid, left, right, ...typed(type) }
    })
  const rowOf = fc
    .tuple(int, str)
    .map((fields): Expression => ({ kind: 'row', fields, names: undefined, ...typed(record) }))
  return {
    int: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      orNull(anyInt).map((v) => constant(v)),
      fc.constantFrom<Expression>(column(0), column(1), outer(0), { kind: 'param', index: 1, ...typed(int4) }),
      fc.tuple(int, fc.constantFrom('+', '-', '*', '/', '%'), int).map(([a, o, b]) => op(a, o, b)),
      str.map((arg): Expression => ({ kind: 'coerce-io', arg, display: 'cast', ...typed(int4) })),
      str.map((arg) => call('length', arg)),
      rowOf.map((arg): Expression => ({ kind: 'field', arg, index: 0, name: 'f1', ...typed(int4) })),
      fc.tuple(arr, int).map(
        ([container, index]): Expression => ({
          kind: 'subscript',
          container,
          slice: false,
          upper: [index],
          lower: [undefined],
          containerType: int4Array,
          assign: undefined,
          ...typed(int4),
        }),
      ),
      int.map(
        (e): Expression => ({
          kind: 'subplan',
          link: { kind: 'scalar' },
          number: 1,
          params: [{ slot: 1, expression: e }],
          ...typed(int4),
          plan: node({ kind: 'filter', input: inner, predicate: op(column(0), '>', outer(1)) }, [int4]),
        }),
      ),
      caseOf(int4, int),
      coalesce(int4, int),
      minMax(int4, int),
      nullif(int4, int),
    ),
    text: fc.oneof(
      { depthSize: 'small' },
      orNull(anyText).map((v) => constant(v, text)),
      fc.constantFrom<Expression>(column(2, text), { kind: 'param', index: 2, ...typed(text) }),
      fc.tuple(str, str).map(([a, b]) => op(a, '||', b)),
      int.map((arg): Expression => ({ kind: 'coerce-io', arg, display: 'cast', ...typed(text) })),
      str.map((arg) => call('upper', arg)),
      str.map((arg): Expression => ({ kind: 'relabel', arg, display: 'cast', ...typed(text) })),
      rowOf.map((arg): Expression => ({ kind: 'field', arg, index: 1, name: 'f2', ...typed(text) })),
      caseOf(text, str),
      coalesce(text, str),
      minMax(text, str),
      nullif(text, str),
    ),
    bool: fc.oneof(
      { depthSize: 'small' },
      orNull(fc.boolean()).map((v) => constant(v, bool)),
      fc.constant(column(3, bool)),
      fc.tuple(int, fc.constantFrom(...comparisons), int).map(([a, o, b]) => op(a, o, b)),
      fc.tuple(str, fc.constantFrom(...comparisons), str).map(([a, o, b]) => op(a, o, b)),
      fc.array(bit, { minLength: 2, maxLength: 4 }).map((args) => and(...args)),
      fc.array(bit, { minLength: 2, maxLength: 4 }).map((args) => or(...args)),
      bit.map((arg): Expression => ({ kind: 'not', arg, ...typed(bool) })),
      fc
        .tuple(fc.oneof(int, str, bit, arr), fc.boolean())
        .map(([arg, negated]): Expression => ({ kind: 'is-null', arg, negated, argIsRow: false, ...typed(bool) })),
      fc
        .tuple(rowOf, fc.boolean())
        .map(([arg, negated]): Expression => ({ kind: 'is-null', arg, negated, argIsRow: true, ...typed(bool) })),
      fc
        .tuple(bit, fc.constantFrom('true' as const, 'false' as const, 'unknown' as const), fc.boolean())
        .map(([arg, test, negated]): Expression => ({ kind: 'boolean-test', arg, test, negated, ...typed(bool) })),
      fc.tuple(int, int).map(([left, right]): Expression => {
        const o = operatorRow('=', int4, int4)
        return { kind: 'distinct', function: o.function, operator: o.oid, left, right, ...typed(bool) }
      }),
      fc.tuple(int, fc.constantFrom(...comparisons), fc.boolean(), arr).map(([left, name, all, right]): Expression => {
        const o = operatorRow(name, int4, int4)
        return { kind: 'any-array', function: o.function, operator: o.oid, all, left, right, ...typed(bool) }
      }),
      fc
        .tuple(int, str, fc.constantFrom('<' as const, '<=' as const, '>' as const, '>=' as const), int, str)
        .map(([a, b, name, c, d]): Expression => {
          const of = (n: string) => [operatorRow(n, int4, int4), operatorRow(n, text, text)]
          return {
            kind: 'row-compare',
            op: name,
            functions: of(name).map((o) => o.function),
            operators: of(name).map((o) => o.oid),
            equals: of('=').map((o) => o.function),
            left: [a, b],
            right: [c, d],
            ...typed(bool),
          }
        }),
      fc
        .tuple(int, fc.constantFrom('=', '<>', '<'), fc.constantFrom('any' as const, 'all' as const), fc.boolean())
        .map(([left, name, kind, correlated]): Expression => {
          const o = operatorRow(name, int4, int4)
          const plan = correlated
            ? node({ kind: 'filter', input: inner, predicate: op(column(0), '<>', outer(2)) }, [int4])
            : inner
          return {
            kind: 'subplan',
            number: 2,
            plan,
            params: correlated ? [{ slot: 2, expression: column(1) }] : [],
            ...typed(bool),
            link: { kind, left: [left], functions: [o.function], operators: [o.oid], opName: name, right: [column(0)] },
          }
        }),
      caseOf(bool, bit),
      coalesce(bool, bit),
    ),
    array: fc.oneof(
      { depthSize: 'small' },
      orNull(anyArray).map((v) => constant(v, int4Array)),
      fc.constant(column(4, int4Array)),
      fc.array(int, { maxLength: 3 }).map(
        (elements): Expression => ({
          kind: 'array',
          elements,
          elementType: int4,
          nested: false,
          ...typed(int4Array),
        }),
      ),
      fc
        .array(arr, { minLength: 1, maxLength: 2 })
        .map(
          (elements): Expression => ({ kind: 'array', elements, elementType: int4, nested: true, ...typed(int4Array) }),
        ),
      fc.tuple(arr, int, int).map(
        ([container, l, u]): Expression => ({
          kind: 'subscript',
          container,
          slice: true,
          upper: [u],
          lower: [l],
          containerType: int4Array,
          assign: undefined,
          ...typed(int4Array),
        }),
      ),
      fc.tuple(arr, fc.integer({ min: -3, max: 9 }), int).map(
        ([container, index, assign]): Expression => ({
          kind: 'subscript',
          container,
          slice: false,
          upper: [constant(index)],
          lower: [undefined],
          containerType: int4Array,
          assign,
          ...typed(int4Array),
        }),
      ),
      arr.map(
        (arg): Expression => ({
          kind: 'array-coerce',
          arg,
          display: 'cast',
          ...typed(int4Array),
          element: op({ kind: 'case-test', ...typed(int4) }, '+', column(0)),
        }),
      ),
      arr.map(
        (arg): Expression => ({
          kind: 'array-coerce',
          display: 'cast',
          ...typed(int4Array),
          element: { kind: 'coerce-io', arg: { kind: 'case-test', ...typed(text) }, display: 'cast', ...typed(int4) },
          arg: {
            kind: 'array-coerce',
            arg,
            display: 'cast',
            ...typed(textArray),
            element: { kind: 'coerce-io', arg: { kind: 'case-test', ...typed(int4) }, display: 'cast', ...typed(text) },
          },
        }),
      ),
      caseOf(int4Array, arr),
      coalesce(int4Array, arr),
    ),
  }
})
const anyTree = fc.oneof(trees.int, trees.text, trees.bool, trees.array)

const outcome = (make: () => unknown): unknown => {
  try {
    return { value: make() }
  } catch (error) {
    if (error instanceof SqlError) return { code: error.code, message: error.message }
    throw error
  }
}
const fresh = () => execution({ parameters: [2, 'x'], outer: [1, null, null] })

describe('expressions', () => {
  it('mean the same compiled and walked', () => {
    fc.assert(
      fc.property(anyTree, fc.array(anyRow, { minLength: 1, maxLength: 4 }), (e, rows) => {
        const compiled = compileExpression(e, env('often'))
        const walkedX = fresh()
        const compiledX = fresh()
        for (const row of rows) {
          const walked = outcome(() => evaluate(e, row, walkedX, env('once')))
          expect(outcome(() => compiled(row, compiledX))).toEqual(walked)
        }
      }),
      { numRuns: 1500 },
    )
  })
  it('filter alike, and make rows alike', () => {
    fc.assert(
      fc.property(trees.bool, trees.int, trees.text, anyRow, (condition, a, b, row) => {
        const holds = (mode: 'once' | 'often') =>
          outcome(() => compilePredicate(condition, env(mode)).bind(fresh())(row))
        expect(holds('often')).toEqual(holds('once'))
        const made = (mode: 'once' | 'often') => outcome(() => compileRow([a, b, a], env(mode)).bind(fresh())(row))
        expect(made('often')).toEqual(made('once'))
      }),
      { numRuns: 500 },
    )
  })
  it('keep their value when constants are folded, unless that takes an error away', () => {
    fc.assert(
      fc.property(anyTree, anyRow, (e, row) => {
        const before = outcome(() => evaluate(e, row, fresh(), env('once'))) as { value?: unknown }
        if (!('value' in before)) return
        expect(outcome(() => evaluate(constantFold(e, catalog, context), row, fresh(), env('once')))).toEqual(before)
      }),
      { numRuns: 500 },
    )
  })
  it('fold constants', () => {
    const folded = (e: Expression) => constantFold(e, catalog, context)
    expect(folded(op(constant(1), '+', op(constant(2), '*', constant(3))))).toMatchObject({ kind: 'const', value: 7 })
    expect(folded(op(constant(1), '/', constant(0)))).toMatchObject({ kind: 'call' })
    expect(folded(and(op(column(0), '=', constant(1)), constant(false, bool)))).toMatchObject({
      kind: 'const',
      value: false,
    })
    expect(folded(op(column(0), '+', constant(null)))).toMatchObject({ kind: 'const', value: null })
    expect(folded(call('now'))).toMatchObject({ kind: 'call' })
  })
})

it('a scalar subquery with two rows is an error', () => {
  const e: Expression = {
    kind: 'subplan',
    link: { kind: 'scalar' },
    number: 1,
    params: [],
    plan: inner,
    ...typed(int4),
  }
  for (const mode of ['once', 'often'] as const)
    expect(outcome(() => run(node({ kind: 'result', targets: [e], filter: undefined }, [int4]), mode))).toMatchObject({
      code: '21000',
    })
})
