import { generateKeyPairSync } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AttestdClient, createClient, createProofKey } from '../../src/client/index.ts'
import { createTokenVerifier, DistrustedError, proofChallenge, readDpopRequest } from '../../src/relying-party/index.ts'
import { AgentHome, AgentProcess, audience, freePort, partOf } from '../support/agent-process.ts'
import { rawRequest } from '../support/raw-http.ts'
import { runAttestd } from '../support/run-command.ts'
import { haveSwtpm } from '../support/swtpm.ts'
import { useTpmMachine } from '../support/tpm-machine.ts'
import { post } from '../support/workload-room.ts'

/** A key of a workload, from the socket of a running agent to a service that demands proof of it (TOK-140 to TOK-143). */
describe.skipIf(!haveSwtpm)('a token that is bound to a key of the workload', () => {
  const { machine, folder } = useTpmMachine()
  let agent: AgentProcess
  let client: AttestdClient
  let service: Server
  let issuer: string
  let origin: string

  beforeAll(async () => {
    issuer = `http://127.0.0.1:${await freePort()}`
    const listen = `listen = "${issuer.slice('http://'.length)}"`
    const lines = { issuer: [`url = "${issuer}"`, listen, 'allow_http_loopback = true'] }
    agent = await AgentProcess.start(new AgentHome(join(folder, 'agent'), machine(), lines))
    client = createClient({ socket: agent.home.path('api.sock') })
    const verifier = createTokenVerifier({
      issuer,
      audience,
      tee: ['tpm'],
      measurements: null,
      allowSimulated: true,
      requirePossession: true,
      keys: { discovery: { allowLoopbackHttp: true } },
    })
    origin = `http://127.0.0.1:${await freePort()}`
    service = createServer(async (request, response) => {
      const found = readDpopRequest(request, origin)
      try {
        const { confirmation } = await verifier.accept(
          found?.token ?? '',
          found ? { possession: found.possession } : {},
        )
        response.end(JSON.stringify(confirmation))
      } catch (error) {
        if (!(error instanceof DistrustedError)) return response.writeHead(500).end()
        response.writeHead(401, { 'www-authenticate': proofChallenge(error.proof) }).end()
      }
    })
    await new Promise<void>((resolve) => service.listen(Number(new URL(origin).port), '127.0.0.1', resolve))
  })
  afterAll(async () => {
    client?.close()
    service?.close()
    await agent?.stop()
  })

  const call = async (token: string, proof: string | null, path = '/charges') => {
    const headers = { authorization: `DPoP ${token}`, ...(proof === null ? {} : { dpop: proof }) }
    const answer = await fetch(`${origin}${path}`, { method: 'POST', headers })
    return { status: answer.status, body: await answer.text(), challenge: answer.headers.get('www-authenticate') ?? '' }
  }

  it('names its thumbprint, is accepted with a proof, once, and refused without', async () => {
    const key = createProofKey()
    const { token } = await client.fetchToken({ audience, proofKey: key })
    expect(partOf(token, 'payload')).toMatchObject({ cnf: { jkt: key.jkt }, amr: ['swk'] })
    const proof = key.prove({ method: 'POST', url: `${origin}/charges?a=1`, token })
    expect(await call(token, proof)).toMatchObject({ status: 200, body: JSON.stringify({ jkt: key.jkt }) })
    expect(await call(token, proof)).toMatchObject({
      status: 401,
      challenge: expect.stringContaining('not used before'),
    })
    expect((await call(token, null)).status).toBe(401)
    expect((await call(token, key.prove({ method: 'POST', url: `${origin}/other`, token }))).status).toBe(401)
  })

  it('is of no use to the holder of another token or another key', async () => {
    const [mine, thief] = [createProofKey(), createProofKey()]
    const { token } = await client.fetchToken({ audience, proofKey: mine })
    const { token: own } = await client.fetchToken({ audience, proofKey: thief })
    const { token: unbound } = await client.fetchToken({ audience })
    expect(new Set([token, own, unbound]).size).toBe(3)
    const request = { method: 'POST', url: `${origin}/charges` }
    const stolen = await call(token, thief.prove({ ...request, token }))
    expect([stolen.status, stolen.challenge]).toEqual([
      401,
      expect.stringContaining('the one that the token is bound to'),
    ])
    expect((await call(token, mine.prove({ ...request, token: own }))).status).toBe(401)
    expect((await call(unbound, mine.prove({ ...request, token: unbound }))).status).toBe(401)
  })

  it('is never made for a private key: the caller learns that it gave it away (API-111)', async () => {
    const jwk = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' })
    const answer = await rawRequest(agent.home.path('api.sock'), post('/v1/token', { audience, cnf: { jwk } }))
    expect([answer.status, JSON.parse(answer.body)]).toMatchObject([
      400,
      { code: 'invalid_request', field: 'cnf.jwk.d' },
    ])
    expect(answer.body).not.toContain(jwk.d)
    expect(agent.log).not.toContain(jwk.d)
  })

  it('is judged by `attestd verify --dpop`, proof and all', async () => {
    const key = createProofKey()
    const { token } = await client.fetchToken({ audience, proofKey: key })
    const url = 'https://payments.example/charges'
    const proof = key.prove({ method: 'POST', url, token, nonce: 'n-1' })
    const asked = [
      'verify',
      token,
      '--issuer',
      issuer,
      '--audience',
      audience,
      '--allow-http-loopback',
      '--allow-simulated',
    ]
    const good = await runAttestd([...asked, '--dpop', proof, '--method', 'POST', '--url', url, '--dpop-nonce', 'n-1'])
    expect([good.err, good.code]).toEqual(['', 0])
    expect(good.out).toMatch(/^passed +token\.possession /m)
    expect(good.out).toMatch(/^passed +proof\.binding /m)
    const bad = await runAttestd([...asked, '--dpop', proof, '--url', url])
    expect([bad.code, bad.err]).toEqual([1, expect.stringContaining('token.possession: proof.method: htm is "POST"')])
    expect(bad.out).toMatch(/^FAILED +proof\.method /m)
    const usage = await runAttestd([...asked, '--dpop', proof])
    expect([usage.code, usage.err]).toEqual([78, expect.stringContaining('--dpop needs --url')])
  })
})
