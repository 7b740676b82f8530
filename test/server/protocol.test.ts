/** The message flow, byte for byte, against a fake session (PostgreSQL manual, 55.2). */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually, type Served, serveFake } from './fixture.ts'
import * as raw from './raw-client.ts'
import { RawClient } from './raw-client.ts'

let served: Served
let clients: RawClient[] = []
beforeAll(async () => {
  served = await serveFake({ messageBytesMax: 1 << 20 })
})
afterAll(async () => {
  for (const client of clients) client.close()
  clients = []
  await served.listener.close(0)
})
async function start(parameters?: Record<string, string>): Promise<RawClient> {
  const client = await RawClient.start(served.port, parameters)
  clients.push(client)
  return client
}
async function open(): Promise<RawClient> {
  const client = await RawClient.open(served.port)
  clients.push(client)
  return client
}
/** The lines without the start-up parameters. */
const brief = (lines: string[]): string[] => lines.filter((line) => !line.startsWith('S '))

describe('start-up', () => {
  test('parameters, key, ready', async () => {
    const client = await open()
    client.send(raw.startup())
    const lines = await client.until('Z')
    expect(lines).toContain('S server_version 15.0')
    expect(brief(lines)).toEqual(['R 0', 'K', 'Z I'])
  })

  test('SSLRequest and GSSENCRequest are answered N without TLS, then start-up goes on', async () => {
    const client = await open()
    client.send(raw.sslRequest)
    expect(await client.byte()).toBe('N')
    client.send(raw.gssencRequest)
    expect(await client.byte()).toBe('N')
    client.send(raw.startup())
    expect(brief(await client.until('Z'))).toEqual(['R 0', 'K', 'Z I'])
  })

  test('a second SSLRequest is no protocol version', async () => {
    const client = await open()
    client.send(raw.sslRequest)
    expect(await client.byte()).toBe('N')
    client.send(raw.sslRequest)
    expect(await client.rest()).toEqual([
      'E FATAL 0A000 unsupported frontend protocol 1234.5679: server supports 3.0 to 3.0',
      'closed',
    ])
  })

  test('a newer minor version and protocol options are negotiated', async () => {
    const client = await open()
    client.send(raw.startup({ user: 'postgres', '_pq_.fancy': 'on' }, 196_610))
    const first = await client.next()
    expect(first?.type).toBe('v')
    expect(first?.body.readInt32BE(0)).toBe(196_608)
    expect(first?.body.readInt32BE(4)).toBe(1)
    expect(first?.body.toString('utf8', 8)).toBe('_pq_.fancy\0')
    expect(brief(await client.until('Z'))).toEqual(['R 0', 'K', 'Z I'])
  })

  test('protocol 2 is refused', async () => {
    const client = await open()
    client.send(raw.startup({ user: 'postgres' }, 2 << 16))
    expect(await client.rest()).toEqual([
      'E FATAL 0A000 unsupported frontend protocol 2.0: server supports 3.0 to 3.0',
      'closed',
    ])
  })

  test.each([
    ['no user', raw.startup({}), '28000 no PostgreSQL user name specified in startup packet'],
    ['unknown role', raw.startup({ user: 'nobody' }), '28000 role "nobody" does not exist'],
    [
      'unknown database',
      raw.startup({ user: 'postgres', database: 'missing' }),
      '3D000 database "missing" does not exist',
    ],
    [
      'no terminator',
      raw.untyped(Buffer.from([0, 3, 0, 0]), Buffer.from('user\0x')),
      '08P01 invalid startup packet layout: expected terminator as last byte',
    ],
    [
      'replication',
      raw.startup({ user: 'postgres', replication: 'database' }),
      '0A000 replication connections are not supported',
    ],
    [
      'bad option',
      raw.startup({ user: 'postgres', options: '-x 1' }),
      '42601 invalid command-line argument for server process: -x',
    ],
    ['too long', Buffer.from([0, 1, 0, 0, 0, 3, 0, 0]), '08P01 invalid length of startup packet'],
    ['too short', Buffer.from([0, 0, 0, 7, 0, 3, 0, 0]), '08P01 invalid length of startup packet'],
  ])('%s', async (_, packet, answer) => {
    const client = await open()
    client.send(packet)
    expect((await client.rest()).slice(-2)).toEqual([`E FATAL ${answer}`, 'closed'])
  })

  test('settings of options come before parameters, which win', async () => {
    const client = await start({
      user: 'postgres',
      application_name: 'raw',
      options: '-c work_mem=1MB --search-path=a\\ b -cgeqo=off -c application_name=lost',
    })
    client.send(raw.query('select 1'))
    await client.until('Z')
    const session = [...served.database.open.values()].at(-1)
    expect([...session!.options.parameters]).toEqual([
      ['work_mem', '1MB'],
      ['search_path', 'a b'],
      ['geqo', 'off'],
      ['application_name', 'raw'],
    ])
    expect(session!.options.database).toBe('postgres')
    expect(session!.options.clientAddress).toBe('127.0.0.1')
  })
})

