// Alibaba Cloud: a role from a token file; only the endpoint cannot be said by the environment.
import credentials from '@alicloud/credentials'
import { takeTurns } from './turns.mjs'

const { default: Credential, Config } = credentials
const {
  STS_ENDPOINT: stsEndpoint,
  ALIBABA_CLOUD_ROLE_ARN: roleArn,
  ALIBABA_CLOUD_OIDC_PROVIDER_ARN: oidcProviderArn,
  ALIBABA_CLOUD_OIDC_TOKEN_FILE: oidcTokenFilePath,
  ALIBABA_CLOUD_ROLE_SESSION_NAME: roleSessionName,
} = process.env
const type = 'oidc_role_arn'
const client = new Credential(
  new Config({ type, roleArn, oidcProviderArn, oidcTokenFilePath, roleSessionName, stsEndpoint }),
)
await takeTurns(async () => {
  const { accessKeyId, accessKeySecret, securityToken } = await client.getCredential()
  return { accessKeyId, accessKeySecret, securityToken }
})
