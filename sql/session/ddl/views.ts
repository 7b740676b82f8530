/**
 * CREATE [OR REPLACE] VIEW. A view keeps its query bound, and a query over a view holds that view's query inside itself:
 * when a view is replaced, every stored query that has it inside gets the new one.
 */
import type { ViewStmt } from '@pgsql/types'
import { oid } from '../../../storage/keys/brand.ts'
import { bind, coerceTo, namesOf, notUpdatable, outputColumns, settle, typeName } from '../../binder/binder.ts'
import type { ColumnRow, RelationRow } from '../../catalog/catalog.ts'
import type { ColumnInfo, Query } from '../../plan/query.ts'
import { notSupported, sqlError } from '../../types/error.ts'
import { OID } from '../../types/oids.ts'
import {
  binder,
  type Ddl,
  defineDdl,
  KIND_WORDS,
  lockName,
  lockRelation,
  notice,
  relationNamespace,
  requireOwner,
  roleOf,
  update,
} from './context.ts'
import { optionList } from './options.ts'
import { prepareTemporary } from './temporary.ts'
import { freeTypeName, putRowType } from './types.ts'

export function registerViews(): void {
  defineDdl('ViewStmt', 'CREATE VIEW', async (ddl, node) => {
    await createView(ddl, node)
    return 'CREATE VIEW'
  })
}

async function createView(ddl: Ddl, node: ViewStmt): Promise<void> {
  if (node.view!.relpersistence === 'u')
    throw sqlError('42601', 'views cannot be unlogged because they do not have storage')
  const b = binder(ddl)
  const select = node.query!
  if (!('SelectStmt' in select)) throw notSupported('this view definition')
  if (select.SelectStmt.intoClause !== undefined) throw sqlError('0A000', 'views must not contain SELECT INTO')
  let query = settled(ddl, bind(b, select))
  if (query.ctes.some((cte) => cte.query.command !== 'select'))
    throw sqlError('0A000', 'views must not contain data-modifying statements in WITH')
  const names = namesOf(node.aliases)
  if (names.length > query.targets.filter((target) => !target.junk).length)
    throw sqlError('42601', 'CREATE VIEW specifies more column names than columns')
  let next = 0
  query = {
    ...query,
    targets: query.targets.map((target) => (target.junk ? target : { ...target, name: names[next++] ?? target.name })),
  }
  const columns = columnsFrom(ddl, outputColumns(query))

  let name = node.view!
  const usesTemporary = [...b.relationsUsed].some((each) => ddl.editor.relation(each)?.session !== undefined)
  if (usesTemporary && name.relpersistence !== 't') {
    notice(ddl, `view "${name.relname}" will be a temporary view`)
    name = { ...name, relpersistence: 't' }
  }
  const { namespace, temporary } = relationNamespace(ddl, name)
  if (temporary) await prepareTemporary(ddl)
  await lockName(ddl, 'relation', { name: name.relname!, namespace: namespace.oid })
  const options = viewOptions(ddl, node, query)
  const existing = ddl.editor.relationByName(namespace.oid, name.relname!)
  if (existing !== undefined) {
    if (node.replace !== true) throw sqlError('42P07', `relation "${existing.name}" already exists`)
    await lockRelation(ddl, existing.oid, 'access-exclusive')
    if (existing.kind !== 'v') throw sqlError('42809', `"${existing.name}" is not a view`)
    requireOwner(ddl, existing.owner, KIND_WORDS.v, existing.name)
    checkReplacement(ddl, existing, columns)
    if (contains(query, existing.oid))
      throw sqlError('42P17', `infinite recursion detected in rules for relation "${existing.name}"`)
    const { options: _, ...rest } = existing
    const merged = columns.map((column, i) => ({ ...existing.columns[i], ...column }))
    update(ddl, { ...rest, columns: merged, view: { query }, ...(options === undefined ? {} : { options }) })
    replaceInside(ddl, existing.oid, query)
    return
  }
  const row: RelationRow = {
    oid: ddl.editor.nextOid(),
    name: name.relname!,
    namespace: namespace.oid,
    owner: roleOf(ddl),
    kind: 'v',
    persistence: temporary ? 't' : 'p',
    rowType: ddl.editor.nextOid(),
    storageId: 0,
    columns,
    constraints: [],
    indexes: [],
    view: { query },
    ...(options === undefined ? {} : { options }),
    ...(temporary ? { session: ddl.session.pid } : {}),
  }
  freeTypeName(ddl, row.namespace, row.name, true)
  update(ddl, row)
  putRowType(ddl, row)
}

/** WITH (…) and WITH CHECK OPTION, which only a view that can be written through may have. */
function viewOptions(ddl: Ddl, node: ViewStmt, query: Query): readonly string[] | undefined {
  const given = optionList(ddl, node.options, 'view')
  const clause = CHECK_OPTIONS[node.withCheckOption ?? 'NO_CHECK_OPTION']
  const options = clause === undefined ? given : [...(given ?? []), `check_option=${clause}`]
  if (options?.some((option) => option.startsWith('check_option=')) !== true) return options
  const why = notUpdatable(query)
  if (why === undefined) return options
  throw sqlError('0A000', 'WITH CHECK OPTION is supported only on automatically updatable views', { hint: why })
}
const CHECK_OPTIONS = {
  NO_CHECK_OPTION: undefined,
  LOCAL_CHECK_OPTION: 'local',
  CASCADED_CHECK_OPTION: 'cascaded',
} as const

