/**
 * What the wire costs without SQL behind it, in nanoseconds a message: `tsx test/bench/wire.ts`.
 * Each figure is the median of several rounds in this process, without sockets, except the last ones: real connections
 * over loopback to a fake session in this process, driven by pgbench, which shares the machine.
 */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { defaultRules } from '../../server/auth/hba.ts'
import { createListener } from '../../server/listener.ts'
import { createLog } from '../../server/log.ts'
import { rowDescription } from '../../server/wire/messages.ts'
import { Body, FrameReader } from '../../server/wire/reader.ts'
import { RowShape } from '../../server/wire/row.ts'
import type { Format } from '../../sql/session/session.ts'
import { createByteWriter } from '../../sql/types/bytes.ts'
import type { Row } from '../../sql/types/value.ts'
import { context, FakeDatabase, field, INT4, INT8, TEXT } from '../server/fake-session.ts'
import * as raw from '../server/raw-client.ts'

const ROUNDS = 9

function measure(name: string, count: number, run: () => void): void {
  const samples: number[] = []
  for (let i = 0; i < ROUNDS; i++) {
    const start = process.hrtime.bigint()
    run()
    samples.push(Number(process.hrtime.bigint() - start) / count)
  }
  samples.sort((a, b) => a - b)
  console.log(`${name.padEnd(58)} ${samples[ROUNDS >> 1]!.toFixed(0).padStart(6)} ns`)
}

function benchReader(): void {
  const MESSAGES = 100_000
  const one = Buffer.concat([raw.bind('', 'P0_1', ['12345']), raw.describe_('P'), raw.execute(), raw.sync])
  const chunk = Buffer.concat(Array.from({ length: MESSAGES / 4 }, () => one))
  measure('frame: next() over Bind, Describe, Execute, Sync', MESSAGES, () => {
    const reader = new FrameReader()
    reader.framing = 'query'
    reader.push(chunk)
    while (reader.next()) {
      // counted by bytes
    }
  })
  const body = new Body()
  measure('the same, decoded, for all four together', MESSAGES / 4, () => {
    const reader = new FrameReader()
    reader.framing = 'query'
    reader.push(chunk)
    while (reader.next()) {
      body.open(reader.buffer, reader.start, reader.end)
      if (reader.type === 0x42) {
        body.name()
        body.name()
        body.uint16()
        for (let i = body.uint16(); i > 0; i--) body.bytes(body.int32())
        body.uint16()
      } else if (reader.type === 0x44) {
        body.byte()
        body.name()
      } else if (reader.type === 0x45) {
        body.name()
        body.int32()
      }
      body.finish()
    }
  })
  const pieces = 50_000
  const query = raw.query('select 1')
  measure('frame: a message that comes in two chunks', pieces, () => {
    const reader = new FrameReader()
    reader.framing = 'query'
    for (let i = 0; i < pieces; i++) {
      reader.push(query.subarray(0, 7))
      reader.next()
      reader.push(query.subarray(7))
      reader.next()
    }
  })
}

function benchRows(): void {
  const ROWS = 200_000
  const fields = [field('aid', INT4), field('bid', INT4), field('abalance', INT8), field('filler', TEXT)]
  const row: Row = [12_345_678, 1, -99_999, 'a little text']
  for (const [name, formats] of [
    ['text', [0]],
    ['binary', [1]],
  ] as [string, Format[]][]) {
    const shape = new RowShape(fields, formats, rowDescription(fields, formats))
    const to = createByteWriter(1 << 16)
    measure(`DataRow of int4, int4, int8, text; ${name}`, ROWS, () => {
      for (let i = 0; i < ROWS; i++) {
        if (to.length > 60_000) to.reset()
        shape.write(to, row, context)
      }
    })
  }
}

async function benchConnections(): Promise<void> {
  const pgbench = '/usr/lib/postgresql/15/bin/pgbench'
  if (!existsSync(pgbench)) return
  const { Worker } = await import('node:worker_threads')
  const listener = createListener({ database: new FakeDatabase(), log: createLog('warn'), hba: defaultRules(false) })
  const address = await listener.listen({ host: '127.0.0.1', port: 0 })
  const port = String('port' in address ? address.port : 0)
  // pgbench is waited for in a worker, so that this thread can serve.
  const worker = new Worker(
    `const { workerData } = require('node:worker_threads')
     const { execFileSync } = require('node:child_process')
     for (const [mode, clients] of workerData.runs) {
       const args = ['-n', '-S', '-M', mode, '-c', String(clients), '-T', '3', '-h', '127.0.0.1', '-p', workerData.port, '-U', 'postgres', 'postgres']
       const out = execFileSync(workerData.pgbench, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
       console.log(('pgbench -S, constant row, ' + mode + ', ' + clients + ' clients').padEnd(58), /tps = (\\d+)/.exec(out)[1].padStart(6), 'tps')
     }`,
    {
      eval: true,
      workerData: {
        pgbench,
        port,
        runs: ['simple', 'extended', 'prepared'].flatMap((mode) => [
          [mode, 1],
          [mode, 8],
          [mode, 32],
        ]),
      },
    },
  )
  await new Promise((resolve) => worker.once('exit', resolve))
  await listener.close(0)
}

console.log(`${execFileSync('uname', ['-sr'], { encoding: 'utf8' }).trim()}, Node ${process.version}`)
benchReader()
benchRows()
await benchConnections()
