import type { QueryNode, QueryProjection, QueryStep } from './query-syntax.ts'
import type { QueryToken } from './query-tokens.ts'

/** How strongly what begins with the token binds to what stands before it. */
const strengths = { '[]': 9, '[?': 21, '.': 40, '[': 55 } as const
/** As the operand of `!`, which binds tighter than a dot (POL-520). */
const strengthOfNot = 45

type Postfix = keyof typeof strengths

/**
 * Behind a projection follow only tokens that bind tighter than it. The numbers are those of all known implementations;
 * from them follows that `a.*.b.c` applies `c` to the list of all `b`, whereas `a[*].b.c` takes it from each element.
 */
const strengthsOfProjections = { '[]': 9, '[': 20, '*': 20, '[?': 21, '.': 40 } as const

type Step = QueryStep | { readonly projection: QueryProjection; end: number }

interface OpenProjection {
  readonly step: number
  readonly strength: number
  /** Nothing follows it so far: the first bracket or dot belongs to it, however strongly it binds. */
  isFresh: boolean
}

function isPostfix(kind: QueryToken['kind']): kind is Postfix {
  return Object.hasOwn(strengths, kind)
}

/** The steps behind an expression, while they are parsed; keeps account of which projections still take what follows. */
export class PostfixChain {
  readonly #steps: Step[] = []
  readonly #open: OpenProjection[] = []
  readonly #isNegated: boolean

  constructor(isNegated: boolean) {
    this.#isNegated = isNegated
  }

  /** Whether a token continues the chain. Closes the projections that it does not bind to. */
  binds(kind: QueryToken['kind']): boolean {
    if (!isPostfix(kind)) return false
    for (let top = this.#open.at(-1); top; top = this.#open.at(-1)) {
      if (strengths[kind] > top.strength || (top.isFresh && kind !== '[]')) return true
      this.#close()
    }
    return !this.#isNegated || strengths[kind] > strengthOfNot
  }

  /** What stands behind a dot; undefined if it was a star, which is a projection of its own. */
  dotted(node: QueryNode | undefined): void {
    if (node === undefined) return
    const isFirst = this.#open.at(-1)?.isFresh === true
    this.#push({ kind: 'apply', node })
    if (isFirst && (node.kind === 'list' || node.kind === 'hash')) this.#close()
  }

  index(index: number): void {
    this.#push({ kind: 'index', index })
  }

  project(token: keyof typeof strengthsOfProjections, projection: QueryProjection): void {
    // `.*` directly behind a projection is read like a star that begins an expression.
    const isFirst = this.#open.at(-1)?.isFresh === true
    const strength = strengthsOfProjections[token === '.' && isFirst ? '*' : token]
    this.#push({ projection, end: 0 })
    this.#open.push({ step: this.#steps.length - 1, strength, isFresh: true })
  }

  closed(): QueryStep[] {
    while (this.#open.length > 0) this.#close()
    return this.#steps.map((step) => ('projection' in step ? { ...step.projection, end: step.end } : step))
  }

  #push(step: Step): void {
    const top = this.#open.at(-1)
    if (top) top.isFresh = false
    this.#steps.push(step)
  }

  #close(): void {
    const closed = this.#open.pop()
    const step = closed && this.#steps[closed.step]
    if (step && 'projection' in step) step.end = this.#steps.length
  }
}
