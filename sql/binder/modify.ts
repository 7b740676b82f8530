/** INSERT, UPDATE and DELETE: targets of assignment, defaults, ON CONFLICT, RETURNING. */
import type {
  DeleteStmt,
  InsertStmt,
  Node,
  OnConflictClause,
  ReturningClause,
  SelectStmt,
  UpdateStmt,
} from '@pgsql/types'
import { type Oid, oid } from '../../storage/keys/brand.ts'
import type { ColumnRow, RelationRow } from '../catalog/catalog.ts'
import { domainDefault } from '../catalog/domains.ts'
import type { Expression } from '../plan/expression.ts'
import { type ColumnInfo, EMPTY_QUERY, type OnConflict, type Query, type Relation, type Target } from '../plan/query.ts'
import { sameExpression } from '../plan/walk.ts'
import { notSupported } from '../types/error.ts'
import { OID } from '../types/oids.ts'
import { canCoerce, coerceTo, coerceToBoolean } from './coerce.ts'
import { type BindContext, baseType, errorAt, located, placeOf, typeName, wantAccess } from './context.ts'
import { bindExpression, bindSubscript, locationOf } from './expression.ts'
import { bindFrom, columnsOf, type FromBinders, outputColumns, requireRelation } from './from.ts'
import { rowFields } from './row.ts'
import { createScope, itemOf, type Scope, within } from './scope.ts'
import { bindQuery, bindSelect, outputTargets, TargetList, viewQuery, WITH_BINDERS } from './select.ts'
import { overBase, throughViews, withBaseColumns } from './updatable.ts'
import { bindWith, finishCte } from './with.ts'

/** The table, or the view, that is changed: relation 0 of the query. */
const conjuncts = (e: Expression): readonly Expression[] => (e.kind === 'and' ? e.args.flatMap(conjuncts) : [e])
/** Every part of the weaker condition is a part of the stronger one. */
const implies = (stronger: Expression, weaker: Expression): boolean => {
  const known = conjuncts(stronger)
  return conjuncts(weaker).every((part) => known.some((each) => sameExpression(each, part)))
}

/** Whether something reads the rows that are there, inside subqueries too: it needs SELECT on the target as well. */
export function readsTarget(tree: unknown, depth = 0, target = 0): boolean {
  if (typeof tree !== 'object' || tree === null) return false
  if (Array.isArray(tree)) return tree.some((each) => readsTarget(each, depth, target))
  if (Object.getPrototypeOf(tree) !== Object.prototype) return false
  const { kind, level, relation } = tree as Record<string, unknown>
  if (kind === 'var') return level === depth && relation === target
  const inside = 'command' in tree && 'relations' in tree ? depth + 1 : depth
  return Object.values(tree).some((value) => readsTarget(value, inside, target))
}

export function targetRelation(b: BindContext, scope: Scope, node: { relation?: InsertStmt['relation'] }): RelationRow {
  const row = requireRelation(b, node.relation!)
  if (row.kind === 'S') throw errorAt(b, '42809', `cannot change sequence "${row.name}"`, node.relation!.location)
  if (row.kind === 'm') throw errorAt(b, '42809', `cannot change materialized view "${row.name}"`)
  if (row.kind === 'i') throw errorAt(b, '42809', `"${row.name}" is an index`, node.relation!.location)
  if (row.kind === 'c') throw errorAt(b, '42809', `"${row.name}" is a composite type`, node.relation!.location)
  if (row.virtual && row.kind !== 'v')
    throw errorAt(b, '42501', `permission denied: "${row.name}" is a system catalog`, node.relation!.location)
  const alias = node.relation!.alias?.aliasname
  const own = { alias: alias ?? row.name, aliased: alias !== undefined, columns: columnsOf(row), lateral: false }
  if (row.kind !== 'v') {
    scope.relations.push({ kind: 'table', oid: row.oid, only: node.relation!.inh !== true, ...own })
    return row
  }
  const query = viewQuery(b, row)
  scope.relations.push({ kind: 'subquery', query, viewOid: row.oid, ...own })
  return withBaseColumns(b, row, query)
}

