/**
 * Prints bound expressions as PostgreSQL's ruleutils does: every operator in parentheses (or, pretty, only where the
 * grammar needs them), casts as ::type, literals with the type that they need to be read back.
 */
import { type Oid, oid } from '../../storage/keys/brand.ts'
import { invariant } from '../../storage/keys/invariant.ts'
import type { AggregateCall, Expression, SortKey } from '../plan/expression.ts'
import type { Window } from '../plan/query.ts'
import { notSupported } from '../types/error.ts'
import { OID } from '../types/oids.ts'
import { DEFAULT_SETTINGS } from '../types/settings.ts'
import { quoteLiteral } from '../types/text/quote.ts'
import type { TypeContext } from '../types/type.ts'
import type { Value } from '../types/value.ts'
import { nameLookup } from './lookup.ts'
import {
  collationName,
  formatType,
  functionVisible,
  namespaceUnless,
  operatorVisible,
  quoteIdentifier,
  quoteQualified,
} from './names.ts'
import type { Printer } from './printer.ts'

/** Values in catalogs print as with PostgreSQL's default settings. */
export function valueText(scope: Printer['scope'], type: Oid, value: Value): string {
  const context: TypeContext = {
    type: (wanted) => scope.catalog.type(wanted),
    settings: DEFAULT_SETTINGS,
    transactionTimestamp: 0,
    names: nameLookup(scope),
  }
  return scope.catalog.type(type).output(value, context)
}

/** `implicit`: casts that nobody wrote are shown too, where leaving them out could change what the text means. */
export function printExpression(p: Printer, e: Expression, implicit: boolean): void {
  if (p.options.planned?.(p, e) === true) return
  switch (e.kind) {
    case 'const':
      printConst(p, e, 'needed')
      return
    case 'param':
      p.text += `$${e.index}`
      return
    case 'var':
      p.text += varName(p, e, false)
      return
    case 'column':
    case 'outer':
      throw notSupported(`printing a planned expression (${e.kind})`)
    case 'call':
      printCall(p, e, implicit)
      return
    case 'relabel':
      if (e.type === e.arg.type && e.collation !== undefined && e.display === 'implicit') {
        printCollate(p, e)
        return
      }
      if (e.display === 'implicit' && !implicit) {
        printExpression(p, e.arg, false)
        return
      }
      printCast(p, e.arg, e.type, e.typmod, e)
      return
    case 'coerce-io':
    case 'array-coerce':
      if (e.display === 'implicit' && !implicit) {
        printExpression(p, e.arg, false)
        return
      }
      printCast(p, e.arg, e.type, e.typmod, e)
      return
    case 'case-test':
      p.text += 'VALUE'
      return
    case 'and':
    case 'or':
      parenthesized(p, () =>
        e.args.forEach((arg, i) => {
          if (i > 0) p.text += e.kind === 'and' ? ' AND ' : ' OR '
          operand(p, arg, false, e)
        }),
      )
      return
    case 'not':
      parenthesized(p, () => {
        p.text += 'NOT '
        operand(p, e.arg, false, e)
      })
      return
    case 'is-null':
      parenthesized(p, () => {
        operand(p, e.arg, true, e)
        const rowTyped = !e.argIsRow && p.scope.catalog.typeRow(e.arg.type)?.kind === 'c'
        if (rowTyped) p.text += e.negated ? ' IS DISTINCT FROM NULL' : ' IS NOT DISTINCT FROM NULL'
        else p.text += e.negated ? ' IS NOT NULL' : ' IS NULL'
      })
      return
    case 'boolean-test':
      parenthesized(p, () => {
        operand(p, e.arg, false, e)
        p.text += ` IS ${e.negated ? 'NOT ' : ''}${e.test.toUpperCase()}`
      })
      return
    case 'distinct':
      parenthesized(p, () => {
        operand(p, e.left, true, e)
        p.text += ' IS DISTINCT FROM '
        operand(p, e.right, true, e)
      })
      return
    case 'nullif':
      printList(p, 'NULLIF(', [e.left, e.right], ')')
      return
    case 'case':
      printCase(p, e)
      return
    case 'coalesce':
      printList(p, 'COALESCE(', e.args, ')')
      return
    case 'min-max':
      printList(p, `${e.op.toUpperCase()}(`, e.args, ')')
      return
    case 'any-array':
      parenthesized(p, () => {
        operand(p, e.left, true, e)
        p.text += ` ${operatorName(p, e.operator)} ${e.all ? 'ALL' : 'ANY'} (`
        operand(p, e.right, true, e)
        // Without a cast, ANY (SELECT …) would read as the sub-select form.
        if (e.right.kind === 'subquery' && e.right.link.kind === 'scalar')
          p.text += `::${formatType(p.scope, e.right.type, e.right.typmod)}`
        p.text += ')'
      })
      return
    case 'array':
      printList(p, 'ARRAY[', e.elements, ']')
      if (e.elements.length === 0) p.text += `::${formatType(p.scope, e.type, -1)}`
      return
    case 'row':
      printList(p, 'ROW(', e.fields, ')')
      if (e.type !== OID.record) p.text += `::${formatType(p.scope, e.type, -1)}`
      return
    case 'row-compare':
      printList(p, '(ROW(', e.left, `) ${operatorName(p, e.operators[0]!)} ROW(`)
      printList(p, '', e.right, '))')
      return
    case 'field': {
      // A column of a relation's own row is that column.
      if (e.arg.kind === 'var' && e.arg.column === 0) {
        p.text += varName(p, { ...e.arg, column: e.index + 1 }, false)
        return
      }
      const bare = e.arg.kind === 'subscript' || e.arg.kind === 'field'
      if (!bare) p.text += '('
      printExpression(p, e.arg, true)
      if (!bare) p.text += ')'
      p.text += `.${quoteIdentifier(e.name)}`
      return
    }
    case 'subscript':
      printSubscript(p, e)
      return
    case 'subquery':
      printSubquery(p, e)
      return
    case 'aggregate':
      printAggregate(p, e)
      return
    case 'window':
      printWindowCall(p, e)
      return
    case 'grouping':
      printList(p, 'GROUPING(', e.args, ')')
      return
    case 'sql-value':
      p.text += e.op === 'current_schema' || e.typmod < 0 ? e.op.toUpperCase() : `${e.op.toUpperCase()}(${e.typmod})`
      return
    case 'default':
      p.text += 'DEFAULT'
      return
    case 'current-of':
      p.text += `CURRENT OF ${quoteIdentifier(e.cursor)}`
      return
    default:
      throw notSupported(`printing a ${(e as { kind: string }).kind} expression`)
  }
}

