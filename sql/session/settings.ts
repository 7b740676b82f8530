/**
 * Configuration parameters (GUCs). What there is, with types, units, ranges and texts, is PostgreSQL's own pg_settings
 * (sql/catalog/data/settings.tsv) with this server's additions; here are values in layers:
 *
 *     boot value < server (flags, file) < database < role < connection < SET (session) < SET LOCAL (transaction)
 *
 * SET inside a transaction is undone when it rolls back; SET LOCAL always ends with it.
 */

import { dataTable, fields } from '../catalog/tsv.ts'
import { parseDateStyle, parseIntervalStyle, parseTimeZone, printDateStyle } from '../types/datetime/session.ts'
import { type SqlError, sqlError } from '../types/error.ts'
import { roundHalfEven } from '../types/number/int.ts'
import { DEFAULT_SETTINGS, type Settings } from '../types/settings.ts'
import { encodingName, isSingleByte } from '../types/text/encodings.ts'
import { defaultVectorSettings, type VectorSettings } from '../vector/settings.ts'
import { VECTOR_FIELDS, VECTOR_PARAMETERS } from './settings-vector.ts'

export type SettingContext =
  | 'internal'
  | 'postmaster'
  | 'sighup'
  | 'superuser-backend'
  | 'backend'
  | 'superuser'
  | 'user'
export interface SettingDefinition {
  readonly name: string
  readonly type: 'bool' | 'integer' | 'real' | 'string' | 'enum'
  readonly unit: string | undefined
  readonly category: string
  readonly description: string
  readonly extra: string | undefined
  readonly context: SettingContext
  readonly min: number | undefined
  readonly max: number | undefined
  readonly values: readonly string[]
  readonly boot: string
  /** Reported to the client when it changes (ParameterStatus). */
  readonly reported: boolean
}

/** What PostgreSQL reports at start-up, in its order. */
const REPORTED = [
  'in_hot_standby',
  'integer_datetimes',
  'TimeZone',
  'IntervalStyle',
  'is_superuser',
  'application_name',
  'default_transaction_read_only',
  'scram_iterations',
  'DateStyle',
  'standard_conforming_strings',
  'session_authorization',
  'client_encoding',
  'server_version',
  'server_encoding',
] as const // prettier-ignore

/** What differs from PostgreSQL's boot values here, and this server's own parameters. */
const BOOT: Readonly<Record<string, string>> = {
  server_version: '15.18 (Alopex 0.1.0)',
  server_encoding: 'UTF8',
  client_encoding: 'UTF8',
  TimeZone: 'UTC',
  log_timezone: 'UTC',
  lc_collate: 'C',
  lc_ctype: 'C',
  lc_messages: 'C',
  lc_monetary: 'C',
  lc_numeric: 'C',
  lc_time: 'C',
  integer_datetimes: 'on',
  default_text_search_config: 'pg_catalog.english',
  in_hot_standby: 'off',
  jit: 'off',
  // A vector index that does not fit is not built: room for a million vectors of 128 dimensions.
  maintenance_work_mem: '1048576',
  max_parallel_workers_per_gather: '0',
  data_checksums: 'on',
}

const OWN: readonly SettingDefinition[] = [
  {
    name: 'is_superuser',
    type: 'bool',
    unit: undefined,
    category: 'Preset Options',
    description: 'Shows whether the current user is a superuser.',
    extra: undefined,
    context: 'internal',
    min: undefined,
    max: undefined,
    values: [],
    boot: 'off',
    reported: true,
  },
  {
    name: 'session_authorization',
    type: 'string',
    unit: undefined,
    category: 'Preset Options',
    description: 'Sets the session user name.',
    extra: undefined,
    context: 'user',
    min: undefined,
    max: undefined,
    values: [],
    boot: '',
    reported: true,
  },
  {
    name: 'role',
    type: 'string',
    unit: undefined,
    category: 'Preset Options',
    description: 'Sets the current role.',
    extra: undefined,
    context: 'user',
    min: undefined,
    max: undefined,
    values: [],
    boot: 'none',
    reported: false,
  },
  {
    name: 'transaction_isolation',
    type: 'enum',
    unit: undefined,
    category: 'Client Connection Defaults / Statement Behavior',
    description: "Sets the current transaction's isolation level.",
    extra: undefined,
    context: 'user',
    min: undefined,
    max: undefined,
    values: ['serializable', 'repeatable read', 'read committed', 'read uncommitted'],
    boot: 'read committed',
    reported: false,
  },
  ...VECTOR_PARAMETERS,
]

