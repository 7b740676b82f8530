/**
 * Statements and their answers as text:
 *
 *     select 'a b'::tsvector            one statement a line
 *     = 'a' 'b'                         its rows, columns between |, NULL as ∅
 *     NOTICE: …                         what was said, before the rows
 *     ERROR 42601: syntax error in …    or the error
 */
export interface Statement {
  readonly sql: string
  readonly comment: boolean
  readonly expected: string[]
}

export function readStatements(text: string): Statement[] {
  const statements: Statement[] = []
  for (const line of text.split('\n').slice(0, -1)) {
    if (/^(= |NOTICE: |ERROR |DETAIL: |HINT: )/.test(line)) statements.at(-1)!.expected.push(line)
    else statements.push({ sql: line, comment: line === '' || line.startsWith('#'), expected: [] })
  }
  return statements
}
