import { stsErrors } from '../../src/passport/sts/errors.ts'
import type { CloudCredentials } from '../../src/results/cloud-credentials.ts'
import type { CloudSurfaceSettings } from '../../src/workload-api/compat/cloud-credentials.ts'
import type { Surface } from '../../src/workload-api/compat/surface.ts'
import { drawSecrets, openTcpSurface } from './tcp-surface-room.ts'
import { policyFrom } from './workload-room.ts'

/** A cloud's token service that cannot serve for a minute. */
export const cloudOutage = () =>
  stsErrors.error('sts_unavailable', 'https://sts.example cannot serve at present', {
    facts: { retry_after_ms: 60_000 },
  })

const rule = (id: string, uid: number, audience: string) => ({
  id,
  match: { uid },
  allow: { methods: ['token'], audiences: [audience], ttl_s_max: 3600 },
})

const [both, none] = [
  policyFrom([rule('shop', 1001, 'https://a.example'), rule('web', 1002, 'https://b.example')]),
  policyFrom([rule('web', 1002, 'https://b.example')]),
]

/**
 * A surface of cloud credentials with two consumers, `shop` of user 1001 and `web` of user 1002, and a cloud that gives what
 * the test says. `takeRight` removes the rule that allows `shop` its role.
 */
export async function openCloudSurface(make: (settings: CloudSurfaceSettings) => Surface) {
  const { texts, secrets } = drawSecrets('shop', 'web')
  const consumers = [
    { name: 'shop', audience: 'https://a.example', lifetimeS: 3600 },
    { name: 'web', audience: 'https://b.example', lifetimeS: 3600 },
  ]
  const obtained: { readonly consumer: string; readonly signal: AbortSignal }[] = []
  const cloud = { give: async (): Promise<Partial<CloudCredentials>> => ({}) }
  let policy = both
  const obtainCredentials: CloudSurfaceSettings['obtainCredentials'] = async (consumer, signal) => {
    obtained.push({ consumer, signal })
    const parts = await cloud.give()
    return { ...credentialsOf(consumer), expiresAt: Math.floor(room.clock.now() / 1000) + 3600, ...parts }
  }
  const surface = make({ consumers, secrets, issuer: null, obtainCredentials })
  const room = await openTcpSurface(surface, { policy: () => policy() })
  const takeRight = () => {
    policy = none
  }
  return { ...room, texts, cloud, obtained, takeRight }
}

/** What the cloud gives a consumer, but for its end. */
export function credentialsOf(consumer: string) {
  return { accessKeyId: `KEY-${consumer}`, secret: `secret/of+${consumer}`, securityToken: `session-token-${consumer}` }
}
