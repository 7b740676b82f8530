/**
 * Scalar expressions: parse trees to bound, typed trees. One handler a node tag, in one table; what is not in the table is
 * not supported and says so.
 */
import type {
  A_Expr,
  A_Indirection,
  BoolExpr,
  CaseExpr,
  FuncCall,
  Node,
  SQLValueFunctionOp,
  SubLink,
  TypeCast,
} from '@pgsql/types'
import { type Oid, oid } from '../../storage/keys/brand.ts'
import { tagOf } from '../parser/parser.ts'
import type { Expression, SqlValueOp } from '../plan/expression.ts'
import { EMPTY_QUERY, type Query } from '../plan/query.ts'
import { raiseOuter } from '../plan/walk.ts'
import { notSupported } from '../types/error.ts'
import { OID } from '../types/oids.ts'
import {
  canCoerce,
  cannotCast,
  coerceTo,
  coerceToBoolean,
  coerceToCommon,
  coerceType,
  commonTypeOf,
  commonTypmod,
  findPathway,
  selectCommonType,
  settleUnknown,
} from './coerce.ts'
import { bindColumn } from './column.ts'
import {
  bindAnyArray,
  bindDistinct,
  bindRowComparison,
  compareRows,
  isNullConstant,
  negate,
  nullTest,
} from './comparison.ts'
import { BOOL, bindConstant, bindParameter, text } from './constant.ts'
import {
  arrayTypeOf,
  at,
  type BindContext,
  baseType,
  elementType,
  errorAt,
  located,
  ownPlace,
  placeOf,
  typeName,
} from './context.ts'
import { placeAggregate, refuseSetReturning, refuseSubquery } from './placement.ts'
import { bindBinary, bindPrefix, type OperatorName } from './resolve.ts'
import { bindField, expandRow, type StarColumn } from './row.ts'
import { findItem, missingItem, raise, type Scope } from './scope.ts'
import { namesOf, resolveTypeName } from './typename.ts'

/** What contains expressions and is contained in them: binder.ts joins the circle, so that these files need not import each other. */
export interface Containers {
  subquery(b: BindContext, scope: Scope, node: Node): Query
  call(b: BindContext, scope: Scope, node: FuncCall): Expression
}

let containers: Containers | undefined

export const provideContainers = (given: Containers): void => {
  containers = given
}

type Intersect<U> = (U extends unknown ? (k: U) => void : never) extends (k: infer I) => void ? I : never

type Bodies = Intersect<Node>

type Handlers = { readonly [K in keyof Bodies]?: (b: BindContext, scope: Scope, node: Bodies[K]) => Expression }

export function bindExpression(b: BindContext, scope: Scope, node: Node): Expression {
  const tag = tagOf(node) as keyof Bodies
  const handler = HANDLERS[tag] as ((b: BindContext, scope: Scope, body: unknown) => Expression) | undefined
  if (handler === undefined) throw notSupported(FEATURES[tag] ?? `expression ${tag}`)
  const body = (node as Bodies)[tag] as { readonly location?: number }
  const e = handler(b, scope, body)
  return ownPlace(e) === undefined ? located(e, body.location) : e
}

const FEATURES: Readonly<Record<string, string>> = {
  XmlExpr: 'XML',
  XmlSerialize: 'XML',
  JsonFuncExpr: 'SQL/JSON query function',
  JsonObjectConstructor: 'SQL/JSON constructor',
  JsonArrayConstructor: 'SQL/JSON constructor',
  JsonIsPredicate: 'IS JSON',
  MergeSupportFunc: 'MERGE',
}

export const bindList = (b: BindContext, scope: Scope, nodes: readonly Node[] | undefined): Expression[] =>
  (nodes ?? []).map((node) => bindExpression(b, scope, node))

/** A list in which `t.*` stands for its columns: of ROW() and VALUES. */
export function bindWithStars(b: BindContext, scope: Scope, nodes: readonly Node[]): Expression[] {
  return nodes.flatMap((node) => {
    const star = starOf(node)
    if (star === undefined) return [bindExpression(b, scope, node)]
    return expandStar(b, scope, star).map((column) => located({ ...column.expression }, star.location))
  })
}

