import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'

export interface ToldProcess {
  readonly pid: number
  /** Sends a line to the process. Resolves when it says that this is done. */
  tell(line: string): Promise<void>
  kill(): Promise<void>
}

export interface ToldProcessOptions {
  /** An ES module; it reads lines from standard input and answers each with `done`, or with what went wrong. */
  readonly script: string
  /** From `process.argv[1]` on. */
  readonly values: readonly string[]
  /** What counts as the answer of a process that has ended: `done` where it may be told to end. */
  readonly lastWord: string
}

/** A process of its own that does as it is told. Resolves when it says `done` for the first time. */
export async function startToldProcess({ script, values, lastWord }: ToldProcessOptions): Promise<ToldProcess> {
  const child: ChildProcess = spawn(process.execPath, ['--input-type=module', '-e', script, ...values], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const lines: string[] = []
  child.stdout?.on('data', (chunk: Buffer) => {
    lines.push(...String(chunk).trim().split('\n'))
    child.emit('line')
  })
  child.once('exit', () => child.emit('line'))
  const answer = async () => {
    while (lines.length === 0 && child.exitCode === null) await once(child, 'line')
    const line = lines.shift() ?? lastWord
    if (line !== 'done') throw new Error(`the process says ${line}`)
  }
  await answer()
  return {
    pid: child.pid ?? 0,
    async tell(line) {
      child.stdin?.write(`${line}\n`)
      await answer()
    },
    async kill() {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}
