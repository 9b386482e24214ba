import { describeName } from '../../base/pki/distinguished-name.ts'
import type { PolicyDiagnostic, PolicyInspection } from '../../policies/index.ts'
import { describeSigner } from '../../policies/index.ts'
import { showDiagnostic } from '../../policies/language/show-diagnostic.ts'
import { counted } from './counted.ts'
import { type CommandIo, escaped, painted } from './terminal.ts'

/** What was uploaded, and everything for which it is refused. */
export interface JudgedUpload extends PolicyInspection {
  /** Why its text does not load. */
  readonly diagnostics: readonly PolicyDiagnostic[]
}

const longestShown = 160

function shortened(text: string): string {
  const shown = escaped(text)
  return shown.length <= longestShown ? shown : `${shown.slice(0, longestShown)}…`
}

function headerLines({ header }: JudgedUpload): string[] {
  return Object.entries(header ?? {}).map(([name, value]) => {
    const shown = name === 'x5c' && Array.isArray(value) ? counted(value.length, 'certificate') : JSON.stringify(value)
    return `  header ${escaped(name)}  ${shortened(shown)}`
  })
}

function signerLines({ signer, form, header, problems }: JudgedUpload): string[] {
  if (signer === null) {
    const isBroken = problems.length > 0
    const isUnsigned = header?.['alg'] === 'none'
    const plain = form === 'text' ? 'nobody: plain text has no place for a signature' : 'nobody: the unsigned form'
    const says = isBroken && form !== 'text' && !isUnsigned ? 'nobody that can be shown' : plain
    return [
      `  signed by  ${says}`,
      ...(isBroken ? [] : ['  note: a verifier with trusted signers refuses it (POL-704)']),
    ]
  }
  const [own] = signer.certificates
  const { kty, alg } = describeSigner(signer)
  const key = `${String(kty)} key for ${String(alg ?? 'nothing')}`
  if (own === undefined) return [`  signed by  a ${key} without certificate`]
  return [
    `  signed by  ${shortened(describeName(own.subject))}, ${key}`,
    `             SHA-256 of the certificate ${own.fingerprint}`,
  ]
}

function hashLines({ policyHash, policyDigest, policyTokenHash }: JudgedUpload): string[] {
  const hashes = { sha256: policyDigest, 'x-ms-policy-hash': policyHash, 'x-ms-policy-token-hash': policyTokenHash }
  return Object.entries(hashes).flatMap(([name, hash]) => (hash === null ? [] : [`  ${name}  ${hash}`]))
}

/** Control characters of the text must not command the terminal; its lines stay lines. */
function textLines({ policy }: JudgedUpload): string[] {
  if (policy === null) return []
  const lines = new TextDecoder().decode(policy).split(/\r\n|\r|\n/)
  if (lines.at(-1) === '') lines.pop()
  return ['  policy, as it says itself:', ...lines.map((line) => `    ${escaped(line.replaceAll('\t', '    '))}`)]
}

function problemLines({ problems, diagnostics, policy }: JudgedUpload, io: CommandIo): string[] {
  const refused = painted(io, 'red', 'refused')
  return [
    ...problems.flatMap(({ rule, message, remedy }) => [
      `${refused} ${rule}: ${escaped(message)}`,
      `  remedy: ${escaped(remedy)}`,
    ]),
    ...diagnostics.map((each) => showDiagnostic(each, policy ?? '', 'policy')),
  ]
}

/** The parts of an upload, then what is wrong with it. */
export function renderInspection(judged: JudgedUpload, file: string, io: CommandIo): string {
  const { form, problems, diagnostics } = judged
  const isGood = problems.length + diagnostics.length === 0
  const lines = [
    `${escaped(file)}: ${form === 'jws' ? 'a policy JWS; nothing in it is trusted here' : 'policy text'}`,
    ...headerLines(judged),
    ...signerLines(judged),
    ...hashLines(judged),
    ...textLines(judged),
    ...problemLines(judged, io),
    ...(isGood ? [`${painted(io, 'green', 'good')}: no problem of form, signature or text`] : []),
  ]
  return `${lines.join('\n')}\n`
}

/** The same as JSON. */
export function inspectionDocument(judged: JudgedUpload): Record<string, unknown> {
  const { form, header, payload, policy, signer, policyHash, policyDigest, policyTokenHash } = judged
  return {
    form,
    header,
    payload,
    policy: policy === null ? null : new TextDecoder().decode(policy),
    signer: signer === null ? null : describeSigner(signer),
    sha256: policyDigest,
    policy_hash: policyHash,
    policy_token_hash: policyTokenHash,
    problems: judged.problems,
    diagnostics: judged.diagnostics,
  }
}
