import { execFileSync, spawnSync } from 'node:child_process'
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { configurationSchema } from '../src/agent/configuration/schema.ts'
import { serviceSchema } from '../src/agent/configuration/service-schema.ts'

const units = resolve(import.meta.dirname, '../systemd')
const sockets = [
  ...['attestd.socket', 'attestd-admin.socket', 'attestd-cred.socket'],
  ...['attestd-confidential-space.socket', 'attestd-fly.socket'],
]
const folder = mkdtempSync(join(tmpdir(), 'attestd-units-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const has = (tool: string) => spawnSync(tool, ['--version']).status === 0
const textOf = (name: string) => readFileSync(join(units, name), 'utf8')

/** Settings of a unit by name, every value of a setting that is there more than once. */
function settingsOf(name: string): Map<string, string[]> {
  const settings = new Map<string, string[]>()
  for (const line of textOf(name).split('\n')) {
    const [, key, value] = /^([A-Z][A-Za-z]+)=(.*)$/.exec(line) ?? []
    if (key !== undefined) settings.set(key, [...(settings.get(key) ?? []), value ?? ''])
  }
  return settings
}

const service = settingsOf('attestd.service')
const command = (service.get('ExecStart')?.[0] ?? '').split(' ')

/** The units as they would be installed, with a program where they expect one that a bare machine may lack. */
function installed(): string {
  const path = join(folder, 'units')
  mkdirSync(path, { recursive: true })
  for (const name of sockets) copyFileSync(join(units, name), join(path, name))
  for (const name of ['attestd.service', 'attestd-verifier.service']) {
    writeFileSync(join(path, name), textOf(name).replaceAll(/\/usr\/bin\/node|\/bin\/kill/g, process.execPath))
  }
  cpSync(join(units, 'attestd.service.d'), join(path, 'attestd.service.d'), { recursive: true })
  return path
}

function analyze(...args: string[]) {
  const env = { ...process.env, SYSTEMD_UNIT_PATH: `${join(folder, 'units')}:` }
  const { status, stdout, stderr } = spawnSync('systemd-analyze', args, { env, encoding: 'utf8' })
  return { status, said: `${stdout}${stderr}` }
}

/** Overall exposure, 0 to 10, as systemd-analyze computes it. */
function exposure(unit: string): number {
  const { said } = analyze('security', '--offline=yes', '--no-pager', join(folder, 'units', unit))
  return Number(/Overall exposure level for \S+: ([0-9.]+)/.exec(said)?.[1] ?? Number.NaN)
}

describe.skipIf(!has('systemd-analyze'))('the units as the service manager reads them', () => {
  it.each(['attestd.service', 'attestd-verifier.service', ...sockets])('%s has no error and no warning', (name) => {
    const { status, said } = analyze('verify', '--recursive-errors=no', join(installed(), name))
    expect({ status, said: said.split('\n').filter((line) => line.includes('attestd')) }).toEqual({
      status: 0,
      said: [],
    })
  })

  it('leave little to attack; more where the agent is a TD, whose device belongs to root', () => {
    const path = installed()
    const withTd = exposure('attestd.service')
    rmSync(join(path, 'attestd.service.d'), { recursive: true })
    const alone = exposure('attestd.service')
    expect(alone).toBeLessThanOrEqual(1.7)
    expect(withTd).toBeLessThanOrEqual(2.6)
    expect(withTd).toBeGreaterThan(alone)
    expect(exposure('attestd-verifier.service')).toBeLessThanOrEqual(1.3)
  })
})

describe('the unit of the verifier service', () => {
  const verifier = settingsOf('attestd-verifier.service')

  it('starts the verifier of this package, with flags that this Node takes', () => {
    const words = (verifier.get('ExecStart')?.[0] ?? '').split(' ')
    expect(words.slice(-2)).toEqual(['/usr/lib/attestd/dist/src/agent/main.js', 'verifier'])
    const flags = words.filter((word) => word.startsWith('--'))
    expect(execFileSync(process.execPath, [...flags, '-p', '1'], { encoding: 'utf8' })).toBe('1\n')
  })

  it('gives it the directories that its configuration has by default, and no device (SYS-01)', () => {
    const { service: defaults } = serviceSchema.parse({ issuer: { url: 'https://verifier.example' } })
    expect(verifier.get('StateDirectory')).toEqual([defaults.state_directory.replace('/var/lib/', '')])
    expect(defaults.admin.startsWith(`/run/${verifier.get('RuntimeDirectory')?.[0]}/`)).toBe(true)
    expect(verifier.get('PrivateDevices')).toEqual(['yes'])
    expect(verifier.get('User')).toEqual(['attestd-verifier'])
  })

  it('has no setting that breaks it (SYS-30)', () => {
    expect(verifier.has('MemoryDenyWriteExecute')).toBe(false)
    expect(verifier.get('SystemCallErrorNumber')).toEqual(['EPERM'])
  })
})

describe('the service', () => {
  it('starts the program of this package, with flags that this Node takes', () => {
    const program = command.find((word) => word.endsWith('main.js'))
    expect(program).toBe('/usr/lib/attestd/dist/src/agent/main.js')
    expect(command.at(-1)).toBe('run')
    const flags = command.filter((word) => word.startsWith('--'))
    expect(execFileSync(process.execPath, [...flags, '-p', '1'], { encoding: 'utf8' })).toBe('1\n')
  })

  it('starts with the machine, not with the first caller: token files have none', () => {
    expect(service.get('WantedBy')).toEqual(['multi-user.target'])
  })

  it('takes exactly the sockets whose names the agent knows (SYS-11)', () => {
    const own = service.get('Sockets')?.[0]?.split(' ') ?? []
    const names = own.map((name) => settingsOf(name).get('FileDescriptorName')?.[0])
    expect(names).toEqual(['api', 'admin', 'cred'])
    for (const name of sockets) expect(settingsOf(name).get('Service')).toEqual(['attestd.service'])
  })

  // A unit that requires them would not start where they are not enabled (API-120), or not known (SYS-90).
  it('requires the native sockets alone, and each of them by a name of its own', () => {
    expect(service.get('Requires')).toEqual(['attestd.socket attestd-admin.socket'])
    const names = sockets.map((name) => settingsOf(name).get('FileDescriptorName')?.[0])
    expect(names).toEqual(['api', 'admin', 'cred', 'cs', 'fly'])
    const paths = sockets.map((name) => settingsOf(name).get('ListenStream')?.[0])
    const { listen, compat } = configurationSchema.shape
    const { api, admin } = listen.parse({})
    const { confidential_space, fly } = compat.parse({ confidential_space: {}, fly: {} })
    expect(paths).toEqual([api, admin, '/run/attestd/cred.sock', confidential_space?.socket, fly?.socket])
  })

  it('has no setting that breaks it (SYS-13, SYS-14, SYS-30 to SYS-33)', () => {
    for (const name of ['MemoryDenyWriteExecute', 'PrivateUsers', 'ProtectProc', 'ProcSubset', 'RuntimeDirectory']) {
      expect(service.has(name), name).toBe(false)
    }
    expect(service.get('SystemCallErrorNumber')).toEqual(['EPERM'])
  })

  it('has sockets with a mode and a group each (SYS-10, API-01)', () => {
    const of = (name: string) => {
      const socket = settingsOf(name)
      return [socket.get('SocketMode')?.[0], socket.get('SocketGroup')?.[0], socket.has('RemoveOnStop')]
    }
    expect(of('attestd.socket')).toEqual(['0660', 'attest-clients', false])
    expect(of('attestd-admin.socket')).toEqual(['0600', 'root', false])
    expect(of('attestd-cred.socket')).toEqual(['0600', 'root', false])
    expect(of('attestd-confidential-space.socket')).toEqual(['0660', 'attest-clients', false])
    expect(of('attestd-fly.socket')).toEqual(['0660', 'attest-clients', false])
  })
})

describe.skipIf(!has('systemd-sysusers') || !has('systemd-tmpfiles') || process.geteuid?.() !== 0)(
  'users and folders',
  () => {
    it('are made as the units need them, and once more without a change', () => {
      const root = join(folder, 'root')
      for (const name of ['etc', 'run', 'var/lib', 'usr/sbin']) mkdirSync(join(root, name), { recursive: true })
      for (const name of ['attestd', 'attestd-verifier', 'attestd', 'attestd-verifier']) {
        const users = join(units, `sysusers.d/${name}.conf`)
        execFileSync('systemd-sysusers', [`--root=${root}`, users], { stdio: 'pipe' })
        const folders = join(units, `tmpfiles.d/${name}.conf`)
        execFileSync('systemd-tmpfiles', [`--root=${root}`, '--create', folders], { stdio: 'pipe' })
      }
      const groups = readFileSync(join(root, 'etc/group'), 'utf8')
      expect(groups).toMatch(/^attest-clients:/m)
      expect(groups).toMatch(/^tss:[^:]*:\d+:attestd$/m)
      expect(readFileSync(join(root, 'etc/passwd'), 'utf8').match(/^attestd:/gm)).toHaveLength(1)
      expect(statSync(join(root, 'run/attestd')).mode & 0o7777).toBe(0o755)
      expect(statSync(join(root, 'run/attestd/tokens')).mode & 0o7777).toBe(0o755)
      expect(statSync(join(root, 'etc/attestd')).mode & 0o7777).toBe(0o750)
      expect(statSync(join(root, 'etc/attestd-verifier')).mode & 0o7777).toBe(0o750)
      expect(existsSync(join(root, 'var/lib/attestd'))).toBe(false)
    })
  },
)
