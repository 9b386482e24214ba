import type { AttestdError } from '../../base/errors.ts'
import { type AudiencePolicies, type AudiencePolicy, createAudiencePolicies } from '../../issuer/audience-policies.ts'
import { requireIssuerUrl } from '../../issuer/issuer-url.ts'
import type { DeclaredRequest } from '../../passport/declared-request.ts'
import type { CallerPolicy } from '../../policies/caller-policy.ts'
import { CallerRulesError, parseCallerRules } from '../../policies/caller-rules.ts'
import type { TpmReferences } from '../../reference-values/tpm-references.ts'
import type { SubjectRule } from '../../results/subject.ts'
import type { ImaPolicy, TpmRequirements } from '../../verifier/index.ts'
import type { TokenSettings } from '../../workload-api/token-provider.ts'
import { invalidAt } from '../configuration/load.ts'
import type { LoadedConfiguration } from '../configuration/read.ts'
import { type Configuration, requireDuration } from '../configuration/schema.ts'
import type { TdRequirements } from '../embedded/guest.ts'
import { type AccountNumbers, readAccountNumbers } from './accounts.ts'
import { type CredentialSettings, readCredentials } from './credential-settings.ts'
import { planGuest } from './guest-plan.ts'
import { localIssuer, plainRequest } from './plain-request.ts'
import type { PolicySettings } from './policies-of-guest.ts'
import { readTpmReferences } from './reference-files.ts'
import { type RemoteSettings, readRemotes } from './remotes.ts'
import { readSinks, type SinkSettings } from './sink-settings.ts'
import { readTdRequirements, requireCollateralServers } from './td-requirements.ts'
import { type EkTrust, readEkTrust } from './trust-files.ts'

/** Seconds: as the hosted service issues; what counts is the life of each token (SVC-19). */
const usualRemoteLifetimeS = 21_600

/** One configuration, checked whole and turned into what the rooms take. Replaced as one on reload. */
export interface Settings {
  readonly configuration: Configuration
  readonly callers: CallerPolicy
  readonly tokens: TokenSettings
  readonly requirements: TpmRequirements
  /** Null: PCRs and measured files are compared with nothing. */
  readonly references: TpmReferences | null
  readonly tdRequirements: TdRequirements
  /** Null: no appraisal policies are evaluated. */
  readonly policies: PolicySettings | null
  readonly remotes: readonly RemoteSettings[]
  readonly trust: EkTrust
  readonly audiences: AudiencePolicies
  /** Life of the tokens of an audience that is not listed. */
  readonly usualLifetimeS: number
  /** Least life that the configuration may give to tokens, in seconds. */
  readonly leastLifetimeS: number
  readonly sinks: readonly SinkSettings[]
  readonly credentials: readonly CredentialSettings[]
  /** What is kept fresh without demand: warm audiences, credentials and the token files. */
  readonly declared: readonly DeclaredRequest[]
}

const secondsOf = (duration: string) => Math.floor(requireDuration(duration) / 1000)

function imaPolicyOf({ ima_policy: asked }: Configuration['verifier']): ImaPolicy {
  return {
    maxViolations: asked.max_violations,
    unlistedFiles: asked.unlisted_files,
    signedFiles: asked.signed_files,
    invalidSignatures: asked.invalid_signatures,
    unlistedKeys: asked.unlisted_keys,
    unknownTemplates: asked.unknown_templates,
    kexec: asked.kexec,
    bootAggregate: asked.boot_aggregate,
  }
}

function requirementsOf({ verifier, tpm }: Configuration): TpmRequirements {
  return {
    banks: tpm.banks,
    pcrs: verifier.required_pcrs,
    eventLog: verifier.event_log,
    ima: verifier.ima,
    imaPcr: 10,
    acceptSha1Padded: verifier.ima_sha1_padded,
    imaPolicy: imaPolicyOf(verifier),
    firmwareVersions: verifier.tpm_firmware?.map((hex) => BigInt(`0x${hex}`)) ?? 'any',
  }
}

type SubjectMode = SubjectRule['mode']

/** A guest without a TPM has no endorsement key; a TD has measurements that name what runs (TOK-38). */
function usualSubject(configuration: Configuration): SubjectMode {
  return configuration.issuer.subject ?? (planGuest(configuration).tpm ? 'ek' : 'workload')
}

