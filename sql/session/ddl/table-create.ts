/**
 * CREATE TABLE. Columns and LIKE clauses are drafted first, then the table is put with its types, then what needs it to
 * stand: sequences, defaults, checks, keys with their indexes, foreign keys.
 */
import type { Constraint, CreateStmt, Node, RangeVar, TableLikeClause } from '@pgsql/types'
import { clusteredIndex } from '../../access/keys.ts'
import { errorAt } from '../../binder/binder.ts'
import type { ColumnRow, ConstraintRow, RelationRow } from '../../catalog/catalog.ts'
import type { Expression } from '../../plan/expression.ts'
import { rewrite } from '../../plan/walk.ts'
import { notSupported, sqlError } from '../../types/error.ts'
import { type ColumnDraft, checkColumnType, draftColumn, finishColumn } from './columns.ts'
import { setComment } from './comment.ts'
import { addConstraint, append } from './constraints.ts'
import {
  binder,
  CLASS,
  current,
  type Ddl,
  defineDdl,
  hasRight,
  KIND_WORDS,
  lockName,
  noRelation,
  notice,
  openRelation,
  relationNamespace,
  requireRight,
  roleOf,
  update,
} from './context.ts'
import { putIndex } from './index-make.ts'
import { chooseRelationName, nameAddition } from './names.ts'
import { optionList } from './options.ts'
import { onCommit, prepareTemporary } from './temporary.ts'
import { freeTypeName, putRowType } from './types.ts'

const LIKE = {
  comments: 1,
  constraints: 4,
  defaults: 8,
  generated: 16,
  identity: 32,
  indexes: 64,
  statistics: 128,
  storage: 256,
} as const

interface Liked {
  readonly from: RelationRow
  readonly options: number
  /** From the liked table's attribute numbers to the new ones. */
  readonly numbers: ReadonlyMap<number, number>
}

export function registerCreateTable(): void {
  defineDdl('CreateStmt', 'CREATE TABLE', async (ddl, node) => {
    await createTable(ddl, node)
    return 'CREATE TABLE'
  })
}

/** What a table begins as: 42P07 or its NOTICE when the name is taken (then undefined). */
export async function newRelation(
  ddl: Ddl,
  name: RangeVar,
  ifNotExists: boolean,
): Promise<
  Pick<RelationRow, 'oid' | 'name' | 'namespace' | 'owner' | 'persistence' | 'rowType' | 'session'> | undefined
> {
  const { namespace, temporary } = relationNamespace(ddl, name)
  if (temporary) await prepareTemporary(ddl)
  const relname = name.relname!
  await lockName(ddl, 'relation', { name: relname, namespace: namespace.oid })
  if (ddl.editor.relationByName(namespace.oid, relname) !== undefined) {
    if (!ifNotExists) throw sqlError('42P07', `relation "${relname}" already exists`)
    notice(ddl, `relation "${relname}" already exists, skipping`, '42P07')
    return undefined
  }
  return {
    oid: ddl.editor.nextOid(),
    name: relname,
    namespace: namespace.oid,
    owner: roleOf(ddl),
    persistence: temporary ? 't' : name.relpersistence === 'u' ? 'u' : 'p',
    rowType: ddl.editor.nextOid(),
    ...(temporary ? { session: ddl.session.pid } : {}),
  }
}