/** An operand in parentheses where, pretty-printing, its parent does not bind it as it stands. */
function operand(p: Printer, e: Expression, implicit: boolean, parent: Expression): void {
  const needs = p.options.pretty && !isSimple(p, shown(e, implicit), parent)
  if (needs) p.text += '('
  printExpression(p, e, implicit)
  if (needs) p.text += ')'
}

/** The node that will be seen once hidden casts are left out. */
function shown(e: Expression, implicit: boolean): Expression {
  if (implicit) return e
  if ((e.kind === 'relabel' || e.kind === 'coerce-io' || e.kind === 'array-coerce') && e.display === 'implicit') {
    return e.kind === 'relabel' && e.collation !== undefined && e.type === e.arg.type ? e : shown(e.arg, false)
  }
  return e.kind === 'call' && e.display === 'implicit' ? shown(e.args[0]!, false) : e
}

function parenthesized(p: Printer, write: () => void): void {
  if (!p.options.pretty) p.text += '('
  write()
  if (!p.options.pretty) p.text += ')'
}

function printList(p: Printer, open: string, list: readonly Expression[], close: string): void {
  p.text += open
  list.forEach((e, i) => {
    if (i > 0) p.text += ', '
    printExpression(p, e, true)
  })
  p.text += close
}

/** Kinds of parent that put their children between brackets or keywords of their own. */
const ENCLOSING = new Set<Expression['kind']>([
  'subscript',
  'array',
  'row',
  'coalesce',
  'min-max',
  'nullif',
  'aggregate',
  'grouping',
  'window',
  'case',
  'row-compare',
]) // prettier-ignore

