/**
 * Accepts clients and brings each from its first packet to a session (PostgreSQL manual, 55.2.1 "Start-up"):
 *
 *     socket → SSLRequest? → StartupMessage → a slot (max_connections) → HBA and authentication → Database.connect → Connection
 *
 * and lets all of them go when the server stops.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { createSecureContext, type SecureContext, TLSSocket } from 'node:tls'
import type { ConnectOptions, Database, Role } from '../sql/session/session.ts'
import { SqlError, sqlError } from '../sql/types/error.ts'
import { authenticate } from './auth/authenticate.ts'
import { endPointHash } from './auth/certificate.ts'
import { type HbaRule, matchHba, plainAddress } from './auth/hba.ts'
import { Connection } from './connection.ts'
import { ClientGone, Handshake } from './handshake.ts'
import type { Log } from './log.ts'
import { pumpIsBuilt } from './socket-pump.ts'
import { PROTOCOL_VERSION, readStartupPacket, type StartupPacket } from './startup-packet.ts'
import * as messages from './wire/messages.ts'
import { Output } from './wire/writer.ts'

/** Clients between accept and their start-up packet, over max_connections, before new ones are turned away unread. */
const UNKNOWN_CLIENTS_MAX = 1000
/** How long sockets may take to close once everything has been said. */
const CLOSE_MS = 1000
const PASSWORD_MESSAGE = 0x70

export interface TlsFiles {
  readonly certificate: string | Buffer
  readonly key: string | Buffer
}

export interface ListenerOptions {
  readonly database: Database
  readonly log: Log
  readonly hba: readonly HbaRule[]
  readonly tls?: TlsFiles | undefined
  readonly messageBytesMax?: number
  /** False: Node's own streams read and write all sockets. Default: they do where the socket pump is not built. */
  readonly pump?: boolean
}

export type ListenAddress = { readonly host: string; readonly port: number } | { readonly path: string }

export interface Listener {
  /** May be called more than once. Rejects with Node's error (EADDRINUSE, EACCES, …). */
  listen(address: ListenAddress): Promise<ListenAddress>
  /** Takes new rules and keys for connections to come. Throws and changes nothing when the keys do not fit. */
  reload(hba: readonly HbaRule[], tls: TlsFiles | undefined): void
  /** Clients with a session or on the way to one. */
  readonly connections: number
  /** Stops accepting, lets running statements finish for at most `graceMs`, ends every connection with 57P01. */
  close(graceMs: number): Promise<void>
}

interface Identity {
  readonly context: SecureContext
  readonly endPointHash: Buffer | undefined
}

type Start = Extract<StartupPacket, { kind: 'start' }>

export function createListener(options: ListenerOptions): Listener {
  return new PgListener(options)
}

class PgListener implements Listener {
  readonly #database: Database
  readonly #log: Log
  readonly #messageBytesMax: number | undefined
  readonly #pump: boolean
  readonly #servers: Server[] = []
  readonly #sockets = new Set<Socket>()
  readonly #running = new Set<Connection>()
  #hba: readonly HbaRule[]
  #identity: Identity | undefined
  #slots = 0
  #closing = false

  constructor(options: ListenerOptions) {
    this.#database = options.database
    this.#log = options.log
    this.#messageBytesMax = options.messageBytesMax
    this.#pump = options.pump !== false && pumpIsBuilt()
    if (options.pump !== false && !this.#pump) this.#log.warn('the socket pump is not built: run `npm run install`')
    this.#hba = options.hba
    this.#identity = identityOf(options.tls)
  }

  get connections(): number {
    return this.#slots
  }

  listen(address: ListenAddress): Promise<ListenAddress> {
    const idleSeconds = Number.parseInt(this.#database.setting('tcp_keepalives_idle'), 10)
    const server = createServer(
      {
        noDelay: true,
        allowHalfOpen: true,
        keepAlive: true,
        keepAliveInitialDelay: Number.isFinite(idleSeconds) ? idleSeconds * 1000 : 0,
      },
      (socket) => this.#accept(socket),
    )
    this.#servers.push(server)
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen(address, () => {
        server.off('error', reject)
        // Out of file descriptors and its kin: the next client may fare better.
        server.on('error', (error) =>
          this.#log.error({ err: error }, `could not accept a connection: ${error.message}`),
        )
        const bound = server.address()
        resolve(typeof bound === 'string' || bound === null ? address : addressOf(bound))
      })
    })
  }

  reload(hba: readonly HbaRule[], tls: TlsFiles | undefined): void {
    this.#identity = identityOf(tls)
    this.#hba = hba
  }

