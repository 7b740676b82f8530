/** The server's process over the fake database: what process.test.ts starts and signals. */
import { ConfigError, readConfig } from '../../server/config.ts'
import { serve } from '../../server/serve.ts'
import { FakeDatabase } from './fake-session.ts'

try {
  const config = readConfig(process.argv.slice(2), process.env, '0.0.0')
  if ('text' in config) throw new ConfigError(config.text)
  const database = new FakeDatabase()
  await serve(config, '0.0.0', async () => ({
    database,
    close: async () => {
      await database.close()
      process.stderr.write('closed the store\n')
    },
  }))
} catch (error) {
  process.stderr.write(`alopex-server: ${(error as Error).message}\n`)
  process.exit(1)
}
