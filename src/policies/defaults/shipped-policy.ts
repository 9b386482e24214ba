/** A policy that the product ships: its text is never changed once released (POL-440). */
export interface ShippedPolicy {
  /** Policy id (POL-442). */
  readonly name: string
  /** One sentence: what it permits. */
  readonly permits: string
  readonly text: string
}
