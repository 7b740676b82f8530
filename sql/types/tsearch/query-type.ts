/**
 * tsquery: what is asked of a document. Text `'fat' & !'cat':*A`, binary as PostgreSQL's (prefix order, right operand first).
 * Equality looks at lexemes and operators; weights and prefixes do not count, as in PostgreSQL.
 * https://www.postgresql.org/docs/15/datatype-textsearch.html
 */
import { oid } from '../../../storage/keys/brand.ts'
import { createByteWriter } from '../bytes.ts'
import { sqlError } from '../error.ts'
import type { CallContext } from '../function.ts'
import type { ByteWriter, KeyEncoder, Type, TypeContext } from '../type.ts'
import { TsQuery, type TsQueryNode } from '../value.ts'
import { LEXEME_BYTES_LIMIT, TSQUERY, VECTOR_BYTES_MAX } from './lexeme-reader.ts'
import { lexemeOperand, readQuery } from './query-reader.ts'
import {
  checkDepth,
  compareQueries,
  countNodes,
  EMPTY_QUERY,
  eachNode,
  lexemeCrc,
  OPERATOR_NUMBERS,
  printQuery,
  querySizes,
} from './query-tree.ts'
import { byteLength, receiveCString } from './vector-type.ts'

const LEXEME = 1
const OPERATOR = 2
const COUNT_MAX = 0x3fff_ffff / 12

function sendQuery(q: TsQuery, to: ByteWriter): void {
  to.int32(countNodes(q))
  eachNode(q.root, (node) => {
    if (node.kind === 'lexeme') {
      to.uint8(LEXEME)
      to.uint8(node.weights)
      to.uint8(node.prefix ? 1 : 0)
      to.text(node.text)
      to.uint8(0)
    } else {
      to.uint8(OPERATOR)
      to.uint8(OPERATOR_NUMBERS[node.kind])
      if (node.kind === 'phrase') to.int16(node.distance)
    }
  })
}

const invalid = (what: string) => sqlError('XX000', `invalid tsquery: ${what}`)

class QueryReceiver {
  readonly #from: Buffer
  readonly #end: number
  #at: number
  #left: number
  #bytes = 0

  constructor(from: Buffer, start: number, end: number) {
    this.#from = from
    this.#at = start
    this.#end = end
    this.#left = this.#number(4)
    if (this.#left < 0 || this.#left > COUNT_MAX) throw sqlError('XX000', 'invalid size of tsquery')
  }

  #number(bytes: 1 | 2 | 4): number {
    if (this.#end - this.#at < bytes) throw sqlError('08P01', 'insufficient data left in message')
    const at = this.#at
    this.#at += bytes
    return bytes === 4 ? this.#from.readInt32BE(at) : bytes === 2 ? this.#from.readUInt16BE(at) : this.#from[at]!
  }

  #node(depth: number): TsQueryNode {
    checkDepth(depth)
    if (this.#left-- <= 0) throw sqlError('XX000', 'malformed tsquery: operand not found')
    const type = this.#number(1)
    if (type === LEXEME) {
      const weights = this.#number(1)
      const prefix = this.#number(1) !== 0
      const word = receiveCString(this.#from, this.#at, this.#end)
      this.#at = word.next
      if (weights > 15) throw invalid('invalid weight bitmap')
      if (byteLength(word.text) > LEXEME_BYTES_LIMIT) throw invalid('operand too long')
      if (this.#bytes > VECTOR_BYTES_MAX) throw invalid('total operand length exceeded')
      this.#bytes += byteLength(word.text) + 1
      return { kind: 'lexeme', text: word.text, weights, prefix }
    }
    if (type !== OPERATOR) throw sqlError('XX000', `unrecognized tsquery node type: ${type}`)
    const number = this.#number(1)
    if (number < 1 || number > 4) throw invalid(`unrecognized operator type: ${number}`)
    if (this.#left === 0) throw sqlError('XX000', 'invalid pointer to right operand')
    if (number === OPERATOR_NUMBERS.not) return { kind: 'not', operand: this.#node(depth + 1) }
    const distance = number === OPERATOR_NUMBERS.phrase ? this.#number(2) : 0
    const right = this.#node(depth + 1)
    const left = this.#node(depth + 1)
    if (number === OPERATOR_NUMBERS.phrase) return { kind: 'phrase', distance, left, right }
    return { kind: number === OPERATOR_NUMBERS.and ? 'and' : 'or', left, right }
  }

  read(): TsQuery {
    if (this.#left === 0) return EMPTY_QUERY
    const root = this.#node(0)
    if (this.#left > 0) throw sqlError('XX000', 'malformed tsquery: extra nodes')
    if (this.#at !== this.#end) throw sqlError('22P03', 'incorrect binary data format')
    return new TsQuery(root)
  }
}

function encodeQuery(q: TsQuery, to: KeyEncoder): void {
  const [nodes, bytes] = querySizes(q)
  to.int32(nodes)
  to.int32(bytes)
  if (q.root !== undefined) encodeNode(q.root, to)
}
function encodeNode(node: TsQueryNode, to: KeyEncoder): void {
  if (node.kind === 'lexeme') {
    to.byte(1)
    to.int32(~lexemeCrc(node.text))
    to.text(node.text)
    return
  }
  to.byte(0)
  to.byte(4 - OPERATOR_NUMBERS[node.kind])
  if (node.kind === 'not') {
    encodeNode(node.operand, to)
    return
  }
  encodeNode(node.right, to)
  encodeNode(node.left, to)
  if (node.kind === 'phrase') to.int32(-node.distance)
}

/** Equal for equal queries: lexemes and operators without weights and prefixes. */
function hashText(q: TsQuery): string {
  let out = ''
  eachNode(q.root, (node) => {
    out += node.kind === 'lexeme' ? `'${node.text}\0` : node.kind === 'phrase' ? `<${node.distance}` : node.kind[0]
  })
  return out
}

/** Where a statement runs there is someone to tell; where a literal is only read there may be nobody. */
export const noticeOf =
  (context: TypeContext & Partial<Pick<CallContext, 'notice'>>) =>
  (message: string): void =>
    context.notice?.('NOTICE', '00000', message)

export const tsQueryType: Type = {
  oid: TSQUERY,
  name: 'tsquery',
  elementOid: oid(0),
  delimiter: ',',
  input: (text, _typmod, context) => readQuery(text, 'standard', lexemeOperand(text), noticeOf(context)),
  output: (value) => printQuery(value as TsQuery),
  receive: (from, start, end) => new QueryReceiver(from, start, end).read(),
  send: (value, to) => sendQuery(value as TsQuery, to),
  compare: (a, b) => compareQueries(a as TsQuery, b as TsQuery),
  hashKey: (value) => hashText(value as TsQuery),
  storage: {
    kind: 'bytes',
    write: (value, to) => sendQuery(value as TsQuery, to),
    read: (from, start, end) => new QueryReceiver(from, start, end).read(),
  },
  encodeKey: (value, to) => encodeQuery(value as TsQuery, to),
}

/** The bytes of the binary form (tsquerysend). */
export function queryBytes(q: TsQuery): Uint8Array {
  const to = createByteWriter()
  sendQuery(q, to)
  return to.toBuffer()
}
