// Google Cloud: workload identity federation by the credential configuration file that the environment names. Told
// `kept`, the client of the first exchange is used; otherwise a client of its own.
import { readFileSync } from 'node:fs'
import { ExternalAccountClient } from 'google-auth-library'
import { takeTurns } from './turns.mjs'

const open = () =>
  ExternalAccountClient.fromJSON(JSON.parse(readFileSync(process.env.GOOGLE_APPLICATION_CREDENTIALS, 'utf8')))
const kept = open()
await takeTurns(async (which) => {
  const client = which === 'kept' ? kept : open()
  client.credentials = {}
  const { token } = await client.getAccessToken()
  return { token }
})