/** Whether an operand needs no parentheses under this parent (ruleutils' isSimpleNode). */
function isSimple(p: Printer, e: Expression, parent: Expression): boolean {
  const parentEncloses = ENCLOSING.has(parent.kind) || (parent.kind === 'call' && looksLikeFunction(parent))
  switch (e.kind) {
    case 'field':
      return parent.kind !== 'field'
    case 'relabel':
    case 'coerce-io':
    case 'array-coerce':
      return isSimple(p, e.arg, e)
    case 'call': {
      if (e.display === 'cast' || e.display === 'implicit') return isSimple(p, e.args[0]!, e)
      if (e.operator === undefined) return looksLikeFunction(e)
      if (parent.kind === 'call' && parent.operator !== undefined && parent.display === 'operator') {
        return bindsTighter(p, e.operator, parent.operator, parent.args[0] === e)
      }
      return parentEncloses || parent.kind === 'and' || parent.kind === 'or' || parent.kind === 'not'
    }
    case 'subquery':
    case 'is-null':
    case 'boolean-test':
    case 'distinct':
    case 'any-array':
      return parentEncloses || parent.kind === 'and' || parent.kind === 'or' || parent.kind === 'not'
    case 'and':
    case 'not':
      return parentEncloses || parent.kind === 'and' || (parent.kind === 'or' && e.kind === 'and')
    case 'or':
      return parentEncloses || parent.kind === 'or'
    default:
      return true
  }
}

/** Only for the arithmetic operators everyone knows the precedence of. */
function bindsTighter(p: Printer, inner: Oid, outer: Oid, isFirst: boolean): boolean {
  const rank = (operator: Oid): number => {
    const name = p.scope.catalog.operator(operator)?.name ?? ''
    return name === '+' || name === '-' ? 1 : name === '*' || name === '/' || name === '%' ? 2 : 0
  }
  const [a, b] = [rank(inner), rank(outer)]
  if (a === 0 || b === 0) return false
  return a > b || (a === b && isFirst)
}

function relationOf(p: Printer, e: Extract<Expression, { kind: 'var' }>) {
  const level = p.levels[e.level]
  invariant(level, `a var of level ${e.level} outside of its query`)
  return level
}

const SYSTEM_COLUMNS: Readonly<Record<number, string>> = {
  [-1]: 'ctid',
  [-2]: 'xmin',
  [-3]: 'cmin',
  [-4]: 'xmax',
  [-5]: 'cmax',
  [-6]: 'tableoid',
}

/** 'p.id'; of a whole row 'p.*'. `bare`: the column's name alone. */
export function varName(p: Printer, e: Extract<Expression, { kind: 'var' }>, bare: boolean): string {
  const level = relationOf(p, e)
  if (level.kind === 'none') return 'VALUE'
  if (level.kind === 'table') {
    if (e.column === 0) return `${quoteIdentifier(level.row.name)}.*`
    return quoteIdentifier(e.column < 0 ? SYSTEM_COLUMNS[e.column]! : level.row.columns[e.column - 1]!.name)
  }
  const relation = level.query.relations[e.relation]!
  const refname = quoteIdentifier(level.names[e.relation]!)
  if (e.column === 0) return `${refname}.*`
  const column = e.column < 0 ? SYSTEM_COLUMNS[e.column]! : relation.columns[e.column - 1]!.name
  return bare || !level.prefix || refname === '""' ? quoteIdentifier(column) : `${refname}.${quoteIdentifier(column)}`
}

const DIGITS = /^[0-9]/

/** `label`: 'never' when a cast follows anyway, 'always' where a bare number would mean something else (ORDER BY 1). */
function printConst(p: Printer, e: Extract<Expression, { kind: 'const' }>, label: 'never' | 'needed' | 'always'): void {
  const cast = (): void => {
    p.text += `::${formatType(p.scope, e.type, e.typmod)}`
  }
  if (e.value === null) {
    p.text += 'NULL'
    if (label !== 'never') cast()
    return
  }
  const text = valueText(p.scope, e.type, e.value)
  let needed = true
  if (e.type === OID.bool) {
    p.text += text === 't' ? 'true' : 'false'
    needed = false
  } else if (e.type === OID.int4 && !text.startsWith('-')) {
    p.text += text
    needed = false
  } else if (e.type === OID.numeric && DIGITS.test(text) && /[eE.]/.test(text)) {
    p.text += text
    needed = e.typmod >= 0
  } else {
    p.text += quoteLiteral(text)
    if (e.type === OID.unknown) needed = false
  }
  if (label === 'always' || (needed && label !== 'never')) cast()
}

