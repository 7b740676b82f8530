/**
 * Golden scripts: a plain text file of commands and of what they printed, read and reviewed as one story.
 *
 *     # a comment                      kept as it is; '# name: value' lines before the first command are its header
 *     c1: write k1 a                   a prefix (a session, a node), a name, words and key=value options
 *     c1:> SELECT 1                    a prefix and the rest of the line as it is
 *     ---                              the block ends; what its commands printed follows, up to a blank line
 *     c1: ok
 *
 * The file is input and expectation in one: `replay` writes every block's output anew, and Vitest compares the whole text
 * with the file. `vitest -u` accepts a change; the diff in review is the proof. A runner turns the errors it expects into
 * text; whatever it throws fails the test.
 */
import { readFile } from 'node:fs/promises'
import { expect } from 'vitest'

export interface Command {
  /** Before the colon, or ''. */
  readonly prefix: string
  /** The first word; '>' for a raw line. */
  readonly name: string
  readonly words: readonly string[]
  /** key=value words, in whatever place. */
  readonly options: Readonly<Record<string, string>>
  /** Everything after the name (after '>' for a raw line). */
  readonly rest: string
}

/** Performs a command and returns what it prints, '' for nothing. */
export type Runner = (command: Command) => string | Promise<string>

const PREFIX = /^([a-z][\w-]*):(?=[\s>])/
const OPTION = /^([a-z][\w-]*)=(.*)$/

export function parseCommand(line: string): Command {
  const prefix = PREFIX.exec(line)?.[1] ?? ''
  const body = (prefix === '' ? line : line.slice(prefix.length + 1)).trim()
  if (body.startsWith('>')) return { prefix, name: '>', words: [], options: {}, rest: body.slice(1).trim() }
  const [name = '', ...parts] = body.split(/\s+/)
  const words: string[] = []
  const options: Record<string, string> = {}
  for (const part of parts) {
    const option = OPTION.exec(part)
    if (option === null) words.push(part)
    else options[option[1]!] = option[2]!
  }
  return { prefix, name, words, options, rest: body.slice(name.length).trim() }
}

/** The '# name: value' lines at the top of a script. */
export function readHeader(script: string): Readonly<Record<string, string>> {
  const header: Record<string, string> = {}
  for (const line of script.split('\n')) {
    if (line !== '' && !line.startsWith('#')) break
    const field = /^# ([a-z][\w-]*): (.*)$/.exec(line)
    if (field !== null) header[field[1]!] = field[2]!.trim()
  }
  return header
}

/** The script with the outputs that its commands give now. A blank line that is printed shows as '⏎'. */
export async function replay(script: string, run: Runner): Promise<string> {
  const out: string[] = []
  let printed: string[] = []
  let isOutput = false
  for (const line of script.split('\n')) {
    if (isOutput && line !== '') continue
    isOutput = false
    out.push(line)
    if (line === '---') {
      out.push(...(printed.length === 0 ? ['ok'] : printed))
      printed = []
      isOutput = true
    } else if (line !== '' && !line.startsWith('#')) {
      const text = await run(parseCommand(line))
      if (text !== '') printed.push(...text.split('\n').map((part) => part || '⏎'))
    }
  }
  return out.join('\n')
}

/** Replays the script in a file and compares it with itself. */
export async function golden(path: string, run: Runner): Promise<void> {
  await expect(await replay(await readFile(path, 'utf8'), run)).toMatchFileSnapshot(path)
}