describe('simple query', () => {
  test.each([
    ['one statement', 'select 1', ['T ?column?:23/0', 'D 1', 'C SELECT 1', 'Z I']],
    [
      'several statements',
      'begin; select 1; notice',
      ['C BEGIN', 'T ?column?:23/0', 'D 1', 'C SELECT 1', 'N NOTICE 00000 look', 'C DO', 'Z T'],
    ],
    ['nothing', '', ['I', 'Z I']],
    ['NULLs', 'rows 2', ['T n:23/0 t:25/0', 'D 0|null', 'D 1|row 1', 'C SELECT 2', 'Z I']],
    ['an error', 'error', ['E ERROR 22012 division by zero', 'Z I']],
    ['an error after rows', 'error late', ['T ?column?:23/0', 'D 1', 'E ERROR 22012 division by zero', 'Z I']],
    ['an error in a block', 'begin; error', ['C BEGIN', 'E ERROR 22012 division by zero', 'Z E']],
    ['a bug', 'boom', ['E ERROR XX000 internal error: a bug', 'Z I']],
    ['a notification', 'notify', [expect.stringMatching(/^A \d+ channel payload$/), 'C NOTIFY', 'Z I']],
    ['a parameter', 'set x', ['S application_name x', 'C SET', 'Z I']],
    [
      'waiting',
      'slow 5; select 1',
      ['T ?column?:23/0', 'D 1', 'C SELECT 1', 'T ?column?:23/0', 'D 1', 'C SELECT 1', 'Z I'],
    ],
  ])('%s', async (_, sql, answer) => {
    const client = await start()
    client.send(raw.query(sql))
    expect(await client.until('Z')).toEqual(answer)
  })

  test('every field of an error', async () => {
    const client = await start()
    client.send(raw.query('error'))
    const received = await client.next()
    expect(raw.errorFields(received!.body)).toEqual({
      S: 'ERROR',
      V: 'ERROR',
      C: '22012',
      M: 'division by zero',
      D: 'a detail',
      H: 'a hint',
      P: '8',
      W: 'a context',
      s: 's',
      t: 't',
      c: 'c',
      d: 'd',
      n: 'n',
    })
  })

  test('a bug is logged with its stack, and the session is put in order', async () => {
    const client = await start()
    const session = [...served.database.open.values()].at(-1)!
    client.send(raw.query('begin'), raw.query('boom'))
    await client.until('Z')
    expect(await client.until('Z')).toEqual(['E ERROR XX000 internal error: a bug', 'Z E'])
    expect(session.fails).toBe(1)
    expect(served.logged.some((line) => line.includes('TypeError: a bug') && line.includes('fake-session.ts'))).toBe(
      true,
    )
  })

  test('what comes when no statement runs is sent at once', async () => {
    const client = await start()
    client.send(raw.query('idle'))
    await client.until('Z')
    expect(await client.until('A')).toEqual(['A 1 idle late'])
  })

  test('a session that ends itself says why', async () => {
    const client = await start()
    client.send(raw.query('die'))
    expect((await client.rest()).slice(-2)).toEqual([
      'E FATAL 57P01 terminating connection due to administrator command',
      'closed',
    ])
  })
})

