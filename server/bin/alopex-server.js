#!/usr/bin/env node
import { load } from './run.js'

const { main } = await load('server/main.ts')
await main(process.argv.slice(2))
