import { connect } from 'node:net'
import { request } from 'undici'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { administratorToken, type FacadeSpec, makeAzureFacade, sha256Of } from '../../../test/support/azure-facade.ts'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { forgeJws, makePolicySigner, x5cOf } from '../../../test/support/policy-signers.ts'
import { throwAwayTls } from '../../../test/support/throw-away-tls.ts'
import { encodeUnsignedPolicy, signPolicy } from '../../policies/index.ts'
import { storeErrors } from '../../registry/store-errors.ts'
import { issuerErrors } from '../errors.ts'
import { Administrators, RefusedAttempts } from './administrators.ts'
import { AnswerKeys } from './azure-answers.ts'
import { serveAzure } from './azure-server.ts'

const policy = new TextEncoder().encode('version=1.0;authorizationrules{=>permit();};issuancerules{};')
const jws = encodeUnsignedPolicy(policy)
const version = 'api-version=2020-10-01'
const bearer = { authorization: `Bearer ${administratorToken}` }

type Facade = Awaited<ReturnType<typeof makeAzureFacade>>
interface Asked {
  readonly method?: 'GET' | 'PUT' | 'POST' | 'DELETE' | 'HEAD' | 'OPTIONS' | 'PATCH'
  readonly url?: string
  readonly headers?: Record<string, string>
  readonly payload?: string | Buffer
}

let facade: Facade
beforeAll(async () => {
  facade = await makeAzureFacade()
})
afterAll(() => facade.app.close())

const put: Asked = {
  method: 'PUT',
  url: `/policies/TdxVm?${version}`,
  headers: { ...bearer, 'content-type': 'text/plain' },
  payload: jws,
}

async function ask(asked: Asked, at: Facade = facade) {
  const response = await at.app.inject({ method: 'GET', ...asked })
  const body = response.body.startsWith('{') ? response.json() : response.body
  return { status: response.statusCode, code: body?.error?.code ?? null, headers: response.headers, body }
}

async function withFacade(spec: FacadeSpec, use: (at: Facade) => Promise<void>): Promise<void> {
  const at = await makeAzureFacade(spec)
  try {
    await use(at)
  } finally {
    await at.app.close()
  }
}

const operations: Readonly<Record<string, Asked>> = {
  getPolicy: { url: '/policies/TdxVm' },
  setPolicy: { method: 'PUT', url: '/policies/TdxVm', payload: jws },
  resetPolicy: { method: 'POST', url: '/policies/TdxVm:reset', payload: 'eyJhbGciOiJub25lIn0..' },
  getCertificates: { url: '/certificates' },
  addCertificate: { method: 'POST', url: '/certificates:add', payload: '""' },
  removeCertificate: { method: 'POST', url: '/certificates:remove', payload: '""' },
}

