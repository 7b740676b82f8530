/**
 * CREATE DOMAIN and ALTER DOMAIN: a type over another with a default and rules. Its values lie as the base type's do; a
 * conversion to it (a relabel) asks the rules. A new rule is asked of every row in whose columns the domain stands.
 * https://www.postgresql.org/docs/15/sql-createdomain.html, https://www.postgresql.org/docs/15/sql-alterdomain.html
 */
import type { Constraint, CreateDomainStmt, Node } from '@pgsql/types'
import { oid } from '../../../storage/keys/brand.ts'
import {
  bind,
  bindTableCondition,
  errorAt,
  findCollation,
  namesOf,
  resolveTypeName,
  typeName,
} from '../../binder/binder.ts'
import type { ColumnRow, RelationRow, TypeRow } from '../../catalog/catalog.ts'
import { CLASS } from '../../catalog/classes.ts'
import type { Expression } from '../../plan/expression.ts'
import { rewrite } from '../../plan/walk.ts'
import { notSupported, sqlError } from '../../types/error.ts'
import { OID } from '../../types/oids.ts'
import { bindContext } from '../statement.ts'
import { bindDefault } from './columns.ts'
import {
  binder,
  creationNamespace,
  type Ddl,
  defineDdl,
  lockName,
  lockRelation,
  notice,
  qualifiedName,
  requireOwner,
  requireRight,
  roleOf,
} from './context.ts'
import { drop } from './drop.ts'
import { constraintNameTaken, objectName } from './names.ts'
import { firstRow, fullName, parseOne } from './query.ts'
import { requireType } from './type-statements.ts'
import { refuseUses } from './type-uses.ts'
import { freeTypeName, putDomainType } from './types.ts'

type Check = NonNullable<TypeRow['domain']>['checks'][number]

export function registerDomains(): void {
  defineDdl('CreateDomainStmt', 'CREATE DOMAIN', async (ddl, node) => {
    await createDomain(ddl, node)
    return 'CREATE DOMAIN'
  })
  defineDdl('AlterDomainStmt', 'ALTER DOMAIN', async (ddl, node) => {
    const domain = requireDomain(ddl, node.typeName)
    switch (node.subtype) {
      case 'T':
        setDefault(ddl, domain, node.def)
        break
      case 'N':
        ddl.editor.put('type', { ...domain, notNull: false })
        break
      case 'O':
        await setNotNull(ddl, domain)
        break
      case 'C':
        if (node.def !== undefined && 'Constraint' in node.def) await addConstraint(ddl, domain, node.def.Constraint)
        break
      case 'X':
        await dropConstraint(ddl, domain, node.name!, node.behavior === 'DROP_CASCADE', node.missing_ok === true)
        break
      case 'V':
        await validateConstraint(ddl, domain, node.name!)
        break
      default:
        throw notSupported('this ALTER DOMAIN')
    }
    return 'ALTER DOMAIN'
  })
}

// ── CREATE ─────────────────────────────────────────────────────────────────────────────────────────────────────

/** What a domain cannot have, and the words for it. */
const IMPOSSIBLE: Partial<Record<NonNullable<Constraint['contype']>, string>> = {
  CONSTR_UNIQUE: 'unique constraints not possible for domains',
  CONSTR_PRIMARY: 'primary key constraints not possible for domains',
  CONSTR_EXCLUSION: 'exclusion constraints not possible for domains',
  CONSTR_FOREIGN: 'foreign key constraints not possible for domains',
}
const DEFERRAL = new Set<Constraint['contype']>([
  'CONSTR_ATTR_DEFERRABLE',
  'CONSTR_ATTR_NOT_DEFERRABLE',
  'CONSTR_ATTR_DEFERRED',
  'CONSTR_ATTR_IMMEDIATE',
])

function refuse(constraint: Constraint): never {
  const impossible = IMPOSSIBLE[constraint.contype!]
  if (impossible !== undefined) throw sqlError('42601', impossible)
  if (DEFERRAL.has(constraint.contype))
    throw sqlError('0A000', 'specifying constraint deferrability not supported for domains')
  throw notSupported(`constraint type ${constraint.contype} of a domain`)
}

