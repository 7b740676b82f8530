/** Storage parameters: WITH (fillfactor = 70, …). Checked by name and range, kept as 'name=value', used where they mean something here. */
import type { Node } from '@pgsql/types'
import { sqlError } from '../../types/error.ts'
import { roundHalfEven } from '../../types/number/int.ts'
import type { Ddl } from './context.ts'

type Kind = 'table' | 'index' | 'view' | 'hnsw' | 'ivfflat'
interface Parameter {
  readonly type: 'int' | 'real' | 'bool' | 'enum'
  readonly min?: number
  readonly max?: number
  readonly values?: readonly string[]
}

const int = (min: number, max: number): Parameter => ({ type: 'int', min, max })
const real = (min: number, max: number): Parameter => ({ type: 'real', min, max })
const BOOL: Parameter = { type: 'bool' }

/** This server's own: the elements of the graph's copy of the vectors. */
const QUANTIZATION: Parameter = { type: 'enum', values: ['none', 'f16', 'bit'] }

const VACUUM: Readonly<Record<string, Parameter>> = {
  autovacuum_enabled: BOOL,
  autovacuum_vacuum_threshold: int(0, 2147483647),
  autovacuum_vacuum_insert_threshold: int(-1, 2147483647),
  autovacuum_analyze_threshold: int(0, 2147483647),
  autovacuum_vacuum_cost_limit: int(1, 10000),
  autovacuum_freeze_min_age: int(0, 1000000000),
  autovacuum_freeze_max_age: int(100000, 2000000000),
  autovacuum_freeze_table_age: int(0, 2000000000),
  autovacuum_multixact_freeze_min_age: int(0, 1000000000),
  autovacuum_multixact_freeze_max_age: int(10000, 2000000000),
  autovacuum_multixact_freeze_table_age: int(0, 2000000000),
  autovacuum_vacuum_cost_delay: real(-1, 100),
  autovacuum_vacuum_scale_factor: real(0, 100),
  autovacuum_vacuum_insert_scale_factor: real(0, 100),
  autovacuum_analyze_scale_factor: real(0, 100),
  log_autovacuum_min_duration: int(-1, 2147483647),
  vacuum_index_cleanup: { type: 'enum', values: ['auto', 'on', 'off', 'true', 'false', 'yes', 'no', '1', '0'] },
  vacuum_truncate: BOOL,
}

const PARAMETERS: Readonly<Record<Kind, Readonly<Record<string, Parameter>>>> = {
  table: {
    fillfactor: int(10, 100),
    toast_tuple_target: int(128, 8160),
    parallel_workers: int(0, 1024),
    user_catalog_table: BOOL,
    ...VACUUM,
  },
  index: { fillfactor: int(10, 100), deduplicate_items: BOOL, vacuum_cleanup_index_scale_factor: real(0, 1e10) },
  hnsw: { m: int(2, 100), ef_construction: int(4, 1000), quantization: QUANTIZATION },
  ivfflat: { lists: int(1, 32768), quantization: QUANTIZATION },
  view: {
    security_barrier: BOOL,
    security_invoker: BOOL,
    check_option: { type: 'enum', values: ['local', 'cascaded'] },
  },
}

/** Which parameters an index of that access method has. */
export const optionKind = (method: string): Kind => (method === 'hnsw' || method === 'ivfflat' ? method : 'index')

function textOf(arg: Node | undefined): string {
  if (arg === undefined) return 'true'
  if ('Integer' in arg) return String(arg.Integer.ival ?? 0)
  if ('Float' in arg) return arg.Float.fval ?? '0'
  if ('Boolean' in arg) return arg.Boolean.boolval === true ? 'true' : 'false'
  if ('String' in arg) return arg.String.sval ?? ''
  if ('TypeName' in arg)
    return (arg.TypeName.names ?? []).map((each) => ('String' in each ? (each.String.sval ?? '') : '')).at(-1) ?? ''
  return ''
}

