/**
 * Calls written with parentheses: plain functions, casts in function form, aggregates (with DISTINCT, ORDER BY, FILTER,
 * WITHIN GROUP), window calls (OVER), and columns in function form.
 */
import type { FuncCall, Node, WindowDef } from '@pgsql/types'
import { type Oid, oid } from '../../storage/keys/brand.ts'
import type { Expression, SortKey } from '../plan/expression.ts'
import type { FrameBound, Window } from '../plan/query.ts'
import { sameExpression, withoutImplicit } from '../plan/walk.ts'
import { notSupported } from '../types/error.ts'
import { OID, PG_CATALOG } from '../types/oids.ts'
import {
  canCoerce,
  coerceToBoolean,
  coerceToCommon,
  coerceToSpecific,
  coerceType,
  commonTypeOf,
  findPathway,
  settleUnknown,
} from './coerce.ts'
import { type BindContext, baseType, elementType, errorAt, placeOf, typeName } from './context.ts'
import { bindExpression, bindList } from './expression.ts'
import { LATERAL_HINT, placeAggregate, placeSetReturning, placeWindow, requireNoVariables } from './placement.ts'
import { displayOf, findFunction, functionArguments, functionMissing } from './resolve.ts'
import { bindField, rowFields } from './row.ts'
import { type Scope, within } from './scope.ts'
import { bindText } from './text.ts'
import { namesOf, typeForCall } from './typename.ts'

export function bindCall(b: BindContext, scope: Scope, node: FuncCall): Expression {
  const location = node.location
  const path = namesOf(node.funcname)
  const name = path.at(-1)!
  const schema = path.length > 1 ? path.at(-2) : undefined
  const given = node.args ?? []
  const names = given.map((arg) => ('NamedArgExpr' in arg ? arg.NamedArgExpr.name : undefined))
  const nodes = given.map((arg) => ('NamedArgExpr' in arg ? arg.NamedArgExpr.arg! : arg))

  const firstNamed = names.findIndex((each) => each !== undefined)
  const over = node.over !== undefined
  const setsBefore = scope.setReturningCalls
  const args = bindArguments(b, scope, nodes)
  if (over && scope.setReturningCalls !== setsBefore) {
    throw errorAt(
      b,
      '0A000',
      'window function calls cannot contain set-returning function calls',
      scope.lastSetReturning,
      LATERAL_HINT,
    )
  }
  const order = within(scope, scope.clause === 'select' ? 'order by' : scope.clause, () =>
    bindSortKeys(b, scope, node.agg_order ?? []),
  )
  const filter =
    node.agg_filter &&
    within(scope, 'filter', () => coerceToBoolean(b, bindExpression(b, scope, node.agg_filter!), 'FILTER'))

  names.forEach((each, i) => {
    if (firstNamed >= 0 && i > firstNamed && each === undefined) {
      throw errorAt(b, '42601', 'positional argument cannot follow named argument', placeOf(args[i]!))
    }
    if (each !== undefined && names.indexOf(each) < i) {
      throw errorAt(b, '42601', `argument name "${each}" used more than once`, placeOf(args[i]!))
    }
  })
  const plain =
    !node.agg_star &&
    !node.agg_distinct &&
    order.length === 0 &&
    filter === undefined &&
    !over &&
    names.every((each) => each === undefined)
  // f(x) may be a column of x.
  if (plain && args.length === 1 && schema === undefined) {
    const arg = args[0]!
    const fields = arg.type === OID.record || b.catalog.typeRow(arg.type)?.kind === 'c' ? rowFields(b, arg) : undefined
    if (fields?.some((field) => field.name === name)) return bindField(b, arg, name, location)
  }
  // WITHIN GROUP: the ordering expressions are the aggregate's own arguments.
  const withinGroup = node.agg_within_group === true
  const types = [...args.map((arg) => arg.type), ...(withinGroup ? order.map((key) => key.expression.type) : [])]
  const match = findFunction(b, schema, name, types, names, node.func_variadic === true, location)

  // A type's name as a function is a cast, unless a function takes just this type (func_get_detail).
  if (plain && args.length === 1 && (match.kind !== 'found' || !isExact(b, match.row.oid, types))) {
    const cast = castCall(b, schema, name, args[0]!)
    if (cast !== undefined) return cast
  }
  if (match.kind !== 'found') {
    const misplaced = order.length > 1 && !withinGroup && match.kind === 'missing'
    throw functionMissing(b, schema, name, types, names, match.kind, location, misplaced)
  }

  const { row } = match
  if (row.kind === 'a' && withinGroup)
    checkDirectArguments(b, row.oid, schema, name, types, args.length, order.length, location)
  if (node.func_variadic && row.variadic === OID.any && args.length > 0) {
    const last = args.at(-1)!
    if (last.type !== OID.unknown && elementType(b, last.type) === 0) {
      throw errorAt(b, '42804', 'VARIADIC argument must be an array', placeOf(last))
    }
  }
  const hypothetical = withinGroup && b.catalog.aggregate(row.oid)?.kind === 'h'
  const all = withinGroup ? unified(b, args, order, hypothetical) : args
  const resolved = functionArguments(b, match.candidate, all, (text, type) => bindText(b, text, type))
  switch (row.kind) {
    case 'a':
      return over
        ? windowCall(b, scope, node, row.oid, resolved, filter, true)
        : aggregateCall(b, scope, node, row.oid, args.length, order, filter, resolved)
    case 'w':
      if (!over) throw errorAt(b, '42809', `window function ${row.name} requires an OVER clause`, location)
      return windowCall(b, scope, node, row.oid, resolved, filter, false)
    case 'p':
      throw errorAt(
        b,
        '42809',
        `${row.name}(${types.map((type) => typeName(b, type)).join(', ')}) is a procedure`,
        location,
        { hint: 'To call a procedure, use CALL.' },
      )
    case 'f':
      break
  }
  if (node.agg_star)
    throw errorAt(b, '42809', `${name}(*) specified, but ${name} is not an aggregate function`, location)
  if (node.agg_distinct)
    throw errorAt(b, '42809', `DISTINCT specified, but ${name} is not an aggregate function`, location)
  if (withinGroup)
    throw errorAt(b, '42809', `WITHIN GROUP specified, but ${name} is not an aggregate function`, location)
  if (order.length > 0)
    throw errorAt(b, '42809', `ORDER BY specified, but ${name} is not an aggregate function`, location)
  if (filter !== undefined)
    throw errorAt(b, '42809', `FILTER specified, but ${name} is not an aggregate function`, location)
  if (over)
    throw errorAt(
      b,
      '42809',
      `OVER specified, but ${name} is not a window function nor an aggregate function`,
      location,
    )
  if (row.returnsSet) placeSetReturning(b, scope, location)
  return {
    kind: 'call',
    function: row.oid,
    args: resolved.args,
    display: displayOf(node.funcformat),
    variadic: node.func_variadic === true || match.candidate.spread,
    setReturning: row.returnsSet,
    type: resolved.type,
    typmod: -1,
  }
}