/** Output columns that are still of type unknown are text. */
export function settled(ddl: Ddl, query: Query): Query {
  const b = binder(ddl)
  return {
    ...query,
    targets: query.targets.map((target) =>
      target.junk || target.expression.type !== OID.unknown
        ? target
        : { ...target, expression: coerceTo(b, settle(b, target.expression), OID.text, -1, 'implicit', 'implicit') },
    ),
  }
}

export function columnsFrom(ddl: Ddl, infos: readonly ColumnInfo[]): ColumnRow[] {
  infos.forEach((info, i) => {
    if (infos.findIndex((other) => other.name === info.name) !== i)
      throw sqlError('42701', `column "${info.name}" specified more than once`)
  })
  return infos.map((info, i) => {
    const type = info.type === OID.unknown ? OID.text : info.type
    const row = ddl.editor.typeRow(type)
    if (row?.kind === 'p')
      throw sqlError('42P16', `column "${info.name}" has pseudo-type ${typeName(binder(ddl), type)}`)
    return {
      number: i + 1,
      name: info.name,
      type,
      typmod: info.typmod,
      collation: info.collation ?? row?.collation ?? oid(0),
      notNull: false,
      dropped: false,
    }
  })
}

function checkReplacement(ddl: Ddl, existing: RelationRow, columns: readonly ColumnRow[]): void {
  const b = binder(ddl)
  const old = existing.columns.filter((column) => !column.dropped)
  if (columns.length < old.length) throw sqlError('42P16', 'cannot drop columns from view')
  old.forEach((before, i) => {
    const now = columns[i]!
    if (now.name !== before.name) {
      throw sqlError('42P16', `cannot change name of view column "${before.name}" to "${now.name}"`, {
        hint: 'Use ALTER VIEW ... RENAME COLUMN ... to change name of view column instead.',
      })
    }
    if (now.type !== before.type || now.typmod !== before.typmod) {
      throw sqlError(
        '42P16',
        `cannot change data type of view column "${before.name}" from ${typeName(b, before.type, before.typmod)} to ${typeName(b, now.type, now.typmod)}`,
      )
    }
  })
}

/** True when a query reads the view, at any depth. */
const contains = (tree: unknown, view: RelationRow['oid']): boolean => {
  if (typeof tree !== 'object' || tree === null) return false
  if (Array.isArray(tree)) return tree.some((each) => contains(each, view))
  if (Object.getPrototypeOf(tree) !== Object.prototype) return false
  if ((tree as { viewOid?: unknown }).viewOid === view) return true
  return Object.values(tree).some((each) => contains(each, view))
}

/** Every stored query that reads the view gets its new definition. */
function replaceInside(ddl: Ddl, view: RelationRow['oid'], query: Query): void {
  for (const row of [...ddl.editor.ownAll('relation')]) {
    if (row.view === undefined || !('query' in row.view) || row.oid === view || !contains(row.view.query, view))
      continue
    update(ddl, { ...row, view: { query: replaced(row.view.query, view, query) as Query } })
  }
}

function replaced(tree: unknown, view: RelationRow['oid'], query: Query): unknown {
  if (typeof tree !== 'object' || tree === null) return tree
  if (Array.isArray(tree)) return tree.map((each) => replaced(each, view, query))
  if (Object.getPrototypeOf(tree) !== Object.prototype) return tree
  if ((tree as { viewOid?: unknown }).viewOid === view) return { ...tree, query }
  return Object.fromEntries(Object.entries(tree).map(([key, value]) => [key, replaced(value, view, query)]))
}

/** Tables, views and columns are called by their new names in stored queries, where those did not give them names of their own. */
export function renameInside(ddl: Ddl, relation: RelationRow['oid'], from: string, to: string, column: number): void {
  for (const row of [...ddl.editor.ownAll('relation')]) {
    if (row.view === undefined || !('query' in row.view)) continue
    const query = renamed(row.view.query, relation, from, to, column)
    if (query !== row.view.query) update(ddl, { ...row, view: { query: query as Query } })
  }
}

/** The same tree when nothing in it is about the relation. `column` 0: the relation itself. */
function renamed(tree: unknown, relation: number, from: string, to: string, column: number): unknown {
  if (typeof tree !== 'object' || tree === null) return tree
  if (Array.isArray(tree)) {
    const items = tree.map((each) => renamed(each, relation, from, to, column))
    return items.some((each, i) => each !== tree[i]) ? items : tree
  }
  if (Object.getPrototypeOf(tree) !== Object.prototype) return tree
  let changed = false
  const out: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(tree)) {
    out[key] = renamed(value, relation, from, to, column)
    changed ||= out[key] !== value
  }
  const node = tree as {
    kind?: string
    oid?: number
    viewOid?: number
    aliased?: boolean
    alias?: string
    columns?: readonly ColumnInfo[]
  }
  if (
    (node.kind === 'table' ? node.oid : node.kind === 'subquery' ? node.viewOid : undefined) === relation &&
    node.columns !== undefined
  ) {
    if (column === 0 && node.aliased === false && node.alias === from) {
      out['alias'] = to
      changed = true
    } else if (column > 0 && node.columns[column - 1]?.name === from) {
      out['columns'] = node.columns.map((info, i) => (i === column - 1 ? { ...info, name: to } : info))
      changed = true
    }
  }
  return changed ? out : tree
}
