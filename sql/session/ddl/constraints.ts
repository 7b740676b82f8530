/**
 * Table constraints: CHECK, PRIMARY KEY, UNIQUE, FOREIGN KEY. `fresh`: the table is being created and has no rows, so
 * nothing is checked or built; otherwise existing rows must obey, and a new primary key puts them in its order.
 */
import type { Constraint, RangeVar } from '@pgsql/types'
import type { Oid } from '../../../storage/keys/brand.ts'
import { bindTableCondition, canCoerce, errorAt, findBinaryOperator, namesOf, typeName } from '../../binder/binder.ts'
import type { ColumnRow, ConstraintRow, ForeignKeyAction, RelationRow } from '../../catalog/catalog.ts'
import { columnAllows, securable } from '../../catalog/privileges.ts'
import type { Expression } from '../../plan/expression.ts'
import { some } from '../../plan/walk.ts'
import { sqlError } from '../../types/error.ts'
import {
  binder,
  current,
  type Ddl,
  lockName,
  lookUpRelation,
  openRelation,
  requireRight,
  roleOf,
  shownName,
  update,
} from './context.ts'
import { findColumn, includeColumns, keyOfColumn, putIndex } from './index-make.ts'
import { chooseConstraintName, chooseRelationName, nameAddition } from './names.ts'
import { optionList } from './options.ts'
import { fillIndex, rewriteTable } from './storage.ts'
import { validateCheck, validateForeignKey, validateNotNull } from './validate.ts'

export interface Adding {
  readonly fresh: boolean
  /** The column it was written with: gives its name to it. */
  readonly column?: string
}

export const constraintNamed = (table: RelationRow, name: string): ConstraintRow | undefined =>
  table.constraints.find((each) => each.name === name)

function requireFree(table: RelationRow, name: string): void {
  if (constraintNamed(table, name) !== undefined)
    throw sqlError('42710', `constraint "${name}" for relation "${table.name}" already exists`)
}

export const addConstraint = (
  ddl: Ddl,
  table: Oid,
  node: Constraint,
  adding: Adding,
): Promise<ConstraintRow> | ConstraintRow => {
  switch (node.contype!) {
    case 'CONSTR_CHECK':
      return addCheck(ddl, table, node, adding)
    case 'CONSTR_PRIMARY':
    case 'CONSTR_UNIQUE':
      return addKey(ddl, table, node, adding)
    case 'CONSTR_FOREIGN':
      return addForeignKey(ddl, table, node, adding)
    case 'CONSTR_EXCLUSION':
      throw errorAt(binder(ddl), '0A000', 'exclusion constraints are not supported', node.location)
    case 'CONSTR_NOTNULL':
      throw errorAt(binder(ddl), '0A000', 'NOT NULL as a table constraint is not supported', node.location)
    default:
      throw sqlError('0A000', `constraint type ${node.contype} is not supported`)
  }
}

// ── CHECK ──────────────────────────────────────────────────────────────────────────────────────────────────────

async function addCheck(ddl: Ddl, tableOid: Oid, node: Constraint, adding: Adding): Promise<ConstraintRow> {
  const table = current(ddl, tableOid)
  const check = bindTableCondition(binder(ddl), table, node.raw_expr!, 'check', 'CHECK')
  const named = node.conname !== undefined && node.conname !== ''
  if (named && adding.fresh && constraintNamed(table, node.conname!)?.type === 'c')
    throw sqlError('42710', `check constraint "${node.conname}" already exists`)
  if (named) requireFree(table, node.conname!)
  const name = named
    ? node.conname!
    : chooseConstraintName(
        ddl.editor,
        table.namespace,
        table.name,
        onlyColumn(table, check),
        'check',
        table.constraints.map((each) => each.name),
      )
  const row: ConstraintRow = {
    oid: ddl.editor.nextOid(),
    name,
    type: 'c',
    columns: usedColumns(check),
    check,
    ...(node.is_no_inherit === true ? { noInherit: true } : {}),
    deferrable: false,
    initiallyDeferred: false,
    validated: adding.fresh || node.skip_validation !== true,
  }
  if (!adding.fresh && row.validated) await validateCheck(ddl, table, row)
  append(ddl, tableOid, row)
  return row
}

