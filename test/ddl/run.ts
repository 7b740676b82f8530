/** Runs a script of statements through a session of a database in memory and prints what psql prints (unaligned, verbose errors). */
import { openDatabase } from '../../sql/session/database.ts'
import type { Field, Session, Sink } from '../../sql/session/session.ts'
import type { Notice } from '../../sql/types/error.ts'
import { SqlError } from '../../sql/types/error.ts'
import type { Row } from '../../sql/types/value.ts'
import { openMemoryEngine } from '../../storage/engine/memory.ts'
import { openKv } from '../../storage/kv/open-kv.ts'
import { openLocalLog } from '../../storage/range/local-log.ts'
import { manualClock } from '../storage/manual-clock.ts'

export interface Open {
  connect(user?: string, database?: string): Promise<Session>
  close(): Promise<void>
}

export async function openMemory(): Promise<Open> {
  const engine = openMemoryEngine()
  const kv = await openKv(engine, { clock: manualClock(), openLog: openLocalLog(engine) })
  const quiet = { info() {}, warn() {}, error() {} }
  const database = await openDatabase(kv, { osUser: 'someone', settings: new Map(), log: quiet })
  return {
    connect: async (user = 'postgres', name = 'postgres') =>
      database.connect({
        user,
        database: name,
        parameters: new Map(),
        clientAddress: undefined,
        clientPort: undefined,
        idleSink: undefined,
        onTerminate() {},
      }),
    close: () => database.close(0),
  }
}

/** Statements end with a semicolon at the end of a line. */
export const statementsOf = (script: string): string[] =>
  script
    .split(/;[ \t]*\n/)
    .map((text) => text.replaceAll(/^--.*$/gm, '').trim())
    .filter((text) => text !== '')

export async function runScript(session: Session, script: string): Promise<string> {
  const out: string[] = []
  for (const statement of statementsOf(script)) {
    out.push(`>> ${statement}`)
    try {
      await session.query(statement, printer(session, out))
    } catch (error) {
      out.push(...errorLines(error))
    }
  }
  return `${out.join('\n')}\n`
}

function errorLines(error: unknown): string[] {
  if (!(error instanceof SqlError)) throw error
  return messageLines('ERROR', error.code, error.message, error.fields)
}

function messageLines(severity: string, code: string, message: string, fields: Notice['fields']): string[] {
  const lines = [`${severity}:  ${code}: ${message}`]
  const add = (word: string, text: string | undefined): void => {
    if (text !== undefined) lines.push(`${word}:  ${text}`)
  }
  add('DETAIL', fields.detail)
  add('HINT', fields.hint)
  add('CONTEXT', fields.context)
  add('SCHEMA NAME', fields.schema)
  add('TABLE NAME', fields.table)
  add('COLUMN NAME', fields.column)
  add('DATATYPE NAME', fields.dataType)
  add('CONSTRAINT NAME', fields.constraint)
  return lines
}

function printer(session: Session, out: string[]): Sink {
  let fields: readonly Field[] = []
  // psql prints the head of a result when it is whole.
  let head: string | undefined
  const headFirst = (): void => {
    if (head !== undefined) out.push(head)
    head = undefined
  }
  const none = (): never => {
    throw new Error('no COPY in these scripts')
  }
  return {
    fields(given) {
      fields = given
      head = given.map((field) => field.name).join('|')
    },
    row(values: Row) {
      headFirst()
      out.push(
        values.map((value, i) => (value === null ? '' : fields[i]!.type.output(value, session.typeContext))).join('|'),
      )
    },
    flow: () => undefined,
    commandComplete(tag) {
      headFirst()
      if (fields.length === 0) out.push(tag)
    },
    emptyQuery() {},
    portalSuspended() {},
    notice(notice) {
      out.push(...messageLines(notice.severity, notice.code, notice.message, notice.fields))
    },
    parameterStatus() {},
    notification() {},
    copyIn: none,
    copyOut: none,
    copyData: none,
    copyDone: none,
  }
}
