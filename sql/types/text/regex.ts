/**
 * Compiled regular expressions: one per pattern and flags, kept. PostgreSQL takes the longest match that begins leftmost
 * (or the shortest, when the first quantifier is reluctant), so the overall match is asked of RE2 in its leftmost-longest
 * mode. Where greedy and reluctant quantifiers mix, the groups are found by a second run over just that match, by our own
 * engine when it is short; patterns with back-references or lookahead are that engine's alone.
 */
import { type Matcher, RE2JS } from 're2js'
import { checkDeadline } from '../deadline.ts'
import { notSupported, sqlError } from '../error.ts'
import { remember } from './like.ts'
import { Search } from './regex-engine.ts'
import { type RegexFlags, translate, withFlag } from './regex-syntax.ts'

/** Begin and end of the match and of each group in UTF-16 units; -1 for a group that took no part. */
export type Match = readonly number[]

export interface Regex {
  readonly groups: number
  test(s: string): boolean
  /** The leftmost match that begins at `from` or later; what is before `from` still counts as context. */
  find(s: string, from: number): Match | undefined
}

const DEFAULT_FLAGS: RegexFlags = {
  ignoreCase: false,
  newlineStops: false,
  newlineAnchors: false,
  expanded: false,
  kind: 'advanced',
}

function re2(pattern: string, ignoreCase: boolean, longest: boolean): RE2JS {
  const flags = (ignoreCase ? RE2JS.CASE_INSENSITIVE : 0) | (longest ? RE2JS.LONGEST_MATCH : 0) | RE2JS.LOOKBEHINDS
  try {
    return RE2JS.compile(pattern, flags)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw notSupported('this regular expression', { detail: reason })
  }
}

function spans(matcher: Matcher, groups: number): Match {
  const out: number[] = []
  for (let g = 0; g <= groups; g++) out.push(matcher.start(g), matcher.end(g))
  return out
}

const DIVIDED_MAX = 2000 // units of a match whose groups are found by the engine: its work grows with their square

function compile(source: string, flags: RegexFlags): Regex {
  const translation = translate(source, flags)
  const { groups, ignoreCase, mixed, tree, needsEngine } = translation
  const longest = !translation.prefersShortest
  if (needsEngine)
    return {
      groups,
      test: (s) => new Search(s, groups).find(tree, 0, !longest) !== undefined,
      find: (s, from) => (from > s.length ? undefined : new Search(s, groups).find(tree, from, !longest)),
    }
  const overall = re2(longest ? translation.greedy : translation.reluctant, ignoreCase, longest)
  const inside = mixed && groups > 0 ? re2(`\\A(?:${translation.pattern})\\z`, ignoreCase, false) : undefined
  return {
    groups,
    test: (s) => overall.test(s),
    find(s, from) {
      const matcher = overall.matcher(s)
      if (from > s.length || !matcher.find(from)) return undefined
      const found = spans(matcher, groups)
      if (inside === undefined) return found
      const start = found[0]!
      if (found[1]! - start <= DIVIDED_MAX) return new Search(s, groups).divide(tree, start, found[1]!) ?? found
      const within = inside.matcher(s.slice(start, found[1]))
      if (!within.find(0)) return found
      return spans(within, groups).map((at) => (at < 0 ? -1 : at + start))
    },
  }
}

/** The letters of a flags argument. `global` is set where `g` was given. */
export function parseFlags(letters: string): { readonly flags: RegexFlags; readonly global: boolean } {
  let flags = DEFAULT_FLAGS
  let global = false
  for (const letter of letters) {
    if (letter === 'g') {
      global = true
      continue
    }
    const next = withFlag(flags, letter)
    if (next === undefined) throw sqlError('22023', `invalid regular expression option: "${letter}"`)
    flags = next
  }
  return { flags, global }
}

/** The cache's key is the flags without g, a slash, and the pattern. */
const compiled = remember((key) => {
  const slash = key.indexOf('/')
  return compile(key.slice(slash + 1), parseFlags(key.slice(0, slash)).flags)
})

/** Most patterns come without flags: they are their own key. */
const compiledPlain = remember((pattern) => compile(pattern, DEFAULT_FLAGS))

export const regex = (pattern: string, flagLetters = ''): Regex =>
  flagLetters === '' || flagLetters === 'g'
    ? compiledPlain(pattern)
    : compiled(`${flagLetters.replaceAll('g', '')}/${pattern}`)

/** The place after an empty match: one character further. */
const nextCharacter = (s: string, at: number): number => at + ((s.charCodeAt(at) & 0xfc00) === 0xd800 ? 2 : 1)

/** All matches from a place on, one after the other; an empty match moves on by a character. */
export function* matches(re: Regex, s: string, from: number): Generator<Match> {
  let found = 0
  for (let at = from; at <= s.length; ) {
    if ((++found & 255) === 0) checkDeadline()
    const match = re.find(s, at)
    if (match === undefined) return
    yield match
    at = match[1]! === match[0]! ? nextCharacter(s, match[1]!) : match[1]!
  }
}
