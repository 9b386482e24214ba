import { type Claim, formatPolicy } from '../../policies/index.ts'
import { type MeasuredValue, placeholder, type SiteKind, type SitePart, siteKinds, sitePart } from './site-parts.ts'

export interface SitePolicyRequest {
  /** Policy id (POL-442); the token says it. */
  readonly name: string
  readonly kinds: readonly SiteKind[]
  /** Claims of evidence that was affirmed; null: the values are to be filled in. */
  readonly claims: readonly Claim[] | null
}

const hexadecimal = /^[0-9a-f]{32,256}$/

/** Only what the verifier says, and only what cannot be anything but a measurement, goes into the text. */
function measuredIn(claims: readonly Claim[] | null): MeasuredValue {
  return (type) => {
    const found = (claims ?? []).filter((claim) => claim.type === type && claim.issuer === 'AttestationService')
    const [{ value } = { value: null }] = found
    return found.length === 1 && typeof value === 'string' && hexadecimal.test(value) ? value : null
  }
}

function appraisedAt(claims: readonly Claim[]): string {
  const time = claims.find(({ type, issuer }) => type === 'attestation.time' && issuer === 'AttestationService')
  return typeof time?.value === 'bigint' ? new Date(Number(time.value) * 1000).toISOString() : 'an unknown time'
}

function headLines({ name, claims, kinds }: SitePolicyRequest, isWhole: boolean): string[] {
  const where = [
    ...(claims === null
      ? []
      : [`// The measured values are those of evidence that was affirmed for ${appraisedAt(claims)}.`]),
    ...(isWhole
      ? []
      : [`// Put the values of your image in place of ${placeholder}: until then nothing is permitted.`]),
  ]
  return [
    'version=1.2;',
    `// ${name}: a site policy for evidence of ${kinds.join(' and ')}.`,
    ...where,
    '// Try it with `attestd policy explain`, write tests for `attestd policy test`, and see docs/policy.md.',
  ]
}

function section(name: string, lines: readonly string[]): string[] {
  return [name, '{', ...lines, '};']
}

/**
 * Writes the text of a policy to begin with: who gets a token is decided by the measured values of evidence that is
 * there already (POL-441). It permits nothing that was not measured or filled in, and lints find nothing in it.
 */
export function writeSitePolicy(request: SitePolicyRequest): string {
  const kinds = siteKinds.filter((kind) => request.kinds.includes(kind))
  const parts = kinds.map((kind) => sitePart(kind, kinds, measuredIn(request.claims)))
  const all = (name: keyof SitePart) => parts.flatMap((part) => part[name])
  const conditions = [
    '[type=="attestation.simulated", value==false, issuer=="AttestationService"]',
    ...all('conditions'),
  ]
  const configuration = all('configuration')
  const lines = [
    ...headLines({ ...request, kinds }, !all('adds').some((line) => line.includes(placeholder))),
    ...(configuration.length === 0 ? [] : section('configurationrules', configuration)),
    ...section('authorizationrules', [
      '// What never gets a token.',
      '[type=="attestation.simulated", value==true, issuer=="AttestationService"] => deny();',
      ...all('denies'),
      '',
      ...all('adds'),
      '',
      '// What gets one: all of this together.',
      `${conditions.join(' &&\n')} => permit();`,
    ]),
    ...section('issuancerules', [
      '// What relying parties find in the token; the names are yours.',
      `=> issue(type="policy-name", value="${request.name}");`,
      ...all('issues'),
    ]),
  ]
  const { text, diagnostics } = formatPolicy(`${lines.join('\n')}\n`)
  if (text !== undefined) return text
  throw new TypeError(`a site policy does not load: ${diagnostics[0]?.message}`)
}
