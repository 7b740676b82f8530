/**
 * An embedded database in memory and sessions of it, whose answers are printed as text: for golden scripts (`c1:> SQL`) and
 * for tests that ask a statement and compare what it says.
 */

import { openDatabase } from '../../sql/session/database.ts'
import type { Database, Field, Session, Sink } from '../../sql/session/session.ts'
import type { SqlError } from '../../sql/types/error.ts'
import type { Row } from '../../sql/types/value.ts'
import { openMemoryEngine } from '../../storage/engine/memory.ts'
import { systemClock } from '../../storage/keys/clock.ts'
import { openKv } from '../../storage/kv/open-kv.ts'
import { openLocalLog } from '../../storage/range/local-log.ts'
import type { Command } from '../scripts/golden.ts'

export interface Embedded {
  readonly database: Database
  /** The printed answer of one query string on the session of that name, which is opened when it is first named. */
  ask(sql: string, session?: string): Promise<string>
  session(name?: string): Promise<Session>
  /** Chunks that the next COPY … FROM STDIN gets. */
  copy(chunks: readonly (string | Uint8Array)[]): void
  /** For golden scripts: `c1:> SQL`, and `c1: copy "a\tb\n"` before a COPY FROM STDIN. */
  run(command: Command): Promise<string>
  close(): Promise<void>
}

interface Client {
  readonly session: Session
  readonly sink: Sink
  readonly lines: string[]
}

export async function openEmbedded(settings: ReadonlyMap<string, string> = new Map()): Promise<Embedded> {
  const engine = openMemoryEngine()
  const kv = await openKv(engine, { clock: systemClock, openLog: openLocalLog(engine) })
  const log = { info() {}, warn() {}, error() {} }
  const database = await openDatabase(kv, { osUser: 'postgres', settings, log })
  const clients = new Map<string, Client>()
  let copied: readonly (string | Uint8Array)[] = []

  async function client(name: string): Promise<Client> {
    const known = clients.get(name)
    if (known !== undefined) return known
    const lines: string[] = []
    const { sink, use } = printing(lines, () => copied)
    const session = await database.connect({
      user: 'postgres',
      database: 'postgres',
      parameters: new Map(),
      clientAddress: undefined,
      clientPort: undefined,
      idleSink: sink,
      onTerminate: (error) => lines.push(`terminated: ${error.message}`),
    })
    use(session)
    const made = { session, sink, lines }
    clients.set(name, made)
    return made
  }

  async function ask(sql: string, name = 'c1'): Promise<string> {
    const { session, sink, lines } = await client(name)
    try {
      await session.query(sql, sink)
    } catch (error) {
      lines.push(errorText(error as SqlError))
    }
    return lines.splice(0).join('\n')
  }

  return {
    database,
    ask,
    session: async (name = 'c1') => (await client(name)).session,
    copy: (chunks) => {
      copied = chunks
    },
    async run(command) {
      if (command.name === '>') return ask(command.rest, command.prefix)
      if (command.name === 'copy') {
        copied = [JSON.parse(command.rest) as string]
        return ''
      }
      if (command.name === 'heard') return (await client(command.prefix)).lines.splice(0).join('\n')
      throw new Error(`no such command: ${command.name}`)
    },
    async close() {
      for (const { session } of clients.values()) await session.close()
      await database.close(0)
      await kv.close()
    },
  }
}

export function errorText({ code, message, fields }: SqlError): string {
  const more = [
    ['DETAIL', fields.detail],
    ['HINT', fields.hint],
    ['CONTEXT', fields.context],
  ].flatMap(([label, text]) => (text === undefined ? [] : [`${label}: ${text}`]))
  return [`ERROR ${code}: ${message}`, ...more].join('\n')
}

/** Rows as lines with | between columns, one column as it is; NULL is ∅. */
function printing(
  lines: string[],
  copied: () => readonly (string | Uint8Array)[],
): { readonly sink: Sink; use(session: Session): void } {
  let session: Session | undefined
  let fields: readonly Field[] = []
  const row = (values: Row): string =>
    values
      .map((value, i) =>
        value === null ? '∅' : (fields[i]?.type.output(value, session!.typeContext) ?? String(value)),
      )
      .join('|')
  return {
    use: (given) => {
      session = given
    },
    sink: {
      fields: (given) => {
        fields = given
      },
      row: (values) => lines.push(row(values)),
      flow: () => undefined,
      commandComplete: (tag) => lines.push(tag),
      emptyQuery: () => lines.push('empty'),
      portalSuspended: () => lines.push('suspended'),
      notice: ({ severity, message }) => lines.push(`${severity}: ${message}`),
      parameterStatus: () => {},
      notification: (_, channel, payload) => lines.push(`notification ${channel} ${payload}`),
      async *copyIn() {
        for (const chunk of copied()) yield Buffer.from(chunk)
      },
      copyOut: (format, columns) => lines.push(`copy out ${format === 1 ? 'binary' : 'text'} ${columns}`),
      copyData: (bytes) => lines.push(Buffer.from(bytes).toString('latin1').replace(/\n$/, '')),
      copyDone: () => {},
    },
  }
}
