/** Prints bound SELECTs (and VALUES) as pg_get_viewdef does: clause by clause, one output column a line. */
import type { Oid } from '../../storage/keys/brand.ts'
import { invariant } from '../../storage/keys/invariant.ts'
import type { Expression } from '../plan/expression.ts'
import type { Cte, FromItem, Query, Relation, Sample, SetOperation } from '../plan/query.ts'
import { notSupported } from '../types/error.ts'
import { OID } from '../types/oids.ts'
import { direction, printExpression, printSortExpression, printWindow, varName } from './deparse-expression.ts'
import { formatType, quoteIdentifier, relationName } from './names.ts'
import { INDENT_JOIN, INDENT_STANDARD, type Level, type Printer } from './printer.ts'

const STANDARD = INDENT_STANDARD

/**
 * `namesVisible`: the reader sees the output columns' names, so AS is always shown where it matters. `names`: what a view
 * calls its columns, which the sides of a set operation are then called too.
 */
export function printQuery(p: Printer, query: Query, namesVisible: boolean, names?: readonly string[]): void {
  if (query.command !== 'select') throw notSupported(`printing ${query.command.toUpperCase()}`)
  const outer = p.levels
  const indent = p.indentLevel
  // PostgreSQL's stored view has two hidden relations (OLD and NEW), so its columns are always qualified.
  const level: Level = { kind: 'query', query, names: uniqueNames(query, outer), prefix: true }
  p.levels = [level, ...outer]
  printCtes(p, query)
  if (query.setOperation === undefined) printPlainSelect(p, query, namesVisible, names)
  else printSetOperation(p, query, query.setOperation, namesVisible, names)
  printTail(p, query)
  p.levels = outer
  p.indentLevel = indent
}

/** A relation's name in the text: its alias, with _1, _2 … when an enclosing or earlier relation has it. */
function uniqueNames(query: Query, outer: readonly Level[]): string[] {
  const taken = new Set<string>()
  for (const level of outer)
    if (level.kind === 'query') for (const name of level.names) if (name !== '') taken.add(name)
  const used = usedRelations(query)
  return query.relations.map((relation, i) => {
    let name = relation.alias
    if (!used.has(i)) return name
    for (let n = 1; taken.has(name); n++) name = `${relation.alias}_${n}`
    taken.add(name)
    return name
  })
}

function usedRelations(query: Query): ReadonlySet<number> {
  const used = new Set<number>()
  const visit = (item: FromItem): void => {
    if (item.kind === 'relation') used.add(item.relation)
    else {
      visit(item.left)
      visit(item.right)
    }
  }
  query.from.forEach(visit)
  return used
}

function printCtes(p: Printer, query: Query): void {
  if (query.ctes.length === 0) return
  if (p.options.indent) {
    p.indentLevel += STANDARD
    p.text += ' '
  }
  query.ctes.forEach((cte, i) => {
    p.text += i > 0 ? ', ' : query.recursive ? 'WITH RECURSIVE ' : 'WITH '
    printCte(p, cte)
  })
  if (p.options.indent) {
    p.indentLevel -= STANDARD
    p.keyword('', 0, 0, 0)
  } else {
    p.text += ' '
  }
}

const MATERIALIZED = { default: '', always: 'MATERIALIZED ', never: 'NOT MATERIALIZED ' } as const

function printCte(p: Printer, cte: Cte): void {
  p.text += quoteIdentifier(cte.name)
  const { query, columns } = cte.written ?? cte
  if (cte.aliased) {
    p.text += `(${columns.map((column) => quoteIdentifier(column.name)).join(', ')})`
  }
  p.text += ` AS ${MATERIALIZED[cte.materialized]}(`
  p.keyword('', 0, 0, 0)
  printQuery(p, query, true)
  p.keyword('', 0, 0, 0)
  p.text += ')'
  const { search, cycle } = cte.written ?? {}
  const list = (names: readonly string[]) => names.map(quoteIdentifier).join(', ')
  if (search !== undefined) {
    p.text += ` SEARCH ${search.breadth ? 'BREADTH' : 'DEPTH'} FIRST BY ${list(search.columns)}`
    p.text += ` SET ${quoteIdentifier(search.sequence)}`
  }
  if (cycle !== undefined) {
    p.text += ` CYCLE ${list(cycle.columns)} SET ${quoteIdentifier(cycle.mark)}`
    const { value, otherwise } = cycle
    const plain = value.kind === 'const' && otherwise.kind === 'const' && value.type === OID.bool
    if (!plain || value.value !== true || otherwise.value !== false) {
      p.text += ' TO '
      printExpression(p, value, false)
      p.text += ' DEFAULT '
      printExpression(p, otherwise, false)
    }
    p.text += ` USING ${quoteIdentifier(cycle.path)}`
  }
}

