/**
 * Conversions between types: which exist in which context (implicit, on assignment, explicit), and the expression that
 * makes one. After PostgreSQL's manual, chapter 10 "Type Conversion", and parse_coerce.c's rules.
 *
 *   literal      'x' of type unknown     read by the target type's input function, now
 *   pg_cast      int4 → int8             a call of the cast function, or nothing when binary-coercible
 *   arrays       int4[] → int8[]         the element's conversion applied to each
 *   text         anything ↔ text         through output and input functions, explicit (to text: on assignment too)
 */
import { type Oid, oid } from '../../storage/keys/brand.ts'
import type { Display, Expression } from '../plan/expression.ts'
import { OID } from '../types/oids.ts'
import {
  arrayTypeOf,
  at,
  type BindContext,
  baseType,
  baseTypmod,
  elementType,
  errorAt,
  located,
  placeOf,
  typeName,
} from './context.ts'

export type CoercionContext = 'implicit' | 'assignment' | 'explicit'
const LEVEL: Readonly<Record<CoercionContext, number>> = { implicit: 0, assignment: 1, explicit: 2 }
const CAST_LEVEL: Readonly<Record<'i' | 'a' | 'e', number>> = { i: 0, a: 1, e: 2 }

type Pathway =
  | { readonly kind: 'none' }
  | { readonly kind: 'relabel' }
  | { readonly kind: 'function'; readonly function: Oid }
  | { readonly kind: 'io' }
  | { readonly kind: 'array' }

const NONE: Pathway = { kind: 'none' }
const RELABEL: Pathway = { kind: 'relabel' }

const DATETIME = new Set<Oid>([OID.date, OID.time, OID.timetz, OID.timestamp, OID.timestamptz, OID.interval])
const CLOCK_WORD = /now|today|tomorrow|yesterday/i

const POLYMORPHIC = new Set<Oid>([
  OID.anyelement,
  OID.anyarray,
  OID.anynonarray,
  OID.anyenum,
  OID.anyrange,
  OID.anymultirange,
  OID.anycompatible,
  OID.anycompatiblearray,
  OID.anycompatiblenonarray,
  OID.anycompatiblerange,
  OID.anycompatiblemultirange,
]) // prettier-ignore
export const isPolymorphic = (type: Oid): boolean => POLYMORPHIC.has(type)

const isString = (b: BindContext, type: Oid): boolean => b.catalog.typeRow(type)?.category === 'S'

/** How `source` becomes `target`; 'none' when it does not in this context. */
export function findPathway(b: BindContext, target: Oid, source: Oid, context: CoercionContext): Pathway {
  const from = baseType(b, source)
  const to = baseType(b, target)
  if (from === to) return RELABEL
  const cast = b.catalog.cast(from, to)
  if (cast !== undefined) {
    if (LEVEL[context] < CAST_LEVEL[cast.context]) return NONE
    if (cast.method === 'b') return RELABEL
    return cast.method === 'i' ? { kind: 'io' } : { kind: 'function', function: cast.function }
  }
  // int2vector and oidvector do not convert by their elements.
  if (to !== OID.oidvector && to !== OID.int2vector) {
    const toElement = elementType(b, to)
    const fromElement = elementType(b, from)
    if (toElement !== 0 && fromElement !== 0) {
      const inner = findPathway(b, toElement, fromElement, context)
      if (inner.kind === 'relabel') return toElement === fromElement ? RELABEL : { kind: 'array' }
      if (inner.kind !== 'none') return { kind: 'array' }
    }
  }
  if (context !== 'implicit' && isString(b, to)) return { kind: 'io' }
  if (context === 'explicit' && isString(b, from)) return { kind: 'io' }
  return NONE
}

/** Whether values of these types may be passed where those are wanted (PostgreSQL's can_coerce_type). */
export function canCoerce(
  b: BindContext,
  inputs: readonly Oid[],
  targets: readonly Oid[],
  context: CoercionContext,
): boolean {
  let polymorphic = false
  for (let i = 0; i < inputs.length; i++) {
    const input = inputs[i]!
    const target = targets[i]!
    if (input === target || target === OID.any) continue
    if (isPolymorphic(target)) {
      polymorphic = true
      continue
    }
    if (input === OID.unknown) continue
    if (findPathway(b, target, input, context).kind !== 'none') continue
    if (input === OID.record && b.catalog.typeRow(baseType(b, target))?.kind === 'c') continue
    if (target === OID.record && b.catalog.typeRow(baseType(b, input))?.kind === 'c') continue
    if (target === OID.recordArray && b.catalog.typeRow(elementType(b, input))?.kind === 'c') continue
    return false
  }
  return !polymorphic || resolvePolymorphic(b, inputs, targets, undefined) !== undefined
}