function printCast(p: Printer, inner: Expression, type: Oid, typmod: number, parent: Expression): void {
  // A cast and the length coercion on top of it were written as one.
  const arg = inner.type === type && inner.typmod < 0 && typmod >= 0 ? castOperand(inner) : inner
  if (arg.kind === 'const' && arg.type === type && arg.typmod === -1) {
    printConst(p, arg, 'never')
  } else {
    parenthesized(p, () => operand(p, arg, false, parent))
  }
  p.text += `::${formatType(p.scope, type, typmod)}`
}

function castOperand(e: Expression): Expression {
  if ((e.kind === 'relabel' || e.kind === 'coerce-io' || e.kind === 'array-coerce') && e.collation === undefined)
    return e.arg
  return e.kind === 'call' && (e.display === 'cast' || e.display === 'implicit') ? e.args[0]! : e
}

function printCollate(p: Printer, e: Extract<Expression, { kind: 'relabel' }>): void {
  const row = p.scope.catalog.collation(e.collation!)
  invariant(row, `no collation ${e.collation}`)
  parenthesized(p, () => {
    operand(p, e.arg, true, e)
    p.text += ` COLLATE ${collationName(p.scope, row)}`
  })
}

type Call = Extract<Expression, { kind: 'call' }>

function printCall(p: Printer, e: Call, implicit: boolean): void {
  if (e.display === 'implicit' && !implicit) {
    operand(p, e.args[0]!, false, e)
    return
  }
  if (e.display === 'implicit' || e.display === 'cast') {
    printCast(p, e.args[0]!, e.type, castTypmod(e), e)
    return
  }
  if (e.display === 'operator' && e.operator !== undefined) {
    const [left, right] = e.args
    parenthesized(p, () => {
      if (right === undefined) {
        p.text += `${operatorName(p, e.operator!)} `
        operand(p, left!, true, e)
        return
      }
      operand(p, left!, true, e)
      p.text += ` ${operatorName(p, e.operator!)} `
      operand(p, right, true, e)
    })
    return
  }
  const row = p.scope.catalog.function(e.function)
  const special = e.display === 'syntax' && row?.namespace === PG_CATALOG ? SQL_SYNTAX[row.name] : undefined
  if (special?.(p, e) === true) return
  p.text += `${functionName(p, e.function)}(`
  printArguments(p, e.args, e.variadic)
  p.text += ')'
}
const PG_CATALOG = oid(11)
const looksLikeFunction = (e: Call): boolean => e.display === 'function' || e.display === 'syntax'

/** A length coercion's typmod is its second argument. */
function castTypmod(e: Call): number {
  const second = e.args[1]
  return second?.kind === 'const' && typeof second.value === 'number' && e.args.length >= 2 ? second.value : e.typmod
}

function printArguments(p: Printer, args: readonly Expression[], variadic: boolean): void {
  args.forEach((arg, i) => {
    if (i > 0) p.text += ', '
    if (variadic && i === args.length - 1) p.text += 'VARIADIC '
    printExpression(p, arg, true)
  })
}

/** `NAME(a WORD b WORD c)`; undefined arguments are left out with their words. */
function printWords(p: Printer, name: string, ...parts: readonly (string | Expression)[]): boolean {
  p.text += `${name}(`
  for (const part of parts)
    if (typeof part === 'string') p.text += part
    else printExpression(p, part, false)
  p.text += ')'
  return true
}
const trimmed = (side: string) => (p: Printer, e: Call) => {
  const [text, characters] = e.args
  const from = [' FROM ', text!]
  return characters === undefined
    ? printWords(p, 'TRIM', side, ...from)
    : printWords(p, 'TRIM', `${side} `, characters, ...from)
}

