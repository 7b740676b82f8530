/**
 * Rows that do not fit into work_mem go to temporary files and come back in the order they were written. A file is
 * unlinked as soon as it is open, so that none is left whatever happens; what an execution opened is closed at its end.
 *
 * A value is one tag byte and its content, self-describing, so that rows of any plan can be written without their types.
 */
import { randomUUID } from 'node:crypto'
import { closeSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Oid } from '../../storage/keys/brand.ts'
import { sqlError } from '../types/error.ts'
import {
  ArrayValue,
  BitString,
  Interval,
  Jsonb,
  type JsonNode,
  Numeric,
  RecordValue,
  type Row,
  SparseVector,
  TimeTz,
  type Value,
} from '../types/value.ts'
import { BATCH_ROWS, type Execution, type MutableRow, type RowBatch } from './operator.ts'

const TAG = {
  null: 0,
  false: 1,
  true: 2,
  int32: 3,
  float64: 4,
  bigint: 5,
  string: 6,
  bytes: 7,
  floats: 8,
  numeric: 9,
  timetz: 10,
  interval: 11,
  jsonb: 12,
  array: 13,
  record: 14,
  bits: 15,
  list: 16,
  map: 17,
  halves: 18,
  sparse: 19,
} as const // prettier-ignore
const SPECIALS = [undefined, 'NaN', 'Infinity', '-Infinity'] as const

/** What a Jsonb holds besides values. */
type Node = Value | JsonNode | readonly Node[]

class Encoder {
  buffer: Buffer = Buffer.allocUnsafe(1 << 12)
  length = 0
  reserve(bytes: number): void {
    if (this.length + bytes <= this.buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.buffer.length * 2, this.length + bytes))
    this.buffer.copy(larger, 0, 0, this.length)
    this.buffer = larger
  }
  tag(n: number): void {
    this.reserve(16)
    this.buffer[this.length++] = n
  }
  uint32(n: number): void {
    this.reserve(4)
    this.length = this.buffer.writeUInt32LE(n, this.length)
  }
  float64(n: number): void {
    this.reserve(8)
    this.length = this.buffer.writeDoubleLE(n, this.length)
  }
  text(s: string): void {
    this.reserve(4 + s.length * 3)
    const written = this.buffer.write(s, this.length + 4, 'utf8')
    this.buffer.writeUInt32LE(written, this.length)
    this.length += 4 + written
  }
  bytes(b: Uint8Array): void {
    this.uint32(b.byteLength)
    this.reserve(b.byteLength)
    this.buffer.set(b, this.length)
    this.length += b.byteLength
  }
  list(values: readonly Node[]): void {
    this.uint32(values.length)
    for (const value of values) this.value(value)
  }
  value(v: Node): void {
    if (v === null) this.tag(TAG.null)
    else if (typeof v === 'boolean') this.tag(v ? TAG.true : TAG.false)
    else if (typeof v === 'number') this.number(v)
    else if (typeof v === 'bigint') {
      this.tag(TAG.bigint)
      this.text(String(v))
    } else if (typeof v === 'string') {
      this.tag(TAG.string)
      this.text(v)
    } else this.object(v)
  }
  number(n: number): void {
    if ((n | 0) === n && !Object.is(n, -0)) {
      this.tag(TAG.int32)
      this.length = this.buffer.writeInt32LE(n, this.length)
    } else {
      this.tag(TAG.float64)
      this.length = this.buffer.writeDoubleLE(n, this.length)
    }
  }
  object(v: Exclude<Node, null | boolean | number | bigint | string>): void {
    if (v instanceof Numeric) {
      this.tag(TAG.numeric)
      this.value(v.digits)
      this.uint32(v.scale)
      this.tag(SPECIALS.indexOf(v.special))
    } else if (v instanceof Uint8Array) {
      this.tag(TAG.bytes)
      this.bytes(v)
    } else if (v instanceof Float32Array) {
      this.tag(TAG.floats)
      this.bytes(new Uint8Array(v.buffer, v.byteOffset, v.byteLength))
    } else if (v instanceof Uint16Array) {
      this.tag(TAG.halves)
      this.bytes(new Uint8Array(v.buffer, v.byteOffset, v.byteLength))
    } else if (v instanceof SparseVector) {
      this.tag(TAG.sparse)
      this.uint32(v.dimensions)
      this.bytes(new Uint8Array(v.indices.buffer, v.indices.byteOffset, v.indices.byteLength))
      this.bytes(new Uint8Array(v.values.buffer, v.values.byteOffset, v.values.byteLength))
    } else if (v instanceof TimeTz) {
      this.tag(TAG.timetz)
      this.float64(v.micros)
      this.float64(v.zoneSecondsWest)
    } else if (v instanceof Interval) {
      this.tag(TAG.interval)
      this.float64(v.months)
      this.float64(v.days)
      this.value(v.micros)
    } else if (v instanceof Jsonb) {
      this.tag(TAG.jsonb)
      this.value(v.root)
    } else if (v instanceof ArrayValue) {
      this.tag(TAG.array)
      this.list(v.elements)
      this.list(v.dimensions)
      this.list(v.lower)
    } else if (v instanceof RecordValue) {
      this.tag(TAG.record)
      this.list(v.values)
      this.list(v.types)
      this.value(v.names ?? null)
    } else if (v instanceof BitString) {
      this.tag(TAG.bits)
      this.bytes(v.bytes)
      this.uint32(v.length)
    } else if (v instanceof Map) {
      this.tag(TAG.map)
      this.uint32(v.size)
      for (const [name, value] of v) {
        this.text(name)
        this.value(value)
      }
    } else {
      this.tag(TAG.list)
      this.list(v as readonly Node[])
    }
  }
}

