/**
 * Privileges. A descriptor's `acl` is a list of items `grantee=privileges/grantor` as PostgreSQL prints them, except that
 * grantee and grantor are role oids, so that renaming a role touches nothing: '16385=r*w/10', '=r/10' for PUBLIC.
 * Letters as in PostgreSQL's manual, table 5.1; a '*' after a letter is the right to grant it on.
 */
import { type Oid, oid } from '../../storage/keys/brand.ts'

export interface AclItem {
  /** 0: PUBLIC. */
  readonly grantee: Oid
  readonly grantor: Oid
  /** Letters without '*'. */
  readonly privileges: string
  /** The letters that are grantable. */
  readonly grantable: string
}

/** All letters, in the order in which they are printed. */
export const ACL_LETTERS = 'arwdDxtXUCTcsA'

export type AclObject =
  | 'column'
  | 'relation'
  | 'sequence'
  | 'database'
  | 'function'
  | 'language'
  | 'largeobject'
  | 'namespace'
  | 'tablespace'
  | 'foreign-data-wrapper'
  | 'foreign-server'
  | 'type'
  | 'parameter' // prettier-ignore

/** Every privilege of a kind of object, and what PUBLIC has when no acl is stored. */
export const ACL_RIGHTS: Readonly<Record<AclObject, { readonly all: string; readonly public: string }>> = {
  column: { all: 'arwx', public: '' },
  relation: { all: 'arwdDxt', public: '' },
  sequence: { all: 'rwU', public: '' },
  database: { all: 'CTc', public: 'Tc' },
  function: { all: 'X', public: 'X' },
  language: { all: 'U', public: 'U' },
  largeobject: { all: 'rw', public: '' },
  namespace: { all: 'UC', public: '' },
  tablespace: { all: 'C', public: '' },
  'foreign-data-wrapper': { all: 'U', public: '' },
  'foreign-server': { all: 'U', public: '' },
  type: { all: 'U', public: 'U' },
  parameter: { all: 'sA', public: '' },
}

export const PRIVILEGE_NAMES: Readonly<Record<string, string>> = {
  a: 'INSERT',
  r: 'SELECT',
  w: 'UPDATE',
  d: 'DELETE',
  D: 'TRUNCATE',
  x: 'REFERENCES',
  t: 'TRIGGER',
  X: 'EXECUTE',
  U: 'USAGE',
  C: 'CREATE',
  T: 'TEMPORARY',
  c: 'CONNECT',
  s: 'SET',
  A: 'ALTER SYSTEM',
}

export function parseAclItem(text: string): AclItem {
  const equals = text.indexOf('=')
  const slash = text.indexOf('/', equals)
  let privileges = ''
  let grantable = ''
  for (const c of text.slice(equals + 1, slash)) {
    if (c === '*') grantable += privileges.at(-1)
    else privileges += c
  }
  return {
    grantee: oid(Number(text.slice(0, equals))),
    grantor: oid(Number(text.slice(slash + 1))),
    privileges,
    grantable,
  }
}

export function printAclItem(
  item: AclItem,
  name: (role: Oid) => string = (role) => (role === 0 ? '' : String(role)),
): string {
  let letters = ''
  for (const c of ACL_LETTERS) if (item.privileges.includes(c)) letters += item.grantable.includes(c) ? `${c}*` : c
  return `${name(item.grantee)}=${letters}/${name(item.grantor)}`
}

/** What an object without a stored acl grants (PostgreSQL's acldefault). */
export function defaultAcl(object: AclObject, owner: Oid): string[] {
  const rights = ACL_RIGHTS[object]
  const out: string[] = []
  if (rights.public !== '')
    out.push(printAclItem({ grantee: oid(0), grantor: owner, privileges: rights.public, grantable: '' }))
  if (rights.all !== '' && object !== 'column') {
    out.push(printAclItem({ grantee: owner, grantor: owner, privileges: rights.all, grantable: '' }))
  }
  return out
}

/** `roles`: the role itself and all whose privileges it has. */
export function aclAllows(
  acl: readonly string[],
  roles: ReadonlySet<Oid>,
  letter: string,
  withGrantOption = false,
): boolean {
  for (const text of acl) {
    const item = parseAclItem(text)
    if (item.grantee !== 0 && !roles.has(item.grantee)) continue
    if ((withGrantOption ? item.grantable : item.privileges).includes(letter)) return true
  }
  return false
}

/** An acl after GRANT. */
export function grantAcl(
  acl: readonly string[],
  grantee: Oid,
  grantor: Oid,
  letters: string,
  grantOption: boolean,
): string[] {
  let found = false
  const out = acl.map((text) => {
    const item = parseAclItem(text)
    if (item.grantee !== grantee || item.grantor !== grantor) return text
    found = true
    return printAclItem({
      ...item,
      privileges: union(item.privileges, letters),
      grantable: grantOption ? union(item.grantable, letters) : item.grantable,
    })
  })
  if (!found) out.push(printAclItem({ grantee, grantor, privileges: letters, grantable: grantOption ? letters : '' }))
  return out
}

/** An acl after REVOKE [GRANT OPTION FOR]; items that grant nothing more go away. */
export function revokeAcl(
  acl: readonly string[],
  grantee: Oid,
  grantor: Oid,
  letters: string,
  grantOptionOnly: boolean,
): string[] {
  const out: string[] = []
  for (const text of acl) {
    const item = parseAclItem(text)
    if (item.grantee !== grantee || item.grantor !== grantor) {
      out.push(text)
      continue
    }
    const privileges = grantOptionOnly ? item.privileges : without(item.privileges, letters)
    const grantable = without(item.grantable, letters)
    if (privileges !== '') out.push(printAclItem({ ...item, privileges, grantable }))
  }
  return out
}

const union = (a: string, b: string): string => [...ACL_LETTERS].filter((c) => a.includes(c) || b.includes(c)).join('')
const without = (a: string, b: string): string => [...a].filter((c) => !b.includes(c)).join('')

/** From PostgreSQL's printed items to oids; an unknown role is left out. */
export function aclFromText(texts: readonly string[], role: (name: string) => Oid | undefined): string[] {
  const out: string[] = []
  for (const text of texts) {
    const equals = text.lastIndexOf('=', text.lastIndexOf('/'))
    const slash = text.lastIndexOf('/')
    const granteeName = text.slice(0, equals)
    const grantee = granteeName === '' ? 0 : role(granteeName)
    const grantor = role(text.slice(slash + 1))
    if (grantee !== undefined && grantor !== undefined)
      out.push(`${grantee === 0 ? '' : grantee}${text.slice(equals, slash)}/${grantor}`)
  }
  return out
}
