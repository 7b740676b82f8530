/**
 * Names that PostgreSQL gives where the statement gives none: t_pkey, t_a_key, t_a_check, t_a_b_idx, t_a_seq, with a number
 * behind when they are taken, cut to 63 bytes where they are too long.
 */
import type { Oid } from '../../../storage/keys/brand.ts'
import type { Catalog } from '../../catalog/catalog.ts'

const NAME_BYTES_MAX = 63

/** PostgreSQL's makeObjectName: name1_name2_label, the longer of the names cut first. */
export function objectName(first: string, second: string | undefined, label: string): string {
  const available = NAME_BYTES_MAX - (label.length + 1) - (second === undefined ? 0 : 1)
  let a = Buffer.byteLength(first)
  let b = second === undefined ? 0 : Buffer.byteLength(second)
  while (a + b > available) {
    if (a > b) a--
    else b--
  }
  return `${cutBytes(first, a)}${second === undefined ? '' : `_${cutBytes(second, b)}`}_${label}`
}

/** A name that leaves room for so many bytes behind it. */
export const cutName = (text: string, room = 0): string => cutBytes(text, NAME_BYTES_MAX - room)

/** At most so many bytes of UTF-8, whole characters only. */
function cutBytes(text: string, bytes: number): string {
  if (Buffer.byteLength(text) <= bytes) return text
  let size = 0
  let out = ''
  for (const c of text) {
    size += Buffer.byteLength(c)
    if (size > bytes) break
    out += c
  }
  return out
}

export function constraintNameTaken(catalog: Catalog, namespace: Oid, name: string): boolean {
  for (const row of catalog.relations()) {
    if (row.namespace === namespace && row.constraints.some((constraint) => constraint.name === name)) return true
  }
  return false
}

/** For an index, a sequence: also no constraint's name when `constraint`. */
export function chooseRelationName(
  catalog: Catalog,
  namespace: Oid,
  first: string,
  second: string | undefined,
  label: string,
  constraint = false,
  others: readonly string[] = [],
): string {
  for (let pass = 0; ; pass++) {
    const name = objectName(first, second, pass === 0 ? label : `${label}${pass}`)
    if (others.includes(name) || catalog.relationByName(namespace, name) !== undefined) continue
    if (constraint && constraintNameTaken(catalog, namespace, name)) continue
    return name
  }
}

export function chooseConstraintName(
  catalog: Catalog,
  namespace: Oid,
  first: string,
  second: string | undefined,
  label: string,
  others: readonly string[],
): string {
  for (let pass = 0; ; pass++) {
    const name = objectName(first, second, pass === 0 ? label : `${label}${pass}`)
    if (!others.includes(name) && !constraintNameTaken(catalog, namespace, name)) return name
  }
}

/** Columns of an index in its name: a_b, with numbers behind repeated ones. */
export function nameAddition(columns: readonly string[]): string {
  const text = columns.join('_')
  return cutBytes(text, NAME_BYTES_MAX)
}
/** Names of an index's own columns: attribute names of pg_attribute for it. */
export function indexColumnNames(names: readonly (string | undefined)[]): string[] {
  const out: string[] = []
  for (const given of names) {
    const base = given ?? 'expr'
    let name = base
    for (let i = 1; out.includes(name); i++) name = `${cutBytes(base, NAME_BYTES_MAX - String(i).length)}${i}`
    out.push(name)
  }
  return out
}

/** `_t`, `__t` …: the name of the array type of a type. */
export function arrayTypeName(catalog: Catalog, namespace: Oid, name: string): string {
  for (let pass = 0; ; pass++) {
    const made = pass === 0 ? cutBytes(`_${name}`, NAME_BYTES_MAX) : objectName('', name, String(pass))
    if (catalog.typeByName(namespace, made) === undefined) return made
  }
}
