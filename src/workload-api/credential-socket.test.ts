import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { FakeClock } from '../../test/support/fake-clock.ts'
import {
  FakeIdentifier,
  FakeProvider,
  LogLines,
  policyFrom,
  someone,
  tokenSettings,
} from '../../test/support/workload-room.ts'
import { AttestdError } from '../base/errors.ts'
import { ConnectionLedger } from './connection-ledger.ts'
import type { CredentialEntry } from './credential-entry.ts'
import { CredentialSocket } from './credential-socket.ts'
import { defaultLimits } from './limits.ts'
import type { WorkloadEvent } from './workload-log.ts'
import { apiContext, serverParts } from './workload-server.ts'

const manager = { ...someone, uid: 0, gid: 5, groups: [7], unit: null, slice: null, listener: 'cred' }
const shape = { issuer: null, jsonMember: null, waitMs: 10_000 }
const entries: readonly CredentialEntry[] = [
  { ...shape, unit: 'payments.service', id: 'token', audience: 'urn:pay' },
  { ...shape, unit: 'payments.service', id: 'vault', audience: 'urn:vault', jsonMember: 'jwt', issuer: 'remote' },
  { ...shape, unit: 'worker@.service', id: 'token', audience: 'urn:work' },
  { ...shape, unit: 'worker@9.service', id: 'token', audience: 'urn:nine' },
  { ...shape, unit: 'quick.service', id: 'token', audience: 'urn:pay', waitMs: 100 },
]
const allowing = (unit: string, audiences: readonly string[], more: object = {}) => ({
  id: unit.replace('@', '-'),
  match: { unit, uid: 0 },
  allow: { methods: ['token'], audiences, issuers: ['local', 'remote'] },
  ...more,
})
const rules = [
  allowing('payments.service', ['urn:pay', 'urn:vault']),
  allowing('worker@.service', ['urn:work', 'urn:nine']),
  allowing('quick.service', ['urn:pay']),
]

class FakePeers extends FakeIdentifier {
  name: string | null = null

  constructor() {
    super()
    this.next = async () => manager
  }

  peerName(): Uint8Array {
    return this.name === null ? new Uint8Array() : Buffer.from(this.name, 'latin1')
  }

  asks(unit: string, id = 'token'): void {
    this.name = `\0${randomBytes(8).toString('hex').replace(/^0/, '1')}/unit/${unit}/${id}`
  }
}

interface RoomParts {
  readonly policy?: ReturnType<typeof policyFrom>
  readonly limits?: object
}

async function openCredentials({ policy = policyFrom(rules), limits = {} }: RoomParts = {}) {
  const clock = new FakeClock()
  const peers = new FakePeers()
  const provider = new FakeProvider(clock)
  const log = new LogLines()
  const events: WorkloadEvent[] = []
  const random = (size: number) => new Uint8Array(randomBytes(size))
  const ledger = new ConnectionLedger({ ...defaultLimits, ...limits })
  const parts = serverParts('cred', { clock, random, log, limits, observe: (event) => events.push(event) })
  const ports = { identifier: peers, policy, tokens: () => tokenSettings, provider, jwks: async () => ({}) }
  const context = apiContext(parts, ports)
  const credentials = new CredentialSocket({ context, peers, ledger, random, entries: () => entries })
  const folder = mkdtempSync(join(tmpdir(), 'attestd-cred-'))
  const path = join(folder, 'cred.sock')
  credentials.server.listen(path)
  await once(credentials.server, 'listening')
  onTestFinished(async () => {
    await credentials.close()
    rmSync(folder, { recursive: true })
  })
  /** As the service manager reads: it sends nothing, closes its side, and reads to the end. */
  const open = () =>
    connect({ path, allowHalfOpen: true }, function connected(this: Socket) {
      this.end()
    })
  const read = () => readAll(open())
  return { clock, peers, provider, log, events, ledger, credentials, path, open, read }
}

async function readAll(socket: Socket): Promise<string> {
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  await once(socket, 'close')
  return Buffer.concat(chunks).toString('latin1')
}

type Room = Awaited<ReturnType<typeof openCredentials>>
const outcomes = ({ events }: Room) =>
  events.flatMap((event) => (event.event === 'answered' ? `${event.status} ${event.code ?? event.source}` : []))

