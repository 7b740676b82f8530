/**
 * Plans for lifted statements by what their literals select: `where ts > $1` is planned anew for each order of magnitude of
 * the share of rows it keeps, with the value at hand for the estimate, so that one that keeps a handful goes through the
 * index and one that keeps half the table does not. Without statistics there is nothing to tell them apart.
 */
import type { Catalog } from '../catalog/catalog.ts'
import type { Expression } from '../plan/expression.ts'
import type { Query, Relation } from '../plan/query.ts'
import { forEachChild } from '../plan/walk.ts'
import { createEstimator, stripRelabel } from '../planner/estimate.ts'
import type { TableSizes } from '../planner/level.ts'
import type { Value } from '../types/value.ts'

/** A comparison of an analyzed column with a parameter. */
export interface Peek {
  readonly comparison: Expression
  readonly relations: readonly Relation[]
}

const COMPARISONS = /^(eqsel|scalar(lt|le|gt|ge)sel)$/

/** The comparisons in WHERE and ON whose selectivity depends on a parameter's value. */
export function peeksOf(query: Query, catalog: Catalog): Peek[] {
  const peeks: Peek[] = []
  const visit = (e: Expression): void => {
    if (e.kind === 'call' && e.operator !== undefined && e.args.length === 2) {
      const column = e.args.map(stripRelabel).find((arg) => arg.kind === 'var' && arg.level === 0)
      const relation = column?.kind === 'var' ? query.relations[column.relation] : undefined
      const analyzed = relation?.kind === 'table' && catalog.statistics(relation.oid) !== undefined
      const parameter = e.args.some((arg) => arg.kind === 'param')
      if (analyzed && parameter && COMPARISONS.test(catalog.operator(e.operator)?.restriction ?? '')) {
        peeks.push({ comparison: e, relations: query.relations })
        return
      }
    }
    forEachChild(e, visit)
  }
  if (query.where !== undefined) visit(query.where)
  return peeks
}

/** Names the plan that fits these values: the orders of magnitude of what each comparison keeps. */
export function variantOf(
  peeks: readonly Peek[],
  catalog: Catalog,
  sizes: TableSizes,
  values: readonly Value[],
): string {
  if (peeks.length === 0) return ''
  const estimator = createEstimator(catalog, sizes, (parameter) => values[parameter - 1])
  let name = ''
  for (const { comparison, relations } of peeks) {
    name += `${Math.round(Math.log10(Math.max(1e-9, estimator.selectivity(comparison, relations))))},`
  }
  return name
}
