/**
 * From bound trees back to SQL: what pg_get_expr, pg_get_viewdef, pg_get_indexdef, pg_get_constraintdef answer. Names are
 * qualified as the given search path needs; the output is PostgreSQL's, blanks and line breaks included.
 */
import { type Oid, oid } from '../../storage/keys/brand.ts'
import { invariant } from '../../storage/keys/invariant.ts'
import type { Expression } from '../plan/expression.ts'
import type { Query } from '../plan/query.ts'
import { prettyViewSql } from './builtin.ts'
import type { ConstraintRow, ForeignKeyAction, IndexKey, RelationRow, TypeRow } from './catalog.ts'
import { printExpression } from './deparse-expression.ts'
import { outputNames, printQuery } from './deparse-query.ts'
import {
  collationName,
  type NameScope,
  namespaceUnless,
  qualifiedRelationName,
  quoteIdentifier,
  quoteQualified,
  relationName,
  SYSTEM_PATH,
} from './names.ts'
import { type Level, Printer, type PrintOptions } from './printer.ts'

const NORMAL: PrintOptions = { pretty: false, indent: true }
const PRETTY: PrintOptions = { pretty: true, indent: true }
const optionsOf = (pretty: boolean): PrintOptions => (pretty ? PRETTY : NORMAL)

const levelOf = (relation: RelationRow | undefined): Level =>
  relation === undefined ? { kind: 'none' } : { kind: 'table', row: relation }

/** An expression over the columns of a table (or over VALUE, without one). */
export function expressionText(
  scope: NameScope,
  e: Expression,
  relation: RelationRow | undefined,
  pretty = false,
): string {
  const p = new Printer(scope, optionsOf(pretty), [levelOf(relation)], printQuery)
  printExpression(p, e, false)
  return p.text
}

/** A query without a final semicolon. */
export function queryText(scope: NameScope, query: Query, pretty = false): string {
  const p = new Printer(scope, optionsOf(pretty), [], printQuery)
  printQuery(p, query, true, outputNames(query))
  return p.text
}

/** A function's body as the standard writes it: RETURN e (a SELECT of one column), or BEGIN ATOMIC … END; parameters by their names. */
export function routineText(
  scope: NameScope,
  queries: readonly Query[],
  isReturn: boolean,
  name: string,
  parameters: readonly (string | undefined)[],
): string {
  const planned: PrintOptions['planned'] = (p, e) => {
    const parameter = e.kind === 'param' ? parameters[e.index - 1] : undefined
    if (parameter === undefined) return false
    const hasRelations = p.levels.some((level) => level.kind === 'query' && level.names.length > 0)
    p.text += `${hasRelations ? `${quoteIdentifier(name)}.` : ''}${quoteIdentifier(parameter)}`
    return true
  }
  const options: PrintOptions = { pretty: false, indent: true, planned }
  if (isReturn) {
    const p = new Printer(scope, options, [levelOf(undefined)], printQuery)
    printExpression(p, queries[0]!.targets[0]!.expression, false)
    return `RETURN ${p.text}`
  }
  const texts = queries.map((query) => {
    const p = new Printer(scope, options, [], printQuery)
    p.indentLevel = 1
    printQuery(p, query, false)
    return ` ${p.text.trimStart()};\n`
  })
  return `BEGIN ATOMIC\n${texts.join('')}END`
}

/** pg_get_viewdef. */
export function viewText(scope: NameScope, row: RelationRow, pretty = false): string {
  invariant(row.view, `${row.name} is no view`)
  if ('sql' in row.view) return (pretty ? prettyViewSql(row.oid) : undefined) ?? row.view.sql
  return `${queryText(scope, row.view.query, pretty)};`
}

