/** pg_describe_object, pg_identify_object: any object of any class in words, and as a name that finds it again. */
import { type Oid, oid } from '../../storage/keys/brand.ts'
import type { FunctionTable } from '../types/function.ts'
import { OID } from '../types/oids.ts'
import { RecordValue, type Value } from '../types/value.ts'
import { type CatalogCallContext, fromCatalog } from './call-context.ts'
import type { ColumnRow, RelationRow } from './catalog.ts'
import { CLASS } from './classes.ts'
import { seenSchema } from './extension-home.ts'
import { findConstraint, findDomainConstraint } from './functions-show.ts'
import {
  formatType,
  functionSignature,
  namespaceUnless,
  operatorSignature,
  quoteIdentifier,
  quoteQualified,
  relationName,
} from './names.ts'
import { columnOf, dataTable, type FieldReader, fields, reader } from './tsv.ts'
import { defaultOid } from './virtual-relations.ts'

const RELATION_WORDS: Readonly<Record<RelationRow['kind'], string>> = {
  r: 'table',
  i: 'index',
  S: 'sequence',
  v: 'view',
  m: 'materialized view',
  c: 'composite type',
  t: 'toast table',
  p: 'table',
} // prettier-ignore

const relationText = (c: CatalogCallContext, row: RelationRow): string =>
  `${RELATION_WORDS[row.kind]} ${relationName(c, row)}`

/** What one class of object is called: undefined when it does not exist. */
interface Described {
  /** 'table p', 'column id of table p'. */
  readonly text: string
  /** pg_identify_object: 'table', 'table column', 'function' … */
  readonly type: string
  readonly schema?: string | undefined
  readonly name?: string | undefined
  readonly identity: string
}
type Describe = (c: CatalogCallContext, object: Oid, sub: number) => Described | undefined

const namespaceName = (c: CatalogCallContext, namespace: Oid): string | undefined =>
  c.catalog.namespace(namespace)?.name
const qualify = (c: CatalogCallContext, namespace: Oid, name: string): string =>
  quoteQualified(namespaceName(c, namespace), name)

/** Objects that only the data files have: their name and schema columns. */
const fromData =
  (table: string, word: string, type: string, nameColumn: string, namespaceColumn?: string): Describe =>
  (c, object) => {
    const data = dataTable(table)
    const line = data.lines.find((each) => each.startsWith(`${object}\t`))
    if (line === undefined) return undefined
    const row = fields(line)
    const name = row[columnOf(data, nameColumn)]!
    const namespace = namespaceColumn === undefined ? undefined : oid(Number(row[columnOf(data, namespaceColumn)]))
    const shown =
      namespace === undefined
        ? quoteIdentifier(name)
        : quoteQualified(namespaceUnless(c, c.searchPath.includes(namespace), namespace), name)
    return {
      text: `${word} ${namespace === undefined ? name : shown}`,
      type,
      schema: namespace === undefined ? undefined : namespaceName(c, namespace),
      name: quoteIdentifier(name),
      identity: namespace === undefined ? quoteIdentifier(name) : qualify(c, namespace, name),
    }
  }

const plain = (word: string, type: string, name: string): Described => ({
  text: `${word} ${name}`,
  type,
  name: quoteIdentifier(name),
  identity: quoteIdentifier(name),
})

