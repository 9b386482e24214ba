import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse, struct, u32be } from '../../src/base/layout.ts'
import { tpm2 } from '../../src/evidence/tpm/commands.ts'
import { openSwtpmChannel } from '../../src/platform/tpm-socket.ts'
import { execute, type TpmTransport } from './execute.ts'

export interface SwtpmOptions {
  /** As made by `provisionSwtpm`. */
  readonly stateDirectory: string
  /** Of an earlier process, where the same paths are wanted again after a crash. It stays where it is. */
  readonly socketDirectory?: string
}

/** A simulated TPM that runs: `swtpm` with a data and a control socket in a folder that only its owner enters. */
export interface RunningSwtpm {
  /** Unix socket of the data channel; the control channel is at the same path with `.ctrl` behind it. */
  readonly path: string
  readonly socketDirectory: string
  /** For `tpm.tcti`. */
  readonly tcti: string
  readonly pid: number
  /** One client at a time: connect, work, close. */
  connect(): Promise<SwtpmClient>
  /** Takes the power away and gives it back, then starts the TPM: resetCount goes up by one. */
  powerCycle(client: SwtpmClient, options?: { readonly orderly?: boolean }): Promise<void>
  /** Sends the machine to sleep and wakes it: TPM Resume. restartCount goes up by one, PCRs and clock go on. */
  resume(client: SwtpmClient): Promise<void>
  /** Stops the process as `swtpm_ioctl -s` does; state stays in its directory. */
  stop(): Promise<void>
  /** Kills the process, as a crash of the host would. */
  kill(): Promise<void>
}

export interface SwtpmClient extends AsyncDisposable {
  readonly send: TpmTransport
  close(): Promise<void>
}

/** Commands of the control channel of swtpm (its man page swtpm_ioctl). */
const control = { init: 2, shutdown: 3 } as const

/** Starts swtpm and waits until it answers a command. Throws if it ends before, with what it printed. */
export async function startSwtpm(options: SwtpmOptions): Promise<RunningSwtpm> {
  const { socketDirectory = mkdtempSync(join(tmpdir(), 'attestd-swtpm-')) } = options
  const owned = options.socketDirectory === undefined
  const path = join(socketDirectory, 'tpm')
  const child = spawn(
    'swtpm',
    [
      ...['socket', '--tpm2', '--tpmstate', `dir=${options.stateDirectory}`],
      ...['--server', `type=unixio,path=${path},mode=0600`, '--ctrl', `type=unixio,path=${path}.ctrl,mode=0600`],
      ...['--flags', 'not-need-init,startup-clear'],
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  const printed: string[] = []
  child.stderr?.on('data', (chunk: Buffer) => printed.push(String(chunk)))
  const killAtExit = () => child.kill('SIGKILL')
  process.once('exit', killAtExit)
  const ended = once(child, 'exit').then(() => process.off('exit', killAtExit))
  await untilAnswering(path, child, printed)
  return running({ path, socketDirectory, owned, child, ended })
}

interface Parts {
  readonly path: string
  readonly socketDirectory: string
  /** Whether the directory was made for this process alone: only such a one is removed with it. */
  readonly owned: boolean
  readonly child: ChildProcess
  readonly ended: Promise<unknown>
}

function running({ path, socketDirectory, owned, child, ended }: Parts): RunningSwtpm {
  return {
    path,
    socketDirectory,
    tcti: `swtpm:path=${path}`,
    pid: child.pid ?? 0,
    connect: () => connect(path),
    async powerCycle(client, { orderly = false } = {}) {
      if (orderly) await execute(client.send, tpm2.shutdown, { shutdownType: 0 })
      await askControl(`${path}.ctrl`, control.init, 0)
      await execute(client.send, tpm2.startup, { startupType: 0 })
    },
    async resume(client) {
      await execute(client.send, tpm2.shutdown, { shutdownType: 1 })
      await askControl(`${path}.ctrl`, control.init, 0)
      await execute(client.send, tpm2.startup, { startupType: 1 })
    },
    async stop() {
      await askControl(`${path}.ctrl`, control.shutdown)
      await ended
      if (owned) rmSync(socketDirectory, { recursive: true, force: true })
    },
    async kill() {
      child.kill('SIGKILL')
      await ended
    },
  }
}

async function connect(path: string): Promise<SwtpmClient> {
  const never = new AbortController().signal
  const channel = await openSwtpmChannel({ path }, never)
  const close = () => channel.close()
  return { send: (command) => channel.exchange(command, never), close, [Symbol.asyncDispose]: close }
}

async function untilAnswering(path: string, child: ChildProcess, printed: readonly string[]): Promise<void> {
  for (let attempt = 0; attempt < 500; attempt++) {
    if (child.exitCode !== null) break
    const client = await connect(path).catch(() => undefined)
    if (client) {
      await execute(client.send, tpm2.getRandom, { bytes: 8 })
      return client.close()
    }
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  child.kill('SIGKILL')
  throw new Error(`swtpm does not answer: ${printed.join('')}`)
}

/** One command of the control channel: u32 numbers, big endian; the answer is a result code. */
async function askControl(path: string, ...numbers: readonly number[]): Promise<void> {
  const socket = createConnection(path)
  await once(socket, 'connect')
  socket.write(Buffer.concat(numbers.map((number) => Buffer.from([0, 0, 0, number]))))
  const [answer] = (await once(socket, 'data')) as [Buffer]
  socket.destroy()
  const { result } = parse(struct({ result: u32be }), answer, 'control')
  if (result !== 0) throw new Error(`swtpm refused control command ${numbers[0]}: 0x${result.toString(16)}`)
}
