import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { compiledWorker } from '../../test/support/compiled-worker.ts'
import { FileThread } from './file-thread.ts'
import { tsmFilesIn } from './tsm-files.ts'

const worker = compiledWorker('src/platform/tsm-worker.ts')

function opened(entry = worker) {
  const folder = mkdtempSync(join(tmpdir(), 'attestd-tsm-'))
  const thread = new FileThread(entry)
  onTestFinished(async () => {
    await thread.close()
    rmSync(folder, { recursive: true, force: true })
  })
  return { folder, thread, files: tsmFilesIn(folder, thread) }
}

const refusal = (operation: Promise<unknown>) =>
  operation.then(
    () => 'done',
    ({ code, syscall }: NodeJS.ErrnoException) => `${syscall} ${code}`,
  )

/** `import { parentPort as port }` and `body`, for every job. */
function threadThat(body: string): URL {
  const program = `import { parentPort as port } from 'node:worker_threads'
    port.on('message', (job) => { ${body} })`
  return new URL(`data:text/javascript,${encodeURIComponent(program)}`)
}

describe('file operations on a thread of their own', () => {
  it('do to the files what they say', async () => {
    const { folder, files } = opened()
    await files.mkdir('attestd-1')
    expect(await files.list()).toEqual(['attestd-1'])
    const inblob = join(folder, 'attestd-1/inblob')
    writeFileSync(inblob, '', { mode: 0o200 })
    await files.writeOnce('attestd-1', 'inblob', new Uint8Array(64).fill(9))
    expect(readFileSync(inblob)).toEqual(Buffer.alloc(64, 9))
    expect(await files.readAll('attestd-1', 'inblob', 64)).toEqual(new Uint8Array(64).fill(9))
    rmSync(inblob)
    await files.rmdir('attestd-1')
    expect(await files.list()).toEqual([])
  })

  it('refuse as the system does, with errno and call', async () => {
    const { folder, files } = opened()
    await files.mkdir('attestd-1')
    expect(await refusal(files.mkdir('attestd-1'))).toBe('mkdir EEXIST')
    expect(await refusal(files.readAll('attestd-1', 'outblob', 10))).toBe('open ENOENT')
    expect(await refusal(files.writeOnce('attestd-1', 'inblob', new Uint8Array(64)))).toBe('open ENOENT')
    expect(existsSync(join(folder, 'attestd-1/inblob'))).toBe(false)
    writeFileSync(join(folder, 'attestd-1/x'), '')
    expect(await refusal(files.rmdir('attestd-1'))).toBe('rmdir ENOTEMPTY')
    expect(await refusal(files.rmdir('attestd-2'))).toBe('rmdir ENOENT')
    rmSync(folder, { recursive: true })
    expect(await refusal(files.list())).toBe('scandir ENOENT')
    expect(await refusal(files.mkdir('attestd-1'))).toBe('mkdir ENOENT')
  })

  it('follow no symbolic link', async () => {
    const { folder, files } = opened()
    mkdirSync(join(folder, 'a'))
    writeFileSync(join(folder, 'secret'), 'x')
    symlinkSync(join(folder, 'secret'), join(folder, 'a/outblob'))
    expect(await refusal(files.readAll('a', 'outblob', 10))).toBe('open ELOOP')
    expect(await refusal(files.writeOnce('a', 'outblob', new Uint8Array(64)))).toBe('open ELOOP')
  })

  it.each(['..', '.', '', 'a/b', '/etc', 'a\0b', 'x'.repeat(65)])('have no name %j', async (name) => {
    const { files } = opened(threadThat(''))
    await expect(files.mkdir(name)).rejects.toThrow(TypeError)
    await expect(files.readAll(name, 'outblob', 1)).rejects.toThrow(TypeError)
    await expect(files.readAll('attestd-1', name, 1)).rejects.toThrow(TypeError)
    await expect(files.rmdir(name)).rejects.toThrow(TypeError)
  })

  it('read to the end where stat says 0 bytes, and stop at the limit (TDX-005)', async () => {
    const thread = new FileThread(worker)
    onTestFinished(() => thread.close())
    const files = tsmFilesIn('/proc', thread)
    expect(statSync('/proc/self/limits').size).toBe(0)
    const limits = readFileSync('/proc/self/limits')
    expect(Buffer.from(await files.readAll(String(process.pid), 'limits', limits.length))).toEqual(limits)
    expect(await refusal(files.readAll(String(process.pid), 'limits', limits.length - 1))).toBe('read EFBIG')
  })

  it.each([0, 1, 65_535, 65_536, 65_537, 200_000])('read %i bytes, limit to the byte', async (size) => {
    const { folder, files } = opened()
    mkdirSync(join(folder, 'a'))
    writeFileSync(join(folder, 'a/outblob'), Buffer.alloc(size, 7))
    expect(await files.readAll('a', 'outblob', size)).toEqual(new Uint8Array(size).fill(7))
    if (size > 0) expect(await refusal(files.readAll('a', 'outblob', size - 1))).toBe('read EFBIG')
  })
})

describe('an operation that blocks in the kernel (TDX-013)', () => {
  /** A named pipe without a writer: opening it for reading blocks. */
  function blocking() {
    const rig = opened()
    mkdirSync(join(rig.folder, 'a'))
    const pipe = join(rig.folder, 'a/outblob')
    execFileSync('mkfifo', [pipe])
    return { ...rig, pipe }
  }

  it('holds up neither the event loop nor other file operations of the process', async () => {
    const { files, pipe, thread } = blocking()
    const reading = files.readAll('a', 'outblob', 100)
    const behind = files.list()
    for (let round = 0; round < 20; round++) {
      const file = await open('/proc/self/stat', 'r')
      await file.read(Buffer.alloc(10), 0, 10, 0)
      await file.close()
    }
    expect(thread.pending).toBe(2)
    writeFileSync(pipe, 'late')
    expect(Buffer.from(await reading).toString()).toBe('late')
    expect(await behind).toEqual(['a'])
    expect(thread.pending).toBe(0)
  })

  it('is abandoned by close, which does not wait for it', async () => {
    const { files, pipe, thread } = blocking()
    const [reading, behind] = [refusal(files.readAll('a', 'outblob', 100)), refusal(files.list())]
    const closed = thread.close()
    expect(await reading).toMatch(/ECANCELED/)
    expect(await behind).toMatch(/ECANCELED/)
    await closed
    expect(await refusal(files.list())).toBe('list ECANCELED')
    // Lets the thread go, so that the test's process can end.
    const writer = await open(pipe, 'r+')
    await writer.close()
  })
})

describe('the thread', () => {
  it('that ends by itself fails what waits; the next operation gets another one', async () => {
    const { thread } = opened(
      threadThat(`if (job.operation.path === '/end') process.exit(3)
      port.postMessage({ id: job.id, value: null })`),
    )
    expect(await refusal(thread.run({ op: 'list', path: '/end' }))).toBe('exit ECANCELED')
    expect(await thread.run({ op: 'list', path: '/other' })).toBeNull()
  })

  it('that has a bug passes it on', async () => {
    const { thread } = opened(threadThat(`throw new RangeError('a bug')`))
    await expect(thread.run({ op: 'list', path: '/' })).rejects.toThrow('a bug')
  })

  it('answers to nobody that were not asked for are dropped', async () => {
    const { thread } = opened(
      threadThat(`port.postMessage({ id: 999, value: [] })
      port.postMessage({ id: job.id, value: ['own'] })`),
    )
    expect(await thread.run({ op: 'list', path: '/' })).toEqual(['own'])
  })
})