const CLASSES: ReadonlyMap<Oid, Describe> = new Map<Oid, Describe>([
  [CLASS.relation, describeRelation],
  [
    CLASS.type,
    (c, object) => {
      const row = c.catalog.typeRow(object)
      if (row === undefined) return undefined
      return {
        text: `type ${formatType(c, object)}`,
        type: 'type',
        schema: namespaceName(c, row.namespace),
        name: quoteIdentifier(row.name),
        identity: formatType(c, object, undefined, true),
      }
    },
  ],
  [
    CLASS.function,
    (c, object) => {
      const row = c.catalog.function(object)
      if (row === undefined) return undefined
      const type = row.kind === 'a' ? 'aggregate' : row.kind === 'p' ? 'procedure' : 'function'
      return {
        text: `function ${functionSignature(c, row)}`,
        type,
        schema: namespaceName(c, row.namespace),
        identity: functionSignature(c, row, true),
      }
    },
  ],
  [
    CLASS.operator,
    (c, object) => {
      const row = c.catalog.operator(object)
      if (row === undefined) return undefined
      const schema = namespaceName(c, row.namespace)
      return {
        text: `operator ${operatorSignature(c, row)}`,
        type: 'operator',
        schema,
        identity: operatorSignature(c, row, true),
      }
    },
  ],
  [CLASS.namespace, (c, object) => named(namespaceName(c, object), 'schema', 'schema')],
  [CLASS.role, (c, object) => named(c.catalog.role(object)?.name, 'role', 'role')],
  [CLASS.database, (c, object) => named(c.catalog.database(object)?.name, 'database', 'database')],
  [
    CLASS.extension,
    (c, object) => {
      for (const row of c.catalog.extensions()) if (row.oid === object) return plain('extension', 'extension', row.name)
      return fromData('pg_extension', 'extension', 'extension', 'extname')(c, object, 0)
    },
  ],
  [
    CLASS.collation,
    (c, object) => {
      const row = c.catalog.collation(object)
      if (row === undefined) return undefined
      const visible = c.searchPath.includes(row.namespace)
      return {
        text: `collation ${quoteQualified(namespaceUnless(c, visible, row.namespace), row.name)}`,
        type: 'collation',
        schema: namespaceName(c, row.namespace),
        name: quoteIdentifier(row.name),
        identity: qualify(c, row.namespace, row.name),
      }
    },
  ],
  [CLASS.constraint, describeConstraint],
  [CLASS.attrdef, describeDefault],
  [
    CLASS.rewrite,
    (c, object) => {
      const row = ruleOwner(c, object)
      if (row === undefined) return undefined
      return {
        text: `rule _RETURN on ${relationText(c, row)}`,
        type: 'rule',
        identity: `"_RETURN" on ${qualify(c, row.namespace, row.name)}`,
      }
    },
  ],
  [
    CLASS.cast,
    (c, object) => {
      const data = dataTable('pg_cast')
      const line = data.lines.find((each) => each.startsWith(`${object}\t`))
      if (line === undefined) return undefined
      const [, source, target] = fields(line)
      const words = (qualified: boolean): string =>
        [source, target]
          .map((type) => formatType(c, oid(Number(type)), undefined, qualified))
          .join(qualified ? ' AS ' : ' to ')
      return { text: `cast from ${words(false)}`, type: 'cast', identity: `(${words(true)})` }
    },
  ],
  [
    CLASS.opclass,
    (c, object) => {
      const row = c.catalog.opclass(object)
      if (row === undefined) return undefined
      const visible = c.searchPath.includes(row.namespace)
      return {
        text: `operator class ${quoteQualified(namespaceUnless(c, visible, row.namespace), row.name)} for access method ${row.method}`,
        type: 'operator class',
        schema: namespaceName(c, row.namespace),
        name: quoteIdentifier(row.name),
        identity: `${qualify(c, row.namespace, row.name)} USING ${quoteIdentifier(row.method)}`,
      }
    },
  ],
  [
    CLASS.opfamily,
    (c, object) => {
      const family = familyOf(c, object)
      if (family === undefined) return undefined
      return {
        text: family.text,
        type: 'operator family',
        schema: namespaceName(c, family.namespace),
        name: quoteIdentifier(family.name),
        identity: family.identity,
      }
    },
  ],
  [
    CLASS.familyOperator,
    (c, object) =>
      familyMember(c, object, 'pg_amop', 'amop', 'strategy', 'operator', (row) => {
        const operator = c.catalog.operator(oid(row.number('amopopr')))
        return operator && operatorSignature(c, operator)
      }),
  ],
  [
    CLASS.familyFunction,
    (c, object) =>
      familyMember(c, object, 'pg_amproc', 'amproc', 'num', 'function', (row) => {
        const fn = c.catalog.function(oid(row.number('amproc')))
        return fn && functionSignature(c, fn)
      }),
  ],
  [CLASS.language, fromData('pg_language', 'language', 'language', 'lanname')],
  [CLASS.accessMethod, fromData('pg_am', 'access method', 'access method', 'amname')],
  [CLASS.tablespace, fromData('pg_tablespace', 'tablespace', 'tablespace', 'spcname')],
  [CLASS.conversion, fromData('pg_conversion', 'conversion', 'conversion', 'conname', 'connamespace')],
  [
    CLASS.tsConfig,
    fromData('pg_ts_config', 'text search configuration', 'text search configuration', 'cfgname', 'cfgnamespace'),
  ],
  [
    CLASS.tsDict,
    fromData('pg_ts_dict', 'text search dictionary', 'text search dictionary', 'dictname', 'dictnamespace'),
  ],
  [CLASS.tsParser, fromData('pg_ts_parser', 'text search parser', 'text search parser', 'prsname', 'prsnamespace')],
  [
    CLASS.tsTemplate,
    fromData('pg_ts_template', 'text search template', 'text search template', 'tmplname', 'tmplnamespace'),
  ],
])

export const readRow = (table: string, object: Oid): FieldReader | undefined => {
  const data = dataTable(table)
  const line = data.lines.find((each) => each.startsWith(`${object}\t`))
  return line === undefined ? undefined : reader(data, line)
}

export function familyOf(c: CatalogCallContext, object: Oid) {
  const row = readRow('pg_opfamily', object)
  const method = row && readRow('pg_am', oid(row.number('opfmethod')))?.text('amname')
  if (row === undefined || method === undefined) return undefined
  const name = row.text('opfname')
  const namespace = seenSchema(c.catalog, 'opfamily', object, oid(row.number('opfnamespace')))
  const shown = quoteQualified(namespaceUnless(c, c.searchPath.includes(namespace), namespace), name)
  return {
    name,
    namespace,
    method,
    text: `operator family ${shown} for access method ${method}`,
    identity: `${qualify(c, namespace, name)} USING ${quoteIdentifier(method)}`,
  }
}

