/**
 * ALTER TABLE (and ALTER INDEX, VIEW, SEQUENCE … in their shared forms): the commands of a statement one after the other,
 * in PostgreSQL's passes: drops first, then types, then columns, then constraints.
 */
import type { AlterTableCmd, AlterTableStmt } from '@pgsql/types'
import type { Oid } from '../../../storage/keys/brand.ts'
import { clusteredIndex } from '../../access/keys.ts'
import type { ColumnRow, ConstraintRow, RelationRow } from '../../catalog/catalog.ts'
import { notSupported, sqlError } from '../../types/error.ts'
import { addColumn, alterType, dropColumn } from './alter-column.ts'
import { alterTag, checkKind, missing, requireColumn, withColumn } from './alter-target.ts'
import { bindDefault, makeOwnedSequence, nextvalOf } from './columns.ts'
import { addConstraint, constraintNamed } from './constraints.ts'
import {
  CLASS,
  current,
  type Ddl,
  defineDdl,
  KIND_WORDS,
  lockRelation,
  notice,
  openRelation,
  requireRelationOwner,
  roleFrom,
  update,
} from './context.ts'
import { drop } from './drop.ts'
import { checkClusterable } from './index-make.ts'
import { changeOptions, optionKind } from './options.ts'
import { changeOwner } from './owner.ts'
import { sequenceOptions } from './sequence-options.ts'
import { changeSequence } from './sequences.ts'
import { validateCheck, validateForeignKey, validateNotNull } from './validate.ts'

type Subtype = NonNullable<AlterTableCmd['subtype']>

/** Lower passes run first. Constraints come after all columns are as they will be, foreign keys after keys. */
function pass(command: AlterTableCmd): number {
  switch (command.subtype!) {
    case 'AT_DropColumn':
    case 'AT_DropConstraint':
    case 'AT_DropNotNull':
    case 'AT_DropIdentity':
      return 0
    case 'AT_AlterColumnType':
      return 1
    case 'AT_AddColumn':
      return 3
    case 'AT_SetNotNull':
      return 4
    case 'AT_AddConstraint':
      if (command.def === undefined || !('Constraint' in command.def)) return 6
      return command.def.Constraint.contype === 'CONSTR_FOREIGN'
        ? 7
        : command.def.Constraint.contype === 'CONSTR_CHECK'
          ? 6
          : 5
    default:
      return 8
  }
}

export function registerAlterTable(): void {
  defineDdl(
    'AlterTableStmt',
    (node) => alterTag(node.objtype),
    async (ddl, node) => {
      const row = await openAltered(ddl, node)
      if (row === undefined) return alterTag(node.objtype)
      const commands = (node.cmds ?? []).flatMap((each) => ('AlterTableCmd' in each ? [each.AlterTableCmd] : []))
      const ordered = commands
        .map((command, i) => ({ command, i }))
        .sort((a, b) => pass(a.command) - pass(b.command) || a.i - b.i)
      for (const { command } of ordered) await run(ddl, row.oid, command, node)
      return alterTag(node.objtype)
    },
  )
}

async function openAltered(ddl: Ddl, node: AlterTableStmt): Promise<RelationRow | undefined> {
  const row = await openRelation(ddl, node.relation!, lockOf(node))
  if (row === undefined) return missing(ddl, node.relation!, node.missing_ok === true)
  checkKind(row, node.objtype ?? 'OBJECT_TABLE')
  requireRelationOwner(ddl, row)
  if (row.session !== undefined && row.session !== ddl.session.pid)
    throw sqlError('0A000', `cannot alter temporary tables of other sessions`)
  return row
}

function lockOf(node: AlterTableStmt): 'access-exclusive' | 'share-row-exclusive' | 'share-update-exclusive' {
  const types = (node.cmds ?? []).map((each) => ('AlterTableCmd' in each ? each.AlterTableCmd : undefined))
  if (
    types.every((each) =>
      [
        'AT_SetStatistics',
        'AT_SetRelOptions',
        'AT_ResetRelOptions',
        'AT_ValidateConstraint',
        'AT_ClusterOn',
        'AT_DropCluster',
        'AT_SetOptions',
        'AT_ResetOptions',
      ].includes(each?.subtype ?? ''),
    )
  )
    return 'share-update-exclusive'
  if (
    types.every(
      (each) =>
        each?.subtype === 'AT_AddConstraint' &&
        each.def !== undefined &&
        'Constraint' in each.def &&
        each.def.Constraint.contype === 'CONSTR_FOREIGN',
    )
  )
    return 'share-row-exclusive'
  return 'access-exclusive'
}

