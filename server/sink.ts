/**
 * Where a session's answers become bytes. One for each connection; what it writes leaves with the connection's next flush.
 * A result's shape (description and encoders) is kept with the plan's own array of fields, so that a statement that is
 * executed again finds it made.
 */

import type { Field, Format, Session, Sink } from '../sql/session/session.ts'
import { type Notice, sqlError } from '../sql/types/error.ts'
import type { TypeContext } from '../sql/types/type.ts'
import type { Row } from '../sql/types/value.ts'
import * as messages from './wire/messages.ts'
import { RowShape } from './wire/row.ts'
import type { Output } from './wire/writer.ts'

interface Shapes {
  text: RowShape | undefined
  binary: RowShape | undefined
}
const shapesOf = new WeakMap<readonly Field[], Shapes>()

/** The shape of a result, kept for as long as `fields` lives when all columns have one format. */
function rowShape(fields: readonly Field[], formats: readonly Format[]): RowShape {
  const uniform = uniformFormat(fields.length, formats)
  if (uniform === undefined) return new RowShape(fields, formats, messages.rowDescription(fields, formats))
  let shapes = shapesOf.get(fields)
  if (shapes === undefined) shapesOf.set(fields, (shapes = { text: undefined, binary: undefined }))
  const slot = uniform === 0 ? 'text' : 'binary'
  return (shapes[slot] ??= new RowShape(fields, [uniform], messages.rowDescription(fields, [uniform])))
}

function uniformFormat(columns: number, formats: readonly Format[]): Format | undefined {
  const first = messages.formatOf(formats, 0) ?? 0
  for (let i = 1; i < columns && formats.length > 1; i++) if (formats[i] !== first) return undefined
  return first
}

/** What the sink asks of its connection. */
export interface CopyHost {
  /** Sends CopyInResponse and gives what the client then sends. */
  copyIn(format: Format, columns: number): AsyncIterable<Buffer>
  /** Texts come and go in another character set from now on. */
  encodingChanged(name: string): void
}

export class WireSink implements Sink {
  /** In the extended protocol the client has RowDescription from Describe; here it is not sent again. */
  extended = false
  /** The portal that is being executed, for a session that does not say its fields before the first row. */
  portal = ''
  session: Session | undefined
  #context: TypeContext | undefined
  #shape: RowShape | undefined
  #fields: readonly Field[] | undefined
  #formats: readonly Format[] | undefined
  readonly #output: Output
  readonly #host: CopyHost

  constructor(output: Output, host: CopyHost) {
    this.#output = output
    this.#host = host
  }

  attach(session: Session): void {
    this.session = session
    this.#context = session.typeContext
  }

  /** A new statement or portal begins: rows need their shape again. */
  begin(extended: boolean, portal: string): void {
    this.extended = extended
    this.portal = portal
    this.#shape = undefined
  }

  /** The kept shape of these fields; the last one asked for is found without a look-up. */
  shape(fields: readonly Field[], formats: readonly Format[]): RowShape {
    if (fields === this.#fields && formats === this.#formats && this.#last !== undefined) return this.#last
    this.#fields = fields
    this.#formats = formats
    return (this.#last = rowShape(fields, formats))
  }
  #last: RowShape | undefined

  fields(fields: readonly Field[], formats: readonly Format[]): void {
    const shape = (this.#shape = this.shape(fields, formats))
    if (!this.extended) this.#output.to.bytes(this.description(shape))
  }

  /** RowDescription as this client reads it. */
  description({ fields, formats, description }: RowShape): Buffer {
    const { encode } = this.#output
    return encode === undefined ? description : messages.rowDescription(fields, formats, encode)
  }

  row(values: Row): void {
    const shape = this.#shape ?? this.#describe()
    const to = this.#output.to
    const before = to.length
    try {
      shape.write(to, values, this.#context!)
    } catch (error) {
      // Half a message would leave the client waiting for its other half.
      to.truncate(before)
      throw error
    }
    this.#output.spill()
  }

  #describe(): RowShape {
    const described = this.session!.describePortal(this.portal)
    if (described instanceof Promise || described.fields === undefined) {
      throw sqlError('XX000', 'a row came before the description of its columns')
    }
    return (this.#shape = this.shape(described.fields, described.formats))
  }

  flow(): Promise<void> | undefined {
    return this.#output.flow()
  }

  commandComplete(tag: string): void {
    messages.commandComplete(this.#output.to, tag)
    this.#shape = undefined
  }

  emptyQuery(): void {
    messages.emptyQueryResponse(this.#output.to)
  }

  portalSuspended(): void {
    messages.portalSuspended(this.#output.to)
  }

  notice(notice: Notice): void {
    messages.noticeResponse(this.#output.to, notice)
    this.#output.due()
  }

  parameterStatus(name: string, value: string): void {
    if (name === 'client_encoding') this.#host.encodingChanged(value)
    messages.parameterStatus(this.#output.to, name, value)
  }

  notification(pid: number, channel: string, payload: string): void {
    messages.notificationResponse(this.#output.to, pid, channel, payload)
    this.#output.due()
  }

  copyIn(format: Format, columns: number): AsyncIterable<Buffer> {
    return this.#host.copyIn(format, columns)
  }

  copyOut(format: Format, columns: number): void {
    messages.copyOutResponse(this.#output.to, format, columns)
  }

  copyData(bytes: Uint8Array): void {
    messages.copyData(this.#output.to, bytes)
    this.#output.spill()
  }

  copyDone(): void {
    messages.copyDone(this.#output.to)
  }
}

/** Asynchronous notices while no statement runs: written beside the results and sent at the end of the turn. */
export class IdleSink implements Sink {
  readonly #sink: WireSink
  readonly #output: Output
  #scheduled = false

  constructor(sink: WireSink, output: Output) {
    this.#sink = sink
    this.#output = output
  }

  notice(notice: Notice): void {
    this.#sink.notice(notice)
    this.#flushSoon()
  }
  notification(pid: number, channel: string, payload: string): void {
    this.#sink.notification(pid, channel, payload)
    this.#flushSoon()
  }
  parameterStatus(name: string, value: string): void {
    this.#sink.parameterStatus(name, value)
    this.#flushSoon()
  }
  #flushSoon(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.#output.flush()
    })
  }

  fields(): void {
    throw noStatement()
  }
  row(): void {
    throw noStatement()
  }
  flow(): Promise<void> | undefined {
    return this.#output.flow()
  }
  commandComplete(): void {
    throw noStatement()
  }
  emptyQuery(): void {
    throw noStatement()
  }
  portalSuspended(): void {
    throw noStatement()
  }
  copyIn(): AsyncIterable<Buffer> {
    throw noStatement()
  }
  copyOut(): void {
    throw noStatement()
  }
  copyData(): void {
    throw noStatement()
  }
  copyDone(): void {
    throw noStatement()
  }
}

const noStatement = () => sqlError('XX000', 'a result was sent while no statement was running')
