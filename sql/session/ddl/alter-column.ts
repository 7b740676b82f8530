/** ALTER TABLE … ADD COLUMN, DROP COLUMN, ALTER COLUMN TYPE: what touches the rows that are there. */
import type { AlterTableCmd, Node } from '@pgsql/types'
import type { Oid } from '../../../storage/keys/brand.ts'
import { bindTableExpression, canCoerce, coerceTo, namesOf, settle, typeName } from '../../binder/binder.ts'
import type { Catalog, ColumnRow, ConstraintRow, IndexKey, RelationRow } from '../../catalog/catalog.ts'
import { expressionText, systemScope } from '../../catalog/deparse.ts'
import { domainDefault, hasDomainRules } from '../../catalog/domains.ts'
import { compileExpression } from '../../executor/compile.ts'
import { constantFold } from '../../executor/evaluate.ts'
import { compileEnv } from '../../executor/executor.ts'
import type { Execution, MutableRow } from '../../executor/operator.ts'
import type { Expression } from '../../plan/expression.ts'
import { rewrite, withoutImplicit } from '../../plan/walk.ts'
import { sqlError } from '../../types/error.ts'
import type { Row, Value } from '../../types/value.ts'
import { bindContext } from '../statement.ts'
import { requireColumn, withColumn } from './alter-target.ts'
import { columnType, draftColumn, finishColumn, isVolatile } from './columns.ts'
import { addConstraint, keyOperators, usedColumns } from './constraints.ts'
import { binder, CLASS, current, type Ddl, describe, notice, update } from './context.ts'
import { dependencyGraph } from './depend.ts'
import { drop } from './drop.ts'
import { defaultOpclass, findColumn, type IndexMethod } from './index-make.ts'
import { parseOne, quoted } from './query.ts'
import { sequenceOptions } from './sequence-options.ts'
import { changeSequence } from './sequences.ts'
import { rewriteTable } from './storage.ts'
import { refuseRowUses } from './type-uses.ts'
import { validateCheck, validateForeignKey, validateNotNull } from './validate.ts'

// ── ADD COLUMN ─────────────────────────────────────────────────────────────────────────────────────────────────

export async function addColumn(ddl: Ddl, table: RelationRow, command: AlterTableCmd): Promise<void> {
  if (command.def === undefined || !('ColumnDef' in command.def)) return
  const def = command.def.ColumnDef
  if (findColumn(table, def.colname!) !== undefined) {
    const message = `column "${def.colname}" of relation "${table.name}" already exists`
    if (command.missing_ok !== true) throw sqlError('42701', message)
    return notice(ddl, `${message}, skipping`, '42701')
  }
  if (['tableoid', 'cmax', 'xmax', 'cmin', 'xmin', 'ctid'].includes(def.colname!))
    throw sqlError('42701', `column name "${def.colname}" conflicts with a system column name`)
  if (table.columns.length >= 1600) throw sqlError('54011', 'tables can have at most 1600 columns')
  const draft = draftColumn(ddl, table.name, def, table.columns.length + 1, table.rowType)
  let row = update(ddl, { ...table, columns: [...table.columns, { ...draft.row, notNull: false }] })
  const column = await finishColumn(ddl, row, draft)
  row = update(ddl, withColumn(current(ddl, table.oid), { ...column, notNull: false }))
  if (table.kind === 'c') return
  const expression = column.default ?? domainDefault(ddl.editor, column.type)
  if (expression !== undefined) refuseRowUses(ddl, table)
  const ruled = hasDomainRules(ddl.editor, column.type)
  if (column.generated !== undefined || (expression !== undefined && (ruled || isVolatile(ddl, expression)))) {
    const x = ddl.session.runner.newExecution(ddl.session.transaction.ensure(), 0, [])
    // A generated column's value is filled in by the rewrite itself.
    const value = column.generated !== undefined ? (): Value => null : bound(ddl, expression!)
    row = await rewriteTable(ddl, table, row, (old) => [...old, value([], x)])
  } else if (expression !== undefined) {
    const x = ddl.session.runner.newExecution(ddl.session.transaction.ensure(), 0, [])
    const folded = constantFold(expression, ddl.editor, ddl.session.context)
    const value = folded.kind === 'const' ? folded.value : bound(ddl, expression)([], x)
    if (value !== null) row = update(ddl, withColumn(row, { ...column, notNull: false, missing: { value } }))
  }
  if (column.notNull && !draft.constraints.some((each) => each.contype === 'CONSTR_PRIMARY')) {
    await validateNotNull(ddl, row, column)
    row = update(
      ddl,
      withColumn(current(ddl, table.oid), { ...findColumn(current(ddl, table.oid), column.name)!, notNull: true }),
    )
  }
  const order = { CONSTR_CHECK: 1, CONSTR_PRIMARY: 0, CONSTR_UNIQUE: 0, CONSTR_FOREIGN: 2 } as Record<string, number>
  for (const each of [...draft.constraints].sort((a, b) => (order[a.contype!] ?? 3) - (order[b.contype!] ?? 3))) {
    await addConstraint(ddl, table.oid, each, { fresh: false, column: column.name })
  }
}

