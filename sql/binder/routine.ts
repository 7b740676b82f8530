/**
 * Functions and procedures written in SQL: their bodies' statements, bound with the parameters in sight, the last one's rows
 * brought to what the function returns; and the call of a procedure. What cannot be returned is refused with 42P13
 * (PostgreSQL's check_sql_fn_retval).
 */
import type { FuncCall, Node } from '@pgsql/types'
import type { Oid } from '../../storage/keys/brand.ts'
import type { FunctionRow } from '../catalog/catalog.ts'
import type { Expression } from '../plan/expression.ts'
import { EMPTY_QUERY, type Query, type Target } from '../plan/query.ts'
import { type SqlError, sqlError } from '../types/error.ts'
import { OID } from '../types/oids.ts'
import { canCoerce, coerceTo, isPolymorphic, resolvePolymorphic } from './coerce.ts'
import { type BindContext, baseType, errorAt, typeName } from './context.ts'
import { bindExpression } from './expression.ts'
import { outputColumns } from './from.ts'
import { findFunction, functionArguments, functionMissing } from './resolve.ts'
import { createScope } from './scope.ts'
import { bindText } from './text.ts'
import { namesOf } from './typename.ts'

/** What a function gives for its last statement's rows. */
export type RoutineResult =
  /** Nothing: the statement's rows are of no interest. */
  | { readonly kind: 'void' }
  /** The first column. */
  | { readonly kind: 'value' }
  /** All columns as a row of these types. */
  | { readonly kind: 'row'; readonly types: readonly Oid[]; readonly names: readonly string[] }

/** Names of the input parameters, in the order of the arguments. */
export function parameterNames(row: FunctionRow): (string | undefined)[] {
  const names = row.argNames ?? []
  const input = row.argModes === undefined ? names : names.filter((_, i) => 'ibv'.includes(row.argModes![i]!))
  return row.argTypes.map((_, i) => input[i] || undefined)
}

/** The columns of OUT parameters and TABLE(…), for arguments of these types. */
function outTypes(b: BindContext, row: FunctionRow, args: readonly Oid[]): { types: Oid[]; names: string[] } {
  const types: Oid[] = []
  const names: string[] = []
  row.allArgTypes?.forEach((declared, i) => {
    if (!'obt'.includes(row.argModes?.[i] ?? 'i')) return
    types.push(
      isPolymorphic(declared) ? (resolvePolymorphic(b, args, row.argTypes, declared)?.result ?? declared) : declared,
    )
    names.push(row.argNames?.[i] || `column${types.length}`)
  })
  return { types, names }
}

/**
 * The last statement's query with its columns converted; `args` and `returns` are the types of the call. `final` undefined:
 * there is none, or it is no query.
 */
export function bindRoutineResult(
  b: BindContext,
  row: FunctionRow,
  args: readonly Oid[],
  returns: Oid,
  final: Query | undefined,
): { readonly query: Query | undefined; readonly result: RoutineResult } {
  const outs = outTypes(b, row, args)
  if (returns === OID.void || (row.kind === 'p' && outs.types.length === 0))
    return { query: final, result: { kind: 'void' } }
  const columns = final === undefined ? [] : outputColumns(final)
  const wanted = row.kind === 'p' ? OID.record : returns
  if (final === undefined || (final.command !== 'select' && columns.length === 0)) {
    throw mismatch(b, returns, "Function's final statement must be SELECT or INSERT/UPDATE/DELETE RETURNING.")
  }
  const composite = b.catalog.typeRow(baseType(b, wanted))?.kind === 'c'
  if (wanted !== OID.record && !composite) {
    if (columns.length !== 1) throw mismatch(b, wanted, 'Final statement must return exactly one column.')
    return { query: converted(b, final, [wanted], wanted, false), result: { kind: 'value' } }
  }
  // One column that is the row itself.
  if (columns.length === 1 && outs.types.length === 0 && columns[0]!.type === wanted && wanted !== OID.record)
    return { query: final, result: { kind: 'value' } }
  const relation = composite ? b.catalog.relation(b.catalog.typeRow(baseType(b, wanted))!.relation) : undefined
  const fields = relation?.columns.filter((column) => !column.dropped)
  const types = fields?.map((field) => field.type) ?? (outs.types.length > 0 ? outs.types : undefined)
  const names = fields?.map((field) => field.name) ?? outs.names
  if (types === undefined) {
    // RETURNS record: whatever comes.
    const settled = columns.map((column) => (column.type === OID.unknown ? OID.text : column.type))
    return {
      query: converted(b, final, settled, wanted, true),
      result: { kind: 'row', types: settled, names: columns.map((column) => column.name) },
    }
  }
  if (columns.length < types.length) throw mismatch(b, wanted, 'Final statement returns too few columns.')
  if (columns.length > types.length) throw mismatch(b, wanted, 'Final statement returns too many columns.')
  return { query: converted(b, final, types, wanted, true), result: { kind: 'row', types, names } }
}

