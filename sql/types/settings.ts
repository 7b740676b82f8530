/** The session settings that change what a value looks like or means. The session keeps one such object up to date with its GUCs. */
export interface Settings {
  /** A name known to Intl or PostgreSQL ('UTC', 'Europe/Berlin'), or a POSIX/offset form as SHOW TimeZone prints. */
  readonly timeZone: string
  readonly dateStyle: 'ISO' | 'SQL' | 'Postgres' | 'German'
  readonly dateOrder: 'MDY' | 'DMY' | 'YMD'
  readonly intervalStyle: 'postgres' | 'postgres_verbose' | 'sql_standard' | 'iso_8601'
  readonly byteaOutput: 'hex' | 'escape'
  readonly extraFloatDigits: number
  /** default_text_search_config: a configuration's name as regconfig reads it. */
  readonly textSearchConfig: string
}

export const DEFAULT_SETTINGS: Settings = {
  timeZone: 'UTC',
  dateStyle: 'ISO',
  dateOrder: 'MDY',
  intervalStyle: 'postgres',
  byteaOutput: 'hex',
  extraFloatDigits: 1,
  textSearchConfig: 'pg_catalog.english',
}