const HANDLERS: Handlers = {
  A_Const: bindConstant,
  ColumnRef: bindColumn,
  ParamRef: (b, _, node) => bindParameter(b, node.number ?? 0, node.location),
  TypeCast: bindCast,
  A_Expr: bindOperator,
  BoolExpr: bindBoolean,
  FuncCall: (b, scope, node) => containers!.call(b, scope, node),
  // The parser knows a later JSON(…); here it is the type's name called as a function.
  JsonParseExpr: (b, scope, node) => {
    if (node.expr?.format !== undefined && node.expr.format.format_type !== 'JS_FORMAT_DEFAULT')
      throw notSupported('JSON() with FORMAT')
    if (node.unique_keys) throw notSupported('JSON() WITH UNIQUE KEYS')
    return containers!.call(b, scope, {
      funcname: [{ String: { sval: 'json' } }],
      args: [node.expr!.raw_expr!],
      funcformat: 'COERCE_EXPLICIT_CALL',
      location: node.location!,
    })
  },
  CaseExpr: bindCase,
  SubLink: bindSubLink,
  A_Indirection: bindIndirection,
  NullTest: (b, scope, node) => {
    const arg = settleUnknown(b, bindExpression(b, scope, node.arg!))
    const kind = b.catalog.typeRow(baseType(b, arg.type))?.kind
    return {
      kind: 'is-null',
      arg,
      negated: node.nulltesttype === 'IS_NOT_NULL',
      argIsRow: arg.type === OID.record || kind === 'c',
      ...BOOL,
    }
  },
  BooleanTest: (b, scope, node) => {
    const [, negated, test] = /^IS_(NOT_)?(TRUE|FALSE|UNKNOWN)$/.exec(node.booltesttype!)!
    const name = `IS ${negated === undefined ? '' : 'NOT '}${test}`
    const arg = coerceToBoolean(b, bindExpression(b, scope, node.arg!), name)
    return {
      kind: 'boolean-test',
      arg,
      test: test!.toLowerCase() as 'true' | 'false' | 'unknown',
      negated: negated !== undefined,
      ...BOOL,
    }
  },
  CoalesceExpr: (b, scope, node) => {
    const before = scope.setReturningCalls
    const args = bindList(b, scope, node.args)
    const type = commonTypeOf(b, args, 'COALESCE')
    const converted = args.map((arg) => coerceToCommon(b, arg, type, 'COALESCE'))
    refuseSetReturning(b, scope, before, 'COALESCE')
    return { kind: 'coalesce', args: converted, type, typmod: commonTypmod(converted, type) }
  },
  MinMaxExpr: (b, scope, node) => {
    const args = bindList(b, scope, node.args)
    const name = node.op === 'IS_LEAST' ? 'LEAST' : 'GREATEST'
    const type = commonTypeOf(b, args, name)
    const converted = args.map((arg) => coerceToCommon(b, arg, type, name))
    if (b.catalog.btree(type) === undefined) {
      throw errorAt(b, '42883', `could not identify a comparison function for type ${typeName(b, type)}`, node.location)
    }
    return {
      kind: 'min-max',
      op: node.op === 'IS_LEAST' ? 'least' : 'greatest',
      args: converted,
      type,
      typmod: commonTypmod(converted, type),
    }
  },
  A_ArrayExpr: (b, scope, node) => bindArray(b, scope, node.elements ?? [], undefined, node.location),
  RowExpr: (b, scope, node) => {
    const fields = bindWithStars(b, scope, node.args ?? [])
    return { kind: 'row', fields, names: undefined, type: OID.record, typmod: -1 }
  },
  CollateClause: (b, scope, node) => {
    const arg = bindExpression(b, scope, node.arg!)
    const names = namesOf(node.collname)
    const collation = findCollation(b, names, node.location)
    const type = baseType(b, arg.type)
    if (arg.type !== OID.unknown && (b.catalog.typeRow(elementType(b, type) || type)?.collation ?? 0) === 0) {
      throw errorAt(b, '42804', `collations are not supported by type ${typeName(b, arg.type)}`, node.location)
    }
    const settled = settleUnknown(b, arg)
    return { kind: 'relabel', arg: settled, display: 'implicit', type: settled.type, typmod: settled.typmod, collation }
  },
  SQLValueFunction: (_, __, node) => {
    const op = SQL_VALUES[node.op!]
    return { kind: 'sql-value', op: op.op, type: op.type, typmod: node.typmod ?? -1 }
  },
  GroupingFunc: (b, scope, node) => {
    const args = bindList(b, scope, node.args)
    if (args.length > 31) throw errorAt(b, '54023', 'GROUPING must have fewer than 32 arguments', node.location)
    const level = placeAggregate(b, scope, args, [], 'grouping operations', node.location)
    return { kind: 'grouping', refs: [], level, args, type: OID.int4, typmod: -1 }
  },
  SetToDefault: (b, _, node) => {
    throw errorAt(b, '42601', 'DEFAULT is not allowed in this context', node.location)
  },
  CurrentOfExpr: (b, scope, node) => {
    // Of UPDATE and DELETE, whose target is the first relation.
    const relation = scope.relations[0]
    if (relation?.kind === 'subquery') throw errorAt(b, '0A000', 'WHERE CURRENT OF on a view is not implemented')
    if (node.cursor_name === undefined) throw notSupported('WHERE CURRENT OF a parameter')
    return { kind: 'current-of', cursor: node.cursor_name, relation: 0, ...BOOL }
  },
  List: (b, scope, node) => ({
    kind: 'row',
    fields: bindList(b, scope, node.items),
    names: undefined,
    type: OID.record,
    typmod: -1,
  }),
}

