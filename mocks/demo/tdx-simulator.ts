import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { encodeCollateral } from '../../src/endorsements/tdx/collateral.ts'
import { keepPki } from '../tdx/pki.ts'
import { createSimulator } from '../tdx/simulator.ts'

/** The simulated TDX platform as it runs: where its kernel, its provisioning service and its root are. */
export interface TdxSimulator {
  readonly kernel: string
  readonly pccs: string
  readonly root: string
  /** A file with what the maker says about this platform, for verifiers that do not ask for it. */
  readonly bundle: string
  stop(): Promise<void>
}

/** Signed with the keys of the process, which are in its state directory. */
async function writeBundle(stateDirectory: string): Promise<string> {
  const now = () => Date.now()
  const simulator = createSimulator({ clock: { now }, pki: keepPki(stateDirectory, now()) })
  const file = join(stateDirectory, 'collateral.json')
  await writeFile(file, encodeCollateral(simulator.collateral()))
  return file
}

/** The first line that it prints, when it listens. */
async function firstLine(child: ChildProcess): Promise<string> {
  if (!child.stdout) throw new TypeError('the simulator has no standard output')
  const lines = createInterface({ input: child.stdout })
  const ended = once(child, 'exit').then(() => {
    throw new Error('the TDX simulator did not start; its reason stands above')
  })
  const [line] = await Promise.race([once(lines, 'line'), ended])
  return String(line)
}

/** Starts the simulated platform with its state in `stateDirectory`. */
export async function startTdxSimulator(stateDirectory: string): Promise<TdxSimulator> {
  const program = new URL('../tdx/main.js', import.meta.url).pathname
  const child = spawn(process.execPath, [program, '--state', stateDirectory], { stdio: ['ignore', 'pipe', 'inherit'] })
  const { kernel, pccs, root } = JSON.parse(await firstLine(child)) as Record<'kernel' | 'pccs' | 'root', string>
  return {
    kernel,
    pccs,
    root,
    bundle: await writeBundle(stateDirectory),
    stop: async () => {
      const exited = once(child, 'exit')
      child.kill('SIGTERM')
      await exited
    },
  }
}
