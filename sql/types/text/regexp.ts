/**
 * ~, ~*, SIMILAR TO's escape, substring(… from …) and the regexp_… functions, by pg_proc.prosrc.
 * Source: PostgreSQL manual, "POSIX Regular Expressions", "SIMILAR TO Regular Expressions".
 */

import { arrayTooLarge, ITEMS_MAX } from '../array/shape.ts'
import { sqlError } from '../error.ts'
import { type FunctionTable, scalar, set } from '../function.ts'
import { ArrayValue, type Value } from '../value.ts'
import { charIndex, unitOffset } from './chars.ts'
import { invalidEscape } from './like.ts'
import { Pieces } from './long.ts'
import { type Match, matches, parseFlags, type Regex, regex } from './regex.ts'

const matchesRegex = (s: string, pattern: string): boolean => regex(pattern).test(s)
const matchesIgnoringCase = (s: string, pattern: string): boolean => regex(pattern, 'i').test(s)

const groupText = (s: string, match: Match, group: number): string | null =>
  match[2 * group]! < 0 ? null : s.slice(match[2 * group], match[2 * group + 1])

/** The groups of a match, or all of it when the pattern has none. */
function matchArray(re: Regex, s: string, match: Match): ArrayValue {
  if (re.groups === 0) return ArrayValue.of([groupText(s, match, 0)])
  return ArrayValue.of(Array.from({ length: re.groups }, (_, i) => groupText(s, match, i + 1)))
}

function refuseGlobal(flags: string, name: string, hint?: string): void {
  if (parseFlags(flags).global) {
    throw sqlError('22023', `${name} does not support the "global" option`, hint === undefined ? {} : { hint })
  }
}

function regexpMatch(s: string, pattern: string, flags = ''): Value {
  refuseGlobal(flags, 'regexp_match()', 'Use the regexp_matches function instead.')
  const re = regex(pattern, flags)
  const match = re.find(s, 0)
  return match === undefined ? null : matchArray(re, s, match)
}

function* regexpMatches(s: string, pattern: string, flags = ''): Generator<Value> {
  const { global } = parseFlags(flags)
  const re = regex(pattern, flags)
  for (const match of matches(re, s, 0)) {
    yield matchArray(re, s, match)
    if (!global) return
  }
}

/** Empty matches at either end or right behind another match do not split. */
function* regexpSplit(s: string, pattern: string, flags = '', name = ''): Generator<string> {
  refuseGlobal(flags, name)
  let done = 0
  for (const match of matches(regex(pattern, flags), s, 0)) {
    const [start, end] = match as readonly [number, number]
    if (start >= s.length || end <= done) continue
    yield s.slice(done, start)
    done = end
  }
  yield s.slice(done)
}

function pieces(all: Iterable<string>): ArrayValue {
  const list: string[] = []
  for (const each of all) if (list.push(each) > ITEMS_MAX) throw arrayTooLarge()
  return ArrayValue.of(list)
}

/** \1 … \9 a group, \& the match, \\ a backslash; before anything else a backslash stays. */
function expand(replacement: string, s: string, match: Match): string {
  if (!replacement.includes('\\')) return replacement
  return replacement.replace(/\\([0-9&\\])/g, (whole, what: string) => {
    if (what === '\\') return '\\'
    if (what === '0') return whole
    return groupText(s, match, what === '&' ? 0 : Number(what)) ?? ''
  })
}

/** Replaces the n-th match, or all when n is 0, of those from a UTF-16 place on. */
function replaceMatches(s: string, re: Regex, replacement: string, from: number, n: number): string {
  const out = new Pieces()
  let done = 0
  let count = 0
  for (const match of matches(re, s, from)) {
    if (n > 0 && ++count < n) continue
    out.add(s.slice(done, match[0]) + expand(replacement, s, match))
    done = match[1]!
    if (n > 0) break
  }
  out.add(s.slice(done))
  return out.text()
}

function replaceWithFlags(s: string, pattern: string, replacement: string, flags: string): string {
  if (/^[0-9]/.test(flags)) {
    throw sqlError('22023', `invalid regular expression option: "${flags[0]}"`, {
      hint: 'If you meant to use regexp_replace() with a start parameter, cast the fourth argument to integer explicitly.',
    })
  }
  const { global } = parseFlags(flags)
  return replaceMatches(s, regex(pattern, flags), replacement, 0, global ? 0 : 1)
}

const badParameter = (name: string, value: number) =>
  sqlError('22023', `invalid value for parameter "${name}": ${value}`)