const known = new Map<string, SettingDefinition>()
function definitions(): ReadonlyMap<string, SettingDefinition> {
  if (known.size > 0) return known
  const table = dataTable('settings')
  const at = (column: string): number => table.columns.indexOf(column)
  const [name, boot, unit, category, short, extra, context, type, min, max, values] = [
    'name',
    'boot_val',
    'unit',
    'category',
    'short_desc',
    'extra_desc',
    'context',
    'vartype',
    'min_val',
    'max_val',
    'enumvals',
  ].map(at) as [number, number, number, number, number, number, number, number, number, number, number]
  for (const line of table.lines) {
    const row = fields(line)
    const title = row[name]!
    known.set(title.toLowerCase(), {
      name: title,
      type: row[type] as SettingDefinition['type'],
      unit: row[unit] ?? undefined,
      category: row[category]!,
      description: row[short]!,
      extra: row[extra] ?? undefined,
      context: row[context] as SettingContext,
      min: row[min] === null ? undefined : Number(row[min]),
      max: row[max] === null ? undefined : Number(row[max]),
      values: row[values] === null ? [] : splitArray(row[values]!),
      boot: BOOT[title] ?? row[boot] ?? '',
      reported: (REPORTED as readonly string[]).includes(title),
    })
  }
  for (const own of OWN) if (!known.has(own.name)) known.set(own.name, own)
  return known
}
const splitArray = (text: string): string[] =>
  text
    .slice(1, -1)
    .split(',')
    .map((each) => each.replace(/^"(.*)"$/, '$1'))

export const settingDefinition = (name: string): SettingDefinition | undefined => definitions().get(name.toLowerCase())
export const allSettings = (): Iterable<SettingDefinition> => definitions().values()

/** A parameter of these that is not known is a slip: extensions reserve their prefixes (MarkGUCPrefixReserved). */
const RESERVED_PREFIXES = ['alopex', 'hnsw', 'ivfflat']

/** A name of one's own: simple identifiers with dots between. Throws 42704, 42602. */
function checkCustom(name: string): void {
  if (!name.includes('.')) throw unrecognized(name)
  const refuse = (detail: string): SqlError =>
    sqlError('42602', `invalid configuration parameter name "${name}"`, { detail })
  if (!/^[a-z_\x80-\uffff][\w$\x80-\uffff]*(\.[a-z_\x80-\uffff][\w$\x80-\uffff]*)+$/i.test(name))
    throw refuse('Custom parameter names must be two or more simple identifiers separated by dots.')
  const prefix = RESERVED_PREFIXES.find((each) => name.toLowerCase().startsWith(`${each}.`))
  if (prefix !== undefined) throw refuse(`"${prefix}" is a reserved prefix.`)
}

const unrecognized = (name: string): SqlError => sqlError('42704', `unrecognized configuration parameter "${name}"`)

const MEMORY_UNITS: Readonly<Record<string, number>> = { B: 1, kB: 1024, MB: 1024 ** 2, GB: 1024 ** 3, TB: 1024 ** 4 }
const TIME_UNITS: Readonly<Record<string, number>> = {
  us: 0.001,
  ms: 1,
  s: 1000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}
const BASE_UNIT: Readonly<Record<string, { readonly table: typeof MEMORY_UNITS; readonly size: number }>> = {
  B: { table: MEMORY_UNITS, size: 1 },
  kB: { table: MEMORY_UNITS, size: 1024 },
  '8kB': { table: MEMORY_UNITS, size: 8192 },
  MB: { table: MEMORY_UNITS, size: 1024 ** 2 },
  ms: { table: TIME_UNITS, size: 1 },
  s: { table: TIME_UNITS, size: 1000 },
  min: { table: TIME_UNITS, size: 60_000 },
}
const INT_MAX = 2147483647
const TRUE = new Set(['on', 'true', 'yes', '1', 't', 'tr', 'tru', 'y', 'ye'])
const FALSE = new Set(['off', 'of', 'false', 'no', '0', 'f', 'fa', 'fal', 'fals', 'n'])