const SQL_VALUES = {
  SVFOP_CURRENT_DATE: { op: 'current_date', type: OID.date },
  SVFOP_CURRENT_TIME: { op: 'current_time', type: OID.timetz },
  SVFOP_CURRENT_TIME_N: { op: 'current_time', type: OID.timetz },
  SVFOP_CURRENT_TIMESTAMP: { op: 'current_timestamp', type: OID.timestamptz },
  SVFOP_CURRENT_TIMESTAMP_N: { op: 'current_timestamp', type: OID.timestamptz },
  SVFOP_LOCALTIME: { op: 'localtime', type: OID.time },
  SVFOP_LOCALTIME_N: { op: 'localtime', type: OID.time },
  SVFOP_LOCALTIMESTAMP: { op: 'localtimestamp', type: OID.timestamp },
  SVFOP_LOCALTIMESTAMP_N: { op: 'localtimestamp', type: OID.timestamp },
  SVFOP_CURRENT_ROLE: { op: 'current_role', type: OID.name },
  SVFOP_CURRENT_USER: { op: 'current_user', type: OID.name },
  SVFOP_USER: { op: 'user', type: OID.name },
  SVFOP_SESSION_USER: { op: 'session_user', type: OID.name },
  SVFOP_CURRENT_CATALOG: { op: 'current_catalog', type: OID.name },
  SVFOP_CURRENT_SCHEMA: { op: 'current_schema', type: OID.name },
} as const satisfies Record<SQLValueFunctionOp, { op: SqlValueOp; type: Oid }>

export function findCollation(b: BindContext, names: readonly string[], location?: number): Oid {
  const name = names.at(-1)!
  const schemas = names.length > 1 ? [b.catalog.namespaceByName(names.at(-2)!)?.oid ?? oid(0)] : b.searchPath
  for (const schema of schemas) {
    const row = b.catalog.collationByName(schema, name)
    if (row !== undefined) return row.oid
  }
  throw errorAt(b, '42704', `collation "${names.join('.')}" for encoding "UTF8" does not exist`, location)
}

export interface Star {
  readonly qualifier: readonly string[]
  readonly expression: Node | undefined
  readonly location: number | undefined
}

/** `*`, `t.*`, `s.t.*` or `(expression).*`; undefined when the node is none of these. */
export function starOf(node: Node): Star | undefined {
  if ('ColumnRef' in node) {
    const fields = node.ColumnRef.fields ?? []
    if (fields.length > 0 && 'A_Star' in fields.at(-1)!)
      return { qualifier: namesOf(fields.slice(0, -1)), expression: undefined, location: node.ColumnRef.location }
  }
  if ('A_Indirection' in node) {
    const steps = node.A_Indirection.indirection ?? []
    if (steps.length > 0 && 'A_Star' in steps.at(-1)!) {
      const inner: Node =
        steps.length === 1
          ? node.A_Indirection.arg!
          : { A_Indirection: { ...node.A_Indirection, indirection: steps.slice(0, -1) } }
      return { qualifier: [], expression: inner, location: undefined }
    }
  }
  return undefined
}

export function expandStar(b: BindContext, scope: Scope, star: Star): StarColumn[] {
  if (star.expression !== undefined) return expandRow(b, bindExpression(b, scope, star.expression), star.location)
  if (star.qualifier.length > 0) {
    const alias = star.qualifier.at(-1)!
    const found = findItem(b, scope, star.qualifier.at(-2), alias, star.location)
    if (found === undefined) throw missingItem(b, scope, star.qualifier.join('.'), star.location)
    return found.item.columns.slice(0, found.item.starred).map((column) => ({
      name: column.name,
      expression: raise(column.expression, found.level),
    }))
  }
  const visible = scope.items.filter((item) => item.unqualified && !item.lateralOnly)
  if (visible.length === 0) throw errorAt(b, '42601', 'SELECT * with no tables specified is not valid', star.location)
  return visible.flatMap((item) =>
    item.columns
      .slice(0, item.starred)
      .filter((column) => !item.hidden.has(column.name))
      .map((column) => ({ ...column })),
  )
}

