/**
 * upper, lower, initcap: Unicode's one-to-one case mapping, as the C library's towupper has it. A character whose full
 * mapping is longer ('ß' → 'SS') stays as it is.
 */
import { mapPieces, PIECE, Pieces } from './long.ts'

const ASCII = /^[\x00-\x7f]*$/
const WORD = /[\p{L}\p{N}]+/gu

/** Characters whose own mapping is not what the whole text's would make of them: it is longer, or looks at its neighbours. */
const oddOf = (map: (s: string) => string, more = ''): RegExp => {
  let odd = more
  for (let point = 0x80; point < 0x20000; point++) {
    if (point === 0xd800) point = 0xe000
    const c = String.fromCodePoint(point)
    if ([...map(c)].length !== 1) odd += c
  }
  return new RegExp(`([${odd}]+)`, 'u')
}

const simply = (s: string, odd: RegExp, map: (s: string) => string): string =>
  odd.test(s)
    ? mapPieces(s, (piece) =>
        piece
          .split(odd)
          .map((run, i) => (i % 2 === 0 ? map(run) : alone(run, map)))
          .join(''),
      )
    : map(s)

const alone = (run: string, map: (s: string) => string): string =>
  Array.from(run, (c) => ([...map(c)].length === 1 ? map(c) : c)).join('')

const toUpper = (s: string): string => s.toUpperCase()
const toLower = (s: string): string => s.toLowerCase()
let oddUpper: RegExp | undefined
let oddLower: RegExp | undefined

export const upper = (s: string): string =>
  ASCII.test(s) ? toUpper(s) : simply(s, (oddUpper ??= oddOf(toUpper)), toUpper)
/** Sigma's small letter depends on whether it ends a word, in JavaScript. */
export const lower = (s: string): string =>
  ASCII.test(s) ? toLower(s) : simply(s, (oddLower ??= oddOf(toLower, 'Σ')), toLower)

const capital = (word: string): string => {
  const first = String.fromCodePoint(word.codePointAt(0)!)
  return upper(first) + word.slice(first.length)
}

export function initcap(s: string): string {
  const small = lower(s)
  if (small.length <= PIECE) return small.replace(WORD, capital)
  const out = new Pieces()
  let done = 0
  for (const { 0: word, index } of small.matchAll(WORD)) {
    out.add(small.slice(done, index) + capital(word))
    done = index + word.length
  }
  out.add(small.slice(done))
  return out.text()
}
