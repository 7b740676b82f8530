/**
 * From text to tsvector and tsquery: to_tsvector, to_tsquery and its kin. The parser cuts, the configuration's dictionaries
 * say what lexemes come of a token; every token that some dictionary knows takes a position, stop words too.
 * https://www.postgresql.org/docs/15/textsearch-controls.html
 */
import { sqlError } from '../error.ts'
import { bound, type CallContext, type CallInfo, type FunctionBody, type FunctionTable, set } from '../function.ts'
import { isArray, isObject, nodeAsText } from '../json/node.ts'
import { type Builder, parseJson } from '../json/parse.ts'
import { OID } from '../oids.ts'
import { compareText } from '../text/chars.ts'
import {
  ArrayValue,
  type Jsonb,
  type JsonNode,
  Numeric,
  RecordValue,
  type TsQuery,
  TsVector,
  type Value,
} from '../value.ts'
import { type Configuration, configuration, currentConfiguration, dictionary } from './dictionaries.ts'
import { LEXEME_BYTES_LIMIT, limitedPosition, POSITION_MAX, POSITIONS_MAX } from './lexeme-reader.ts'
import { matches } from './match.ts'
import { lexemeOperand, type OperandMeaning, type QueryStyle, readQuery } from './query-reader.ts'
import type { Draft } from './query-tree.ts'
import { noticeOf } from './query-type.ts'
import { type Token, TokenParser } from './token-parser.ts'
import { byteLength, checkVectorBytes, dataBytes, EMPTY_VECTOR } from './vector-type.ts'

interface Word {
  readonly text: string
  readonly position: number
}

/** The words of one or several texts with their positions. */
export class ParsedText {
  readonly words: Word[] = []
  position = 0
  readonly #config: Configuration
  readonly #context: CallContext

  constructor(config: Configuration, context: CallContext) {
    this.#config = config
    this.#context = context
  }

  add(text: string): void {
    const parser = new TokenParser(text)
    let tokens = 0
    for (let token = parser.next(); token !== undefined; token = parser.next()) {
      if ((++tokens & 1023) === 0) this.#context.checkInterrupts()
      const lexemes = this.lexemes(token)
      if (lexemes === undefined) continue
      this.position++
      for (const lexeme of lexemes) this.words.push({ text: lexeme, position: limitedPosition(this.position) })
    }
  }

  /** undefined: no dictionary knows the token, it takes no position. */
  lexemes(token: Token): readonly string[] | undefined {
    const asked = this.#config[token.type]
    if (token.text.length >= LEXEME_BYTES_LIMIT / 4 && byteLength(token.text) >= LEXEME_BYTES_LIMIT) {
      this.#context.notice('NOTICE', '54000', 'word is too long to be indexed')
      return undefined
    }
    return asked?.(token.text)
  }
}

/** A lexeme of a document keeps one position less than one that is read from text. */
const DOCUMENT_POSITIONS_MAX = POSITIONS_MAX - 1

function vectorOf(words: readonly Word[]): TsVector {
  if (words.length === 0) return EMPTY_VECTOR
  const places = new Map<string, number[]>()
  for (const { text, position } of words) {
    const known = places.get(text)
    if (known === undefined) places.set(text, [position])
    else if (known.length < DOCUMENT_POSITIONS_MAX && known.at(-1) !== position && known.at(-1) !== POSITION_MAX)
      known.push(position)
  }
  const lexemes = [...places.keys()].sort(compareText)
  const vector = new TsVector(
    lexemes,
    lexemes.map((lexeme) => places.get(lexeme)!),
  )
  checkVectorBytes(dataBytes(vector))
  return vector
}

function toVector(config: number, text: string, context: CallContext): TsVector {
  const parsed = new ParsedText(configuration(config, context), context)
  parsed.add(text)
  return vectorOf(parsed.words)
}