/** Arguments of a function in FROM are one level down: sets may not stand there. */
function bindArguments(b: BindContext, scope: Scope, nodes: readonly Node[]): Expression[] {
  scope.insideFunctionArguments++
  try {
    return bindList(b, scope, nodes)
  } finally {
    scope.insideFunctionArguments--
  }
}

const isExact = (b: BindContext, fn: Oid, types: readonly Oid[]): boolean =>
  b.catalog.function(fn)!.argTypes.every((type, i) => type === types[i])

/** The cast that `name(arg)` means when the name is a type's; undefined when there is no such type or conversion. */
function castCall(b: BindContext, schema: string | undefined, name: string, arg: Expression): Expression | undefined {
  const type = typeForCall(b, schema, name)
  if (type === undefined || type.kind === 'c') return undefined
  if (arg.type !== OID.unknown) {
    const way = findPathway(b, type.oid, arg.type, 'explicit').kind
    if (way === 'none' || way === 'array') return undefined
    const composite = arg.type === OID.record || b.catalog.typeRow(arg.type)?.kind === 'c'
    if (way === 'io' && composite && type.category === 'S') return undefined
  }
  return coerceType(b, arg, type.oid, -1, 'explicit', 'cast')
}

// ── Aggregates ───────────────────────────────────────────────────────────────────────────────────────────────────

/** Ordered-set aggregates take so many arguments before WITHIN GROUP; hypothetical ones as many as there are sort keys. */
function checkDirectArguments(
  b: BindContext,
  fn: Oid,
  schema: string | undefined,
  name: string,
  types: readonly Oid[],
  direct: number,
  ordering: number,
  location: number | undefined,
): void {
  const info = b.catalog.aggregate(fn)
  if (info?.kind !== 'h' || direct === ordering) return
  const missing = functionMissing(b, schema, name, types, [], 'missing', location)
  const counts = `the number of hypothetical direct arguments (here ${direct}) must match the number of ordering columns (here ${ordering})`
  throw errorAt(b, '42883', missing.message, location, {
    hint: `To use the hypothetical-set aggregate ${name}, ${counts}.`,
  })
}

