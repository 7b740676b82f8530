/**
 * Cases as text: a call of a function by its pg_proc.prosrc, and under it what PostgreSQL 15 answered. The same file is
 * what test/oracle/record-arrays-json.ts sends to PostgreSQL and what the tests run here without it.
 *
 *     array_append(_int4 '{1,2}', int4 '3')          a call; an argument is a type and a literal, or row(…), or variadic …
 *     = _int4 {1,2,3}                                 one line a row: its type and text, or `= null`
 *     in(_int4 '{1')                                  a value's text form
 *     ! 22P02 malformed array literal: "{1"           an error, its fields on the next lines
 *       detail: Unexpected end of input.
 *     agg array_agg(anynonarray): int4 '1'; int4 null an aggregate over rows
 */

import { arrayType, registerArrays } from '../../sql/types/array/array.ts'
import { registerDatetime } from '../../sql/types/datetime/datetime.ts'
import { SqlError } from '../../sql/types/error.ts'
import { aggregateBodies, type CallContext, type CallInfo, functionBodies } from '../../sql/types/function.ts'
import { registerJson } from '../../sql/types/json/json.ts'
import { registerMisc } from '../../sql/types/misc/misc.ts'
import { registerNumber } from '../../sql/types/number/number.ts'
import { registerRanges } from '../../sql/types/range/range.ts'
import { compositeType } from '../../sql/types/record/composite.ts'
import { enumType } from '../../sql/types/record/enum.ts'
import { registerRecords } from '../../sql/types/record/record.ts'
import { builtinTypes, builtinTypesByName, registerTypes } from '../../sql/types/registry.ts'
import { DEFAULT_SETTINGS } from '../../sql/types/settings.ts'
import { registerText } from '../../sql/types/text/text.ts'
import type { Type, TypeLookup } from '../../sql/types/type.ts'
import { RecordValue, type Value } from '../../sql/types/value.ts'
import { registerVector } from '../../sql/types/vector/vector.ts'
import { type Oid, oid } from '../../storage/keys/brand.ts'

export interface Argument {
  readonly type: string
  /** undefined is NULL; for `row` the fields. */
  readonly text: string | undefined
  readonly fields: readonly Argument[] | undefined
}
export interface Case {
  readonly line: string
  readonly kind: 'in' | 'call' | 'agg'
  readonly name: string
  readonly rows: readonly (readonly Argument[])[]
  readonly variadic: boolean
  readonly expected: readonly string[]
}

const ARGUMENT = /\s*(?:(variadic)\s+)?(?:(row)\(|([a-z_0-9]+)\s+(?:(null)|'((?:[^']|'')*)'))/y

function parseArguments(text: string, start: number): { args: Argument[]; end: number; variadic: boolean } {
  const args: Argument[] = []
  let at = start
  let variadic = false
  for (;;) {
    ARGUMENT.lastIndex = at
    const match = ARGUMENT.exec(text)
    if (match === null) break
    at = ARGUMENT.lastIndex
    if (match[1]) variadic = true
    if (match[2]) {
      const inner = parseArguments(text, at)
      args.push({ type: 'record', text: undefined, fields: inner.args })
      at = inner.end + 1
    } else {
      args.push({ type: match[3]!, text: match[4] ? undefined : match[5]!.replaceAll("''", "'"), fields: undefined })
    }
    if (text[at] !== ',') break
    at++
  }
  return { args, end: at, variadic }
}

function parseCase(line: string, expected: readonly string[]): Case {
  const head = /^(agg )?(\w+)\(/.exec(line)
  if (head === null) throw new Error(`not a case: ${line}`)
  if (head[1]) {
    const colon = line.indexOf(':')
    const rows = line
      .slice(colon + 1)
      .split(';')
      .filter((row) => row.trim() !== '')
    return {
      line,
      kind: 'agg',
      name: line.slice(4, colon),
      rows: rows.map((row) => parseArguments(row, 0).args),
      variadic: false,
      expected,
    }
  }
  const { args, end, variadic } = parseArguments(line, head[0].length)
  if (line.slice(end).trim() !== ')') throw new Error(`not a case: ${line}`)
  return { line, kind: head[2] === 'in' ? 'in' : 'call', name: head[2]!, rows: [args], variadic, expected }
}

/** The cases of a file, and its lines that are none (comments, empty lines) as they stand. */
export function parseCases(text: string): (Case | string)[] {
  const parts: (Case | string)[] = []
  const lines = text.replace(/\n$/, '').split('\n')
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i]!
    if (line === '' || line.startsWith('#')) {
      parts.push(line)
      continue
    }
    const expected: string[] = []
    while (/^(= |! | {2})/.test(lines[i + 1] ?? '')) expected.push(lines[++i]!)
    parts.push(parseCase(line, expected))
  }
  return parts
}

export const escapeLine = (text: string): string => text.replaceAll('\n', '\\n')

