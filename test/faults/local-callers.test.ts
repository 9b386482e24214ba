import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openPeerCredentials, type PeerIdentity } from '../../src/platform/peer-credentials.ts'
import { callerRequest, decide } from '../../src/policies/caller-policy.ts'
import { parseCallerRules } from '../../src/policies/caller-rules.ts'
import { type ControlGroup, canMakeControlGroups, makeControlGroup, removeEmptied } from '../support/control-group.ts'
import { kernels } from '../support/older-kernels.ts'
import { canChooseNumbers, startWithNumber } from '../support/process-number.ts'
import { type CallerOptions, canChangeUser, startCaller, type UnixCaller } from '../support/unix-caller.ts'

/** Real processes in real control groups that would like to be taken for others. */

let folder = ''
let server: Server
const callers: UnixCaller[] = []
const others: ChildProcess[] = []
const groups: ControlGroup[] = []
const identities: PeerIdentity[] = []

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'attestd-callers-'))
  chmodSync(folder, 0o755)
  server = createServer((socket) => socket.on('error', () => undefined).resume())
  server.listen(join(folder, 'socket'))
  await once(server, 'listening')
  chmodSync(join(folder, 'socket'), 0o666)
})
afterEach(async () => {
  for (const identity of identities.splice(0)) identity.close()
  for (const other of others.splice(0)) await kill(other)
  await Promise.all(callers.splice(0).map((caller) => caller.kill()))
  server.close()
  rmSync(folder, { recursive: true, force: true })
  for (const group of groups.splice(0).reverse()) await removeEmptied(group)
})

async function kill(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL')
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
}

async function connect(options: CallerOptions = {}): Promise<{ caller: UnixCaller; socket: Socket }> {
  const accepted = once(server, 'connection')
  const caller = await startCaller(join(folder, 'socket'), options)
  callers.push(caller)
  const [socket] = (await accepted) as [Socket]
  return { caller, socket }
}

function group(path: string): ControlGroup {
  const made = makeControlGroup(path)
  groups.push(made)
  return made
}

const rules = (match: object) =>
  parseCallerRules([{ id: 'payments', match, allow: { methods: ['token'], audiences: ['https://rp.example'] } }])
const request = callerRequest('token', { audience: ['https://rp.example'], tokenType: 'OIDC', issuer: 'local' })
const allowed = ({ caller }: PeerIdentity, match: object) => decide(rules(match), caller, request).allowed