/** Attribute numbers in an expression over one table. */
export function usedColumns(e: Expression): number[] {
  const found = new Set<number>()
  some(e, (node) => {
    if (node.kind === 'var' && node.level === 0) found.add(node.column)
    return false
  })
  return [...found].sort((a, b) => a - b)
}
function onlyColumn(table: RelationRow, check: Expression): string | undefined {
  const used = usedColumns(check)
  return used.length === 1 && used[0]! > 0 ? table.columns[used[0]! - 1]!.name : undefined
}

export function append(ddl: Ddl, tableOid: Oid, row: ConstraintRow): void {
  const table = current(ddl, tableOid)
  update(ddl, { ...table, constraints: [...table.constraints, row] })
}

// ── PRIMARY KEY, UNIQUE ────────────────────────────────────────────────────────────────────────────────────────

async function addKey(ddl: Ddl, tableOid: Oid, node: Constraint, adding: Adding): Promise<ConstraintRow> {
  const b = binder(ddl)
  let table = current(ddl, tableOid)
  const primary = node.contype === 'CONSTR_PRIMARY'
  if (node.without_overlaps === true) throw errorAt(b, '0A000', 'WITHOUT OVERLAPS is not supported', node.location)
  if (primary && table.constraints.some((each) => each.type === 'p'))
    throw errorAt(
      b,
      '42P16',
      `multiple primary keys for table "${table.name}" are not allowed`,
      adding.fresh ? node.location : undefined,
    )
  if (node.indexname !== undefined && node.indexname !== '') return useIndex(ddl, table, node, primary)
  const names = node.keys !== undefined && node.keys.length > 0 ? namesOf(node.keys) : [adding.column!]
  const columns: ColumnRow[] = []
  for (const name of names) {
    const column = findColumn(table, name)
    if (column === undefined) throw errorAt(b, '42703', `column "${name}" named in key does not exist`, node.location)
    if (columns.includes(column))
      throw errorAt(
        b,
        '42701',
        `column "${name}" appears twice in ${primary ? 'primary key' : 'unique'} constraint`,
        node.location,
      )
    columns.push(column)
  }
  const named = node.conname !== undefined && node.conname !== ''
  const include = includeColumns(ddl, table, node.including, (each) =>
    'String' in each ? each.String.sval : undefined,
  )
  const name = named
    ? node.conname!
    : primary
      ? chooseRelationName(ddl.editor, table.namespace, table.name, undefined, 'pkey', true)
      : chooseRelationName(
          ddl.editor,
          table.namespace,
          table.name,
          nameAddition([
            ...columns.map((each) => each.name),
            ...include.map((number) => table.columns[number - 1]!.name),
          ]),
          'key',
          true,
        )
  await lockName(ddl, 'relation', { name, namespace: table.namespace })
  if (ddl.editor.relationByName(table.namespace, name) !== undefined)
    throw sqlError('42P07', `relation "${name}" already exists`)
  requireFree(table, name)
  if (primary) {
    const nullable = columns.filter((column) => !column.notNull)
    if (!adding.fresh) for (const column of nullable) await validateNotNull(ddl, table, column)
    if (nullable.length > 0)
      table = update(ddl, {
        ...table,
        columns: table.columns.map((column) => (nullable.includes(column) ? { ...column, notNull: true } : column)),
      })
  }
  const deferrable = node.deferrable === true
  const before = table
  const index = putIndex(ddl, tableOid, {
    name,
    method: 'btree',
    keys: columns.map((column) => keyOfColumn(ddl, column)),
    include,
    unique: true,
    nullsNotDistinct: node.nulls_not_distinct === true,
    primary,
    predicate: undefined,
    clustered: primary && !deferrable,
    immediate: !deferrable,
    options: optionList(ddl, node.options, 'index'),
  })
  const row: ConstraintRow = {
    oid: ddl.editor.nextOid(),
    name,
    type: primary ? 'p' : 'u',
    columns: columns.map((column) => column.number),
    index: index.oid,
    deferrable,
    initiallyDeferred: node.initdeferred === true,
    validated: true,
  }
  append(ddl, tableOid, row)
  if (adding.fresh) return row
  if (index.index!.clustered) await rewriteTable(ddl, before, current(ddl, tableOid))
  else await fillIndex(ddl, current(ddl, tableOid), index)
  return row
}

