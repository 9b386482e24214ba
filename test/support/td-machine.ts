import type { ChildProcess } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterAll, beforeAll } from 'vitest'
import { type KernelOptions, SimulatedKernel } from '../../mocks/tdx/kernel.ts'
import { type ServedKernel, serveKernel } from '../../mocks/tdx/kernel-server.ts'
import { type RunningPccs, startPccs } from '../../mocks/tdx/pccs.ts'
import { keepPki, rootFile } from '../../mocks/tdx/pki.ts'
import type { QuoteOptions } from '../../mocks/tdx/quotes.ts'
import { createSimulator, type SimulatedTdx } from '../../mocks/tdx/simulator.ts'
import type { AgentMachine } from './agent-process.ts'
import { TpmMachine } from './tpm-machine.ts'

const clock = {
  now: Date.now,
  sleep: (ms: number, signal?: AbortSignal) => setTimeout(ms, undefined, signal ? { signal } : {}),
}

type Boot = Omit<KernelOptions, 'sim' | 'clock'>

/**
 * A simulated TD and the service of its maker, at a socket and a port that agents in processes of their own reach; both
 * can be switched off and on, and be made to fail while an agent runs. A TPM beside it is optional.
 */
export class TdMachine implements AgentMachine {
  readonly folder: string
  readonly sim: SimulatedTdx
  readonly #tpm: TpmMachine | null
  readonly #processes = new Set<ChildProcess>()
  #kernel: SimulatedKernel
  #served: ServedKernel | null = null
  #pccs: RunningPccs | null = null
  #pccsPort = 0
  /** What the host gives in place of an honest quote. */
  answer: ((asked: QuoteOptions, honest: SimulatedTdx) => Uint8Array) | null = null
  /** The report data of all quotes that the host was asked for, in order. */
  readonly quoted: Uint8Array[] = []

  private constructor(folder: string, tpm: TpmMachine | null) {
    this.folder = folder
    this.#tpm = tpm
    const honest = createSimulator({ clock, pki: keepPki(folder, clock.now()) })
    this.sim = { ...honest, quote: (options) => this.#quote(honest, options) }
    this.#kernel = new SimulatedKernel({ sim: this.sim, clock })
  }

  static async boot(folder: string, { tpm = false } = {}): Promise<TdMachine> {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const machine = new TdMachine(folder, tpm ? await TpmMachine.boot(join(folder, 'tpm')) : null)
    await machine.switchOnKernel()
    await machine.switchOnPccs()
    return machine
  }

  get kernel(): SimulatedKernel {
    return this.#kernel
  }

  get pccs(): RunningPccs {
    if (this.#pccs === null) throw new Error('the provisioning service is switched off')
    return this.#pccs
  }

  get tpm(): TpmMachine {
    if (this.#tpm === null) throw new Error('the machine has no TPM')
    return this.#tpm
  }

  /** PEM file of the maker's root. */
  get root(): string {
    return rootFile(this.folder)
  }

  get configuration() {
    const tpm = this.#tpm?.configuration ?? { tpm: ['use = "off"'], verifier: [] }
    return {
      tpm: tpm.tpm,
      tdx: [`simulator_socket = "${this.#socket}"`, 'simulator = true'],
      verifier: [...tpm.verifier, `tdx_anchors = ["${this.root}"]`, 'cc_event_log = "required"'],
      collateral: [`pccs = ["http://127.0.0.1:${this.#pccsPort}"]`, 'allow_http_loopback = true'],
    }
  }

  /** Entries in the report folder now. */
  entries(): Promise<readonly string[]> {
    return this.#kernel.files.list()
  }

  async switchOnKernel(): Promise<void> {
    this.#served = await serveKernel(this.#kernel, this.#socket)
  }

  /** Nobody reaches the kernel any more; what it holds stays. */
  async switchOffKernel(): Promise<void> {
    await this.#served?.close()
    this.#served = null
    rmSync(this.#socket, { force: true })
  }

  /** Registers, logs and report folder begin anew. */
  async reboot(options: Boot = {}): Promise<void> {
    await this.switchOffKernel()
    this.#kernel = new SimulatedKernel({ sim: this.sim, clock, ...options })
    await this.switchOnKernel()
  }

  /** Also where it is on already. */
  async switchOnPccs(): Promise<void> {
    if (this.#pccs !== null) return
    this.#pccs = await startPccs({ pki: this.sim.pki, clock, port: this.#pccsPort })
    this.#pccsPort = Number(new URL(this.#pccs.url).port)
  }

  async switchOffPccs(): Promise<void> {
    await this.#pccs?.close()
    this.#pccs = null
  }

  adopt(process: ChildProcess): void {
    this.#processes.add(process)
    process.once('exit', () => this.#processes.delete(process))
  }

  async end(): Promise<void> {
    for (const process of this.#processes) process.kill('SIGKILL')
    await this.switchOffKernel()
    await this.switchOffPccs()
    await this.#tpm?.end()
  }

  #quote(honest: SimulatedTdx, options: QuoteOptions): Uint8Array {
    this.quoted.push(Uint8Array.from(options.reportData))
    return this.answer === null ? honest.quote(options) : this.answer(options, honest)
  }

  get #socket(): string {
    return join(this.folder, 'kernel.sock')
  }
}

export interface UsedTdMachine {
  readonly machine: () => TdMachine
  /** Of the suite, and gone after it. */
  readonly folder: string
}

/** One machine for the tests of a suite. */
export function useTdMachine(options: { readonly tpm?: boolean } = {}): UsedTdMachine {
  const folder = mkdtempSync(join(tmpdir(), 'attestd-td-'))
  chmodSync(folder, 0o755)
  let machine: TdMachine | undefined
  beforeAll(async () => {
    machine = await TdMachine.boot(join(folder, 'machine'), options)
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
