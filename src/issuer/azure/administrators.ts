import { createHash } from 'node:crypto'
import { equalBytes } from '../../base/bytes.ts'
import type { Clock } from '../../base/clock.ts'
import { azureErrors } from './errors.ts'

/** Who may change policies. The token itself is nowhere in the configuration. */
export interface Administrator {
  /** In the audit log: 1 to 64 letters, digits, dots, `_`, `-` and `@`. */
  readonly name: string
  /** SHA-256 of the bearer token, which must be random: 32 bytes or more, for the hash is a fast one. */
  readonly tokenSha256: Uint8Array
}

const mostAdministrators = 32
const nameForm = /^[A-Za-z0-9._@-]{1,64}$/
/** RFC 6750 section 2.1; the scheme is not sensitive to case (RFC 9110). */
const bearerForm = /^bearer +([A-Za-z0-9._~+/-]{1,4096}=*)$/i

/** Knows administrators by their tokens. */
export class Administrators {
  #known: readonly Administrator[]

  /** Throws `AZURE_CONFIGURATION`: a façade without administrators would be open or of no use. */
  constructor(known: readonly Administrator[]) {
    const refuse = (says: string) => azureErrors.error('AZURE_CONFIGURATION', says)
    if (known.length === 0 || known.length > mostAdministrators) throw refuse('there are not 1 to 32 administrators')
    for (const { name, tokenSha256 } of known) {
      if (!nameForm.test(name)) throw refuse('the name of an administrator has other characters than it may')
      if (tokenSha256.length !== 32) throw refuse(`the hash of the token of ${name} is not a SHA-256`)
    }
    const names = new Set(known.map(({ name }) => name))
    const hashes = new Set(known.map(({ tokenSha256 }) => Buffer.from(tokenSha256).toString('hex')))
    if (names.size !== known.length || hashes.size !== known.length) throw refuse('two administrators are one')
    this.#known = known
  }

  /** Whose token the header `Authorization` carries. All hashes are compared, each in constant time. */
  identify(authorization: string | undefined): string | null {
    const [, token] = bearerForm.exec((authorization ?? '').slice(0, 8192)) ?? []
    const presented = createHash('sha256')
      .update(token ?? '')
      .digest()
    const found = this.#known.filter(({ tokenSha256 }) => equalBytes(tokenSha256, presented))
    return token === undefined ? null : (found[0]?.name ?? null)
  }
}

const attempts = { perWindow: 20, windowMs: 60_000, addresses: 4096 } as const

/** Counts refused tokens by the address of their sender, so that guessing is told to wait. */
export class RefusedAttempts {
  #clock: Pick<Clock, 'monotonic'>
  #windows = new Map<string, { readonly since: number; count: number }>()

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock
  }

  /** Counts one more; gives the seconds to wait if there were too many in this minute, else 0. */
  count(address: string): number {
    const now = this.#clock.monotonic()
    const known = this.#windows.get(address)
    const window = known && now - known.since < attempts.windowMs ? known : { since: now, count: 0 }
    window.count += 1
    this.#remember(address, window)
    return window.count <= attempts.perWindow ? 0 : Math.ceil((window.since + attempts.windowMs - now) / 1000)
  }

  /** The address that was heard of longest ago makes room. */
  #remember(address: string, window: { readonly since: number; count: number }): void {
    this.#windows.delete(address)
    this.#windows.set(address, window)
    const [oldest] = this.#windows.keys()
    if (this.#windows.size > attempts.addresses && oldest !== undefined) this.#windows.delete(oldest)
  }
}