const invalid = (
  definition: SettingDefinition,
  value: string,
  extra: { hint?: string; detail?: string } = {},
): SqlError => sqlError('22023', `invalid value for parameter "${definition.name}": "${value}"`, extra)

/** The canonical text of a value (numbers in the parameter's own unit); throws 22023. */
function canonical(definition: SettingDefinition, value: string, current: Settings): string {
  const special = SPECIAL[definition.name]
  if (special !== undefined) return special(value, current)
  switch (definition.type) {
    case 'bool': {
      const word = value.toLowerCase()
      if (TRUE.has(word)) return 'on'
      if (FALSE.has(word)) return 'off'
      throw sqlError('22023', `parameter "${definition.name}" requires a Boolean value`)
    }
    case 'enum': {
      const word = value.toLowerCase()
      const found =
        definition.values.find((each) => each === word) ??
        (TRUE.has(word)
          ? definition.values.find((each) => each === 'on')
          : FALSE.has(word)
            ? definition.values.find((each) => each === 'off')
            : undefined)
      if (found === undefined)
        throw invalid(definition, value, { hint: `Available values: ${definition.values.join(', ')}.` })
      return found
    }
    case 'integer':
    case 'real':
      return String(numberOf(definition, value))
    case 'string':
      return value
  }
}

function numberOf(definition: SettingDefinition, value: string): number {
  const match = /^\s*([-+]?(?:0[xX][0-9a-fA-F]+|\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|\.\d+))\s*([A-Za-z]*)\s*$/.exec(value)
  if (match === null) throw invalid(definition, value)
  let number = Number(match[1])
  const unit = match[2]!
  if (unit !== '') {
    const base = definition.unit === undefined ? undefined : BASE_UNIT[definition.unit]
    const factor = base?.table[unit]
    if (base === undefined || factor === undefined) {
      const hint =
        base === undefined
          ? undefined
          : base.table === MEMORY_UNITS
            ? 'Valid units for this parameter are "B", "kB", "MB", "GB", and "TB".'
            : 'Valid units for this parameter are "us", "ms", "s", "min", "h", and "d".'
      throw invalid(definition, value, hint === undefined ? {} : { hint })
    }
    number = (number * factor) / base.size
  }
  if (definition.type === 'integer') {
    number = roundHalfEven(number)
    if (number > INT_MAX || number < -INT_MAX - 1)
      throw invalid(definition, value, { hint: 'Value exceeds integer range.' })
  }
  if (
    (definition.min !== undefined && number < definition.min) ||
    (definition.max !== undefined && number > definition.max)
  ) {
    const shown = definition.unit === undefined ? '' : ` ${definition.unit}`
    throw sqlError(
      '22023',
      `${number}${shown} is outside the valid range for parameter "${definition.name}" (${definition.min} .. ${definition.max})`,
    )
  }
  return number
}

/** As SHOW prints: the largest unit that divides the value. */
export function shown(definition: SettingDefinition, value: string): string {
  if (definition.type !== 'integer' || definition.unit === undefined) return value
  const base = BASE_UNIT[definition.unit]
  const number = Number(value)
  if (base === undefined || number <= 0) return value
  const total = number * base.size
  const units = Object.entries(base.table).filter(
    ([, size]) => size >= (base.table === TIME_UNITS ? 1 : 1024) || base.size === 1,
  )
  for (const [unit, size] of units.reverse()) if (total % size === 0) return `${total / size}${unit}`
  return value
}