/** Direct arguments and sort keys together; those of a hypothetical-set aggregate have common types in pairs. */
function unified(
  b: BindContext,
  args: readonly Expression[],
  order: readonly SortKey[],
  hypothetical: boolean,
): Expression[] {
  const keys = order.map((key) => key.expression)
  if (!hypothetical) return [...args, ...keys]
  const types = args.map((arg, i) => commonTypeOf(b, [keys[i]!, arg], 'WITHIN GROUP'))
  const to = (e: Expression, i: number): Expression => coerceToCommon(b, e, types[i]!, 'WITHIN GROUP')
  return [...args.map(to), ...keys.map(to)]
}

function aggregateCall(
  b: BindContext,
  scope: Scope,
  node: FuncCall,
  fn: Oid,
  directCount: number,
  order: readonly SortKey[],
  filter: Expression | undefined,
  resolved: { readonly args: readonly Expression[]; readonly type: Oid },
): Expression {
  const location = node.location
  const row = b.catalog.function(fn)!
  const info = b.catalog.aggregate(fn)
  const ordered = info !== undefined && info.kind !== 'n'
  if (ordered && !node.agg_within_group)
    throw errorAt(b, '42809', `WITHIN GROUP is required for ordered-set aggregate ${row.name}`, location)
  if (!ordered && node.agg_within_group)
    throw errorAt(b, '42809', `${row.name} is not an ordered-set aggregate, so it cannot have WITHIN GROUP`, location)
  if (node.agg_star && row.argTypes.length > 0) {
    throw errorAt(b, '42809', `${row.name}(*) must be used to call a parameterless aggregate function`, location)
  }
  if (!node.agg_star && row.argTypes.length === 0 && !ordered)
    throw errorAt(b, '42809', `${row.name}(*) must be used to call a parameterless aggregate function`, location)
  const direct = ordered ? resolved.args.slice(0, directCount) : []
  // Values to be told apart have a type: a literal that "any" has taken becomes text.
  const plain = node.agg_distinct ? resolved.args.map((arg) => settleUnknown(b, arg)) : resolved.args
  const args = ordered ? [] : plain
  const keys = ordered
    ? order.map((key, i) => ({ ...key, expression: resolved.args[directCount + i] ?? key.expression }))
    : order
  if (node.agg_distinct) {
    for (const arg of args)
      if (b.catalog.btree(arg.type) === undefined)
        throw errorAt(b, '42883', `could not identify an equality operator for type ${typeName(b, arg.type)}`, location)
    const among = (key: Expression) => args.some((arg) => sameExpression(withoutImplicit(arg), key))
    if (keys.some((key) => !among(key.expression))) {
      throw errorAt(
        b,
        '42P10',
        'in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list',
        placeOf(keys.find((key) => !among(key.expression))!.expression),
      )
    }
  }
  const inside = [...args, ...keys.map((key) => key.expression), ...(filter === undefined ? [] : [filter])]
  const level = placeAggregate(b, scope, inside, direct, 'aggregate functions', location)
  return {
    kind: 'aggregate',
    function: fn,
    directArgs: direct,
    args,
    star: node.agg_star === true,
    distinct: node.agg_distinct === true,
    orderBy: keys,
    filter,
    variadic: node.func_variadic === true,
    level,
    type: resolved.type,
    typmod: -1,
  }
}

/** ORDER BY inside a call: by expression only. */
function bindSortKeys(b: BindContext, scope: Scope, nodes: readonly Node[]): SortKey[] {
  return nodes.map((node) => {
    if (!('SortBy' in node)) throw notSupported('this ORDER BY item')
    const e = settleUnknown(b, bindExpression(b, scope, node.SortBy.node!))
    const { descending, nullsFirst } = sortDirection(b, node, e.type)
    return { expression: e, descending, nullsFirst, ...(e.collation === undefined ? {} : { collation: e.collation }) }
  })
}

