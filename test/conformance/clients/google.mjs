// Google Cloud: workload identity federation by the credential configuration file that the environment names.
import { readFileSync } from 'node:fs'
import { ExternalAccountClient } from 'google-auth-library'
import { takeTurns } from './turns.mjs'

const configuration = JSON.parse(readFileSync(process.env.GOOGLE_APPLICATION_CREDENTIALS, 'utf8'))
const client = ExternalAccountClient.fromJSON(configuration)
await takeTurns(async () => {
  const { token } = await client.getAccessToken()
  return { token }
})
