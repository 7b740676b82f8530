/**
 * alopex_hybrid_search: the rows that both words and meaning point to. A call in FROM is written out as the query a person
 * would write, and bound like it: so plans, indexes, snapshots and privileges are those of any query over the table.
 *
 *     SELECT d.*, h.score
 *     FROM alopex_hybrid_search('docs', 'body', 'quick fox', 'embedding', '[…]', match_count => 5) h
 *     JOIN docs d ON d.id::text = h.id ORDER BY h.score DESC
 *
 * Text: the `candidates` rows that match websearch_to_tsquery(query) with the greatest ts_rank. Vectors: the `candidates` rows
 * nearest to query_vector, by the distance of the column's first vector index (without one: <->). A row's score is
 * 1/(rrf_k + text_rank) + 1/(rrf_k + vector_rank), a rank that it does not have counting nothing; the best `match_count` come
 * back, equal scores in the order of the primary key. Names must be constants; the other arguments may be anything.
 *
 * Reciprocal rank fusion: Cormack, Clarke, Büttcher, "Reciprocal rank fusion outperforms Condorcet and individual rank
 * learning methods", SIGIR 2009.
 */
import type { Alias, Node, RangeFunction, RangeSubselect } from '@pgsql/types'
import type { Oid } from '../../storage/keys/brand.ts'
import type { ColumnRow, OperatorRow, RelationRow } from '../catalog/catalog.ts'
import { quoteIdentifier } from '../catalog/names.ts'
import { parse } from '../parser/parser.ts'
import { notSupported, sqlError } from '../types/error.ts'
import { type BindContext, errorAt } from './context.ts'
import { namesOf } from './typename.ts'

const NAME = 'alopex_hybrid_search'
const TSVECTOR = 3614
const VECTOR_TYPES = new Set(['vector', 'halfvec', 'sparsevec'])

/** In order; those with a default may be left out. */
const PARAMETERS: readonly (readonly [name: string, byDefault?: string])[] = [
  ['tbl'],
  ['text_column'],
  ['query'],
  ['vector_column'],
  ['query_vector'],
  ['match_count', '10'],
  ['rrf_k', '60'],
  ['candidates', '100'],
]
const QUERY = 2
const VECTOR = 4

/** The query behind the call, as a subquery in FROM; undefined when this is no such call (or one that does not resolve). */
export function hybridSearch(b: BindContext, node: RangeFunction): RangeSubselect | undefined {
  const source = node.functions?.length === 1 ? node.functions[0] : undefined
  const fn = source !== undefined && 'List' in source ? source.List.items?.[0] : undefined
  if (fn === undefined || !('FuncCall' in fn) || node.ordinality === true || node.coldeflist !== undefined)
    return undefined
  const path = namesOf(fn.FuncCall.funcname)
  if (path.at(-1) !== NAME || (path.length > 1 && path.at(-2) !== 'pg_catalog')) return undefined
  const args = argumentsOf(fn.FuncCall.args ?? [])
  if (args === undefined) return undefined

  const tableName = constantText(args[0])
  const textName = constantText(args[1])
  const vectorName = constantText(args[3])
  if (tableName === undefined || textName === undefined || vectorName === undefined)
    throw notSupported(`${NAME} with a table or column name that is not a constant`)
  const names = b.typeContext.names
  const table = names && b.catalog.relation(names.findRelation(tableName))
  if (table === undefined) throw sqlError('42P01', `relation "${tableName}" does not exist`)
  const text = columnOf(b, table, textName, fn.FuncCall.location)
  const vector = columnOf(b, table, vectorName, fn.FuncCall.location)
  const vectorType = b.catalog.typeRow(vector.type)
  if (vectorType === undefined || !VECTOR_TYPES.has(vectorType.name))
    throw errorAt(
      b,
      '42804',
      `column "${vector.name}" of relation "${table.name}" is not a vector`,
      fn.FuncCall.location,
    )
  const lateral = refuseCaptured(b, table, args)

  const sql = queryText(b, table, text, vector, `${schemaOf(b, vectorType.namespace)}.${vectorType.name}`)
  const parsed = parse(sql)
  if (parsed instanceof Promise) throw sqlError('54001', 'stack depth limit exceeded')
  const subquery = filledIn(parsed[0]!.node, args) as Node
  const alias: Alias = node.alias ?? { aliasname: NAME }
  return { lateral, subquery, alias }
}

/** By position and by name; undefined when they are not what the function takes. */
function argumentsOf(given: readonly Node[]): (Node | undefined)[] | undefined {
  const args: (Node | undefined)[] = PARAMETERS.map(() => undefined)
  for (const [i, arg] of given.entries()) {
    const named = 'NamedArgExpr' in arg ? arg.NamedArgExpr : undefined
    const at = named === undefined ? i : PARAMETERS.findIndex(([name]) => name === named.name)
    if (at < 0 || at >= args.length || args[at] !== undefined) return undefined
    args[at] = named === undefined ? arg : named.arg
  }
  return args.every((arg, i) => arg !== undefined || PARAMETERS[i]![1] !== undefined) ? args : undefined
}

/** A string constant, with a cast or without. */
function constantText(node: Node | undefined): string | undefined {
  if (node === undefined) return undefined
  if ('TypeCast' in node) return constantText(node.TypeCast.arg)
  return 'A_Const' in node ? node.A_Const.sval?.sval : undefined
}

