import * as crypto from 'node:crypto'
import { join, resolve } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Worker } from 'node:worker_threads'
import type { HashName } from '../../src/evidence/tpm/algorithms.ts'
import type { ImaLogPart } from '../../src/evidence/tpm/evidence.ts'
import { type DigestSet, hexDigest } from '../../src/reference-values/digest-set.ts'
import { buildDigestTable } from '../../src/reference-values/digest-table.ts'
import { buildTemplateTable } from '../../src/reference-values/template-table.ts'
import type { ImaReferences } from '../../src/reference-values/tpm-references.ts'
import { encodeImaCheckpoint } from '../../src/verifier/ima/checkpoint.ts'
import { continueImaLog } from '../../src/verifier/ima/continued-log.ts'
import { type ImaLogInputs, judgeImaLog } from '../../src/verifier/ima/judge-ima-log.ts'
import { type Contender, compare, comparison, milliseconds, printTable } from '../support/comparison.ts'

/** Bound once: vitest looks up an import at each use, which would count against the floor. */
const { hash } = crypto

const records = 1_000_000
const later = 100
const root = resolve(import.meta.dirname, '../..')

interface Made {
  readonly part: ImaLogPart
  /** Start and end of the data of each record. */
  readonly spans: Uint32Array
}

const digestOf = (index: number) => hash('sha256', `content ${index}`, 'buffer')
const pathOf = (index: number) =>
  index === 0
    ? 'boot_aggregate'
    : `/usr/lib/x86_64-linux-gnu/part-${(index * 2654435761) % 4096}/libsomething-${index}.so.1`

/** `ima-ng` records, each of a path of its own; the same on every run. */
function madeLog(column: HashName, count: number): Made {
  const columnSize = hash(column, '', 'buffer').length
  const log = Buffer.alloc(count * (columnSize + 18 + 44 + 4 + 90))
  const spans = new Uint32Array(2 * count)
  let end = 0
  for (let index = 0; index < count; index++) {
    const path = `${pathOf(index)}\0`
    const columnAt = log.writeUInt32LE(10, end)
    let at = log.writeUInt32LE(6, columnAt + columnSize)
    at += log.write('ima-ng', at, 'latin1')
    at = log.writeUInt32LE(48 + path.length, at)
    const start = at
    at = log.writeUInt32LE(40, at)
    at += log.write('sha256:\0', at, 'latin1')
    at += digestOf(index).copy(log, at)
    at = log.writeUInt32LE(path.length, at)
    end = at + log.write(path, at, 'latin1')
    log.write(hash(column, log.subarray(start, end), 'binary'), columnAt, 'latin1')
    spans.set([start, end], 2 * index)
  }
  return { part: { from: 0, column, data: new Uint8Array(log.buffer, log.byteOffset, end) }, spans }
}

/** What no verifier can do without: the template hash of each record by bank and column, and one extension. */
function hashAlone({ part, spans }: Made, count = spans.length / 2): Uint8Array {
  const { data, column } = part
  const both = Buffer.alloc(64)
  for (let index = 0; index < count; index++) {
    const slice = data.subarray(spans[2 * index], spans[2 * index + 1])
    if (column !== 'sha256') hash(column, slice, 'binary')
    both.write(hash('sha256', slice, 'binary'), 32, 'latin1')
    both.write(hash('sha256', both, 'binary'), 0, 'latin1')
  }
  return new Uint8Array(both.subarray(0, 32))
}

type Files = readonly (readonly [string, DigestSet])[]

const filesOf = (count: number): Files =>
  Array.from({ length: count }, (_none, index) => [pathOf(index), hexDigest('sha256', digestOf(index).toString('hex'))])

const referencesOf = (files: Files): ImaReferences => ({
  files: buildDigestTable(files, [0x1234567, 0x89abcdef]),
  templates: buildTemplateTable(files),
  patterns: [],
  exclude: [],
  keys: [],
  buffers: [],
})

function inputsOf(value: Uint8Array, references: ImaReferences | null): ImaLogInputs {
  const basis = { pcr: 10, judgedBy: 'bench', references, signedFilesAllowed: true, acceptSha1Padded: false }
  return { basis, quoted: new Map([['sha256', new Map([[10, value]])]]), before: null, pending: null }
}

function requireCovered(made: Made, inputs: ImaLogInputs): void {
  const { covered, progress } = judgeImaLog(made.part, inputs)
  const { unlisted = 1, changed = 1 } = progress?.counts ?? {}
  if (covered !== made.spans.length / 2 || unlisted + changed > 0) throw new Error('the log is not what it should be')
}

