/**
 * MERGE: source rows joined with the target's by the condition; each pair, or source row without a partner, is given to the
 * first WHEN clause that takes it (PostgreSQL 15 manual, MERGE; parse_merge.c).
 *
 *     merge into t using s on p when matched … when not matched …
 *         →   from t right join s on p      (inner when no clause takes the unmatched)
 */
import type { MergeStmt, MergeWhenClause, Node } from '@pgsql/types'
import type { RelationRow } from '../catalog/catalog.ts'
import { EMPTY_QUERY, type MergeAction, type Query } from '../plan/query.ts'
import { notSupported } from '../types/error.ts'
import { coerceToBoolean } from './coerce.ts'
import { type BindContext, errorAt, located, wantAccess } from './context.ts'
import { bindExpression, locationOf } from './expression.ts'
import { bindFrom, type FromBinders, requireRelation } from './from.ts'
import {
  assignTo,
  bindAssignments,
  binders,
  bindOrDefault,
  checkGenerated,
  checkWidth,
  listedColumns,
  OVERRIDING,
  readsTarget,
  targetItem,
  targetRelation,
  valuesByColumn,
} from './modify.ts'
import { createScope, type Item, type Scope, within } from './scope.ts'
import { WITH_BINDERS } from './select.ts'
import { bindWith, finishCte } from './with.ts'

const KINDS: Readonly<Record<string, string>> = { v: 'views', m: 'materialized views', S: 'sequences', i: 'indexes' }

export function bindMerge(
  b: BindContext,
  parent: Scope | undefined,
  node: MergeStmt,
  view: FromBinders['view'],
): Query {
  if (node.withClause?.recursive === true)
    throw errorAt(b, '42601', 'WITH RECURSIVE is not supported for MERGE statement')
  if (node.returningClause !== undefined) throw errorAt(b, '42601', 'syntax error at or near "RETURNING"')
  const scope = createScope(parent)
  const ctes = bindWith(b, scope, node.withClause, WITH_BINDERS)
  const clauses = (node.mergeWhenClauses ?? []).map((each): MergeWhenClause => {
    if (!('MergeWhenClause' in each)) throw notSupported('this WHEN clause')
    return each.MergeWhenClause
  })
  checkReachable(b, clauses)
  const named = requireRelation(b, node.relation!)
  const row = named.kind === 'm' ? named : targetRelation(b, scope, node)
  if (row.kind !== 'r') {
    throw errorAt(b, '0A000', `cannot execute MERGE on relation "${row.name}"`, undefined, {
      detail: `This operation is not supported for ${KINDS[row.kind] ?? 'this kind of relation'}.`,
    })
  }
  const target = targetItem(b, scope, row)
  const hidden = (): Item => ({ ...target, unqualified: false, target: 'merge', lateralOnly: true, lateralOk: false })
  scope.items = [hidden()]
  const [source] = within(scope, 'from', () => bindFrom(b, scope, [node.sourceRelation!], binders(b, view)))
  const sources = scope.items.filter((item) => item.relation !== 0)
  if (sources.some((item) => item.qualified && item.alias === target.alias)) {
    throw errorAt(b, '42712', `name "${target.alias}" specified more than once`, undefined, {
      detail: 'The name is used both as MERGE target table and data source.',
    })
  }
  const both = [target, ...sources]
  scope.items = both
  const on = within(scope, 'join', () =>
    coerceToBoolean(b, bindExpression(b, scope, node.joinCondition!), 'JOIN/ON', locationOf(node.joinCondition!)),
  )
  const actions = clauses.map((clause): MergeAction => {
    const matched = clause.matchKind === 'MERGE_WHEN_MATCHED'
    scope.items = matched ? both : [hidden(), ...sources]
    const condition =
      clause.condition &&
      within(scope, 'merge when', () =>
        coerceToBoolean(b, bindExpression(b, scope, clause.condition!), 'WHEN', locationOf(clause.condition!)),
      )
    return { matched, condition, ...bindAction(b, scope, row, clause) }
  })
  if (readsTarget([on, actions])) wantAccess(b, row.oid, 'r')
  const inserts = actions.some((each) => !each.matched && each.kind !== 'nothing')
  return {
    ...EMPTY_QUERY,
    command: 'merge',
    ctes: ctes.map(finishCte),
    relations: scope.relations,
    from: [
      {
        kind: 'join',
        type: inserts ? 'right' : 'inner',
        left: { kind: 'relation', relation: 0 },
        right: source!,
        on,
        using: undefined,
        natural: false,
        alias: undefined,
      },
    ],
    modify: {
      relation: 0,
      insertColumns: [],
      overriding: 'none',
      assignments: [],
      onConflict: undefined,
      returning: [],
      merge: actions,
    },
  }
}

/** After a clause that takes every row another of its kind takes none. */
function checkReachable(b: BindContext, clauses: readonly MergeWhenClause[]): void {
  const ended = new Set<string>()
  for (const { matchKind, condition } of clauses) {
    if (matchKind === 'MERGE_WHEN_NOT_MATCHED_BY_SOURCE') throw errorAt(b, '42601', 'syntax error at or near "BY"')
    if (ended.has(matchKind!))
      throw errorAt(b, '42601', 'unreachable WHEN clause specified after unconditional WHEN clause')
    if (condition === undefined) ended.add(matchKind!)
  }
}

type Action =
  | Pick<Extract<MergeAction, { kind: 'update' }>, 'kind' | 'assignments'>
  | Pick<Extract<MergeAction, { kind: 'insert' }>, 'kind' | 'columns' | 'values'>
  | { readonly kind: 'delete' | 'nothing' }

function bindAction(b: BindContext, scope: Scope, row: RelationRow, clause: MergeWhenClause): Action {
  switch (clause.commandType) {
    case 'CMD_UPDATE':
      wantAccess(b, row.oid, 'w')
      return { kind: 'update', assignments: bindAssignments(b, scope, row, clause.targetList ?? []) }
    case 'CMD_DELETE':
      wantAccess(b, row.oid, 'd')
      return { kind: 'delete' }
    case 'CMD_INSERT': {
      wantAccess(b, row.oid, 'a')
      const values = bindInsertValues(b, scope, row, clause, clause.values ?? [])
      return {
        kind: 'insert',
        columns: [...values.keys()].map((column) => column.number),
        values: [...values.values()],
      }
    }
    default:
      return { kind: 'nothing' }
  }
}

function bindInsertValues(
  b: BindContext,
  scope: Scope,
  row: RelationRow,
  clause: MergeWhenClause,
  nodes: readonly Node[],
) {
  const listed = listedColumns(b, scope, row, clause.targetList ?? [])
  const columns = listed.length > 0 ? listed.map((each) => each.column) : row.columns.filter((each) => !each.dropped)
  const overriding = OVERRIDING[clause.override ?? 'OVERRIDING_NOT_SET']
  const given = within(scope, 'single values', () =>
    nodes.map((node) => located(bindOrDefault(b, scope, node), locationOf(node))),
  )
  if (nodes.length > 0)
    checkWidth(b, given, columns.length, listed.length > 0 ? listed.map((each) => each.location) : undefined)
  const values = given.map((e, i) => {
    const column = listed[i]?.part?.column ?? columns[i]!
    return assignTo(b, column, checkGenerated(b, column, e, overriding), locationOf(nodes[i]!), listed[i]?.part)
  })
  return valuesByColumn(columns, listed, values)
}
