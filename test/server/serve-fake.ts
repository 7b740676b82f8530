/** Serves the fake database, for trying clients and measuring: `tsx test/server/serve-fake.ts [port]`. */
import { defaultRules } from '../../server/auth/hba.ts'
import { createListener } from '../../server/listener.ts'
import { createLog } from '../../server/log.ts'
import { FakeDatabase } from './fake-session.ts'

const listener = createListener({ database: new FakeDatabase(), log: createLog('info'), hba: defaultRules(false) })
const address = await listener.listen({ host: '127.0.0.1', port: Number(process.argv[2] ?? 6543) })
console.log('ready', address)
process.once('SIGTERM', () => void listener.close(1000).then(() => process.exit(0)))
