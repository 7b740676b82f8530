/**
 * `tsx test/bench/vector-probe.ts PORT TABLE ROWS`: what another session sees. A process of its own asks for one row by its
 * key every five milliseconds, until its stdin ends; then it prints, in milliseconds, the longest it waited and what 99 of
 * 100 waited at most. A query is timed from when it was due, so that one long stall is not counted once and forgotten.
 */
import pg from 'pg'

const EVERY_MS = 5

const [port, table, rows] = process.argv.slice(2)
const client = new pg.Client({ host: '127.0.0.1', port: Number(port), user: 'postgres', database: 'alopex' })
await client.connect()
const query = { name: 'probe', text: `select part from ${table} where id = $1` }
const ask = (i: number) => client.query({ ...query, values: [(i * 7919) % Number(rows)] })
for (let i = 0; i < 50; i++) await ask(i)

let isOver = false
process.stdin.resume().on('end', () => {
  isOver = true
})
console.log('ready')
const waits: number[] = []
for (let due = performance.now(), i = 0; !isOver; i++) {
  due += EVERY_MS
  const early = due - performance.now()
  if (early > 0) await new Promise((resolve) => setTimeout(resolve, early))
  // The timer's own lateness is not the server's.
  const from = Math.max(due, Math.min(performance.now(), due + 2))
  await ask(i)
  waits.push(performance.now() - from)
  if (performance.now() > due + EVERY_MS) due = performance.now()
}
await client.end()
waits.sort((a, b) => a - b)
console.log(JSON.stringify({ longest: waits.at(-1) ?? 0, p99: waits[Math.floor(waits.length * 0.99)] ?? 0 }))
