/**
 * int2vector and oidvector: the catalog's small arrays, one-dimensional from index 0, written as numbers between blanks.
 */
import { type Oid, oid } from '../../../storage/keys/brand.ts'
import { sqlError } from '../error.ts'
import { type FunctionTable, scalar } from '../function.ts'
import { parseInteger } from '../number/int.ts'
import { wrongBinaryLength } from '../number/integer.ts'
import type { ByteWriter, KeyEncoder, Type } from '../type.ts'
import { ArrayValue, type Value } from '../value.ts'
import { comparedBy, comparisons } from './comparison.ts'
import { parseOid } from './identifiers.ts'

export const vectorOf = (numbers: readonly number[]): ArrayValue =>
  numbers.length === 0 ? new ArrayValue([], [], []) : new ArrayValue(numbers, [numbers.length], [0])

const numbersOf = (value: Value): readonly number[] => (value as ArrayValue).elements as readonly number[]

/** By length first, then element by element. */
function compareVectors(a: Value, b: Value): number {
  const x = numbersOf(a)
  const y = numbersOf(b)
  if (x.length !== y.length) return x.length - y.length
  for (let i = 0; i < x.length; i++) if (x[i] !== y[i]) return x[i]! - y[i]!
  return 0
}

interface Element {
  readonly bytes: 2 | 4
  readonly oid: Oid
  parse(text: string): number
  write(to: ByteWriter, n: number): void
  read(from: Buffer, at: number): number
  key(to: KeyEncoder, n: number): void
}

const INT2: Element = {
  bytes: 2,
  oid: oid(21),
  parse: (text) => parseInteger(text, 'smallint', -32768n, 32767n) as number,
  write: (to, n) => to.int16(n),
  read: (from, at) => from.readInt16BE(at),
  key: (to, n) => to.int16(n),
}
const OID: Element = {
  bytes: 4,
  oid: oid(26),
  parse: parseOid,
  write: (to, n) => to.uint32(n),
  read: (from, at) => from.readUInt32BE(at),
  key: (to, n) => to.uint32(n),
}

/** The array type's binary form: dimensions, null flag, element type, length, lower bound, elements. */
function receive(element: Element, from: Buffer, start: number, end: number): ArrayValue {
  if (end - start < 12) throw sqlError('08P01', 'insufficient data left in message')
  const dimensions = from.readInt32BE(start)
  if (dimensions > 1 || from.readInt32BE(start + 8) !== element.oid) throw sqlError('22P03', 'invalid vector data')
  if (dimensions === 0) return vectorOf([])
  if (end - start < 20) throw sqlError('08P01', 'insufficient data left in message')
  const count = from.readInt32BE(start + 12)
  if (end - start !== 20 + count * (4 + element.bytes)) throw wrongBinaryLength()
  const numbers: number[] = []
  for (let at = start + 24; at < end; at += 4 + element.bytes) numbers.push(element.read(from, at))
  return vectorOf(numbers)
}

function vectorType(typeOid: number, name: string, element: Element): Type {
  return {
    oid: oid(typeOid),
    name,
    elementOid: oid(0),
    delimiter: ',',
    input: (text) => vectorOf((text.match(/[^ \t\n\v\f\r]+/g) ?? []).map((part) => element.parse(part))),
    output: (value) => numbersOf(value).join(' '),
    receive: (from, start, end) => receive(element, from, start, end),
    send(value, to) {
      const numbers = numbersOf(value)
      to.int32(1)
      to.int32(0)
      to.uint32(element.oid)
      to.int32(numbers.length)
      to.int32(0)
      for (const n of numbers) {
        to.int32(element.bytes)
        element.write(to, n)
      }
    },
    compare: compareVectors,
    hashKey: (value) => numbersOf(value).join(' '),
    storage: {
      kind: 'bytes',
      write(value, to) {
        for (const n of numbersOf(value)) element.write(to, n)
      },
      read(from, start, end) {
        const numbers: number[] = []
        for (let at = start; at < end; at += element.bytes) numbers.push(element.read(from, at))
        return vectorOf(numbers)
      },
    },
    encodeKey(value, to) {
      const numbers = numbersOf(value)
      to.int32(numbers.length)
      for (const n of numbers) element.key(to, n)
    },
  }
}

export const VECTOR_TYPES: readonly Type[] = [vectorType(22, 'int2vector', INT2), vectorType(30, 'oidvector', OID)]

export const VECTOR_FUNCTIONS: FunctionTable = {
  ...comparisons((op) => `oidvector${op}`, comparedBy(compareVectors)),
  btoidvectorcmp: scalar(compareVectors),
}
