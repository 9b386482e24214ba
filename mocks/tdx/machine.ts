import { rmSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import type { Clock } from '../../src/base/clock.ts'
import { type KernelOptions, SimulatedKernel } from './kernel.ts'
import { serveKernel } from './kernel-server.ts'
import { type RunningPccs, startPccs } from './pccs.ts'
import { keepPki, rootFile } from './pki.ts'
import { createSimulator, type SimulatedTdx } from './simulator.ts'

export interface MachineOptions {
  /** Keeps keys and certificates; made at first use. */
  readonly stateDirectory: string
  /** Path of the Unix socket of the kernel; what an earlier machine left there is removed. */
  readonly socket: string
  /** Of the provisioning service on loopback; default a free one. */
  readonly port?: number
  readonly quoteDelayMs?: number
  /** What quotes say besides report data and registers. */
  readonly quote?: KernelOptions['quote']
  readonly clock?: Pick<Clock, 'now' | 'sleep'>
}

/** A simulated TDX machine and its maker's service, both reachable from other processes. */
export interface SimulatedMachine extends AsyncDisposable {
  readonly sim: SimulatedTdx
  readonly kernel: SimulatedKernel
  readonly socket: string
  readonly pccs: RunningPccs
  /** PEM file of the root certificate. */
  readonly root: string
  close(): Promise<void>
}

const thisMachine: Pick<Clock, 'now' | 'sleep'> = {
  now: Date.now,
  sleep: (ms, signal) => setTimeout(ms, undefined, signal ? { signal } : {}),
}

export async function startMachine(options: MachineOptions): Promise<SimulatedMachine> {
  const { stateDirectory, socket, port = 0, quoteDelayMs = 0, clock = thisMachine } = options
  const pki = keepPki(stateDirectory, clock.now())
  const sim = createSimulator({ clock, pki })
  const kernel = new SimulatedKernel({ sim, clock, quote: options.quote ?? {} })
  kernel.files.quoteDelayMs = quoteDelayMs
  rmSync(socket, { force: true })
  const served = await serveKernel(kernel, socket)
  const pccs = await startPccs({ pki, clock, port })
  const close = async () => {
    await Promise.all([served.close(), pccs.close()])
  }
  return { sim, kernel, socket, pccs, root: rootFile(stateDirectory), close, [Symbol.asyncDispose]: close }
}
