import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readEventLog } from './log-files.ts'

let folder = ''
let path = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'attestd-logs-'))
  path = join(folder, 'log')
})
afterEach(() => rmSync(folder, { recursive: true }))

describe('the event log', () => {
  it('is read to its end, whatever stat says of its size (TPM-08)', async () => {
    // The file system of processes says size 0, as that of the kernel's logs does.
    expect(await readEventLog('/proc/version')).toEqual(new Uint8Array(readFileSync('/proc/version')))
  })

  it('of several hundred kilobytes is read whole', async () => {
    const bytes = Uint8Array.from({ length: 300_001 }, (_, at) => at % 251)
    writeFileSync(path, bytes)
    expect(await readEventLog(path)).toEqual(bytes)
  })

  it('that is absent is null', async () => {
    expect(await readEventLog(path)).toBe(null)
  })

  it('is refused above its limit, not at it', async () => {
    writeFileSync(path, new Uint8Array(100))
    expect(await readEventLog(path, 100)).toHaveLength(100)
    await expect(readEventLog(path, 99)).rejects.toMatchObject({ code: 'eventlog_unreadable', facts: { limit: 99 } })
  })

  it('that cannot be read is an error with its reason, not an absent log', async () => {
    writeFileSync(path, '')
    const below = join(path, 'log')
    await expect(readEventLog(below)).rejects.toMatchObject({
      code: 'eventlog_unreadable',
      facts: { errno: 'ENOTDIR' },
    })
  })
})

describe.each(['folder', 'pipe'])('a %s in the place of a log', (kind) => {
  it('is refused, and nobody waits for it', async () => {
    if (kind === 'folder') mkdirSync(path)
    else execFileSync('mkfifo', [path])
    await expect(readEventLog(path)).rejects.toMatchObject({ code: 'eventlog_unreadable', facts: { path } })
    rmSync(path, { recursive: true })
    expect(await readEventLog(path)).toBeNull()
  })
})