comparison('judge an IMA log of a million records', async () => {
  const references = referencesOf(filesOf(records))
  for (const column of ['sha256', 'sha1'] as const) {
    const made = madeLog(column, records)
    const value = hashAlone(made)
    const [alone, listed] = [inputsOf(value, null), inputsOf(value, references)]
    requireCovered(made, listed)
    const contenders: Contender[] = [
      { name: 'the hashes alone', role: 'floor', run: () => hashAlone(made) },
      { name: 'parse, column, replay, content', role: 'ours', run: () => judgeImaLog(made.part, alone) },
      { name: 'the same, and a million reference values', role: 'ours', run: () => judgeImaLog(made.part, listed) },
    ]
    const title = `${records} records, column ${column}, bank sha256, ${made.part.data.length >> 20} MiB`
    await compare(title, contenders, { ms: 20_000, warmUp: 1, maxRounds: 7 })
  }
})

comparison('go on by a hundred records after a million', async () => {
  const made = madeLog('sha256', records + later)
  const { spans, part } = made
  const last = spans[2 * records - 1] ?? 0
  const references = referencesOf(filesOf(records + later))
  const first = judgeImaLog(
    { ...part, data: part.data.subarray(0, last) },
    inputsOf(hashAlone(made, records), references),
  )
  if (first.progress === null) throw new Error('the first million records are not covered')
  const akName = new Uint8Array(34)
  const checkpoint = encodeImaCheckpoint({ ...first.progress, akName, resetCount: 1, restartCount: 0, pending: null })
  const next = { from: records, column: part.column, data: part.data.subarray(last) }
  const inputs = inputsOf(hashAlone(made), references)
  const present = { akName, resetCount: 1, banks: ['sha256' as const], basis: inputs.basis }
  const judged = () => {
    const { before, pending } = continueImaLog(records, { checkpoint, stage: null }, present)
    return judgeImaLog(next, { ...inputs, before, pending })
  }
  if (judged().covered !== records + later) throw new Error('the log does not go on')
  const floor = { part: { ...next, from: 0 }, spans: spans.slice(2 * records).map((at) => at - last) }
  await compare(`${later} records after ${records}; the checkpoint has ${checkpoint?.length} bytes`, [
    { name: 'the hashes alone', role: 'floor', run: () => hashAlone(floor) },
    { name: 'checkpoint and records', role: 'ours', run: judged },
  ])
})

/** Runs in the thread: built code, as the agent runs it. */
const inThread = `
const { parentPort, workerData } = require('node:worker_threads')
import(workerData.engine).then(({ judgeImaLog }) => {
  parentPort.on('message', ({ part, inputs }) => {
    const start = performance.now()
    const { covered } = judgeImaLog(part, inputs)
    const measured = { covered, ms: performance.now() - start, rss: process.memoryUsage.rss(), data: part.data }
    parentPort.postMessage(measured, [part.data.buffer])
  })
  parentPort.postMessage('ready')
})`

interface Answer {
  readonly covered: number
  readonly ms: number
  readonly rss: number
  /** The log, which is there once only, as in the agent. */
  readonly data: Uint8Array
}

comparison('memory and the event loop beside a thread that judges a million records', async () => {
  const engine = join(root, 'dist/src/verifier/ima/judge-ima-log.js')
  const worker = new Worker(inThread, { eval: true, workerData: { engine } })
  const answer = () => new Promise<Answer>((done) => worker.once('message', done))
  await answer()
  const made = madeLog('sha256', records)
  const inputs = inputsOf(hashAlone(made), referencesOf(filesOf(records)))
  const before = process.memoryUsage.rss()
  const delay = monitorEventLoopDelay({ resolution: 1 })
  const rows: string[][] = [['', 'covered', 'time', 'memory of the process', 'grown by', 'longest delay of the loop']]
  let { data } = made.part
  for (let round = 1; round <= 3; round++) {
    delay.reset()
    delay.enable()
    worker.postMessage({ part: { ...made.part, data }, inputs }, [data.buffer as ArrayBuffer])
    const { covered, ms, rss, data: back } = await answer()
    delay.disable()
    data = back
    const mebibytes = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MiB`
    const longest = milliseconds(delay.max / 1e6)
    rows.push([`round ${round}`, String(covered), milliseconds(ms), mebibytes(rss), mebibytes(rss - before), longest])
  }
  printTable('a million records and reference values, in a thread', rows)
  await worker.terminate()
})
