/**
 * Scenarios of several connections, step by step. A file of them is its own record: each step's answer follows it, and was
 * written by PostgreSQL 15.
 *
 *     ## Two writers
 *     1> begin
 *     BEGIN
 *     1> update t set b = 2
 *     UPDATE 1
 *     2> update t set b = 3
 *     … waits                        it waits for a lock
 *     1> commit
 *     COMMIT
 *     2: UPDATE 1                    what was waiting has answered
 *
 * `2>! SQL` waits for the answer however long it takes (a deadlock's search). The steps before the first session of a
 * scenario are `0>`: its set-up. Every scenario has a schema of its own.
 */
import pg from 'pg'
import type { TestServer } from '../support/server.ts'

export interface Scenario {
  readonly name: string
  readonly steps: readonly { readonly session: number; readonly sql: string; readonly patient: boolean }[]
  /** As it stands in the file, answers included. */
  readonly text: string
}

const STEP = /^(\d)>(!?) (.*)$/

export function readScenarios(text: string): Scenario[] {
  return text
    .split(/^(?=## )/m)
    .filter((part) => part.startsWith('## '))
    .map((part) => {
      const lines = part.trimEnd().split('\n')
      const steps = lines.flatMap((line) => {
        const match = STEP.exec(line)
        return match === null ? [] : [{ session: Number(match[1]), patient: match[2] === '!', sql: match[3]! }]
      })
      return { name: lines[0]!.slice(3), steps, text: lines.join('\n') }
    })
}

interface Party {
  readonly client: pg.Client
  readonly pid: number
  /** The answer of a statement that was seen to wait. */
  waiting: Promise<string> | undefined
  answered: string | undefined
}

const POLL_MS = 12

export class Stage {
  readonly #server: TestServer
  readonly #database: string
  readonly #observer: pg.Client
  #schemas = 0

  private constructor(server: TestServer, observer: pg.Client, database: string) {
    this.#server = server
    this.#database = database
    this.#observer = observer
  }

  static async open(server: TestServer, database = 'alopex'): Promise<Stage> {
    return new Stage(server, await connect(server, database), database)
  }

  async close(): Promise<void> {
    await this.#observer.end()
  }

  /** The scenario's text with the answers of this server. */
  async play(scenario: Scenario): Promise<string> {
    const schema = `stage_${process.pid}_${++this.#schemas}`
    await this.#observer.query(`create schema ${schema}`)
    const parties = new Map<number, Party>()
    const lines = [`## ${scenario.name}`]
    const party = async (session: number): Promise<Party> => {
      const known = parties.get(session)
      if (known !== undefined) return known
      const client = await connect(this.#server, this.#database)
      await client.query(`set search_path to ${schema}`)
      await client.query(`set deadlock_timeout to '100ms'`)
      const { rows } = await client.query('select pg_backend_pid() as pid')
      const made: Party = {
        client,
        pid: Number((rows[0] as { pid: number }).pid),
        waiting: undefined,
        answered: undefined,
      }
      parties.set(session, made)
      return made
    }
    try {
      for (const step of scenario.steps) {
        const me = await party(step.session)
        lines.push(`${step.session}>${step.patient ? '!' : ''} ${step.sql}`)
        if (me.waiting !== undefined)
          throw new Error(`session ${step.session} still waits in ${scenario.name}\n${lines.join('\n')}`)
        this.#ask(me, step.sql)
        if (step.patient) await me.waiting
        else await this.#settle(me)
        lines.push(me.answered ?? '… waits')
        if (me.answered !== undefined) me.waiting = undefined
        for (const [session, other] of parties) {
          if (other === me || other.waiting === undefined) continue
          await this.#settle(other)
          if (other.answered === undefined) continue
          lines.push(other.answered.replace(/^/gm, `${session}: `))
          other.waiting = undefined
        }
      }
    } finally {
      for (const { client, pid, waiting } of parties.values()) {
        if (waiting !== undefined) await this.#observer.query('select pg_terminate_backend($1)', [pid])
        client.end().catch(() => {})
      }
      await this.#observer.query('select 1')
    }
    return lines.join('\n').replaceAll(schema, 'SCHEMA')
  }

  #ask(me: Party, sql: string): void {
    me.answered = undefined
    const notices: string[] = []
    const heard = (notice: { severity?: string | undefined; message?: string | undefined }) =>
      notices.push(`${notice.severity}: ${notice.message}`)
    me.client.on('notice', heard as never)
    me.waiting = me.client
      .query({ text: sql, rowMode: 'array' })
      .then(
        (result) => [result].flat().map(printed).join('\n'),
        (error: pg.DatabaseError) => errorText(error),
      )
      .then((text) => {
        me.client.off('notice', heard as never)
        me.answered = masked([...notices, text].join('\n'))
        return me.answered
      })
  }

  /** Until it has answered, or is seen to wait for a lock twice in a row. */
  async #settle(me: Party): Promise<void> {
    let seen = 0
    while (me.answered === undefined && seen < 3) {
      await Promise.race([me.waiting, pause(POLL_MS)])
      if (me.answered !== undefined) return
      const { rows } = await this.#observer.query(
        'select wait_event_type as wait from pg_stat_activity where pid = $1',
        [me.pid],
      )
      seen = (rows[0] as { wait: string | null } | undefined)?.wait === 'Lock' ? seen + 1 : 0
    }
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

async function connect(server: TestServer, database: string): Promise<pg.Client> {
  const client = new pg.Client({
    host: server.host,
    port: server.port,
    user: 'postgres',
    database,
    types: { getTypeParser: () => (text: unknown) => text },
  })
  client.on('error', () => {})
  await client.connect()
  return client
}

function printed(result: pg.QueryArrayResult): string {
  const rows = result.rows.map((row) => row.map((value) => value ?? '∅').join('|'))
  const tag = ['SELECT', 'FETCH'].includes(result.command)
    ? `(${result.rowCount})`
    : [result.command, ...(result.rowCount === null || result.command === 'SET' ? [] : [result.rowCount])].join(' ')
  return [...rows, tag].join('\n')
}

function errorText(error: pg.DatabaseError): string {
  const more = [
    ['DETAIL', error.detail],
    ['HINT', error.hint],
  ].flatMap(([label, text]) => (text === undefined ? [] : [`${label}: ${text}`]))
  return [`${error.severity ?? 'LOST'} ${error.code ?? ''}: ${error.message}`, ...more].join('\n')
}

/** Numbers that differ from run to run. */
const masked = (text: string): string =>
  text
    .replace(/(Process|process|transaction|relation|database|OID|tuple) (\(?[\d,]+\)?)/g, '$1 N')
    .replace(/^(?:.*DETAIL: )?Process N waits for .*$/gm, (line) =>
      line.replace(/ShareLock on transaction N|ExclusiveLock on tuple N of relation N of database N/, 'ROW'),
    )
