/**
 * Numbers as PostgreSQL 15 reads them. libpg-query holds the grammar of a later version, which takes 1_000, 0x1F, 0o17 and
 * 0b101 for numbers; version 15 refuses them, as it refuses every number or parameter with letters directly behind it:
 *
 *     select 1_000      trailing junk after numeric literal at or near "1_000"
 *     select $1a        trailing junk after parameter at or near "$1a"
 */

export interface Junk {
  readonly message: string
  /** Characters from 1. */
  readonly position: number
}

/** What must be in a text before it is read by tokens: most statements stop here. */
const SUSPECT = /\d_\d|0[xXoObB]|\$\d+[A-Za-z_\u0080-\uffff]/

const IDENTIFIER = '[A-Za-z_\\u0080-\\uffff][\\w$\\u0080-\\uffff]*'
const NUMBER = '(?:\\d+(?:\\.(?!\\.)\\d*)?|\\.\\d+)(?:[eE][+-]?\\d+)?'
const TOKEN = new RegExp(
  [
    "[eE]'(?:[^'\\\\]|\\\\[^]|'')*'",
    "'(?:[^']|'')*'",
    '"(?:[^"]|"")*"',
    '--[^\\n\\r]*',
    '(?<comment>/\\*)',
    `(?<dollar>\\$(?:${IDENTIFIER.replace('$', '')})?\\$)`,
    `(?<parameter>\\$\\d+${IDENTIFIER})`,
    IDENTIFIER,
    `(?<junk>${NUMBER}${IDENTIFIER})`,
    NUMBER,
    '[^]',
  ].join('|'),
  'gy',
)

/** The first number or parameter with something directly behind it. */
export function findJunk(sql: string): Junk | undefined {
  if (!SUSPECT.test(sql)) return undefined
  TOKEN.lastIndex = 0
  for (let match = TOKEN.exec(sql); match !== null; match = TOKEN.exec(sql)) {
    const { comment, dollar, parameter, junk } = match.groups!
    const found = parameter ?? junk
    if (found !== undefined) {
      const kind = parameter === undefined ? 'numeric literal' : 'parameter'
      return {
        message: `trailing junk after ${kind} at or near "${found}"`,
        position: charactersTo(sql, match.index) + 1,
      }
    }
    if (comment !== undefined) TOKEN.lastIndex = afterComment(sql, match.index)
    else if (dollar !== undefined) {
      const end = sql.indexOf(dollar, TOKEN.lastIndex)
      if (end < 0) return undefined
      TOKEN.lastIndex = end + dollar.length
    }
  }
  return undefined
}

/** Comments nest. */
function afterComment(sql: string, from: number): number {
  const edge = /\/\*|\*\//g
  edge.lastIndex = from
  let depth = 0
  for (let match = edge.exec(sql); match !== null; match = edge.exec(sql)) {
    depth += match[0] === '/*' ? 1 : -1
    if (depth === 0) return edge.lastIndex
  }
  return sql.length
}

/** Characters, where a string counts UTF-16 units. */
const charactersTo = (sql: string, index: number): number => [...sql.slice(0, index)].length
