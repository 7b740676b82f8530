/**
 * The templates of to_char, to_date and to_timestamp, 'YYYY-MM-DD HH24:MI:SS' (PostgreSQL 15 manual, 9.8), cut into
 * patterns, separators and plain text. A pattern is found by the first keyword of the table that fits, longer ones first.
 */
import { sqlError } from '../error.ts'

/** What a pattern stands for, in any case. */
const FIELDS = [
  'AD',
  'AM',
  'CC',
  'D',
  'DAY',
  'DD',
  'DDD',
  'DY',
  'FF',
  'FX',
  'HH12',
  'HH24',
  'I',
  'ID',
  'IDDD',
  'IW',
  'IY',
  'IYY',
  'IYYY',
  'J',
  'MI',
  'MM',
  'MON',
  'MONTH',
  'MS',
  'OF',
  'Q',
  'RM',
  'SS',
  'SSSS',
  'TZ',
  'TZH',
  'TZM',
  'US',
  'W',
  'WW',
  'Y',
  'Y,YYY',
  'YY',
  'YYY',
  'YYYY',
] as const
export type Field = (typeof FIELDS)[number]

export interface Pattern {
  readonly kind: 'pattern'
  readonly field: Field
  /** As the table spells it, which error messages show. */
  readonly name: string
  /** How letters come out. */
  readonly letters: 'upper' | 'lower' | 'title'
  /** With points: A.M., B.C. */
  readonly isDotted: boolean
  /** Of FF1 to FF6. */
  readonly precision: number
  /** FM: no padding. */
  readonly isFill: boolean
  /** TM: the locale's names, which here are the same without padding. */
  readonly isTranslated: boolean
  /** TH or th. */
  readonly ordinal: 'upper' | 'lower' | undefined
}

export type Node =
  | Pattern
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'separator'; readonly text: string }
  | { readonly kind: 'space'; readonly text: string }

interface Keyword {
  readonly name: string
  readonly field: Field
  readonly letters: Pattern['letters']
  readonly isDotted: boolean
  readonly precision: number
}

const UPPER =
  'A.D. A.M. AD AM B.C. BC CC DAY DDD DD DY Day Dy D FF1 FF2 FF3 FF4 FF5 FF6 FX HH24 HH12 HH IDDD ID IW IYYY IYY IY I ' +
  'J MI MM MONTH MON MS Month Mon OF P.M. PM Q RM SSSSS SSSS SS TZH TZM TZ US WW W Y,YYY YYYY YYY YY Y'

const ALIASES: Record<string, Field> = {
  'A.D.': 'AD',
  'B.C.': 'AD',
  BC: 'AD',
  'A.M.': 'AM',
  'P.M.': 'AM',
  PM: 'AM',
  HH: 'HH12',
  SSSSS: 'SSSS',
}

function keyword(name: string): Keyword {
  const upper = name.toUpperCase()
  const precision = /^FF([1-6])$/.exec(upper)?.[1]
  // The constant of the list itself, since comparing it is quick where a string made just now is not.
  const field = precision === undefined ? (ALIASES[upper] ?? FIELDS.find((known) => known === upper)) : 'FF'
  if (field === undefined) throw new RangeError(`${name} is no field`)
  return {
    name,
    field,
    letters: name === upper ? 'upper' : name === name.toLowerCase() ? 'lower' : 'title',
    isDotted: name.includes('.'),
    precision: Number(precision ?? 0),
  }
}

/** By first letter, in the order they are tried. */
const KEYWORDS = new Map<string, Keyword[]>()
const spelled = UPPER.split(' ')
for (const name of [...spelled, ...spelled.filter((n) => n === n.toUpperCase()).map((n) => n.toLowerCase())]) {
  const first = name[0] ?? ''
  KEYWORDS.set(first, [...(KEYWORDS.get(first) ?? []), keyword(name)])
}

/** Fields that read digits: a number before one of these is read with its full width only. */
const NOT_DIGITS: ReadonlySet<Field> = new Set<Field>([
  'AD',
  'AM',
  'DAY',
  'DY',
  'FX',
  'MON',
  'MONTH',
  'OF',
  'RM',
  'TZ',
  'TZH',
])
export const isDigitField = (field: Field): boolean => !NOT_DIGITS.has(field)

const isSpace = (c: string): boolean => /[ \t\n\v\f\r]/.test(c)
export const isSeparator = (c: string): boolean => /^[!-/:-@[-`{-~]$/.test(c)

const STANDARD_SEPARATORS = "-./,':; "

function parse(template: string, isStandard: boolean): Node[] {
  const nodes: Node[] = []
  let at = 0
  while (at < template.length) {
    let isFill = false
    let isTranslated = false
    const prefix = template.slice(at, at + 2)
    if (prefix === 'FM' || prefix === 'fm') isFill = true
    else if (prefix === 'TM' || prefix === 'tm') isTranslated = true
    if (isFill || isTranslated) at += 2
    const first = template[at]
    if (first === undefined) break
    const found = KEYWORDS.get(first)?.find(({ name }) => template.startsWith(name, at))
    if (found !== undefined) {
      at += found.name.length
      const suffix = template.slice(at, at + 2)
      const ordinal = suffix === 'TH' ? 'upper' : suffix === 'th' ? 'lower' : undefined
      if (ordinal !== undefined || suffix === 'SP') at += 2
      nodes.push({ kind: 'pattern', ...found, isFill, isTranslated, ordinal })
      continue
    }
    if (first === '"') {
      at++
      while (at < template.length) {
        if (template[at] === '"') {
          at++
          break
        }
        if (template[at] === '\\' && at + 1 < template.length) at++
        const text = String.fromCodePoint(template.codePointAt(at) ?? 0)
        nodes.push({ kind: 'text', text })
        at += text.length
      }
      continue
    }
    if (first === '\\' && template[at + 1] === '"' && !isStandard) at++
    const text = String.fromCodePoint(template.codePointAt(at) ?? 0)
    at += text.length
    if (isStandard && !STANDARD_SEPARATORS.includes(text))
      throw sqlError('22007', `invalid datetime format separator: "${text}"`)
    nodes.push({ kind: isSeparator(text) ? 'separator' : isSpace(text) ? 'space' : 'text', text })
  }
  return nodes
}

const CACHE_MAX = 256 // templates kept; statements use few
const cache = new Map<string, readonly Node[]>()

/** `isStandard`: SQL/JSON's templates, whose separators are few (22007). */
export function parseTemplate(template: string, isStandard = false): readonly Node[] {
  const key = isStandard ? `\0${template}` : template
  const known = cache.get(key)
  if (known !== undefined) return known
  const nodes = parse(template, isStandard)
  if (cache.size >= CACHE_MAX) cache.clear()
  cache.set(key, nodes)
  return nodes
}

export const FULL_MONTHS = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
] as const
export const FULL_DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'] as const
export const ROMAN_MONTHS = ['I', 'II', 'III', 'IV', 'V', 'VI', 'VII', 'VIII', 'IX', 'X', 'XI', 'XII'] as const
