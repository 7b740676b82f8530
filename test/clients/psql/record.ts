/** Writes recorded.txt anew from PostgreSQL 15: `npx tsx test/clients/psql/record.ts`. */
import { writeFileSync } from 'node:fs'
import { startPostgres } from '../../support/server.ts'
import { RECORDED, readCommands, runCommands, setUp, writeBlocks } from './blocks.ts'

const server = await startPostgres()
try {
  await setUp(server)
  writeFileSync(RECORDED, writeBlocks(await runCommands(server, readCommands())))
} finally {
  await server.dispose()
}