describe('every operation (POL-903)', () => {
  it.each(Object.entries(operations))('%s needs the token of an administrator', async (_, asked) => {
    const attempts = [
      {},
      { authorization: administratorToken },
      { authorization: `Basic ${administratorToken}` },
      { authorization: 'Bearer ' },
      { authorization: `Bearer ${administratorToken}x` },
      { authorization: `Bearer ${administratorToken.slice(0, -1)}` },
      { authorization: `Bearer ${administratorToken} ` },
      { authorization: `Bearer ${administratorToken}, Bearer x` },
      { authorization: `Bearer ${'a'.repeat(9000)}` },
    ]
    await withFacade({}, async (at) => {
      for (const headers of attempts) {
        const url = `${asked.url}?${version}`
        const answer = await ask({ ...asked, url, headers: { ...headers, 'content-type': 'text/plain' } }, at)
        expect(answer).toMatchObject({ status: 401, code: 'Unauthorized', headers: { 'www-authenticate': 'Bearer' } })
      }
      expect(at.changes).toEqual([])
      expect(at.entries).toHaveLength(attempts.length)
      expect(at.entries[0]).toMatchObject({ administrator: null, code: 'AZURE_UNAUTHORIZED' })
      expect(JSON.stringify(at.entries)).not.toContain(administratorToken.slice(0, -1))
    })
  })

  it.each(Object.entries(operations))('%s needs its api-version, once', async (_, asked) => {
    const queries = [
      '',
      '?',
      '?api-version=',
      '?api-version=2020-10-02',
      `?${version}&${version}`,
      '?API-VERSION=2020-10-01',
    ]
    for (const query of [
      ...queries,
      `?${version}&api-version=2025-06-01`,
      `?api-version=2020-10-01%00`,
      `?${version}?x`,
      `?x?${version}`,
    ]) {
      const answer = await ask({ ...asked, url: `${asked.url}${query}`, headers: { ...put.headers, ...bearer } })
      expect(answer).toMatchObject({ status: 400, code: 'InvalidParameter' })
    }
  })

  it('echoes what the client calls its request, and nothing that would be two headers', async () => {
    const headersFor = async (id: string) =>
      (await ask({ url: '/certificates', headers: { 'x-ms-client-request-id': id } })).headers
    expect(await headersFor('a-1')).toMatchObject({
      'x-ms-client-request-id': 'a-1',
      'x-content-type-options': 'nosniff',
    })
    for (const id of ['', 'a b', 'x'.repeat(129)]) {
      expect(await headersFor(id)).not.toHaveProperty('x-ms-client-request-id')
    }
    expect(await headersFor('x'.repeat(128))).toHaveProperty('x-ms-client-request-id')
  })

  it('is not stored by caches, and signed', async () => {
    const { headers, body } = await ask({ url: `/policies/TdxVm?${version}`, headers: bearer })
    expect(headers).toMatchObject({
      'cache-control': 'no-store',
      'content-type': expect.stringContaining('application/json'),
    })
    expect(Object.keys(body)).toEqual(['token'])
  })
})

describe('types and paths (POL-901)', () => {
  it.each(['tdxvm', 'TDXVM', 'TdxVm%20', 'SnpVm', '__proto__', 'constructor', 'toString', '', 'TdxVm%2F..'])(
    '%j is no type',
    async (type) => {
      const answer = await ask({ url: `/policies/${type}?${version}`, headers: bearer })
      expect([400, 404]).toContain(answer.status)
      expect(answer.code).toBe('InvalidParameter')
    },
  )

  it('of each type there is a shipped policy, and one of its own', async () => {
    for (const type of ['SgxEnclave', 'OpenEnclave', 'Tpm', 'TdxVm', 'SevSnpVm', 'AzureGuest']) {
      const at = `/policies/${type}`
      expect((await ask({ ...put, url: `${at}?${version}` })).status).toBe(200)
      expect((await ask({ url: `${at}?${version}`, headers: bearer })).status).toBe(200)
      expect(await facade.policies.slots()).toContain(`type:${type}`)
    }
  })

  it.each<Asked>([
    { url: '/' },
    { url: '/policies' },
    { url: '/policies/TdxVm/x' },
    { method: 'POST', url: '/policies/TdxVm' },
    { method: 'POST', url: '/policies/TdxVm:set' },
    { method: 'DELETE', url: '/policies/TdxVm' },
    { method: 'PATCH', url: '/policies/TdxVm' },
    { method: 'HEAD', url: '/policies/TdxVm' },
    { method: 'OPTIONS', url: '/policies/TdxVm' },
    { url: '/certificates:add' },
    { method: 'POST', url: '/certificates:addx' },
    { method: 'POST', url: '/attest/TdxVm' },
    { url: '//certs' },
    { url: '/CERTS' },
  ])('there is nothing at $method $url', async (asked) => {
    const answer = await ask({ ...asked, url: `${asked.url}?${version}`, headers: bearer })
    expect(answer.status).toBe(404)
    if (asked.method !== 'HEAD') expect(answer.code).toBe('InvalidParameter')
  })

  it('begin with the path of the base URL, if it has one', async () => {
    await withFacade({ issuer: 'https://v.example/azure' }, async (at) => {
      expect((await ask({ url: `/azure/policies/TdxVm?${version}`, headers: bearer }, at)).status).toBe(200)
      expect((await ask({ url: '/azure/certs' }, at)).status).toBe(200)
      expect((await ask({ url: '/certs' }, at)).status).toBe(404)
      expect((await ask({ url: '/azure/.well-known/openid-configuration' }, at)).body).toMatchObject({
        issuer: 'https://v.example/azure',
        jwks_uri: 'https://v.example/azure/certs',
      })
    })
  })
})

