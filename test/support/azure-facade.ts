import { createHash, randomBytes } from 'node:crypto'
import { freePort } from '../../mocks/demo/free-port.ts'
import { AnswerKeys } from '../../src/issuer/azure/azure-answers.ts'
import {
  type AdministrationEntry,
  createPolicyAdministration,
  type PolicyAdministrationOptions,
} from '../../src/issuer/azure/policy-administration.ts'
import { openKeyRing } from '../../src/issuer/open-key-ring.ts'
import type { SigningAlgorithm } from '../../src/issuer/signing-key.ts'
import { MemoryPolicyStore } from '../../src/registry/policies/memory-policy-store.ts'
import { PolicyBook } from '../../src/registry/policies/policy-book.ts'
import type { PolicyEvent } from '../../src/registry/policies/policy-outcome.ts'
import { SignerBook } from '../../src/registry/policies/signer-book.ts'
import { FakeClock } from './fake-clock.ts'
import { rsaKey } from './issuing.ts'
import { throwAwayTls } from './throw-away-tls.ts'

export const administratorToken = randomBytes(32).toString('base64url')

export const sha256Of = (text: string) => new Uint8Array(createHash('sha256').update(text).digest())

export interface FacadeSpec extends Partial<PolicyAdministrationOptions> {
  readonly algorithms?: readonly SigningAlgorithm[]
}

/** The administration of policies in the style of Azure, with policies in memory, and what it told to the logs. */
export async function makeAzureFacade({ algorithms = ['RS256'], ...options }: FacadeSpec = {}) {
  const port = await freePort()
  const issuer = `https://localhost:${port}`
  const tls = throwAwayTls()
  const clock = new FakeClock(Date.now())
  const changes: PolicyEvent[] = []
  const entries: AdministrationEntry[] = []
  const bugs: unknown[] = []
  const store = new MemoryPolicyStore()
  const report = (event: PolicyEvent) => changes.push(event)
  const book = { store, clock, random: randomBytes, signsTokens: () => false, report }
  const [policies, signers] = [new PolicyBook(book), new SignerBook(book)]
  const ring = await openKeyRing({
    purpose: 'azure-answers',
    store: 'ephemeral',
    algorithms,
    clock,
    initialKeys: [rsaKey()],
  })
  const app = createPolicyAdministration({
    ...{ issuer, tls: tls.server, keys: new AnswerKeys(ring), policies, signers, clock },
    administrators: [{ name: 'ann', tokenSha256: sha256Of(administratorToken) }],
    audit: (entry) => entries.push(entry),
    onBug: (error) => bugs.push(error),
    ...options,
  })
  const listen = () => app.listen({ host: '127.0.0.1', port })
  return { app, issuer, ca: tls.ca, clock, changes, entries, bugs, policies, signers, store, ring, listen }
}
