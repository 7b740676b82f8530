/** EXPLAIN (PostgreSQL 15 manual, SQL commands): what is asked for, the plan, and with ANALYZE a run whose rows go nowhere. */
import type { ExplainStmt, Node } from '@pgsql/types'
import type { Instrument } from '../../executor/operator.ts'
import { effortText } from '../../executor/vector-effort.ts'
import { explainTree } from '../../planner/explain.ts'
import { explainText, explainTreeAs, noPlanAs, type TreeFormat } from '../../planner/explain-format.ts'
import { notSupported, sqlError } from '../../types/error.ts'
import { OID } from '../../types/oids.ts'
import type { Value } from '../../types/value.ts'
import type { Backend } from '../backend.ts'
import { newPortal, type Portal } from '../portal.ts'
import type { Field } from '../session.ts'
import { allSettings } from '../settings.ts'
import { fieldOf, isQueryNode, type PreparedQuery, type Statement } from '../statement.ts'
import { define, type UtilityCall } from '../utility.ts'
import { executeParameters, preparedStatement } from './prepare.ts'
import { innerQuery, rowSink } from './query.ts'

interface Options {
  readonly analyze: boolean
  readonly verbose: boolean
  readonly costs: boolean
  readonly buffers: boolean
  readonly settings: boolean
  readonly timing: boolean
  readonly summary: boolean
  readonly format: 'text' | TreeFormat
}

export function registerExplain(): void {
  define('ExplainStmt', explain, (session, node) => [explainField(session, optionsOf(node).format)])
}

const FIELD_TYPES = { text: OID.text, json: OID.json, xml: OID.text, yaml: OID.text } as const

const explainField = (session: Backend, format: Options['format']): Field =>
  fieldOf(session.catalog, { name: 'QUERY PLAN', type: FIELD_TYPES[format], typmod: -1 })

// ── Options ──────────────────────────────────────────────────────────────────────────────────────────────────────

const BOOLEANS = new Set(['analyze', 'verbose', 'costs', 'buffers', 'settings', 'timing', 'summary', 'wal'])

function optionsOf(node: ExplainStmt): Options {
  const given = new Map<string, boolean>()
  let format: Options['format'] = 'text'
  for (const option of node.options ?? []) {
    if (!('DefElem' in option)) continue
    const { defname, arg } = option.DefElem
    const name = defname!
    if (BOOLEANS.has(name)) given.set(name, truth(name, arg))
    else if (name === 'format') {
      const value = textOf(arg)
      if (value !== 'text' && value !== 'json' && value !== 'xml' && value !== 'yaml')
        throw sqlError('22023', `unrecognized value for EXPLAIN option "format": "${value}"`)
      format = value
    } else throw sqlError('42601', `unrecognized EXPLAIN option "${name}"`)
  }
  const is = (name: string, otherwise: boolean): boolean => given.get(name) ?? otherwise
  const analyze = is('analyze', false)
  if (is('wal', false) && !analyze) throw sqlError('22023', 'EXPLAIN option WAL requires ANALYZE')
  if (is('timing', analyze) && !analyze) throw sqlError('22023', 'EXPLAIN option TIMING requires ANALYZE')
  return {
    analyze,
    verbose: is('verbose', false),
    costs: is('costs', true),
    buffers: is('buffers', false),
    settings: is('settings', false),
    timing: is('timing', analyze),
    summary: is('summary', analyze),
    format,
  }
}

function textOf(arg: Node | undefined): string {
  if (arg === undefined) return ''
  if ('String' in arg) return arg.String.sval ?? ''
  if ('Integer' in arg) return String(arg.Integer.ival ?? 0)
  if ('Boolean' in arg) return arg.Boolean.boolval ? 'true' : 'false'
  return ''
}
function truth(name: string, arg: Node | undefined): boolean {
  if (arg === undefined) return true
  const text = textOf(arg).toLowerCase()
  if (text === 'true' || text === 'on' || text === '1') return true
  if (text === 'false' || text === 'off' || text === '0') return false
  throw sqlError('42601', `${name} requires a Boolean value`)
}

// ── The statement ────────────────────────────────────────────────────────────────────────────────────────────────

interface Explained {
  readonly prepared: PreparedQuery
  readonly parameters: readonly Value[]
  readonly statement: Statement
  /** CREATE TABLE AS under ANALYZE really makes the table: its own utility does. */
  readonly creates: boolean
}

