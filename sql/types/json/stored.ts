/**
 * jsonb in a row: a tag byte a value, then what it needs. Lengths and counts are variable-length integers; a number is
 * its scale and its digits as a signed big-endian integer, with a short form for small ones.
 *
 *     0 null   1 false   2 true   3 string len utf8   4 int32   5 decimal scale len bytes   6 array n …   7 object n (key …)*
 */
import type { ByteWriter } from '../type.ts'
import { type JsonNode, Numeric } from '../value.ts'
import { isArray } from './node.ts'

const NULL = 0
const FALSE = 1
const TRUE = 2
const STRING = 3
const INT32 = 4
const DECIMAL = 5
const ARRAY = 6
const OBJECT = 7

function writeCount(n: number, to: ByteWriter): void {
  let rest = n
  while (rest >= 128) {
    to.uint8((rest & 127) | 128)
    rest >>>= 7
  }
  to.uint8(rest)
}

function writeText(text: string, to: ByteWriter): void {
  writeCount(Buffer.byteLength(text), to)
  to.text(text)
}

/** The shortest big-endian two's complement of `n`. */
function signedBytes(n: bigint): Buffer {
  const bits = (n < 0n ? -n - 1n : n).toString(2).length + 1
  const length = Math.ceil(bits / 8)
  const hex = BigInt.asUintN(length * 8, n)
    .toString(16)
    .padStart(length * 2, '0')
  return Buffer.from(hex, 'hex')
}

export function writeNode(node: JsonNode, to: ByteWriter): void {
  if (node === null) {
    to.uint8(NULL)
  } else if (typeof node === 'boolean') {
    to.uint8(node ? TRUE : FALSE)
  } else if (typeof node === 'string') {
    to.uint8(STRING)
    writeText(node, to)
  } else if (node instanceof Numeric) {
    if (node.scale === 0 && node.digits >= -0x8000_0000n && node.digits <= 0x7fff_ffffn) {
      to.uint8(INT32)
      to.int32(Number(node.digits))
      return
    }
    const bytes = signedBytes(node.digits)
    to.uint8(DECIMAL)
    writeCount(node.scale, to)
    writeCount(bytes.length, to)
    to.bytes(bytes)
  } else if (isArray(node)) {
    to.uint8(ARRAY)
    writeCount(node.length, to)
    for (const item of node) writeNode(item, to)
  } else {
    to.uint8(OBJECT)
    writeCount(node.size, to)
    for (const [key, value] of node) {
      writeText(key, to)
      writeNode(value, to)
    }
  }
}

class NodeReader {
  readonly #from: Buffer
  #at: number
  constructor(from: Buffer, start: number) {
    this.#from = from
    this.#at = start
  }

  #count(): number {
    let n = 0
    for (let shift = 0; ; shift += 7) {
      const byte = this.#from[this.#at++]!
      n |= (byte & 127) << shift
      if (byte < 128) return n >>> 0
    }
  }

  #text(): string {
    const length = this.#count()
    this.#at += length
    return this.#from.toString('utf8', this.#at - length, this.#at)
  }

  read(): JsonNode {
    switch (this.#from[this.#at++]) {
      case NULL:
        return null
      case FALSE:
        return false
      case TRUE:
        return true
      case STRING:
        return this.#text()
      case INT32:
        this.#at += 4
        return new Numeric(BigInt(this.#from.readInt32BE(this.#at - 4)), 0)
      case DECIMAL: {
        const scale = this.#count()
        const length = this.#count()
        this.#at += length
        const hex = this.#from.toString('hex', this.#at - length, this.#at)
        return new Numeric(BigInt.asIntN(length * 8, BigInt(`0x${hex}`)), scale)
      }
      case ARRAY: {
        const items: JsonNode[] = new Array(this.#count())
        for (let i = 0; i < items.length; i++) items[i] = this.read()
        return items
      }
      default: {
        const object = new Map<string, JsonNode>()
        for (let left = this.#count(); left > 0; left--) {
          const key = this.#text()
          object.set(key, this.read())
        }
        return object
      }
    }
  }
}

export const readNode = (from: Buffer, start: number): JsonNode => new NodeReader(from, start).read()