describe('extended query', () => {
  test('parse, bind, describe, execute, close, sync in one write', async () => {
    const client = await start()
    client.send(
      raw.parse('s', 'echo $1 $2', [25, 25]),
      raw.describe_('S', 's'),
      raw.bind('p', 's', ['a', null]),
      raw.describe_('P', 'p'),
      raw.execute('p'),
      raw.close('P', 'p'),
      raw.close('S', 's'),
      raw.sync,
    )
    expect(await client.until('Z')).toEqual([
      '1',
      't 25 25',
      'T p1:25/0 p2:25/0',
      '2',
      'T p1:25/0 p2:25/0',
      'D a|null',
      'C SELECT 1',
      '3',
      '3',
      'Z I',
    ])
  })

  test('binary results and parameters', async () => {
    const client = await start()
    client.send(
      raw.parse('', 'rows $1', [23]),
      raw.bind('', '', [Buffer.from([0, 0, 0, 2])], [1], [1, 0]),
      raw.describe_('P'),
      raw.execute(),
      raw.sync,
    )
    expect(await client.until('Z')).toEqual([
      '1',
      '2',
      'T n:23/1 t:25/0',
      'D \0\0\0\0|null',
      'D \0\0\0\u0001|row 1',
      'C SELECT 2',
      'Z I',
    ])
  })

  test('a portal in pieces', async () => {
    const client = await start()
    client.send(
      raw.parse('', 'rows 5'),
      raw.bind('p', ''),
      raw.execute('p', 2),
      raw.execute('p', 2),
      raw.execute('p', 2),
      raw.sync,
    )
    expect(await client.until('Z')).toEqual([
      '1',
      '2',
      'D 0|null',
      'D 1|row 1',
      's',
      'D 2|row 2',
      'D 3|null',
      's',
      'D 4|row 4',
      'C SELECT 1',
      'Z I',
    ])
  })

  test('no data, empty query', async () => {
    const client = await start()
    client.send(
      raw.parse('', 'set x'),
      raw.describe_('S'),
      raw.bind('', ''),
      raw.describe_('P'),
      raw.execute(),
      raw.sync,
    )
    expect(await client.until('Z')).toEqual(['1', 't', 'n', '2', 'n', 'S application_name x', 'C SET', 'Z I'])
    client.send(raw.parse('', 'empty'), raw.bind('', ''), raw.execute(), raw.sync)
    expect(await client.until('Z')).toEqual(['1', '2', 'I', 'Z I'])
  })

  test('after an error everything to Sync is skipped, and the next batch is answered', async () => {
    const client = await start()
    client.send(
      raw.parse('', 'error'),
      raw.bind('', ''),
      raw.execute(),
      raw.parse('', 'select 1'),
      raw.execute(),
      raw.query('select 1'),
      raw.flush,
      raw.sync,
      raw.parse('', 'select 1'),
      raw.bind('', ''),
      raw.execute(),
      raw.sync,
    )
    expect(await client.until('Z')).toEqual(['1', '2', 'E ERROR 22012 division by zero', 'Z I'])
    expect(await client.until('Z')).toEqual(['1', '2', 'D 1', 'C SELECT 1', 'Z I'])
  })

  test('an error is sent before Sync', async () => {
    const client = await start()
    client.send(raw.parse('', 'syntax'))
    expect(await client.until('E')).toEqual(['E ERROR 42601 syntax error at or near "syntax"'])
    client.send(raw.sync)
    expect(await client.until('Z')).toEqual(['Z I'])
  })

  test('Flush sends what is there', async () => {
    const client = await start()
    client.send(raw.parse('', 'select 1'), raw.bind('', ''), raw.execute(), raw.flush)
    expect(await client.until('C')).toEqual(['1', '2', 'D 1', 'C SELECT 1'])
    client.send(raw.sync)
    expect(await client.until('Z')).toEqual(['Z I'])
  })

  test('pipelines of waiting and quick statements keep their order', async () => {
    const client = await start()
    const one = (sql: string) => [raw.parse('', sql), raw.bind('', ''), raw.execute(), raw.sync]
    client.send(...one('slow 20'), ...one('rows 1'), ...one('slow 1'), ...one('error'), ...one('select 1'))
    expect(await client.until('Z')).toEqual(['1', '2', 'D 1', 'C SELECT 1', 'Z I'])
    expect(await client.until('Z')).toEqual(['1', '2', 'D 0|null', 'C SELECT 1', 'Z I'])
    expect(await client.until('Z')).toEqual(['1', '2', 'D 1', 'C SELECT 1', 'Z I'])
    expect(await client.until('Z')).toEqual(['1', '2', 'E ERROR 22012 division by zero', 'Z I'])
    expect(await client.until('Z')).toEqual(['1', '2', 'D 1', 'C SELECT 1', 'Z I'])
  })

  test('ten thousand pipelined queries', async () => {
    const client = await start()
    client.send(...Array.from({ length: 10_000 }, () => raw.query('select 1')))
    for (let i = 0; i < 10_000; i++) expect((await client.until('Z')).length).toBe(4)
  })

  test.each([
    ['unknown statement', raw.bind('', 'none'), '26000 prepared statement "none" does not exist'],
    ['unknown portal', raw.execute('none'), '34000 portal "none" does not exist'],
    ['formats', raw.bind('', 's', ['a'], [0, 0]), '08P01 bind message has 2 parameter formats but 1 parameters'],
    ['format code', raw.bind('', 's', ['a'], [2]), '22023 unsupported format code: 2'],
    ['describe subtype', raw.message('D', Buffer.from('Qx\0')), '08P01 invalid DESCRIBE message subtype 81'],
    ['close subtype', raw.message('C', Buffer.from('Qx\0')), '08P01 invalid CLOSE message subtype 81'],
    ['no end of string', raw.message('P', Buffer.from('abc')), '08P01 invalid string in message'],
    ['cut short', raw.message('P', Buffer.from('a\0b\0')), '08P01 insufficient data left in message'],
    [
      'cut in a value',
      raw.message('B', Buffer.from('\0s\0\0\0\0\u0001\0\0\0\u0009ab', 'latin1')),
      '08P01 insufficient data left in message',
    ],
    [
      'negative length',
      raw.message('B', Buffer.from('\0s\0\0\0\0\u0001\xff\xff\xff\xfe\0\0', 'latin1')),
      '08P01 insufficient data left in message',
    ],
    ['too much', raw.message('E', Buffer.from('\0\0\0\0\0!')), '08P01 invalid message format'],
    ['no data', raw.message('D'), '08P01 no data left in message'],
    [
      'not UTF-8',
      raw.message('P', Buffer.from('\0select \xe9 \0\0\0', 'latin1')),
      '22021 invalid byte sequence for encoding "UTF8": 0xe9 0x20',
    ],
  ])('malformed: %s', async (_, bad, answer) => {
    const client = await start()
    client.send(raw.parse('s', 'echo $1'), bad, raw.execute(), raw.sync)
    expect((await client.until('Z')).slice(-2)).toEqual([`E ERROR ${answer}`, 'Z I'])
    client.send(raw.query('select 1'))
    expect(await client.until('Z')).toContain('C SELECT 1')
  })
})

