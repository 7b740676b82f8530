/**
 * Tables from key values to dense numbers 0, 1, 2 … in order of first sight: what grouping, joining and deduplicating
 * keep their rows under. A key of several columns is encoded column by column: each column's value becomes its number in
 * that column, and two numbers are one number to the next table.
 *
 *     ('a', 7)   'a' -> 0, 7 -> 3   (0, 3) -> 12
 *
 * Integers take an open-addressed table of doubles (about 10 ns while it fits in the cache), the rest a Map.
 */
import type { Oid } from '../../storage/keys/brand.ts'
import type { Catalog } from '../catalog/catalog.ts'
import { sqlError } from '../types/error.ts'
import { OID } from '../types/oids.ts'
import type { Type } from '../types/type.ts'
import type { Row, Value } from '../types/value.ts'

export type HashKey = NonNullable<Type['hashKey']>

const INTEGERS: ReadonlySet<Oid> = new Set([OID.int2, OID.int4, OID.int8, OID.oid])
const STRINGS: ReadonlySet<Oid> = new Set([OID.text, OID.varchar, OID.name])
const FLOATS: ReadonlySet<Oid> = new Set([OID.float4, OID.float8])
/** Numbers without fractions, and strings whose value is their key. */
const WHOLE: ReadonlySet<Oid> = new Set([
  ...INTEGERS,
  OID.date,
  OID.time,
  OID.timestamp,
  OID.timestamptz,
  OID.regclass,
  OID.regtype,
  OID.regproc,
])
const IDENTICAL: ReadonlySet<Oid> = new Set([...WHOLE, ...STRINGS, ...FLOATS, OID.bool, OID.uuid])

export function hashKeyOf(type: Type): HashKey {
  if (type.hashKey === undefined)
    throw sqlError('42883', `could not identify an equality operator for type ${type.name}`)
  return type.hashKey
}

/** One hash for values of two types that an equality operator compares; undefined: their hashes do not agree. */
export function sameHash(catalog: Catalog, left: Oid, right: Oid): HashKey | undefined {
  const both = (family: ReadonlySet<Oid>) => family.has(left) && family.has(right)
  if (left === right || both(INTEGERS) || both(STRINGS) || both(FLOATS)) return catalog.type(left).hashKey
  return undefined
}

/** Distinct non-NULL whole numbers to dense ones: open addressing, linear probing, at most half full. */
class NumberTable {
  size = 0
  /** Key and number of each slot, side by side in the same order; number -1 is an empty slot. */
  #keys = new Float64Array(32)
  #ids = new Int32Array(32).fill(-1)
  #mask = 31

