/**
 * Comparison, casts and concatenation of the string types, by pg_proc.prosrc. All order is by code points (collation C);
 * equality of text is `===`.
 */
import { sqlError } from '../error.ts'
import { type FunctionBody, type FunctionTable, scalar } from '../function.ts'
import { COMPARISON_NAMES, comparedBy, comparisons } from '../misc/comparison.ts'
import type { Value } from '../value.ts'
import { charLength, clipBytes, compareText, trimBlanks } from './chars.ts'
import { charInput, charText, coerceBpchar, coerceName, coerceVarchar, NAME_BYTES_MAX } from './string-types.ts'

export const compareBpchar = (a: string, b: string): number => compareText(trimBlanks(a), trimBlanks(b))

const text = comparedBy(compareText, 'compareText', true)
const bpchar = comparedBy(compareBpchar, 'compareBpchar')
const textCompare = scalar(compareText, { js: (a, b) => `h.compareText(${a}, ${b})` })
const bpcharCompare = scalar(compareBpchar, { js: (a, b) => `h.compareBpchar(${a}, ${b})` })

/** texteq, textne but text_lt, text_le …: PostgreSQL's own spelling. */
const textName = (op: string): string => (op === 'eq' || op === 'ne' ? `text${op}` : `text_${op}`)

function nameAndText(): FunctionTable {
  const table: Record<string, FunctionBody> = {}
  for (const op of COMPARISON_NAMES) {
    table[`name${op}text`] = text[op]
    table[`text${op}name`] = text[op]
  }
  return table
}

const identity = scalar((a: Value) => a, { js: (a) => a })
const untyped = scalar((s: string, typmod: number, explicit: boolean) => coerceVarchar(s, typmod, explicit))

export const TEXT_OPERATORS: FunctionTable = {
  ...comparisons(textName, text),
  ...comparisons((op) => `bpchar${op}`, bpchar),
  ...comparisons((op) => `name${op}`, text),
  ...comparisons((op) => `char${op}`, text),
  ...comparisons((op) => `text_pattern_${op}`, text),
  ...comparisons((op) => `bpchar_pattern_${op}`, bpchar),
  ...nameAndText(),
  bttextcmp: textCompare,
  bttext_pattern_cmp: textCompare,
  btnamecmp: textCompare,
  btnametextcmp: textCompare,
  bttextnamecmp: textCompare,
  btcharcmp: textCompare,
  bpcharcmp: bpcharCompare,
  btbpchar_pattern_cmp: bpcharCompare,
  text_larger: scalar((a: string, b: string) => (compareText(a, b) > 0 ? a : b)),
  text_smaller: scalar((a: string, b: string) => (compareText(a, b) < 0 ? a : b)),
  bpchar_larger: scalar((a: string, b: string) => (compareBpchar(a, b) >= 0 ? a : b)),
  bpchar_smaller: scalar((a: string, b: string) => (compareBpchar(a, b) <= 0 ? a : b)),
  textcat: scalar((a: string, b: string) => a + b, { js: (a, b) => `(${a} + ${b})` }),

  varchar: untyped,
  bpchar: scalar(coerceBpchar),
  // char(n) to text, varchar: its trailing blanks go.
  rtrim1: scalar(trimBlanks),
  char_text: scalar(charText),
  char_bpchar: scalar(charText),
  text_char: scalar(charInput),
  text_name: scalar(coerceName),
  bpchar_name: scalar((s: string) => trimBlanks(clipBytes(s, NAME_BYTES_MAX))),
  name_text: identity,
  name_bpchar: identity,
  chartoi4: scalar((c: string) => (c === '' ? 0 : (c.charCodeAt(0) << 24) >> 24)),
  i4tochar: scalar((n: number) => charOfCode(n)),
  booltext: scalar((b: boolean) => (b ? 'true' : 'false'), { js: (b) => `(${b} ? 'true' : 'false')` }),
  textlen: scalar(charLength),
  bpcharlen: scalar((s: string) => charLength(trimBlanks(s))),
  nameconcatoid: scalar((name: string, oid: number) => {
    const suffix = `_${oid}`
    return clipBytes(name, NAME_BYTES_MAX - suffix.length) + suffix
  }),
}

function charOfCode(n: number): string {
  if (n < -128 || n > 127) throw sqlError('22003', '"char" out of range')
  return n === 0 ? '' : String.fromCharCode(n & 0xff)
}

export const TEXT_HELPERS = { compareText, compareBpchar }
