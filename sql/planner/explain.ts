/**
 * What EXPLAIN shows of a plan, as PostgreSQL shows its own (manual, 14.1): a tree of named nodes with lines, made here and
 * written as text or JSON by explain-format.ts. Operators that PostgreSQL has no node for are folded into the one below:
 *
 *     project      → the node below, with other output columns
 *     filter       → the node below, with a Filter line
 *     with         → its body, with CTE subplans
 *
 * Rows have no names while a plan runs; here every position of a row is an Entry that knows how it was made, so that a
 * condition over `column 3` reads `(o.price > 10)`.
 */

import { invariant } from '../../storage/keys/invariant.ts'
import type { Catalog, RelationRow } from '../catalog/catalog.ts'
import { direction, functionName, printExpression } from '../catalog/deparse-expression.ts'
import { printQuery } from '../catalog/deparse-query.ts'
import { type NameScope, quoteIdentifier } from '../catalog/names.ts'
import { type Level, Printer } from '../catalog/printer.ts'
import type { Expression } from '../plan/expression.ts'
import type { IndexBounds, Plan, PlannedStatement, PlanSortKey, RowSource, SubplanExpression } from '../plan/plan.ts'
import type { Query } from '../plan/query.ts'
import { mapChildren } from '../plan/walk.ts'

/** Counters of one plan node, by the node's identity. */
export interface NodeCounters {
  readonly rows: number
  readonly loops: number
  readonly startupMs: number
  readonly totalMs: number
  readonly extra: Readonly<Record<string, number | string>>
}

export interface ExplainOptions {
  readonly verbose: boolean
  /** How far a vector search goes and why: 'effort 40 (hnsw.ef_search)'. */
  searchEffort?(plan: VectorScan): string | undefined
}

export type VectorScan = Extract<Plan, { kind: 'vector-scan' }>

export type Relationship = 'Outer' | 'Inner' | 'Member' | 'InitPlan' | 'SubPlan'

/** One property line: `text` when it stands on a line of its own as `Key: text`; a list joins with commas. */
export interface Line {
  readonly key: string
  readonly value: string | number | readonly string[]
}

export interface ExplainNode {
  /** 'Hash Left Join', 'Seq Scan on t x': the text form's title. */
  title: string
  /** JSON's leading properties, "Node Type" first. */
  readonly json: [key: string, value: string | boolean][]
  /** Further JSON properties after the type's own (Relation Name …). */
  readonly target: [key: string, value: string][]
  relationship: Relationship | undefined
  /** 'InitPlan 1 (returns $0)', 'CTE x'. */
  subplanName: string | undefined
  estimate: Plan['estimate']
  /** The plans it stands for, outermost first: their counters are its own. */
  readonly plans: Plan[]
  readonly lines: Line[]
  output: readonly string[]
  readonly children: ExplainNode[]
}

/** One position of a row. */
interface Entry {
  readonly text: (prefix: boolean) => string
  /** A column's name: stands without parentheses wherever it is used. */
  readonly bare: boolean
  readonly node: ExplainNode
}
type Slots = ReadonlyMap<number, Entry>
interface Built {
  readonly node: ExplainNode
  readonly entries: readonly Entry[]
}

/** Attaches what belongs to a whole query level to its top node. */
interface QueryLevel {
  readonly initPlans: ExplainNode[]
}

/** The nodes of a planned statement. `query` as it was bound decides whether columns are qualified, as in PostgreSQL. */
export function explainTree(
  scope: NameScope,
  planned: PlannedStatement,
  query: Query,
  options: ExplainOptions,
): ExplainNode {
  const builder = new Builder(scope, options, countRelations(query) > 1, cteColumns(query))
  return builder.level(planned.plan, new Map())
}

/** Relations of a query and of all inside it, joins too (PostgreSQL's range table). */
function countRelations(tree: unknown): number {
  if (typeof tree !== 'object' || tree === null) return 0
  let count = 0
  if (!Array.isArray(tree)) {
    if (Object.getPrototypeOf(tree) !== Object.prototype) return 0
    const node = tree as { relations?: unknown; command?: unknown; kind?: unknown }
    if (node.command !== undefined && Array.isArray(node.relations)) count += node.relations.length
    if (node.kind === 'join') count++
  }
  for (const value of Object.values(tree)) count += countRelations(value)
  return count
}

/** Columns of every WITH query inside, by its name. */
function cteColumns(query: Query): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, readonly string[]>()
  const visit = (tree: unknown): void => {
    if (typeof tree !== 'object' || tree === null) return
    if (!Array.isArray(tree)) {
      if (Object.getPrototypeOf(tree) !== Object.prototype) return
      const { ctes, relations } = tree as Partial<Query>
      if (Array.isArray(ctes) && Array.isArray(relations))
        for (const cte of ctes as Query['ctes'])
          found.set(
            cte.name,
            cte.columns.map((column) => column.name),
          )
    }
    for (const value of Object.values(tree)) visit(value)
  }
  visit(query)
  return found
}