export const targetItem = (b: BindContext, scope: Scope, row: RelationRow) => {
  const relation = scope.relations[0]!
  const schema = relation.aliased ? undefined : b.catalog.namespace(row.namespace)?.name
  return itemOf(0, relation, { rowType: row.rowType, ...(schema === undefined ? {} : { schema }) })
}

function findTargetColumn(b: BindContext, row: RelationRow, name: string, location?: number): ColumnRow {
  const column = row.columns.find((each) => !each.dropped && each.name === name)
  if (column === undefined)
    throw errorAt(b, '42703', `column "${name}" of relation "${row.name}" does not exist`, location)
  return column
}

const nullOf = (column: { readonly type: Oid; readonly typmod: number }): Expression => ({
  kind: 'const',
  value: null,
  type: column.type,
  typmod: column.typmod,
})

/** The default of a column as an expression; NULL when it has none. */
function defaultOf(b: BindContext, column: ColumnRow): Expression {
  if (column.default !== undefined && column.generated === undefined) return column.default
  return domainDefault(b.catalog, column.type) ?? nullOf(column)
}

/** A value on its way into a column: 42804 with PostgreSQL's words when the type does not fit. */
export function assignTo(b: BindContext, column: ColumnRow, e: Expression, location?: number, part?: Part): Expression {
  if (e.kind === 'default' && part !== undefined) {
    throw errorAt(
      b,
      '0A000',
      `cannot set ${part.kind === 'field' ? 'a subfield' : 'an array element'} to DEFAULT`,
      part.location,
    )
  }
  if (e.kind === 'default') return column.generated === undefined ? defaultOf(b, column) : nullOf(column)
  if (e.type !== OID.unknown && e.type !== column.type && !canCoerce(b, [e.type], [column.type], 'assignment')) {
    throw errorAt(
      b,
      '42804',
      part === undefined || part.kind === 'field'
        ? `${part === undefined ? 'column' : 'subfield'} "${part?.name ?? column.name}" is of type ${typeName(b, column.type)} but expression is of type ${typeName(b, e.type)}`
        : `subscripted assignment to "${part.name}" requires type ${typeName(b, column.type)} but expression is of type ${typeName(b, e.type)}`,
      part?.location ?? location ?? placeOf(e),
      {
        hint: 'You will need to rewrite or cast the expression.',
      },
    )
  }
  return coerceTo(b, e, column.type, column.typmod, 'assignment', 'implicit', location)
}

/** A part of a column that is assigned to: an element, a slice, a field, or one inside another. */
interface Part {
  /** The column as if it were of the part's type. */
  readonly column: ColumnRow
  /** What the last step is, and its name: for errors. */
  readonly kind: 'field' | 'element'
  readonly name: string
  readonly location: number | undefined
  /** The whole with the part replaced. */
  assign(whole: Expression, value: Expression): Expression
}

function partOf(
  b: BindContext,
  scope: Scope,
  column: ColumnRow,
  steps: readonly Node[],
  location?: number,
): Part | undefined {
  if (steps.length === 0) return undefined
  const target = readPart(b, scope, column.name, nullOf(column), steps, location)
  const { default: _, generated: __, identity: ___, ...plain } = column
  const last = steps.at(-1)
  const named = steps.filter((step) => 'String' in step).at(-1)
  return {
    column: { ...plain, type: target.type, typmod: target.typmod },
    kind: last !== undefined && 'String' in last ? 'field' : 'element',
    name: named === undefined || !('String' in named) ? column.name : (named.String.sval ?? ''),
    location,
    assign: (whole, value) => writePart(b, scope, column.name, whole, steps, value, location),
  }
}

/** How many of the steps are subscripts of one container. */
const subscripts = (steps: readonly Node[]): number => {
  const other = steps.findIndex((step) => !('A_Indices' in step))
  return other < 0 ? steps.length : other
}

