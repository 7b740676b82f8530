/** The command `alopex-server`: options in, a serving process out. What the user can put right is one line on stderr and exit code 1. */
import { createRequire } from 'node:module'
import { SqlError } from '../sql/types/error.ts'
import { ConfigError, readConfig } from './config.ts'
import { serve } from './serve.ts'

const { version } = createRequire(import.meta.url)('../package.json') as { version: string }

export async function main(args: readonly string[]): Promise<void> {
  try {
    const config = readConfig(args, process.env, version)
    if ('text' in config) {
      process.stdout.write(config.text)
      return
    }
    // Loaded only when it is needed: --help and --version answer without the store's code.
    const { openSingleNode } = await import('./topology.ts')
    await serve(config, version, openSingleNode)
  } catch (error) {
    const expected = error instanceof ConfigError || error instanceof SqlError
    const text = expected ? error.message : ((error as Error).stack ?? String(error))
    process.stderr.write(`alopex-server: ${text}\n`)
    process.exit(1)
  }
}