describe('bodies (POL-902)', () => {
  it.each<[string, Asked, number, string]>([
    ['policy text', { payload: Buffer.from(policy) }, 400, 'InvalidParameter'],
    ['nothing', { payload: '' }, 400, 'InvalidParameter'],
    ['a JWS behind which there is a newline', { payload: `${jws}\n` }, 400, 'InvalidParameter'],
    ['another media type', { headers: { ...bearer, 'content-type': 'application/json' } }, 400, 'InvalidParameter'],
    ['no media type', { headers: bearer }, 400, 'InvalidParameter'],
    [
      'a compressed body',
      { headers: { ...bearer, 'content-type': 'text/plain', 'content-encoding': 'gzip' } },
      400,
      'InvalidParameter',
    ],
    ['an HMAC', { payload: forgeJws({ alg: 'HS256' }, {}, new Uint8Array(9)) }, 400, 'InvalidParameter'],
    ['a policy that is none', { payload: encodeUnsignedPolicy(new Uint8Array(1)) }, 400, 'PolicyParsingError'],
  ])('%s is refused', async (_, asked, status, code) => {
    expect(await ask({ ...put, ...asked })).toMatchObject({ status, code })
  })

  it('a signature that is not good is refused', async () => {
    const signer = makePolicySigner()
    const bad = forgeJws({ alg: 'ES256', x5c: x5cOf(makePolicySigner()) }, {}, signer)
    expect(await ask({ ...put, payload: bad })).toMatchObject({ status: 400, code: 'InvalidParameter' })
    expect((await ask({ ...put, payload: signPolicy(policy, signer) })).status).toBe(200)
  })

  it('a media type may have parameters', async () => {
    const headers = { ...bearer, 'content-type': 'text/plain; charset=utf-8' }
    expect((await ask({ ...put, headers })).status).toBe(200)
  })

  it('256 KiB are taken, and one byte more is not', async () => {
    expect(await ask({ ...put, payload: 'a'.repeat(262_144) })).toMatchObject({ status: 400, code: 'InvalidParameter' })
    expect(await ask({ ...put, payload: 'a'.repeat(262_145) })).toMatchObject({ status: 413, code: 'InvalidParameter' })
  })

  it.each(['', '{}', '[]', 'null', '1', '"a" "b"', "'a'", '"a', '["a"]', `${'['.repeat(100_000)}`])(
    'a change of certificates is one JSON string, not %j',
    async (payload) => {
      const headers = { ...bearer, 'content-type': 'application/json' }
      const answer = await ask({ method: 'POST', url: `/certificates:add?${version}`, headers, payload })
      expect(answer).toMatchObject({ status: 400, code: 'InvalidParameter' })
    },
  )
})

