/**
 * What a view's options promise its readers. security_invoker: what it reads is checked for who reads the view, not for its
 * owner. security_barrier: no condition from outside is asked of a row before the view's own, which OFFSET 0 sees to.
 * https://www.postgresql.org/docs/15/sql-createview.html
 */
import type { RelationRow } from '../catalog/catalog.ts'
import type { Query, Relation } from '../plan/query.ts'
import { OID } from '../types/oids.ts'
import { type BindContext, wantAccess } from './context.ts'

const TRUE = /^(t|tr|tru|true|y|ye|yes|on|1)$/i

const isSet = (view: RelationRow | undefined, option: string): boolean =>
  view?.options?.some((each) => each.startsWith(`${option}=`) && TRUE.test(each.slice(option.length + 1))) === true

export const asksInvoker = (view: RelationRow | undefined): boolean => isSet(view, 'security_invoker')

/** The query of a view that is read: its privileges noted, its conditions kept before those around it. */
export function readThrough(b: BindContext, view: RelationRow, query: Query): Query {
  if (view.oid >= FIRST_USER_OID) wantInside(b, query, asksInvoker(view))
  return fenced(b, view, query)
}

function fenced(b: BindContext, view: RelationRow | undefined, query: Query): Query {
  let changed = false
  const relations = query.relations.map((relation): Relation => {
    if (relation.kind !== 'subquery') return relation
    const below = relation.viewOid === undefined ? undefined : b.catalog.relation(relation.viewOid)
    const inner = fenced(b, below, relation.query)
    if (inner === relation.query) return relation
    changed = true
    return { ...relation, query: inner }
  })
  const whole = changed ? { ...query, relations } : query
  if (!isSet(view, 'security_barrier') || whole.offset !== undefined) return whole
  return { ...whole, offset: { kind: 'const', value: 0, type: OID.int8, typmod: -1 } }
}

const FIRST_USER_OID = 16384

/**
 * SELECT on the tables and views that a view for its invoker names, wherever it stands: inside a view of another kind too, as
 * PostgreSQL checks it. What other views name is their owners' business.
 */
function wantInside(b: BindContext, tree: unknown, invoker: boolean): void {
  if (typeof tree !== 'object' || tree === null) return
  if (Array.isArray(tree)) {
    for (const each of tree) wantInside(b, each, invoker)
    return
  }
  if (Object.getPrototypeOf(tree) !== Object.prototype) return
  const { kind, oid, viewOid, columns } = tree as Partial<Record<string, unknown>>
  let inside = invoker
  if (kind === 'table' && columns !== undefined && invoker) wantAccess(b, oid as RelationRow['oid'], 'r')
  if (kind === 'subquery' && viewOid !== undefined) {
    if (invoker) wantAccess(b, viewOid as RelationRow['oid'], 'r')
    inside = asksInvoker(b.catalog.relation(viewOid as RelationRow['oid']))
  }
  for (const value of Object.values(tree)) wantInside(b, value, inside)
}
