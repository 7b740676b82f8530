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
  /** A walk would look at as much as there is, or something might be missed: every entry is measured, and so many come at a time. */
  readonly all: boolean
}

/** Candidates that a search without a limit keeps at a time. */
const UNLIMITED = 200
/** Where every entry is measured, so many come at a time: somewhat more than are likely to be wanted. */
const AT_A_TIME = { least: 10, room: 2.5 }
/** Of what a search may miss, the part for one with a filter: what is left lies further apart (100,000 words, 50 and 10 % matching). */
const FILTERED = 0.8
/** Entries that are measured one after the other while a walk looks at what it keeps a candidate for: measured, 2,000 to 100,000. */
const WALKED = 20

/** `rows` are wanted out of a share of all entries: by a graph that gives those alone (`allowed`), or by asking each candidate. */
export function chooseEffort(
  index: VectorIndex,
  settings: VectorSettings,
  rows: number,
  share: number,
  allowed: boolean,
): Effort {
  const { spec } = index
  const { entries } = index.status
  const { minRecall } = settings
  const wanted = Number.isFinite(rows) ? rows : UNLIMITED
  const depth = Math.ceil(allowed ? wanted : wanted / Math.max(share, 0.001))
  const chosen = (effort: number, why: string, isSet: boolean, walked: number): Effort => {
    const all = spec.quantization === 'none' && Number.isFinite(rows) && entries <= effort * walked
    return {
      effort: all ? Math.ceil(AT_A_TIME.room * Math.max(depth, AT_A_TIME.least)) : Math.max(1, effort),
      why,
      isSet,
      all,
    }
  }
  if (spec.method === 'hnsw' && settings.efSearch !== undefined)
    return chosen(settings.efSearch, 'hnsw.ef_search', true, 1)
  if (spec.method === 'ivfflat' && settings.probes !== undefined) {
    const effort = Math.ceil((entries * Math.min(settings.probes, spec.lists)) / spec.lists)
    return chosen(effort, 'ivfflat.probes', true, 1)
  }
  const recall = share < 1 ? 1 - (1 - minRecall) * FILTERED : minRecall
  return chosen(index.effortFor(recall, depth, allowed ? share : 1), `recall ${minRecall}`, false, WALKED)
}

/** Microseconds, measured: to look at a vector of so many dimensions, to fetch a row, to find one by the key that another index gives. */
const lookUs = (dimensions: number): number => 0.05 + dimensions * 0.001
const FETCH_US = 3
const FOUND_US = 0.25
/** Vectors that a walk looks at for each candidate it keeps. */
const LOOKS = 12
/** All rows that match, measured, are worth three times the time: none is missed then. */
const SURE = 3

/** Whether the rows that another index names, all measured, are the better way than `chosen`, which asks each candidate for the filter. */
export function isGatherBetter(plan: VectorScan, dimensions: number, wanted: number, chosen: Effort): boolean {
  if (plan.otherwise === undefined || chosen.all || !Number.isFinite(wanted)) return false
  const look = lookUs(Math.max(1, dimensions))
  const walk = chosen.effort * LOOKS * look + Math.min(plan.entries, wanted / Math.max(plan.share, 1e-6)) * FETCH_US
  return plan.otherwise.estimate.rows * (FOUND_US + look) < walk * SURE
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
  const { effort, why, all } = chooseEffort(open, settings, limit + offset, plan.share, false)
  return all ? `every entry, ${effort} at a time (${why})` : `effort ${effort} (${why})`
}
