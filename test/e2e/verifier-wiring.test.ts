import { randomBytes } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { decodeJwt } from 'jose'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { builtinPolicy } from '../../src/agent/embedded/builtin-policy.ts'
import { composeServiceSettings } from '../../src/agent/verifier-service/service-settings.ts'
import type { VerifierService } from '../../src/agent/verifier-service/verifier-service.ts'
import { toBase64, toBase64url } from '../../src/base/bytes.ts'
import { SystemClock } from '../../src/platform/system-clock.ts'
import { builtProgram } from '../support/built-program.ts'
import { openFilesIn } from '../support/open-files.ts'
import { askHttp, type ServedVerifierSpec, useServedVerifier } from '../support/served-verifier.ts'
import { useTdMachine } from '../support/td-machine.ts'

/** The built verifier service in this process, with its threads and its database: what it is given, and what it leaves. */

const rooms = useServedVerifier(async (parts) => {
  const { VerifierService: Built }: { VerifierService: typeof VerifierService } = await import(
    resolve(await builtProgram(), '../verifier-service/verifier-service.js')
  )
  return Built.open(parts)
})
const { serve, prepare, open, state, folder, write } = rooms
beforeAll(() => builtProgram())
const text = 'version= 1.2;authorizationrules{=> permit();};issuancerules{};'
const put = (socketPath: string, id: string) =>
  askHttp({ socketPath }, `/v1/admin/policies/id:${id}`, {
    ...{ method: 'PUT', headers: { 'content-type': 'text/plain', 'content-length': String(text.length) }, body: text },
  })
const withFile = (): ServedVerifierSpec => {
  const file = write('site.policy', text)
  return { tables: ['[policies]', 'default = ["site"]', '[[policies.files]]', 'id = "site"', `file = "${file}"`] }
}

describe('a policy of a file', () => {
  it('is not set in the store, and one that the store had before is told (POL-442)', async () => {
    const registry = ['store = "embedded"', `directory = "${join(state, 'registry-of-files')}"`]
    const before = await serve({ registry })
    expect((await put(before.admin, 'site')).status).toBe(200)
    await before.end()
    const { admin, lines } = await serve({ ...withFile(), registry })
    const { status, json } = await put(admin, 'site')
    expect([status, json.code]).toEqual([403, 'ADMINISTRATION_POLICY_CONFIGURED'])
    expect(lines.filter(({ event }) => event === 'policy_shadowed')).toMatchObject([{ policy: 'site' }])
  }, 60_000)
})

describe('a verifier service that cannot be opened', () => {
  it('leaves its store as free as it found it, whatever fails after the store was opened', async () => {
    const registry = ['store = "embedded"', `directory = "${join(state, 'registry-of-nobody')}"`]
    const { parts } = prepare({ registry, tables: ['[policies]', 'default = ["unset"]'] })
    const full = new Error('no space left for the log')
    const warn = () => {
      throw full
    }
    await expect(open({ ...parts, log: Object.assign(parts.log, { warn }) })).rejects.toBe(full)
    expect(openFilesIn(state)).toEqual([])
    await serve({ registry })
  }, 60_000)
})

describe('a verifier service with a TD to appraise', () => {
  const { machine } = useTdMachine()
  const realClock = new SystemClock(null)
  let spec: ServedVerifierSpec
  beforeEach(() => {
    const { configuration } = machine()
    const { tables = [] } = withFile()
    const anchors = ['[verifier]', `tdx_anchors = ["${machine().root}"]`, '[collateral]', ...configuration.collateral]
    const random = (size: number) => new Uint8Array(randomBytes(size))
    spec = { tables: ['[tdx]', 'simulator = true', ...anchors, ...tables], realClock, random }
  })

  function attest(socketPath: string) {
    const reportData = new Uint8Array(randomBytes(64))
    const evidence = { quote: toBase64(machine().sim.quote({ reportData })) }
    const body = JSON.stringify({
      tee: 'tdx',
      evidence: toBase64url(Buffer.from(JSON.stringify(evidence))),
      runtime_data: { raw: toBase64url(reportData) },
    })
    return askHttp({ socketPath }, '/v1/attestation', { method: 'POST', body })
  }
  const threads = () => readdirSync('/proc/self/task').length

  it('issues by its anchors, its policies and its lifetime, and collateral lies in its state directory', async () => {
    const { listen, loaded } = await serve({ ...spec, issuer: ['lifetime = "2h"'] })
    const [one, other] = [await attest(listen), await attest(listen)]
    expect([one.status, other.status]).toEqual([200, 200])
    const [claims, others] = [decodeJwt(one.text), decodeJwt(other.text)]
    expect([Number(claims.exp) - Number(claims.iat), claims['attestd']]).toMatchObject([7_200, { simulated: true }])
    const { tdRequirements: requirements, policyFiles } = await composeServiceSettings(loaded)
    const evaluated = [builtinPolicy({ tpm: null, td: { requirements } }), ...policyFiles]
    expect(claims['evaluation-reports']).toEqual(
      evaluated.map(({ id, hash }) => ({ 'policy-id': id, 'policy-hash': hash })),
    )
    expect(others.jti).not.toBe(claims.jti)
    await expect.poll(() => readdirSync(join(state, 'collateral'))).not.toEqual([])
  })

  it('counts appraisals that are at work and wait', async () => {
    const { listen, admin } = await serve(spec)
    const asked = Array.from({ length: 5 }, () => attest(listen))
    const metrics = async () => (await askHttp({ socketPath: admin }, '/v1/admin/metrics')).text
    await expect.poll(metrics, { interval: 1 }).toMatch(/^attestd_verifier_jobs [1-9]$/m)
    expect((await Promise.all(asked)).every(({ status }) => status === 200 || status === 503)).toBe(true)
  })

  it('leaves no folder, no socket and no thread when it has stopped', async () => {
    const serveOnce = async () => {
      const { listen, end } = await serve(spec)
      expect((await attest(listen)).status).toBe(200)
      expect(openFilesIn(state)).toContain(join(state, 'collateral'))
      await end()
      expect([...openFilesIn(state), ...openFilesIn(folder())]).toEqual([])
    }
    // The first one also starts threads of Node that stay.
    await serveOnce()
    const before = threads()
    await serveOnce()
    await expect.poll(threads).toBeLessThanOrEqual(before)
  })
})
