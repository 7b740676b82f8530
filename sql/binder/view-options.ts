/**
 * What a view's options promise its readers. security_invoker: what it reads is checked for who reads the view, not for its
 * owner. security_barrier: no condition from outside is asked of a row before the view's own, which OFFSET 0 sees to.
 * https://www.postgresql.org/docs/15/sql-createview.html
 */
import type { Oid } from '../../storage/keys/brand.ts'
import type { RelationRow } from '../catalog/catalog.ts'
import type { Query, Relation } from '../plan/query.ts'
import { OID } from '../types/oids.ts'
import type { BindContext } from './context.ts'

const TRUE = /^(t|tr|tru|true|y|ye|yes|on|1)$/i

const isSet = (view: RelationRow | undefined, option: string): boolean =>
  view?.options?.some((each) => each.startsWith(`${option}=`) && TRUE.test(each.slice(option.length + 1))) === true

export const asksInvoker = (view: RelationRow | undefined): boolean => isSet(view, 'security_invoker')

/** Whose privileges a view's query needs: its owner's, or (undefined) those of whoever runs the statement. */
export const viewRole = (view: RelationRow | undefined): Oid | undefined =>
  view === undefined || asksInvoker(view) ? undefined : view.owner

/** The query of a view that is read: its privileges noted, its conditions kept before those around it. */
export function readThrough(b: BindContext, view: RelationRow, query: Query): Query {
  // PostgreSQL's own views read what they please.
  if (view.oid >= FIRST_USER_OID) wantInside(b, view, query)
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
 * SELECT on the tables and views that a view names, for its owner or its invoker; then the same of the views among them. A
 * view for its invoker asks the one who runs the statement wherever it stands, inside another's view too. `besides`: the
 * relation of the query that is asked for elsewhere.
 */
export function wantInside(b: BindContext, view: RelationRow, query: Query, besides?: Relation): void {
  const role = viewRole(view)
  const nested: (readonly [RelationRow, Query])[] = []
  const wanted = new Set<Oid>()
  const visit = (tree: unknown): void => {
    if (typeof tree !== 'object' || tree === null || tree === besides) return
    if (Array.isArray(tree)) {
      for (const each of tree) visit(each)
      return
    }
    if (Object.getPrototypeOf(tree) !== Object.prototype) return
    const relation = relationOf(tree)
    if (relation !== undefined) wanted.add(relation)
    if ('viewOid' in tree && relation !== undefined) {
      const below = b.catalog.relation(relation)
      if (below !== undefined && below.oid >= FIRST_USER_OID)
        nested.push([below, (tree as unknown as { query: Query }).query])
      return
    }
    for (const value of Object.values(tree)) visit(value)
  }
  visit(query)
  for (const relation of wanted) b.viewAccesses.push({ role, relation, letters: 'r', query })
  for (const [below, inner] of nested) wantInside(b, below, inner)
}

/** The table or view that an entry of a query's relations stands for. */
export function relationOf(entry: object): Oid | undefined {
  const { kind, oid, viewOid, columns } = entry as Partial<Record<string, unknown>>
  if (columns === undefined) return undefined
  if (kind === 'table') return oid as Oid
  return kind === 'subquery' ? (viewOid as Oid | undefined) : undefined
}
