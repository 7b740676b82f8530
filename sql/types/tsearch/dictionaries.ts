/**
 * Dictionaries and configurations: what becomes of a word. `simple` folds case; a stemming dictionary drops stop words and
 * cuts the others to their stems ('running' → 'run'). A configuration says which dictionary is asked for which token type:
 * all languages agree but for words in plain ASCII, which some leave to English. Their names are rows of pg_ts_config and
 * pg_ts_dict; here is what they do.
 * https://www.postgresql.org/docs/15/textsearch-dictionaries.html
 */
import { LRUCache } from 'lru-cache'
import stemmers from 'snowball-stemmers'
import { type Oid, oid } from '../../../storage/keys/brand.ts'
import { notSupported, sqlError } from '../error.ts'
import { lower } from '../text/case.ts'
import type { NameLookup, TypeContext } from '../type.ts'
import { stopWords } from './stop-words.ts'
import { TOKEN, type TokenType } from './token-parser.ts'
import { byteLength } from './vector-type.ts'

/** The lexemes of a word: none for a stop word, undefined when the dictionary does not know it. */
export type Dictionary = (word: string) => readonly string[] | undefined

const simple: Dictionary = (word) => [lower(word)]

/** Longer words are not stemmed. */
const STEMMED_BYTES_MAX = 1000
const NOTHING: readonly string[] = []
const CACHED_WORDS = 4096

function snowball(language: string): Dictionary {
  const stemmer = stemmers.newStemmer(language)
  const stops = stopWords(language)
  const known = new LRUCache<string, readonly string[]>({ max: CACHED_WORDS })
  return (word) => {
    let lexemes = known.get(word)
    if (lexemes !== undefined) return lexemes
    const folded = lower(word)
    if (byteLength(word) > STEMMED_BYTES_MAX) return [folded]
    lexemes = folded === '' || stops.has(folded) ? NOTHING : [stemmer.stem(folded)]
    known.set(word, lexemes)
    return lexemes
  }
}

const dictionaries = new Map<string, Dictionary>([['simple', simple]])
const STEM = '_stem'

/** By pg_ts_dict.dictname. Throws 0A000 for a language without a stemmer here. */
function dictionaryNamed(name: string): Dictionary {
  let dictionary = dictionaries.get(name)
  if (dictionary === undefined) {
    const language = name.endsWith(STEM) ? name.slice(0, -STEM.length) : ''
    if (!stemmers.algorithms().includes(language)) throw notSupported(`text search dictionary ${name}`)
    dictionary = snowball(language)
    dictionaries.set(name, dictionary)
  }
  return dictionary
}

/** Which dictionary words in ASCII, other words, and all else go to; by token type, undefined for what is not indexed. */
export type Configuration = readonly (Dictionary | undefined)[]

const ASCII_WORDS: readonly TokenType[] = [TOKEN.asciiword, TOKEN.hword_asciipart, TOKEN.asciihword]
const WORDS: readonly TokenType[] = [TOKEN.word, TOKEN.hword_part, TOKEN.hword]
const NOT_INDEXED: readonly TokenType[] = [TOKEN.blank, TOKEN.tag, TOKEN.protocol, TOKEN.entity]
/** Their own scripts are not ASCII. */
const ASCII_IS_ENGLISH = new Set(['hindi', 'russian'])

/** The dictionary of a configuration (pg_ts_config.cfgname) for a token type; undefined for what is not indexed. */
export function dictionaryName(config: string, type: TokenType): string | undefined {
  if (NOT_INDEXED.includes(type)) return undefined
  const ascii = ASCII_WORDS.includes(type)
  if (config === 'simple' || !(ascii || WORDS.includes(type))) return 'simple'
  return (ascii && ASCII_IS_ENGLISH.has(config) ? 'english' : config) + STEM
}

function makeConfiguration(config: string): Configuration {
  const types = Object.values(TOKEN)
  const map: (Dictionary | undefined)[] = new Array(types.length + 1).fill(undefined)
  for (const type of types) {
    const name = dictionaryName(config, type)
    if (name !== undefined) map[type] = dictionaryNamed(name)
  }
  return map
}

/** Names may come with their schema where the search path does not have it first. */
export const withoutSchema = (name: string): string => name.replace(/^pg_catalog\./, '')

/** Keeps what was made from an object's name by the object's oid. Throws XX000 for a number that is none. */
function byOid<T>(
  what: string,
  nameOf: (names: NameLookup, id: Oid) => string | undefined,
  make: (name: string) => T,
): (id: number, context: TypeContext) => T {
  const known = new Map<number, T>()
  return (id, { names }) => {
    let found = known.get(id)
    if (found === undefined) {
      const name = names && nameOf(names, oid(id))
      if (name === undefined) throw sqlError('XX000', `cache lookup failed for text search ${what} ${id}`)
      found = make(withoutSchema(name))
      known.set(id, found)
    }
    return found
  }
}

/** By pg_ts_config.oid. */
export const configuration = byOid('configuration', (names, id) => names.configName(id), makeConfiguration)
/** By pg_ts_dict.oid. */
export const dictionary = byOid('dictionary', (names, id) => names.dictionaryName(id), dictionaryNamed)

/** The oid of default_text_search_config. Throws 42704. */
export function currentConfiguration(context: TypeContext): number {
  if (context.names === undefined) throw notSupported('text search without a catalog')
  return context.names.findConfig(context.settings.textSearchConfig)
}
