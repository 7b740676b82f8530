/** Runs before every test file: the parser's WebAssembly instance is made asynchronously, tests parse at once. */
import { parserReady } from '../../sql/parser/parser.ts'

await parserReady
