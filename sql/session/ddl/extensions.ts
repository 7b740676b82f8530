/**
 * CREATE EXTENSION and DROP EXTENSION: vector and plpgsql are part of the server, so that creating one only says so; of an
 * extension of functions each becomes a function of its schema that belongs to it.
 */
import { type Oid, oid } from '../../../storage/keys/brand.ts'
import { invariant } from '../../../storage/keys/invariant.ts'
import { CLASS } from '../../catalog/classes.ts'
import { sqlError } from '../../types/error.ts'
import { FUNCTION_EXTENSIONS } from '../../types/extension/extensions.ts'
import { PG_CATALOG } from '../../types/oids.ts'
import { EXTENSION } from '../../types/vector/catalog-rows.ts'
import { setComment } from './comment.ts'
import { creationNamespace, type Ddl, defineDdl, notice, requireRight, requireSchema, roleOf } from './context.ts'

const AVAILABLE: Readonly<Record<string, { readonly version: string; readonly comment: string }>> = {
  vector: EXTENSION,
  plpgsql: { version: '1.0', comment: 'PL/pgSQL procedural language' },
  ...Object.fromEntries(FUNCTION_EXTENSIONS.map((each) => [each.name, each])),
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
    for (const declaration of FUNCTION_EXTENSIONS.find((each) => each.name === name)?.functions ?? [])
      createMember(ddl, declaration, namespace, made)
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

const DECLARATION = /^(\w+)\(([^)]*)\) (\w+) ([iv])(?: = (\w+))?$/
const LANGUAGE_C = oid(13)

/** One function of an extension, as FunctionExtension.functions writes it. */
function createMember(ddl: Ddl, declaration: string, namespace: Oid, extension: Oid): void {
  const { editor } = ddl
  const [, name, list, result, volatility, source] = DECLARATION.exec(declaration) ?? []
  invariant(name !== undefined && list !== undefined, `an extension declares ${declaration}`)
  const typeOf = (type: string): Oid => {
    const row = editor.typeByName(PG_CATALOG, type)
    invariant(row, `an extension's function has type ${type}`)
    return row.oid
  }
  const args = list === '' ? [] : list.split(',').map((arg) => arg.split(' '))
  const argTypes = args.map((arg) => typeOf(arg.at(-1)!))
  const taken = editor
    .functionsByName(name)
    .some((row) => row.namespace === namespace && String(row.argTypes) === String(argTypes))
  if (taken) throw sqlError('42723', `function "${name}" already exists with same argument types`)
  const names = args.map((arg) => (arg.length > 1 ? arg[0]! : ''))
  editor.put('function', {
    oid: editor.nextOid(),
    name,
    namespace,
    owner: roleOf(ddl),
    language: LANGUAGE_C,
    kind: 'f',
    strict: name !== 'gen_random_uuid',
    returnsSet: false,
    volatility: volatility as 'i' | 'v',
    parallel: 's',
    argDefaults: 0,
    returnType: typeOf(result!),
    argTypes,
    ...(names.some((each) => each !== '') ? { argNames: names } : {}),
    variadic: oid(0),
    cost: 1,
    rows: 0,
    securityDefiner: false,
    leakproof: false,
    source: source ?? name,
    extension,
  })
}