function readPart(
  b: BindContext,
  scope: Scope,
  name: string,
  whole: Expression,
  steps: readonly Node[],
  location?: number,
): Expression {
  if (steps.length === 0) return whole
  const count = subscripts(steps)
  if (count > 0) {
    const element = bindSubscript(b, scope, whole, steps.slice(0, count), undefined)
    return readPart(b, scope, name, element, steps.slice(count), location)
  }
  return readPart(b, scope, name, fieldOf(b, name, whole, steps[0]!, location).field, steps.slice(1), location)
}

function writePart(
  b: BindContext,
  scope: Scope,
  name: string,
  whole: Expression,
  steps: readonly Node[],
  value: Expression,
  location?: number,
): Expression {
  if (steps.length === 0) return value
  const count = subscripts(steps)
  if (count > 0) {
    const own = steps.slice(0, count)
    const rest = steps.slice(count)
    const element =
      rest.length === 0
        ? value
        : writePart(b, scope, name, bindSubscript(b, scope, whole, own, undefined), rest, value, location)
    return intoOwnType(b, whole.type, bindSubscript(b, scope, whole, own, element))
  }
  const { field, index, all } = fieldOf(b, name, whole, steps[0]!, location)
  const next = writePart(b, scope, name, field, steps.slice(1), value, location)
  const fields = all.map(
    (each, i): Expression => (i === index ? next : { kind: 'field', arg: whole, index: i, ...each }),
  )
  const names = all.map((each) => each.name)
  return intoOwnType(b, whole.type, { kind: 'row', fields, names, type: baseType(b, whole.type), typmod: -1 })
}

/** A domain's rules are asked again when a part of its value has been replaced. */
const intoOwnType = (b: BindContext, type: Oid, e: Expression): Expression =>
  baseType(b, type) === type ? e : coerceTo(b, { ...e, type: baseType(b, type) }, type, -1, 'assignment', 'implicit')

function fieldOf(b: BindContext, column: string, whole: Expression, step: Node, location?: number) {
  const name = 'String' in step ? (step.String.sval ?? '') : ''
  const type = typeName(b, whole.type)
  const refused = `cannot assign to field "${name}" of column "${column}" because`
  const all = rowFields(b, whole)
  if (all === undefined) throw errorAt(b, '42804', `${refused} its type ${type} is not a composite type`, location)
  const index = all.findIndex((each) => each.name === name)
  if (index < 0) throw errorAt(b, '42703', `${refused} there is no such column in data type ${type}`, location)
  const field: Expression = { kind: 'field', arg: whole, index, ...all[index]! }
  return { field, index, all }
}

// ── INSERT ───────────────────────────────────────────────────────────────────────────────────────────────────────

export const OVERRIDING = {
  OVERRIDING_NOT_SET: 'none',
  OVERRIDING_USER_VALUE: 'user',
  OVERRIDING_SYSTEM_VALUE: 'system',
} as const

