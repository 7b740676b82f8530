/** Every statement that psql 15 sends for its backslash commands runs. */
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { TestServer } from '../support/server.ts'
import { startTarget } from '../support/target.ts'
import { inCorpus, readStatements } from './corpus.ts'

const path = inCorpus('statements', 'psql_meta.jsonl')
if (path === undefined) console.log('../shared/conformance is not beside this checkout: its statements are left out')

/** PostgreSQL itself refuses these: psql asked for something that is not there. */
const REFUSED: Readonly<Record<string, string>> = {
  "SELECT '*'::pg_catalog.regproc::pg_catalog.oid": '42883',
  "SELECT 'abs(int)'::pg_catalog.regclass::pg_catalog.oid": '42P01',
}

describe.runIf(path !== undefined)('psql sends', () => {
  let server: TestServer
  let client: pg.Client
  beforeAll(async () => {
    server = await startTarget()
    client = new pg.Client({ host: server.host, port: server.port, user: 'postgres', database: 'alopex' })
    await client.connect()
    await client.query('create table thing (id serial primary key, name text not null default $$x$$)')
    await client.query('create view things as select name from thing')
  })
  afterAll(async () => {
    await client?.end()
    await server?.dispose()
  })
  const statements = path === undefined ? [] : readStatements(path)
  test.each(statements.map((text, i) => [i + 1, text.slice(0, 60).replaceAll(/\s+/g, ' '), text] as const))(
    '%i %s',
    async (_, __, text) => {
      const code = REFUSED[text]
      if (code !== undefined) await expect(client.query(text)).rejects.toMatchObject({ code })
      else await expect(client.query(text)).resolves.toBeDefined()
    },
  )
})
