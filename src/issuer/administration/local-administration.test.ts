import { once } from 'node:events'
import { createServer, request as httpRequest, type Server } from 'node:http'
import { createConnection } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  administratedAt,
  administrationParts,
  makeLocalAdministration,
  serveAdministration,
} from '../../../test/support/local-administration.ts'
import { forgeJws, makePolicySigner, type TestPolicySigner, x5cOf } from '../../../test/support/policy-signers.ts'
import { policyPart, storeKinds } from '../../../test/support/store-kinds.ts'
import { toBase64 } from '../../base/bytes.ts'
import { encodeUnsignedPolicy, policyDigest, policyHash, signPolicy } from '../../policies/index.ts'
import { signPolicyReset } from '../../policies/signed/encode-policy-jws.ts'
import { MemoryPolicyStore } from '../../registry/policies/memory-policy-store.ts'
import { type PolicyStore, policyPage } from '../../registry/policies/policy-store.ts'
import { keySha256 } from './descriptions.ts'
import { serveLocalAdministration } from './local-administration.ts'

const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'utf8'))
const textNumbered = (number: number) =>
  `version=1.0;\nauthorizationrules { => permit(); };\nissuancerules { => issue(type="n", value=${number}); };\n`
const broken = 'version=1.0\nauthorizationrules { => permit(); };'
const [ann, bob] = [makePolicySigner('P-256'), makePolicySigner('rsa')]
const pemOf = ({ authority }: TestPolicySigner) =>
  `-----BEGIN CERTIFICATE-----\n${toBase64(authority.certificate.der).replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`
const keyOf = ({ authority }: TestPolicySigner) => keySha256(authority.certificate)

const kinds = storeKinds<PolicyStore>(() => new MemoryPolicyStore(), policyPart)

/** So many writers find the same situation, so that all but one are too late. Gives how often somebody was. */
function letAllReadFirst(store: PolicyStore, writers: number): () => number {
  const [situation, commit] = [store.situation.bind(store), store.commit.bind(store)]
  let [read, conflicts] = [0, 0]
  let open: () => void = () => undefined
  const allRead = new Promise<void>((resolve) => {
    open = resolve
  })
  store.situation = async (slot) => {
    const found = await situation(slot)
    read += 1
    if (read === writers) open()
    if (read <= writers) await allRead
    return found
  }
  store.commit = async (change) => {
    const isDone = await commit(change)
    if (!isDone) conflicts += 1
    return isDone
  }
  return () => conflicts
}