export function sortDirection(
  b: BindContext,
  node: Node,
  type: Oid,
): { readonly descending: boolean; readonly nullsFirst: boolean } {
  if (!('SortBy' in node)) throw notSupported('this ORDER BY item')
  const { sortby_dir: direction, sortby_nulls: nulls, useOp, location } = node.SortBy
  if (b.catalog.btree(baseType(b, type)) === undefined) {
    throw errorAt(b, '42883', `could not identify an ordering operator for type ${typeName(b, type)}`, location, {
      hint: 'Use an explicit ordering operator or modify the query.',
    })
  }
  let descending = direction === 'SORTBY_DESC'
  if (direction === 'SORTBY_USING') {
    const operator = namesOf(useOp).at(-1)
    if (operator !== '<' && operator !== '>') throw notSupported(`ORDER BY USING ${operator}`)
    descending = operator === '>'
  }
  return { descending, nullsFirst: nulls === 'SORTBY_NULLS_FIRST' || (nulls !== 'SORTBY_NULLS_LAST' && descending) }
}

// ── Windows ──────────────────────────────────────────────────────────────────────────────────────────────────────

function windowCall(
  b: BindContext,
  scope: Scope,
  node: FuncCall,
  fn: Oid,
  resolved: { readonly args: readonly Expression[]; readonly type: Oid },
  filter: Expression | undefined,
  aggregate: boolean,
): Expression {
  const location = node.location
  const name = namesOf(node.funcname).at(-1)!
  if (node.agg_distinct) throw errorAt(b, '0A000', 'DISTINCT is not implemented for window functions', location)
  if (node.agg_within_group)
    throw errorAt(b, '0A000', `OVER is not supported for ordered-set aggregate ${name}`, location)
  if ((node.agg_order?.length ?? 0) > 0)
    throw errorAt(b, '0A000', 'aggregate ORDER BY is not implemented for window functions', location)
  if (filter !== undefined && !aggregate)
    throw errorAt(b, '0A000', 'FILTER is not implemented for non-aggregate window functions', location)
  const window = windowOf(b, scope, node.over!)
  placeWindow(b, scope, [...resolved.args, ...(filter === undefined ? [] : [filter])], location)
  return {
    kind: 'window',
    function: fn,
    args: resolved.args,
    star: node.agg_star === true,
    filter,
    aggregate,
    window,
    type: resolved.type,
    typmod: -1,
  }
}

/** Position in scope.windows of the window an OVER clause means; equal definitions share one. */
function windowOf(b: BindContext, scope: Scope, node: WindowDef): number {
  if (node.name !== undefined && node.name !== '') {
    const at = scope.windowNames.get(node.name)
    if (at === undefined) throw errorAt(b, '42704', `window "${node.name}" does not exist`, node.location)
    return at
  }
  const window = bindWindow(b, scope, node)
  const same = scope.windows.findIndex(
    (other) => other.name === undefined && sameExpression({ ...other, name: undefined }, window),
  )
  return same >= 0 ? same : scope.windows.push(window) - 1
}

const FRAME = {
  nonDefault: 0x1,
  range: 0x2,
  rows: 0x4,
  groups: 0x8,
  between: 0x10,
  startUnboundedPreceding: 0x20,
  endUnboundedPreceding: 0x40,
  startUnboundedFollowing: 0x80,
  endUnboundedFollowing: 0x100,
  startCurrent: 0x200,
  endCurrent: 0x400,
  startPreceding: 0x800,
  endPreceding: 0x1000,
  startFollowing: 0x2000,
  endFollowing: 0x4000,
  excludeCurrent: 0x8000,
  excludeGroup: 0x10000,
  excludeTies: 0x20000,
} as const // prettier-ignore

