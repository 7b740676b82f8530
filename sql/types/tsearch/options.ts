/** Options as text, as ts_headline takes them: `MaxWords=10, StartSel='<em>', "HighlightAll" = on`. */
import { type SqlError, sqlError } from '../error.ts'

const KEY = /[\s,]*(?:"((?:[^"]|"")*)"|([A-Za-z0-9_][^\s=]*))\s*=\s*/y
const BARE = /[^\s,]+/y

/** Names as they were written, in order. Throws 42601. */
export function parseOptions(text: string): [name: string, value: string][] {
  const options: [string, string][] = []
  const broken = (): SqlError => sqlError('42601', `invalid parameter list format: "${text}"`)
  let at = 0
  for (;;) {
    if (/^[\s,]*$/.test(text.slice(at))) return options
    KEY.lastIndex = at
    const key = KEY.exec(text)
    if (key === null) throw broken()
    at = KEY.lastIndex
    const name = key[1]?.replaceAll('""', '"') ?? key[2]!
    const quote = text[at] === 'E' && text[at + 1] === "'" ? "'" : text[at]
    if (quote === "'" || quote === '"') {
      const value = quoted(text, text[at] === 'E' ? at + 2 : at + 1, quote)
      if (value === undefined) throw broken()
      options.push([name, value.text])
      at = value.end
      continue
    }
    BARE.lastIndex = at
    const bare = BARE.exec(text)
    if (bare === null) throw broken()
    options.push([name, bare[0]])
    at = BARE.lastIndex
  }
}

/** Up to the closing quote: doubled quotes, and in single quotes doubled backslashes, stand for one. */
function quoted(text: string, start: number, quote: string): { text: string; end: number } | undefined {
  let value = ''
  for (let at = start; at < text.length; at++) {
    const c = text[at]!
    const doubled = text[at + 1] === c
    if (c === quote && !doubled) return { text: value, end: at + 1 }
    if (c === quote || (c === '\\' && quote === "'" && doubled)) at++
    value += c
  }
  return undefined
}
