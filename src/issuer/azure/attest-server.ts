import type { Clock } from '../../base/clock.ts'
import type { JsonObject } from '../../base/json.ts'
import { type Rate, TokenBuckets } from '../../base/token-buckets.ts'
import { addressKey } from '../attestation-api/client-address.ts'
import { type AttestOptions, TdAttestation } from './attest-td.ts'
import {
  type AzureApp,
  type AzureServerOptions,
  createAzureServer,
  requireApiVersion,
  requireBody,
} from './azure-server.ts'
import { azureErrors } from './errors.ts'

export interface AzureAttestationOptions extends AzureServerOptions, Omit<AttestOptions, 'issuer' | 'clock'> {
  readonly clock: Pick<Clock, 'now' | 'monotonic'>
  /** Requests that are appraised or wait for it at once; one more is told to come again. Default 16. */
  readonly atOnce?: number
  /** Requests that one address may send (SVC-43). Default 20 a second, 40 at once. */
  readonly rate?: Rate
}

const usualRate: Rate = { perS: 20, burst: 40 }

const tdxVersions = ['2025-06-01', '2023-04-01-preview']
/** Of the routes that are there to be refused. */
const otherVersions = [...tdxVersions, '2020-10-01', '2022-08-01']
const refusedTypes = ['SgxEnclave', 'OpenEnclave', 'Tpm', 'AzureGuest', 'SevSnpVm']

/**
 * Attestation in the style of Azure Attestation (section 15.2): `POST /attest/TdxVm`, anonymous, and beside it `/certs`
 * and the metadata. `keys` sign tokens of this façade alone: neither those of other routes nor the answers of its
 * administration, which is another server (POL-903). Throws `AZURE_CONFIGURATION`.
 */
export function createAzureAttestation(options: AzureAttestationOptions): AzureApp {
  const { atOnce = 16, keys, rate = usualRate, clock } = options
  const { app, path } = createAzureServer(options)
  const buckets = new TokenBuckets(clock)
  // Before the body is read: appraisals of all routes share their threads, and one address must not have them all.
  app.addHook('onRequest', async ({ method, ip }) => {
    const waitMs = method === 'POST' ? buckets.take(addressKey(ip), rate) : 0
    if (waitMs === 0) return
    const facts = { retry_after_s: Math.ceil(waitMs / 1000) }
    throw azureErrors.error('AZURE_TOO_MANY', 'the address sends too many requests', { facts })
  })
  const attestation = new TdAttestation(options)
  let running = 0
  const limited = async (work: () => Promise<JsonObject>) => {
    if (running >= atOnce) throw azureErrors.error('AZURE_OVERLOADED', 'more requests come than are appraised')
    running += 1
    try {
      return await work()
    } finally {
      running -= 1
    }
  }
  app.post(`${path}/attest/TdxVm`, async (request, reply) => {
    requireApiVersion(request, tdxVersions)
    const body = requireBody(request, 'application/json')
    const claims = await limited(() => attestation.attest(body))
    const token = await keys.sign(claims)
    return reply.header('cache-control', 'no-store').type('application/json').send(JSON.stringify({ token }))
  })
  for (const type of refusedTypes) {
    app.post(`${path}/attest/${type}`, (request) => {
      requireApiVersion(request, otherVersions)
      throw azureErrors.error('AZURE_OPERATION_REFUSED', `evidence of type ${type} is not attested here`)
    })
  }
  return app
}
