/**
 * Reciprocal rank fusion: what a rank in one list of results is worth, so that lists of different makes can be added up.
 * https://dl.acm.org/doi/10.1145/1571941.1572114
 */
import { notSupported, sqlError } from '../error.ts'
import { type FunctionTable, scalar, set } from '../function.ts'
import type { Int64 } from '../value.ts'

export const FUSION_FUNCTIONS: FunctionTable = {
  /** rrf_score(rank, k): 1 / (k + rank), ranks from 1. Throws 22012 when they add up to zero. */
  rrf_score: scalar((rank: Int64, k: number) => {
    const sum = Number(rank) + k
    if (sum === 0) throw sqlError('22012', 'division by zero')
    return 1 / sum
  }),
  /** Calls in FROM never come here: sql/binder/hybrid-search.ts writes them out. */
  alopex_hybrid_search: set(() => () => {
    throw notSupported('alopex_hybrid_search outside of FROM')
  }),
}
