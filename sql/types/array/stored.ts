/**
 * A value inside another value's stored bytes, written and read as its type's row storage says: numbers in their fixed
 * width, text and bytes behind a 32-bit length. Arrays and records lie in rows by this.
 */
import { readInt64 } from '../bytes.ts'
import type { ByteWriter, RowStorage, Type } from '../type.ts'
import type { Value } from '../value.ts'

const INT32_MIN = -0x8000_0000
const INT32_MAX = 0x7fff_ffff
const INT64_MIN = -(1n << 63n)
const INT64_MAX = (1n << 63n) - 1n

export function writeStored(type: Type, value: Value, to: ByteWriter): void {
  const storage = type.storage
  switch (storage.kind) {
    case 'bool':
      to.uint8(value ? 1 : 0)
      break
    case 'int16':
      to.int16(value as number)
      break
    case 'int32':
      to.int32(value as number)
      break
    case 'uint32':
      to.uint32(value as number)
      break
    case 'int64':
      to.int64(value as number | bigint)
      break
    case 'float32':
      to.float32(value as number)
      break
    case 'float64':
      to.float64(value as number)
      break
    case 'date':
      to.int32(value === Infinity ? INT32_MAX : value === -Infinity ? INT32_MIN : (value as number))
      break
    case 'timestamp':
      to.int64(value === Infinity ? INT64_MAX : value === -Infinity ? INT64_MIN : (value as number | bigint))
      break
    case 'text': {
      const at = to.reserve(4)
      to.text(value as string)
      to.buffer.writeUInt32BE(to.length - at - 4, at)
      break
    }
    case 'bytes': {
      const at = to.reserve(4)
      storage.write(value, to)
      to.buffer.writeUInt32BE(to.length - at - 4, at)
      break
    }
  }
}

/** Bytes of the fixed widths; what is not here lies behind its length. */
const WIDTHS: Partial<Record<RowStorage['kind'], number>> = {
  bool: 1,
  int16: 2,
  int32: 4,
  uint32: 4,
  float32: 4,
  date: 4,
  int64: 8,
  float64: 8,
  timestamp: 8,
}

/** Steps over a value of which only the way it lies is known. */
export function skipStored(kind: RowStorage['kind'], reader: StoredReader): void {
  reader.at += WIDTHS[kind] ?? 4 + reader.from.readUInt32BE(reader.at)
}

/** Reads values one after the other; `at` is the next one's place. */
export interface StoredReader {
  readonly from: Buffer
  at: number
}

export function readStored(type: Type, reader: StoredReader): Value {
  const { from, at } = reader
  const storage = type.storage
  switch (storage.kind) {
    case 'bool':
      reader.at = at + 1
      return from[at] !== 0
    case 'int16':
      reader.at = at + 2
      return from.readInt16BE(at)
    case 'int32':
      reader.at = at + 4
      return from.readInt32BE(at)
    case 'uint32':
      reader.at = at + 4
      return from.readUInt32BE(at)
    case 'int64':
      reader.at = at + 8
      return readInt64(from, at)
    case 'float32':
      reader.at = at + 4
      return from.readFloatBE(at)
    case 'float64':
      reader.at = at + 8
      return from.readDoubleBE(at)
    case 'date': {
      reader.at = at + 4
      const days = from.readInt32BE(at)
      return days === INT32_MAX ? Infinity : days === INT32_MIN ? -Infinity : days
    }
    case 'timestamp': {
      reader.at = at + 8
      const micros = readInt64(from, at)
      return micros === INT64_MAX ? Infinity : micros === INT64_MIN ? -Infinity : micros
    }
    case 'text': {
      const end = at + 4 + from.readUInt32BE(at)
      reader.at = end
      return from.toString('utf8', at + 4, end)
    }
    case 'bytes': {
      const end = at + 4 + from.readUInt32BE(at)
      reader.at = end
      return storage.read(from, at + 4, end)
    }
  }
}
