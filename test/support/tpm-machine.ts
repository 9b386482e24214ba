import type { ChildProcess } from 'node:child_process'
import { appendFileSync, chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import { execute } from '../../mocks/swtpm/execute.ts'
import { simulateFirmware } from '../../mocks/swtpm/measured-boot.ts'
import { type SimulatedIma, simulateIma } from '../../mocks/swtpm/measured-files.ts'
import { type ProvisionedTpm, provisionSwtpm } from '../../mocks/swtpm/provision.ts'
import { type RunningSwtpm, startSwtpm } from '../../mocks/swtpm/swtpm.ts'
import { tpm2 } from '../../src/evidence/tpm/commands.ts'
import { TpmTap } from './tpm-tap.ts'

/** A machine with a simulated TPM that can be switched off and on; its TPM is always found at the same path. */
export class TpmMachine {
  readonly folder: string
  #made: ProvisionedTpm
  #processes = new Set<ChildProcess>()
  #ima: SimulatedIma | null = null
  #powered: { readonly tpm: RunningSwtpm; readonly tap: TpmTap } | null = null

  private constructor(folder: string, made: ProvisionedTpm) {
    this.folder = folder
    this.#made = made
  }

  /** Makes the TPM (about a second), and switches the machine on. */
  static async boot(folder: string): Promise<TpmMachine> {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const machine = new TpmMachine(folder, await provisionSwtpm({ folder: join(folder, 'tpm') }))
    await machine.powerOn()
    return machine
  }

  get tap(): TpmTap {
    return this.#required().tap
  }

  get made(): ProvisionedTpm {
    return this.#made
  }

  /** Lines for the tables `[tpm]` and `[verifier]` of an agent's configuration. */
  get configuration(): { readonly tpm: readonly string[]; readonly verifier: readonly string[] } {
    const { rootCertificate, issuerCertificate } = this.#made
    return {
      tpm: [
        `tcti = "swtpm:path=${this.#path}"`,
        'simulator = true',
        `event_log = "${this.#log('bios')}"`,
        `ima_log = "${this.#log('runtime')}"`,
        `runtime_log = "${this.runtimeLog}"`,
      ],
      verifier: [
        `ek_anchors = ["${rootCertificate}"]`,
        `ek_intermediates = ["${issuerCertificate}"]`,
        'event_log = "required"',
        'ima = "required"',
      ],
    }
  }

  /** Starts the TPM, plays firmware and kernel, and only then lets others at it. */
  async powerOn({ measured = true } = {}): Promise<void> {
    const tpm = await startSwtpm({ stateDirectory: this.#made.stateDirectory })
    const tap = await TpmTap.onto(tpm)
    this.#powered = { tpm, tap }
    if (measured) await this.measure()
    await tap.open(this.#path)
  }

  /** What firmware and kernel do at a boot: registers are extended, logs written anew. */
  async measure(): Promise<void> {
    const { send } = this.tap
    const { eventLog } = await simulateFirmware(send)
    writeFileSync(this.#log('bios'), eventLog)
    rmSync(this.runtimeLog, { force: true })
    rmSync(`${this.runtimeLog}.pending`, { force: true })
    this.#ima = await simulateIma(send)
    writeFileSync(this.imaLog, this.#ima.log())
  }

  /** Where the IMA log is. */
  get imaLog(): string {
    return this.#log('runtime')
  }

  /** What was extended through an agent since the boot. */
  get runtimeLog(): string {
    return join(this.folder, 'runtime-records')
  }

  /** What a program does that extends a PCR and keeps no record. */
  async extendUnrecorded(pcr: number): Promise<void> {
    const digest = new Uint8Array(32).fill(pcr)
    await execute(this.tap.send, tpm2.pcrExtend, { pcr, digests: [{ hash: 'sha256', digest }] })
  }

  /** What the kernel does when so many other files are read: the log grows. */
  async measureFiles(files: number): Promise<void> {
    const ima = this.#ima
    if (ima === null) throw new Error('the machine has not been measured')
    const before = ima.log().length
    for (let file = 0; file < files; file++) {
      await ima.measure(`/usr/bin/of-${ima.records()}`, new TextEncoder().encode(`file ${file}`))
    }
    appendFileSync(this.imaLog, ima.log().subarray(before))
  }

  /** Takes the power away, with whatever was under way. */
  async powerOff(): Promise<void> {
    if (this.#powered === null) return
    const { tpm, tap } = this.#powered
    this.#powered = null
    await tpm.kill()
    await tap.close()
    rmSync(tpm.socketDirectory, { recursive: true, force: true })
  }

  /** The TPM does not answer any more, and does not go away either. */
  freeze(): void {
    process.kill(this.#required().tpm.pid, 'SIGSTOP')
  }

  thaw(): void {
    process.kill(this.#required().tpm.pid, 'SIGCONT')
  }

  /** A process that runs on this machine, and ends with it at the latest. */
  adopt(process: ChildProcess): void {
    this.#processes.add(process)
    process.once('exit', () => this.#processes.delete(process))
  }

  /** The end of everything on it, also of what a test that failed left behind. */
  async end(): Promise<void> {
    for (const process of this.#processes) process.kill('SIGKILL')
    await this.powerOff()
  }

  /** Puts another TPM of the same maker in place of this machine's. */
  async exchangeTpm(): Promise<void> {
    await this.powerOff()
    const maker = join(this.folder, 'tpm/maker')
    this.#made = await provisionSwtpm({ folder: join(this.folder, 'other-tpm'), name: 'other-tpm', maker })
    await this.powerOn()
  }

  get #path(): string {
    return join(this.folder, 'tpm.sock')
  }

  #log(kind: 'bios' | 'runtime'): string {
    return join(this.folder, `binary_${kind}_measurements`)
  }

  #required(): { readonly tpm: RunningSwtpm; readonly tap: TpmTap } {
    if (this.#powered === null) throw new Error('the machine is switched off')
    return this.#powered
  }
}

export interface UsedMachine {
  readonly machine: () => TpmMachine
  /** Of the suite: others may enter it, and it is removed in the end. */
  readonly folder: string
}

/** One machine for the tests of a suite, switched on before the first and gone after the last. */
export function useTpmMachine(): UsedMachine {
  const folder = mkdtempSync(join(tmpdir(), 'attestd-e2e-'))
  chmodSync(folder, 0o755)
  let machine: TpmMachine | undefined
  beforeAll(async () => {
    machine = await TpmMachine.boot(join(folder, 'machine'))
  })
  afterAll(async () => {
    await machine?.end()
    rmSync(folder, { recursive: true, force: true })
  })
  return {
    folder,
    machine: () => {
      if (machine === undefined) throw new Error('the machine has not been switched on')
      return machine
    },
  }
}
