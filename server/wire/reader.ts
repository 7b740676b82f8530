/**
 * From socket chunks to frontend messages.
 *
 *     chunk ──┬──────────┬─────────────┬────        a message that lies in one chunk is read where it is;
 *             │ P len …  │ B len …     │ E …        one that spans chunks is put together once, when all of it is here
 *
 * Nothing is allocated on the word of a length field: bytes are kept as they come. Every length is checked against the
 * limit of its type before its body is awaited, as PostgreSQL's SocketBackend does (its tcop/postgres.c names the types
 * that may be large). What is wrong with the framing itself is FATAL 08P01; what is wrong inside a message is MessageError.
 */
import { isUtf8 } from 'node:buffer'
import { SqlError, sqlError } from '../../sql/types/error.ts'
import { badSequence } from '../../sql/types/text/chars.ts'

/** A message whose inside is malformed: the session has not seen it yet. */
export class MessageError extends SqlError {}

/** 'startup': length and body only. 'password': any type, small. 'query': the types of a running connection. */
export type Framing = 'startup' | 'password' | 'query'

/** Longest start-up packet, as PostgreSQL's MAX_STARTUP_PACKET_LENGTH. */
const STARTUP_BYTES_MAX = 10_000
/** Longest message of the kinds that carry only a name or a number (PostgreSQL's PQ_SMALL_MESSAGE_LIMIT). */
const SMALL_BYTES_MAX = 10_000
/** Longest message before the client is known (PostgreSQL's PG_MAX_AUTH_TOKEN_LENGTH). */
const PASSWORD_BYTES_MAX = 65_535
/** Longest message by default. PostgreSQL's is 1 GiB, more than a JavaScript string can hold. */
const MESSAGE_BYTES_MAX = 256 * 1024 * 1024
/** Neighbouring chunks smaller than this are joined, so that a client that sends byte by byte costs bytes. */
const JOIN_BYTES = 4096

const EMPTY = Buffer.alloc(0)

const LARGE_TYPES = 'QFBPd'
const SMALL_TYPES = 'XCDEHScfp'

function limitsOf(messageBytesMax: number): Int32Array {
  const limits = new Int32Array(256)
  for (const type of LARGE_TYPES) limits[type.charCodeAt(0)] = messageBytesMax
  for (const type of SMALL_TYPES) limits[type.charCodeAt(0)] = SMALL_BYTES_MAX
  return limits
}

const fatal = (message: string): SqlError => sqlError('08P01', message, { severity: 'FATAL' })

export class FrameReader {
  /** The current message: its body is `buffer[start, end)`. Stays valid for as long as it is referred to. */
  buffer: Buffer = EMPTY
  /** The type byte; 0 for a start-up packet. */
  type = 0
  start = 0
  end = 0
  /** Bytes received and not yet part of a message that was read. */
  backlog = 0
  framing: Framing = 'startup'

  #chunk: Buffer = EMPTY
  #position = 0
  #chunkEnd = 0
  /** The chunk is a part of one that others have parts of too. */
  #borrowed = false
  readonly #waiting: Buffer[] = []
  readonly #limits: Int32Array

  constructor(messageBytesMax: number = MESSAGE_BYTES_MAX) {
    this.#limits = limitsOf(messageBytesMax)
  }

  /** The next bytes. A part of a chunk is borrowed: what of it is not read soon should become the reader's `own`. */
  push(chunk: Buffer, start = 0, end = chunk.length): void {
    this.backlog += end - start
    if (this.#position === this.#chunkEnd && this.#waiting.length === 0) {
      this.#chunk = chunk
      this.#position = start
      this.#chunkEnd = end
      this.#borrowed = end - start !== chunk.length
      return
    }
    const part = end - start === chunk.length ? chunk : Buffer.from(chunk.subarray(start, end))
    const last = this.#waiting.at(-1)
    if (last !== undefined && last.length + part.length <= JOIN_BYTES) {
      this.#waiting[this.#waiting.length - 1] = Buffer.concat([last, part])
    } else this.#waiting.push(part)
  }

