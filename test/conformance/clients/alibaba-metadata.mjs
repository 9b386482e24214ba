// Alibaba Cloud: credentials of the role of the instance, from its metadata at an address that the library has built in.
import credentials from '@alicloud/credentials'
import { takeTurns } from './turns.mjs'

const { default: Credential, Config } = credentials
const client = new Credential(new Config({ type: 'ecs_ram_role' }))
await takeTurns(async () => {
  const { accessKeyId, accessKeySecret, securityToken } = await client.getCredential()
  return { accessKeyId, accessKeySecret, securityToken }
})
