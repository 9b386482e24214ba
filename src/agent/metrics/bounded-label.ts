import { createHash } from 'node:crypto'

export const otherLabel = 'other'

/**
 * Values of one label: the first `most` different ones stand for themselves, whatever comes later is `other`. Texts that others
 * choose can thus not make a time series each, neither at once nor one after another.
 */
export class BoundedLabel {
  readonly #most: number
  readonly #known = new Set<string>()

  constructor(most: number) {
    this.#most = most
  }

  of(value: string): string {
    if (this.#known.has(value)) return value
    if (this.#known.size >= this.#most || value.length > 64) return otherLabel
    this.#known.add(value)
    return value
  }
}

/** One audience stands for itself, a set for its JSON text: the same set has the same name. */
function audienceHash(audience: readonly string[]): string {
  const [only = '', ...others] = audience
  const text = others.length === 0 ? only : JSON.stringify(audience)
  return createHash('sha256').update(text).digest('hex').slice(0, 8)
}

/** Names of audience sets in metrics: 8 hexadecimal digits (broker.md section 13). Declared ones have a name of their own always. */
export class AudienceLabels {
  readonly #undeclared: BoundedLabel

  constructor(most: number) {
    this.#undeclared = new BoundedLabel(most)
  }

  of(audience: readonly string[], declared: boolean): string {
    const hash = audienceHash(audience)
    return declared ? hash : this.#undeclared.of(hash)
  }
}
