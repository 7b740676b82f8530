/**
 * Reads and writes of all plain sockets, natively (native/pump.cc): one call from the event loop a turn instead of one for
 * each socket, one buffer for what they send, one outbox for what they are answered. A connection has its socket pumped from
 * the end of start-up until its input ends or it closes; before and after, and where the addon is missing, it is Node's.
 *
 *     turn ─ what all sockets sent, in the slab ─ each connection's `received` ─ answers in the outbox ─ sent, some at a time
 *
 * What the kernel does not take at once goes to the socket's own `write`. While that holds something all that follows has
 * to go there too (`send` is for a socket that holds nothing), so the order stays.
 */
import { createRequire } from 'node:module'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'

/** What a pumped socket does for its connection. */
export interface Pumped {
  /** `chunk[start, end)` stays as it is for as long as something refers to it. */
  received(chunk: Buffer, start: number, end: number): void
  /** The input has ended, or there was an error. The socket is detached: reading on, Node finds out which. */
  inputOver(): void
}

interface NativePump {
  attach(fd: number): number
  detach(peer: number): void
  read(peer: number, on: boolean): void
  send(): void
  sendBytes(peer: number, buffer: Buffer, bytes: number): number
  slab(buffer: Buffer): void
}
interface NativeModule {
  open(control: Buffer, outbox: Buffer, onReads: () => void, onLeftOver: () => void): NativePump
}

/** What one turn can read: vectors of 768 dimensions as text from 64 sessions. Who found no room waits for the next turn. */
const SLAB_BYTES = 512 * 1024
/** A slab with less room is replaced: what refers to it keeps it. */
const SLAB_ROOM_MIN = 8 * 1024
const OUTBOX_BYTES = 64 * 1024
/** Longer answers are sent from where they are. */
const ENTRY_BYTES_MAX = 4096
/** Shorter ones are copied by a loop: a call costs more. */
const LOOP_BYTES_MAX = 192
/**
 * Answers that are sent together: half of a turn's, so that clients go on while the other half is answered, and no more than
 * this. Fewer: more changes between server and clients.
 */
const TOGETHER_MAX = 8

/** Words of the control buffer, as in native/pump.cc. */
const SLAB_USED = 0
const READS = 1
const OUTBOX_USED = 2
const ENTRIES = 3
const LEFT_OVER = 4
const READS_AT = 8
const OUT_AT = READS_AT + 3 * 256
const CONTROL_WORDS = OUT_AT + 3 * 256

/** A socket that the pump reads and writes. */
export class PumpedSocket {
  readonly socket: Socket
  readonly peer: number
  readonly connection: Pumped
  readonly #pump: SocketPump
  /** The outbox it has an answer in, by number. */
  outbox = 0

  constructor(pump: SocketPump, socket: Socket, peer: number, connection: Pumped) {
    this.#pump = pump
    this.socket = socket
    this.peer = peer
    this.connection = connection
  }

  pause(): void {
    this.#pump.native.read(this.peer, false)
  }

  resume(): void {
    this.#pump.native.read(this.peer, true)
  }

  /**
   * Sends `bytes[0, length)` before the event loop waits. The socket must hold nothing of its own. False: it now holds
   * the rest of them, and the buffer with it.
   */
  send(bytes: Buffer, length: number): boolean {
    if (length > ENTRY_BYTES_MAX) return this.#pump.sendNow(this, bytes, length)
    this.#pump.put(this, bytes, length)
    return true
  }

  /** Gives the socket back to Node, with everything sent. May be called again. */
  detach(): void {
    this.#pump.detach(this)
  }
}

class SocketPump {
  readonly native: NativePump
  readonly #words: Uint32Array
  readonly #outbox = Buffer.allocUnsafeSlow(OUTBOX_BYTES)
  /** Counts outboxes: a socket has at most one answer in each, so that one that is left over in part is in order. */
  #outboxes = 0
  #together = TOGETHER_MAX
  readonly #sockets: (PumpedSocket | undefined)[] = []
  #slab = Buffer.allocUnsafeSlow(SLAB_BYTES)

