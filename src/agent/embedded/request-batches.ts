import { FairQueue, type Standing } from '../../base/fair-queue.ts'
import type { FairTurns } from '../../base/fair-turns.ts'
import { maxTreeSize } from '../../evidence/request-tree.ts'
import type { BatchLedger } from './batch-ledger.ts'
import { queueFull } from './queue-full.ts'

export interface BatchingOptions<Item, Answer> {
  /**
   * Answers all items of a batch at once. Called in a turn of its own; `signal` aborts when nobody waits for the batch any
   * more. What it throws is the answer to everyone in it.
   */
  readonly answer: (items: readonly Item[], signal: AbortSignal) => Promise<Answer>
  /** Those of the device. A batch is one turn, whoever is in it (BRK-81). */
  readonly turns: FairTurns
  /** As what the batches take their turns. */
  readonly name: string
  readonly ledger: BatchLedger
}

/** The answer to a whole batch, and which of its items one asked for. */
export interface BatchPlace<Answer> {
  readonly answer: Answer
  readonly index: number
}

/** Requests that may wait for a batch (BRK-81): as many as the next one takes. */
const mostWaiting = maxTreeSize

interface Seat<Item, Answer> {
  readonly item: Item
  readonly standing: Standing
  readonly resolve: (place: BatchPlace<Answer>) => void
  readonly reject: (reason: unknown) => void
}

/** Items whose evidence is being collected. Who leaves, leaves: the batch goes on until the last one has left. */
class RunningBatch<Item, Answer> {
  readonly #seats: readonly Seat<Item, Answer>[]
  readonly #staying: Set<Seat<Item, Answer>>
  readonly #stop = new AbortController()

  constructor(seats: readonly Seat<Item, Answer>[]) {
    this.#seats = seats
    this.#staying = new Set(seats)
  }

  leave(seat: Seat<Item, Answer>, reason: unknown): void {
    if (this.#staying.delete(seat) && this.#staying.size === 0) this.#stop.abort(reason)
  }

  async run(answer: BatchingOptions<Item, Answer>['answer']): Promise<boolean> {
    const items = this.#seats.map(({ item }) => item)
    try {
      const given = await answer(items, this.#stop.signal)
      for (const [index, seat] of this.#seats.entries()) seat.resolve({ answer: given, index })
      return true
    } catch (error) {
      for (const seat of this.#seats) seat.reject(error)
      return false
    }
  }
}

/**
 * Natural batching (BRK-85): what comes while a batch is under way forms the next one, which closes when its turn begins. A
 * lone item begins at once, and shares its batch with whatever came before that.
 */
export class RequestBatches<Item, Answer> {
  readonly #options: BatchingOptions<Item, Answer>
  readonly #waiting = new FairQueue<Seat<Item, Answer>>(mostWaiting)
  readonly #running = new Map<Seat<Item, Answer>, RunningBatch<Item, Answer>>()
  #turnAsked = false

  constructor(options: BatchingOptions<Item, Answer>) {
    this.#options = options
  }

  /**
   * Waits for the answer to the batch that `item` gets into. Rejects with the reason of `signal` as soon as it aborts, with
   * `quote_queue_full` where there is no place, and with what the batch fails with.
   */
  async join(item: Item, standing: Standing, signal: AbortSignal): Promise<BatchPlace<Answer>> {
    signal.throwIfAborted()
    const done = new AbortController()
    try {
      return await new Promise<BatchPlace<Answer>>((resolve, reject) => {
        const seat = { item, standing, resolve, reject }
        signal.addEventListener('abort', () => this.#leave(seat, signal.reason), { once: true, signal: done.signal })
        this.#take(seat)
      })
    } finally {
      done.abort()
    }
  }

  #take(seat: Seat<Item, Answer>): void {
    const refused = this.#waiting.add(seat, seat.standing)
    refused?.reject(this.#full())
    if (refused !== seat) this.#askForTurn()
  }

  get #standing(): Standing {
    return { caller: `batch:${this.#options.name}`, background: false }
  }

  /** Milliseconds until the batch that a request which came now would be in begins, as far as is known (BRK-81). */
  expectedWaitMs(): number {
    return this.#options.turns.expectedWaitMs(this.#standing, 0)
  }

  #full(): Error {
    return queueFull(`${mostWaiting} requests wait for evidence already`, this.expectedWaitMs())
  }

  #leave(seat: Seat<Item, Answer>, reason: unknown): void {
    seat.reject(reason)
    if (!this.#waiting.remove(seat, seat.standing)) this.#running.get(seat)?.leave(seat, reason)
  }

  #askForTurn(): void {
    if (this.#turnAsked) return
    this.#turnAsked = true
    this.#options.turns
      .take(() => this.#runNext(), undefined, this.#standing)
      .catch((reason: unknown) => {
        this.#turnAsked = false
        for (const seat of this.#nextSeats()) seat.reject(reason)
      })
  }

  async #runNext(): Promise<void> {
    this.#turnAsked = false
    const seats = this.#nextSeats()
    if (seats.length === 0) return
    if (this.#waiting.size > 0) this.#askForTurn()
    const batch = new RunningBatch(seats)
    for (const seat of seats) this.#running.set(seat, batch)
    const end = this.#options.ledger.begin(seats.length)
    end(await batch.run(this.#options.answer))
    for (const seat of seats) this.#running.delete(seat)
  }

  #nextSeats(): Seat<Item, Answer>[] {
    const seats: Seat<Item, Answer>[] = []
    while (seats.length < maxTreeSize) {
      const seat = this.#waiting.take()
      if (seat === undefined) break
      seats.push(seat)
    }
    return seats
  }
}
