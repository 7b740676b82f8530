/**
 * The text under construction when a bound tree is printed as SQL, with PostgreSQL's line breaks and indentation: a
 * keyword that begins a clause ends the line before it and sets how far later ones are indented.
 */
import type { Expression } from '../plan/expression.ts'
import type { Query } from '../plan/query.ts'
import type { RelationRow } from './catalog.ts'
import type { NameScope } from './names.ts'

export const INDENT_STANDARD = 8
export const INDENT_JOIN = 4
const INDENT_ITEM = 4
const INDENT_LIMIT = 40

/** The relations that vars of one level name. */
export type Level =
  | { readonly kind: 'query'; readonly query: Query; readonly names: readonly string[]; readonly prefix: boolean }
  | { readonly kind: 'table'; readonly row: RelationRow }
  /** A domain's check: VALUE is column 1 of relation 0. */
  | { readonly kind: 'none' }

export interface PrintOptions {
  /** Leaves out parentheses that the grammar does not need (pg_get_expr(…, true)). */
  readonly pretty: boolean
  /** Breaks lines before clauses. */
  readonly indent: boolean
  /** Prints what only plans have (EXPLAIN); false: not such an expression. */
  readonly planned?: (p: Printer, e: Expression) => boolean
}

export class Printer {
  text = ''
  indentLevel = 0
  readonly scope: NameScope
  readonly options: PrintOptions
  /** Innermost first. */
  levels: readonly Level[]
  /** Parameters' names by position, where $n is not meant. */
  readonly printQuery: (p: Printer, query: Query, namesVisible: boolean) => void

  constructor(
    scope: NameScope,
    options: PrintOptions,
    levels: readonly Level[],
    printQuery: (p: Printer, query: Query, namesVisible: boolean) => void,
  ) {
    this.scope = scope
    this.options = options
    this.levels = levels
    this.printQuery = printQuery
  }

  /** Begins a line with a keyword where lines are broken: indentation changes by `before`, by `after` once it is written. */
  keyword(word: string, before: number, after: number, plus: number): void {
    if (!this.options.indent) {
      this.text += word
      return
    }
    this.indentLevel += before
    this.text = `${this.text.trimEnd()}\n`
    const amount =
      this.indentLevel < INDENT_LIMIT
        ? Math.max(this.indentLevel, 0) + plus
        : INDENT_LIMIT + (Math.floor((this.indentLevel - INDENT_LIMIT) / (INDENT_STANDARD / 2)) % INDENT_LIMIT) + plus
    this.text += ' '.repeat(amount) + word
    this.indentLevel = Math.max(0, this.indentLevel + after)
  }

  /** What `write` appends, taken off again. */
  capture(write: () => void): string {
    const before = this.text
    this.text = ''
    write()
    const captured = this.text
    this.text = before
    return captured
  }

  /** Appends an item of a list that wraps at column 0: each item after the first stands on a line of its own. */
  item(text: string, first: boolean): void {
    if (this.options.indent) {
      if (text.startsWith('\n')) this.text = this.text.trimEnd()
      else if (!first) this.keyword('', -INDENT_STANDARD, INDENT_STANDARD, INDENT_ITEM)
    }
    this.text += text
  }
}