/** The types that the recording creates in PostgreSQL too. */
const LABELS = ['sad', 'ok', 'happy']
function registerOwn(): void {
  const lookup: TypeLookup = { type: (of) => typeOf(of) }
  const columns = (...parts: [string, string][]) =>
    parts.map(([name, type]) => ({ name, type: named(type).oid, typmod: -1 }))
  const pt = compositeType(oid(90001), 'pt', columns(['x', 'int4'], ['y', 'text']), lookup)
  const mood = enumType(oid(90003), 'mood', LABELS, [90011, 90012, 90013].map(oid))
  registerTypes([pt, arrayType(pt, oid(90002), '_pt'), mood, arrayType(mood, oid(90004), '_mood')])
  registerTypes([
    compositeType(
      oid(90005),
      'nest',
      columns(['a', '_int4'], ['p', 'pt'], ['ps', '_pt'], ['j', 'json'], ['jb', 'jsonb'], ['n', 'numeric']),
      lookup,
    ),
  ])
}
export const OWN_TYPES = `
  create type pt as (x int4, y text);
  create type mood as enum ('sad', 'ok', 'happy');
  create type nest as (a int4[], p pt, ps pt[], j json, jb jsonb, n numeric);`

let registered = false
export function registerAll(): void {
  if (registered) return
  registered = true
  registerNumber()
  registerText()
  registerMisc()
  registerDatetime()
  registerJson()
  registerRecords()
  registerVector()
  registerRanges()
  registerArrays()
  registerOwn()
}

export const named = (name: string): Type => {
  const found = builtinTypesByName.get(name)
  if (!found) throw new Error(`no type ${name}`)
  return found
}
export const typeOf = (of: Oid): Type => {
  const found = builtinTypes.get(of)
  if (!found) throw new Error(`no type ${of}`)
  return found
}

const SQL_NAMES: Readonly<Record<string, string>> = {
  int2: 'smallint',
  int4: 'integer',
  int8: 'bigint',
  float4: 'real',
  float8: 'double precision',
  bool: 'boolean',
  timestamptz: 'timestamp with time zone',
  timestamp: 'timestamp without time zone',
  _int4: 'integer[]',
}

const refuse = (): never => {
  throw new Error('not in these tests')
}
export const CONTEXT: CallContext = {
  type: typeOf,
  settings: DEFAULT_SETTINGS,
  transactionTimestamp: 0,
  statementTimestamp: 0,
  clockTimestamp: () => 0,
  random: () => 0.5,
  setSeed: () => undefined,
  notice: () => undefined,
  checkInterrupts: () => undefined,
  names: {
    findRelation: refuse,
    findType: refuse,
    findFunction: refuse,
    findOperator: refuse,
    findNamespace: refuse,
    findRole: refuse,
    findCollation: refuse,
    findConfig: refuse,
    findDictionary: refuse,
    configName: refuse,
    dictionaryName: refuse,
    relationName: refuse,
    functionName: refuse,
    operatorName: refuse,
    namespaceName: refuse,
    roleName: refuse,
    collationName: refuse,
    typeName: (of) => {
      const name = builtinTypes.get(of)?.name
      return name === undefined ? undefined : (SQL_NAMES[name] ?? name)
    },
  },
}

function argumentValue(argument: Argument): Value {
  if (argument.fields) {
    const values = argument.fields.map(argumentValue)
    return new RecordValue(
      values,
      argument.fields.map((field) => named(field.type).oid),
    )
  }
  return argument.text === undefined ? null : named(argument.type).input(argument.text, -1, CONTEXT)
}

export function callInfo(types: readonly string[], returnType: Oid, variadic = false): CallInfo {
  return {
    argTypes: types.map((type) => named(type).oid),
    argTypmods: types.map(() => -1),
    returnType,
    variadic,
    context: CONTEXT,
  }
}

function results(test: Case, returnType: string): Value[] {
  if (test.kind === 'in') return [argumentValue(test.rows[0]![0]!)]
  const types = (test.rows[0] ?? []).map((argument) => argument.type)
  const info = callInfo(types, named(returnType).oid, test.variadic)
  if (test.kind === 'agg') {
    const body = aggregateBodies.get(test.name)
    if (!body) throw new Error(`no aggregate ${test.name}`)
    const run = body.bind(info)
    let state = run.init()
    for (const row of test.rows) {
      const values = row.map(argumentValue)
      if (!body.strict || !values.includes(null)) state = run.step(state, ...(values as never[]))
    }
    return [run.final(state)]
  }
  const body = functionBodies.get(test.name)
  if (!body) throw new Error(`no function ${test.name}`)
  const values = test.rows[0]!.map(argumentValue) as never[]
  if (body.kind === 'scalar') return [body.run(...values)]
  if (body.kind === 'bound') return [body.bind(info)(...values)]
  return [...body.bind(info)(...values)]
}

/** What this server answers, in the lines of the file. */
export function answer(test: Case): string[] {
  const typed = test.expected.find((line) => line.startsWith('= ') && line !== '= null')
  const returnType = typed === undefined ? 'text' : typed.split(' ')[1]!
  try {
    return results(test, returnType).map((value) =>
      value === null ? '= null' : `= ${returnType} ${escapeLine(named(returnType).output(value, CONTEXT))}`,
    )
  } catch (error) {
    if (!(error instanceof SqlError)) throw error
    return errorLines(error.code, error.message, error.fields)
  }
}

export function errorLines(
  code: string,
  message: string,
  fields: {
    readonly detail?: string | undefined
    readonly hint?: string | undefined
    readonly context?: string | undefined
  },
): string[] {
  const lines = [`! ${code} ${escapeLine(message)}`]
  for (const name of ['detail', 'hint', 'context'] as const)
    if (fields[name] !== undefined) lines.push(`  ${name}: ${escapeLine(fields[name]!)}`)
  return lines
}
