/** COPY's options, checked in PostgreSQL's order and words (PostgreSQL 15 manual, COPY). */
import type { CopyStmt, Node } from '@pgsql/types'
import { type BindContext, errorAt, namesOf } from '../../binder/binder.ts'
import { notSupported, sqlError } from '../../types/error.ts'
import { encodingName, isSingleByte } from '../../types/text/encodings.ts'

export interface CopyOptions {
  readonly format: 'text' | 'csv' | 'binary'
  readonly delimiter: string
  readonly null: string
  /** 'match': the header line has to name the columns. */
  readonly header: boolean | 'match'
  readonly quote: string
  readonly escape: string
  /** Column names, or all. */
  readonly forceQuote: readonly string[] | 'all'
  readonly forceNotNull: readonly string[]
  readonly forceNull: readonly string[]
  /** Of the data; undefined: the client's. */
  readonly encoding?: string | undefined
}

interface Given {
  readonly arg: Node | undefined
  readonly location: number | undefined
}

const KNOWN = [
  'format',
  'freeze',
  'delimiter',
  'null',
  'header',
  'quote',
  'escape',
  'force_quote',
  'force_not_null',
  'force_null',
  'encoding',
]

export function copyOptions(b: BindContext, node: CopyStmt): CopyOptions {
  const isFrom = node.is_from === true
  const given = new Map<string, Given>()
  for (const option of node.options ?? []) {
    if (!('DefElem' in option)) continue
    const { defname, arg, location } = option.DefElem
    const name = defname!
    if (given.has(name)) throw errorAt(b, '42601', 'conflicting or redundant options', location)
    if (!KNOWN.includes(name)) throw errorAt(b, '42601', `option "${name}" not recognized`, location)
    given.set(name, { arg, location })
  }
  const text = (name: string): string | undefined => {
    const found = given.get(name)
    return found === undefined ? undefined : textOf(found.arg)
  }
  const format = text('format') ?? 'text'
  if (format !== 'text' && format !== 'csv' && format !== 'binary')
    throw errorAt(b, '22023', `COPY format "${format}" not recognized`, given.get('format')!.location)
  const isCsv = format === 'csv'
  const isBinary = format === 'binary'
  if (given.has('freeze')) truth('freeze', given.get('freeze')!.arg)
  const header = headerOf(given.get('header'), isFrom)
  const encoding = encodingOf(b, given.get('encoding'))

  if (isBinary && given.has('delimiter')) throw sqlError('42601', 'cannot specify DELIMITER in BINARY mode')
  if (isBinary && given.has('null')) throw sqlError('42601', 'cannot specify NULL in BINARY mode')
  const delimiter = text('delimiter') ?? (isCsv ? ',' : '\t')
  const nullText = text('null') ?? (isCsv ? '' : '\\N')
  const quote = text('quote') ?? '"'
  const escapeChar = text('escape') ?? quote
  if (!isByte(delimiter)) throw sqlError('0A000', 'COPY delimiter must be a single one-byte character')
  if (/[\r\n]/.test(delimiter)) throw sqlError('22023', 'COPY delimiter cannot be newline or carriage return')
  if (/[\r\n]/.test(nullText)) throw sqlError('22023', 'COPY null representation cannot use newline or carriage return')
  if (!isCsv && /[\\.a-z0-9]/.test(delimiter)) throw sqlError('22023', `COPY delimiter cannot be "${delimiter}"`)
  if (isBinary && header !== false) throw sqlError('0A000', 'cannot specify HEADER in BINARY mode')
  if (!isCsv && given.has('quote')) throw sqlError('0A000', 'COPY quote available only in CSV mode')
  if (isCsv && !isByte(quote)) throw sqlError('0A000', 'COPY quote must be a single one-byte character')
  if (isCsv && delimiter === quote) throw sqlError('22023', 'COPY delimiter and quote must be different')
  if (!isCsv && given.has('escape')) throw sqlError('0A000', 'COPY escape available only in CSV mode')
  if (isCsv && !isByte(escapeChar)) throw sqlError('0A000', 'COPY escape must be a single one-byte character')
  for (const [name, words, direction] of [
    ['force_quote', 'force quote', 'TO'],
    ['force_not_null', 'force not null', 'FROM'],
    ['force_null', 'force null', 'FROM'],
  ] as const) {
    if (!given.has(name)) continue
    if (!isCsv) throw sqlError('0A000', `COPY ${words} available only in CSV mode`)
    if (isFrom !== (direction === 'FROM'))
      throw sqlError('0A000', `COPY ${words} only available using COPY ${direction}`)
  }
  if (nullText.includes(delimiter)) throw sqlError('0A000', 'COPY delimiter must not appear in the NULL specification')
  if (isCsv && nullText.includes(quote))
    throw sqlError('0A000', 'CSV quote character must not appear in the NULL specification')
  // FREEZE spares PostgreSQL a later vacuum of the loaded rows; versions here never have to be frozen, so it is met as it is.
  const list = (name: string): readonly string[] => {
    const arg = given.get(name)?.arg
    return arg !== undefined && 'List' in arg ? namesOf(arg.List.items) : []
  }
  const quoted = given.get('force_quote')?.arg
  return {
    format,
    encoding,
    delimiter,
    null: nullText,
    header,
    quote,
    escape: escapeChar,
    forceQuote: quoted !== undefined && 'A_Star' in quoted ? 'all' : list('force_quote'),
    forceNotNull: list('force_not_null'),
    forceNull: list('force_null'),
  }
}

const isByte = (text: string): boolean => text.length === 1 && text.charCodeAt(0) < 0x80

function textOf(arg: Node | undefined): string {
  if (arg === undefined) return ''
  if ('String' in arg) return arg.String.sval ?? ''
  if ('Integer' in arg) return String(arg.Integer.ival ?? 0)
  if ('Float' in arg) return arg.Float.fval ?? ''
  if ('Boolean' in arg) return arg.Boolean.boolval ? 'true' : 'false'
  if ('A_Const' in arg) return arg.A_Const.sval?.sval ?? ''
  return ''
}
const TRUE = new Set(['true', 'on', '1'])
const FALSE = new Set(['false', 'off', '0'])
function truth(name: string, arg: Node | undefined): boolean {
  if (arg === undefined) return true
  const text = textOf(arg).toLowerCase()
  if (TRUE.has(text)) return true
  if (FALSE.has(text)) return false
  throw sqlError('42601', `${name} requires a Boolean value`)
}
function headerOf(given: Given | undefined, isFrom: boolean): boolean | 'match' {
  if (given === undefined) return false
  const text = given.arg === undefined ? 'true' : textOf(given.arg).toLowerCase()
  if (TRUE.has(text)) return true
  if (FALSE.has(text)) return false
  if (text !== 'match') throw sqlError('42601', 'header requires a Boolean value or "match"')
  if (!isFrom) throw sqlError('0A000', 'cannot use "match" with HEADER in COPY TO')
  return 'match'
}

/** The character set of ENCODING; undefined: it is not given. */
function encodingOf(b: BindContext, given: Given | undefined): string | undefined {
  if (given === undefined) return undefined
  const text = textOf(given.arg)
  const name = encodingName(text)
  if (name === undefined)
    throw errorAt(b, '22023', 'argument to option "encoding" must be a valid encoding name', given.location)
  if (name !== 'UTF8' && name !== 'SQL_ASCII' && !isSingleByte(name)) throw notSupported(`COPY with encoding ${text}`)
  return name
}
