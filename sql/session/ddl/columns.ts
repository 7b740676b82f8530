/**
 * Column definitions to ColumnRows. A draft keeps what can only be settled when the table stands: defaults and generation
 * expressions, identity and SERIAL sequences, constraints written with the column.
 *
 *     ColumnDef ──draftColumn──► ColumnDraft ──finishColumn──► ColumnRow (sequence made, default bound)
 */
import type { ColumnDef, Constraint, Node, TypeName } from '@pgsql/types'
import { type Oid, oid } from '../../../storage/keys/brand.ts'
import {
  bindTableExpression,
  canCoerce,
  coerceTo,
  errorAt,
  findCollation,
  findType,
  namesOf,
  resolveTypeName,
  typeName,
} from '../../binder/binder.ts'
import { FIRST_USER_OID } from '../../catalog/bootstrap.ts'
import type { ColumnRow, RelationRow, TypeRow } from '../../catalog/catalog.ts'
import type { Expression } from '../../plan/expression.ts'
import { some } from '../../plan/walk.ts'
import { sqlError } from '../../types/error.ts'
import { OID } from '../../types/oids.ts'
import { binder, type Ddl, lockName, qualifiedName, requireRight } from './context.ts'
import { chooseRelationName } from './names.ts'
import { putSequence, sequenceOptions } from './sequence-options.ts'

export interface ColumnDraft {
  readonly row: ColumnRow
  readonly default: Node | undefined
  /** Already bound: LIKE … INCLUDING DEFAULTS, GENERATED. */
  readonly bound: Expression | undefined
  readonly generated: Node | undefined
  readonly identity: { readonly always: boolean; readonly options: readonly Node[] } | undefined
  readonly serial: boolean
  readonly constraints: readonly Constraint[]
}

const SERIALS: Readonly<Record<string, Oid>> = {
  smallserial: OID.int2,
  serial2: OID.int2,
  serial: OID.int4,
  serial4: OID.int4,
  bigserial: OID.int8,
  serial8: OID.int8,
}

/** A type, typmod and collation fit for a column; 42P16 for pseudo-types. */
export function columnType(
  ddl: Ddl,
  name: string,
  node: TypeName,
  collateNames: readonly string[] | undefined,
  rowType?: Oid,
): Pick<ColumnRow, 'type' | 'typmod' | 'collation'> {
  const b = binder(ddl)
  const { type, typmod, setOf } = resolveTypeName(b, node)
  if (setOf) throw errorAt(b, '42P16', `column "${name}" cannot be declared SETOF`, node.location)
  checkColumnType(ddl, name, type, rowType === undefined ? [] : [rowType])
  const row = ddl.editor.typeRow(type)!
  if (type >= 16384) requireRight(ddl, 'type', type, 'U', `permission denied for type ${typeName(b, type)}`)
  let collation = row.collation
  if (collateNames !== undefined) {
    if (row.collation === 0) throw sqlError('42804', `collations are not supported by type ${typeName(b, type)}`)
    collation = findCollation(b, collateNames)
  }
  return { type, typmod, collation }
}

/**
 * 42P16 for pseudo-types and for what would hold itself, on its own or inside arrays, domains, ranges and composite types.
 * `within`: the row types that the column would be a part of.
 */
export function checkColumnType(ddl: Ddl, name: string, type: Oid, within: readonly Oid[]): void {
  const row = ddl.editor.typeRow(type)
  if (row === undefined) return
  if (row.kind === 'p') throw sqlError('42P16', `column "${name}" has pseudo-type ${typeName(binder(ddl), type)}`)
  if (within.includes(type))
    throw sqlError('42P16', `composite type ${typeName(binder(ddl), type)} cannot be made a member of itself`)
  if (within.length === 0 || type < FIRST_USER_OID) return
  for (const part of [row.baseType, row.element, row.range?.subtype ?? 0, row.rangeType ?? 0])
    if (part !== 0) checkColumnType(ddl, name, oid(part), within)
  if (row.kind !== 'c') return
  for (const column of ddl.editor.relation(row.relation)?.columns ?? [])
    if (!column.dropped) checkColumnType(ddl, column.name, column.type, [...within, type])
}

function serialType(ddl: Ddl, node: TypeName): Oid | undefined {
  const names = namesOf(node.names)
  if (names.length !== 1 || node.setof === true) return undefined
  const type = SERIALS[names[0]!]
  if (type === undefined || findType(binder(ddl), undefined, names[0]!) !== undefined) return undefined
  if ((node.arrayBounds?.length ?? 0) > 0) throw sqlError('0A000', 'array of serial is not implemented')
  return type
}