describe('the credential socket', () => {
  it('gives the bare token of the unit and the id, and closes (API-166)', async () => {
    const room = await openCredentials()
    room.peers.asks('payments.service')
    const token = await room.read()
    expect(token).toBe(room.provider.asked.map(({ request }) => room.provider.tokenFor(request).token).join())
    expect(room.provider.asked[0]).toMatchObject({
      request: { audience: ['urn:pay'], issuer: 'local', nonces: [], fresh: false },
      demand: { caller: 'unit:payments.service' },
    })
    expect([room.credentials.counts, outcomes(room)]).toEqual([{ written: 1, empty: 0 }, ['200 cache']])
    expect(room.log.lines.join()).not.toContain(token)
  })

  it('gives a JSON object with the member and the issuer that are configured', async () => {
    const room = await openCredentials()
    room.peers.asks('payments.service', 'vault')
    const { jwt, expires_at, ...rest } = JSON.parse(await room.read())
    expect([rest, expires_at]).toEqual([{}, Math.floor(room.clock.now() / 1000) + 900])
    expect(jwt).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/)
    expect(room.provider.asked[0]?.request.issuer).toBe('remote')
  })

  it('takes the entry of an instance before that of its template', async () => {
    const room = await openCredentials()
    for (const unit of ['worker@3.service', 'worker@9.service', 'worker@a@b.service']) {
      room.peers.asks(unit)
      await room.read()
    }
    expect(room.provider.asked.map(({ request }) => request.audience[0])).toEqual(['urn:work', 'urn:nine', 'urn:work'])
  })

  it.each<[string, (room: Room) => void, string]>([
    [
      'a name of another form (API-165)',
      ({ peers }) => {
        peers.name = '\0not-hex/unit/payments.service/token'
      },
      '403 credential_peer',
    ],
    [
      'no name',
      ({ peers }) => {
        peers.name = null
      },
      '403 credential_peer',
    ],
    ['a unit that has none', ({ peers }) => peers.asks('other.service'), '403 credential_unknown'],
    ['an id that it has not', ({ peers }) => peers.asks('payments.service', 'Token'), '403 credential_unknown'],
    [
      'the template itself',
      ({ peers }) => {
        peers.name = '\0' + '1/unit/worker@.service/token'
      },
      '403 credential_peer',
    ],
    [
      'another user (API-165)',
      ({ peers }) => {
        peers.next = async () => ({ ...manager, uid: 1001 })
      },
      '403 credential_peer',
    ],
    [
      'nobody known',
      ({ peers }) => {
        peers.next = async () => ({ ...manager, uid: null })
      },
      '403 credential_peer',
    ],
    [
      'root in another unit (API-165)',
      ({ peers }) => {
        peers.next = async () => ({ ...manager, unit: 'evil.service' })
      },
      '403 credential_peer',
    ],
    [
      'a peer that has ended',
      ({ peers }) => {
        peers.state = 'caller_gone'
      },
      '401 caller_gone',
    ],
    [
      'a kernel that does not answer',
      ({ peers }) => {
        peers.next = async () => {
          throw new Error('no')
        }
      },
      '503 identity_unavailable',
    ],
    [
      'an issuer that is down',
      ({ provider }) => {
        const unavailable = { kind: 'unavailable', title: 'x', remedy: 'y' } as const
        provider.answer = () => Promise.reject(new AttestdError('issuer_unavailable', unavailable, 'down'))
      },
      '503 issuer_unavailable',
    ],
    [
      'a fault',
      ({ provider }) => {
        provider.answer = () => Promise.reject(new RangeError('secret'))
      },
      '500 internal',
    ],
    [
      'a token that has ended',
      ({ provider }) => {
        provider.answer = async () => ({ expiresAt: 1 })
      },
      '500 internal',
    ],
    [
      'a token for somebody else',
      ({ provider }) => {
        provider.answer = async () => ({ audience: ['urn:vault'] })
      },
      '500 internal',
    ],
  ])('closes without data for %s, logs and counts it (API-167)', async (_, change, outcome) => {
    const room = await openCredentials()
    room.peers.asks('payments.service')
    change(room)
    expect(await room.read()).toBe('')
    expect([outcomes(room), room.credentials.counts]).toEqual([[outcome], { written: 0, empty: 1 }])
    const warned = room.log.lines.filter((line) => line.startsWith('warn '))
    expect(warned).toHaveLength(1)
    expect(warned[0]).toContain('a credential was left empty')
    expect(room.log.lines.join()).not.toMatch(/not-hex|\bsecret\b/)
    await expect.poll(() => room.peers.open).toBe(0)
  })

  it.each<[string, object, string]>([
    [
      'no rule',
      { id: 'x', match: { listener: 'api' }, allow: { methods: ['token'], audiences: ['urn:pay'] } },
      '403 policy_denied',
    ],
    [
      'a rule for the unit that does not name uid 0 (API-53)',
      { id: 'x', match: { unit: 'payments.service' }, allow: { methods: ['token'], audiences: ['urn:pay'] } },
      '403 policy_denied',
    ],
    ['a rule for another unit', allowing('other.service', ['urn:pay']), '403 policy_denied'],
    [
      'a rule for a group of the peer (SYS-61)',
      { id: 'x', match: { gid: [5, 7] }, allow: { methods: ['token'], audiences: ['urn:pay'] } },
      '403 policy_denied',
    ],
    ['a rule for another audience', allowing('payments.service', ['urn:vault']), '403 policy_denied'],
  ])('asks the policy about the unit: %s gives nothing (API-166)', async (_, rule, outcome) => {
    const room = await openCredentials({ policy: policyFrom([rule]) })
    room.peers.asks('payments.service')
    expect([await room.read(), outcomes(room), room.provider.asked]).toEqual(['', [outcome], []])
  })

  it('lets a rule bound life and rate as everywhere', async () => {
    const allow = { methods: ['token'], audiences: ['urn:pay'], ttl_s_max: 300, rate: { per_min: 1, burst: 1 } }
    const room = await openCredentials({
      policy: policyFrom([{ id: 'x', match: { listener: 'cred', uid: 0 }, allow }]),
    })
    room.provider.lifeS = 300
    room.peers.asks('payments.service')
    expect((await room.read()).length).toBeGreaterThan(0)
    expect(room.provider.asked[0]?.request.ttlS).toBe(300)
    expect(await room.read()).toBe('')
    expect(outcomes(room)).toEqual(['200 cache', '429 rate_limited'])
  })

  it('waits as long as the entry says for a slow issuer, and not a millisecond longer (API-167)', async () => {
    const room = await openCredentials()
    room.provider.answer = () => new Promise(() => undefined)
    room.peers.asks('quick.service')
    const empty = room.read()
    await expect.poll(() => room.provider.asked.length).toBe(1)
    await room.clock.advance(99)
    expect(room.credentials.counts).toEqual({ written: 0, empty: 0 })
    await room.clock.advance(1)
    expect([await empty, outcomes(room)]).toEqual(['', ['504 deadline_exceeded']])
    expect(room.provider.asked[0]?.signal.aborted).toBe(true)
  })

  it('drops a token that comes after the time is over', async () => {
    const room = await openCredentials()
    let late: (parts: object) => void = () => undefined
    room.provider.answer = () =>
      new Promise((resolve) => {
        late = resolve
      })
    room.peers.asks('quick.service')
    const empty = room.read()
    await expect.poll(() => room.provider.asked.length).toBe(1)
    await room.clock.advance(100)
    expect(await empty).toBe('')
    late({})
    await room.clock.advance(1)
    expect(outcomes(room)).toEqual(['504 deadline_exceeded'])
  })

  it('takes a credential of 1 MiB and none that is larger', async () => {
    const room = await openCredentials()
    room.peers.asks('payments.service')
    let size = 1_048_576
    room.provider.answer = async () => ({ token: `a.b.${'c'.repeat(size - 4)}` })
    expect((await room.read()).length).toBe(size)
    size++
    expect([await room.read(), outcomes(room)]).toEqual(['', ['200 cache', '422 credential_too_large']])
  })

  it('has nothing to say to a peer that speaks (API-164)', async () => {
    const room = await openCredentials()
    room.provider.answer = () => new Promise(() => undefined)
    room.peers.asks('payments.service')
    const socket = connect(room.path)
    socket.write('GET /v1/token HTTP/1.1\r\n\r\n')
    expect([await readAll(socket), outcomes(room)]).toEqual(['', ['403 credential_peer']])
  })

  it('forgets a peer that has gone away', async () => {
    const room = await openCredentials()
    room.provider.answer = () => new Promise(() => undefined)
    room.peers.asks('payments.service')
    const socket = connect(room.path)
    await expect.poll(() => room.provider.asked.length).toBe(1)
    socket.destroy()
    await room.clock.advance(10_000)
    await expect.poll(() => [room.ledger.open, room.peers.open, room.credentials.counts.empty]).toEqual([0, 0, 1])
  })

  it('is bounded like every listener, and says so with nothing', async () => {
    const room = await openCredentials({ limits: { connections: 1 } })
    room.provider.answer = () => new Promise(() => undefined)
    room.peers.asks('payments.service')
    const first = room.open()
    await expect.poll(() => room.provider.asked.length).toBe(1)
    expect([await room.read(), outcomes(room)]).toEqual(['', ['503 too_many_connections']])
    first.destroy()
  })

  it('gives forty units at once theirs: the manager is one user', async () => {
    const room = await openCredentials()
    room.peers.asks('worker@1.service')
    const all = await Promise.all(Array.from({ length: 40 }, () => room.read()))
    expect(all.filter((text) => text !== '')).toHaveLength(40)
    expect(room.ledger.open).toBe(0)
  })

  it('ends without data for those who wait when the agent stops', async () => {
    const room = await openCredentials()
    room.provider.answer = () => new Promise(() => undefined)
    room.peers.asks('payments.service')
    const waiting = room.read()
    await expect.poll(() => room.provider.asked.length).toBe(1)
    await room.credentials.close()
    expect([await waiting, outcomes(room)]).toEqual(['', ['504 deadline_exceeded']])
  })
})
