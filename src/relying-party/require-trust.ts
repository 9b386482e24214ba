import { z } from 'zod'
import { toHex } from '../base/bytes.ts'
import type { JsonValue } from '../base/json.ts'
import type { Tee } from '../results/acr.ts'
import { matchAlgorithm, type SignatureAlgorithm, tokenAlgorithms } from './algorithms.ts'
import { clipText } from './describe-value.ts'
import { relyingPartyErrors } from './errors.ts'
import { composeRules, type MeasurementRule, measurementProblem } from './measurements.ts'
import { isLoopbackHttp } from './obtain-keys.ts'
import { createReplayCache, type ReplayCache } from './replay-cache.ts'
import { systemClock, type TokenClock } from './token-clock.ts'
import type { TokenProfile, TokenTrust } from './token-trust.ts'

/** `TokenTrust` with its defaults, in the form in which the checks use it. */
export interface Trust {
  readonly issuer: string
  readonly audience: string
  readonly profile: TokenProfile
  readonly algorithms: ReadonlySet<SignatureAlgorithm>
  readonly tee: ReadonlySet<JsonValue>
  readonly measurements: readonly MeasurementRule[]
  /** Null: waived. */
  readonly tcbStatus: ReadonlySet<JsonValue> | null
  /** The operator gave the list: no kind of token is exempt. */
  readonly tcbDemanded: boolean
  readonly policies: readonly { readonly id: string; readonly hash: string | undefined }[]
  /** 96 hexadecimal digits. */
  readonly initData: string | undefined
  readonly clientId: string | undefined
  readonly clockSkewS: number
  readonly maxTokenAgeS: number
  readonly maxTokenLength: number
  readonly allowDebug: boolean
  readonly allowSimulated: boolean
  readonly requirePossession: boolean
  readonly proofAlgorithms: ReadonlySet<SignatureAlgorithm>
  readonly proofReplayCache: ReplayCache
  readonly requireCommitment: boolean
  readonly replayCache: ReplayCache | undefined
  readonly clock: TokenClock
}

const text = z.string().min(1).max(4096)
const kinds = ['tdx', 'nvgpu', 'acstdxnvgpu', 'tpm'] as const satisfies readonly Tee[]

function isIssuer(issuer: string): boolean {
  if (!URL.canParse(issuer) || issuer.includes('?') || issuer.includes('#')) return false
  const url = new URL(issuer)
  return (url.protocol === 'https:' || isLoopbackHttp(url)) && url.username === '' && url.password === ''
}

const measurements = z
  .record(z.string(), z.array(z.union([z.string(), z.number(), z.boolean()])))
  .superRefine((sets, context) => {
    for (const [name, allowed] of Object.entries(sets)) {
      const message = measurementProblem(clipText(name, 64), allowed)
      if (message !== undefined) context.addIssue({ code: 'custom', message })
    }
  })

function hasMethods(value: unknown, ...names: readonly string[]): boolean {
  if (typeof value !== 'object' || value === null) return false
  const members = value as Readonly<Record<string, unknown>>
  return names.every((name) => typeof members[name] === 'function')
}

const keySource = z.custom((value) => hasMethods(value, 'current', 'refetched'), 'is not a key source')
const transport = z.custom((value) => hasMethods(value, 'get'), 'is not a key transport')
const clock = z.custom((value) => hasMethods(value, 'now', 'monotonic', 'sleep'), 'is not a clock')
const replayCache = z.custom((value) => hasMethods(value, 'admit'), 'is not a replay cache')
const discovery = z.strictObject({
  transport: transport.exactOptional(),
  clock: clock.exactOptional(),
  allowLoopbackHttp: z.boolean().exactOptional(),
})
const initData = z.instanceof(Uint8Array).refine(({ length }) => length >= 1 && length <= 48, 'has 1 to 48 bytes')

