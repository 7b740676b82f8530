/** What a large transaction's writes took goes back without a collection; small ones keep theirs for the next. */
import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { key } from '../../storage/keys/brand.ts'
import { WriteBuffer } from '../../storage/mvcc/write-buffer.ts'

const VALUE = new Uint8Array(1000).fill(7)

function write(buffer: WriteBuffer, count: number): Buffer[] {
  const buffers = new Set<Buffer>()
  for (let i = 0; i < count; i++) {
    const name = key(`k${i}`)
    buffer.put(name, VALUE)
    buffers.add(buffer.bufferOf(buffer.lookup(name)!))
  }
  return [...buffers]
}

test.each([
  [20_000, 0],
  [2000, 1 << 20],
])('after %i writes the later buffers have %i bytes', async (count, bytes) => {
  const buffer = new WriteBuffer()
  const [first, ...others] = write(buffer, count)
  buffer.reset()
  for (let i = 0; i < 20; i++) await turn()
  expect(first!.length).toBeGreaterThan(0)
  expect(others.length).toBeGreaterThan(0)
  for (const each of others) expect(each.length).toBe(bytes)
  // It is as good as new.
  write(buffer, count)
  expect(buffer.count).toBe(count)
  const position = { leaf: 0, slot: 0 }
  for (let at = buffer.entryAt(position); at !== undefined; at = buffer.next(position))
    expect(buffer.valueLength(at)).toBe(1000)
})
