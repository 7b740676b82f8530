/**
 * Rows out of JSON: json_populate_record(set), json_to_record(set). A column takes the member of its name: scalars by
 * their text through the type's input, arrays and rows member by member (or whole, from a string), json and jsonb as they
 * are. json's text and jsonb's tree are read through one `View`.
 * https://www.postgresql.org/docs/15/functions-json.html#FUNCTIONS-JSON-PROCESSING-TABLE
 */
import type { Oid } from '../../../storage/keys/brand.ts'
import { shaped } from '../array/shape.ts'
import { sqlError } from '../error.ts'
import { bound, type CallInfo, type FunctionBody, type FunctionTable, set } from '../function.ts'
import { OID } from '../oids.ts'
import { type CompositeColumn, compositeColumns, recordOf } from '../record/composite.ts'
import type { TypeContext } from '../type.ts'
import type { ArrayValue, Jsonb, JsonNode, RecordValue, Value } from '../value.ts'
import { isArray, isObject, jsonb, parseTree, printNode } from './node.ts'
import { parseSpans, type Span, spanField, spanText } from './span.ts'

interface View {
  readonly kind: 'null' | 'string' | 'scalar' | 'array' | 'object'
  /** A string's own text, else the value as JSON. */
  text(): string
  json(): string
  node(): JsonNode
  field(name: string): View | undefined
  items(): readonly View[]
}

function viewSpan(whole: string, span: Span): View {
  return {
    kind: span.kind === 'number' || span.kind === 'boolean' ? 'scalar' : span.kind,
    text: () => (span.kind === 'string' ? span.value : spanText(whole, span)),
    json: () => spanText(whole, span),
    node: () => parseTree(spanText(whole, span)),
    field: (name) => {
      const found = spanField(span, name)
      return found && viewSpan(whole, found)
    },
    items: () => (span.kind === 'array' ? span.items.map((item) => viewSpan(whole, item)) : []),
  }
}

function viewNode(node: JsonNode): View {
  const kind =
    node === null
      ? 'null'
      : typeof node === 'string'
        ? 'string'
        : isArray(node)
          ? 'array'
          : isObject(node)
            ? 'object'
            : 'scalar'
  return {
    kind,
    text: () => (typeof node === 'string' ? node : printNode(node)),
    json: () => printNode(node),
    node: () => node,
    field: (name) => {
      const found = isObject(node) ? node.get(name) : undefined
      return found === undefined ? undefined : viewNode(found)
    },
    items: () => (isArray(node) ? node.map(viewNode) : []),
  }
}

const viewOf = (json: string | Jsonb): View =>
  typeof json === 'string' ? viewSpan(json, parseSpans(json)) : viewNode(json.root)

/** One value of `type` from JSON; `column` is the key it stands under, for the errors. */
function populate(view: View, type: Oid, typmod: number, context: TypeContext, column: string | undefined): Value {
  if (view.kind === 'null') {
    context.type(type).checkNull?.(context)
    return null
  }
  if (type === OID.json) return view.json()
  if (type === OID.jsonb) return jsonb(view.node())
  const found = context.type(type)
  const columns = compositeColumns(found)
  if ((found.elementOid === 0 && columns === undefined) || view.kind === 'string')
    return found.input(view.text(), typmod, context)
  const value =
    columns === undefined
      ? populateArray(view, found.elementOid, typmod, context, column)
      : populateRow(view, columns, undefined, context)
  if (found.checkNull !== undefined) context.checkDomain?.(type, value)
  return value
}

/** JSON arrays inside each other as dimensions: as many as the first element of each is an array itself. */
function populateArray(
  view: View,
  element: Oid,
  typmod: number,
  context: TypeContext,
  column: string | undefined,
): ArrayValue {
  const expected = (indices: readonly number[]) => {
    const place = `the array element ${indices.map((index) => `[${index}]`).join('')}`
    const where =
      indices.length > 0
        ? column === undefined
          ? place
          : `${place} of key "${column}"`
        : `the value of key "${column}"`
    const hint = indices.length === 0 && column === undefined ? {} : { hint: `See ${where}.` }
    return sqlError('22P02', 'expected JSON array', hint)
  }
  if (view.kind !== 'array') throw expected([])
  const elements: Value[] = []
  const dimensions: number[] = []
  let depth = 0 // 0: not known yet
  const walk = (items: readonly View[], level: number, indices: readonly number[]): void => {
    items.forEach((item, i) => {
      if (item.kind === 'array' && (depth === 0 || level + 1 < depth)) {
        walk(item.items(), level + 1, [...indices, i])
        return
      }
      if (depth === 0) depth = level + 1
      if (level + 1 < depth) throw expected([...indices, i])
      elements.push(populate(item, element, typmod, context, undefined))
    })
    // An array that ends before any scalar was seen is as deep as they go.
    if (depth === 0) depth = level + 1
    if (dimensions[level] === undefined) dimensions[level] = items.length
    else if (dimensions[level] !== items.length)
      throw sqlError('22P02', 'malformed JSON array', {
        detail: 'Multidimensional arrays must have sub-arrays with matching dimensions.',
      })
  }
  walk(view.items(), 0, [])
  return shaped(
    elements,
    dimensions,
    dimensions.map(() => 1),
  )
}

