// Alibaba Cloud: credentials from the URI that the environment names.
import credentials from '@alicloud/credentials'
import { takeTurns } from './turns.mjs'

const { default: Credential, Config } = credentials
const credentialsURI = process.env.ALIBABA_CLOUD_CREDENTIALS_URI
const client = new Credential(new Config({ type: 'credentials_uri', credentialsURI }))
await takeTurns(async () => {
  const { accessKeyId, accessKeySecret, securityToken } = await client.getCredential()
  return { accessKeyId, accessKeySecret, securityToken }
})
