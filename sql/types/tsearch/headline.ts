/**
 * ts_headline: the piece of a document that shows best why it matches, with the query's words marked. First the document is
 * cut into tokens again, each noted with the operand it answers; covers are stretches in which the query is satisfied; the best
 * cover is grown or cut to between MinWords and MaxWords, or, with MaxFragments, several are shown.
 * https://www.postgresql.org/docs/15/textsearch-controls.html#TEXTSEARCH-HEADLINE
 */
import { sqlError } from '../error.ts'
import { bound, type CallContext, type FunctionBody, type FunctionTable } from '../function.ts'
import { isArray, isObject, jsonb, quoteJson } from '../json/node.ts'
import { type Builder, parseJson } from '../json/parse.ts'
import { parseInteger } from '../number/int.ts'
import type { Jsonb, JsonNode, TsQuery, Value } from '../value.ts'
import { configuration, currentConfiguration } from './dictionaries.ts'
import { ParsedText } from './documents.ts'
import { limitedPosition } from './lexeme-reader.ts'
import { execute, type Lookup } from './match.ts'
import { parseOptions } from './options.ts'
import { type LexemeNode, lexemesOf } from './query-tree.ts'
import { TOKEN, TokenParser, type TokenType } from './token-parser.ts'
import { byteLength } from './vector-type.ts'

interface Word {
  readonly text: string
  readonly type: TokenType
  position: number
  operand: LexemeNode | undefined
  /** The same token once more, for a further operand. */
  readonly repeated: boolean
  shown: boolean
  marked: boolean
  /** Compounds are not shown, their parts are; tags become blanks. */
  skipped: boolean
  blanked: boolean
}

interface Options {
  maxWords: number
  minWords: number
  shortWord: number
  maxFragments: number
  highlightAll: boolean
  startSel: string
  stopSel: string
  fragmentDelimiter: string
}
const DEFAULTS: Options = {
  maxWords: 35,
  minWords: 15,
  shortWord: 3,
  maxFragments: 0,
  highlightAll: false,
  startSel: '<b>',
  stopSel: '</b>',
  fragmentDelimiter: ' ... ',
}

const integer = (text: string): number => Number(parseInteger(text, 'integer', -2147483648n, 2147483647n))
const TRUE = new Set(['1', 'on', 'true', 't', 'y', 'yes'])
const SETTERS: Readonly<Record<string, (o: Options, value: string) => void>> = {
  maxwords: (o, value) => {
    o.maxWords = integer(value)
  },
  minwords: (o, value) => {
    o.minWords = integer(value)
  },
  shortword: (o, value) => {
    o.shortWord = integer(value)
  },
  maxfragments: (o, value) => {
    o.maxFragments = integer(value)
  },
  startsel: (o, value) => {
    o.startSel = value
  },
  stopsel: (o, value) => {
    o.stopSel = value
  },
  fragmentdelimiter: (o, value) => {
    o.fragmentDelimiter = value
  },
  highlightall: (o, value) => {
    o.highlightAll = TRUE.has(value.toLowerCase())
  },
}

const TEXT_BYTES_MAX = 32767

function readOptions(text: string): Options {
  const o = { ...DEFAULTS }
  for (const [name, value] of parseOptions(text)) {
    const set = SETTERS[name.toLowerCase()]
    if (set === undefined) throw sqlError('22023', `unrecognized headline parameter: "${name}"`)
    set(o, value)
  }
  if (!o.highlightAll) {
    if (o.minWords >= o.maxWords) throw sqlError('22023', 'MinWords should be less than MaxWords')
    if (o.minWords <= 0) throw sqlError('22023', 'MinWords should be positive')
    if (o.shortWord < 0) throw sqlError('22023', 'ShortWord should be >= 0')
    if (o.maxFragments < 0) throw sqlError('22023', 'MaxFragments should be >= 0')
  }
  for (const [name, value] of [
    ['StartSel', o.startSel],
    ['StopSel', o.stopSel],
    ['FragmentDelimiter', o.fragmentDelimiter],
  ] as const)
    if (byteLength(value) > TEXT_BYTES_MAX) throw sqlError('22023', `value for "${name}" is too long`)
  return o
}

