/** Runs the recorded cases against the registered types, function bodies and aggregates. */
import { describe, expect, test } from 'vitest'
import { createByteWriter } from '../../sql/types/bytes.ts'
import { SqlError } from '../../sql/types/error.ts'
import { aggregateBodies, type CallContext, type CallInfo, functionBodies, helpers } from '../../sql/types/function.ts'
import { builtinTypes, builtinTypesByName } from '../../sql/types/registry.ts'
import { DEFAULT_SETTINGS } from '../../sql/types/settings.ts'
import type { Type } from '../../sql/types/type.ts'
import type { ArrayValue, Value } from '../../sql/types/value.ts'
import { oid } from '../../storage/keys/brand.ts'
import { type Case, decode, encode, fields, readSections, rows, type Section } from './recorded.ts'

export const context: CallContext = {
  settings: DEFAULT_SETTINGS,
  transactionTimestamp: 0,
  statementTimestamp: 0,
  clockTimestamp: () => 0,
  random: () => 0.5,
  setSeed: () => undefined,
  notice: () => undefined,
  checkInterrupts: () => undefined,
  type(id) {
    const found = builtinTypes.get(id)
    if (found === undefined) throw new Error(`no type ${id}`)
    return found
  },
}

/** Arrays are another family's: enough of their text form for the answers here. */
function showArray(array: ArrayValue, element: Type): string {
  const parts = array.elements.map((value) => {
    if (value === null) return 'NULL'
    const text = element.output(value, context)
    return text === '' || /[{}",\\\s]/.test(text) || text.toUpperCase() === 'NULL' ? JSON.stringify(text) : text
  })
  return `{${parts.join(',')}}`
}

function typeOf(name: string): Type {
  const found = builtinTypesByName.get(name === 'any' ? 'text' : name)
  if (found === undefined) throw new Error(`no type ${name}`)
  return found
}

function show(value: Value, typeName: string): string {
  if (value === null) return 'NULL'
  if (typeName.startsWith('_')) return encode(showArray(value as ArrayValue, typeOf(typeName.slice(1))))
  return encode(typeOf(typeName).output(value, context))
}

function reading(text: string | null, typeName: string): Value {
  return text === null ? null : typeOf(typeName).input(text, -1, context)
}

function callOf(section: Section): CallInfo {
  const argTypes = section.argTypes.map((name) => typeOf(name).oid)
  return { argTypes, argTypmods: argTypes.map(() => -1), returnType: oid(0), variadic: false, context }
}

/** The answer, or the error as the recording writes it. */
function attempt(run: () => string): string {
  try {
    return run()
  } catch (error) {
    if (!(error instanceof SqlError)) throw error
    const { detail } = error.fields
    return `!${error.code} ${encode(error.message)}${detail === undefined ? '' : ` {${detail}}`}`
  }
}

function checkType(section: Section, one: Case): void {
  const type = typeOf(section.name)
  const got = attempt(() => {
    const value = type.input(decode(one.input)!, -1, context)
    const to = createByteWriter()
    type.send(value, to, context)
    const sent = to.toBuffer()
    const back = type.receive(sent, 0, sent.length, -1, context)
    expect(type.output(back, context)).toBe(type.output(value, context))
    return `${encode(type.output(value, context))} [${sent.toString('hex')}]`
  })
  expect(got).toBe(one.expected)
}

function checkFunction(section: Section, one: Case): void {
  const body = functionBodies.get(section.prosrc)
  if (body === undefined) throw new Error(`no body ${section.prosrc}`)
  const call = callOf(section)
  const args = (): Value[] =>
    section.argTypes.length === 0 ? [] : fields(one.input).map((field, i) => reading(field, section.argTypes[i]!))
  const runWith = (run: (...args: never[]) => Value) =>
    attempt(() => show(run(...(args() as never[])), section.returnType))
  if (body.kind === 'set') {
    const got = attempt(() => {
      const all = [...body.bind(call)(...(args() as never[]))].map((value) => show(value, section.returnType))
      return all.length === 0 ? '(none)' : all.join(' ; ')
    })
    expect(got).toBe(one.expected)
    return
  }
  expect(runWith(body.kind === 'scalar' ? body.run : body.bind(call))).toBe(one.expected)
  if (body.kind === 'scalar' && body.js !== undefined) {
    const names = section.argTypes.map((_, i) => `a${i}`)
    const compiled = new Function('h', ...names, `return ${body.js(...names)}`)
    expect(runWith((...values: never[]) => compiled(helpers, ...values))).toBe(one.expected)
  }
}

function checkAggregate(section: Section, one: Case): void {
  const body = aggregateBodies.get(section.title)
  if (body === undefined) throw new Error(`no aggregate ${section.title}`)
  const input = rows(one.input).map((row) => section.argTypes.map((type, i) => reading(row[i]!, type)))
  const kept = body.strict ? input.filter((row) => !row.includes(null)) : input
  const over = (part: Value[][]): string =>
    attempt(() => {
      const { init, step, final } = body.bind(callOf(section))
      return show(final(part.reduce((state, row) => step(state, ...(row as never[])), init())), section.returnType)
    })
  expect(over(kept)).toBe(one.expected)
  const { init, step, final, inverse } = body.bind(callOf(section))
  if (inverse === undefined || one.expected.startsWith('!')) return
  // Taking rows out from the front must give what the rest alone gives.
  let state = kept.reduce((s, row) => step(s, ...(row as never[])), init())
  for (let i = 0; i < kept.length; i++) {
    state = inverse(state, ...(kept[i] as never[]))
    expect(show(final(state), section.returnType)).toBe(over(kept.slice(i + 1)))
  }
}

const CHECKS = { type: checkType, function: checkFunction, aggregate: checkAggregate }

/** One test a section; all its differences are shown together. */
export function checkRecorded(path: string): void {
  describe(path.replace(/^.*\//, ''), () => {
    for (const section of readSections(path)) {
      test(`${section.kind} ${section.title}`, () => {
        const differences: string[] = []
        for (const one of section.cases) {
          try {
            CHECKS[section.kind](section, one)
          } catch (error) {
            const { actual, message } = error as { actual?: unknown; message: string }
            differences.push(`${one.line}: ${one.input} => ${one.expected}\n   got ${actual ?? message}`)
          }
        }
        expect(differences.join('\n')).toBe('')
      })
    }
  })
}
