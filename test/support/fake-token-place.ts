import type { SeenFile, TokenPlace } from '../../src/passport/sinks/sink.ts'

/** A file that others may change, in a directory that may go away or refuse. */
export class FakeTokenPlace implements TokenPlace {
  location = '/run/attestd/tokens/one'
  content: string | null = null
  /** Every write, remove and rename in their order. */
  readonly steps: string[] = []
  readonly written: string[] = []
  leftovers = 0
  watchable = true
  where: 'there' | 'gone' | 'replaced' = 'there'
  /** Thrown by what changes the file; `after`: the write took place all the same. */
  refuses: { readonly error: unknown; readonly after?: boolean } | null = null
  refusesToLook: unknown = null
  regular = true
  modeFits = true
  setAsideAs: string | null = null
  open = 0
  #version = 0
  #changed: (() => void) | null = null

  /** Somebody else does something to the file. */
  meddle(content: string | null, { tell = true }: { readonly tell?: boolean } = {}): void {
    this.content = content
    this.#version++
    if (tell) this.#changed?.()
  }

  get watched(): boolean {
    return this.#changed !== null
  }

  async write(content: Uint8Array): Promise<string> {
    if (this.refuses !== null && this.refuses.after !== true) {
      this.steps.push('refused')
      throw this.refuses.error
    }
    this.content = new TextDecoder().decode(content)
    this.regular = true
    this.modeFits = true
    this.written.push(this.content)
    this.#version++
    this.steps.push('write')
    if (this.refuses !== null) throw this.refuses.error
    return this.#mark
  }

  async look(): Promise<SeenFile | null> {
    if (this.refusesToLook !== null) throw this.refusesToLook
    return this.content === null ? null : { mark: this.#mark, regular: this.regular, modeFits: this.modeFits }
  }

  async read(maxBytes: number): Promise<Uint8Array | null> {
    if (this.content === null || !this.regular || this.content.length > maxBytes) return null
    return new TextEncoder().encode(this.content)
  }

  async remove(): Promise<void> {
    if (this.refuses !== null) throw this.refuses.error
    this.content = null
    this.steps.push('remove')
  }

  async setAside(content: Uint8Array): Promise<void> {
    if (this.refuses !== null) throw this.refuses.error
    this.setAsideAs = new TextDecoder().decode(content)
    this.content = null
    this.steps.push('set aside')
  }

  async removeLeftovers(): Promise<number> {
    const left = this.leftovers
    this.leftovers = 0
    return left
  }

  async whereabouts(): Promise<'there' | 'gone' | 'replaced'> {
    return this.where
  }

  watch(changed: () => void, signal: AbortSignal): boolean {
    if (!this.watchable) return false
    this.#changed = changed
    signal.addEventListener('abort', () => {
      this.#changed = null
    })
    return true
  }

  async close(): Promise<void> {
    this.open--
  }

  get #mark(): string {
    return `v${this.#version}`
  }
}