/** ADD CONSTRAINT … USING INDEX: the index gets the constraint's name. */
async function useIndex(ddl: Ddl, table: RelationRow, node: Constraint, primary: boolean): Promise<ConstraintRow> {
  const index = ddl.editor.relationByName(table.namespace, node.indexname!)
  if (index === undefined || index.kind !== 'i') throw sqlError('42704', `index "${node.indexname}" does not exist`)
  if (table.constraints.some((each) => each.index === index.oid && each.type !== 'f'))
    throw sqlError('55000', `index "${index.name}" is already associated with a constraint`)
  if (index.index!.table !== table.oid)
    throw sqlError('55000', `index "${index.name}" does not belong to table "${table.name}"`)
  if (!index.index!.valid) throw sqlError('55000', `index "${index.name}" is not valid`)
  if (!index.index!.unique)
    throw sqlError('42809', `"${index.name}" is not a unique index`, {
      detail: 'Cannot create a primary key or unique constraint using such an index.',
    })
  if (index.index!.keys.some((key) => key.expression !== undefined))
    throw sqlError('42809', `index "${index.name}" contains expressions`, {
      detail: 'Cannot create a primary key or unique constraint using such an index.',
    })
  if (index.index!.predicate !== undefined)
    throw sqlError('42809', `"${index.name}" is a partial index`, {
      detail: 'Cannot create a primary key or unique constraint using such an index.',
    })
  index.index!.keys.forEach((key, i) => {
    if (key.descending || key.nullsFirst) {
      throw sqlError('42809', `index "${index.name}" column number ${i + 1} does not have default sorting behavior`, {
        detail: 'Cannot create a primary key or unique constraint using such an index.',
      })
    }
  })
  const name = node.conname === undefined || node.conname === '' ? index.name : node.conname
  let changed = table
  if (primary) {
    for (const key of index.index!.keys) {
      const column = changed.columns[key.column - 1]!
      if (column.notNull) continue
      await validateNotNull(ddl, table, column)
      changed = {
        ...changed,
        columns: changed.columns.map((each) => (each.number === column.number ? { ...each, notNull: true } : each)),
      }
    }
  }
  if (name !== index.name) {
    ddl.session.notice({
      severity: 'NOTICE',
      code: '00000',
      message: `ALTER TABLE / ADD CONSTRAINT USING INDEX will rename index "${index.name}" to "${name}"`,
      fields: {},
    })
    if (ddl.editor.relationByName(table.namespace, name) !== undefined)
      throw sqlError('42P07', `relation "${name}" already exists`)
  }
  requireFree(table, name)
  update(ddl, { ...index, name, index: { ...index.index!, primary, immediate: node.deferrable !== true } })
  const row: ConstraintRow = {
    oid: ddl.editor.nextOid(),
    name,
    type: primary ? 'p' : 'u',
    columns: index.index!.keys.map((key) => key.column),
    index: index.oid,
    deferrable: node.deferrable === true,
    initiallyDeferred: node.initdeferred === true,
    validated: true,
  }
  update(ddl, { ...changed, constraints: [...changed.constraints, row] })
  return row
}

// ── FOREIGN KEY ────────────────────────────────────────────────────────────────────────────────────────────────

const ACTIONS: Readonly<Record<string, ForeignKeyAction>> = {
  a: 'no-action',
  r: 'restrict',
  c: 'cascade',
  n: 'set-null',
  d: 'set-default',
}

