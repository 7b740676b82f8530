/** Who gets in: HBA rules and methods, SCRAM with and without channel binding over real TLS, limits, time-outs. */
import { createHash, randomBytes } from 'node:crypto'
import { connect as tlsConnect } from 'node:tls'
import pg from 'pg'
import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { endPointHash } from '../../server/auth/certificate.ts'
import { defaultRules, parseHba } from '../../server/auth/hba.ts'
import { startScram } from '../../server/auth/scram.ts'
import { makeMd5Verifier, makeScramVerifier, parseScramVerifier } from '../../sql/session/scram-verifier.ts'
import { FakeDatabase, type FakeRole } from './fake-session.ts'
import { eventually, makeCertificate, psql, type Served, serveFake } from './fixture.ts'
import * as raw from './raw-client.ts'
import { RawClient } from './raw-client.ts'

const PASSWORD = 'sécret, =x'
const roles: Record<string, FakeRole> = {
  open: {},
  scram: { password: makeScramVerifier(PASSWORD) },
  hashed: { password: makeMd5Verifier(PASSWORD, 'hashed') },
  expired: { password: makeScramVerifier(PASSWORD), validUntil: new Date(0) },
  spaced: { password: makeScramVerifier('I\u00adX \u2168') },
}
const tls = makeCertificate()

let servers: Served[] = []
afterAll(async () => {
  await Promise.all(servers.map((served) => served.listener.close(0)))
  servers = []
})
async function serve(
  hba: string | undefined,
  settings: Record<string, string> = {},
  encrypted = true,
): Promise<Served> {
  const served = await serveFake({
    database: new FakeDatabase(roles, settings),
    hba: hba === undefined ? defaultRules(false) : parseHba(hba, 'pg_hba.conf'),
    ...(encrypted ? { tls } : {}),
  })
  servers.push(served)
  return served
}
const select = ['-At', '-c', 'select 1']
const as = (user: string, password = PASSWORD, more: Record<string, string> = {}): Record<string, string> => ({
  PGUSER: user,
  PGPASSWORD: password,
  PGSSLMODE: 'disable',
  ...more,
})

describe('without an HBA file', () => {
  let served: Served
  beforeAll(async () => {
    served = await serve(undefined)
  })

  test('a role without a password is trusted on loopback', async () => {
    expect(await psql(served.port, select, as('open'))).toMatchObject({ code: 0, out: '1\n' })
  })
  test('a role with a password has to prove it', async () => {
    expect(await psql(served.port, select, as('scram'))).toMatchObject({ code: 0, out: '1\n' })
    const wrong = await psql(served.port, select, as('scram', 'wrong'))
    expect(wrong.code).toBe(2)
    expect(wrong.err).toContain('FATAL:  password authentication failed for user "scram"')
  })
  test('an unknown role', async () => {
    expect((await psql(served.port, select, as('nobody'))).err).toContain('FATAL:  role "nobody" does not exist')
  })
})