function bindCast(b: BindContext, scope: Scope, node: TypeCast): Expression {
  const target = resolveTypeName(b, node.typeName!)
  if (target.setOf) throw errorAt(b, '42601', 'cannot cast to setof', node.location)
  const element = elementType(b, target.type)
  const arg = node.arg!
  const inner =
    'A_ArrayExpr' in arg && element !== 0
      ? bindArray(b, scope, arg.A_ArrayExpr.elements ?? [], target.type, arg.A_ArrayExpr.location)
      : bindExpression(b, scope, arg)
  const location = locationOf(arg) ?? node.location
  if (inner.type !== OID.unknown && !castable(b, inner, target.type))
    throw cannotCast(b, inner.type, target.type, node.location)
  return at(b, location, () => coerceTo(b, inner, target.type, target.typmod, 'explicit', 'cast', location))
}

const castable = (b: BindContext, e: Expression, target: Oid): boolean =>
  e.type === target ||
  findPathway(b, target, e.type, 'explicit').kind !== 'none' ||
  (e.type === OID.record && b.catalog.typeRow(baseType(b, target))?.kind === 'c') ||
  (target === OID.record && b.catalog.typeRow(baseType(b, e.type))?.kind === 'c')

export function locationOf(node: Node): number | undefined {
  const body = (node as Record<string, { location?: number; arg?: Node; lexpr?: Node } | undefined>)[tagOf(node)]
  if (body === undefined) return undefined
  if ('A_Expr' in node && body.lexpr !== undefined) return locationOf(body.lexpr) ?? body.location
  if ('TypeCast' in node && body.arg !== undefined) return locationOf(body.arg) ?? body.location
  return body.location ?? (tagOf(node) === 'A_Const' || tagOf(node) === 'ColumnRef' ? 0 : undefined)
}

function bindArray(
  b: BindContext,
  scope: Scope,
  nodes: readonly Node[],
  wanted: Oid | undefined,
  location: number | undefined,
): Expression {
  const wantedElement = wanted === undefined ? oid(0) : elementType(b, wanted)
  const elements = nodes.map((node) =>
    'A_ArrayExpr' in node
      ? bindArray(b, scope, node.A_ArrayExpr.elements ?? [], wanted, node.A_ArrayExpr.location)
      : bindExpression(b, scope, node),
  )
  const nested =
    elements.length > 0 &&
    // A domain over an array is an element, not a dimension; so is an int2vector.
    elements.every(
      (e, i) => 'A_ArrayExpr' in nodes[i]! || (!NOT_NESTED.has(e.type) && b.catalog.typeRow(e.type)?.isArray === true),
    )
  let element: Oid
  if (wantedElement !== 0) element = wantedElement
  else if (elements.length === 0) {
    throw errorAt(b, '42P18', 'cannot determine type of empty array', location, {
      hint: 'Explicitly cast to the desired type, for example ARRAY[]::integer[].',
    })
  } else {
    const common = commonTypeOf(b, elements, 'ARRAY')
    element = nested ? elementType(b, common) : common
  }
  const array = arrayTypeOf(b, element)
  if (array === 0)
    throw errorAt(b, '42704', `could not find array type for data type ${typeName(b, element)}`, location)
  const target = nested ? array : element
  const converted = elements.map((e) =>
    wantedElement !== 0
      ? coerceTo(b, e, target, -1, 'explicit', 'implicit', location)
      : coerceToCommon(b, e, target, 'ARRAY'),
  )
  return {
    kind: 'array',
    elements: converted,
    elementType: element,
    nested,
    type: array,
    typmod: nested ? -1 : commonTypmod(converted, element),
  }
}

function bindIndirection(b: BindContext, scope: Scope, node: A_Indirection): Expression {
  let e = bindExpression(b, scope, node.arg!)
  const steps = node.indirection ?? []
  for (let i = 0; i < steps.length; i++) {
    const step = steps[i]!
    if ('A_Indices' in step) {
      let last = i
      while (last + 1 < steps.length && 'A_Indices' in steps[last + 1]!) last++
      e = bindSubscript(b, scope, e, steps.slice(i, last + 1), undefined)
      i = last
    } else if ('String' in step) {
      e = bindField(b, e, step.String.sval ?? '', locationOf(node.arg!))
    } else {
      throw errorAt(b, '42601', 'row expansion via "*" is not supported here')
    }
  }
  return e
}

