/** What this server tells of its vector indexes: the rows of alopex_vector_indexes, and of builds for pg_stat_progress_create_index. */
import { entryPrefix } from '../../access/keys.ts'
import { isVectorIndex, vectorIndexSpec } from '../../access/vector-spec.ts'
import { type FunctionTable, scalar } from '../../types/function.ts'
import type { Int64, Value } from '../../types/value.ts'
import type { VectorIndexStatus } from '../../vector/vector-index.ts'
import type { Backend } from '../backend.ts'
import { rowsOfSession } from './session-function.ts'

const EPOCH_2000_MS = Date.UTC(2000, 0, 1)
/** hnsw.ef_search's default: what the shown recall belongs to. */
const SHOWN_EFFORT = 40
/** Of the 10 nearest. */
const SHOWN_DEPTH = 10

/** The recall of the least effort from the default on that was measured. */
const recallOf = ({ calibration }: VectorIndexStatus): number | null => {
  const rows = calibration.filter(({ share, depth }) => share === 1 && depth === SHOWN_DEPTH)
  return (rows.find(({ effort }) => effort >= SHOWN_EFFORT) ?? rows.at(-1))?.recall ?? null
}

const calibrationText = ({ calibration }: VectorIndexStatus): string | null =>
  calibration.length === 0
    ? null
    : JSON.stringify(
        calibration.map((row) => ({
          ...row,
          recall: inTenThousandths(row.recall),
          error: inTenThousandths(row.error),
        })),
      )
const inTenThousandths = (n: number): number => Math.round(n * 10_000) / 10_000

/** All vector indexes of the session's database; asking for one that is not open opens it. One that is not valid has a graph while it is built. */
function* statusRows(session: Backend): Iterable<readonly Value[]> {
  const { catalog, server } = session
  for (const row of [...catalog.relations()]) {
    if (row.kind !== 'i' || !isVectorIndex(row)) continue
    const table = catalog.relation(row.index!.table)
    if (table === undefined) continue
    const { valid } = row.index!
    const index = valid
      ? server.vectors.open(vectorIndexSpec(catalog, table, row))
      : server.vectors
          .list()
          .find(({ spec }) => spec.index === row.oid && spec.prefix === entryPrefix(catalog.databaseOid, row))
    if (index === undefined) continue
    const { status } = index
    const slots = status.entries + status.dead
    yield [
      row.oid,
      table.oid,
      status.state,
      status.phase === '' ? null : status.phase,
      status.entries,
      status.tail,
      slots === 0 ? 0 : status.dead / slots,
      status.bytes,
      recallOf(status),
      calibrationText(status),
      status.builtAt === undefined ? null : (status.builtAt - EPOCH_2000_MS) * 1000,
      status.buildMs ?? null,
    ]
  }
}

const HNSW = 16_003
const IVFFLAT = 16_004
/** Phases of a build, by pgvector's numbers. */
const PHASES: Readonly<Record<number, readonly string[]>> = {
  [HNSW]: ['initializing', 'loading tuples'],
  [IVFFLAT]: ['initializing', 'performing k-means', 'assigning tuples', 'loading tuples'],
}
const INITIALIZING = 1
const LOADING = { hnsw: 2, ivfflat: 4 } as const
/** Columns of pg_stat_get_progress_info: pid, datid, relid, param1 … param20. */
const PARAMETERS = 20
const COMMAND = { create: 1, concurrently: 2, reindex: 3, reindexConcurrently: 4 } as const

/** One row a statement that is building the graph of a vector index. */
function* progressRows(session: Backend, command: string): Iterable<readonly Value[]> {
  if (command !== 'CREATE INDEX') return
  for (const { pid, databaseOid, building } of session.server.backends.values()) {
    if (building === undefined) continue
    const { spec, status } = building.index
    const parameters = new Array<Value>(PARAMETERS).fill(0)
    const set = (n: number, value: Value) => {
      parameters[n - 1] = value
    }
    set(1, COMMAND[building.command])
    set(7, spec.index)
    set(9, spec.method === 'hnsw' ? HNSW : IVFFLAT)
    set(10, 2)
    set(11, status.blocksTotal === 0 ? INITIALIZING : LOADING[spec.method])
    set(12, status.blocksTotal)
    set(13, status.blocksDone)
    yield [pid, databaseOid, spec.table, ...parameters]
  }
}

export const VECTOR_FUNCTIONS: FunctionTable = {
  ...rowsOfSession('alopex_vector_index_status', statusRows),
  ...rowsOfSession('pg_stat_get_progress_info', progressRows),
  pg_indexam_progress_phasename: scalar((method: number, phase: Int64) => PHASES[method]?.[Number(phase) - 1] ?? null),
}