/** An index key: a column's name, or its expression (in parentheses unless it is a function call). */
function keyText(scope: NameScope, table: RelationRow, key: IndexKey, pretty: boolean): string {
  if (key.expression === undefined) return quoteIdentifier(table.columns[key.column - 1]!.name)
  const text = expressionText(scope, key.expression, table, pretty)
  return bareCall(key.expression) ? text : `(${text})`
}
const bareCall = (e: Expression): boolean =>
  (e.kind === 'call' && (e.display === 'function' || e.display === 'syntax')) ||
  e.kind === 'coalesce' ||
  e.kind === 'min-max' ||
  e.kind === 'nullif' ||
  e.kind === 'sql-value'

/** pg_get_indexdef(index, column, pretty): `column` 0 gives the whole command, n the n-th key alone. */
export function indexText(scope: NameScope, row: RelationRow, column = 0, pretty = false): string {
  const { index } = row
  invariant(index, `${row.name} is no index`)
  const table = scope.catalog.relation(index.table)
  invariant(table, `no table of index ${row.name}`)
  if (column !== 0) {
    const key = index.keys[column - 1]
    if (key !== undefined) return keyText(scope, table, key, pretty)
    const included = index.include[column - 1 - index.keys.length]
    return included === undefined ? '' : quoteIdentifier(table.columns[included - 1]!.name)
  }
  const keys = index.keys.map((key) => keyText(scope, table, key, pretty) + keyOptions(scope, row, table, key))
  let text = `CREATE ${index.unique ? 'UNIQUE ' : ''}INDEX ${quoteIdentifier(row.name)} ON `
  text += `${pretty ? relationName(scope, table) : qualifiedRelationName(scope, table)} USING ${index.method} (${keys.join(', ')})`
  if (index.include.length > 0)
    text += ` INCLUDE (${index.include.map((n) => quoteIdentifier(table.columns[n - 1]!.name)).join(', ')})`
  if (index.nullsNotDistinct) text += ' NULLS NOT DISTINCT'
  if (row.options !== undefined && row.options.length > 0) text += ` WITH (${optionsText(row.options)})`
  if (index.predicate !== undefined) {
    const predicate = expressionText(scope, index.predicate, table, pretty)
    text += ` WHERE ${predicate}`
  }
  return text
}

function keyOptions(scope: NameScope, row: RelationRow, table: RelationRow, key: IndexKey): string {
  let text = ''
  const { catalog } = scope
  const collation = catalog.collation(key.collation)
  if (key.collation !== 0 && key.collation !== naturalCollation(scope, table, key) && collation !== undefined) {
    text += ` COLLATE ${collationName(scope, collation)}`
  }
  const opclass = catalog.opclass(key.opclass)
  // Columns before a vector are of b-tree classes.
  const method = opclass?.method ?? row.index!.method
  if (opclass !== undefined && catalog.defaultOpclass(method, key.type)?.oid !== opclass.oid) {
    const isVisible = scope.searchPath.includes(opclass.namespace)
    text += ` ${quoteQualified(namespaceUnless(scope, isVisible, opclass.namespace), opclass.name)}`
  }
  if (key.descending) text += key.nullsFirst ? ' DESC' : ' DESC NULLS LAST'
  else if (key.nullsFirst) text += ' NULLS FIRST'
  return text
}

/** The collation an index on this key has when none is written: the column's, or the expression's. */
function naturalCollation(scope: NameScope, table: RelationRow, key: IndexKey): Oid {
  if (key.expression === undefined) return table.columns[key.column - 1]!.collation
  if (key.expression.collation !== undefined) return key.expression.collation
  return scope.catalog.typeRow(key.type)?.collation ?? oid(0)
}

/** reloptions 'fillfactor=70' as "fillfactor='70'". */
const optionsText = (options: readonly string[]): string =>
  options
    .map((option) => {
      const equals = option.indexOf('=')
      const [name, value] = equals < 0 ? [option, ''] : [option.slice(0, equals), option.slice(equals + 1)]
      return `${quoteIdentifier(name)}=${/^[a-z_][a-z0-9_]*$/i.test(value) ? quoteIdentifier(value) : `'${value.replaceAll("'", "''")}'`}`
    })
    .join(', ')

