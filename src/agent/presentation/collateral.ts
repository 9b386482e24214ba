import type { RevocationList } from '../../base/pki/revocation-list.ts'
import { parseCrl } from '../../base/pki/revocation-list.ts'
import type { Collateral } from '../../endorsements/tdx/collateral.ts'
import { parseQeIdentity } from '../../endorsements/tdx/qe-identity.ts'
import { parseTcbInfo, type TcbInfo, type TcbLevel } from '../../endorsements/tdx/tcb-info.ts'
import type { EnclaveTcbLevel } from '../../endorsements/tdx/tcb-level.ts'
import type { JudgedBundle, JudgedItem } from '../offline/judge-bundle.ts'
import type { QuotePlatform } from '../quote-platform.ts'
import { type CommandIo, escaped, painted } from './terminal.ts'

const shownTime = (time: number): string => new Date(time).toISOString().replace('.000Z', 'Z')

const titles: Readonly<Record<JudgedItem['kind'], string>> = {
  'tcb-info': 'TCB info',
  'qe-identity': 'QE identity',
  'pck-crl': 'PCK CRL',
  'root-crl': 'root CRL',
}

function shownLeft(leftMs: number): string {
  const hours = Math.floor(Math.abs(leftMs) / 3_600_000)
  const span = hours < 48 ? `${hours} h` : `${Math.floor(hours / 24)} days`
  return leftMs < 0 ? `expired ${span} ago` : `${span} left`
}

const shownPlatform = ({ tee, fmspc, ca }: QuotePlatform): string => `${tee.toUpperCase()}, FMSPC ${fmspc}, ${ca} CA`

/** One item as JSON: times in RFC 3339, the number as decimal digits, since a CRL number may have 20 octets. */
export function itemDocument({ kind, facts, problem, period }: JudgedItem): Record<string, unknown> {
  const { issueDate, nextUpdate, number } = facts
  const times = { issued_at: shownTime(issueDate), expires_at: shownTime(nextUpdate), number: String(number) }
  return { item: kind, ...times, authentic: problem === null, ...(problem === null ? {} : { problem }), period }
}

const levelDocument = ({ tcbDate, status, advisoryIds }: TcbLevel | EnclaveTcbLevel) => ({
  status,
  tcb_date: shownTime(tcbDate),
  advisory_ids: advisoryIds,
})

function platformLevel(level: TcbLevel): Record<string, unknown> {
  const { sgxComponents, pceSvn, tdxComponents } = level
  const svns = { sgx_components: sgxComponents, pce_svn: pceSvn }
  return { ...svns, ...(tdxComponents ? { tdx_components: tdxComponents } : {}), ...levelDocument(level) }
}

const enclaveLevel = (level: EnclaveTcbLevel) => ({ isv_svn: level.isvSvn, ...levelDocument(level) })

function listDocument({ number, revokedSerials }: RevocationList): Record<string, unknown> {
  return { number: String(number), revoked_serials: [...revokedSerials] }
}

/** All that a bundle says, as JSON. Nothing of it is verified. */
export function bundleDocument(bundle: Collateral, platform: QuotePlatform): Record<string, unknown> {
  const info = parseTcbInfo(bundle.tcbInfo)
  const identity = parseQeIdentity(bundle.qeIdentity)
  return {
    platform,
    tcb_info: {
      version: info.version,
      evaluation_number: info.tcbEvaluationDataNumber,
      pce_id: info.pceId,
      levels: info.levels.map(platformLevel),
      module_identities: info.tdxModuleIdentities.map(({ id, levels }) => ({ id, levels: levels.map(enclaveLevel) })),
    },
    qe_identity: {
      id: identity.id,
      evaluation_number: identity.tcbEvaluationDataNumber,
      levels: identity.levels.map(enclaveLevel),
    },
    root_crl: listDocument(parseCrl(bundle.rootCaCrl, 'rootCaCrl')),
    pck_crl: listDocument(parseCrl(bundle.pckCrl, 'pckCrl')),
  }
}

