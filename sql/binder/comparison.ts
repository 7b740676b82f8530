/**
 * Comparisons of more than two scalars: rows with rows, IS DISTINCT FROM, a scalar with the elements of an array
 * (PostgreSQL manual, 9.24 and 9.25).
 */
import type { Node } from '@pgsql/types'
import type { Oid } from '../../storage/keys/brand.ts'
import type { Expression } from '../plan/expression.ts'
import { OID } from '../types/oids.ts'
import { coerceType, settleUnknown } from './coerce.ts'
import { BOOL } from './constant.ts'
import { arrayTypeOf, type BindContext, elementType, errorAt, typeName } from './context.ts'
import { bindBinary, findBinaryOperator, type OperatorName, operatorCall, operatorMissing } from './resolve.ts'

export const isNullConstant = (node: Node | undefined): boolean =>
  node !== undefined && 'A_Const' in node && node.A_Const.isnull === true

export const nullTest = (b: BindContext, arg: Expression, negated: boolean): Expression => ({
  kind: 'is-null',
  arg: settleUnknown(b, arg),
  negated,
  argIsRow: false,
  ...BOOL,
})

export const negate = (arg: Expression): Expression => ({ kind: 'not', arg, ...BOOL })

export function bindDistinct(
  b: BindContext,
  op: OperatorName,
  left: Expression,
  right: Expression,
  rows: boolean,
  location?: number,
): Expression {
  if (rows && left.kind === 'row' && right.kind === 'row') {
    checkRowLengths(b, left.fields, right.fields, location)
    const args = left.fields.map((field, i) => bindDistinct(b, op, field, right.fields[i]!, false, location))
    return args.length === 1 ? args[0]! : { kind: 'or', args, ...BOOL }
  }
  const call = bindBinary(b, { ...op, name: '=' }, left, right, location)
  if (call.kind !== 'call' || call.type !== OID.bool)
    throw errorAt(b, '42804', 'IS DISTINCT FROM requires = operator to yield boolean', location)
  return {
    kind: 'distinct',
    function: call.function,
    operator: call.operator!,
    left: call.args[0]!,
    right: call.args[1]!,
    ...BOOL,
  }
}

function checkRowLengths(
  b: BindContext,
  left: readonly Expression[],
  right: readonly Expression[],
  location?: number,
): void {
  if (left.length !== right.length) throw errorAt(b, '42601', 'unequal number of entries in row expressions', location)
}

export function bindRowComparison(
  b: BindContext,
  op: OperatorName,
  left: Expression,
  right: Expression,
  location?: number,
): Expression {
  if (left.kind !== 'row' || right.kind !== 'row') return bindBinary(b, op, left, right, location)
  return compareRows(b, op, left.fields, right.fields, location)
}

/** Operators of btree families, as what they order: the plain ones, and those of text_pattern_ops. */
const ROW_ORDERS: Readonly<Record<string, '<' | '<=' | '>' | '>='>> = {
  '<': '<',
  '<=': '<=',
  '>': '>',
  '>=': '>=',
  '~<~': '<',
  '~<=~': '<=',
  '~>~': '>',
  '~>=~': '>=',
}

export function compareRows(
  b: BindContext,
  op: OperatorName,
  left: readonly Expression[],
  right: readonly Expression[],
  location?: number,
): Expression {
  checkRowLengths(b, left, right, location)
  if (left.length === 0) throw errorAt(b, '0A000', 'cannot compare rows of zero length', location)
  const calls = left.map((field, i) => {
    const call = bindBinary(b, op, field, right[i]!, location)
    if (call.kind !== 'call' || call.type !== OID.bool)
      throw errorAt(
        b,
        '42804',
        `row comparison operator must yield type boolean, not type ${typeName(b, call.type)}`,
        location,
      )
    return call
  })
  if (calls.length === 1) return calls[0]!
  if (op.name === '=') return { kind: 'and', args: calls, ...BOOL }
  if (op.name === '<>') return { kind: 'or', args: calls, ...BOOL }
  const order = ROW_ORDERS[op.name]
  if (order === undefined) {
    throw errorAt(b, '0A000', `could not determine interpretation of row comparison operator ${op.name}`, location, {
      hint: 'Row comparison operators must be associated with btree operator families.',
    })
  }
  const equals = calls.map(
    (call) => findBinaryOperator(b, { schema: undefined, name: '=' }, call.args[0]!.type, call.args[1]!.type)!.function,
  )
  return {
    kind: 'row-compare',
    op: order,
    functions: calls.map((call) => call.function),
    operators: calls.map((call) => call.operator!),
    equals,
    left: calls.map((call) => call.args[0]!),
    right: calls.map((call) => call.args[1]!),
    ...BOOL,
  }
}

export function bindAnyArray(
  b: BindContext,
  op: OperatorName,
  left: Expression,
  right: Expression,
  all: boolean,
  location?: number,
): Expression {
  let element: Oid
  if (right.type === OID.unknown) element = OID.unknown
  else {
    element = elementType(b, right.type)
    if (element === 0) throw errorAt(b, '42809', 'op ANY/ALL (array) requires array on right side', location)
  }
  const row = findBinaryOperator(b, op, left.type, element, location)
  if (row === undefined) throw operatorMissing(b, op, left.type, element, location)
  const probe: Expression = { kind: 'case-test', type: element, typmod: -1 }
  const call = operatorCall(b, row, [left, probe], location)
  if (call.kind !== 'call' || call.type !== OID.bool)
    throw errorAt(b, '42809', 'op ANY/ALL (array) requires operator to yield boolean', location)
  const wanted =
    row.right === OID.any || b.catalog.typeRow(row.right)?.kind === 'p'
      ? element === OID.unknown
        ? left.type
        : element
      : row.right
  const array = arrayTypeOf(b, wanted)
  const converted = coerceType(b, right, array === 0 ? right.type : array, -1, 'implicit', 'implicit', location)
  return {
    kind: 'any-array',
    function: call.function,
    operator: row.oid,
    all,
    left: call.args[0]!,
    right: converted,
    ...BOOL,
  }
}