/** The query behind what is explained; undefined: a utility statement without a plan. */
function planned(session: Backend, node: Node, statement: Statement, call: UtilityCall): Explained | undefined {
  if ('ExecuteStmt' in node) {
    const inner = preparedStatement(session, node.ExecuteStmt.name!)
    if (!isQueryNode(inner.node)) return undefined
    const prepared = session.extended.preparedQuery(node.ExecuteStmt.name!)
    return {
      prepared,
      parameters: executeParameters(session, node.ExecuteStmt, prepared.parameterTypes, statement, call.parameters),
      statement: inner,
      creates: false,
    }
  }
  if ('DeclareCursorStmt' in node) return planned(session, node.DeclareCursorStmt.query!, statement, call)
  if ('CreateTableAsStmt' in node) {
    const inner = planned(session, node.CreateTableAsStmt.query!, statement, call)
    return inner && { ...inner, creates: true }
  }
  if (!isQueryNode(node)) return undefined
  return { ...innerQuery(session, statement, node, call.parameters), statement, creates: false }
}

async function explain(session: Backend, node: ExplainStmt, call: UtilityCall, statement: Statement): Promise<string> {
  const options = optionsOf(node)
  const field = explainField(session, options.format)
  const from = performance.now()
  const explained = planned(session, node.query!, statement, call)
  const planningMs = performance.now() - from
  const answer = (lines: readonly string[]): string => {
    if (call.simple) call.sink.fields([field], [])
    for (const line of lines) call.sink.row([line])
    return 'EXPLAIN'
  }
  if (explained === undefined) {
    const text = 'Utility statements have no plan structure'
    return answer([options.format === 'text' ? text : noPlanAs(options.format)])
  }
  let { prepared } = explained
  const instruments = new Map<object, Instrument>()
  let executionMs: number | undefined
  if (options.analyze) {
    const started = performance.now()
    if (explained.creates) throw notSupported('EXPLAIN ANALYZE of CREATE TABLE AS')
    prepared = await analyze(session, explained, instruments, call)
    executionMs = performance.now() - started
  }
  const tree = explainTree(
    { catalog: session.catalog, searchPath: session.searchPath },
    prepared.planned,
    prepared.query,
    {
      verbose: options.verbose,
      searchEffort: (plan) => effortText(plan, session.catalog, session.server.vectors, session.settings.vector),
    },
  )
  const summary = {
    planningMs: options.summary ? planningMs : undefined,
    executionMs: options.summary ? executionMs : undefined,
    settings: options.settings ? changedSettings(session) : undefined,
  }
  const counters = (plan: object): Instrument | undefined => instruments.get(plan)
  return answer(
    options.format === 'text'
      ? explainText(tree, options, counters, summary)
      : [explainTreeAs(options.format, tree, options, counters, summary)],
  )
}

/** Runs the query to its end, counting; its rows are dropped. Gives what has run: it may have been planned anew behind a lock. */
async function analyze(
  session: Backend,
  { prepared, parameters, statement }: Explained,
  instruments: Map<object, Instrument>,
  call: UtilityCall,
): Promise<PreparedQuery> {
  const portal: Portal = {
    ...newPortal('', { ...statement, prepared: undefined }, parameters, [], prepared),
    instruments,
  }
  await session.runner.runPortal(
    portal,
    0,
    rowSink(call.sink, () => {}),
  )
  return portal.prepared!
}

/** What changes plans, where it is not as PostgreSQL is installed (its GUC_EXPLAIN parameters). */
const PLANNER_SETTINGS =
  /^(enable_|cpu_|seq_page_cost|random_page_cost|effective_cache_size|work_mem|hash_mem_multiplier|search_path|temp_buffers|from_collapse_limit|join_collapse_limit|geqo|cursor_tuple_fraction|constraint_exclusion|default_statistics_target|plan_cache_mode|jit|max_parallel|parallel_|min_parallel)/

function changedSettings(session: Backend): [string, string][] {
  const changed: [string, string][] = []
  for (const definition of allSettings()) {
    if (!PLANNER_SETTINGS.test(definition.name)) continue
    const value = session.settings.get(definition.name)
    if (value !== definition.boot) changed.push([definition.name, session.settings.show(definition.name)])
  }
  return changed.sort((x, y) => (x[0] < y[0] ? -1 : 1))
}