function populateRow(
  view: View,
  columns: readonly CompositeColumn[],
  base: RecordValue | undefined,
  context: TypeContext,
): RecordValue {
  if (view.kind !== 'object')
    throw sqlError('22023', `cannot call populate_composite on ${view.kind === 'array' ? 'an array' : 'a scalar'}`)
  const values = columns.map((column, i) => {
    const field = view.field(column.name)
    if (field === undefined && base !== undefined) return base.values[i] ?? null
    if (field === undefined) {
      context.type(column.type).checkNull?.(context)
      return null
    }
    return populate(field, column.type, column.typmod, context, column.name)
  })
  return recordOf(columns, values)
}

const noRowType = (name: string) =>
  sqlError('0A000', `could not determine row type for result of ${name}`, {
    hint: 'Provide a non-null record argument, or call the function in the FROM clause using a column definition list.',
  })

/** A row given as the base must have the columns that the column definition list names. */
function checkColumns(types: readonly Oid[], columns: readonly CompositeColumn[], context: TypeContext): void {
  const mismatch = (detail: string) =>
    sqlError('42804', 'function return row and query-specified return row do not match', { detail })
  if (types.length !== columns.length) {
    const attributes = types.length === 1 ? 'attribute' : 'attributes'
    throw mismatch(`Returned row contains ${types.length} ${attributes}, but query expects ${columns.length}.`)
  }
  const name = (type: Oid) => context.names?.typeName(type) ?? context.type(type).name
  types.forEach((type, i) => {
    const wanted = columns[i]!.type
    if (type !== wanted)
      throw mismatch(`Returned type ${name(type)} at ordinal position ${i + 1}, but query expects ${name(wanted)}.`)
  })
}

/** The columns a call gives: of the base's type, of the base itself, or the column definition list. */
function columnsOf(call: CallInfo, name: string): (base: RecordValue | null) => readonly CompositeColumn[] {
  const baseType = call.argTypes[0]!
  const fixed = compositeColumns(call.context.type(baseType))
  if (fixed) return () => fixed
  if (baseType !== OID.record) throw sqlError('42804', `first argument of ${name} must be a row type`)
  const { columns } = call
  if (columns) {
    return (base) => {
      if (base === null) return columns
      checkColumns(base.types, columns, call.context)
      return base.types.map((type, i) => ({ name: base.names?.[i] ?? `f${i + 1}`, type, typmod: -1 }))
    }
  }
  let types: readonly Oid[] | undefined
  let last: readonly CompositeColumn[] = []
  return (base) => {
    if (base === null) throw noRowType(name)
    if (base.types !== types) {
      types = base.types
      last = base.types.map((type, i) => ({ name: base.names?.[i] ?? `f${i + 1}`, type, typmod: -1 }))
    }
    return last
  }
}

const definitionList = (call: CallInfo, name: string): readonly CompositeColumn[] => {
  if (!call.columns) throw noRowType(name)
  return call.columns
}

const populateRecord = (name: string): FunctionBody =>
  bound<[RecordValue | null, string | Jsonb | null]>((call) => {
    const columns = columnsOf(call, name)
    const checked = domainCheck(call)
    return (base, json) =>
      json === null ? base : checked(populateRow(viewOf(json), columns(base), base ?? undefined, call.context))
  })

/** A domain over the row type asks its rules of each row. */
function domainCheck({ argTypes, context }: CallInfo): (row: RecordValue) => RecordValue {
  const type = argTypes[0]!
  if (context.type(type).checkNull === undefined) return (row) => row
  return (row) => {
    context.checkDomain?.(type, row)
    return row
  }
}

const toRecord = (name: string): FunctionBody =>
  bound<[string | Jsonb]>((call) => {
    const columns = definitionList(call, name)
    return (json) => populateRow(viewOf(json), columns, undefined, call.context)
  })

function* rowsOf(
  json: string | Jsonb | null,
  name: string,
  columns: () => readonly CompositeColumn[],
  base: RecordValue | undefined,
  context: TypeContext,
): Generator<RecordValue> {
  if (json === null) return
  const view = viewOf(json)
  if (view.kind !== 'array') {
    const what = typeof json !== 'string' ? 'a non-array' : view.kind === 'object' ? 'an object' : 'a scalar'
    throw sqlError('22023', `cannot call ${name} on ${what}`)
  }
  const wanted = columns()
  for (const item of view.items()) {
    if (item.kind !== 'object') throw sqlError('22023', `argument of ${name} must be an array of objects`)
    yield populateRow(item, wanted, base, context)
  }
}

const populateRecordset = (name: string): FunctionBody =>
  set<[RecordValue | null, string | Jsonb | null]>((call) => {
    const columns = columnsOf(call, name)
    const checked = domainCheck(call)
    return function* (base, json) {
      for (const row of rowsOf(json, name, () => columns(base), base ?? undefined, call.context)) yield checked(row)
    }
  })

const toRecordset = (name: string): FunctionBody =>
  set<[string | Jsonb | null]>((call) => {
    const columns = definitionList(call, name)
    return (json) => rowsOf(json, name, () => columns, undefined, call.context)
  })

export const POPULATE_FUNCTIONS: FunctionTable = {
  json_populate_record: populateRecord('json_populate_record'),
  jsonb_populate_record: populateRecord('jsonb_populate_record'),
  json_populate_recordset: populateRecordset('json_populate_recordset'),
  jsonb_populate_recordset: populateRecordset('jsonb_populate_recordset'),
  json_to_record: toRecord('json_to_record'),
  jsonb_to_record: toRecord('jsonb_to_record'),
  json_to_recordset: toRecordset('json_to_recordset'),
  jsonb_to_recordset: toRecordset('jsonb_to_recordset'),
}