class Decoder {
  readonly #from: Buffer
  at: number
  constructor(from: Buffer, at: number) {
    this.#from = from
    this.at = at
  }
  uint32(): number {
    this.at += 4
    return this.#from.readUInt32LE(this.at - 4)
  }
  float64(): number {
    this.at += 8
    return this.#from.readDoubleLE(this.at - 8)
  }
  text(): string {
    const length = this.uint32()
    this.at += length
    return this.#from.toString('utf8', this.at - length, this.at)
  }
  /** A copy: the buffer is used again. */
  bytes(): Uint8Array {
    const length = this.uint32()
    this.at += length
    return new Uint8Array(this.#from.subarray(this.at - length, this.at))
  }
  list(): Value[] {
    return Array.from({ length: this.uint32() }, () => this.value() as Value)
  }
  value(): Node {
    switch (this.#from[this.at++]) {
      case TAG.null:
        return null
      case TAG.false:
        return false
      case TAG.true:
        return true
      case TAG.int32:
        this.at += 4
        return this.#from.readInt32LE(this.at - 4)
      case TAG.float64:
        return this.float64()
      case TAG.bigint:
        return BigInt(this.text())
      case TAG.string:
        return this.text()
      case TAG.bytes:
        return this.bytes()
      case TAG.floats:
        return new Float32Array(this.bytes().buffer as ArrayBuffer)
      case TAG.halves:
        return new Uint16Array(this.bytes().buffer as ArrayBuffer)
      case TAG.sparse:
        return new SparseVector(
          this.uint32(),
          new Int32Array(this.bytes().buffer as ArrayBuffer),
          new Float32Array(this.bytes().buffer as ArrayBuffer),
        )
      case TAG.numeric: {
        const digits = this.value() as bigint
        const scale = this.uint32()
        return new Numeric(BigInt(digits), scale, SPECIALS[this.#from[this.at++]!])
      }
      case TAG.timetz:
        return new TimeTz(this.float64(), this.float64())
      case TAG.interval:
        return new Interval(this.float64(), this.float64(), this.value() as number | bigint)
      case TAG.jsonb:
        return new Jsonb(this.value() as JsonNode)
      case TAG.array:
        return new ArrayValue(this.list(), this.list() as number[], this.list() as number[])
      case TAG.record: {
        const values = this.list()
        const types = this.list() as number[] as Oid[]
        const names = this.value() as unknown as readonly string[] | null
        return names === null ? new RecordValue(values, types) : new RecordValue(values, types, names)
      }
      case TAG.bits:
        return new BitString(this.bytes(), this.uint32())
      case TAG.map: {
        const map = new Map<string, JsonNode>()
        for (let left = this.uint32(); left > 0; left--) {
          const name = this.text()
          map.set(name, this.value() as JsonNode)
        }
        return map
      }
      default:
        return this.list()
    }
  }
}

const CHUNK_BYTES = 1 << 18
const OPEN = Symbol('temporary files')

const failed = (error: unknown, what: string) => {
  const { code, message } = error as NodeJS.ErrnoException
  return sqlError(
    code === 'ENOSPC' ? '53100' : '58030',
    `could not ${what} temporary file: ${code === 'ENOSPC' ? 'No space left on device' : message}`,
  )
}

/** Closes what an execution still has open. */
export function closeSpills(x: Execution): void {
  for (const file of (x.kept.get(OPEN) as Set<SpillFile> | undefined) ?? []) file.close()
}

/** Rows written once, then read any number of times. The file is made when the first chunk is full. */
export class SpillFile {
  rows = 0
  readonly #open: Set<SpillFile>
  readonly #encoder = new Encoder()
  #fd: number | undefined
  #written = 0
  constructor(x: Execution) {
    let open = x.kept.get(OPEN) as Set<SpillFile> | undefined
    if (open === undefined) x.kept.set(OPEN, (open = new Set()))
    this.#open = open
  }
  #create(): number {
    const path = join(tmpdir(), `alopex-${process.pid}-${randomUUID()}`)
    try {
      const fd = openSync(path, 'wx+', 0o600)
      unlinkSync(path)
      this.#open.add(this)
      return fd
    } catch (error) {
      throw failed(error, 'create')
    }
  }
  /** Each row: its length in bytes, then its values. */
  write(row: Row): void {
    const e = this.#encoder
    e.reserve(8)
    const start = e.length
    e.length += 4
    e.list(row)
    e.buffer.writeUInt32LE(e.length - start - 4, start)
    this.rows++
    if (e.length >= CHUNK_BYTES) this.#flush()
  }
  #flush(): void {
    const e = this.#encoder
    this.#fd ??= this.#create()
    try {
      for (let at = 0; at < e.length; ) at += writeSync(this.#fd, e.buffer, at, e.length - at, this.#written + at)
    } catch (error) {
      throw failed(error, 'write to')
    }
    this.#written += e.length
    e.length = 0
  }
  /** Up to `count` bytes from `position` on: from the file, or from what has not been written to it yet. */
  readInto(buffer: Buffer, at: number, count: number, position: number): number {
    const e = this.#encoder
    if (position >= this.#written)
      return e.buffer.copy(buffer, at, position - this.#written, Math.min(e.length, position - this.#written + count))
    try {
      return readSync(this.#fd!, buffer, at, Math.min(count, this.#written - position), position)
    } catch (error) {
      throw failed(error, 'read from')
    }
  }
  get bytes(): number {
    return this.#written + this.#encoder.length
  }
  /** A reader of its own; it sees what is written after it was made, too. */
  reader(): BatchReader {
    return new FileReader(this)
  }
  *read(): Generator<RowBatch, void, undefined> {
    const reader = this.reader()
    for (let batch = reader.next(); batch !== undefined; batch = reader.next()) yield batch
  }
  close(): void {
    if (this.#fd === undefined || !this.#open.delete(this)) return
    closeSync(this.#fd)
  }
}

/** Gives batch after batch; undefined when there is no more for now. */
export interface BatchReader {
  next(): RowBatch | undefined
}

class FileReader implements BatchReader {
  readonly #file: SpillFile
  #buffer: Buffer
  /** Unread bytes are [at, filled) of the buffer; the file has been read up to `position`. */
  #at = 0
  #filled = 0
  #position = 0
  constructor(file: SpillFile) {
    this.#file = file
    this.#buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, file.bytes + 64))
  }
  next(): RowBatch | undefined {
    const batch: RowBatch = []
    for (;;) {
      while (this.#filled - this.#at >= 4) {
        const size = this.#buffer.readUInt32LE(this.#at) + 4
        if (this.#filled - this.#at < size) break
        batch.push(new Decoder(this.#buffer, this.#at + 4).list())
        this.#at += size
        if (batch.length >= BATCH_ROWS) return batch
      }
      if (!this.#refill()) return batch.length > 0 ? batch : undefined
    }
  }
  #refill(): boolean {
    if (this.#position >= this.#file.bytes) return false
    this.#buffer.copyWithin(0, this.#at, this.#filled)
    this.#filled -= this.#at
    this.#at = 0
    const row = this.#filled >= 4 ? this.#buffer.readUInt32LE(0) + 4 : 0
    const needed = Math.max(row, Math.min(CHUNK_BYTES, this.#filled + this.#file.bytes - this.#position))
    if (needed > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(needed)
      this.#buffer.copy(larger, 0, 0, this.#filled)
      this.#buffer = larger
    }
    const count = this.#file.readInto(this.#buffer, this.#filled, this.#buffer.length - this.#filled, this.#position)
    this.#filled += count
    this.#position += count
    return count > 0
  }
}

/** Row by row over batches. */
export function* eachRow(batches: Iterable<RowBatch>): Generator<MutableRow, void, undefined> {
  for (const batch of batches) yield* batch
}
