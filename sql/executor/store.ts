/**
 * Rows kept to be read again: in memory up to work_mem, the rest in a file. A Replay is a store with the steps that fill
 * it: each reader takes what is there and asks for more only when it has read everything, so that `LIMIT` over an endless
 * recursive query ends.
 */
import { batchBytes } from './memory.ts'
import { type Execution, Pause, type RowBatch, type Steps } from './operator.ts'
import { type BatchReader, SpillFile } from './spill.ts'

export class RowStore {
  count = 0
  readonly #x: Execution
  readonly #batches: RowBatch[] = []
  #bytes = 0
  #file: SpillFile | undefined
  constructor(x: Execution) {
    this.#x = x
  }
  /** The store owns the batch from now on. */
  add(batch: RowBatch): void {
    this.count += batch.length
    this.#bytes += batchBytes(batch)
    if (this.#file === undefined && this.#bytes <= this.#x.workMemBytes) {
      this.#batches.push(batch)
      return
    }
    this.#file ??= new SpillFile(this.#x)
    for (const row of batch) this.#file.write(row)
  }
  /** All batches, not to be changed: the array itself while everything is in memory. */
  batches(): Iterable<RowBatch> {
    return this.#file === undefined ? this.#batches : this.#all()
  }
  *#all(): Generator<RowBatch, void, undefined> {
    const reader = this.reader(false)
    for (let batch = reader.next(); batch !== undefined; batch = reader.next()) yield batch
  }
  /** `copy`: rows for a receiver that will own them; without it they must not be changed. */
  reader(copy: boolean): BatchReader {
    let next = 0
    let file: BatchReader | undefined
    return {
      next: () => {
        const batch = this.#batches[next]
        if (batch !== undefined) {
          next++
          return copy ? batch.map((row) => row.slice()) : batch
        }
        file ??= this.#file?.reader()
        return file?.next()
      },
    }
  }
  close(): void {
    this.#file?.close()
    this.#batches.length = 0
  }
}

export class Replay {
  readonly store: RowStore
  readonly #start: () => Steps
  #steps: Steps | undefined
  #done = false
  constructor(x: Execution, start: () => Steps) {
    this.store = new RowStore(x)
    this.#start = start
  }
  *read(copy: boolean): Steps {
    const reader = this.store.reader(copy)
    for (;;) {
      const batch = reader.next()
      if (batch !== undefined) yield batch
      else if (this.#done) return
      else {
        const pause = this.#more()
        if (pause !== undefined) yield pause
      }
    }
  }
  /** Runs what is left to run, for plans that change data. */
  *finish(): Steps {
    while (!this.#done) {
      const pause = this.#more()
      if (pause !== undefined) yield pause
    }
  }
  #more(): Pause | undefined {
    this.#steps ??= this.#start()
    const { value, done } = this.#steps.next()
    if (done) this.#done = true
    else if (value instanceof Pause) return value
    else this.store.add(value)
    return undefined
  }
  close(): void {
    this.#steps?.return(undefined)
    this.#done = true
    this.store.close()
  }
}
