/**
 * Changing single rows of one table within one statement. Everything here is synchronous: a method that has to wait for a
 * lock returns its promise and is called again, with nothing else, when it has resolved; it goes on where it stopped.
 *
 *     insert   lock key → is it free? → put row → for each index: lock entry → is it free? → put entry
 *     update   lock row → is it what we saw? → put row (elsewhere, when its key changes) → replace the entries that change
 *     delete   lock row → is it what we saw? → remove row and entries
 *
 * A unique entry is locked by whoever adds or removes it, so that two transactions cannot both think it is free; any other
 * entry carries its row's key, and that row's lock protects it. What foreign keys have to do goes to the statement's queue.
 */
import type { Key } from '../../storage/keys/brand.ts'
import { createKeyEncoder } from '../../storage/keys/encode.ts'
import type { LockStrength, Txn } from '../../storage/kv/kv.ts'
import { type KeyWriter, keyWriter, nextRowNumber, numberedKey } from '../access/keys.ts'
import type { Row, Value } from '../types/value.ts'
import type { VectorEntry } from '../vector/entry.ts'
import type { ForeignQueue } from './modify-foreign.ts'
import {
  checkViolation,
  type IndexWriter,
  notNullViolation,
  type TableWriter,
  uniqueViolation,
} from './modify-table.ts'
import type { Execution, MutableRow } from './operator.ts'

const encoder = createKeyEncoder()
let keyBytes = Buffer.allocUnsafeSlow(4096)

/** The key as bytes, in a buffer that the next call reuses; how many: the key's length. */
function bytesOf(key: Key): Buffer {
  if (key.length > keyBytes.length) keyBytes = Buffer.allocUnsafeSlow(key.length * 2)
  keyBytes.latin1Write(key, 0)
  return keyBytes
}

/** One index of a table in one execution. */
export class IndexRun {
  readonly writer: IndexWriter
  readonly #prefixLength: number
  readonly #source: ((row: Row) => Row) | undefined
  readonly #holds: ((row: Row) => boolean) | undefined
  /** Whether the last entry is one where equal keys meet. */
  meets = false
  /** The last entry without the row's own key. */
  bare = '' as Key
  /** The last entry is of a unique index, and no NULL keeps it apart. */
  distinct = false

  constructor(writer: IndexWriter, rowPrefixLength: number, x: Execution) {
    this.writer = writer
    this.#prefixLength = rowPrefixLength
    this.#source = writer.source?.bind(x)
    this.#holds = writer.predicate?.bind(x)
  }

  /** The key's values. */
  values(row: Row): Row {
    const from = this.#source === undefined ? row : this.#source(row)
    return this.writer.positions.map((position) => from[position]!)
  }

  /** What the last entry of a vector index holds, in a buffer that is used again; how many bytes: `length`. */
  value: Buffer = keyBytes
  length = 0