async function createTable(ddl: Ddl, node: CreateStmt): Promise<void> {
  const name = node.relation!
  if (node.partspec !== undefined) throw notSupported('PARTITION BY')
  if (node.partbound !== undefined) throw notSupported('PARTITION OF')
  if ((node.inhRelations?.length ?? 0) > 0) throw notSupported('INHERITS')
  if (node.ofTypename !== undefined) throw notSupported('CREATE TABLE OF')
  if (node.tablespacename !== undefined && node.tablespacename !== '' && node.tablespacename !== 'pg_default')
    throw sqlError('42704', `tablespace "${node.tablespacename}" does not exist`)
  if (node.accessMethod !== undefined && node.accessMethod !== '' && node.accessMethod !== 'heap')
    throw sqlError('42704', `access method "${node.accessMethod}" does not exist`)
  const base = await newRelation(ddl, name, node.if_not_exists === true)
  if (base === undefined) return
  const commit = onCommitOf(node.oncommit, base.persistence)
  const options = optionList(ddl, node.options, 'table')

  const drafts: ColumnDraft[] = []
  const constraints: { readonly node: Constraint; readonly column: string | undefined }[] = []
  const liked: Liked[] = []
  const add = (draft: ColumnDraft): void => {
    if (drafts.some((other) => other.row.name === draft.row.name))
      throw sqlError('42701', `column "${draft.row.name}" specified more than once`)
    drafts.push(draft)
    for (const each of draft.constraints) constraints.push({ node: each, column: draft.row.name })
  }
  for (const element of node.tableElts ?? []) {
    if ('ColumnDef' in element) add(draftColumn(ddl, base.name, element.ColumnDef, drafts.length + 1))
    else if ('Constraint' in element) constraints.push({ node: element.Constraint, column: undefined })
    else if ('TableLikeClause' in element) liked.push(await like(ddl, element.TableLikeClause, drafts, add))
    else throw notSupported('this table element')
  }
  if (drafts.length > 1600) throw sqlError('54011', 'tables can have at most 1600 columns')
  for (const draft of drafts) {
    if (SYSTEM.has(draft.row.name))
      throw sqlError('42701', `column name "${draft.row.name}" conflicts with a system column name`)
  }
  const primaries = constraints.filter((each) => each.node.contype === 'CONSTR_PRIMARY')
  if (primaries.length > 1)
    throw errorAt(
      binder(ddl),
      '42P16',
      `multiple primary keys for table "${base.name}" are not allowed`,
      primaries[1]!.node.location,
    )
  const identified = drafts.find(
    (draft) => draft.identity !== undefined && ddl.editor.typeRow(draft.row.type) === undefined,
  )
  if (identified !== undefined) checkColumnType(ddl, identified.row.name, identified.row.type, [])

  const row = putTable(ddl, {
    ...base,
    columns: drafts.map((draft) => draft.row),
    ...(options === undefined ? {} : { options }),
    ...(commit === undefined ? {} : { onCommit: commit }),
  })
  await finishTable(ddl, row, drafts)
  // Checks before keys before references, as PostgreSQL: a constraint that names itself after others sees them.
  const order = { CONSTR_CHECK: 0, CONSTR_PRIMARY: 1, CONSTR_UNIQUE: 2, CONSTR_FOREIGN: 4 } as Record<string, number>
  for (const each of liked) if ((each.options & LIKE.constraints) !== 0) likeChecks(ddl, row, each)
  const sorted = [...constraints].sort((a, b) => (order[a.node.contype!] ?? 3) - (order[b.node.contype!] ?? 3))
  for (const each of sorted.filter(({ node: { contype } }) => contype !== 'CONSTR_FOREIGN'))
    await addOne(ddl, row, each)
  for (const each of liked) await likeIndexes(ddl, row, each)
  for (const each of sorted.filter(({ node: { contype } }) => contype === 'CONSTR_FOREIGN'))
    await addOne(ddl, row, each)
  if (commit !== undefined && commit !== 'preserve') onCommit(ddl, row.oid, commit)
}

const SYSTEM = new Set(['tableoid', 'cmax', 'xmax', 'cmin', 'xmin', 'ctid'])

async function addOne(
  ddl: Ddl,
  table: RelationRow,
  { node, column }: { readonly node: Constraint; readonly column: string | undefined },
): Promise<void> {
  // The same columns said twice to be unique: one index is enough.
  if (node.contype === 'CONSTR_UNIQUE' && (node.conname === undefined || node.conname === '')) {
    const now = current(ddl, table.oid)
    const names = node.keys?.map((key) => ('String' in key ? key.String.sval : '')) ?? [column]
    const same = now.constraints.some(
      (each) =>
        (each.type === 'p' || each.type === 'u') &&
        !each.deferrable &&
        node.deferrable !== true &&
        each.columns.length === names.length &&
        each.columns.every((number, i) => now.columns[number - 1]!.name === names[i]),
    )
    if (same && (node.including?.length ?? 0) === 0) return
  }
  await addConstraint(ddl, table.oid, node, { fresh: true, ...(column === undefined ? {} : { column }) })
}

/** Puts an empty table and its types. */
export function putTable(
  ddl: Ddl,
  given: Pick<RelationRow, 'oid' | 'name' | 'namespace' | 'owner' | 'persistence' | 'rowType' | 'columns'> &
    Partial<RelationRow>,
): RelationRow {
  freeTypeName(ddl, given.namespace, given.name, true)
  const row: RelationRow = { kind: 'r', storageId: ddl.editor.nextStorageId(), constraints: [], indexes: [], ...given }
  update(ddl, row)
  putRowType(ddl, row)
  return row
}

