import { expect, it } from 'vitest'
import { rawRequest } from '../../test/support/raw-http.ts'
import { openRoom, policyFrom, post } from '../../test/support/workload-room.ts'
import { AttestdError } from '../base/errors.ts'
import type { MeasureRequest, MeasureShare } from './measurer.ts'

const body = { register: 'rtmr3', domain: 'app/payments', operation: 'load', content: 'model sha256:00' }

async function measuringRoom(allow: object = {}, refusal: AttestdError | null = null) {
  const asked: MeasureRequest[] = []
  const shares: MeasureShare[] = []
  const rule = {
    id: 'm',
    match: { uid: 1001 },
    allow: { methods: ['measure'], domains: [{ prefix: 'app/' }], ...allow },
  }
  const room = await openRoom({
    policy: policyFrom([rule]),
    limits: { expensiveBurst: 1000 },
    measure: async (request, _signal, share) => {
      if (refusal) throw refusal
      asked.push(request)
      shares.push(share)
      return { register: request.register, digest: Uint8Array.of(0xab, 0xcd), logIndex: asked.length - 1 }
    },
  })
  const measure = async (parts: object = {}) => {
    const answer = await rawRequest(room.path, post('/v1/measure', { ...body, ...parts }))
    const document = JSON.parse(answer.body)
    return answer.status === 200
      ? document
      : `${answer.status} ${document.code} ${document.field ?? document.dimension ?? ''}`
  }
  return { ...room, asked, shares, measure }
}

it('answers with register, digest and place in the log (section 6.3)', async () => {
  const { measure, asked } = await measuringRoom()
  expect(await measure()).toEqual({ register: 'rtmr3', digest: 'abcd', log_index: 0 })
  expect(await measure({ register: 'pcr23' })).toEqual({ register: 'pcr23', digest: 'abcd', log_index: 1 })
  expect(asked[0]).toEqual(body)
})

it('names the share of the log that the rule gives to its domains, whichever of them it is', async () => {
  const { measure, shares } = await measuringRoom()
  await measure()
  expect(shares[0]?.bytes).toBe(131_072)
  expect(['app/payments', 'app/', 'app', 'other/app/x'].map((domain) => shares[0]?.covers(domain))).toEqual([
    true,
    true,
    false,
    false,
  ])
  const other = await measuringRoom({ measure_bytes_max: 1024 })
  await other.measure()
  expect(other.shares[0]?.bytes).toBe(1024)
})

it('takes the bounds of section 6.3 and the alphabet of TDX-035, and nothing beyond', async () => {
  const { measure, asked } = await measuringRoom({ domains: ['a'.repeat(128), 'app/payments'] })
  const good = [
    { domain: 'a'.repeat(128) },
    { operation: 'o'.repeat(64) },
    { content: 'c'.repeat(8192) },
    { content: 'ä'.repeat(4096) },
    { register: 'pcr0' },
    { register: 'rtmr2' },
  ]
  for (const parts of good) expect(await measure(parts)).toHaveProperty('digest')
  expect(asked).toHaveLength(good.length)
  const bad: readonly [object, string][] = [
    [{ domain: 'a'.repeat(129) }, 'domain'],
    [{ domain: '' }, 'domain'],
    [{ domain: 'a b' }, 'domain'],
    [{ domain: 'a\n' }, 'domain'],
    [{ domain: 'ä' }, 'domain'],
    [{ domain: 7 }, 'domain'],
    [{ operation: 'o'.repeat(65) }, 'operation'],
    [{ operation: '' }, 'operation'],
    [{ operation: 'a b' }, 'operation'],
    [{ content: '' }, 'content'],
    [{ content: `${'c'.repeat(8191)}ä` }, 'content'],
    [{ content: 'one\ntwo' }, 'content'],
    [{ content: 'nul\0' }, 'content'],
    [{ content: '\ud800' }, 'content'],
    [{ register: 'rtmr1' }, 'register'],
    [{ register: 'rtmr03' }, 'register'],
    [{ register: 'pcr24' }, 'register'],
    [{ register: 'pcr023' }, 'register'],
    [{ register: '' }, 'register'],
    [{ extra: 1 }, 'extra'],
    [{ timeout_ms: 0 }, 'timeout_ms'],
  ]
  for (const [parts, field] of bad)
    expect(await measure(parts), JSON.stringify(parts).slice(0, 60)).toContain(`400 invalid_request ${field}`)
  for (const name of Object.keys(body))
    expect(await measure({ [name]: undefined })).toContain(`400 invalid_request ${name}`)
  expect(asked).toHaveLength(good.length)
})

it("keeps workloads out of each other's domains, before anything is done (API-68)", async () => {
  const { measure, asked } = await measuringRoom()
  for (const domain of ['app', 'apple/x', 'other']) expect(await measure({ domain })).toBe('403 policy_denied domain')
  const without = await measuringRoom({ methods: ['token'] })
  expect(await without.measure()).toBe('403 policy_denied method')
  expect(asked.length + without.asked.length).toBe(0)
})

it('is not supported without registers, and never a success without an extension', async () => {
  const { path } = await openRoom({
    policy: policyFrom([{ id: 'm', match: { uid: 1001 }, allow: { methods: ['measure'], domains: ['app/payments'] } }]),
  })
  const { status } = await rawRequest(path, post('/v1/measure', body))
  expect(status).toBe(501)
  const meaning = { title: 't', remedy: 'r' }
  const unsupported = new AttestdError('rtmr_unsupported', { ...meaning, kind: 'unsupported' }, 'none')
  expect(await (await measuringRoom({}, unsupported)).measure()).toContain('501 not_supported')
  const failed = new AttestdError('rtmr_not_extended', { ...meaning, kind: 'unavailable' }, 'no')
  expect(await (await measuringRoom({}, failed)).measure()).toContain('503 evidence_unavailable')
})