export function draftColumn(ddl: Ddl, table: string, def: ColumnDef, number: number, rowType?: Oid): ColumnDraft {
  const b = binder(ddl)
  const name = def.colname!
  const serial = serialType(ddl, def.typeName!)
  const type =
    serial === undefined
      ? columnType(
          ddl,
          name,
          def.typeName!,
          def.collClause === undefined ? undefined : namesOf(def.collClause.collname),
          rowType,
        )
      : { type: serial, typmod: -1, collation: oid(0) }
  let nullness: boolean | undefined = serial === undefined ? undefined : true
  let given: Node | undefined
  let generated: Node | undefined
  let identity: ColumnDraft['identity']
  const constraints: Constraint[] = []
  let attributable = false
  const refuse = (message: string, location?: number): never => {
    throw errorAt(b, '42601', `${message} for column "${name}" of table "${table}"`, location)
  }
  for (const node of def.constraints ?? []) {
    if (!('Constraint' in node)) continue
    const constraint = node.Constraint
    const { location } = constraint
    switch (constraint.contype!) {
      case 'CONSTR_NULL':
        if (nullness === true) refuse('conflicting NULL/NOT NULL declarations', location)
        nullness = false
        break
      case 'CONSTR_NOTNULL':
        if (nullness === false) refuse('conflicting NULL/NOT NULL declarations', location)
        nullness = true
        break
      case 'CONSTR_DEFAULT':
        if (given !== undefined || serial !== undefined) refuse('multiple default values specified', location)
        given = constraint.raw_expr
        break
      case 'CONSTR_IDENTITY':
        if (identity !== undefined) refuse('multiple identity specifications', location)
        if (nullness === false) refuse('conflicting NULL/NOT NULL declarations', location)
        identity = { always: constraint.generated_when === 'a', options: constraint.options ?? [] }
        nullness = true
        break
      case 'CONSTR_GENERATED':
        if (generated !== undefined) refuse('multiple generation clauses specified', location)
        if (constraint.generated_kind === 'v')
          throw errorAt(b, '0A000', 'virtual generated columns are not supported', location)
        generated = constraint.raw_expr
        break
      case 'CONSTR_CHECK':
      case 'CONSTR_PRIMARY':
      case 'CONSTR_UNIQUE':
        constraints.push(constraint)
        break
      case 'CONSTR_FOREIGN':
        constraints.push({ ...constraint, fk_attrs: [{ String: { sval: name } }] })
        break
      case 'CONSTR_EXCLUSION':
        throw errorAt(b, '0A000', 'exclusion constraints are not supported', location)
      case 'CONSTR_ATTR_DEFERRABLE':
      case 'CONSTR_ATTR_NOT_DEFERRABLE':
      case 'CONSTR_ATTR_DEFERRED':
      case 'CONSTR_ATTR_IMMEDIATE':
        deferral(constraint)
        continue
      case 'CONSTR_ATTR_ENFORCED':
        break
      case 'CONSTR_ATTR_NOT_ENFORCED':
        throw errorAt(b, '0A000', 'NOT ENFORCED constraints are not supported', location)
    }
    attributable = ['CONSTR_PRIMARY', 'CONSTR_UNIQUE', 'CONSTR_FOREIGN'].includes(constraint.contype!)
  }
  function deferral(attribute: Constraint): void {
    const words = {
      CONSTR_ATTR_DEFERRABLE: 'DEFERRABLE',
      CONSTR_ATTR_NOT_DEFERRABLE: 'NOT DEFERRABLE',
      CONSTR_ATTR_DEFERRED: 'INITIALLY DEFERRED',
      CONSTR_ATTR_IMMEDIATE: 'INITIALLY IMMEDIATE',
    } as const
    const contype = attribute.contype as keyof typeof words
    const last = constraints.at(-1)
    if (last === undefined || !attributable)
      throw errorAt(b, '42601', `misplaced ${words[contype]} clause`, attribute.location)
    if (contype === 'CONSTR_ATTR_DEFERRABLE') constraints[constraints.length - 1] = { ...last, deferrable: true }
    else if (contype === 'CONSTR_ATTR_NOT_DEFERRABLE' && last.initdeferred === true)
      throw errorAt(b, '42601', 'constraint declared INITIALLY DEFERRED must be DEFERRABLE', attribute.location)
    else if (contype === 'CONSTR_ATTR_DEFERRED')
      constraints[constraints.length - 1] = { ...last, deferrable: true, initdeferred: true }
  }
  if ((given !== undefined || serial !== undefined) && identity !== undefined)
    refuse('both default and identity specified')
  if (given !== undefined && generated !== undefined) refuse('both default and generation expression specified')
  if (identity !== undefined && generated !== undefined) refuse('both identity and generation expression specified')
  return {
    row: {
      number,
      name,
      ...type,
      notNull: nullness === true,
      dropped: false,
      ...(generated === undefined ? {} : { generated: 'stored' as const }),
      ...(identity === undefined ? {} : { identity: identity.always ? ('always' as const) : ('by-default' as const) }),
    },
    default: given,
    bound: undefined,
    generated,
    identity,
    serial: serial !== undefined,
    constraints,
  }
}

