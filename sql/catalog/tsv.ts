/**
 * Reads sql/catalog/data: PostgreSQL's own catalog rows as text, one file a table in COPY's text form. A file is read and
 * cut into lines when first asked for; a line is cut into fields, and fields become values, only when someone wants them.
 */
import { readFileSync } from 'node:fs'
import { invariant } from '../../storage/keys/invariant.ts'
import { ArrayValue, type Value } from '../types/value.ts'
import { extraLines } from './extra-rows.ts'

export interface DataTable {
  readonly name: string
  readonly columns: readonly string[]
  /** As format_type prints them: 'oid', '"char"', 'oid[]'. */
  readonly types: readonly string[]
  readonly lines: readonly string[]
}

const EMPTY_COLUMNS: readonly string[] = []
const tables = new Map<string, DataTable>()
const FOLDER = new URL('./data/', import.meta.url)

/** The text of a data file, as 'views.sql'. */
export const dataText = (file: string): string => readFileSync(new URL(file, FOLDER), 'utf8')

/** A table without a file has no rows in a fresh database. */
export function dataTable(name: string): DataTable {
  let table = tables.get(name)
  if (table === undefined) {
    table = read(name)
    tables.set(name, table)
  }
  return table
}

function read(name: string): DataTable {
  let text: string
  try {
    text = dataText(`${name}.tsv`)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return { name, columns: EMPTY_COLUMNS, types: EMPTY_COLUMNS, lines: [] }
  }
  const lines = text.split('\n')
  lines.pop()
  const head = (lines.shift() ?? '').split('\t').map((field) => {
    const colon = field.indexOf(':')
    return [field.slice(0, colon), field.slice(colon + 1)] as const
  })
  const columns = head.map(([column]) => column)
  const types = head.map(([, type]) => type)
  lines.push(...extraLines(name, columns, types))
  return { name, columns, types, lines }
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', '\\': '\\' }

/** The fields of a line as text; null is NULL. */
export function fields(line: string): (string | null)[] {
  const out: (string | null)[] = line.split('\t')
  if (!line.includes('\\')) return out
  for (let i = 0; i < out.length; i++) {
    const field = out[i]!
    if (field === '\\N') out[i] = null
    else if (field.includes('\\')) out[i] = field.replace(/\\(.)/g, (_, c: string) => ESCAPES[c] ?? c)
  }
  return out
}

/** Position of a column; a wrong name is a mistake in the program. */
export function columnOf(table: DataTable, column: string): number {
  const at = table.columns.indexOf(column)
  invariant(at >= 0 || table.lines.length === 0, `no column ${column} in the data of ${table.name}`)
  return at
}

/** Reads fields by name: `const r = reader(table, line); r.number('oid')`. */
export interface FieldReader {
  text(column: string): string
  nullable(column: string): string | null
  number(column: string): number
  bool(column: string): boolean
  numbers(column: string): readonly number[]
  texts(column: string): readonly string[] | undefined
}

export function reader(table: DataTable, line: string): FieldReader {
  const values = fields(line)
  const nullable = (column: string): string | null => values[columnOf(table, column)] ?? null
  return {
    nullable,
    text: (column) => nullable(column) ?? '',
    number: (column) => Number(nullable(column) ?? 0),
    bool: (column) => nullable(column) === 't',
    numbers: (column) => numbersOf(nullable(column)),
    texts: (column) => {
      const text = nullable(column)
      return text === null ? undefined : parseTexts(text)
    },
  }
}

/** '{1,2}' or '1 2'. */
function numbersOf(text: string | null): readonly number[] {
  if (text === null || text === '' || text === '{}') return []
  return text.startsWith('{') ? text.slice(1, -1).split(',').map(Number) : text.split(' ').map(Number)
}

/** A one-dimensional text array's elements; NULL elements do not occur in the data. */
function parseTexts(text: string): string[] {
  const out: string[] = []
  let at = 1
  while (at < text.length - 1) {
    let item = ''
    if (text[at] === '"') {
      for (at++; text[at] !== '"'; at++) item += text[at] === '\\' ? text[++at]! : text[at]!
      at++
    } else {
      const end = text.indexOf(',', at)
      const stop = end < 0 ? text.length - 1 : end
      item = text.slice(at, stop)
      at = stop
    }
    out.push(item)
    at++
  }
  return out
}

const toNumber = (text: string): Value => Number(text)
const toText = (text: string): Value => text
const vector = (text: string): Value => {
  const elements = numbersOf(text)
  return new ArrayValue(elements, [elements.length], [0])
}
const numberArray = (text: string): Value => ArrayValue.of(numbersOf(text) as readonly number[])
const textArray = (text: string): Value => ArrayValue.of(parseTexts(text))

/** From the text of a type to its value in memory (sql/types/value.ts). */
const DECODERS: Readonly<Record<string, (text: string) => Value>> = {
  boolean: (text) => text === 't',
  oid: toNumber,
  regproc: toNumber,
  smallint: toNumber,
  integer: toNumber,
  'information_schema.cardinal_number': toNumber,
  bigint: toNumber,
  real: toNumber,
  xid: toNumber,
  int2vector: vector,
  oidvector: vector,
  'smallint[]': numberArray,
  'oid[]': numberArray,
  'text[]': textArray,
  '"char"[]': textArray,
  'aclitem[]': textArray,
}

/** A whole row as values. */
export function decodeRow(table: DataTable, line: string): Value[] {
  const texts = fields(line)
  return texts.map((text, i) => (text === null ? null : (DECODERS[table.types[i]!] ?? toText)(text)))
}