describe.skipIf(!canMakeControlGroups() || !canChangeUser)('the unit of a caller', () => {
  const credentials = openPeerCredentials()
  const container = 'c0'.repeat(32)

  async function inGroup(path: string, options: CallerOptions = { uid: 30_001, gid: 30_001 }): Promise<PeerIdentity> {
    const { caller, socket } = await connect(options)
    group(path).take(caller.pid)
    const identity = await credentials.identify(socket, 'api')
    identities.push(identity)
    return identity
  }

  it.each<[string, string | null, string | null]>([
    ['attestd-test.slice/payments.service', 'payments.service', 'attestd-test.slice'],
    ['attestd-test.slice/payments.service/other.service', 'payments.service', 'attestd-test.slice'],
    ['attestd-test.slice/payments.service/x.slice/y.scope', 'payments.service', 'attestd-test.slice'],
    ['attestd-test.slice/worker@3.service', 'worker@3.service', 'attestd-test.slice'],
    ['attestd-test.slice/_cpu.service', 'cpu.service', 'attestd-test.slice'],
    ['attestd-test.slice/user@30001.service/app.slice/payments.service', 'user@30001.service', 'attestd-test.slice'],
    [
      `attestd-test.slice/docker-${container}.scope/payments.service`,
      `docker-${container}.scope`,
      'attestd-test.slice',
    ],
    ['attestd-test.slice/payments.service.d/payments.service', null, 'attestd-test.slice'],
    ['attestd-test.slice', null, 'attestd-test.slice'],
    ['attestd-test/payments.service', null, null],
  ])('in %s is %s', async (path, unit, slice) => {
    expect((await inGroup(path)).caller).toMatchObject({ unit, slice })
  })

  it('chosen by a user in its own part of the tree is not believed', async () => {
    const forged = await inGroup('attestd-test.slice/user@30001.service/system.slice/payments.service')
    expect(allowed(forged, { unit: 'payments.service' })).toBe(false)
    expect(allowed(forged, { unit: 'user@30001.service' })).toBe(true)
  })

  it('chosen inside of a container is not believed', async () => {
    const forged = await inGroup(`attestd-test.slice/libpod-${container}.scope/system.slice/payments.service`)
    expect(allowed(forged, { unit: 'payments.service' })).toBe(false)
    expect(allowed(forged, { container })).toBe(true)
  })

  it('is nothing for root, which can go into any (API-53)', async () => {
    const root = await inGroup('attestd-test.slice/payments.service', {})
    expect(root.caller.unit).toBe('payments.service')
    expect(allowed(root, { unit: 'payments.service' })).toBe(false)
    expect(allowed(root, { unit: 'payments.service', uid: 0 })).toBe(true)
  })

  it('of an instance of a template is another one than that of its neighbour', async () => {
    const instance = await inGroup('attestd-test.slice/worker@3.service')
    expect(allowed(instance, { unit: 'worker@3.service' })).toBe(true)
    expect(allowed(instance, { unit: 'worker@.service' })).toBe(true)
    expect(allowed(instance, { unit: 'worker@33.service' })).toBe(false)
  })

  it('is that of the group where a process is, whoever was seen in a group of that name before (API-42)', async () => {
    const [a, b] = ['attestd-test.slice/session-1.scope', 'attestd-test.slice/payments.service']
    const seen = []
    for (const path of [a, b, a, b]) seen.push((await inGroup(path)).caller.unit)
    expect(seen).toEqual(['session-1.scope', 'payments.service', 'session-1.scope', 'payments.service'])
    const { caller, socket } = await connect({ uid: 30_001, gid: 30_001 })
    group(b).take(caller.pid)
    identities.push(await credentials.identify(socket, 'api'))
    group(a).take(caller.pid)
    const next = await connect({ uid: 30_001, gid: 30_001 })
    group(a).take(next.caller.pid)
    const identity = await credentials.identify(next.socket, 'api')
    identities.push(identity)
    expect([identities.at(-2)?.caller.unit, identity.caller.unit]).toEqual(['payments.service', 'session-1.scope'])
  })

  it('stays that of the connection when the process goes elsewhere later', async () => {
    const { caller, socket } = await connect({ uid: 30_001, gid: 30_001 })
    group('attestd-test.slice/session-1.scope').take(caller.pid)
    const identity = await credentials.identify(socket, 'api')
    identities.push(identity)
    group('attestd-test.slice/payments.service').take(caller.pid)
    expect([await identity.check(), identity.caller.unit]).toEqual(['there', 'session-1.scope'])
    expect(allowed(identity, { unit: 'payments.service' })).toBe(false)
  })
})

/** A child of the caller keeps the connection open while the caller ends. */
async function dieAndLeaveConnection(caller: UnixCaller, socket: Socket): Promise<void> {
  const written = once(socket, 'data')
  await caller.tell('hand-over')
  await written
  await caller.tell('exit')
  await caller.kill()
}

/** A process of another test may take the number first, and keep it: then once more, with another number. */
const contended = { retry: 4 }

describe.skipIf(!canChooseNumbers() || !canChangeUser).each(Object.keys(kernels))(
  'a process number that is given away again, on a kernel %s',
  (kernel) => {
    const credentials = openPeerCredentials(kernels[kernel])
    const identified = async (socket: Socket) => credentials.identify(socket, 'api')

    async function startAgain(pid: number, uid: number): Promise<void> {
      others.push(await startWithNumber(pid, uid))
    }

    it.each([30_001, 30_002])('does not pass on the identity of who had it (to uid %i)', contended, async (uid) => {
      const { caller, socket } = await connect({ uid: 30_001, gid: 30_001 })
      const identity = await credentials.identify(socket, 'api')
      identities.push(identity)
      expect(await identity.check()).toBe('there')
      await dieAndLeaveConnection(caller, socket)
      await startAgain(caller.pid, uid)
      expect(await identity.check()).toBe('caller_gone')
      expect(socket.destroyed).toBe(false)
    })

    it('does not lend another user its identity between connect and look-up (API-46)', contended, async () => {
      const { caller, socket } = await connect({ uid: 30_001, gid: 30_001 })
      await dieAndLeaveConnection(caller, socket)
      await startAgain(caller.pid, 30_002)
      const code = kernel === 'without pidfds' ? 'caller_changed' : 'caller_gone'
      await expect(identified(socket)).rejects.toMatchObject({ code, status: 401 })
    })

    it.skipIf(kernel === 'without pidfds')('does not lend the same user another unit either', contended, async () => {
      const { caller, socket } = await connect({ uid: 30_001, gid: 30_001 })
      await dieAndLeaveConnection(caller, socket)
      await startAgain(caller.pid, 30_001)
      await expect(identified(socket)).rejects.toMatchObject({ code: 'caller_gone' })
    })
  },
)