  static hash(key: number): number {
    let h = key | 0
    if (h !== key) h ^= Math.imul((key / 4294967296) | 0, 0x9e3779b1)
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
    return h ^ (h >>> 13)
  }
  find(key: number): number {
    const ids = this.#ids
    const keys = this.#keys
    const mask = this.#mask
    for (let slot = NumberTable.hash(key) & mask; ; slot = (slot + 1) & mask) {
      const id = ids[slot]!
      if (id < 0 || keys[slot] === key) return id
    }
  }
  add(key: number): number {
    const mask = this.#mask
    let slot = NumberTable.hash(key) & mask
    for (; ; slot = (slot + 1) & mask) {
      const id = this.#ids[slot]!
      if (id < 0) break
      if (this.#keys[slot] === key) return id
    }
    const id = this.size++
    this.#keys[slot] = key
    this.#ids[slot] = id
    if (this.size * 2 > this.#ids.length) this.#grow()
    return id
  }
  #grow(): void {
    const oldKeys = this.#keys
    const oldIds = this.#ids
    const length = oldIds.length * 4
    const mask = length - 1
    const keys = new Float64Array(length)
    const ids = new Int32Array(length).fill(-1)
    for (let old = 0; old < oldIds.length; old++) {
      const id = oldIds[old]!
      if (id < 0) continue
      let slot = NumberTable.hash(oldKeys[old]!) & mask
      while (ids[slot]! >= 0) slot = (slot + 1) & mask
      keys[slot] = oldKeys[old]!
      ids[slot] = id
    }
    this.#keys = keys
    this.#ids = ids
    this.#mask = mask
  }
}

/** One column's values to dense numbers; NULL is a value like others. */
interface ColumnTable {
  readonly size: number
  /** -1 when it is not there. */
  find(value: Value): number
  add(value: Value): number
}

/** Whole numbers; NULL and the rare bigint stand in a Map. Numbers of both are dense together. */
class WholeColumn implements ColumnTable {
  readonly #numbers = new NumberTable()
  readonly #others = new Map<Value, number>()
  /** Numbers in the number table to numbers of this column, once they differ. */
  #ids: number[] | undefined
  get size(): number {
    return this.#numbers.size + this.#others.size
  }
  find(value: Value): number {
    if (typeof value === 'number') {
      const at = this.#numbers.find(value)
      return at < 0 || this.#ids === undefined ? at : this.#ids[at]!
    }
    return this.#others.get(value) ?? -1
  }
  add(value: Value): number {
    if (typeof value === 'number') {
      const before = this.#numbers.size
      const at = this.#numbers.add(value)
      if (this.#ids === undefined) return at
      if (at === before) this.#ids.push(before + this.#others.size)
      return this.#ids[at]!
    }
    const found = this.#others.get(value)
    if (found !== undefined) return found
    this.#ids ??= Array.from({ length: this.#numbers.size }, (_, i) => i)
    const id = this.size
    this.#others.set(value, id)
    return id
  }
}

class MapColumn implements ColumnTable {
  readonly #map = new Map<Value, number>()
  readonly #hashKey: HashKey | undefined
  constructor(hashKey: HashKey | undefined) {
    this.#hashKey = hashKey
  }
  get size(): number {
    return this.#map.size
  }
  #key(value: Value): Value {
    return this.#hashKey === undefined || value === null ? value : this.#hashKey(value)
  }
  find(value: Value): number {
    return this.#map.get(this.#key(value)) ?? -1
  }
  add(value: Value): number {
    const key = this.#key(value)
    const found = this.#map.get(key)
    if (found !== undefined) return found
    const id = this.#map.size
    this.#map.set(key, id)
    return id
  }
}

const columnTable = (catalog: Catalog, type: Oid): ColumnTable => {
  if (WHOLE.has(type)) return new WholeColumn()
  if (IDENTICAL.has(type)) return new MapColumn(undefined)
  return new MapColumn(hashKeyOf(catalog.type(type)))
}

/** Numbers of one column stay below this, so that two make a safe integer. */
const PAIR = 0x800_0000

export interface KeyTable {
  /** Number of keys. */
  readonly size: number
  find(key: Row): number
  add(key: Row): number
  /** For keys of one column. */
  findOne(value: Value): number
  addOne(value: Value): number
}

class OneKey implements KeyTable {
  readonly #column: ColumnTable
  constructor(column: ColumnTable) {
    this.#column = column
  }
  get size(): number {
    return this.#column.size
  }
  find(key: Row): number {
    return this.#column.find(key[0]!)
  }
  add(key: Row): number {
    return this.#column.add(key[0]!)
  }
  findOne(value: Value): number {
    return this.#column.find(value)
  }
  addOne(value: Value): number {
    return this.#column.add(value)
  }
}

class ManyKeys implements KeyTable {
  readonly #columns: readonly ColumnTable[]
  readonly #pairs: readonly NumberTable[]
  constructor(columns: readonly ColumnTable[]) {
    this.#columns = columns
    this.#pairs = columns.slice(1).map(() => new NumberTable())
  }
  get size(): number {
    return this.#pairs[this.#pairs.length - 1]!.size
  }
  find(key: Row): number {
    let id = this.#columns[0]!.find(key[0]!)
    for (let i = 1; i < this.#columns.length && id >= 0; i++) {
      const next = this.#columns[i]!.find(key[i]!)
      id = next < 0 ? -1 : this.#pairs[i - 1]!.find(id * PAIR + next)
    }
    return id
  }
  add(key: Row): number {
    let id = this.#columns[0]!.add(key[0]!)
    for (let i = 1; i < this.#columns.length; i++)
      id = this.#pairs[i - 1]!.add(id * PAIR + this.#columns[i]!.add(key[i]!))
    return id
  }
  findOne(value: Value): number {
    return this.find([value])
  }
  addOne(value: Value): number {
    return this.add([value])
  }
}

class NoKey implements KeyTable {
  size = 0
  find(): number {
    return this.size - 1
  }
  add(): number {
    this.size = 1
    return 0
  }
  findOne(): number {
    return this.find()
  }
  addOne(): number {
    return this.add()
  }
}

/** An empty table for keys of these types. Throws 42883 for a type without equality. */
export function keyTable(catalog: Catalog, types: readonly Oid[]): KeyTable {
  if (types.length === 0) return new NoKey()
  const columns = types.map((type) => columnTable(catalog, type))
  return columns.length === 1 ? new OneKey(columns[0]!) : new ManyKeys(columns)
}