export function bindInsert(b: BindContext, parent: Scope | undefined, node: InsertStmt): Query {
  const scope = createScope(parent)
  const ctes = bindWith(b, scope, node.withClause, WITH_BINDERS)
  const row = targetRelation(b, scope, node)
  wantAccess(b, row.oid, 'a')
  if (node.onConflictClause?.infer !== undefined) wantAccess(b, row.oid, 'r')
  if (node.onConflictClause?.action === 'ONCONFLICT_UPDATE') wantAccess(b, row.oid, 'w')
  const live = row.columns.filter((column) => !column.dropped)
  const listed = listedColumns(b, scope, row, node.cols ?? [])
  const places = listed.length > 0 ? listed.map((each) => each.location) : undefined
  const overriding = OVERRIDING[node.override ?? 'OVERRIDING_NOT_SET']
  const select =
    node.selectStmt !== undefined && 'SelectStmt' in node.selectStmt ? node.selectStmt.SelectStmt : undefined
  const columns = listed.length > 0 ? listed.map((each) => each.part?.column ?? each.column) : live
  const source =
    select === undefined
      ? { from: [] as Query['from'], values: [] as Expression[] }
      : bindSource(
          b,
          scope,
          select,
          columns,
          places,
          listed.map((each) => each.part),
          overriding,
        )
  const used = (listed.length > 0 ? listed.map((each) => each.column) : live).slice(0, source.values.length)
  const values = valuesByColumn(used, listed, source.values)
  if (row.kind === 'v') {
    // A view's own defaults; the table's are its own business.
    const own = b.catalog.relation(row.oid)!
    for (const column of live) {
      const value = own.columns[column.number - 1]!.default
      if (value !== undefined && !values.has(column)) values.set(column, value)
    }
  }
  const targets = [...values].map(
    ([{ name }, expression]): Target => ({ name, expression, junk: false, tableOid: oid(0), columnNumber: 0 }),
  )
  scope.items = [targetItem(b, scope, row)]
  const onConflict = node.onConflictClause && bindOnConflict(b, scope, row, node.onConflictClause)
  scope.items = [targetItem(b, scope, row)]
  const returning = bindReturning(b, scope, node)
  const excluded = onConflict?.kind === 'update' ? onConflict.excluded : -1
  if (readsTarget([returning, onConflict]) || readsTarget(onConflict, 0, excluded)) wantAccess(b, row.oid, 'r')
  return throughViews(b, {
    ...EMPTY_QUERY,
    command: 'insert',
    ctes: ctes.map(finishCte),
    recursive: node.withClause?.recursive === true,
    relations: scope.relations,
    from: source.from,
    targets,
    modify: {
      relation: 0,
      insertColumns: [...values.keys()].map((column) => column.number),
      overriding,
      assignments: [],
      onConflict,
      returning,
    },
  })
}

interface Listed {
  readonly column: ColumnRow
  readonly location: number | undefined
  readonly part: Part | undefined
}

/** The columns that INSERT lists. */
export function listedColumns(b: BindContext, scope: Scope, row: RelationRow, nodes: readonly Node[]): Listed[] {
  const listed = nodes.map((col): Listed => {
    if (!('ResTarget' in col)) throw notSupported('this column reference')
    const { name, location, indirection } = col.ResTarget
    const column = findTargetColumn(b, row, name!, location)
    return { column, location, part: partOf(b, scope, column, indirection ?? [], location) }
  })
  listed.forEach(({ column, location, part }, i) => {
    if (
      listed.some((other, j) => j < i && other.column === column && (part === undefined || other.part === undefined))
    ) {
      throw errorAt(b, '42701', `column "${column.name}" specified more than once`, location)
    }
  })
  return listed
}

/** Values for columns, and for parts of columns, as one value a column. */
export function valuesByColumn(
  columns: readonly ColumnRow[],
  listed: readonly Listed[],
  given: readonly Expression[],
): Map<ColumnRow, Expression> {
  const values = new Map<ColumnRow, Expression>()
  given.forEach((value, i) => {
    const column = columns[i]!
    const part = listed[i]?.part
    values.set(column, part === undefined ? value : part.assign(values.get(column) ?? nullOf(column), value))
  })
  return values
}

/** 42601 when there are more values than columns, or fewer than are listed. */
export function checkWidth(
  b: BindContext,
  given: readonly Expression[],
  columns: number,
  listed: readonly (number | undefined)[] | undefined,
): void {
  if (given.length > columns) {
    const place = placeOf(given[columns]!)
    throw errorAt(b, '42601', 'INSERT has more expressions than target columns', place)
  }
  if (listed === undefined || given.length >= columns) return
  const only = given.length === 1 ? given[0]! : undefined
  const row = only?.kind === 'row' && only.fields.length === columns
  throw errorAt(b, '42601', 'INSERT has more target columns than expressions', listed[given.length], {
    ...(row
      ? {
          hint: 'The insertion source is a row expression containing the same number of columns expected by the INSERT. Did you accidentally use extra parentheses?',
        }
      : {}),
  })
}

