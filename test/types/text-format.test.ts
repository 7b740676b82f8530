/** Functions over values of any type; the answers are PostgreSQL 15's. */
import { describe, expect, test } from 'vitest'
import type { SqlError } from '../../sql/types/error.ts'
import { functionBodies } from '../../sql/types/function.ts'
import { registerMisc } from '../../sql/types/misc/misc.ts'
import { registerNumber } from '../../sql/types/number/number.ts'
import { builtinTypes, builtinTypesByName } from '../../sql/types/registry.ts'
import { registerText } from '../../sql/types/text/text.ts'
import type { Type } from '../../sql/types/type.ts'
import { ArrayValue, type Value } from '../../sql/types/value.ts'
import { oid } from '../../storage/keys/brand.ts'
import { context } from './check.ts'

registerNumber()
registerText()
registerMisc()

/** Arrays belong to another family: here only their element type is asked. */
const textArray = { elementOid: oid(25) } as Type
const inContext = { ...context, type: (id: number) => (id === 1009 ? textArray : builtinTypes.get(oid(id))!) }

type Argument = readonly [type: string, value: Value]
const t = (value: string | null): Argument => ['text', value]

function call(prosrc: string, args: readonly Argument[], variadic = false): Value {
  const body = functionBodies.get(prosrc)!
  const argTypes = args.map(([name]) => (name === 'text[]' ? oid(1009) : builtinTypesByName.get(name)!.oid))
  const argTypmods = args.map(() => -1)
  if (body.kind !== 'bound') throw new Error(prosrc)
  const run = body.bind({ argTypes, argTypmods, returnType: oid(25), variadic, context: inContext })
  return run(...(args.map(([, value]) => value) as never[]))
}

const failure = (run: () => unknown): string => {
  try {
    return `no error: ${run()}`
  } catch (error) {
    const { code, message } = error as SqlError
    return `${code} ${message}`
  }
}

describe('format', () => {
  const answers: readonly (readonly [string, readonly (string | null)[], string])[] = [
    ['%s %1$s %I %%', ['World', 'a b'], 'World World "a b" %'],
    ['|%10s|%-10s|%*s|', ['a', 'b', '5', 'c'], '|         a|b         |    c|'],
    ['%-*1$s|', ['5', 'x'], 'x    |'],
    ['%2$s %1$L', [null, 'b'], 'b NULL'],
    ['<%s>', [null], '<>'],
    ['%-5s|', ['日本'], '日本   |'],
    ['%L', ['a\\b'], "E'a\\\\b'"],
    ['plain', [], 'plain'],
  ]
  test.each(answers)('%s', (pattern, args, want) => {
    expect(call('text_format', [t(pattern), ...args.map(t)])).toBe(want)
  })
  const errors: readonly (readonly [string, readonly (string | null)[], string])[] = [
    ['%s', [], '22023 too few arguments for format()'],
    ['%2$s %s %1$s', ['a', 'b'], '22023 too few arguments for format()'],
    ['%*2$s|', ['x', '5'], '22023 too few arguments for format()'],
    ['%x', ['a'], '22023 unrecognized format() type specifier "x"'],
    ['%', ['a'], '22023 unterminated format() type specifier'],
    ['%1$', ['a'], '22023 unterminated format() type specifier'],
    ['%0$s', ['a'], '22023 format specifies argument 0, but arguments are numbered from 1'],
    ['%I', [null], '22004 null values cannot be formatted as an SQL identifier'],
    ['%*1s', ['5'], '22023 width argument position must be ended by "$"'],
  ]
  test.each(errors)('%s fails', (pattern, args, want) => {
    expect(failure(() => call('text_format', [t(pattern), ...args.map(t)]))).toBe(want)
  })
  test('VARIADIC', () => {
    const array: Argument = ['text[]', ArrayValue.of(['a', null, 'b'])]
    expect(call('text_format', [t('%s-%s-%s'), array], true)).toBe('a--b')
    expect(call('text_concat', [array], true)).toBe('ab')
    expect(call('text_concat_ws', [t(','), array], true)).toBe('a,b')
    expect(call('pg_num_nulls', [array], true)).toBe(1)
    expect(call('pg_num_nonnulls', [['text[]', null]], true)).toBe(null)
  })
})

test('concat shows values as their types do, casts to text do not', () => {
  const args: readonly Argument[] = [['int4', 1], t(null), ['bool', true], ['bpchar', 'x  ']]
  expect(call('text_concat', args)).toBe('1tx  ')
  expect(call('text_concat_ws', [t(','), ['int4', 1], t(null), t('a')])).toBe('1,a')
  expect(call('text_concat_ws', [t(null), t('a')])).toBe(null)
  expect(call('textanycat(text,anynonarray)', [t('x'), ['bool', true]])).toBe('xtrue')
  expect(call('anytextcat(anynonarray,text)', [['bpchar', 'a '], t('b')])).toBe('ab')
  expect(call('quote_literal(anyelement)', [['bool', true]])).toBe("'true'")
  expect(call('quote_nullable(anyelement)', [['int4', null]])).toBe('NULL')
  expect(call('pg_num_nulls', [['int4', 1], t(null)])).toBe(1)
  expect(call('pg_typeof', [['int4', 1]])).toBe(23)
})