/** What each kind of relation may be altered by; tables by everything. */
const ALLOWED: Partial<Record<RelationRow['kind'], readonly Subtype[]>> = {
  v: ['AT_ColumnDefault', 'AT_ChangeOwner', 'AT_SetRelOptions', 'AT_ResetRelOptions', 'AT_ReplaceRelOptions'],
  m: [
    'AT_SetStatistics',
    'AT_SetOptions',
    'AT_ResetOptions',
    'AT_SetStorage',
    'AT_SetCompression',
    'AT_ClusterOn',
    'AT_DropCluster',
    'AT_ChangeOwner',
    'AT_SetTableSpace',
    'AT_SetRelOptions',
    'AT_ResetRelOptions',
    'AT_ReplaceRelOptions',
    'AT_SetAccessMethod',
  ],
  i: ['AT_SetRelOptions', 'AT_ResetRelOptions', 'AT_SetStatistics', 'AT_ChangeOwner', 'AT_SetTableSpace'],
  S: ['AT_ChangeOwner', 'AT_SetLogged', 'AT_SetUnLogged'],
  c: ['AT_AddColumn', 'AT_DropColumn', 'AT_AlterColumnType', 'AT_ChangeOwner'],
}
const ACTIONS: Partial<Record<Subtype, string>> = {
  AT_AddColumn: 'ADD COLUMN',
  AT_ColumnDefault: 'ALTER COLUMN ... SET DEFAULT',
  AT_DropNotNull: 'ALTER COLUMN ... DROP NOT NULL',
  AT_SetNotNull: 'ALTER COLUMN ... SET NOT NULL',
  AT_DropExpression: 'ALTER COLUMN ... DROP EXPRESSION',
  AT_SetStatistics: 'ALTER COLUMN ... SET STATISTICS',
  AT_SetStorage: 'ALTER COLUMN ... SET STORAGE',
  AT_DropColumn: 'DROP COLUMN',
  AT_AddConstraint: 'ADD CONSTRAINT',
  AT_AlterConstraint: 'ALTER CONSTRAINT',
  AT_ValidateConstraint: 'VALIDATE CONSTRAINT',
  AT_DropConstraint: 'DROP CONSTRAINT',
  AT_AlterColumnType: 'ALTER COLUMN ... SET DATA TYPE',
  AT_ClusterOn: 'CLUSTER ON',
  AT_ReplicaIdentity: 'REPLICA IDENTITY',
  AT_AddIdentity: 'ALTER COLUMN ... ADD IDENTITY',
  AT_SetIdentity: 'ALTER COLUMN ... SET',
  AT_DropIdentity: 'ALTER COLUMN ... DROP IDENTITY',
  AT_EnableTrig: 'ENABLE TRIGGER',
  AT_DisableTrig: 'DISABLE TRIGGER',
  AT_EnableTrigAll: 'ENABLE TRIGGER ALL',
  AT_DisableTrigAll: 'DISABLE TRIGGER ALL',
}

