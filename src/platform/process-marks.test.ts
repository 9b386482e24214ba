import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import { seenProcesses } from './process-marks.ts'

describe('processes of this machine', () => {
  it('know themselves, and the one they are in', () => {
    const processes = seenProcesses()
    const self = processes.self()
    expect(self.pid).toBe(process.pid)
    expect(self.namespace).toMatch(/^pid:\[[0-9]+\]$/)
    expect(self.startTime).toMatch(/^[0-9]+$/)
    expect(processes.find(process.pid)).toEqual(self)
    expect(seenProcesses().self()).toEqual(self)
  })

  it.each([0, -1])('are never number %i', (pid) => {
    expect(seenProcesses().find(pid)).toBeNull()
  })

  it('are there while they live, also of other users, and gone behind their end', async () => {
    const processes = seenProcesses()
    const child = spawn('sleep', ['60'])
    await once(child, 'spawn')
    const pid = child.pid ?? 0
    expect(processes.find(pid)).toMatchObject({ pid, namespace: processes.self().namespace })
    expect(processes.find(1)).not.toBeNull()
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(processes.find(pid)).toBeNull()
  })
})
