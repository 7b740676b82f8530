/**
 * Reads into one buffer. Node gives each chunk from a socket 64 KiB of memory of its own and then cuts that down to what
 * came, which costs a point query more than its protocol does. A socket that is made with `onread` reads into a buffer that
 * is kept; one that a server accepts cannot be made so, but is the same class: what the constructor does for `onread`
 * (lib/net.js, since Node 12) is done here. All sockets share the buffer: a chunk is copied out before anything else runs.
 *
 * Where a release of Node has no such thing the chunks come as 'data' events, as ever.
 */
import { Socket } from 'node:net'

const BUFFER_BYTES = 64 * 1024

interface Handle {
  useUserBuffer?(buffer: Uint8Array): void
}
type Internals = Socket & { readonly _handle?: Handle | null } & Record<symbol, unknown>

interface Names {
  readonly buffer: symbol
  readonly callback: symbol
}

let shared: Buffer | undefined
let names: Names | null | undefined

/** The properties that the constructor sets for `onread`; null when they are not there. */
function namesOf(): Names | null {
  const probe = new Socket({ onread: { buffer: Buffer.alloc(1), callback: () => true } } as never) as Internals
  const found = new Map(Object.getOwnPropertySymbols(probe).map((symbol) => [symbol.description, symbol]))
  const buffer = found.get('kBuffer')
  const callback = found.get('kBufferCb')
  if (buffer === undefined || callback === undefined || typeof probe[callback] !== 'function') return null
  return { buffer, callback }
}

/** From now on what the socket reads goes to `received`, in a buffer of its own size. False: listen to 'data'. */
export function readInto(socket: Socket, received: (chunk: Buffer) => void): boolean {
  names ??= namesOf()
  const internals = socket as Internals
  const handle = internals._handle
  if (names === null || handle?.useUserBuffer === undefined) return false
  shared ??= Buffer.allocUnsafeSlow(BUFFER_BYTES)
  const from = shared
  internals[names.buffer] = from
  internals[names.callback] = (bytes: number): boolean => {
    received(Buffer.from(from.subarray(0, bytes)))
    return true
  }
  handle.useUserBuffer(from)
  return true
}
