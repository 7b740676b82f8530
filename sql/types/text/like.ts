/**
 * LIKE: a pattern is compiled once into a matcher and kept. Common shapes become string methods; the others are runs of
 * characters and `_` between `%`s, each found at its leftmost place after the one before, which needs no backtracking.
 * Source: PostgreSQL manual, "LIKE".
 */
import { sqlError } from '../error.ts'
import { type FunctionTable, scalar } from '../function.ts'
import { lower } from './case.ts'
import { hasSurrogate } from './chars.ts'

type Matcher = (s: string) => boolean

/** One place of a run: a character, or undefined for `_`. */
type Run = readonly (string | undefined)[]

const CACHE_MAX = 512

/** Remembers what was compiled, forgetting the oldest. */
export function remember<T>(compile: (key: string) => T): (key: string) => T {
  const cache = new Map<string, T>()
  let lastKey: string | undefined
  let last: T
  return (key) => {
    if (key === lastKey) return last
    let made = cache.get(key)
    if (made === undefined) {
      made = compile(key)
      if (cache.size >= CACHE_MAX) cache.delete(cache.keys().next().value!)
      cache.set(key, made)
    }
    lastKey = key
    last = made
    return made
  }
}

/**
 * The runs between the pattern's %s: 'a%_b' is [a] [_ b]. A pattern without % is one run; one that ends with the escape
 * character gives undefined.
 */
function runsOf(pattern: string): Run[] | undefined {
  const runs: (string | undefined)[][] = [[]]
  const points = hasSurrogate(pattern) ? [...pattern] : pattern.split('')
  for (let i = 0; i < points.length; i++) {
    const c = points[i]!
    if (c === '%') runs.push([])
    else if (c === '_') runs.at(-1)!.push(undefined)
    else if (c === '\\') {
      if (++i === points.length) return undefined
      runs.at(-1)!.push(points[i])
    } else runs.at(-1)!.push(c)
  }
  return runs
}

const literal = (run: Run): string | undefined => (run.includes(undefined) ? undefined : run.join(''))

function matchesAt(run: Run, s: ArrayLike<string>, at: number): boolean {
  for (let i = 0; i < run.length; i++) if (run[i] !== undefined && run[i] !== s[at + i]) return false
  return true
}

function general(runs: readonly Run[]): Matcher {
  const first = runs[0]!
  const last = runs.at(-1)!
  const middle = runs.slice(1, -1).filter((run) => run.length > 0)
  const least = runs.reduce((sum, run) => sum + run.length, 0)
  return (text) => {
    const s: ArrayLike<string> = hasSurrogate(text) ? [...text] : text
    if (s.length < least) return false
    if (runs.length === 1) return s.length === least && matchesAt(first, s, 0)
    if (!matchesAt(first, s, 0) || !matchesAt(last, s, s.length - last.length)) return false
    let at = first.length
    const end = s.length - last.length
    for (const run of middle) {
      while (at + run.length <= end && !matchesAt(run, s, at)) at++
      if (at + run.length > end) return false
      at += run.length
    }
    return true
  }
}

/** It is an error only for a text that matches up to the escape and goes on behind it. */
function failsAtEscape(pattern: string): Matcher {
  const reaches = compile(`${pattern.slice(0, -1)}_%`)
  return (s) => {
    if (reaches(s)) throw sqlError('22025', 'LIKE pattern must not end with escape character')
    return false
  }
}

function compile(pattern: string): Matcher {
  const runs = runsOf(pattern)
  if (runs === undefined) return failsAtEscape(pattern)
  const texts = runs.map(literal)
  const [first, second, third] = texts
  if (texts.length === 1 && first !== undefined) return (s) => s === first
  if (texts.length === 2 && first !== undefined && second !== undefined) {
    if (second === '') return first === '' ? () => true : (s) => s.startsWith(first)
    if (first === '') return (s) => s.endsWith(second)
    return (s) => s.length >= first.length + second.length && s.startsWith(first) && s.endsWith(second)
  }
  if (texts.length === 3 && first === '' && third === '' && second !== undefined) return (s) => s.includes(second)
  return general(runs)
}

const likeMatcher = remember(compile)
const insensitiveMatcher = remember((pattern) => compile(lower(pattern)))

export const like = (s: string, pattern: string): boolean => likeMatcher(pattern)(s)
const ilike = (s: string, pattern: string): boolean => insensitiveMatcher(pattern)(lower(s))

const bytesText = (b: Uint8Array): string => Buffer.from(b.buffer, b.byteOffset, b.length).toString('latin1')

/** LIKE … ESCAPE: the pattern with backslash as its escape. */
function likeEscape(pattern: string, escapeText: string): string {
  if (escapeText === '') return pattern.replaceAll('\\', '\\\\')
  if ([...escapeText].length > 1) throw invalidEscape()
  if (escapeText === '\\') return pattern
  let out = ''
  let escaped = false
  for (const c of pattern) {
    if (c === escapeText && !escaped) {
      out += '\\'
      escaped = true
    } else {
      out += c === '\\' && !escaped ? '\\\\' : c
      escaped = false
    }
  }
  return out
}

export const invalidEscape = () =>
  sqlError('22025', 'invalid escape string', { hint: 'Escape string must be empty or one character.' })

const likeJs = { js: (s: string, pattern: string) => `h.like(${s}, ${pattern})` }
const notLikeJs = { js: (s: string, pattern: string) => `!h.like(${s}, ${pattern})` }
const isLike = scalar(like, likeJs)
const isNotLike = scalar((s: string, pattern: string) => !like(s, pattern), notLikeJs)
const isIlike = scalar(ilike)
const isNotIlike = scalar((s: string, pattern: string) => !ilike(s, pattern))
const bytesLike = (s: Uint8Array, pattern: Uint8Array): boolean => like(bytesText(s), bytesText(pattern))

export const LIKE_FUNCTIONS: FunctionTable = {
  textlike: isLike,
  textnlike: isNotLike,
  namelike: isLike,
  namenlike: isNotLike,
  texticlike: isIlike,
  texticnlike: isNotIlike,
  nameiclike: isIlike,
  nameicnlike: isNotIlike,
  bytealike: scalar(bytesLike),
  byteanlike: scalar((s: Uint8Array, pattern: Uint8Array) => !bytesLike(s, pattern)),
  like_escape: scalar(likeEscape),
  like_escape_bytea: scalar(
    (pattern: Uint8Array, escapeText: Uint8Array) =>
      new Uint8Array(Buffer.from(likeEscape(bytesText(pattern), bytesText(escapeText)), 'latin1')),
  ),
}

export const LIKE_HELPERS = { like }
