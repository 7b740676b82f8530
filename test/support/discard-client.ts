/**
 * A client that counts rows and throws them away: what it measures is the server. Simple queries in text format over one
 * connection, trust authentication.
 */
import { connect, type Socket } from 'node:net'

export interface Answer {
  readonly ms: number
  readonly rows: number
  readonly bytes: number
}

const DATA_ROW = 0x44
const ERROR_RESPONSE = 0x45
const READY_FOR_QUERY = 0x5a

export class DiscardClient {
  readonly #socket: Socket
  /** Header bytes of a message that has not come whole. */
  #header: Buffer = Buffer.alloc(0)
  /** Bytes of the running message that are still to come and of no interest. */
  #skip = 0
  /** An error's message is kept. */
  #kept: Buffer[] | undefined
  #rows = 0
  #bytes = 0
  #error: Error | undefined
  #finish: ((error: Error | undefined) => void) | undefined

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk) => this.#read(chunk))
    socket.on('error', (error) => this.#end(error))
    socket.on('close', () => this.#end(new Error('the server closed the connection')))
  }

  /** `options` is the startup packet's: '-c name=value'. */
  static async connect(to: { host: string; port: number }, options = ''): Promise<DiscardClient> {
    const socket = connect({ host: to.host, port: to.port, noDelay: true })
    const client = new DiscardClient(socket)
    const fields = ['user', 'postgres', 'database', 'alopex', ...(options === '' ? [] : ['options', options])]
    const body = Buffer.from(`\0\x03\0\0${fields.join('\0')}\0\0`, 'latin1')
    const packet = Buffer.alloc(4 + body.length)
    packet.writeInt32BE(packet.length)
    body.copy(packet, 4)
    await client.#exchange(packet, 10_000)
    return client
  }

  /** Throws the server's error, and when it takes longer than `timeoutMs`, after which the connection is gone. */
  async query(sql: string, timeoutMs = 120_000): Promise<Answer> {
    const text = Buffer.from(sql)
    const packet = Buffer.alloc(text.length + 6)
    packet[0] = 0x51
    packet.writeInt32BE(text.length + 5, 1)
    text.copy(packet, 5)
    const began = performance.now()
    await this.#exchange(packet, timeoutMs)
    return { ms: performance.now() - began, rows: this.#rows, bytes: this.#bytes }
  }

  close(): void {
    this.#socket.destroy()
  }

  #exchange(packet: Buffer, timeoutMs: number): Promise<void> {
    this.#rows = 0
    this.#bytes = 0
    this.#error = undefined
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#end(new Error(`no answer within ${timeoutMs} ms`))
        this.#socket.destroy()
      }, timeoutMs)
      this.#finish = (error) => {
        clearTimeout(timer)
        this.#finish = undefined
        if (error === undefined) resolve()
        else reject(error)
      }
      this.#socket.write(packet)
    })
  }

  #end(error: Error | undefined): void {
    this.#finish?.(error)
  }

  #read(chunk: Buffer): void {
    this.#bytes += chunk.length
    const data = this.#header.length === 0 ? chunk : Buffer.concat([this.#header, chunk])
    this.#header = Buffer.alloc(0)
    let at = 0
    while (at < data.length) {
      if (this.#skip > 0) {
        const taken = Math.min(this.#skip, data.length - at)
        this.#kept?.push(data.subarray(at, at + taken))
        at += taken
        this.#skip -= taken
        if (this.#skip === 0) this.#keepError()
        continue
      }
      if (data.length - at < 5) {
        this.#header = data.subarray(at)
        return
      }
      const type = data[at]!
      this.#skip = data.readInt32BE(at + 1) - 4
      at += 5
      if (type === DATA_ROW) this.#rows++
      else if (type === ERROR_RESPONSE) this.#kept = []
      else if (type === READY_FOR_QUERY) {
        this.#skip = 0
        this.#end(this.#error)
        return
      }
    }
  }

  #keepError(): void {
    if (this.#kept === undefined) return
    const fields = Buffer.concat(this.#kept).toString().split('\0')
    const field = (letter: string) => fields.find((text) => text.startsWith(letter))?.slice(1) ?? ''
    this.#error = new Error(`${field('C')}: ${field('M')}`)
    this.#kept = undefined
    // Refused at startup: nothing more will come.
    if (field('S') === 'FATAL') this.#end(this.#error)
  }
}
