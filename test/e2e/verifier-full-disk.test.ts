import { spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { appendFileSync, mkdirSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { askSocket } from '../../src/client/socket-request.ts'
import { partOf } from '../support/agent-process.ts'
import { type AzureVerifierHome, askOverTls, azureVerifierHome } from '../support/azure-verifier.ts'
import { type TdMachine, useTdMachine } from '../support/td-machine.ts'
import { VerifierProcess } from '../support/verifier-process.ts'

/** A policy that is set while there is no room for it (POL-709): refused on both ways, and nothing else changes. */

const remedy = 'free or add space where the registry is kept'
const bytes = (text: string) => new TextEncoder().encode(text)
const hashOf = (text: string) => createHash('sha256').update(text).digest('hex')
/** A text that no database can make shorter. */
const permit = (length: number) =>
  `version= 1.2;authorizationrules{=> permit();};issuancerules{};// ${randomBytes(length).toString('hex')}`

/** A file system of a few megabytes; null where none can be mounted. */
function smallFileSystem(place: string, megabytes: number) {
  mkdirSync(place)
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=0700`, 'none', place])
  if (status !== 0) return null
  const end = () => {
    spawnSync('umount', ['-l', place])
    rmSync(place, { recursive: true, force: true })
  }
  const rest = join(place, 'rest')
  const fill = () => {
    try {
      for (;;) appendFileSync(rest, new Uint8Array(4_096))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
    }
  }
  return { fill, makeRoom: () => unlinkSync(rest), [Symbol.dispose]: end }
}

class Room {
  readonly home: AzureVerifierHome
  readonly machine: TdMachine
  verifier: VerifierProcess

  private constructor(home: AzureVerifierHome, machine: TdMachine, verifier: VerifierProcess) {
    this.home = home
    this.machine = machine
    this.verifier = verifier
  }

  static async open(folder: string, machine: TdMachine, store: string): Promise<Room> {
    const home = await azureVerifierHome(folder, machine, {
      verifier: [`tdx_anchors = ["${machine.root}"]`],
      policies: ['default = ["usual"]'],
      tables: [`[registry]\nstore = "embedded"\ndirectory = "${store}"\n`],
    })
    return new Room(home, machine, await VerifierProcess.start(home))
  }

  async set(text: string) {
    const upload = { bytes: bytes(text), mediaType: 'text/plain' }
    const asked = { socket: this.home.admin, method: 'PUT', path: '/v1/admin/policies/id:usual', upload } as const
    const { status, body } = await askSocket({ ...asked, timeoutMs: 60_000 }, null)
    return { status, problem: JSON.parse(body) }
  }

  async setOfType(text: string) {
    const payload = JSON.stringify({ AttestationPolicy: Buffer.from(text).toString('base64url') })
    const body = `eyJhbGciOiJub25lIn0.${Buffer.from(payload).toString('base64url')}.`
    const headers = { authorization: `Bearer ${this.home.token}`, 'content-type': 'text/plain' }
    const url = `${this.home.urls.administration}/policies/TdxVm?api-version=2020-10-01`
    return askOverTls(url, this.home.ca, { method: 'PUT', headers, body })
  }

  /** Number of versions, and which is active. */
  async history(slot: string) {
    const asked = { socket: this.home.admin, method: 'GET', path: `/v1/admin/policies/${slot}` } as const
    const { body } = await askSocket({ ...asked, timeoutMs: 60_000 }, null)
    const { versions = [], active } = JSON.parse(body)
    return { versions: versions.length, active }
  }

  /** Hash of the policy that decided about a new token. */
  async deciding(): Promise<string | undefined> {
    const reportData = new Uint8Array(randomBytes(64))
    const quote = Buffer.from(this.machine.sim.quote({ reportData })).toString('base64')
    const evidence = Buffer.from(JSON.stringify({ quote, cc_eventlog: null })).toString('base64url')
    const raw = Buffer.from(reportData).toString('base64url')
    const body = JSON.stringify({ tee: 'tdx', evidence, runtime_data: { raw } })
    const answer = await fetch(`${this.home.url}/attestation`, { method: 'POST', body })
    const token = await answer.text()
    if (answer.status !== 200) throw new Error(`no token but ${answer.status}: ${token}`)
    const reports = partOf(token, 'payload')['evaluation-reports'] as Record<string, string>[]
    return reports.find((report) => report['policy-id'] === 'usual')?.['policy-hash']
  }
}

describe('a disk that is full while a policy is set', { timeout: 300_000 }, () => {
  const { machine, folder } = useTdMachine()

  it('is told with its remedy, and the policy that was active stays so, until there is room (POL-709)', async ({
    skip,
  }) => {
    const place = join(folder, 'small')
    using small = smallFileSystem(place, 48)
    if (small === null) return skip('no small file system can be mounted')
    const room = await Room.open(join(folder, 'verifier'), machine(), join(place, 'registry'))
    let active = permit(10)
    expect((await room.set(active)).status).toBe(200)
    small.fill()
    let versions = 1
    let last = { status: 200, problem: {} }
    // The database has some room of its own.
    for (let tried = 0; tried < 50 && last.status === 200; tried++) {
      const text = permit(20_000)
      last = await room.set(text)
      if (last.status === 200) [active, versions] = [text, versions + 1]
    }
    const full = { code: 'registry_storage_full', retryable: true, remedy: expect.stringContaining(remedy) }
    expect(last).toMatchObject({ status: 503, problem: full })
    const ofType = await room.setOfType(permit(20_000))
    const message = expect.stringContaining(`(registry_storage_full): ${remedy}`)
    expect(ofType).toMatchObject({ status: 503, json: { error: { code: 'ServiceUnavailable', message } } })
    const file = join(folder, 'policy')
    writeFileSync(file, permit(20_000))
    const { code, err } = await room.verifier.administer('policies', 'set', '--id', 'usual', file)
    expect([code, err]).toEqual([75, expect.stringContaining(remedy)])
    expect(await room.history('id:usual')).toEqual({ versions, active: versions })
    expect(await room.history('type:TdxVm')).toEqual({ versions: 0, active: null })
    expect(await room.deciding()).toBe(hashOf(active))
    small.makeRoom()
    active = permit(20_000)
    expect((await room.set(active)).status).toBe(200)
    expect((await room.setOfType(permit(20_000))).status).toBe(200)
    expect(room.verifier.log).not.toContain('"event":"bug"')
    await room.verifier.kill()
    room.verifier = await VerifierProcess.start(room.home)
    expect(await room.history('id:usual')).toEqual({ versions: versions + 1, active: versions + 1 })
    expect(await room.history('type:TdxVm')).toEqual({ versions: 1, active: 1 })
    expect(await room.deciding()).toBe(hashOf(active))
    expect(await room.verifier.stop()).toBe(0)
  })
})
