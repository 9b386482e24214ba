import { isMembers, type Json, memberNames } from './exact-json.ts'
import type { Evaluate, QueryRun } from './query-run.ts'
import type { QueryNode, QueryProjection, QueryStep, SliceBounds } from './query-syntax.ts'

interface Compiler {
  readonly compileNode: (node: QueryNode) => Evaluate
  readonly isTruthy: (value: Json, run: QueryRun) => boolean
}

/** What a projection runs over; null if the value is of another kind. */
type Source = (value: Json, run: QueryRun) => readonly Json[] | null

type CompiledStep = { readonly apply: Evaluate } | { readonly source: Source; readonly end: number }

function elements(value: Json): readonly Json[] | null {
  return Array.isArray(value) ? value : null
}

function members(value: Json, run: QueryRun): readonly Json[] | null {
  if (!isMembers(value)) return null
  return memberNames(value, run.meter).map((name) => value[name] ?? null)
}

function flattened(value: Json, run: QueryRun): readonly Json[] | null {
  if (!Array.isArray(value)) return null
  const flat: Json[] = []
  for (const item of value) {
    const parts = Array.isArray(item) ? item : [item]
    run.meter.take(parts.length + 1)
    for (const part of parts) flat.push(part)
  }
  return flat
}

function filtered(condition: Evaluate, isTruthy: Compiler['isTruthy']): Source {
  return (value, run) => {
    if (!Array.isArray(value)) return null
    const kept: Json[] = []
    // No callback: filters nest, and each frame counts (POL-605).
    for (const item of value) {
      run.meter.take()
      if (isTruthy(condition(item, run), run)) kept.push(item)
    }
    return kept
  }
}

/** Where a slice begins or ends in a list: negative numbers count from its end. */
function bound(given: number, length: number, step: number): number {
  const [lowest, highest] = step > 0 ? [0, length] : [-1, length - 1]
  return Math.max(lowest, Math.min(highest, given < 0 ? given + length : given))
}

function sliced({ start, stop, step }: SliceBounds): Source {
  return (value, run) => {
    if (!Array.isArray(value)) return null
    const { length } = value
    const from = bound(start ?? (step > 0 ? 0 : length), length, step)
    const to = stop === null ? (step > 0 ? length : -1) : bound(stop, length, step)
    const part: Json[] = []
    for (let at = from; step > 0 ? at < to : at > to; at += step) {
      run.meter.take()
      part.push(value[at] ?? null)
    }
    return part
  }
}

function index(given: number): Evaluate {
  return (value) => {
    if (!Array.isArray(value)) return null
    return value[given < 0 ? given + value.length : given] ?? null
  }
}

function source(projection: QueryProjection, { compileNode, isTruthy }: Compiler): Source {
  switch (projection.kind) {
    case 'elements':
      return elements
    case 'members':
      return members
    case 'flatten':
      return flattened
    case 'filter':
      return filtered(compileNode(projection.condition), isTruthy)
    case 'slice':
      return sliced(projection)
  }
}

function compileStep(step: QueryStep, compiler: Compiler): CompiledStep {
  if (step.kind === 'apply') return { apply: compiler.compileNode(step.node) }
  if (step.kind === 'index') return { apply: index(step.index) }
  return { source: source(step, compiler), end: step.end }
}

/** A projection at work: where it stands among its items, and the part of the chain that each of them goes through. */
interface OpenProjection {
  readonly items: readonly Json[]
  readonly results: Json[]
  next: number
  /** Steps of the projection: from `from` up to, but without, `end`. */
  readonly from: number
  readonly end: number
  /** Where the part of the chain ends in which the projection stands. */
  readonly outer: number
}

/**
 * Applies the steps of a chain. A loop with a stack of its own: thousands of projections can stand in a row, and what a
 * query builds nests as deep, so that recursion would end where the stack of the process does (section 8).
 */
class ChainRun {
  readonly #steps: readonly CompiledStep[]
  readonly #run: QueryRun
  readonly #open: OpenProjection[] = []
  #current: Json
  #at = 0
  #end: number

  constructor(steps: readonly CompiledStep[], value: Json, run: QueryRun) {
    this.#steps = steps
    this.#run = run
    this.#current = value
    this.#end = steps.length
  }

  result(): Json {
    for (;;) {
      while (this.#at < this.#end) this.#step()
      const top = this.#open.at(-1)
      if (top === undefined) return this.#current
      // Results that are null are left out.
      if (this.#current !== null) top.results.push(this.#current)
      this.#advance(top)
    }
  }

  #step(): void {
    const step = this.#steps[this.#at]
    if (!step) throw new TypeError('a projection ends behind its chain')
    this.#run.meter.take()
    if ('apply' in step) {
      this.#current = step.apply(this.#current, this.#run)
      this.#at++
    } else {
      this.#project(step.source(this.#current, this.#run), step.end)
    }
  }

  #project(items: readonly Json[] | null, end: number): void {
    if (items === null) {
      this.#current = null
      this.#at = end
      return
    }
    this.#run.meter.takeContainer()
    const opened = { items, results: [], next: 0, from: this.#at + 1, end, outer: this.#end }
    this.#open.push(opened)
    this.#advance(opened)
  }

  /** Goes on with the next item, or behind the projection. */
  #advance(projection: OpenProjection): void {
    if (projection.next < projection.items.length) {
      this.#run.meter.take()
      this.#current = projection.items[projection.next++] ?? null
      this.#at = projection.from
      this.#end = projection.end
    } else {
      this.#open.pop()
      this.#current = projection.results
      this.#at = projection.end
      this.#end = projection.outer
    }
  }
}

/** A chain: `base`, and the steps behind it. */
export function compileSteps(base: Evaluate, steps: readonly QueryStep[], compiler: Compiler): Evaluate {
  const compiled = steps.map((step) => compileStep(step, compiler))
  return (value, run) => {
    run.meter.take()
    return new ChainRun(compiled, base(value, run), run).result()
  }
}