function bindSource(
  b: BindContext,
  scope: Scope,
  select: SelectStmt,
  columns: readonly ColumnRow[],
  /** Where the listed columns stand; undefined: none are listed. */
  listed: readonly (number | undefined)[] | undefined,
  parts: readonly (Part | undefined)[],
  overriding: 'none' | 'user' | 'system',
): { from: Query['from']; values: Expression[] } {
  const check = (given: readonly Expression[]): void => checkWidth(b, given, columns.length, listed)
  const bareValues =
    select.valuesLists !== undefined &&
    select.valuesLists.length > 0 &&
    !select.sortClause?.length &&
    select.limitCount === undefined &&
    select.limitOffset === undefined &&
    select.withClause === undefined
  if (bareValues) {
    const inner = createScope(scope.parent, select.valuesLists!.length === 1 ? 'single values' : 'values')
    inner.ctes.push(...scope.ctes)
    const rows = select.valuesLists!.map((list) => {
      const items = 'List' in list ? (list.List.items ?? []) : []
      return items.map((item) => ({
        e: located(bindOrDefault(b, inner, item), locationOf(item)),
        location: locationOf(item),
      }))
    })
    const width = rows[0]!.length
    for (const row of rows)
      if (row.length !== width) throw errorAt(b, '42601', 'VALUES lists must all be the same length', row[0]?.location)
    for (const row of rows) check(row.map(({ e }) => e))
    const bound = rows.map((row) =>
      row.map(({ e, location }, i) =>
        assignTo(b, columns[i]!, checkGenerated(b, columns[i]!, e, overriding), location, parts[i]),
      ),
    )
    if (bound.length === 1) return { from: [], values: bound[0]! }
    const infos: ColumnInfo[] = columns
      .slice(0, width)
      .map((column, i) => ({ name: `column${i + 1}`, type: column.type, typmod: column.typmod }))
    const relation: Relation = {
      kind: 'values',
      rows: bound,
      alias: '*VALUES*',
      aliased: false,
      columns: infos,
      lateral: false,
    }
    const at = scope.relations.push(relation) - 1
    return {
      from: [{ kind: 'relation', relation: at }],
      values: infos.map(
        (info, i): Expression => ({
          kind: 'var',
          level: 0,
          relation: at,
          column: i + 1,
          type: info.type,
          typmod: info.typmod,
        }),
      ),
    }
  }
  const query = bindSelect(b, { ...scope, items: [], relations: [] }, select, { keepUnknown: true })
  const settled = settleColumns(b, query, columns)
  const given = outputColumns(settled)
  check(outputTargets(settled).map((target) => target.expression))
  const relation: Relation = {
    kind: 'subquery',
    query: settled,
    alias: '*SELECT*',
    aliased: false,
    columns: given,
    lateral: false,
  }
  const at = scope.relations.push(relation) - 1
  const values = given.map((info, i) => {
    const { type, typmod } = info
    const e: Expression = { kind: 'var', level: 0, relation: at, column: i + 1, type, typmod }
    const source = outputTargets(settled)[i]
    located(e, source && placeOf(source.expression))
    return assignTo(b, columns[i]!, checkGenerated(b, columns[i]!, e, overriding), undefined, parts[i])
  })
  return { from: [{ kind: 'relation', relation: at }], values }
}

/** Untyped literals of INSERT … SELECT 'x' take the column's type. */
function settleColumns(b: BindContext, query: Query, columns: readonly ColumnRow[]): Query {
  let seen = -1
  return {
    ...query,
    targets: query.targets.map((target) => {
      if (target.junk) return target
      const column = columns[++seen]
      if (target.expression.type !== OID.unknown) return target
      return {
        ...target,
        expression: coerceTo(
          b,
          target.expression,
          column?.type ?? OID.text,
          column?.typmod ?? -1,
          'assignment',
          'implicit',
        ),
      }
    }),
  }
}