/** Functions whose SQL has a grammar of its own. False: print it as a plain call after all. */
const SQL_SYNTAX: Readonly<Record<string, (p: Printer, e: Call) => boolean>> = {
  timezone: (p, e) => {
    if (e.args.length !== 2) return false
    p.text += '('
    operand(p, e.args[1]!, false, e)
    p.text += ' AT TIME ZONE '
    operand(p, e.args[0]!, false, e)
    p.text += ')'
    return true
  },
  extract: (p, e) => {
    const field = e.args[0]
    if (field?.kind !== 'const' || typeof field.value !== 'string') return false
    p.text += `EXTRACT(${field.value} FROM `
    printExpression(p, e.args[1]!, false)
    p.text += ')'
    return true
  },
  overlaps: (p, e) => {
    const [a, b, c, d] = e.args
    if (d === undefined) return false
    printList(p, '((', [a!, b!], ') OVERLAPS (')
    printList(p, '', [c!, d], '))')
    return true
  },
  substring: (p, e) => {
    const [text, from, count] = e.args
    if (count === undefined) return from!.type !== OID.text && printWords(p, 'SUBSTRING', text!, ' FROM ', from!)
    return count.type === OID.text
      ? printWords(p, 'SUBSTRING', text!, ' SIMILAR ', from!, ' ESCAPE ', count)
      : printWords(p, 'SUBSTRING', text!, ' FROM ', from!, ' FOR ', count)
  },
  overlay: (p, e) => {
    const [text, placed, from, count] = e.args
    const start = [text!, ' PLACING ', placed!, ' FROM ', from!]
    return printWords(p, 'OVERLAY', ...start, ...(count === undefined ? [] : [' FOR ', count]))
  },
  btrim: trimmed('BOTH'),
  ltrim: trimmed('LEADING'),
  rtrim: trimmed('TRAILING'),
  position: (p, e) => {
    p.text += 'POSITION(('
    printExpression(p, e.args[1]!, false)
    p.text += ') IN ('
    printExpression(p, e.args[0]!, false)
    p.text += '))'
    return true
  },
}

export function functionName(p: Printer, fn: Oid): string {
  const row = p.scope.catalog.function(fn)
  invariant(row, `no function ${fn}`)
  return quoteQualified(namespaceUnless(p.scope, functionVisible(p.scope, row), row.namespace), row.name)
}

function operatorName(p: Printer, operator: Oid): string {
  const row = p.scope.catalog.operator(operator)
  invariant(row, `no operator ${operator}`)
  const namespace = namespaceUnless(p.scope, operatorVisible(p.scope, row), row.namespace)
  return namespace === undefined ? row.name : `OPERATOR(${quoteIdentifier(namespace)}.${row.name})`
}

function printCase(p: Printer, e: Extract<Expression, { kind: 'case' }>): void {
  const space = (): void => {
    if (!p.options.indent) p.text += ' '
  }
  p.keyword('CASE', 0, 4, 0)
  if (e.arg !== undefined) {
    p.text += ' '
    printExpression(p, e.arg, true)
  }
  for (const { when, then } of e.whens) {
    space()
    p.keyword('WHEN ', 0, 0, 0)
    printExpression(p, e.arg === undefined ? when : compared(when), false)
    p.text += ' THEN '
    printExpression(p, then, true)
  }
  space()
  p.keyword('ELSE ', 0, 0, 0)
  printExpression(p, e.otherwise, true)
  space()
  p.keyword('END', -4, 0, 0)
}

/** Of CASE x WHEN y: the side that is not x. */
function compared(when: Expression): Expression {
  if (when.kind === 'call' && when.args.length === 2) return testsCase(when.args[0]!) ? when.args[1]! : when.args[0]!
  return when
}
const testsCase = (e: Expression): boolean =>
  e.kind === 'case-test' ||
  ('arg' in e && e.kind !== 'case' && testsCase(e.arg)) ||
  (e.kind === 'call' && e.args.length > 0 && testsCase(e.args[0]!))

function printSubscript(p: Printer, e: Extract<Expression, { kind: 'subscript' }>): void {
  const bare = e.container.kind === 'var' || e.container.kind === 'field' || e.container.kind === 'param'
  if (!bare) p.text += '('
  printExpression(p, e.container, true)
  if (!bare) p.text += ')'
  for (let i = 0; i < e.upper.length; i++) {
    p.text += '['
    if (e.slice) {
      const lower = e.lower[i]
      if (lower !== undefined) printExpression(p, lower, false)
      p.text += ':'
    }
    const upper = e.upper[i]
    if (upper !== undefined) printExpression(p, upper, false)
    p.text += ']'
  }
}

function printSubquery(p: Printer, e: Extract<Expression, { kind: 'subquery' }>): void {
  const { link } = e
  p.text += link.kind === 'array' ? 'ARRAY(' : '('
  let nested = true
  if (link.kind === 'exists') {
    p.text += 'EXISTS ('
  } else if (link.kind === 'any' || link.kind === 'all') {
    if (link.left.length === 1) printExpression(p, link.left[0]!, true)
    else printList(p, '(', link.left, ')')
    p.text += link.kind === 'all' ? ` ${link.opName} ALL (` : link.opName === '=' ? ' IN (' : ` ${link.opName} ANY (`
  } else {
    nested = false
  }
  const level = p.indentLevel
  p.printQuery(p, e.query, false)
  p.indentLevel = level
  p.text += nested ? '))' : ')'
}

