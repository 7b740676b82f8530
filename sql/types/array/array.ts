/**
 * Arrays: one `Type` made from an element's `Type`. Everything an array can do (read, print, order, hash, lie in rows and
 * keys) it does by asking its element; the element's lacks (json has no order) are the array's lacks.
 *
 *     order    elements one by one (NULL last), then fewer elements, fewer dimensions, dimensions, lower bounds
 *     key      (2 element | 3)* 0 then the shape: the same order in bytes
 *     row      shape byte, [dimensions], [lower bounds], [null bitmap], elements
 */
import { type Oid, oid } from '../../../storage/keys/brand.ts'
import { install, installAggregates } from '../function.ts'
import { builtinTypes, registerTypes } from '../registry.ts'
import type { ByteWriter, KeyEncoder, Type } from '../type.ts'
import { ArrayValue, type Value } from '../value.ts'
import { ARRAY_AGGREGATES } from './aggregates.ts'
import { receiveArray, sendArray } from './binary.ts'
import { ARRAY_FUNCTIONS } from './functions.ts'
import { compareArrays } from './order.ts'
import { EMPTY_ARRAY } from './shape.ts'
import { readStored, type StoredReader, writeStored } from './stored.ts'
import { parseArray, printArray } from './text.ts'

/** Each part with its length before it, so that no two lists of parts run together. */
function hashArray(array: ArrayValue, hash: (value: Value) => unknown): string {
  let key = `${array.dimensions.join()}:${array.lower.join()}:`
  for (const value of array.elements) {
    if (value === null) {
      key += 'n'
      continue
    }
    const part = String(hash(value))
    key += `${part.length}.${part}`
  }
  return key
}

const KEY_END = 0
const KEY_VALUE = 2
const KEY_NULL = 3

function encodeArray(array: ArrayValue, encode: (value: Value, to: KeyEncoder) => void, to: KeyEncoder): void {
  for (const value of array.elements) {
    if (value === null) {
      to.byte(KEY_NULL)
      continue
    }
    to.byte(KEY_VALUE)
    encode(value, to)
  }
  to.byte(KEY_END)
  to.byte(array.dimensions.length)
  for (const length of array.dimensions) to.int32(length)
  for (const low of array.lower) to.int32(low)
}

const HAS_LOWER = 8
const HAS_NULLS = 16

function writeArray(array: ArrayValue, element: Type, to: ByteWriter): void {
  const { elements, dimensions, lower } = array
  const hasLower = lower.some((low) => low !== 1)
  const hasNulls = elements.includes(null)
  to.uint8(dimensions.length | (hasLower ? HAS_LOWER : 0) | (hasNulls ? HAS_NULLS : 0))
  for (const length of dimensions) to.uint32(length)
  if (hasLower) for (const low of lower) to.int32(low)
  if (hasNulls) {
    for (let i = 0; i < elements.length; i += 8) {
      let bits = 0
      for (let j = 0; j < 8 && i + j < elements.length; j++) if (elements[i + j] === null) bits |= 1 << j
      to.uint8(bits)
    }
  }
  for (const value of elements) if (value !== null) writeStored(element, value, to)
}

function readArray(from: Buffer, start: number, element: Type): ArrayValue {
  const header = from[start]!
  const count = header & 7
  if (count === 0) return EMPTY_ARRAY
  const reader: StoredReader = { from, at: start + 1 }
  const dimensions: number[] = []
  let items = 1
  for (let i = 0; i < count; i++, reader.at += 4) {
    const length = from.readUInt32BE(reader.at)
    dimensions.push(length)
    items *= length
  }
  const lower: number[] = []
  for (let i = 0; i < count; i++) {
    if (header & HAS_LOWER) {
      lower.push(from.readInt32BE(reader.at))
      reader.at += 4
    } else {
      lower.push(1)
    }
  }
  const elements: Value[] = new Array(items)
  if (header & HAS_NULLS) {
    const bitmap = reader.at
    reader.at += (items + 7) >> 3
    for (let i = 0; i < items; i++)
      elements[i] = from[bitmap + (i >> 3)]! & (1 << (i & 7)) ? null : readStored(element, reader)
  } else {
    for (let i = 0; i < items; i++) elements[i] = readStored(element, reader)
  }
  return new ArrayValue(elements, dimensions, lower)
}