  async close(graceMs: number): Promise<void> {
    this.#closing = true
    for (const server of this.#servers) server.close()
    // What clients have sent until now is read and answered: one that has said goodbye is not told off.
    await wholeTurn()
    const goodbye = sqlError('57P01', 'terminating connection due to administrator command', { severity: 'FATAL' })
    for (const connection of this.#running) connection.terminate(goodbye)
    const until = Date.now() + graceMs
    while (this.#running.size > 0 && Date.now() < until) await delay(10)
    for (const connection of this.#running) connection.interrupt()
    const last = Date.now() + CLOSE_MS
    while (this.#running.size > 0 && Date.now() < last) await delay(10)
    for (const socket of this.#sockets) socket.destroy()
    while (this.#running.size > 0 && Date.now() < last + CLOSE_MS) await delay(10)
  }

  #accept(socket: Socket): void {
    socket.on('error', (error) => this.#log.debug({ err: error }, `could not talk to client: ${error.message}`))
    const maximum = this.#maxConnections()
    if (this.#sockets.size >= maximum + UNKNOWN_CLIENTS_MAX) {
      const output = new Output(socket)
      messages.errorResponse(output.to, tooMany())
      output.flush()
      endSoon(socket)
      return
    }
    this.#sockets.add(socket)
    const client = new Client(socket, this.#messageBytesMax, () => this.#identity?.context)
    socket.once('close', () => {
      this.#sockets.delete(socket)
      if (client.slot) this.#slots--
      client.stopTimer()
    })
    client.startTimer(durationMs(this.#database.setting('authentication_timeout'), 60_000))
    void this.#welcome(client)
  }

  async #welcome(client: Client): Promise<void> {
    const { handshake } = client
    try {
      const start = await this.#startupPacket(client)
      if (start === undefined) {
        endSoon(handshake.socket)
        return
      }
      await this.#startSession(client, start)
    } catch (error) {
      client.stopTimer()
      if (error instanceof ClientGone) handshake.socket.destroy()
      else this.#refuse(client, error)
    }
  }

  #refuse(client: Client, thrown: unknown): void {
    let error: SqlError
    if (thrown instanceof SqlError) error = thrown
    else {
      this.#log.error({ err: thrown }, 'internal error during start-up')
      error = sqlError('XX000', `internal error: ${thrown instanceof Error ? thrown.message : String(thrown)}`)
    }
    this.#log.info({ code: error.code, detail: error.fields.detail, address: client.address }, error.message)
    const { output, socket } = client.handshake
    messages.errorResponse(output.to, sqlError(error.code, error.message, { ...error.fields, severity: 'FATAL' }))
    output.flush()
    endSoon(socket)
  }

  /** Answers requests for encryption and cancel; undefined when there is nothing more to do. */
  async #startupPacket(client: Client): Promise<Start | undefined> {
    const { handshake } = client
    const encryptable = { ssl: !handshake.encrypted, gssenc: true }
    for (;;) {
      await handshake.frame()
      const { buffer, start, end } = handshake.reader
      const packet = readStartupPacket(buffer, start, end, {
        ssl: encryptable.ssl && !handshake.encrypted,
        gssenc: encryptable.gssenc && !handshake.encrypted,
      })
      switch (packet.kind) {
        case 'start':
          return packet
        case 'cancel':
          this.#database.cancel(packet.pid, packet.secret)
          return undefined
        case 'ssl':
          encryptable.ssl = false
          handshake.answer('SSL', client.address === undefined ? undefined : this.#identity?.context)
          break
        case 'gssenc':
          encryptable.gssenc = false
          handshake.answer('GSSAPI encryption', undefined)
      }
    }
  }

  async #startSession(client: Client, start: Start): Promise<void> {
    const { handshake } = client
    const { output } = handshake
    client.known = true
    if (this.#closing) throw sqlError('57P03', 'the database system is shutting down')
    if (start.negotiate) messages.negotiateProtocolVersion(output.to, PROTOCOL_VERSION, start.unknownOptions)
    if (this.#slots >= this.#maxConnections()) throw tooMany()
    this.#slots++
    client.slot = true

    handshake.reader.framing = 'password'
    const role = this.#database.role(start.user)
    await this.#authenticate(client, start, role)
    messages.authentication(output.to, { kind: 'ok' })
    if (role === undefined) throw sqlError('28000', `role "${start.user}" does not exist`)
    const reserved = Number.parseInt(this.#database.setting('superuser_reserved_connections'), 10)
    if (!role.superuser && this.#slots > this.#maxConnections() - reserved) {
      throw sqlError('53300', 'remaining connection slots are reserved for non-replication superuser connections')
    }

    const connection: Connection = new Connection(handshake, this.#log, () => {
      this.#running.delete(connection)
    })
    const session = await this.#database.connect({
      user: start.user,
      database: start.database,
      parameters: start.parameters,
      clientAddress: client.address,
      clientPort: handshake.socket.remotePort,
      ...encryptionOf(handshake.socket),
      idleSink: connection.idleSink,
      onTerminate: (error) => connection.terminate(error),
    })
    client.stopTimer()
    handshake.release()
    for (const [name, value] of session.reportedParameters) {
      if (name === 'client_encoding') connection.encodingChanged(value)
      messages.parameterStatus(output.to, name, value)
    }
    messages.backendKeyData(output.to, session.pid, session.secret)
    this.#running.add(connection)
    connection.start(session, handshake.gone, this.#pump)
    if (this.#closing) connection.terminate(sqlError('57P03', 'the database system is shutting down'))
  }

  async #authenticate(client: Client, start: Start, role: Role | undefined): Promise<void> {
    const { handshake, address } = client
    const { user, database } = start
    const { encrypted } = handshake
    const rule = matchHba(this.#hba, { address, encrypted, user, database })
    if (rule === undefined || rule.method === 'reject') {
      const what = rule === undefined ? 'no pg_hba.conf entry' : 'pg_hba.conf rejects connection'
      throw sqlError(
        '28000',
        `${what} for host "${address ?? '[local]'}", user "${user}", database "${database}", ${encrypted ? 'SSL encryption' : 'no encryption'}`,
      )
    }
    await authenticate(rule.method, {
      user,
      role,
      endPointHash: encrypted ? this.#identity?.endPointHash : undefined,
      send(request) {
        messages.authentication(handshake.output.to, request)
        handshake.output.flush()
      },
      async receive(expected) {
        await handshake.frame()
        const { type, buffer, start: from, end } = handshake.reader
        if (type !== PASSWORD_MESSAGE) throw sqlError('08P01', `expected ${expected}, got message type ${type}`)
        return buffer.subarray(from, end)
      },
      remark: (detail) => this.#log.debug({ user, address }, detail),
    })
  }

  #maxConnections(): number {
    return Number.parseInt(this.#database.setting('max_connections'), 10)
  }
}

/** One socket on its way to a session. */
class Client {
  readonly handshake: Handshake
  /** undefined on a Unix socket. */
  readonly address: string | undefined
  /** Counted against max_connections. */
  slot = false
  /** Its start-up packet has come: it can be told why it is turned away. */
  known = false
  #timer: NodeJS.Timeout | undefined

  constructor(socket: Socket, messageBytesMax: number | undefined, directTls: () => SecureContext | undefined) {
    this.address = socket.remoteAddress === undefined ? undefined : plainAddress(socket.remoteAddress)
    this.handshake = new Handshake(socket, messageBytesMax, directTls)
  }

  startTimer(ms: number): void {
    this.#timer = setTimeout(() => {
      if (this.known) this.handshake.fail(sqlError('57014', 'canceling authentication due to timeout'))
      if (!this.known || !this.handshake.waiting) this.handshake.socket.destroy()
    }, ms)
  }

  stopTimer(): void {
    clearTimeout(this.#timer)
  }
}

const tooMany = () => sqlError('53300', 'sorry, too many clients already', { severity: 'FATAL' })

/** Half-closes, so that the client can read what was said, and then does not wait for ever. */
function endSoon(socket: Socket): void {
  socket.resume()
  socket.end()
  const timer = setTimeout(() => socket.destroy(), CLOSE_MS)
  socket.once('close', () => clearTimeout(timer))
}

function identityOf(tls: TlsFiles | undefined): Identity | undefined {
  if (tls === undefined) return undefined
  // OpenSSL takes a key of another kind beside the certificate without a word, and every handshake then fails.
  if (!new X509Certificate(tls.certificate).checkPrivateKey(createPrivateKey(tls.key))) {
    throw new Error('the key does not belong to the certificate')
  }
  return {
    context: createSecureContext({ cert: tls.certificate, key: tls.key, minVersion: 'TLSv1.2' }),
    endPointHash: endPointHash(tls.certificate),
  }
}

/** What pg_stat_ssl says of a connection; nothing for one that is not encrypted. */
function encryptionOf(socket: Socket): Pick<ConnectOptions, 'encryption'> {
  if (!(socket instanceof TLSSocket)) return {}
  const { name, standardName } = socket.getCipher()
  // AES_256, AES256 or CHACHA20, whose keys have 256 bits.
  const bits = Number(/AES_?(\d+)/.exec(standardName)?.[1] ?? 256)
  return { encryption: { version: socket.getProtocol() ?? '', cipher: name, bits } }
}

const addressOf = (bound: AddressInfo): ListenAddress => ({ host: bound.address, port: bound.port })

const UNITS: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1000, min: 60_000, h: 3_600_000, d: 86_400_000 }

/** '1min', '30s', '500ms', as SHOW prints a setting whose unit is seconds. */
function durationMs(text: string, otherwise: number): number {
  const match = /^(\d+)\s*(us|ms|s|min|h|d)?$/.exec(text.trim())
  return match === null ? otherwise : Number(match[1]) * UNITS[match[2] ?? 's']!
}

/** The event loop comes by the sockets and all that it calls then. */
const wholeTurn = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)))

const delay = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