const constant = (type: Oid, value: Expression & { kind: 'const' }): Expression => ({ ...value, type })

/** Reads a literal of unknown type as `target`. */
export function readLiteral(
  b: BindContext,
  text: string | null,
  target: Oid,
  typmod: number,
  location?: number,
): Expression {
  const base = baseType(b, target)
  if (DATETIME.has(base) && text !== null) {
    b.dependsOnSettings = true
    if (CLOCK_WORD.test(text)) b.dependsOnClock = true
  }
  const row = b.catalog.typeRow(base)
  if (
    row?.kind === 'p' &&
    base !== OID.record &&
    base !== OID.cstring &&
    base !== OID.void &&
    base !== OID.unknown &&
    base !== OID.any
  ) {
    throw errorAt(b, '0A000', `cannot accept a value of type ${typeName(b, base)}`, location)
  }
  // interval's fields come with its typmod; other input functions leave the length to the length coercion that follows.
  const value =
    text === null
      ? null
      : at(b, location, () => b.catalog.type(base).input(text, base === OID.interval ? typmod : -1, b.typeContext))
  return { kind: 'const', value, type: target, typmod: base === OID.interval ? typmod : -1 }
}

/** The expression converted to `target`, typmod not yet applied; throws 42846 when there is no way (callers check first where the message differs). */
export function coerceType(
  b: BindContext,
  e: Expression,
  target: Oid,
  typmod: number,
  context: CoercionContext,
  display: Display,
  location?: number,
): Expression {
  if (e.type === target || target === OID.any) return e
  if (isPolymorphic(target)) return e
  if (e.type === OID.unknown) {
    if (e.kind === 'const') {
      const place = location ?? placeOf(e)
      return located(
        isDomain(b, target)
          ? intoDomain(b, e, target, context, display, place)
          : readLiteral(b, e.value as string | null, target, typmod, place),
        place,
      )
    }
    if (e.kind === 'param') {
      const known = b.parameters[e.index - 1] ?? 0
      if (known === 0 || known === OID.unknown) b.parameters[e.index - 1] = target
      else if (known !== target)
        return coerceType(b, { ...e, type: known as Oid }, target, typmod, context, display, location)
      return { ...e, type: target }
    }
    if (isDomain(b, target)) return intoDomain(b, e, target, context, display, location)
    return { kind: 'coerce-io', arg: e, display, type: target, typmod: -1 }
  }
  if (isDomain(b, target)) return intoDomain(b, e, target, context, display, location)
  const way = findPathway(b, target, e.type, context)
  switch (way.kind) {
    case 'relabel':
      if (e.kind === 'const') return constant(target, { ...e, typmod: -1 })
      return { kind: 'relabel', arg: e, display, type: target, typmod: -1 }
    case 'function':
      return castCall(b, way.function, e, target, typmod, context, display)
    case 'io':
      return { kind: 'coerce-io', arg: e, display, type: target, typmod: -1 }
    case 'array': {
      const from = elementType(b, e.type)
      const to = elementType(b, target)
      const test: Expression = { kind: 'case-test', type: from, typmod: -1 }
      return {
        kind: 'array-coerce',
        arg: e,
        element: coerceTo(b, test, to, typmod, context, display, location),
        display,
        type: target,
        typmod,
      }
    }
    case 'none':
      break
  }
  const targetRow = b.catalog.typeRow(target)
  if (e.type === OID.record && targetRow?.kind === 'c') return coerceRow(b, e, target, context, display, location)
  if (target === OID.record && b.catalog.typeRow(baseType(b, e.type))?.kind === 'c')
    return { kind: 'relabel', arg: e, display, type: target, typmod: -1 }
  throw cannotCast(b, e.type, target, location)
}

const isDomain = (b: BindContext, type: Oid): boolean => type >= 10000 && b.catalog.typeRow(type)?.kind === 'd'