function subjectRule(mode: SubjectMode, { issuer }: Configuration): SubjectRule {
  if (mode !== 'workload') return { mode }
  return issuer.subject_claims.length === 0 ? { mode } : { mode, claimPaths: issuer.subject_claims }
}

/** TOK-152. Claims about two devices do not fit into what is enough for one. */
function usualCharacters(configuration: Configuration): number {
  const { tpm, td } = planGuest(configuration)
  return tpm && td ? 12_288 : 8_192
}

function audiencePolicy(
  configuration: Configuration,
  entry: Partial<Configuration['issuer']['audiences'][number]>,
): AudiencePolicy {
  const { issuer } = configuration
  return {
    subject: subjectRule(entry.subject ?? usualSubject(configuration), configuration),
    algorithm: issuer.algorithm,
    lifetimeS: secondsOf(entry.lifetime ?? issuer.lifetime),
    consumer: entry.consumer ?? null,
    maxCharacters: entry.max_characters ?? issuer.max_characters ?? usualCharacters(configuration),
  }
}

/** Settings of audiences that contradict a consumer or a limit: all found here, so that a reload takes all or nothing. */
function audiencesOf(configuration: Configuration, leastLifetimeS: number): AudiencePolicies {
  const { url, allow_http_loopback: allowLoopbackHttp, audiences } = configuration.issuer
  return createAudiencePolicies({
    leastLifetimeS,
    issuer: requireIssuerUrl(url, { allowLoopbackHttp }),
    fallback: audiencePolicy(configuration, {}),
    listed: audiences.map((entry) => ({ audience: entry.audience, policy: audiencePolicy(configuration, entry) })),
  })
}

function tokensOf({ callers, remotes }: Configuration, usualLifetimeS: number): TokenSettings {
  const local = { name: localIssuer, usualLifetimeS, fixedAudience: null, policyIds: [] }
  const others = remotes.map(({ name, issuer, audience = issuer, policy_ids: policyIds }) => ({
    ...{ name, fixedAudience: audience, policyIds },
    usualLifetimeS: usualRemoteLifetimeS,
  }))
  const { default_issuer: defaultIssuer, default_audiences: defaultAudiences } = callers
  return { issuers: [local, ...others], defaultIssuer, defaultAudiences }
}

function requireDefaultIssuer({ file, text, configuration }: LoadedConfiguration): void {
  const { callers, remotes } = configuration
  const names = [localIssuer, ...remotes.map(({ name }) => name)]
  if (names.includes(callers.default_issuer)) return
  throw invalidAt(file, text, ['callers', 'default_issuer'], `is not one of ${names.join(', ')}`)
}

/** Each surface names an issuer that is there, or none. */
function requireSurfaceIssuers({ file, text, configuration }: LoadedConfiguration): void {
  const names = [localIssuer, ...configuration.remotes.map(({ name }) => name)]
  for (const [surface, section = {}] of Object.entries(configuration.compat)) {
    for (const [key, value] of Object.entries(section)) {
      if (!/(?:^|_)issuer$/.test(key) || names.includes(String(value))) continue
      throw invalidAt(file, text, ['compat', surface, key], `is not one of ${names.join(', ')}`)
    }
  }
}

function callersOf({ file, text, configuration }: LoadedConfiguration, accounts: AccountNumbers): CallerPolicy {
  const { rules, default_rule, default_audiences } = configuration.callers
  try {
    return parseCallerRules(rules, {
      defaultIssuer: configuration.callers.default_issuer,
      ...(default_rule ? { defaultAudiences: default_audiences } : {}),
      resolveUser: accounts.user,
      resolveGroup: accounts.group,
      unmapped: accounts.unmapped,
    })
  } catch (error) {
    if (!(error instanceof CallerRulesError)) throw error
    throw rulesInvalid(file, text, error)
  }
}

function rulesInvalid(file: string, text: string, { problems }: CallerRulesError): AttestdError {
  const errors = problems.map(({ path, says }) => invalidAt(file, text, ['callers', 'rules', ...path], says))
  const [first] = errors
  if (!first || errors.length === 1) return first ?? invalidAt(file, text, ['callers', 'rules'], 'are not valid')
  return Object.assign(first, { message: errors.map(({ message }) => message).join('\n') })
}

