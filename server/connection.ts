/**
 * One client's conversation after start-up: frontend messages in, session calls, backend messages out (PostgreSQL manual,
 * 55.2 "Message Flow").
 *
 *     bytes → reader ─┬─ pump: one message after the other while the session answers at once
 *                     └─ a session call that waits stops the pump; what comes meanwhile queues up to a bound
 *     session → sink → output: flushed once, when the pump stops or has to wait
 *
 * After an error in the extended protocol everything up to Sync is skipped. Whatever is thrown ends at `#failed`: SqlError
 * is the client's, anything else is a bug that is logged and reported as XX000.
 */
import type { Socket } from 'node:net'
import type { Format, MaybePromise, Session } from '../sql/session/session.ts'
import { SqlError, sqlError } from '../sql/types/error.ts'
import { type Oid, oid } from '../storage/keys/brand.ts'
import { clientEncoding } from './client-encoding.ts'
import { CopySource } from './copy-source.ts'
import type { Log } from './log.ts'
import { readInto } from './read-buffer.ts'
import { type CopyHost, IdleSink, WireSink } from './sink.ts'
import { type Pumped, type PumpedSocket, pumpSocket } from './socket-pump.ts'
import * as messages from './wire/messages.ts'
import { Body, type FrameReader, MessageError } from './wire/reader.ts'
import type { Output } from './wire/writer.ts'

/** Bytes that may wait unread while a statement runs; then the socket is paused. */
const BACKLOG_BYTES_MAX = 256 * 1024
/** Messages answered in one turn before other connections have theirs. */
const MESSAGES_PER_TURN = 1000
/** How long a client may take to read the last message before its socket is destroyed. */
const FAREWELL_MS = 2000

const BIND = 0x42
const CLOSE = 0x43
const COPY_DATA = 0x64
const COPY_DONE = 0x63
const COPY_FAIL = 0x66
const DESCRIBE = 0x44
const EXECUTE = 0x45
const FLUSH = 0x48
const FUNCTION_CALL = 0x46
const PARSE = 0x50
const QUERY = 0x51
const SYNC = 0x53
const TERMINATE = 0x58
const STATEMENT = 0x53
const PORTAL = 0x50

/** Errors of these messages skip to Sync; those of the others are followed by ReadyForQuery. */
const EXTENDED = new Set([BIND, CLOSE, DESCRIBE, EXECUTE, FLUSH, PARSE])

const NO_FORMATS: readonly Format[] = []
const TEXT: readonly Format[] = [0]
const BINARY: readonly Format[] = [1]
const NO_OIDS: readonly Oid[] = []

export interface Wire {
  readonly socket: Socket
  readonly reader: FrameReader
  readonly output: Output
}

export class Connection implements CopyHost, Pumped {
  readonly #socket: Socket
  readonly #reader: FrameReader
  readonly #output: Output
  readonly #log: Log
  readonly #onClose: () => void
  readonly #body = new Body()
  readonly #values: (Buffer | null)[] = []
  readonly sink: WireSink
  readonly idleSink: IdleSink
  #session: Session | undefined
  #pumped: PumpedSocket | undefined

  /** A session call has not finished, or the rest waits for the next turn. */
  #busy = false
  /** Skipping to Sync after an error. */
  #skipping = false
  #paused = false
  /** The client sends no more. */
  #ended = false
  /** 'closing' after the message that is being answered; 'closed' when nothing more goes in or out. */
  #state: 'open' | 'closing' | 'closed' = 'open'
  #farewell: SqlError | undefined
  #message = 0
  #copy: CopySource | undefined

  constructor(wire: Wire, log: Log, onClose: () => void) {
    this.#socket = wire.socket
    this.#reader = wire.reader
    this.#output = wire.output
    this.#log = log
    this.#onClose = onClose
    this.sink = new WireSink(wire.output, this)
    this.idleSink = new IdleSink(this.sink, wire.output)
  }

  get session(): Session | undefined {
    return this.#session
  }

