/**
 * The graph of a vector index that a statement makes: built from the entries it has written before the statement ends, so
 * that what does not fit or is cancelled leaves nothing, and the first search after the commit finds it ready.
 */
import { isVectorIndex, vectorIndexSpec } from '../../access/vector-spec.ts'
import type { RelationRow } from '../../catalog/catalog.ts'
import { graphTooLarge } from '../../vector/settings.ts'
import type { VectorIndex } from '../../vector/vector-index.ts'
import type { Ddl } from './context.ts'

/** For pg_stat_progress_create_index. */
export interface Building {
  readonly index: VectorIndex
  readonly command: 'create' | 'concurrently' | 'reindex' | 'reindexConcurrently'
}

function commandOf({ statement }: Ddl): Building['command'] {
  const { node } = statement
  if ('IndexStmt' in node) return node.IndexStmt.concurrent === true ? 'concurrently' : 'create'
  if (!('ReindexStmt' in node)) return 'create'
  const isConcurrent = (node.ReindexStmt.params ?? []).some(
    (each) => 'DefElem' in each && each.DefElem.defname === 'concurrently',
  )
  return isConcurrent ? 'reindexConcurrently' : 'reindex'
}

export async function buildGraph(ddl: Ddl, table: RelationRow, index: RelationRow): Promise<void> {
  const { session, editor } = ddl
  const { vectors, catalogs } = session.server
  const { databaseOid } = editor
  const spec = vectorIndexSpec(editor, table, index)
  session.hooks.ended.push((committed) => {
    // Rolled back, wholly or to a savepoint; or made anew under another storage id since.
    const kept = committed && catalogs.catalog(databaseOid).relation(index.oid)?.storageId === index.storageId
    if (!kept) vectors.drop(spec.prefix)
  })
  const building = vectors.build(spec, session.transaction.ensure(), {
    bytesMax: session.settings.number('maintenance_work_mem') * 1024,
    check: () => session.checkInterrupts(),
  })
  session.building = { index: vectors.open(spec), command: commandOf(ddl) }
  try {
    await session.waits.interruptible(building, undefined)
  } catch (error) {
    vectors.drop(spec.prefix)
    // Dropped, it ends by itself; what it ends with is `error`, or follows from the drop.
    building.catch(() => {})
    throw error
  } finally {
    session.building = undefined
  }
}

/** So few entries may be left to be linked when an index is told to be valid: others write on. */
const LEFT_MAX = 256
const LOOK_MS = 5

/**
 * CREATE INDEX CONCURRENTLY: the graph is there from the first batch of entries on and follows what is committed. `check`
 * throws 53200 when it has grown too large; `linked` resolves when it can be searched. After an error there is no graph.
 */
export async function followingGraph(
  ddl: Ddl,
  table: RelationRow,
  index: RelationRow,
  work: (check: () => void, linked: () => Promise<void>) => Promise<void>,
): Promise<void> {
  if (!isVectorIndex(index))
    return work(
      () => {},
      async () => {},
    )
  const { session, editor } = ddl
  const { vectors } = session.server
  const spec = vectorIndexSpec(editor, table, index)
  const graph = vectors.open(spec)
  const bytesMax = session.settings.number('maintenance_work_mem') * 1024
  const check = () => {
    if (graph.status.bytes > bytesMax) throw graphTooLarge(spec.name, bytesMax, graph.status.entries)
  }
  session.building = { index: graph, command: commandOf(ddl) }
  try {
    await work(check, async () => {
      while (['loading', 'building'].includes(graph.status.state) || graph.status.tail > LEFT_MAX) {
        check()
        if (graph.status.state === 'failed') return
        await session.waits.interruptible(new Promise((resolve) => setTimeout(resolve, LOOK_MS)), undefined)
        session.checkInterrupts()
      }
    })
  } catch (error) {
    vectors.drop(spec.prefix)
    throw error
  } finally {
    session.building = undefined
  }
}