function printAggregate(p: Printer, e: AggregateCall): void {
  const kind = p.scope.catalog.aggregate(e.function)?.kind ?? 'n'
  p.text += `${functionName(p, e.function)}(${e.distinct ? 'DISTINCT ' : ''}`
  if (kind !== 'n') {
    printArguments(p, e.directArgs, e.variadic)
    p.text += ') WITHIN GROUP (ORDER BY '
    printSortKeys(p, e.orderBy)
  } else {
    if (e.star) p.text += '*'
    else printArguments(p, e.args, e.variadic)
    if (e.orderBy.length > 0) {
      p.text += ' ORDER BY '
      printSortKeys(p, e.orderBy)
    }
  }
  printFilter(p, e.filter)
  p.text += ')'
}

function printFilter(p: Printer, filter: Expression | undefined): void {
  if (filter === undefined) return
  p.text += ') FILTER (WHERE '
  printExpression(p, filter, false)
}

/** Function-like expressions stand in parentheses in ORDER BY and PARTITION BY; numbers carry their type. */
export function printSortExpression(p: Printer, e: Expression): void {
  if (e.kind === 'const') {
    printConst(p, e, 'always')
    return
  }
  const seen = shown(e, true)
  const needs =
    e.kind !== 'var' &&
    (p.options.pretty ||
      (seen.kind === 'call' && seen.display !== 'operator') ||
      seen.kind === 'aggregate' ||
      seen.kind === 'window')
  if (needs) p.text += '('
  printExpression(p, e, true)
  if (needs) p.text += ')'
}

export const direction = (key: { readonly descending: boolean; readonly nullsFirst: boolean }): string =>
  key.descending ? (key.nullsFirst ? ' DESC' : ' DESC NULLS LAST') : key.nullsFirst ? ' NULLS FIRST' : ''

function printSortKeys(p: Printer, keys: readonly SortKey[]): void {
  keys.forEach((key, i) => {
    if (i > 0) p.text += ', '
    printSortExpression(p, key.expression)
    p.text += direction(key)
  })
}

function printWindowCall(p: Printer, e: Extract<Expression, { kind: 'window' }>): void {
  p.text += `${functionName(p, e.function)}(`
  if (e.star) p.text += '*'
  else printArguments(p, e.args, false)
  printFilter(p, e.filter)
  p.text += ') OVER '
  const level = p.levels[0]
  invariant(level?.kind === 'query', 'a window call outside of a query')
  const window = level.query.windows[e.window]!
  if (window.name !== undefined) p.text += quoteIdentifier(window.name)
  else printWindow(p, window)
}

export function printWindow(p: Printer, window: Window): void {
  const parts: string[] = []
  const part = (write: () => void): void => {
    parts.push(p.capture(write))
  }
  if (window.partitionBy.length > 0) {
    part(() => {
      p.text += 'PARTITION BY '
      window.partitionBy.forEach((e, i) => {
        if (i > 0) p.text += ', '
        printSortExpression(p, e)
      })
    })
  }
  if (window.orderBy.length > 0) {
    part(() => {
      p.text += 'ORDER BY '
      printSortKeys(p, window.orderBy)
    })
  }
  if (window.explicitFrame) part(() => printFrame(p, window))
  p.text += `(${parts.join(' ')})`
}

function printFrame(p: Printer, window: Window): void {
  const bound = (b: Window['start'], end: boolean): void => {
    if (b.kind === 'preceding' || b.kind === 'following') {
      printExpression(p, b.offset, false)
      p.text += b.kind === 'preceding' ? ' PRECEDING' : ' FOLLOWING'
    } else if (b.kind === 'current-row') p.text += 'CURRENT ROW'
    else p.text += end ? 'UNBOUNDED FOLLOWING' : 'UNBOUNDED PRECEDING'
  }
  p.text += `${window.mode.toUpperCase()} BETWEEN `
  bound(window.start, false)
  p.text += ' AND '
  bound(window.end, true)
  if (window.exclude !== 'none')
    p.text += ` EXCLUDE ${{ 'current-row': 'CURRENT ROW', group: 'GROUP', ties: 'TIES' }[window.exclude]}`
}