async function createDomain(ddl: Ddl, node: CreateDomainStmt): Promise<void> {
  const { schema, name } = qualifiedName(node.domainname ?? [])
  const namespace = creationNamespace(ddl, schema)
  await lockName(ddl, 'type', { name, namespace: namespace.oid })
  freeTypeName(ddl, namespace.oid, name, false)
  const b = binder(ddl)
  const resolved = resolveTypeName(b, node.typeName!)
  const base = ddl.editor.typeRow(resolved.type)!
  if (base.kind === 'p' || resolved.setOf)
    throw sqlError('42804', `"${namesOf(node.typeName!.names).join('.')}" is not a valid base type for a domain`)
  requireRight(ddl, 'type', base.oid, 'U', `permission denied for type ${typeName(b, base.oid)}`)
  let { collation } = base
  if (node.collClause !== undefined) {
    collation = findCollation(b, namesOf(node.collClause.collname))
    if (base.collation === 0)
      throw errorAt(
        b,
        '42804',
        `collations are not supported by type ${typeName(b, base.oid)}`,
        node.collClause.location,
      )
  }
  const value: Pick<TypeRow, 'baseType' | 'typmod' | 'collation'> = {
    baseType: base.oid,
    typmod: resolved.typmod,
    collation,
  }
  let fallback = base.domain?.default
  let defaults = 0
  let nullness: boolean | undefined
  const checks: Constraint[] = []
  for (const each of node.constraints ?? []) {
    if (!('Constraint' in each)) continue
    const constraint = each.Constraint
    switch (constraint.contype) {
      case 'CONSTR_DEFAULT':
        if (defaults++ > 0) throw sqlError('42601', 'multiple default expressions')
        fallback = defaultOf(ddl, name, value, constraint.raw_expr!)
        break
      case 'CONSTR_NOTNULL':
      case 'CONSTR_NULL': {
        const notNull = constraint.contype === 'CONSTR_NOTNULL'
        if (nullness === !notNull) throw sqlError('42601', 'conflicting NULL/NOT NULL constraints')
        nullness = notNull
        break
      }
      case 'CONSTR_CHECK':
        if (constraint.is_no_inherit === true)
          throw sqlError('42P17', 'check constraints for domains cannot be marked NO INHERIT')
        checks.push(constraint)
        break
      default:
        refuse(constraint)
    }
  }
  const own = { oid: ddl.editor.nextOid(), name, namespace: namespace.oid, owner: roleOf(ddl) }
  let row = putDomainType(ddl, own, base, {
    typmod: resolved.typmod,
    collation,
    notNull: nullness === true,
    domain: { ...(fallback === undefined ? {} : { default: fallback }), checks: [] },
  })
  for (const check of checks) row = withCheck(ddl, row, newCheck(ddl, row, check, true))
}

const withCheck = (ddl: Ddl, row: TypeRow, check: Check): TypeRow => {
  const changed: TypeRow = { ...row, domain: { ...row.domain, checks: [...(row.domain?.checks ?? []), check] } }
  ddl.editor.put('type', changed)
  return changed
}

/** A default of the base type; undefined for a bare NULL. */
function defaultOf(
  ddl: Ddl,
  name: string,
  domain: Pick<TypeRow, 'baseType' | 'typmod' | 'collation'>,
  node: Node,
): Expression | undefined {
  const column = { number: 1, name, type: domain.baseType, typmod: domain.typmod, collation: domain.collation }
  const e = bindDefault(ddl, { ...column, notNull: false, dropped: false }, node)
  const given = e?.kind === 'relabel' ? e.arg : e
  return given?.kind === 'const' && given.value === null ? undefined : e
}

/** VALUE as the one column of a table without a name. */
const valueColumn = (domain: TypeRow): Pick<RelationRow, 'name' | 'columns' | 'rowType'> => ({
  name: '',
  rowType: oid(0),
  columns: [
    {
      number: 1,
      name: 'value',
      type: domain.baseType,
      typmod: domain.typmod,
      collation: domain.collation,
      notNull: false,
      dropped: false,
    },
  ],
})