const bound = (ddl: Ddl, e: Expression): ((row: Row, x: Execution) => Value) =>
  compileExpression(e, compileEnv(ddl.editor, 'often'))

// ── DROP COLUMN ────────────────────────────────────────────────────────────────────────────────────────────────

export async function dropColumn(ddl: Ddl, table: RelationRow, command: AlterTableCmd): Promise<void> {
  const column = findColumn(table, command.name!)
  if (column === undefined) {
    if (['tableoid', 'cmax', 'xmax', 'cmin', 'xmin', 'ctid'].includes(command.name!))
      throw sqlError('0A000', `cannot drop system column "${command.name}"`)
    const message = `column "${command.name}" of relation "${table.name}" does not exist`
    if (command.missing_ok !== true) throw sqlError('42703', message)
    return notice(ddl, `${message}, skipping`)
  }
  await drop(
    ddl,
    [{ classOid: CLASS.relation, object: table.oid, sub: column.number }],
    command.behavior === 'DROP_CASCADE',
  )
}

// ── ALTER COLUMN TYPE ──────────────────────────────────────────────────────────────────────────────────────────

export async function alterType(ddl: Ddl, table: RelationRow, command: AlterTableCmd): Promise<void> {
  const column = requireColumn(table, command.name!)
  if (command.def === undefined || !('ColumnDef' in command.def)) return
  const def = command.def.ColumnDef
  const b = binder(ddl)
  const target = columnType(
    ddl,
    column.name,
    def.typeName!,
    def.collClause === undefined ? undefined : namesOf(def.collClause.collname),
    table.rowType,
  )
  if (column.generated !== undefined && def.raw_default !== undefined) {
    throw sqlError('42611', 'cannot specify USING when altering type of generated column', {
      detail: `Column "${column.name}" is a generated column.`,
    })
  }
  if (column.identity !== undefined) await retypeIdentity(ddl, table, column, target.type)
  forbidDependents(ddl, table, column)
  refuseRowUses(ddl, table)
  if (table.kind === 'c') {
    update(ddl, withColumn(table, { ...column, ...target }))
    return
  }
  const conversion = using(ddl, table, column, target, def.raw_default)
  const { default: oldDefault, missing: _, ...rest } = column
  let next: ColumnRow = { ...rest, ...target }
  if (oldDefault !== undefined) {
    const stripped = column.generated === undefined ? withoutImplicit(oldDefault) : oldDefault
    if (stripped.type !== target.type && !canCoerce(b, [stripped.type], [target.type], 'assignment')) {
      throw sqlError(
        '42804',
        `${column.generated === undefined ? 'default' : 'generation expression'} for column "${column.name}" cannot be cast automatically to type ${typeName(b, target.type, target.typmod)}`,
      )
    }
    next = { ...next, default: coerceTo(b, stripped, target.type, target.typmod, 'assignment', 'implicit') }
  }
  let after = retypeOthers(ddl, table, update(ddl, withColumn(table, next)), next)
  // Indexes on the column follow its type.
  for (const each of after.indexes) retypeIndex(ddl, table, after, each, next)
  const statistics = ddl.editor.statistics(table.oid)
  if (statistics !== undefined)
    ddl.editor.put('statistics', {
      ...statistics,
      columns: statistics.columns.filter((each) => each.column !== column.number),
    })
  if (!needsRewrite(ddl.editor, column, next, conversion)) return
  after = current(ddl, table.oid)
  const x = ddl.session.runner.newExecution(ddl.session.transaction.ensure(), 0, [])
  const live = table.columns.filter((each) => !each.dropped)
  const at = live.findIndex((each) => each.number === column.number)
  const convert = bound(ddl, toPositions(conversion, live))
  await rewriteTable(ddl, table, after, (old): MutableRow => {
    const row = [...old]
    row[at] = convert(old, x)
    return row
  })
  const now = current(ddl, table.oid)
  if (next.notNull) await validateNotNull(ddl, now, next)
  for (const constraint of now.constraints) {
    if (constraint.type === 'c' && constraint.validated && usedColumns(constraint.check!).includes(column.number))
      await validateCheck(ddl, now, constraint)
    if (constraint.type === 'f' && constraint.validated && constraint.columns.includes(column.number))
      await validateForeignKey(ddl, now, constraint)
  }
}

