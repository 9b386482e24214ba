import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { builtProgram } from '../../test/support/built-program.ts'

const folder = mkdtempSync(join(tmpdir(), 'attestd-end-'))
let built = ''
beforeAll(async () => {
  built = resolve(await builtProgram(), '../..')
  execFileSync('mkfifo', [join(folder, 'pipe')])
}, 120_000)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** A process with a thread that waits for bytes that never come, as a read of `outblob` waits for the host. */
function run(then: string) {
  const url = (file: string) => JSON.stringify(pathToFileURL(join(built, file)).href)
  const script = `
    import { constants, openSync } from 'node:fs'
    import { FileThread } from ${url('platform/file-thread.js')}
    import { endDespiteThreads } from ${url('agent/process-end.js')}
    const thread = new FileThread()
    const path = ${JSON.stringify(join(folder, 'pipe'))}
    thread.run({ op: 'readAll', path, limit: 16 }).catch(({ code }) => process.stdout.write(code))
    const pause = () => new Promise((wake) => setTimeout(wake, 20))
    // Can be opened without waiting from the moment on when the thread has it open; what is not written is waited for.
    const isRead = () => {
      try { return openSync(path, constants.O_WRONLY | constants.O_NONBLOCK) > 0 } catch { return false }
    }
    while (!isRead()) await pause()
    await pause()
    await thread.close()
    ${then}`
  const options = { timeout: 20_000, killSignal: 'SIGKILL', encoding: 'utf8' } as const
  writeFileSync(join(folder, 'script.mjs'), script)
  const { status, signal, stdout } = spawnSync(process.execPath, [join(folder, 'script.mjs')], options)
  return { status, signal, stdout }
}

describe('the end of a process whose thread is blocked in the kernel', () => {
  it('comes within its time, with its code', () => {
    expect(run('endDespiteThreads(75, 100)')).toEqual({ status: 75, signal: null, stdout: 'ECANCELED' })
  })
})