async function addForeignKey(ddl: Ddl, tableOid: Oid, node: Constraint, adding: Adding): Promise<ConstraintRow> {
  const b = binder(ddl)
  if (node.fk_with_period === true || node.pk_with_period === true)
    throw errorAt(b, '0A000', 'PERIOD is not supported', node.location)
  const target = await referencedTable(ddl, node.pktable!, tableOid)
  const table = current(ddl, tableOid)
  if (target.kind !== 'r') throw sqlError('42809', `referenced relation "${target.name}" is not a table`)
  if (target.virtual === true) throw sqlError('42501', `permission denied: "${target.name}" is a system catalog`)
  checkPersistence(table, target)
  const own = columnsNamed(table, namesOf(node.fk_attrs))
  const wanted = namesOf(node.pk_attrs)
  const { columns: theirs, index } =
    wanted.length === 0 ? primaryKeyOf(target) : { columns: columnsNamed(target, wanted), index: undefined }
  if (!theirs.every((column) => columnRight(ddl, target, column))) requireRight(ddl, 'relation', target.oid, 'x')
  if (own.length !== theirs.length)
    throw sqlError('42830', 'number of referencing and referenced columns for foreign key disagree')
  const unique = index ?? matchingIndex(ddl, target, theirs)
  const named = node.conname !== undefined && node.conname !== ''
  if (named) requireFree(table, node.conname!)
  const name = named
    ? node.conname!
    : chooseConstraintName(
        ddl.editor,
        table.namespace,
        table.name,
        nameAddition(own.map((column) => column.name)),
        'fkey',
        table.constraints.map((each) => each.name),
      )
  const onUpdate = ACTIONS[node.fk_upd_action ?? 'a'] ?? 'no-action'
  const onDelete = ACTIONS[node.fk_del_action ?? 'a'] ?? 'no-action'
  for (const column of own) {
    if (column.generated === undefined) continue
    if (onUpdate === 'set-null' || onUpdate === 'set-default' || onUpdate === 'cascade')
      throw sqlError('42601', 'invalid ON UPDATE action for foreign key constraint containing generated column')
    if (onDelete === 'set-null' || onDelete === 'set-default')
      throw sqlError('42601', 'invalid ON DELETE action for foreign key constraint containing generated column')
  }
  if (node.fk_matchtype === 'p') throw errorAt(b, '0A000', 'MATCH PARTIAL not yet implemented', node.location)
  const setColumns = columnsNamed(table, namesOf(node.fk_del_set_cols)).map((column) => {
    if (!own.includes(column))
      throw sqlError('42830', `column "${column.name}" referenced in ON DELETE SET action must be part of foreign key`)
    return column.number
  })
  const operators = own.map((column, i) => equality(ddl, name, theirs[i]!, column))
  const row: ConstraintRow = {
    oid: ddl.editor.nextOid(),
    name,
    type: 'f',
    columns: own.map((column) => column.number),
    index: unique,
    foreignKey: {
      table: target.oid,
      columns: theirs.map((column) => column.number),
      onUpdate,
      onDelete,
      onDeleteColumns: setColumns,
      match: node.fk_matchtype === 'f' ? 'full' : 'simple',
      operators,
    },
    deferrable: node.deferrable === true,
    initiallyDeferred: node.initdeferred === true,
    validated: adding.fresh || node.skip_validation !== true,
  }
  append(ddl, tableOid, row)
  if (!adding.fresh && row.validated) await validateForeignKey(ddl, current(ddl, tableOid), row)
  return row
}

async function referencedTable(ddl: Ddl, name: RangeVar, self: Oid): Promise<RelationRow> {
  if (lookUpRelation(ddl, name)?.oid === self) return current(ddl, self)
  const row = await openRelation(ddl, name, 'share-row-exclusive')
  if (row === undefined) throw sqlError('42P01', `relation "${shownName(name)}" does not exist`)
  return row
}

