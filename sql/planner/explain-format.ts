/** EXPLAIN's tree as text, JSON, XML or YAML, line for line as PostgreSQL 15 writes it. */
import type { ExplainNode, Line, NodeCounters } from './explain.ts'

export interface FormatOptions {
  readonly analyze: boolean
  readonly verbose: boolean
  readonly costs: boolean
  readonly buffers: boolean
  readonly timing: boolean
}

export interface Summary {
  readonly planningMs: number | undefined
  readonly executionMs: number | undefined
  /** SETTINGS: name and value pairs that differ from the defaults. */
  readonly settings: readonly (readonly [string, string])[] | undefined
}

export type Counters = (plan: object) => NodeCounters | undefined

const rowCount = (rows: number): number => Math.max(1, Math.round(rows))

/** The counters of a node: of the outermost plan it stands for. */
function countersOf(node: ExplainNode, counters: Counters) {
  const own = counters(node.plans[0]!)
  const loops = own?.loops ?? 0
  if (own === undefined || loops === 0)
    return { startup: 0, total: 0, rows: 0, loops: 0, extra: [] as (readonly [string, number | string])[] }
  const extra: (readonly [string, number | string])[] = []
  for (const plan of node.plans)
    for (const [key, value] of Object.entries(counters(plan)?.extra ?? {})) extra.push([key, value])
  return { startup: own.startupMs / loops, total: own.totalMs / loops, rows: own.rows / loops, loops, extra }
}

/** What ANALYZE adds to a node's lines; counts are averages over its loops. */
function measured(node: ExplainNode, counters: Counters): Line[] {
  const { extra, loops } = countersOf(node, counters)
  const sums = new Map<string, number | string>()
  for (const [key, value] of extra) {
    const before = sums.get(key)
    sums.set(key, typeof value === 'number' && typeof before === 'number' ? before + value : value)
  }
  return [...sums].flatMap(([key, value]): Line[] => {
    if (typeof value !== 'number' || !key.startsWith('Rows Removed')) return [{ key, value }]
    const rows = Math.round(value / Math.max(1, loops))
    return value === 0 ? [] : [{ key, value: rows }]
  })
}

// ── Text ─────────────────────────────────────────────────────────────────────────────────────────────────────────

export function explainText(root: ExplainNode, options: FormatOptions, counters: Counters, summary: Summary): string[] {
  const lines: string[] = []
  const write = (node: ExplainNode, depth: number): void => {
    let indent = depth
    if (node.subplanName !== undefined) lines.push(`${'  '.repeat(indent++)}${node.subplanName}`)
    let head = node.title
    if (indent > 0) {
      head = `${'  '.repeat(indent)}->  ${head}`
      indent += 2
    }
    if (options.costs) {
      const { startupCost, totalCost, rows, width } = node.estimate
      const shown = node.json[0]![1] === 'ModifyTable' ? Math.round(rows) : rowCount(rows)
      head += `  (cost=${startupCost.toFixed(2)}..${totalCost.toFixed(2)} rows=${shown} width=${Math.round(width)})`
    }
    if (options.analyze) {
      const { startup, total, rows, loops } = countersOf(node, counters)
      if (loops === 0) head += ` (never executed)`
      else if (options.timing)
        head += ` (actual time=${startup.toFixed(3)}..${total.toFixed(3)} rows=${rows.toFixed(0)} loops=${loops})`
      else head += ` (actual rows=${rows.toFixed(0)} loops=${loops})`
    }
    lines.push(head)
    indent++
    const property = ({ key, value }: Line): void => {
      lines.push(`${'  '.repeat(indent)}${key}: ${typeof value === 'object' ? value.join(', ') : value}`)
    }
    if (options.verbose && node.output.length > 0) property({ key: 'Output', value: node.output })
    for (const line of node.lines) property(line)
    if (options.analyze) for (const line of measured(node, counters)) property(line)
    for (const child of node.children) write(child, indent)
  }
  write(root, 0)
  if (summary.settings !== undefined && summary.settings.length > 0)
    lines.push(`Settings: ${summary.settings.map(([name, value]) => `${name} = '${value}'`).join(', ')}`)
  if (summary.planningMs !== undefined) lines.push(`Planning Time: ${summary.planningMs.toFixed(3)} ms`)
  if (summary.executionMs !== undefined) lines.push(`Execution Time: ${summary.executionMs.toFixed(3)} ms`)
  return lines
}