async function run(ddl: Ddl, oid: Oid, command: AlterTableCmd, node: AlterTableStmt): Promise<void> {
  const table = current(ddl, oid)
  const subtype = command.subtype!
  const allowed = ALLOWED[table.kind]
  if (allowed !== undefined && !allowed.includes(subtype)) {
    throw sqlError(
      '42809',
      `ALTER action ${ACTIONS[subtype] ?? subtype} cannot be performed on relation "${table.name}"`,
      {
        detail: `This operation is not supported for ${KIND_WORDS[table.kind] === 'index' ? 'indexes' : `${KIND_WORDS[table.kind]}s`}.`,
      },
    )
  }
  switch (subtype) {
    case 'AT_AddColumn':
      return addColumn(ddl, table, command)
    case 'AT_DropColumn':
      return dropColumn(ddl, table, command)
    case 'AT_AlterColumnType':
      return alterType(ddl, table, command)
    case 'AT_ColumnDefault':
      return setDefault(ddl, table, command)
    case 'AT_DropNotNull':
      return dropNotNull(ddl, table, command)
    case 'AT_SetNotNull': {
      const column = requireColumn(table, command.name!)
      if (column.notNull) return
      await validateNotNull(ddl, table, column)
      update(ddl, withColumn(table, { ...column, notNull: true }))
      return
    }
    case 'AT_DropExpression': {
      const column = requireColumn(table, command.name!)
      if (column.generated === undefined) {
        if (command.missing_ok !== true)
          throw sqlError(
            '55000',
            `column "${column.name}" of relation "${table.name}" is not a stored generated column`,
          )
        return notice(
          ddl,
          `column "${column.name}" of relation "${table.name}" is not a stored generated column, skipping`,
        )
      }
      const { generated: _, default: __, ...rest } = column
      update(ddl, withColumn(table, rest))
      return
    }
    case 'AT_SetStatistics':
      return setStatistics(ddl, table, command)
    case 'AT_SetStorage': {
      const column = requireColumn(table, command.name!)
      const mode = (
        command.def !== undefined && 'String' in command.def ? (command.def.String.sval ?? '') : ''
      ).toLowerCase()
      const letter = ({ plain: 'p', external: 'e', main: 'm', extended: 'x' } as const)[mode]
      if (letter === undefined) throw sqlError('22023', `invalid storage type "${mode}"`)
      if (letter !== 'p' && ddl.editor.typeRow(column.type)?.storage === 'p')
        throw sqlError(
          '0A000',
          `column data type ${ddl.session.context.names.typeName(column.type)} can only have storage PLAIN`,
        )
      update(ddl, withColumn(table, { ...column, storageMode: letter }))
      return
    }
    case 'AT_AddConstraint': {
      if (command.def === undefined || !('Constraint' in command.def)) throw notSupported('this constraint')
      await addConstraint(ddl, oid, command.def.Constraint, { fresh: false })
      return
    }
    case 'AT_DropConstraint':
      return dropConstraint(ddl, table, command)
    case 'AT_ValidateConstraint':
      return validate(ddl, table, command.name!)
    case 'AT_AlterConstraint': {
      const given = command.def as { readonly Constraint?: unknown; readonly ATAlterConstraint?: unknown } | undefined
      const body = (given?.Constraint ?? given?.ATAlterConstraint) as {
        conname?: string
        deferrable?: boolean
        initdeferred?: boolean
      }
      const constraint = constraintNamed(table, body.conname!)
      if (constraint === undefined)
        throw sqlError('42704', `constraint "${body.conname}" of relation "${table.name}" does not exist`)
      if (constraint.type !== 'f')
        throw sqlError(
          '42809',
          `constraint "${constraint.name}" of relation "${table.name}" is not a foreign key constraint`,
        )
      replaceConstraint(ddl, table, {
        ...constraint,
        deferrable: body.deferrable === true || body.initdeferred === true,
        initiallyDeferred: body.initdeferred === true,
      })
      return
    }
    case 'AT_ChangeOwner':
      changeOwner(ddl, table, roleFrom(ddl, command.newowner!))
      return
    case 'AT_SetRelOptions':
    case 'AT_ResetRelOptions':
    case 'AT_ReplaceRelOptions': {
      const list = command.def !== undefined && 'List' in command.def ? command.def.List.items : []
      const kind = table.kind === 'i' ? optionKind(table.index!.method) : table.kind === 'v' ? 'view' : 'table'
      const { options, ...rest } = table
      const next = changeOptions(
        ddl,
        subtype === 'AT_ReplaceRelOptions' ? undefined : options,
        list,
        kind,
        subtype === 'AT_ResetRelOptions',
      )
      update(ddl, next === undefined ? rest : { ...rest, options: next })
      return
    }
    case 'AT_AddIdentity':
      return addIdentity(ddl, table, command)
    case 'AT_SetIdentity':
      return setIdentity(ddl, table, command)
    case 'AT_DropIdentity':
      return dropIdentity(ddl, table, command)
    case 'AT_ReplicaIdentity': {
      const identity =
        command.def !== undefined && 'ReplicaIdentityStmt' in command.def
          ? command.def.ReplicaIdentityStmt.identity_type
          : 'd'
      // Nothing is replicated by rows: the default and FULL and NOTHING mean the same here; an index would have to be remembered.
      if (identity === 'i') throw notSupported('REPLICA IDENTITY USING INDEX')
      return
    }
    case 'AT_EnableTrigAll':
    case 'AT_EnableTrigUser':
    case 'AT_DisableTrigUser':
      // There are no triggers of users to switch.
      return
    case 'AT_DisableTrigAll':
      throw notSupported('ALTER TABLE ... DISABLE TRIGGER ALL')
    case 'AT_EnableTrig':
    case 'AT_DisableTrig':
    case 'AT_EnableAlwaysTrig':
    case 'AT_EnableReplicaTrig':
      throw sqlError('42704', `trigger "${command.name}" for table "${table.name}" does not exist`)
    case 'AT_ClusterOn': {
      const index = ddl.editor.relationByName(table.namespace, command.name!)
      if (index === undefined || index.index?.table !== table.oid)
        throw sqlError('42704', `index "${command.name}" for table "${table.name}" does not exist`)
      checkClusterable(index)
      if (clusteredIndex(ddl.editor, table)?.oid !== index.oid)
        throw notSupported('CLUSTER ON an index other than the primary key')
      return
    }
    case 'AT_DropCluster':
      return
    case 'AT_SetLogged':
    case 'AT_SetUnLogged': {
      if (table.persistence === 't')
        throw sqlError('42P16', `cannot change logged status of table "${table.name}" because it is temporary`)
      const persistence = subtype === 'AT_SetLogged' ? 'p' : 'u'
      for (const each of table.indexes) update(ddl, { ...current(ddl, each), persistence })
      update(ddl, { ...current(ddl, oid), persistence })
      return
    }
    case 'AT_SetTableSpace':
      if (command.name !== 'pg_default') throw sqlError('42704', `tablespace "${command.name}" does not exist`)
      return
    case 'AT_SetAccessMethod':
      if (command.name !== 'heap') throw sqlError('42704', `access method "${command.name}" does not exist`)
      return
    case 'AT_SetCompression': {
      const column = requireColumn(table, command.name!)
      const method = command.def !== undefined && 'String' in command.def ? (command.def.String.sval ?? '') : ''
      if (!['default', 'pglz', 'lz4'].includes(method))
        throw sqlError('22023', `invalid compression method "${method}"`)
      const type = ddl.editor.typeRow(column.type)
      if (type?.length !== -1)
        throw sqlError(
          '0A000',
          `column data type ${ddl.session.context.names.typeName(column.type)} does not support compression`,
        )
      return
    }
    case 'AT_DisableRowSecurity':
    case 'AT_NoForceRowSecurity':
      return
    default:
      throw notSupported(
        `${alterTag(node.objtype)} ... ${(ACTIONS[subtype] ?? subtype.replace('AT_', '').replaceAll(/(?<=[a-z])(?=[A-Z])/g, ' ')).toUpperCase()}`,
      )
  }
}

