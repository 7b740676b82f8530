/**
 * Memory of large buffers that nobody uses any more goes back to the system soon, not with the next collection: a server that
 * rests after a load has none. A message takes them along, and nobody receives it. Some at a time: to unmap takes its time.
 */
import { MessageChannel } from 'node:worker_threads'

const BYTES_AT_ONCE = 8 << 20

const waiting: ArrayBuffer[] = []

/** They are empty from some time on: whoever should still look at them finds nothing. */
export function giveBack(buffers: readonly ArrayBuffer[]): void {
  if (waiting.length === 0 && buffers.length > 0) setImmediate(some)
  for (const buffer of buffers) waiting.push(buffer)
}

function some(): void {
  const taken: ArrayBuffer[] = []
  for (let bytes = 0; bytes < BYTES_AT_ONCE && waiting.length > 0; ) {
    const buffer = waiting.pop()!
    bytes += buffer.byteLength
    taken.push(buffer)
  }
  const { port1, port2 } = new MessageChannel()
  port2.close()
  port1.postMessage(undefined, taken)
  port1.close()
  if (waiting.length > 0) setImmediate(some)
}
