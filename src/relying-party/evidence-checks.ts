import { createHash } from 'node:crypto'
import { canonicalJson, isJsonObject, type JsonValue } from '../base/json.ts'
import { describeValue } from './describe-value.ts'
import { type EvidenceView, valueAt } from './evidence-view.ts'
import type { Judging } from './judging.ts'
import { breaches } from './measurements.ts'

/** As `Judging`, with the evidence in the token. */
interface Attested extends Judging {
  readonly view: EvidenceView
  /** The operator accepts this kind of token and it has no TD: rules about TDs have nothing to judge. */
  readonly withoutTd: boolean
}

export type JudgeEvidence = (attested: Attested) => void

const noTd = 'a kind without a TD, which `tee` accepts'

const judgeReportData: JudgeEvidence = ({ expected, view, list }) => {
  const [inQuote, copy] = view.reportData
  if (inQuote !== copy) return list.fail('token.reportData', 'the two copies of the report data differ')
  if (expected.reportData === undefined) return list.waive('token.reportData', 'no report data are expected')
  const problem = () => (inQuote === undefined ? 'the token has no report data' : 'the report data are others')
  list.judge('token.reportData', inQuote === expected.reportData, problem)
}

/** JCS has no form for an infinity, and no issuer that hashed one. */
function isCanonical(value: JsonValue): boolean {
  if (typeof value === 'number') return Number.isFinite(value)
  return typeof value !== 'object' || value === null || Object.values(value).every(isCanonical)
}

const runtimeHashes = ['sha256', 'sha384', 'sha512']

function runtimeDataProblem({ payload, view }: Attested, data: JsonValue): string | undefined {
  const { runtimeDataHash: hash = 'sha384' } = isJsonObject(payload['attestd']) ? payload['attestd'] : {}
  if (typeof hash !== 'string' || !runtimeHashes.includes(hash)) return `runtimeDataHash is ${describeValue(hash)}`
  if (!isCanonical(data)) return 'runtime_data holds a number that JSON cannot canonicalise'
  const digest = createHash(hash).update(canonicalJson(data)).digest('hex').padEnd(128, '0')
  const [inQuote, copy] = view.reportData
  return inQuote === digest && copy === digest ? undefined : 'runtime_data does not hash to the report data'
}

const judgeRuntimeData: JudgeEvidence = (attested) => {
  const { payload, list } = attested
  const claims = payload['customized_claims']
  const data = isJsonObject(claims) ? (claims['runtime_data'] ?? null) : null
  if (claims !== undefined && !isJsonObject(claims)) {
    list.fail('token.runtimeData', `customized_claims is ${describeValue(claims)}`)
  } else if (data === null) {
    list.pass('token.runtimeData', 'the token has no structured runtime data')
  } else {
    const problem = isJsonObject(data) ? runtimeDataProblem(attested, data) : `runtime_data is ${describeValue(data)}`
    list.judge('token.runtimeData', problem === undefined, () => problem ?? '')
  }
}

const judgeInitData: JudgeEvidence = ({ trust, view, list }) => {
  const [inQuote, copy] = view.initData
  if (inQuote !== copy) return list.fail('token.initData', 'the two copies of the init data digest differ')
  if (trust.initData === undefined) return list.waive('token.initData', 'no init data are configured')
  const problem = () =>
    inQuote === undefined ? 'the token has no init data digest' : `the digest is ${describeValue(inQuote)}`
  list.judge('token.initData', inQuote === trust.initData, problem)
}

type DebugState = 'on' | 'off' | 'malformed' | undefined

/** Bit 0 of the first byte, in the byte order of the quote. */
function debugInAttributes(hex: JsonValue | undefined): DebugState {
  if (hex === undefined) return undefined
  if (typeof hex !== 'string' || !/^[0-9a-f]{16}$/.test(hex)) return 'malformed'
  return (Number.parseInt(hex.slice(0, 2), 16) & 1) === 1 ? 'on' : 'off'
}

function debugInFlag(flag: JsonValue | undefined): DebugState {
  if (flag === undefined) return undefined
  return typeof flag === 'boolean' ? (flag ? 'on' : 'off') : 'malformed'
}

/** RFC 9711 section 4.2.9. */
function debugInStatus(status: JsonValue | undefined): DebugState {
  if (status === undefined) return undefined
  if (status === 'enabled') return 'on'
  return typeof status === 'string' && /^disabled(?:-[a-z-]+)?$/.test(status) ? 'off' : 'malformed'
}

const judgeDebug: JudgeEvidence = ({ trust, payload, view, withoutTd, list }) => {
  const attributes = debugInAttributes(valueAt(view.trees, 'tdx', 'quote', 'body', 'td_attributes'))
  const flag = debugInFlag(valueAt(view.trees, 'tdx', 'td_attributes', 'debug'))
  const states = [attributes, flag, debugInStatus(payload['dbgstat'])].filter((state) => state !== undefined)
  const fail = (problem: string) => list.fail('token.debug', problem)
  if (states.includes('malformed')) return fail('a claim about debug mode is malformed')
  if (attributes !== undefined && flag !== undefined && attributes !== flag) {
    return fail('td_attributes and td_attributes.debug disagree')
  }
  const on = states.includes('on')
  if (states.length > 0 && !on) return list.pass('token.debug')
  if (trust.allowDebug) return list.waive('token.debug', 'allowDebug is set')
  // A GPU has a debug mode too, so only a token without any such part has nothing to say.
  if (!on && withoutTd && !view.kinds.includes('nvgpu')) return list.waive('token.debug', noTd)
  fail(on ? 'a part of the guest is in debug mode' : 'no claim says whether the guest is in debug mode')
}

const judgeMeasurements: JudgeEvidence = ({ trust, view, list }) => {
  if (trust.measurements.length === 0) return list.waive('token.measurements', 'no measurements are configured')
  const found = trust.measurements.flatMap((rule) =>
    breaches(rule, view.trees).map((value) => `${rule.name} is ${describeValue(value)}`),
  )
  list.judge('token.measurements', found.length === 0, () => found.slice(0, 10).join('; '))
}

const judgeTcb: JudgeEvidence = ({ trust, payload, withoutTd, list }) => {
  const { tcb } = payload
  if (trust.tcbStatus === null) return list.waive('token.tcb', 'requireTcbStatus is null')
  if (trust.profile === 'alibaba') {
    return list.fail('token.tcb', 'profile alibaba carries no verdict: use profile attestd or verify the quote')
  }
  if (tcb === undefined && withoutTd && !trust.tcbDemanded) return list.waive('token.tcb', noTd)
  const status = isJsonObject(tcb) ? tcb['status'] : undefined
  const advisories = isJsonObject(tcb) && Array.isArray(tcb['advisories']) ? tcb['advisories'] : []
  const named = advisories.length === 0 ? '' : `, advisories ${advisories.slice(0, 20).map(describeValue).join(' ')}`
  const detail = `the TCB status is ${describeValue(status)}${named}`
  list.judge('token.tcb', status !== undefined && trust.tcbStatus.has(status), () => detail, detail)
}

/** TOK-103 to TOK-108, in order. */
export const evidenceChecks: readonly JudgeEvidence[] = [
  judgeReportData,
  judgeRuntimeData,
  judgeInitData,
  judgeDebug,
  judgeMeasurements,
  judgeTcb,
]