/** container[…][…]; with `assign` the container after the assignment. */
export function bindSubscript(
  b: BindContext,
  scope: Scope,
  container: Expression,
  steps: readonly Node[],
  assign: Expression | undefined,
): Expression {
  const base = baseType(b, container.type)
  const indices = steps.map((step) => ('A_Indices' in step ? step.A_Indices : {}))
  const slice = indices.some((index) => index.is_slice === true)
  if (base === OID.jsonb) return bindJsonSubscript(b, scope, container, steps, slice, assign)
  // A name is an array of bytes from 0, of fixed length.
  const element = base === OID.name ? OID.char : elementType(b, base)
  if (base === OID.name && (slice || assign !== undefined))
    throw errorAt(
      b,
      '0A000',
      `${slice ? 'slices of' : 'assignments to elements of'} fixed-length arrays not implemented`,
    )
  if (element === 0)
    throw errorAt(
      b,
      '42804',
      `cannot subscript type ${typeName(b, container.type)} because it does not support subscripting`,
      placeOf(container),
    )
  const bind = (node: Node | undefined): Expression | undefined => {
    if (node === undefined) return undefined
    const e = bindExpression(b, scope, node)
    if (e.type !== OID.unknown && !canCoerce(b, [e.type], [OID.int4], 'assignment'))
      throw errorAt(b, '42804', 'array subscript must have type integer', locationOf(node))
    return coerceTo(b, e, OID.int4, -1, 'assignment', 'implicit', locationOf(node))
  }
  if (indices.length > DIMENSIONS_MAX)
    throw errorAt(
      b,
      '54000',
      `number of array dimensions (${indices.length}) exceeds the maximum allowed (${DIMENSIONS_MAX})`,
    )
  const upper = indices.map((index) => bind(index.uidx))
  // In a slice, a plain [n] means [1:n].
  const lower = slice
    ? indices.map((index) =>
        index.is_slice ? bind(index.lidx) : { kind: 'const' as const, value: 1, type: OID.int4, typmod: -1 },
      )
    : []
  const type = slice || assign !== undefined ? container.type : element
  return {
    kind: 'subscript',
    container,
    slice,
    upper,
    lower,
    containerType: base,
    assign,
    type,
    typmod: slice || assign !== undefined ? container.typmod : container.typmod,
  }
}

const NOT_NESTED = new Set<Oid>([OID.int2vector, OID.oidvector])
const DIMENSIONS_MAX = 6

function bindJsonSubscript(
  b: BindContext,
  scope: Scope,
  container: Expression,
  steps: readonly Node[],
  slice: boolean,
  assign: Expression | undefined,
): Expression {
  if (slice) throw errorAt(b, '0A000', 'jsonb subscript does not support slices')
  const upper = steps.map((step) => {
    const node = ('A_Indices' in step ? step.A_Indices.uidx : undefined)!
    const e = bindExpression(b, scope, node)
    const fits = (type: Oid) => e.type === type || canCoerce(b, [e.type], [type], 'implicit')
    if (e.type !== OID.unknown && !fits(OID.int4) && !fits(OID.text))
      throw errorAt(b, '42804', `subscript type ${typeName(b, e.type)} is not supported`, locationOf(node), {
        hint: 'jsonb subscript must be coercible to either integer or text.',
      })
    if (e.type === OID.unknown) return coerceType(b, e, OID.text, -1, 'implicit', 'implicit')
    return e.type === OID.int4 || canCoerce(b, [e.type], [OID.int4], 'implicit')
      ? coerceType(b, e, OID.int4, -1, 'implicit', 'implicit')
      : coerceType(b, e, OID.text, -1, 'implicit', 'implicit')
  })
  return {
    kind: 'subscript',
    container,
    slice: false,
    upper,
    lower: [],
    containerType: OID.jsonb,
    assign,
    type: OID.jsonb,
    typmod: -1,
  }
}

// ── Operators ────────────────────────────────────────────────────────────────────────────────────────────────────

function operatorName(nodes: readonly Node[] | undefined): OperatorName {
  const names = namesOf(nodes)
  return { name: names.at(-1) ?? '', schema: names.length > 1 ? names.at(-2) : undefined }
}

const isRow = (node: Node | undefined): boolean => node !== undefined && 'RowExpr' in node

