/**
 * Runs others' suites: `npx tsx test/conformance/run.ts SUITE [FILE …] [--show]`.
 *
 *     regress      PostgreSQL's regression scripts, by psql against PostgreSQL 15 and against Alopex, block by block
 *     pgvector     pgvector's scripts, by psql against Alopex, beside their expected output
 *     sqllogictest SQLite's logic tests
 *     statements   what psql, pg_dump and pgbench send, on both servers
 *
 * Writes passing/ and SCORES.md. With --show, prints each block that failed and what was expected. Ends with 1 when a block
 * that passed before does not pass now.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import pg from 'pg'
import { psql } from '../support/psql.ts'
import { postgresBin, startAlopex, startPostgres, type TestServer } from '../support/server.ts'
import { cut, expectedBlocks, type Grade, grade, marked, printedBlocks, type ScriptBlock } from './blocks.ts'
import { inCorpus, readStatements } from './corpus.ts'
import { count, type FileScore, keepScores } from './scores.ts'
import { parseRecords, runRecords } from './sqllogictest.ts'

const FILE_MS_MAX = 60_000

interface Ask {
  readonly files: readonly string[]
  readonly show: boolean
}

/** Calls `run` with the servers asked for, each started anew. */
async function withServers<T>(
  kinds: readonly TestServer['kind'][],
  run: (servers: TestServer[]) => Promise<T>,
): Promise<T> {
  const servers: TestServer[] = []
  try {
    for (const kind of kinds) {
      if (kind === 'postgres' && postgresBin() === undefined)
        throw new Error('PostgreSQL 15 is not installed: it is the oracle')
      servers.push(kind === 'postgres' ? await startPostgres() : await startAlopex())
    }
    return await run(servers)
  } finally {
    for (const server of servers) await server.dispose()
  }
}

function report(score: FileScore, milliseconds: number): void {
  const { all, exact, semantic, failed } = count([score])
  const cells = [all, exact, semantic, failed].map((n) => String(n).padStart(6)).join('')
  console.log(`${score.file.padEnd(28)}${cells}  ${(milliseconds / 1000).toFixed(1).padStart(6)} s`)
}

function showFailed(
  ask: Ask,
  file: string,
  number: number,
  block: string,
  expected: string,
  got: string | undefined,
): void {
  if (!ask.show) return
  console.log(`\n--- ${file} ${number}\n${block.trim()}\n--- expected\n${expected}\n--- got\n${got ?? '(not reached)'}`)
}

/** Every block but the empty ones, graded. */
function gradeBlocks(
  ask: Ask,
  file: string,
  blocks: readonly ScriptBlock[],
  expected: ReadonlyMap<number, string>,
  got: ReadonlyMap<number, string>,
  isScored: (number: number) => boolean,
): FileScore {
  const grades = new Map<number, Grade>()
  for (const [i, block] of blocks.entries()) {
    const wanted = expected.get(i)
    if (block.isEmpty || wanted === undefined || !isScored(i)) continue
    const result = grade(wanted, got.get(i))
    grades.set(i, result)
    if (result === 'failed') showFailed(ask, file, i, block.text, wanted, got.get(i))
  }
  return { file, grades }
}

const chosen = (names: readonly string[], ask: Ask): string[] =>
  names.filter((name) => ask.files.length === 0 || ask.files.includes(name))

/** As pg_regress sets it. */
const regressEnv = (corpus: string) => ({
  PGTZ: 'PST8PDT',
  PGDATESTYLE: 'Postgres, MDY',
  PGOPTIONS: '-c intervalstyle=postgres_verbose',
  PG_ABS_SRCDIR: corpus,
  PG_ABS_BUILDDIR: corpus,
  PG_LIBDIR: '/nowhere',
  PG_DLSUFFIX: '.so',
})