describe('by rules', () => {
  let served: Served
  beforeAll(async () => {
    served = await serve(`
      host     all  open      127.0.0.1/32  trust
      host     all  rejected  samehost      reject
      hostssl  tlsonly  all   all           scram-sha-256
      host     plain    all   all           password
      host     md5db    all   all           md5
      host     postgres all   127.0.0.0 255.0.0.0 scram-sha-256
    `)
  })

  test.each([
    ['scram', 'postgres', PASSWORD],
    ['spaced', 'postgres', 'IX IX'],
    ['scram', 'plain', PASSWORD],
    ['hashed', 'plain', PASSWORD],
    ['hashed', 'md5db', PASSWORD],
    ['scram', 'md5db', PASSWORD],
  ])('%s to %s', async (user, database, password) => {
    const ran = await psql(served.port, select, as(user, password, { PGDATABASE: database }))
    expect(ran).toMatchObject({ code: 0, out: '1\n' })
  })

  test.each([
    ['scram', 'postgres', 'wrong'],
    ['scram', 'plain', 'wrong'],
    ['hashed', 'md5db', 'wrong'],
    ['hashed', 'postgres', PASSWORD],
    ['expired', 'postgres', PASSWORD],
    ['nobody', 'postgres', PASSWORD],
    ['nobody', 'md5db', PASSWORD],
    ['nobody', 'plain', PASSWORD],
  ])('%s to %s with %s', async (user, database, password) => {
    const ran = await psql(served.port, select, as(user, password, { PGDATABASE: database }))
    expect(ran.err).toContain(`FATAL:  password authentication failed for user "${user}"`)
  })

  test('reject and no entry', async () => {
    expect((await psql(served.port, select, as('rejected'))).err).toContain(
      'FATAL:  pg_hba.conf rejects connection for host "127.0.0.1", user "rejected", database "postgres", no encryption',
    )
    expect((await psql(served.port, select, as('scram', PASSWORD, { PGDATABASE: 'tlsonly' }))).err).toContain(
      'FATAL:  no pg_hba.conf entry for host "127.0.0.1", user "scram", database "tlsonly", no encryption',
    )
    const encrypted = as('scram', PASSWORD, { PGDATABASE: 'tlsonly', PGSSLMODE: 'require' })
    expect(await psql(served.port, select, encrypted)).toMatchObject({ code: 0, out: '1\n' })
  })

  test('an empty password', async () => {
    const client = await RawClient.open(served.port)
    client.send(raw.startup({ user: 'scram', database: 'plain' }))
    expect(await client.until('R')).toEqual(['R 3'])
    client.send(raw.message('p', Buffer.from([0])))
    expect(await client.rest()).toEqual(['E FATAL 28P01 empty password returned by client', 'closed'])
  })

  test.each([
    ['another message', raw.query('select 1'), '08P01 expected SASL response, got message type 81'],
    [
      'another mechanism',
      raw.message('p', Buffer.from('PLAIN\0\0\0\0\0')),
      '08P01 client selected an invalid SASL authentication mechanism',
    ],
    ['no length', raw.message('p', Buffer.from('SCRAM-SHA-256\0')), '08P01 insufficient data left in message'],
    ['nonsense', raw.message('p', Buffer.from('SCRAM-SHA-256\0\0\0\0\u0003abc')), '08P01 malformed SCRAM message'],
    ['too long', Buffer.from([0x70, 0, 1, 0, 0]), '08P01 invalid message length'],
  ])('SASL: %s', async (_, bytes, answer) => {
    const client = await RawClient.open(served.port)
    client.send(raw.startup({ user: 'scram', database: 'postgres' }))
    expect(await client.until('R')).toEqual(['R 10 SCRAM-SHA-256\0\0'])
    client.send(bytes)
    expect(await client.rest()).toEqual([`E FATAL ${answer}`, 'closed'])
  })

  test('the pg and postgres clients', async () => {
    const client = new pg.Client({
      port: served.port,
      host: '127.0.0.1',
      user: 'scram',
      password: PASSWORD,
      database: 'postgres',
    })
    await client.connect()
    expect((await client.query('rows 2')).rows).toEqual([
      { n: 0, t: null },
      { n: 1, t: 'row 1' },
    ])
    await client.end()
    const wrong = new pg.Client({
      port: served.port,
      host: '127.0.0.1',
      user: 'scram',
      password: 'no',
      database: 'postgres',
    })
    await expect(wrong.connect()).rejects.toMatchObject({ code: '28P01' })
    const sql = postgres({
      port: served.port,
      host: '127.0.0.1',
      user: 'scram',
      password: PASSWORD,
      database: 'postgres',
      max: 1,
      fetch_types: false,
    })
    expect([...(await sql.unsafe('rows 2'))]).toEqual([
      { n: 0, t: null },
      { n: 1, t: 'row 1' },
    ])
    await sql.end()
  })
})