const SPECIAL: Readonly<Record<string, (value: string, current: Settings) => string>> = {
  DateStyle: (value, current) => printDateStyle(parseDateStyle(value, current)),
  TimeZone: (value) => parseTimeZone(value),
  IntervalStyle: (value) => parseIntervalStyle(value),
  client_encoding: (value) => {
    const name = encodingName(value.replace(/^'|'$/g, ''))
    if (name === undefined) throw sqlError('22023', `invalid value for parameter "client_encoding": "${value}"`)
    if (name !== 'UTF8' && name !== 'SQL_ASCII' && !isSingleByte(name))
      throw sqlError('0A000', `client_encoding ${value} is not supported`, {
        hint: 'Use UTF8, SQL_ASCII or a set of one byte a character.',
      })
    return name
  },
  default_text_search_config: (value) => {
    const name = value.replace(/^"?pg_catalog"?\./, '').replaceAll('"', '')
    if (!dataTable('pg_ts_config').lines.some((line) => fields(line)[1] === name))
      throw sqlError('22023', `invalid value for parameter "default_text_search_config": "${value}"`)
    return `pg_catalog.${name}`
  },
  client_min_messages: (value) => {
    const word = value.toLowerCase()
    const levels = ['debug5', 'debug4', 'debug3', 'debug2', 'debug1', 'log', 'notice', 'warning', 'error']
    if (word === 'info') return 'info'
    if (word === 'debug') return 'debug2'
    if (!levels.includes(word))
      throw sqlError('22023', `invalid value for parameter "client_min_messages": "${value}"`, {
        hint: `Available values: ${levels.join(', ')}.`,
      })
    return word
  },
  standard_conforming_strings: (value) => {
    if (TRUE.has(value.toLowerCase())) return 'on'
    throw sqlError('0A000', 'standard_conforming_strings = off is not supported')
  },
}

/** Settings that every statement asks for, kept as plain fields. */
export interface QuickSettings {
  statementTimeoutMs: number
  logMinDurationMs: number
  idleSessionMs: number
  idleInTransactionMs: number
  workMemBytes: number
  searchPath: string
  defaultIsolation: string
  defaultReadOnly: boolean
  defaultDeferrable: boolean
}
const QUICK: Readonly<Record<string, (quick: QuickSettings, value: string) => void>> = {
  statement_timeout: (quick, value) => {
    quick.statementTimeoutMs = Number(value)
  },
  log_min_duration_statement: (quick, value) => {
    quick.logMinDurationMs = Number(value)
  },
  idle_session_timeout: (quick, value) => {
    quick.idleSessionMs = Number(value)
  },
  idle_in_transaction_session_timeout: (quick, value) => {
    quick.idleInTransactionMs = Number(value)
  },
  work_mem: (quick, value) => {
    quick.workMemBytes = Number(value) * 1024
  },
  search_path: (quick, value) => {
    quick.searchPath = value
  },
  default_transaction_isolation: (quick, value) => {
    quick.defaultIsolation = value
  },
  default_transaction_read_only: (quick, value) => {
    quick.defaultReadOnly = value === 'on'
  },
  default_transaction_deferrable: (quick, value) => {
    quick.defaultDeferrable = value === 'on'
  },
}

/** Settings that literals are read under: with the same values a bound literal means the same. */
const OF_LITERALS: ReadonlySet<string> = new Set(['DateStyle', 'TimeZone', 'IntervalStyle'])
/** Settings that plans are chosen by. */
const isOfPlans = (name: string): boolean => name.startsWith('enable_')

/** One number for equal texts, in all sessions: they share bound statements. */
const numbers = new Map<string, number>()
function numberOfText(text: string): number {
  let number = numbers.get(text)
  if (number === undefined) numbers.set(text, (number = numbers.size))
  return number
}

interface Undo {
  readonly name: string
  readonly before: string | undefined
  readonly local: boolean
}

/** The values of one session. */
export class SessionSettings {
  /** Kept up to date for input and output functions; the object stays the same. */
  readonly live: { -readonly [K in keyof Settings]: Settings[K] } = { ...DEFAULT_SETTINGS }
  readonly quick: QuickSettings = {
    statementTimeoutMs: 0,
    logMinDurationMs: -1,
    idleSessionMs: 0,
    idleInTransactionMs: 0,
    workMemBytes: 4 << 20,
    searchPath: '',
    defaultIsolation: 'read committed',
    defaultReadOnly: false,
    defaultDeferrable: false,
  }
  /** The object stays the same. */
  readonly vector: VectorSettings = defaultVectorSettings()
  /** Equal in sessions (and at times) whose settings give literals the same meaning. */
  epoch = 0
  /** Equal where plans are chosen alike. */
  planning = ''
  readonly #base = new Map<string, string>()
  readonly #values = new Map<string, string>()
  readonly #custom = new Map<string, string>()
  #undo: Undo[] = []
  #locals: Undo[] = []
  #onReport: (name: string, before: string) => void = () => {}
  /** Values that are not kept here but asked for (transaction_isolation …). */
  readonly computed = new Map<string, { readonly get: () => string; readonly set: (value: string) => void }>()

