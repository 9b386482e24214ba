import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { release, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { collectHostFacts, type SystemSurvey } from './host-facts.ts'

let root = ''
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'attestd-host-'))
})
afterEach(() => rmSync(root, { recursive: true }))

const survey: SystemSurvey = {
  osInfo: async () => ({ kernel: '6.12.1', distro: 'Simulated Linux', release: '3', arch: 'x64' }),
  system: async () => ({ virtual: true, virtualHost: 'KVM' }),
}
function place(path: string, content = ''): void {
  mkdirSync(dirname(join(root, path)), { recursive: true })
  writeFileSync(join(root, path), content)
}

describe('the facts of a host', () => {
  it('name kernel, distribution and hypervisor', async () => {
    expect(await collectHostFacts({ root, survey })).toMatchObject({
      kernel: '6.12.1',
      distribution: 'Simulated Linux 3',
      architecture: 'x64',
      hypervisor: 'KVM',
    })
    const bare = { ...survey, system: async () => ({ virtual: false, virtualHost: '' }) }
    expect((await collectHostFacts({ root, survey: bare })).hypervisor).toBe(null)
  })

  it('list every way to evidence, and which there are', async () => {
    for (const path of [
      'dev/tpmrm0',
      'dev/nvidia10',
      'dev/nvidia2',
      'dev/nvidia-uvm',
      'sys/kernel/config/tsm/report/x',
    ])
      place(path)
    const { devices } = await collectHostFacts({ root, survey })
    const usable = devices.filter(({ access }) => access === 'usable').map(({ path }) => path)
    expect(usable).toEqual(['/dev/tpmrm0', '/sys/kernel/config/tsm/report', '/dev/nvidia2', '/dev/nvidia10'])
    const absent = devices.filter(({ access }) => access === 'absent').map(({ path }) => path)
    expect(absent).toContain('/dev/tdx_guest')
    expect(absent).toContain('/dev/nvidiactl')
  })

  it.each([
    ['proc /proc proc rw,nosuid 0 0\n', null],
    ['proc /proc proc rw,hidepid=invisible 0 0\n', 'hidepid=invisible'],
    ['proc /proc proc rw,hidepid=2,gid=5 0 0\n', 'hidepid=2'],
    ['proc /proc proc rw,hidepid=0 0 0\n', null],
    ['proc /proc proc rw,hidepid=2 0 0\nproc /proc proc rw 0 0\n', null],
    ['proc /proc proc rw 0 0\nproc /proc proc rw,hidepid=2 0 0\n', 'hidepid=2'],
    ['proc /chroot/proc proc rw,hidepid=2 0 0\n', null],
    ['', null],
  ])('with mounts %j', async (mounts, hidepid) => {
    place('proc/mounts', mounts)
    expect((await collectHostFacts({ root, survey })).hidepid).toBe(hidepid)
  })

  it('name each library with the reason why it is not found', async () => {
    for (const { found, problem, soname } of (await collectHostFacts({ root, survey })).libraries) {
      expect(soname).toMatch(/\.so\.\d+$/)
      expect(problem === null).toBe(found)
    }
  })

  it('of this very host are there', async () => {
    const facts = await collectHostFacts()
    expect(facts.kernel).toBe(release())
    expect(facts.distribution.length).toBeGreaterThan(3)
    expect(facts.devices.length).toBeGreaterThanOrEqual(8)
  })
})
