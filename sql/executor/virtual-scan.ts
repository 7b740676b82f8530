/** System catalogs: rows that the catalog makes when asked. */
import type { VirtualContext } from '../catalog/catalog.ts'
import type { Plan } from '../plan/plan.ts'
import { notSupported } from '../types/error.ts'
import type { CallContext } from '../types/function.ts'
import type { Row, Value } from '../types/value.ts'
import { compilePredicate } from './compile.ts'
import type { CompileEnv } from './env.ts'
import { BATCH_ROWS, type Operator, type RowBatch, SLICE_OVER } from './operator.ts'

type VirtualScan = Extract<Plan, { kind: 'virtual-scan' }>

const TABLE_OID = -6
const NO_SESSIONS: VirtualContext = { sessionRows: () => [] }

/** The session's context knows what runs; without a session there is nothing of that kind. */
const virtualContext = (context: CallContext): VirtualContext =>
  'sessionRows' in context ? (context as CallContext & VirtualContext) : NO_SESSIONS

export function compileVirtualScan(plan: VirtualScan, env: CompileEnv): Operator {
  const filter = compilePredicate(plan.filter, env)
  const wanted = plan.wanted.map((attribute) => {
    if (attribute > 0) return (row: Row): Value => row[attribute - 1] ?? null
    if (attribute === TABLE_OID) return (): Value => plan.table
    throw notSupported(`system column ${attribute} of a system catalog`)
  })
  if (plan.withKey) throw notSupported('changing or locking rows of a system catalog')
  return {
    *run(x) {
      const holds = filter.bind(x)
      let out: RowBatch = []
      for (const full of x.catalog.virtualRows(plan.table, virtualContext(x.context))) {
        const row = wanted.map((read) => read(full))
        if (!holds(row)) continue
        out.push(row)
        if (out.length < BATCH_ROWS) continue
        yield out
        out = []
        if (x.sliceOver()) yield SLICE_OVER
      }
      if (out.length > 0) yield out
    },
  }
}
