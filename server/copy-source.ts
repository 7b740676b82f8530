/**
 * The client's half of COPY FROM STDIN: CopyData messages as an async iterable, read from the connection's frames while
 * the statement that asked for them runs. Small messages that came together are joined into one chunk.
 */
import { type SqlError, sqlError } from '../sql/types/error.ts'
import { decodeText, type FrameReader } from './wire/reader.ts'

/** Joined messages grow to about this. */
const CHUNK_BYTES = 64 * 1024

const DATA = 0x64
const DONE = 0x63
const FAIL = 0x66
const FLUSH = 0x48
const SYNC = 0x53

type Taken = IteratorResult<Buffer, undefined>
const END: Taken = { value: undefined, done: true }

export class CopySource implements AsyncIterable<Buffer>, AsyncIterator<Buffer, undefined> {
  /** A message came that does not belong here: what the client means by the next ones cannot be known. */
  outOfStep = false
  readonly #reader: FrameReader
  /** Everything that came is consumed: the connection has to read on. */
  readonly #consumed: () => void
  #finished = false
  #lost: SqlError | undefined
  #waiting: { resolve(taken: Taken): void; reject(error: unknown): void } | undefined

  constructor(reader: FrameReader, consumed: () => void) {
    this.#reader = reader
    this.#consumed = consumed
  }

  [Symbol.asyncIterator](): AsyncIterator<Buffer, undefined> {
    return this
  }

  next(): Promise<Taken> {
    try {
      const taken = this.#take()
      if (taken !== undefined) return Promise.resolve(taken)
    } catch (error) {
      this.#finished = true
      return Promise.reject(error)
    }
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
    })
  }

  /** Waiting for bytes that have not come. */
  get hungry(): boolean {
    return this.#waiting !== undefined
  }

  /** The statement wants no more: what still comes is the connection's to skip. */
  return(): Promise<Taken> {
    this.#finished = true
    return Promise.resolve(END)
  }

  /** More bytes have come. */
  wake(): void {
    const waiting = this.#waiting
    if (waiting === undefined) return
    try {
      const taken = this.#take()
      if (taken === undefined) return
      this.#waiting = undefined
      waiting.resolve(taken)
    } catch (error) {
      this.#waiting = undefined
      this.#finished = true
      waiting.reject(error)
    }
  }

  /** The client has gone, or sends no more. */
  lose(): void {
    this.#lost = sqlError('08006', 'unexpected EOF on client connection with an open transaction', {
      severity: 'FATAL',
    })
    this.wake()
  }

  #take(): Taken | undefined {
    if (this.#finished) return END
    const reader = this.#reader
    while (reader.next()) {
      switch (reader.type) {
        case DATA: {
          while (reader.end - reader.start < CHUNK_BYTES && reader.absorb()) {
            // joined in place
          }
          return { value: reader.buffer.subarray(reader.start, reader.end), done: false }
        }
        case DONE:
          this.#finished = true
          return END
        case FAIL:
          throw sqlError('57014', `COPY from stdin failed: ${failReason(reader)}`)
        // The manual has both ignored while copying.
        case FLUSH:
        case SYNC:
          break
        default:
          this.outOfStep = true
          throw sqlError(
            '08P01',
            `unexpected message type 0x${reader.type.toString(16).toUpperCase().padStart(2, '0')} during COPY from stdin`,
          )
      }
    }
    if (this.#lost !== undefined) throw this.#lost
    this.#consumed()
    return undefined
  }
}

function failReason(reader: FrameReader): string {
  const end = reader.buffer.indexOf(0, reader.start)
  if (end === -1 || end >= reader.end) throw sqlError('08P01', 'invalid string in message')
  return decodeText(reader.buffer, reader.start, end)
}