export const outputNames = (query: Query): string[] =>
  query.targets.filter((target) => !target.junk).map((target) => target.name)

function printTail(p: Printer, query: Query): void {
  if (query.orderBy.length > 0) {
    p.keyword(' ORDER BY ', -STANDARD, STANDARD, 1)
    query.orderBy.forEach((key, i) => {
      if (i > 0) p.text += ', '
      if (query.setOperation !== undefined) p.text += String(key.target + 1)
      else printSortExpression(p, query.targets[key.target]!.expression)
      p.text += direction(key)
    })
  }
  if (query.offset !== undefined) {
    p.keyword(' OFFSET ', -STANDARD, STANDARD, 0)
    printExpression(p, query.offset, false)
  }
  if (query.limit !== undefined) {
    if (query.withTies) {
      p.keyword(' FETCH FIRST ', -STANDARD, STANDARD, 0)
      p.text += '('
      printExpression(p, query.limit, false)
      p.text += ') ROWS WITH TIES'
    } else {
      p.keyword(' LIMIT ', -STANDARD, STANDARD, 0)
      if (query.limit.kind === 'const' && query.limit.value === null) p.text += 'ALL'
      else printExpression(p, query.limit, false)
    }
  }
  for (const lock of query.rowLocks) {
    p.keyword(` FOR ${lock.strength.replaceAll('-', ' ').toUpperCase()}`, -STANDARD, STANDARD, 0)
    p.text += ` OF ${quoteIdentifier(nameOf(p, lock.relation))}`
    if (lock.policy !== 'wait') p.text += lock.policy === 'nowait' ? ' NOWAIT' : ' SKIP LOCKED'
  }
}

function nameOf(p: Printer, relation: number): string {
  const level = p.levels[0]
  invariant(level?.kind === 'query', 'a relation outside of a query')
  return level.names[relation]!
}

/** SELECT of all columns of one VALUES list and nothing else: printed as VALUES. */
function simpleValues(query: Query): Extract<Relation, { kind: 'values' }> | undefined {
  const relation = query.relations[0]
  if (
    relation?.kind !== 'values' ||
    !relation.alias.startsWith('*') ||
    query.from.length !== 1 ||
    query.from[0]!.kind !== 'relation'
  )
    return undefined
  if (
    query.where !== undefined ||
    query.groupBy.length > 0 ||
    query.having !== undefined ||
    query.distinct.kind !== 'none'
  )
    return undefined
  const plain = query.targets.every(
    ({ expression: e }, i) => e.kind === 'var' && e.level === 0 && e.relation === 0 && e.column === i + 1,
  )
  return plain && query.targets.length === relation.columns.length ? relation : undefined
}

function printValues(p: Printer, rows: readonly (readonly Expression[])[]): void {
  p.text += 'VALUES '
  rows.forEach((row, i) => {
    p.text += i > 0 ? ', (' : '('
    row.forEach((e, j) => {
      if (j > 0) p.text += ','
      printExpression(p, e, false)
    })
    p.text += ')'
  })
}

function printPlainSelect(p: Printer, query: Query, namesVisible: boolean, names: readonly string[] | undefined): void {
  if (p.options.indent) {
    p.indentLevel += STANDARD
    p.text += ' '
  }
  const values = simpleValues(query)
  if (values !== undefined) {
    printValues(p, values.rows)
    return
  }
  p.text += 'SELECT'
  if (query.distinct.kind === 'all') p.text += ' DISTINCT'
  if (query.distinct.kind === 'on') {
    p.text += ' DISTINCT ON ('
    query.distinct.targets.forEach((target, i) => {
      if (i > 0) p.text += ', '
      printSortExpression(p, query.targets[target]!.expression)
    })
    p.text += ')'
  }
  printTargets(p, query, namesVisible, names)
  printFrom(p, query)
  if (query.where !== undefined) {
    p.keyword(' WHERE ', -STANDARD, STANDARD, 1)
    printExpression(p, query.where, false)
  }
  printGroupBy(p, query)
  if (query.having !== undefined) {
    p.keyword(' HAVING ', -STANDARD, STANDARD, 0)
    printExpression(p, query.having, false)
  }
  const named = query.windows.filter((window) => window.name !== undefined)
  named.forEach((window, i) => {
    if (i === 0) p.keyword(' WINDOW ', -STANDARD, STANDARD, 1)
    else p.text += ', '
    p.text += `${quoteIdentifier(window.name!)} AS `
    printWindow(p, window)
  })
}

