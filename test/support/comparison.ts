import { cpus, loadavg } from 'node:os'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { bench, describe } from 'vitest'

/** One thing that is timed: what no program can do without, another program that does the same, or this project. */
export interface Contender {
  readonly name: string
  readonly role: 'floor' | 'peer' | 'ours'
  /** Timed from call to end; if it gives a number, that counts instead, in milliseconds. */
  readonly run: () => unknown
  /** Takes part in every n-th round only; for what takes much longer than the others. Default 1. */
  readonly every?: number
}

/** Times of one contender, ascending, in milliseconds. */
interface Timed {
  readonly contender: Contender
  readonly times: number[]
}

export interface Effort {
  /** No round begins after this time. Default 1500. */
  readonly ms?: number
  /** Rounds before anything is timed, of `inARow` runs each. Default 20. */
  readonly warmUp?: number
  readonly maxRounds?: number
  /**
   * Runs of a contender in a row, in every round. Default 1: each then finds the caches as the others left them. A server
   * under load does one kind of work, and many runs in a row are nearer to that.
   */
  readonly inARow?: number
}

const at = (times: readonly number[], share: number) =>
  times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? Number.NaN

/**
 * Before several runs in a row, so that nobody pays for what another left behind. Only young objects: a whole collection
 * throws compiled code away as well.
 */
function garbageCollector(): () => void {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as (options: { readonly type: 'minor' }) => void
  return () => collect({ type: 'minor' })
}

async function timeOf({ run }: Contender): Promise<number> {
  const start = performance.now()
  const measured = await run()
  return typeof measured === 'number' ? measured : performance.now() - start
}

/**
 * Times all contenders in rounds, each of them in every round: what else happens on the machine then meets all of them
 * alike, and medians can be compared.
 */
async function timeInRounds(contenders: readonly Contender[], effort: Effort): Promise<readonly Timed[]> {
  const { ms = 1500, warmUp = 20, maxRounds = 20_000, inARow = 1 } = effort
  const timed = contenders.map((contender) => ({ contender, times: [] as number[] }))
  for (let round = 0; round < warmUp; round++) {
    for (const { run, every = 1 } of contenders) {
      for (let left = round % every === 0 ? inARow : 0; left > 0; left--) await run()
    }
  }
  const collectGarbage = garbageCollector()
  const end = performance.now() + ms
  for (let round = 0; round < maxRounds && (round === 0 || performance.now() < end); round++) {
    for (const { contender, times } of timed) {
      if (round % (contender.every ?? 1) !== 0) continue
      if (inARow > 1) collectGarbage()
      for (let run = 0; run < inARow; run++) times.push(await timeOf(contender))
    }
  }
  for (const { times } of timed) times.sort((left, right) => left - right)
  return timed
}

/** Text cells, a row a line; the first column to the left, numbers to the right. */
export function printTable(title: string, rows: readonly (readonly string[])[]): void {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ')
  process.stdout.write(`\n${[title, ...rows.map((row) => `  ${line(row)}`), machineLine()].join('\n')}\n`)
}

function machineLine(): string {
  const [processor] = cpus()
  const load = loadavg()[0]?.toFixed(1)
  return `  (${processor?.model.trim()}, ${cpus().length} cores, Node ${process.version}, load ${load})`
}

export function milliseconds(ms: number): string {
  if (ms < 1) return `${(ms * 1000).toFixed(ms < 0.1 ? 1 : 0)} µs`
  return `${ms.toFixed(ms < 100 ? 2 : 0)} ms`
}

function ratio(ms: number, { times }: Timed): string {
  const value = ms / at(times, 0.5)
  return value.toFixed(value < 0.1 ? 3 : 2)
}

/** Times contenders and prints median, 95th percentile, and ratios of medians to the floor and to the peer. */
export async function compare(title: string, contenders: readonly Contender[], effort: Effort = {}): Promise<void> {
  const timed = await timeInRounds(contenders, effort)
  const of = (role: Contender['role']) => timed.find(({ contender }) => contender.role === role)
  const measures = [of('floor'), of('peer')].filter((measure) => measure !== undefined)
  const rows = timed.map(({ contender: { name, role }, times }) => {
    const median = at(times, 0.5)
    const ratios = measures.map((measure) => ratio(median, measure))
    const label = role === 'ours' ? name : `${role}: ${name}`
    return [label, milliseconds(median), milliseconds(at(times, 0.95)), ...ratios, String(times.length)]
  })
  const compared = measures.map(({ contender }) => `× ${contender.role}`)
  printTable(title, [['', 'median', 'p95', ...compared, 'runs'], ...rows])
}

/**
 * Declares a comparison as a benchmark that runs once and prints by itself. Hooks of vitest do not run in benchmarks:
 * what `run` opens it also closes.
 */
export function comparison(title: string, run: () => Promise<void>, possible = true): void {
  const once = { iterations: 1, time: 0, warmupIterations: 0, warmupTime: 0 }
  describe.runIf(possible)(title, () => bench('in all', async () => await run(), once))
}