/** An identity column's sequence counts in its column's type. */
async function retypeIdentity(ddl: Ddl, table: RelationRow, column: ColumnRow, type: Oid): Promise<void> {
  if (type === column.type) return
  for (const row of [...ddl.editor.ownAll('relation')]) {
    const owner = row.sequence?.ownedBy
    if (owner?.identity !== true || owner.table !== table.oid || owner.column !== column.number) continue
    const options = sequenceOptions(ddl, [], { before: row.sequence!, type, identity: true })
    changeSequence(ddl, row, options)
  }
}

/** Vars of relation 0 as positions in a row of live columns. */
const toPositions = (e: Expression, live: readonly ColumnRow[]): Expression =>
  rewrite(e, (node) => {
    if (node.kind !== 'var' || node.level !== 0) return node
    if (node.column === 0) throw sqlError('0A000', 'cannot convert whole-row table reference')
    return {
      kind: 'column',
      index: live.findIndex((each) => each.number === node.column),
      type: node.type,
      typmod: node.typmod,
      ...(node.collation === undefined ? {} : { collation: node.collation }),
    }
  })

function using(
  ddl: Ddl,
  table: RelationRow,
  column: ColumnRow,
  target: Pick<ColumnRow, 'type' | 'typmod'>,
  node: Node | undefined,
): Expression {
  const b = binder(ddl)
  const e: Expression =
    node === undefined
      ? { kind: 'var', level: 0, relation: 0, column: column.number, type: column.type, typmod: column.typmod }
      : bindTableExpression(b, table, node, 'alter using')
  if (e.type !== target.type && !canCoerce(b, [e.type], [target.type], 'assignment')) {
    if (node === undefined) {
      throw sqlError(
        '42804',
        `column "${column.name}" cannot be cast automatically to type ${typeName(b, target.type, -1)}`,
        {
          hint: `You might need to specify "USING ${quoted(column.name)}::${typeName(b, target.type, target.typmod)}".`,
        },
      )
    }
    throw sqlError(
      '42804',
      `result of USING clause for column "${column.name}" cannot be cast automatically to type ${typeName(b, target.type, -1)}`,
      { hint: 'You might need to add an explicit cast.' },
    )
  }
  return coerceTo(b, e, target.type, target.typmod, 'assignment', 'implicit')
}

/** False when rows need not change: the same value under another type or a wider limit. */
function needsRewrite(catalog: Catalog, before: ColumnRow, after: ColumnRow, conversion: Expression): boolean {
  if (before.type === after.type && before.typmod === after.typmod) return conversion.kind !== 'var'
  let e = conversion
  while (e.kind === 'relabel' && !hasDomainRules(catalog, e.type)) e = e.arg
  const same = e.kind === 'var' && e.column === before.number
  // Entries of indexes on the column are the same too: the type's bytes and order are.
  return !same
}

/** 0A000 for what cannot follow: views, generated columns, and the like that were bound to the old type. */
function forbidDependents(ddl: Ddl, table: RelationRow, column: ColumnRow): void {
  const graph = dependencyGraph(ddl)
  for (const edge of graph.dependents.get(`${CLASS.relation} ${table.oid}`) ?? []) {
    if (edge.to.sub !== column.number) continue
    const { from } = edge
    if (from.classOid === CLASS.rewrite) {
      throw sqlError('0A000', 'cannot alter type of a column used by a view or rule', {
        detail: `${describe(ddl, from.classOid, from.object)} depends on column "${column.name}"`,
      })
    }
    if (from.classOid === CLASS.attrdef) {
      const at = graph.defaults.get(from.object)
      if (at === undefined || at.sub === column.number) continue
      throw sqlError('0A000', 'cannot alter type of a column used by a generated column', {
        detail: `Column "${column.name}" is used by generated column "${table.columns[at.sub - 1]!.name}".`,
      })
    }
  }
}