const COMPOUND = new Set<TokenType>([TOKEN.url, TOKEN.numhword, TOKEN.asciihword, TOKEN.hword])
/** Tokens that do not count as words. */
const isWord = ({ type }: Word): boolean => type !== TOKEN.blank && type !== TOKEN.tag && !COMPOUND.has(type)
/** Tokens at which a headline should not end. */
const WEAK_ENDS = new Set<TokenType>([
  TOKEN.sfloat,
  TOKEN.version,
  TOKEN.float,
  TOKEN.int,
  TOKEN.uint,
  TOKEN.protocol,
  TOKEN.entity,
])
const isInteresting = (word: Word): boolean => word.operand !== undefined && !word.repeated

function wordsOf(text: string, config: number, query: TsQuery, context: CallContext): Word[] {
  const operands = lexemesOf(query)
  const parsed = new ParsedText(configuration(config, context), context)
  const parser = new TokenParser(text)
  const words: Word[] = []
  const flags = { shown: false, marked: false, skipped: false, blanked: false }
  let position = 0
  for (let token = parser.next(); token !== undefined; token = parser.next()) {
    const lexemes = parsed.lexemes(token)
    const word: Word = { ...token, position: 0, operand: undefined, repeated: false, ...flags }
    words.push(word)
    if (lexemes === undefined) continue
    position++
    for (const lexeme of lexemes) {
      word.position = limitedPosition(position)
      for (const operand of operands) {
        if (operand.prefix ? !lexeme.startsWith(operand.text) : lexeme !== operand.text) continue
        if (word.operand === undefined) word.operand = operand
        else words.push({ ...word, operand, repeated: true })
      }
    }
    if ((words.length & 1023) === 0) context.checkInterrupts()
  }
  return words
}

/** Is an operand answered by some word of words[from … to]? */
function lookupAmong(words: readonly Word[], from: number, to: number): Lookup {
  return (lexeme, places) => {
    const found: number[] = []
    for (let i = from; i <= to; i++) {
      const word = words[i]!
      if (word.operand !== lexeme) continue
      if (places === undefined) return 'yes'
      if (found.length === 0 || found.at(-1)! < word.position) found.push(word.position)
    }
    if (places === undefined || found.length === 0) return 'no'
    places.positions = found
    return 'yes'
  }
}

interface Stretch {
  start: number
  end: number
}

class Headline {
  readonly #words: Word[]
  readonly #query: TsQuery
  readonly #options: Options
  readonly #coverMax: number
  readonly #context: CallContext

  constructor(words: Word[], query: TsQuery, options: Options, context: CallContext) {
    this.#words = words
    this.#query = query
    this.#options = options
    this.#context = context
    this.#coverMax = Math.max(options.maxWords * 10, 100) * (options.maxFragments > 0 ? options.maxFragments : 1)
  }

