/**
 * A domain's rules over a value of its base type: no NULL where it says so, every check not false. The base domains' rules
 * come first, one domain's checks by name, as PostgreSQL's type cache orders them (typcache.c, load_domaintype_info).
 * https://www.postgresql.org/docs/15/sql-createdomain.html
 */
import type { Oid } from '../../storage/keys/brand.ts'
import type { Catalog } from '../catalog/catalog.ts'
import type { Expression } from '../plan/expression.ts'
import { rewrite } from '../plan/walk.ts'
import { sqlError } from '../types/error.ts'
import type { CallContext } from '../types/function.ts'
import type { Value } from '../types/value.ts'
import type { Execution } from './operator.ts'

export interface DomainRules {
  readonly domain: Oid
  readonly notNull: boolean
  /** Over column 0 of a row of one. */
  readonly checks: readonly { readonly name: string; readonly check: Expression }[]
}

/** Types below are PostgreSQL's own without rules: information_schema's domains come after them. */
const FIRST_DOMAIN = 10000

interface Known {
  readonly version: number
  readonly rules: Map<Oid, DomainRules | undefined>
}
const known = new WeakMap<Catalog, Known>()

/** Undefined for a type that is no domain, or one without rules. */
export function domainRules(catalog: Catalog, type: Oid): DomainRules | undefined {
  if (type < FIRST_DOMAIN) return undefined
  let kept = known.get(catalog)
  if (kept === undefined || kept.version !== catalog.version)
    known.set(catalog, (kept = { version: catalog.version, rules: new Map() }))
  if (!kept.rules.has(type)) kept.rules.set(type, collect(catalog, type))
  return kept.rules.get(type)
}

function collect(catalog: Catalog, domain: Oid): DomainRules | undefined {
  let notNull = false
  const checks: { name: string; check: Expression }[] = []
  for (let row = catalog.typeRow(domain); row?.kind === 'd'; row = catalog.typeRow(row.baseType)) {
    notNull ||= row.notNull
    const own = [...(row.domain?.checks ?? [])].sort((a, b) => (a.name < b.name ? -1 : 1))
    checks.unshift(...own.map(({ name, check }) => ({ name, check: overColumn(check) })))
  }
  return notNull || checks.length > 0 ? { domain, notNull, checks } : undefined
}

/** VALUE, column 1 of relation 0, as the only column of a row. */
const overColumn = (check: Expression): Expression =>
  rewrite(check, (e) => {
    if (e.kind !== 'var') return e
    const { level: _, relation: __, column: ___, ...typed } = e
    return { ...typed, kind: 'column', index: 0 }
  })

/** Gives the value back, or throws 23502 or 23514. `ask`: what check i says of the value. */
export function obey(rules: DomainRules, value: Value, x: Execution, ask: (i: number) => Value): Value {
  if (rules.notNull && value === null) {
    const message = `domain ${shown(rules.domain, x.catalog, x.context)} does not allow null values`
    throw sqlError('23502', message, place(rules.domain, x.catalog))
  }
  for (let i = 0; i < rules.checks.length; i++) {
    if (ask(i) !== false) continue
    const constraint = rules.checks[i]!.name
    const name = shown(rules.domain, x.catalog, x.context)
    const message = `value for domain ${name} violates check constraint "${constraint}"`
    throw sqlError('23514', message, { ...place(rules.domain, x.catalog), constraint })
  }
  return value
}

const shown = (domain: Oid, catalog: Catalog, context: CallContext): string =>
  context.names?.typeName(domain) ?? catalog.typeRow(domain)?.name ?? String(domain)

function place(domain: Oid, catalog: Catalog) {
  const row = catalog.typeRow(domain)
  return { schema: row && catalog.namespace(row.namespace)?.name, dataType: row?.name }
}
