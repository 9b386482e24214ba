import { describe, expect, it } from 'vitest'
import { openTcpSurface } from '../../../test/support/tcp-surface-room.ts'
import { openRules, policyFrom } from '../../../test/support/workload-room.ts'
import { AttestdError } from '../../base/errors.ts'
import type { EvidenceRequest } from '../evidence-collector.ts'
import type { MeasureRequest } from '../measurer.ts'
import type { CocoFlavour } from './coco-evidence.ts'
import { cocoRest } from './coco-rest.ts'

const settings = {
  flavour: 'coco',
  defaultAudience: 'https://a.example',
  issuer: null,
  version: '1.2.3',
  isTd: true,
} as const
const container = '{"quote":"cXVvdGU=","cc_eventlog":null}'
const encoded = (bytes: Uint8Array | string) => Buffer.from(bytes).toString('base64url')
const digest = new Uint8Array(48).map((_, at) => at)
const event = { domain: 'shop.example/app', operation: 'load', content: 'sha256:00' }

const rules = [
  ...openRules,
  {
    id: 'measuring',
    match: { uid: 1003 },
    allow: { methods: ['measure'], domains: [{ prefix: 'shop.example/' }] },
  },
  { id: 'wide', match: { uid: 1004 }, allow: { methods: ['raw_report_data'], raw_max_bytes: 64 } },
  { id: 'explaining', match: { uid: 1005 }, allow: { methods: ['explain', 'jwks', 'evidence'] } },
]

/** A TD whose quotes and extensions are told to the test. */
async function open(
  changes: Partial<typeof settings | { flavour: CocoFlavour; isTd: boolean }> = {},
  document?: object,
) {
  const collected: EvidenceRequest[] = []
  const measured: MeasureRequest[] = []
  const failing: { error: Error | null } = { error: null }
  const room = await openTcpSurface(cocoRest({ ...settings, ...changes }), {
    policy: policyFrom(rules),
    collectEvidence: async (request) => {
      collected.push(request)
      if (failing.error) throw failing.error
      return JSON.stringify(document ?? { tee: 'tdx', evidence: encoded(container), runtime_data: { raw: '' } })
    },
    measure: async (request) => {
      if (failing.error) throw failing.error
      measured.push(request)
      return { register: request.register, digest: new Uint8Array(48), logIndex: 0 }
    },
  })
  const record = (body: unknown, headers: readonly string[] = []) =>
    room.ask('/aa/aael', headers, 'POST', typeof body === 'string' ? body : JSON.stringify(body))
  return { ...room, collected, measured, failing, record }
}

const failure = (kind: 'unavailable' | 'unsupported') =>
  new AttestdError('X', { kind, title: 'x', remedy: 'y' }, 'no device')

describe('tokens (API-140)', () => {
  it('are bare, for the audience of the surface', async () => {
    const { ask, provider } = await open()
    const { status, headers, body } = await ask('/aa/token?token_type=coco_as')
    expect([status, headers['content-type']]).toEqual([200, 'application/octet-stream'])
    const [asked] = provider.asked
    expect([asked?.request.audience, body]).toEqual([
      ['https://a.example'],
      asked && provider.tokenFor(asked.request).token,
    ])
  })

  it.each([
    ['no parameter', '/aa/token', 405, 'Method Not Allowed'],
    ['two parameters', '/aa/token?token_type=coco_as&x=1', 405, 'Method Not Allowed'],
    ['one parameter twice', '/aa/token?token_type=coco_as&token_type=coco_as', 405, 'Method Not Allowed'],
    ['another parameter', '/aa/token?type=coco_as', 400, null],
    ['a type that comes with a private key (API-111)', '/aa/token?token_type=kbs', 500, null],
    ['a type that is not known', '/aa/token?token_type=jwt', 500, null],
    ['another path', '/aa/tokens?token_type=coco_as', 404, 'URL NOT FOUND'],
    ['the path of a resource', '/cdh/resource/a/b/c', 404, 'URL NOT FOUND'],
  ])('with %s are refused', async (_what, target, status, text) => {
    const { ask, provider } = await open()
    const answer = await ask(target)
    expect([answer.status, answer.headers['content-type']]).toEqual([status, 'text/plain; charset=utf-8'])
    if (text !== null) expect(answer.body).toBe(text)
    expect(answer.body).not.toBe('')
    expect(provider.asked).toEqual([])
  })

  it('are for users that a rule names (API-121, API-124, API-144)', async () => {
    const { ask, callAs } = await open()
    for (const uid of [1002, 1003, 4000, null]) {
      callAs(uid)
      const answer = await ask('/aa/token?token_type=coco_as')
      expect([answer.status, answer.body]).toEqual([403, 'Forbidden'])
    }
  })
})

