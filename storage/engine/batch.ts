/**
 * A batch of writes in RocksDB's own serialized form, built in JavaScript.
 *
 *     u64 sequence (0, RocksDB fills it in) | u32 count | records
 *     record: u8 tag | [varint family] | varint length + stored key | varint length + value
 *             (a delete has no value, a range delete has the end key in its place)
 *
 * No call into native code is made for a put, and the same bytes are the write-ahead log's record, what is sent to a
 * replica, and what the engine in memory applies.
 */
import { type Key, key } from '../keys/brand.ts'
import { type Batch, COLUMN_FAMILIES, type ColumnFamily, EngineError } from './engine.ts'

const HEADER_BYTES = 12
const SUFFIX_BYTES = 8
const VARINT_BYTES_MAX = 5
const LOOP_COPY_MAX = 40 // shorter keys and values are copied by a loop: a native call costs more
const TWO_32 = 4294967296

const TAG_DELETE = 0x00
const TAG_PUT = 0x01
const TAG_FAMILY_DELETE = 0x04
const TAG_FAMILY_PUT = 0x05
const TAG_RANGE_DELETE = 0x0f

/** Families are numbered in RocksDB as in COLUMN_FAMILIES; `data` is 0, which needs no family in its records. */
export const familyNumber = (family: ColumnFamily): number => COLUMN_FAMILIES.indexOf(family)

/** The number of an unversioned family; versions live in `data` and nothing else may. */
export function rawFamily(family: ColumnFamily): number {
  const number = familyNumber(family)
  if (number <= 0) throw new EngineError('invalid', `the column family ${family} holds versions, not raw keys`)
  return number
}

export class WriteBatch implements Batch {
  #buffer: Buffer
  #length = HEADER_BYTES
  #count = 0
  #deletesRanges = false

  constructor(capacity = 256) {
    this.#buffer = Buffer.allocUnsafe(Math.max(capacity, HEADER_BYTES)).fill(0, 0, HEADER_BYTES)
  }

  get count(): number {
    return this.#count
  }
  get bytes(): number {
    return this.#length
  }
  /** The buffer whose first `bytes` bytes are the serialized batch. */
  get buffer(): Buffer {
    return this.#buffer
  }
  get deletesRanges(): boolean {
    return this.#deletesRanges
  }

  put(rowKey: Key, at: number, value: Uint8Array): void {
    if (value.length === 0) throw new EngineError('invalid', 'a version needs a value: an empty one is a deletion mark')
    this.#version(TAG_PUT, rowKey, at, value.length)
    this.#bytes(value)
    this.#added()
  }

  putBytes(from: Uint8Array, start: number, keyBytes: number, valueBytes: number, at: number): void {
    this.#reserve(keyBytes + valueBytes)
    this.#buffer[this.#length++] = TAG_PUT
    this.#varint(keyBytes + SUFFIX_BYTES)
    this.#copy(from, start, start + keyBytes)
    this.#suffix(at)
    this.#varint(valueBytes)
    this.#copy(from, start + keyBytes, start + keyBytes + valueBytes)
    this.#added()
  }

  remove(rowKey: Key, at: number): void {
    this.#version(TAG_PUT, rowKey, at, 0)
    this.#buffer[this.#length++] = 0
    this.#added()
  }

  purge(rowKey: Key, at: number): void {
    this.#version(TAG_DELETE, rowKey, at, 0)
    this.#added()
  }

  purgeRange(from: Key, to: Key): void {
    if (from >= to) return
    this.#reserve(from.length + to.length)
    this.#buffer[this.#length++] = TAG_RANGE_DELETE
    for (const end of [from, to]) {
      this.#varint(end.length + SUFFIX_BYTES)
      this.#text(end)
      this.#buffer.fill(0, this.#length, (this.#length += SUFFIX_BYTES))
    }
    this.#deletesRanges = true
    this.#added()
  }

  putRaw(family: ColumnFamily, rawKey: Key, value: Uint8Array): void {
    this.#raw(TAG_FAMILY_PUT, family, rawKey, value.length)
    this.#bytes(value)
    this.#added()
  }

  deleteRaw(family: ColumnFamily, rawKey: Key): void {
    this.#raw(TAG_FAMILY_DELETE, family, rawKey, 0)
    this.#added()
  }

  append(other: Batch): void {
    const from = asWriteBatch(other)
    const size = from.#length - HEADER_BYTES
    this.#reserve(size)
    from.#buffer.copy(this.#buffer, this.#length, HEADER_BYTES, from.#length)
    this.#length += size
    this.#deletesRanges ||= from.#deletesRanges
    this.#count += from.#count
    this.#buffer.writeUInt32LE(this.#count, 8)
  }

  serialize(): Uint8Array {
    return this.#buffer.subarray(0, this.#length)
  }

  clear(): void {
    this.#length = HEADER_BYTES
    this.#count = 0
    this.#deletesRanges = false
    this.#buffer.fill(0, 0, HEADER_BYTES)
  }