  /** Takes the socket over from start-up, with whatever has come already; `ended`: nothing more will; `pumped`: if it can be. */
  start(session: Session, ended: boolean, pumped: boolean): void {
    this.#session = session
    this.#ended = ended
    this.sink.attach(session)
    this.#reader.framing = 'query'
    // What the stream holds because it was paused would never be told to `readInto`.
    for (let chunk = this.#socket.read(); chunk !== null; chunk = this.#socket.read()) this.#reader.push(chunk)
    const received = (chunk: Buffer): void => this.received(chunk, 0, chunk.length)
    const kept = readInto(this.#socket, received)
    if (!kept) this.#socket.on('data', received)
    this.#socket.on('end', () => this.#inputEnded())
    this.#socket.on('close', () => this.#socketClosed())
    this.#socket.pause()
    if (kept && pumped && !ended) this.#pumped = this.#output.pumped = pumpSocket(this.#socket, this)
    if (this.#pumped === undefined) this.#socket.resume()
    this.#ready()
    this.#pump()
  }

  // -- bytes in ------------------------------------------------------------------------------------------------

  received(chunk: Buffer, start: number, end: number): void {
    if (this.#state === 'closed') return
    this.#reader.push(chunk, start, end)
    if (!this.#busy) {
      this.#pump()
      if (this.#reader.backlog > 0) this.#reader.own()
      return
    }
    this.#reader.own()
    const copy = this.#copy
    copy?.wake()
    // A COPY that waits for the rest of a long message has to be let have it.
    if (this.#reader.backlog <= BACKLOG_BYTES_MAX || this.#paused || copy?.hungry === true) return
    this.#paused = true
    const reading = this.#pumped ?? this.#socket
    reading.pause()
  }

  #unpause(): void {
    if (!this.#paused) return
    this.#paused = false
    const reading = this.#pumped ?? this.#socket
    reading.resume()
  }

  inputOver(): void {
    this.#unpump()
    this.#socket.resume()
  }

  /** From here on the socket is Node's again, and still paused. */
  #unpump(): void {
    this.#pumped?.detach()
    this.#pumped = this.#output.pumped = undefined
  }

  #inputEnded(): void {
    this.#ended = true
    this.#copy?.lose()
    if (!this.#busy) this.#pump()
  }

  /** Answers messages until there are none, the session has to wait, or other connections should have their turn. */
  #pump(): void {
    if (this.#busy) return
    this.#busy = true
    let budget = MESSAGES_PER_TURN
    while (this.#state === 'open') {
      let waiting: Promise<void> | undefined
      try {
        if (!this.#reader.next()) break
        waiting = this.#dispatch() ?? undefined
      } catch (error) {
        waiting = this.#failed(error)
      }
      if (waiting === undefined) waiting = this.#output.crowded() ? this.#output.flow() : undefined
      if (waiting !== undefined) {
        this.#wait(waiting)
        return
      }
      if (--budget === 0) {
        this.#wait(nextTurn())
        return
      }
    }
    this.#busy = false
    if (this.#state === 'closed') this.#release()
    else if (this.#state === 'closing' || this.#ended) this.#close()
    else {
      this.#output.flushDue()
      this.#unpause()
    }
  }

  /** Goes on when `waiting` has settled; `#busy` stays true until then. */
  #wait(waiting: Promise<void>): void {
    this.#output.flushDue()
    waiting.then(this.#goOn, this.#goWrong)
  }

  readonly #goOn = (): void => {
    this.#busy = false
    if (this.#state === 'closed') this.#release()
    else this.#pump()
  }

  readonly #goWrong = (error: unknown): void => {
    if (this.#state === 'closed') {
      this.#busy = false
      this.#release()
      return
    }
    const waiting = this.#failed(error)
    if (waiting !== undefined) waiting.then(this.#goOn, this.#goWrong)
    else this.#goOn()
  }

  // -- messages ------------------------------------------------------------------------------------------------

  #dispatch(): MaybePromise<void> {
    const type = (this.#message = this.#reader.type)
    if (this.#skipping && type !== SYNC && type !== TERMINATE) return undefined
    const body = this.#body.open(this.#reader.buffer, this.#reader.start, this.#reader.end)
    switch (type) {
      case BIND:
        return this.#bind(body)
      case EXECUTE:
        return this.#execute(body)
      case SYNC:
        return this.#sync(body)
      case DESCRIBE:
        return this.#describe(body)
      case PARSE:
        return this.#parse(body)
      case QUERY:
        return this.#query(body)
      case CLOSE:
        return this.#closeNamed(body)
      case FLUSH:
        body.finish()
        return this.#output.due()
      case TERMINATE:
        this.#state = 'closing'
        return undefined
      // The rest of a COPY whose statement has failed: the manual has it ignored.
      case COPY_DATA:
      case COPY_DONE:
      case COPY_FAIL:
        return undefined
      case FUNCTION_CALL:
        throw new MessageError('0A000', 'the function call message is not supported', { hint: 'Use SELECT.' })
      default:
        throw sqlError('08P01', `invalid frontend message type ${type}`, { severity: 'FATAL' })
    }
  }

  #query(body: Body): MaybePromise<void> {
    const sql = body.string()
    body.finish()
    this.sink.begin(false, '')
    const waiting = this.#session!.query(sql, this.sink)
    if (waiting !== undefined) return waiting.then(() => this.#ready())
    this.#ready()
  }

  #parse(body: Body): MaybePromise<void> {
    const name = body.name()
    const sql = body.string()
    const count = body.uint16()
    let types = NO_OIDS
    if (count > 0) {
      const list: Oid[] = []
      for (let i = 0; i < count; i++) list.push(oid(body.int32() >>> 0))
      types = list
    }
    body.finish()
    const waiting = this.#session!.parse(name, sql, types)
    if (waiting !== undefined) return waiting.then(() => messages.parseComplete(this.#output.to))
    messages.parseComplete(this.#output.to)
  }

  #bind(body: Body): MaybePromise<void> {
    const portal = body.name()
    const statement = body.name()
    const formats = readFormats(body)
    const count = body.uint16()
    if (formats.length > 1 && formats.length !== count) {
      throw new MessageError('08P01', `bind message has ${formats.length} parameter formats but ${count} parameters`)
    }
    const values = this.#values
    if (values.length !== count) values.length = count
    for (let i = 0; i < count; i++) {
      const length = body.int32()
      values[i] = length === -1 ? null : body.bytes(length)
    }
    const { decode } = body
    if (decode !== undefined) {
      for (let i = 0; i < count; i++) {
        const bytes = values[i]
        if (bytes != null && messages.formatOf(formats, i) === 0) values[i] = Buffer.from(decode(bytes))
      }
    }
    const resultFormats = readFormats(body)
    body.finish()
    const waiting = this.#session!.bind(portal, statement, formats, values, resultFormats)
    if (waiting !== undefined) return waiting.then(() => messages.bindComplete(this.#output.to))
    messages.bindComplete(this.#output.to)
  }

  #execute(body: Body): MaybePromise<void> {
    const portal = body.name()
    const maxRows = body.int32()
    body.finish()
    this.sink.begin(true, portal)
    return this.#session!.execute(portal, Math.max(maxRows, 0), this.sink)
  }

  #describe(body: Body): MaybePromise<void> {
    const kind = body.byte()
    const name = body.name()
    body.finish()
    if (kind === PORTAL) {
      const described = this.#session!.describePortal(name)
      if (described instanceof Promise)
        return described.then((portal) => this.#describedFields(portal.fields, portal.formats))
      return this.#describedFields(described.fields, described.formats)
    }
    if (kind === STATEMENT) {
      const described = this.#session!.describeStatement(name)
      if (described instanceof Promise) return described.then((statement) => this.#describedStatement(statement))
      return this.#describedStatement(described)
    }
    throw new MessageError('08P01', `invalid DESCRIBE message subtype ${kind}`)
  }

  #describedStatement(statement: Awaited<ReturnType<Session['describeStatement']>>): void {
    messages.parameterDescription(this.#output.to, statement.parameters)
    this.#describedFields(statement.fields, NO_FORMATS)
  }

  #describedFields(fields: Awaited<ReturnType<Session['describePortal']>>['fields'], formats: readonly Format[]): void {
    if (fields === undefined) messages.noData(this.#output.to)
    else this.#output.to.bytes(this.sink.description(this.sink.shape(fields, formats)))
  }

  #closeNamed(body: Body): void {
    const kind = body.byte()
    const name = body.name()
    body.finish()
    if (kind === STATEMENT) this.#session!.closeStatement(name)
    else if (kind === PORTAL) this.#session!.closePortal(name)
    else throw new MessageError('08P01', `invalid CLOSE message subtype ${kind}`)
    messages.closeComplete(this.#output.to)
  }

  #sync(body: Body): MaybePromise<void> {
    this.#skipping = false
    body.finish()
    const waiting = this.#session!.sync(this.sink)
    if (waiting !== undefined) return waiting.then(() => this.#ready())
    this.#ready()
  }

  #ready(): void {
    this.#copy = undefined
    messages.readyForQuery(this.#output.to, this.#session!.transactionStatus)
    this.#output.due()
  }

  encodingChanged(name: string): void {
    const encoding = clientEncoding(name)
    this.#output.encode = encoding?.encode
    this.#body.decode = encoding?.decode
  }

  copyIn(format: Format, columns: number): AsyncIterable<Buffer> {
    messages.copyInResponse(this.#output.to, format, columns)
    this.#output.flush()
    this.#copy = new CopySource(this.#reader, () => this.#unpause())
    if (this.#ended) this.#copy.lose()
    return this.#copy
  }

  // -- errors and endings --------------------------------------------------------------------------------------

  /** Reports the error and puts the conversation where the protocol has it next. */
  #failed(thrown: unknown): Promise<void> | undefined {
    const outOfStep = this.#copy?.outOfStep === true
    this.#copy = undefined
    const session = this.#session!
    const foreign = !(thrown instanceof SqlError)
    const error = foreign ? this.#internalError(thrown) : thrown
    if (error.fields.severity === 'FATAL' || error.fields.severity === 'PANIC' || error.code === '57P01') {
      this.#end(error)
      return undefined
    }
    // The session puts itself in order after its own errors; these it has not seen, or did not expect.
    const unseen = foreign || error instanceof MessageError
    try {
      if (unseen) session.fail()
      messages.errorResponse(this.#output.to, error)
      this.#output.due()
      if (outOfStep) {
        this.#end(sqlError('08P01', 'terminating connection because protocol synchronization was lost'))
        return undefined
      }
      if (EXTENDED.has(this.#message)) {
        this.#skipping = true
        return undefined
      }
      const waiting = unseen ? session.sync(this.sink) : undefined
      if (waiting !== undefined) return waiting.then(() => this.#ready())
      this.#ready()
    } catch (again) {
      this.#end(this.#internalError(again))
    }
    return undefined
  }

  #internalError(thrown: unknown): SqlError {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown))
    this.#log.error({ err: error, pid: this.#session?.pid }, `internal error: ${error.message}`)
    return sqlError('XX000', `internal error: ${error.message}`)
  }

  /** The session or the server wants the connection to end: now when it is idle, else after the message being answered. */
  terminate(error: Error): void {
    const farewell = error instanceof SqlError ? error : this.#internalError(error)
    if (this.#busy) {
      this.#farewell ??= farewell
      if (this.#state === 'open') this.#state = 'closing'
    } else this.#end(farewell)
  }

  /** Makes a running statement fail, so that a `terminate` before takes effect. */
  interrupt(): void {
    this.#session?.terminate()
  }

  /** Says goodbye with a FATAL error. */
  #end(error: SqlError): void {
    if (this.#state === 'closed') return
    messages.errorResponse(this.#output.to, sqlError(error.code, error.message, { ...error.fields, severity: 'FATAL' }))
    this.#farewell = undefined
    this.#close()
  }

  #close(): void {
    if (this.#state === 'closed') return
    const farewell = this.#farewell
    if (farewell !== undefined) {
      this.#end(farewell)
      return
    }
    this.#state = 'closed'
    this.#output.flush()
    this.#unpump()
    this.#socket.resume()
    this.#socket.end()
    const timer = setTimeout(() => this.#socket.destroy(), FAREWELL_MS)
    this.#socket.once('close', () => clearTimeout(timer))
    if (!this.#busy) this.#release()
  }

  #socketClosed(): void {
    const running = this.#busy
    this.#state = 'closed'
    this.#ended = true
    this.#unpump()
    this.#output.discard()
    this.#copy?.lose()
    if (running) this.#session!.terminate()
    else this.#release()
  }

  /** The session's end: rolls back, gives everything free. Once, when nothing of it runs any more. */
  #release(): void {
    const session = this.#session
    if (session === undefined) return
    this.#session = undefined
    void this.#closeSession(session)
  }

  async #closeSession(session: Session): Promise<void> {
    try {
      await session.close()
    } catch (error) {
      this.#internalError(error)
    }
    this.#onClose()
  }
}

/** Counts and codes of Bind: none, one for all, or one each. */
function readFormats(body: Body): readonly Format[] {
  const count = body.uint16()
  if (count === 0) return NO_FORMATS
  if (count === 1) return readFormat(body) === 0 ? TEXT : BINARY
  const formats: Format[] = []
  for (let i = 0; i < count; i++) formats.push(readFormat(body))
  return formats
}

function readFormat(body: Body): Format {
  const code = body.uint16()
  if (code === 0 || code === 1) return code
  throw new MessageError('22023', `unsupported format code: ${code}`)
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