/** Subqueries in the expressions of this node itself. */
export function subplansOf(plan: Plan): readonly SubplanExpression[] {
  const found: SubplanExpression[] = []
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return
    if (Array.isArray(value)) {
      for (const each of value) visit(each)
      return
    }
    if (Object.getPrototypeOf(value) !== Object.prototype || isPlan(value)) return
    if ((value as { kind?: unknown }).kind === 'subplan') found.push(value as SubplanExpression)
    for (const each of Object.values(value)) visit(each)
  }
  for (const value of Object.values(plan)) visit(value)
  return found
}
const isPlan = (value: object): boolean => 'estimate' in value && 'columns' in value

const JOINS = { inner: '', left: ' Left', right: ' Right', full: ' Full', semi: ' Semi', anti: ' Anti' } as const
const JOIN_TYPES = { inner: 'Inner', left: 'Left', right: 'Right', full: 'Full', semi: 'Semi', anti: 'Anti' } as const
const NO_LEVELS: readonly Level[] = []

const OPERATIONS = { insert: 'Insert', update: 'Update', delete: 'Delete', merge: 'Merge' } as const

class Builder {
  readonly #scope: NameScope
  readonly #verbose: boolean
  readonly #prefix: boolean
  readonly #outputPrefix: boolean
  readonly #cteColumns: ReadonlyMap<string, readonly string[]>
  readonly #searchEffort: ExplainOptions['searchEffort']
  /** Subqueries and CTEs so far. */
  #subplans = 0
  /** What an InitPlan's result is called, $0…. */
  readonly #parameters = new Map<SubplanExpression, number>()
  readonly #names = new Map<SubplanExpression, string>()
  /** The table that an UPDATE or DELETE changes. */
  #changed: string | undefined
  /** Names that scans have; the second of a name is name_1. */
  readonly #aliases = new Set<string>()

