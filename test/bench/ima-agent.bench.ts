import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { type Appraiser, createWorkerAppraiser } from '../../src/agent/embedded/appraiser.ts'
import { type AttestingParts, attestGuest } from '../../src/agent/embedded/attest-guest.ts'
import type { Guest, GuestTpm } from '../../src/agent/embedded/guest.ts'
import { ImaStages } from '../../src/agent/embedded/ima-parts.ts'
import { LastAppraisals } from '../../src/agent/embedded/last-appraisal.ts'
import { batchRequests, saltRequest } from '../../src/agent/embedded/transcript.ts'
import { Challenges } from '../../src/issuer/challenges.ts'
import { ImaLogFile } from '../../src/platform/ima-log-file.ts'
import { SystemClock } from '../../src/platform/system-clock.ts'
import type { TpmEnrolment } from '../../src/verifier/index.ts'
import { comparison, milliseconds, printTable } from '../support/comparison.ts'
import { testBundles } from '../support/embedded-machine.ts'
import { tokenRequest } from '../support/fake-token-source.ts'
import { appendImaRecords } from '../support/long-ima-log.ts'
import { SoftwareTpm } from '../support/software-tpm.ts'

/**
 * What long IMA logs cost the agent: time, the thread that answers callers, and memory (PERF-T1, PERF-T2). The TPM is
 * played in this process and takes no time; the log is a file.
 */
const random = (size: number) => new Uint8Array(randomBytes(size))
const clock = new SystemClock(null)
const never = new AbortController().signal

class Machine implements AsyncDisposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'attestd-ima-'))
  readonly path = join(this.#folder, 'log')
  readonly tpm = new SoftwareTpm()
  readonly #log = new ImaLogFile({ path: this.path })
  enrolment: TpmEnrolment = this.tpm.enrolment()
  #measured = 0
  /** Records that were read. */
  read = 0

  constructor() {
    writeFileSync(this.path, this.tpm.imaLog().data)
  }

  measure(records: number): void {
    appendImaRecords(this.path, this.tpm, records, this.#measured)
    this.#measured += records
  }

  async #readIma(from: number, most: number) {
    const section = await this.#log.readFrom(from, most)
    if (section === null) throw new Error('there is no log')
    this.read += section.records
    return section
  }

  get guest(): GuestTpm {
    return {
      attester: {
        selection: async () => SoftwareTpm.defaultSelection,
        collect: async (qualifyingData, { selection, imaFrom, imaMost }) => {
          const evidence = this.tpm.evidence(qualifyingData, { selection, ima: null })
          const { continues, records: _records, ...ima } = await this.#readIma(imaFrom, imaMost)
          return { ...evidence, ima, imaContinues: continues }
        },
        readIma: (from, most) => this.#readIma(from, most),
      },
      enrolments: {
        require: async () => this.enrolment,
        keepRefusal: async () => undefined,
        keepProgress: async (_before, { counters, imaCheckpoint }) => {
          this.enrolment = { ...this.enrolment, counters, imaCheckpoint }
        },
        forget: () => undefined,
      },
      requirements: this.tpm.inputs(new Uint8Array(32)).requirements,
      references: null,
      simulator: false,
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#log.close()
    rmSync(this.#folder, { recursive: true })
  }
}

function partsOf(machine: Machine, appraiser: Appraiser): AttestingParts {
  const guest: Guest = { tpm: machine.guest, td: null }
  const challenges = new Challenges({ clock, random })
  const kept = { appraisals: new LastAppraisals(), stages: new ImaStages(clock), policies: null }
  return {
    issuerUrl: 'https://verifier.example',
    guest,
    appraiser,
    challenges,
    ...kept,
    bundles: testBundles(clock),
    clock,
  }
}

/** One attestation, watched from the thread that it must not hold. */
async function watched(machine: Machine, parts: AttestingParts): Promise<readonly string[]> {
  const delay = monitorEventLoopDelay({ resolution: 1 })
  const before = process.memoryUsage.rss()
  let [peak, read] = [before, machine.read]
  const watch = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage.rss())
  }, 5)
  const loop = performance.eventLoopUtilization()
  delay.enable()
  const start = performance.now()
  await attestGuest(parts, batchRequests([saltRequest(tokenRequest(), random)]), never)
  const took = performance.now() - start
  const { active } = performance.eventLoopUtilization(loop)
  delay.disable()
  clearInterval(watch)
  read = machine.read - read
  const [longest, grown] = [delay.max / 1e6, (peak - before) / 1e6]
  return [milliseconds(took), milliseconds(longest), milliseconds(active), `${read}`, `${grown.toFixed(0)} MB`]
}

async function attestLongLog(records: number): Promise<void> {
  await using machine = new Machine()
  await using appraiser = createWorkerAppraiser()
  const parts = partsOf(machine, appraiser)
  await attestGuest(parts, batchRequests([saltRequest(tokenRequest(), random)]), never)
  machine.measure(records)
  const whole = () => {
    machine.enrolment = machine.tpm.enrolment()
    return watched(machine, parts)
  }
  const next = (more: number) => {
    machine.measure(more)
    return watched(machine, parts)
  }
  printTable(`an IMA log of ${records} records`, [
    ['', 'time', 'longest delay', 'busy', 'records read', 'memory'],
    ['whole', ...(await whole())],
    ['whole again', ...(await whole())],
    ['nothing new', ...(await next(0))],
    ['100 records more', ...(await next(100))],
    ['100 records more', ...(await next(100))],
  ])
}

comparison('100 000 records', () => attestLongLog(100_000))
comparison('1 000 000 records', () => attestLongLog(1_000_000))
