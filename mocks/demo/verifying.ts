import { randomBytes } from 'node:crypto'
import { createTokenVerifier, type TokenExpectations, type TokenVerifier } from '../../src/relying-party/index.ts'
import { startAttestationService } from '../attestation-service/start.ts'
import { type DemoAgent, type DemoRemote, demoAudience } from './agent-process.ts'
import type { DemoMachine } from './machine.ts'

export const verifierNames = ['embedded', 'alibaba'] as const
export type VerifierName = (typeof verifierNames)[number]

/** Who appraises in the demonstration, what its tokens are asked for with, and who believes them. */
export interface DemoVerifier {
  /** For the screen; null for the bundled verifier, whose findings are shown instead. */
  readonly describes: string | null
  readonly remotes: readonly DemoRemote[]
  /** What the workload asks the agent for. */
  readonly request: Readonly<Record<string, unknown>>
  readonly expectations: TokenExpectations
  /** Of the try-it line. */
  readonly query: string
  relyingParty(agent: DemoAgent, allowSimulated: boolean): TokenVerifier
  stop(): Promise<void>
}

/** The relying party knows an issuer and its own audience; keys come by discovery, and it asks for a nonce of its own. */
function embedded({ tee }: DemoMachine): DemoVerifier {
  const nonce = randomBytes(16).toString('base64url')
  return {
    describes: null,
    remotes: [],
    request: { audience: demoAudience, nonces: [nonce] },
    expectations: { eatNonce: nonce },
    query: `audience=${encodeURIComponent(demoAudience)}`,
    relyingParty: ({ issuer }, allowSimulated) =>
      createTokenVerifier({
        ...{ issuer, audience: demoAudience, tee: [tee], measurements: null, allowSimulated },
        keys: { discovery: { allowLoopbackHttp: true } },
      }),
    stop: async () => {},
  }
}

const double =
  'a double of the attestation service of Alibaba Cloud, which trusts the simulated TD; no account is needed'

/** Tokens of that service name the service itself as audience, carry no nonce, and say nothing of the TCB. */
async function alibaba({ tdTrust }: DemoMachine): Promise<DemoVerifier> {
  if (tdTrust === null) throw new Error('--verifier alibaba plays with a simulated TD; add --simulated')
  const { root: trustAnchorFile, bundle: collateralFile } = tdTrust
  const service = await startAttestationService({ trustAnchorFile, collateralFile, simulator: true })
  const { url } = service
  return {
    describes: `${double} (${url})`,
    remotes: [{ name: 'alibaba', url }],
    request: { issuer: 'alibaba' },
    expectations: {},
    query: 'issuer=alibaba',
    relyingParty: (_agent, allowSimulated) =>
      createTokenVerifier({
        ...{ issuer: url, audience: url, profile: 'alibaba', tee: ['tdx'], measurements: null, allowSimulated },
        keys: { discovery: { allowLoopbackHttp: true } },
        requireTcbStatus: null,
      }),
    stop: () => service.stop(),
  }
}

export async function startVerifier(name: VerifierName, machine: DemoMachine): Promise<DemoVerifier> {
  return name === 'embedded' ? embedded(machine) : alibaba(machine)
}
