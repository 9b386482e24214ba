import { aliasClaims, ownClaims } from '../../src/policies/claims/claim-catalogue.ts'
import type { ClaimEntry, EvidenceKind } from '../../src/policies/claims/claim-entry.ts'
import { generated, row } from './table.ts'

const several = (isMany: boolean) => (isMany ? ', several' : '')

function meaningOf({ meaning, document, isReadOnly, notMade }: ClaimEntry): string {
  return [
    meaning,
    ...(document === null ? [] : [`\`{"${document.root}": […]}\` of ${document.members}`]),
    ...(isReadOnly ? ['**read-only**: no rule can issue it or a part of it'] : []),
    ...(notMade === null ? [] : [`*not made yet*: ${notMade}`]),
  ].join('; ')
}

const claimRow = (entry: ClaimEntry) =>
  row(`\`${entry.name}\``, `${entry.valueType}${several(entry.isMany)}`, entry.issuer, meaningOf(entry))

const aliasRow = (entry: ClaimEntry) =>
  row(
    `\`${entry.name}\``,
    `${entry.valueType}${several(entry.isMany)}`,
    `\`${entry.alias?.of ?? ''}\``,
    entry.meaning + (entry.isReadOnly ? '; **read-only**' : ''),
  )

const titles: Readonly<Record<EvidenceKind, string>> = {
  tdx: 'Trust domains (`tdx`)',
  tpm: 'TPM (`tpm`)',
  ima: 'IMA (`ima`)',
  gpu: 'GPUs (`gpu`)',
  sgx: 'SGX enclaves (`sgx`)',
}

function section(title: string, entries: readonly ClaimEntry[]): string {
  const head = '| claim | value | issuer | meaning |\n|---|---|---|---|'
  return `## ${title}\n\n${head}\n${entries.map(claimRow).join('\n')}\n`
}

const intro = `What rules of an appraisal policy can match.
Names are a stable interface: names are added, and never change their meaning.
Claims with issuer \`AttestationService\` come from evidence that passed its checks; what is not verified is not among them. What is not
known makes no claim: \`![type=="…"]\` asks for its absence. *several* claims of one name can be there, one for each different value.
Documents are JSON text (RFC 8785) for \`JmesPath\`. Every rule should test the issuer: claims of the attester itself have the issuer \`CustomClaim\`.`

/** docs/policy-claims.md: the catalogue that presentation and lint use (POL-430 to POL-435). */
export function policyClaimsPage(): string {
  const ofKind = (kind: EvidenceKind) => ownClaims.filter(({ kinds }) => kinds[0] === kind)
  const sections = (Object.keys(titles) as EvidenceKind[]).map((kind) => section(titles[kind], ofKind(kind)))
  const any = section(
    'Any evidence',
    ownClaims.filter(({ kinds }) => kinds.length === 0),
  )
  const head = '| alias | value | of | meaning |\n|---|---|---|---|'
  const aliases = `## Aliases\n\nNames of Azure Attestation policies, beside ours. Names of Windows alone (\`vbsEnabled\`, \`iommuEnabled\` …) are absent on Linux, never \`false\`.\n\n${head}\n${aliasClaims.map(aliasRow).join('\n')}\n`
  return `# Claims of policies\n\n${generated} ${intro}\n\n${[any, ...sections, aliases].join('\n')}`
}