// ── JSON ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** A number with its digits after the point as they are to be written. */
class Fixed {
  readonly text: string
  constructor(n: number, digits: number) {
    this.text = n.toFixed(digits)
  }
}
type Json = string | number | boolean | Fixed | JsonObject | readonly JsonObject[] | readonly string[]
type JsonObject = ReadonlyMap<string, Json>

const BUFFERS = [
  'Shared Hit Blocks',
  'Shared Read Blocks',
  'Shared Dirtied Blocks',
  'Shared Written Blocks',
  'Local Hit Blocks',
  'Local Read Blocks',
  'Local Dirtied Blocks',
  'Local Written Blocks',
  'Temp Read Blocks',
  'Temp Written Blocks',
] // prettier-ignore

function nodeJson(node: ExplainNode, options: FormatOptions, counters: Counters): JsonObject {
  const json = new Map<string, Json>(node.json)
  if (node.relationship !== undefined) json.set('Parent Relationship', node.relationship)
  if (node.subplanName !== undefined) json.set('Subplan Name', node.subplanName)
  json.set('Parallel Aware', false)
  json.set('Async Capable', false)
  for (const [key, value] of node.target) json.set(key, value)
  if (options.costs) {
    json.set('Startup Cost', new Fixed(node.estimate.startupCost, 2))
    json.set('Total Cost', new Fixed(node.estimate.totalCost, 2))
    json.set(
      'Plan Rows',
      json.get('Node Type') === 'ModifyTable' ? Math.round(node.estimate.rows) : rowCount(node.estimate.rows),
    )
    json.set('Plan Width', Math.round(node.estimate.width))
  }
  if (options.analyze) {
    const { startup, total, rows, loops } = countersOf(node, counters)
    if (options.timing) {
      json.set('Actual Startup Time', new Fixed(startup, 3))
      json.set('Actual Total Time', new Fixed(total, 3))
    }
    json.set('Actual Rows', Number(rows.toFixed(0)))
    json.set('Actual Loops', loops)
  }
  if (options.verbose) json.set('Output', node.output)
  for (const { key, value } of node.lines)
    json.set(key, LISTS.has(key) && typeof value !== 'object' ? [String(value)] : value)
  if (options.analyze) for (const { key, value } of measured(node, counters)) json.set(key, value)
  // There is no cache of pages here whose hits could be counted.
  if (options.buffers) for (const key of BUFFERS) json.set(key, 0)
  if (node.children.length > 0)
    json.set(
      'Plans',
      node.children.map((child) => nodeJson(child, options, counters)),
    )
  return json
}
const LISTS = new Set(['Sort Key', 'Presorted Key', 'Group Key', 'Hash Key', 'Conflict Arbiter Indexes'])

export type TreeFormat = 'json' | 'xml' | 'yaml'

/** The whole answer in one text. */
export function explainTreeAs(
  format: TreeFormat,
  root: ExplainNode,
  options: FormatOptions,
  counters: Counters,
  summary: Summary,
): string {
  const query = queryTree(root, options, counters, summary)
  if (format === 'json') return writeJson([query], 0)
  return format === 'yaml' ? `- ${writeYaml(query, 1)}` : writeXml(query)
}

