#!/usr/bin/env node
// Administration of one server. A single node is administered by SQL, so there is nothing here but help and version yet.
import { createRequire } from 'node:module'
import { Command } from 'commander'

const { version } = createRequire(import.meta.url)('../../package.json')
const program = new Command('alopex-cli')
  .description('Administers an Alopex server.')
  .version(version)
  .addHelpText('after', '\nThere are no commands yet: a single server is administered by SQL.\n\n  psql -h localhost -p 5432 -d alopex')
  .argument('[command...]')
  .action((words) => {
    if (words.length === 0) program.help()
    process.stderr.write(`alopex-cli: unknown command "${words[0]}" (there are no commands yet; a server is administered by SQL)\n`)
    process.exitCode = 1
  })
program.parse()
