import { createHash } from 'node:crypto'
import type { AttestationAnswer } from './attestation-transport.ts'

const patience = 3

/**
 * Older services answer 500 with plain text for everything, invalid requests included (ERR-12): the same text three
 * times in a row is no disturbance that passes. Remembers a digest and a count, for one endpoint.
 */
export class RepeatedFaults {
  #last = ''
  #count = 0

  /** Takes note of an answer without problem document; true once it is the third of its kind in a row. */
  isLasting({ status, body }: AttestationAnswer): boolean {
    if (status !== 500) {
      this.forget()
      return false
    }
    const digest = createHash('sha256').update(body).digest('base64')
    this.#count = digest === this.#last ? this.#count + 1 : 1
    this.#last = digest
    return this.#count >= patience
  }

  forget(): void {
    this.#last = ''
    this.#count = 0
  }
}
