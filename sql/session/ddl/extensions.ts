/** CREATE EXTENSION and DROP EXTENSION: vector and plpgsql are part of the server, so that creating one only says so. */

import type { Oid } from '../../../storage/keys/brand.ts'
import { CLASS } from '../../catalog/classes.ts'
import { sqlError } from '../../types/error.ts'
import { PG_CATALOG } from '../../types/oids.ts'
import { EXTENSION } from '../../types/vector/catalog-rows.ts'
import { setComment } from './comment.ts'
import { creationNamespace, defineDdl, notice, requireRight, requireSchema, roleOf } from './context.ts'

const AVAILABLE: Readonly<Record<string, { readonly version: string; readonly comment: string }>> = {
  vector: EXTENSION,
  plpgsql: { version: '1.0', comment: 'PL/pgSQL procedural language' },
}

export function registerExtensions(): void {
  defineDdl('CreateExtensionStmt', 'CREATE EXTENSION', (ddl, node) => {
    const name = node.extname!
    if ([...ddl.editor.extensions()].some((each) => each.name === name)) {
      if (node.if_not_exists !== true) throw sqlError('42710', `extension "${name}" already exists`)
      notice(ddl, `extension "${name}" already exists, skipping`, '42710')
      return 'CREATE EXTENSION'
    }
    const available = AVAILABLE[name]
    if (available === undefined) {
      throw sqlError('0A000', `extension "${name}" is not available`, {
        detail: `Could not open extension control file "/usr/share/postgresql/15/extension/${name}.control": No such file or directory.`,
        hint: 'The extension must first be installed on the system where PostgreSQL is running.',
      })
    }
    requireRight(ddl, 'database', ddl.editor.databaseOid, 'C', `permission denied to create extension "${name}"`)
    const { version, comment } = available
    let namespace: Oid | undefined = name === 'plpgsql' ? PG_CATALOG : undefined
    for (const option of node.options ?? []) {
      if (!('DefElem' in option)) continue
      const { defname, arg } = option.DefElem
      const text = arg !== undefined && 'String' in arg ? (arg.String.sval ?? '') : ''
      if (defname === 'schema') namespace = requireSchema(ddl, text).oid
      else if (defname === 'new_version' && text !== version)
        throw sqlError('22023', `extension "${name}" has no installation script nor update path for version "${text}"`)
    }
    namespace ??= creationNamespace(ddl, undefined).oid
    const made = ddl.editor.nextOid()
    ddl.editor.put('extension', { oid: made, name, owner: roleOf(ddl), namespace, version })
    setComment(ddl, CLASS.extension, made, 0, comment)
    return 'CREATE EXTENSION'
  })

  defineDdl('AlterExtensionStmt', 'ALTER EXTENSION', (ddl, node) => {
    const row = [...ddl.editor.extensions()].find((each) => each.name === node.extname)
    if (row === undefined) throw sqlError('42704', `extension "${node.extname}" does not exist`)
    for (const option of node.options ?? []) {
      if (!('DefElem' in option) || option.DefElem.defname !== 'new_version') continue
      const { arg } = option.DefElem
      const wanted = arg !== undefined && 'String' in arg ? (arg.String.sval ?? '') : ''
      if (wanted !== row.version)
        throw sqlError(
          '22023',
          `extension "${row.name}" has no update path from version "${row.version}" to version "${wanted}"`,
        )
    }
    notice(ddl, `version "${row.version}" of extension "${row.name}" is already installed`)
    return 'ALTER EXTENSION'
  })
}