describe('evidence over report data of the caller (API-141, API-66)', () => {
  it('is the container of the quote, byte for byte, as octets', async () => {
    const { ask, collected } = await open()
    const { status, headers, body } = await ask(`/aa/evidence?runtime_data=${encoded(digest)}&encoding=base64`)
    expect([status, headers['content-type'], body]).toEqual([200, 'application/octet-stream', container])
    expect(collected).toEqual([{ challenge: digest, profile: 'raw', devices: ['tdx'], verifier: null }])
  })

  it('has a member for GPUs in the flavour that knows it', async () => {
    const { ask } = await open({ flavour: 'trustiflux' })
    const { body } = await ask('/aa/evidence?runtime_data=12345678')
    expect(JSON.parse(body)).toEqual({ quote: 'cXVvdGU=', cc_eventlog: null, gpu_evidence: null })
  })

  it.each([
    ['text', 'runtime_data=abc', new TextEncoder().encode('abc')],
    ['encoded text', 'runtime_data=%C3%A9+x', new TextEncoder().encode('é x')],
    ['one byte', 'runtime_data=a', new TextEncoder().encode('a')],
    ['text that looks like base64', `runtime_data=${'A'.repeat(44)}`, new TextEncoder().encode('A'.repeat(44))],
    ['48 bytes', `encoding=base64&runtime_data=${encoded(digest)}`, digest],
  ])('takes %s as it is, and does not hash it', async (_what, query, data) => {
    const { ask, collected } = await open()
    expect((await ask(`/aa/evidence?${query}`)).status).toBe(200)
    expect(collected.map(({ challenge }) => challenge)).toEqual([data])
  })

  it.each([
    ['nothing', '', 400],
    ['no data', 'encoding=base64', 400],
    ['empty data', 'runtime_data=', 400],
    ['65 bytes', `runtime_data=${'a'.repeat(65)}`, 400],
    ['49 bytes without a right to more', `runtime_data=${'a'.repeat(49)}`, 403],
    ['another encoding', 'runtime_data=61&encoding=hex', 400],
    ['base64 with padding', 'runtime_data=YQ==&encoding=base64', 400],
    ['standard base64', 'runtime_data=%2B%2F8&encoding=base64', 400],
    ['base64 with bits to spare', 'runtime_data=YR&encoding=base64', 400],
    ['data twice', 'runtime_data=a&runtime_data=b', 400],
    ['a key that is not known', 'runtime_data=a&tee=tdx', 400],
    ['what is not UTF-8', 'runtime_data=%FF', 400],
  ])('with %s is refused before anything is collected', async (_what, query, status) => {
    const { ask, collected } = await open()
    expect((await ask(`/aa/evidence?${query}`)).status).toBe(status)
    expect(collected).toEqual([])
  })

  it('of 64 bytes needs a rule that says so, and never carries our own tag (BRK-92)', async () => {
    const { ask, callAs, collected } = await open()
    const ours = Uint8Array.from([...digest, ...new TextEncoder().encode('attestd/1-------')])
    const query = (data: Uint8Array) => `/aa/evidence?encoding=base64&runtime_data=${encoded(data)}`
    callAs(1004)
    expect((await ask(query(new Uint8Array(64).fill(1, 1)))).status).toBe(200)
    expect((await ask(query(ours))).status).toBe(403)
    expect(collected).toHaveLength(1)
  })

  it.each([1002, 1003, 1005, 4000, null])('is not for user %s', async (uid) => {
    const { ask, callAs, collected } = await open()
    callAs(uid)
    for (const path of ['evidence', 'additional-evidence']) {
      const answer = await ask(`/aa/${path}?runtime_data=abc`)
      expect([answer.status, answer.body]).toEqual([403, 'Forbidden'])
    }
    expect(collected).toEqual([])
  })

  it.each([
    ['unavailable', 'evidence_unavailable'],
    ['unsupported', 'not_supported'],
  ] as const)('that is %s is 500 with text (API-144)', async (kind, code) => {
    const { ask, failing } = await open()
    failing.error = failure(kind)
    const answer = await ask('/aa/evidence?runtime_data=abc')
    expect([answer.status, answer.headers['attestd-error'], answer.body]).toEqual([500, code, 'no device'])
  })

  it('with HEAD collects nothing (API-33)', async () => {
    const { ask, collected, callAs } = await open()
    expect((await ask('/aa/evidence?runtime_data=abc', [], 'HEAD')).status).toBe(200)
    callAs(1002)
    expect((await ask('/aa/evidence?runtime_data=abc', [], 'HEAD')).status).toBe(403)
    expect(collected).toEqual([])
  })

  it('of other devices is an empty body: there are none', async () => {
    const { ask, collected } = await open()
    for (const query of ['runtime_data=&encoding=base64', `runtime_data=${encoded(digest)}&encoding=base64`]) {
      const { status, body } = await ask(`/aa/additional-evidence?${query}`)
      expect([status, body]).toEqual([200, ''])
    }
    expect((await ask(`/aa/additional-evidence?runtime_data=${'a'.repeat(65)}`)).status).toBe(400)
    expect((await ask('/aa/additional-evidence')).status).toBe(400)
    expect(collected).toEqual([])
  })
})

