import { parseText } from '../../base/bytes.ts'
import { isJsonObject, type JsonObject, type JsonValue, parseJsonObject } from '../../base/json.ts'
import { parseTdxEvidence } from '../../evidence/tdx/evidence-json.ts'
import { parseTpmEvidence } from '../../evidence/tpm/evidence-json.ts'
import { inspectCertificate } from './certificates.ts'
import { inspectCcEventLog, inspectEventLog } from './event-logs.ts'
import { inspectImaLog } from './ima-log.ts'
import { heading, type InspectedField, type Inspection, type InspectionView, shownValue } from './inspection.ts'
import { inspectQuote } from './tdx-structures.ts'
import { inspectAttest, inspectPublic, inspectSignature } from './tpm-structures.ts'

function memberFields(value: JsonValue, name: string, depth: number): InspectedField[] {
  if (Array.isArray(value)) {
    return [heading(name, depth), ...value.flatMap((item, index) => memberFields(item, String(index), depth + 1))]
  }
  if (isJsonObject(value)) {
    return [
      heading(name, depth),
      ...Object.entries(value).flatMap(([member, item]) => memberFields(item, member, depth + 1)),
    ]
  }
  return [heading(name, depth, typeof value === 'string' ? value : JSON.stringify(value))]
}

function membersOf(object: JsonObject, depth = 1): InspectedField[] {
  return Object.entries(object).flatMap(([name, value]) => memberFields(value, name, depth))
}

const part = (name: string, inspection: Inspection): InspectedField[] => [
  heading(name, 0, inspection.kind),
  ...inspection.fields.map((field) => ({ ...field, depth: field.depth + 1 })),
  ...(inspection.problem ? [heading('(problem)', 1, inspection.problem.message)] : []),
]

/** A compact JWS: header and claims. The signature is not checked: `attestd verify` does that. */
export function inspectToken(text: string): Inspection {
  const [header = '', payload = '', signature = ''] = text.split('.')
  const object = (segment: string, name: string) => parseJsonObject(parseText(segment, 'base64url', name), name)
  const fields = [
    heading('header', 0),
    ...membersOf(object(header, 'header')),
    heading('claims', 0),
    ...membersOf(object(payload, 'payload')),
    heading('signature', 0, shownValue(parseText(signature, 'base64url', 'signature'))),
  ]
  return { kind: 'token (signature not checked)', fields }
}

/** TPM evidence, container version 1, with every structure inside it. */
export function inspectTpmEvidence(container: JsonObject, view: InspectionView): Inspection {
  const { ak, ek, quotes, eventLog, ima, kernelCmdline } = parseTpmEvidence(container)
  const fields = [
    ...part('ak.public', inspectPublic(ak.publicArea)),
    ...(ek.publicArea ? part('ek.public', inspectPublic(ek.publicArea)) : []),
    ...(ek.certificate ? part('ek.certificate', inspectCertificate(ek.certificate)) : []),
    ...quotes.flatMap(({ attest, signature, pcrs }, index) => [
      ...part(`quotes[${index}].attest`, inspectAttest(attest)),
      ...part(`quotes[${index}].signature`, inspectSignature(signature)),
      heading(`quotes[${index}].pcrs`, 0),
      ...[...pcrs].flatMap(([bank, values]) =>
        [...values].map(([pcr, value]) => heading(`${bank}:${pcr}`, 1, shownValue(value))),
      ),
    ]),
    ...(kernelCmdline === undefined ? [] : [heading('hints.kernelCmdline', 0, kernelCmdline)]),
    ...(eventLog ? part('eventlog', inspectEventLog(eventLog, view, kernelCmdline)) : []),
    ...(ima ? part('ima', inspectImaLog(ima.data, ima.column, view, ima.from)) : []),
  ]
  return { kind: 'TPM evidence (container version 1)', fields }
}

/** TDX evidence with the quote and the event log inside it. */
export function inspectTdxEvidence(container: JsonObject, view: InspectionView): Inspection {
  const { quote, ccEventLog, simulated } = parseTdxEvidence(container)
  const fields = [
    ...part('quote', inspectQuote(quote)),
    ...(ccEventLog ? part('cc_eventlog', inspectCcEventLog(ccEventLog, view)) : [heading('cc_eventlog', 0, 'null')]),
    heading('(simulated)', 0, String(simulated)),
  ]
  return { kind: 'TDX evidence', fields }
}

const containers: Readonly<Record<string, (container: JsonObject, view: InspectionView) => Inspection>> = {
  tdx: inspectTdxEvidence,
  tpm: inspectTpmEvidence,
}

/** Evidence of these kinds is told by its members. */
function containerKind(object: JsonObject): string | undefined {
  if (isJsonObject(object['ak']) && Array.isArray(object['quotes'])) return 'tpm'
  return typeof object['quote'] === 'string' ? 'tdx' : undefined
}

/** A JSON document: evidence with what is inside it, else its members. */
export function inspectJson(text: string, view: InspectionView): Inspection {
  const object = parseJsonObject(text, 'document')
  const bare = containers[containerKind(object) ?? '']
  if (bare) return bare(object, view)
  const { evidence, tee } = object
  const carried = typeof tee === 'string' && Object.hasOwn(containers, tee) ? containers[tee] : undefined
  if (carried && typeof evidence === 'string') {
    const inner = parseJsonObject(parseText(evidence, 'base64url', 'evidence'), 'evidence')
    const { evidence: _carried, ...outer } = object
    return { kind: 'evidence document', fields: [...membersOf(outer, 0), ...carried(inner, view).fields] }
  }
  return { kind: 'JSON document', fields: membersOf(object, 0) }
}
