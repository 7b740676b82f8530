/**
 * A power cut without the kernel's help, for root on Linux: `npx tsx test/crash/power-cut.ts [CYCLES] [postgres]`.
 *
 *     an ext4 file system in a file, mounted with commit=300: nothing reaches the file but what is fsynced
 *     sixteen writers; SIGSTOP; the file is copied: that is the disk at the moment of the cut
 *     SIGKILL; the copy is mounted instead; the server starts on it; the store is compared with what was acknowledged
 *
 * Then the same without fsync: this control must lose acknowledged transactions, or the rig is blind. The exit code is
 * 0 when the first run lost nothing and the control lost something.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startAlopex, startPostgres, type TestServer } from '../support/server.ts'
import { compare, openBook, write } from './writers.ts'

const IMAGE_MEGABYTES = 512
const CUT_AFTER_MS_MAX = 350
const CONTROL_CYCLES_MAX = 10

interface Total {
  readonly cycles: number
  readonly acknowledged: number
  readonly lost: number
  readonly torn: number
  /** Starts that failed on what the cut left. */
  readonly unopenable: number
}

/** Power is cut `cycles` times, or until something is lost when that is what is waited for. */
async function cutPower(kind: 'alopex' | 'postgres', isSynced: boolean, cycles: number): Promise<Total> {
  const folder = mkdtempSync(join(tmpdir(), 'alopex-power-cut-'))
  // Another user than root may have to reach what is mounted in it.
  chmodSync(folder, 0o755)
  const [image, copy, mountPoint] = [join(folder, 'image'), join(folder, 'image.cut'), join(folder, 'disk')]
  mkdirSync(mountPoint)
  run('truncate', '-s', `${IMAGE_MEGABYTES}M`, image)
  run('mkfs.ext4', '-q', '-E', 'lazy_itable_init=0,lazy_journal_init=0', image)
  const mount = () => run('mount', '-o', 'loop,commit=300', image, mountPoint)
  mount()
  const store = join(mountPoint, 'store')
  mkdirSync(store)
  let server: TestServer | undefined
  let [acknowledged, lost, torn, unopenable, cycle] = [0, 0, 0, 0, 0]
  try {
    server =
      kind === 'alopex'
        ? await startAlopex({ folder: store, env: isSynced ? {} : { ALOPEX_UNSAFE_NO_SYNC: '1' } })
        : await startPostgres({ folder: store, args: isSynced ? [] : ['-c', 'fsync=off'] })
    const book = await openBook(server)
    // The set-up is no part of what is asked.
    run('sync', '-f', mountPoint)
    while (cycle < cycles && (isSynced || lost === 0)) {
      cycle++
      const running = server
      await write(running, book, () => {
        setTimeout(
          async () => {
            process.kill(running.pid, 'SIGSTOP')
            await new Promise((resolve) => setTimeout(resolve, 15))
            run('cp', '--sparse=always', image, copy)
            await running.kill()
          },
          50 + Math.random() * CUT_AFTER_MS_MAX,
        )
      })
      await running.kill()
      run('umount', mountPoint)
      renameSync(copy, image)
      mount()
      try {
        await running.start()
        const verdict = await compare(running, book)
        acknowledged = verdict.acknowledged
        lost += verdict.lost
        torn += verdict.torn
        for (const complaint of verdict.complaints) console.log(`  cut ${cycle}: ${complaint}`)
      } catch (error) {
        unopenable++
        console.log(`  cut ${cycle}: ${(error as Error).message}`)
        break
      }
    }
  } finally {
    await server?.kill()
    run('umount', mountPoint)
    rmSync(folder, { recursive: true })
  }
  return { cycles: cycle, acknowledged, lost, torn, unopenable }
}

const run = (program: string, ...args: string[]): void => {
  execFileSync(program, args, { stdio: ['ignore', 'ignore', 'inherit'] })
}

function tell(name: string, { cycles, acknowledged, lost, torn, unopenable }: Total): void {
  console.log(
    `${name}: ${cycles} cuts, ${acknowledged} transactions acknowledged, ${lost} lost, ${torn} torn, ${unopenable} stores did not open`,
  )
}

if (process.getuid?.() !== 0) {
  console.log('The power-cut rig mounts file systems: run it as root.')
  process.exit(1)
}
const kind = process.argv.includes('postgres') ? 'postgres' : 'alopex'
const cycles = Number(process.argv.slice(2).find((word) => /^\d+$/.test(word)) ?? 20)
const synced = await cutPower(kind, true, cycles)
tell('with fsync', synced)
const control = await cutPower(kind, false, CONTROL_CYCLES_MAX)
tell('control, without fsync', control)
const isGood = synced.lost + synced.torn + synced.unopenable === 0
const isSeeing = control.lost + control.torn + control.unopenable > 0
console.log(isGood ? 'Nothing was lost.' : 'LOST.', isSeeing ? 'The rig sees losses.' : 'THE RIG IS BLIND.')
process.exit(isGood && isSeeing ? 0 : 1)