describe('runtime measurements (API-142)', () => {
  it.each([
    ['coco', '{"success":"true"}'],
    ['trustiflux', ''],
  ] as const)('answer as %s does', async (flavour, text) => {
    const { record, measured, callAs } = await open({ flavour })
    callAs(1003)
    const { status, body } = await record(event)
    expect([status, body]).toEqual([200, text])
    expect(measured).toEqual([{ register: 'rtmr3', ...event }])
  })

  it.each([
    [0, 'rtmr3'],
    [8, 'rtmr2'],
    [15, 'rtmr2'],
    [16, 'rtmr3'],
    [17, 'rtmr3'],
    [23, 'rtmr3'],
  ])('of PCR %i extend %s', async (index, register) => {
    const { record, measured, callAs } = await open()
    callAs(1003)
    expect((await record({ ...event, register_index: index })).status).toBe(200)
    expect(measured.map((one) => one.register)).toEqual([register])
  })

  it.each([
    ['a register of the firmware', { ...event, register_index: 7 }],
    ['a register that there is not', { ...event, register_index: 24 }],
    ['a register as text', { ...event, register_index: '17' }],
    ['a register by our own name', { ...event, register: 'rtmr2' }],
    ['no content', { domain: event.domain, operation: 'load' }],
    ['a member that is not known', { ...event, more: 1 }],
    ['a domain with a blank', { ...event, domain: 'shop.example/a b' }],
    ['a content of two lines', { ...event, content: 'a\nb' }],
    ['no JSON', 'domain=a'],
    ['nothing', ''],
  ])('with %s are 500: they were not recorded', async (_what, body) => {
    const { record, measured, callAs } = await open()
    callAs(1003)
    const answer = await record(body)
    expect([answer.status, answer.headers['content-type']]).toEqual([500, 'text/plain; charset=utf-8'])
    expect(measured).toEqual([])
  })

  it('that the machine cannot make are 500, never a success', async () => {
    const { record, failing, callAs } = await open()
    callAs(1003)
    for (const kind of ['unsupported', 'unavailable'] as const) {
      failing.error = failure(kind)
      expect((await record(event)).status).toBe(500)
    }
  })

  it('are for the domains of the caller alone (section 6.3)', async () => {
    const { record, measured, callAs } = await open()
    callAs(1003)
    expect((await record({ ...event, domain: 'bank.example/app' })).status).toBe(403)
    for (const uid of [1001, 1004, null]) {
      callAs(uid)
      expect((await record(event)).status).toBe(403)
    }
    expect(measured).toEqual([])
  })

  it('take bodies however they are declared, as curl -d does', async () => {
    const { record, callAs } = await open()
    callAs(1003)
    expect((await record(event, ['Content-Type: application/x-www-form-urlencoded'])).status).toBe(200)
  })
})

describe('what machine this is (API-143)', () => {
  it.each([
    ['coco', { version: '1.2.3', tee: 'tdx', additional_tees: [], feature: 'attestation' }],
    ['trustiflux', { version: '1.2.3', tee: 'tdx', additional_tees: [] }],
  ] as const)('is told as %s does, to whoever may do something here', async (flavour, info) => {
    const { ask, callAs } = await open({ flavour })
    for (const uid of [1001, 1002, 1003, 1004]) {
      callAs(uid)
      const { status, body } = await ask('/info')
      expect([status, JSON.parse(body)]).toEqual([200, info])
    }
  })

  it.each([1005, 4000, null])('is not told to user %s, who may do nothing here', async (uid) => {
    const { ask, callAs } = await open()
    callAs(uid)
    expect((await ask('/info')).status).toBe(403)
  })

  it('is not told where it is no TD: nothing stands in for one', async () => {
    const { ask } = await open({ isTd: false })
    const answer = await ask('/info')
    expect([answer.status, answer.headers['attestd-error']]).toEqual([500, 'not_supported'])
  })
})

describe('one slow request (API-144)', () => {
  it('delays no other', async () => {
    const { ask, provider } = await open()
    provider.answer = () => new Promise(() => undefined)
    const slow = ask('/aa/token?token_type=coco_as').catch(() => undefined)
    while (provider.asked.length === 0) await new Promise((resolve) => setImmediate(resolve))
    expect((await ask('/aa/evidence?runtime_data=abc')).status).toBe(200)
    expect((await ask('/info')).status).toBe(200)
    void slow
  })
})
