/**
 * Records what PostgreSQL 15 answers to the scripts of test/ddl/cases, each in a database of its own:
 *
 *     PGHOST=… PGPORT=… PGUSER=postgres npx tsx test/oracle/record-ddl.ts [case …]
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { statementsOf } from '../ddl/run.ts'

const folder = new URL('../ddl/cases/', import.meta.url).pathname
const wanted = process.argv.slice(2)
const DATABASE = 'record_ddl'

for (const file of readdirSync(folder).filter((name) => name.endsWith('.sql'))) {
  const name = basename(file, '.sql')
  if (wanted.length > 0 && !wanted.includes(name)) continue
  const psql = (database: string, args: string[], input?: string) =>
    spawnSync('psql', ['-X', '-d', database, ...args], { encoding: 'utf8', ...(input === undefined ? {} : { input }) })
  execFileSync(
    'psql',
    ['-X', '-q', '-d', 'postgres', '-c', `DROP DATABASE IF EXISTS ${DATABASE}`, '-c', `CREATE DATABASE ${DATABASE}`],
    { stdio: ['ignore', 'ignore', 'ignore'] },
  )
  const script = statementsOf(readFileSync(join(folder, file), 'utf8'))
    .map(
      (statement) =>
        `\\qecho '>> ${statement.replaceAll('\\', '\\\\').replaceAll("'", "''").replaceAll('\n', '\\n')}'\n${statement};`,
    )
    .join('\n')
  const merged = spawnSync('sh', ['-c', `psql -X -A -P footer=off -v VERBOSITY=verbose -d ${DATABASE} -f - 2>&1`], {
    encoding: 'utf8',
    input: script,
  })
  const text = merged.stdout
    .split('\n')
    .map((line) => line.replace(/^psql:<stdin>:\d+: /, ''))
    .filter((line) => !/^(LOCATION: |LINE \d+: |\s*\^$)/.test(line))
    .join('\n')
  writeFileSync(join(folder, `${name}.out`), text)
  psql('postgres', ['-q', '-c', `DROP DATABASE ${DATABASE}`])
}
