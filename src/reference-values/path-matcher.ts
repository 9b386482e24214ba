import { MalformedError } from '../base/errors.ts'
import type { ByteSet, GlobNode } from './glob.ts'
import { nodesOfPattern, type PathPattern } from './path-pattern.ts'
import type { ReferenceValues } from './reference-values.ts'

/** An instruction of the automaton: takes one byte and goes on, goes on in several places at once, or has matched. */
type Instruction =
  | { readonly takes: ByteSet; readonly next: number }
  | { readonly both: readonly number[] }
  | { readonly matched: number }

/** Instructions of all patterns of one matcher, about one for each character of them: they cost memory and time. */
const maximumInstructions = 1 << 18

class Program {
  readonly instructions: Instruction[] = []

  #add(instruction: Instruction): number {
    if (this.instructions.length >= maximumInstructions) {
      throw new MalformedError({ path: 'patterns' }, `take more than ${maximumInstructions} steps together`)
    }
    return this.instructions.push(instruction) - 1
  }

  /** Adds a whole pattern; gives where it begins. */
  pattern(nodes: readonly GlobNode[], index: number): number {
    return this.#row(nodes, this.#add({ matched: index }))
  }

  #row(nodes: readonly GlobNode[], next: number): number {
    return nodes.reduceRight((after, node) => this.#node(node, after), next)
  }

  #node(node: GlobNode, next: number): number {
    if ('one' in node) return this.#add({ takes: node.one, next })
    if ('either' in node) return this.#add({ both: node.either.map((row) => this.#row(row, next)) })
    const both = [next]
    const loop = this.#add({ both })
    both.unshift(this.#add({ takes: node.many, next: loop }))
    return loop
  }
}

/** Where all patterns stand after some bytes. */
interface State {
  /** Places of instructions that take a byte, ascending. */
  readonly places: readonly number[]
  /** Patterns that match if the path ends here, ascending. */
  readonly matched: readonly number[]
}

/** States that are remembered, and places in them: above, everything is forgotten and made anew as it is needed. */
const maximumStates = 1024
const maximumPlaces = 1 << 20

/** Numbers of states; 0 in the table is a step that was not made yet. Nothing matches any more in the dead state. */
const [dead, beginning] = [1, 2]
const nothing: readonly number[] = []

const ascending = (left: number, right: number) => left - right

/**
 * All patterns as one automaton that is made deterministic as paths need it. Every byte of a path costs one look-up, at
 * worst one pass over the program: the time is linear in the path whatever the patterns are (IMA-16), where an engine
 * that goes back needs exponential time for `*a*a*a*b`.
 */
class Automaton {
  #program = new Program()
  #start: readonly number[]
  #states: State[] = []
  #numbers = new Map<string, number>()
  /** State after state and byte. */
  #table = new Uint16Array(16 * 256)
  #placeCount = 0
  #seen: Uint32Array
  #round = 0

  constructor(patterns: readonly PathPattern[]) {
    this.#start = patterns.map((pattern, index) => this.#program.pattern(nodesOfPattern(pattern), index))
    this.#seen = new Uint32Array(this.#program.instructions.length)
    this.#forget()
  }

  match(bytes: Uint8Array, start: number, end: number): readonly number[] {
    let table = this.#table
    let state = beginning
    for (let at = start; at < end; at++) {
      const byte = bytes[at] ?? 0
      const known = table[(state << 8) + byte] ?? 0
      state = known === 0 ? this.#step(state, byte) : known
      if (state === dead) return nothing
      if (known === 0) table = this.#table
    }
    return this.#states[state]?.matched ?? nothing
  }

  #forget(): void {
    this.#states = [{ places: [], matched: [] }]
    this.#numbers.clear()
    this.#table.fill(0)
    this.#placeCount = 0
    this.#numberOf({ places: [], matched: [] })
    this.#numberOf(this.#closure(this.#start))
  }

  /** Finds the next state and remembers it, unless everything had to be forgotten for it. */
  #step(number: number, byte: number): number {
    const next: number[] = []
    for (const place of this.#states[number]?.places ?? []) {
      const instruction = this.#program.instructions[place]
      if (instruction !== undefined && 'takes' in instruction && instruction.takes[byte]) next.push(instruction.next)
    }
    const state = this.#closure(next)
    const isFull = this.#states.length >= maximumStates || this.#placeCount + state.places.length > maximumPlaces
    if (isFull && !this.#numbers.has(keyOf(state))) {
      this.#forget()
      return this.#numberOf(state)
    }
    const after = this.#numberOf(state)
    this.#table[(number << 8) + byte] = after
    return after
  }

  /** Everything that can be reached without a byte. */
  #closure(from: readonly number[]): State {
    this.#round++
    const [places, matched, open]: [number[], number[], number[]] = [[], [], [...from]]
    for (let place = open.pop(); place !== undefined; place = open.pop()) {
      if (this.#seen[place] === this.#round) continue
      this.#seen[place] = this.#round
      const instruction = this.#program.instructions[place]
      if (instruction === undefined) continue
      if ('both' in instruction) open.push(...instruction.both)
      else if ('takes' in instruction) places.push(place)
      else matched.push(instruction.matched)
    }
    return { places: places.sort(ascending), matched: matched.sort(ascending) }
  }

  #numberOf(state: State): number {
    const key = keyOf(state)
    const known = this.#numbers.get(key)
    if (known !== undefined) return known
    const number = this.#states.push(state) - 1
    this.#numbers.set(key, number)
    this.#placeCount += state.places.length
    if (this.#table.length < this.#states.length << 8) {
      const larger = new Uint16Array(2 * this.#table.length)
      larger.set(this.#table)
      this.#table = larger
    }
    return number
  }
}

const keyOf = ({ places, matched }: State) => `${places.join()}:${matched.join()}`

/** Numbers of the patterns that match `bytes` from `start` to before `end`, ascending. */
export type PathMatcher = (bytes: Uint8Array, start: number, end: number) => readonly number[]

/**
 * Makes a matcher of several patterns at once, to be kept for many paths; it remembers what it found out, so that it
 * belongs to one thread. Throws `MalformedError` for a pattern that cannot be read, and for more patterns than one matcher holds.
 */
export function createPathMatcher(patterns: readonly PathPattern[]): PathMatcher {
  if (patterns.length === 0) return () => []
  const automaton = new Automaton(patterns)
  return (bytes, start, end) => automaton.match(bytes, start, end)
}

/** Requires that a matcher can hold all patterns of some reference values together. `path` names those. */
export function requirePatterns(
  { patterns, excludes }: Pick<ReferenceValues, 'patterns' | 'excludes'>,
  path: string,
): void {
  try {
    createPathMatcher([...patterns, ...excludes].map(({ pattern }) => pattern))
  } catch (error) {
    if (error instanceof MalformedError) throw new MalformedError({ path }, `its ${error.message}`)
    throw error
  }
}
