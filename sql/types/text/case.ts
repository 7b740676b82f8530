/**
 * upper, lower, initcap: Unicode's one-to-one case mapping, as the C library's towupper has it. A character whose full
 * mapping is longer ('ß' → 'SS') stays as it is.
 */
const ASCII = /^[\x00-\x7f]*$/
const WORD = /[\p{L}\p{N}]+/gu

const simply = (s: string, map: (c: string) => string): string => {
  let out = ''
  for (const c of s) {
    const mapped = map(c)
    out += mapped.length === c.length || [...mapped].length === 1 ? mapped : c
  }
  return out
}

export const upper = (s: string): string => (ASCII.test(s) ? s.toUpperCase() : simply(s, (c) => c.toUpperCase()))
export const lower = (s: string): string => (ASCII.test(s) ? s.toLowerCase() : simply(s, (c) => c.toLowerCase()))

export const initcap = (s: string): string =>
  lower(s).replace(WORD, (word) => {
    const first = String.fromCodePoint(word.codePointAt(0)!)
    return upper(first) + word.slice(first.length)
  })