  #weakEnd(at: number): boolean {
    const word = this.#words[at]!
    const weak = !isWord(word) || WEAK_ENDS.has(word.type) || byteLength(word.text) <= this.#options.shortWord
    return weak && !isInteresting(word)
  }
  #nextOperand(from: number): number {
    for (let i = from; i < this.#words.length; i++) if (this.#words[i]!.operand !== undefined) return i
    return -1
  }

  /** The first shortest stretch from word `from` on that satisfies the query, its ends among the query's words. */
  #cover(from: number): Stretch | undefined {
    const { root } = this.#query
    if (root === undefined) return undefined
    for (let start = this.#nextOperand(from); start >= 0; start = this.#nextOperand(start + 1)) {
      this.#context.checkInterrupts()
      for (let end = start; end >= 0 && end - start < this.#coverMax; end = this.#nextOperand(end + 1))
        if (execute(root, lookupAmong(this.#words, start, end)) !== 'no') return { start, end }
    }
    return undefined
  }

  *#covers(): Iterable<Stretch> {
    for (let cover = this.#cover(0); cover !== undefined; cover = this.#cover(cover.start + 1)) yield cover
  }

  #show({ start, end }: Stretch): void {
    const all = this.#options.highlightAll
    for (let i = start; i <= end; i++) {
      const word = this.#words[i]
      if (word === undefined) break
      if (word.operand !== undefined) word.marked = true
      if (!all && word.type === TOKEN.tag) word.blanked = true
      else if (COMPOUND.has(word.type)) word.skipped = true
      word.shown = !word.repeated
    }
  }

  /** The first words, up to `count` of them. */
  #beginning(count: number): Stretch {
    let words = 0
    let end = 0
    for (let i = 0; i < this.#words.length && words < count; i++) {
      if (isWord(this.#words[i]!)) words++
      end = i
    }
    return { start: 0, end }
  }

  choose(): void {
    if (this.#options.maxFragments > 0) this.#chooseFragments()
    else if (this.#options.highlightAll) this.#show({ start: 0, end: this.#words.length - 1 })
    else this.#chooseOne()
  }

  // -- one piece

  #chooseOne(): void {
    let best: (Stretch & { interesting: number; whole: boolean }) | undefined
    for (const cover of this.#covers()) {
      const piece = this.#fitted(cover)
      const better =
        best === undefined ||
        (piece.whole !== best.whole
          ? piece.whole
          : piece.interesting !== best.interesting
            ? piece.interesting > best.interesting
            : !this.#weakEnd(piece.end) && this.#weakEnd(best.end))
      if (better) best = piece
    }
    this.#show(best ?? this.#beginning(this.#options.minWords))
  }

  /** The cover, longer where it has fewer words than it may have, shorter where it has more. */
  #fitted(cover: Stretch): Stretch & { interesting: number; whole: boolean } {
    const words = this.#words
    const { minWords, maxWords } = this.#options
    let count = 0
    let interesting = 0
    let { start } = cover
    let end = start
    let i = start
    for (; i <= cover.end && count < maxWords; i++) {
      if (isWord(words[i]!)) count++
      if (isInteresting(words[i]!)) interesting++
      end = i
    }
    if (count < maxWords) {
      // Forward, beginning with the last word again, until it is full or a good place to stop comes.
      for (i--; i < words.length && count < maxWords; i++) {
        if (i > cover.end) {
          if (isWord(words[i]!)) count++
          if (isInteresting(words[i]!)) interesting++
        }
        end = i
        if (!this.#weakEnd(i) && count >= minWords) break
      }
      if (count < minWords) {
        // The text is over: backwards.
        for (i = cover.start - 1; i >= 0; i--) {
          if (isWord(words[i]!)) count++
          if (isInteresting(words[i]!)) interesting++
          if (count >= maxWords || (!this.#weakEnd(i) && count >= minWords)) break
        }
        start = Math.max(i, 0)
      }
    } else {
      for (i = Math.min(i, cover.end); count > minWords && this.#weakEnd(i); i--) {
        if (isWord(words[i]!)) count--
        if (isInteresting(words[i]!)) interesting--
        end = i - 1
      }
    }
    return { start, end, interesting, whole: start <= cover.start && end >= cover.end }
  }

  // -- several pieces

  /** What is left of a cover from `start` on, cut to MaxWords so that both ends are words of the query. */
  #fragment(cover: Stretch, from: number): Stretch & { words: number; interesting: number } {
    const all = this.#words
    let start = from
    for (let i = from; i <= cover.end; i++) {
      start = i
      if (isInteresting(all[i]!)) break
    }
    let words = 0
    let interesting = 0
    let i = start
    for (; i <= cover.end && words < this.#options.maxWords; i++) {
      if (isWord(all[i]!)) words++
      if (isInteresting(all[i]!)) interesting++
    }
    let { end } = cover
    if (end > i) {
      end = i
      for (; i >= start; i--) {
        end = i
        if (isInteresting(all[i]!)) break
        if (isWord(all[i]!)) words--
      }
    }
    return { start, end, words, interesting }
  }

  #chooseFragments(): void {
    const fragments: (Stretch & { words: number; interesting: number })[] = []
    for (const cover of this.#covers())
      for (let start = cover.start; start <= cover.end; ) {
        const fragment = this.#fragment(cover, start)
        fragments.push(fragment)
        start = fragment.end + 1
      }
    let left = fragments
    let shown = 0
    for (; shown < this.#options.maxFragments; shown++) {
      let best: (typeof fragments)[number] | undefined
      for (const each of left)
        if (
          (best === undefined && each.interesting >= 0) ||
          best!.interesting < each.interesting ||
          (best!.interesting === each.interesting && best!.words > each.words)
        )
          best = each
      if (best === undefined) break
      const grown = this.#grown(best)
      this.#show(grown)
      left = left.filter((each) => each !== best && (each.end < grown.start || each.start > grown.end))
    }
    if (shown === 0) this.#show(this.#beginning(this.#options.minWords))
  }

  /** A fragment with room is stretched, half of it to the left. */
  #grown(fragment: Stretch & { words: number }): Stretch {
    const all = this.#words
    const { maxWords } = this.#options
    let { start, end, words } = fragment
    if (words >= maxWords) return { start, end }
    const half = Math.trunc((maxWords - words) / 2)
    let stretched = 0
    let reached = start
    for (let i = start - 1; i >= 0 && stretched < half && !all[i]!.shown; i--) {
      if (isWord(all[i]!)) {
        words++
        stretched++
      }
      reached = i
    }
    for (; reached < start && this.#weakEnd(reached); reached++) if (isWord(all[reached]!)) words--
    start = reached
    reached = end
    for (let i = end + 1; i < all.length && words < maxWords && !all[i]!.shown; i++) {
      if (isWord(all[i]!)) words++
      reached = i
    }
    for (; reached > end && this.#weakEnd(reached); reached--) if (isWord(all[reached]!)) words--
    end = reached
    return { start, end }
  }

  text(): string {
    const { startSel, stopSel, fragmentDelimiter } = this.#options
    let out = ''
    let fragments = 0
    let inside = false
    for (const word of this.#words) {
      if (word.repeated) continue
      if (!word.shown) {
        inside = false
        continue
      }
      if (!inside && ++fragments > 1) out += fragmentDelimiter
      inside = true
      if (word.blanked) out += ' '
      else if (!word.skipped) out += word.marked ? startSel + word.text + stopSel : word.text
    }
    return out
  }
}

type Marker = (text: string) => string

function marker(config: number, query: TsQuery, options: string, context: CallContext): Marker {
  return (text) => {
    const words = wordsOf(text, config, query, context)
    const headline = new Headline(words, query, readOptions(options), context)
    headline.choose()
    return headline.text()
  }
}

function markTree(node: JsonNode, mark: Marker): JsonNode {
  if (typeof node === 'string') return mark(node)
  if (isArray(node)) return node.map((item) => markTree(item, mark))
  if (isObject(node)) return new Map([...node].map(([key, value]) => [key, markTree(value, mark)]))
  return node
}

/** json comes back without its blanks. */
const markedJson = (mark: Marker): Builder<string> => ({
  decode: true,
  string: (decoded) => quoteJson(mark(decoded)),
  number: (text) => text,
  literal: (value) => String(value),
  array: (items) => `[${items.join(',')}]`,
  object: (keys, values) => `{${values.map((value, i) => `${quoteJson(keys[i]!)}:${value}`).join(',')}}`,
})

/** The four forms: with and without a configuration, with and without options. */
function forms<T extends Value>(name: string, apply: (value: T, mark: Marker) => Value): Record<string, FunctionBody> {
  return {
    [`${name}_byid_opt`]: bound(
      ({ context }) =>
        (config: number, value: T, query: TsQuery, options: string) =>
          apply(value, marker(config, query, options, context)),
    ),
    [`${name}_byid`]: bound(
      ({ context }) =>
        (config: number, value: T, query: TsQuery) =>
          apply(value, marker(config, query, '', context)),
    ),
    [`${name}_opt`]: bound(
      ({ context }) =>
        (value: T, query: TsQuery, options: string) =>
          apply(value, marker(currentConfiguration(context), query, options, context)),
    ),
    [name]: bound(
      ({ context }) =>
        (value: T, query: TsQuery) =>
          apply(value, marker(currentConfiguration(context), query, '', context)),
    ),
  }
}

export const HEADLINE_FUNCTIONS: FunctionTable = {
  ...forms('ts_headline', (text: string, mark) => mark(text)),
  ...forms('ts_headline_jsonb', (value: Jsonb, mark) => jsonb(markTree(value.root, mark))),
  ...forms('ts_headline_json', (text: string, mark) => parseJson(text, markedJson(mark))),
}