function bindOperator(b: BindContext, scope: Scope, node: A_Expr): Expression {
  const location = node.location
  const op = operatorName(node.name)
  switch (node.kind!) {
    case 'AEXPR_OP': {
      if (node.lexpr === undefined) return bindPrefix(b, op, bindExpression(b, scope, node.rexpr!), location)
      if (
        isRow(node.lexpr) &&
        node.rexpr !== undefined &&
        'SubLink' in node.rexpr &&
        node.rexpr.SubLink.subLinkType === 'EXPR_SUBLINK'
      ) {
        return bindSubLink(b, scope, {
          ...node.rexpr.SubLink,
          subLinkType: 'ROWCOMPARE_SUBLINK',
          testexpr: node.lexpr,
          operName: node.name!,
          location: location ?? 0,
        })
      }
      const left = bindExpression(b, scope, node.lexpr)
      const right = bindExpression(b, scope, node.rexpr!)
      if (isRow(node.lexpr) && isRow(node.rexpr)) return bindRowComparison(b, op, left, right, location)
      return bindBinary(b, op, left, right, location)
    }
    case 'AEXPR_OP_ANY':
    case 'AEXPR_OP_ALL':
      return bindAnyArray(
        b,
        op,
        bindExpression(b, scope, node.lexpr!),
        bindExpression(b, scope, node.rexpr!),
        node.kind === 'AEXPR_OP_ALL',
        location,
      )
    case 'AEXPR_DISTINCT':
    case 'AEXPR_NOT_DISTINCT': {
      const left = bindExpression(b, scope, node.lexpr!)
      const right = bindExpression(b, scope, node.rexpr!)
      const distinct = isNullConstant(node.rexpr)
        ? nullTest(b, left, true)
        : isNullConstant(node.lexpr)
          ? nullTest(b, right, true)
          : bindDistinct(b, op, left, right, isRow(node.lexpr) && isRow(node.rexpr), location)
      return node.kind === 'AEXPR_DISTINCT' ? distinct : negate(distinct)
    }
    case 'AEXPR_NULLIF': {
      const call = bindBinary(
        b,
        { ...op, name: '=' },
        bindExpression(b, scope, node.lexpr!),
        bindExpression(b, scope, node.rexpr!),
        location,
      )
      if (call.kind !== 'call') throw notSupported('NULLIF of these types')
      return {
        kind: 'nullif',
        function: call.function,
        operator: call.operator!,
        left: call.args[0]!,
        right: call.args[1]!,
        type: call.args[0]!.type,
        typmod: call.args[0]!.typmod,
      }
    }
    case 'AEXPR_IN':
      return bindIn(b, scope, node, op)
    case 'AEXPR_LIKE':
    case 'AEXPR_ILIKE':
    case 'AEXPR_SIMILAR':
      return bindBinary(b, op, bindExpression(b, scope, node.lexpr!), bindExpression(b, scope, node.rexpr!), location)
    case 'AEXPR_BETWEEN':
    case 'AEXPR_NOT_BETWEEN':
    case 'AEXPR_BETWEEN_SYM':
    case 'AEXPR_NOT_BETWEEN_SYM':
      return bindBetween(b, scope, node)
  }
}

/** x IN (a, b, c): an = ANY over an array of the constants when they share a type, else an OR of comparisons. */
function bindIn(b: BindContext, scope: Scope, node: A_Expr, op: OperatorName): Expression {
  const notIn = op.name === '<>'
  const items = node.rexpr !== undefined && 'List' in node.rexpr ? (node.rexpr.List.items ?? []) : []
  const left = bindExpression(b, scope, node.lexpr!)
  const rows = isRow(node.lexpr)
  const bound = items.map((item) => bindExpression(b, scope, item))
  const plain = !rows && bound.length > 1 ? bound.filter((e, i) => !isRow(items[i]) && !containsVar(e)) : []
  const rest = plain.length > 1 ? bound.filter((e) => !plain.includes(e)) : bound
  const tests: Expression[] = []
  if (plain.length > 1) {
    const type = selectCommonType(b, [left.type, ...plain.map((e) => e.type)], undefined)
    const array = type === 0 || type === OID.record ? oid(0) : arrayTypeOf(b, type)
    if (array !== 0 && plain.every((e) => e.type === OID.unknown || canCoerce(b, [e.type], [type], 'implicit'))) {
      const elements = plain.map((e) => coerceToCommon(b, e, type, 'IN'))
      tests.push(
        bindAnyArray(
          b,
          op,
          left,
          { kind: 'array', elements, elementType: type, nested: false, type: array, typmod: -1 },
          notIn,
          node.location,
        ),
      )
    } else rest.unshift(...plain)
  }
  for (const e of rest) {
    tests.push(
      rows && e.kind === 'row' && left.kind === 'row'
        ? compareRows(b, op, left.fields, e.fields, node.location)
        : coerceToBoolean(b, bindBinary(b, op, left, e, node.location), 'IN', node.location),
    )
  }
  return tests.length === 1 ? tests[0]! : { kind: notIn ? 'and' : 'or', args: tests, ...BOOL }
}

