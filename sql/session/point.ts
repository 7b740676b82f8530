/**
 * The shortest way from a statement to its row: one row by its whole key, read outside of a transaction block. It needs no
 * transaction (the newest committed version is what a new READ COMMITTED snapshot would see), no operators and no portal
 * that can be read in portions. What cannot be answered so takes the usual way, with the same result.
 */

import type { Key } from '../../storage/keys/brand.ts'
import type { Found, Kv, Txn } from '../../storage/kv/kv.ts'
import type { Catalog } from '../catalog/catalog.ts'
import type { DeferredChecks } from '../executor/deferred.ts'
import type { CompileEnv } from '../executor/env.ts'
import type { Execution, MutableRow } from '../executor/operator.ts'
import { expressionsOf } from '../executor/plan-walk.ts'
import { compilePoint, type GetKey } from '../executor/scan.ts'
import type { Plan, PlannedStatement } from '../plan/plan.ts'
import { some } from '../plan/walk.ts'
import type { CallContext } from '../types/function.ts'
import type { Value } from '../types/value.ts'
import type { VectorSettings } from '../vector/settings.ts'
import type { VectorIndexes } from '../vector/vector-index.ts'

export type PointRead = (x: Execution, get: GetKey) => MutableRow | undefined

/** undefined: the statement is no look-up of one row, or its expressions do more than look. */
export function pointRead(planned: PlannedStatement, env: CompileEnv): PointRead | undefined {
  const { plan } = planned
  if (planned.command !== 'select' || planned.writes.length > 0) return undefined
  const scan = plan.kind === 'project' ? plan.input : plan
  if (scan.kind !== 'index-scan' || !onlyLooks(plan, env.catalog) || !onlyLooks(scan, env.catalog)) return undefined
  return compilePoint(plan, env)
}

/** No subquery and no volatile function (nextval has to become durable with a transaction). */
const onlyLooks = (plan: Plan, catalog: Catalog): boolean =>
  !expressionsOf(plan).some((e) =>
    some(
      e,
      (node) =>
        node.kind === 'subplan' || (node.kind === 'call' && catalog.function(node.function)?.volatility === 'v'),
    ),
  )

interface PointHost {
  readonly kv: Kv
  readonly catalog: Catalog
  readonly context: CallContext
  readonly deferred: DeferredChecks
  readonly transaction: { ensure(): Txn }
  readonly server: { readonly vectors: VectorIndexes }
  readonly settings: { readonly vector: VectorSettings }
}

const NOTHING: Value[] = []

/** The execution of a session's point reads, one after the other. A function that asks for the transaction has one begun. */
export class PointExecution implements Execution {
  parameters: readonly Value[] = NOTHING
  readonly outer: Value[] = []
  readonly kept = new Map<unknown, unknown>()
  affected = 0
  readonly workMemBytes = 0
  mayPause = false
  readonly instruments = undefined
  readonly get: GetKey
  readonly #host: PointHost

  constructor(host: PointHost) {
    this.#host = host
    const { kv } = host
    this.get = (key: Key): Found | undefined => kv.get(key)
  }

  get txn(): Txn {
    return this.#host.transaction.ensure()
  }
  get catalog(): Catalog {
    return this.#host.catalog
  }
  get context(): CallContext {
    return this.#host.context
  }
  get deferred(): DeferredChecks {
    return this.#host.deferred
  }
  get vectors(): VectorIndexes {
    return this.#host.server.vectors
  }
  get vectorSettings(): VectorSettings {
    return this.#host.settings.vector
  }
  sliceOver(): boolean {
    return false
  }
  crowded(): boolean {
    return false
  }
}
