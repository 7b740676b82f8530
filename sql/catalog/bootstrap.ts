/** What a new store begins with: the databases, the superusers, PostgreSQL's predefined roles, the public schema. */
import { type Oid, oid } from '../../storage/keys/brand.ts'
import * as builtin from './builtin.ts'
import type { DatabaseRow, NamespaceRow, RoleRow } from './catalog.ts'
import { Objects } from './objects.ts'
import { dataTable, reader } from './tsv.ts'
import { CatalogView } from './view.ts'

const BOOTSTRAP_SUPERUSER = oid(10)
export const FIRST_USER_OID = 16384
const ALOPEX_ROLE = oid(9001)
const OS_USER_ROLE = oid(9002)
const TEMPLATE1 = oid(1)
const TEMPLATE0 = oid(4)
export const POSTGRES_DATABASE = oid(5)
const ALOPEX_DATABASE = oid(6)
const PUBLIC = oid(2200)
const DATABASE_OWNER = oid(6171)

const superuser = (self: Oid, name: string): RoleRow => ({
  oid: self,
  name,
  superuser: true,
  inherit: true,
  createRole: true,
  createDatabase: true,
  canLogin: true,
  replication: true,
  bypassRls: true,
  connectionLimit: -1,
  memberOf: [],
})

function predefinedRoles(): RoleRow[] {
  const members = dataTable('pg_auth_members')
  const table = dataTable('pg_authid')
  return table.lines.map((line) => {
    const r = reader(table, line)
    const self = oid(r.number('oid'))
    return {
      oid: self,
      name: r.text('rolname'),
      superuser: r.bool('rolsuper'),
      inherit: r.bool('rolinherit'),
      createRole: r.bool('rolcreaterole'),
      createDatabase: r.bool('rolcreatedb'),
      canLogin: r.bool('rolcanlogin'),
      replication: r.bool('rolreplication'),
      bypassRls: r.bool('rolbypassrls'),
      connectionLimit: r.number('rolconnlimit'),
      memberOf: members.lines
        .map((member) => reader(members, member))
        .filter((m) => m.number('member') === self)
        .map((m) => ({
          role: oid(m.number('roleid')),
          admin: m.bool('admin_option'),
          grantor: oid(m.number('grantor')),
        })),
    }
  })
}

const database = (self: Oid, name: string, rest: Partial<DatabaseRow> = {}): DatabaseRow => ({
  oid: self,
  name,
  owner: BOOTSTRAP_SUPERUSER,
  connectionLimit: -1,
  allowConnections: true,
  isTemplate: false,
  ...rest,
})

/** Roles and databases. `osUser`: one more superuser, so that `psql` without a name works as after initdb. */
export function bootstrapShared(osUser: string | undefined): Objects {
  const objects = new Objects()
  const roles = predefinedRoles()
  for (const role of roles) objects.set('role', role.oid, role)
  for (const [self, name] of [
    [ALOPEX_ROLE, 'alopex'],
    [OS_USER_ROLE, osUser],
  ] as const) {
    if (name !== undefined && objects.named('role', name).length === 0) objects.set('role', self, superuser(self, name))
  }
  const templateAcl = ['=c/10', '10=CTc/10']
  for (const row of [
    database(TEMPLATE1, 'template1', { isTemplate: true, acl: templateAcl }),
    database(TEMPLATE0, 'template0', { isTemplate: true, allowConnections: false, acl: templateAcl }),
    database(POSTGRES_DATABASE, 'postgres'),
    database(ALOPEX_DATABASE, 'alopex'),
  ]) {
    objects.set('database', row.oid, row)
  }
  return objects
}

/** What every new database begins with. */
export function bootstrapLocal(): Objects {
  const objects = new Objects()
  const row = builtin.namespaces.byOid(PUBLIC)
  const schema: NamespaceRow = {
    oid: PUBLIC,
    name: 'public',
    owner: DATABASE_OWNER,
    ...(row?.acl === undefined ? {} : { acl: row.acl }),
  }
  objects.set('namespace', PUBLIC, schema)
  return objects
}

/** A catalog of built-in objects alone, kept nowhere: for tests and tools. */
export const builtinCatalog = (): CatalogView =>
  new CatalogView(1, POSTGRES_DATABASE, bootstrapLocal(), bootstrapShared(undefined))
