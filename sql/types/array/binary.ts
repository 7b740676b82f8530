/**
 * The binary form of values inside values, as the wire has it: an array is its shape and its element's type, then every
 * element behind its length (-1 for NULL). https://www.postgresql.org/docs/15/protocol-overview.html (array_send)
 */
import { oid } from '../../../storage/keys/brand.ts'
import { sqlError } from '../error.ts'
import type { ByteWriter, Type, TypeContext } from '../type.ts'
import { ArrayValue, type Value } from '../value.ts'
import { checkBounds, EMPTY_ARRAY, itemCount, tooManyDimensions } from './shape.ts'

const insufficientData = () => sqlError('08P01', 'insufficient data left in message')

/** Steps through a message part; every read checks the end. */
export class BinaryReader {
  readonly from: Buffer
  readonly end: number
  at: number
  constructor(from: Buffer, start: number, end: number) {
    this.from = from
    this.at = start
    this.end = end
  }
  int32(): number {
    if (this.end - this.at < 4) throw insufficientData()
    this.at += 4
    return this.from.readInt32BE(this.at - 4)
  }
  uint32(): number {
    return this.int32() >>> 0
  }
}

/** One length-prefixed value. `what` names it in the error when the type reads fewer bytes than there are. */
export function receiveItem(reader: BinaryReader, type: Type, typmod: number, context: TypeContext): Value {
  const length = reader.int32()
  if (length === -1) {
    type.checkNull?.(context)
    return null
  }
  if (length < -1 || length > reader.end - reader.at) throw sqlError('22P03', 'insufficient data left in message')
  const start = reader.at
  reader.at += length
  return type.receive(reader.from, start, reader.at, typmod, context)
}

export function sendItem(type: Type, value: Value, to: ByteWriter, context: TypeContext): void {
  if (value === null) {
    to.int32(-1)
    return
  }
  const at = to.reserve(4)
  type.send(value, to, context)
  to.buffer.writeInt32BE(to.length - at - 4, at)
}

export function receiveArray(
  from: Buffer,
  start: number,
  end: number,
  element: Type,
  typmod: number,
  context: TypeContext,
): ArrayValue {
  const reader = new BinaryReader(from, start, end)
  const count = reader.int32()
  if (count < 0) throw sqlError('22P03', `invalid number of dimensions: ${count}`)
  if (count > 6) throw tooManyDimensions(count)
  const flags = reader.int32()
  if (flags !== 0 && flags !== 1) throw sqlError('22P03', 'invalid array flags')
  const sent = oid(reader.uint32())
  if (sent !== element.oid) {
    const name = (of: typeof sent) => context.names?.typeName(of) ?? (of === element.oid ? element.name : '???')
    throw sqlError(
      '42804',
      `binary data has array element type ${sent} (${name(sent)}) instead of expected ${element.oid} (${name(element.oid)})`,
    )
  }
  const dimensions: number[] = []
  const lower: number[] = []
  for (let i = 0; i < count; i++) {
    dimensions.push(reader.int32())
    lower.push(reader.int32())
  }
  const items = itemCount(dimensions)
  checkBounds(dimensions, lower)
  if (items === 0) return EMPTY_ARRAY
  // Every element takes at least its length: a count the message cannot hold must not allocate.
  if (items > (end - reader.at) / 4) throw insufficientData()
  const elements: Value[] = new Array(items)
  for (let i = 0; i < items; i++) elements[i] = receiveItem(reader, element, typmod, context)
  if (reader.at !== end) throw sqlError('22P03', 'incorrect binary data format')
  return new ArrayValue(elements, dimensions, lower)
}

export function sendArray(array: ArrayValue, element: Type, to: ByteWriter, context: TypeContext): void {
  to.int32(array.dimensions.length)
  to.int32(array.elements.includes(null) ? 1 : 0)
  to.uint32(element.oid)
  for (let i = 0; i < array.dimensions.length; i++) {
    to.int32(array.dimensions[i]!)
    to.int32(array.lower[i]!)
  }
  for (const value of array.elements) sendItem(element, value, to, context)
}
