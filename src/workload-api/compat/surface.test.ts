import { describe, expect, it } from 'vitest'
import { RawClient, rawRequest } from '../../../test/support/raw-http.ts'
import { openSurface } from '../../../test/support/surface-room.ts'
import { policyFrom, request, someone } from '../../../test/support/workload-room.ts'
import { TokenBuckets } from '../../base/token-buckets.ts'
import { defaultLimits } from '../limits.ts'
import { answerToken } from '../token-operation.ts'
import { tokenParameters } from '../token-parameters.ts'
import type { Surface } from './surface.ts'

const consumers: Surface = {
  listener: 'tcp:probe',
  encodeError: ({ status, code }) => ({
    status,
    type: 'text/x-probe',
    body: `no: ${code}`,
    headers: { 'x-probe': '1' },
  }),
  routes: (context) => [
    {
      method: 'GET',
      path: '/own/{consumer}/{secret}',
      caller: true,
      handle: (exchange) => exchange.answer({ status: 200, type: 'text/plain', body: exchange.parameters.join(' ') }),
    },
    {
      method: 'GET',
      path: '/token',
      caller: true,
      handle: (exchange) =>
        answerToken(context, exchange, tokenParameters({ audience: ['https://a.example'] }), {
          type: 'text/html',
          body: ({ token }) => token,
        }),
    },
    {
      method: 'GET',
      path: '/fault',
      caller: true,
      handle: async () => {
        throw new RangeError('a secret of the process')
      },
    },
  ],
}
const host = ['Host: 127.0.0.1:8006']
const secret = 'A'.repeat(43)

describe('a surface', () => {
  it('answers with the token of the native operation, byte for byte (API-122)', async () => {
    const { path, provider } = await openSurface(consumers)
    const { status, headers, body } = await rawRequest(path, request('GET', '/token', host))
    expect([status, headers['content-type']]).toEqual([200, 'text/html'])
    const [asked] = provider.asked
    expect(body).toBe(asked && provider.tokenFor(asked.request).token)
    expect(headers['attestd-expires-at']).toMatch(/^[0-9]+$/)
    expect(headers['cache-control']).toBe('no-store')
  })

  it.each([
    ['policy (API-121)', request('GET', '/token', host), 403, 'policy_denied'],
    ['an unknown path', request('GET', '/nowhere', host), 404, 'not_found'],
    ['a place that does not fit', request('GET', `/own/Big/${secret}`, host), 404, 'not_found'],
    ['a wrong method', request('POST', '/token', host), 405, 'method_not_allowed'],
    ['another host (API-29)', request('GET', '/token', ['Host: evil.example']), 421, 'misdirected'],
    ['a browser (API-30)', request('GET', '/token', [...host, 'Origin: null']), 403, 'browser_or_proxy'],
    ['a fault', request('GET', '/fault', host), 500, 'internal'],
    ['no HTTP at all', 'nonsense\r\n\r\n', 400, 'invalid_request'],
  ])('tells %s in its own style, with the native code in a header (API-123)', async (_, text, status, code) => {
    const { path, identifier } = await openSurface(consumers)
    identifier.next = async () => ({ ...someone, uid: 1002, listener: 'tcp:probe' })
    const answer = await rawRequest(path, text)
    expect([answer.status, answer.headers['attestd-error'], answer.body]).toEqual([status, code, `no: ${code}`])
    expect([answer.headers['content-type'], answer.headers['x-probe']]).toEqual(['text/x-probe', '1'])
    expect(JSON.stringify(answer)).not.toContain('secret of the process')
  })

  it('refuses connections in its own style too', async () => {
    const { path } = await openSurface(consumers, { limits: { connectionsPerUid: 1 } })
    const first = new RawClient(path)
    await first.write(request('GET', '/token', host)).answers(1)
    const second = await rawRequest(path, request('GET', '/token', host))
    expect([second.status, second.headers['attestd-error'], second.headers['retry-after'], second.body]).toEqual([
      ...[429, 'rate_limited', '1', 'no: rate_limited'],
    ])
    first.destroy()
  })

  it('gives its routes what stands at the places of a path, undecoded', async () => {
    const { path } = await openSurface(consumers)
    const at = (target: string) => rawRequest(path, request('GET', target, host))
    expect((await at(`/own/shop-1/${secret}`)).body).toBe(`shop-1 ${secret}`)
    for (const hostile of [
      `/own/shop/${secret}A`,
      `/own/sh%6Fp/${secret}`,
      `/own//${secret}`,
      '/own/{consumer}/{secret}',
    ]) {
      expect((await at(hostile)).status, hostile).toBe(404)
    }
  })

  it('is matched by rules about its listener class (API-10)', async () => {
    const allow = { methods: ['token'], audiences: ['https://a.example'] }
    const rules = (listener: string) => policyFrom([{ id: 'r', match: { listener }, allow }])
    const through = async (listener: string) => {
      const { path } = await openSurface(consumers, { policy: rules(listener) })
      return (await rawRequest(path, request('GET', '/token', host))).status
    }
    expect([await through('tcp:probe'), await through('api'), await through('tcp:other')]).toEqual([200, 403, 403])
  })

  it('shares the rates of its callers with every other listener (API-81)', async () => {
    const limits = { ...defaultLimits, requestBurst: 2, requestsPerS: 0.001 }
    const buckets = new TokenBuckets({ monotonic: () => 0 })
    const one = await openSurface(consumers, { limits, buckets })
    const other = await openSurface({ ...consumers, listener: 'fly' }, { limits, buckets })
    const ask = async ({ path }: { path: string }) => (await rawRequest(path, request('GET', '/token', host))).status
    expect([await ask(one), await ask(other), await ask(one), await ask(other)]).toEqual([200, 200, 429, 429])
  })
})
