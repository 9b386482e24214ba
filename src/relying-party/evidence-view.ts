import { isJsonObject, type JsonObject, type JsonValue } from '../base/json.ts'
import type { Tee } from '../results/acr.ts'

/** One kind of evidence, as `acr` names it. */
export type EvidenceKind = 'tdx' | 'tpm' | 'nvgpu'

/** The kinds that a value of `tee` stands for (TOK-22). */
export const kindsOfTee: Readonly<Record<Tee, readonly EvidenceKind[]>> = {
  tdx: ['tdx'],
  tpm: ['tpm'],
  nvgpu: ['nvgpu'],
  acstdxnvgpu: ['tdx', 'nvgpu'],
}
const everyKind: readonly EvidenceKind[] = ['tdx', 'tpm', 'nvgpu']
const acrPrefix = 'urn:attestd:acr:'

export function isTee(value: JsonValue | undefined): value is Tee {
  return typeof value === 'string' && Object.hasOwn(kindsOfTee, value)
}

/** The kinds whose binding to each other `acr` names (TOK-18); none for anything else. */
export function kindsInAcr(acr: JsonValue | undefined): readonly EvidenceKind[] {
  if (typeof acr !== 'string' || !acr.startsWith(acrPrefix)) return []
  const names = acr.slice(acrPrefix.length).split('+')
  return everyKind.filter((kind) => names.includes(kind))
}

/** `attestd.binding` (TOK-112): `malformed`, or whether every edge passed. */
export function readEdges(payload: JsonObject): { readonly count: number; readonly allPassed: boolean } | 'malformed' {
  const edges = isJsonObject(payload['attestd']) ? (payload['attestd']['binding'] ?? []) : []
  if (!Array.isArray(edges)) return 'malformed'
  const named = edges.filter((edge) => isJsonObject(edge) && typeof edge['edge'] === 'string' && edge['edge'] !== '')
  if (named.length < edges.length) return 'malformed'
  return { count: edges.length, allPassed: named.every((edge) => isJsonObject(edge) && edge['outcome'] === 'passed') }
}

/**
 * The kinds of evidence that this token speaks for: those of `tee`, and those that `acr` and passed edges tie to them.
 * A tree of another kind in the same token may describe another machine.
 */
export function kindsOf(tee: Tee, payload: JsonObject): readonly EvidenceKind[] {
  const edges = readEdges(payload)
  const bound = edges !== 'malformed' && edges.count > 0 && edges.allPassed ? kindsInAcr(payload['acr']) : []
  return everyKind.filter((kind) => kindsOfTee[tee].includes(kind) || bound.includes(kind))
}

/** The evidence in a token, in one shape for both profiles, without what the token does not speak for. */
export interface EvidenceView {
  readonly kinds: readonly EvidenceKind[]
  /** `tdx`, `tpm`, `ima`, `gpu`, as far as they are there. */
  readonly trees: JsonObject
  /** Both places where report data stands; undefined where it is absent. */
  readonly reportData: readonly [JsonValue | undefined, JsonValue | undefined]
  readonly initData: readonly [JsonValue | undefined, JsonValue | undefined]
}

const treesOfKind: Readonly<Record<EvidenceKind, readonly string[]>> = {
  tdx: ['tdx'],
  tpm: ['tpm', 'ima'],
  nvgpu: ['gpu'],
}

/** The value at a path through objects; undefined where there is none. */
export function valueAt(tree: JsonValue | undefined, ...path: readonly string[]): JsonValue | undefined {
  let value = tree
  for (const step of path) value = isJsonObject(value) && Object.hasOwn(value, step) ? value[step] : undefined
  return value
}

/** The GPUs are a list of devices, every other tree is an object (TOK-23); a tree of another shape is none. */
function readTree(name: string, tree: JsonValue | undefined): JsonValue | undefined {
  if (name === 'gpu') return Array.isArray(tree) ? tree : undefined
  return isJsonObject(tree) ? withoutEventLog(tree) : undefined
}

/** An event log is no claim as long as nobody replayed it (TOK-113). */
function withoutEventLog(tree: JsonObject): JsonObject {
  if (tree['uefi_event_logs'] === undefined) return tree
  const { uefi_event_logs: _, ...rest } = tree
  return Object.assign(Object.create(null), rest)
}

/**
 * `claims` are the payload, or what `tcb-status` holds in profile `alibaba`. In profile `attestd` the copies of report
 * and init data beside the `tdx` tree are optional (TOK-31), so an absent copy stands for an equal one.
 */
export function viewEvidence(
  claims: JsonObject,
  kinds: readonly EvidenceKind[],
  copiesRequired: boolean,
): EvidenceView {
  const trees: JsonObject = Object.create(null)
  for (const name of kinds.flatMap((kind) => treesOfKind[kind])) {
    const tree = readTree(name, claims[name])
    if (tree !== undefined) trees[name] = tree
  }
  const pair = (copy: string, field: string): EvidenceView['reportData'] => {
    if (!kinds.includes('tdx')) return [undefined, undefined]
    const inQuote = valueAt(trees, 'tdx', 'quote', 'body', field)
    return [inQuote, claims[copy] === undefined && !copiesRequired ? inQuote : claims[copy]]
  }
  return { kinds, trees, reportData: pair('report_data', 'report_data'), initData: pair('init_data', 'mr_config_id') }
}