  /** tag, stored key of a version; leaves room for a value of `valueBytes` and its length. */
  #version(tag: number, rowKey: Key, at: number, valueBytes: number): void {
    this.#reserve(rowKey.length + valueBytes)
    this.#buffer[this.#length++] = tag
    this.#varint(rowKey.length + SUFFIX_BYTES)
    this.#text(rowKey)
    this.#suffix(at)
  }

  #suffix(at: number): void {
    const buffer = this.#buffer
    let o = this.#length
    const high = ~(at / TWO_32)
    const low = ~at
    buffer[o++] = high >>> 24
    buffer[o++] = high >>> 16
    buffer[o++] = high >>> 8
    buffer[o++] = high
    buffer[o++] = low >>> 24
    buffer[o++] = low >>> 16
    buffer[o++] = low >>> 8
    buffer[o++] = low
    this.#length = o
  }

  #raw(tag: number, family: ColumnFamily, rawKey: Key, valueBytes: number): void {
    const number = rawFamily(family)
    this.#reserve(rawKey.length + valueBytes)
    this.#buffer[this.#length++] = tag
    this.#varint(number)
    this.#varint(rawKey.length)
    this.#text(rawKey)
  }

  #added(): void {
    const n = ++this.#count
    const buffer = this.#buffer
    buffer[8] = n
    buffer[9] = n >>> 8
    buffer[10] = n >>> 16
    buffer[11] = n >>> 24
  }

  /** Room for one record whose keys and value have `payload` bytes together. */
  #reserve(payload: number): void {
    const needed = this.#length + payload + 1 + 4 * VARINT_BYTES_MAX + 2 * SUFFIX_BYTES
    if (needed <= this.#buffer.length) return
    const grown = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2))
    this.#buffer.copy(grown, 0, 0, this.#length)
    this.#buffer = grown
  }

  #varint(n: number): void {
    let rest = n
    while (rest > 127) {
      this.#buffer[this.#length++] = (rest & 127) | 128
      rest >>>= 7
    }
    this.#buffer[this.#length++] = rest
  }

  #bytes(value: Uint8Array): void {
    this.#varint(value.length)
    this.#copy(value, 0, value.length)
  }

  #copy(from: Uint8Array, start: number, end: number): void {
    const buffer = this.#buffer
    const o = this.#length
    const size = end - start
    if (size <= LOOP_COPY_MAX) for (let i = 0; i < size; i++) buffer[o + i] = from[start + i]!
    else buffer.set(size === from.length ? from : from.subarray(start, end), o)
    this.#length = o + size
  }

  #text(text: string): void {
    const buffer = this.#buffer
    const o = this.#length
    if (text.length <= LOOP_COPY_MAX) for (let i = 0; i < text.length; i++) buffer[o + i] = text.charCodeAt(i)
    else buffer.latin1Write(text, o)
    this.#length = o + text.length
  }

  /** A batch from serialized bytes (copied): what a replica received. Throws EngineError 'invalid' when malformed. */
  static from(bytes: Uint8Array): WriteBatch {
    const batch = new WriteBatch(bytes.length)
    batch.#buffer.set(bytes)
    batch.#length = bytes.length
    batch.#count = batch.#buffer.readUInt32LE(8)
    forEachOperation(bytes, (operation) => {
      batch.#deletesRanges ||= operation.kind === 'deleteRange'
    })
    batch.#buffer.fill(0, 0, 8)
    return batch
  }
}

export function asWriteBatch(batch: Batch): WriteBatch {
  if (batch instanceof WriteBatch) return batch
  throw new EngineError('invalid', 'the batch was not made by createBatch')
}

/** One record of a batch. Keys of family 0 (`data`) are stored keys: user key and version suffix (see splitStored). */
export type Operation =
  | { readonly kind: 'put'; readonly family: number; readonly key: Key; readonly value: Uint8Array }
  | { readonly kind: 'delete'; readonly family: number; readonly key: Key }
  | { readonly kind: 'deleteRange'; readonly family: number; readonly from: Key; readonly to: Key }

/** Decodes a serialized batch, in order. Throws EngineError 'invalid' when it is malformed or its count is wrong. */
export function forEachOperation(bytes: Uint8Array, visit: (operation: Operation) => void): void {
  const malformed = () => new EngineError('invalid', 'malformed write batch')
  if (bytes.length < HEADER_BYTES) throw malformed()
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  let at = HEADER_BYTES
  const varint = () => {
    let n = 0
    for (let shift = 0; shift < 35; shift += 7) {
      if (at >= buffer.length) throw malformed()
      const byte = buffer[at++]!
      n += (byte & 127) * 2 ** shift
      if (byte < 128) return n
    }
    throw malformed()
  }
  const slice = () => {
    const size = varint()
    if (at + size > buffer.length) throw malformed()
    return buffer.subarray(at, (at += size))
  }
  const text = () => key(slice().latin1Slice())
  const versioned = () => {
    const stored = text()
    if (stored.length < SUFFIX_BYTES) throw malformed()
    return stored
  }
  const raw = () => {
    const family = varint()
    if (family < 1 || family >= COLUMN_FAMILIES.length) throw malformed()
    return family
  }
  let count = 0
  for (; at < buffer.length; count++) {
    const tag = buffer[at++]
    if (tag === TAG_PUT) visit({ kind: 'put', family: 0, key: versioned(), value: slice() })
    else if (tag === TAG_DELETE) visit({ kind: 'delete', family: 0, key: versioned() })
    else if (tag === TAG_RANGE_DELETE) visit({ kind: 'deleteRange', family: 0, from: versioned(), to: versioned() })
    else if (tag === TAG_FAMILY_PUT) visit({ kind: 'put', family: raw(), key: text(), value: slice() })
    else if (tag === TAG_FAMILY_DELETE) visit({ kind: 'delete', family: raw(), key: text() })
    else throw malformed()
  }
  if (count !== buffer.readUInt32LE(8)) throw malformed()
}

/** User key and timestamp of a stored key. */
export function splitStored(stored: Key): { readonly user: Key; readonly timestamp: number } {
  const end = stored.length - SUFFIX_BYTES
  let high = 0
  let low = 0
  for (let i = 0; i < 4; i++) {
    high = (high << 8) | (~stored.charCodeAt(end + i) & 255)
    low = (low << 8) | (~stored.charCodeAt(end + 4 + i) & 255)
  }
  return { user: key(stored.slice(0, end)), timestamp: (high >>> 0) * TWO_32 + (low >>> 0) }
}
