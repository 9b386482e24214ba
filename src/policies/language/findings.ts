import type { PolicyDiagnostic } from './diagnostic.ts'
import type { Span } from './syntax.ts'

/** More would help nobody, and a hostile text could ask for one a character. */
export const maximumErrors = 64

type Place = Pick<Span, 'line' | 'column'>

/** Negative if `left` stands before `right`. */
export function comparePlaces(left: Place, right: Place): number {
  return left.line - right.line || left.column - right.column
}

/** What was found in one text. The first error in text order is the contract (POL-804). */
export class Findings {
  readonly warnings: PolicyDiagnostic[] = []
  readonly #errors: PolicyDiagnostic[] = []

  report(diagnostic: PolicyDiagnostic): void {
    if (diagnostic.severity !== 'error') this.warnings.push(diagnostic)
    else if (!this.full) this.#errors.push(diagnostic)
  }

  get full(): boolean {
    return this.#errors.length >= maximumErrors
  }

  /** Whether an error of `path` (default: any) stands from `from` on and before `to`; the same place: `to` is left out. */
  hasErrorAt(from: Place, to: Place = from, path?: string): boolean {
    return this.#errors.some((error) => {
      if (path !== undefined && error.path !== path) return false
      if (comparePlaces(error, from) < 0) return false
      return to === from ? comparePlaces(error, from) === 0 : comparePlaces(error, to) < 0
    })
  }

  /** In text order; of two at one place the one that was found first. */
  get errors(): readonly PolicyDiagnostic[] {
    return this.#errors.toSorted(comparePlaces)
  }
}
