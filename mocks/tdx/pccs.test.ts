import { get } from 'node:http'
import { request as tlsRequest } from 'node:https'
import { afterEach, describe, expect, it } from 'vitest'
import { encodePem, parsePem, parsePemBlocks } from '../../src/base/pki/pem.ts'
import { parseCrl } from '../../src/base/pki/revocation-list.ts'
import { serialText } from '../../src/base/pki/serial-number.ts'
import { parseQeIdentity } from '../../src/endorsements/tdx/qe-identity.ts'
import { parseTcbInfo } from '../../src/endorsements/tdx/tcb-info.ts'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { createRoot, issueDer } from '../../test/support/test-ca.ts'
import { generateKeys } from '../../test/support/test-ca-schema.ts'
import { type PccsOptions, type RunningPccs, startPccs } from './pccs.ts'
import type { PccsFault } from './pccs-faults.ts'
import { createPki } from './pki.ts'
import { defaultPlatform } from './platform.ts'

const now = Date.UTC(2026, 5, 1)
const pki = createPki(now)
const running: RunningPccs[] = []
afterEach(async () => {
  for (const pccs of running.splice(0)) await pccs.close()
})

async function started(more: Partial<PccsOptions> = {}): Promise<RunningPccs> {
  const pccs = await startPccs({ pki, clock: new FakeClock(now), ...more })
  running.push(pccs)
  return pccs
}

interface Received {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Uint8Array
}

/** Rejects where the connection breaks before the end of the answer. */
function fetched(url: string): Promise<Received> {
  return new Promise((resolve, reject) => {
    get(url, { maxHeaderSize: 262_144, agent: false }, (answer) => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.on('error', reject)
      answer.on('end', () => {
        const body = new Uint8Array(Buffer.concat(chunks))
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body })
      })
    }).on('error', reject)
  })
}

const text = ({ body }: Received) => Buffer.from(body).toString('utf8')
const { fmspc } = defaultPlatform
const tdxTcb = `/tdx/certification/v4/tcb?fmspc=${fmspc}`

/** The inner object as it stands in the body. */
function inner(received: Received, member: string): string {
  const [, found = ''] = new RegExp(`^\\{"${member}":(.*),"signature":"[0-9a-f]{128}"\\}$`).exec(text(received)) ?? []
  return found
}