describe('TLS', () => {
  let served: Served
  beforeAll(async () => {
    served = await serve('hostssl all all all scram-sha-256')
  })

  test('channel binding', async () => {
    const bound = as('scram', PASSWORD, { PGSSLMODE: 'require', PGCHANNELBINDING: 'require' })
    expect(await psql(served.port, ['-At', '-c', 'rows 3'], bound)).toMatchObject({
      code: 0,
      out: '0|\n1|row 1\n2|row 2\n',
    })
    const wrong = await psql(served.port, select, { ...bound, PGPASSWORD: 'wrong' })
    expect(wrong.err).toContain('password authentication failed')
    const unbound = { ...bound, PGCHANNELBINDING: 'disable' }
    expect(await psql(served.port, select, unbound)).toMatchObject({ code: 0, out: '1\n' })
  })

  test.each([
    ['RSA and SHA-384', ['rsa:2048', '-sha384']],
    ['elliptic curve', ['ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-sha256']],
  ])('channel binding to a certificate of %s', async (_, key) => {
    const other = await serveFake({
      database: new FakeDatabase(roles),
      hba: parseHba('hostssl all all all scram-sha-256', 'x'),
      tls: makeCertificate(key),
    })
    servers.push(other)
    const bound = as('scram', PASSWORD, { PGSSLMODE: 'require', PGCHANNELBINDING: 'require' })
    expect(await psql(other.port, select, bound)).toMatchObject({ code: 0, out: '1\n' })
  })

  test('a certificate whose signature names no hash offers no binding', async () => {
    const certificate = makeCertificate(['ed25519'])
    expect(endPointHash(certificate.certificate)).toBeUndefined()
    expect(endPointHash(tls.certificate)).toHaveLength(32)
  })

  test('large results', async () => {
    const client = new pg.Client({
      port: served.port,
      host: '127.0.0.1',
      user: 'scram',
      password: PASSWORD,
      database: 'postgres',
      ssl: { rejectUnauthorized: false },
    })
    await client.connect()
    expect((await client.query('big 5000')).rows).toHaveLength(5000)
    await client.end()
  })

  test('plain text after the request for TLS', async () => {
    const client = await RawClient.open(served.port)
    client.send(raw.sslRequest, raw.startup({ user: 'scram' }))
    expect(await client.rest()).toEqual(['E FATAL 08P01 received unencrypted data after SSL request', 'closed'])
  })

  test('a connection that begins with TLS, by ALPN', async () => {
    const socket = tlsConnect({
      port: served.port,
      host: '127.0.0.1',
      rejectUnauthorized: false,
      ALPNProtocols: ['postgresql'],
    })
    await new Promise((resolve) => socket.once('secureConnect', resolve))
    expect(socket.alpnProtocol).toBe('postgresql')
    const client = new RawClient(socket)
    client.send(raw.startup({ user: 'scram' }))
    expect(await client.until('R')).toEqual(['R 10 SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0'])
    client.close()
  })

  test('a connection that begins with TLS but does not say what for', async () => {
    const socket = tlsConnect({ port: served.port, host: '127.0.0.1', rejectUnauthorized: false })
    const client = new RawClient(socket)
    client.send(raw.startup({ user: 'scram' }))
    expect(await client.rest()).toEqual(['closed'])
  })

  test('nonsense instead of a TLS handshake', async () => {
    const client = await RawClient.open(served.port)
    client.send(raw.sslRequest)
    expect(await client.byte()).toBe('S')
    client.send(randomBytes(200))
    await client.rest()
    client.close()
  })
})

describe('limits', () => {
  test("max_connections and the superusers' reserve", async () => {
    const served = await serve(undefined, { max_connections: '5', superuser_reserved_connections: '2' }, false)
    const clients: RawClient[] = []
    for (let i = 0; i < 3; i++) clients.push(await RawClient.start(served.port, { user: 'open' }))
    const fourth = await RawClient.open(served.port)
    fourth.send(raw.startup({ user: 'open' }))
    expect(await fourth.rest()).toEqual([
      'R 0',
      'E FATAL 53300 remaining connection slots are reserved for non-replication superuser connections',
      'closed',
    ])
    fourth.close()
    await eventually(() => served.listener.connections === 3)
    for (let i = 0; i < 2; i++) clients.push(await RawClient.start(served.port))
    const sixth = await RawClient.open(served.port)
    sixth.send(raw.startup())
    expect(await sixth.rest()).toEqual(['E FATAL 53300 sorry, too many clients already', 'closed'])
    clients[0]!.close()
    await eventually(() => served.listener.connections === 4)
    clients.push(await RawClient.start(served.port))
    for (const client of clients) client.close()
  })

  test('authentication_timeout', async () => {
    const served = await serve(undefined, { authentication_timeout: '50ms' })
    const silent = await RawClient.open(served.port)
    expect(await silent.rest()).toEqual(['closed'])
    const slow = await RawClient.open(served.port)
    slow.send(raw.startup({ user: 'scram' }))
    expect((await slow.rest()).slice(-2)).toEqual(['E FATAL 57014 canceling authentication due to timeout', 'closed'])
    const quick = await RawClient.start(served.port)
    await new Promise((resolve) => setTimeout(resolve, 80))
    quick.send(raw.query('select 1'))
    expect(await quick.until('Z')).toContain('C SELECT 1')
    quick.close()
  })
})