describe('COPY', () => {
  test('in, by a simple query', async () => {
    const client = await start()
    client.send(raw.query('copy in'))
    expect(await client.until('G')).toEqual(['G 0 2'])
    client.send(raw.copyData('a\n'), raw.copyData('b\nc'), raw.flush, raw.sync, raw.copyData('\n'), raw.copyDone)
    expect(await client.until('Z')).toEqual(['C COPY 3', 'Z I'])
  })

  test('in, a message longer than the queue', async () => {
    const client = await start()
    const before = served.database.copiedBytes
    client.send(raw.query('copy in slowly'), raw.copyData(Buffer.alloc(1_000_000, 10)), raw.copyData('x'), raw.copyDone)
    expect((await client.until('Z')).slice(1)).toEqual(['C COPY 1000000', 'Z I'])
    expect(served.database.copiedBytes - before).toBe(1_000_001)
  })

  test('in, everything in one write, by the extended protocol', async () => {
    const client = await start()
    client.send(raw.parse('', 'copy in'), raw.bind('', ''), raw.execute(), raw.copyData('a\n'), raw.copyDone, raw.sync)
    expect(await client.until('Z')).toEqual(['1', '2', 'G 0 2', 'C COPY 1', 'Z I'])
  })

  test('the client gives up', async () => {
    const client = await start()
    client.send(raw.query('copy in'), raw.copyData('a\n'), raw.copyFail('no more'))
    expect(await client.until('Z')).toEqual(['G 0 2', 'E ERROR 57014 COPY from stdin failed: no more', 'Z I'])
  })

  test('the statement fails: the rest of the data is dropped', async () => {
    const client = await start()
    client.send(raw.query('copy in failing'), raw.copyData('a\n'))
    expect(await client.until('Z')).toEqual(['G 0 2', 'E ERROR 22P04 extra data after last expected column', 'Z I'])
    client.send(raw.copyData('b\n'), raw.copyDone, raw.query('select 1'))
    expect(await client.until('Z')).toEqual(['T ?column?:23/0', 'D 1', 'C SELECT 1', 'Z I'])
  })

  test('the statement fails in the extended protocol: skipped to Sync', async () => {
    const client = await start()
    client.send(
      raw.parse('', 'copy in failing'),
      raw.bind('', ''),
      raw.execute(),
      raw.copyData('a\n'),
      raw.copyData('b\n'),
      raw.copyDone,
      raw.sync,
    )
    expect(await client.until('Z')).toEqual([
      '1',
      '2',
      'G 0 2',
      'E ERROR 22P04 extra data after last expected column',
      'Z I',
    ])
  })

  test('another message in the middle', async () => {
    const client = await start()
    client.send(raw.query('copy in'), raw.copyData('a\n'), raw.query('select 1'))
    expect(await client.rest()).toEqual([
      'G 0 2',
      'E ERROR 08P01 unexpected message type 0x51 during COPY from stdin',
      'E FATAL 08P01 terminating connection because protocol synchronization was lost',
      'closed',
    ])
  })

  test('the client goes in the middle', async () => {
    const client = await start()
    const sessions = served.database.sessions
    client.send(raw.query('copy in'), raw.copyData('a\n'))
    await client.until('G')
    client.socket.end()
    expect((await client.rest())[0]).toBe('E FATAL 08006 unexpected EOF on client connection with an open transaction')
    await eventually(() => served.database.sessions === sessions - 1)
  })

  test('out', async () => {
    const client = await start()
    client.send(raw.query('copy out 2'))
    expect(await client.until('Z')).toEqual(['H 0 2', 'd 0\trow 0', 'd 1\trow 1', 'c', 'C COPY 2', 'Z I'])
  })
})

