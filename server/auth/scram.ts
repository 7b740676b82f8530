/**
 * The server's side of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677), as a pure pair of steps:
 *
 *     client-first  n,,n=,r=<client nonce>             →  server-first  r=<both nonces>,s=<salt>,i=<iterations>
 *     client-final  c=<binding>,r=<both>,p=<proof>     →  server-final  v=<signature>
 *
 * -PLUS binds the exchange to the TLS certificate (tls-server-end-point, RFC 5929). A user without a verifier goes through
 * the same exchange with made-up keys, the same ones each time, so that nobody learns which names exist.
 * Error texts are those of PostgreSQL's auth-scram.c.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import {
  hmacSha256,
  SCRAM_ITERATIONS,
  SCRAM_KEY_BYTES,
  type ScramVerifier,
  sha256,
} from '../../sql/session/scram-verifier.ts'
import { sqlError } from '../../sql/types/error.ts'

export const SCRAM = 'SCRAM-SHA-256'
export const SCRAM_PLUS = 'SCRAM-SHA-256-PLUS'

const NONCE_BYTES = 18
const MOCK_SECRET = randomBytes(32)

export interface ScramChallenge {
  readonly serverFirst: string
  /** The server's final message, or undefined when the proof is wrong. Throws 08P01 and 28000 for broken messages. */
  finish(clientFinal: string): string | undefined
}

export interface ScramOptions {
  readonly mechanism: typeof SCRAM | typeof SCRAM_PLUS
  /** The verifier, or undefined for a mock exchange that always fails. */
  readonly verifier: ScramVerifier | undefined
  readonly user: string
  /** The certificate's hash, when the connection is encrypted and its kind is known. */
  readonly endPointHash: Buffer | undefined
  /** For tests. */
  readonly serverNonce?: string
}

const malformed = (detail: string) => sqlError('08P01', 'malformed SCRAM message', { detail, severity: 'FATAL' })
const fatal = (code: string, message: string, detail?: string) =>
  sqlError(code, message, { severity: 'FATAL', ...(detail === undefined ? {} : { detail }) })

export function startScram(clientFirst: string, options: ScramOptions): ScramChallenge {
  const bound = options.mechanism === SCRAM_PLUS
  const { header, bare } = splitHeader(clientFirst, bound, options.endPointHash !== undefined)
  const clientNonce = nonceOf(bare)
  const verifier = options.verifier ?? mockVerifier(options.user)
  const nonce = clientNonce + (options.serverNonce ?? randomBytes(NONCE_BYTES).toString('base64'))
  const serverFirst = `r=${nonce},s=${verifier.salt.toString('base64')},i=${verifier.iterations}`
  const binding = bound ? Buffer.concat([Buffer.from(header), options.endPointHash!]) : Buffer.from(header)

  return {
    serverFirst,
    finish(clientFinal) {
      const { withoutProof, proof } = readFinal(clientFinal, binding, bound, nonce)
      const message = `${bare},${serverFirst},${withoutProof}`
      const signature = hmacSha256(verifier.storedKey, message)
      const clientKey = Buffer.alloc(SCRAM_KEY_BYTES)
      for (let i = 0; i < SCRAM_KEY_BYTES; i++) clientKey[i] = proof[i]! ^ signature[i]!
      const right = timingSafeEqual(sha256(clientKey), verifier.storedKey)
      if (!right || options.verifier === undefined) return undefined
      return `v=${hmacSha256(verifier.serverKey, message).toString('base64')}`
    },
  }
}

