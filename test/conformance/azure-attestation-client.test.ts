import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLocalJWKSet, jwtVerify } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePort } from '../../mocks/demo/free-port.ts'
import { encodePem } from '../../src/base/pki/pem.ts'
import { createAzureAttestation } from '../../src/issuer/azure/attest-server.ts'
import { AnswerKeys } from '../../src/issuer/azure/azure-answers.ts'
import type { AzureApp } from '../../src/issuer/azure/azure-server.ts'
import { openKeyRing } from '../../src/issuer/open-key-ring.ts'
import { certificateThumbprint, policyHash, policyTokenHash } from '../../src/policies/index.ts'
import { administratorToken, makeAzureFacade } from '../support/azure-facade.ts'
import { type ClientAnswer, ClientProcess } from '../support/client-process.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { makePolicySigner, type TestPolicySigner } from '../support/policy-signers.ts'
import { provedByClient } from '../support/proved-by-client.ts'
import { throwAwayTls } from '../support/throw-away-tls.ts'

/** RC-23, POL-901 to POL-905: the administration of policies by `@azure/attestation`, over TLS, against a running façade. */

provedByClient({
  packages: ['@azure/attestation'],
  doing: 'Azure Attestation: the administration of policies, and what is not attested',
})

const policyNumbered = (number: number) =>
  `version= 1.0;\r\nauthorizationrules { => permit(); };\r\nissuancerules { => issue(type="n", value=${number}); };\r\n`
const types = ['SgxEnclave', 'OpenEnclave', 'Tpm', 'TdxVm', 'SevSnpVm', 'AzureGuest']