/** Each file in a database of its own, after test_setup; PostgreSQL runs it twice, and what differs is not scored. */
async function regress(ask: Ask): Promise<FileScore[]> {
  const corpus = corpusFolder('postgres-regress')
  const names = readFileSync(join(corpus, 'parallel_schedule'), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('test:'))
    .flatMap((line) => line.slice(5).trim().split(/\s+/))
  const setUp = cut(readFileSync(join(corpus, 'sql', 'test_setup.sql'), 'utf8'))
  const env = regressEnv(corpus)
  const run = async (server: TestServer, blocks: readonly ScriptBlock[]): Promise<Map<number, string>> => {
    const made = await psql(
      server,
      ['-q', '-c', 'drop database if exists regression', '-c', 'create database regression template template0'],
      { database: 'postgres' },
    )
    if (made.code !== 0) throw new Error(made.err)
    const database = { database: 'regression', env, mergeErrors: true, timeoutMs: FILE_MS_MAX }
    await psql(server, ['-v', 'HIDE_TABLEAM=on'], { ...database, input: marked(setUp) })
    const args = ['-v', 'VERBOSITY=verbose', '-v', 'HIDE_TABLEAM=on', '-v', 'HIDE_TOAST_COMPRESSION=on']
    return printedBlocks((await psql(server, args, { ...database, input: marked(blocks) })).out)
  }
  return withServers(['postgres', 'alopex'], async ([postgres, alopex]) => {
    const scores: FileScore[] = []
    for (const name of chosen(names, ask)) {
      const began = performance.now()
      const blocks = cut(readFileSync(join(corpus, 'sql', `${name}.sql`), 'utf8'))
      const [first, second] = [await run(postgres!, blocks), await run(postgres!, blocks)]
      if (!alopex!.running) await alopex!.start()
      const got = await run(alopex!, blocks).catch((error: Error) => {
        console.log(`${name}: ${error.message.trim()}`)
        return new Map<number, string>()
      })
      if (!alopex!.running) console.log(`${name}: the server ended`)
      // A statement that goes on after its client was killed would hold up the next file.
      if (performance.now() - began > FILE_MS_MAX) {
        await alopex!.kill()
        await alopex!.start()
      }
      const score = gradeBlocks(ask, name, blocks, first, got, (i) => grade(first.get(i)!, second.get(i)) === 'exact')
      scores.push(score)
      report(score, performance.now() - began)
    }
    return scores
  })
}

async function pgvector(ask: Ask): Promise<FileScore[]> {
  const corpus = corpusFolder('pgvector')
  const names = readdirSync(join(corpus, 'sql')).map((file) => basename(file, '.sql'))
  return withServers(['alopex'], async ([alopex]) => {
    const scores: FileScore[] = []
    // Its scripts write files into results/ of the folder they run in.
    const cwd = mkdtempSync(join(tmpdir(), 'pgvector-'))
    mkdirSync(join(cwd, 'results'))
    for (const name of chosen(names, ask)) {
      const began = performance.now()
      const blocks = cut(readFileSync(join(corpus, 'sql', `${name}.sql`), 'utf8'))
      const expected = expectedBlocks(blocks, readFileSync(join(corpus, 'expected', `${name}.out`), 'utf8'))
      if (!alopex!.running) await alopex!.start()
      const database = 'contrib_regression'
      await psql(alopex!, ['-q', '-c', `drop database if exists ${database}`, '-c', `create database ${database}`], {
        database: 'postgres',
      })
      await psql(alopex!, ['-q', '-c', 'create extension if not exists vector'], { database })
      const options = { database, input: marked(blocks), mergeErrors: true, timeoutMs: FILE_MS_MAX, cwd }
      const { out } = await psql(alopex!, ['-q'], options)
      const score = gradeBlocks(ask, name, blocks, expected, printedBlocks(out), () => true)
      scores.push(score)
      report(score, performance.now() - began)
    }
    rmSync(cwd, { recursive: true })
    return scores
  })
}

async function sqllogictest(ask: Ask): Promise<FileScore[]> {
  const corpus = corpusFolder('sqllogictest')
  const names = readdirSync(corpus).map((file) => basename(file, '.test'))
  const scores: FileScore[] = []
  for (const name of chosen(names, ask)) {
    const began = performance.now()
    const records = parseRecords(readFileSync(join(corpus, `${name}.test`), 'utf8'))
    const grades = await withServers(['alopex'], async ([server]) => {
      const client = await connect(server!)
      const found = await runRecords(client, records)
      await client.end()
      return found
    })
    const score = { file: name, grades }
    for (const [i, g] of grades) {
      if (g === 'failed') showFailed(ask, name, i, records[i]!.sql, '', undefined)
    }
    scores.push(score)
    report(score, performance.now() - began)
  }
  return scores
}