describe.each(kinds.map((kind) => [kind.name, kind] as const))('the administration over policies in %s', (_, kind) => {
  let room: ReturnType<typeof makeLocalAdministration>

  beforeAll(() => (kind.possible ? kind.prepare() : undefined), 120_000)
  afterAll(() => kind.end())
  beforeEach(async ({ skip }) => {
    if (!kind.possible) return skip('there is no such database here')
    room = makeLocalAdministration({ store: await kind.fresh() })
  })

  const ask = async (method: 'GET' | 'PUT' | 'POST' | 'DELETE', path: string, body?: unknown) => {
    const isUpload = typeof body === 'string' || body instanceof Uint8Array
    const payload = body === undefined || isUpload ? body : JSON.stringify(body)
    const type = isUpload ? 'application/octet-stream' : 'application/json'
    const answer = await room.app.inject({
      method,
      url: `/v1/admin${path}`,
      ...(payload === undefined ? {} : { payload: Buffer.from(payload), headers: { 'content-type': type } }),
    })
    expect(room.bugs).toEqual([])
    return { status: answer.statusCode, type: answer.headers['content-type'], document: answer.json() }
  }
  const set = (slot: string, upload: string) => ask('PUT', `/policies/${slot}`, upload)

  it('sets a policy, tells its hashes and what the lint says, and who set it (POL-709, POL-710, POL-711)', async () => {
    const text = textNumbered(1)
    const { status, document } = await set('type:TdxVm', text)
    expect(status).toBe(200)
    expect(document).toMatchObject({
      slot: 'type:TdxVm',
      changed: true,
      signer: null,
      version: {
        ...{ number: 1, form: 'text', by: 'uid=0(root)', at: administratedAt / 1000, signerKeySha256: null },
        ...{ policyHash: policyHash(bytes(text)), digest: policyDigest(bytes(text)), previousDigest: null },
      },
    })
    expect(document.version.diagnostics.length).toBeGreaterThan(0)
    expect(document.version.lints.error).toBe(0)
    expect(document.version.lints.warning + document.version.lints.info).toBe(document.version.diagnostics.length)
    expect((await set('type:TdxVm', text)).document).toMatchObject({ changed: false, version: { number: 1 } })
    expect(room.changes).toEqual([expect.objectContaining({ event: 'policy.set', by: 'uid=0(root)' })])
  })

  it('takes a JWS as it is, of whatever media type, and keeps every byte (POL-701, POL-709)', async () => {
    const jws = encodeUnsignedPolicy(bytes(textNumbered(2)))
    for (const [at, type] of ['application/jwt', 'text/plain; charset=utf-8', 'application/octet-stream'].entries()) {
      const { statusCode } = await room.app.inject({
        method: 'PUT',
        url: `/v1/admin/policies/id:site-${at}`,
        headers: { 'content-type': type },
        payload: jws,
      })
      expect(statusCode).toBe(200)
      const { document } = await ask('GET', `/policies/id:site-${at}/versions/1`)
      expect(document).toMatchObject({ upload: toBase64(bytes(jws)), text: textNumbered(2) })
      expect(document.version.form).toBe('unsigned')
    }
  })

  it('refuses what does not load with every diagnostic, and changes nothing (POL-709, POL-801)', async () => {
    await set('id:site', textNumbered(1))
    const { status, type, document } = await set('id:site', broken)
    expect([status, type]).toEqual([400, 'application/problem+json'])
    expect(document).toMatchObject({
      ...{ code: 'ADMINISTRATION_POLICY_ERRORS', field: 'body', retryable: false },
      ...{ title: expect.stringContaining('does not load'), remedy: expect.stringContaining('attestd policy check') },
      detail: 'the policy does not load: line 2, column 1: POL-202',
      diagnostics: [expect.objectContaining({ id: 'POL-202', severity: 'error', line: 2, column: 1 })],
    })
    expect((await ask('GET', '/policies/id:site')).document).toMatchObject({ active: 1, versions: [{ number: 1 }] })
  })

  it('lists all policies with what is active, in pages, and the shipped default as null (POL-709)', async () => {
    for (let at = 0; at < 65; at++) await set(`id:p${String(at).padStart(2, '0')}`, textNumbered(at))
    await set('type:Tpm', textNumbered(1))
    await ask('POST', '/policies/type:Tpm/reset', {})
    const first = (await ask('GET', '/policies')).document
    expect(first.policies.map(({ slot }: { slot: string }) => slot)).toEqual(
      Array.from({ length: 64 }, (_, at) => `id:p${String(at).padStart(2, '0')}`),
    )
    expect(first.policies[0].active).toMatchObject({ number: 1, form: 'text', by: 'uid=0(root)' })
    expect(first.policies[0].active).not.toHaveProperty('diagnostics')
    expect(first.next).toBe('id:p63')
    const { document } = await ask('GET', `/policies?after=${first.next}`)
    expect(document).toEqual({
      policies: [
        { slot: 'id:p64', active: expect.any(Object), signerTrusted: null },
        { slot: 'type:Tpm', active: null, signerTrusted: null },
      ],
      next: null,
    })
  })

  it('tells versions and changes, newest first, in pages (POL-709)', async () => {
    const count = policyPage + 2
    for (let number = 1; number <= count; number++)
      await room.policies.set('id:site', bytes(textNumbered(number)), 'ann')
    const first = (await ask('GET', '/policies/id:site')).document
    expect(first).toMatchObject({ slot: 'id:site', active: count, next: 3 })
    expect(first.versions).toHaveLength(policyPage)
    expect(first.activations[0]).toEqual({
      ...{ at: administratedAt / 1000, by: 'ann', action: 'set' },
      ...{ number: count, previous: count - 1 },
    })
    const { document } = await ask('GET', '/policies/id:site?before=3')
    expect(document.versions.map(({ number }: { number: number }) => number)).toEqual([2, 1])
    expect(document.next).toBeNull()
  })

  it('compares two versions by lines (POL-709)', async () => {
    await set('id:site', textNumbered(1))
    await set('id:site', textNumbered(2))
    const { document } = await ask('GET', '/policies/id:site/compare?from=1&to=2')
    expect(document).toMatchObject({ slot: 'id:site', from: { number: 1 }, to: { number: 2 } })
    const side = (not: string) =>
      document.lines.filter(({ is }: { is: string }) => is !== not).map(({ line }: { line: string }) => line)
    expect([side('added').join('\n'), side('removed').join('\n')]).toEqual([textNumbered(1), textNumbered(2)])
  })

  it('restores a former version, and resets to the shipped default (POL-709, POL-904)', async () => {
    await set('id:site', textNumbered(1))
    await set('id:site', textNumbered(2))
    const restored = (await ask('POST', '/policies/id:site/restore', { number: 1 })).document
    expect(restored).toMatchObject({ slot: 'id:site', changed: true, version: { number: 1 } })
    expect((await ask('POST', '/policies/id:site/restore', { number: 1 })).document.changed).toBe(false)
    expect((await ask('POST', '/policies/id:site/reset')).document).toEqual({ slot: 'id:site', changed: true })
    expect((await ask('POST', '/policies/id:site/reset', {})).document).toEqual({ slot: 'id:site', changed: false })
    const { activations, active } = (await ask('GET', '/policies/id:site')).document
    expect(active).toBeNull()
    expect(activations.map(({ action, number }: never) => [action, number])).toEqual([
      ['reset', null],
      ['restored', 1],
      ['set', 2],
      ['set', 1],
    ])
    expect(room.changes.map(({ event }) => event)).toEqual([
      'policy.set',
      'policy.set',
      'policy.restored',
      'policy.reset',
    ])
  })

  it('signer mode: on with the first signer, then unsigned is refused; off with the last (POL-704, POL-708)', async () => {
    expect((await set('id:site', textNumbered(1))).status).toBe(200)
    const added = (await ask('POST', '/signers', { certificate: pemOf(ann) })).document
    expect(added).toEqual({
      ...{ changed: true, signerMode: 'on', untrusted: ['id:site'] },
      signer: {
        keySha256: keyOf(ann),
        certificate: expect.objectContaining({ subject: 'CN=policy signer P-256', sha256: expect.any(String) }),
      },
    })
    const codeOf = async (answer: Promise<{ status: number; document: { code?: string; field?: string } }>) => {
      const { status, document } = await answer
      return [status, document.code, document.field]
    }
    expect(await codeOf(set('id:site', textNumbered(2)))).toEqual([403, 'POLICY_SIGNER_REQUIRED', undefined])
    expect(await codeOf(ask('POST', '/policies/id:site/restore', { number: 1 }))).toContain('POLICY_SIGNER_REQUIRED')
    expect(await codeOf(ask('POST', '/policies/id:site/reset', {}))).toEqual([
      403,
      'ADMINISTRATION_RESET_UNSIGNED',
      'jws',
    ])
    expect(await codeOf(set('id:site', signPolicy(bytes(textNumbered(2)), bob)))).toContain('POLICY_SIGNER_REFUSED')
    const signed = (await set('id:site', signPolicy(bytes(textNumbered(2)), ann))).document
    expect(signed).toMatchObject({
      version: { number: 2, form: 'signed', signerKeySha256: keyOf(ann) },
      signer: { keySha256: keyOf(ann), subject: 'CN=policy signer P-256' },
    })
    const reset = await ask('POST', '/policies/id:site/reset', { jws: signPolicyReset(ann) })
    expect(reset.document).toEqual({ slot: 'id:site', changed: true })
    expect((await ask('DELETE', `/signers/${keyOf(ann)}`)).document).toMatchObject({ changed: true, signerMode: 'off' })
    expect((await set('id:site', textNumbered(3))).status).toBe(200)
    const { trusted, former, signerMode } = (await ask('GET', '/signers')).document
    expect([trusted, signerMode]).toEqual([[], 'off'])
    expect(former).toEqual([
      expect.objectContaining({
        keySha256: keyOf(ann),
        added: { at: administratedAt / 1000, by: 'uid=0(root)' },
        removed: { at: administratedAt / 1000, by: 'uid=0(root)' },
      }),
    ])
    expect(room.changes.map(({ event }) => event)).toContain('policy.signer.removed')
  })

  it('leaves a policy active whose signer is trusted no more, and says so wherever it is shown (POL-704)', async () => {
    for (const signer of [ann, bob]) await ask('POST', '/signers', { certificate: pemOf(signer) })
    await set('id:site', signPolicy(bytes(textNumbered(1)), ann))
    await set('id:other', signPolicy(bytes(textNumbered(2)), bob))
    const told = async () => {
      const { policies } = (await ask('GET', '/policies')).document
      const shown = (await ask('GET', '/policies/id:site/versions/1')).document
      return [...policies, shown].map(({ signerTrusted }) => signerTrusted)
    }
    expect(await told()).toEqual([true, true, true])
    const removed = (await ask('DELETE', `/signers/${keyOf(ann)}`)).document
    expect(removed).toMatchObject({ signerMode: 'on', untrusted: ['id:site'] })
    expect(await told()).toEqual([true, false, false])
    expect((await ask('GET', '/policies/id:site')).document.active).toBe(1)
    expect((await ask('DELETE', `/signers/${keyOf(bob)}`)).document).toMatchObject({ signerMode: 'off', untrusted: [] })
    expect(await told()).toEqual([null, null, null])
  })

  it('knows signers by the hash of the key, of the certificate and by the thumbprint (POL-708)', async () => {
    for (const signer of [ann, bob]) {
      const { certificate } = signer.authority
      await ask('POST', '/signers', { certificate: toBase64(certificate.der) })
      const { trusted } = (await ask('GET', '/signers')).document
      const { thumbprint, sha256 } = trusted[0].certificate
      expect(thumbprint).toMatch(/^[0-9A-F]{40}$/)
      for (const hash of [keyOf(signer), sha256, thumbprint, thumbprint.toLowerCase()]) {
        expect((await ask('DELETE', `/signers/${hash}`)).document).toMatchObject({ changed: true })
        expect((await ask('POST', '/signers', { certificate: toBase64(certificate.der) })).document).toMatchObject({
          changed: true,
        })
      }
      expect((await ask('POST', '/signers', { certificate: pemOf(signer) })).document).toMatchObject({
        ...{ changed: false, signerMode: 'on' },
      })
      await ask('DELETE', `/signers/${keyOf(signer)}`)
    }
  })

  it('two administrators at once: both changes are whole, one after the other (POL-709)', async () => {
    const uploads = Array.from({ length: 6 }, (_, at) => textNumbered(at))
    const conflicts = letAllReadFirst(room.store, uploads.length)
    const answers = await Promise.all(uploads.map((upload) => set('id:site', upload)))
    expect(answers.map(({ status }) => status)).toEqual(uploads.map(() => 200))
    expect(conflicts()).toBeGreaterThanOrEqual(uploads.length - 1)
    const { versions, activations, active } = (await ask('GET', '/policies/id:site')).document
    expect(versions.map(({ number }: { number: number }) => number)).toEqual([6, 5, 4, 3, 2, 1])
    // Each rests on what was active when it was written.
    expect(activations.map(({ number, previous }: never) => [number, previous])).toEqual([
      ...[6, 5, 4, 3, 2].map((number) => [number, number - 1]),
      [1, null],
    ])
    expect(active).toBe(6)
    const numbers = answers.map(({ document }) => document.version.number)
    for (const [at, number] of numbers.entries()) {
      const { text } = (await ask('GET', `/policies/id:site/versions/${number}`)).document
      expect(text).toBe(uploads[at])
    }
  })
})