const mismatch = (b: BindContext, returns: Oid, detail: string): SqlError =>
  sqlError('42P13', `return type mismatch in function declared to return ${typeName(b, returns)}`, { detail })

/** The query with its columns of these types, as on assignment. */
function converted(b: BindContext, query: Query, types: readonly Oid[], returns: Oid, several: boolean): Query {
  const columns = outputColumns(query)
  if (columns.every((column, i) => column.type === types[i])) return query
  const convert = (e: Expression, i: number): Expression => {
    if (e.type !== OID.unknown && !canCoerce(b, [e.type], [types[i]!], 'assignment')) {
      throw mismatch(
        b,
        returns,
        several
          ? `Final statement returns ${typeName(b, e.type)} instead of ${typeName(b, types[i]!)} at column ${i + 1}.`
          : `Actual return type is ${typeName(b, e.type)}.`,
      )
    }
    return coerceTo(b, e, types[i]!, -1, 'assignment', 'implicit')
  }
  if (query.command !== 'select') {
    const returning = query.modify!.returning.map((target, i) => ({
      ...target,
      expression: convert(target.expression, i),
    }))
    return { ...query, modify: { ...query.modify!, returning } }
  }
  const targets = columns.map((column, i): Target => {
    const e: Expression = {
      kind: 'var',
      level: 0,
      relation: 0,
      column: i + 1,
      type: column.type,
      typmod: column.typmod,
    }
    return { name: column.name, expression: convert(e, i), junk: false, tableOid: 0 as Oid, columnNumber: 0 }
  })
  return {
    ...EMPTY_QUERY,
    relations: [{ kind: 'subquery', query, alias: 'q', aliased: true, columns, lateral: false }],
    from: [{ kind: 'relation', relation: 0 }],
    targets,
  }
}

/** The procedure that CALL means and its arguments, without columns. Throws 42809 for a function, 42883 for nothing. */
export function bindProcedureCall(
  b: BindContext,
  node: FuncCall,
): { readonly row: FunctionRow; readonly args: readonly Expression[] } {
  const path = namesOf(node.funcname)
  const name = path.at(-1)!
  const schema = path.length > 1 ? path.at(-2) : undefined
  const scope = createScope(undefined, 'other')
  const given = (node.args ?? []).map((arg) => ('NamedArgExpr' in arg ? arg.NamedArgExpr : undefined))
  const names = given.map((each) => each?.name)
  const nodes: readonly Node[] = (node.args ?? []).map((arg, i) => given[i]?.arg ?? arg)
  const all = nodes.map((each) => bindExpression(b, scope, each))
  // OUT parameters have places in the call, whose values do not matter.
  const isOut = outPlaces(b, name, all.length)
  const args = all.filter((_, i) => names[i] !== undefined || !isOut[i])
  const kept = names.filter((each, i) => each !== undefined || !isOut[i])
  const types = args.map((arg) => arg.type)
  const match = findFunction(b, schema, name, types, kept, node.func_variadic === true, node.location)
  if (match.kind !== 'found') {
    const missing = functionMissing(b, schema, name, types, kept, match.kind, node.location)
    throw errorAt(b, missing.code, missing.message.replace(/^function/, 'procedure'), node.location, {
      hint: missing.fields.hint
        ?.replace('No function', 'No procedure')
        .replace('candidate function', 'candidate procedure'),
    })
  }
  const { row } = match
  if (row.kind !== 'p') {
    const signature = `${row.name}(${row.argTypes.map((type) => typeName(b, type)).join(', ')})`
    throw errorAt(b, '42809', `${signature} is not a procedure`, node.location, {
      hint: 'To call a function, use SELECT.',
    })
  }
  const resolved = functionArguments(b, match.candidate, args, (text, type) => bindText(b, text, type))
  return { row, args: resolved.args }
}

function outPlaces(b: BindContext, name: string, count: number): readonly boolean[] {
  for (const row of b.catalog.functionsByName(name)) {
    const modes = row.argModes
    if (row.kind === 'p' && modes?.length === count && modes.includes('o')) return modes.map((mode) => mode === 'o')
  }
  return []
}
