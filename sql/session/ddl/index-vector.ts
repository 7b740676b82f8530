/**
 * What CREATE INDEX USING hnsw and ivfflat ask beyond other indexes, in pgvector's words. Unlike pgvector's, these take up to
 * 16,000 dimensions, and scalar columns before the vector: each of their values has its own graph.
 */
import type { IndexElem } from '@pgsql/types'
import { keyElement, vectorOption } from '../../access/vector-spec.ts'
import type { IndexKey } from '../../catalog/catalog.ts'
import { sqlError } from '../../types/error.ts'
import { OID } from '../../types/oids.ts'
import type { Ddl } from './context.ts'

export type VectorMethod = 'hnsw' | 'ivfflat'
export const isVectorMethod = (method: string): method is VectorMethod => method === 'hnsw' || method === 'ivfflat'

const DIMENSIONS_MAX = 16_000
/** A bit is 1/32 of a float4. */
const BITS_MAX = 64_000

interface VectorKeys {
  readonly keys: readonly IndexKey[]
  readonly options: readonly string[] | undefined
}

const severalVectors = (method: VectorMethod) =>
  sqlError('0A000', `access method "${method}" does not support multicolumn indexes`, {
    detail: 'Only the last column may be a vector; the columns before it divide the rows.',
  })

/** A column before the vector must not be named as one. */
export function checkScalar(ddl: Ddl, element: IndexElem, method: VectorMethod): void {
  const name = (element.opclass ?? []).flatMap((each) => ('String' in each ? [each.String.sval ?? ''] : [])).at(-1)
  if (name !== undefined && ddl.editor.opclassByName(method, undefined, name) !== undefined)
    throw severalVectors(method)
}

/** Throws 0A000, 22023, 54000. */
export function checkVectorKeys(ddl: Ddl, { keys, options }: VectorKeys, method: VectorMethod): void {
  const key = keys.at(-1)!
  const element = keyElement(ddl.editor, key)
  for (const each of keys.slice(0, -1)) {
    if (keyElement(ddl.editor, each) !== undefined) throw severalVectors(method)
  }
  if (element === undefined || key.type === OID.varbit)
    throw sqlError('0A000', `type not supported for ${method} index`)
  if (key.typmod < 0) throw sqlError('22023', 'column does not have dimensions')
  const most = element === 'bit' ? BITS_MAX : element === 'sparse' ? Infinity : DIMENSIONS_MAX
  if (key.typmod > most) throw sqlError('54000', `column cannot have more than ${most} dimensions for ${method} index`)
  if (method === 'hnsw' && vectorOption(options, 'ef_construction') < 2 * vectorOption(options, 'm'))
    throw sqlError('22023', 'ef_construction must be greater than or equal to 2 * m')
  const quantization = options?.find((each) => each.startsWith('quantization='))?.slice('quantization='.length)
  const smaller = quantization === undefined || quantization === 'none'
  if (!smaller && !(element === 'f32' || (element === 'f16' && quantization === 'bit')))
    throw sqlError('22023', `quantization "${quantization}" does not fit the type of the column`)
}

/** pgvector's ivfflat says so of a table with fewer rows than lists. */
export function noticeOfLittleData(ddl: Ddl, rows: number, { options }: VectorKeys): void {
  if (rows >= vectorOption(options, 'lists')) return
  ddl.session.notice({
    severity: 'NOTICE',
    code: '00000',
    message: 'ivfflat index created with little data',
    fields: { detail: 'This will cause low recall.', hint: 'Drop the index until the table has more data.' },
  })
}
