import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { processClock } from '../../src/client/process-clock.ts'
import { runCommand } from '../support/run-command.ts'
import { attestdPayload, createTestIssuer, type Members } from '../support/test-issuer.ts'
import { openRoom, policyFrom } from '../support/workload-room.ts'

/** The examples of docs/proof-of-possession.md, run as they stand there: a workload of one, a service of the other. */

const root = resolve(import.meta.dirname, '../..')
const page = readFileSync(join(root, 'docs/proof-of-possession.md'), 'utf8')
const [workload = '', service = ''] = [...page.matchAll(/^```js\n(.*?)^```$/gms)].map(([, text = '']) => text)
const audience = 'https://payments.example'
const image = 'aa'.repeat(48)
const clock = { ...processClock, boottime: () => performance.now() }
const rule = { id: 'payments', match: { uid: 1001 }, allow: { methods: ['token'], audiences: [audience] } }
const signer = createTestIssuer('ES256')

/** One change that must be possible: otherwise the page says something else than this file believes. */
function changed(text: string, from: string, to: string): string {
  expect(text).toContain(from)
  return text.replace(from, to)
}

function example(text: string): string {
  return text.replaceAll(/'attestd\/([a-z-]+)'/g, (_, room) => JSON.stringify(join(root, 'dist/src', room, 'index.js')))
}

function payloadFor(cnf: Members | null): Members {
  const now = Math.floor(clock.now() / 1000)
  const { gpu: _, cnf: __, azp: ___, ...payload } = attestdPayload()
  const times = { iat: now - 5, nbf: now - 5, auth_time: now - 5, exp: now + 300 }
  const attestd = { ...(payload['attestd'] as Members), appraisedAt: now - 5, binding: [] }
  const about = { iss: 'https://verifier.example', aud: audience, tee: 'tdx', acr: 'urn:attestd:acr:tdx' }
  return { ...payload, ...about, ...times, attestd, ...(cnf === null ? {} : { cnf }) }
}

describe('the examples of docs/proof-of-possession.md', () => {
  let folder: string
  let server: ChildProcess
  let url: string

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'attestd-page-'))
    const keys = JSON.stringify({ jwks: { keys: [signer.jwk] } })
    const listening = changed(example(service), 'keys: { discovery: {} }', `keys: ${keys}`).trimEnd()
    const started = '.listen(0, "127.0.0.1", function () { console.log(this.address().port) })'
    writeFileSync(join(folder, 'service.mjs'), `const trustedImage = '${image}'\n${listening}${started}\n`)
    server = spawn(process.execPath, [join(folder, 'service.mjs')], { stdio: ['ignore', 'pipe', 'inherit'] })
    const [port] = await once(server.stdout ?? process, 'data')
    url = `http://127.0.0.1:${String(port).trim()}/charges`
  })
  afterAll(() => {
    server.kill()
    rmSync(folder, { recursive: true })
  })

  async function run(name: string, after: string, isBound = true): Promise<string> {
    const room = await openRoom({ clock, policy: policyFrom([rule]) })
    room.provider.answer = async ({ cnf }) => ({
      token: signer.sign(payloadFor(cnf && isBound ? { jkt: cnf.jkt } : null)),
    })
    const call = `const call = async (headers) => {
      const answer = await fetch(${JSON.stringify(url)}, { method: 'POST', headers })
      console.log(answer.status, answer.headers.get('www-authenticate') ?? await answer.text())
    }`
    writeFileSync(join(folder, name), `${example(workload)}\n${call}\n${after}\n`)
    const ended = await runCommand(process.execPath, [join(folder, name)], {
      environment: { ATTESTD_SOCKET: room.path },
    })
    expect([ended.err, ended.code]).toEqual(['', 0])
    return ended.out
  }

  it('work together, once per proof', async () => {
    const said = await run('good.mjs', 'await call(headers)\nawait call(headers)')
    expect(said).toMatch(/^200 attestd:v1:workload:\S+\n401 DPoP error="invalid_dpop_proof".*used before/)
  })

  it('refuse a thief: no proof, a proof of another key, a bearer token', async () => {
    const said = await run(
      'thief.mjs',
      `await call({})
      await call({ ...headers, dpop: createProofKey().prove({ method: 'POST', url, token }) })
      await call({ authorization: headers.authorization })
      await call({ ...headers, authorization: \`Bearer \${token}\` })`,
    )
    expect(said.split('\n').map((line) => line.slice(0, 15))).toEqual([
      '401 DPoP algs="',
      ...['401 DPoP error=', '401 DPoP error=', '401 DPoP error='],
      '',
    ])
  })

  it('refuse a token that is bound to no key, with a proof and all', async () => {
    expect(await run('unbound.mjs', 'await call(headers)', false)).toMatch(/^401 .*bound to/)
  })
})