describe('the administration refuses', () => {
  let room: ReturnType<typeof makeLocalAdministration>

  beforeEach(() => {
    room = makeLocalAdministration({ signsTokens: (key) => Buffer.from(key).equals(bob.publicKey) })
  })

  const inject = async (method: string, path: string, payload?: string | Buffer, type = 'application/json') => {
    const answer = await room.app.inject({
      method: method as 'GET',
      url: `/v1/admin${path}`,
      ...(payload === undefined ? {} : { payload, headers: { 'content-type': type } }),
    })
    expect(room.bugs).toEqual([])
    expect(answer.headers['content-type']).toBe('application/problem+json')
    expect(answer.headers['connection']).toBe('close')
    expect(answer.headers['cache-control']).toBe('no-store')
    const { code, field, remedy } = answer.json()
    expect(remedy).toEqual(expect.any(String))
    return [answer.statusCode, code, field]
  }

  const invalid = 'ADMINISTRATION_REQUEST_INVALID'
  const policyType = 'text/plain'

  it.each<[string, string, string, string | Buffer | undefined, string, [number, string, string | undefined]]>([
    ['a type that Azure does not have', 'PUT', '/policies/type:TDXVM', 'x', policyType, [400, invalid, 'slot']],
    ['a name without a kind', 'GET', '/policies/site', undefined, '', [400, invalid, 'slot']],
    ['an id that is too long', 'GET', `/policies/id:${'x'.repeat(129)}`, undefined, '', [400, invalid, 'slot']],
    ['an id with other characters', 'GET', '/policies/id:a%2Fb', undefined, '', [400, invalid, 'slot']],
    ['an empty id', 'PUT', '/policies/id:', 'x', policyType, [400, invalid, 'slot']],
    ['a page after no name', 'GET', '/policies?after=x', undefined, '', [400, invalid, 'after']],
    ['a parameter nobody knows', 'GET', '/policies?before=2', undefined, '', [400, invalid, 'before']],
    ['a parameter twice', 'GET', '/policies/type:Tpm?before=2&before=3', undefined, '', [400, invalid, 'before']],
    ['a page before no number', 'GET', '/policies/type:Tpm?before=02', undefined, '', [400, invalid, 'before']],
    ['parameters of a change', 'PUT', '/policies/type:Tpm?force=1', 'x', policyType, [400, invalid, 'force']],
    ['a version without a number', 'GET', '/policies/type:Tpm/versions/x', undefined, '', [400, invalid, 'number']],
    [
      'a version that is not there',
      'GET',
      '/policies/type:Tpm/versions/1',
      undefined,
      '',
      [404, 'policy_version_unknown', undefined],
    ],
    ['half of a comparison', 'GET', '/policies/type:Tpm/compare?from=1', undefined, '', [400, invalid, 'to']],
    [
      'the history of an id that was never set',
      'GET',
      '/policies/id:typo',
      undefined,
      '',
      [404, 'ADMINISTRATION_POLICY_UNKNOWN', 'slot'],
    ],
    [
      'the reset of an id that was never set',
      'POST',
      '/policies/id:typo/reset',
      '{}',
      'application/json',
      [404, 'ADMINISTRATION_POLICY_UNKNOWN', 'slot'],
    ],
    [
      'an upload of another media type',
      'PUT',
      '/policies/id:site',
      '{}',
      'application/json',
      [415, 'ADMINISTRATION_MEDIA_TYPE', 'content-type'],
    ],
    [
      'an empty upload (POL-111)',
      'PUT',
      '/policies/id:site',
      '',
      policyType,
      [400, 'ADMINISTRATION_POLICY_ERRORS', 'body'],
    ],
    [
      'an upload that is no UTF-8',
      'PUT',
      '/policies/id:site',
      Buffer.of(0xff),
      policyType,
      [400, 'POLICY_PAYLOAD_MALFORMED', undefined],
    ],
    [
      'JSON of another media type',
      'POST',
      '/signers',
      '{}',
      policyType,
      [415, 'ADMINISTRATION_MEDIA_TYPE', 'content-type'],
    ],
    [
      'a member nobody knows',
      'POST',
      '/policies/id:x/reset',
      '{"force":true}',
      'application/json',
      [400, invalid, 'force'],
    ],
    [
      'a member twice',
      'POST',
      '/policies/id:x/restore',
      '{"number":1,"number":2}',
      'application/json',
      [400, 'MALFORMED', 'body'],
    ],
    ['what is no object', 'POST', '/policies/id:x/restore', '[1]', 'application/json', [400, 'MALFORMED', 'body']],
    [
      'a restore of no number',
      'POST',
      '/policies/id:x/restore',
      '{"number":"1"}',
      'application/json',
      [400, invalid, 'number'],
    ],
    [
      'a restore of a fraction',
      'POST',
      '/policies/id:x/restore',
      '{"number":1.5}',
      'application/json',
      [400, 'MALFORMED', 'body'],
    ],
    [
      'a restore of version 0',
      'POST',
      '/policies/id:x/restore',
      '{"number":0}',
      'application/json',
      [400, invalid, 'number'],
    ],
    [
      'a restore of what is not there',
      'POST',
      '/policies/id:x/restore',
      '{"number":1}',
      'application/json',
      [404, 'policy_version_unknown', undefined],
    ],
    ['a reset by no text', 'POST', '/policies/type:Tpm/reset', '{"jws":1}', 'application/json', [400, invalid, 'jws']],
    [
      'a reset by a policy',
      'POST',
      '/policies/type:Tpm/reset',
      JSON.stringify({ jws: encodeUnsignedPolicy(bytes(textNumbered(1))) }),
      'application/json',
      [400, 'POLICY_PAYLOAD_MALFORMED', undefined],
    ],
    ['a signer without a certificate', 'POST', '/signers', '{}', 'application/json', [400, invalid, 'certificate']],
    [
      'a signer of no base64',
      'POST',
      '/signers',
      '{"certificate":"AA"}',
      'application/json',
      [400, 'MALFORMED', 'certificate'],
    ],
    [
      'a signer of no certificate',
      'POST',
      '/signers',
      '{"certificate":"AAAA"}',
      'application/json',
      [400, 'MALFORMED', expect.stringContaining('certificate') as never],
    ],
    [
      'a certificate that is too large',
      'POST',
      '/signers',
      JSON.stringify({ certificate: 'A'.repeat(32_769) }),
      'application/json',
      [400, invalid, 'certificate'],
    ],
    [
      'two certificates at once',
      'POST',
      '/signers',
      JSON.stringify({ certificate: pemOf(ann) + pemOf(bob) }),
      'application/json',
      [400, invalid, 'certificate'],
    ],
    [
      'a key that signs tokens (POL-712)',
      'POST',
      '/signers',
      JSON.stringify({ certificate: pemOf(bob) }),
      'application/json',
      [403, 'policy_signer_key', undefined],
    ],
    ['a signer by no hash', 'DELETE', '/signers/x', undefined, '', [400, invalid, 'signer']],
    [
      'a signer who is not trusted',
      'DELETE',
      `/signers/${'0'.repeat(64)}`,
      undefined,
      '',
      [404, 'ADMINISTRATION_SIGNER_UNKNOWN', 'signer'],
    ],
    [
      'a body that asks for more',
      'DELETE',
      `/signers/${'0'.repeat(64)}`,
      '{"all":true}',
      'application/json',
      [400, invalid, 'all'],
    ],
    ['another path', 'GET', '/policy', undefined, '', [404, 'ADMINISTRATION_NOT_FOUND', undefined]],
    ['another method', 'DELETE', '/policies/id:site', undefined, '', [404, 'ADMINISTRATION_NOT_FOUND', undefined]],
  ])('%s', async (_, method, path, payload, type, expected) => {
    expect(await inject(method, path, payload, type)).toEqual(expected)
    expect(room.changes).toEqual([])
  })

  it.each(['attestd-default-tdx-v1', 'attestd-', 'builtin', 'default'])(
    'to change %s, a name of the product',
    async (id) => {
      const reserved = [403, 'ADMINISTRATION_POLICY_RESERVED', 'slot']
      expect(await inject('PUT', `/policies/id:${id}`, textNumbered(1), policyType)).toEqual(reserved)
      expect(await inject('POST', `/policies/id:${id}/restore`, '{"number":1}')).toEqual(reserved)
      expect(await inject('POST', `/policies/id:${id}/reset`, '{}')).toEqual(reserved)
      expect(room.changes).toEqual([])
    },
  )

  it('to set or restore under an id of the configuration, whose policy the store never replaces (POL-442)', async () => {
    room = makeLocalAdministration({ configuredIds: ['machine'] })
    const set = (id: string, number: number) => room.policies.set(id, Buffer.from(textNumbered(number)), 'former')
    await set('id:machine', 1)
    const before = room.changes.length
    const configured = [403, 'ADMINISTRATION_POLICY_CONFIGURED', 'slot']
    expect(await inject('PUT', '/policies/id:machine', textNumbered(2), policyType)).toEqual(configured)
    expect(await inject('POST', '/policies/id:machine/restore', '{"number":1}')).toEqual(configured)
    expect(room.changes).toHaveLength(before)
    const url = (path: string) => `/v1/admin/policies/${path}`
    const headers = { 'content-type': policyType }
    const other = await room.app.inject({ method: 'PUT', url: url('id:machine2'), headers, payload: textNumbered(2) })
    const reset = await room.app.inject({ method: 'POST', url: url('id:machine/reset') })
    expect([other.statusCode, reset.statusCode]).toEqual([200, 200])
    expect(await room.policies.active('id:machine')).toBeNull()
  })

  it('an upload above 256 KiB, and no byte below (POL-902)', async () => {
    const padded = (size: number) => textNumbered(1).padEnd(size, '/')
    expect(await inject('PUT', '/policies/id:site', padded(262_145), policyType)).toContain('ADMINISTRATION_TOO_LARGE')
    // Its text has 64 KiB at most (POL-601).
    expect(await inject('PUT', '/policies/id:site', padded(262_144), policyType)).toContain(
      'ADMINISTRATION_POLICY_ERRORS',
    )
    const object = JSON.stringify({ jws: 'x'.repeat(266_240) })
    expect(await inject('POST', '/policies/type:Tpm/reset', object)).toContain('ADMINISTRATION_TOO_LARGE')
  })

  it('an encoded body', async () => {
    const { statusCode } = await room.app.inject({
      method: 'PUT',
      url: '/v1/admin/policies/id:site',
      headers: { 'content-type': policyType, 'content-encoding': 'gzip' },
      payload: 'x',
    })
    expect(statusCode).toBe(415)
  })

  it('what does not load with as many and as long diagnostics as somebody gives them', async () => {
    const texts = { message: 'm'.repeat(9999), found: 'f'.repeat(9999), path: 'p'.repeat(9999) }
    const one = { id: 'POL-206', severity: 'error', line: 1, column: 1, length: 1, expected: [], ...texts } as const
    const diagnostics = Array.from({ length: 999 }, () => one)
    const { policies } = room
    room = makeLocalAdministration({
      policies: Object.assign(Object.create(policies), { set: async () => ({ loaded: false, diagnostics }) }),
    })
    const answer = await room.app.inject({
      method: 'PUT',
      url: '/v1/admin/policies/id:site',
      headers: { 'content-type': policyType },
      payload: 'x',
    })
    expect(answer.statusCode).toBe(400)
    expect(answer.json().diagnostics).toHaveLength(64)
    expect(answer.body.length).toBeLessThan(256 * 1024)
  })

  it('everybody who is nobody, before the body is read, on every path (POL-903)', async () => {
    room = makeLocalAdministration({ actor: () => null })
    const forbidden = [403, 'ADMINISTRATION_FORBIDDEN', undefined]
    expect(await inject('GET', '/status')).toEqual(forbidden)
    expect(await inject('GET', '/nothing')).toEqual(forbidden)
    expect(await inject('PUT', '/policies/id:site', 'x'.repeat(300_000), policyType)).toEqual(forbidden)
    expect(await inject('POST', '/signers', '{')).toEqual(forbidden)
    expect(room.changes).toEqual([])
  })

  it('says nothing of a bug, but to the log', async () => {
    room = makeLocalAdministration({
      status: () => {
        throw new TypeError('a secret')
      },
    })
    const answer = await room.app.inject({ url: '/v1/admin/status' })
    expect([answer.statusCode, answer.json().code]).toEqual([500, 'AS.INTERNAL.ERROR'])
    expect(answer.body).not.toContain('secret')
    expect(room.bugs).toHaveLength(1)
  })
})