/** Sequences and defaults: they can name the table, so they come after it. */
async function finishTable(ddl: Ddl, table: RelationRow, drafts: readonly ColumnDraft[]): Promise<void> {
  const columns: ColumnRow[] = []
  for (const draft of drafts) columns.push(await finishColumn(ddl, current(ddl, table.oid), draft))
  if (columns.some((column, i) => column !== table.columns[i])) update(ddl, { ...current(ddl, table.oid), columns })
}

export function onCommitOf(
  action: string | undefined,
  persistence: RelationRow['persistence'],
): RelationRow['onCommit'] | undefined {
  const found = { ONCOMMIT_PRESERVE_ROWS: 'preserve', ONCOMMIT_DELETE_ROWS: 'delete', ONCOMMIT_DROP: 'drop' }[
    action ?? ''
  ] as RelationRow['onCommit'] | undefined
  if (found !== undefined && persistence !== 't')
    throw sqlError('42P16', 'ON COMMIT can only be used on temporary tables')
  return found
}

// ── LIKE ───────────────────────────────────────────────────────────────────────────────────────────────────────

async function like(
  ddl: Ddl,
  clause: TableLikeClause,
  drafts: readonly ColumnDraft[],
  add: (draft: ColumnDraft) => void,
): Promise<Liked> {
  const name = clause.relation!
  const from = await openRelation(ddl, name, 'access-share')
  if (from === undefined) throw errorAt(binder(ddl), '42P01', noRelation(name).message, name.location)
  if (!['r', 'v', 'm', 'c'].includes(from.kind)) {
    throw errorAt(binder(ddl), '42809', `relation "${from.name}" is invalid in LIKE clause`, name.location, {
      detail: `This operation is not supported for ${KIND_WORDS[from.kind] === 'index' ? 'indexes' : `${KIND_WORDS[from.kind]}s`}.`,
    })
  }
  if (from.kind !== 'c' && !hasRight(ddl, 'relation', from.oid, 'r')) requireRight(ddl, 'relation', from.oid, 'r')
  const options = clause.options ?? 0
  const numbers = new Map<number, number>()
  let next = drafts.length + 1
  for (const column of from.columns) if (!column.dropped) numbers.set(column.number, next++)
  for (const column of from.columns) {
    if (column.dropped) continue
    const number = numbers.get(column.number)!
    const generated = column.generated !== undefined && (options & LIKE.generated) !== 0
    const identity = column.identity !== undefined && (options & LIKE.identity) !== 0
    const withDefault =
      generated ||
      (column.default !== undefined &&
        column.generated === undefined &&
        column.identity === undefined &&
        (options & LIKE.defaults) !== 0)
    add({
      row: {
        number,
        name: column.name,
        type: column.type,
        typmod: column.typmod,
        collation: column.collation,
        notNull: column.notNull,
        dropped: false,
        ...(generated ? { generated: 'stored' as const } : {}),
        ...(identity ? { identity: column.identity! } : {}),
        ...((options & LIKE.storage) !== 0 && column.storageMode !== undefined
          ? { storageMode: column.storageMode }
          : {}),
      },
      default: undefined,
      bound: withDefault ? renumber(column.default!, numbers) : undefined,
      generated: undefined,
      identity: identity
        ? { always: column.identity === 'always', options: likeOptions(ddl, from, column.number) }
        : undefined,
      serial: false,
      constraints: [],
    })
  }
  return { from, options, numbers }
}

/** An identity column's sequence goes on as the liked one's was made; its type is bigint, as PostgreSQL has it. */
function likeOptions(ddl: Ddl, from: RelationRow, column: number): Node[] {
  const source = [...ddl.editor.ownAll('relation')].find(
    (row) =>
      row.sequence?.ownedBy?.identity === true &&
      row.sequence.ownedBy.table === from.oid &&
      row.sequence.ownedBy.column === column,
  )
  if (source === undefined) return []
  const { cache, increment, max, min, start, cycle } = source.sequence!
  const number = (defname: string, value: number | bigint): Node => ({
    DefElem: { defname, arg: { Float: { fval: String(value) } } },
  })
  return [
    {
      DefElem: {
        defname: 'as',
        arg: { TypeName: { names: [{ String: { sval: 'pg_catalog' } }, { String: { sval: 'int8' } }], typemod: -1 } },
      },
    },
    number('cache', cache),
    number('increment', increment),
    number('maxvalue', max),
    number('minvalue', min),
    number('start', start),
    { DefElem: { defname: 'cycle', arg: { Boolean: { boolval: cycle } } } },
  ]
}

