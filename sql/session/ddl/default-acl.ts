/**
 * What ALTER DEFAULT PRIVILEGES has laid down, and what new objects get of it.
 *
 *     for a role in every schema   the whole list, which stands in the place of the built-in one
 *     for a role in one schema     what is added to that
 *
 * Objects get it at the end of the statement that made them, whatever the statement was.
 */
import { type Oid, oid } from '../../../storage/keys/brand.ts'
import { type AclObject, defaultAcl, grantAcl, parseAclItem } from '../../catalog/acl.ts'
import type { DefaultAclRow, FunctionRow, NamespaceRow, RelationRow, TypeRow } from '../../catalog/catalog.ts'
import type { Editor } from '../../catalog/editor.ts'

type ObjectLetter = DefaultAclRow['objects']
export const KINDS: Readonly<
  Record<string, { readonly letter: ObjectLetter; readonly kind: AclObject; readonly word: string }>
> = {
  OBJECT_TABLE: { letter: 'r', kind: 'relation', word: 'relation' },
  OBJECT_SEQUENCE: { letter: 'S', kind: 'sequence', word: 'sequence' },
  OBJECT_FUNCTION: { letter: 'f', kind: 'function', word: 'function' },
  OBJECT_PROCEDURE: { letter: 'f', kind: 'function', word: 'function' },
  OBJECT_ROUTINE: { letter: 'f', kind: 'function', word: 'function' },
  OBJECT_TYPE: { letter: 'T', kind: 'type', word: 'type' },
  OBJECT_SCHEMA: { letter: 'n', kind: 'namespace', word: 'schema' },
}
export const ANYWHERE = oid(0)

export const find = (editor: Editor, role: Oid, namespace: Oid, letter: ObjectLetter): DefaultAclRow | undefined => {
  for (const row of editor.ownAll('default-acl'))
    if (row.role === role && row.namespace === namespace && row.objects === letter) return row
  return undefined
}

const sorted = (acl: readonly string[]): string => [...acl].sort().join(' ')
export const same = (a: readonly string[], b: readonly string[]): boolean => sorted(a) === sorted(b)

/** Gives what a statement has made since the mark its privileges. */
export function grantDefaults(editor: Editor, mark: number): void {
  if (editor.ownCount('default-acl') === 0) return
  for (const { kind, row, old } of editor.changes.slice(mark)) {
    if (row === undefined || old !== undefined) continue
    if (kind === 'relation') {
      const made = editor.relation((row as RelationRow).oid)
      if (made === undefined || made.acl !== undefined || made.session !== undefined) continue
      if (!['r', 'v', 'm', 'p', 'S'].includes(made.kind)) continue
      const acl = aclOfNew(editor, made.owner, made.namespace, made.kind === 'S' ? 'S' : 'r')
      if (acl !== undefined) editor.put('relation', { ...made, acl })
    } else if (kind === 'function') {
      const made = editor.function((row as FunctionRow).oid)
      if (made === undefined || made.acl !== undefined) continue
      const acl = aclOfNew(editor, made.owner, made.namespace, 'f')
      if (acl !== undefined) editor.put('function', { ...made, acl })
    } else if (kind === 'type') {
      const made = editor.typeRow((row as TypeRow).oid)
      // Row types and arrays have the privileges of what they belong to.
      if (made === undefined || made.acl !== undefined || made.isArray || made.relation !== 0) continue
      const acl = aclOfNew(editor, made.owner, made.namespace, 'T')
      if (acl !== undefined) editor.put('type', { ...made, acl })
    } else if (kind === 'namespace') {
      const made = editor.namespace((row as NamespaceRow).oid)
      if (made === undefined || made.acl !== undefined || made.name.startsWith('pg_temp_')) continue
      const acl = aclOfNew(editor, made.owner, ANYWHERE, 'n')
      if (acl !== undefined) editor.put('namespace', { ...made, acl })
    }
  }
}

/** undefined: the built-in one. */
function aclOfNew(editor: Editor, owner: Oid, namespace: Oid, letter: ObjectLetter): readonly string[] | undefined {
  const whole = find(editor, owner, ANYWHERE, letter)
  const added = namespace === ANYWHERE ? undefined : find(editor, owner, namespace, letter)
  if (whole === undefined && added === undefined) return undefined
  const kind = Object.values(KINDS).find((each) => each.letter === letter)!.kind
  const builtIn = defaultAcl(kind, owner)
  let acl = whole?.acl ?? builtIn
  for (const item of (added?.acl ?? []).map(parseAclItem)) {
    acl = grantAcl(acl, item.grantee, item.grantor, item.privileges, false)
    if (item.grantable !== '') acl = grantAcl(acl, item.grantee, item.grantor, item.grantable, true)
  }
  return same(acl, builtIn) ? undefined : acl
}

/** DROP OWNED, DROP ROLE: what is about the role or granted to it goes. */
export function forgetDefaults(editor: Editor, role: Oid): void {
  for (const row of [...editor.ownAll('default-acl')]) {
    if (row.role === role) {
      editor.remove('default-acl', row.oid)
      continue
    }
    const acl = row.acl.filter((text) => parseAclItem(text).grantee !== role)
    if (acl.length === row.acl.length) continue
    if (acl.length === 0 || same(acl, row.namespace === ANYWHERE ? builtInOf(row) : []))
      editor.remove('default-acl', row.oid)
    else editor.put('default-acl', { ...row, acl })
  }
}
const builtInOf = (row: DefaultAclRow): readonly string[] =>
  defaultAcl(Object.values(KINDS).find((each) => each.letter === row.objects)!.kind, row.role)
