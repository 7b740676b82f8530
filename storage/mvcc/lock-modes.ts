/**
 * The lock modes and what conflicts with what, as PostgreSQL's manual prints it: table 13.3 for rows, table 13.2 for
 * tables and other objects. A mode is a bit; a conflict table gives for each mode the mask of modes it cannot live beside.
 */

/** PostgreSQL's row lock strengths, weakest first; they conflict as its manual's table 13.3 says. */
export const LOCK_STRENGTHS = ['key-share', 'share', 'no-key-update', 'update'] as const
export type LockStrength = (typeof LOCK_STRENGTHS)[number]

/** PostgreSQL's table lock modes, weakest first (manual, table 13.2). */
export const TABLE_LOCK_MODES = [
  'access-share',
  'row-share',
  'row-exclusive',
  'share-update-exclusive',
  'share',
  'share-row-exclusive',
  'exclusive',
  'access-exclusive',
] as const
export type TableLockMode = (typeof TABLE_LOCK_MODES)[number]
type LockMode = LockStrength | TableLockMode

export type WaitPolicy = 'wait' | 'nowait' | 'skip'

/** Rows are the requested mode, columns the held one, X where they conflict. */
const ROW_TABLE: Readonly<Record<LockStrength, string>> = {
  //                 key-share share no-key-update update
  'key-share': '    . . . X',
  share: '          . . X X',
  'no-key-update': '. X X X',
  update: '         X X X X',
}

const OBJECT_TABLE: Readonly<Record<TableLockMode, string>> = {
  //                          AS RS RE SUE S SRE E AE
  'access-share': '           .  .  .  .  .  .  .  X',
  'row-share': '              .  .  .  .  .  .  X  X',
  'row-exclusive': '          .  .  .  .  X  X  X  X',
  'share-update-exclusive': ' .  .  .  X  X  X  X  X',
  share: '                    .  .  X  X  .  X  X  X',
  'share-row-exclusive': '    .  .  X  X  X  X  X  X',
  exclusive: '                .  X  X  X  X  X  X  X',
  'access-exclusive': '       X  X  X  X  X  X  X  X',
}

/** One kind of lock: its modes in order and their conflicts. */
export interface LockModes {
  readonly names: readonly string[]
  /** By mode number: the mask of modes that cannot be held by someone else. */
  readonly conflicts: readonly number[]
  /** By mode number: the mask of modes that need not be asked for by who holds it. */
  readonly covers: readonly number[]
}

function lockModes<Name extends string>(
  names: readonly Name[],
  table: Readonly<Record<Name, string>>,
  ordered: boolean,
): LockModes {
  return {
    names,
    conflicts: names.map((name) =>
      table[name]
        .trim()
        .split(/\s+/)
        .reduce((mask, cell, i) => (cell === 'X' ? mask | (1 << i) : mask), 0),
    ),
    covers: names.map((_, i) => (ordered ? (1 << (i + 1)) - 1 : 1 << i)),
  }
}

/** A stronger row lock covers the weaker ones. */
export const ROW_MODES = lockModes(LOCK_STRENGTHS, ROW_TABLE, true)
/** Object locks are kept mode by mode, as pg_locks shows them. */
export const OBJECT_MODES = lockModes(TABLE_LOCK_MODES, OBJECT_TABLE, false)

export const STRENGTH_NUMBER = { 'key-share': 0, share: 1, 'no-key-update': 2, update: 3 } as const satisfies Record<
  LockStrength,
  number
>
export const TABLE_MODE_NUMBER = {
  'access-share': 0,
  'row-share': 1,
  'row-exclusive': 2,
  'share-update-exclusive': 3,
  share: 4,
  'share-row-exclusive': 5,
  exclusive: 6,
  'access-exclusive': 7,
} as const satisfies Record<TableLockMode, number>

/** Whether the mode asked for cannot live beside the one held; modes of rows and of objects never meet on one target. */
export const modesConflict = (wanted: LockMode, held: LockMode): boolean =>
  [ROW_MODES, OBJECT_MODES].some(({ names, conflicts }) => {
    const mask = conflicts[names.indexOf(wanted)] ?? 0
    return (mask & (1 << names.indexOf(held))) !== 0
  })

/** 'access-share' as PostgreSQL writes it in messages: AccessShareLock. */
export function modeTitle(name: string): string {
  return `${name
    .split('-')
    .map((word) => word[0]!.toUpperCase() + word.slice(1))
    .join('')}Lock`
}
