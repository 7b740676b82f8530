/**
 * Full text search: the door. registerTextSearch() makes tsvector and tsquery and their functions known; dictionaries are
 * made when a configuration is first used.
 * https://www.postgresql.org/docs/15/textsearch.html
 */
import { install } from '../function.ts'
import { registerTypes } from '../registry.ts'
import { DOCUMENT_FUNCTIONS } from './documents.ts'
import { FUSION_FUNCTIONS } from './fusion.ts'
import { HEADLINE_FUNCTIONS } from './headline.ts'
import { QUERY_FUNCTIONS } from './query-functions.ts'
import { tsQueryType } from './query-type.ts'
import { RANK_FUNCTIONS } from './rank.ts'
import { VECTOR_FUNCTIONS } from './vector-functions.ts'
import { tsVectorType } from './vector-type.ts'

export function registerTextSearch(): void {
  registerTypes([tsVectorType, tsQueryType])
  install(VECTOR_FUNCTIONS)
  install(QUERY_FUNCTIONS)
  install(DOCUMENT_FUNCTIONS)
  install(RANK_FUNCTIONS)
  install(HEADLINE_FUNCTIONS)
  install(FUSION_FUNCTIONS)
}
