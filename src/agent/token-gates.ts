import type { TokenProvider } from '../workload-api/token-provider.ts'

/** Reasons of the agent itself for which no caller gets a token at present, whatever the broker has. */
export class TokenGates {
  readonly #requirements = new Set<() => void>()

  /** `require` throws what callers are told while the gate is closed. */
  add(require: () => void): void {
    this.#requirements.add(require)
  }

  /** The provider behind all gates. */
  guard(provider: TokenProvider): TokenProvider {
    return {
      takeAtHand: (request, demand) => {
        this.#requireOpen()
        return provider.takeAtHand(request, demand)
      },
      obtainToken: async (request, demand, signal) => {
        this.#requireOpen()
        return provider.obtainToken(request, demand, signal)
      },
      describe: (request) => provider.describe(request),
    }
  }

  #requireOpen(): void {
    for (const require of this.#requirements) require()
  }
}
