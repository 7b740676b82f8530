/**
 * Filling new storage: rows and entries are written in key order, which is what both the transaction's buffer and the store
 * take fastest. What comes in order is written at once; from the first key that does not, they are gathered in runs and
 * sorted.
 *
 *     add(key, value) … → put …                                                 the storage is new: nothing is locked
 *                     ↘ run full → sort → equal neighbours? → put …
 */
import type { Key, Oid } from '../../storage/keys/brand.ts'
import type { Kv, Txn } from '../../storage/kv/kv.ts'
import type { RelationRow } from '../catalog/catalog.ts'
import { relationSpan } from './keys.ts'

/** Entries of a run, and their bytes: about 100 MB in memory. */
const RUN_ENTRIES = 1_000_000
const RUN_BYTES = 64 << 20

export class SortedRuns {
  readonly #txn: Txn
  readonly #unique: boolean
  readonly #duplicate: (key: Key) => Error
  #keys: Key[] = []
  #values: string[] = []
  #bytes = 0
  /** Everything so far came in order. */
  #ascending = true
  /** The greatest key that was written: a key above it was not. Unknown once keys came as bytes. */
  #greatest = '' as Key
  #appended = false
  #buffer = Buffer.allocUnsafeSlow(4096)

  /** `duplicate`: the error for two equal keys; for keys that cannot be equal, `unique` is false. */
  constructor(txn: Txn, unique: boolean, duplicate: (key: Key) => Error) {
    this.#txn = txn
    this.#unique = unique
    this.#duplicate = duplicate
  }

  /** `value`: bytes as a latin1 string, never empty. */
  add(key: Key, value: string): void {
    if (this.#isNext(key)) this.#put(key, value)
    else this.#gather(key, value)
  }

  /** The same with bytes, which are copied. */
  addBytes(key: Key, value: Buffer, length: number): void {
    if (this.#isNext(key)) this.#txn.put(key, value, length)
    else this.#gather(key, value.latin1Slice(0, length))
  }

  /** The same with key and value as bytes: of `key` the first `keyBytes`, of `value` [start, end). */
  addEntry(key: Buffer, keyBytes: number, value: Buffer, start: number, end: number): void {
    if (this.#ascending && this.#txn.append(key, keyBytes, value, start, end)) {
      this.#appended = true
      return
    }
    this.#ascending = false
    this.#gather(key.latin1Slice(0, keyBytes) as Key, value.latin1Slice(start, end))
  }

  #isNext(key: Key): boolean {
    if (!this.#ascending) return false
    if (key > this.#greatest) {
      this.#greatest = key
      return true
    }
    if (this.#unique && key === this.#greatest) throw this.#duplicate(key)
    this.#ascending = false
    return false
  }

  #gather(key: Key, value: string): void {
    this.#keys.push(key)
    this.#values.push(value)
    this.#bytes += key.length + value.length
  }

  #put(key: Key, value: string): void {
    if (value.length > this.#buffer.length) this.#buffer = Buffer.allocUnsafeSlow(value.length * 2)
    this.#buffer.latin1Write(value, 0)
    this.#txn.put(key, this.#buffer, value.length)
  }

  /** A run is complete: it is time to write it. */
  get full(): boolean {
    return this.#keys.length >= RUN_ENTRIES || this.#bytes >= RUN_BYTES
  }

  /** Writes what was gathered; also to be called at the end. Yields between stretches of work, for others to have their turn. */
  *flush(): Generator<void, void, undefined> {
    const keys = this.#keys
    const values = this.#values
    if (keys.length === 0) return
    const order = yield* keyOrder(keys)
    let before: Key | undefined
    for (let i = 0; i < keys.length; i++) {
      const at = order[i]!
      const key = keys[at]!
      if (this.#unique) {
        if (key === before || ((this.#appended || key <= this.#greatest) && this.#txn.getNewest(key) !== undefined))
          throw this.#duplicate(key)
        before = key
      }
      this.#put(key, values[at]!)
      if (i % STRETCH === 0) yield
    }
    const last = keys[order[order.length - 1]!]!
    if (last > this.#greatest) this.#greatest = last
    this.#keys = []
    this.#values = []
    this.#bytes = 0
  }
}

/** Entries that are worked on in one stretch. */
const STRETCH = 1024

/** Bytes by which keys are sorted without comparing them. */
const DIGITS = 3
const DIGIT_VALUES = 0x1_0000

/**
 * Positions of the keys in ascending order. Six bytes behind what all keys share are sorted by counting, two at a time from
 * the last; that is stable, so keys that came in order within equal bytes (entries of equal values, by row) need no more.
 */
export function* keyOrder(keys: readonly string[]): Generator<void, Uint32Array, undefined> {
  const count = keys.length
  const shared = sharedLength(keys)
  const digits = Array.from({ length: DIGITS }, () => new Uint16Array(count))
  for (let i = 0; i < count; i++) {
    const key = keys[i]!
    for (let d = 0, at = shared; d < DIGITS; d++, at += 2) {
      const high = at < key.length ? key.charCodeAt(at) : 0
      const low = at + 1 < key.length ? key.charCodeAt(at + 1) : 0
      digits[d]![i] = (high << 8) | low
    }
  }
  yield
  let order = Uint32Array.from(keys, (_, i) => i)
  let next = new Uint32Array(count)
  const places = new Uint32Array(DIGIT_VALUES + 1)
  for (let d = DIGITS - 1; d >= 0; d--) {
    const digit = digits[d]!
    places.fill(0)
    for (let i = 0; i < count; i++) places[digit[i]! + 1] = places[digit[i]! + 1]! + 1
    for (let v = 1; v <= DIGIT_VALUES; v++) places[v] = places[v]! + places[v - 1]!
    for (let i = 0; i < count; i++) {
      const at = order[i]!
      const place = places[digit[at]!]!
      places[digit[at]!] = place + 1
      next[place] = at
    }
    ;[order, next] = [next, order]
    yield
  }
  const [first, second, third] = digits as [Uint16Array, Uint16Array, Uint16Array]
  for (let from = 0, stretch = STRETCH; from < count; ) {
    if (from >= stretch) {
      stretch = from + STRETCH
      yield
    }
    const a = order[from]!
    let to = from + 1
    let ascending = true
    for (; to < count; to++) {
      const b = order[to]!
      if (first[a] !== first[b] || second[a] !== second[b] || third[a] !== third[b]) break
      if (keys[order[to - 1]!]! > keys[b]!) ascending = false
    }
    if (!ascending) order.subarray(from, to).sort((x, y) => (keys[x]! < keys[y]! ? -1 : keys[x]! > keys[y]! ? 1 : 0))
    from = to
  }
  return order
}

/** How many characters all keys begin with. */
function sharedLength(keys: readonly string[]): number {
  const first = keys[0] ?? ''
  let length = first.length
  for (const key of keys) {
    let i = 0
    while (i < length && key.charCodeAt(i) === first.charCodeAt(i)) i++
    length = i
  }
  return length
}

/** DROP, TRUNCATE, a rewrite: everything under the relation's storage id goes once no snapshot sees it. */
export function removeStorage(kv: Kv, txn: Txn, database: Oid, relation: RelationRow): void {
  if (relation.storageId !== 0) kv.scheduleRemoval(txn, relationSpan(database, relation))
}
