import { createHash, randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createLocalJWKSet, decodeJwt, type JSONWebKeySet, jwtVerify } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { encodePem } from '../../src/base/pki/pem.ts'
import { certificateThumbprint } from '../../src/policies/index.ts'
import {
  type AzureVerifierHome,
  askForTd,
  askOverTls,
  azureVerifierHome,
  type TlsAnswer,
} from '../support/azure-verifier.ts'
import { ClientProcess } from '../support/client-process.ts'
import { makePolicySigner, type TestPolicySigner } from '../support/policy-signers.ts'
import { provedByClient } from '../support/proved-by-client.ts'
import { useTdMachine } from '../support/td-machine.ts'
import { VerifierProcess } from '../support/verifier-process.ts'

/** RC-23, POL-901 to POL-914: `attestd verifier` in a process of its own, administered over TLS by `@azure/attestation`. */

provedByClient({
  packages: ['@azure/attestation'],
  doing: 'Azure Attestation: policies that decide in a running verifier service',
})

const types = ['SgxEnclave', 'OpenEnclave', 'Tpm', 'TdxVm', 'SevSnpVm', 'AzureGuest']
const permitting = (level: number) =>
  `version= 1.2;\nauthorizationrules {\n  => permit();\n};\nissuancerules {\n  => issue(type="level", value=${level});\n};\n`
const denying = 'version= 1.2;\nauthorizationrules {\n  => permit();\n  => deny();\n};\nissuancerules {};\n'
const hashOf = (text: string) => createHash('sha256').update(text).digest('base64url')

const [ec, rsa] = [makePolicySigner('P-256'), makePolicySigner('rsa')]

/** Key and certificate as the client library takes them. */
const pemOf = ({ privateKey, authority }: TestPolicySigner) => ({
  privateKey: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
  certificate: encodePem(authority.certificate.der, 'CERTIFICATE'),
})

/** A client of the administration, or of the attestation. */
class Client {
  readonly #process: ClientProcess

  private constructor(process: ClientProcess) {
    this.#process = process
  }

  static async open(home: AzureVerifierHome, url = home.urls.administration, token = home.token): Promise<Client> {
    const ca = join(home.folder, 'ca.pem')
    writeFileSync(ca, home.ca)
    const environment = { ATTESTATION_URL: url, ATTESTATION_TOKEN: token, NODE_EXTRA_CA_CERTS: ca }
    return new Client(await ClientProcess.start('azure-attestation', environment))
  }

  readonly obtain = (call: string, ...given: readonly unknown[]) =>
    this.#process.obtain(JSON.stringify({ call, arguments: given }))

  /** Claims of the answer, which the client has verified. */
  readonly claims = async (call: string, ...given: readonly unknown[]) =>
    (await this.obtain(call, ...given))['claims'] as Readonly<Record<string, unknown>>

  /** Status and code of a refusal. */
  readonly refusal = async (call: string, ...given: readonly unknown[]) => {
    const answer = await this.#process.ask(JSON.stringify({ call, arguments: given }))
    return answer.ok ? 'done' : [answer.status, answer.code]
  }

  readonly stop = () => this.#process.stop()
}

