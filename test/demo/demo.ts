/**
 * `npm run demo`: a server on a free port with its store in a temporary folder, a few thousand real sentences with their
 * vectors, and searches that filter and rank in one statement, through the ordinary `pg` driver.
 */
import pg from 'pg'
import pgvector from 'pgvector'
import { startAlopex } from '../support/server.ts'
import { DIMENSIONS, Embedder } from './embed.ts'
import { readSentences } from './texts.ts'

const SENTENCES_MAX = 4000
const ROWS_A_STATEMENT = 200

async function timed<T>(what: string, work: () => Promise<T> | T): Promise<T> {
  const began = performance.now()
  const result = await work()
  console.log(`${(performance.now() - began).toFixed(1).padStart(8)} ms  ${what}`)
  return result
}

const server = await timed('a server is started', () => startAlopex())
const client = new pg.Client({ host: server.host, port: server.port, user: 'alopex', database: 'alopex' })
try {
  await timed(`pg connects to ${server.host}:${server.port}`, () => client.connect())
  await timed('CREATE TABLE products', () =>
    client.query(`CREATE TABLE products (
      id SERIAL PRIMARY KEY,
      name TEXT NOT NULL,
      description TEXT NOT NULL,
      price NUMERIC(6,2) NOT NULL,
      embedding VECTOR(${DIMENSIONS})
    )`),
  )
  const sentences = await timed('sentences are read from documents and READMEs', () => readSentences(SENTENCES_MAX))
  const embedder = new Embedder(sentences.map(({ text }) => text))
  const vectors = await timed(`${sentences.length} of them become vectors of ${DIMENSIONS} numbers`, () =>
    sentences.map(({ text }) => pgvector.toSql(embedder.embed(text))),
  )
  await timed(`INSERT, ${ROWS_A_STATEMENT} rows a statement, in one transaction`, async () => {
    await client.query('BEGIN')
    for (let from = 0; from < sentences.length; from += ROWS_A_STATEMENT) {
      const rows = sentences.slice(from, from + ROWS_A_STATEMENT)
      await client.query({
        name: 'insert',
        text: 'INSERT INTO products (name, description, price, embedding) SELECT * FROM unnest($1::text[], $2::text[], $3::numeric[], $4::text[]::vector[])',
        values: [
          rows.map(({ source }) => source),
          rows.map(({ text }) => text),
          // A price to filter by: its sentence's length in characters, as cents.
          rows.map(({ text }) => (text.length / 100).toFixed(2)),
          vectors.slice(from, from + ROWS_A_STATEMENT),
        ],
      })
    }
    await client.query('COMMIT')
  })
  await timed('CREATE INDEX ON products (name)', () => client.query('CREATE INDEX ON products (name)'))
  await timed('CREATE INDEX ON products USING hnsw (embedding vector_cosine_ops)', () =>
    client.query('CREATE INDEX ON products USING hnsw (embedding vector_cosine_ops)'),
  )
  await timed('ANALYZE products', () => client.query('ANALYZE products'))
  const { rows: counted } = await timed('how many of what', () =>
    client.query(
      'SELECT count(*) AS sentences, count(DISTINCT name) AS packages, sum(price) AS sum, avg(price)::numeric(6,2) AS mean FROM products',
    ),
  )
  console.log(`             ${JSON.stringify(counted[0])}`)

  const searches: readonly (readonly [question: string, condition: string, values: readonly unknown[]])[] = [
    ['How do I connect to the database?', 'true', []],
    ['How do I connect to the database?', 'name = $2', ['pg']],
    ['What does the licence allow?', 'price < $2', ['1.20']],
    ['parse command line options', 'name <> ALL ($2) AND price BETWEEN 0.5 AND 2', [['commander']]],
    ['faster tests in watch mode', "description ILIKE '%test%'", []],
  ]
  for (const [question, condition, values] of searches) {
    console.log()
    const { rows } = await timed(
      `"${question}"  WHERE ${condition}  ${values.length > 0 ? JSON.stringify(values) : ''}`,
      () =>
        client.query(
          `SELECT name, description, price, round((embedding <=> $1)::numeric, 3) AS distance
           FROM products WHERE ${condition} ORDER BY embedding <=> $1 LIMIT 3`,
          [pgvector.toSql(embedder.embed(question)), ...values],
        ),
    )
    for (const { name, description, distance } of rows) {
      console.log(
        `             ${distance}  ${name}: ${description.length > 90 ? `${description.slice(0, 90)}…` : description}`,
      )
    }
    const { rows: plan } = await client.query<{ 'QUERY PLAN': string }>(
      `EXPLAIN SELECT name FROM products WHERE ${condition} ORDER BY embedding <=> $1 LIMIT 3`,
      [pgvector.toSql(embedder.embed(question)), ...values],
    )
    const how = plan.map((line) => line['QUERY PLAN'].trim()).find((line) => line.startsWith('Vector Search'))
    console.log(`             ${how ?? 'exact: the rows that match are sorted'}`)
  }

  console.log()
  await client.end()
  await timed('the server is killed (kill -9) and started again on its store', async () => {
    await server.kill()
    await server.start()
  })
  const again = new pg.Client({ host: server.host, port: server.port, user: 'alopex', database: 'alopex' })
  await again.connect()
  const { rows } = await timed('every sentence is still there', () =>
    again.query('SELECT count(*) AS sentences FROM products'),
  )
  console.log(`             ${JSON.stringify(rows[0])}`)
  await again.end()
} finally {
  await client.end().catch(() => {})
  await timed('the server is stopped, its folder removed', () => server.dispose())
}