/** What stands for a statement that has no plan. */
export const noPlanAs = (format: TreeFormat): string =>
  format === 'json'
    ? '[\n  "Utility Statement"\n]'
    : format === 'yaml'
      ? '- "Utility Statement"'
      : `<explain xmlns="${XML_NAMESPACE}">\n  <Utility-Statement />\n</explain>`

function queryTree(root: ExplainNode, options: FormatOptions, counters: Counters, summary: Summary): JsonObject {
  const json = new Map<string, Json>([['Plan', nodeJson(root, options, counters)]])
  if (summary.settings !== undefined && summary.settings.length > 0) json.set('Settings', new Map(summary.settings))
  if (summary.planningMs !== undefined) json.set('Planning Time', new Fixed(summary.planningMs, 3))
  if (options.analyze) json.set('Triggers', [] as JsonObject[])
  if (summary.executionMs !== undefined) json.set('Execution Time', new Fixed(summary.executionMs, 3))
  return json
}

function writeJson(value: Json, depth: number): string {
  const [inner, outer] = ['  '.repeat(depth + 1), '  '.repeat(depth)]
  if (value instanceof Fixed) return value.text
  if (Array.isArray(value)) {
    if (value.length === 0) return `[\n${outer}]`
    if (typeof value[0] === 'string') return `[${value.map((each) => JSON.stringify(each)).join(', ')}]`
    return `[\n${value.map((each) => inner + writeJson(each as Json, depth + 1)).join(',\n')}\n${outer}]`
  }
  if (value instanceof Map)
    return `{\n${[...(value as JsonObject)].map(([key, each]) => `${inner}${JSON.stringify(key)}: ${writeJson(each, depth + 1)}`).join(',\n')}\n${outer}}`
  return JSON.stringify(value)
}

// ── YAML ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** The fields of an object whose first stands behind what is written already, the others at this depth. */
function writeYaml(object: JsonObject, depth: number): string {
  const lines = [...object].map(([key, value]) => `${key}: ${yamlValue(value, depth)}`)
  return lines.join(`\n${'  '.repeat(depth)}`)
}

function yamlValue(value: Json, depth: number): string {
  const inner = `\n${'  '.repeat(depth + 1)}`
  if (value instanceof Map) return inner + writeYaml(value as JsonObject, depth + 1)
  if (Array.isArray(value)) {
    const items = value as readonly (string | JsonObject)[]
    return items
      .map((each) => `${inner}- ${typeof each === 'string' ? JSON.stringify(each) : writeYaml(each, depth + 2)}`)
      .join('')
  }
  return value instanceof Fixed ? value.text : JSON.stringify(value)
}

// ── XML ──────────────────────────────────────────────────────────────────────────────────────────────────────────

const XML_NAMESPACE = 'http://www.postgresql.org/2009/explain'
const XML_ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '\r': '&#x0d;' }

const xmlName = (key: string): string => key.replace(/[^A-Za-z0-9\-_.]/g, '-')
const xmlText = (text: string): string => text.replace(/[&<>\r]/g, (c) => XML_ESCAPES[c]!)

function writeXml(query: JsonObject): string {
  const lines = [`<explain xmlns="${XML_NAMESPACE}">`]
  xmlElement('Query', query, 1, lines)
  return [...lines, '</explain>'].join('\n')
}

function xmlElement(key: string, value: Json, depth: number, lines: string[]): void {
  const indent = '  '.repeat(depth)
  const name = xmlName(key)
  if (value instanceof Map || Array.isArray(value)) {
    lines.push(`${indent}<${name}>`)
    if (value instanceof Map) for (const [own, each] of value as JsonObject) xmlElement(own, each, depth + 1, lines)
    else
      for (const each of value as readonly (string | JsonObject)[])
        xmlElement(typeof each === 'string' ? 'Item' : 'Plan', each, depth + 1, lines)
    lines.push(`${indent}</${name}>`)
    return
  }
  lines.push(`${indent}<${name}>${value instanceof Fixed ? value.text : xmlText(String(value))}</${name}>`)
}