export function checkGenerated(
  b: BindContext,
  column: ColumnRow,
  e: Expression,
  overriding: 'none' | 'user' | 'system',
): Expression {
  if (e.kind === 'default') return e
  if (column.generated !== undefined) {
    throw errorAt(b, '428C9', `cannot insert a non-DEFAULT value into column "${column.name}"`, undefined, {
      detail: `Column "${column.name}" is a generated column.`,
    })
  }
  if (column.identity !== undefined && overriding === 'user') return { kind: 'default', type: OID.unknown, typmod: -1 }
  if (column.identity === 'always' && overriding === 'none') {
    throw errorAt(b, '428C9', `cannot insert a non-DEFAULT value into column "${column.name}"`, undefined, {
      detail: `Column "${column.name}" is an identity column defined as GENERATED ALWAYS.`,
      hint: 'Use OVERRIDING SYSTEM VALUE to override.',
    })
  }
  return e
}

/** DEFAULT stands for a whole value only. */
export const bindOrDefault = (b: BindContext, scope: Scope, node: Node): Expression =>
  'SetToDefault' in node ? { kind: 'default', type: OID.unknown, typmod: -1 } : bindExpression(b, scope, node)

function bindOnConflict(b: BindContext, scope: Scope, row: RelationRow, node: OnConflictClause): OnConflict {
  const indexes = node.infer === undefined ? [] : inferIndexes(b, scope, row, node)
  if (node.action === 'ONCONFLICT_NOTHING') return { kind: 'nothing', indexes }
  if (node.infer === undefined) {
    throw errorAt(
      b,
      '42601',
      'ON CONFLICT DO UPDATE requires inference specification or constraint name',
      node.location,
      { hint: 'For example, ON CONFLICT (column_name).' },
    )
  }
  const columns = columnsOf(row)
  const excluded =
    scope.relations.push({ kind: 'excluded', alias: 'excluded', aliased: true, columns, lateral: false }) - 1
  scope.items = [targetItem(b, scope, row), itemOf(excluded, scope.relations[excluded]!, { rowType: row.rowType })]
  const assignments = bindAssignments(b, scope, row, node.targetList ?? [])
  const where =
    node.whereClause &&
    within(scope, 'where', () =>
      coerceToBoolean(b, bindExpression(b, scope, node.whereClause!), 'WHERE', locationOf(node.whereClause!)),
    )
  return { kind: 'update', indexes, excluded, assignments, where }
}

function inferIndexes(b: BindContext, scope: Scope, row: RelationRow, node: OnConflictClause): Oid[] {
  const infer = node.infer!
  if (infer.conname !== undefined && infer.conname !== '') {
    const view = scope.relations[0]!
    const table = view.kind === 'subquery' ? overBase(b, row, view.query, []).row : row
    const constraint = table.constraints.find((each) => each.name === infer.conname && each.index !== undefined)
    if (constraint === undefined)
      throw errorAt(b, '42704', `constraint "${infer.conname}" for table "${row.name}" does not exist`)
    return [constraint.index!]
  }
  const named = (infer.indexElems ?? []).map((element): Expression => {
    if (!('IndexElem' in element)) throw notSupported('this ON CONFLICT target')
    if (element.IndexElem.name !== undefined) {
      const column = findTargetColumn2(b, row, element.IndexElem.name, infer.location)
      return { kind: 'var', level: 0, relation: 0, column: column.number, type: column.type, typmod: column.typmod }
    }
    return within(scope, 'index expression', () => bindExpression(b, scope, element.IndexElem.expr!))
  })
  const condition =
    infer.whereClause &&
    within(scope, 'index predicate', () => coerceToBoolean(b, bindExpression(b, scope, infer.whereClause!), 'WHERE'))
  const view = scope.relations[0]!
  const given = condition === undefined ? named : [...named, condition]
  const over = view.kind === 'subquery' ? overBase(b, row, view.query, given) : { row, list: given }
  const elements = over.list.slice(0, named.length)
  const where = over.list[named.length]
  const found = over.row.indexes.filter((each) => {
    const index = b.catalog.relation(each)?.index
    if (index === undefined || !index.unique || !index.valid) return false
    if (index.predicate !== undefined && (where === undefined || !implies(where, index.predicate))) return false
    const keys = index.keys.map(
      (key): Expression =>
        key.expression ?? {
          kind: 'var',
          level: 0,
          relation: 0,
          column: key.column,
          type: key.type,
          typmod: key.typmod,
        },
    )
    const same = (x: Expression, y: Expression) =>
      x.kind === 'var' && y.kind === 'var' ? x.column === y.column : sameExpression(x, y)
    return (
      keys.every((key) => elements.some((element) => same(key, element))) &&
      elements.every((element) => keys.some((key) => same(key, element)))
    )
  })
  if (found.length === 0)
    throw errorAt(b, '42P10', 'there is no unique or exclusion constraint matching the ON CONFLICT specification')
  return found
}
function findTargetColumn2(b: BindContext, row: RelationRow, name: string, location?: number): ColumnRow {
  const column = row.columns.find((each) => !each.dropped && each.name === name)
  if (column === undefined) throw errorAt(b, '42703', `column "${name}" does not exist`, location)
  return column
}