const replaceConstraint = (ddl: Ddl, table: RelationRow, constraint: ConstraintRow): RelationRow =>
  update(ddl, {
    ...table,
    constraints: table.constraints.map((each) => (each.oid === constraint.oid ? constraint : each)),
  })

function setDefault(ddl: Ddl, table: RelationRow, command: AlterTableCmd): void {
  const column = requireColumn(table, command.name!)
  if (column.identity !== undefined) {
    throw sqlError(
      '42601',
      `column "${column.name}" of relation "${table.name}" is an identity column`,
      command.def === undefined ? { hint: 'Use ALTER TABLE ... ALTER COLUMN ... DROP IDENTITY instead.' } : {},
    )
  }
  if (column.generated !== undefined) {
    throw sqlError(
      '42601',
      `column "${column.name}" of relation "${table.name}" is a generated column`,
      command.def === undefined ? { hint: 'Use ALTER TABLE ... ALTER COLUMN ... DROP EXPRESSION instead.' } : {},
    )
  }
  const { default: _, ...rest } = column
  const expression = command.def === undefined ? undefined : bindDefault(ddl, column, command.def)
  update(ddl, withColumn(table, expression === undefined ? rest : { ...rest, default: expression }))
}

function dropNotNull(ddl: Ddl, table: RelationRow, command: AlterTableCmd): void {
  const column = requireColumn(table, command.name!)
  if (!column.notNull) return
  if (column.identity !== undefined)
    throw sqlError('42601', `column "${column.name}" of relation "${table.name}" is an identity column`)
  if (table.constraints.some((each) => each.type === 'p' && each.columns.includes(column.number)))
    throw sqlError('42P16', `column "${column.name}" is in a primary key`)
  update(ddl, withColumn(table, { ...column, notNull: false }))
}

function setStatistics(ddl: Ddl, table: RelationRow, command: AlterTableCmd): void {
  const column =
    command.name === undefined || command.name === ''
      ? table.columns[(command.num ?? 0) - 1]
      : requireColumn(table, command.name)
  if (column === undefined)
    throw sqlError('42703', `column number ${command.num} of relation "${table.name}" does not exist`)
  const target = command.def !== undefined && 'Integer' in command.def ? (command.def.Integer.ival ?? 0) : -1
  if (target < -1) throw sqlError('22023', `statistics target ${target} is too low`)
  const { statisticsTarget: _, ...rest } = column
  update(ddl, withColumn(table, target === -1 ? rest : { ...rest, statisticsTarget: Math.min(target, 10000) }))
}

