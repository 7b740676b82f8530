/**
 * A connection's output: messages are appended to one growing buffer and leave in one socket write a turn.
 *
 * The buffer is borrowed from a pool for as long as something is in it. When the kernel took a write whole, the buffer
 * goes back and the next connection uses it; when it did not, the buffer belongs to the socket until it is sent. So an
 * idle connection owns no memory here, and a point query allocates only the view that the socket is given.
 */
import type { Socket } from 'node:net'
import { createByteWriter, type ResettableByteWriter } from '../../sql/types/bytes.ts'
import { sqlError } from '../../sql/types/error.ts'
import type { PumpedSocket } from '../socket-pump.ts'

/** A buffer that has grown to this is written out in the middle of a result. */
const FLUSH_BYTES = 64 * 1024
/** What a socket may hold back before rows wait for the client. */
export const FLOW_BYTES = 256 * 1024
const INITIAL_BYTES = 16 * 1024
const KEEP_BYTES = 256 * 1024
const POOL_MAX = 64
/** Over TLS a small write is copied, so that its buffer can be used again at once. */
const COPY_BYTES = 4096

const pool: ResettableByteWriter[] = []

export class Output {
  #socket: Socket
  #encrypted = false
  #writer: ResettableByteWriter | undefined
  /** Something was written that the client waits for: the end of a turn must flush. */
  #due = false
  #encode: ResettableByteWriter['encode']
  /** While the pump has the socket. */
  pumped: PumpedSocket | undefined

  constructor(socket: Socket) {
    this.#socket = socket
  }

  /** From here on the bytes go through TLS. */
  encrypt(socket: Socket): void {
    this.#socket = socket
    this.#encrypted = true
  }

  /** Where messages are written. Ask again after a flush. */
  get to(): ResettableByteWriter {
    return (this.#writer ??= this.#borrowed())
  }

  #borrowed(): ResettableByteWriter {
    const writer = pool.pop() ?? createByteWriter(INITIAL_BYTES)
    if (this.#encode !== undefined) writer.encode = this.#encode
    return writer
  }

  /** How the client's texts are written; undefined: as UTF-8. */
  get encode(): ResettableByteWriter['encode'] {
    return this.#encode
  }
  set encode(encode: ResettableByteWriter['encode']) {
    this.#encode = encode
    if (this.#writer !== undefined) this.#writer.encode = encode
  }

  /** The client waits for what has been written so far. */
  due(): void {
    this.#due = true
  }

  flushDue(): void {
    if (this.#due) this.flush()
  }

  flush(): void {
    this.#due = false
    const writer = this.#writer
    if (writer === undefined) return
    const socket = this.#socket
    if (writer.length > 0 && !socket.destroyed && socket.writable && !this.#sent(socket, writer)) {
      this.#writer = undefined
      return
    }
    this.#writer = undefined
    if (writer.buffer.length <= KEEP_BYTES && pool.length < POOL_MAX) {
      writer.reset()
      writer.encode = undefined
      pool.push(writer)
    }
  }

  /** False: the socket needs the buffer for some time yet. */
  #sent(socket: Socket, writer: ResettableByteWriter): boolean {
    const { pumped } = this
    if (pumped !== undefined && socket.writableLength === 0) return pumped.send(writer.buffer, writer.length)
    const bytes = writer.buffer.subarray(0, writer.length)
    const copied = this.#encrypted && bytes.length <= COPY_BYTES
    socket.write(copied ? Buffer.from(bytes) : bytes)
    return copied || socket.writableLength === 0
  }

  /** After each row: keeps the buffer small while a result is long. */
  spill(): void {
    const writer = this.#writer
    if (writer !== undefined && writer.length >= FLUSH_BYTES) this.flush()
  }

  /** undefined: go on. A promise: the client has not taken what was sent. Rejects with 08006 when it has gone. */
  flow(): Promise<void> | undefined {
    this.spill()
    const socket = this.#socket
    if (socket.destroyed) return Promise.reject(connectionLost())
    if (socket.writableLength <= FLOW_BYTES) return undefined
    return new Promise((resolve, reject) => {
      const settle = () => {
        socket.off('drain', settle)
        socket.off('close', settle)
        if (socket.destroyed) reject(connectionLost())
        else resolve()
      }
      socket.on('drain', settle)
      socket.on('close', settle)
    })
  }

  /** The buffer is full or the client is behind: time to ask `flow`. */
  crowded(): boolean {
    const writer = this.#writer
    return (writer !== undefined && writer.length >= FLUSH_BYTES) || this.#socket.writableLength > FLOW_BYTES
  }

  /** Forgets what was not sent. */
  discard(): void {
    this.#writer = undefined
    this.#due = false
  }
}

const connectionLost = () => sqlError('08006', 'connection to client lost', { severity: 'FATAL' })
