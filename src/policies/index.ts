export type { Claim, ClaimIssuer, ClaimValue, ClaimValueType } from './claim.ts'
export { valueTypeOf } from './claim.ts'
export { asksForDocuments } from './claims/asked-documents.ts'
export { claimCatalogue, claimEntryOf } from './claims/claim-catalogue.ts'
export type { ClaimEntry, EvidenceKind } from './claims/claim-entry.ts'
export { evidenceKinds } from './claims/claim-entry.ts'
export type { CustomClaim } from './claims/custom-claims.ts'
export { parseCustomClaims } from './claims/custom-claims.ts'
export type { GivenClaim } from './claims/incoming-claims.ts'
export { acceptIncomingClaims } from './claims/incoming-claims.ts'
export type { AttesterStatements } from './claims/present-claims.ts'
export { presentClaims } from './claims/present-claims.ts'
export type { ClaimDocuments, ClaimTree, VerifiedTrees } from './claims/verified-trees.ts'
export { defaultPolicies, defaultPolicyFor } from './defaults/default-policies.ts'
export type { ShippedPolicy } from './defaults/shipped-policy.ts'
export {
  evaluatePolicies,
  type JointEvaluation,
  type JointVerdict,
  joinVerdicts,
  type NamedEvaluation,
  type NamedPolicy,
} from './evaluation/evaluate-policies.ts'
export {
  type EvaluationOptions,
  evaluatePolicy,
  type PolicyOptions,
  PreparedPolicy,
} from './evaluation/evaluate-policy.ts'
export type {
  ConditionTrace,
  DenialReason,
  EffectTrace,
  Evaluation,
  EvaluationError,
  MatchedClaim,
  NearMiss,
  TokenValue,
  TraceEntry,
  Verdict,
} from './evaluation/evaluation.ts'
export { forToken } from './evaluation/exact-token.ts'
export type { ExamplePolicy } from './examples/example-policies.ts'
export { examplePolicies } from './examples/example-policies.ts'
export type { PolicyDiagnostic, Severity } from './language/diagnostic.ts'
export type { FormattedPolicy } from './language/format-policy.ts'
export { formatPolicy } from './language/format-policy.ts'
export type { ParsedPolicy, ParsePolicyOptions } from './language/parse-policy.ts'
export { parsePolicy } from './language/parse-policy.ts'
export { ruleStructure } from './language/rule-structure.ts'
export type { AzureParsingError } from './language/show-diagnostic.ts'
export { azureParsingError, diagnosticExcerpt, showDiagnostic } from './language/show-diagnostic.ts'
export type {
  Action,
  ActionArgument,
  ClaimProperty,
  ClaimTest,
  ComparisonOperator,
  Condition,
  Expression,
  FunctionName,
  Policy,
  PolicyVersion,
  Rule,
  SectionName,
  Span,
} from './language/syntax.ts'
export type { PolicyComment } from './language/token.ts'
export type { LintOptions, LoadedPolicy } from './lint/lint-policy.ts'
export { lintPolicy } from './lint/lint-policy.ts'
export type { PolicyLimits } from './policy-limits.ts'
export { defaultPolicyLimits } from './policy-limits.ts'
export type { AcceptedPolicy, AcceptedSignerChange, TrustedSigners } from './signed/accept-policy.ts'
export { acceptPolicy, acceptPolicyReset, acceptSignerChange } from './signed/accept-policy.ts'
export type { PolicySigningKey } from './signed/encode-policy-jws.ts'
export { encodeUnsignedPolicy, signPolicy } from './signed/encode-policy-jws.ts'
export type { PolicyInspection, PolicyJwsProblem } from './signed/inspect-policy-jws.ts'
export { inspectPolicyUpload } from './signed/inspect-policy-jws.ts'
export { policyDigest, policyHash, policyTokenHash } from './signed/policy-hashes.ts'
export type { PolicySigner } from './signed/policy-signer.ts'
export { algorithmOfKey, certificateThumbprint, describeCertificate, describeSigner } from './signed/policy-signer.ts'
