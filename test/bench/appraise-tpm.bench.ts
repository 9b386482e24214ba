import { spawnSync } from 'node:child_process'
import * as crypto from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { concatBytes, toHex } from '../../src/base/bytes.ts'
import { parseEventLog } from '../../src/evidence/event-log/event-log.ts'
import { parseImaLog } from '../../src/evidence/ima/ima-log.ts'
import { type HashName, hashAlgorithms } from '../../src/evidence/tpm/algorithms.ts'
import type { TpmEvidence } from '../../src/evidence/tpm/evidence.ts'
import { parseSizedPublic, publicKeyOf } from '../../src/evidence/tpm/public-area.ts'
import { parseTpmSignature } from '../../src/evidence/tpm/signature.ts'
import { replayEventLog } from '../../src/verifier/event-log/replay-event-log.ts'
import { replayImaLog } from '../../src/verifier/ima/replay-ima-log.ts'
import { appraiseTpm } from '../../src/verifier/tpm/appraise-tpm.ts'
import { judgeEventLogBytes } from '../../src/verifier/tpm/event-log-verdicts.ts'
import type { TpmInputs } from '../../src/verifier/tpm/inputs.ts'
import { type Contender, compare, comparison } from '../support/comparison.ts'
import { encodeEventLog, encodeImaLog, evEfiAction, imaNgData } from '../support/measured-logs.ts'
import {
  type RecordedMachine,
  type RecordedParts,
  type RecordedQuote,
  recordedEnrolment,
  recordedEvidence,
  recordedInputs,
} from '../support/recorded-tpm.ts'
import { SoftwareTpm } from '../support/software-tpm.ts'
import { haveVectors, vectorJson } from '../support/vectors.ts'

interface Case {
  readonly evidence: TpmEvidence
  readonly inputs: TpmInputs
}

/** Bound once: vitest looks up an import at each use, which would count against the floors. */
const { hash, randomBytes, verify } = crypto

const required = { eventLog: 'required', ima: 'required' } as const
const haveChecker = spawnSync('tpm2_checkquote', ['--version']).status === 0

function recordedCase(parts: RecordedParts, parent: string, nonce: string, select: RecordedSelect): Case {
  const inputs = recordedInputs({ nonce, select }, recordedEnrolment(parts.ak, parent), required)
  return { evidence: recordedEvidence(parts), inputs }
}
type RecordedSelect = Parameters<typeof recordedInputs>[0]['select']

/** The first quote of the recorded sequence: twelve PCRs in SHA-256, an event log of 34 kB, 21 IMA records. */
function sequenceCase(): Case {
  const { steps } = vectorJson('tpm/sequence/sequence.json') as RecordedMachine
  const [step] = steps
  if (step === undefined) throw new Error('the recorded sequence is empty')
  const file = (suffix: string) => `sequence/${step.id}.${suffix}`
  const parts = {
    ak: `sequence/${step.ak}.tpmt`,
    attest: file('attest'),
    signature: file('sig'),
    pcrs: file('pcrs.json'),
    eventLog: step.eventLog,
    ima: file('ima.bin'),
  }
  return recordedCase(parts, 'sequence/ek-rsa.tpmt', step.nonce, step.select)
}

/** A quote of a real guest: fifteen PCRs in three banks, an event log of 4 kB, 531 IMA records. */
function guestCase(): Case {
  const manifest = vectorJson('tpm/MANIFEST.json') as RecordedQuote[]
  const entry = manifest.find(({ file }) => file === 'guest/g1.attest')
  if (entry === undefined) throw new Error('the manifest has no guest/g1.attest')
  const parts = {
    ak: 'guest/ak.tpmt',
    attest: entry.file,
    signature: 'guest/g1.sig',
    pcrs: 'guest/g1.pcrs.json',
    eventLog: 'guest/eventlog.bin',
    ima: 'guest/ima.g2.bin',
  }
  const { extraData, select } = entry.expected.attest
  return recordedCase(parts, 'guest/ek.tpmt', extraData, select)
}

