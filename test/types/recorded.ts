/**
 * Reads the files of recorded expectations (test/types/*.cases.txt), which are input and answer at once:
 *
 *     ## type numeric                     each line: text in => text out [binary form in hex]
 *     ## function int4pl(int4,int4) int4 int4pl       name, argument types, result type, pg_proc.prosrc
 *     2147483647 | 1 => !22003 integer out of range
 *     ## aggregate sum(int4) int8          each line: values separated by ; (several arguments by |)
 *
 * NULL is null, ∅ the empty string, ␊ a newline, ␉ a tab. An error is !SQLSTATE message, with {detail}. Lines without =>
 * are answered by test/oracle/record-types.ts from PostgreSQL 15.
 */
import { readFileSync } from 'node:fs'

export interface Case {
  readonly line: number
  readonly input: string
  readonly expected: string
}

export interface Section {
  readonly kind: 'type' | 'function' | 'aggregate'
  /** int4pl, sum, numeric. */
  readonly name: string
  readonly argTypes: readonly string[]
  readonly returnType: string
  readonly prosrc: string
  readonly title: string
  readonly cases: readonly Case[]
}

const HEADER = /^## (type|function|aggregate) ([^( ]+)(?:\(([^)]*)\))?(?: (\S+))?(?: (.+))?$/

export function readSections(path: string): Section[] {
  const sections: (Section & { cases: Case[] })[] = []
  readFileSync(path, 'utf8')
    .split('\n')
    .forEach((text, i) => {
      if (text.startsWith('## ')) {
        const [, kind, name, args, returnType, prosrc] = HEADER.exec(text)!
        const argTypes = args === undefined || args === '' ? [] : args.split(',')
        const title = args === undefined ? name! : `${name}(${args})`
        sections.push({
          kind: kind as Section['kind'],
          name: name!,
          argTypes,
          returnType: returnType ?? '',
          prosrc: prosrc ?? '',
          title,
          cases: [],
        })
      } else if (text.trim() !== '' && !text.startsWith('# ')) {
        const arrow = text.lastIndexOf(' => ')
        const input = arrow < 0 ? text : text.slice(0, arrow)
        sections.at(-1)!.cases.push({ line: i + 1, input, expected: arrow < 0 ? '' : text.slice(arrow + 4) })
      }
    })
  return sections
}

export const decode = (field: string): string | null =>
  field === 'NULL' ? null : field === '∅' ? '' : field.replaceAll('␊', '\n').replaceAll('␉', '\t')
export const encode = (text: string | null): string =>
  text === null ? 'NULL' : text === '' ? '∅' : text.replaceAll('\n', '␊').replaceAll('\t', '␉')

export const fields = (input: string): (string | null)[] => input.split(' | ').map(decode)
export const rows = (input: string): (string | null)[][] => (input === '(none)' ? [] : input.split(' ; ').map(fields))