describe('the simulated provisioning service (TDX-285)', () => {
  it('serves TCB info of v4 for both TEEs, and of version 2 under v3', async () => {
    const { url } = await started()
    const tdx = await fetched(`${url}${tdxTcb}`)
    expect(parseTcbInfo(inner(tdx, 'tcbInfo'))).toMatchObject({ id: 'TDX', version: 3, fmspc })
    const sgx = await fetched(`${url}/sgx/certification/v4/tcb?fmspc=${fmspc.toUpperCase()}`)
    expect(parseTcbInfo(inner(sgx, 'tcbInfo'))).toMatchObject({ id: 'SGX', version: 3 })
    const old = await fetched(`${url}/sgx/certification/v3/tcb?fmspc=${fmspc}`)
    expect(parseTcbInfo(inner(old, 'tcbInfo'))).toMatchObject({ version: 2 })
    const chainOf = (received: Received, header: string) =>
      parsePemBlocks(decodeURIComponent(String(received.headers[header])), 'CERTIFICATE')
    for (const received of [tdx, sgx]) {
      expect(chainOf(received, 'tcb-info-issuer-chain')).toEqual([pki.tcbSigner.certificate, pki.root.certificate])
    }
    expect(chainOf(old, 'sgx-tcb-info-issuer-chain')).toHaveLength(2)
    expect(old.headers['tcb-info-issuer-chain']).toBeUndefined()
  })

  it('serves identities of both quoting enclaves', async () => {
    const { url } = await started()
    const idAt = async (path: string) => {
      const received = await fetched(`${url}${path}`)
      expect(received.headers['sgx-enclave-identity-issuer-chain']).toMatch(/^-----BEGIN%20CERTIFICATE/)
      return parseQeIdentity(inner(received, 'enclaveIdentity')).id
    }
    expect(await idAt('/tdx/certification/v4/qe/identity')).toBe('TD_QE')
    expect(await idAt('/sgx/certification/v4/qe/identity')).toBe('QE')
    expect(await idAt('/sgx/certification/v3/qe/identity?update=early')).toBe('QE')
  })

  it('serves revocation lists as DER, hexadecimal and PEM', async () => {
    const { url } = await started()
    const list = `${url}/sgx/certification/v4/pckcrl?ca=platform`
    const der = await fetched(`${list}&encoding=der`)
    const hex = await fetched(list)
    expect(parseCrl(new Uint8Array(Buffer.from(text(hex), 'hex'))).issuer).toEqual(parseCrl(der.body).issuer)
    expect(decodeURIComponent(String(der.headers['sgx-pck-crl-issuer-chain']))).toContain('BEGIN CERTIFICATE')
    const processor = await fetched(`${url}/sgx/certification/v3/pckcrl?ca=processor&encoding=der`)
    expect(parseCrl(processor.body).issuer).not.toEqual(parseCrl(der.body).issuer)
    const root = await fetched(`${url}/sgx/certification/v4/rootcacrl`)
    expect(text(root)).toMatch(/^[0-9a-f]+$/)
    expect(parseCrl((await fetched(`${url}/IntelSGXRootCA.der`)).body).revokedSerials.size).toBe(0)
    const pem = await started({ crlForm: 'pem' })
    const block = parsePem(text(await fetched(`${pem.url}/sgx/certification/v4/rootcacrl`)), 'X509 CRL')
    expect(parseCrl(block).issuer).toEqual(parseCrl(new Uint8Array(Buffer.from(text(root), 'hex'))).issuer)
  })

  it.each([
    ['/tdx/certification/v4/tcb', 400],
    ['/tdx/certification/v4/tcb?fmspc=51d0ac00000', 400],
    ['/tdx/certification/v4/tcb?fmspc=000000000000', 404],
    [`${tdxTcb}&update=late`, 400],
    [`${tdxTcb}&update=early&tcbEvaluationDataNumber=18`, 400],
    [`${tdxTcb}&tcbEvaluationDataNumber=x`, 400],
    [`${tdxTcb}&tcbEvaluationDataNumber=16`, 410],
    [`${tdxTcb}&tcbEvaluationDataNumber=19`, 404],
    [`${tdxTcb}&tcbEvaluationDataNumber=17`, 200],
    [`/tdx/certification/v3/tcb?fmspc=${fmspc}`, 404],
    ['/sgx/certification/v4/pckcrl?ca=other', 400],
    ['/sgx/certification/v4/pckcrl', 400],
    ['/tdx/certification/v4/pckcrl?ca=platform', 404],
    ['/elsewhere', 404],
  ])('answers %s with %i', async (target, status) => {
    const { url } = await started()
    expect((await fetched(`${url}${target}`)).status).toBe(status)
  })

  it('serves the set that is asked for', async () => {
    const { url } = await started()
    const numberAt = async (query: string) =>
      parseTcbInfo(inner(await fetched(`${url}${tdxTcb}${query}`), 'tcbInfo')).tcbEvaluationDataNumber
    expect(await numberAt('')).toBe(17)
    expect(await numberAt('&update=standard')).toBe(17)
    expect(await numberAt('&update=early')).toBe(18)
    expect(await numberAt('&tcbEvaluationDataNumber=18')).toBe(18)
    const numbers = text(await fetched(`${url}/tdx/certification/v4/tcbevaluationdatanumbers`))
    expect(JSON.parse(numbers)).toMatchObject({ tcbEvaluationDataNumbers: { id: 'TDX', version: 1 } })
  })

  it('serves the same bytes again, and others after the maker has published', async () => {
    const { url, publish, requests } = await started()
    const list = `${url}/sgx/certification/v4/pckcrl?ca=platform&encoding=der`
    const before = await fetched(list)
    expect((await fetched(list)).body).toEqual(before.body)
    publish({ revoked: ['pck'] })
    expect(parseCrl((await fetched(list)).body).revokedSerials).toEqual(new Set([serialText(pki.platformPck.serial)]))
    expect(requests).toHaveLength(3)
    expect(requests[0]).toBe('/sgx/certification/v4/pckcrl?ca=platform&encoding=der')
  })

  it('knows FMSPCs in capital letters only, where it is such a server (TDX-204)', async () => {
    const { url } = await started({ upperCaseOnly: true })
    expect((await fetched(`${url}${tdxTcb}`)).status).toBe(404)
    expect((await fetched(`${url}/tdx/certification/v4/tcb?fmspc=${fmspc.toUpperCase()}`)).status).toBe(200)
  })

  it('speaks TLS with a given certificate', async () => {
    const keys = generateKeys()
    const root = createRoot()
    const cert = encodePem(issueDer({ signer: root, keys, subject: { CN: 'localhost' } }), 'CERTIFICATE')
    const { url } = await started({
      tls: { cert, key: String(keys.privateKey.export({ format: 'pem', type: 'pkcs8' })) },
    })
    const status = await new Promise((resolve, reject) => {
      const asking = tlsRequest(`${url}${tdxTcb}`, { rejectUnauthorized: false, agent: false }, (answer) => {
        answer.resume()
        resolve(answer.statusCode)
      })
      asking.on('error', reject).end()
    })
    expect(status).toBe(200)
  })
})