const containsVar = (e: Expression): boolean => readsOwnColumns(e, 0)

function readsOwnColumns(node: unknown, depth: number): boolean {
  if (typeof node !== 'object' || node === null) return false
  if (Array.isArray(node)) return node.some((each) => readsOwnColumns(each, depth))
  if (Object.getPrototypeOf(node) !== Object.prototype) return false
  const e = node as Expression & { command?: unknown; relations?: unknown }
  if (e.kind === 'var') return e.level === depth
  const here = e.command !== undefined && e.relations !== undefined ? depth + 1 : depth
  return Object.values(e).some((value) => readsOwnColumns(value, here))
}

function bindBetween(b: BindContext, scope: Scope, node: A_Expr): Expression {
  const bounds = node.rexpr !== undefined && 'List' in node.rexpr ? (node.rexpr.List.items ?? []) : []
  const [low, high] = [bounds[0]!, bounds[1]!]
  const compare = (name: string, right: Node): Expression => {
    const left = bindExpression(b, scope, node.lexpr!)
    const bound = bindExpression(b, scope, right)
    if (left.kind === 'row' && bound.kind === 'row')
      return compareRows(b, { schema: undefined, name }, left.fields, bound.fields, node.location)
    return bindBinary(b, { schema: undefined, name }, left, bound, node.location)
  }
  const and = (x: Expression, y: Expression): Expression => ({ kind: 'and', args: [x, y], ...BOOL })
  const or = (x: Expression, y: Expression): Expression => ({ kind: 'or', args: [x, y], ...BOOL })
  switch (node.kind) {
    case 'AEXPR_BETWEEN':
      return and(compare('>=', low), compare('<=', high))
    case 'AEXPR_NOT_BETWEEN':
      return or(compare('<', low), compare('>', high))
    case 'AEXPR_BETWEEN_SYM':
      return or(and(compare('>=', low), compare('<=', high)), and(compare('>=', high), compare('<=', low)))
    default:
      return and(or(compare('<', low), compare('>', high)), or(compare('<', high), compare('>', low)))
  }
}

function bindBoolean(b: BindContext, scope: Scope, node: BoolExpr): Expression {
  const name = node.boolop === 'AND_EXPR' ? 'AND' : node.boolop === 'OR_EXPR' ? 'OR' : 'NOT'
  const args = (node.args ?? []).map((arg) => coerceToBoolean(b, bindExpression(b, scope, arg), name))
  return name === 'NOT' ? negate(args[0]!) : { kind: name === 'AND' ? 'and' : 'or', args, ...BOOL }
}

function bindCase(b: BindContext, scope: Scope, node: CaseExpr): Expression {
  const before = scope.setReturningCalls
  const arg = node.arg && settleUnknown(b, bindExpression(b, scope, node.arg))
  const whens: { when: Expression; then: Expression; location: number | undefined }[] = []
  for (const each of node.args ?? []) {
    if (!('CaseWhen' in each)) continue
    const { expr, result, location } = each.CaseWhen
    const condition = bindExpression(b, scope, expr!)
    const when =
      arg === undefined
        ? coerceToBoolean(b, condition, 'CASE/WHEN')
        : coerceToBoolean(
            b,
            bindBinary(
              b,
              { schema: undefined, name: '=' },
              { kind: 'case-test', type: arg.type, typmod: arg.typmod },
              condition,
              location,
            ),
            'CASE/WHEN',
            location,
          )
    whens.push({ when, then: bindExpression(b, scope, result!), location })
  }
  const otherwise = node.defresult === undefined ? text(null) : bindExpression(b, scope, node.defresult)
  const type = commonTypeOf(b, [otherwise, ...whens.map((each) => each.then)], 'CASE')
  const last = coerceToCommon(b, otherwise, type, 'CASE/ELSE')
  const results = whens.map((each) => coerceToCommon(b, each.then, type, 'CASE/WHEN'))
  refuseSetReturning(b, scope, before, 'CASE')
  return {
    kind: 'case',
    arg,
    whens: whens.map((each, i) => ({ when: each.when, then: results[i]! })),
    otherwise: last,
    type,
    typmod: commonTypmod([...results, last], type),
  }
}

// ── Subqueries ───────────────────────────────────────────────────────────────────────────────────────────────────