/** nextval('…'::regclass), converted to the column's type. */
export function nextvalOf(
  ddl: Ddl,
  sequence: Oid,
  column: Pick<ColumnRow, 'type' | 'typmod'>,
  identity: boolean,
): Expression {
  const NEXTVAL = oid(1574)
  const call: Expression = {
    kind: 'call',
    function: NEXTVAL,
    args: [
      { kind: 'const', value: sequence, type: OID.regclass, typmod: -1 },
      // Whoever may insert into the table may have its identity column's next value.
      ...(identity ? [{ kind: 'const', value: true, type: OID.bool, typmod: -1 } as const] : []),
    ],
    display: 'function',
    variadic: false,
    setReturning: false,
    type: OID.int8,
    typmod: -1,
  }
  return coerceTo(binder(ddl), call, column.type, column.typmod, 'assignment', 'implicit')
}

/** The column with its default, generation expression or sequence. `table` has all columns (defaults may be missing). */
export async function finishColumn(ddl: Ddl, table: RelationRow, draft: ColumnDraft): Promise<ColumnRow> {
  const { row } = draft
  if (draft.bound !== undefined) return { ...row, default: draft.bound }
  if (draft.default !== undefined) {
    const expression = bindDefault(ddl, row, draft.default)
    return expression === undefined ? row : { ...row, default: expression }
  }
  if (draft.generated !== undefined) return { ...row, default: bindGenerated(ddl, table, row, draft.generated) }
  if (draft.serial || draft.identity !== undefined) {
    const sequence = await makeOwnedSequence(ddl, table, row, draft.identity?.options, draft.identity !== undefined)
    return { ...row, default: nextvalOf(ddl, sequence, row, draft.identity !== undefined) }
  }
  return row
}

export async function makeOwnedSequence(
  ddl: Ddl,
  table: RelationRow,
  column: ColumnRow,
  options: readonly Node[] | undefined,
  identity: boolean,
): Promise<Oid> {
  const parsed = sequenceOptions(ddl, options, { type: column.type, identity })
  const wanted = parsed.name === undefined ? undefined : qualifiedName(parsed.name)
  const name =
    wanted?.name ?? chooseRelationName(ddl.editor, table.namespace, table.name, column.name, 'seq', false, [table.name])
  await lockName(ddl, 'relation', { name, namespace: table.namespace })
  if (ddl.editor.relationByName(table.namespace, name) !== undefined)
    throw sqlError('42P07', `relation "${name}" already exists`)
  const made = putSequence(
    ddl,
    {
      oid: ddl.editor.nextOid(),
      name,
      namespace: table.namespace,
      owner: table.owner,
      persistence: table.persistence,
      ...(table.session === undefined ? {} : { session: table.session }),
    },
    { ...parsed.row, ownedBy: { table: table.oid, column: column.number, identity } },
  )
  return made.oid
}

function firstColumnRef(node: unknown): number | undefined {
  if (typeof node !== 'object' || node === null) return undefined
  if (Array.isArray(node)) {
    for (const each of node) {
      const found = firstColumnRef(each)
      if (found !== undefined) return found
    }
    return undefined
  }
  if ('ColumnRef' in node) return (node as { ColumnRef: { location?: number } }).ColumnRef.location ?? 0
  if ('SubLink' in node) return undefined
  return firstColumnRef(Object.values(node))
}