/** To the base type and its length first; the relabel to the domain then asks the domain's rules (the executor does). */
function intoDomain(
  b: BindContext,
  e: Expression,
  domain: Oid,
  context: CoercionContext,
  display: Display,
  location?: number,
): Expression {
  const base = baseType(b, domain)
  if (!canCoerce(b, [e.type], [base], context)) throw cannotCast(b, e.type, domain, location)
  const value = coerceTo(b, e, base, baseTypmod(b, domain, -1), context, 'implicit', location)
  return { kind: 'relabel', arg: value, display, type: domain, typmod: -1 }
}

export const cannotCast = (b: BindContext, from: Oid, to: Oid, location?: number) =>
  errorAt(b, '42846', `cannot cast type ${typeName(b, from)} to ${typeName(b, to)}`, location)

function castCall(
  b: BindContext,
  fn: Oid,
  e: Expression,
  target: Oid,
  typmod: number,
  context: CoercionContext,
  display: Display,
): Expression {
  const row = b.catalog.function(fn)!
  const args: Expression[] = [e]
  if (row.argTypes.length > 1) args.push({ kind: 'const', value: typmod, type: OID.int4, typmod: -1 })
  if (row.argTypes.length > 2) args.push({ kind: 'const', value: context === 'explicit', type: OID.bool, typmod: -1 })
  return {
    kind: 'call',
    function: fn,
    args,
    display,
    variadic: false,
    setReturning: false,
    type: target,
    typmod: row.argTypes.length > 1 ? typmod : -1,
  }
}

function coerceRow(
  b: BindContext,
  e: Expression,
  target: Oid,
  context: CoercionContext,
  display: Display,
  location?: number,
): Expression {
  const relation = b.catalog.relation(b.catalog.typeRow(target)!.relation)
  if (e.kind !== 'row' || relation === undefined) throw cannotCast(b, e.type, target, location)
  const columns = relation.columns.filter((column) => !column.dropped)
  if (columns.length !== e.fields.length) {
    throw errorAt(b, '42846', `cannot cast type record to ${typeName(b, target)}`, location, {
      detail: columns.length < e.fields.length ? 'Input has too many columns.' : 'Input has too few columns.',
    })
  }
  const fields = e.fields.map((field, i) =>
    coerceTo(b, field, columns[i]!.type, columns[i]!.typmod, context, 'implicit', location),
  )
  return {
    kind: 'row',
    fields,
    names: columns.map((column) => column.name),
    type: target,
    typmod: -1,
    ...(display === 'implicit' ? {} : {}),
  }
}

/** Applies a typmod (length, precision) by the type's length coercion function, if it has one. */
function coerceTypmod(
  b: BindContext,
  e: Expression,
  target: Oid,
  typmod: number,
  context: CoercionContext,
  display: Display,
): Expression {
  if (typmod < 0) {
    // A cast to a type without a length shows that there is none.
    if (display !== 'cast' || context !== 'explicit' || e.typmod < 0) return e
    return e.kind === 'const' ? { ...e, typmod: -1 } : { kind: 'relabel', arg: e, display, type: target, typmod: -1 }
  }
  if (e.typmod === typmod) return e
  const base = baseType(b, target)
  const element = elementType(b, base)
  if (element !== 0) {
    const inner = b.catalog.cast(element, element)
    if (inner === undefined || inner.function === 0) return e
    const test: Expression = { kind: 'case-test', type: element, typmod: -1 }
    const body = castCall(b, inner.function, test, element, typmod, context, 'implicit')
    return { kind: 'array-coerce', arg: e, element: body, display, type: target, typmod }
  }
  const cast = b.catalog.cast(base, base)
  if (cast === undefined || cast.function === 0)
    return e.kind === 'const' && base === OID.interval ? e : { ...e, typmod }
  return castCall(b, cast.function, e, target, typmod, context, display)
}

/** Converts to a type and typmod together. A conversion to a domain checks its constraints in the executor's 'relabel' to the domain type. */
export function coerceTo(
  b: BindContext,
  e: Expression,
  target: Oid,
  typmod: number,
  context: CoercionContext,
  display: Display,
  location?: number,
): Expression {
  const converted = coerceType(b, e, target, typmod, context, display, location)
  if (isDomain(b, target)) return converted
  return coerceTypmod(b, converted, target, typmod, context, converted === e ? display : 'implicit')
}

