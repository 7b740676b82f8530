/**
 * Values that are rows: which fields they have, where that is known from the query, and reading one of them, or all.
 */
import type { Oid } from '../../storage/keys/brand.ts'
import type { Expression } from '../plan/expression.ts'
import type { Query, Relation, SetOperation } from '../plan/query.ts'
import { OID } from '../types/oids.ts'
import { isPolymorphic, resolvePolymorphic } from './coerce.ts'
import { type BindContext, baseType, errorAt, typeName } from './context.ts'
import type { Scope } from './scope.ts'

export interface StarColumn {
  readonly name: string
  readonly expression: Expression
}

/** The fields of a composite value, as `(row).*` lists them. */
export function expandRow(b: BindContext, row: Expression, location?: number): StarColumn[] {
  const fields = rowFields(b, row)
  if (fields === undefined) throw errorAt(b, '42809', `type ${typeName(b, row.type)} is not composite`, location)
  return fields.map((field, index) => ({
    name: field.name,
    expression: { kind: 'field', arg: row, index, name: field.name, type: field.type, typmod: field.typmod },
  }))
}

export interface RowField {
  readonly name: string
  readonly type: Oid
  readonly typmod: number
}

/** Fields of values of type record, noted where a column is found: a subquery's row, a column that holds one. */
const shapes = new WeakMap<Expression, readonly RowField[]>()

/** Notes the fields of a column of type record (expandRecordVariable): they are known where the row was made. */
export function noteShape(b: BindContext, scope: Scope, e: Expression): void {
  if (e.type !== OID.record || e.kind !== 'var') return
  let at: Scope | undefined = scope
  for (let i = 0; i < e.level; i++) at = at?.parent
  const relation = at?.relations[e.relation]
  const fields = relation && shapeOf(b, relation, e.column, (name, level) => cteBase(at, name, level))
  if (fields !== undefined) shapes.set(e, fields)
}

const cteBase = (scope: Scope | undefined, name: string, level: number): Query | undefined => {
  let at = scope
  for (let i = 0; i < level; i++) at = at?.parent
  const cte = at?.ctes.find((each) => each.name === name)
  return cte?.query?.query ?? cte?.base
}

function shapeOf(
  b: BindContext,
  relation: Relation,
  column: number,
  cte: (name: string, level: number) => Query | undefined,
): readonly RowField[] | undefined {
  if (column === 0) return relation.columns.filter((each) => each.type !== 0)
  const query =
    relation.kind === 'subquery'
      ? relation.query
      : relation.kind === 'cte'
        ? cte(relation.name, relation.level)
        : undefined
  if (query === undefined) return undefined
  const leaf = query.setOperation === undefined ? query : leftmostLeaf(query, query.setOperation)
  const targets = (leaf.command === 'select' ? leaf.targets : (leaf.modify?.returning ?? [])).filter(
    (each) => !each.junk,
  )
  const e = targets[column - 1]?.expression
  if (e === undefined || e.type !== OID.record) return undefined
  if (e.kind !== 'var' || e.level !== 0) return rowFields(b, e)
  const inner = leaf.relations[e.relation]
  return (
    inner &&
    shapeOf(b, inner, e.column, (name, level) =>
      level === 0 ? leaf.ctes.find((each) => each.name === name)?.query : cte(name, level - 1),
    )
  )
}

const leftmostLeaf = (query: Query, tree: SetOperation): Query => {
  if (tree.kind !== 'leaf') return leftmostLeaf(query, tree.left)
  const relation = query.relations[tree.relation]!
  return relation.kind === 'subquery' ? relation.query : query
}

/** Names and types of a composite expression's fields, when they can be known. */
export function rowFields(b: BindContext, e: Expression): readonly RowField[] | undefined {
  const noted = shapes.get(e)
  if (noted !== undefined) return noted
  const row = b.catalog.typeRow(baseType(b, e.type))
  if (row?.kind === 'c') {
    const relation = b.catalog.relation(row.relation)
    return relation?.columns
      .filter((column) => !column.dropped)
      .map((column) => ({ name: column.name, type: column.type, typmod: column.typmod }))
  }
  if (e.kind === 'row')
    return e.fields.map((field, i) => ({ name: e.names?.[i] ?? `f${i + 1}`, type: field.type, typmod: field.typmod }))
  if (e.kind === 'call') return outColumns(b, e.function, e.type, e.args)
  return undefined
}

/** Output columns of a function with OUT parameters. */
export function outColumns(
  b: BindContext,
  fn: Oid,
  result: Oid,
  args: readonly Expression[] = [],
): { readonly name: string; readonly type: Oid; readonly typmod: number }[] | undefined {
  const row = b.catalog.function(fn)
  if (row?.allArgTypes === undefined || row.argModes === undefined || result !== OID.record) return undefined
  const columns: { name: string; type: Oid; typmod: number }[] = []
  const given = args.map((arg) => arg.type)
  row.allArgTypes.forEach((declared, i) => {
    const settled = isPolymorphic(declared) ? resolvePolymorphic(b, given, row.argTypes, declared)?.result : undefined
    const type = settled ?? declared
    if ('obt'.includes(row.argModes![i]!))
      columns.push({ name: row.argNames?.[i] ?? `column${columns.length + 1}`, type, typmod: -1 })
  })
  return columns
}

export function bindField(b: BindContext, e: Expression, name: string, location?: number): Expression {
  const fields = rowFields(b, e)
  if (fields === undefined) {
    if (e.type === OID.record)
      throw errorAt(b, '42703', `could not identify column "${name}" in record data type`, location)
    throw errorAt(
      b,
      '42809',
      `column notation .${name} applied to type ${typeName(b, e.type)}, which is not a composite type`,
      location,
    )
  }
  const index = fields.findIndex((field) => field.name === name)
  if (index < 0) {
    throw errorAt(
      b,
      '42703',
      e.type === OID.record
        ? `could not identify column "${name}" in record data type`
        : `column "${name}" not found in data type ${typeName(b, e.type)}`,
      location,
    )
  }
  const field = fields[index]!
  return { kind: 'field', arg: e, index, name, type: field.type, typmod: field.typmod }
}
