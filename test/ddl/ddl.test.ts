/** What DDL answers against PostgreSQL 15's recorded answers (test/oracle/record-ddl.ts): tags, errors, notices and catalog rows. */
import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openMemory, runScript } from './run.ts'

const folder = new URL('./cases/', import.meta.url).pathname

describe('DDL as PostgreSQL 15 answers', () => {
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.sql'))) {
    const name = basename(file, '.sql')
    test(name, async () => {
      const server = await openMemory()
      const session = await server.connect()
      const text = await runScript(session, readFileSync(join(folder, file), 'utf8'))
      await session.close()
      await server.close()
      expect(text).toBe(readFileSync(join(folder, `${name}.out`), 'utf8'))
    })
  }
})
