import type { Socket } from 'node:net'
import type { CallerIdentity } from '../policies/caller-identity.ts'
import type { ApiContext } from './api-context.ts'
import type { Asker } from './asker.ts'
import type { CallerIdentifier } from './caller-identifier.ts'
import { CallerWatch } from './caller-watch.ts'
import { connectionGone } from './connection.ts'
import type { CredentialName } from './credential-name.ts'
import { workloadApiErrors } from './errors.ts'

/** One connection of the service manager, which says nothing: its name said what it wants (API-164, API-165). */
export class CredentialCall implements Asker {
  readonly id: string
  readonly name: CredentialName
  readonly arrivedAt: number
  /** Aborts when the peer is gone, or speaks: then it is no service manager. */
  readonly gone: AbortSignal
  #watch: CallerWatch
  #caller: CallerIdentity | null = null

  constructor(
    socket: Socket,
    asked: { readonly id: string; readonly name: CredentialName },
    parts: CredentialCallParts,
  ) {
    const { context, identifier } = parts
    const gone = new AbortController()
    this.id = asked.id
    this.name = asked.name
    this.arrivedAt = context.clock.monotonic()
    this.gone = gone.signal
    socket.once('close', () => {
      gone.abort(connectionGone)
      this.#watch.close()
    })
    socket.once('data', () => gone.abort(workloadApiErrors.error('credential_peer', 'the peer sent something')))
    const { listener, clock, limits } = context
    const identityMs = limits.identityMs
    this.#watch = new CallerWatch(socket, {
      identifier,
      listener,
      clock,
      identityMs,
      gone: () => gone.signal,
      admit: () => undefined,
    })
  }

  get caller(): CallerIdentity {
    if (this.#caller === null) throw new TypeError('a peer that was not asked for')
    return this.#caller
  }

  async readyToWrite(): Promise<boolean> {
    await this.requireManager()
    return false
  }

  /**
   * Who connected is root, and does not run in another unit than the one that it names: then the manager starts that unit,
   * and policy is asked about it (API-166). The groups are those of the user of the unit, or not, and say nothing (SYS-61).
   */
  async requireManager(): Promise<void> {
    const peer = await this.#watch.requireThere()
    const { unit } = this.name
    if (peer.uid !== 0) throw workloadApiErrors.error('credential_peer', `the peer is user ${peer.uid}, not root`)
    if (peer.unit !== null && peer.unit !== unit) {
      throw workloadApiErrors.error('credential_peer', `the peer runs in ${peer.unit}, not in the unit that it names`)
    }
    this.#caller = { ...peer, gid: null, groups: [], unit, slice: null, container: null }
  }
}

export interface CredentialCallParts {
  readonly context: ApiContext
  readonly identifier: CallerIdentifier
}
