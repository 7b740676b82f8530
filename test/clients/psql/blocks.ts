/**
 * psql's commands and what it printed for each, as one text that a person reads:
 *
 *     === \dt
 *               List of relations
 *     …
 *
 * `recorded.txt` was printed by PostgreSQL 15 (`npx tsx test/clients/psql/record.ts`); the commands and the objects they
 * speak of are in the files beside it.
 */
import { readFileSync } from 'node:fs'
import { psql } from '../../support/psql.ts'
import type { TestServer } from '../../support/server.ts'

export interface Block {
  readonly command: string
  readonly printed: string
}

const file = (name: string) => new URL(name, import.meta.url).pathname
export const RECORDED = file('recorded.txt')
export const readCommands = (): string[] => readFileSync(file('commands.txt'), 'utf8').trimEnd().split('\n')

/** Makes the objects. Throws what psql complains of. */
export async function setUp(server: TestServer): Promise<void> {
  const ran = await psql(server, ['-q', '-v', 'ON_ERROR_STOP=1', '-f', file('setup.sql')])
  if (ran.code !== 0) throw new Error(ran.err)
}

/** Runs all commands in one session. */
export async function runCommands(server: TestServer, commands: readonly string[]): Promise<Block[]> {
  const ends = (command: string) => (command.startsWith('\\') || command.includes('\\g') ? command : `${command};`)
  const script = commands.map((command, i) => `\\echo === ${i}\n${ends(command)}\n`).join('')
  const { out } = await psql(server, ['-v', 'VERBOSITY=default'], { input: script, mergeErrors: true })
  const printed = new Map(readBlocks(out).map((block) => [Number(block.command), block.printed]))
  return commands.map((command, i) => ({ command, printed: printed.get(i) ?? '(psql ended before this)' }))
}

export const writeBlocks = (blocks: readonly Block[]): string =>
  blocks.map(({ command, printed }) => `=== ${command}\n${printed}\n`).join('')

export function readBlocks(text: string): Block[] {
  return `\n${text}`
    .split('\n=== ')
    .slice(1)
    .map((part) => {
      const [command = '', ...lines] = part.split('\n')
      return { command, printed: lines.join('\n').trimEnd() }
    })
}
