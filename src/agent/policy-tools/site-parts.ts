import type { EvidenceKind } from '../../policies/index.ts'

/** Kinds of evidence for which a site policy can be begun. */
export const siteKinds = ['tdx', 'tpm', 'ima', 'gpu'] as const satisfies readonly EvidenceKind[]
export type SiteKind = (typeof siteKinds)[number]

/** The value of a claim as hexadecimal, of the evidence that the policy is made for; null if there is none. */
export type MeasuredValue = (type: string) => string | null

/** What one kind of evidence brings into a policy, as lines of text. */
export interface SitePart {
  readonly configuration: readonly string[]
  readonly denies: readonly string[]
  readonly adds: readonly string[]
  /** Of the rule that permits, without the `&&` between them. */
  readonly conditions: readonly string[]
  readonly issues: readonly string[]
}

/** No measurement is this: a policy that was not filled in permits nothing. */
export const placeholder = 'REPLACE-ME'

const service = (tests: string) => `[${tests}, issuer=="AttestationService"]`
const denies = (tests: string) => `${service(tests)} => deny();`
const own = (type: string) => `[type=="${type}", value==true, issuer=="AttestationPolicy"]`

interface Pin {
  readonly claim: string
  /** Name of the claim that says that the value is right. */
  readonly ok: string
  readonly about: string
}

function pinLines({ claim, ok, about }: Pin, measured: MeasuredValue): string[] {
  const value = measured(claim) ?? placeholder
  return [`// ${about}.`, `${service(`type=="${claim}", value=="${value}"`)} => add(type="${ok}", value=true);`]
}

/** A value that is only told: whoever wants it pinned writes a rule like those above. */
function toldLine({ claim, about }: Pin, measured: MeasuredValue): string[] {
  const value = measured(claim)
  return value === null ? [] : [`// ${about}, not asked for: ${claim} is ${value}`]
}

const severalBuilds =
  '// For another build add a rule with its value; take the old one away when no machine runs it any more.'

const tdPins: readonly Pin[] = [
  { claim: 'tdx.quote.body.mr_td', ok: 'mrTdOk', about: 'MRTD: the firmware that the TD started with' },
  { claim: 'tdx.quote.body.rtmr_0', ok: 'rtmr0Ok', about: 'RTMR 0: configuration of the firmware, secure boot keys' },
  { claim: 'tdx.quote.body.rtmr_1', ok: 'rtmr1Ok', about: 'RTMR 1: boot loader and kernel' },
  { claim: 'tdx.quote.body.rtmr_2', ok: 'rtmr2Ok', about: 'RTMR 2: command line and initial RAM disk' },
]
const tdTold: readonly Pin[] = [
  { claim: 'tdx.quote.body.rtmr_3', ok: '', about: 'RTMR 3, what the guest measures while it runs' },
  { claim: 'tdx.quote.body.mr_seam', ok: '', about: 'MRSEAM, the TDX module, which the host updates' },
]

function tdPart(measured: MeasuredValue): SitePart {
  const statuses = ['UpToDate', 'SWHardeningNeeded'].map((status) => {
    const found = service(`type=="tdx.tcb_status", value=="${status}"`)
    return `${found} => add(type="tcbOk", value=true);`
  })
  return {
    configuration: [],
    denies: [
      denies('type=="tdx.td_attributes.debug", value==true'),
      denies('type=="tdx.report_data_bound", value==false'),
      denies('type=="tdx.eventlog_verified", value==false'),
      '// Collateral of Intel that has expired and is used under a grace period.',
      denies('type=="tdx.collateral_expiration_status", value=="1"'),
    ],
    adds: [
      '// States of the platform that are good enough, one rule for each.',
      ...statuses,
      '',
      '// The image.',
      severalBuilds,
      ...tdPins.flatMap((pin) => pinLines(pin, measured)),
      ...tdTold.flatMap((pin) => toldLine(pin, measured)),
    ],
    conditions: [
      service('type=="tdx.td_attributes.debug", value==false'),
      service('type=="tdx.report_data_bound", value==true'),
      ...['tcbOk', ...tdPins.map(({ ok }) => ok)].map(own),
    ],
    issues: ['c:[type=="tdx.quote.body.mr_td", issuer=="AttestationService"] => issue(type="image", value=c.value);'],
  }
}

