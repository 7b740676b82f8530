/** The store's folder: made with its parents, and a place where none can be made is told of at once. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { readConfig } from '../../server/config.ts'
import { createLog } from '../../server/log.ts'
import { openSingleNode } from '../../server/topology.ts'

const folder = mkdtempSync(join(tmpdir(), 'alopex-folder-'))
afterAll(() => rmSync(folder, { recursive: true }))

const open = async (data: string) => {
  const config = readConfig(['--data', data, '--log-level', 'silent'], {}, '1.2.3')
  if ('text' in config) throw new Error(config.text)
  return openSingleNode(config, createLog('silent'))
}

test('parents are made', async () => {
  const data = join(folder, 'a/b/c')
  const node = await open(data)
  await node.close(0)
  expect(existsSync(data)).toBe(true)
})

test('a folder that cannot be made is one clear error', async () => {
  writeFileSync(join(folder, 'file'), '')
  await expect(open(join(folder, 'file'))).rejects.toThrow(/could not make the folder .*EEXIST/)
  await expect(open(join(folder, 'file/below'))).rejects.toThrow(/could not make the folder .*ENOTDIR/)
  // Node's recursive mkdir does not return from this one.
  await expect(open('/proc/nothing/here')).rejects.toThrow(/could not make the folder .*ENOENT/)
})