/** Checks over the column read it by its new type from now on, and foreign keys compare it so. */
function retypeOthers(ddl: Ddl, before: RelationRow, table: RelationRow, column: ColumnRow): RelationRow {
  const constraints = table.constraints.map((constraint): ConstraintRow => {
    if (constraint.check !== undefined && usedColumns(constraint.check).includes(column.number))
      return { ...constraint, check: rebound(ddl, before, table, constraint.check) }
    if (constraint.foreignKey !== undefined && constraint.columns.includes(column.number)) {
      const other = constraint.foreignKey.table === table.oid ? table : current(ddl, constraint.foreignKey.table)
      return {
        ...constraint,
        foreignKey: { ...constraint.foreignKey, operators: keyOperators(ddl, table, constraint, other) },
      }
    }
    return constraint
  })
  const row = update(ddl, { ...table, constraints })
  for (const { table: other, constraint } of ddl.editor.referencing(table.oid)) {
    if (other.oid === table.oid || !constraint.foreignKey!.columns.includes(column.number)) continue
    const changed = {
      ...constraint,
      foreignKey: { ...constraint.foreignKey!, operators: keyOperators(ddl, other, constraint, row) },
    }
    const now = current(ddl, other.oid)
    update(ddl, { ...now, constraints: now.constraints.map((each) => (each.oid === constraint.oid ? changed : each)) })
  }
  return row
}

/** An expression over the table as it was, printed and bound again over the table as it is. */
function rebound(ddl: Ddl, before: RelationRow, after: RelationRow, e: Expression): Expression {
  const text = expressionText(systemScope(ddl.editor), e, before)
  const node = parseOne(`SELECT ${text}`)
  const target = 'SelectStmt' in node ? node.SelectStmt.targetList?.[0] : undefined
  if (target === undefined || !('ResTarget' in target)) throw sqlError('XX000', `cannot read the expression ${text}`)
  const b = bindContext(ddl.session, text, [], true)
  return settle(b, bindTableExpression(b, after, target.ResTarget.val!, 'check'))
}

function retypeIndex(ddl: Ddl, before: RelationRow, table: RelationRow, indexOid: Oid, column: ColumnRow): void {
  const row = current(ddl, indexOid)
  const index = row.index!
  const uses = (e: Expression | undefined): boolean => e !== undefined && usedColumns(e).includes(column.number)
  const keys = index.keys.map((key, i): IndexKey => {
    // Before a vector stand columns of b-tree classes.
    const method = i < index.keys.length - 1 ? 'btree' : (index.method as IndexMethod)
    if (key.expression !== undefined) {
      if (!uses(key.expression)) return key
      const expression = rebound(ddl, before, table, key.expression)
      const { type, typmod } = expression
      return { ...key, expression, type, typmod, opclass: retypedOpclass(ddl, key, type, method) }
    }
    if (key.column !== column.number) return key
    const { type, typmod, collation } = column
    return { ...key, type, typmod, collation, opclass: retypedOpclass(ddl, key, type, method) }
  })
  const predicate = uses(index.predicate) ? rebound(ddl, before, table, index.predicate!) : index.predicate
  const columns = row.columns.map((each, i) => {
    const key = keys[i]
    if (key !== undefined) return { ...each, type: key.type, typmod: key.typmod, collation: key.collation }
    return index.include[i - keys.length] === column.number
      ? { ...each, type: column.type, typmod: column.typmod, collation: column.collation }
      : each
  })
  update(ddl, { ...row, columns, index: { ...index, keys, ...(predicate === undefined ? {} : { predicate }) } })
}

/** The class that was named stays; the one that comes with the type goes with it. */
function retypedOpclass(ddl: Ddl, key: IndexKey, type: Oid, method: IndexMethod): Oid {
  if (key.type === type) return key.opclass
  const before = ddl.editor.opclass(key.opclass)
  if (before === undefined || before.isDefault) return defaultOpclass(ddl, type, method)
  if (ddl.editor.binaryCoercible(type, before.inputType)) return before.oid
  throw sqlError('42804', `operator class "${before.name}" does not accept data type ${typeName(binder(ddl), type)}`)
}
