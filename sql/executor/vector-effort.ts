/**
 * How far a search goes: as somebody has set it (hnsw.ef_search, ivfflat.probes), else as far as the index's own
 * calibration says is needed for alopex.min_recall.
 */
import { vectorIndexSpec } from '../access/vector-spec.ts'
import type { Catalog } from '../catalog/catalog.ts'
import type { Plan } from '../plan/plan.ts'
import type { VectorSettings } from '../vector/settings.ts'
import type { VectorIndex, VectorIndexes } from '../vector/vector-index.ts'

type VectorScan = Extract<Plan, { kind: 'vector-scan' }>

export interface Effort {
  readonly effort: number
  readonly why: string
  /** By somebody, not by the index. */
  readonly isSet: boolean
}

/** Candidates that a search without a limit keeps at a time. */
const UNLIMITED = 200
/** Rows that calibrations ask for. */
const CALIBRATED = 10
/** Candidates more for each row further down: measured at depths of 10 to 2,000, at 100 and 768 dimensions. */
const ROOM = 2.5

/** `rows` are wanted out of a share of all entries: by a graph that gives those alone (`allowed`), or by asking each candidate. */
export function chooseEffort(
  index: VectorIndex,
  settings: VectorSettings,
  rows: number,
  share: number,
  allowed: boolean,
): Effort {
  const { method, lists } = index.spec
  if (method === 'hnsw' && settings.efSearch !== undefined)
    return { effort: settings.efSearch, why: 'hnsw.ef_search', isSet: true }
  if (method === 'ivfflat' && settings.probes !== undefined) {
    const effort = Math.ceil((index.status.entries * Math.min(settings.probes, lists)) / lists)
    return { effort: Math.max(1, effort), why: 'ivfflat.probes', isSet: true }
  }
  const { minRecall } = settings
  const wanted = Number.isFinite(rows) ? rows : UNLIMITED
  // How hard the nearest are to find was measured; those further down take a place each, and some room.
  const depth = Math.ceil(allowed ? wanted : wanted / Math.max(share, 0.001))
  const measured = index.effortFor(minRecall, Math.min(depth, CALIBRATED), allowed ? share : 1)
  // Stored vectors, which a calibration asks for, are found more easily than others: 0.97 where others had 0.87 with 10.
  const nearest = Math.max(measured, ROOM * CALIBRATED)
  const effort = Math.ceil(nearest + ROOM * Math.max(0, depth - CALIBRATED))
  return { effort: Math.max(1, effort), why: `recall ${minRecall}`, isSet: false }
}

/** For EXPLAIN: 'effort 64 (recall 0.95)'. */
export function effortText(
  plan: VectorScan,
  catalog: Catalog,
  indexes: VectorIndexes,
  settings: VectorSettings,
): string | undefined {
  const table = catalog.relation(plan.table)
  const index = catalog.relation(plan.index)
  if (table === undefined || index === undefined) return undefined
  const open = indexes.open(vectorIndexSpec(catalog, table, index))
  if (open.coming === undefined && open.status.state !== 'ready') return `exact while the index is ${open.status.state}`
  const limit =
    plan.limit?.kind === 'const' && plan.limit.value !== null ? Number(plan.limit.value) : Number.POSITIVE_INFINITY
  const offset = plan.offset?.kind === 'const' && plan.offset.value !== null ? Number(plan.offset.value) : 0
  const { effort, why } = chooseEffort(open, settings, limit + offset, plan.share, false)
  return `effort ${effort} (${why})`
}
