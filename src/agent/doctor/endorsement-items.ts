import type { TpmSurvey } from '../../attester/tpm/tpm-survey.ts'
import { parseCertificate } from '../../base/pki/certificate.ts'
import { type Chain, type ChainInput, checkChain } from '../../base/pki/chain.ts'
import { describeName } from '../../base/pki/distinguished-name.ts'
import { sha256Hex } from '../../base/pki/signed-object.ts'
import { parseTpmCertificate, type TpmCertificate, usageProblem } from '../../endorsements/ek-certificate.ts'
import { vendorAnchor, vendorAnchorFacts, vendorAnchorNames } from '../../endorsements/trust-anchors.ts'
import { parseSizedPublic } from '../../evidence/tpm/public-area.ts'
import { enrolmentChecks } from '../../verifier/tpm/enrolment-checks.ts'
import { spkiOfKey } from '../../verifier/tpm/key-certificate.ts'
import type { EkTrust } from '../wiring/trust-files.ts'
import { attempted, type Item, ok, problem, warning } from './item.ts'
import type { KnownSettings } from './settings-items.ts'

interface Judged {
  readonly tpm: TpmCertificate
  readonly pool: ChainInput['pool']
  readonly now: number
  readonly settings: KnownSettings
  /** What the operator would write to trust this key by itself. */
  readonly pinLine: string
}

const day = (ms: number) => new Date(ms).toISOString().slice(0, 10)

function certificateItem({ tpm }: Judged, type: 'rsa' | 'ecc'): Item {
  const { certificate } = tpm
  const unusable = usageProblem(certificate, 'endorsement', type)
  if (unusable !== null) return problem('ek.certificate', unusable, enrolmentChecks['tpm.ek.usage'].remedy)
  const names = `for ${describeName(certificate.subject)}, issued by ${describeName(certificate.issuer)}`
  return ok('ek.certificate', `${names}, valid until ${day(certificate.notAfter)}`)
}

const chainBy = ({ tpm, pool, now }: Judged, trust: EkTrust, revocation: ChainInput['revocation']): Chain =>
  checkChain({ leaf: tpm.certificate, pool, ...trust, revocation, now })

const problemsOf = ({ problems }: Chain) => problems.map(({ detail }) => detail).join('; ')

/** A maker that this version knows, and whose anchor leads to the certificate. */
function knownVendor(judged: Judged): (typeof vendorAnchorNames)[number] | undefined {
  const withKey = vendorAnchorNames.filter((name) => vendorAnchorFacts[name].authority !== null)
  const { trust } = judged.settings
  const intermediates = trust?.intermediates ?? []
  return withKey.find(
    (name) => chainBy(judged, { anchors: [vendorAnchor(name)], intermediates, crls: [] }, 'off').accepted,
  )
}

function trustItem(judged: Judged): Item {
  const id = 'ek.trust'
  const { settings, pinLine, tpm } = judged
  const { trust, verifier, configured } = settings
  const chain = trust && trust.anchors.length > 0 ? chainBy(judged, trust, verifier.revocation) : null
  if (chain?.accepted) return ok(id, `the configured anchor ${chain.anchor?.name ?? ''} vouches for it`)
  if (chain !== null && chain.anchor !== null) {
    const says = `the configured anchor ${chain.anchor.name} does not vouch for it: ${problemsOf(chain)}`
    const remedy = 'compare the clock, and configure current certificates and revocation lists of the maker'
    return problem(id, says, `${remedy}, or ${pinLine}`)
  }
  const vendor = knownVendor(judged)
  if (vendor !== undefined) {
    const says = `${vendorAnchorFacts[vendor].summary.split(':')[0]} vouches for it, and is not configured`
    return (configured ? problem : warning)(id, says, `set verifier.ek_vendors = ["${vendor}"]`)
  }
  const why = chain === null ? 'no anchor is configured' : problemsOf(chain)
  const remedy = `name the certificate of "${describeName(tpm.certificate.issuer)}" in verifier.ek_anchors, or ${pinLine}`
  return (configured ? problem : warning)(id, `nobody vouches for it: ${why}`, remedy)
}

function judgeCertificate(
  bytes: Uint8Array,
  chain: readonly Uint8Array[],
  rest: Pick<Judged, 'now' | 'settings' | 'pinLine'>,
): Promise<{ found: Judged; item: null } | { found: null; item: Item }> {
  return attempted('ek.certificate', () => {
    const pool = chain.map((der, index) => parseCertificate(der, `ek.chain.${index}`, { maximum: 4096 }))
    return { tpm: parseTpmCertificate(bytes), pool, ...rest }
  })
}

/** The endorsement key, its certificate, and whether a verifier with these settings would trust it. */
export async function lookAtEndorsement(survey: TpmSurvey, settings: KnownSettings, now: number): Promise<Item[]> {
  const { found, item } = await attempted('ek', async () => {
    const identity = await survey.endorsement()
    const area = parseSizedPublic(identity.publicArea)
    return { identity, area, spki: sha256Hex(spkiOfKey(area)) }
  })
  if (found === null) return [item]
  const { identity, area, spki } = found
  const pinned = settings.verifier.ek_pinned.includes(spki)
  const pinLine = `pin the key: verifier.ek_pinned = ["${spki}"]`
  const key = ok('ek', `SHA-256 of its SubjectPublicKeyInfo: ${spki}${pinned ? ' (pinned in the configuration)' : ''}`)
  if (pinned) return [key]
  if (identity.certificate === null) {
    const says = 'the TPM holds no certificate of the endorsement key'
    return [key, (settings.configured ? problem : warning)('ek.certificate', says, pinLine)]
  }
  const judged = await judgeCertificate(identity.certificate, identity.chain, { now, settings, pinLine })
  if (judged.found === null) return [key, judged.item]
  return [key, certificateItem(judged.found, area.type), trustItem(judged.found)]
}
