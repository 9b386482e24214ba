import { type ChildProcess, spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import type { Libc } from '../../native/libc.ts'
import type { Clock } from '../base/clock.ts'
import { closeHandlesOnExec } from './open-handles.ts'

/** A program that is told of a change. */
export interface ChangeCommand {
  /** Path of the program, then its arguments: no shell looks at them. */
  readonly argv: readonly [string, ...string[]]
  /** Whom it runs as; null: as this process. */
  readonly user: { readonly uid: number; readonly gid: number } | null
  readonly timeoutMs: number
  /** All of its environment. */
  readonly environment: Readonly<Record<string, string>>
}

export interface CommandHost {
  readonly clock: Clock
  /** Null where native code cannot be called: then no native code has opened anything either. */
  readonly libc: Libc | null
}

export interface CommandOutcome {
  readonly result: 'done' | 'failed' | 'not started' | 'timed out'
  /** How it ended: `exit 1`, `SIGKILL`, `EACCES`. */
  readonly how: string
  /** The end of what it wrote, whatever looks like a secret left out. */
  readonly output: string
}

const keptBytes = 1_024
const lastWordsMs = 500
/** Longer than any word that helps: a part of a token, a key, a digest. */
const secretForm = /[A-Za-z0-9_+=-]{24,}/g

/** The last bytes that a program wrote: it is read to its end, so that it never waits for us. */
class Tail {
  #bytes = Buffer.alloc(0)

  readonly take = (chunk: Buffer): void => {
    this.#bytes = Buffer.concat([this.#bytes, chunk]).subarray(-keptBytes)
  }

  /** The first word may be the end of something longer. */
  text(): string {
    const text = this.#bytes.toString('latin1')
    const whole = this.#bytes.length < keptBytes ? text : text.replace(/^[^\s]*/, '…')
    return whole
      .replaceAll(secretForm, '…')
      .replaceAll(/[^\x20-\x7e…\n]/g, '?')
      .trim()
  }
}

function started({ argv, user, environment }: ChangeCommand): ChildProcess {
  const [program, ...args] = argv
  return spawn(program, args, {
    cwd: '/',
    env: { ...environment },
    // A group of its own, so that its children can be ended with it.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(user ?? {}),
  })
}

function endGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // It has ended, or runs as somebody else whom we may not end.
  }
}

type End = Pick<CommandOutcome, 'result' | 'how'>

function untilEnded(child: ChildProcess): Promise<End> {
  return new Promise((resolve) => {
    child.once('error', (error: NodeJS.ErrnoException) =>
      resolve({ result: 'not started', how: error.code ?? 'unknown' }),
    )
    child.once('exit', (code, signal) => {
      resolve({ result: code === 0 ? 'done' : 'failed', how: signal ?? `exit ${code}` })
    })
  })
}

/**
 * Runs a program and waits for its end, its time limit, or the signal; then it and its children are killed. Never rejects:
 * how it went is the result.
 */
export async function runChangeCommand(
  command: ChangeCommand,
  { clock, libc }: CommandHost,
  signal: AbortSignal,
): Promise<CommandOutcome> {
  const tail = new Tail()
  if (libc !== null) closeHandlesOnExec(libc)
  const { running, how } = startedOrNot(command)
  if (running === null) return { result: 'not started', how, output: '' }
  running.stdout?.on('data', tail.take)
  running.stderr?.on('data', tail.take)
  const closed = new Promise((resolve) => running.once('close', resolve))
  const ended = new AbortController()
  const late = clock.sleep(command.timeoutMs, AbortSignal.any([ended.signal, signal])).then(
    (): End => ({ result: 'timed out', how: 'SIGKILL' }),
    (): End => ({ result: 'failed', how: 'the agent stops' }),
  )
  const end = await Promise.race([untilEnded(running), late])
  endGroup(running)
  // What it wrote last is still in the pipes; somebody who fled from the group may keep them open.
  await Promise.race([closed, clock.sleep(lastWordsMs, ended.signal).catch(() => undefined)])
  ended.abort()
  running.stdout?.destroy()
  running.stderr?.destroy()
  return { ...end, output: tail.text() }
}

/** Arguments that no program can have are refused before there is a process. */
function startedOrNot(command: ChangeCommand): { readonly running: ChildProcess | null; readonly how: string } {
  try {
    return { running: started(command), how: '' }
  } catch (error) {
    return { running: null, how: (error as NodeJS.ErrnoException).code ?? 'unknown' }
  }
}

const capSetgid = 1n << 6n
const capSetuid = 1n << 7n

/** Whether this process may start programs as other users. */
export async function mayChangeUser(): Promise<boolean> {
  const status = await readFile('/proc/self/status', 'latin1')
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`)
  return (effective & capSetgid) !== 0n && (effective & capSetuid) !== 0n
}
