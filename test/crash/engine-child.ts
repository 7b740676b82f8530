/** The victim of engine-crash.test.ts: 16 writers that say on stdout what the engine has acknowledged. */
import { writeSync } from 'node:fs'
import { openRocksEngine } from '../../storage/engine/rocksdb.ts'
import { key, timestamp } from '../../storage/keys/brand.ts'

const [path, cycle] = process.argv.slice(2)
const engine = openRocksEngine({ path: path!, cacheBytes: 1 << 20, writeBufferBytes: 256 << 10 })

/** A batch of both halves of a pair and a counter in another family: found together or not at all. */
async function writer(id: number): Promise<never> {
  const name = `${cycle}-${id}`
  for (let i = 1; ; i++) {
    const batch = engine.createBatch()
    const value = Buffer.from(`${i}`.padEnd(50 + ((i * 37) % 900), '.'))
    batch.put(key(`left-${name}`), timestamp(i), value)
    batch.put(key(`right-${name}`), timestamp(i), value)
    batch.putRaw('state', key(name), Buffer.from(String(i)))
    await engine.write(batch, 'synced')
    writeSync(1, `${name} ${i}\n`)
  }
}

await Promise.all(Array.from({ length: 16 }, (_, id) => writer(id)))
