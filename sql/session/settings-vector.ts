/** The parameters of vector searches: pgvector's, in its words (https://github.com/pgvector/pgvector), and alopex.min_recall. */
import type { VectorSettings } from '../vector/settings.ts'
import type { SettingDefinition } from './settings.ts'

const parameter = (
  name: string,
  type: SettingDefinition['type'],
  boot: string,
  description: string,
  rest: Partial<Pick<SettingDefinition, 'min' | 'max' | 'values' | 'extra'>>,
): SettingDefinition => ({
  name,
  type,
  unit: undefined,
  category: 'Customized Options',
  description,
  extra: undefined,
  context: 'user',
  min: undefined,
  max: undefined,
  values: [],
  boot,
  reported: false,
  ...rest,
})

export const VECTOR_PARAMETERS: readonly SettingDefinition[] = [
  parameter(
    'alopex.min_recall',
    'real',
    '0.95',
    'Sets the share of the nearest rows that a vector search is to find.',
    {
      min: 0,
      max: 1,
      extra: 'An explicit hnsw.ef_search overrides it.',
    },
  ),
  parameter('hnsw.ef_search', 'integer', '40', 'Sets the size of the dynamic candidate list for search', {
    min: 1,
    max: 1000,
    extra: 'Valid range is 1..1000.',
  }),
  parameter('hnsw.iterative_scan', 'enum', 'off', 'Sets the mode for iterative scans', {
    values: ['off', 'relaxed_order', 'strict_order'],
  }),
  parameter('hnsw.max_scan_tuples', 'integer', '20000', 'Sets the max number of tuples to visit for iterative scans', {
    min: 1,
    max: 2147483647,
  }),
  parameter('hnsw.scan_mem_multiplier', 'real', '1', 'Sets the multiple of work_mem to use for iterative scans', {
    min: 1,
    max: 1000,
  }),
  parameter('ivfflat.iterative_scan', 'enum', 'off', 'Sets the mode for iterative scans', {
    values: ['off', 'relaxed_order'],
  }),
  parameter('ivfflat.max_probes', 'integer', '32768', 'Sets the max number of probes for iterative scans', {
    min: 1,
    max: 32768,
  }),
  parameter('ivfflat.probes', 'integer', '1', 'Sets the number of probes', {
    min: 1,
    max: 32768,
    extra: 'Valid range is 1..lists.',
  }),
]

/** How a value is kept for searches; parameters that are not here bound pgvector's scans, not these (vector/settings.ts). `isSet`: somebody has set it, be it to the default. */
export const VECTOR_FIELDS: Readonly<Record<string, (to: VectorSettings, value: string, isSet: boolean) => void>> = {
  'alopex.min_recall': (to, value) => {
    to.minRecall = Number(value)
  },
  'hnsw.ef_search': (to, value, isSet) => {
    to.efSearch = isSet ? Number(value) : undefined
  },
  'hnsw.iterative_scan': (to, value) => {
    to.iterativeScan = value as VectorSettings['iterativeScan']
  },
  'ivfflat.iterative_scan': (to, value) => {
    to.ivfflatIterativeScan = value as VectorSettings['ivfflatIterativeScan']
  },
  'ivfflat.probes': (to, value, isSet) => {
    to.probes = isSet ? Number(value) : undefined
  },
}
