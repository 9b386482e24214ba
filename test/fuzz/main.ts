// `npm run fuzz [RUNS] [SEED]`: loads and evaluates as many policies on claims, all made by chance from SEED, and says
// what came of it. It ends with 1 at the first thing that must not be: an exception, a verdict that the specification
// rules out, or one evaluation that does not end.
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { judgePolicy } from './judge-policy.ts'
import { policyInputs } from './policy-inputs.ts'

const runs = Number(process.argv[2] ?? 100_000)
const seed = Number(process.argv[3] ?? Date.now() % 1_000_000_000)
const perBatch = 5000
/** No evaluation takes more than two seconds of a free processor (section 8). */
const hangS = 120

/** Runs beside the thread that evaluates, which cannot look at a clock while it hangs. */
const watcher = `
const { workerData } = require('node:worker_threads')
const beats = new Int32Array(workerData.memory)
let [last, since] = [-1, Date.now()]
setInterval(() => {
  const beat = Atomics.load(beats, 0)
  if (beat !== last) [last, since] = [beat, Date.now()]
  else if (Date.now() - since > workerData.hangS * 1000) {
    require('node:fs').writeSync(2, 'hangs in run ' + beat + ' of seed ' + workerData.seed + '\\n')
    process.kill(process.pid, 'SIGKILL')
  }
}, 1000)`

function processorMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

/** What was seen in all runs. */
class Record {
  readonly outcomes = new Map<string, number>()
  slowestMs = 0
  slowest = ''
  /** Of the whole process, at most. */
  memoryMiB = 0
  /** What is still in use behind the first and the last batch: more at the end is a leak. */
  readonly heapMiB: number[] = []

  lookAtMemory(): void {
    globalThis.gc?.()
    const { rss, heapUsed } = process.memoryUsage()
    this.memoryMiB = Math.max(this.memoryMiB, Math.round(rss / 2 ** 20))
    this.heapMiB.splice(1, 1, Math.round(heapUsed / 2 ** 20))
  }

  add(outcome: string, ms: number, text: string): void {
    this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1)
    if (ms <= this.slowestMs) return
    this.slowestMs = ms
    this.slowest = text
  }

  toJSON() {
    const { outcomes, ...others } = this
    return { ...others, outcomes: Object.fromEntries([...outcomes].sort(([, left], [, right]) => right - left)) }
  }
}

function runBatch(count: number, batch: number, beats: Int32Array, record: Record): void {
  const property = fc.property(policyInputs, (input) => {
    const run = Atomics.add(beats, 0, 1)
    const began = processorMs()
    const outcome = judgePolicy(input, run % 16 === 0)
    record.add(outcome, processorMs() - began, input.text)
  })
  fc.assert(property, { numRuns: count, seed: seed + batch })
}

const memory = new SharedArrayBuffer(4)
const beats = new Int32Array(memory)
const guard = new Worker(watcher, { eval: true, workerData: { memory, hangS, seed } })
guard.unref()
const record = new Record()
for (let done = 0, batch = 0; done < runs; done += perBatch, batch++) {
  runBatch(Math.min(perBatch, runs - done), batch, beats, record)
  record.lookAtMemory()
  if (process.stderr.isTTY) process.stderr.write(`\r${Math.min(done + perBatch, runs)} of ${runs}`)
}
console.info(`${JSON.stringify({ seed, runs, ...record.toJSON() }, null, 2)}`)