function madeCase(): Case {
  const tpm = new SoftwareTpm()
  const nonce = new Uint8Array(randomBytes(32))
  return { evidence: tpm.evidence(nonce), inputs: tpm.inputs(nonce) }
}

const bytesOf = (evidence: TpmEvidence) => [
  evidence.eventLog ?? new Uint8Array(),
  evidence.ima?.data ?? new Uint8Array(),
]

/** One verification with a key that is ready, and one pass of SHA-256 over the logs. */
function floorOf({ evidence }: Case): () => unknown {
  const key = publicKeyOf(parseSizedPublic(evidence.ak.publicArea))
  const [quote] = evidence.quotes
  if (quote === undefined) throw new Error('no quote')
  const signature = parseTpmSignature(quote.signature)
  if (signature.algorithm !== 'ecdsa') throw new Error('no ECDSA signature')
  const both = concatBytes(signature.r, signature.s)
  const logs = bytesOf(evidence)
  return () => {
    if (!verify('sha256', quote.attest, { key, dsaEncoding: 'ieee-p1363' }, both)) throw new Error('does not verify')
    for (const log of logs) hash('sha256', log, 'binary')
  }
}

/** Every hash that the replays of both logs need: each register extended, each IMA record in its column and each bank. */
function replayHashesOf({ evidence }: Case): () => unknown {
  const { eventLog, ima, quotes } = evidence
  const used = [...(quotes[0]?.pcrs.keys() ?? [])]
  const events = eventLog === null ? [] : parseEventLog(eventLog).events
  const records = ima === null ? [] : parseImaLog(ima.data, ima.column)
  const both = new Map(used.map((bank) => [bank, new Uint8Array(2 * hashAlgorithms[bank].size)]))
  return () => {
    for (const { hashed } of records) for (const bank of new Set([...used, 'sha1'])) hash(bank, hashed, 'binary')
    for (const _ of [...events, ...records]) for (const [bank, block] of both) hash(bank, block, 'binary')
  }
}

/** It checks the signature and the nonce; neither the PCR values nor a log. */
function checkerOf({ evidence, inputs }: Case, folder: string): () => unknown {
  const [quote] = evidence.quotes
  const file = (name: string, bytes: Uint8Array = new Uint8Array()) => {
    writeFileSync(join(folder, name), bytes)
    return join(folder, name)
  }
  const files = [
    ...['-u', file('ak.pub', evidence.ak.publicArea), '-m', file('attest', quote?.attest)],
    ...['-s', file('signature', quote?.signature)],
  ]
  const args = [...files, '-q', toHex(inputs.expected.qualifyingData), '-g', 'sha256']
  return () => {
    if (spawnSync('tpm2_checkquote', args).status !== 0) throw new Error('tpm2_checkquote refused the quote')
  }
}

async function compareAppraisals(name: string, one: Case): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'attestd-bench-'))
  try {
    const { evidence, inputs } = one
    if (!appraiseTpm(evidence, inputs).affirmed) throw new Error('the evidence is not affirmed')
    const withoutIma = { ...evidence, ima: null }
    const imaOptional = { ...inputs, requirements: { ...inputs.requirements, ima: 'optional' } } as const
    const checker: Contender = {
      name: 'tpm2_checkquote (process; signature and nonce)',
      role: 'peer',
      run: checkerOf(one, folder),
      every: 40,
    }
    const sizes = bytesOf(evidence).map(({ length }) => length)
    await compare(`${name}; event log ${sizes[0]} bytes, IMA log ${sizes[1]} bytes`, [
      { name: 'one P-256 verification, SHA-256 over the logs', role: 'floor', run: floorOf(one) },
      { name: 'the hashes of both replays', role: 'floor', run: replayHashesOf(one) },
      ...(haveChecker ? [checker] : []),
      { name: 'appraiseTpm, no IMA log', role: 'ours', run: () => appraiseTpm(withoutIma, imaOptional) },
      { name: 'appraiseTpm', role: 'ours', run: () => appraiseTpm(evidence, inputs) },
    ])
  } finally {
    rmSync(folder, { recursive: true })
  }
}