describe('signers', () => {
  it('of one hash are told apart by their keys, and none of them is removed by it (POL-708)', async () => {
    const record = (signer: TestPolicySigner, keySha256: string) => ({
      ...{ keySha256, certificate: signer.authority.certificate.der },
      ...{ added: { at: 0, by: 'x' }, removed: null },
    })
    const removed: Uint8Array[] = []
    const { app } = makeLocalAdministration({
      signers: {
        history: async () => [record(ann, keyOf(ann)), record(ann, keyOf(ann))],
        addLocally: async () => Promise.reject(new TypeError('not asked for')),
        removeLocally: async (der) => {
          removed.push(der)
          return { certificate: ann.authority.certificate, changed: true }
        },
      },
    })
    const answer = await app.inject({ method: 'DELETE', url: `/v1/admin/signers/${keyOf(ann)}` })
    expect(answer.json()).toMatchObject({ code: 'ADMINISTRATION_REQUEST_INVALID', field: 'signer' })
    expect(removed).toEqual([])
  })

  it('whose certificate is damaged are shown as such', async () => {
    const added = { at: 1000, by: 'x' }
    const record = { keySha256: 'aa', certificate: Uint8Array.of(1), added, removed: null }
    const none = async () => Promise.reject(new TypeError('not asked for'))
    const { app } = makeLocalAdministration({
      signers: { history: async () => [record], addLocally: none, removeLocally: none },
    })
    const { trusted } = (await app.inject({ url: '/v1/admin/signers' })).json()
    expect(trusted).toEqual([{ keySha256: 'aa', added: { at: 1, by: 'x' }, removed: null, certificate: null }])
  })

  it('may be none, and yet a signature that is there must be good (POL-704)', async () => {
    const { app, policies } = makeLocalAdministration()
    await policies.set('id:site', bytes(textNumbered(1)), 'ann')
    const tampered = forgeJws({ alg: 'ES256', x5c: x5cOf(ann) }, '', bob)
    const answer = await app.inject({
      method: 'POST',
      url: '/v1/admin/policies/id:site/reset',
      headers: { 'content-type': 'application/json' },
      payload: JSON.stringify({ jws: tampered }),
    })
    expect(answer.json().code).toBe('POLICY_SIGNATURE_INVALID')
  })
})

