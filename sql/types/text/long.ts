/**
 * Building long texts. A string that grows by a character at a time is a tree of two objects a character until someone
 * reads it: a text of 50 million takes gigabytes that way. What works on characters works on pieces of a text here, and
 * asks between two pieces whether its statement is to end.
 */
import { checkDeadline } from '../deadline.ts'
import { sqlError } from '../error.ts'

/** The longest text that a function makes of a shorter one, in characters: an eighth of PostgreSQL's gigabyte. */
export const TEXT_MAX = 134_217_728

export const tooLong = () => sqlError('54000', 'requested length too large')

/** Characters in a piece, at least; one more where a pair would be cut. Texts up to it are short. */
export const PIECE = 8192

/** `f` of one piece of the text after the other. */
export function mapPieces(s: string, f: (piece: string) => string): string {
  if (s.length <= PIECE) return f(s)
  const out = new Pieces()
  for (let at = 0; at < s.length; ) {
    const end = pieceEnd(s, at)
    out.add(f(s.slice(at, end)))
    at = end
  }
  return out.text()
}

function pieceEnd(s: string, at: number): number {
  const end = at + PIECE
  return end < s.length && (s.charCodeAt(end - 1) & 0xfc00) === 0xd800 ? end + 1 : Math.min(end, s.length)
}

/** A text that is put together of many short ones. 54000 when it becomes longer than TEXT_MAX. */
export class Pieces {
  readonly #done: string[] = []
  #some: string[] = []
  #length = 0

  add(piece: string): void {
    this.#length += piece.length
    if (this.#length > TEXT_MAX) throw tooLong()
    if (this.#some.push(piece) < PIECE) return
    this.#done.push(this.#some.join(''))
    this.#some = []
    checkDeadline()
  }

  text(): string {
    this.#done.push(this.#some.join(''))
    this.#some = []
    return this.#done.length === 1 ? this.#done[0]! : this.#done.join('')
  }
}

/** The text backwards, by characters. */
export function reversed(s: string): string {
  const units = new Uint16Array(s.length)
  for (let i = 0, at = s.length; i < s.length; i++) units[--at] = s.charCodeAt(i)
  for (let i = 1; i < units.length; i++) {
    if ((units[i]! & 0xfc00) !== 0xd800 || (units[i - 1]! & 0xfc00) !== 0xdc00) continue
    const high = units[i]!
    units[i] = units[i - 1]!
    units[i - 1] = high
  }
  return unitsText(units)
}

export const unitsText = (units: Uint16Array): string =>
  Buffer.from(units.buffer, units.byteOffset, units.byteLength).toString('utf16le')

/** The text with each `mark`, one unit long, written twice. */
export function doubled(s: string, mark: string): string {
  if (s.length <= PIECE) return s.replaceAll(mark, mark + mark)
  const code = mark.charCodeAt(0)
  let length = s.length
  for (let i = 0; i < s.length; i++) if (s.charCodeAt(i) === code) length++
  if (length === s.length) return s
  if (length > TEXT_MAX) throw tooLong()
  const units = new Uint16Array(length)
  let end = 0
  for (let i = 0; i < s.length; i++) {
    const unit = s.charCodeAt(i)
    if (unit === code) units[end++] = unit
    units[end++] = unit
  }
  return unitsText(units)
}