/** `exactOptional`: a member that is there but undefined is a setting that got lost, not a wish for the default. */
const trustForm = z.strictObject({
  issuer: text.refine(isIssuer, 'is not an https URL without query, fragment and credentials'),
  audience: text,
  keys: z.union([
    z.strictObject({ jwks: z.looseObject({ keys: z.array(z.looseObject({})) }) }),
    z.strictObject({ discovery }),
    z.strictObject({ source: keySource }),
  ]),
  profile: z.enum(['attestd', 'alibaba']).exactOptional(),
  algorithms: z.array(z.enum(tokenAlgorithms)).min(1).exactOptional(),
  tee: z.array(z.enum(kinds)).min(1),
  measurements: measurements.nullable(),
  requireTcbStatus: z.array(text).min(1).nullable().exactOptional(),
  requirePolicies: z.array(z.union([text, z.strictObject({ id: text, hash: text })])).exactOptional(),
  initData: initData.exactOptional(),
  clientId: text.exactOptional(),
  clockSkewS: z.number().min(0).max(300).exactOptional(),
  maxTokenAgeS: z.int().min(1).exactOptional(),
  maxTokenLength: z.int().min(1).max(262_144).exactOptional(),
  allowDebug: z.boolean().exactOptional(),
  allowSimulated: z.boolean().exactOptional(),
  requirePossession: z.boolean().exactOptional(),
  proofAlgorithms: z.array(z.enum(tokenAlgorithms)).min(1).exactOptional(),
  proofReplayCache: replayCache.exactOptional(),
  requireCommitment: z.boolean().exactOptional(),
  replayCache: replayCache.exactOptional(),
  clock: clock.exactOptional(),
})

function requireForm(options: TokenTrust): void {
  const [issue] = trustForm.safeParse(options).error?.issues ?? []
  if (issue === undefined) return
  const option = clipText(issue.path.join('.') || 'options', 64)
  throw relyingPartyErrors.error('TOKEN_TRUST_INVALID', `${option}: ${clipText(issue.message)}`, { facts: { option } })
}

const defaultAlgorithms: Readonly<Record<TokenProfile, readonly SignatureAlgorithm[]>> = {
  attestd: ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA'],
  alibaba: ['RS256'],
}

/** The bytes as lower-case hexadecimal, padded with zeros on the right to `length` bytes. */
export function padHex(bytes: Uint8Array, length: number): string {
  return toHex(bytes).padEnd(length * 2, '0')
}

function algorithmsOf(names: readonly string[]): ReadonlySet<SignatureAlgorithm> {
  return new Set(names.map(matchAlgorithm).filter((name) => name !== undefined))
}

function demandsOf({ requireTcbStatus, requirePolicies = [], initData, measurements }: TokenTrust) {
  return {
    tcbStatus: requireTcbStatus === null ? null : new Set<JsonValue>(requireTcbStatus ?? ['UpToDate']),
    tcbDemanded: Array.isArray(requireTcbStatus),
    policies: requirePolicies.map((policy) => (typeof policy === 'string' ? { id: policy, hash: undefined } : policy)),
    initData: initData === undefined ? undefined : padHex(initData, 48),
    measurements: measurements === null ? [] : composeRules(measurements),
  }
}

/** Checks the configuration and fills in the defaults; throws `TOKEN_TRUST_INVALID` naming the option. */
export function requireTrust(options: TokenTrust): Trust {
  requireForm(options)
  const { profile = 'attestd' } = options
  return {
    ...demandsOf(options),
    issuer: options.issuer,
    audience: options.audience,
    profile,
    algorithms: algorithmsOf(options.algorithms ?? defaultAlgorithms[profile]),
    tee: new Set<JsonValue>(options.tee),
    clientId: options.clientId,
    clockSkewS: options.clockSkewS ?? 60,
    maxTokenAgeS: options.maxTokenAgeS ?? 900,
    maxTokenLength: options.maxTokenLength ?? 32_768,
    allowDebug: options.allowDebug ?? false,
    allowSimulated: options.allowSimulated ?? false,
    requirePossession: options.requirePossession ?? false,
    proofAlgorithms: algorithmsOf(options.proofAlgorithms ?? defaultAlgorithms.attestd),
    proofReplayCache: options.proofReplayCache ?? createReplayCache({ perIssuer: 25_000 }),
    requireCommitment: options.requireCommitment ?? false,
    replayCache: options.replayCache,
    clock: options.clock ?? systemClock,
  }
}
