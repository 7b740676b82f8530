/** boolean: the type, its operators and bool_and, bool_or, every. Source: PostgreSQL manual, "Boolean Type". */
import { oid } from '../../../storage/keys/brand.ts'
import { sqlError } from '../error.ts'
import { type AggregateBody, type AggregateTable, type FunctionTable, scalar } from '../function.ts'
import { trimSpace } from '../number/int.ts'
import { wrongBinaryLength } from '../number/integer.ts'
import type { Type } from '../type.ts'
import { compareNative, comparisons, NATIVE } from './comparison.ts'

/** Any unambiguous beginning of these words is accepted. */
const WORDS: readonly (readonly [word: string, least: number, value: boolean])[] = [
  ['true', 1, true],
  ['false', 1, false],
  ['yes', 1, true],
  ['no', 1, false],
  ['on', 2, true],
  ['off', 2, false],
  ['1', 1, true],
  ['0', 1, false],
]

/** The boolean of a word, or undefined; also what boolean settings accept. */
function parseBoolean(text: string): boolean | undefined {
  const word = trimSpace(text).toLowerCase()
  return WORDS.find(([whole, least]) => word.length >= least && whole.startsWith(word))?.[2]
}

export const BOOL_TYPE: Type = {
  oid: oid(16),
  name: 'bool',
  elementOid: oid(0),
  delimiter: ',',
  input(text) {
    if (text === 't' || text === 'true') return true
    if (text === 'f' || text === 'false') return false
    const value = parseBoolean(text)
    if (value === undefined) throw sqlError('22P02', `invalid input syntax for type boolean: "${text}"`)
    return value
  },
  output: (value) => (value === true ? 't' : 'f'),
  receive(from, start, end) {
    if (end - start !== 1) throw wrongBinaryLength()
    return from[start] !== 0
  },
  send: (value, to) => to.uint8(value === true ? 1 : 0),
  compare: compareNative,
  hashKey: (value) => value as boolean,
  storage: { kind: 'bool' },
  encodeKey: (value, to) => to.boolean(value as boolean),
}

export const BOOL_FUNCTIONS: FunctionTable = {
  ...comparisons((op) => `bool${op}`, NATIVE),
  btboolcmp: scalar(compareNative),
  booland_statefunc: scalar((a: boolean, b: boolean) => a && b),
  boolor_statefunc: scalar((a: boolean, b: boolean) => a || b),
}

interface Votes {
  yes: number
  no: number
}

function vote(final: (votes: Votes) => boolean): AggregateBody<Votes> {
  const put = (votes: Votes, value: boolean, times: number): Votes => {
    if (value) votes.yes += times
    else votes.no += times
    return votes
  }
  return {
    strict: true,
    bind: () => ({
      init: () => ({ yes: 0, no: 0 }),
      step: (votes, value: boolean) => put(votes, value, 1),
      inverse: (votes, value: boolean) => put(votes, value, -1),
      final: (votes) => (votes.yes + votes.no === 0 ? null : final(votes)),
    }),
  }
}
const all = vote((votes) => votes.no === 0)

export const BOOL_AGGREGATES: AggregateTable = {
  'bool_and(bool)': all,
  'every(bool)': all,
  'bool_or(bool)': vote((votes) => votes.yes > 0),
}
