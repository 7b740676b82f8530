/**
 * What the rarer expressions do once their operands are values: arrays, rows, subscripts, conversions. Both the
 * tree-walking evaluation and the generated code call these.
 */
import type { Oid } from '../../storage/keys/brand.ts'
import type { Catalog } from '../catalog/catalog.ts'
import type { Expression, SqlValueOp } from '../plan/expression.ts'
import { DIMENSIONS_MAX, EMPTY_ARRAY, tooManyDimensions } from '../types/array/shape.ts'
import { assignSlice, assignSubscript, type SliceBound, slice, subscript } from '../types/array/subscript.ts'
import { notSupported, sqlError } from '../types/error.ts'
import { type CallContext, functionBodies } from '../types/function.ts'
import { assignJsonbSubscript } from '../types/json/change.ts'
import { OID } from '../types/oids.ts'
import type { Type, TypeContext } from '../types/type.ts'
import { ArrayValue, type Jsonb, RecordValue, type Value } from '../types/value.ts'
import type { Callable } from './functions.ts'
import { sameHash } from './hashing.ts'

export const asArray = (value: Value): ArrayValue => {
  if (value instanceof ArrayValue) return value
  throw sqlError('42804', 'array expected')
}

/** left op ANY/ALL (array) with the three-valued result. */
export function anyArray(compare: Callable, strict: boolean, all: boolean, left: Value, right: Value): boolean | null {
  if (right === null) return null
  const { elements } = asArray(right)
  if (elements.length === 0) return all
  if (strict && left === null) return null
  let unknown = false
  for (const element of elements) {
    const result = strict && element === null ? null : compare(left, element)
    if (result === null) unknown = true
    else if (result !== all) return !all
  }
  return unknown ? null : all
}

