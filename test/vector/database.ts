/**
 * A database in memory for tests of vector indexes: SQL in, rows as text out; it can be closed and opened again over the same store.
 * Sessions are opened when they are first named, and gone after a restart.
 */
import { openDatabase } from '../../sql/session/database.ts'
import type { Field, Session, Sink } from '../../sql/session/session.ts'
import type { Graphs } from '../../sql/vector/index-graph.ts'
import type { VectorIndex, VectorIndexes } from '../../sql/vector/vector-index.ts'
import { openMemoryEngine } from '../../storage/engine/memory.ts'
import { systemClock } from '../../storage/keys/clock.ts'
import { openKv } from '../../storage/kv/open-kv.ts'
import { openLocalLog } from '../../storage/range/local-log.ts'

export interface Database {
  run(sql: string, session?: string): Promise<void>
  rows(sql: string, session?: string): Promise<(string | null)[][]>
  indexes(): readonly VectorIndex[]
  /** Every open index can be searched. */
  ready(): Promise<void>
  readonly warnings: readonly string[]
  stop(): Promise<void>
  start(): Promise<void>
  reopen(): Promise<void>
  close(): Promise<void>
}

export async function openDatabaseOver(
  options: { readonly vectorFolder?: string; readonly vectorGraphs?: () => Graphs; readonly txnBytesMax?: number } = {},
): Promise<Database> {
  const { vectorFolder, vectorGraphs, txnBytesMax } = options
  const engine = openMemoryEngine()
  const warnings: string[] = []
  let kv: Awaited<ReturnType<typeof openKv>>
  let server: Awaited<ReturnType<typeof openDatabase>>
  const sessions = new Map<string, Session>()
  const start = async () => {
    kv = await openKv(engine, {
      clock: systemClock,
      openLog: openLocalLog(engine),
      ...(txnBytesMax === undefined ? {} : { txnBytesMax }),
    })
    const log = {
      info() {},
      warn: (fields: object, message: string) =>
        void warnings.push(`${message}: ${String((fields as { err?: unknown }).err)}`),
      error() {},
    }
    server = await openDatabase(kv, {
      osUser: 'someone',
      settings: new Map(),
      log,
      ...(vectorFolder === undefined ? {} : { vectorFolder }),
      ...(vectorGraphs === undefined ? {} : { vectorGraphs: vectorGraphs() }),
    })
  }
  const sessionOf = async (name: string): Promise<Session> => {
    const known = sessions.get(name)
    if (known !== undefined) return known
    const session = await server.connect({
      user: 'postgres',
      database: 'postgres',
      parameters: new Map(),
      clientAddress: undefined,
      clientPort: undefined,
      idleSink: undefined,
      onTerminate() {},
    })
    sessions.set(name, session)
    return session
  }
  const stop = async () => {
    sessions.clear()
    await server.close(0)
    await kv.close()
  }
  const query = async (sql: string, name = 'first'): Promise<(string | null)[][]> => {
    const session = await sessionOf(name)
    let fields: readonly Field[] = []
    const rows: (string | null)[][] = []
    const sink: Sink = {
      fields: (given) => {
        fields = given
      },
      row: (values) =>
        void rows.push(
          values.map((value, i) => (value === null ? null : fields[i]!.type.output(value, session.typeContext))),
        ),
      flow: () => undefined,
      commandComplete() {},
      emptyQuery() {},
      portalSuspended() {},
      notice() {},
      parameterStatus() {},
      notification() {},
      copyIn: () => {
        throw new Error('no COPY here')
      },
      copyOut() {},
      copyData() {},
      copyDone() {},
    }
    await session.query(sql, sink)
    return rows
  }
  await start()
  const indexes = () => (server as unknown as { readonly vectors: VectorIndexes }).vectors.list()
  return {
    run: async (sql, name) => void (await query(sql, name)),
    rows: query,
    indexes,
    warnings,
    async ready() {
      for (let i = 0; i < 2000 && indexes().some(({ status }) => status.state === 'loading' || status.tail > 0); i++)
        await new Promise((resolve) => setTimeout(resolve, 5))
    },
    stop,
    start,
    async reopen() {
      await stop()
      await start()
    },
    close: stop,
  }
}
