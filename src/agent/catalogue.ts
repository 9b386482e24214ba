import { attesterErrors } from '../attester/errors.ts'
import { baseErrors, type ErrorDeclaration } from '../base/errors.ts'
import { clientErrors } from '../client/errors.ts'
import { endorsementErrors } from '../endorsements/errors.ts'
import { endorserErrors } from '../endorser/errors.ts'
import { administrationErrors } from '../issuer/administration/errors.ts'
import { attestationErrors } from '../issuer/attestation-api/errors.ts'
import { azureErrors } from '../issuer/azure/errors.ts'
import { issuerErrors } from '../issuer/errors.ts'
import { passportErrors } from '../passport/errors.ts'
import { remoteErrors } from '../passport/remote/errors.ts'
import { sinkErrors } from '../passport/sinks/errors.ts'
import { stsErrors } from '../passport/sts/errors.ts'
import { nativeErrors, platformErrors } from '../platform/errors.ts'
import { policyLimitErrors } from '../policies/policy-limits.ts'
import { regoErrors } from '../policies/rego/errors.ts'
import { signedPolicyErrors } from '../policies/signed/errors.ts'
import { registryErrors } from '../registry/errors.ts'
import { storeErrors } from '../registry/store-errors.ts'
import { proofChecks, relyingPartyErrors, tokenChecks } from '../relying-party/index.ts'
import type { CheckDeclaration } from '../results/appraisal.ts'
import { resultsErrors } from '../results/errors.ts'
import { compositeChecks } from '../verifier/composite/checks.ts'
import { tpmChecks } from '../verifier/index.ts'
import { tdxChecks } from '../verifier/tdx/checks.ts'
import { akCertificateChecks, enrolmentChecks } from '../verifier/tpm/enrolment-checks.ts'
import { workloadApiErrors } from '../workload-api/errors.ts'
import { appraiserErrors } from './embedded/appraiser.ts'
import { embeddedErrors } from './embedded/errors.ts'
import { agentErrors } from './errors.ts'

export interface CheckTable {
  readonly title: string
  readonly explains: string
  readonly checks: Readonly<Record<string, CheckDeclaration>>
}

/** Every check of every verifier, in the order in which docs/checks.md lists them. */
export const checkCatalogues: readonly CheckTable[] = [
  {
    title: 'Enrolment of a TPM',
    explains:
      'Before the first quote: is the endorsement key genuine, and is the attestation key one that a TPM keeps?',
    checks: enrolmentChecks,
  },
  {
    title: 'Certificate of an attestation key',
    explains:
      'In place of an enrolment, where the provider of the machine certified the attestation key and policy allows it.',
    checks: akCertificateChecks,
  },
  { title: 'TPM evidence', explains: 'On every appraisal of a quote with its logs.', checks: tpmChecks },
  {
    title: 'TD evidence',
    explains: 'On every appraisal of a TD quote with its event log; those of the log do not apply to SGX quotes.',
    checks: tdxChecks,
  },
  {
    title: 'TD and TPM together',
    explains: 'Where a guest has both: do they belong to one guest and one challenge?',
    checks: compositeChecks,
  },
  { title: 'Token', explains: 'What a relying party checks before it believes a token.', checks: tokenChecks },
  {
    title: 'Proof of possession',
    explains: 'What it checks of the proof (DPoP) that came with a token that is bound to a key.',
    checks: proofChecks,
  },
]

/** All declared checks by id. */
export const checkCatalogue: Readonly<Record<string, CheckDeclaration>> = Object.assign(
  {},
  ...checkCatalogues.map(({ checks }) => checks),
)

export interface ErrorTable {
  readonly room: string
  readonly declared: Readonly<Record<string, ErrorDeclaration>>
}

/** Every error code, room by room, in the order in which docs/errors.md lists them. */
export const errorVocabularies: readonly ErrorTable[] = [
  { room: 'base', declared: baseErrors.declared },
  { room: 'endorsements', declared: endorsementErrors.declared },
  {
    room: 'policies',
    declared: { ...policyLimitErrors.declared, ...signedPolicyErrors.declared, ...regoErrors.declared },
  },
  { room: 'results', declared: resultsErrors.declared },
  { room: 'attester', declared: attesterErrors.declared },
  { room: 'endorser', declared: endorserErrors.declared },
  { room: 'native', declared: nativeErrors.declared },
  { room: 'platform', declared: platformErrors.declared },
  { room: 'relying party', declared: relyingPartyErrors.declared },
  { room: 'client', declared: clientErrors.declared },
  { room: 'registry', declared: { ...registryErrors.declared, ...storeErrors.declared } },
  {
    room: 'issuer',
    declared: {
      ...issuerErrors.declared,
      ...attestationErrors.declared,
      ...administrationErrors.declared,
      ...azureErrors.declared,
    },
  },
  {
    room: 'passport',
    declared: { ...passportErrors.declared, ...remoteErrors.declared, ...sinkErrors.declared, ...stsErrors.declared },
  },
  { room: 'workload API', declared: workloadApiErrors.declared },
  { room: 'agent', declared: { ...agentErrors.declared, ...embeddedErrors.declared, ...appraiserErrors.declared } },
]
