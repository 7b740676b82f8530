#!/usr/bin/env node
// The server's sources are TypeScript: tsx reads them as they are.
import { register } from 'tsx/esm/api'

register()
const { main } = await import('../main.ts')
await main(process.argv.slice(2))