  /** The row's entry; undefined when the index leaves the row out. Sets `meets` and `distinct`; of a vector `value` and `length`. */
  entry(row: Row, rowKey: Key): Key | undefined {
    const from = this.#columns(row)
    if (from === undefined) return undefined
    if (this.writer.vector !== undefined) return this.#vectorEntry(this.writer.vector, from, rowKey)
    if (this.meets) return encoder.finish()
    // Ends the last column: a descending one is complemented.
    encoder.column(false, false)
    if (this.writer.late) this.bare = encoder.finish()
    encoder.encoded(rowKey.slice(this.#prefixLength))
    return encoder.finish()
  }

  /**
   * The same for loads, of an index that is neither late nor of vectors: row key and entry are bytes, the entry those that
   * `entryBytes` has until the next call. Answers how many, 0 when the index leaves the row out.
   */
  writeEntry(row: Row, page: Uint8Array, keyFrom: number, keyEnd: number): number {
    if (this.#columns(row) === undefined) return 0
    if (this.meets) return encoder.finishBytes()
    encoder.column(false, false)
    encoder.encodedBytes(page, keyFrom + this.#prefixLength, keyEnd)
    return encoder.finishBytes()
  }
  get entryBytes(): Buffer {
    return encoder.scratch
  }

  /** Encodes the key's columns, sets `meets` and `distinct`; the row they are in, undefined when the index leaves it out. */
  #columns(row: Row): Row | undefined {
    if (this.#holds !== undefined && !this.#holds(row)) return undefined
    const { space, positions, meets, late, info } = this.writer
    const from = this.#source === undefined ? row : this.#source(row)
    let hasNull = false
    encoder.start(space.prefix)
    for (let i = 0; i < space.columns.length; i++) {
      const column = space.columns[i]!
      const value = from[positions[i]!]!
      encoder.column(column.nullsFirst, column.descending)
      if (value === null) {
        encoder.null()
        hasNull = true
      } else column.type.encodeKey!(value, encoder)
    }
    const isKey = !hasNull || info.nullsNotDistinct
    this.meets = meets && isKey
    this.distinct = (meets || late) && isKey
    return from
  }

  /** The encoder holds the columns before the vector. */
  #vectorEntry(vector: VectorEntry, from: Row, rowKey: Key): Key | undefined {
    const { positions, space } = this.writer
    encoder.column(false, false)
    const value = from[positions[space.columns.length]!]!
    const tenant = encoder.finish()
    const bytes = value === null ? undefined : vector.write(value, tenant.length - space.prefix.length)
    const own = rowKey.slice(this.#prefixLength)
    if (bytes === undefined) {
      // It has no place among the others; searches that come to their end look here.
      this.value = LEFT_OUT_VALUE
      this.length = LEFT_OUT_VALUE.length
      return (this.writer.leftOut + tenant.slice(space.prefix.length) + own) as Key
    }
    this.value = bytes.buffer
    this.length = bytes.length
    return (tenant + own) as Key
  }
}

/** A value is never empty. */
const LEFT_OUT_VALUE = Buffer.from([0])

export class TableRun {
  readonly writer: TableWriter
  readonly indexes: readonly IndexRun[]
  /** Where the last row went. */
  key = '' as Key
  /** WITH CHECK OPTION of the views that the statement names: throws 44000. */
  checkViews: ((row: Row) => void) | undefined
  readonly #x: Execution
  readonly #txn: Txn
  readonly #queue: ForeignQueue
  readonly #generated: readonly ((row: Row) => Value)[]
  readonly #checks: readonly ((row: Row) => Value)[]
  readonly #primaryKey: KeyWriter | undefined
  /** Where an interrupted change goes on: 0 the row, i + 1 index i. */
  #stage = 0
  /** The lock of a new row's key was waited for: whoever held it may have put the key. */
  #waited = false
  readonly #watched: boolean

  constructor(writer: TableWriter, x: Execution, queue: ForeignQueue) {
    this.writer = writer
    this.#x = x
    this.#txn = x.txn
    this.#queue = queue
    this.indexes = writer.indexes.map((index) => new IndexRun(index, writer.prefix.length, x))
    this.#generated = writer.generated.map(({ value }) => value.bind(x))
    this.#checks = writer.checks.map(({ holds }) => holds.bind(x))
    const { primary } = writer
    this.#primaryKey = primary && keyWriter(primary.space.prefix, primary.space.columns, primary.positions)
    this.#watched = writer.foreignKeys.length > 0 || writer.referencing.length > 0
  }

  /** Fills in generated columns and checks what the row alone must satisfy: 23502, 23514. */
  prepare(row: MutableRow): void {
    const { generated, notNull, checks } = this.writer
    for (let i = 0; i < generated.length; i++) row[generated[i]!.position] = this.#generated[i]!(row)
    for (let i = 0; i < notNull.length; i++) {
      const { position, column } = notNull[i]!
      if (row[position] === null)
        throw notNullViolation(this.#x.catalog, this.writer.table, column, row, this.#x.context)
    }
    for (let i = 0; i < checks.length; i++) {
      if (this.#checks[i]!(row) === false)
        throw checkViolation(this.#x.catalog, this.writer.table, checks[i]!.constraint, row, this.#x.context)
    }
    this.checkViews?.(row)
  }

  /** A new row's key: its primary key, or the next number. */
  newKey(row: Row): Key {
    return this.#primaryKey === undefined
      ? numberedKey(this.writer.prefix, nextRowNumber(this.#txn.snapshot))
      : this.#primaryKey(row)
  }

  /** `isNew`: nothing that is committed, and nothing of this transaction, has the key. */
  insert(row: Row, key: Key, isNew: boolean): Promise<unknown> | undefined {
    if (this.#stage === 0) {
      if (this.#primaryKey !== undefined) {
        const waiting = this.#lockNew(key)
        if (waiting !== undefined) {
          this.#waited = true
          return waiting
        }
        if (this.#waited || !isNew) {
          this.#waited = false
          if (this.#txn.getNewest(key) !== undefined) throw this.#duplicate(row)
        }
      }
      const encoded = this.writer.write(row)
      this.#txn.put(key, encoded.buffer, encoded.length)
      this.#stage = 1
    }
    while (this.#stage <= this.indexes.length) {
      const waiting = this.#addEntry(this.indexes[this.#stage - 1]!, row, key, undefined)
      if (waiting !== undefined) return waiting
      this.#stage++
    }
    this.#stage = 0
    this.key = key
    if (this.#watched) this.#queue.inserted(this.writer, key, row)
    return undefined
  }

  /** Adds the row's entry, taking away `old` when that is another. */
  #addEntry(index: IndexRun, row: Row, key: Key, old: Key | undefined): Promise<unknown> | undefined {
    const entry = index.entry(row, key)
    if (entry === undefined) return undefined
    const { meets, distinct, bare } = index
    if (entry === old) {
      if (meets || index.writer.vector !== undefined) this.#putEntry(index, entry, key)
      return undefined
    }
    if (distinct) {
      const waiting = meets ? this.#lockNew(entry) : this.#lock(bare, 'update')
      if (waiting !== undefined) return waiting
      if (meets) {
        if (this.#txn.getNewest(entry) !== undefined)
          throw uniqueViolation(
            this.#x.catalog,
            this.writer.table,
            index.writer.relation,
            index.values(row),
            this.#x.context,
          )
      } else this.#queue.lateUnique(this.writer, index.writer, bare, index.values(row))
    }
    this.#putEntry(index, entry, key)
    return undefined
  }

  /** `entry` is the last one that the index gave: of an ordered index it holds the row's key. */
  #putEntry(index: IndexRun, entry: Key, key: Key): void {
    if (index.writer.vector === undefined) this.#txn.put(entry, bytesOf(key), key.length)
    else this.#txn.put(entry, index.value, index.length)
  }

  #duplicate(row: Row) {
    const { relation, positions } = this.writer.primary!
    const values = positions.map((position) => row[position]!)
    return uniqueViolation(this.#x.catalog, this.writer.table, relation, values, this.#x.context)
  }

  #lock(key: Key, strength: LockStrength): Promise<unknown> | undefined {
    const answer = this.#txn.lock(key, strength, 'wait')
    return answer instanceof Promise ? answer : undefined
  }

  #lockNew(key: Key): Promise<unknown> | undefined {
    const answer = this.#txn.lockNew(key)
    return answer instanceof Promise ? answer : undefined
  }

  /** Which lock a change of `old` to `row` takes on its row. */
  #strength(old: Row, row: Row): LockStrength {
    const { keyAttributes, position } = this.writer
    for (const attribute of keyAttributes) {
      const at = position[attribute]!
      if (old[at] !== row[at] && !this.same(attribute, old[at]!, row[at]!)) return 'update'
    }
    return 'no-key-update'
  }

  /** Whether two values of a column are one to its indexes. */
  same(attribute: number, a: Value, b: Value): boolean {
    if (a === b) return true
    if (a === null || b === null) return false
    const { type } = this.writer.layout.slots[attribute - 1]!
    const { hashKey, compare } = type!
    if (hashKey !== undefined) return hashKey(a) === hashKey(b)
    return compare !== undefined && compare(a, b) === 0
  }

  /** `row` is prepared. Throws KvError when the row is not what the snapshot saw. */
  update(key: Key, old: Row, row: Row): Promise<unknown> | undefined {
    const { primary } = this.writer
    if (this.#stage === 0) {
      const waiting = this.#lock(key, this.#strength(old, row))
      if (waiting !== undefined) return waiting
      this.#txn.checkUnchanged(key)
      const newKey = primary !== undefined && this.#changes(primary.attributes, old, row) ? this.#primaryKey!(row) : key
      if (newKey !== key) {
        const other = this.#lock(newKey, 'update')
        if (other !== undefined) return other
        if (this.#txn.getNewest(newKey) !== undefined) throw this.#duplicate(row)
        this.#txn.remove(key)
      }
      const encoded = this.writer.write(row)
      this.#txn.put(newKey, encoded.buffer, encoded.length)
      this.key = newKey
      this.#stage = 1
    }
    const newKey = this.key
    const moved = newKey !== key
    while (this.#stage <= this.indexes.length) {
      const index = this.indexes[this.#stage - 1]!
      if (moved || this.#changes(index.writer.attributes, old, row)) {
        const waiting = this.#replaceEntry(index, key, old, newKey, row)
        if (waiting !== undefined) return waiting
      }
      this.#stage++
    }
    this.#stage = 0
    if (this.#watched) this.#queue.updated(this.writer, key, old, newKey, row)
    return undefined
  }

  #changes(attributes: ReadonlySet<number>, old: Row, row: Row): boolean {
    const { position } = this.writer
    for (const attribute of attributes) {
      const at = position[attribute]!
      // The same object or primitive: anything else may be equal in order and yet be written differently.
      if (at >= 0 && old[at] !== row[at]) return true
    }
    return false
  }

  #replaceEntry(index: IndexRun, oldKey: Key, old: Row, key: Key, row: Row): Promise<unknown> | undefined {
    const before = index.entry(old, oldKey)
    const beforeMeets = index.meets
    // An entry of a vector index holds more than its key says.
    if (index.writer.vector === undefined && before !== undefined && before === index.entry(row, key) && oldKey === key)
      return undefined
    if (before !== undefined && beforeMeets) {
      const waiting = this.#lock(before, 'update')
      if (waiting !== undefined) return waiting
    }
    // The lock of the new entry comes before anything is taken away: this may be called again.
    const after = index.entry(row, key)
    if (after !== before && after !== undefined && index.distinct) {
      const waiting = this.#lock(index.meets ? after : index.bare, 'update')
      if (waiting !== undefined) return waiting
    }
    if (before !== undefined && before !== after) this.#txn.remove(before)
    return this.#addEntry(index, row, key, before)
  }

  delete(key: Key, old: Row): Promise<unknown> | undefined {
    if (this.#stage === 0) {
      const waiting = this.#lock(key, 'update')
      if (waiting !== undefined) return waiting
      this.#txn.checkUnchanged(key)
      this.#txn.remove(key)
      this.#stage = 1
    }
    while (this.#stage <= this.indexes.length) {
      const index = this.indexes[this.#stage - 1]!
      const entry = index.entry(old, key)
      if (entry !== undefined) {
        if (index.meets) {
          const waiting = this.#lock(entry, 'update')
          if (waiting !== undefined) return waiting
        }
        this.#txn.remove(entry)
      }
      this.#stage++
    }
    this.#stage = 0
    if (this.#watched) this.#queue.deleted(this.writer, key, old)
    return undefined
  }
}