  /** Copies what is borrowed and has not been read. */
  own(): void {
    if (this.#borrowed) this.#take(Buffer.from(this.#chunk.subarray(this.#position, this.#chunkEnd)))
  }

  /** Moves to the next whole message; false when its bytes are not all here. Throws FATAL 08P01 when the framing is broken. */
  next(): boolean {
    const header = this.framing === 'startup' ? 4 : 5
    if (this.backlog < header) return false
    this.#gather(header)
    const chunk = this.#chunk
    const at = this.#position + header - 4
    const length = (chunk[at]! << 24) | (chunk[at + 1]! << 16) | (chunk[at + 2]! << 8) | chunk[at + 3]!
    const type = header === 5 ? chunk[this.#position]! : 0
    this.#check(type, length)
    const whole = header - 4 + length
    if (this.backlog < whole) return false
    this.#gather(whole)
    this.buffer = this.#chunk
    this.type = type
    this.start = this.#position + header
    this.end = this.#position += whole
    this.backlog -= whole
    if (this.#position === this.#chunkEnd) this.#advance()
    return true
  }

  /**
   * Appends to the current message the body of the next one, when that is of the same type and lies whole in the same
   * chunk (bodies are moved together in place). For CopyData, which many clients send a line at a time.
   */
  absorb(): boolean {
    const chunk = this.#chunk
    const at = this.#position
    if (chunk !== this.buffer || this.#chunkEnd - at < 5 || chunk[at] !== this.type) return false
    const length = (chunk[at + 1]! << 24) | (chunk[at + 2]! << 16) | (chunk[at + 3]! << 8) | chunk[at + 4]!
    if (length < 4 || this.#chunkEnd - at <= length) return false
    const to = at + 1 + length
    chunk.copyWithin(this.end, at + 5, to)
    this.end += length - 4
    this.#position = to
    this.backlog -= length + 1
    if (to === this.#chunkEnd) this.#advance()
    return true
  }

  /** Bytes that follow the current message. For the check that nothing was sent in plain text before TLS. */
  get hasMore(): boolean {
    return this.backlog > 0
  }

  #check(type: number, length: number): void {
    if (this.framing === 'startup') {
      if (length < 8 || length > STARTUP_BYTES_MAX) throw fatal('invalid length of startup packet')
      return
    }
    const limit = this.framing === 'password' ? PASSWORD_BYTES_MAX : this.#limits[type]!
    if (limit === 0) throw fatal(`invalid frontend message type ${type}`)
    if (length < 4 || length > limit) throw fatal('invalid message length')
  }

  /** Makes the next `count` bytes, which are all here, lie in the current chunk. */
  #gather(count: number): void {
    let have = this.#chunkEnd - this.#position
    if (have >= count) return
    const parts = [this.#chunk.subarray(this.#position, this.#chunkEnd)]
    while (have < count) {
      const part = this.#waiting.shift()!
      parts.push(part)
      have += part.length
    }
    const last = parts.at(-1)!
    const over = have - count
    if (over > JOIN_BYTES) {
      parts[parts.length - 1] = last.subarray(0, last.length - over)
      this.#waiting.unshift(last.subarray(last.length - over))
    }
    this.#take(Buffer.concat(parts))
  }

  #advance(): void {
    this.#take(this.#waiting.shift() ?? EMPTY)
  }

  #take(chunk: Buffer): void {
    this.#chunk = chunk
    this.#position = 0
    this.#chunkEnd = chunk.length
    this.#borrowed = false
  }
}

/** A cursor over one message's body. One is kept for each connection and pointed at message after message. */
export class Body {
  #buffer: Buffer = EMPTY
  #position = 0
  #end = 0
  #lastName = ''
  /** How the client's texts are read; undefined: as UTF-8. */
  decode: ((bytes: Uint8Array) => string) | undefined = undefined

  open(buffer: Buffer, start: number, end: number): this {
    this.#buffer = buffer
    this.#position = start
    this.#end = end
    return this
  }

  byte(): number {
    if (this.#position >= this.#end) throw new MessageError('08P01', 'no data left in message')
    return this.#buffer[this.#position++]!
  }

  /** Unsigned, as PostgreSQL reads counts and format codes. */
  uint16(): number {
    const at = this.#take(2)
    return (this.#buffer[at]! << 8) | this.#buffer[at + 1]!
  }

  int32(): number {
    const at = this.#take(4)
    const from = this.#buffer
    return (from[at]! << 24) | (from[at + 1]! << 16) | (from[at + 2]! << 8) | from[at + 3]!
  }

  /** A view, not a copy. */
  bytes(count: number): Buffer {
    const at = this.#take(count)
    return this.#buffer.subarray(at, at + count)
  }

  get remaining(): number {
    return this.#end - this.#position
  }

  /** A zero-terminated string in UTF-8. Errors: 08P01 without an end, 22021 for bytes that are not UTF-8. */
  string(): string {
    const start = this.#position
    const at = this.#buffer.indexOf(0, start)
    if (at === -1 || at >= this.#end) throw new MessageError('08P01', 'invalid string in message')
    this.#position = at + 1
    if (this.decode !== undefined) return this.decode(this.#buffer.subarray(start, at))
    return decodeText(this.#buffer, start, at)
  }

  /** The same for the short names of statements and portals, which repeat: the last one is recognised without a new string. */
  name(): string {
    const from = this.#buffer
    const start = this.#position
    if (start < this.#end && from[start] === 0) {
      this.#position = start + 1
      return ''
    }
    const last = this.#lastName
    const count = last.length
    let i = 0
    while (i < count && from[start + i] === last.charCodeAt(i)) i++
    if (i === count && start + count < this.#end && from[start + count] === 0) {
      this.#position = start + count + 1
      return last
    }
    const name = this.string()
    if (isAscii(name)) this.#lastName = name
    return name
  }

  /** The whole body must have been read. */
  finish(): void {
    if (this.#position !== this.#end) throw new MessageError('08P01', 'invalid message format')
  }

  #take(count: number): number {
    const at = this.#position
    if (count < 0 || count > this.#end - at) throw new MessageError('08P01', 'insufficient data left in message')
    this.#position = at + count
    return at
  }
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) >= 0x80) return false
  return true
}

/** UTF-8 to a string, refusing what is not UTF-8 (a decoder would quietly write U+FFFD). */
export function decodeText(from: Buffer, start: number, end: number): string {
  const text = from.toString('utf8', start, end)
  if (!text.includes('\ufffd')) return text
  const bytes = from.subarray(start, end)
  if (!isUtf8(bytes)) throw new MessageError('22021', badSequence(bytes))
  return text
}