  constructor(
    scope: NameScope,
    options: ExplainOptions,
    several: boolean,
    columns: ReadonlyMap<string, readonly string[]>,
  ) {
    this.#scope = scope
    this.#verbose = options.verbose
    this.#searchEffort = options.searchEffort
    this.#prefix = several || options.verbose
    this.#outputPrefix = several
    this.#cteColumns = columns
  }
  #alias(name: string): string {
    let alias = name
    for (let i = 1; this.#aliases.has(alias); i++) alias = `${name}_${i}`
    this.#aliases.add(alias)
    return alias
  }
  get #catalog(): Catalog {
    return this.#scope.catalog
  }

  level(plan: Plan, slots: Slots): ExplainNode {
    const level: QueryLevel = { initPlans: [] }
    const { node } = this.#build(plan, slots, level)
    node.children.unshift(...level.initPlans)
    return node
  }

  // -- nodes

  #node(plan: Plan, title: string, json: [string, string | boolean][] = [['Node Type', title]]): ExplainNode {
    return {
      title,
      json,
      target: [],
      relationship: undefined,
      subplanName: undefined,
      estimate: plan.estimate,
      plans: [plan],
      lines: [],
      output: [],
      children: [],
    }
  }

  #child(parent: ExplainNode, built: Built, relationship: Relationship): Built {
    built.node.relationship = relationship
    parent.children.push(built.node)
    return built
  }

  #build(plan: Plan, slots: Slots, level: QueryLevel): Built {
    const built = this.#make(plan, slots, level)
    if (built.node.plans[0] !== plan) built.node.plans.unshift(plan)
    built.node.estimate =
      plan.kind === 'insert' || plan.kind === 'update' || plan.kind === 'delete' || plan.kind === 'merge'
        ? { ...plan.estimate, ...(plan.columns.length === 0 ? { rows: 0, width: 0 } : {}) }
        : plan.estimate
    built.node.output = built.entries.map((entry) => entry.text(this.#outputPrefix))
    return built
  }

  #make(plan: Plan, slots: Slots, level: QueryLevel): Built {
    switch (plan.kind) {
      case 'project':
      case 'filter': {
        const below = this.#build(plan.input, slots, level)
        const { node } = below
        const print = this.#printing(below.entries, slots, node, level)
        if (plan.kind === 'project')
          return { node, entries: plan.targets.map((e) => this.#entryOf(e, print, below.entries, node)) }
        node.lines.push({
          key: 'Filter',
          value: print(plan.predicate, SCANS.has(node.json[0]![1] as string) ? this.#verbose : this.#prefix),
        })
        return below
      }
      case 'with': {
        this.#subplans += plan.ctes.length
        const body = this.#build(plan.body, slots, level)
        const ctes = plan.ctes.map((cte) => {
          const node = this.level(cte.plan, slots)
          node.relationship = 'InitPlan'
          node.subplanName = `CTE ${quoteIdentifier(cte.name)}`
          return node
        })
        level.initPlans.unshift(...ctes)
        return body
      }
      case 'seq-scan':
        if (plan.currentOf === undefined) return this.#scan(plan, 'Seq Scan', slots, level)
        return this.#scan(plan, 'Tid Scan', slots, level, (node) => {
          node.lines.push({ key: 'TID Cond', value: `CURRENT OF ${quoteIdentifier(plan.currentOf!)}` })
        })
      case 'virtual-scan':
        return this.#scan(plan, 'Seq Scan', slots, level)
      case 'sample': {
        invariant(plan.input.kind === 'seq-scan' || plan.input.kind === 'virtual-scan', 'a scan to sample')
        return this.#scan(plan.input, 'Sample Scan', slots, level, (node, entries) => {
          const print = this.#printing(entries, slots, node, level)
          node.target.push(['Sampling Method', plan.method])
          const seed = plan.seed === undefined ? '' : ` REPEATABLE (${print(plan.seed, this.#verbose)})`
          node.lines.push({ key: 'Sampling', value: `${plan.method} (${print(plan.percent, this.#verbose)})${seed}` })
        })
      }
      case 'index-scan':
        return this.#indexScan(plan, slots, level)
      case 'vector-scan':
        return this.#vectorScan(plan, slots, level)
      case 'result': {
        const node = this.#node(plan, 'Result')
        const print = this.#printing([], slots, node, level)
        if (plan.filter !== undefined)
          node.lines.push({ key: 'One-Time Filter', value: print(plan.filter, this.#prefix) })
        return { node, entries: plan.targets.map((e) => this.#entryOf(e, print, [], node)) }
      }
      case 'values': {
        const node = this.#node(plan, 'Values Scan')
        const alias = this.#alias('*VALUES*')
        node.title += ` on ${quoteIdentifier('*VALUES*')}${alias === '*VALUES*' ? '' : ` ${quoteIdentifier(alias)}`}`
        node.target.push(['Alias', alias])
        const print = this.#printing([], slots, node, level)
        for (const row of plan.rows) for (const e of row) print(e, false)
        return {
          node,
          entries: plan.columns.map((column, i) =>
            this.#column(node, quoteIdentifier(alias), column.name || `column${i + 1}`),
          ),
        }
      }
      case 'function-scan':
        return this.#functionScan(plan, slots, level)
      case 'cte-scan': {
        const type = plan.work ? 'WorkTable Scan' : 'CTE Scan'
        const node = this.#node(plan, type)
        const [name, alias] = [quoteIdentifier(plan.name), quoteIdentifier(this.#alias(plan.alias))]
        node.title = `${type} on ${name}${alias === name ? '' : ` ${alias}`}`
        node.target.push(['CTE Name', plan.name], ['Alias', plan.alias])
        const names = this.#cteColumns.get(plan.name) ?? []
        return { node, entries: plan.columns.map((column, i) => this.#column(node, alias, names[i] ?? column.name)) }
      }
      case 'project-set': {
        const node = this.#node(plan, 'ProjectSet')
        const below = this.#child(node, this.#build(plan.input, slots, level), 'Outer')
        const print = this.#printing(below.entries, slots, node, level)
        return { node, entries: plan.targets.map((e) => this.#entryOf(e, print, below.entries, node)) }
      }
      case 'nested-loop':
      case 'hash-join':
      case 'merge-join':
        return this.#join(plan, slots, level)
      case 'sort': {
        const node = this.#node(plan, plan.presorted > 0 ? 'Incremental Sort' : 'Sort')
        const below = this.#child(node, this.#build(plan.input, slots, level), 'Outer')
        const keys = this.#sortKeys(plan.keys, below.entries, slots, node, level)
        node.lines.push({ key: 'Sort Key', value: keys })
        if (plan.presorted > 0) node.lines.push({ key: 'Presorted Key', value: keys.slice(0, plan.presorted) })
        return { node, entries: below.entries }
      }
      case 'limit':
      case 'unique':
      case 'materialize':
      case 'lock-rows': {
        const node = this.#node(plan, TITLES[plan.kind])
        const below = this.#child(node, this.#build(plan.input, slots, level), 'Outer')
        if (plan.kind === 'limit') this.#seen([plan.limit, plan.offset], slots, node, level)
        const locked = plan.kind === 'lock-rows' ? new Set(plan.locks.map((lock) => lock.key)) : undefined
        return { node, entries: locked === undefined ? below.entries : below.entries.filter((_, i) => !locked.has(i)) }
      }
      case 'aggregate':
        return this.#aggregate(plan, slots, level)
      case 'window': {
        const node = this.#node(plan, 'WindowAgg')
        const below = this.#child(node, this.#build(plan.input, slots, level), 'Outer')
        const print = this.#printing(below.entries, slots, node, level)
        const calls = plan.calls.map((call): Entry => {
          const text = (prefix: boolean): string => {
            const args = call.star ? '*' : call.args.map((arg) => print(arg, prefix)).join(', ')
            const filter = call.filter === undefined ? '' : ` FILTER (WHERE ${print(call.filter, prefix)})`
            return `${functionName(
              this.#printer(() => false),
              call.function,
            )}(${args})${filter} OVER (?)`
          }
          text(false)
          return { text, bare: false, node }
        })
        return { node, entries: [...below.entries, ...calls] }
      }
      case 'append': {
        const node = this.#node(plan, 'Append')
        const members = plan.inputs.map((input) => this.#child(node, this.#build(input, slots, level), 'Member'))
        return { node, entries: members[0]?.entries ?? [] }
      }
      case 'set-op': {
        const command = `${plan.op === 'intersect' ? 'Intersect' : 'Except'}${plan.all ? ' All' : ''}`
        const node = this.#node(plan, `HashSetOp ${command}`, [
          ['Node Type', 'SetOp'],
          ['Strategy', 'Hashed'],
        ])
        node.target.push(['Command', command])
        const left = this.#child(node, this.#build(plan.left, slots, level), 'Outer')
        this.#child(node, this.#build(plan.right, slots, level), 'Inner')
        return { node, entries: left.entries }
      }
      case 'recursive-union': {
        const node = this.#node(plan, 'Recursive Union')
        const base = this.#child(node, this.#build(plan.base, slots, level), 'Outer')
        this.#child(node, this.#build(plan.step, slots, level), 'Inner')
        return { node, entries: base.entries }
      }
      case 'insert':
      case 'update':
      case 'delete':
      case 'merge':
        return this.#modify(plan, slots, level)
    }
  }

  // -- scans

  #relationTitle(row: RelationRow | undefined, alias: string): string {
    const name = quoteIdentifier(row?.name ?? '?')
    const schema =
      this.#verbose && row !== undefined
        ? `${quoteIdentifier(this.#catalog.namespace(row.namespace)?.name ?? '?')}.`
        : ''
    return ` on ${schema}${name}${alias === row?.name ? '' : ` ${quoteIdentifier(alias)}`}`
  }
  #target(node: ExplainNode, row: RelationRow | undefined, alias: string): void {
    node.title += this.#relationTitle(row, alias)
    node.target.push(['Relation Name', row?.name ?? '?'])
    if (this.#verbose && row !== undefined)
      node.target.push(['Schema', this.#catalog.namespace(row.namespace)?.name ?? '?'])
    node.target.push(['Alias', alias])
  }

  #scan(
    plan: Plan & RowSource,
    title: string,
    slots: Slots,
    level: QueryLevel,
    /** Answers what the filter is over, if it is not the entries. */
    conditions?: (
      node: ExplainNode,
      entries: readonly Entry[],
      column: (attribute: number) => Entry,
    ) => readonly Entry[] | undefined,
  ): Built {
    const node = this.#node(plan, title, [['Node Type', title.replace(/ Backward| using .*$/g, '')]])
    const row = this.#catalog.relation(plan.table)
    // What is updated or deleted from is scanned under its own name.
    const isTarget = this.#changed === plan.alias && plan.withKey
    const name = isTarget ? plan.alias : this.#alias(plan.alias)
    this.#target(node, row, name)
    const alias = quoteIdentifier(name)
    const column = (number: number): Entry =>
      this.#column(node, alias, number < 0 ? 'tableoid' : (row?.columns[number - 1]?.name ?? '?'))
    const entries = plan.wanted.map(column)
    if (plan.withKey) entries.push(this.#column(node, alias, 'ctid'))
    const filtered = conditions?.(node, entries, column) ?? entries
    if (plan.filter !== undefined) {
      const print = this.#printing(filtered, slots, node, level)
      node.lines.push({ key: 'Filter', value: print(plan.filter, this.#verbose) })
    }
    return { node, entries }
  }

  #indexScan(plan: Extract<Plan, { kind: 'index-scan' }>, slots: Slots, level: QueryLevel): Built {
    const index = this.#catalog.relation(plan.index)
    const title = `Index Scan${plan.reverse ? ' Backward' : ''} using ${quoteIdentifier(index?.name ?? '?')}`
    return this.#scan(plan, title, slots, level, (node) => {
      node.target.unshift(['Scan Direction', plan.reverse ? 'Backward' : 'Forward'], ['Index Name', index?.name ?? '?'])
      const conditions = this.#indexConditions(plan, plan.bounds, index, this.#printing([], slots, node, level))
      if (conditions.length > 0) node.lines.push({ key: 'Index Cond', value: allOf(conditions) })
    })
  }

  /** As pgvector shows it, and then how the search goes. */
  #vectorScan(plan: Extract<Plan, { kind: 'vector-scan' }>, slots: Slots, level: QueryLevel): Built {
    const index = this.#catalog.relation(plan.index)?.name ?? '?'
    let measuring: readonly Entry[] = []
    const built = this.#scan(
      plan,
      `Index Scan using ${quoteIdentifier(index)}`,
      slots,
      level,
      (node, entries, column) => {
        node.target.unshift(['Scan Direction', 'Forward'], ['Index Name', index])
        const measured = plan.measured.map((each) => column(each.attribute))
        measuring = [...entries.slice(0, plan.wanted.length), ...measured]
        const print = this.#printing(measuring, slots, node, level)
        node.lines.push({ key: 'Order By', value: print(plan.distance, this.#verbose) })
        return measuring
      },
    )
    const { node, entries } = built
    const print = this.#printing(measuring, slots, node, level)
    const columns = entries.slice(0, plan.wanted.length)
    const text = print(plan.distance, this.#outputPrefix)
    const all = [...columns, { text: () => text, bare: false, node }, ...entries.slice(plan.wanted.length)]
    if (plan.within !== undefined) {
      const within = this.#printing(all, slots, node, level)(plan.within, this.#verbose)
      const filter = node.lines.findIndex((line) => line.key === 'Filter')
      if (filter < 0) node.lines.push({ key: 'Filter', value: within })
      else node.lines[filter] = { key: 'Filter', value: `(${node.lines[filter]!.value} AND ${within})` }
    }
    const effort = this.#searchEffort?.(plan)
    const other = plan.gather && this.#catalog.relation(plan.gather.index)?.name
    node.lines.push({ key: 'Vector Search', value: searchText(plan, effort, other) })
    return { node, entries: all }
  }

  #indexConditions(plan: RowSource, bounds: IndexBounds, index: RelationRow | undefined, print: Print): string[] {
    const table = this.#catalog.relation(plan.table)
    const keyText = (at: number): string => {
      const key = index?.index?.keys[at]
      if (key === undefined) return '?'
      const prefix = this.#verbose ? `${quoteIdentifier(plan.alias)}.` : ''
      if (key.expression === undefined) return prefix + quoteIdentifier(table?.columns[key.column - 1]?.name ?? '?')
      const p = new Printer(
        this.#scope,
        { pretty: false, indent: false },
        table === undefined ? NO_LEVELS : [{ kind: 'table', row: table }],
        printQuery,
      )
      printExpression(p, key.expression, false)
      return p.text
    }
    const value = (e: Expression): string => print(e, this.#verbose, true)
    const conditions = bounds.equal.map((each, i) => {
      const key = keyText(i)
      if (each.kind === 'null') return `(${key} IS NULL)`
      return each.kind === 'any' ? `(${key} = ANY (${value(each.array)}))` : `(${key} = ${value(each.expression)})`
    })
    const next = keyText(bounds.equal.length)
    if (bounds.lower !== undefined)
      conditions.push(`(${next} ${bounds.lower.inclusive ? '>=' : '>'} ${value(bounds.lower.expression)})`)
    if (bounds.upper !== undefined)
      conditions.push(`(${next} ${bounds.upper.inclusive ? '<=' : '<'} ${value(bounds.upper.expression)})`)
    if (bounds.notNull && bounds.lower === undefined && bounds.upper === undefined)
      conditions.push(`(${next} IS NOT NULL)`)
    return conditions
  }

  #functionScan(plan: Extract<Plan, { kind: 'function-scan' }>, slots: Slots, level: QueryLevel): Built {
    const node = this.#node(plan, 'Function Scan')
    const only = plan.calls.length === 1 ? plan.calls[0]!.call : undefined
    const row = only?.kind === 'call' ? this.#catalog.function(only.function) : undefined
    const alias = quoteIdentifier(this.#alias(plan.alias))
    if (row !== undefined) {
      const schema = this.#verbose ? `${quoteIdentifier(this.#catalog.namespace(row.namespace)?.name ?? '?')}.` : ''
      node.title += ` on ${schema}${quoteIdentifier(row.name)}${alias === quoteIdentifier(row.name) ? '' : ` ${alias}`}`
      node.target.push(['Function Name', row.name])
      if (this.#verbose) node.target.push(['Schema', this.#catalog.namespace(row.namespace)?.name ?? '?'])
    } else node.title += ` on ${alias}`
    node.target.push(['Alias', plan.alias])
    const print = this.#printing([], slots, node, level)
    const calls = plan.calls.map((each) => print(each.call, this.#verbose))
    if (this.#verbose) node.lines.push({ key: 'Function Call', value: calls.join(', ') })
    const names = plan.calls.flatMap((each) => each.columns.map((column) => column.name))
    if (plan.ordinality) names.push('ordinality')
    return {
      node,
      entries: plan.columns.map((column, i) =>
        this.#column(node, alias, column.name || (names[i] ?? `column${i + 1}`)),
      ),
    }
  }

  // -- joins, aggregates, changes

  #join(
    plan: Extract<Plan, { kind: 'nested-loop' | 'hash-join' | 'merge-join' }>,
    slots: Slots,
    level: QueryLevel,
  ): Built {
    const type = plan.kind === 'nested-loop' ? 'Nested Loop' : plan.kind === 'hash-join' ? 'Hash Join' : 'Merge Join'
    const words = JOINS[plan.join]
    const title =
      plan.kind === 'nested-loop'
        ? `Nested Loop${words === '' ? '' : `${words} Join`}`
        : `${type.slice(0, -5)}${words} Join`
    // A nested loop that only fills slots for its inner side has one row of nothing outside.
    if (
      plan.kind === 'nested-loop' &&
      plan.outer.kind === 'result' &&
      plan.outer.targets.length === 0 &&
      plan.outer.filter === undefined &&
      plan.params.length > 0 &&
      plan.on === undefined
    ) {
      const none = this.#node(plan.outer, 'Result')
      const print = this.#printing([], slots, none, level)
      return this.#build(
        plan.inner,
        new Map([
          ...slots,
          ...plan.params.map((param) => [param.slot, this.#entryOf(param.expression, print, [], none)] as const),
        ]),
        level,
      )
    }
    const node = this.#node(plan, title, [['Node Type', type]])
    node.target.push(['Join Type', JOIN_TYPES[plan.join]])
    const outer = this.#child(node, this.#build(plan.outer, slots, level), 'Outer')
    let innerSlots = slots
    if (plan.kind === 'nested-loop' && plan.params.length > 0) {
      const print = this.#printing(outer.entries, slots, node, level)
      innerSlots = new Map([
        ...slots,
        ...plan.params.map(
          (param) => [param.slot, this.#entryOf(param.expression, print, outer.entries, node)] as const,
        ),
      ])
    }
    const inner = this.#build(plan.inner, innerSlots, level)
    if (plan.kind === 'hash-join') {
      const hash = this.#node(
        { ...plan.inner, estimate: { ...plan.inner.estimate, startupCost: plan.inner.estimate.totalCost } },
        'Hash',
      )
      hash.plans.splice(0, 1, plan.inner)
      hash.output = inner.node.output
      this.#child(hash, inner, 'Outer')
      this.#child(node, { node: hash, entries: inner.entries }, 'Inner')
    } else this.#child(node, inner, 'Inner')
    const both = [...outer.entries, ...inner.entries]
    if (plan.kind !== 'nested-loop') {
      const [left, right] = [
        this.#printing(outer.entries, slots, node, level),
        this.#printing(inner.entries, slots, node, level),
      ]
      const conditions = plan.outerKeys.map(
        (key, i) => `(${left(key, this.#prefix, true)} = ${right(plan.innerKeys[i]!, this.#prefix, true)})`,
      )
      node.lines.push({ key: plan.kind === 'hash-join' ? 'Hash Cond' : 'Merge Cond', value: allOf(conditions) })
    }
    if (plan.on !== undefined)
      node.lines.push({ key: 'Join Filter', value: this.#printing(both, slots, node, level)(plan.on, this.#prefix) })
    return { node, entries: plan.join === 'semi' || plan.join === 'anti' ? outer.entries : both }
  }

  #aggregate(plan: Extract<Plan, { kind: 'aggregate' }>, slots: Slots, level: QueryLevel): Built {
    const title =
      plan.strategy === 'plain'
        ? 'Aggregate'
        : plan.strategy === 'hash'
          ? 'HashAggregate'
          : plan.aggregates.length === 0 && plan.sets === undefined
            ? 'Group'
            : 'GroupAggregate'
    const strategy = plan.strategy === 'plain' ? 'Plain' : plan.strategy === 'hash' ? 'Hashed' : 'Sorted'
    const node = this.#node(
      plan,
      title,
      title === 'Group'
        ? [['Node Type', 'Group']]
        : [
            ['Node Type', 'Aggregate'],
            ['Strategy', strategy],
            ['Partial Mode', 'Simple'],
          ],
    )
    const below = this.#child(node, this.#build(plan.input, slots, level), 'Outer')
    const print = this.#printing(below.entries, slots, node, level)
    // What the input computes is shown as it is: its keys are the input's columns.
    const keyTexts = plan.keys.map((key) =>
      key.kind === 'column' ? below.entries[key.index]!.text(this.#prefix) : print(key, this.#prefix),
    )
    if (plan.sets === undefined) {
      if (keyTexts.length > 0) node.lines.push({ key: 'Group Key', value: keyTexts })
    } else {
      for (const set of plan.sets) {
        const key = set.length > 0 && plan.strategy === 'hash' ? 'Hash Key' : 'Group Key'
        node.lines.push({ key, value: set.length === 0 ? '()' : set.map((at) => keyTexts[at]!) })
      }
    }
    const keys = plan.keys.map((key) => this.#entryOf(key, print, below.entries, node))
    const aggregates = plan.aggregates.map((call) =>
      this.#entryOf({ ...call, kind: 'aggregate' }, print, below.entries, node),
    )
    const groupings = plan.groupings.map(
      (refs): Entry => ({ text: () => `GROUPING(${refs.map((at) => keyTexts[at]).join(', ')})`, bare: false, node }),
    )
    return { node, entries: [...keys, ...aggregates, ...groupings] }
  }

  #modify(plan: Extract<Plan, { kind: keyof typeof OPERATIONS }>, slots: Slots, level: QueryLevel): Built {
    const operation = OPERATIONS[plan.kind]
    const node = this.#node(plan, operation, [
      ['Node Type', 'ModifyTable'],
      ['Operation', operation],
    ])
    const row = this.#catalog.relation(plan.table)
    this.#aliases.add(plan.alias)
    if (plan.kind !== 'insert') this.#changed = plan.alias
    this.#target(node, row, plan.alias)
    const live = (row?.columns ?? []).filter((column) => !column.dropped)
    const alias = quoteIdentifier(plan.alias)
    const own = live.map((column) => this.#column(node, alias, column.name))
    if (plan.kind === 'insert' && plan.conflict.kind !== 'none') {
      node.lines.push({ key: 'Conflict Resolution', value: plan.conflict.kind === 'nothing' ? 'NOTHING' : 'UPDATE' })
      if (plan.conflict.indexes.length > 0)
        node.lines.push({
          key: 'Conflict Arbiter Indexes',
          value: plan.conflict.indexes.map((index) => quoteIdentifier(this.#catalog.relation(index)?.name ?? '?')),
        })
      if (plan.conflict.kind === 'update') {
        const excluded = live.map((column) => this.#column(node, 'excluded', column.name))
        const print = this.#printing([...own, ...excluded], slots, node, level)
        for (const { value } of plan.conflict.assignments) print(value, true)
        if (plan.conflict.where !== undefined)
          node.lines.push({ key: 'Conflict Filter', value: print(plan.conflict.where, true) })
      }
    }
    const below = this.#child(node, this.#build(plan.input, slots, level), 'Outer')
    if (plan.kind === 'update') {
      const print = this.#printing(below.entries, slots, below.node, level)
      for (const { value } of plan.assignments) print(value, this.#prefix)
    }
    const shown =
      plan.kind === 'insert'
        ? own
        : plan.kind === 'update'
          ? [...own, ...below.entries.slice(live.length)]
          : below.entries
    if (plan.kind === 'merge') return { node, entries: [] }
    const print = this.#printing(shown, slots, node, level)
    return { node, entries: (plan.returning ?? []).map((e) => this.#entryOf(e, print, shown, node)) }
  }

  #sortKeys(
    keys: readonly PlanSortKey[],
    entries: readonly Entry[],
    slots: Slots,
    node: ExplainNode,
    level: QueryLevel,
  ): string[] {
    const print = this.#printing(entries, slots, node, level)
    return keys.map((key) => {
      const e = key.expression
      const text = print(e, this.#prefix)
      const wraps = e.kind !== 'column' && e.kind !== 'const' && e.kind !== 'outer'
      const collation = key.collation === undefined ? undefined : this.#catalog.collation(key.collation)
      const collate =
        collation === undefined ||
        collation.name === 'default' ||
        collation.oid === this.#catalog.typeRow(e.type)?.collation
          ? ''
          : ` COLLATE ${quoteIdentifier(collation.name)}`
      return `${wraps ? `(${text})` : text}${collate}${direction(key)}`
    })
  }

  // -- expressions

  #column(node: ExplainNode, alias: string, name: string): Entry {
    const quoted = quoteIdentifier(name)
    return { text: (prefix) => (prefix ? `${alias}.${quoted}` : quoted), bare: true, node }
  }

  /** What a target gives: a column handed on stays what it is. */
  #entryOf(e: Expression, print: Print, below: readonly Entry[], node: ExplainNode): Entry {
    if (e.kind === 'column') return below[e.index] ?? { text: () => '?', bare: true, node }
    print(e, false)
    // What an enclosing row gives stands as it stood there.
    return { text: (prefix) => print(e, prefix), bare: e.kind === 'outer', node }
  }

  #seen(expressions: readonly (Expression | undefined)[], slots: Slots, node: ExplainNode, level: QueryLevel): void {
    const print = this.#printing([], slots, node, level)
    for (const e of expressions) if (e !== undefined) print(e, this.#prefix)
  }

  #printer(planned: (p: Printer, e: Expression) => boolean): Printer {
    return new Printer(this.#scope, { pretty: false, indent: false, planned }, NO_LEVELS, printQuery)
  }

  /** Prints expressions over a row of `entries` at `node`; subplans in them become the node's (or the level's) children. */
  #printing(entries: readonly Entry[], slots: Slots, node: ExplainNode, level: QueryLevel): Print {
    return (e, prefix, operand = false) => {
      const used: { readonly text: string; readonly bare: boolean }[] = []
      const add = (text: string, bare: boolean, e: Expression): Expression => {
        used.push({ text, bare })
        return bare
          ? { kind: 'var', level: 0, relation: used.length - 1, column: 1, type: e.type, typmod: e.typmod }
          : { kind: 'column', index: used.length - 1, type: e.type, typmod: e.typmod }
      }
      const visit = (each: Expression): Expression => {
        if (each.kind === 'column') {
          const entry = entries[each.index]
          return entry === undefined
            ? add('?', true, each)
            : add(entry.text(prefix), entry.bare || entry.node === node, each)
        }
        if (each.kind === 'outer') {
          const entry = slots.get(each.slot)
          return entry === undefined ? add('?', true, each) : add(entry.text(true), entry.bare, each)
        }
        if (each.kind === 'subplan') return add(this.#subplan(each, entries, slots, node, level), true, each)
        return mapChildren(each, visit)
      }
      const p = this.#printer((printer, each) => {
        if (each.kind === 'var' || each.kind === 'column') {
          const { text, bare } = used[each.kind === 'var' ? each.relation : each.index]!
          printer.text += bare ? text : `(${text})`
          return true
        }
        return false
      })
      printExpression(p, visit(e), operand)
      return p.text
    }
  }

  /** '$0' of an InitPlan, '(SubPlan 1)', '(hashed SubPlan 1)'; makes its node once. */
  #subplan(
    e: SubplanExpression,
    entries: readonly Entry[],
    slots: Slots,
    node: ExplainNode,
    level: QueryLevel,
  ): string {
    const once = e.params.length === 0
    if (once && (e.link.kind === 'scalar' || e.link.kind === 'exists' || e.link.kind === 'array')) {
      let parameter = this.#parameters.get(e)
      if (parameter === undefined) {
        const made = this.level(e.plan, slots)
        parameter = this.#parameters.size
        this.#parameters.set(e, parameter)
        made.relationship = 'InitPlan'
        made.subplanName = `InitPlan ${++this.#subplans} (returns $${parameter})`
        level.initPlans.push(made)
      }
      return `$${parameter}`
    }
    let name = this.#names.get(e)
    if (name === undefined) {
      const print = this.#printing(entries, slots, node, level)
      const inner = new Map([
        ...slots,
        ...e.params.map((param) => [param.slot, this.#entryOf(param.expression, print, entries, node)] as const),
      ])
      const made = this.level(e.plan, inner)
      name = `SubPlan ${++this.#subplans}`
      this.#names.set(e, name)
      made.relationship = 'SubPlan'
      made.subplanName = name
      node.children.push(made)
      if (e.link.kind === 'any' || e.link.kind === 'all') for (const left of e.link.left) print(left, this.#prefix)
    }
    return once && e.link.kind === 'any' && e.link.opName === '=' ? `(hashed ${name})` : `(${name})`
  }
}

const percent = (share: number): string => `${Number((share * 100).toPrecision(2))}%`

/** The way that was chosen, how far it goes, and why it was chosen. */
function searchText(plan: VectorScan, effort: string | undefined, other: string | undefined): string {
  const { filter, share, entries, gather } = plan
  // Where the graph is not walked, the effort says so.
  const walk = effort?.startsWith('effort') === false ? [] : [filter === undefined ? 'graph' : 'graph, widening']
  const parts =
    gather !== undefined
      ? [`gather through ${other}`, `about ${Math.round(entries * share)} of ${Math.round(entries)} rows match`]
      : filter === undefined
        ? [...walk, effort, 'no filter']
        : [...walk, effort, `about ${percent(share)} of ${Math.round(entries)} rows match`]
  return parts.filter((part) => part !== undefined).join(', ')
}

/** `operand`: inside an operator, where conversions that nobody wrote are shown. */
type Print = (e: Expression, prefix: boolean, operand?: boolean) => string

const SCANS = new Set([
  'Seq Scan',
  'Tid Scan',
  'Sample Scan',
  'Index Scan',
  'Function Scan',
  'Values Scan',
  'CTE Scan',
  'WorkTable Scan',
])
const TITLES = { limit: 'Limit', unique: 'Unique', materialize: 'Materialize', 'lock-rows': 'LockRows' } as const
const allOf = (conditions: readonly string[]): string =>
  conditions.length === 1 ? conditions[0]! : `(${conditions.join(' AND ')})`
