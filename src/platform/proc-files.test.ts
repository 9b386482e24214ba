import { spawn } from 'node:child_process'
import { once } from 'node:events'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CgroupReader } from './cgroup-reader.ts'
import { isDead, ProcFile, parseEffectiveUid, parseStat } from './proc-files.ts'

const stat = (name: string, state = 'S', startTime = '4711') =>
  `123 (${name}) ${state} 1 123 123 0 -1 4194560 ${Array(10).fill('0').join(' ')} 1 0 ${startTime} 0 0\n`

describe('stat', () => {
  it.each(['node', 'a) R 1 1', 'a\nb', ') Z ', '((', ''])('of a process named %j (API-44)', (name) => {
    expect(parseStat(stat(name))).toEqual({ state: 'S', startTime: '4711' })
  })

  it('of any name gives the same', () => {
    fc.assert(
      fc.property(fc.string(), (name) => {
        expect(parseStat(stat(name))).toEqual({ state: 'S', startTime: '4711' })
      }),
    )
  })

  it.each(['', '123', '123 (a', '123 (a) ', '123 (a) S 1 2 3', stat('a', 'S', 'x'), stat('a', 'SS')])(
    '%j is not one',
    (text) => {
      expect(parseStat(text)).toBe(null)
    },
  )

  it('of a zombie or a dead process says so (API-45)', () => {
    const dead = (state: string) => isDead({ state, startTime: '1' })
    expect(['Z', 'X', 'S', 'R', 'D', 'T', 'I'].map(dead)).toEqual([true, true, false, false, false, false, false])
  })
})

describe('status', () => {
  it.each([
    ['Name:\tnode\nUid:\t0\t1000\t2\t3\nGid:\t0\t0\t0\t0\n', 1000],
    ['Name:\t\\nUid:\t7\t7\t7\t7\nUid:\t1\t4294967295\t1\t1\n', 4294967295],
    ['Name:\tnode\nGid:\t0\t5\t0\t0\n', null],
    ['Name:\tnode\nUid:\t0\tx\t2\t3\n', null],
    ['', null],
  ])('%j', (text, uid) => {
    expect(parseEffectiveUid(text)).toBe(uid)
  })
})

describe('files of a process', () => {
  it('are about itself', () => {
    const status = ProcFile.open(process.pid, 'status')
    const own = ProcFile.open(process.pid, 'stat')
    expect(parseEffectiveUid(status?.read() ?? '')).toBe(process.geteuid?.())
    expect(parseStat(own?.read() ?? '')?.state).toMatch(/^[RS]$/)
    status?.close()
    own?.close()
  })

  it('read nothing after its end, and there are none then (API-43)', async () => {
    const child = spawn('sleep', ['30'])
    const pid = child.pid ?? 0
    const status = ProcFile.open(pid, 'status')
    expect(status?.read()).toContain('Uid:')
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(status?.read()).toBe(null)
    expect(ProcFile.open(pid, 'stat')).toBe(null)
    expect(await new CgroupReader().read(pid)).toBe(null)
    status?.close()
  })
})