/** A workload subject without claims would name every machine alike (TOK-40); only a TD has a list of its own (TOK-38). */
function requireSubjectClaims({ file, text, configuration }: LoadedConfiguration): void {
  const { issuer } = configuration
  const uses = issuer.subject === 'workload' || issuer.audiences.some(({ subject }) => subject === 'workload')
  if (uses && issuer.subject_claims.length === 0 && !planGuest(configuration).td) {
    throw invalidAt(
      file,
      text,
      ['issuer', 'subject_claims'],
      'must list claims, such as "tpm.pcr.4", for subject mode workload',
    )
  }
}

/** PCRs that are required and not quoted would refuse every appraisal. */
function requireQuotedPcrs({ file, text, configuration }: LoadedConfiguration): void {
  const { tpm, verifier } = configuration
  const missing = verifier.required_pcrs.filter((pcr) => !tpm.pcrs.includes(pcr))
  if (missing.length > 0) {
    throw invalidAt(
      file,
      text,
      ['verifier', 'required_pcrs'],
      `asks for PCR ${missing.join(', ')}, which tpm.pcrs does not quote`,
    )
  }
}

/** What is measured and never quoted would be measured for nobody. */
function requireQuotedMeasurements({ file, text, configuration }: LoadedConfiguration): void {
  const { tpm, measure } = configuration
  measure.registers.forEach((register, at) => {
    const pcr = register.startsWith('pcr') ? Number(register.slice(3)) : null
    if (pcr === null || tpm.pcrs.includes(pcr)) return
    throw invalidAt(file, text, ['measure', 'registers', at], `is PCR ${pcr}, which tpm.pcrs does not quote`)
  })
}

/** An agent without any device could never have a token. */
function requireEvidence({ file, text, configuration }: LoadedConfiguration): void {
  const { tpm, td } = planGuest(configuration)
  if (tpm || td) return
  const says = 'is off, and this guest is no TD: there would be no evidence at all'
  throw invalidAt(file, text, ['tpm', 'use'], says)
}

type Deliveries = Pick<Settings, 'sinks' | 'credentials' | 'declared'>

interface DeliveryContext extends Pick<Settings, 'audiences' | 'callers' | 'tokens'> {
  readonly accounts: AccountNumbers
}

/** What the agent hands out by itself, and what is kept fresh for it (BRK-70). */
async function deliveriesOf(
  loaded: LoadedConfiguration,
  { audiences, callers, tokens, accounts }: DeliveryContext,
): Promise<Deliveries> {
  const sinks = await readSinks(loaded, audiences, accounts)
  const credentials = readCredentials(loaded, { callers, tokens })
  const warm = loaded.configuration.broker.warm.map(plainRequest)
  const loading = credentials.flatMap(({ request }) => request ?? [])
  const declared = [...warm, ...loading].map((request) => ({ request, sink: false }))
  return {
    sinks,
    credentials,
    declared: [...declared, ...sinks.map(({ sink: { request } }) => ({ request, sink: true }))],
  }
}

/** TOK-43. */
const usualLeastLifetimeS = 60

/** The engine of policies is loaded where there is a section that needs it. */
async function policySettings(loaded: LoadedConfiguration): Promise<PolicySettings | null> {
  if (loaded.configuration.policies === undefined) return null
  const { readPolicySettings } = await import('./policy-settings.ts')
  return readPolicySettings(loaded)
}

/** Checks everything that the schema cannot, reads the files that are named, and gives the settings or throws. */
export async function composeSettings(
  loaded: LoadedConfiguration,
  leastLifetimeS = usualLeastLifetimeS,
): Promise<Settings> {
  const { configuration } = loaded
  requireEvidence(loaded)
  requireDefaultIssuer(loaded)
  requireSurfaceIssuers(loaded)
  requireSubjectClaims(loaded)
  requireQuotedPcrs(loaded)
  requireQuotedMeasurements(loaded)
  requireCollateralServers(loaded)
  const accounts = await readAccountNumbers()
  const usualLifetimeS = secondsOf(configuration.issuer.lifetime)
  const audiences = audiencesOf(configuration, leastLifetimeS)
  const callers = callersOf(loaded, accounts)
  const tokens = tokensOf(configuration, usualLifetimeS)
  return {
    configuration,
    callers,
    tokens,
    requirements: requirementsOf(configuration),
    references: await readTpmReferences(loaded),
    tdRequirements: await readTdRequirements(loaded),
    policies: await policySettings(loaded),
    remotes: await readRemotes(loaded),
    trust: await readEkTrust(configuration.verifier),
    audiences,
    usualLifetimeS,
    leastLifetimeS,
    ...(await deliveriesOf(loaded, { audiences, callers, tokens, accounts })),
  }
}