function columnOf(b: BindContext, table: RelationRow, name: string, location: number | undefined): ColumnRow {
  const column = table.columns.find((each) => each.name === name && !each.dropped)
  if (column === undefined)
    throw errorAt(b, '42703', `column "${name}" of relation "${table.name}" does not exist`, location)
  return column
}

/** Whether the arguments name columns around the call; such a name must not be one of the table's own. */
function refuseCaptured(b: BindContext, table: RelationRow, args: readonly (Node | undefined)[]): boolean {
  let found = false
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return
    if ('ColumnRef' in value) {
      found = true
      const { fields, location } = (value as Extract<Node, { ColumnRef: unknown }>).ColumnRef
      const path = (fields ?? []).map((field) => ('String' in field ? (field.String.sval ?? '') : '*'))
      if (path.length === 1 && table.columns.some((column) => column.name === path[0] && !column.dropped))
        throw errorAt(b, '42702', `column reference "${path[0]}" is ambiguous`, location, {
          hint: 'Write the name of its table before it.',
        })
    }
    for (const child of Object.values(value)) visit(child)
  }
  args.forEach(visit)
  return found
}

/** The distance of the first finished vector index on the column, else <->; with its schema, which is the extension's. */
function distanceOperator(b: BindContext, table: RelationRow, column: ColumnRow): string {
  const written = (operator: OperatorRow): string => `OPERATOR(${schemaOf(b, operator.namespace)}.${operator.name})`
  for (const id of table.indexes) {
    const index = b.catalog.relation(id)?.index
    const key = index?.keys[0]
    if (index?.valid !== true || key?.column !== column.number) continue
    const operator = b.catalog.distanceOperator(key.opclass)
    if (operator !== undefined) return written(operator)
  }
  const usual = b.catalog.operatorsByName('<->').find((each) => each.left === column.type)
  return usual === undefined ? '<->' : written(usual)
}

const schemaOf = (b: BindContext, namespace: Oid): string => quoteIdentifier(b.catalog.namespace(namespace)?.name ?? '')

/** $1 … $8 are the arguments. Names with a star are nobody else's. */
function queryText(b: BindContext, table: RelationRow, text: ColumnRow, vector: ColumnRow, vectorType: string): string {
  const primary = table.constraints.find((each) => each.type === 'p')
  if (primary === undefined) throw sqlError('55000', `${NAME} needs a primary key on "${table.name}"`)
  const from = `${schemaOf(b, table.namespace)}.${quoteIdentifier(table.name)} AS "*t"`
  const own = (column: ColumnRow): string => `"*t".${quoteIdentifier(column.name)}`
  const keys = primary.columns.map((_, i) => `"*k${i}"`)
  const keyed = primary.columns.map((number, i) => `${own(table.columns[number - 1]!)} AS ${keys[i]}`).join(', ')
  const list = keys.join(', ')
  const document = text.type === TSVECTOR ? own(text) : `pg_catalog.to_tsvector(${own(text)})`
  const asked = `(SELECT pg_catalog.websearch_to_tsquery($${QUERY + 1}::pg_catalog.text))`
  const id = keys.length === 1 ? `${list}::pg_catalog.text` : `ROW(${list})::pg_catalog.text`
  const worth = (rank: string): string =>
    `COALESCE(1::pg_catalog.float8 OPERATOR(pg_catalog./) ($7::pg_catalog.int4 OPERATOR(pg_catalog.+) ${rank}), 0)`
  return `
    SELECT ${id} AS id,
      ${worth('"*tn"')} OPERATOR(pg_catalog.+) ${worth('"*vn"')} AS score,
      "*tn" AS text_rank, "*vn" AS vector_rank, "*d" AS distance
    FROM (
      SELECT ${list}, pg_catalog.row_number() OVER (ORDER BY "*r" DESC, ${list}) AS "*tn" FROM (
        SELECT ${keyed}, pg_catalog.ts_rank(${document}, ${asked}) AS "*r" FROM ${from}
        WHERE ${document} OPERATOR(pg_catalog.@@) ${asked}
        ORDER BY "*r" DESC, ${list} LIMIT $8::pg_catalog.int4
      ) AS "*s"
    ) AS "*text"
    FULL JOIN (
      SELECT ${list}, "*d", pg_catalog.row_number() OVER (ORDER BY "*d", ${list}) AS "*vn" FROM (
        SELECT ${keyed}, ${own(vector)} ${distanceOperator(b, table, vector)}
          $${VECTOR + 1}::${vectorType} AS "*d" FROM ${from}
        ORDER BY "*d" LIMIT $8::pg_catalog.int4
      ) AS "*n" WHERE "*d" IS NOT NULL
    ) AS "*vector" USING (${list})
    ORDER BY score DESC, ${list} LIMIT $6::pg_catalog.int4`
}

/** The tree with arguments (or their defaults) for $1 …, and without places in a text that nobody wrote. */
function filledIn(value: unknown, args: readonly (Node | undefined)[]): unknown {
  if (Array.isArray(value)) return value.map((each) => filledIn(each, args))
  if (typeof value !== 'object' || value === null) return value
  if ('ParamRef' in value) {
    const at = ((value as Extract<Node, { ParamRef: unknown }>).ParamRef.number ?? 1) - 1
    return args[at] ?? { A_Const: { ival: { ival: Number(PARAMETERS[at]![1]) } } }
  }
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => name !== 'location')
      .map(([name, each]) => [name, filledIn(each, args)]),
  )
}