/** The UTF-16 place of a start position counted from 1, or beyond the end. */
function startUnit(s: string, start: number): number {
  if (start <= 0) throw badParameter('start', start)
  const unit = unitOffset(s, start - 1)
  return unit === s.length && charIndex(s, unit) < start - 1 ? s.length + 1 : unit
}

function replaceExtended(
  s: string,
  pattern: string,
  replacement: string,
  start: number,
  n?: number,
  flags?: string,
): string {
  const from = startUnit(s, start)
  if (n !== undefined && n < 0) throw badParameter('n', n)
  const { global } = parseFlags(flags ?? '')
  return replaceMatches(s, regex(pattern, flags), replacement, from, n ?? (global ? 0 : 1))
}

function count(s: string, pattern: string, start = 1, flags = ''): number {
  const from = startUnit(s, start)
  refuseGlobal(flags, 'regexp_count()')
  let total = 0
  for (const _ of matches(regex(pattern, flags), s, from)) total++
  return total
}

/** The n-th match from a start position. */
function nth(s: string, re: Regex, start: number, n: number): Match | undefined {
  if (n <= 0) throw badParameter('n', n)
  let at = 0
  for (const match of matches(re, s, startUnit(s, start))) if (++at === n) return match
  return undefined
}

function instr(s: string, pattern: string, start = 1, n = 1, endOption = 0, flags = '', group = 0): number {
  if (start <= 0) throw badParameter('start', start)
  if (n <= 0) throw badParameter('n', n)
  if (endOption !== 0 && endOption !== 1) throw badParameter('endoption', endOption)
  if (group < 0) throw badParameter('subexpr', group)
  refuseGlobal(flags, 'regexp_instr()')
  const re = regex(pattern, flags)
  const match = nth(s, re, start, n)
  if (match === undefined || group > re.groups) return 0
  const unit = match[2 * group + endOption]!
  return unit < 0 ? 0 : charIndex(s, unit) + 1
}

function substr(s: string, pattern: string, start = 1, n = 1, flags = '', group = 0): string | null {
  if (start <= 0) throw badParameter('start', start)
  if (n <= 0) throw badParameter('n', n)
  if (group < 0) throw badParameter('subexpr', group)
  refuseGlobal(flags, 'regexp_substr()')
  const re = regex(pattern, flags)
  const match = nth(s, re, start, n)
  return match === undefined || group > re.groups ? null : groupText(s, match, group)
}

function like(s: string, pattern: string, flags: string): boolean {
  refuseGlobal(flags, 'regexp_like()')
  return regex(pattern, flags).test(s)
}

/** substring(s from pattern): the first group, or the match when there is none. */
function substringOf(s: string, pattern: string): string | null {
  const re = regex(pattern)
  const match = re.find(s, 0)
  return match === undefined ? null : groupText(s, match, re.groups > 0 ? 1 : 0)
}

/** SIMILAR TO's pattern as an ARE. An escaped double quote separates the part that substring(… similar …) returns. */
function similarEscape(pattern: string, escapeText: string | undefined): string {
  if (escapeText !== undefined && [...escapeText].length > 1) throw invalidEscape()
  const mark = escapeText === undefined ? '\\' : escapeText === '' ? undefined : escapeText
  let out = '^(?:'
  let escaped = false
  let quotes = 0
  let depth = 0 // of brackets; [:alpha:] nests
  let place = 0 // in the brackets: a ] or ^ at their beginning stands for itself; 3 and on is past it
  for (const c of pattern) {
    if (escaped) {
      escaped = false
      if (c === '"' && depth === 0) {
        if (quotes === 2) {
          throw sqlError('2200C', 'SQL regular expression may not contain more than two escape-double-quote separators')
        }
        out += quotes++ === 0 ? '){1,1}?(' : '){1,1}(?:'
      } else {
        out += `\\${c}`
        place = 3
      }
    } else if (c === mark) escaped = true
    else if (depth > 0) {
      out += c === '\\' ? '\\\\' : c
      if (c === ']' && place > 2) depth--
      else {
        if (c === '[') depth++
        place = c === '^' ? place + 1 : 3
      }
    } else if (c === '[') {
      out += c
      depth = 1
      place = 1
    } else out += SIMILAR[c] ?? c
  }
  return `${out})$`
}
const SIMILAR: Readonly<Record<string, string>> = {
  '%': '.*',
  _: '.',
  '(': '(?:',
  '\\': '\\\\',
  '.': '\\.',
  '^': '\\^',
  $: '\\$',
}

const isMatch = scalar(matchesRegex, { js: (s, p) => `h.matchesRegex(${s}, ${p})` })
const isNoMatch = scalar((s: string, p: string) => !matchesRegex(s, p), { js: (s, p) => `!h.matchesRegex(${s}, ${p})` })
const isMatchIgnoringCase = scalar(matchesIgnoringCase)
const isNoMatchIgnoringCase = scalar((s: string, p: string) => !matchesIgnoringCase(s, p))