describe('the administration client', () => {
  describe.each(['RS256', 'ES256'] as const)('with answers signed by %s', (algorithm) => {
    const folder = mkdtempSync(join(tmpdir(), 'attestd-azure-'))
    const [ec, rsa] = [makePolicySigner('P-256'), makePolicySigner('rsa')]
    let facade: Awaited<ReturnType<typeof makeAzureFacade>>
    let client: ClientProcess

    const clientWith = (token: string) => {
      const ca = join(folder, 'ca.pem')
      writeFileSync(ca, facade.ca)
      const environment = { ATTESTATION_URL: facade.issuer, ATTESTATION_TOKEN: token, NODE_EXTRA_CA_CERTS: ca }
      return ClientProcess.start('azure-attestation', environment)
    }
    const line = (call: string, given: unknown[]) => JSON.stringify({ call, arguments: given })
    const obtain = (call: string, ...given: unknown[]) => client.obtain(line(call, given))
    const refusal = async (call: string, ...given: unknown[]) => {
      const answer: ClientAnswer = await client.ask(line(call, given))
      return answer.ok ? 'done' : { code: answer.code, status: answer.status, message: answer.message }
    }

    beforeAll(async () => {
      facade = await makeAzureFacade({ algorithms: algorithm === 'RS256' ? ['RS256'] : ['RS256', 'ES256'] })
      if (algorithm === 'ES256') await leaveOnlyEs256(facade)
      await facade.listen()
      client = await clientWith(administratorToken)
    })
    afterAll(async () => {
      await client?.stop()
      await facade?.app.close()
      rmSync(folder, { recursive: true, force: true })
    })

    it('reads the metadata, and takes the signers, each with its certificate', async () => {
      expect(await obtain('getOpenIdMetadata')).toMatchObject({
        body: { issuer: facade.issuer, jwks_uri: `${facade.issuer}/certs` },
      })
      const { body } = await obtain('getAttestationSigners')
      const keys = facade.ring.list().filter(({ alg }) => alg === algorithm)
      for (const { kid } of keys)
        expect(body).toContainEqual({ keyId: kid, certificates: [expect.stringContaining('BEGIN')] })
    })

    it('gets the shipped policy of every type where none was set', async () => {
      for (const type of types) {
        const { body, claims, algorithm: used } = await obtain('getPolicy', type)
        expect(String(body)).toMatch(/^version=/)
        expect(claims).toMatchObject({
          iss: facade.issuer,
          'x-ms-policy': expect.stringMatching(/^eyJhbGciOiJub25lIn0\./),
        })
        expect(used).toBe(algorithm)
      }
    })

    it('sets a policy of every type, and gets it back', async () => {
      for (const [at, type] of types.entries()) {
        const { body, claims } = await obtain('setPolicy', type, policyNumbered(at))
        const active = await facade.policies.active(`type:${type}`)
        const tokenHash = policyTokenHash(active?.jws ?? '')
        expect(body).toMatchObject({ policyResolution: 'Updated', policyTokenHash: expect.anything() })
        expect(claims).toMatchObject({ 'x-ms-policy-result': 'Updated', 'x-ms-policy-token-hash': tokenHash })
        expect(claims).not.toHaveProperty('x-ms-policy-signer')
        expect((await obtain('getPolicy', type))['body']).toBe(policyNumbered(at))
      }
    })

    it('uploads text of any script; what it gets is the same JWS, though it garbles the text of it (POL-905)', async () => {
      const text = policyNumbered(1).replace('"n"', '"✓ né"')
      await obtain('setPolicy', 'TdxVm', text)
      const stored = await facade.policies.active('type:TdxVm')
      expect(Buffer.from(stored?.policy ?? []).toString()).toBe(text)
      expect(stored?.version.policyHash).toBe(policyHash(new TextEncoder().encode(text)))
      const { body, claims } = await obtain('getPolicy', 'TdxVm')
      expect(claims).toMatchObject({ 'x-ms-policy': stored?.jws })
      expect(body).not.toBe(text)
    })

    it('is told where a policy has a syntax error, and the active one stays (POL-803, POL-902)', async () => {
      const before = await facade.policies.active('type:TdxVm')
      const refused = await refusal('setPolicy', 'TdxVm', 'version= 1.0;\nauthorizationrules { => permit() };')
      expect(refused).toMatchObject({ status: 400, code: 'PolicyParsingError' })
      expect(JSON.stringify(refused)).toMatch(/Offending symbol: '}' Line: '2', Column: '\d+' Failure message: '/)
      expect(await facade.policies.active('type:TdxVm')).toEqual(before)
    })

    it.each([
      ['ES256', () => ec],
      ['RS256', () => rsa],
    ])('sets a policy signed with %s while signer mode is off, and is told who signed', async (alg, signerOf) => {
      const signer = signerOf()
      const { claims } = await obtain('setPolicy', 'TdxVm', policyNumbered(7), pemOf(signer))
      expect(claims).toMatchObject({
        'x-ms-policy-signer': { alg, use: 'sig', x5c: [derOf(signer).toString('base64')] },
      })
      expect((await facade.policies.active('type:TdxVm'))?.version).toMatchObject({ form: 'signed' })
    })

    it('resets a policy to the shipped one', async () => {
      expect((await obtain('resetPolicy', 'TdxVm'))['body']).toMatchObject({ policyResolution: 'Removed' })
      expect(await facade.policies.active('type:TdxVm')).toBeNull()
      expect((await obtain('resetPolicy', 'TdxVm'))['claims']).toMatchObject({ 'x-ms-policy-result': 'Removed' })
    })

    it('cannot add the first signer, whom the local administrator adds (POL-708)', async () => {
      expect((await obtain('getPolicyManagementCertificates'))['body']).toEqual([])
      const { privateKey, certificate } = pemOf(ec)
      expect(await refusal('addPolicyManagementCertificate', certificate, privateKey, certificate)).toMatchObject({
        status: 400,
        code: 'InvalidOperation',
      })
      await facade.signers.addLocally(derOf(ec), 'root')
      const { claims } = await obtain('getPolicyManagementCertificates')
      expect(claims).toMatchObject({
        'x-ms-policy-certificates': {
          keys: [{ kty: 'EC', alg: 'ES256', use: 'sig', x5c: [derOf(ec).toString('base64')] }],
        },
      })
    })

    it('needs a trusted signature for everything in signer mode (POL-704, POL-705, POL-904)', async () => {
      const operation = { status: 400, code: 'InvalidOperation' }
      expect(await refusal('setPolicy', 'TdxVm', policyNumbered(1))).toMatchObject(operation)
      expect(await refusal('setPolicy', 'TdxVm', policyNumbered(1), pemOf(rsa))).toMatchObject(operation)
      expect(await refusal('resetPolicy', 'Tpm')).toMatchObject(operation)
      expect(await facade.policies.active('type:Tpm')).not.toBeNull()
      expect((await obtain('setPolicy', 'TdxVm', policyNumbered(2), pemOf(ec)))['body']).toMatchObject({
        policyResolution: 'Updated',
      })
      expect((await obtain('resetPolicy', 'Tpm', pemOf(ec)))['body']).toMatchObject({ policyResolution: 'Removed' })
    })

    it('adds another signer, again without effect, and removes it; never the last one (POL-708)', async () => {
      const { privateKey, certificate } = pemOf(ec)
      const added = pemOf(rsa).certificate
      const thumbprint = certificateThumbprint(rsa.authority.certificate)
      const stranger = pemOf(rsa)
      const asStranger = [added, stranger.privateKey, stranger.certificate]
      expect(await refusal('addPolicyManagementCertificate', ...asStranger)).toMatchObject({ code: 'InvalidOperation' })
      for (let time = 0; time < 2; time++) {
        const { claims } = await obtain('addPolicyManagementCertificate', added, privateKey, certificate)
        expect(claims).toMatchObject({
          'x-ms-certificate-thumbprint': thumbprint,
          'x-ms-policycertificates-result': 'IsPresent',
        })
      }
      expect((await obtain('getPolicyManagementCertificates'))['body']).toHaveLength(2)
      for (let time = 0; time < 2; time++) {
        const { claims } = await obtain('removePolicyManagementCertificate', added, privateKey, certificate)
        expect(claims).toMatchObject({
          'x-ms-certificate-thumbprint': thumbprint,
          'x-ms-policycertificates-result': 'IsAbsent',
        })
      }
      expect(await refusal('removePolicyManagementCertificate', certificate, privateKey, certificate)).toMatchObject({
        code: 'InvalidOperation',
      })
      await facade.signers.removeLocally(derOf(ec), 'root')
      expect((await obtain('setPolicy', 'TdxVm', policyNumbered(3)))['body']).toMatchObject({
        policyResolution: 'Updated',
      })
    })

    it('is refused for a type that there is not, and without the token of an administrator', async () => {
      expect(await refusal('setPolicy', 'tdxvm', policyNumbered(1))).toMatchObject({
        status: 400,
        code: 'InvalidParameter',
      })
      const other = await clientWith('somebody-else')
      try {
        expect(await other.ask(line('setPolicy', ['TdxVm', policyNumbered(9)]))).toMatchObject({
          ok: false,
          status: 401,
          code: 'Unauthorized',
        })
      } finally {
        await other.stop()
      }
    })

    it('leaves each change in the audit log with the hashes before and after (POL-903)', async () => {
      const { changes, entries, bugs } = facade
      const sets = changes.filter(({ event }) => event !== 'policy.signer.added' && event !== 'policy.signer.removed')
      expect(sets.length).toBeGreaterThan(9)
      expect(new Set(changes.map(({ by }) => by))).toEqual(new Set(['ann', 'root']))
      expect(entries.filter(({ code }) => code === null).every(({ administrator }) => administrator === 'ann')).toBe(
        true,
      )
      expect(entries.at(-1)).toMatchObject({ administrator: null, operation: 'setPolicy', code: 'AZURE_UNAUTHORIZED' })
      expect(JSON.stringify([changes, entries])).not.toContain(administratorToken)
      expect(bugs).toEqual([])
    })

    it('gets answers that others verify too', async () => {
      const { body } = await facade.app.inject('/certs')
      const response = await facade.app.inject({
        url: '/policies/TdxVm?api-version=2020-10-01',
        headers: { authorization: `Bearer ${administratorToken}` },
      })
      const { token } = response.json()
      const { payload, protectedHeader } = await jwtVerify(token, createLocalJWKSet(JSON.parse(body)), {
        issuer: facade.issuer,
      })
      expect(Object.keys(protectedHeader).sort()).toEqual(['alg', 'kid', 'typ'])
      expect(Object.keys(payload).sort()).toEqual(['exp', 'iat', 'iss', 'nbf', 'x-ms-policy'])
    })
  })
})

/** The server beside the administration: of the methods of the client it has those that read, and refuses the others. */
describe('the attestation client', () => {
  const folder = mkdtempSync(join(tmpdir(), 'attestd-azure-'))
  let app: AzureApp
  let client: ClientProcess

  beforeAll(async () => {
    const { tls, ...options } = await attestationOptions()
    app = createAzureAttestation({ ...options, tls: tls.server })
    await app.listen({ host: '127.0.0.1', port: Number(new URL(options.issuer).port) })
    const ca = join(folder, 'ca.pem')
    writeFileSync(ca, tls.ca)
    client = await ClientProcess.start('azure-attestation', {
      ATTESTATION_URL: options.issuer,
      NODE_EXTRA_CA_CERTS: ca,
    })
  })
  afterAll(async () => {
    await client?.stop()
    await app?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  it('takes the signers, which are not those of the administration', async () => {
    const { body } = await client.obtain(JSON.stringify({ call: 'getAttestationSigners' }))
    expect(body).toEqual([{ keyId: expect.any(String), certificates: [expect.stringContaining('BEGIN')] }])
    await client.obtain(JSON.stringify({ call: 'getOpenIdMetadata' }))
  })

  it.each([
    ['attestSgxEnclave', { base64: 'AAAA' }],
    ['attestOpenEnclave', { base64: 'AAAA' }],
    ['attestTpm', '{}'],
  ])('is told that %s is not possible here (POL-915)', async (call, given) => {
    expect(await client.ask(JSON.stringify({ call, arguments: [given] }))).toMatchObject({
      ok: false,
      status: 400,
      code: 'InvalidOperation',
    })
  })
})

async function attestationOptions() {
  const clock = new FakeClock(Date.now())
  const ring = await openKeyRing({ purpose: 'azure-token', store: 'ephemeral', algorithms: ['RS256'], clock })
  return {
    ...{ issuer: `https://localhost:${await freePort()}`, tls: throwAwayTls(), keys: new AnswerKeys(ring), clock },
    appraiser: { appraise: () => expect.unreachable() },
    policies: { active: () => expect.unreachable() },
    judge: () => expect.unreachable(),
    random: (size: number) => new Uint8Array(randomBytes(size)),
  }
}

/** Rings have an RS256 key always: for this run it is as if there were none. */
async function leaveOnlyEs256({ ring }: Awaited<ReturnType<typeof makeAzureFacade>>): Promise<void> {
  const published = ring.published.bind(ring)
  ring.published = () => published().filter(({ alg }) => alg === 'ES256')
}

const derOf = ({ authority }: TestPolicySigner) => Buffer.from(authority.certificate.der)

/** Key and certificate as the client library takes them. */
function pemOf({ privateKey, authority }: TestPolicySigner) {
  return {
    privateKey: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    certificate: encodePem(authority.certificate.der, 'CERTIFICATE'),
  }
}
