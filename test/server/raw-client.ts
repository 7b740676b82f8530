/** A client that says exactly what it is told, message by message, and shows what comes back as text lines. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

const int32 = (n: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(n | 0)
  return bytes
}
const int16 = (n: number): Buffer => {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16BE(n & 0xffff)
  return bytes
}
const text = (s: string): Buffer => Buffer.from(`${s}\0`)

/** A frontend message of the given type. */
export const message = (type: string, ...parts: Buffer[]): Buffer => {
  const body = Buffer.concat(parts)
  return Buffer.concat([Buffer.from(type), int32(body.length + 4), body])
}
export const untyped = (...parts: Buffer[]): Buffer => {
  const body = Buffer.concat(parts)
  return Buffer.concat([int32(body.length + 4), body])
}

export const startup = (parameters: Record<string, string> = { user: 'postgres' }, version = 196_608): Buffer =>
  untyped(int32(version), ...Object.entries(parameters).flatMap(([k, v]) => [text(k), text(v)]), Buffer.from([0]))
export const sslRequest = untyped(int32(80_877_103))
export const gssencRequest = untyped(int32(80_877_104))
export const cancelRequest = (pid: number, secret: number): Buffer =>
  untyped(int32(80_877_102), int32(pid), int32(secret))
export const query = (sql: string): Buffer => message('Q', text(sql))
export const parse = (name: string, sql: string, types: number[] = []): Buffer =>
  message('P', text(name), text(sql), int16(types.length), ...types.map(int32))
export const bind = (
  portal: string,
  statement: string,
  values: (string | Buffer | null)[] = [],
  formats: number[] = [],
  resultFormats: number[] = [],
): Buffer =>
  message(
    'B',
    text(portal),
    text(statement),
    int16(formats.length),
    ...formats.map(int16),
    int16(values.length),
    ...values.map((value) => {
      if (value === null) return int32(-1)
      const bytes = Buffer.from(value)
      return Buffer.concat([int32(bytes.length), bytes])
    }),
    int16(resultFormats.length),
    ...resultFormats.map(int16),
  )
export const describe_ = (kind: 'S' | 'P', name = ''): Buffer => message('D', Buffer.from(kind), text(name))
export const execute = (portal = '', maxRows = 0): Buffer => message('E', text(portal), int32(maxRows))
export const close = (kind: 'S' | 'P', name = ''): Buffer => message('C', Buffer.from(kind), text(name))
export const sync = message('S')
export const flush = message('H')
export const terminate = message('X')
export const copyData = (bytes: string | Buffer): Buffer => message('d', Buffer.from(bytes))
export const copyDone = message('c')
export const copyFail = (reason: string): Buffer => message('f', text(reason))

export interface Received {
  readonly type: string
  readonly body: Buffer
}

/** `C SELECT 1`, `D 1|null`, `E FATAL 08P01 …`, `Z I` */
export function show({ type, body }: Received): string {
  switch (type) {
    case 'D': {
      const values: string[] = []
      let at = 2
      for (let i = body.readInt16BE(0); i > 0; i--) {
        const length = body.readInt32BE(at)
        at += 4
        values.push(length === -1 ? 'null' : body.toString('latin1', at, at + Math.max(length, 0)))
        at += Math.max(length, 0)
      }
      return `D ${values.join('|')}`
    }
    case 'T': {
      const names: string[] = []
      let at = 2
      for (let i = body.readInt16BE(0); i > 0; i--) {
        const end = body.indexOf(0, at)
        names.push(`${body.toString('utf8', at, end)}:${body.readInt32BE(end + 7)}/${body.readInt16BE(end + 17)}`)
        at = end + 19
      }
      return `T ${names.join(' ')}`
    }
    case 'E':
    case 'N': {
      const fields = errorFields(body)
      return `${type} ${fields.V} ${fields.C} ${fields.M}`
    }
    case 't':
      return `t ${Array.from({ length: body.readInt16BE(0) }, (_, i) => body.readInt32BE(2 + i * 4)).join(' ')}`.trim()
    case 'R':
      return `R ${body.readInt32BE(0)}${body.length > 4 ? ` ${body.toString('latin1', 4)}` : ''}`
    case 'K':
      return 'K'
    case 'G':
    case 'H':
      return `${type} ${body[0]} ${body.readInt16BE(1)}`
    case 'A':
      return `A ${body.readInt32BE(0)} ${body.toString('utf8', 4).split('\0').join(' ').trim()}`
    default:
      return `${type} ${body.toString('utf8').split('\0').join(' ').trim()}`.trim()
  }
}

export function errorFields(body: Buffer): Record<string, string> {
  const fields: Record<string, string> = {}
  for (const part of body.toString('utf8').split('\0')) if (part !== '') fields[part[0]!] = part.slice(1)
  return fields
}

export class RawClient {
  readonly socket: Socket
  #bytes = Buffer.alloc(0)
  #closed = false
  #wake: () => void = () => {}

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk])
      this.#wake()
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      this.#closed = true
      this.#wake()
    })
    socket.on('end', () => {
      this.#closed = true
      this.#wake()
    })
  }

  static async open(port: number): Promise<RawClient> {
    const socket = connect(port, '127.0.0.1')
    socket.setNoDelay(true)
    await once(socket, 'connect')
    return new RawClient(socket)
  }

  /** Connects and reads up to the first ReadyForQuery. */
  static async start(port: number, parameters?: Record<string, string>): Promise<RawClient> {
    const client = await RawClient.open(port)
    client.send(startup(parameters))
    await client.until('Z')
    return client
  }

  send(...parts: Buffer[]): void {
    this.socket.write(Buffer.concat(parts))
  }

  async #wait(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve
    })
  }

  async byte(): Promise<string> {
    while (this.#bytes.length < 1) {
      if (this.#closed) return ''
      await this.#wait()
    }
    const byte = this.#bytes.toString('latin1', 0, 1)
    this.#bytes = this.#bytes.subarray(1)
    return byte
  }

  /** The next message, or undefined when the server has closed. */
  async next(): Promise<Received | undefined> {
    for (;;) {
      const bytes = this.#bytes
      if (bytes.length >= 5) {
        const length = bytes.readInt32BE(1)
        if (bytes.length > length) {
          this.#bytes = bytes.subarray(length + 1)
          return { type: bytes.toString('latin1', 0, 1), body: bytes.subarray(5, length + 1) }
        }
      }
      if (this.#closed) return undefined
      await this.#wait()
    }
  }

  /** Messages up to and with the first of this type, shown; ends early with 'closed'. */
  async until(type: string): Promise<string[]> {
    const lines: string[] = []
    for (;;) {
      const received = await this.next()
      if (received === undefined) return [...lines, 'closed']
      lines.push(show(received))
      if (received.type === type) return lines
    }
  }

  /** Everything up to the server's closing. */
  async rest(): Promise<string[]> {
    return this.until('no such type')
  }

  close(): void {
    this.socket.destroy()
  }
}
