/** Identifiers and literals as they must be written in SQL. Source: PostgreSQL manual, quote_ident and quote_literal. */

import { KEYWORDS_THAT_NEED_QUOTES } from './keywords.ts'
import { doubled } from './long.ts'

const PLAIN_IDENTIFIER = /^[a-z_][a-z0-9_]*$/

export const quoteIdent = (name: string): string =>
  PLAIN_IDENTIFIER.test(name) && !KEYWORDS_THAT_NEED_QUOTES.has(name) ? name : `"${name.replaceAll('"', '""')}"`

export function quoteLiteral(text: string): string {
  const quoted = `'${doubled(text, "'")}'`
  return text.includes('\\') ? `E${doubled(quoted, '\\')}` : quoted
}