const columnRight = (ddl: Ddl, table: RelationRow, column: ColumnRow): boolean =>
  columnAllows(ddl.editor, roleOf(ddl), securable(ddl.editor, 'relation', table.oid)!, column, 'x')

function checkPersistence(table: RelationRow, target: RelationRow): void {
  if (table.persistence === target.persistence && table.persistence !== 't') return
  if (table.persistence === 'p')
    throw sqlError('42P16', 'constraints on permanent tables may reference only permanent tables')
  if (table.persistence === 'u' && target.persistence === 't')
    throw sqlError('42P16', 'constraints on unlogged tables may reference only permanent or unlogged tables')
  if (table.persistence === 't') {
    if (target.persistence !== 't')
      throw sqlError('42P16', 'constraints on temporary tables may reference only temporary tables')
    if (table.session !== target.session)
      throw sqlError('42P16', 'constraints on temporary tables must involve temporary tables of this session')
  }
}

function columnsNamed(table: RelationRow, names: readonly string[]): ColumnRow[] {
  return names.map((name) => {
    const column = findColumn(table, name)
    if (column === undefined)
      throw sqlError('42703', `column "${name}" referenced in foreign key constraint does not exist`)
    return column
  })
}

function primaryKeyOf(target: RelationRow): { readonly columns: ColumnRow[]; readonly index: Oid } {
  const key = target.constraints.find((each) => each.type === 'p')
  if (key === undefined) throw sqlError('42704', `there is no primary key for referenced table "${target.name}"`)
  if (key.deferrable)
    throw sqlError('55000', `cannot use a deferrable primary key for referenced table "${target.name}"`)
  return { columns: key.columns.map((number) => target.columns[number - 1]!), index: key.index! }
}

function matchingIndex(ddl: Ddl, target: RelationRow, columns: readonly ColumnRow[]): Oid {
  columns.forEach((column, i) => {
    if (columns.indexOf(column) !== i)
      throw sqlError('42830', 'foreign key referenced-columns list must not contain duplicates')
  })
  let deferrable = false
  for (const each of target.indexes) {
    const index = ddl.editor.relation(each)?.index
    if (
      index === undefined ||
      !index.unique ||
      !index.valid ||
      index.predicate !== undefined ||
      index.keys.length !== columns.length
    )
      continue
    if (!columns.every((column) => index.keys.some((key) => key.column === column.number))) continue
    if (index.immediate) return each
    deferrable = true
  }
  if (deferrable)
    throw sqlError('55000', `cannot use a deferrable unique constraint for referenced table "${target.name}"`)
  throw sqlError('42830', `there is no unique constraint matching given keys for referenced table "${target.name}"`)
}

/** Its equality functions anew, after a column's type has changed. */
export const keyOperators = (ddl: Ddl, table: RelationRow, constraint: ConstraintRow, target: RelationRow): Oid[] =>
  constraint.columns.map((number, i) =>
    equality(ddl, constraint.name, target.columns[constraint.foreignKey!.columns[i]! - 1]!, table.columns[number - 1]!),
  )

/** The function of referenced = referencing in the referenced type's b-tree family. */
function equality(ddl: Ddl, name: string, theirs: ColumnRow, own: ColumnRow): Oid {
  const b = binder(ddl)
  const family = ddl.editor.btree(theirs.type)
  if (family !== undefined) {
    const direct = findBinaryOperator(b, { schema: 'pg_catalog', name: '=' }, theirs.type, own.type)
    if (direct !== undefined) {
      const strategy = ddl.editor.btreeStrategy(direct.oid)
      if (strategy?.strategy === 3 && strategy.family === family.family) return direct.function
    }
    if (canCoerce(b, [own.type], [theirs.type], 'implicit')) return ddl.editor.operator(family.eq)!.function
  }
  throw sqlError('42804', `foreign key constraint "${name}" cannot be implemented`, {
    detail: `Key columns "${own.name}" and "${theirs.name}" are of incompatible types: ${typeName(b, own.type)} and ${typeName(b, theirs.type)}.`,
  })
}