/** A constant array's elements for look-ups by equality: what `= ANY` and `<> ALL` ask. */
export class ArraySet {
  readonly keys: Set<Value>
  readonly hasNull: boolean
  readonly #hashKey: NonNullable<Type['hashKey']>
  constructor(array: ArrayValue, hashKey: NonNullable<Type['hashKey']>) {
    this.#hashKey = hashKey
    this.keys = new Set(array.elements.filter((element) => element !== null).map(hashKey))
    this.hasNull = array.elements.includes(null)
  }
  /** `all`: the operator is <> and the quantifier ALL. */
  test(left: Value, all: boolean): boolean | null {
    if (left === null) return null
    if (this.keys.has(this.#hashKey(left))) return !all
    return this.hasNull ? null : all
  }
}
/** From so many elements on, a constant array is hashed (PostgreSQL: MIN_ARRAY_SIZE_FOR_HASHED_SAOP). */
export const ARRAY_HASH_MIN = 9

/** How values of a constant array may be hashed for this comparison; undefined: they may not. */
export function arrayHashKey(
  catalog: Catalog,
  e: Extract<Expression, { kind: 'any-array' }>,
): Type['hashKey'] | undefined {
  const operator = catalog.operator(e.operator)
  if (operator === undefined) return undefined
  const equality = e.all ? operator.negator : operator.oid
  const elementType = catalog.typeRow(e.right.type)?.element
  if (elementType === undefined || catalog.btreeStrategy(equality)?.strategy !== 3) return undefined
  return sameHash(catalog, e.left.type, elementType)
}

const mismatched = () =>
  sqlError('2202E', 'multidimensional arrays must have array expressions with matching dimensions')

export function makeArray(elements: readonly Value[], nested: boolean): ArrayValue {
  if (!nested) return ArrayValue.of(elements)
  let first: ArrayValue | undefined
  let empty = false
  const flat: Value[] = []
  for (const element of elements) {
    if (element === null || asArray(element).dimensions.length === 0) {
      empty = true
      continue
    }
    const part = asArray(element)
    if (first === undefined) {
      first = part
      if (part.dimensions.length + 1 > DIMENSIONS_MAX) throw tooManyDimensions(part.dimensions.length + 1)
    } else if (!sameShape(first, part)) throw mismatched()
    for (const value of part.elements) flat.push(value)
  }
  if (first === undefined) return EMPTY_ARRAY
  if (empty) throw mismatched()
  return new ArrayValue(flat, [elements.length, ...first.dimensions], [1, ...first.lower])
}
const sameShape = (a: ArrayValue, b: ArrayValue): boolean =>
  a.dimensions.length === b.dimensions.length &&
  a.dimensions.every((length, i) => length === b.dimensions[i] && a.lower[i] === b.lower[i])

export function mapArray(array: Value, convert: (element: Value) => Value): Value {
  if (array === null) return null
  const { elements, dimensions, lower } = asArray(array)
  if (elements.length === 0) return array
  return new ArrayValue(elements.map(convert), dimensions, lower)
}

/** IS NULL (or IS NOT NULL when negated) of a row: every field is (not) null; fields that are rows are not looked into. */
export function rowIsNull(value: Value, negated: boolean): boolean {
  if (value === null) return !negated
  if (!(value instanceof RecordValue)) return negated
  for (const field of value.values) if ((field === null) === negated) return false
  return true
}

export function fieldOf(value: Value, index: number): Value {
  if (value === null) return null
  if (value instanceof RecordValue) return value.values[index] ?? null
  throw sqlError('42809', 'record expected')
}

export const convertIo = (value: Value, from: Type, to: Type, context: TypeContext): Value =>
  value === null ? null : to.input(from.output(value, context), -1, context)

export function greatest(least: boolean, type: Type, values: readonly Value[]): Value {
  const compare = orderOf(type)
  let best: Value = null
  for (const value of values) {
    if (value === null) continue
    if (best === null || (least ? compare(value, best) < 0 : compare(value, best) > 0)) best = value
  }
  return best
}

function orderOf(type: Type): NonNullable<Type['compare']> {
  if (type.compare === undefined)
    throw sqlError('42883', `could not identify a comparison function for type ${type.name}`)
  return type.compare
}

type Subscripts = readonly (Value | undefined)[]
/** container[…]: any NULL subscript gives NULL. `undefined` is an omitted bound. */
export function fetchSubscript(container: Value, isSlice: boolean, lower: Subscripts, upper: Subscripts): Value {
  for (let i = 0; i < upper.length; i++) if (upper[i] === null || lower[i] === null) return null
  if (typeof container === 'string') return byteOfName(container, upper as number[])
  const array = asArray(container)
  return isSlice ? slice(array, boundsOf(lower, upper)) : subscript(array, upper as number[])
}
const NAME_BYTES = 64
/** name[n] as "char"; bytes after the text are 0, which "char" shows as nothing. */
function byteOfName(name: string, [at, ...more]: readonly number[]): Value {
  if (at === undefined || more.length > 0 || at < 0 || at >= NAME_BYTES) return null
  const byte = Buffer.from(name)[at] ?? 0
  return byte === 0 ? '' : String.fromCharCode(byte)
}
export function storeSubscript(
  container: Value,
  isSlice: boolean,
  lower: Subscripts,
  upper: Subscripts,
  value: Value,
): Value {
  for (let i = 0; i < upper.length; i++)
    if (upper[i] === null || lower[i] === null)
      throw sqlError('22004', 'array subscript in assignment must not be null')
  const array = container === null ? null : asArray(container)
  if (!isSlice) return assignSubscript(array, upper as number[], value)
  return assignSlice(array, boundsOf(lower, upper), value === null ? null : asArray(value))
}
const boundsOf = (lower: Subscripts, upper: Subscripts): SliceBound[] =>
  upper.map((bound, i) => ({ lower: lower[i] as number | undefined, upper: bound as number | undefined }))

/** jsonb['a'][0] reads as `#> path`. */
export function fetchJsonSubscript(container: Value, path: Subscripts, context: CallContext): Value {
  if (path.some((part) => part === null)) return null
  const body = functionBodies.get('jsonb_extract_path')
  if (body === undefined || body.kind === 'set') throw notSupported('jsonb subscripting')
  const call = (body.kind === 'scalar'
    ? body.run
    : body.bind({
        argTypes: [OID.jsonb, OID.textArray],
        argTypmods: [-1, -1],
        returnType: OID.jsonb,
        variadic: true,
        context,
      })) as unknown as Callable
  return call(container, ArrayValue.of(path.map((part) => String(part))))
}

export function storeJsonSubscript(container: Value, path: Subscripts, value: Value): Value {
  if (path.some((part) => part === null)) throw sqlError('22004', 'jsonb subscript in assignment must not be null')
  const keys = path.map((part) => String(part))
  return assignJsonbSubscript(container as Jsonb | null, keys, typeof path[0] === 'number', value as Jsonb | null)
}

/** CURRENT_USER and its kin, by the functions of the same name. */
const NAME_FUNCTIONS: Partial<Record<SqlValueOp, string>> = {
  current_user: 'current_user',
  current_role: 'current_user',
  user: 'current_user',
  session_user: 'session_user',
  current_catalog: 'current_database',
  current_schema: 'current_schema',
}
export function nameValue(op: SqlValueOp, context: CallContext): Value {
  const source = NAME_FUNCTIONS[op]
  const body = source === undefined ? undefined : functionBodies.get(source)
  if (body === undefined || body.kind === 'set') throw notSupported(op.toUpperCase())
  const none: readonly Oid[] = []
  const call = (body.kind === 'scalar'
    ? body.run
    : body.bind({
        argTypes: none,
        argTypmods: [],
        returnType: OID.name,
        variadic: false,
        context,
      })) as unknown as Callable
  return call()
}
