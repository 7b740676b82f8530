/**
 * Scripts of date and time expressions with the answers PostgreSQL 15 gave (test/oracle/record-datetime.ts records them).
 *
 *     set TimeZone Europe/Berlin                                     settings for what follows
 *     date '1999-01-08'                                              a value read and written
 *       1999-01-08
 *     date_pl_interval(date '2000-01-31', interval '1 month')        a function, found by its pg_proc row
 *       [date_pl_interval] 2000-02-29 00:00:00
 *     date 'x'                                                       an error: code, message, detail, hint
 *       ! 22007 invalid input syntax for type date: "x"
 */
import { registerDatetime } from '../../sql/types/datetime/datetime.ts'
import { parseDateStyle, parseIntervalStyle, parseTimeZone } from '../../sql/types/datetime/session.ts'
import { SqlError } from '../../sql/types/error.ts'
import type { CallContext, CallInfo } from '../../sql/types/function.ts'
import { functionBodies } from '../../sql/types/function.ts'
import { builtinTypesByName } from '../../sql/types/registry.ts'
import type { Settings } from '../../sql/types/settings.ts'
import { DEFAULT_SETTINGS } from '../../sql/types/settings.ts'
import type { Value } from '../../sql/types/value.ts'
import { Interval, Numeric, TimeTz } from '../../sql/types/value.ts'

registerDatetime()

export interface Literal {
  readonly type: string
  readonly typmod: readonly string[] | undefined
  /** undefined for null. */
  readonly text: string | undefined
}
export type Case =
  | { readonly kind: 'set'; readonly source: string; readonly name: string; readonly value: string }
  | { readonly kind: 'value'; readonly source: string; readonly literal: Literal; readonly expected: readonly string[] }
  | {
      readonly kind: 'call'
      readonly source: string
      readonly name: string
      readonly args: readonly Literal[]
      readonly expected: readonly string[]
    }
  | { readonly kind: 'comment'; readonly source: string }

const TYPE_NAMES: Record<string, string> = {
  integer: 'int4',
  'double precision': 'float8',
  boolean: 'bool',
  'time with time zone': 'timetz',
  'timestamp with time zone': 'timestamptz',
  'time without time zone': 'time',
  'timestamp without time zone': 'timestamp',
}
/** pg_type.typname of a type as a script writes it. */
export const typeName = (written: string): string => TYPE_NAMES[written] ?? written

const LITERAL = /\s*([a-z0-9 ]+?)\s*(?:\(([0-9, ]+)\))?\s*(?:'((?:[^']|'')*)'|(null))\s*/y

function literalAt(source: string, at: number): { readonly literal: Literal; readonly end: number } {
  LITERAL.lastIndex = at
  const match = LITERAL.exec(source)
  if (match === null) throw new Error(`not a literal: ${source.slice(at)}`)
  const [, type = '', typmod, text] = match
  return {
    literal: {
      type,
      typmod: typmod?.split(',').map((item) => item.trim()),
      text: text?.replaceAll("''", "'"),
    },
    end: LITERAL.lastIndex,
  }
}