/** An operator or function of an operator family: its number, the types it is for, and what it is. */
function familyMember(
  c: CatalogCallContext,
  object: Oid,
  table: string,
  prefix: string,
  number: string,
  word: string,
  memberOf: (row: FieldReader) => string | undefined,
): Described | undefined {
  const row = readRow(table, object)
  const family = row && familyOf(c, oid(row.number(`${prefix}family`)))
  if (row === undefined || family === undefined) return undefined
  const types = (qualified: boolean): string =>
    ['left', 'right']
      .map((side) => formatType(c, oid(row.number(`${prefix}${side}type`)), undefined, qualified))
      .join(', ')
  const numbered = `${word} ${row.text(`${prefix}${number}`)}`
  return {
    text: `${numbered} (${types(false)}) of ${family.text}: ${memberOf(row)}`,
    type: `${word} of access method`,
    identity: `${numbered} (${types(true)}) of ${family.identity}`,
  }
}

/** The view of a rule: a user view's rule has its view's oid, a system view's is in the data. */
export function ruleOwner(c: CatalogCallContext, rule: Oid): RelationRow | undefined {
  const line = dataTable('pg_rewrite').lines.find((each) => each.startsWith(`${rule}\t`))
  const row = c.catalog.relation(line === undefined ? rule : oid(Number(fields(line)[2])))
  return row?.view === undefined ? undefined : row
}

const named = (name: string | undefined, word: string, type: string): Described | undefined =>
  name === undefined ? undefined : plain(word, type, name)

function describeRelation(c: CatalogCallContext, object: Oid, sub: number): Described | undefined {
  const row = c.catalog.relation(object)
  if (row === undefined) return undefined
  const identity = qualify(c, row.namespace, row.name)
  const schema = namespaceName(c, row.namespace)
  if (sub === 0)
    return {
      text: relationText(c, row),
      type: RELATION_WORDS[row.kind],
      schema,
      name: quoteIdentifier(row.name),
      identity,
    }
  const column = row.columns[sub - 1]
  if (column === undefined || column.dropped) return undefined
  return {
    text: `column ${column.name} of ${relationText(c, row)}`,
    type: `${RELATION_WORDS[row.kind]} column`,
    schema,
    name: quoteIdentifier(row.name),
    identity: `${identity}.${quoteIdentifier(column.name)}`,
  }
}

function describeConstraint(c: CatalogCallContext, object: Oid): Described | undefined {
  const found = findConstraint(c, object)
  if (found !== undefined) {
    const { table, constraint } = found
    return {
      text: `constraint ${constraint.name} on ${relationText(c, table)}`,
      type: 'table constraint',
      schema: namespaceName(c, table.namespace),
      identity: `${quoteIdentifier(constraint.name)} on ${qualify(c, table.namespace, table.name)}`,
    }
  }
  const domain = findDomainConstraint(c, object)
  if (domain === undefined) return undefined
  const { type, check } = domain
  return {
    text: `constraint ${check.name}`,
    type: 'domain constraint',
    schema: namespaceName(c, type.namespace),
    identity: `${quoteIdentifier(check.name)} on ${qualify(c, type.namespace, type.name)}`,
  }
}

/** By pg_attrdef.oid. */
export function findDefault(
  c: CatalogCallContext,
  object: Oid,
): { readonly row: RelationRow; readonly column: ColumnRow } | undefined {
  for (const row of c.catalog.relations()) {
    for (const column of row.columns)
      if (column.default !== undefined && defaultOid(row.oid, column.number) === object) return { row, column }
  }
  return undefined
}
function describeDefault(c: CatalogCallContext, object: Oid): Described | undefined {
  const found = findDefault(c, object)
  if (found === undefined) return undefined
  const { row, column } = found
  return {
    text: `default value for column ${column.name} of ${relationText(c, row)}`,
    type: 'default value',
    identity: `for ${qualify(c, row.namespace, row.name)}.${quoteIdentifier(column.name)}`,
  }
}

export function describe(c: CatalogCallContext, classOid: number, object: number, sub: number): Described | undefined {
  return CLASSES.get(oid(classOid))?.(c, oid(object), sub)
}

const IDENTIFIED = [OID.text, OID.text, OID.text, OID.text]

export const DESCRIBE_FUNCTIONS: FunctionTable = {
  pg_describe_object: fromCatalog(
    (c, classOid: number, object: number, sub: number): Value => describe(c, classOid, object, sub)?.text ?? null,
  ),
  pg_identify_object: fromCatalog((c, classOid: number, object: number, sub: number): Value => {
    const found = describe(c, classOid, object, sub)
    if (found === undefined) return new RecordValue([null, null, null, null], IDENTIFIED)
    return new RecordValue(
      [
        found.type,
        found.schema === undefined ? null : quoteIdentifier(found.schema),
        found.name ?? null,
        found.identity,
      ],
      IDENTIFIED,
    )
  }),
}