comparison(
  'appraise a recorded quote',
  () => compareAppraisals('quote s1 of the sequence', sequenceCase()),
  haveVectors,
)
comparison('appraise the quote of a guest', () => compareAppraisals('quote g1 of a guest', guestCase()), haveVectors)
comparison('appraise a made quote', () => compareAppraisals('a made quote', madeCase()), !haveVectors)

const banks: readonly HashName[] = ['sha1', 'sha256', 'sha384']

comparison('replay an event log of 50 kB', async () => {
  const events = Array.from({ length: 160 }, (_, at) => ({ pcr: at % 8, type: evEfiAction, data: randomBytes(190) }))
  const log = encodeEventLog(events, banks)
  const parsed = parseEventLog(log)
  const quoted = replayEventLog(parsed).registers
  const judged = () => judgeEventLogBytes(log, quoted, { imaPcr: 10 })
  if (judged().verdicts.some(([, { ok }]) => !ok)) throw new Error('the log is refused')
  const registers = banks.map((bank) => ({ bank, both: new Uint8Array((quoted.get(bank)?.get(0)?.length ?? 0) * 2) }))
  await compare(`parse and replay ${log.length} bytes: ${events.length} events in three banks`, [
    {
      name: 'the extensions alone',
      role: 'floor',
      run: () => {
        for (const { bank, both } of registers) for (const _ of events) hash(bank, both, 'binary')
      },
    },
    { name: 'judgeEventLogBytes: parse, replay, bind, every rule', role: 'ours', run: judged },
    { name: 'parse', role: 'ours', run: () => parseEventLog(log) },
  ])
})

/** Records of one length, each with a file digest and a template hash of its own. */
function imaLogOf(count: number): { readonly log: Uint8Array; readonly templates: readonly Uint8Array[] } {
  const data = imaNgData('/usr/lib/x86_64-linux-gnu/libsomething.so.1.2.3', new Uint8Array(32))
  const pattern = encodeImaLog(10, [data])
  const start = pattern.length - data.length
  const log = Buffer.alloc(pattern.length * count)
  const templates: Uint8Array[] = []
  for (let at = 0; at < log.length; at += pattern.length) {
    log.set(pattern, at)
    log.set(randomBytes(32), at + start + 12)
    const template = log.subarray(at + start, at + pattern.length)
    log.write(hash('sha1', template, 'binary'), at + 4, 'latin1')
    templates.push(template)
  }
  return { log: new Uint8Array(log.buffer, log.byteOffset, log.length), templates }
}

/** What no replay can do without: the column, the template hash, and the register, in one bank. */
function hashImaRecords(templates: readonly Uint8Array[]): Uint8Array {
  const both = Buffer.alloc(64)
  for (const template of templates) {
    hash('sha1', template, 'binary')
    both.write(hash('sha256', template, 'binary'), 32, 'latin1')
    both.write(hash('sha256', both, 'binary'), 0, 'latin1')
  }
  return new Uint8Array(both.subarray(0, 32))
}

comparison('replay an IMA log of 100 000 records', async () => {
  const { log, templates } = imaLogOf(100_000)
  const quoted = new Map([['sha256', hashImaRecords(templates)] as const])
  const replay = () => replayImaLog(log, { quoted, pcr: 10, column: 'sha1', acceptSha1Padded: false })
  if (replay().matched !== templates.length) throw new Error('the log does not replay')
  const contenders: Contender[] = [
    { name: 'the hashes alone', role: 'floor', run: () => hashImaRecords(templates) },
    { name: 'replayImaLog', role: 'ours', run: replay },
  ]
  await compare(`replay ${log.length} bytes: ${templates.length} records in SHA-256`, contenders, {
    ms: 6000,
    warmUp: 1,
  })
})