function bindSubLink(b: BindContext, scope: Scope, node: SubLink): Expression {
  refuseSubquery(b, scope.clause, node.location)
  const query = containers!.subquery(b, scope, node.subselect!)
  const targets = query.targets.filter((target) => !target.junk)
  switch (node.subLinkType!) {
    case 'EXISTS_SUBLINK':
      return { kind: 'subquery', link: { kind: 'exists' }, query, ...BOOL }
    case 'EXPR_SUBLINK': {
      if (targets.length !== 1) throw errorAt(b, '42601', 'subquery must return only one column', node.location)
      const e = targets[0]!.expression
      return { kind: 'subquery', link: { kind: 'scalar' }, query, type: e.type, typmod: e.typmod }
    }
    case 'ARRAY_SUBLINK': {
      if (targets.length !== 1) throw errorAt(b, '42601', 'subquery must return only one column', node.location)
      const element = targets[0]!.expression.type
      // int2vector is an array and has an array type of its own: that one is meant.
      const array = arrayTypeOf(b, element) || (elementType(b, element) === 0 ? oid(0) : element)
      if (array === 0)
        throw errorAt(b, '42704', `could not find array type for data type ${typeName(b, element)}`, node.location)
      return { kind: 'subquery', link: { kind: 'array' }, query, type: array, typmod: -1 }
    }
    case 'ANY_SUBLINK':
    case 'ALL_SUBLINK':
    case 'ROWCOMPARE_SUBLINK': {
      const op: OperatorName =
        node.operName === undefined ? { schema: undefined, name: '=' } : operatorName(node.operName)
      const left = bindExpression(b, scope, node.testexpr!)
      const fields = left.kind === 'row' && isRow(node.testexpr) ? left.fields : [left]
      if (fields.length !== targets.length) {
        throw errorAt(
          b,
          '42601',
          fields.length < targets.length ? 'subquery has too many columns' : 'subquery has too few columns',
          node.location,
        )
      }
      const columns = targets.map(
        (target, index): Expression => ({
          kind: 'column',
          index,
          type: target.expression.type,
          typmod: target.expression.typmod,
        }),
      )
      if (node.subLinkType === 'ROWCOMPARE_SUBLINK') {
        const row: Expression = {
          kind: 'subquery',
          link: { kind: 'scalar' },
          query: rowQuery(query),
          type: OID.record,
          typmod: -1,
        }
        const right = targets.map(
          (target, index): Expression => ({
            kind: 'field',
            arg: row,
            index,
            name: target.name,
            type: target.expression.type,
            typmod: target.expression.typmod,
          }),
        )
        return compareRows(b, op, fields, right, node.location)
      }
      const calls = fields.map((field, i) => {
        const call = bindBinary(b, op, field, columns[i]!, node.location)
        if (call.kind !== 'call' || call.type !== OID.bool)
          throw errorAt(
            b,
            '42804',
            `operator ${op.name} must return type boolean, not type ${typeName(b, call.type)}`,
            node.location,
          )
        return call
      })
      if (calls.length > 1 && op.name !== '=' && op.name !== '<>')
        throw notSupported(`row comparison ${op.name} ${node.subLinkType === 'ANY_SUBLINK' ? 'ANY' : 'ALL'} (subquery)`)
      return {
        kind: 'subquery',
        link: {
          kind: node.subLinkType === 'ANY_SUBLINK' ? 'any' : 'all',
          left: calls.map((call) => call.args[0]!),
          functions: calls.map((call) => call.function),
          operators: calls.map((call) => call.operator!),
          opName: op.name,
          right: calls.map((call) => call.args[1]!),
        },
        query,
        ...BOOL,
      }
    }
    default:
      throw notSupported('multiple-column assignment from a subquery')
  }
}

/** The same query giving one record column of all its columns: for (a, b) = (subquery). */
function rowQuery(query: Query): Query {
  const visible = query.targets.filter((target) => !target.junk)
  const columns = visible.map((target) => ({
    name: target.name,
    type: target.expression.type,
    typmod: target.expression.typmod,
  }))
  return {
    ...EMPTY_QUERY,
    relations: [
      { kind: 'subquery', query: raiseOuter(query, 1), alias: 'row', aliased: true, columns, lateral: false },
    ],
    from: [{ kind: 'relation', relation: 0 }],
    targets: [
      {
        name: 'row',
        expression: {
          kind: 'row',
          fields: columns.map(
            (column, i): Expression => ({
              kind: 'var',
              level: 0,
              relation: 0,
              column: i + 1,
              type: column.type,
              typmod: column.typmod,
            }),
          ),
          names: undefined,
          type: OID.record,
          typmod: -1,
        },
        junk: false,
        tableOid: oid(0),
        columnNumber: 0,
      },
    ],
  }
}
