/**
 * Functions, procedures and extensions of functions: scripts whose answers (beside them, `vitest -u` writes them anew) were
 * compared with PostgreSQL 15's; where they differ the script says so.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openMemory, runScript } from '../ddl/run.ts'

const folder = new URL('./routines/', import.meta.url).pathname

describe('functions and procedures', () => {
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.sql'))) {
    test(basename(file, '.sql'), async () => {
      const server = await openMemory()
      const session = await server.connect()
      const text = await runScript(session, readFileSync(join(folder, file), 'utf8'))
      await session.close()
      await server.close()
      await expect(text).toMatchFileSnapshot(join(folder, `${basename(file, '.sql')}.out`))
    })
  }
})