/** What a word of a query becomes: its lexemes, one behind the other; where a stop word stood, a gap. */
function meaningOf(
  config: Configuration,
  linked: 'and' | 'phrase',
  whole: string,
  context: CallContext,
): OperandMeaning {
  const lexeme = lexemeOperand(whole)
  const link = (left: Draft | undefined, right: Draft): Draft =>
    left === undefined
      ? right
      : linked === 'and'
        ? { kind: 'and', left, right }
        : { kind: 'phrase', distance: 1, left, right }
  return (text, weights, prefix) => {
    const parsed = new ParsedText(config, context)
    parsed.add(text)
    let draft: Draft | undefined
    let position = 0
    for (let i = 0; i < parsed.words.length; ) {
      const here = parsed.words[i]!.position
      for (; position > 0 && position + 1 < here; position++) draft = link(draft, { kind: 'stop' })
      position = here
      let words: Draft | undefined
      for (; i < parsed.words.length && parsed.words[i]!.position === here; i++) {
        const one = lexeme(parsed.words[i]!.text, weights, prefix)
        words = words === undefined ? one : { kind: 'and', left: words, right: one }
      }
      if (words !== undefined) draft = link(draft, words)
    }
    return draft ?? { kind: 'stop' }
  }
}

function toQuery(
  config: number,
  text: string,
  style: QueryStyle,
  linked: 'and' | 'phrase',
  context: CallContext,
): TsQuery {
  return readQuery(text, style, meaningOf(configuration(config, context), linked, text, context), noticeOf(context))
}

/** A function with a configuration as its first argument, and the same with the session's own. */
function configured<A extends Value[]>(
  name: string,
  run: (config: number, context: CallContext, ...args: A) => Value,
): Record<string, FunctionBody> {
  return {
    [`${name}_byid`]: bound<[number, ...A]>(
      ({ context }) =>
        (config, ...args) =>
          run(config, context, ...args),
    ),
    [name]: bound<A>(
      ({ context }) =>
        (...args) =>
          run(currentConfiguration(context), context, ...args),
    ),
  }
}

// -- JSON: its strings, and on demand its numbers, booleans and keys

const KINDS = { string: 1, numeric: 2, boolean: 4, key: 8 } as const
type Kind = keyof typeof KINDS
const ALL = 15

type Visit = (text: string, kind: Kind) => void

function visitNode(node: JsonNode, visit: Visit): void {
  if (typeof node === 'string') visit(node, 'string')
  else if (node instanceof Numeric) visit(nodeAsText(node)!, 'numeric')
  else if (typeof node === 'boolean') visit(String(node), 'boolean')
  else if (isArray(node)) for (const item of node) visitNode(item, visit)
  else if (isObject(node))
    for (const [key, value] of node) {
      visit(key, 'key')
      visitNode(value, visit)
    }
}

type Later = (visit: Visit) => void
/** json in the order it was written, with every key. */
const IN_ORDER: Builder<Later> = {
  decode: true,
  string: (decoded) => (visit) => visit(decoded, 'string'),
  number: (text) => (visit) => visit(text, 'numeric'),
  literal: (value) => (visit) => {
    if (value !== null) visit(String(value), 'boolean')
  },
  array: (items) => (visit) => {
    for (const item of items) item(visit)
  },
  object: (keys, values) => (visit) =>
    values.forEach((value, i) => {
      visit(keys[i]!, 'key')
      value(visit)
    }),
}

const FLAG_HINT = { hint: 'Possible values are: "string", "numeric", "boolean", "key", and "all".' }

/** The last argument of jsonb_to_tsvector: `["string", "numeric"]`, `"all"`. Throws 22023. */
function kindsOf(filter: Jsonb): number {
  const { root } = filter
  const flag = (node: JsonNode): number => {
    if (typeof node !== 'string') throw sqlError('22023', 'flag array element is not a string', FLAG_HINT)
    const name = node.toLowerCase()
    if (name === 'all') return ALL
    if (!Object.hasOwn(KINDS, name)) throw sqlError('22023', `wrong flag in flag array: "${node}"`, FLAG_HINT)
    return KINDS[name as Kind]
  }
  if (isArray(root)) return root.reduce<number>((all, node) => all | flag(node), 0)
  if (isObject(root)) throw sqlError('22023', 'wrong flag type, only arrays and scalars are allowed')
  return flag(root)
}

