/** Built-in objects that PostgreSQL itself does not have: the vector type and what belongs to it. */
import type { Oid } from '../../storage/keys/brand.ts'
import type { AggregateRow, CastRow, FunctionRow, OpclassRow, OperatorRow, TypeRow } from './catalog.ts'
import type { FamilyOperator } from './builtin.ts'

export interface ExtraRows {
  readonly types: readonly TypeRow[]
  readonly functions: readonly FunctionRow[]
  readonly aggregates: readonly AggregateRow[]
  readonly operators: readonly OperatorRow[]
  readonly casts: readonly CastRow[]
  readonly methods: readonly { readonly oid: Oid; readonly name: string }[]
  readonly opclasses: readonly OpclassRow[]
  readonly btree: readonly FamilyOperator[]
}

const NONE: ExtraRows = { types: [], functions: [], aggregates: [], operators: [], casts: [], methods: [], opclasses: [], btree: [] }

export const extraRows = (): ExtraRows => NONE
