/**
 * kill -9 at random under 16 writers, again and again on one store. After each kill the store opens, holds everything
 * that was acknowledged, and every batch whole.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { rowsOf } from '../../storage/engine/page.ts'
import { openRocksEngine } from '../../storage/engine/rocksdb.ts'
import { key, timestamp } from '../../storage/keys/brand.ts'

const CYCLES = 10
const KILL_AFTER_MS_MAX = 400

const path = mkdtempSync(join(tmpdir(), 'engine-crash-'))
afterAll(() => rmSync(path, { recursive: true }))

/** Runs the victim until it is killed; the highest acknowledged number of each writer. */
async function crash(cycle: number): Promise<Map<string, number>> {
  const program = new URL('engine-child.ts', import.meta.url).pathname
  const child = spawn(process.execPath, ['--import', 'tsx', program, path, String(cycle)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let text = ''
  child.stdout.on('data', (chunk) => {
    if (text === '') setTimeout(() => child.kill('SIGKILL'), Math.random() * KILL_AFTER_MS_MAX)
    text += chunk
  })
  await new Promise((resolve) => child.on('close', resolve))
  const acknowledged = new Map<string, number>()
  for (const line of text.split('\n').slice(0, -1)) {
    const [name, number] = line.split(' ')
    acknowledged.set(name!, Number(number))
  }
  return acknowledged
}

test('nothing acknowledged is lost and no batch is torn', async () => {
  const acknowledged = new Map<string, number>()
  for (let cycle = 0; cycle < CYCLES; cycle++) {
    for (const [name, number] of await crash(cycle)) acknowledged.set(name, number)
    const engine = openRocksEngine({ path, cacheBytes: 1 << 20, writeBufferBytes: 256 << 10 })
    expect(acknowledged.size).toBeGreaterThan(cycle * 16)
    for (const [name, number] of acknowledged) {
      const at = timestamp(Number.MAX_SAFE_INTEGER)
      const left = engine.newest(key(`left-${name}`))!.timestamp
      expect(left).toBeGreaterThanOrEqual(number)
      expect(left).toBeLessThanOrEqual(number + 1)
      expect(engine.newest(key(`right-${name}`))!.timestamp).toBe(left)
      expect(engine.getRaw('state', key(name))!.toString()).toBe(String(left))
      const page = engine.scan({ from: key(`left-${name}`), to: key(`left-${name}\0`), at, versions: true }).next(1e6)!
      expect(rowsOf(page).map((row) => Number.parseInt(row.value.toString(), 10))).toEqual(
        Array.from({ length: page.count }, (_, i) => left - i),
      )
    }
    await engine.close()
  }
}, 60_000)
