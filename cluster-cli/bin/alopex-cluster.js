#!/usr/bin/env node
// Founding and changing clusters. This version serves single nodes, so there is nothing here but help and version yet.
import { createRequire } from 'node:module'
import { Command } from 'commander'

const { version } = createRequire(import.meta.url)('../../package.json')
const program = new Command('alopex-cluster')
  .description('Founds and administers a cluster of Alopex servers.')
  .version(version)
  .addHelpText('after', '\nThere are no commands yet: this version runs as a single node (alopex-server).')
  .argument('[command...]')
  .action((words) => {
    if (words.length === 0) program.help()
    process.stderr.write(`alopex-cluster: unknown command "${words[0]}" (this version runs as a single node only)\n`)
    process.exitCode = 1
  })
program.parse()
