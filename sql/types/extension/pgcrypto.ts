/**
 * The functions of PostgreSQL's extension pgcrypto (manual, appendix F.28): hashes, keyed hashes, random bytes, passwords, and AES.
 * PGP, Blowfish and DES as ciphers are not among them and say so when called.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  getHashes,
  randomBytes,
  randomUUID,
} from 'node:crypto'
import { notSupported, sqlError } from '../error.ts'
import { bound, type FunctionTable, scalar } from '../function.ts'
import { crypt, genSalt } from './crypt.ts'

type Bytes = Uint8Array
const own = (bytes: Buffer): Bytes => new Uint8Array(bytes)
const HASHES = new Set(getHashes().map((name) => name.toLowerCase()))

function hashName(name: string): string {
  const known = name.toLowerCase()
  if (!HASHES.has(known)) throw sqlError('22023', `Cannot use "${name}": No such hash algorithm`)
  return known
}
const digest = (data: string | Bytes, type: string): Bytes => own(createHash(hashName(type)).update(data).digest())
const hmac = (data: string | Bytes, key: string | Bytes, type: string): Bytes =>
  own(createHmac(hashName(type), key).update(data).digest())

const RANDOM_BYTES_MAX = 1024
function randomOf(count: number): Bytes {
  if (count < 1 || count > RANDOM_BYTES_MAX) throw sqlError('22023', 'Length not in range')
  return own(randomBytes(count))
}

/** 'aes-cbc/pad:pkcs': algorithm, mode, padding. */
function cipherOf(
  type: string,
  key: Bytes,
): { readonly name: string; readonly padded: boolean; readonly key: Buffer; readonly mode: string } {
  const parts = /^(\w+?)(?:-(\w+))?(?:\/pad:(\w+))?$/.exec(type.toLowerCase())
  const [, algorithm, mode = 'cbc', padding = 'pkcs'] = parts ?? []
  if (algorithm !== 'aes' && algorithm !== 'rijndael') {
    if (algorithm === 'bf' || algorithm === 'blowfish') throw notSupported('encryption with Blowfish')
    throw sqlError('22023', `Cannot use "${type}": No such cipher algorithm`)
  }
  if (!['cbc', 'ecb'].includes(mode) || !['pkcs', 'none'].includes(padding))
    throw sqlError('22023', `Cannot use "${type}": No such cipher algorithm`)
  if (key.length > 32) throw sqlError('22023', 'Key was too big')
  const bytes = key.length <= 16 ? 16 : key.length <= 24 ? 24 : 32
  const whole = Buffer.alloc(bytes)
  whole.set(key)
  return { name: `aes-${bytes * 8}-${mode}`, padded: padding === 'pkcs', key: whole, mode }
}
const BLOCK_BYTES = 16
function vectorOf(mode: string, given: Bytes | undefined): Buffer | null {
  if (mode === 'ecb') return null
  const iv = Buffer.alloc(BLOCK_BYTES)
  iv.set((given ?? iv).subarray(0, BLOCK_BYTES))
  return iv
}
function encrypt(data: Bytes, key: Bytes, iv: Bytes | undefined, type: string): Bytes {
  const cipher = cipherOf(type, key)
  if (!cipher.padded && data.length % BLOCK_BYTES !== 0)
    throw sqlError('39000', 'encrypt error: Data not a multiple of block size')
  const stream = createCipheriv(cipher.name, cipher.key, vectorOf(cipher.mode, iv)).setAutoPadding(cipher.padded)
  return own(Buffer.concat([stream.update(data), stream.final()]))
}
function decrypt(data: Bytes, key: Bytes, iv: Bytes | undefined, type: string): Bytes {
  const cipher = cipherOf(type, key)
  if (data.length % BLOCK_BYTES !== 0) throw sqlError('39000', 'decrypt error: Data not a multiple of block size')
  const stream = createDecipheriv(cipher.name, cipher.key, vectorOf(cipher.mode, iv)).setAutoPadding(cipher.padded)
  try {
    return own(Buffer.concat([stream.update(data), stream.final()]))
  } catch {
    throw sqlError('39000', 'decrypt error: Decryption failed')
  }
}

export const PGCRYPTO_FUNCTIONS: FunctionTable = {
  pg_digest: scalar(digest),
  pg_hmac: scalar(hmac),
  pg_crypt: bound(
    (call) => (password: string, setting: string) => crypt(password, setting, () => call.context.checkInterrupts()),
  ),
  pg_gen_salt: scalar((type: string) => genSalt(type, 0)),
  pg_gen_salt_rounds: scalar((type: string, rounds: number) => genSalt(type, rounds)),
  pg_encrypt: scalar((data: Bytes, key: Bytes, type: string) => encrypt(data, key, undefined, type)),
  pg_decrypt: scalar((data: Bytes, key: Bytes, type: string) => decrypt(data, key, undefined, type)),
  pg_encrypt_iv: scalar((data: Bytes, key: Bytes, iv: Bytes, type: string) => encrypt(data, key, iv, type)),
  pg_decrypt_iv: scalar((data: Bytes, key: Bytes, iv: Bytes, type: string) => decrypt(data, key, iv, type)),
  pg_random_bytes: scalar(randomOf),
  pg_random_uuid: scalar(() => randomUUID()),
}
