// AWS: credentials of a container, from the URI and the secret that the environment names. Told `http` or `container`:
// the two providers of the SDK that speak this protocol.
import { fromContainerMetadata, fromHttp } from '@aws-sdk/credential-providers'
import { takeTurns } from './turns.mjs'

const providers = {
  http: fromHttp({ maxRetries: 0, timeout: 5_000 }),
  container: fromContainerMetadata({ maxRetries: 0, timeout: 5_000 }),
}
await takeTurns(async (which) => {
  const { accessKeyId, secretAccessKey, sessionToken, expiration } = await providers[which]()
  return { accessKeyId, secretAccessKey, sessionToken, expiration: expiration?.toISOString() }
})