export const REGEXP_FUNCTIONS: FunctionTable = {
  textregexeq: isMatch,
  textregexne: isNoMatch,
  nameregexeq: isMatch,
  nameregexne: isNoMatch,
  texticregexeq: isMatchIgnoringCase,
  texticregexne: isNoMatchIgnoringCase,
  nameicregexeq: isMatchIgnoringCase,
  nameicregexne: isNoMatchIgnoringCase,
  textregexsubstr: scalar(substringOf),
  'substring(text,text,text)': scalar((s: string, pattern: string, escapeText: string) =>
    substringOf(s, similarEscape(pattern, escapeText)),
  ),
  similar_to_escape_1: scalar((pattern: string) => similarEscape(pattern, undefined)),
  similar_to_escape_2: scalar((pattern: string, escapeText: string) => similarEscape(pattern, escapeText)),
  similar_escape: scalar((pattern: string | null, escapeText: string | null) =>
    pattern === null ? null : similarEscape(pattern, escapeText ?? undefined),
  ),
  regexp_match_no_flags: scalar((s: string, p: string) => regexpMatch(s, p)),
  regexp_match: scalar((s: string, p: string, flags: string) => regexpMatch(s, p, flags)),
  regexp_matches_no_flags: set(() => (s: string, p: string) => regexpMatches(s, p)),
  regexp_matches: set(() => (s: string, p: string, flags: string) => regexpMatches(s, p, flags)),
  regexp_split_to_table_no_flags: set(() => (s: string, p: string) => regexpSplit(s, p)),
  regexp_split_to_table: set(
    () => (s: string, p: string, flags: string) => regexpSplit(s, p, flags, 'regexp_split_to_table()'),
  ),
  regexp_split_to_array_no_flags: scalar((s: string, p: string) => pieces(regexpSplit(s, p))),
  regexp_split_to_array: scalar((s: string, p: string, flags: string) =>
    pieces(regexpSplit(s, p, flags, 'regexp_split_to_array()')),
  ),
  textregexreplace_noopt: scalar((s: string, p: string, r: string) => replaceMatches(s, regex(p), r, 0, 1)),
  textregexreplace: scalar(replaceWithFlags),
  textregexreplace_extended: scalar((s: string, p: string, r: string, start: number, n: number, flags: string) =>
    replaceExtended(s, p, r, start, n, flags),
  ),
  textregexreplace_extended_no_flags: scalar((s: string, p: string, r: string, start: number, n: number) =>
    replaceExtended(s, p, r, start, n),
  ),
  textregexreplace_extended_no_n: scalar((s: string, p: string, r: string, start: number) =>
    replaceExtended(s, p, r, start),
  ),
  regexp_count_no_start: scalar((s: string, p: string) => count(s, p)),
  regexp_count_no_flags: scalar((s: string, p: string, start: number) => count(s, p, start)),
  regexp_count: scalar((s: string, p: string, start: number, flags: string) => count(s, p, start, flags)),
  regexp_instr_no_start: scalar((s: string, p: string) => instr(s, p)),
  regexp_instr_no_n: scalar((s: string, p: string, start: number) => instr(s, p, start)),
  regexp_instr_no_endoption: scalar((s: string, p: string, start: number, n: number) => instr(s, p, start, n)),
  regexp_instr_no_flags: scalar((s: string, p: string, start: number, n: number, end: number) =>
    instr(s, p, start, n, end),
  ),
  regexp_instr_no_subexpr: scalar((s: string, p: string, start: number, n: number, end: number, flags: string) =>
    instr(s, p, start, n, end, flags),
  ),
  regexp_instr: scalar((s: string, p: string, start: number, n: number, end: number, flags: string, group: number) =>
    instr(s, p, start, n, end, flags, group),
  ),
  regexp_like_no_flags: scalar(matchesRegex),
  regexp_like: scalar(like),
  regexp_substr_no_start: scalar((s: string, p: string) => substr(s, p)),
  regexp_substr_no_n: scalar((s: string, p: string, start: number) => substr(s, p, start)),
  regexp_substr_no_flags: scalar((s: string, p: string, start: number, n: number) => substr(s, p, start, n)),
  regexp_substr_no_subexpr: scalar((s: string, p: string, start: number, n: number, flags: string) =>
    substr(s, p, start, n, flags),
  ),
  regexp_substr: scalar((s: string, p: string, start: number, n: number, flags: string, group: number) =>
    substr(s, p, start, n, flags, group),
  ),
}

export const REGEXP_HELPERS = { matchesRegex }