describe('a verifier service with both façades', () => {
  const { machine, folder } = useTdMachine()
  let home: AzureVerifierHome
  let verifier: VerifierProcess
  let client: Client

  beforeAll(async () => {
    const verifierLines = [`tdx_anchors = ["${machine().root}"]`]
    home = await azureVerifierHome(join(folder, 'verifier'), machine(), { verifier: verifierLines })
    verifier = await VerifierProcess.start(home)
    client = await Client.open(home)
  })
  afterAll(async () => {
    await client?.stop()
    await verifier?.stop()
  })

  /** The answer about a new quote over these runtime data. */
  const attest = (runtimeData: object = { key: randomBytes(16).toString('hex') }): Promise<TlsAnswer> => {
    const data = Buffer.from(JSON.stringify(runtimeData))
    const reportData = Buffer.concat([createHash('sha256').update(data).digest(), Buffer.alloc(32)])
    const quote = Buffer.from(machine().sim.quote({ reportData: new Uint8Array(reportData) })).toString('base64url')
    return askForTd(home, { quote, runtimeData: { data: data.toString('base64url'), dataType: 'JSON' } })
  }
  const administer = async (...args: readonly string[]) => {
    const { code, out, err } = await verifier.administer(...args)
    if (code !== 0) throw new Error(`${args.join(' ')}: ${err}`)
    return out
  }
  const history = async (type: string) => JSON.parse(await administer('policies', 'history', '--type', type, '--json'))
  const fileWith = (name: string, text: string) => {
    const file = join(home.folder, name)
    writeFileSync(file, text)
    return file
  }
  const keySetAt = async (url: string): Promise<JSONWebKeySet> => {
    const { text } = url.startsWith('https:')
      ? await askOverTls(url, home.ca)
      : { text: await (await fetch(url)).text() }
    return JSON.parse(text)
  }
  const keySets = async () => ({
    attestation: await keySetAt(`${home.urls.attestation}/certs`),
    administration: await keySetAt(`${home.urls.administration}/certs`),
    api: await keySetAt(`${home.url}/jwks.json`),
  })

  it('takes the policy of every type, gives it back, and resets it to the shipped one (POL-901, POL-904)', async () => {
    for (const [at, type] of types.entries()) {
      const shipped = (await client.obtain('getPolicy', type))['body']
      expect(await client.claims('setPolicy', type, permitting(at))).toMatchObject({ 'x-ms-policy-result': 'Updated' })
      expect((await client.obtain('getPolicy', type))['body']).toBe(permitting(at))
      expect(await client.claims('resetPolicy', type)).toMatchObject({ 'x-ms-policy-result': 'Removed' })
      expect((await client.obtain('getPolicy', type))['body']).toBe(shipped)
    }
  })

  it('decides about TDs by the policy that the client set, which the token names by its hash (POL-710, POL-911)', async () => {
    expect((await attest()).json).toMatchObject({ error: { code: 'PolicyEvaluationError' } })
    const set = await client.claims('setPolicy', 'TdxVm', permitting(7))
    const jws = String((await client.claims('getPolicy', 'TdxVm'))['x-ms-policy'])
    expect(set).toMatchObject({ 'x-ms-policy-token-hash': hashOf(jws) })
    const runtime = { key: 'ab'.repeat(16) }
    const { status, json } = await attest(runtime)
    expect(status).toBe(200)
    const keys = createLocalJWKSet(await keySetAt(`${home.urls.attestation}/certs`))
    const { payload } = await jwtVerify(json.token, keys, { issuer: home.urls.attestation })
    expect(payload).toMatchObject({
      ...{ 'x-ms-attestation-type': 'tdxvm', 'x-ms-runtime': runtime, 'x-ms-policy': { level: 7 } },
      'x-ms-policy-hash': hashOf(String(decodeJwt(jws)['AttestationPolicy'])),
      attestd: { simulated: true },
    })
    const { versions, active } = await history('TdxVm')
    expect(versions[0]).toMatchObject({ number: active, policyHash: payload['x-ms-policy-hash'] })
  })

  it('says why a policy denied, and where (POL-914)', async () => {
    await client.obtain('setPolicy', 'TdxVm', denying)
    const { status, json } = await attest()
    expect([status, json.error.code]).toEqual([400, 'PolicyEvaluationError'])
    expect(json.error.message).toBe(
      'Policy Engine Exception: A Deny claim was issued, authorization failed. (deny-rule, line 4)',
    )
    await client.obtain('setPolicy', 'TdxVm', permitting(8))
    expect((await attest()).status).toBe(200)
  })

  it('keeps the policy that decides when a client sends one that does not load (POL-803, POL-902)', async () => {
    expect(await client.refusal('setPolicy', 'TdxVm', 'version= 1.0;\nauthorizationrules { => permit() };')).toEqual([
      400,
      'PolicyParsingError',
    ])
    expect(decodeJwt((await attest()).json.token)).toMatchObject({ 'x-ms-policy': { level: 8 } })
  })

  it('has one history for both administrations, with who set what (POL-709, POL-903)', async () => {
    await client.obtain('setPolicy', 'TdxVm', permitting(20))
    const locally = permitting(21)
    await administer('policies', 'set', '--type', 'TdxVm', fileWith('locally.policy', locally))
    expect((await client.obtain('getPolicy', 'TdxVm'))['body']).toBe(locally)
    expect(decodeJwt((await attest()).json.token)).toMatchObject({ 'x-ms-policy': { level: 21 } })
    const { activations, versions } = await history('TdxVm')
    const local = `uid:${process.getuid?.()}`
    expect(activations.slice(0, 2).map(({ by }: { by: string }) => by)).toEqual([local, 'ann'])
    expect(versions.slice(0, 2).map(({ by, form }: Record<string, string>) => [by, form])).toEqual([
      [local, 'text'],
      ['ann', 'unsigned'],
    ])
    const shown = await administer('policies', 'history', '--type', 'TdxVm')
    expect(shown).toMatch(/ {2}set {7}version \d+ -> version \d+ {2}by ann\n/)
    await client.obtain('resetPolicy', 'TdxVm')
    expect((await history('TdxVm')).active).toBeNull()
  })

  it('trusts signers from the first, whom the machine adds, to the last, whom it removes (POL-704, POL-708)', async () => {
    const [own, other] = [pemOf(ec), pemOf(rsa)]
    const refused = [400, 'InvalidOperation']
    expect(
      await client.refusal('addPolicyManagementCertificate', other.certificate, own.privateKey, own.certificate),
    ).toEqual(refused)
    await administer('signers', 'add', fileWith('signer.pem', own.certificate))
    expect(await client.refusal('setPolicy', 'TdxVm', permitting(30))).toEqual(refused)
    expect(await client.refusal('setPolicy', 'TdxVm', permitting(30), other)).toEqual(refused)
    const set = await client.claims('setPolicy', 'TdxVm', permitting(30), own)
    expect(set).toMatchObject({ 'x-ms-policy-signer': { alg: 'ES256' } })
    expect(decodeJwt((await attest()).json.token)).toMatchObject({
      ...{ 'x-ms-policy': { level: 30 }, 'x-ms-policy-signer': set['x-ms-policy-signer'] },
    })
    const change = (what: string) =>
      client.claims(`${what}PolicyManagementCertificate`, other.certificate, own.privateKey, own.certificate)
    const thumbprint = certificateThumbprint(rsa.authority.certificate)
    expect(await change('add')).toMatchObject({ 'x-ms-certificate-thumbprint': thumbprint })
    expect((await client.obtain('getPolicyManagementCertificates'))['body']).toHaveLength(2)
    await client.obtain('setPolicy', 'TdxVm', permitting(31), other)
    expect(await change('remove')).toMatchObject({ 'x-ms-policycertificates-result': 'IsAbsent' })
    expect(await client.refusal('setPolicy', 'TdxVm', permitting(32), other)).toEqual(refused)
    const last = await client.refusal(
      'removePolicyManagementCertificate',
      own.certificate,
      own.privateKey,
      own.certificate,
    )
    expect(last).toEqual(refused)
    const { trusted, former } = JSON.parse(await administer('signers', 'list', '--json'))
    expect([trusted.length, former.map(({ removed }: { removed: { by: string } }) => removed.by)]).toEqual([1, ['ann']])
    await administer('signers', 'remove', trusted[0].keySha256)
    expect(await client.claims('setPolicy', 'TdxVm', permitting(33))).toMatchObject({ 'x-ms-policy-result': 'Updated' })
  })

  it('knows its administrators by their tokens, and logs neither these nor those of others (POL-903)', async () => {
    for (const token of ['', Buffer.alloc(32, 1).toString('base64'), home.token.toLowerCase()]) {
      const stranger = await Client.open(home, home.urls.administration, token)
      expect(await stranger.refusal('setPolicy', 'TdxVm', denying)).toEqual([401, 'Unauthorized'])
      expect(await stranger.refusal('getPolicy', 'TdxVm')).toEqual([401, 'Unauthorized'])
      await stranger.stop()
      if (token.length > 0) expect(verifier.log).not.toContain(token)
    }
    expect(verifier.log).toContain('"code":"AZURE_UNAUTHORIZED"')
    expect(verifier.log).toMatch(/"event":"policy\.set","slot":"type:TdxVm".*"by":"ann"/)
    expect(verifier.log).not.toContain(home.token)
    expect((await attest()).status).toBe(200)
  })

  it('attests no other evidence, and names its signers, to a client of the attestation (POL-915)', async () => {
    const attestation = await Client.open(home, home.urls.attestation)
    const { keys } = await keySetAt(`${home.urls.attestation}/certs`)
    const { body } = await attestation.obtain('getAttestationSigners')
    expect(body).toEqual(keys.map(({ kid }) => ({ keyId: kid, certificates: [expect.stringContaining('BEGIN')] })))
    expect(await attestation.refusal('attestSgxEnclave', { base64: 'AAAA' })).toEqual([400, 'InvalidOperation'])
    expect(await attestation.refusal('attestTpm', '{}')).toEqual([400, 'InvalidOperation'])
    await attestation.stop()
  })

  it('signs with other keys at each of its three surfaces, so that no token passes for one of another (TOK-50)', async () => {
    const sets = await keySets()
    const all = Object.values(sets).flatMap(({ keys }) => keys)
    expect(Object.values(sets).map(({ keys }) => keys.length)).toEqual([1, 1, 1])
    expect(new Set(all.map(({ kid }) => kid)).size).toBe(all.length)
    expect(new Set(all.map(({ n }) => n)).size).toBe(all.length)
    const { token } = (await attest()).json
    const answer = await askOverTls(`${home.urls.administration}/policies/TdxVm?api-version=2020-10-01`, home.ca, {
      headers: { authorization: `Bearer ${home.token}` },
    })
    const verify = (jwt: string, keySet: JSONWebKeySet) => jwtVerify(jwt, createLocalJWKSet(keySet))
    await verify(token, sets.attestation)
    await verify(answer.json.token, sets.administration)
    for (const [jwt, keySet] of [
      [token, sets.administration],
      [token, sets.api],
      [answer.json.token, sets.attestation],
      [answer.json.token, sets.api],
    ] as const) {
      await expect(verify(jwt, keySet)).rejects.toMatchObject({ code: 'ERR_JWKS_NO_MATCHING_KEY' })
    }
    expect([token, answer.json.token].map((jwt) => decodeJwt(jwt).iss)).toEqual([
      home.urls.attestation,
      home.urls.administration,
    ])
  })

  it('has policies, signers, history and keys after a kill as before', async () => {
    const own = pemOf(ec)
    await administer('signers', 'add', fileWith('signer.pem', own.certificate))
    await client.obtain('setPolicy', 'TdxVm', permitting(40), own)
    const everything = async () => ({
      policies: [await history('TdxVm'), await history('Tpm')],
      signers: await administer('signers', 'list', '--json'),
      keys: Object.values(await keySets()).map(({ keys }) => keys.map(({ kid, n }) => [kid, n])),
    })
    const before = await everything()
    await verifier.kill()
    verifier = await VerifierProcess.start(home)
    expect(await everything()).toEqual(before)
    expect((await client.obtain('getPolicy', 'TdxVm'))['body']).toBe(permitting(40))
    expect(await client.refusal('setPolicy', 'TdxVm', permitting(41))).toEqual([400, 'InvalidOperation'])
    expect(decodeJwt((await attest()).json.token)).toMatchObject({ 'x-ms-policy': { level: 40 } })
  }, 120_000)
})