  constructor(module: NativeModule) {
    const control = Buffer.alloc(CONTROL_WORDS * 4)
    this.#words = new Uint32Array(control.buffer, control.byteOffset, CONTROL_WORDS)
    this.native = module.open(
      control,
      this.#outbox,
      () => this.#onReads(),
      () => this.#onLeftOver(),
    )
    this.native.slab(this.#slab)
  }

  attach(socket: Socket, connection: Pumped): PumpedSocket | undefined {
    const { _handle: handle } = socket as { readonly _handle?: { readonly fd?: number } | null }
    if (handle?.fd === undefined || handle.fd < 0) return undefined
    const peer = this.native.attach(handle.fd)
    if (peer < 0) return undefined
    return (this.#sockets[peer] = new PumpedSocket(this, socket, peer, connection))
  }

  detach(pumped: PumpedSocket): void {
    if (this.#sockets[pumped.peer] !== pumped) return
    this.#send()
    this.#sockets[pumped.peer] = undefined
    this.native.detach(pumped.peer)
  }

  put(pumped: PumpedSocket, bytes: Buffer, length: number): void {
    const words = this.#words
    let entries = words[ENTRIES]!
    let at = words[OUTBOX_USED]!
    if (entries === 0) this.#outboxes++
    else if (pumped.outbox === this.#outboxes || at + length > OUTBOX_BYTES) {
      this.#send()
      if (pumped.socket.writableLength > 0) {
        pumped.socket.write(Buffer.from(bytes.subarray(0, length)))
        return
      }
      this.#outboxes++
      entries = at = 0
    }
    pumped.outbox = this.#outboxes
    const outbox = this.#outbox
    if (length > LOOP_BYTES_MAX) bytes.copy(outbox, at, 0, length)
    else for (let i = 0; i < length; i++) outbox[at + i] = bytes[i]!
    const entry = OUT_AT + 3 * entries
    words[entry] = pumped.peer
    words[entry + 1] = at
    words[entry + 2] = length
    words[OUTBOX_USED] = at + length
    words[ENTRIES] = entries + 1
    if (entries + 1 >= this.#together) this.#send()
  }

  sendNow(pumped: PumpedSocket, bytes: Buffer, length: number): boolean {
    const { socket } = pumped
    this.#send()
    const sent = socket.writableLength > 0 ? 0 : this.native.sendBytes(pumped.peer, bytes, length)
    if (sent === length) return true
    socket.write(bytes.subarray(sent, length))
    return socket.writableLength === 0
  }

  #send(): void {
    if (this.#words[ENTRIES] === 0) return
    this.native.send()
    if (this.#words[LEFT_OVER]! > 0) this.#onLeftOver()
  }

  #onLeftOver(): void {
    const words = this.#words
    const entries = words[LEFT_OVER]!
    words[LEFT_OVER] = 0
    for (let i = 0; i < entries; i++) {
      const entry = OUT_AT + 3 * i
      const start = words[entry + 1]!
      const rest = Buffer.from(this.#outbox.subarray(start, start + words[entry + 2]!))
      this.#sockets[words[entry]!]!.socket.write(rest)
    }
    words[OUTBOX_USED] = 0
  }

  #onReads(): void {
    const words = this.#words
    const reads = words[READS]!
    const slab = this.#slab
    if (SLAB_BYTES - words[SLAB_USED]! < SLAB_ROOM_MIN) {
      this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
      this.native.slab(this.#slab)
    }
    words[READS] = 0
    this.#together = Math.min(TOGETHER_MAX, (reads + 1) >> 1)
    for (let i = 0; i < reads; i++) {
      const entry = READS_AT + 3 * i
      const pumped = this.#sockets[words[entry]!]
      if (pumped === undefined) continue
      const start = words[entry + 1]!
      const bytes = words[entry + 2]!
      if (bytes > 0) pumped.connection.received(slab, start, start + bytes)
      else {
        this.detach(pumped)
        pumped.connection.inputOver()
      }
    }
    this.#together = TOGETHER_MAX
  }
}

let pump: SocketPump | null | undefined

/** The process's pump; undefined where the addon is not built. */
function loadPump(): SocketPump | undefined {
  if (pump !== undefined) return pump ?? undefined
  try {
    pump = new SocketPump(createRequire(import.meta.url)('./native/build/Release/pump.node') as NativeModule)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error
    pump = null
  }
  return pump ?? undefined
}

/** Whether there is a pump here. Throws when there is one that cannot be loaded. */
export const pumpIsBuilt = (): boolean => loadPump() !== undefined

/** Takes over the reading and writing of a plain socket, which must be paused; undefined where that cannot be. */
export function pumpSocket(socket: Socket, connection: Pumped): PumpedSocket | undefined {
  return socket instanceof TLSSocket ? undefined : loadPump()?.attach(socket, connection)
}