/** A default for a column; undefined for a bare NULL, which is what no default means. */
export function bindDefault(ddl: Ddl, column: ColumnRow, node: Node): Expression | undefined {
  const b = binder(ddl)
  const reference = firstColumnRef(node)
  if (reference !== undefined) throw errorAt(b, '0A000', 'cannot use column reference in DEFAULT expression', reference)
  const e = bindTableExpression(b, undefined, node, 'default')
  if (e.type !== OID.unknown && e.type !== column.type && !canCoerce(b, [e.type], [column.type], 'assignment')) {
    throw sqlError(
      '42804',
      `column "${column.name}" is of type ${typeName(b, column.type)} but default expression is of type ${typeName(b, e.type)}`,
      {
        hint: 'You will need to rewrite or cast the expression.',
      },
    )
  }
  const result = coerceTo(b, e, column.type, column.typmod, 'assignment', 'implicit')
  if (e.kind === 'const' && e.value === null && ddl.editor.typeRow(column.type)?.kind !== 'd') return undefined
  return result
}

function bindGenerated(ddl: Ddl, table: RelationRow, column: ColumnRow, node: Node): Expression {
  const b = binder(ddl)
  const e = bindTableExpression(b, table, node, 'generated')
  some(e, (each) => {
    if (each.kind !== 'var') return false
    if (each.column === 0)
      throw sqlError('42P17', 'cannot use whole-row variable in column generation expression', {
        detail: 'This would cause the generated column to depend on its own value.',
      })
    const used = table.columns[each.column - 1]
    if (used?.generated !== undefined || used?.number === column.number) {
      throw sqlError('42P17', `cannot use generated column "${used!.name}" in column generation expression`, {
        detail: 'A generated column cannot reference another generated column.',
      })
    }
    return false
  })
  if (!isImmutable(ddl, e)) throw sqlError('42P17', 'generation expression is not immutable')
  if (e.type !== OID.unknown && e.type !== column.type && !canCoerce(b, [e.type], [column.type], 'assignment')) {
    throw sqlError(
      '42804',
      `column "${column.name}" is of type ${typeName(b, column.type)} but default expression is of type ${typeName(b, e.type)}`,
      {
        hint: 'You will need to rewrite or cast the expression.',
      },
    )
  }
  return coerceTo(b, e, column.type, column.typmod, 'assignment', 'implicit')
}

/** Every function in it gives the same answer for the same arguments for ever. */
export const isImmutable = (ddl: Ddl, e: Expression): boolean => worst(ddl, e) === 'i'
export const isVolatile = (ddl: Ddl, e: Expression): boolean => worst(ddl, e) === 'v'

function worst(ddl: Ddl, e: Expression): 'i' | 's' | 'v' {
  let found: 'i' | 's' | 'v' = 'i'
  some(e, (node) => {
    let here: 'i' | 's' | 'v' = 'i'
    if (node.kind === 'sql-value') here = 's'
    else if (node.kind === 'call') here = callVolatility(ddl, node)
    else if (node.kind === 'coerce-io') here = ioVolatility(ddl, node.arg.type, node.type)
    if (here === 'v' || (here === 's' && found === 'i')) found = here
    return found === 'v'
  })
  return found
}
/** Functions that turn this argument into text: as stable as that is, once they are written out. */
const BY_TEXT_OF: Readonly<Record<string, number>> = {
  'anytextcat(anynonarray,text)': 0,
  'textanycat(text,anynonarray)': 1,
  'quote_literal(anyelement)': 0,
  'quote_nullable(anyelement)': 0,
}
function callVolatility(ddl: Ddl, e: Extract<Expression, { kind: 'call' }>): 'i' | 's' | 'v' {
  const row = ddl.editor.function(e.function)
  const arg = row?.body === undefined ? undefined : e.args[BY_TEXT_OF[row.source] ?? -1]
  return arg === undefined ? (row?.volatility ?? 'v') : ioVolatility(ddl, arg.type, OID.text)
}

/** Text forms of these depend on settings. */
const STABLE_TEXT: ReadonlySet<Oid> = new Set([
  OID.date,
  OID.timestamp,
  OID.timestamptz,
  OID.timetz,
  OID.time,
  OID.interval,
  OID.regclass,
  OID.regtype,
  OID.regproc,
])
const ioVolatility = (ddl: Ddl, from: Oid, to: Oid): 'i' | 's' => {
  const base = (type: Oid): Oid => {
    const row: TypeRow | undefined = ddl.editor.typeRow(type)
    return row?.isArray ? row.element : type
  }
  return STABLE_TEXT.has(base(from)) || STABLE_TEXT.has(base(to)) ? 's' : 'i'
}