function printTargets(p: Printer, query: Query, namesVisible: boolean, names: readonly string[] | undefined): void {
  let position = 0
  let first = true
  let multiline = false
  for (const target of query.targets) {
    if (target.junk) continue
    p.text += first ? ' ' : ', '
    const { expression: e } = target
    const name = names?.[position++] ?? target.name
    const text = p.capture(() => {
      let own: string | undefined = namesVisible ? undefined : '?column?'
      if (e.kind === 'var' && e.column !== 0) {
        p.text += varName(p, e, false)
        own = columnName(p, e)
      } else {
        printExpression(p, e, true)
      }
      if (e.kind === 'var' && e.column === 0) p.text += `::${formatType(p.scope, e.type, -1)}`
      if (own !== name) p.text += ` AS ${quoteIdentifier(name)}`
    })
    const last: boolean = multiline
    // The first column follows SELECT; each other one begins a line, and so does one after several lines.
    p.item(text, first && !last)
    multiline = text.slice(1).includes('\n')
    first = false
  }
}

function columnName(p: Printer, e: Extract<Expression, { kind: 'var' }>): string | undefined {
  const level = p.levels[e.level]
  if (level?.kind !== 'query' || e.column < 1) return undefined
  return level.query.relations[e.relation]!.columns[e.column - 1]!.name
}

function printFrom(p: Printer, query: Query): void {
  query.from.forEach((item, i) => {
    if (i === 0) {
      p.keyword(' FROM ', -STANDARD, STANDARD, 2)
      printFromItem(p, query, item)
    } else {
      p.text += ', '
      p.item(
        p.capture(() => printFromItem(p, query, item)),
        false,
      )
    }
  })
}

const JOIN_WORDS = { inner: ' JOIN ', left: ' LEFT JOIN ', right: ' RIGHT JOIN ', full: ' FULL JOIN ' } as const

function printFromItem(p: Printer, query: Query, item: FromItem): void {
  if (item.kind === 'relation') {
    printRelation(p, query.relations[item.relation]!, nameOf(p, item.relation))
    return
  }
  const outer = !p.options.pretty || item.alias !== undefined
  const right = p.options.pretty && item.right.kind === 'join' && item.right.alias === undefined
  const conditional = item.on !== undefined || item.using !== undefined
  if (outer) p.text += '('
  printFromItem(p, query, item.left)
  const word = item.type === 'inner' && !conditional ? ' CROSS JOIN ' : JOIN_WORDS[item.type]
  p.keyword(word, -STANDARD, STANDARD, INDENT_JOIN)
  if (right) p.text += '('
  printFromItem(p, query, item.right)
  if (right) p.text += ')'
  if (item.using !== undefined && item.using.length > 0) {
    p.text += ` USING (${item.using.map(quoteIdentifier).join(', ')})`
  } else if (item.on !== undefined) {
    p.text += p.options.pretty ? ' ON ' : ' ON ('
    printExpression(p, item.on, false)
    if (!p.options.pretty) p.text += ')'
  } else if (item.type !== 'inner') {
    p.text += ' ON TRUE'
  }
  if (outer) p.text += ')'
  if (item.alias !== undefined) p.text += ` ${quoteIdentifier(item.alias)}`
}

function printRelation(p: Printer, relation: Relation, name: string): void {
  if (relation.lateral && (relation.kind === 'subquery' || (relation.kind === 'function' && refersOut(relation))))
    p.text += 'LATERAL '
  const columns = relation.columns
  const list = (): string => `(${columns.map((column) => quoteIdentifier(column.name)).join(', ')})`
  switch (relation.kind) {
    case 'table':
      printNamed(p, relation, relation.oid, relation.only, name)
      if (relation.sample !== undefined) printSample(p, relation.sample)
      return
    case 'subquery':
      if (relation.viewOid !== undefined) {
        printNamed(p, relation, relation.viewOid, false, name)
        return
      }
      p.text += '('
      printQuery(p, relation.query, true)
      p.text += ')'
      if (name !== '') p.text += ` ${quoteIdentifier(name)}`
      if (columns.some((column, i) => column.name !== outputNames(relation.query)[i])) p.text += list()
      return
    case 'values':
      p.text += p.options.indent ? '( ' : '('
      printValues(p, relation.rows)
      p.text += `) ${quoteIdentifier(name)}${list()}`
      return
    case 'cte':
      p.text += quoteIdentifier(relation.name)
      if (relation.aliased || name !== relation.name) p.text += ` ${quoteIdentifier(name)}`
      return
    case 'function':
      printFunctionSource(p, relation, name)
      return
    case 'excluded':
      throw notSupported('printing excluded rows')
  }
}

function printSample(p: Printer, { method, percent, seed }: Sample): void {
  p.text += ` TABLESAMPLE ${method} (`
  printExpression(p, percent, false)
  p.text += ')'
  if (seed === undefined) return
  p.text += ' REPEATABLE ('
  printExpression(p, seed, false)
  p.text += ')'
}