const get = (socketPath: string, path: string) =>
  new Promise<{ status: number | undefined; body: string }>((resolve, reject) => {
    httpRequest({ socketPath, path, agent: false }, async (incoming) => {
      const chunks: Buffer[] = []
      for await (const chunk of incoming) chunks.push(chunk as Buffer)
      resolve({ status: incoming.statusCode, body: Buffer.concat(chunks).toString() })
    })
      .on('error', reject)
      .end()
  })

describe('the administration on a Unix socket', () => {
  it('asks who is at the other end of each connection (POL-903)', async () => {
    const seen: unknown[] = []
    const actor = (socket: { readonly remoteAddress?: string | undefined }) => {
      seen.push(socket.remoteAddress)
      return seen.length > 2 ? null : 'ann'
    }
    const { path } = await serveAdministration({ actor })
    expect(await get(path, '/v1/admin/status')).toEqual({ status: 200, body: '{"ready":true}' })
    expect((await get(path, '/v1/admin/status')).status).toBe(403)
    expect(seen).toEqual([undefined, undefined, undefined])
  })

  it('ends with its signal, also where somebody holds a connection', async () => {
    const { path, ended, end } = await serveAdministration()
    const held = createConnection(path)
    await once(held, 'connect')
    end()
    await ended
    expect(held.destroyed || (await once(held, 'close').then(() => true))).toBe(true)
    await expect(get(path, '/v1/admin/status')).rejects.toThrow(/ENOENT|ECONNREFUSED/)
  })

  it('is not served to a network, not even to loopback (POL-903)', async () => {
    let address: ReturnType<Server['address']> = null
    const parts = administrationParts()
    const listen = async (server: Server) => {
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      address = server.address()
    }
    const task = serveLocalAdministration(parts.options, listen)
    await expect(task(new AbortController().signal)).rejects.toMatchObject({ code: 'ADMINISTRATION_LISTENER' })
    const { port } = address as unknown as { port: number }
    const probe = createServer()
    probe.listen(port, '127.0.0.1')
    await once(probe, 'listening')
    probe.close()
  })

  it('rejects with what binding rejects with, and is not begun once its signal aborted', async () => {
    const { options } = administrationParts()
    const failing = serveLocalAdministration(options, async () => Promise.reject(new RangeError('no')))
    await expect(failing(new AbortController().signal)).rejects.toThrow(RangeError)
    const never = serveLocalAdministration(options, async () => Promise.reject(new RangeError('begun')))
    await never(AbortSignal.abort())
  })
})
