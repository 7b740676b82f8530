/** System catalogs and sequences: rows that the catalog makes when asked, all or those alone that one column's value picks out. */
import type { VirtualContext } from '../catalog/catalog.ts'
import type { Plan } from '../plan/plan.ts'
import { notSupported } from '../types/error.ts'
import type { CallContext } from '../types/function.ts'
import type { Row, Value } from '../types/value.ts'
import { compilePredicate, compileValue } from './compile.ts'
import type { CompileEnv } from './env.ts'
import { BATCH_ROWS, type Operator, type RowBatch, SLICE_OVER } from './operator.ts'

type VirtualScan = Extract<Plan, { kind: 'virtual-scan' }>

const TABLE_OID = -6
/** The session's context. Without a session there are catalogs, and no sequences. */
const virtualContext = (context: CallContext): VirtualContext => context as CallContext & VirtualContext

export function compileVirtualScan(plan: VirtualScan, env: CompileEnv): Operator {
  const filter = compilePredicate(plan.filter, env)
  const wanted = plan.wanted.map((attribute) => {
    if (attribute > 0) return (row: Row): Value => row[attribute - 1] ?? null
    if (attribute === TABLE_OID) return (): Value => plan.table
    throw notSupported(`system column ${attribute} of a system catalog`)
  })
  if (plan.withKey) throw notSupported('changing or locking rows of a system catalog')
  const column = plan.lookup?.column ?? 0
  const value = plan.lookup && compileValue(plan.lookup.value, env)
  return {
    *run(x) {
      const holds = filter.bind(x)
      // Known once a run: a constant, a parameter, or a value of the outer row of a nested loop.
      const wantedValue = value?.bind(x)(NO_ROW)
      if (wantedValue === null) return
      const lookup = wantedValue === undefined ? undefined : { column, value: wantedValue }
      let out: RowBatch = []
      for (const full of x.catalog.virtualRows(plan.table, virtualContext(x.context), lookup)) {
        const row = new Array<Value>(wanted.length)
        for (let i = 0; i < wanted.length; i++) row[i] = wanted[i]!(full)
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
const NO_ROW: Row = []