/** To boolean for WHERE and kin: 42804 with PostgreSQL's words. */
export function coerceToBoolean(b: BindContext, e: Expression, construct: string, location?: number): Expression {
  if (e.type === OID.bool) return e
  if (e.type !== OID.unknown && !canCoerce(b, [e.type], [OID.bool], 'assignment')) {
    throw errorAt(
      b,
      '42804',
      `argument of ${construct} must be type boolean, not type ${typeName(b, e.type)}`,
      location ?? placeOf(e),
    )
  }
  return coerceTo(b, e, OID.bool, -1, 'assignment', 'implicit', location ?? placeOf(e))
}

/** To a given type for LIMIT and such. */
export function coerceToSpecific(
  b: BindContext,
  e: Expression,
  target: Oid,
  construct: string,
  location?: number,
): Expression {
  if (e.type === target) return e
  if (e.type !== OID.unknown && !canCoerce(b, [e.type], [target], 'assignment')) {
    throw errorAt(
      b,
      '42804',
      `argument of ${construct} must be type ${typeName(b, target)}, not type ${typeName(b, e.type)}`,
      location ?? placeOf(e),
    )
  }
  return coerceTo(b, e, target, -1, 'assignment', 'implicit', location ?? placeOf(e))
}

/** The common type of UNION columns, CASE branches, VALUES, ARRAY (manual 10.5). `construct` undefined: no error, 0 instead. */
export function selectCommonType(
  b: BindContext,
  types: readonly Oid[],
  construct: string | undefined,
  places?: (i: number) => number | undefined,
): Oid {
  const first = types[0]!
  if (first !== OID.unknown && types.every((type) => type === first)) return first
  let chosen = baseType(b, first)
  let category = b.catalog.typeRow(chosen)?.category
  for (let i = 1; i < types.length; i++) {
    const next = baseType(b, types[i]!)
    if (next === OID.unknown || next === chosen) continue
    const row = b.catalog.typeRow(next)!
    if (chosen === OID.unknown) {
      chosen = next
      category = row.category
      continue
    }
    if (row.category !== category) {
      if (construct === undefined) return oid(0)
      throw errorAt(
        b,
        '42804',
        `${construct} types ${typeName(b, chosen)} and ${typeName(b, next)} cannot be matched`,
        places?.(i),
      )
    }
    const chosenRow = b.catalog.typeRow(chosen)!
    if (
      !chosenRow.preferred &&
      canCoerce(b, [chosen], [next], 'implicit') &&
      !canCoerce(b, [next], [chosen], 'implicit')
    ) {
      chosen = next
      category = row.category
    }
  }
  return chosen === OID.unknown ? OID.text : chosen
}

/** The same of bound expressions: an error points at the one that does not fit. */
export const commonTypeOf = (b: BindContext, list: readonly Expression[], construct: string): Oid =>
  selectCommonType(
    b,
    list.map((e) => e.type),
    construct,
    (i) => placeOf(list[i]!),
  )

export function coerceToCommon(
  b: BindContext,
  e: Expression,
  target: Oid,
  construct: string,
  location?: number,
): Expression {
  if (e.type === target) return e
  if (e.type !== OID.unknown && !canCoerce(b, [e.type], [target], 'implicit')) {
    throw errorAt(
      b,
      '42846',
      `${construct} could not convert type ${typeName(b, e.type)} to ${typeName(b, target)}`,
      location ?? placeOf(e),
    )
  }
  return coerceType(b, e, target, -1, 'implicit', 'implicit', location ?? placeOf(e))
}

/** The typmod they all share, else -1. */
export function commonTypmod(expressions: readonly Expression[], type: Oid): number {
  const first = expressions[0]
  if (first === undefined) return -1
  return expressions.every((e) => e.type === type && e.typmod === first.typmod) ? first.typmod : -1
}

/**
 * Settles polymorphic parameters for one call: the declared types with any* replaced, and the result type.
 * undefined when the actual types do not fit together. Two families are settled apart: anyelement and its kin must agree
 * exactly, anycompatible and its kin find a common type.
 */
