// Azure: workload identity by the four variables of the environment; the authority is a double, so its instance is not
// looked up.
import { WorkloadIdentityCredential } from '@azure/identity'
import { takeTurns } from './turns.mjs'

const open = () => new WorkloadIdentityCredential({ disableInstanceDiscovery: true })
await takeTurns(async (scope) => {
  const { token } = await open().getToken(scope)
  return { token }
})