const ACTIONS: Readonly<Record<ForeignKeyAction, string>> = {
  'no-action': '',
  restrict: 'RESTRICT',
  cascade: 'CASCADE',
  'set-null': 'SET NULL',
  'set-default': 'SET DEFAULT',
}

/** pg_get_constraintdef of a table's constraint. */
export function constraintText(
  scope: NameScope,
  table: RelationRow,
  constraint: ConstraintRow,
  pretty = false,
): string {
  const names = (row: RelationRow, columns: readonly number[]): string =>
    columns.map((n) => quoteIdentifier(row.columns[n - 1]!.name)).join(', ')
  let text = ''
  switch (constraint.type) {
    case 'p':
    case 'u': {
      const index = constraint.index === undefined ? undefined : scope.catalog.relation(constraint.index)
      text = constraint.type === 'p' ? 'PRIMARY KEY ' : 'UNIQUE '
      if (index?.index?.nullsNotDistinct === true) text += 'NULLS NOT DISTINCT '
      text += `(${names(table, constraint.columns)})`
      if (index?.index !== undefined && index.index.include.length > 0)
        text += ` INCLUDE (${names(table, index.index.include)})`
      break
    }
    case 'c':
      text =
        constraint.check === undefined
          ? ''
          : checkText(scope, expressionText(scope, constraint.check, table, pretty), constraint.noInherit === true)
      break
    case 'f':
      text = foreignKeyText(scope, table, constraint, names)
      break
    case 'x':
    case 't':
      break
  }
  if (constraint.deferrable) text += ' DEFERRABLE'
  if (constraint.initiallyDeferred) text += ' INITIALLY DEFERRED'
  if (!constraint.validated) text += ' NOT VALID'
  return text
}

const checkText = (_: NameScope, expression: string, noInherit: boolean): string =>
  `CHECK (${expression})${noInherit ? ' NO INHERIT' : ''}`

function foreignKeyText(
  scope: NameScope,
  table: RelationRow,
  constraint: ConstraintRow,
  names: (row: RelationRow, columns: readonly number[]) => string,
): string {
  const key = constraint.foreignKey
  invariant(key, `foreign key ${constraint.name} without a target`)
  const target = scope.catalog.relation(key.table)
  invariant(target, `foreign key ${constraint.name} points nowhere`)
  let text = `FOREIGN KEY (${names(table, constraint.columns)}) REFERENCES ${relationName(scope, target)}(${names(target, key.columns)})`
  if (key.match === 'full') text += ' MATCH FULL'
  if (key.onUpdate !== 'no-action') text += ` ON UPDATE ${ACTIONS[key.onUpdate]}`
  if (key.onDelete !== 'no-action') {
    text += ` ON DELETE ${ACTIONS[key.onDelete]}`
    if (key.onDeleteColumns.length > 0) text += ` (${names(table, key.onDeleteColumns)})`
  }
  return text
}

/** pg_get_constraintdef of a domain's check. */
export function domainCheckText(
  scope: NameScope,
  check: NonNullable<TypeRow['domain']>['checks'][number],
  pretty = false,
): string {
  return `CHECK (${expressionText(scope, check.check, undefined, pretty)})${check.validated ? '' : ' NOT VALID'}`
}

/** A function's default argument: kept as a tree, or for built-ins as text. */
export const defaultText = (scope: NameScope, value: Expression | string): string =>
  typeof value === 'string' ? value : expressionText(scope, value, undefined)

/** What a pg_node_tree column holds: the text that a session with the default search path would print. */
export const storedText = (catalog: NameScope['catalog'], e: Expression, relation: RelationRow | undefined): string =>
  expressionText({ catalog, searchPath: DEFAULT_PATH }, e, relation)
const DEFAULT_PATH = [...SYSTEM_PATH, oid(2200)]

export const systemScope = (catalog: NameScope['catalog']): NameScope => ({ catalog, searchPath: SYSTEM_PATH })