describe('the faults of the simulated provisioning service', () => {
  async function under(fault: PccsFault): Promise<Received> {
    const { url, faults } = await started()
    faults.plan('tcbInfo', fault)
    return fetched(`${url}${tdxTcb}`)
  }

  it.each([404, 410, 429, 461, 462, 500, 503])('status %i', async (status) => {
    expect(await under({ kind: 'status', status })).toMatchObject({ status, body: new Uint8Array() })
  })

  it('a time to wait', async () => {
    const { headers } = await under({ kind: 'status', status: 429, retryAfterSeconds: 7 })
    expect(headers['retry-after']).toBe('7')
  })

  it('too much of a body, and of headers', async () => {
    expect((await under({ kind: 'oversized', bytes: 1_048_577 })).body).toHaveLength(1_048_577)
    const { headers } = await under({ kind: 'oversized-headers', bytes: 65_537 })
    expect(String(headers['x-filling'])).toHaveLength(65_537)
  })

  it('half an answer', async () => {
    await expect(under({ kind: 'truncated' })).rejects.toThrow()
  })

  it('an older answer that is authentic', async () => {
    const facts = parseTcbInfo(inner(await under({ kind: 'rollback' }), 'tcbInfo'))
    expect(facts).toMatchObject({ issueDate: now - 10 * 86_400_000, tcbEvaluationDataNumber: 16 })
  })

  it('garbage, an answer without its chain, one that another key signed, one elsewhere', async () => {
    expect(inner(await under({ kind: 'garbage' }), 'tcbInfo')).toBe('')
    expect((await under({ kind: 'chainless' })).headers['tcb-info-issuer-chain']).toBeUndefined()
    const forged = String((await under({ kind: 'forged' })).headers['tcb-info-issuer-chain'])
    expect(parsePemBlocks(decodeURIComponent(forged), 'CERTIFICATE')[0]).toEqual(pki.platformPck.certificate)
    const moved = await under({ kind: 'redirect', to: 'http://127.0.0.1:9/' })
    expect(moved).toMatchObject({ status: 302, headers: { location: 'http://127.0.0.1:9/' } })
  })

  it('end after the number of times that they were planned for, and hit what they were planned for', async () => {
    const { url, faults } = await started()
    faults.plan('tcbInfo', { kind: 'status', status: 503 }, 2)
    const statuses: number[] = []
    for (let left = 3; left > 0; left--) statuses.push((await fetched(`${url}${tdxTcb}`)).status)
    expect(statuses).toEqual([503, 503, 200])
    faults.plan('all', { kind: 'status', status: 500 })
    expect((await fetched(`${url}/sgx/certification/v4/rootcacrl`)).status).toBe(500)
    faults.clear()
    expect((await fetched(`${url}/sgx/certification/v4/rootcacrl`)).status).toBe(200)
  })

  it('an answer that comes late, and none at all', async () => {
    const clock = new FakeClock(now)
    const { url, faults } = await started({ clock })
    faults.plan('tcbInfo', { kind: 'slow', ms: 5000 }, 1)
    const late = fetched(`${url}${tdxTcb}`)
    while (clock.sleeping === 0) await new Promise((resolve) => setImmediate(resolve))
    await clock.advance(5000)
    expect((await late).status).toBe(200)
    faults.plan('tcbInfo', { kind: 'silent' })
    const silent = fetched(`${url}${tdxTcb}`)
    const ended = expect(silent).rejects.toThrow()
    const [pccs] = running
    while ((pccs?.requests.length ?? 0) < 2) await new Promise((resolve) => setImmediate(resolve))
    await running.shift()?.close()
    await ended
  })
})