export function parseCases(script: string): Case[] {
  const cases: Case[] = []
  const lines = script.split('\n')
  for (let i = 0; i < lines.length; i++) {
    const source = lines[i] ?? ''
    const set = /^set (\w+) (.*)$/.exec(source)
    if (source === '' || source.startsWith('#')) cases.push({ kind: 'comment', source })
    else if (set !== null) cases.push({ kind: 'set', source, name: set[1] ?? '', value: set[2] ?? '' })
    else {
      const expected: string[] = []
      while (lines[i + 1]?.startsWith('  ')) expected.push((lines[++i] ?? '').slice(2))
      const call = /^([a-z_0-9]+)\(/.exec(source)
      if (call === null || /^[a-z]+\([0-9, ]+\) *'/.test(source)) {
        cases.push({ kind: 'value', source, literal: literalAt(source, 0).literal, expected })
        continue
      }
      const args: Literal[] = []
      let at = call[0].length
      while (source[at] !== ')') {
        const { literal, end } = literalAt(source, at)
        args.push(literal)
        at = source[end] === ',' ? end + 1 : end
      }
      cases.push({ kind: 'call', source, name: call[1] ?? '', args, expected })
    }
  }
  return cases
}

export function makeContext(settings: Settings): CallContext {
  const refuse = (): never => {
    throw new Error('not asked for in these tests')
  }
  return {
    settings,
    transactionTimestamp: 822_000_000_000_000,
    statementTimestamp: 800_000_000_000_001,
    clockTimestamp: () => 800_000_000_000_002,
    random: refuse,
    setSeed: refuse,
    notice: refuse,
    checkInterrupts: () => {},
    type: refuse,
  }
}

export function applySetting(settings: Settings, name: string, value: string): Settings {
  switch (name) {
    case 'DateStyle':
      return { ...settings, ...parseDateStyle(value, settings) }
    case 'TimeZone':
      return { ...settings, timeZone: parseTimeZone(value) }
    case 'IntervalStyle':
      return { ...settings, intervalStyle: parseIntervalStyle(value) }
    default:
      throw new Error(`no setting ${name}`)
  }
}

function read({ type, typmod, text }: Literal, context: CallContext): Value {
  if (text === undefined) return null
  const name = typeName(type)
  switch (name) {
    case 'text':
      return text
    case 'int4':
    case 'float8':
      return Number(text)
    case 'bool':
      return text === 'true'
    default: {
      const known = builtinTypesByName.get(name)
      if (known === undefined) throw new Error(`no type ${name}`)
      const mod =
        typmod === undefined ? -1 : (known.typmodIn?.(name === 'interval' ? ['32767', ...typmod] : typmod) ?? -1)
      return known.input(text, mod, context)
    }
  }
}

function numericText({ digits, scale, special }: Numeric): string {
  if (special !== undefined) return special
  const sign = digits < 0n ? '-' : ''
  const text = String(digits < 0n ? -digits : digits).padStart(scale + 1, '0')
  return sign + (scale === 0 ? text : `${text.slice(0, -scale)}.${text.slice(-scale)}`)
}

/** A value as PostgreSQL's cast to text has it. `type` is pg_type.typname where a number does not tell. */
function write(value: Value, type: string, context: CallContext): string {
  if (value === null) return 'NULL'
  if (value instanceof Numeric) return numericText(value)
  if (value instanceof Interval) return output('interval', value, context)
  if (value instanceof TimeTz) return output('timetz', value, context)
  if (typeof value === 'string') return value
  if (typeof value === 'boolean') return String(value)
  if (type === 'float8') return floatText(value as number)
  return builtinTypesByName.has(type) ? output(type, value, context) : String(value)
}
/** The shortest digits, as float8out writes them. */
function floatText(n: number): string {
  const [mantissa = '', power = '0'] = n.toExponential().split('e')
  const exponent = Number(power)
  if (!Number.isFinite(n) || n === 0 || (exponent >= -4 && exponent < 15)) return String(n)
  return `${mantissa}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`
}
const output = (type: string, value: Value, context: CallContext): string => {
  const known = builtinTypesByName.get(type)
  if (known === undefined) throw new Error(`no type ${type}`)
  return known.output(value, context)
}

/** Our answer to a case, as lines of the script. The recorded answer names the function's body and its result's type. */
export function answer(item: Exclude<Case, { kind: 'set' | 'comment' }>, settings: Settings): string[] {
  const context = makeContext(settings)
  let prefix = ''
  try {
    if (item.kind === 'value') {
      const value = read(item.literal, context)
      return [write(value, typeName(item.literal.type), context)]
    }
    prefix = /^\[.*?\] /.exec(item.expected[0] ?? '')?.[0] ?? ''
    const [, prosrc = '', type = ''] = /^\[(.*) → (.*)\] $/.exec(prefix) ?? []
    const body = functionBodies.get(prosrc)
    if (body === undefined) return [`${prefix}no body`]
    const args = item.args.map((arg) => read(arg, context))
    const call: CallInfo = { argTypes: [], argTypmods: [], returnType: 0 as never, variadic: false, context }
    if (body.kind === 'set') {
      const rows = [...(body.bind(call) as (...args: Value[]) => Iterable<Value>)(...args)]
      return [prefix + rows.map((row) => write(row, type, context)).join(' | ')]
    }
    const run = (body.kind === 'scalar' ? body.run : body.bind(call)) as (...args: Value[]) => Value
    return [prefix + write(run(...args), type, context)]
  } catch (error) {
    if (!(error instanceof SqlError)) throw error
    const lines = [`${prefix}! ${error.code} ${error.message}`]
    if (error.fields.detail !== undefined) lines.push(`  detail: ${error.fields.detail}`)
    if (error.fields.hint !== undefined) lines.push(`  hint: ${error.fields.hint}`)
    return lines
  }
}

export { DEFAULT_SETTINGS }