function jsonToVector(config: number, context: CallContext, visitAll: Later, kinds: number): TsVector {
  const parsed = new ParsedText(configuration(config, context), context)
  visitAll((text, kind) => {
    if (!(KINDS[kind] & kinds)) return
    const before = parsed.words.length
    parsed.add(text)
    // A gap, so that no phrase reaches from one value into the next.
    if (parsed.words.length > before) parsed.position++
  })
  return vectorOf(parsed.words)
}
const ofJsonb =
  (value: Jsonb): Later =>
  (visit) =>
    visitNode(value.root, visit)
const ofJson = (text: string): Later => parseJson(text, IN_ORDER)

// -- tokens

const TOKEN_FIELDS = [OID.int4, OID.text]
const DEFAULT_PARSER = 3722

function* tokensOf(call: CallInfo, text: string): Iterable<Value> {
  const parser = new TokenParser(text)
  let count = 0
  for (let token = parser.next(); token !== undefined; token = parser.next()) {
    if ((++count & 1023) === 0) call.context.checkInterrupts()
    yield new RecordValue([token.type, token.text], TOKEN_FIELDS)
  }
}

export const DOCUMENT_FUNCTIONS: FunctionTable = {
  ...configured('to_tsvector', (config, context, text: string) => toVector(config, text, context)),
  ...configured('to_tsquery', (config, context, text: string) => toQuery(config, text, 'standard', 'phrase', context)),
  ...configured('plainto_tsquery', (config, context, text: string) => toQuery(config, text, 'plain', 'and', context)),
  ...configured('phraseto_tsquery', (config, context, text: string) =>
    toQuery(config, text, 'plain', 'phrase', context),
  ),
  ...configured('websearch_to_tsquery', (config, context, text: string) =>
    toQuery(config, text, 'web', 'phrase', context),
  ),
  ...configured('jsonb_string_to_tsvector', (config, context, value: Jsonb) =>
    jsonToVector(config, context, ofJsonb(value), KINDS.string),
  ),
  ...configured('json_string_to_tsvector', (config, context, text: string) =>
    jsonToVector(config, context, ofJson(text), KINDS.string),
  ),
  ...configured('jsonb_to_tsvector', (config, context, value: Jsonb, filter: Jsonb) =>
    jsonToVector(config, context, ofJsonb(value), kindsOf(filter)),
  ),
  ...configured('json_to_tsvector', (config, context, text: string, filter: Jsonb) =>
    jsonToVector(config, context, ofJson(text), kindsOf(filter)),
  ),
  get_current_ts_config: bound(
    ({ context }) =>
      () =>
        currentConfiguration(context),
  ),
  ts_match_tt: bound(({ context }) => (document: string, query: string) => {
    const config = currentConfiguration(context)
    return matches(toVector(config, document, context), toQuery(config, query, 'plain', 'and', context))
  }),
  ts_match_tq: bound(
    ({ context }) =>
      (document: string, query: TsQuery) =>
        matches(toVector(currentConfiguration(context), document, context), query),
  ),
  ts_lexize: bound(({ context }) => (id: number, word: string) => {
    const lexemes = dictionary(id, context)(word)
    return lexemes === undefined ? null : ArrayValue.of(lexemes)
  }),
  ts_parse_byid: set((call) => (parser: number, text: string) => {
    if (parser !== DEFAULT_PARSER) throw sqlError('XX000', `cache lookup failed for text search parser ${parser}`)
    return tokensOf(call, text)
  }),
  ts_parse_byname: set((call) => (parser: string, text: string) => {
    if (parser.replace(/^pg_catalog\./, '').replaceAll('"', '') !== 'default')
      throw sqlError('42704', `text search parser "${parser}" does not exist`)
    return tokensOf(call, text)
  }),
}
