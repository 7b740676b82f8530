/** Catalog functions about one thing each: tablespaces, token types of text search, lists of types. */
import { oid } from '../../storage/keys/brand.ts'
import { sqlError } from '../types/error.ts'
import { type FunctionTable, set } from '../types/function.ts'
import { OID } from '../types/oids.ts'
import { configuration, currentConfiguration, dictionaryName, withoutSchema } from '../types/tsearch/dictionaries.ts'
import { TokenParser } from '../types/tsearch/token-parser.ts'
import { ArrayValue, RecordValue, type Value } from '../types/value.ts'
import { type CatalogCallContext, contextOf, fromCatalog } from './call-context.ts'
import { formatType } from './names.ts'
import { dataTable, fields } from './tsv.ts'

/** PostgreSQL's default text search parser: its token types, numbered from 1. */
const TOKEN_TYPES: readonly (readonly [alias: string, description: string])[] = [
  ['asciiword', 'Word, all ASCII'],
  ['word', 'Word, all letters'],
  ['numword', 'Word, letters and digits'],
  ['email', 'Email address'],
  ['url', 'URL'],
  ['host', 'Host'],
  ['sfloat', 'Scientific notation'],
  ['version', 'Version number'],
  ['hword_numpart', 'Hyphenated word part, letters and digits'],
  ['hword_part', 'Hyphenated word part, all letters'],
  ['hword_asciipart', 'Hyphenated word part, all ASCII'],
  ['blank', 'Space symbols'],
  ['tag', 'XML tag'],
  ['protocol', 'Protocol head'],
  ['numhword', 'Hyphenated word, letters and digits'],
  ['asciihword', 'Hyphenated word, all ASCII'],
  ['hword', 'Hyphenated word, all letters'],
  ['url_path', 'URL path'],
  ['file', 'File or path name'],
  ['float', 'Decimal notation'],
  ['int', 'Signed integer'],
  ['uint', 'Unsigned integer'],
  ['entity', 'XML entity'],
]
const TOKEN_FIELDS = [OID.int4, OID.text, OID.text]
const tokenTypes = (): Value[] =>
  TOKEN_TYPES.map(([alias, description], i) => new RecordValue([i + 1, alias, description], TOKEN_FIELDS))
const DEFAULT_PARSER = 3722

const DEBUG_FIELDS = [OID.text, OID.text, OID.text, oid(3770), oid(3769), OID.textArray]
/** ts_debug: every token with the dictionary that its type goes to and what that makes of it. */
function* debugged(c: CatalogCallContext, config: number, text: string): Iterable<Value> {
  const map = configuration(config, c)
  const name = withoutSchema(c.names?.configName(oid(config)) ?? '')
  const parser = new TokenParser(text)
  for (let token = parser.next(); token !== undefined; token = parser.next()) {
    const [alias, description] = TOKEN_TYPES[token.type - 1]!
    const asked = dictionaryName(name, token.type)
    const id = asked === undefined ? null : c.names!.findDictionary(`pg_catalog.${asked}`)
    const lexemes = map[token.type]?.(token.text)
    const found = lexemes === undefined ? null : ArrayValue.of(lexemes)
    yield new RecordValue(
      [alias, description, token.text, ArrayValue.of(id === null ? [] : [id]), id, found],
      DEBUG_FIELDS,
    )
  }
}

const tablespaces = (): (string | null)[][] => dataTable('pg_tablespace').lines.map(fields)
const GLOBAL_TABLESPACE = 1664
/** Everything is in pg_default; what the cluster shares has no size of its own. */
const tablespaceBytes = (c: CatalogCallContext, space: number): number =>
  space === GLOBAL_TABLESPACE ? 0 : [...c.catalog.databases()].reduce((sum, row) => sum + c.databaseBytes(row.oid), 0)

function tablespaceNamed(name: string): number {
  const row = tablespaces().find((each) => each[1] === name)
  if (row === undefined) throw sqlError('42704', `tablespace "${name}" does not exist`)
  return Number(row[0])
}

const noLonger = (name: string) =>
  fromCatalog(() => {
    throw sqlError('0A000', `${name} is no longer supported`)
  })

export const MORE_FUNCTIONS: FunctionTable = {
  oidvectortypes: fromCatalog((c, types: ArrayValue) =>
    types.elements.map((type) => formatType(c, oid(type as number))).join(', '),
  ),
  aclinsert: noLonger('aclinsert'),
  aclremove: noLonger('aclremove'),
  'ts_debug(regconfig,text)': set((call) => (config: number, text: string) => debugged(contextOf(call), config, text)),
  'ts_debug(text)': set((call) => (text: string) => {
    const c = contextOf(call)
    return debugged(c, currentConfiguration(c), text)
  }),
  ts_token_type_byid: set(() => (parser: number) => {
    if (parser !== DEFAULT_PARSER) throw sqlError('XX000', `cache lookup failed for text search parser ${parser}`)
    return tokenTypes()
  }),
  ts_token_type_byname: set(() => (parser: string) => {
    if (parser.replace(/^pg_catalog\./, '').replaceAll('"', '') !== 'default')
      throw sqlError('42704', `text search parser "${parser}" does not exist`)
    return tokenTypes()
  }),
  pg_tablespace_size_oid: fromCatalog((c, space: number) =>
    tablespaces().some((row) => Number(row[0]) === space) ? tablespaceBytes(c, space) : null,
  ),
  pg_tablespace_size_name: fromCatalog((c, name: string) => tablespaceBytes(c, tablespaceNamed(name))),
  pg_tablespace_databases: set((call) => (space: number) => {
    const own = space === GLOBAL_TABLESPACE ? [] : [...contextOf(call).catalog.databases()]
    return own.map((row): Value => row.oid)
  }),
  pg_get_replica_identity_index: fromCatalog((c, table: number): Value => {
    const row = c.catalog.relation(oid(table))
    for (const self of row?.indexes ?? []) if (c.catalog.relation(self)?.index?.primary === true) return self
    return null
  }),
  pg_database_collation_actual_version: fromCatalog(() => null),
}
