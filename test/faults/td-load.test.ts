import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { builtProgram } from '../support/built-program.ts'

const program = resolve(import.meta.dirname, '../support/td-soak.mjs')
const mebibyte = 1_048_576

interface Memory {
  readonly heapUsed: number
  readonly external: number
}

interface Soaked {
  /** After half of the quotes, when the code is compiled and the memo is full, and after all of them. */
  readonly marks: readonly [Memory, Memory]
  readonly held: {
    readonly heapEach: number
    readonly externalEach: number
    readonly peakRss: number
  }
}

it('10 000 quotes of ever new platforms leave no memory behind, and 1 000 appraisals at once fit', async () => {
  const dist = resolve(await builtProgram(), '../../..')
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', program, dist, '10000'])
  const { marks, held }: Soaked = JSON.parse(stdout)
  const [early, late] = marks
  const inAll = ({ heapUsed, external }: Memory) => heapUsed + external
  // A quote has 5 kB: what one of a hundred left behind would show.
  expect((inAll(late) - inAll(early)) / 5_000).toBeLessThan(100)
  expect(held.heapEach).toBeLessThan(64 * 1024)
  expect(held.externalEach).toBeLessThan(16 * 1024)
  expect(held.peakRss).toBeLessThan(256 * mebibyte)
}, 300_000)
