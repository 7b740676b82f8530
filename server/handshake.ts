/**
 * A socket from its first byte until a session has it: frames one at a time for code that waits for each, and the change
 * to TLS. Start-up is rare beside queries, so it is written as straight async code; the running connection is not.
 */
import type { Socket } from 'node:net'
import { type SecureContext, TLSSocket } from 'node:tls'
import { sqlError } from '../sql/types/error.ts'
import type { Wire } from './connection.ts'
import { FrameReader } from './wire/reader.ts'
import { Output } from './wire/writer.ts'

/** The first byte of a TLS ClientHello; no start-up packet begins so. */
const TLS_HANDSHAKE = 0x16
/** What a client may send ahead of being asked; more than this and it waits. */
const AHEAD_BYTES_MAX = 128 * 1024

/** The client went away: nothing to answer and nobody to answer to. */
export class ClientGone extends Error {
  override readonly name = 'ClientGone'
}

export class Handshake implements Wire {
  socket: Socket
  readonly reader: FrameReader
  readonly output: Output
  encrypted = false
  readonly #onData = (chunk: Buffer): void => this.#received(chunk)
  readonly #onGone = (): void => this.#lost()
  #gone = false
  #failed: unknown
  #waiting: { resolve(): void; reject(error: unknown): void } | undefined
  /** Where a connection that begins with TLS gets its keys; undefined when it may not. */
  readonly #directTls: () => SecureContext | undefined
  #first = true

  constructor(socket: Socket, messageBytesMax: number | undefined, directTls: () => SecureContext | undefined) {
    this.socket = socket
    this.reader = new FrameReader(messageBytesMax)
    this.output = new Output(socket)
    this.#directTls = directTls
    this.#listen()
  }

  /** Waits for the next frame, which is then the reader's current one. Throws ClientGone, or 08P01 for a broken frame. */
  async frame(): Promise<void> {
    while (!this.reader.next()) {
      if (this.#failed !== undefined) throw this.#failed
      if (this.#gone) throw new ClientGone('the client closed the connection during start-up')
      await new Promise<void>((resolve, reject) => {
        this.#waiting = { resolve, reject }
      })
      this.#waiting = undefined
    }
    if (this.socket.isPaused()) this.socket.resume()
  }

  /** Ends the wait for a frame with an error: a time-out. */
  fail(error: unknown): void {
    this.#failed ??= error
    this.#waiting?.reject(error)
  }

  /** The client sends no more, or its socket is closed. */
  get gone(): boolean {
    return this.#gone
  }

  get waiting(): boolean {
    return this.#waiting !== undefined
  }

  /**
   * Answers a request for encryption: S and on in TLS, or N and on as before. Throws 08P01 when the client has sent more
   * already: after S it would be read as if it had been encrypted.
   */
  answer(request: 'SSL' | 'GSSAPI encryption', context: SecureContext | undefined): void {
    if (this.reader.hasMore) {
      throw sqlError('08P01', `received unencrypted data after ${request} request`, {
        severity: 'FATAL',
        detail: 'This could be either a client-software bug or evidence of an attempted man-in-the-middle attack.',
      })
    }
    this.output.to.uint8(context === undefined ? 0x4e : 0x53)
    this.output.flush()
    if (context !== undefined) this.#wrap(context, false)
  }

  /** Stops listening: the connection takes over, with what the reader holds. */
  release(): void {
    this.socket.off('data', this.#onData)
    this.socket.off('end', this.#onGone)
    this.socket.off('close', this.#onGone)
  }

  #listen(): void {
    this.socket.on('data', this.#onData)
    this.socket.on('end', this.#onGone)
    this.socket.on('close', this.#onGone)
  }

  #received(chunk: Buffer): void {
    if (this.#first) {
      this.#first = false
      const context = chunk[0] === TLS_HANDSHAKE ? this.#directTls() : undefined
      if (context !== undefined) {
        this.socket.pause()
        this.socket.unshift(chunk)
        this.#wrap(context, true)
        return
      }
    }
    this.reader.push(chunk)
    if (this.reader.backlog > AHEAD_BYTES_MAX) this.socket.pause()
    this.#waiting?.resolve()
  }

  /** `direct`: nobody asked for TLS, so ALPN has to say that it is PostgreSQL inside. */
  #wrap(context: SecureContext, direct: boolean): void {
    this.release()
    const plain = this.socket
    const secure = new TLSSocket(plain, {
      isServer: true,
      secureContext: context,
      ALPNProtocols: ['postgresql'],
    })
    secure.on('error', () => secure.destroy())
    plain.on('close', () => secure.destroy())
    if (direct) {
      secure.on('secure', () => {
        if (secure.alpnProtocol !== 'postgresql') secure.destroy()
      })
    }
    this.socket = secure
    this.encrypted = true
    this.output.encrypt(secure)
    this.#listen()
  }

  #lost(): void {
    this.#gone = true
    this.#waiting?.resolve()
  }
}
