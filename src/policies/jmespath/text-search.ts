import type { StepMeter } from '../step-meter.ts'

/** Up to this length the search of the engine is fast whatever the text; beyond it hostile texts make it quadratic. */
const longestForEngine = 16

/** Whether `part` occurs in `text`, in time of their lengths (POL-608). */
export function isFoundIn(text: string, part: string, meter: StepMeter): boolean {
  meter.takeCharacters(text.length + part.length)
  return part.length <= longestForEngine ? text.includes(part) : search(text, part)
}

/** Knuth, Morris, Pratt. */
function search(text: string, part: string): boolean {
  const borders = bordersOf(part)
  let matched = 0
  for (let at = 0; at < text.length; at++) {
    matched = extended(part, borders, matched, text.charCodeAt(at))
    if (matched === part.length) return true
  }
  return false
}

/** For each prefix the length of its longest proper border. */
function bordersOf(part: string): Int32Array {
  const borders = new Int32Array(part.length)
  for (let at = 1, length = 0; at < part.length; at++) {
    length = extended(part, borders, length, part.charCodeAt(at))
    borders[at] = length
  }
  return borders
}

/** Length of the prefix of `part` that is matched after `unit`, when `matched` were before it. */
function extended(part: string, borders: Int32Array, matched: number, unit: number): number {
  let length = matched
  while (length > 0 && part.charCodeAt(length) !== unit) length = borders[length - 1] ?? 0
  return part.charCodeAt(length) === unit ? length + 1 : 0
}
