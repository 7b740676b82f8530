/**
 * Extensions that are functions only: their declarations read like their scripts. CREATE EXTENSION makes a row of pg_proc of each
 * line; the bodies are here, found by prosrc. What PostgreSQL's has besides is missing from the list, so that it does not exist.
 */
import { install } from '../function.ts'
import { PGCRYPTO_FUNCTIONS } from './pgcrypto.ts'
import { UUID_OSSP_FUNCTIONS } from './uuid-ossp.ts'

export interface FunctionExtension {
  readonly name: string
  readonly version: string
  readonly comment: string
  /** `name(argument types) result volatility = prosrc`, the last where it is not the name; all are strict and parallel safe. */
  readonly functions: readonly string[]
}

export const FUNCTION_EXTENSIONS: readonly FunctionExtension[] = [
  {
    name: 'pgcrypto',
    version: '1.3',
    comment: 'cryptographic functions',
    functions: [
      'digest(text,text) bytea i = pg_digest',
      'digest(bytea,text) bytea i = pg_digest',
      'hmac(text,text,text) bytea i = pg_hmac',
      'hmac(bytea,bytea,text) bytea i = pg_hmac',
      'crypt(text,text) text i = pg_crypt',
      'gen_salt(text) text v = pg_gen_salt',
      'gen_salt(text,int4) text v = pg_gen_salt_rounds',
      'encrypt(bytea,bytea,text) bytea i = pg_encrypt',
      'decrypt(bytea,bytea,text) bytea i = pg_decrypt',
      'encrypt_iv(bytea,bytea,bytea,text) bytea i = pg_encrypt_iv',
      'decrypt_iv(bytea,bytea,bytea,text) bytea i = pg_decrypt_iv',
      'gen_random_bytes(int4) bytea v = pg_random_bytes',
      'gen_random_uuid() uuid v = pg_random_uuid',
    ],
  },
  {
    name: 'uuid-ossp',
    version: '1.1',
    comment: 'generate universally unique identifiers (UUIDs)',
    functions: [
      'uuid_nil() uuid i',
      'uuid_ns_dns() uuid i',
      'uuid_ns_url() uuid i',
      'uuid_ns_oid() uuid i',
      'uuid_ns_x500() uuid i',
      'uuid_generate_v1() uuid v',
      'uuid_generate_v1mc() uuid v',
      'uuid_generate_v3(namespace uuid,name text) uuid i',
      'uuid_generate_v4() uuid v',
      'uuid_generate_v5(namespace uuid,name text) uuid i',
    ],
  },
]

export function registerExtensionFunctions(): void {
  install(UUID_OSSP_FUNCTIONS)
  install(PGCRYPTO_FUNCTIONS)
}