function check(name: string, text: string, parameter: Parameter): void {
  if (parameter.type === 'bool') {
    if (!/^(t|true|f|false|on|off|yes|no|1|0|tr|tru|fa|fal|fals|y|n|ye|of)$/i.test(text))
      throw sqlError('22023', `invalid value for boolean option "${name}": ${text}`)
    return
  }
  if (parameter.type === 'enum') {
    if (!parameter.values!.includes(text.toLowerCase())) {
      throw sqlError('22023', `invalid value for enum option "${name}": ${text}`, {
        detail: `Valid values are ${parameter.values!.map((value) => `"${value}"`).join(name === 'check_option' ? ' and ' : ', ')}.`,
      })
    }
    return
  }
  // A whole number is taken by rounding, as PostgreSQL reads it (parse_int).
  const n = parameter.type === 'int' ? roundHalfEven(Number(text)) : Number(text)
  if (text.trim() === '' || Number.isNaN(n) || (parameter.type === 'int' && Math.abs(n) > 2147483647)) {
    throw sqlError(
      '22023',
      `invalid value for ${parameter.type === 'int' ? 'integer' : 'floating point'} option "${name}": ${text}`,
    )
  }
  if (n < parameter.min! || n > parameter.max!) {
    const shown = (x: number): string => (parameter.type === 'real' ? x.toFixed(6) : String(x))
    throw sqlError('22023', `value ${text} out of bounds for option "${name}"`, {
      detail: `Valid values are between "${shown(parameter.min!)}" and "${shown(parameter.max!)}".`,
    })
  }
}

/** The list as it is stored; undefined when empty. Throws 22023. */
export function optionList(_ddl: Ddl, nodes: readonly Node[] | undefined, kind: Kind): string[] | undefined {
  const out: string[] = []
  for (const node of nodes ?? []) {
    if (!('DefElem' in node)) continue
    const { defnamespace, defname, arg } = node.DefElem
    const name = defname!.toLowerCase()
    const text = textOf(arg)
    if (defnamespace !== undefined && defnamespace !== '') {
      if (defnamespace !== 'toast') throw sqlError('22023', `unrecognized parameter namespace "${defnamespace}"`)
      const parameter = VACUUM[name]
      if (parameter === undefined) throw sqlError('22023', `unrecognized parameter "${name}"`)
      check(name, text, parameter)
      continue
    }
    if (name === 'oids' && kind === 'table') {
      if (/^(t|true|on|yes|1)$/i.test(text)) throw sqlError('0A000', 'tables declared WITH OIDS are not supported')
      continue
    }
    const parameter = PARAMETERS[kind][name]
    if (parameter === undefined) throw sqlError('22023', `unrecognized parameter "${name}"`)
    check(name, text, parameter)
    if (out.some((each) => each.startsWith(`${name}=`)))
      throw sqlError('22023', `parameter "${name}" specified more than once`)
    out.push(`${name}=${parameter === QUANTIZATION ? text.toLowerCase() : text}`)
  }
  return out.length === 0 ? undefined : out
}

/** After ALTER … SET (…) or RESET (…). */
export function changeOptions(
  ddl: Ddl,
  before: readonly string[] | undefined,
  nodes: readonly Node[] | undefined,
  kind: Kind,
  reset: boolean,
): string[] | undefined {
  const named = new Set((nodes ?? []).map((node) => ('DefElem' in node ? node.DefElem.defname!.toLowerCase() : '')))
  if (reset)
    for (const name of named)
      if (PARAMETERS[kind][name] === undefined && name !== 'oids')
        throw sqlError('22023', `unrecognized parameter "${name}"`)
  const kept = (before ?? []).filter((each) => !named.has(each.slice(0, each.indexOf('='))))
  const out = reset ? kept : [...kept, ...(optionList(ddl, nodes, kind) ?? [])]
  return out.length === 0 ? undefined : out
}