describe('what goes wrong here', () => {
  const failing = (error: Error) => ({
    active: () => Promise.reject(error),
    set: () => Promise.reject(error),
    reset: () => Promise.reject(error),
  })

  it('is not told in detail', async () => {
    const secret = 'postgresql://user:password@db.internal'
    const cases = [
      [storeErrors.error('registry_unavailable', secret), 503, 'ServiceUnavailable'],
      [storeErrors.error('registry_corrupt', secret), 503, 'ServiceUnavailable'],
      [storeErrors.error('registry_access', secret), 500, 'InternalError'],
      [new Error(secret), 500, 'InternalError'],
    ] as const
    for (const [error, status, code] of cases) {
      await withFacade({ policies: failing(error) }, async (at) => {
        for (const asked of [put, { url: `/policies/TdxVm?${version}`, headers: bearer }]) {
          const answer = await ask(asked, at)
          expect(answer).toMatchObject({ status, code })
          expect(JSON.stringify(answer)).not.toContain('internal')
        }
        expect(at.bugs.length > 0).toBe(status === 500)
      })
    }
  })

  it('is told to administrators with its remedy where it passes', async () => {
    const full = storeErrors.error('registry_storage_full', 'a path')
    await withFacade({ policies: failing(full) }, async (at) => {
      const message = `try again later (registry_storage_full): ${full.remedy}`
      expect(await ask(put, at)).toMatchObject({ status: 503, body: { error: { message } } })
    })
  })

  it('changes nothing that could not be answered for', async () => {
    const ring = {
      published: () => facade.ring.published(),
      signingKey: () => {
        throw issuerErrors.error('SIGNING_KEY_NOT_READY', 'no key')
      },
    }
    await withFacade({ keys: new AnswerKeys(ring) }, async (at) => {
      expect(await ask(put, at)).toMatchObject({ status: 503, code: 'ServiceUnavailable' })
      expect(at.changes).toEqual([])
    })
  })

  it('is on record with its code', async () => {
    await withFacade({}, async (at) => {
      await ask({ ...put, payload: encodeUnsignedPolicy(new Uint8Array(1)) }, at)
      await ask(put, at)
      await ask({ url: `/policies/TdxVm?${version}`, headers: bearer }, at)
      expect(at.entries).toMatchObject([
        { administrator: 'ann', operation: 'setPolicy', code: 'AZURE_POLICY_ERRORS' },
        { administrator: 'ann', operation: 'setPolicy', code: null, at: at.clock.now() },
      ])
    })
  })
})

describe('keys of the façade', () => {
  it('keep their certificates, and have those of all that are published', async () => {
    const clock = new FakeClock(Date.now())
    await withFacade({ algorithms: ['RS256', 'ES256', 'EdDSA'], clock }, async (at) => {
      const keys = async () => (await ask({ url: '/certs' }, at)).body.keys
      const before = await keys()
      expect(before.map(({ alg }: { alg: string }) => alg)).toEqual(['RS256', 'ES256'])
      expect(await keys()).toEqual(before)
      for (const key of before) expect(Object.keys(key)).not.toContain('d')
      await at.ring.rotate('RS256')
      const after = await keys()
      expect(after).toHaveLength(3)
      for (const key of before) expect(after).toContainEqual(key)
    })
  })
})

describe('the transport', () => {
  it('is TLS alone', async () => {
    const controller = new AbortController()
    const at = await makeAzureFacade()
    let served = Promise.resolve()
    const listening = new Promise<string>((resolve) => {
      served = serveAzure(() => at.app, { listen: { host: '127.0.0.1', port: 0 }, onListening: resolve })(
        controller.signal,
      )
    })
    const address = new URL(await listening)
    expect(address.protocol).toBe('https:')
    await expect(request(`http://${address.host}/certs`)).rejects.toThrow()
    const socket = connect(Number(address.port), '127.0.0.1')
    const heard: Buffer[] = []
    socket.on('data', (chunk) => heard.push(chunk)).on('error', () => undefined)
    socket.write(
      `GET /policies/TdxVm?${version} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${administratorToken}\r\n\r\n`,
    )
    await new Promise((done) => socket.once('close', done))
    expect(Buffer.concat(heard).toString('latin1')).not.toContain('token')
    controller.abort()
    await served
  })

  it('says where it cannot listen, and does not begin when it is over', async () => {
    const at = await makeAzureFacade()
    const task = serveAzure(() => at.app, { listen: { host: '192.0.2.1', port: 1 } })
    await expect(task(new AbortController().signal)).rejects.toMatchObject({
      code: 'AZURE_LISTEN_FAILED',
      message: expect.stringContaining('192.0.2.1 port 1: EADDRNOTAVAIL'),
    })
    const never = serveAzure(() => expect.unreachable(), { listen: { host: '127.0.0.1', port: 0 } })
    await never(AbortSignal.abort())
  })
})