/** `n,,` `y,,` or `p=tls-server-end-point,,` and what follows. */
function splitHeader(clientFirst: string, bound: boolean, possible: boolean): { header: string; bare: string } {
  const flag = clientFirst[0]
  let at = 1
  if (flag === 'n' || flag === 'y') {
    if (bound) {
      throw malformed(
        'The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not include channel binding data.',
      )
    }
    if (flag === 'y' && possible) {
      throw fatal(
        '28000',
        'SCRAM channel binding negotiation error',
        'The client supports SCRAM channel binding but thinks the server does not.  However, this server does support channel binding.',
      )
    }
  } else if (flag === 'p') {
    if (!bound) {
      throw malformed(
        'The client selected SCRAM-SHA-256 without channel binding, but the SCRAM message includes channel binding data.',
      )
    }
    const end = clientFirst.indexOf(',')
    const type = end === -1 || clientFirst[1] !== '=' ? '' : clientFirst.slice(2, end)
    if (type !== 'tls-server-end-point') throw fatal('08P01', `unsupported SCRAM channel-binding type "${type}"`)
    at = end
  } else throw malformed(`Unexpected channel-binding flag "${printable(flag)}".`)
  if (clientFirst[at] !== ',') throw malformed(`Comma expected, but found character "${printable(clientFirst[at])}".`)
  at++
  if (clientFirst[at] === 'a') {
    throw fatal('0A000', 'client uses authorization identity, but it is not supported')
  }
  if (clientFirst[at] !== ',') {
    throw malformed(`Unexpected attribute "${printable(clientFirst[at])}" in client-first-message.`)
  }
  return { header: clientFirst.slice(0, at + 1), bare: clientFirst.slice(at + 1) }
}

/** `n=<user, not used>,r=<nonce>[,extensions]` */
function nonceOf(bare: string): string {
  if (bare.startsWith('m=')) throw fatal('0A000', 'client requires an unsupported SCRAM extension')
  const match = /^n=[^,]*,r=([^,]*)/.exec(bare)
  if (match === null) throw malformed('Attribute expected, but found invalid character or end of message.')
  const nonce = match[1]!
  if (!/^[\x21-\x7e]*$/.test(nonce)) throw fatal('08P01', 'non-printable characters in SCRAM nonce')
  return nonce
}

/** `c=<base64>,r=<nonce>[,extensions],p=<base64>` */
function readFinal(
  clientFinal: string,
  binding: Buffer,
  bound: boolean,
  nonce: string,
): { withoutProof: string; proof: Buffer } {
  const proofAt = clientFinal.lastIndexOf(',p=')
  const match = proofAt === -1 ? null : /^c=([^,]*),r=([^,]*)/.exec(clientFinal.slice(0, proofAt))
  if (match === null) throw malformed('Attribute expected, but found invalid character or end of message.')
  const sent = match[1]!
  if (sent !== binding.toString('base64')) {
    // Without binding, `c=` repeats the header; the client of a 'y' header may be told apart by it alone.
    throw bound
      ? fatal('28000', 'SCRAM channel binding check failed')
      : fatal('08P01', 'unexpected SCRAM channel-binding attribute in client-final-message')
  }
  if (match[2] !== nonce) throw fatal('08P01', 'invalid SCRAM response', 'Nonce does not match.')
  const proofText = clientFinal.slice(proofAt + 3)
  const proof = Buffer.from(proofText, 'base64')
  if (proof.length !== SCRAM_KEY_BYTES || proof.toString('base64') !== proofText) {
    throw malformed('Malformed proof in client-final-message.')
  }
  return { withoutProof: clientFinal.slice(0, proofAt), proof }
}

function mockVerifier(user: string): ScramVerifier {
  const salt = createHash('sha256').update(user).update(MOCK_SECRET).digest().subarray(0, 16)
  return { iterations: SCRAM_ITERATIONS, salt, storedKey: Buffer.alloc(32), serverKey: Buffer.alloc(32) }
}

/** As PostgreSQL's sanitize_char. */
function printable(character: string | undefined): string {
  if (character === undefined) return '0x00'
  const code = character.charCodeAt(0)
  return code >= 0x21 && code <= 0x7e ? character : `0x${code.toString(16).padStart(2, '0')}`
}
