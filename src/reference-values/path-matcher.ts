import type { ByteSet, GlobNode } from './glob.ts'
import { nodesOfPattern, type PathPattern } from './path-pattern.ts'

/** An instruction of the automaton: takes one byte and goes on, goes on in several places at once, or has matched. */
type Instruction =
  | { readonly takes: ByteSet; readonly next: number }
  | { readonly both: readonly number[] }
  | { readonly matched: number }

/** Instructions of all patterns of one matcher; what a hostile document can make it hold. */
const maximumInstructions = 1 << 18

class Program {
  readonly instructions: Instruction[] = []

  #add(instruction: Instruction): number {
    if (this.instructions.length >= maximumInstructions) throw new RangeError('more patterns than a matcher can hold')
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
  /** By byte; filled when first needed. */
  readonly next: (State | undefined)[]
}

/** States that are remembered, and places in them: above, everything is forgotten and made anew as it is needed. */
const maximumStates = 1024
const maximumPlaces = 1 << 20

/**
 * All patterns as one automaton that is made deterministic as paths need it. Every byte of a path costs one look-up, at
 * worst one pass over the program: the time is linear in the path whatever the patterns are (IMA-16), where an engine
 * that goes back needs exponential time for `*a*a*a*b`.
 */
class Automaton {
  #program = new Program()
  #states = new Map<string, State>()
  #places = 0
  #seen: Uint32Array
  #round = 0
  #start: readonly number[]
  /** The state before any byte, from which all others hang. */
  #first: State | null = null

  constructor(patterns: readonly PathPattern[]) {
    this.#start = patterns.map((pattern, index) => this.#program.pattern(nodesOfPattern(pattern), index))
    this.#seen = new Uint32Array(this.#program.instructions.length)
  }

  match(bytes: Uint8Array, start: number, end: number): readonly number[] {
    this.#first ??= this.#stateAt(this.#start)
    let state = this.#first
    for (let at = start; at < end; at++) {
      if (state.places.length === 0) return []
      const byte = bytes[at] ?? 0
      const known = state.next[byte]
      if (known !== undefined) {
        state = known
        continue
      }
      const after = this.#after(state, byte)
      state.next[byte] = after
      state = after
    }
    return state.matched
  }

  #after({ places }: State, byte: number): State {
    const next: number[] = []
    for (const place of places) {
      const instruction = this.#program.instructions[place]
      if (instruction !== undefined && 'takes' in instruction && instruction.takes[byte]) next.push(instruction.next)
    }
    return this.#stateAt(next)
  }

  /** Everything that can be reached without a byte. */
  #stateAt(from: readonly number[]): State {
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
    const ascending = (left: number, right: number) => left - right
    return this.#remembered(places.sort(ascending), matched.sort(ascending))
  }

  #remembered(places: number[], matched: number[]): State {
    const key = `${places.join()}:${matched.join()}`
    const known = this.#states.get(key)
    if (known !== undefined) return known
    if (this.#states.size >= maximumStates || this.#places + places.length > maximumPlaces) {
      this.#states.clear()
      this.#places = 0
      this.#first = null
    }
    const state: State = { places, matched, next: new Array(256) }
    this.#states.set(key, state)
    this.#places += places.length
    return state
  }
}

/** Numbers of the patterns that match `bytes` from `start` to before `end`, ascending. */
export type PathMatcher = (bytes: Uint8Array, start: number, end: number) => readonly number[]

/**
 * Makes a matcher of several patterns at once, to be kept for many paths; it remembers what it found out, so that it
 * belongs to one thread. Throws `MalformedError` for a pattern that cannot be read.
 */
export function createPathMatcher(patterns: readonly PathPattern[]): PathMatcher {
  if (patterns.length === 0) return () => []
  const automaton = new Automaton(patterns)
  return (bytes, start, end) => automaton.match(bytes, start, end)
}