describe('the configuration', () => {
  const [ann, bob] = [
    { name: 'ann', tokenSha256: sha256Of('a') },
    { name: 'bob', tokenSha256: sha256Of('b') },
  ]
  it.each<[string, readonly (typeof ann)[]]>([
    ['nobody', []],
    ['too many', Array.from({ length: 33 }, (_, at) => ({ name: `a${at}`, tokenSha256: sha256Of(`${at}`) }))],
    ['one name twice', [ann, { ...bob, name: 'ann' }]],
    ['one token twice', [ann, { ...bob, tokenSha256: ann.tokenSha256 }]],
    ['a name with a space', [{ ...ann, name: 'a b' }]],
    ['no name', [{ ...ann, name: '' }]],
    ['a short hash', [{ ...ann, tokenSha256: ann.tokenSha256.subarray(1) }]],
  ])('does not have %s as administrators', (_, known) => {
    expect(() => new Administrators(known)).toThrow(expect.objectContaining({ code: 'AZURE_CONFIGURATION' }))
  })

  it('tells administrators apart', () => {
    const known = new Administrators([ann, bob])
    expect(known.identify('Bearer a')).toBe('ann')
    expect(known.identify('bearer  b')).toBe('bob')
    for (const header of [undefined, '', 'Bearer', 'Bearer c', 'Bearer ab', 'a', 'Bearer a\n']) {
      expect(known.identify(header)).toBeNull()
    }
    const empty = new Administrators([{ name: 'empty', tokenSha256: sha256Of('') }])
    for (const header of [undefined, '', 'Bearer ', 'Basic x']) expect(empty.identify(header)).toBeNull()
  })

  it.each([
    'http://v.example',
    'https://v.example/',
    'https://v.example/?a',
    'https://u@v.example',
    'v.example',
    'https://V.example',
  ])('does not have the base URL %s', async (issuer) => {
    await expect(makeAzureFacade({ issuer })).rejects.toMatchObject({ code: 'AZURE_CONFIGURATION' })
  })

  it('has key and certificate for TLS, that are a pair', async () => {
    const [one, other] = [throwAwayTls().server, throwAwayTls().server]
    const pairs = [
      { key: '', cert: '' },
      { key: 'x', cert: 'y' },
      { ...one, key: other.key },
      { ...one, cert: one.key },
    ]
    for (const tls of pairs) {
      await expect(makeAzureFacade({ tls })).rejects.toMatchObject({ code: 'AZURE_CONFIGURATION' })
    }
  })
})

describe('who guesses (POL-902)', () => {
  it('is told to wait, and administrators from the same address are not', async () => {
    await withFacade({}, async (at) => {
      const guess = { url: `/certificates?${version}`, headers: { authorization: 'Bearer guess' } }
      for (let attempt = 1; attempt <= 20; attempt++) expect((await ask(guess, at)).status).toBe(401)
      await at.clock.advance(20_000)
      expect(await ask(guess, at)).toMatchObject({
        status: 429,
        code: 'TooManyRequests',
        headers: { 'retry-after': '40' },
      })
      expect((await ask({ ...guess, headers: bearer }, at)).status).toBe(200)
      expect(at.entries).toHaveLength(20)
      await at.clock.advance(40_000)
      expect((await ask(guess, at)).status).toBe(401)
    })
  })

  it('from many addresses takes a bounded memory', () => {
    const attempts = new RefusedAttempts(new FakeClock())
    for (let at = 0; at < 20; at++) attempts.count('first')
    for (let at = 0; at < 4095; at++) attempts.count(`a${at}`)
    expect(attempts.count('first')).toBe(60)
    for (let at = 0; at < 4096; at++) attempts.count(`b${at}`)
    expect(attempts.count('first')).toBe(0)
  })
})

it('there is no façade without a key that clients know', async () => {
  const keys = new AnswerKeys({ published: () => [], signingKey: () => expect.unreachable() })
  await withFacade({ keys }, async (at) => {
    expect((await ask({ url: `/policies/TdxVm?${version}`, headers: bearer }, at)).status).toBe(500)
  })
})
