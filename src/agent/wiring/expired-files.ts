import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import type { Task } from '../../base/tasks.ts'
import { endsOfTokensIn } from '../../workload-api/written-tokens.ts'
import type { AgentCore, AgentService } from '../core.ts'

const lookEveryMs = 5_000
const longestFile = 131_072

/** What a consumer would read at this path; empty where there is no such regular file. */
async function readAsConsumer(path: string): Promise<string> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants
  try {
    await using file = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
    if (!(await file.stat()).isFile()) return ''
    const { buffer, bytesRead } = await file.read(Buffer.alloc(longestFile), 0, longestFile, 0)
    return buffer.toString('latin1', 0, bytesRead)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error
    return ''
  }
}

/** A file whose token was over, and whether that has been counted. */
interface OverFile {
  readonly content: string
  readonly counted: boolean
}

/**
 * The independent check of BRK-167 for token files: reads them as a consumer does, and trusts nobody's account of them. A
 * token that is over at two looks in a row counts once; what somebody else put there is not ours.
 */
export class ExpiredFiles {
  readonly #core: Pick<AgentCore, 'metrics' | 'log' | 'host'>
  /** By path, of the last look. */
  #over: ReadonlyMap<string, OverFile> = new Map()

  constructor(core: Pick<AgentCore, 'metrics' | 'log' | 'host'>) {
    this.#core = core
  }

  async look(): Promise<void> {
    const { metrics, log, host } = this.#core
    const over = new Map<string, OverFile>()
    for (const { path, name, error } of metrics.sinks.current()) {
      if (error?.code === 'sink_content_foreign') continue
      const content = await readAsConsumer(path)
      if (!endsOfTokensIn(content).some((end) => end * 1000 <= host.clock.now())) continue
      const before = this.#over.get(path)
      const again = before !== undefined && before.content === content
      if (again && !before.counted) {
        metrics.expiredServed()
        log.error(
          { event: 'expired_token_in_file', sink: name },
          'a token file holds an expired token: this is a fault',
        )
      }
      over.set(path, { content, counted: again })
    }
    this.#over = over
  }
}

export function watchExpiredFiles(core: AgentCore): AgentService {
  const files = new ExpiredFiles(core)
  const watch: Task = async (signal) => {
    while (!signal.aborted) {
      await core.host.clock.sleep(lookEveryMs, signal).catch((reason: unknown) => {
        if (!signal.aborted) throw reason
      })
      if (!signal.aborted) await files.look()
    }
  }
  return { tasks: [watch] }
}