function levelLines(levels: readonly (TcbLevel | EnclaveTcbLevel)[], nameOf: (at: number) => string): string[] {
  return levels.map(({ status, tcbDate, advisoryIds }, at) => {
    const advisories = advisoryIds.length === 0 ? '' : `  ${escaped(advisoryIds.join(' '))}`
    return `    ${nameOf(at)}  ${status}  ${shownTime(tcbDate)}${advisories}`
  })
}

function tcbInfoLines({ levels, tdxModuleIdentities }: TcbInfo): string[] {
  const svns = levels.map(({ sgxComponents, pceSvn, tdxComponents }) => {
    const tdx = tdxComponents ? `  tdx ${tdxComponents.join('.')}` : ''
    return `sgx ${sgxComponents.join('.')}  pce ${pceSvn}${tdx}`
  })
  const modules = tdxModuleIdentities.flatMap((module) => [
    `    module ${escaped(module.id)}`,
    ...levelLines(module.levels, (at) => `  svn ${module.levels[at]?.isvSvn}`),
  ])
  return [...levelLines(levels, (at) => svns[at] ?? ''), ...modules]
}

function detailLines(kind: JudgedItem['kind'], bundle: Collateral): string[] {
  switch (kind) {
    case 'tcb-info':
      return tcbInfoLines(parseTcbInfo(bundle.tcbInfo))
    case 'qe-identity': {
      const { levels } = parseQeIdentity(bundle.qeIdentity)
      return levelLines(levels, (at) => `svn ${levels[at]?.isvSvn}`)
    }
    case 'pck-crl':
      return serialLines(bundle.pckCrl)
    case 'root-crl':
      return serialLines(bundle.rootCaCrl)
  }
}

const serialLines = (der: Uint8Array): string[] => {
  const serials = [...parseCrl(der).revokedSerials]
  return [`    ${serials.length} revoked`, ...serials.slice(0, 16).map((serial) => `    ${serial}`)]
}

function windowLine({ kind, facts }: JudgedItem, now: number): string {
  const { issueDate, nextUpdate, number } = facts
  const window = `${shownTime(issueDate)} to ${shownTime(nextUpdate)}`
  return `${titles[kind].padEnd(11)}  number ${number}  ${window}  ${shownLeft(nextUpdate - now)}`
}

/** The tree of `attestd collateral show`: item by item, and the window in which all of them hold (TDX-213, TDX-222). */
export function renderBundle(bundle: Collateral, { platform, items }: JudgedBundle, now: number): string {
  const start = Math.max(...items.map(({ facts }) => facts.issueDate))
  const end = Math.min(...items.map(({ facts }) => facts.nextUpdate))
  const lines = items.flatMap((item) => [`  ${windowLine(item, now)}`, ...detailLines(item.kind, bundle)])
  const whole = start <= end ? `${shownTime(start)} to ${shownTime(end)}` : 'never: no time lies in all windows'
  return `collateral for ${shownPlatform(platform)}\n${lines.join('\n')}\n  all items    ${whole}\n`
}

const says: Readonly<Record<JudgedItem['period'], string>> = {
  current: 'current',
  expired: 'EXPIRED',
  'from-future': 'NOT YET VALID',
  'signer-not-valid': 'SIGNER NOT VALID',
}

/** The lines of `attestd collateral check`. */
export function renderJudgement({ platform, items }: JudgedBundle, now: number, io: CommandIo): string {
  const lines = items.map((item) => {
    const authentic =
      item.problem === null
        ? painted(io, 'green', 'authentic')
        : painted(io, 'red', `NOT AUTHENTIC: ${escaped(item.problem)}`)
    const period = painted(io, item.period === 'current' ? 'green' : 'red', says[item.period])
    return `  ${windowLine(item, now)}  ${period}, ${authentic}`
  })
  return `collateral for ${shownPlatform(platform)}\n${lines.join('\n')}\n`
}
