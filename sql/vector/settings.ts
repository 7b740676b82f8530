/** What a session sets about vector searches: pgvector's parameters, and alopex.min_recall. Kept up to date by its settings. */
import { type SqlError, sqlError } from '../types/error.ts'

export interface VectorSettings {
  /** hnsw.ef_search, when someone has set it; else the effort follows from `minRecall`. */
  efSearch: number | undefined
  iterativeScan: 'off' | 'relaxed_order' | 'strict_order'
  /** Rows an iterative scan looks at. */
  maxScanTuples: number
  /** Times work_mem that an iterative scan may use. */
  scanMemMultiplier: number
  /** ivfflat.probes, when someone has set it. */
  probes: number | undefined
  ivfflatIterativeScan: 'off' | 'relaxed_order'
  maxProbes: number
  /** Share of the true nearest rows that a search is to find, 0 to 1. */
  minRecall: number
}

export const defaultVectorSettings = (): VectorSettings => ({
  efSearch: undefined,
  iterativeScan: 'off',
  maxScanTuples: 20_000,
  scanMemMultiplier: 1,
  probes: undefined,
  ivfflatIterativeScan: 'off',
  maxProbes: 32_768,
  minRecall: 0.95,
})

/** 53200: beyond maintenance_work_mem. */
export const graphTooLarge = (index: string, bytesMax: number, entries: number): SqlError =>
  sqlError('53200', `the graph of index "${index}" does not fit into maintenance_work_mem (${bytesMax / 1024} kB)`, {
    detail: `It took that much after ${entries} entries.`,
    hint: 'Increase maintenance_work_mem, or use WITH (quantization = f16 or bit).',
  })
