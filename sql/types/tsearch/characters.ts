/** Character classes as the C library has them in UTF-8: text search cuts words by them. */

const SPACE = /[\t-\r \u1680\u2000-\u2006\u2008-\u200a\u2028\u2029\u205f\u3000]/
const LETTER = /[\p{Alphabetic}\p{L}]/u
const OTHER_DIGIT = /\p{Nd}/u
/** Marks that stand beside or over letters do not end a word. */
const MARK = /\p{M}/u

export const isSpace = (c: string): boolean => SPACE.test(c)
export const isSpaceAt = (text: string, at: number): boolean => at < text.length && SPACE.test(text[at]!)
export const isDigit = (c: string | undefined): boolean => c !== undefined && c >= '0' && c <= '9'
export const isAsciiLetter = (c: string): boolean => (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
/** A letter of any script; digits of other scripts count too. `c` is one code point. */
export function isLetter(c: string): boolean {
  if (c <= '\x7f') return isAsciiLetter(c)
  return LETTER.test(c) || OTHER_DIGIT.test(c)
}
export const isMark = (c: string): boolean => c > '\x7f' && MARK.test(c)
