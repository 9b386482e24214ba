import { join } from 'node:path'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import * as client from 'openid-client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { AgentHome, AgentProcess, audience, freePort, partOf } from '../support/agent-process.ts'
import { runAttestd, runCommand } from '../support/run-command.ts'
import { haveSwtpm } from '../support/swtpm.ts'
import { useTpmMachine } from '../support/tpm-machine.ts'

/** A token that curl fetched from the running agent, and what others say of it. */

function tampered(token: string, change: (claims: Record<string, unknown>) => void): string {
  const claims = partOf(token, 'payload')
  change(claims)
  const [header, , signature] = token.split('.')
  return [header, Buffer.from(JSON.stringify(claims)).toString('base64url'), signature].join('.')
}

describe.skipIf(!haveSwtpm)('a token that a workload fetches with curl', () => {
  const { machine, folder } = useTpmMachine()
  let agent: AgentProcess
  let issuer: string
  let token: string
  let fetched: { readonly headers: string; readonly body: string }

  beforeAll(async () => {
    issuer = `http://127.0.0.1:${await freePort()}`
    const listen = `listen = "${issuer.slice('http://'.length)}"`
    const lines = { issuer: [`url = "${issuer}"`, listen, 'allow_http_loopback = true'] }
    agent = await AgentProcess.start(new AgentHome(join(folder, 'agent'), machine(), lines))
    const url = `http://localhost/v1/token?audience=${encodeURIComponent(audience)}`
    const { out, code } = await runCommand('curl', ['-sSi', '--unix-socket', agent.home.path('api.sock'), url])
    expect(code).toBe(0)
    const [headers = '', body = ''] = out.split('\r\n\r\n')
    fetched = { headers, body }
    token = body
  })
  afterAll(() => agent?.stop())

  const verify = (text: string, ...more: string[]) =>
    runAttestd(
      ['verify', '-', '--issuer', issuer, '--audience', audience, '--allow-http-loopback', '--json', ...more],
      { input: text },
    )
  const failed = (out: string): string[] =>
    JSON.parse(out)
      .findings.filter(({ outcome }: { outcome: string }) => outcome === 'failed')
      .map(({ id }: { id: string }) => id)

  it('comes bare, without a newline, with its times in the headers', () => {
    expect(fetched.headers).toMatch(/^HTTP\/1\.1 200 /)
    expect(fetched.headers).toMatch(/^content-type: application\/jwt\r?$/im)
    expect(fetched.headers).toMatch(/^cache-control: no-store\r?$/im)
    expect(token).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/)
    const { exp } = partOf(token, 'payload')
    expect(fetched.headers.toLowerCase()).toContain(`attestd-expires-at: ${exp}`)
  })

  it('is accepted by jose, which finds the keys through the discovery document', async () => {
    const discovery = await fetch(`${issuer}/.well-known/openid-configuration`)
    const { issuer: named, jwks_uri: keys } = (await discovery.json()) as Record<string, string>
    expect(named).toBe(issuer)
    const { payload } = await jwtVerify(token, createRemoteJWKSet(new URL(keys ?? '')), { issuer, audience })
    expect(payload).toMatchObject({ tee: 'tpm', acr: 'urn:attestd:acr:simulated', attestd: { simulated: true } })
    const other = jwtVerify(token, createRemoteJWKSet(new URL(keys ?? '')), {
      issuer,
      audience: 'https://other.example',
    })
    await expect(other).rejects.toThrow('aud')
  })

  it('is accepted by openid-client as an ID token, signature checked', async () => {
    const redeem = async (idToken: string) => {
      const execute = [client.allowInsecureRequests, client.enableNonRepudiationChecks]
      const found = await client.discovery(new URL(issuer), audience, undefined, client.None(), { execute })
      const metadata = Object.assign({}, found.serverMetadata(), { token_endpoint: `${issuer}/token` })
      const configuration = new client.Configuration(metadata, audience, undefined, client.None())
      for (const enable of execute) enable(configuration)
      // The agent has no token endpoint: workloads hand their token over in other ways.
      configuration[client.customFetch] = async (url, options) =>
        url === `${issuer}/token`
          ? Response.json({ access_token: 'opaque', token_type: 'Bearer', id_token: idToken })
          : fetch(url, options as RequestInit)
      const callback = new URL('https://rp.example/callback?code=abc')
      const checks = { pkceCodeVerifier: client.randomPKCECodeVerifier(), idTokenExpected: true }
      return (await client.authorizationCodeGrant(configuration, callback, checks)).claims()
    }
    expect(await redeem(token)).toMatchObject({ iss: issuer, aud: audience, tee: 'tpm' })
    const forged = tampered(token, (claims) => {
      claims['acr'] = 'urn:attestd:acr:tdx'
    })
    const refusal = await redeem(forged).catch((error: Error) => String((error.cause as Error | undefined)?.message))
    expect(refusal).toContain('signature')
  })

  it('is accepted by `attestd verify`, and only where simulated hardware is', async () => {
    const accepted = await verify(token, '--allow-simulated', '--require-commitment')
    expect(accepted.code, accepted.err).toBe(0)
    expect(JSON.parse(accepted.out)).toMatchObject({ affirmed: true })
    const refused = await verify(token)
    expect(refused.code).toBe(1)
    expect(failed(refused.out)).toEqual(['token.simulated'])
  })

  it.each<[string, string, (text: string) => string]>([
    [
      'another subject',
      'token.signature',
      (text) =>
        tampered(text, (claims) => {
          claims['sub'] = 'attestd:v1:ek:other'
        }),
    ],
    [
      'another signature',
      'token.signature',
      (text) => {
        const [header, payload, signature = ''] = text.split('.')
        const bytes = Buffer.from(signature, 'base64url')
        bytes[10] = (bytes[10] ?? 0) ^ 1
        return [header, payload, bytes.toString('base64url')].join('.')
      },
    ],
    [
      'no algorithm',
      'token.algorithm',
      (text) => {
        const [, payload, signature] = text.split('.')
        return [Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url'), payload, signature].join('.')
      },
    ],
  ])('with %s is refused by `attestd verify`: %s', async (_, finding, change) => {
    const { code, out, err } = await verify(change(token), '--allow-simulated')
    expect(failed(out)).toEqual([finding])
    expect(code).toBe(1)
    expect(err).toContain('TOKEN_REFUSED')
  })

  it('is refused by `attestd verify` for another audience', async () => {
    const args = ['verify', token, '--issuer', issuer, '--audience', 'https://other.example']
    const { code, out } = await runAttestd([...args, '--allow-http-loopback', '--allow-simulated', '--json'])
    expect([code, failed(out)]).toEqual([1, ['token.audience']])
  })

  it('is the same that `attestd token` prints', async () => {
    const { code, out } = await runAttestd(['token', '--audience', audience, '--socket', agent.home.path('api.sock')])
    expect([code, out]).toEqual([0, token])
  })

  it('with a nonce is another one, carries the nonce, and is given to one caller only', async () => {
    const nonces = ['nonce-of-the-relying-party']
    const [one, other] = [await agent.token({ nonces }), await agent.token({ nonces })]
    expect(partOf(one, 'payload')).toMatchObject({ eat_nonce: nonces[0] })
    expect(new Set([token, one, other].map((text) => partOf(text, 'payload')['jti'])).size).toBe(3)
    const { code } = await verify(one, '--allow-simulated', '--nonce', nonces[0] ?? '')
    expect(code).toBe(0)
    const refused = await verify(one, '--allow-simulated', '--nonce', 'nonce-of-somebody-else')
    expect(failed(refused.out)).toEqual(['token.nonce'])
  })
})
