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
    return value.filter((item) => {
      run.meter.take()
      return isTruthy(condition(item, run), run)
    })
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

/** Applies the steps from `from` up to `to`. It recurses only where there are elements, so no deeper than the data. */
function applied(steps: readonly CompiledStep[], value: Json, from: number, to: number, run: QueryRun): Json {
  let current = value
  for (let at = from; at < to; ) {
    const step = steps[at]
    if (!step) throw new TypeError('a projection ends behind its chain')
    run.meter.take()
    if ('apply' in step) {
      current = step.apply(current, run)
      at++
    } else {
      current = projected(steps, step.source(current, run), at + 1, step.end, run)
      at = step.end
    }
  }
  return current
}

/** Results that are null are left out. */
function projected(
  steps: readonly CompiledStep[],
  items: readonly Json[] | null,
  from: number,
  to: number,
  run: QueryRun,
): Json {
  if (items === null) return null
  run.meter.takeContainer()
  const results: Json[] = []
  for (const item of items) {
    run.meter.take()
    const result = from === to ? item : applied(steps, item, from, to, run)
    if (result !== null) results.push(result)
  }
  return results
}

/** A chain: `base`, and the steps behind it. */
export function compileSteps(base: Evaluate, steps: readonly QueryStep[], compiler: Compiler): Evaluate {
  const compiled = steps.map((step) => compileStep(step, compiler))
  return (value, run) => applied(compiled, base(value, run), 0, compiled.length, run)
}