/** The true array type of an element type: `_int4` of `int4`. A typmod given to it is its element's. */
export function arrayType(element: Type, arrayOid: Oid, name: string): Type {
  const { compare, hashKey, encodeKey } = element
  return {
    oid: arrayOid,
    name,
    elementOid: element.oid,
    delimiter: element.delimiter,
    input: (text, typmod, context) =>
      parseArray(
        text,
        element.delimiter,
        (word) => element.input(word, typmod, context),
        element.checkNull && (() => element.checkNull!(context)),
      ),
    output: (value, context) =>
      printArray(value as ArrayValue, element.delimiter, (item) => element.output(item, context)),
    receive: (from, start, end, typmod, context) => receiveArray(from, start, end, element, typmod, context),
    send: (value, to, context) => sendArray(value as ArrayValue, element, to, context),
    storage: {
      kind: 'bytes',
      write: (value, to) => writeArray(value as ArrayValue, element, to),
      read: (from, start) => readArray(from, start, element),
    },
    ...(compare && { compare: (a: Value, b: Value) => compareArrays(a as ArrayValue, b as ArrayValue, compare) }),
    ...(hashKey && { hashKey: (value: Value) => hashArray(value as ArrayValue, hashKey) }),
    ...(encodeKey && {
      encodeKey: (value: Value, to: KeyEncoder) => encodeArray(value as ArrayValue, encodeKey, to),
    }),
    ...(element.typmodIn && { typmodIn: element.typmodIn }),
    ...(element.typmodOut && { typmodOut: element.typmodOut }),
  }
}

/** pg_type.typarray of the built-in types: [element, array]. */
const ARRAY_OIDS: readonly (readonly [number, number])[] = [
  [16, 1000],
  [17, 1001],
  [18, 1002],
  [19, 1003],
  [20, 1016],
  [21, 1005],
  [22, 1006],
  [23, 1007],
  [24, 1008],
  [25, 1009],
  [26, 1028],
  [27, 1010],
  [28, 1011],
  [29, 1012],
  [30, 1013],
  [114, 199],
  [142, 143],
  [600, 1017],
  [601, 1018],
  [602, 1019],
  [603, 1020],
  [604, 1027],
  [628, 629],
  [650, 651],
  [700, 1021],
  [701, 1022],
  [718, 719],
  [774, 775],
  [790, 791],
  [829, 1040],
  [869, 1041],
  [1033, 1034],
  [1042, 1014],
  [1043, 1015],
  [1082, 1182],
  [1083, 1183],
  [1114, 1115],
  [1184, 1185],
  [1186, 1187],
  [1266, 1270],
  [1560, 1561],
  [1562, 1563],
  [1700, 1231],
  [1790, 2201],
  [2202, 2207],
  [2203, 2208],
  [2204, 2209],
  [2205, 2210],
  [2206, 2211],
  [2249, 2287],
  [2275, 1263],
  [2950, 2951],
  [2970, 2949],
  [3220, 3221],
  [3614, 3643],
  [3615, 3645],
  [3642, 3644],
  [3734, 3735],
  [3769, 3770],
  [3802, 3807],
  [3904, 3905],
  [3906, 3907],
  [3908, 3909],
  [3910, 3911],
  [3912, 3913],
  [3926, 3927],
  [4072, 4073],
  [4089, 4090],
  [4096, 4097],
  [4191, 4192],
  [4451, 6150],
  [4532, 6151],
  [4533, 6152],
  [4534, 6153],
  [4535, 6155],
  [4536, 6157],
  [5038, 5039],
  [5069, 271],
  [16001, 16002],
  [16005, 16006],
  [16007, 16008],
]

/** Installs the functions, and an array type for each built-in type that is registered: call it after the other families. */
export function registerArrays(): void {
  install(ARRAY_FUNCTIONS)
  installAggregates(ARRAY_AGGREGATES)
  for (const [element, array] of ARRAY_OIDS) {
    const type = builtinTypes.get(oid(element))
    if (type) registerTypes([arrayType(type, oid(array), `_${type.name}`)])
  }
}
