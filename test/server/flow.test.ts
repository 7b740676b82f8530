/** Memory and order under clients that are slow, greedy or broken. The heap is measured, so the file runs its parts one by one. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { FLOW_BYTES } from '../../server/wire/writer.ts'
import { eventually, type Served, serveFake } from './fixture.ts'
import * as raw from './raw-client.ts'
import { RawClient } from './raw-client.ts'

let served: Served
beforeAll(async () => {
  served = await serveFake()
})
afterAll(() => served.listener.close(0))

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void
/** Heap and buffers that are in use, MB. */
function memory(): number {
  collectGarbage()
  const { heapUsed, external } = process.memoryUsage()
  return (heapUsed + external) / (1 << 20)
}

test('a large result waits for a client that does not read, in flat memory', async () => {
  const client = await RawClient.start(served.port)
  client.socket.pause()
  const before = memory()
  const produced = served.database.produced
  client.send(raw.query('big 200000'))
  await pause(300)
  const stalled = served.database.produced - produced
  await pause(100)
  expect(served.database.produced - produced).toBe(stalled)
  // A kernel's socket buffers take a few megabytes before the server feels anything.
  expect(stalled).toBeLessThan(20_000)
  expect(memory() - before).toBeLessThan(20)

  let bytes = 0
  client.socket.removeAllListeners('data')
  let tail = Buffer.alloc(0)
  client.socket.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    tail = Buffer.concat([tail, chunk]).subarray(-64)
  })
  client.socket.resume()
  await eventually(() => tail.includes('SELECT 200000'), 15_000)
  expect(bytes).toBeGreaterThan(200_000_000)
  client.close()
})

test('a client that asks and asks and never reads is not listened to any more', async () => {
  const client = await RawClient.start(served.port)
  client.socket.pause()
  const produced = served.database.produced
  const batch = Buffer.concat(Array.from({ length: 100 }, () => raw.query('big 100')))
  for (let i = 0; i < 50; i++) client.send(batch)
  await pause(300)
  const stalled = served.database.produced - produced
  await pause(100)
  expect(served.database.produced - produced).toBe(stalled)
  expect(stalled * 1000).toBeLessThan(FLOW_BYTES + 20_000_000)
  client.close()
})

test('a client that sends faster than COPY reads is slowed down', async () => {
  const client = await RawClient.start(served.port)
  client.send(raw.query('copy in slowly'))
  await client.until('G')
  const before = memory()
  const chunk = raw.copyData(Buffer.alloc(64 * 1024, 0x61))
  let sent = 0
  for (; sent < 200 && client.socket.writableLength < 1 << 22; sent++) {
    client.send(chunk)
    if (sent % 10 === 0) await pause(1)
  }
  expect(memory() - before).toBeLessThan(30)
  client.send(raw.copyData('\n'), raw.copyDone)
  expect(await client.until('Z')).toEqual(['C COPY 1', 'Z I'])
  client.close()
}, 120_000)

/** What a hostile client might send: random bytes, broken packets, good ones cut short, good ones with noise in them. */
function hostile(random: () => number): Buffer {
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!
  const noise = (count: number): Buffer => Buffer.from(Array.from({ length: count }, () => Math.floor(random() * 256)))
  const good = Buffer.concat([
    raw.startup(),
    pick([raw.query('select 1'), raw.query('error'), raw.query('copy in'), raw.parse('', 'echo $1'), raw.sync]),
    pick([raw.bind('', '', ['x']), raw.copyData('a\n'), raw.describe_('S'), raw.execute(), raw.query('slow 1')]),
    pick([raw.sync, raw.copyDone, raw.flush, raw.terminate, raw.copyFail('x'), raw.message('F'), raw.message('p')]),
  ])
  switch (Math.floor(random() * 6)) {
    case 0:
      return noise(1 + Math.floor(random() * 64))
    case 1:
      return good.subarray(0, Math.floor(random() * good.length))
    case 2: {
      const bytes = Buffer.from(good)
      for (let i = 0; i < 3; i++) bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256)
      return bytes
    }
    case 3:
      return Buffer.concat([raw.startup(), raw.message(pick(['Q', 'P', 'B', 'E', 'D', 'C', 'd', 'f']), noise(20))])
    case 4:
      return Buffer.concat([raw.startup(), Buffer.from([0x51, 0x0f, 0xff, 0xff, 0xff]), noise(100)])
    default:
      return Buffer.concat([pick([raw.sslRequest, raw.gssencRequest, raw.cancelRequest(1, 2)]), noise(30)])
  }
}

test('ten thousand malformed or cut-short connections', async () => {
  const random = seeded(20_260_101)
  const attack = async (): Promise<void> => {
    const socket = connect(served.port, '127.0.0.1')
    socket.on('error', () => {})
    await once(socket, 'connect')
    socket.resume()
    socket.write(hostile(random))
    if (random() < 0.1) socket.resetAndDestroy()
    else socket.end()
    if (!socket.closed) await once(socket, 'close')
  }
  const worker = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) await attack()
  }
  const round = (count: number) => Promise.all(Array.from({ length: 20 }, () => worker(count / 20)))
  await round(1000)
  await eventually(() => served.database.sessions === 0)
  served.logged.length = 0
  const before = memory()
  await round(8000)
  served.database.asynchronous = true
  await round(1000)
  await eventually(() => served.database.sessions === 0 && served.listener.connections === 0)
  served.logged.length = 0
  expect(memory() - before).toBeLessThan(10)
  const client = await RawClient.start(served.port)
  client.send(raw.query('select 1'))
  expect(await client.until('Z')).toContain('C SELECT 1')
  client.close()
  served.database.asynchronous = false
}, 120_000)

/** mulberry32 */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

test('answers do not depend on how the client cuts its bytes', async () => {
  const conversation = Buffer.concat([
    raw.startup(),
    raw.query('rows 3'),
    raw.parse('s', 'echo $1'),
    raw.bind('', 's', ['täxt']),
    raw.execute(),
    raw.sync,
    raw.query('copy in'),
    raw.copyData('a\nb'),
    raw.copyData('\n'),
    raw.copyDone,
    raw.parse('', 'error'),
    raw.bind('', ''),
    raw.execute(),
    raw.query('skipped'),
    raw.sync,
    raw.query('slow 1'),
    raw.query('select 1'),
    raw.terminate,
  ])
  const talk = async (cuts: readonly number[]): Promise<string[]> => {
    const client = await RawClient.open(served.port)
    let from = 0
    for (const cut of [...new Set(cuts)].sort((a, b) => a - b).concat(conversation.length)) {
      client.send(conversation.subarray(from, cut))
      from = cut
      await new Promise((resolve) => setImmediate(resolve))
    }
    const lines = await client.rest()
    client.close()
    return lines
  }
  const expected = await talk([])
  expect(expected.filter((line) => line === 'Z I')).toHaveLength(7)
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(conversation.length), { maxLength: 40 }), async (cuts) => {
      expect(await talk(cuts)).toEqual(expected)
    }),
    { numRuns: 60 },
  )
}, 120_000)