export function bindWindow(b: BindContext, scope: Scope, node: WindowDef): Window {
  const base =
    node.refname === undefined || node.refname === ''
      ? undefined
      : scope.windows[scope.windowNames.get(node.refname) ?? -1]
  if (node.refname && base === undefined)
    throw errorAt(b, '42704', `window "${node.refname}" does not exist`, node.location)
  const partition = within(scope, 'partition by', () =>
    bindList(b, scope, node.partitionClause).map((e) => settleUnknown(b, e)),
  )
  const order = within(scope, 'window order by', () => bindSortKeys(b, scope, node.orderClause ?? []))
  if (base !== undefined) {
    if (partition.length > 0)
      throw errorAt(b, '42P20', `cannot override PARTITION BY clause of window "${node.refname}"`, node.location)
    if (order.length > 0 && base.orderBy.length > 0)
      throw errorAt(b, '42P20', `cannot override ORDER BY clause of window "${node.refname}"`, node.location)
    if (base.explicitFrame)
      throw errorAt(b, '42P20', `cannot copy window "${node.refname}" because it has a frame clause`, node.location)
  }
  const options = node.frameOptions ?? 0
  const has = (bit: number): boolean => (options & bit) !== 0
  const mode = has(FRAME.rows) ? 'rows' : has(FRAME.groups) ? 'groups' : 'range'
  const partitionBy = base?.partitionBy ?? partition
  const orderBy = order.length > 0 ? order : (base?.orderBy ?? [])
  if (mode === 'groups' && orderBy.length === 0)
    throw errorAt(b, '42P20', 'GROUPS mode requires an ORDER BY clause', node.location)
  const offsets = { start: oid(0), end: oid(0) }
  const bound = (
    side: 'start' | 'end',
    unboundedPreceding: number,
    unboundedFollowing: number,
    current: number,
    preceding: number,
    following: number,
    offset: Node | undefined,
  ): FrameBound => {
    if (has(unboundedPreceding)) return { kind: 'unbounded-preceding' }
    if (has(unboundedFollowing)) return { kind: 'unbounded-following' }
    if (has(preceding) || has(following)) {
      const construct = mode.toUpperCase()
      const e = within(scope, `window ${mode}`, () => bindExpression(b, scope, offset!))
      requireNoVariables(b, e, construct)
      return {
        kind: has(preceding) ? 'preceding' : 'following',
        offset: frameOffset(b, e, mode, orderBy, side, offsets, node.location),
      }
    }
    if (has(current)) return { kind: 'current-row' }
    return side === 'start' ? { kind: 'unbounded-preceding' } : { kind: 'current-row' }
  }
  const start = bound(
    'start',
    FRAME.startUnboundedPreceding,
    FRAME.startUnboundedFollowing,
    FRAME.startCurrent,
    FRAME.startPreceding,
    FRAME.startFollowing,
    node.startOffset,
  )
  const end = bound(
    'end',
    FRAME.endUnboundedPreceding,
    FRAME.endUnboundedFollowing,
    FRAME.endCurrent,
    FRAME.endPreceding,
    FRAME.endFollowing,
    node.endOffset,
  )
  const exclude = has(FRAME.excludeCurrent)
    ? 'current-row'
    : has(FRAME.excludeGroup)
      ? 'group'
      : has(FRAME.excludeTies)
        ? 'ties'
        : 'none'
  return {
    name: undefined,
    partitionBy,
    orderBy,
    mode,
    start,
    end,
    exclude,
    explicitFrame: has(FRAME.nonDefault),
    inRange: {
      start: offsets.start === 0 ? undefined : offsets.start,
      end: offsets.end === 0 ? undefined : offsets.end,
    },
  }
}

function frameOffset(
  b: BindContext,
  e: Expression,
  mode: 'rows' | 'range' | 'groups',
  orderBy: Window['orderBy'],
  side: 'start' | 'end',
  found: { start: Oid; end: Oid },
  location?: number,
): Expression {
  if (mode !== 'range') return coerceToSpecific(b, e, OID.int8, mode.toUpperCase(), placeOf(e) ?? location)
  if (orderBy.length !== 1)
    throw errorAt(b, '42P20', 'RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column', location)
  const type = baseType(b, orderBy[0]!.expression.type)
  // in_range(value, base, offset, sub, less): the support function that takes this offset type.
  const place = placeOf(e) ?? location
  const known = b.catalog
    .functionsByName('in_range')
    .filter((row) => row.namespace === PG_CATALOG && row.argTypes[0] === type)
  const refused = `RANGE with offset PRECEDING/FOLLOWING is not supported for column type ${typeName(b, type)}`
  if (known.length === 0) throw errorAt(b, '0A000', refused, place)
  const fits = known.filter((row) => e.type === OID.unknown || canCoerce(b, [e.type], [row.argTypes[2]!], 'implicit'))
  const preferred = e.type === OID.unknown ? type : e.type
  const chosen = fits.find((row) => row.argTypes[2] === preferred) ?? (fits.length === 1 ? fits[0] : undefined)
  if (chosen === undefined) {
    const types = `column type ${typeName(b, type)} and offset type ${typeName(b, e.type)}`
    if (fits.length > 1) {
      throw errorAt(
        b,
        '0A000',
        `RANGE with offset PRECEDING/FOLLOWING has multiple interpretations for ${types}`,
        place,
        {
          hint: 'Cast the offset value to the exact intended type.',
        },
      )
    }
    throw errorAt(b, '0A000', `RANGE with offset PRECEDING/FOLLOWING is not supported for ${types}`, place, {
      hint: 'Cast the offset value to an appropriate type.',
    })
  }
  found[side] = chosen.oid
  return coerceType(b, e, chosen.argTypes[2]!, -1, 'implicit', 'implicit', place)
}
