/**
 * Sorting by a distance, in whatever dress: the operator's call inside what keeps or turns its order.
 *
 *     v <-> $1            ascending
 *     1 - (v <=> $1)      the same rows backwards, so `… DESC` is ascending distance
 *     (v <#> $1) * -1     likewise
 *
 * The functions are known by their bodies' names (pg_proc.prosrc): what each does to the order of one argument while the
 * other stays the same.
 */
import type { Catalog } from '../catalog/catalog.ts'
import type { Expression } from '../plan/expression.ts'
import type { Order } from './path.ts'

type Call = Extract<Expression, { kind: 'call' }>

/** What a function does to the order of its argument at this place; `sign`: as the sign of the other (constant) argument. */
type Effect = 'keeps' | 'turns' | 'sign'

const MONOTONE: Readonly<Record<string, readonly (Effect | undefined)[]>> = {
  float8pl: ['keeps', 'keeps'],
  float8mi: ['keeps', 'turns'],
  float8mul: ['sign', 'sign'],
  float8div: ['sign', undefined],
  float8um: ['turns'],
  float8up: ['keeps'],
  dtof: ['keeps'],
  float8_numeric: ['keeps'],
  numeric_add: ['keeps', 'keeps'],
  numeric_sub: ['keeps', 'turns'],
  numeric_uminus: ['turns'],
}

export interface Distance {
  /** The operator's call. */
  readonly call: Call
  /** Greater distances give smaller values. */
  readonly turned: boolean
}

/** The distance inside `e`, whose order is `e`'s; `isDistance` knows the operators. */
export function distanceIn(
  e: Expression,
  catalog: Catalog,
  isDistance: (call: Call) => boolean,
  isFixed: (e: Expression) => boolean,
): Distance | undefined {
  if (e.kind === 'relabel') return distanceIn(e.arg, catalog, isDistance, isFixed)
  if (e.kind !== 'call') return undefined
  if (isDistance(e)) return { call: e, turned: false }
  const effects = MONOTONE[catalog.function(e.function)?.source ?? '']
  if (effects === undefined) return undefined
  for (const [i, effect] of effects.entries()) {
    const arg = e.args[i]
    const other = e.args[1 - i]
    if (effect === undefined || arg === undefined || isFixed(arg) || (other !== undefined && !isFixed(other))) continue
    const turns = effect === 'sign' ? signOf(other) : effect === 'turns' ? -1 : 1
    if (turns === undefined) return undefined
    const inner = distanceIn(arg, catalog, isDistance, isFixed)
    return inner && { call: inner.call, turned: inner.turned !== turns < 0 }
  }
  return undefined
}

function signOf(e: Expression | undefined): 1 | -1 | undefined {
  if (e?.kind !== 'const' || typeof e.value !== 'number' || !Number.isFinite(e.value) || e.value === 0) return undefined
  return e.value > 0 ? 1 : -1
}

/** Whether rows by ascending distance come in this order; rows whose distance is NULL or NaN may stand elsewhere. */
export const isAscending = (order: Order, distance: Distance): boolean => order.descending === distance.turned