// ── UPDATE and DELETE ────────────────────────────────────────────────────────────────────────────────────────────

export function bindAssignments(
  b: BindContext,
  scope: Scope,
  row: RelationRow,
  nodes: readonly Node[],
): { column: number; value: Expression }[] {
  const values = new Map<number, Expression>()
  for (const node of nodes) {
    if (!('ResTarget' in node)) throw notSupported('this assignment')
    const { name, val, indirection, location } = node.ResTarget
    const column = findTargetColumn(b, row, name!, location)
    const value = within(scope, 'update', () => assignedValue(b, scope, val!))
    const steps = indirection ?? []
    if (column.generated !== undefined && value.kind !== 'default') {
      throw errorAt(b, '428C9', `column "${column.name}" can only be updated to DEFAULT`, undefined, {
        detail: `Column "${column.name}" is a generated column.`,
      })
    }
    if (column.identity === 'always' && value.kind !== 'default') {
      throw errorAt(b, '428C9', `column "${column.name}" can only be updated to DEFAULT`, undefined, {
        detail: `Column "${column.name}" is an identity column defined as GENERATED ALWAYS.`,
      })
    }
    const part = partOf(b, scope, column, steps, location)
    if (part !== undefined) {
      const { number, type, typmod } = column
      const before: Expression = values.get(number) ?? {
        kind: 'var',
        level: 0,
        relation: 0,
        column: number,
        type,
        typmod,
      }
      values.set(number, part.assign(before, assignTo(b, part.column, value, location, part)))
      continue
    }
    if (values.has(column.number)) throw errorAt(b, '42601', `multiple assignments to same column "${column.name}"`)
    values.set(column.number, assignTo(b, column, value, locationOf(val!)))
  }
  return [...values].map(([column, value]) => ({ column, value }))
}

/** (a, b) = (x, y) and (a, b) = (SELECT …) come as one MultiAssignRef a column. */
function assignedValue(b: BindContext, scope: Scope, node: Node): Expression {
  if (!('MultiAssignRef' in node)) return bindOrDefault(b, scope, node)
  const { source, colno, ncolumns } = node.MultiAssignRef
  const at = (colno ?? 1) - 1
  if ('RowExpr' in source!) {
    const fields = source.RowExpr.args ?? []
    if (fields.length !== ncolumns)
      throw errorAt(b, '42601', 'number of columns does not match number of values', source.RowExpr.location)
    return bindOrDefault(b, scope, fields[at]!)
  }
  if ('SubLink' in source!) {
    const select = source.SubLink.subselect!
    const alias: Node = { RangeSubselect: { subquery: select, alias: { aliasname: 'source' } } }
    const wrapped: Node = {
      SubLink: {
        subLinkType: 'EXPR_SUBLINK',
        subselect: {
          SelectStmt: {
            targetList: [{ ResTarget: { val: { ColumnRef: { fields: [{ String: { sval: 'source' } }] } } } }],
            fromClause: [alias],
          } as SelectStmt,
        },
      },
    }
    const record = bindExpression(b, scope, wrapped)
    if (record.kind !== 'subquery') throw notSupported('this row assignment')
    const inner = record.query.relations[0]!
    if (inner.columns.length !== ncolumns)
      throw errorAt(b, '42601', 'number of columns does not match number of values', source.SubLink.location)
    const info = inner.columns[at]!
    return { kind: 'field', arg: record, index: at, name: info.name, type: info.type, typmod: info.typmod }
  }
  const place = locationOf(source!)
  throw errorAt(b, '0A000', 'source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression', place)
}

