import { randomBytes } from 'node:crypto'
import { tcpCaller } from '../../src/policies/caller-identity.ts'
import { ConsumerSecrets, parseConsumerSecret } from '../../src/workload-api/compat/consumer-secrets.ts'
import type { Surface } from '../../src/workload-api/compat/surface.ts'
import { type RawAnswer, rawRequest } from './raw-http.ts'
import { openSurface } from './surface-room.ts'
import { request } from './workload-room.ts'

/** What `openSurface` takes beside the surface. */
type SurfaceParts = NonNullable<Parameters<typeof openSurface>[1]>

const host = 'Host: 127.0.0.1:8006'

/** Secrets of these consumers, drawn for the test. */
export function drawSecrets<Name extends string>(...names: readonly Name[]) {
  const texts = Object.fromEntries(names.map((name) => [name, randomBytes(32).toString('base64url')])) as Readonly<
    Record<Name, string>
  >
  const digestOf = (name: Name) => parseConsumerSecret(new TextEncoder().encode(texts[name]), name)
  return { texts, secrets: new ConsumerSecrets(names.map((consumer) => ({ consumer, digest: digestOf(consumer) }))) }
}

/** A surface whose callers are known as those of loopback TCP are; user 1001 unless the test says another. */
export async function openTcpSurface(surface: Surface, parts: SurfaceParts = {}) {
  const room = await openSurface(surface, parts)
  const callAs = (uid: number | null) => {
    room.identifier.next = async () => tcpCaller(uid, surface.listener)
  }
  callAs(1001)
  const ask = (target: string, headers: readonly string[] = [], method = 'GET', body = ''): Promise<RawAnswer> =>
    rawRequest(room.path, request(method, target, [host, ...headers], body))
  return { ...room, callAs, ask }
}