function newCheck(ddl: Ddl, domain: TypeRow, node: Constraint, validated: boolean): Check {
  const named = node.conname !== undefined && node.conname !== ''
  if (named && domain.domain?.checks.some((each) => each.name === node.conname) === true)
    throw sqlError('42710', `constraint "${node.conname}" for domain "${domain.name}" already exists`)
  const name = named ? node.conname! : chooseName(ddl, domain)
  const check = bindTableCondition(binder(ddl), valueColumn(domain), node.raw_expr!, 'check', 'CHECK')
  return { oid: ddl.editor.nextOid(), name, check, validated }
}

function chooseName(ddl: Ddl, domain: TypeRow): string {
  const taken = new Set<string>()
  for (const type of ddl.editor.ownAll('type'))
    if (type.namespace === domain.namespace) for (const each of type.domain?.checks ?? []) taken.add(each.name)
  for (let pass = 0; ; pass++) {
    const name = objectName(domain.name, undefined, pass === 0 ? 'check' : `check${pass}`)
    if (!taken.has(name) && !constraintNameTaken(ddl.editor, domain.namespace, name)) return name
  }
}

// ── ALTER ──────────────────────────────────────────────────────────────────────────────────────────────────────

function requireDomain(ddl: Ddl, names: readonly Node[] | undefined): TypeRow {
  const row = requireType(ddl, names)
  if (row.kind !== 'd') throw sqlError('42809', `${typeName(binder(ddl), row.oid)} is not a domain`)
  requireOwner(ddl, row.owner, 'type', typeName(binder(ddl), row.oid))
  return row
}

function setDefault(ddl: Ddl, domain: TypeRow, node: Node | undefined): void {
  const value = node === undefined ? undefined : defaultOf(ddl, domain.name, domain, node)
  const checks = domain.domain?.checks ?? []
  ddl.editor.put('type', { ...domain, domain: { ...(value === undefined ? {} : { default: value }), checks } })
}

async function setNotNull(ddl: Ddl, domain: TypeRow): Promise<void> {
  if (domain.notNull) return
  for (const { table, column } of await columnsOfDomain(ddl, domain, domain)) {
    const condition: Expression = {
      kind: 'is-null',
      arg: columnOf(column),
      negated: false,
      argIsRow: false,
      type: OID.bool,
      typmod: -1,
    }
    if (await isAnyRow(ddl, table, condition))
      throw sqlError(
        '23502',
        `column "${column.name}" of table "${table.name}" contains null values`,
        place(ddl, table, column),
      )
  }
  ddl.editor.put('type', { ...domain, notNull: true })
}

async function addConstraint(ddl: Ddl, domain: TypeRow, node: Constraint): Promise<void> {
  if (node.contype !== 'CONSTR_CHECK') refuse(node)
  const validated = node.skip_validation !== true
  const check = newCheck(ddl, domain, node, validated)
  withCheck(ddl, domain, check)
  if (validated) await validate(ddl, domain, check)
}

async function dropConstraint(
  ddl: Ddl,
  domain: TypeRow,
  name: string,
  cascade: boolean,
  missingOk: boolean,
): Promise<void> {
  const check = domain.domain?.checks.find((each) => each.name === name)
  if (check === undefined) {
    const message = `constraint "${name}" of domain "${domain.name}" does not exist`
    if (!missingOk) throw sqlError('42704', message)
    notice(ddl, `${message}, skipping`)
    return
  }
  await drop(ddl, [{ classOid: CLASS.constraint, object: check.oid, sub: 0 }], cascade)
}

async function validateConstraint(ddl: Ddl, domain: TypeRow, name: string): Promise<void> {
  const check = domain.domain?.checks.find((each) => each.name === name)
  if (check === undefined) throw sqlError('42704', `constraint "${name}" of domain "${domain.name}" does not exist`)
  if (check.validated) return
  await validate(ddl, domain, check)
  replaceCheck(ddl, domain, { ...check, validated: true })
}