const pcr = (index: number, about: string): Pin => ({
  claim: `tpm.pcr.${index}`,
  ok: `pcr${index}Ok`,
  about: `PCR ${index}: ${about}`,
})
const tpmPins: readonly Pin[] = [
  pcr(0, 'firmware'),
  pcr(4, 'boot loader and kernel'),
  pcr(7, 'secure boot: whether it is on, and by whose keys'),
]
const tpmTold: readonly Pin[] = [
  pcr(1, 'configuration of the firmware'),
  pcr(2, 'option ROMs'),
  pcr(3, 'configuration of option ROMs'),
  pcr(5, 'configuration of the boot loader, partitions'),
  pcr(8, 'commands of the boot loader'),
  pcr(9, 'files of the boot loader'),
]

function tpmPart(measured: MeasuredValue, kinds: readonly SiteKind[]): SitePart {
  const mask = kinds.includes('ima') ? 0x4ff : 0xff
  return {
    configuration: [
      '=> issueproperty(type="require_valid_aik_cert", value=true);',
      `// PCR 0 to 7${kinds.includes('ima') ? ', and PCR 10 of IMA' : ''} have to be quoted.`,
      `=> issueproperty(type="required_pcr_mask", value=${mask});`,
    ],
    denies: [denies('type=="tpm.secure_boot", value==false'), denies('type=="tpm.eventlog_verified", value==false')],
    adds: [
      '// What booted.',
      severalBuilds,
      ...tpmPins.flatMap((pin) => pinLines(pin, measured)),
      ...tpmTold.flatMap((pin) => toldLine(pin, measured)),
    ],
    conditions: [
      service('type=="tpm.ak_trusted", value==true'),
      service('type=="tpm.nonce_matched", value==true'),
      service('type=="tpm.eventlog_verified", value==true'),
      ...tpmPins.map(({ ok }) => own(ok)),
    ],
    issues: [],
  }
}

const imaPart: SitePart = {
  configuration: [],
  denies: [
    '// Files that are not in the reference values of the verifier, and records that its kernel could not vouch for.',
    denies('type=="ima.not_allowed_count", value > 0'),
    denies('type=="ima.violation_count", value > 0'),
  ],
  adds: [],
  conditions: [
    service('type=="ima.verified", value==true'),
    service('type=="ima.boot_aggregate_matched", value==true'),
    service('type=="ima.violation_count", value==0'),
    service('type=="ima.not_allowed_count", value==0'),
  ],
  issues: [],
}

const gpuPart: SitePart = {
  configuration: [],
  denies: [
    '// One bad device among several is enough.',
    denies('type=="gpu.debug", value==true'),
    denies('type=="gpu.verified", value==false'),
    denies('type=="gpu.measurements_matched", value==false'),
  ],
  adds: [],
  conditions: [
    service('type=="gpu.count", value >= 1'),
    service('type=="gpu.verified", value==true'),
    service('type=="gpu.measurements_matched", value==true'),
    service('type=="gpu.debug", value==false'),
    service('type=="gpu.rim", value=="full"'),
    service('type=="gpu.binding", value=="transcript"'),
  ],
  issues: ['c:[type=="gpu.count", issuer=="AttestationService"] => issue(type="gpu-count", value=c.value);'],
}

/** The lines of one kind; `kinds` are all that the policy is about. */
export function sitePart(kind: SiteKind, kinds: readonly SiteKind[], measured: MeasuredValue): SitePart {
  if (kind === 'tdx') return tdPart(measured)
  if (kind === 'tpm') return tpmPart(measured, kinds)
  return kind === 'ima' ? imaPart : gpuPart
}