export const binders = (b: BindContext, view: FromBinders['view']): FromBinders => ({
  query: bindQuery,
  view: (context, row) => view(context ?? b, row),
})

export function bindUpdate(
  b: BindContext,
  parent: Scope | undefined,
  node: UpdateStmt,
  view: FromBinders['view'],
): Query {
  const scope = createScope(parent)
  const ctes = bindWith(b, scope, node.withClause, WITH_BINDERS)
  const row = targetRelation(b, scope, node)
  wantAccess(b, row.oid, 'w')
  scope.items = [{ ...targetItem(b, scope, row), target: true, lateralOnly: true, lateralOk: false }]
  const from = within(scope, 'from', () => bindFrom(b, scope, node.fromClause ?? [], binders(b, view)))
  const where =
    node.whereClause &&
    within(scope, 'where', () => coerceToBoolean(b, bindExpression(b, scope, node.whereClause!), 'WHERE'))
  const returning = bindReturning(b, scope, node)
  const assignments = bindAssignments(b, scope, row, node.targetList ?? [])
  if (readsTarget([where, returning, assignments])) wantAccess(b, row.oid, 'r')
  return throughViews(b, {
    ...EMPTY_QUERY,
    command: 'update',
    ctes: ctes.map(finishCte),
    recursive: node.withClause?.recursive === true,
    relations: scope.relations,
    from: [{ kind: 'relation', relation: 0 }, ...from],
    where,
    modify: { relation: 0, insertColumns: [], overriding: 'none', assignments, onConflict: undefined, returning },
  })
}

export function bindDelete(
  b: BindContext,
  parent: Scope | undefined,
  node: DeleteStmt,
  view: FromBinders['view'],
): Query {
  const scope = createScope(parent)
  const ctes = bindWith(b, scope, node.withClause, WITH_BINDERS)
  const row = targetRelation(b, scope, node)
  wantAccess(b, row.oid, 'd')
  scope.items = [{ ...targetItem(b, scope, row), target: true, lateralOnly: true, lateralOk: false }]
  const from = within(scope, 'from', () => bindFrom(b, scope, node.usingClause ?? [], binders(b, view)))
  const where =
    node.whereClause &&
    within(scope, 'where', () =>
      coerceToBoolean(b, bindExpression(b, scope, node.whereClause!), 'WHERE', locationOf(node.whereClause!)),
    )
  const returning = bindReturning(b, scope, node)
  if (readsTarget([where, returning])) wantAccess(b, row.oid, 'r')
  return throughViews(b, {
    ...EMPTY_QUERY,
    command: 'delete',
    ctes: ctes.map(finishCte),
    recursive: node.withClause?.recursive === true,
    relations: scope.relations,
    from: [{ kind: 'relation', relation: 0 }, ...from],
    where,
    modify: { relation: 0, insertColumns: [], overriding: 'none', assignments: [], onConflict: undefined, returning },
  })
}

function bindReturning(
  b: BindContext,
  scope: Scope,
  node: { returningClause?: ReturningClause; returningList?: Node[] },
): Target[] {
  const nodes = node.returningClause?.exprs ?? node.returningList ?? []
  if ((node.returningClause?.options?.length ?? 0) > 0) throw notSupported('RETURNING WITH')
  if (nodes.length === 0) return []
  const targets = new TargetList(b, scope)
  within(scope, 'returning', () => {
    for (const target of nodes) targets.add(target)
  })
  targets.settle()
  return targets.list
}
