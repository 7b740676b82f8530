/** What EXPLAIN prints, as golden scripts. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'vitest'
import { openEmbedded } from '../../session/embedded.ts'
import { golden } from '../golden.ts'

const scripts = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.txt'))

test.each(scripts)('%s', async (script) => {
  const embedded = await openEmbedded()
  try {
    await golden(join(import.meta.dirname, script), embedded.run)
  } finally {
    await embedded.close()
  }
})
