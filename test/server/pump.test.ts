/** Whoever reads and writes the sockets, the pump or Node's streams: nothing is lost, doubled or out of order. */
import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pumpIsBuilt } from '../../server/socket-pump.ts'
import { eventually, type Served, serveFake } from './fixture.ts'
import * as raw from './raw-client.ts'
import { RawClient } from './raw-client.ts'

test('the pump is built', () => expect(pumpIsBuilt()).toBe(true))

/** The parameter of `echo`, and what comes back for it. */
const asked = (text: string): Buffer => Buffer.concat([raw.bind('', 'e', [text]), raw.execute(), raw.sync])
const answered = (text: string): string[] => [`2`, `D ${text}`, 'C SELECT 1', 'Z I']

async function echoClient(port: number): Promise<RawClient> {
  const client = await RawClient.start(port)
  client.send(raw.parse('e', 'echo $1'), raw.sync)
  await client.until('Z')
  return client
}

async function lines(client: RawClient, count: number): Promise<string[]> {
  const seen: string[] = []
  for (let i = 0; i < count; i++) {
    const next = await client.next()
    seen.push(next === undefined ? 'closed' : raw.show(next))
  }
  return seen
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

describe.each([{ pump: true }, { pump: false }])('pump: $pump', ({ pump }) => {
  let served: Served
  beforeAll(async () => {
    served = await serveFake({ pump })
  })
  afterAll(() => served.listener.close(0))

  test.each([false, true])(
    'what a client sends together with its start-up packet, when that takes time: %s',
    async (takesTime) => {
      served.database.asynchronous = takesTime
      const client = await RawClient.open(served.port)
      const count = 20_000
      client.send(raw.startup(), ...Array.from({ length: count }, () => raw.query('select 1')))
      await client.until('Z')
      let ready = 0
      for (let next = await client.next(); next !== undefined; next = await client.next()) {
        if (next.type === 'Z' && ++ready === count) break
      }
      expect(ready).toBe(count)
      client.close()
      served.database.asynchronous = false
    },
  )

  test('many clients in one turn, in pieces of any size', async () => {
    const clients = await Promise.all(Array.from({ length: 60 }, () => echoClient(served.port)))
    for (const size of [1, 100, 1000, 4000, 5000, 70_000]) {
      const texts = clients.map((_, i) => String.fromCharCode(97 + (i % 26)).repeat(size + i))
      for (const [i, client] of clients.entries()) {
        const bytes = asked(texts[i]!)
        const cut = (i * 37) % bytes.length
        client.send(bytes.subarray(0, cut))
        if (i % 3 === 0) await pause(0)
        client.send(bytes.subarray(cut))
      }
      for (const [i, client] of clients.entries()) expect(await lines(client, 4)).toEqual(answered(texts[i]!))
    }
    for (const client of clients) client.close()
  })

  test('answers that the kernel does not take stay in order', async () => {
    const [slow, other] = await Promise.all([echoClient(served.port), echoClient(served.port)])
    slow.socket.pause()
    const sizes = Array.from({ length: 3000 }, (_, i) => [10, 300, 3000, 4090, 20_000, 0][i % 6]!)
    const texts = sizes.map((size, i) => `${i}:`.padEnd(size, 'x'))
    let sent = 0
    const sending = (async () => {
      for (const text of texts) {
        if (!slow.socket.write(asked(text))) await once(slow.socket, 'drain')
        sent++
      }
    })()
    await pause(200)
    // Others are answered meanwhile.
    other.send(asked('meanwhile'))
    expect(await lines(other, 4)).toEqual(answered('meanwhile'))
    slow.socket.resume()
    for (const text of texts) expect(await lines(slow, 4)).toEqual(answered(text))
    await sending
    expect(sent).toBe(texts.length)
    for (const client of [slow, other]) client.close()
  })

  test('several answers to one client in one turn', async () => {
    const client = await RawClient.start(served.port)
    client.send(
      raw.query('notify'),
      raw.query('select 1'),
      raw.query('rows 100'),
      raw.query('big 30'),
      raw.query('set x'),
    )
    const seen: string[] = []
    for (let i = 0; i < 5; i++) seen.push(...(await client.until('Z')))
    expect(seen.filter((line) => !line.startsWith('D')).map((line) => line.split(' ').slice(0, 3).join(' '))).toEqual([
      expect.stringMatching(/^A \d+ channel$/),
      'C NOTIFY',
      'Z I',
      'T ?column?:23/0',
      'C SELECT 1',
      'Z I',
      'T n:23/0 t:25/0',
      'C SELECT 100',
      'Z I',
      expect.stringMatching(/^T /),
      'C SELECT 30',
      'Z I',
      expect.stringMatching(/^S application_name x/),
      'C SET',
      'Z I',
    ])
    client.close()
  })

  test('what comes while nothing is asked', async () => {
    const client = await RawClient.start(served.port)
    client.send(raw.query('idle'))
    await client.until('Z')
    expect(await client.until('A')).toEqual(['A 1 idle late'])
    client.send(raw.query('die'))
    await client.until('Z')
    expect(await client.rest()).toEqual([expect.stringMatching(/^E FATAL 57P01/), 'closed'])
    client.close()
  })

  test('a client that ends its sending side is answered', async () => {
    const client = await RawClient.start(served.port)
    client.send(raw.query('slow 50'), raw.query('select 1'))
    client.socket.end()
    const seen = await client.rest()
    expect(seen.filter((line) => line === 'C SELECT 1')).toHaveLength(2)
    expect(seen.at(-1)).toBe('closed')
    await eventually(() => served.listener.connections === 0)
  })

  test('what was sent before the server stops is answered, and a goodbye is taken', async () => {
    const stopping = await serveFake({ pump })
    const client = await RawClient.start(stopping.port)
    client.send(raw.query('select 1'), raw.terminate)
    const closed = stopping.listener.close(1000)
    expect(await client.rest()).toEqual(['T ?column?:23/0', 'D 1', 'C SELECT 1', 'Z I', 'closed'])
    await closed
  })

  test('a client that is cut off ends its statement, also one that was not listened to', async () => {
    const waiting = await RawClient.start(served.port)
    waiting.send(raw.query('wait'))
    await pause(100)
    expect(served.database.sessions).toBe(1)
    waiting.socket.resetAndDestroy()
    await eventually(() => served.listener.connections === 0 && served.database.sessions === 0)

    const greedy = await RawClient.start(served.port)
    greedy.socket.pause()
    greedy.send(...Array.from({ length: 3000 }, () => raw.query('big 100')))
    await pause(200)
    greedy.socket.resetAndDestroy()
    await eventually(() => served.listener.connections === 0 && served.database.sessions === 0)
  })
})