const replaceCheck = (ddl: Ddl, domain: TypeRow, check: Check): void =>
  ddl.editor.put('type', {
    ...domain,
    domain: {
      ...domain.domain,
      checks: (domain.domain?.checks ?? []).map((each) => (each.oid === check.oid ? check : each)),
    },
  })

/** ALTER DOMAIN … RENAME CONSTRAINT. `names`: the domain's. */
export function renameDomainConstraint(ddl: Ddl, names: readonly Node[], from: string, to: string): void {
  const domain = requireDomain(ddl, names)
  const check = domain.domain?.checks.find((each) => each.name === from)
  const shown = typeName(binder(ddl), domain.oid)
  if (check === undefined) throw sqlError('42704', `constraint "${from}" for domain ${shown} does not exist`)
  if (domain.domain?.checks.some((each) => each.name === to) === true)
    throw sqlError('42710', `constraint "${to}" for domain ${shown} already exists`)
  replaceCheck(ddl, domain, { ...check, name: to })
}

// ── Rows that are there ────────────────────────────────────────────────────────────────────────────────────────

interface DomainColumn {
  readonly table: RelationRow
  readonly column: ColumnRow
}

/**
 * Tables' columns of the domain or of domains over it, their tables locked. 0A000 where it is inside a composite, array or
 * other type that a column has: its values could not be found.
 */
async function columnsOfDomain(ddl: Ddl, domain: TypeRow, altered: TypeRow): Promise<DomainColumn[]> {
  const found: DomainColumn[] = []
  const { editor } = ddl
  const shown = typeName(binder(ddl), altered.oid)
  const words = (column: string) => `cannot alter type "${shown}" because column "${column}" uses it`
  if (domain.array !== 0) refuseUses(ddl, domain.array, words)
  for (const row of [...editor.ownAll('type')]) if (row.range?.subtype === domain.oid) refuseUses(ddl, row.oid, words)
  for (const row of [...editor.ownAll('type')])
    if (row.kind === 'd' && row.baseType === domain.oid) found.push(...(await columnsOfDomain(ddl, row, altered)))
  for (const row of [...editor.ownAll('relation')]) {
    const columns = row.columns.filter((column) => !column.dropped && column.type === domain.oid)
    if (columns.length === 0) continue
    if (row.kind === 'c') refuseUses(ddl, row.rowType, words)
    if (row.kind !== 'r' && row.kind !== 'm') continue
    await lockRelation(ddl, row.oid, 'share')
    found.push(...columns.map((column) => ({ table: row, column })))
  }
  return found
}

async function validate(ddl: Ddl, domain: TypeRow, check: Check): Promise<void> {
  for (const { table, column } of await columnsOfDomain(ddl, domain, domain)) {
    const over = rewrite(check.check, (e) => {
      if (e.kind !== 'var') return e
      const { level: _, relation: __, column: ___, ...typed } = e
      return { ...typed, kind: 'relabel', arg: columnOf(column), display: 'implicit' }
    })
    if (await isAnyRow(ddl, table, { kind: 'not', arg: over, type: OID.bool, typmod: -1 }))
      throw sqlError(
        '23514',
        `column "${column.name}" of table "${table.name}" contains values that violate the new constraint`,
        place(ddl, table, column),
      )
  }
}

const columnOf = (column: ColumnRow): Expression => ({
  kind: 'var',
  level: 0,
  relation: 0,
  column: column.number,
  type: column.type,
  typmod: column.typmod,
})

async function isAnyRow(ddl: Ddl, table: RelationRow, where: Expression): Promise<boolean> {
  const text = `SELECT 1 FROM ONLY ${fullName(ddl, table)} WHERE true`
  const query = bind(bindContext(ddl.session, text, [], true), parseOne(text))
  return (await firstRow(ddl, { ...query, where })) !== undefined
}

const place = (ddl: Ddl, table: RelationRow, column: ColumnRow) => ({
  schema: ddl.editor.namespace(table.namespace)?.name,
  table: table.name,
  column: column.name,
})