function printNamed(p: Printer, relation: Relation, target: Oid, only: boolean, name: string): void {
  const row = p.scope.catalog.relation(target)
  invariant(row, `no relation ${target}`)
  p.text += `${only ? 'ONLY ' : ''}${relationName(p.scope, row)}`
  if (relation.aliased || name !== row.name) p.text += ` ${quoteIdentifier(name)}`
  const renamed = relation.columns.some((column, i) => column.type !== 0 && column.name !== row.columns[i]!.name)
  if (renamed)
    p.text += `(${relation.columns
      .filter((column) => column.type !== 0)
      .map((column) => quoteIdentifier(column.name))
      .join(', ')})`
}

function printFunctionSource(p: Printer, relation: Extract<Relation, { kind: 'function' }>, name: string): void {
  const several = relation.calls.length > 1
  if (several) p.text += 'ROWS FROM('
  relation.calls.forEach(({ call }, i) => {
    if (i > 0) p.text += ', '
    printExpression(p, call, true)
  })
  if (several) p.text += ')'
  if (relation.ordinality) p.text += ' WITH ORDINALITY'
  const first = relation.calls[0]!.call
  const definition =
    first.type === OID.record &&
    first.kind === 'call' &&
    p.scope.catalog.function(first.function)?.allArgTypes === undefined
  const columns = relation.columns.map((column) =>
    definition && !relation.ordinality
      ? `${quoteIdentifier(column.name)} ${formatType(p.scope, column.type, column.typmod)}`
      : quoteIdentifier(column.name),
  )
  p.text += `${definition && !relation.ordinality ? ' AS' : ''} ${quoteIdentifier(name)}(${columns.join(', ')})`
}

/** A function in FROM that uses columns of its own query: only then was LATERAL needed. */
function refersOut(relation: Extract<Relation, { kind: 'function' }>): boolean {
  return JSON.stringify(relation.calls, (_, value: unknown) =>
    typeof value === 'bigint' ? String(value) : value,
  ).includes('"kind":"var"')
}

function printGroupBy(p: Printer, query: Query): void {
  if (query.groupBy.length === 0 && query.groupingSets === undefined) return
  p.keyword(' GROUP BY ', -STANDARD, STANDARD, 1)
  const key = (i: number): void => printSortExpression(p, query.targets[query.groupBy[i]!.target]!.expression)
  if (query.groupingSets === undefined) {
    query.groupBy.forEach((_, i) => {
      if (i > 0) p.text += ', '
      key(i)
    })
    return
  }
  p.text += 'GROUPING SETS ('
  query.groupingSets.forEach((set, i) => {
    if (i > 0) p.text += ', '
    p.text += '('
    set.forEach((member, j) => {
      if (j > 0) p.text += ', '
      key(member)
    })
    p.text += ')'
  })
  p.text += ')'
}

function printSetOperation(
  p: Printer,
  query: Query,
  node: SetOperation,
  namesVisible: boolean,
  names: readonly string[] | undefined,
): void {
  if (node.kind === 'leaf') {
    const relation = query.relations[node.relation]!
    invariant(relation.kind === 'subquery', 'a leaf of a set operation is a subquery')
    const inner = relation.query
    const needs =
      inner.ctes.length > 0 ||
      inner.orderBy.length > 0 ||
      inner.rowLocks.length > 0 ||
      inner.limit !== undefined ||
      inner.offset !== undefined
    if (needs) p.text += '('
    const levels = p.levels
    // A leaf sees what the set operation's query sees from outside, and its CTEs.
    printQuery(p, inner, namesVisible, names)
    p.levels = levels
    if (needs) p.text += ')'
    return
  }
  const { left, right } = node
  const leftParens = left.kind !== 'leaf' && !(left.kind === node.kind && left.all === node.all)
  let indent = 0
  if (leftParens) {
    p.text += '('
    indent = STANDARD
    p.keyword('', indent, 0, 0)
  }
  printSetOperation(p, query, left, namesVisible, names)
  if (leftParens) p.keyword(') ', -indent, 0, 0)
  else if (p.options.indent) p.keyword('', -indent, 0, 0)
  else p.text += ' '
  p.text += `${node.kind.toUpperCase()} ${node.all ? 'ALL ' : ''}`
  const rightParens = right.kind !== 'leaf'
  indent = rightParens ? STANDARD : 0
  if (rightParens) p.text += '('
  p.keyword('', indent, 0, 0)
  printSetOperation(p, query, right, false, names)
  if (p.options.indent) p.indentLevel -= indent
  if (rightParens) p.keyword(')', 0, 0, 0)
}