/** Columns of relation 0 under other attribute numbers. */
const renumber = (e: Expression, numbers: ReadonlyMap<number, number>): Expression =>
  rewrite(e, (node) =>
    node.kind === 'var' && node.level === 0 && node.column > 0
      ? { ...node, column: numbers.get(node.column) ?? node.column }
      : node,
  )

function likeChecks(ddl: Ddl, table: RelationRow, { from, numbers, options }: Liked): void {
  for (const constraint of from.constraints) {
    if (constraint.type !== 'c') continue
    const row: ConstraintRow = {
      ...constraint,
      oid: ddl.editor.nextOid(),
      columns: constraint.columns.map((number) => numbers.get(number) ?? number),
      check: renumber(constraint.check!, numbers),
    }
    if (current(ddl, table.oid).constraints.some((each) => each.name === row.name))
      throw sqlError('42710', `check constraint "${row.name}" already exists`)
    append(ddl, table.oid, row)
    const comment = ddl.editor.comment(CLASS.constraint, constraint.oid, 0)
    if ((options & LIKE.comments) !== 0 && comment !== undefined) setComment(ddl, CLASS.constraint, row.oid, 0, comment)
  }
}

async function likeIndexes(ddl: Ddl, table: RelationRow, { from, numbers, options }: Liked): Promise<void> {
  if ((options & LIKE.comments) !== 0) {
    for (const [old, number] of numbers) {
      const comment = ddl.editor.comment(CLASS.relation, from.oid, old)
      if (comment !== undefined) setComment(ddl, CLASS.relation, table.oid, number, comment)
    }
  }
  if ((options & LIKE.indexes) === 0) return
  for (const each of from.indexes) {
    const old = ddl.editor.relation(each)!
    const index = old.index!
    const { method } = index
    if (method === 'gin' || method === 'gist' || method === 'brin') throw notSupported(`LIKE of a ${method} index`)
    const constraint = from.constraints.find((one) => one.index === each && one.type !== 'f')
    const now = current(ddl, table.oid)
    if (index.primary && clusteredIndex(ddl.editor, now) !== undefined)
      throw sqlError('42P16', `multiple primary keys for table "${table.name}" are not allowed`)
    const include = index.include.map((number) => numbers.get(number)!)
    const keys = index.keys.map((key, i) => ({
      ...key,
      name: key.expression === undefined ? now.columns[numbers.get(key.column)! - 1]!.name : old.columns[i]!.name,
      column: key.column === 0 ? 0 : numbers.get(key.column)!,
      ...(key.expression === undefined ? {} : { expression: renumber(key.expression, numbers) }),
    }))
    const addition = nameAddition([
      ...keys.map((key) => key.name),
      ...include.map((number) => now.columns[number - 1]!.name),
    ])
    const name = index.primary
      ? chooseRelationName(ddl.editor, table.namespace, table.name, undefined, 'pkey', true)
      : chooseRelationName(
          ddl.editor,
          table.namespace,
          table.name,
          addition,
          constraint === undefined ? 'idx' : 'key',
          constraint !== undefined,
        )
    const made = putIndex(ddl, table.oid, {
      name,
      method,
      keys,
      include,
      unique: index.unique,
      nullsNotDistinct: index.nullsNotDistinct,
      primary: index.primary,
      predicate: index.predicate === undefined ? undefined : renumber(index.predicate, numbers),
      clustered: index.primary && index.immediate,
      immediate: index.immediate,
      options: old.options,
    })
    if (constraint !== undefined)
      append(ddl, table.oid, {
        ...constraint,
        oid: ddl.editor.nextOid(),
        name,
        columns: constraint.columns.map((number) => numbers.get(number)!),
        index: made.oid,
      })
    const comment = ddl.editor.comment(CLASS.relation, each, 0)
    if ((options & LIKE.comments) !== 0 && comment !== undefined) setComment(ddl, CLASS.relation, made.oid, 0, comment)
  }
}
