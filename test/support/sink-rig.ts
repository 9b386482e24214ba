import type { Sink } from '../../src/passport/sinks/sink.ts'
import { SinkKeeper } from '../../src/passport/sinks/sink-keeper.ts'
import type { SinkEvent } from '../../src/passport/sinks/sink-status.ts'
import type { TokenRequest } from '../../src/results/token-request.ts'
import { BrokerRig, type RigOptions } from './broker-rig.ts'
import { FakeTokenPlace } from './fake-token-place.ts'
import { tokenRequest } from './fake-token-source.ts'
import { seededRandom } from './seeded-random.ts'

export const sinkRequest: TokenRequest = tokenRequest({ audience: ['https://sts.example'] })

export interface SinkRigOptions extends Omit<RigOptions, 'sinks'> {
  readonly sink?: Partial<Sink>
  readonly place?: FakeTokenPlace
}

/** A token file with its broker, on clocks that a test moves. */
export class SinkRig {
  readonly broker: BrokerRig
  /** What is opened next. */
  place: FakeTokenPlace
  readonly keeper: SinkKeeper
  readonly told: SinkEvent[] = []
  /** Times that the consumer was to be told. */
  changes = 0
  /** Thrown when the place is to be opened. */
  refusesToOpen: unknown = null
  opened = 0
  readonly #stop = new AbortController()
  #keeping: Promise<void> | undefined

  constructor({ sink, place, ...broker }: SinkRigOptions = {}) {
    this.place = place ?? new FakeTokenPlace()
    this.broker = new BrokerRig({ ...broker, sinks: [sinkRequest], observe: (event) => this.keeper.hear(event) })
    const random = seededRandom(7)
    this.keeper = new SinkKeeper({
      sink: {
        name: 'one',
        path: '/run/attestd/tokens/one/token',
        request: sinkRequest,
        format: { kind: 'text' },
        maxCharacters: 20_000,
        onExpiry: 'remove',
        removeOnStop: false,
        ...sink,
      },
      broker: this.broker.broker,
      openPlace: async () => {
        this.opened++
        if (this.refusesToOpen !== null) throw this.refusesToOpen
        this.place.open++
        return this.place
      },
      clock: this.broker.clock,
      drawUnit: () => (random(1)[0] ?? 0) / 256,
      floorMs: 5_000,
      observe: (event) => void this.told.push(event),
      changed: () => void this.changes++,
    })
  }

  get clock() {
    return this.broker.clock
  }

  get source() {
    return this.broker.source
  }

  /** What happened, in the order in which it was told. */
  get story(): string[] {
    return this.told.map(({ event }) => event)
  }

  keep(): this {
    this.broker.keepFresh()
    this.#keeping = this.keeper.keep(this.#stop.signal)
    return this
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error('stop'))
    await this.#keeping
    await this.broker.stop()
  }
}