  /** `layers`: name and value pairs, weakest first; these are what RESET goes back to. */
  constructor(layers: Iterable<readonly [string, string]>) {
    for (const [name, value] of layers) {
      const definition = settingDefinition(name)
      if (definition === undefined) {
        if (!name.includes('.')) throw unrecognized(name)
        this.#custom.set(name.toLowerCase(), value)
        this.#base.set(name.toLowerCase(), value)
        continue
      }
      this.#base.set(definition.name, canonical(definition, value, this.live))
      this.#applied(definition.name)
    }
    for (const name of Object.keys(QUICK)) QUICK[name]!(this.quick, this.get(name))
    this.epoch = this.#literalsRead()
  }

  /** `before`: its value until now. */
  onReport(listener: (name: string, before: string) => void): void {
    this.#onReport = listener
  }

  /** The canonical text; throws 42704. */
  get(name: string): string {
    const definition = settingDefinition(name)
    if (definition === undefined) {
      const custom = this.#custom.get(name.toLowerCase())
      if (custom === undefined) throw unrecognized(name)
      return custom
    }
    const computed = this.computed.get(definition.name)
    if (computed !== undefined) return computed.get()
    return this.#values.get(definition.name) ?? this.#base.get(definition.name) ?? definition.boot
  }
  has(name: string): boolean {
    return settingDefinition(name) !== undefined || this.#custom.has(name.toLowerCase())
  }
  show(name: string): string {
    const definition = settingDefinition(name)
    return definition === undefined ? this.get(name) : shown(definition, this.get(name))
  }
  number(name: string): number {
    return Number(this.get(name))
  }
  bool(name: string): boolean {
    return this.get(name) === 'on'
  }
  resetValue(definition: SettingDefinition): string {
    return this.#base.get(definition.name) ?? definition.boot
  }
  source(definition: SettingDefinition): string {
    return this.#values.has(definition.name)
      ? 'session'
      : this.#base.has(definition.name)
        ? 'configuration file'
        : 'default'
  }
  *customNames(): Iterable<string> {
    yield* this.#custom.keys()
  }

  /** SET, or with undefined RESET. `local`: until the transaction ends. Throws 42704, 22023, 55P02, 42501. */
  set(name: string, value: string | undefined, local: boolean, superuser: boolean): void {
    const definition = settingDefinition(name)
    if (definition === undefined) {
      const lower = name.toLowerCase()
      checkCustom(name)
      this.#remember(lower, this.#custom.get(lower), local)
      if (value === undefined) {
        const base = this.#base.get(lower)
        if (base === undefined) this.#custom.set(lower, '')
        else this.#custom.set(lower, base)
      } else this.#custom.set(lower, value)
      return
    }
    checkContext(definition, superuser)
    const computed = this.computed.get(definition.name)
    if (computed !== undefined) {
      computed.set(value === undefined ? definition.boot : canonical(definition, value, this.live))
      return
    }
    const text = value === undefined ? undefined : canonical(definition, value, this.live)
    this.#remember(definition.name, this.#values.get(definition.name), local)
    const before = this.get(definition.name)
    if (text === undefined) this.#values.delete(definition.name)
    else this.#values.set(definition.name, text)
    this.#changed(definition, before)
  }

  /** Sets without asking for permission and without undo: what the session itself changes. */
  force(name: string, value: string): void {
    const definition = settingDefinition(name)
    if (definition === undefined) throw unrecognized(name)
    const before = this.get(definition.name)
    this.#values.set(definition.name, value)
    this.#changed(definition, before)
  }

