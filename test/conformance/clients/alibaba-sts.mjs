// Alibaba Cloud: the client of STS itself; every line that it is told is a token.
import openapi from '@alicloud/openapi-core'
import sts from '@alicloud/sts20150401'
import { takeTurns } from './turns.mjs'

const { $OpenApiUtil } = openapi
const { default: Client, AssumeRoleWithOIDCRequest } = sts
const { STS_ENDPOINT: endpoint, ALIBABA_CLOUD_ROLE_ARN: roleArn, ALIBABA_CLOUD_OIDC_PROVIDER_ARN } = process.env
const client = new Client(new $OpenApiUtil.Config({ endpoint, protocol: 'HTTP' }))
await takeTurns(async (OIDCToken) => {
  const roleSessionName = 'conformance'
  const OIDCProviderArn = ALIBABA_CLOUD_OIDC_PROVIDER_ARN
  const request = new AssumeRoleWithOIDCRequest({ OIDCProviderArn, roleArn, OIDCToken, roleSessionName })
  const { body } = await client.assumeRoleWithOIDC(request)
  return { accessKeyId: body?.credentials?.accessKeyId, subject: body?.OIDCTokenInfo?.subject }
})
