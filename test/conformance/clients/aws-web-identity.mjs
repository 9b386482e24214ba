// AWS: a role from a token file, configured by the environment alone. Told `again`, the same provider is used once more.
import { fromTokenFile } from '@aws-sdk/credential-providers'
import { takeTurns } from './turns.mjs'

const provider = fromTokenFile({ clientConfig: { maxAttempts: 1 } })
await takeTurns(async () => {
  const { accessKeyId, secretAccessKey, sessionToken, expiration } = await provider()
  return { accessKeyId, secretAccessKey, sessionToken, expiration: expiration?.toISOString() }
})
