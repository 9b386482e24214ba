/** Items of a document, as long as they stay within bounds; what is beyond them makes no document at all. */
export class BoundedItems {
  #items: object[] = []
  #characters = 0
  #most: { readonly items: number; readonly characters: number }

  constructor(most: { readonly items: number; readonly characters: number }) {
    this.#most = most
  }

  /** False once something was too much: half a document would hide what its other half says. */
  add(item: object): boolean {
    this.#characters += JSON.stringify(item).length
    this.#items.push(item)
    return this.#items.length <= this.#most.items && this.#characters <= this.#most.characters
  }

  get items(): readonly object[] {
    return this.#items
  }
}
