/** Passes events on to everybody who observes them, in the order in which they came. An observer must not throw. */
export class Observers<E> {
  readonly #observers = new Set<(event: E) => void>()

  readonly emit = (event: E): void => {
    for (const observe of this.#observers) observe(event)
  }

  add(observe: (event: E) => void): void {
    this.#observers.add(observe)
  }
}
