/** What makes a vector index, from its catalog row: its entries' place, what lies in them, what it measures, its options. */
import type { Oid } from '../../storage/keys/brand.ts'
import { invariant } from '../../storage/keys/invariant.ts'
import type { Catalog, IndexKey, RelationRow } from '../catalog/catalog.ts'
import { functionBodies } from '../types/function.ts'
import { roundHalfEven } from '../types/number/int.ts'
import { elementOfType, type VectorElement } from '../types/vector/packed.ts'
import type { VectorIndexSpec, VectorMetric } from '../vector/vector-index.ts'
import { entryPrefix, rowPrefix } from './keys.ts'

export const isVectorIndex = (index: RelationRow): boolean =>
  index.index?.method === 'hnsw' || index.index?.method === 'ivfflat'

/** By the ends of the names of pgvector's C functions. */
const METRICS: readonly (readonly [RegExp, VectorMetric])[] = [
  [/l2_distance$/, 'l2'],
  [/negative_inner_product$/, 'inner-product'],
  [/cosine_distance$/, 'cosine'],
  [/l1_distance$/, 'l1'],
  [/hamming_distance$/, 'hamming'],
  [/jaccard_distance$/, 'jaccard'],
]

const VECTOR_DEFAULTS = { m: 16, ef_construction: 64, lists: 100 } as const

/** A storage parameter as it was given. */
const optionOf = (options: readonly string[] | undefined, name: string): string | undefined =>
  options?.find((each) => each.startsWith(`${name}=`))?.slice(name.length + 1)

/** A storage parameter that is a whole number: as PostgreSQL reads it, rounded. */
export const vectorOption = (options: readonly string[] | undefined, name: keyof typeof VECTOR_DEFAULTS): number =>
  roundHalfEven(Number(optionOf(options, name) ?? VECTOR_DEFAULTS[name]))

function baseType(catalog: Catalog, type: Oid): Oid {
  const row = catalog.typeRow(type)
  return row?.kind === 'd' ? baseType(catalog, row.baseType) : type
}

/** The element of an index's vectors; undefined for a column that is none. */
export const keyElement = (catalog: Catalog, key: IndexKey): VectorElement | undefined =>
  elementOfType(baseType(catalog, key.type))

export function vectorIndexSpec(catalog: Catalog, table: RelationRow, index: RelationRow): VectorIndexSpec {
  const { keys, method } = index.index!
  const key = keys.at(-1)!
  const operator = catalog.distanceOperator(key.opclass)
  const source = operator === undefined ? undefined : catalog.function(operator.function)?.source
  const metric = METRICS.find(([pattern]) => source !== undefined && pattern.test(source))?.[1]
  const element = keyElement(catalog, key)
  invariant(
    source !== undefined && metric !== undefined && element !== undefined,
    `${index.name} is of no vector class`,
  )
  const body = functionBodies.get(source)
  invariant(body?.kind === 'scalar', `no distance ${source}`)
  return {
    index: index.oid,
    table: table.oid,
    name: index.name,
    prefix: entryPrefix(catalog.databaseOid, index),
    rowPrefix: rowPrefix(catalog.databaseOid, table),
    element,
    dimensions: key.typmod,
    metric,
    distance: body.run as unknown as VectorIndexSpec['distance'],
    method: method === 'ivfflat' ? 'ivfflat' : 'hnsw',
    m: vectorOption(index.options, 'm'),
    efConstruction: vectorOption(index.options, 'ef_construction'),
    lists: vectorOption(index.options, 'lists'),
    quantization: (optionOf(index.options, 'quantization') ?? 'none') as VectorIndexSpec['quantization'],
    tenantColumns: keys.length - 1,
  }
}
