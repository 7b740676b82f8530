/**
 * What a session sets about vector searches: pgvector's parameters, and alopex.min_recall. Kept up to date by its settings.
 * What ends pgvector's iterative scans early (hnsw.max_scan_tuples, hnsw.scan_mem_multiplier, ivfflat.max_probes) is not
 * among them: a search goes on here until all the rows are found that are asked for and there are.
 */
import { type SqlError, sqlError } from '../types/error.ts'

export interface VectorSettings {
  /** hnsw.ef_search, when someone has set it; else the effort follows from `minRecall`. */
  efSearch: number | undefined
  /** relaxed_order: rows that are found late may come after ones that are further away. Off is as strict_order. */
  iterativeScan: 'off' | 'relaxed_order' | 'strict_order'
  /** ivfflat.probes, when someone has set it. */
  probes: number | undefined
  ivfflatIterativeScan: 'off' | 'relaxed_order'
  /** Share of the true nearest rows that a search is to find, 0 to 1. */
  minRecall: number
}

export const defaultVectorSettings = (): VectorSettings => ({
  efSearch: undefined,
  iterativeScan: 'off',
  probes: undefined,
  ivfflatIterativeScan: 'off',
  minRecall: 0.95,
})

/** 53200: beyond maintenance_work_mem. */
export const graphTooLarge = (index: string, bytesMax: number, entries: number): SqlError =>
  sqlError('53200', `the graph of index "${index}" does not fit into maintenance_work_mem (${bytesMax / 1024} kB)`, {
    detail: `It took that much after ${entries} entries.`,
    hint: 'Increase maintenance_work_mem, or use WITH (quantization = f16 or bit).',
  })