  resetAll(): void {
    for (const name of [...this.#values.keys()]) {
      const definition = settingDefinition(name)!
      if (['role', 'session_authorization', 'is_superuser', 'transaction_isolation'].includes(definition.name)) continue
      this.set(name, undefined, false, true)
    }
  }

  // -- transactions

  mark(): number {
    return this.#undo.length
  }
  /** ROLLBACK TO: undoes what was set since. */
  undoTo(mark: number): void {
    while (this.#undo.length > mark) {
      const undo = this.#undo.pop()!
      this.#restore(undo)
      if (undo.local) this.#locals = this.#locals.filter((each) => each !== undo)
    }
  }
  commit(): void {
    if (this.#undo.length === 0 && this.#locals.length === 0) return
    for (const undo of this.#locals.reverse()) this.#restore(undo)
    this.#locals = []
    this.#undo = []
  }
  rollback(): void {
    this.undoTo(0)
    this.#locals = []
  }

  #remember(name: string, before: string | undefined, local: boolean): void {
    const undo = { name, before, local }
    this.#undo.push(undo)
    if (local) this.#locals.push(undo)
    // A SET after SET LOCAL is what stays.
    else if (this.#locals.length > 0) this.#locals = this.#locals.filter((each) => each.name !== name)
  }
  #restore(undo: Undo): void {
    const definition = settingDefinition(undo.name)
    if (definition === undefined) {
      // A name of one's own stays known once it was set.
      if (undo.before === undefined) this.#custom.set(undo.name, '')
      else this.#custom.set(undo.name, undo.before)
      return
    }
    const before = this.get(definition.name)
    if (undo.before === undefined) this.#values.delete(definition.name)
    else this.#values.set(definition.name, undo.before)
    this.#changed(definition, before)
  }

  #changed(definition: SettingDefinition, before: string): void {
    const now = this.get(definition.name)
    // Set to the value it had is set all the same.
    this.#vectorChanged(definition.name)
    if (now === before) return
    this.#applied(definition.name)
    if (definition.reported) this.#onReport(definition.name, before)
  }

  #applied(name: string): void {
    if (OF_LITERALS.has(name)) this.epoch = this.#literalsRead()
    else if (isOfPlans(name)) this.#choosing(name)
    QUICK[name]?.(this.quick, this.get(name))
    this.#vectorChanged(name)
    switch (name) {
      case 'DateStyle':
        Object.assign(this.live, parseDateStyle(this.get(name), this.live))
        break
      case 'TimeZone':
        this.live.timeZone = this.get(name)
        break
      case 'IntervalStyle':
        this.live.intervalStyle = parseIntervalStyle(this.get(name))
        break
      case 'bytea_output':
        this.live.byteaOutput = this.get(name) as Settings['byteaOutput']
        break
      case 'default_text_search_config':
        this.live.textSearchConfig = this.get(name)
        break
      case 'extra_float_digits':
        this.live.extraFloatDigits = this.number(name)
        break
      default:
        break
    }
  }

  #vectorChanged(name: string): void {
    VECTOR_FIELDS[name]?.(this.vector, this.get(name), this.#values.has(name) || this.#base.has(name))
  }

  #literalsRead(): number {
    return numberOfText([...OF_LITERALS].map((each) => this.get(each)).join('\n'))
  }
  #choosing(name: string): void {
    const off = new Set(this.planning.split(',').filter((each) => each !== ''))
    const definition = settingDefinition(name)!
    if (this.get(name) === definition.boot) off.delete(name)
    else off.add(name)
    this.planning = [...off].sort().join(',')
  }

  reported(): Map<string, string> {
    const all = new Map<string, string>()
    for (const name of REPORTED) {
      if (settingDefinition(name) !== undefined) all.set(name, this.get(name))
    }
    return all
  }
}

function checkContext(definition: SettingDefinition, superuser: boolean): void {
  switch (definition.context) {
    case 'internal':
      throw sqlError('55P02', `parameter "${definition.name}" cannot be changed`)
    case 'postmaster':
      throw sqlError('55P02', `parameter "${definition.name}" cannot be changed without restarting the server`)
    case 'sighup':
      throw sqlError('55P02', `parameter "${definition.name}" cannot be changed now`)
    case 'backend':
    case 'superuser-backend':
      throw sqlError('55P02', `parameter "${definition.name}" cannot be set after connection start`)
    case 'superuser':
      if (!superuser) throw sqlError('42501', `permission denied to set parameter "${definition.name}"`)
      break
    case 'user':
      break
  }
}
