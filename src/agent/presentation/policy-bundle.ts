import type { RegoEvaluation } from '../../policies/rego/rego-evaluation.ts'
import type { TrustName } from '../../policies/rego/trust-claims.ts'
import type { BundleParts, ExaminedBundle } from '../policy-tools/examine-bundle.ts'
import { counted } from './counted.ts'
import { grantedLines } from './policy-explanation.ts'
import { denialOf } from './policy-verdict.ts'
import { type CommandIo, escaped, painted } from './terminal.ts'

function problemLines({ problem }: ExaminedBundle, io: CommandIo): string[] {
  if (problem === null) return []
  const { code, message, remedy } = problem
  return [`${painted(io, 'red', 'refused')} ${code}: ${escaped(message)}`, `  remedy: ${escaped(remedy)}`]
}

/** One line that sums up, after what is wrong. */
export function renderBundleCheck(examined: ExaminedBundle, io: CommandIo): string {
  const { file, sha256, parts, entrypoints, problem } = examined
  const verdict = problem === null ? painted(io, 'green', 'loads') : painted(io, 'red', 'does not load')
  const facts = [
    'Rego bundle',
    ...(parts === null ? [] : [`ABI ${parts.abi}`]),
    ...(entrypoints === null ? [] : [`asked for ${entrypoints.join(', ')}`]),
    `sha256 ${sha256}`,
  ]
  return `${[...problemLines(examined, io), `${escaped(file)}: ${verdict}: ${facts.join(', ')}`].join('\n')}\n`
}

function partLines({ abi, module, data, memory, revision, manifest }: BundleParts): string[] {
  return [
    `  module       ABI ${abi}, ${counted(module, 'byte')}`,
    `  data         ${counted(data, 'byte')}`,
    `  memory       ${memory.initial} to ${memory.maximum} pages of 64 KiB`,
    ...(revision === null ? [] : [`  revision     ${escaped(revision)}`]),
    ...(manifest === null ? [] : [`  entrypoints  ${manifest.map(escaped).join(', ')}, as the manifest says`]),
  ]
}

/** What is in a bundle, of which nothing has run. */
export function renderBundleParts(examined: ExaminedBundle, io: CommandIo): string {
  const { file, sha256, parts } = examined
  const form = parts?.form === 'bare' ? 'a compiled Rego policy' : 'a Rego bundle'
  const lines = [
    `${escaped(file)}: ${form}; nothing of it has run, and it is not signed: a configuration pins it by its hash`,
    `  sha256       ${sha256}`,
    ...(parts === null ? [] : partLines(parts)),
    ...problemLines(examined, io),
    ...(parts === null
      ? []
      : [`${painted(io, 'green', 'good')}: no problem of form; \`attestd policy check\` opens it`]),
  ]
  return `${lines.join('\n')}\n`
}

/** The same as JSON. */
export function bundleDocument({ file, sha256, parts, entrypoints, problem }: ExaminedBundle): Record<string, unknown> {
  const own = { file, engine: 'rego-wasm', loads: problem === null, sha256, ...parts }
  return { ...own, entrypoints, problems: problem === null ? [] : [problem] }
}

/** Each name of the vector with its tier, and names that are required and not there. */
function trustLines({ trust }: RegoEvaluation, required: readonly TrustName[], io: CommandIo): string[] {
  const colours = { affirming: 'green', none: 'grey', warning: 'yellow', contraindicated: 'red' } as const
  const absent = required.filter((name) => trust.every((claim) => claim.name !== name))
  const shown = trust.map(({ name, value, tier }) => {
    const asked = required.includes(name) ? ', required' : ''
    return `    ${name.padEnd(18)} ${String(value).padStart(4)}  ${painted(io, colours[tier], tier)}${asked}`
  })
  if (shown.length === 0) return []
  return ['trust vector:', ...shown, ...absent.map((name) => `    ${name.padEnd(18)}    –  absent, required`)]
}

/** The verdict of a bundle, its trust vector, and what it gives to the token. */
export function renderBundleVerdict(
  file: string,
  evaluation: RegoEvaluation,
  required: readonly TrustName[],
  io: CommandIo,
): string {
  const denial = denialOf(evaluation)
  const verdict = denial === null ? painted(io, 'green', 'PERMIT') : painted(io, 'red', 'DENY')
  const head = `${escaped(file)}: ${verdict}${denial === null ? '' : `: ${escaped(denial)}`}`
  return `${[head, ...trustLines(evaluation, required, io), ...grantedLines(evaluation)].join('\n')}\n`
}

/** What a bundle said, as JSON. */
export function bundleVerdictDocument(evaluation: RegoEvaluation, required: readonly TrustName[]) {
  const { verdict, trust } = evaluation
  return {
    verdict,
    ...(evaluation.verdict === 'deny' ? { reason: evaluation.reason } : {}),
    ...(evaluation.verdict === 'error' ? { reason: 'error', error: evaluation.error } : {}),
    trust,
    required,
    ...(evaluation.verdict === 'permit' ? { token: evaluation.token } : {}),
  }
}
