/**
 * Functions that take values of any type and show them: concat, concat_ws, format, quote_literal(any), ||, pg_typeof,
 * num_nulls. Each value is shown by its type's output function. Source: PostgreSQL manual, "String Functions", "format".
 */
import type { Oid } from '../../../storage/keys/brand.ts'
import { sqlError } from '../error.ts'
import { bound, type CallInfo, type FunctionTable } from '../function.ts'
import type { ArrayValue, Value } from '../value.ts'
import { charLength, trimBlanks } from './chars.ts'
import { quoteIdent, quoteLiteral } from './quote.ts'

type Show = (value: Value) => string

const BOOL = 16
const BPCHAR = 1042

/** The text of a value as its type's output function gives it. */
function shower(call: CallInfo, type: Oid): Show {
  const found = call.context.type(type)
  return (value) => found.output(value, call.context)
}

/** The text a cast to text gives: true rather than t, char(n) without its blanks. */
function caster(call: CallInfo, argument: number): Show {
  const type = call.argTypes[argument]!
  if (type === BOOL) return (value) => (value === true ? 'true' : 'false')
  if (type === BPCHAR) return (value) => trimBlanks(value as string)
  return shower(call, type)
}

/** The variadic arguments from `first` on as pairs of value and show; VARIADIC gives the array's elements. */
function variadic(call: CallInfo, first: number): (args: readonly Value[]) => readonly (string | null)[] | null {
  if (call.variadic) {
    const element = call.context.type(call.argTypes[first]!).elementOid
    const show = shower(call, element)
    return (args) => {
      const array = args[first]
      if (array === null || array === undefined) return null
      return (array as ArrayValue).elements.map((value) => (value === null ? null : show(value)))
    }
  }
  const shows = call.argTypes.map((type) => shower(call, type))
  return (args) => args.slice(first).map((value, i) => (value === null ? null : shows[first + i]!(value)))
}

const isText = (s: string | null): s is string => s !== null

const SPECIFIER = /%(?:(0*[0-9]+)\$)?(-*)(?:(\*)(?:([0-9]+)(\$?))?|([0-9]+))?([\s\S]?)/gu
const PERCENT_HINT = 'For a single "%" use "%%".'

function position(digits: string | undefined): number | undefined {
  if (digits === undefined) return undefined
  const n = Number(digits)
  if (n > 2147483647) throw sqlError('22003', 'number is out of range')
  if (n === 0) throw sqlError('22023', 'format specifies argument 0, but arguments are numbered from 1')
  return n
}

function show(kind: string, text: string | null): string {
  if (kind === 's') return text ?? ''
  if (kind === 'L') return text === null ? 'NULL' : quoteLiteral(text)
  if (text === null) throw sqlError('22004', 'null values cannot be formatted as an SQL identifier')
  return quoteIdent(text)
}

function pad(text: string, width: number, toLeft: boolean): string {
  const missing = Math.abs(width) - charLength(text)
  if (missing <= 0) return text
  return toLeft || width < 0 ? text + ' '.repeat(missing) : ' '.repeat(missing) + text
}

/** format(): %[position$][-][width]type with type s, I, L or %. */
function format(pattern: string, args: readonly (string | null)[]): string {
  let next = 0
  const argument = (at: number | undefined): string | null => {
    next = at === undefined ? next + 1 : at
    if (next > args.length) throw sqlError('22023', 'too few arguments for format()')
    return args[next - 1]!
  }
  return pattern.replace(SPECIFIER, (_all, at, minus, star, starAt, starEnd, width, kind: string) => {
    if (kind === '%' && at === undefined && minus === '' && star === undefined && width === undefined) return '%'
    if (kind === '') throw sqlError('22023', 'unterminated format() type specifier', { hint: PERCENT_HINT })
    const place = position(at)
    let columns = width === undefined ? 0 : Number(width)
    if (columns > 2147483647) throw sqlError('22003', 'number is out of range')
    if (star !== undefined) {
      if (starAt !== undefined && starEnd !== '$') {
        throw sqlError('22023', 'width argument position must be ended by "$"')
      }
      columns = Number(argument(position(starAt)) ?? 0)
    }
    if (kind !== 's' && kind !== 'I' && kind !== 'L' && kind !== '%') {
      throw sqlError('22023', `unrecognized format() type specifier "${kind}"`, { hint: PERCENT_HINT })
    }
    if (kind === '%') return '%'
    return pad(show(kind, argument(place)), columns, minus !== '')
  })
}

function countNulls(call: CallInfo, wantNull: boolean): (...args: Value[]) => Value {
  return (...args) => {
    let values: readonly Value[] = args
    if (call.variadic) {
      if (args[0] === null || args[0] === undefined) return null
      values = (args[0] as ArrayValue).elements
    }
    return values.filter((value) => (value === null) === wantNull).length
  }
}

const literalOf = bound((call) => {
  const cast = caster(call, 0)
  return (value: Value) => quoteLiteral(cast(value))
})

export const FORMAT_FUNCTIONS: FunctionTable = {
  text_concat: bound((call) => {
    const texts = variadic(call, 0)
    return (...args: Value[]) => texts(args)?.filter(isText).join('') ?? null
  }),
  text_concat_ws: bound((call) => {
    const texts = variadic(call, 1)
    return (...args: Value[]) =>
      args[0] === null
        ? null
        : (texts(args)
            ?.filter(isText)
            .join(args[0] as string) ?? null)
  }),
  text_format: bound((call) => {
    const texts = variadic(call, 1)
    return (...args: Value[]) => (args[0] === null ? null : format(args[0] as string, texts(args) ?? []))
  }),
  text_format_nv: bound(() => (pattern: string | null) => (pattern === null ? null : format(pattern, []))),
  'quote_literal(anyelement)': literalOf,
  'quote_nullable(anyelement)': bound((call) => {
    const cast = caster(call, 0)
    return (value: Value) => (value === null ? 'NULL' : quoteLiteral(cast(value)))
  }),
  'textanycat(text,anynonarray)': bound((call) => {
    const cast = caster(call, 1)
    return (text: string, value: Value) => text + cast(value)
  }),
  'anytextcat(anynonarray,text)': bound((call) => {
    const cast = caster(call, 0)
    return (value: Value, text: string) => cast(value) + text
  }),
  pg_typeof: bound((call) => () => call.argTypes[0] ?? 0),
  pg_num_nulls: bound((call) => countNulls(call, true)),
  pg_num_nonnulls: bound((call) => countNulls(call, false)),
}
