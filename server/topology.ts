/**
 * The only place that names a topology. A single node is one range with a log of one:
 *
 *     engine (RocksDB) → log of one, range → kv → database → (serve.ts) listener
 */
import { existsSync, mkdirSync, statSync } from 'node:fs'
import { userInfo } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { openDatabase } from '../sql/session/database.ts'
import { EngineError } from '../storage/engine/engine.ts'
import { openRocksEngine, type RocksEngine } from '../storage/engine/rocksdb.ts'
import { systemClock } from '../storage/keys/clock.ts'
import { openKv } from '../storage/kv/open-kv.ts'
import { openLocalLog } from '../storage/range/local-log.ts'
import { type Config, ConfigError } from './config.ts'
import type { Log } from './log.ts'
import type { Backend } from './serve.ts'

export async function openSingleNode(config: Config, log: Log): Promise<Backend> {
  const path = resolve(config.data)
  const engine = openStore(path)
  try {
    const kv = await openKv(engine, { clock: systemClock, openLog: openLocalLog(engine) })
    const database = await openDatabase(kv, {
      osUser: userInfo().username,
      settings: serverSettings(config, path),
      log,
      vectorFolder: join(path, 'vector'),
    })
    return {
      database,
      async close(graceMs) {
        await database.close(graceMs)
        await kv.close()
        await engine.close()
      },
    }
  } catch (error) {
    await engine.close()
    throw error
  }
}

/** With its parents. Node's own `recursive` never returns where the file system answers ENOENT to mkdir, as /proc does. */
function makeFolder(path: string): void {
  try {
    mkdirSync(path, 0o700)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST' && statSync(path).isDirectory()) return
    const parent = dirname(path)
    if (code !== 'ENOENT' || existsSync(parent)) throw error
    makeFolder(parent)
    mkdirSync(path, 0o700)
  }
}

function openStore(path: string): RocksEngine {
  try {
    makeFolder(path)
  } catch (error) {
    throw new ConfigError(`could not make the folder ${path}: ${(error as Error).message}`)
  }
  try {
    // For the power-cut rig's control run alone: it must see commits lost, or it would not see them with fsync either.
    return openRocksEngine({ path, unsafeNoSync: process.env.ALOPEX_UNSAFE_NO_SYNC === '1' })
  } catch (error) {
    if (error instanceof EngineError && error.reason === 'locked') {
      throw new ConfigError(`the store in ${path} is open in another process`)
    }
    if (error instanceof EngineError) throw new ConfigError(`could not open the store in ${path}: ${error.message}`)
    throw error
  }
}

/** What SHOW and pg_settings tell of this process. What the user set by name wins. */
function serverSettings(config: Config, path: string): ReadonlyMap<string, string> {
  return new Map([
    // 0: any free port, which SHOW cannot know yet.
    ...(config.port === 0 ? [] : [['port', String(config.port)] as const]),
    ['listen_addresses', config.host],
    ['data_directory', path],
    ['ssl', config.tlsCert === undefined ? 'off' : 'on'],
    ...config.settings,
  ])
}