async function dropConstraint(ddl: Ddl, table: RelationRow, command: AlterTableCmd): Promise<void> {
  const constraint = constraintNamed(table, command.name!)
  if (constraint === undefined) {
    const message = `constraint "${command.name}" of relation "${table.name}" does not exist`
    if (command.missing_ok !== true) throw sqlError('42704', message)
    return notice(ddl, `${message}, skipping`)
  }
  await drop(ddl, [{ classOid: CLASS.constraint, object: constraint.oid, sub: 0 }], command.behavior === 'DROP_CASCADE')
}

async function validate(ddl: Ddl, table: RelationRow, name: string): Promise<void> {
  const constraint = constraintNamed(table, name)
  if (constraint === undefined)
    throw sqlError('42704', `constraint "${name}" of relation "${table.name}" does not exist`)
  if (constraint.type !== 'f' && constraint.type !== 'c')
    throw sqlError('42809', `constraint "${name}" of relation "${table.name}" is not a foreign key or check constraint`)
  if (constraint.validated) return
  if (constraint.type === 'c') await validateCheck(ddl, table, constraint)
  else {
    await lockRelation(ddl, constraint.foreignKey!.table, 'row-share')
    await validateForeignKey(ddl, table, constraint)
  }
  replaceConstraint(ddl, current(ddl, table.oid), { ...constraint, validated: true })
}

// ── Identity ───────────────────────────────────────────────────────────────────────────────────────────────────

async function addIdentity(ddl: Ddl, table: RelationRow, command: AlterTableCmd): Promise<void> {
  const column = requireColumn(table, command.name!)
  const node = command.def !== undefined && 'Constraint' in command.def ? command.def.Constraint : {}
  // Its type first, as PostgreSQL.
  sequenceOptions(ddl, node.options, { type: column.type, identity: true })
  if (!column.notNull)
    throw sqlError(
      '55000',
      `column "${column.name}" of relation "${table.name}" must be declared NOT NULL before identity can be added`,
    )
  if (column.identity !== undefined)
    throw sqlError('55000', `column "${column.name}" of relation "${table.name}" is already an identity column`)
  if (column.default !== undefined)
    throw sqlError('55000', `column "${column.name}" of relation "${table.name}" already has a default value`)
  const sequence = await makeOwnedSequence(ddl, table, column, node.options, true)
  update(
    ddl,
    withColumn(current(ddl, table.oid), {
      ...column,
      identity: node.generated_when === 'a' ? 'always' : 'by-default',
      default: nextvalOf(ddl, sequence, column, true),
    }),
  )
}

const identitySequence = (ddl: Ddl, table: RelationRow, column: ColumnRow): RelationRow | undefined =>
  [...ddl.editor.ownAll('relation')].find(
    (row) =>
      row.sequence?.ownedBy?.identity === true &&
      row.sequence.ownedBy.table === table.oid &&
      row.sequence.ownedBy.column === column.number,
  )

function setIdentity(ddl: Ddl, table: RelationRow, command: AlterTableCmd): void {
  const column = requireColumn(table, command.name!)
  if (column.identity === undefined)
    throw sqlError('55000', `column "${column.name}" of relation "${table.name}" is not an identity column`)
  const items = command.def !== undefined && 'List' in command.def ? (command.def.List.items ?? []) : []
  const generated = items.find((each) => 'DefElem' in each && each.DefElem.defname === 'generated')
  const rest = items.filter((each) => each !== generated)
  if (generated !== undefined && 'DefElem' in generated) {
    const { arg } = generated.DefElem
    const always = arg !== undefined && 'Integer' in arg && arg.Integer.ival === 'a'.charCodeAt(0)
    update(ddl, withColumn(table, { ...column, identity: always ? 'always' : 'by-default' }))
  }
  const sequence = identitySequence(ddl, table, column)
  if (rest.length > 0 && sequence !== undefined)
    changeSequence(ddl, sequence, sequenceOptions(ddl, rest, { before: sequence.sequence!, identity: true }))
}

async function dropIdentity(ddl: Ddl, table: RelationRow, command: AlterTableCmd): Promise<void> {
  const column = requireColumn(table, command.name!)
  if (column.identity === undefined) {
    const message = `column "${column.name}" of relation "${table.name}" is not an identity column`
    if (command.missing_ok !== true) throw sqlError('55000', message)
    return notice(ddl, `${message}, skipping`)
  }
  const sequence = identitySequence(ddl, table, column)
  const { identity: _, default: __, ...rest } = column
  update(ddl, withColumn(table, rest))
  if (sequence === undefined) return
  const { ownedBy: ___, ...free } = sequence.sequence!
  update(ddl, { ...sequence, sequence: free })
  await drop(ddl, [{ classOid: CLASS.relation, object: sequence.oid, sub: 0 }], false)
}
