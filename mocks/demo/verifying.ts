import { randomBytes } from 'node:crypto'
import { createTokenVerifier, type TokenExpectations, type TokenVerifier } from '../../src/relying-party/index.ts'
import { startAttestationService } from '../attestation-service/start.ts'
import { type DemoAgent, type DemoRemote, demoAudience } from './agent-process.ts'
import type { DemoMachine } from './machine.ts'
import { startVerifierService } from './verifier-service.ts'

export const verifierNames = ['embedded', 'service', 'alibaba'] as const
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
  /** Further lines to try. */
  readonly commands: readonly string[]
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
    commands: [],
    relyingParty: ({ issuer }, allowSimulated) =>
      createTokenVerifier({
        ...{ issuer, audience: demoAudience, tee: [tee], measurements: null, allowSimulated },
        keys: { discovery: { allowLoopbackHttp: true } },
      }),
    stop: async () => {},
  }
}

interface RemoteVerifier {
  readonly name: string
  readonly describes: string
  readonly url: string
  /** What a relying party wants to have been evaluated. */
  readonly policies?: readonly { readonly id: string; readonly hash: string }[]
  readonly commands?: readonly string[]
  readonly stop: () => Promise<void>
}

/** Tokens of profile `alibaba` name the service itself as audience, carry no nonce, and say nothing of the TCB. */
function remote({ name, describes, url, stop, policies = [], commands = [] }: RemoteVerifier): DemoVerifier {
  return {
    describes: `${describes} (${url})`,
    remotes: [{ name, url }],
    request: { issuer: name },
    expectations: {},
    query: `issuer=${name}`,
    commands,
    relyingParty: (_agent, allowSimulated) =>
      createTokenVerifier({
        ...{ issuer: url, audience: url, profile: 'alibaba', tee: ['tdx'], measurements: null, allowSimulated },
        keys: { discovery: { allowLoopbackHttp: true } },
        requireTcbStatus: null,
        requirePolicies: policies,
      }),
    stop,
  }
}

/** What `--verifier` names plays with a TD whose maker the verifier can be told to trust. */
function requireTrust({ tdTrust }: DemoMachine, name: VerifierName) {
  if (tdTrust !== null) return tdTrust
  throw new Error(`--verifier ${name} plays with a simulated TD; add --simulated`)
}

const double =
  'a double of the attestation service of Alibaba Cloud, which trusts the simulated TD; no account is needed'

async function alibaba(machine: DemoMachine): Promise<DemoVerifier> {
  const { root: trustAnchorFile, bundle: collateralFile } = requireTrust(machine, 'alibaba')
  const service = await startAttestationService({ trustAnchorFile, collateralFile, simulator: true })
  return remote({ name: 'alibaba', describes: double, url: service.url, stop: () => service.stop() })
}

async function service(machine: DemoMachine, folder: string): Promise<DemoVerifier> {
  requireTrust(machine, 'service')
  const { url, policy, commands, stop } = await startVerifierService(folder, machine)
  const describes = `attestd verifier as a service, whose policy ${policy.id} was set by \`attestd verifier policies set\``
  return remote({ name: 'service', describes, url, policies: [policy], commands, stop })
}

/** `folder` is for what the verifier keeps. */
export async function startVerifier(name: VerifierName, machine: DemoMachine, folder: string): Promise<DemoVerifier> {
  if (name === 'embedded') return embedded(machine)
  return name === 'service' ? service(machine, folder) : alibaba(machine)
}
