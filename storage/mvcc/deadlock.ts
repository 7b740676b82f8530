/**
 * Deadlocks: a cycle in "waits for". A wait points at the owners it cannot get past (holders that conflict, and earlier
 * waits that conflict); an owner points at its own waits, a session and its transaction being one process. The search
 * runs when a wait begins, or when it has lasted deadlock_timeout; the wait it runs for is the victim.
 */
import { modeTitle } from './lock-modes.ts'
import type { LockOwner, Wait } from './locks.ts'

/** One step of a cycle. */
interface Edge {
  readonly wait: Wait
  readonly blocker: LockOwner
}

/**
 * PostgreSQL's detail for the cycle through `start`, one line a process; undefined when there is none.
 * `all` are the waits in progress everywhere.
 */
export function findDeadlock(
  start: Wait,
  all: ReadonlySet<Wait>,
  describe: (wait: Wait, blocker: LockOwner) => string,
): string | undefined {
  if (!someoneWaitsFor(start, all)) return undefined
  const visited = new Set<Wait>([start])
  const path: Edge[] = []

  const search = (wait: Wait): boolean => {
    for (const blocker of wait.table.blockersOf(wait)) {
      path.push({ wait, blocker })
      for (const next of waitsOf(blocker, all)) {
        if (next === start) return true
        if (!visited.has(next)) {
          visited.add(next)
          if (search(next)) return true
        }
      }
      path.pop()
    }
    return false
  }

  if (!search(start)) return undefined
  return path
    .map(
      ({ wait, blocker }) =>
        `Process ${wait.owner.pid} waits for ${describe(wait, blocker)}; blocked by process ${blocker.pid}.`,
    )
    .join('\n')
}

/** The cheap half of the question: without someone behind it a wait is on no cycle. */
function someoneWaitsFor(start: Wait, all: ReadonlySet<Wait>): boolean {
  for (const wait of all) {
    if (wait === start) continue
    for (const holder of wait.queue.holders.keys()) if (isSameProcess(holder, start.owner)) return true
  }
  return start.queue.waits.at(-1) !== start
}

function waitsOf(owner: LockOwner, all: ReadonlySet<Wait>): readonly Wait[] {
  if (owner.waits.length > 0) return owner.waits
  const out: Wait[] = []
  for (const wait of all) if (isSameProcess(wait.owner, owner)) out.push(wait)
  return out
}

const isSameProcess = (a: LockOwner, b: LockOwner) => a === b || (a.pid === b.pid && (a.isSession || b.isSession))

/** 'ShareLock on transaction 5' for a row, as PostgreSQL waits for the holder's transaction; 'ExclusiveLock on relation 16384' else. */
export function describeWait(wait: Wait, blocker: LockOwner): string {
  if (wait.table.number === 0) return `ShareLock on transaction ${blocker.id}`
  return `${modeTitle(wait.table.modes.names[wait.mode]!)} on ${wait.target}`
}
