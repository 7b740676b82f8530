/**
 * The map of the key space. Everything the store holds has a place here, and a range may be cut at any key of it.
 *
 *     tag  space                                       versioned
 *     01   /local/<name>                               no    this node's own: never replicated
 *     02   /system/<name>                              no    a range's state: its clock
 *     03   /catalog/<db>/<class>/<oid>/<sub>           yes   descriptors of schema objects, comments by column
 *     04   /sequence/<db>/<oid>                        no    last value: unversioned, outside of transactions
 *     05   /statistics/<db>/<table>                    yes   what ANALYZE found
 *     06   /removal/<name>                             yes   a span that goes once no snapshot sees it
 *     08   /table/<db>/<storage>/<index>/<columns…>    yes   rows (index 0, 'pk') and index entries
 *
 * <db>, <storage> and the like are ordered varints: 0…240 in one byte, greater ones as f0 + length, then that many bytes.
 * A table's storage id changes when it is truncated or rewritten; its oid does not.
 *
 *     /table/5/16384/pk/7     08 05 f2 40 00 00 19 80 00 00 07
 *
 * No key is the beginning of another one: the engine puts a version's timestamp after the key, and only prefix-free
 * keys keep their order then.
 */
import type { Key } from './brand.ts'
import { invariant } from './invariant.ts'

export const SPACE = {
  local: 0x01,
  system: 0x02,
  catalog: 0x03,
  sequence: 0x04,
  statistics: 0x05,
  removal: 0x06,
  table: 0x08,
} as const

/** The index id under which a table's rows lie in the order of its primary key (or of a hidden row number). */
export const PRIMARY_INDEX = 0

export interface KeySpan {
  readonly from: Key
  /** Exclusive. */
  readonly to: Key
}

const ONE_BYTE_MAX = 0xf0

/** An ordered varint of n < 2^32. */
export function varint(n: number): string {
  invariant(n >= 0 && n <= 0xffff_ffff && Number.isInteger(n), `not an id: ${n}`)
  if (n <= ONE_BYTE_MAX) return String.fromCharCode(n)
  if (n <= 0xff) return String.fromCharCode(0xf1, n)
  if (n <= 0xffff) return String.fromCharCode(0xf2, n >>> 8, n & 0xff)
  if (n <= 0xff_ffff) return String.fromCharCode(0xf3, n >>> 16, (n >>> 8) & 0xff, n & 0xff)
  return String.fromCharCode(0xf4, n >>> 24, (n >>> 16) & 0xff, (n >>> 8) & 0xff, n & 0xff)
}

/** The varint at `at` as [value, where it ends]; undefined when the text ends before it does. */
export function readVarint(text: string, at: number): readonly [number, number] | undefined {
  if (at >= text.length) return undefined
  const first = text.charCodeAt(at)
  if (first <= ONE_BYTE_MAX) return [first, at + 1]
  const end = at + 1 + (first - ONE_BYTE_MAX)
  if (end > text.length || first > 0xf4) return undefined
  let n = 0
  for (let i = at + 1; i < end; i++) n = n * 256 + text.charCodeAt(i)
  return [n, end]
}

const space = (tag: number) => String.fromCharCode(tag)

/** What every row's and entry's key of this index begins with: give it to an encoder's `start`. Index 0 is the table itself. */
export function indexPrefix(database: number, storage: number, index: number): Key {
  return (space(SPACE.table) + varint(database) + varint(storage) + varint(index)) as Key
}

/** `indexPrefix` of the rows themselves. */
export function rowKeyPrefix(database: number, storage: number): Key {
  return indexPrefix(database, storage, PRIMARY_INDEX)
}

/** A table with all its indexes. */
export function tableSpan(database: number, storage: number): KeySpan {
  return prefixSpan((space(SPACE.table) + varint(database) + varint(storage)) as Key)
}

/** One index; index 0 gives the table's rows. */
export function indexSpan(database: number, storage: number, index: number): KeySpan {
  return prefixSpan(indexPrefix(database, storage, index))
}

/** Every table of a database. */
export function databaseSpan(database: number): KeySpan {
  return prefixSpan((space(SPACE.table) + varint(database)) as Key)
}

/** A descriptor: pg_class-like class oid, the object's oid, and a column number (0 for the object itself). */
export function catalogKey(database: number, classOid: number, objectOid: number, sub = 0): Key {
  return (space(SPACE.catalog) + varint(database) + varint(classOid) + varint(objectOid) + varint(sub)) as Key
}

/** All descriptors of a database, or those of one class. */
export function catalogSpan(database: number, classOid?: number): KeySpan {
  return prefixSpan((space(SPACE.catalog) + varint(database) + (classOid === undefined ? '' : varint(classOid))) as Key)
}

export function sequenceKey(database: number, sequenceOid: number): Key {
  return (space(SPACE.sequence) + varint(database) + varint(sequenceOid)) as Key
}

/** The sequences of a database, or of all. */
export function sequenceSpan(database?: number): KeySpan {
  return prefixSpan((space(SPACE.sequence) + (database === undefined ? '' : varint(database))) as Key)
}

export function statisticsKey(database: number, tableOid: number): Key {
  return (space(SPACE.statistics) + varint(database) + varint(tableOid)) as Key
}

export function statisticsSpan(database: number): KeySpan {
  return prefixSpan((space(SPACE.statistics) + varint(database)) as Key)
}

/** A range's own state. Names are plain words and '/'; the final 00 keeps one name from being the beginning of another. */
export function systemKey(name: string): Key {
  return `${space(SPACE.system)}${name}\0` as Key
}

/** All system keys whose name begins so. */
export function systemSpan(beginning: string): KeySpan {
  return prefixSpan((space(SPACE.system) + beginning) as Key)
}

/** A span that a commit dropped: written with the commit's rows, purged with the span. */
export function removalKey(name: string): Key {
  return `${space(SPACE.removal)}${name}\0` as Key
}

export const REMOVALS: KeySpan = prefixSpan(space(SPACE.removal) as Key)

export function localKey(name: string): Key {
  return `${space(SPACE.local)}${name}\0` as Key
}

/** All keys that begin with `prefix`. */
export function prefixSpan(prefix: Key): KeySpan {
  return { from: prefix, to: successor(prefix) }
}

/**
 * The least key above every key that begins with this one. As no key begins another, [key, successor(key)) holds `key`
 * alone, and [successor(key), …) is what lies behind it.
 */
export function successor(key: Key): Key {
  let end = key.length
  while (end > 0 && key.charCodeAt(end - 1) === 0xff) end--
  invariant(end > 0, 'a key of ff bytes has no successor')
  return (key.slice(0, end - 1) + String.fromCharCode(key.charCodeAt(end - 1) + 1)) as Key
}

/** The ends of the whole space, and of all that is versioned (which garbage collection walks). */
export const FIRST_KEY = '\x00' as Key
export const LAST_KEY = '\xff' as Key
export const VERSIONED_SPANS: readonly KeySpan[] = [
  prefixSpan(space(SPACE.catalog) as Key),
  prefixSpan(space(SPACE.statistics) as Key),
  REMOVALS,
  prefixSpan(space(SPACE.table) as Key),
]

/** How many characters of a table key name its index: two keys that share them are neighbours in one index. */
export function indexPrefixLength(key: Key): number {
  let at = 1
  for (let part = 0; part < 3 && at < key.length; part++) {
    const first = key.charCodeAt(at)
    at += first <= ONE_BYTE_MAX ? 1 : 1 + first - ONE_BYTE_MAX
  }
  return Math.min(at, key.length)
}