/** Exact: the same rows; semantic: the same columns and number of rows, or the same SQLSTATE. */
async function statements(ask: Ask): Promise<FileScore[]> {
  const corpus = corpusFolder('statements')
  const names = readdirSync(corpus).map((file) => basename(file, '.jsonl'))
  return withServers(['postgres', 'alopex'], async ([postgres, alopex]) => {
    const scores: FileScore[] = []
    for (const name of chosen(names, ask)) {
      const began = performance.now()
      const grades = new Map<number, Grade>()
      const clients = [await connect(postgres!), await connect(alopex!)]
      for (const [i, text] of readStatements(join(corpus, `${name}.jsonl`)).entries()) {
        if (/^\s*copy\b.*\b(?:stdin|stdout)\b/i.test(text)) continue
        const [expected, got] = [await answer(clients[0]!, text), await answer(clients[1]!, text)]
        const isExact = expected.shape === got.shape && expected.rows === got.rows
        const result = isExact ? 'exact' : expected.shape === got.shape ? 'semantic' : 'failed'
        grades.set(i, result)
        if (result === 'failed')
          showFailed(ask, name, i, text, `${expected.shape}\n${expected.rows}`, `${got.shape}\n${got.rows}`)
      }
      for (const client of clients) await client.end()
      const score = { file: name, grades }
      scores.push(score)
      report(score, performance.now() - began)
    }
    return scores
  })
}

async function connect(server: TestServer): Promise<pg.Client> {
  const client = new pg.Client({ host: server.host, port: server.port, user: 'postgres', database: 'alopex' })
  await client.connect()
  return client
}

async function answer(client: pg.Client, text: string): Promise<{ shape: string; rows: string }> {
  try {
    const types = { getTypeParser: () => (value: string) => value } as unknown as pg.CustomTypesConfig
    const { fields, rows } = await client.query({ text, rowMode: 'array', types })
    const columns = (fields ?? []).map(({ name, dataTypeID }) => `${name} ${dataTypeID}`).join(', ')
    return { shape: `${columns}; ${rows?.length ?? 0} rows`, rows: JSON.stringify(rows) }
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) throw error
    return { shape: `ERROR ${error.code}`, rows: error.message }
  }
}

function corpusFolder(name: string): string {
  const folder = inCorpus(name)
  if (folder === undefined)
    throw new Error(
      `${name} is not there: the corpus lies in ../shared/conformance beside the checkout, or where CONFORMANCE says`,
    )
  return folder
}

const SUITES: Readonly<Record<string, { readonly title: string; run(ask: Ask): Promise<FileScore[]> }>> = {
  regress: {
    title: "PostgreSQL 15's regression scripts, each after test_setup in a database of its own",
    run: regress,
  },
  pgvector: { title: "pgvector's scripts", run: pgvector },
  sqllogictest: { title: "A sample of SQLite's logic tests", run: sqllogictest },
  statements: { title: 'What psql, pg_dump and pgbench send', run: statements },
}

const [suite = '', ...words] = process.argv.slice(2)
const found = SUITES[suite]
if (found === undefined) {
  console.log(`usage: npx tsx test/conformance/run.ts ${Object.keys(SUITES).join('|')} [FILE …] [--show]`)
  process.exit(2)
}
const ask: Ask = { files: words.filter((word) => word !== '--show'), show: words.includes('--show') }
const scores = await found.run(ask)
const { all, exact, semantic } = count(scores)
console.log(`${suite}: ${exact} exact, ${semantic} semantic, ${all - exact - semantic} failed of ${all}`)
const lost = keepScores(suite, found.title, scores)
for (const line of lost) console.log(`passed before: ${line}`)
process.exit(lost.length > 0 ? 1 : 0)