export function resolvePolymorphic(
  b: BindContext,
  actual: readonly Oid[],
  declared: readonly Oid[],
  result: Oid | undefined,
): { readonly args: readonly Oid[]; readonly result: Oid } | undefined {
  const exact: Family = { element: oid(0), array: oid(0), range: oid(0), multirange: oid(0) }
  const loose: Family = { ...exact }
  const compatible: Oid[] = []
  let unknowns = 0
  for (let i = 0; i < declared.length; i++) {
    const want = declared[i]!
    const place = PLACES.get(want)
    if (place === undefined) continue
    const have = actual[i] ?? OID.unknown
    if (have === OID.unknown) {
      unknowns++
      continue
    }
    const family = place.loose ? loose : exact
    // Elements of the loose family are converted to a common type; all else must be the same type each time.
    if (place.loose && place.of === 'element') {
      compatible.push(have)
      continue
    }
    const settled = place.of === 'element' || have === OID.anyarray ? have : baseType(b, have)
    if (place.loose && place.of === 'array') {
      const inner = elementType(b, settled)
      if (inner === 0) return undefined
      compatible.push(inner)
      continue
    }
    if (family[place.of] !== 0 && family[place.of] !== settled) return undefined
    family[place.of] = settled
  }
  if (!settleContainers(b, exact) || !settleContainers(b, loose)) return undefined
  const { element: inner } = loose
  if (inner !== 0) compatible.push(inner)
  if (exact.array === OID.anyarray && exact.element === 0) exact.element = OID.anyelement
  if (exact.element === 0 && unknowns > 0 && compatible.length === 0 && !declared.some((type) => RANGES.has(type)))
    exact.element = OID.text
  if (declared.includes(OID.anynonarray) && elementType(b, exact.element) !== 0) return undefined
  if (declared.includes(OID.anyenum) && b.catalog.typeRow(exact.element)?.kind !== 'e') return undefined
  let common: Oid = OID.text
  if (compatible.length > 0) {
    common = selectCommonType(b, compatible, undefined)
    if (common === 0) return undefined
    if (inner !== 0 && common !== inner) return undefined
    if (!compatible.every((type) => canCoerce(b, [type], [common], 'implicit'))) return undefined
    if (declared.includes(OID.anycompatiblenonarray) && elementType(b, common) !== 0) return undefined
  }
  loose.element = common
  const settle = (type: Oid): Oid => {
    const place = PLACES.get(type)
    if (place === undefined) return type
    const family = place.loose ? loose : exact
    if (place.of === 'array' && family.array === 0) return arrayTypeOf(b, family.element)
    return family[place.of]
  }
  const args = declared.map(settle)
  if (args.some((type) => type === 0)) return undefined
  return { args, result: result === undefined ? oid(0) : settle(result) }
}

/** What the types of one family stand for; 0 where nothing said it. */
interface Family {
  element: Oid
  array: Oid
  range: Oid
  multirange: Oid
}

const PLACES = new Map<Oid, { readonly of: keyof Family; readonly loose: boolean }>([
  [OID.anyelement, { of: 'element', loose: false }],
  [OID.anynonarray, { of: 'element', loose: false }],
  [OID.anyenum, { of: 'element', loose: false }],
  [OID.anyarray, { of: 'array', loose: false }],
  [OID.anyrange, { of: 'range', loose: false }],
  [OID.anymultirange, { of: 'multirange', loose: false }],
  [OID.anycompatible, { of: 'element', loose: true }],
  [OID.anycompatiblenonarray, { of: 'element', loose: true }],
  [OID.anycompatiblearray, { of: 'array', loose: true }],
  [OID.anycompatiblerange, { of: 'range', loose: true }],
  [OID.anycompatiblemultirange, { of: 'multirange', loose: true }],
])
const RANGES = new Set<Oid>([OID.anyrange, OID.anymultirange, OID.anycompatiblerange, OID.anycompatiblemultirange]) // prettier-ignore

/** A container says what its element is, a range what its multirange is, and back. False when they do not agree. */
function settleContainers(b: BindContext, family: Family): boolean {
  const agree = (place: keyof Family, type: Oid): boolean => {
    if (type === 0 || (family[place] !== 0 && family[place] !== type)) return false
    family[place] = type
    return true
  }
  if (family.multirange !== 0 && !agree('range', b.catalog.typeRow(family.multirange)?.rangeType ?? oid(0)))
    return false
  if (family.range !== 0) {
    const range = b.catalog.typeRow(family.range)?.range
    if (range === undefined || !agree('multirange', range.multirange) || !agree('element', range.subtype)) return false
  }
  return family.array === 0 || family.array === OID.anyarray || agree('element', elementType(b, family.array))
}

/** An unknown literal or parameter that nothing else settled becomes text. */
export const settleUnknown = (b: BindContext, e: Expression): Expression =>
  e.type === OID.unknown ? coerceType(b, e, OID.text, -1, 'implicit', 'implicit') : e