describe('endings', () => {
  test('Terminate after a running statement: it is finished first', async () => {
    const client = await start()
    const sessions = served.database.sessions
    client.send(raw.query('slow 20'), raw.terminate)
    expect(await client.rest()).toEqual(['T ?column?:23/0', 'D 1', 'C SELECT 1', 'Z I', 'closed'])
    await eventually(() => served.database.sessions === sessions - 1)
  })

  test('the client half-closes: what it sent is answered', async () => {
    const client = await start()
    client.send(raw.query('slow 20'), raw.query('select 1'))
    client.socket.end()
    expect((await client.rest()).filter((line) => line.startsWith('C'))).toEqual(['C SELECT 1', 'C SELECT 1'])
  })

  test('the client is gone with a reset: its statement is ended', async () => {
    const client = await start()
    const sessions = served.database.sessions
    client.send(raw.query('wait'))
    await new Promise((resolve) => setTimeout(resolve, 20))
    client.socket.resetAndDestroy()
    await eventually(() => served.database.sessions === sessions - 1)
  })

  test('CancelRequest', async () => {
    const client = await open()
    client.send(raw.startup())
    let key: Buffer | undefined
    for (let received = await client.next(); received?.type !== 'Z'; received = await client.next()) {
      if (received?.type === 'K') key = received.body
    }
    client.send(raw.query('begin'), raw.query('wait'))
    await client.until('Z')
    const wrong = await open()
    wrong.send(raw.cancelRequest(key!.readInt32BE(0), key!.readInt32BE(4) + 1))
    expect(await wrong.rest()).toEqual(['closed'])
    const canceller = await open()
    canceller.send(raw.cancelRequest(key!.readInt32BE(0), key!.readInt32BE(4)))
    expect(await canceller.rest()).toEqual(['closed'])
    expect(await client.until('Z')).toEqual(['E ERROR 57014 canceling statement due to user request', 'Z E'])
  })

  test('the function call message', async () => {
    const client = await start()
    client.send(raw.query('begin'), raw.message('F', Buffer.alloc(14)))
    await client.until('Z')
    expect(await client.until('Z')).toEqual(['E ERROR 0A000 the function call message is not supported', 'Z E'])
  })

  test.each([
    ['type', raw.message('?'), '08P01 invalid frontend message type 63'],
    ['length', Buffer.from([0x51, 0, 0, 0, 3]), '08P01 invalid message length'],
    ['negative length', Buffer.from([0x51, 255, 0, 0, 3]), '08P01 invalid message length'],
    ['long Query', Buffer.from([0x51, 0, 16, 0, 1]), '08P01 invalid message length'],
    ['long Sync', Buffer.from([0x53, 0, 0, 0x27, 0x11]), '08P01 invalid message length'],
  ])('broken framing: %s', async (_, bytes, answer) => {
    const client = await start()
    client.send(raw.query('select 1'), bytes)
    expect((await client.rest()).slice(-3)).toEqual(['Z I', `E FATAL ${answer}`, 'closed'])
  })
})
