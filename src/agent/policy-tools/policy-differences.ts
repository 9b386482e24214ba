import { ruleStructure } from '../../policies/index.ts'
import type { Policy, Rule, SectionName } from '../../policies/language/syntax.ts'

/** A rule by its line in the first and in the second text; null where it is not there. */
export interface RuleDifference {
  readonly kind: 'added' | 'removed' | 'changed' | 'moved'
  readonly section: SectionName
  readonly before: Rule | null
  readonly after: Rule | null
}

export interface PolicyDifferences {
  /** Null if it is the same. */
  readonly version: { readonly before: string; readonly after: string } | null
  readonly rules: readonly RuleDifference[]
  /** Rules that both have, at their place. */
  readonly same: number
}

const sections = [
  ['configurationrules', 'configuration'],
  ['authorizationrules', 'authorization'],
  ['issuancerules', 'issuance'],
] as const

interface Keyed {
  readonly key: string
  readonly rule: Rule
}

const keyed = (rules: readonly Rule[]): Keyed[] => rules.map((rule) => ({ key: ruleStructure(rule), rule }))

/** Rows of the longest common subsequence, from the end: at most 513 × 513 numbers (POL-602). */
function commonLengths(before: readonly Keyed[], after: readonly Keyed[]): number[][] {
  const rows: number[][] = [new Array<number>(after.length + 1).fill(0)]
  for (const { key } of [...before].reverse()) {
    const [below = []] = rows
    const row = new Array<number>(after.length + 1).fill(0)
    for (let at = after.length - 1; at >= 0; at--) {
      const same = key === after[at]?.key
      row[at] = same ? (below[at + 1] ?? 0) + 1 : Math.max(below[at] ?? 0, row[at + 1] ?? 0)
    }
    rows.unshift(row)
  }
  return rows
}

/** Rules between two that both have: what stood there, and what stands there now. */
interface Gap {
  readonly removed: Keyed[]
  readonly added: Keyed[]
}

function gapsBetween(before: readonly Keyed[], after: readonly Keyed[]): readonly Gap[] {
  const lengths = commonLengths(before, after)
  const gaps: Gap[] = [{ removed: [], added: [] }]
  for (let [left, right] = [0, 0]; left < before.length || right < after.length; ) {
    const [old, now] = [before[left], after[right]]
    if (old && now && old.key === now.key) {
      gaps.push({ removed: [], added: [] })
      left++
      right++
    } else if (now && (lengths[left]?.[right + 1] ?? 0) > (lengths[left + 1]?.[right] ?? -1)) {
      gaps.at(-1)?.added.push(now)
      right++
    } else if (old) {
      gaps.at(-1)?.removed.push(old)
      left++
    } else if (now) {
      gaps.at(-1)?.added.push(now)
      right++
    }
  }
  return gaps
}

type Change = Omit<RuleDifference, 'section'>

/** Takes one of the list that has the key, if there is one. */
function take(list: Keyed[], key: string): Rule | null {
  const at = list.findIndex((each) => each.key === key)
  return at < 0 ? null : (list.splice(at, 1)[0]?.rule ?? null)
}

/** The same rule at another place: order matters for what earlier rules add (POL-404). */
function takeMoved(gaps: readonly Gap[]): Change[] {
  const added = gaps.flatMap((gap) => gap.added)
  return gaps.flatMap(({ removed }) =>
    [...removed].flatMap(({ key, rule }): Change[] => {
      const after = take(added, key)
      const own = gaps.find((gap) => gap.added.some((each) => each.rule === after))
      if (after === null || own === undefined) return []
      own.added.splice(
        own.added.findIndex((each) => each.rule === after),
        1,
      )
      take(removed, key)
      return [{ kind: 'moved', before: rule, after }]
    }),
  )
}

/** In one gap, rules of the same action are taken for one that was changed. */
function changesIn({ removed, added }: Gap): Change[] {
  const left = [...added]
  const pairs = removed.map(({ rule: before }): Change => {
    const at = left.findIndex(({ rule }) => rule.action.kind === before.action.kind)
    const [found] = at < 0 ? [] : left.splice(at, 1)
    if (found === undefined) return { kind: 'removed', before, after: null }
    return { kind: 'changed', before, after: found.rule }
  })
  return [...pairs, ...left.map(({ rule }): Change => ({ kind: 'added', before: null, after: rule }))]
}

const placeOf = ({ before, after }: Change) => after?.span.line ?? before?.span.line ?? 0

function sectionChanges(before: readonly Rule[], after: readonly Rule[]): Change[] {
  const gaps = gapsBetween(keyed(before), keyed(after))
  const moved = takeMoved(gaps)
  return [...moved, ...gaps.flatMap(changesIn)].sort((left, right) => placeOf(left) - placeOf(right))
}

/**
 * What two policies say differently, rule by rule; layout, comments and the names of identifiers do not count. Rules are
 * compared with those of the same section. Pure.
 */
export function policyDifferences(before: Policy, after: Policy): PolicyDifferences {
  const rules = sections.flatMap(([section, name]) =>
    sectionChanges(before[name], after[name]).map((change) => ({ ...change, section })),
  )
  const total = sections.reduce((sum, [, name]) => sum + after[name].length, 0)
  const versions = { before: before.version, after: after.version }
  return {
    version: versions.before === versions.after ? null : versions,
    rules,
    same: total - rules.filter(({ kind }) => kind !== 'removed').length,
  }
}