describe('SCRAM by the book', () => {
  /** RFC 7677, section 3. */
  const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64')
  const verifier = parseScramVerifier(makeScramVerifier('pencil', salt, 4096))
  const options = {
    mechanism: 'SCRAM-SHA-256',
    verifier,
    user: 'user',
    endPointHash: undefined,
    serverNonce: '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0',
  } as const
  const first = 'n,,n=user,r=rOprNGfwEbeRWgbNEkqO'
  const right =
    'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ='

  test("the RFC's example", () => {
    const challenge = startScram(first, options)
    expect(challenge.serverFirst).toBe(
      'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
    )
    expect(challenge.finish(right)).toBe('v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=')
  })

  test.each([
    ['a wrong proof', right.replace('p=dH', 'p=eH'), undefined],
    ['another nonce', right.replace(',r=rO', ',r=xx'), 'invalid SCRAM response'],
    [
      'another binding',
      right.replace('biws', 'eSws'),
      'unexpected SCRAM channel-binding attribute in client-final-message',
    ],
    ['a short proof', right.slice(0, -8), 'malformed SCRAM message'],
    ['no proof', 'c=biws,r=x', 'malformed SCRAM message'],
  ])('%s', (_, final, message) => {
    const challenge = startScram(first, options)
    if (message === undefined) expect(challenge.finish(final)).toBeUndefined()
    else expect(() => challenge.finish(final)).toThrow(message)
  })

  test.each([
    ['n,a=other,n=,r=x', 'client uses authorization identity, but it is not supported'],
    ['n,,m=x,n=,r=x', 'client requires an unsupported SCRAM extension'],
    ['p=tls-unique,,n=,r=x', 'malformed SCRAM message'],
    ['x,,n=,r=x', 'malformed SCRAM message'],
    ['n,,n=,r=\u0001', 'non-printable characters in SCRAM nonce'],
    ['n', 'malformed SCRAM message'],
    ['', 'malformed SCRAM message'],
  ])('first message %j', (message, error) => {
    expect(() => startScram(message, options)).toThrow(error)
  })

  test('a client that was talked out of channel binding', () => {
    expect(() => startScram('y,,n=,r=x', { ...options, endPointHash: Buffer.alloc(32) })).toThrow(
      'SCRAM channel binding negotiation error',
    )
    expect(() =>
      startScram('p=tls-unique,,n=,r=x', {
        ...options,
        mechanism: 'SCRAM-SHA-256-PLUS',
        endPointHash: Buffer.alloc(32),
      }),
    ).toThrow('unsupported SCRAM channel-binding type "tls-unique"')
  })

  test('an unknown user is asked with the same salt each time, and always fails', () => {
    const mock = { ...options, verifier: undefined }
    const a = startScram(first, mock)
    expect(startScram(first, mock).serverFirst).toBe(a.serverFirst)
    expect(startScram(first, { ...mock, user: 'other' }).serverFirst).not.toBe(a.serverFirst)
    expect(a.finish(right)).toBeUndefined()
  })

  test('verifiers', () => {
    const text = makeScramVerifier('x')
    expect(text).toMatch(/^SCRAM-SHA-256\$4096:[A-Za-z0-9+/]{22}==\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=$/)
    for (const bad of ['', 'plain', 'md5x', 'SCRAM-SHA-256$4096:salt', text.slice(0, -4), `${text}x`]) {
      expect(parseScramVerifier(bad)).toBeUndefined()
    }
    expect(makeMd5Verifier('p', 'u')).toBe(`md5${createHash('md5').update('pu').digest('hex')}`)
  })
})
