/** Locks and garbage as golden scripts, in the words of ../kv/sessions.ts. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'vitest'
import { golden } from '../golden.ts'
import { openSessions } from '../kv/sessions.ts'

const scripts = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.txt'))

test.each(scripts)('%s', async (script) => {
  const { run, close } = await openSessions()
  try {
    await golden(join(import.meta.dirname, script), run)
  } finally {
    await close()
  }
})
