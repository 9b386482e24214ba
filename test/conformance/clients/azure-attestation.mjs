// Policies by the administration client of Azure Attestation: each line is a JSON object with `call`, the name of a
// method, and its `arguments`; bytes come as objects with a member `base64`. The bearer token, the URL and the authority of the server come by the environment.
import { AttestationAdministrationClient, AttestationClient } from '@azure/attestation'
import { takeTurns } from './turns.mjs'

const { ATTESTATION_URL = '', ATTESTATION_TOKEN = '' } = process.env
const credential = { getToken: async () => ({ token: ATTESTATION_TOKEN, expiresOnTimestamp: Date.now() + 3.6e6 }) }
const validationOptions = {
  validateToken: true,
  validateExpirationTime: true,
  validateNotBeforeTime: true,
  validateIssuer: true,
  expectedIssuer: ATTESTATION_URL,
}
// One try: a refusal is what a test looks at.
const options = { validationOptions, retryOptions: { maxRetries: 0 } }
const administration = new AttestationAdministrationClient(ATTESTATION_URL, credential, options)
const attestation = new AttestationClient(ATTESTATION_URL, credential, options)

const bytesIn = (_, value) => (typeof value?.base64 === 'string' ? Buffer.from(value.base64, 'base64') : value)

await takeTurns(async (line) => {
  const { call, arguments: given = [] } = JSON.parse(line, bytesIn)
  const client = typeof administration[call] === 'function' ? administration : attestation
  const answer = await client[call](...given)
  const { token, body = answer } = answer
  return { body, ...(token === undefined ? {} : { claims: token.getBody(), algorithm: token.algorithm }) }
})
