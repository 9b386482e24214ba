import { z } from 'zod'
import { MalformedError } from '../base/errors.ts'
import type { CallerMatch, UnmappedIds } from './caller-match.ts'
import { type AudiencePattern, type CallerPolicy, type CallerRule, callerMethods } from './caller-policy.ts'

export interface CallerRuleOptions {
  /** Issuer of rules that name none; default `local`. */
  readonly defaultIssuer?: string
  /** Set only while `callers.default_rule` is true: adds the built-in rule for these audiences (API-65). */
  readonly defaultAudiences?: readonly string[]
  /** Numbers of user and group names; null: unknown. Without them a name is an error (API-52). */
  readonly resolveUser?: (name: string) => number | null
  readonly resolveGroup?: (name: string) => number | null
  /** `/proc/sys/kernel/overflowuid` and `overflowgid`; default 65534 (API-49). */
  readonly unmapped?: UnmappedIds
}

export interface CallerRuleProblem {
  /** From the list of rules inwards: `[0, 'allow', 'audiences', 1, 'prefix']`. */
  readonly path: readonly PropertyKey[]
  readonly says: string
}

const shownPath = (path: readonly PropertyKey[]) =>
  path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('')

/** All that is wrong with the rules; `path` and message are those of the first problem. */
export class CallerRulesError extends MalformedError {
  readonly problems: readonly CallerRuleProblem[]

  constructor(problems: readonly [CallerRuleProblem, ...CallerRuleProblem[]]) {
    const [first, ...others] = problems
    const more = others.length === 0 ? '' : `; ${others.length} more`
    super({ path: `rules${shownPath(first.path)}` }, `${first.says}${more}`, {
      remedy: 'correct the named member; rules are all taken or none, so the former ones stay in force',
    })
    this.name = 'CallerRulesError'
    this.problems = problems
  }
}

const id = z.int().min(0).max(0xffff_fffe)
const text = (form: RegExp, says: string) => z.string().regex(form, says)
/** One value or a list of them; the list is the second branch, which `problemsOf` relies on. */
const oneOrMore = <Item extends z.ZodType>(item: Item) => z.union([item, z.array(item).min(1)])

const unit = text(
  /^(?!\.)[A-Za-z0-9:_.\\-]+(?:@[A-Za-z0-9:_.\\-]*)?\.(?:service|scope|socket|mount|swap)$/,
  'must be a unit name such as payments.service, worker@3.service or worker@.service',
)

const match = z
  .strictObject({
    uid: oneOrMore(z.union([id, z.string().min(1)])).optional(),
    gid: oneOrMore(z.union([id, z.string().min(1)])).optional(),
    unit: oneOrMore(unit).optional(),
    slice: oneOrMore(text(/^[A-Za-z0-9:_.\\-]+\.slice$/, 'must end in .slice')).optional(),
    container: oneOrMore(text(/^[0-9a-f]{64}$/, 'must be 64 lower-case hexadecimal digits')).optional(),
    listener: oneOrMore(
      text(/^(?:api|admin|cred|cs|fly|tcp:[a-z0-9_-]{1,32})$/, 'must be api, admin, cred, cs, fly or tcp:SURFACE'),
    ).optional(),
  })
  .refine(
    (selectors) => Object.values(selectors).some((selector) => selector !== undefined),
    'is empty; {"listener":"api"} stands for everyone who can open the socket',
  )

const audience = z.union([
  z.string().min(1).max(512),
  z.strictObject({
    prefix: text(/[/:#]$/, 'must end in /, : or #, or it would cover names that merely begin alike').max(512),
  }),
])

const domain = z.union([
  text(/^[A-Za-z0-9._/-]{1,128}$/, 'must be 1 to 128 letters, digits and any of ._/-'),
  z.strictObject({
    prefix: text(/^[A-Za-z0-9._/-]{0,127}\/$/, 'must end in /, or it would cover names that merely begin alike'),
  }),
])

const patternOf = (one: string | { readonly prefix: string }): AudiencePattern =>
  typeof one === 'string' ? { exact: one } : one

const allow = z.strictObject({
  methods: z.array(z.enum(callerMethods)).min(1),
  audiences: z.array(audience).default([]),
  token_types: z.array(z.enum(['OIDC', 'AS'])).default(['OIDC']),
  issuers: z.array(z.string().min(1)).optional(),
  nonce: z.enum(['forbid', 'allow', 'require']).default('forbid'),
  fresh: z.boolean().default(false),
  ttl_s_max: z.int().min(60).max(86_400).optional(),
  min_valid_s_max: z.int().min(0).max(86_400).default(900),
  raw_max_bytes: z.int().min(1).max(64).default(48),
  domains: z.array(domain).default([]),
  measure_bytes_max: z.int().min(1024).max(1_048_576).default(131_072),
  rate: z
    .strictObject({
      per_min: z.int().min(1).max(6_000_000),
      burst: z.int().min(1).max(100_000),
      raise: z.boolean().default(false),
    })
    .optional(),
})

const rules = z.array(
  z.strictObject({
    id: text(/^[A-Za-z0-9._-]{1,64}$/, 'must be 1 to 64 of A-Z a-z 0-9 . _ -'),
    match,
    allow,
  }),
)

type RuleText = z.infer<typeof rules>[number]

/** The issues of the branch that the input was meant for: objects and lists are written as the second branch. */
function branchIssues(issue: z.core.$ZodIssueInvalidUnion): z.core.$ZodIssue[] {
  const structured = typeof issue.input === 'object' && issue.input !== null
  return issue.errors[structured ? 1 : 0] ?? []
}

function problemsOf(issue: z.core.$ZodIssue): CallerRuleProblem[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ path: [...issue.path, key], says: 'is not a member that is known here' }))
  }
  if (issue.code === 'invalid_union') {
    const inner = branchIssues(issue).flatMap(problemsOf)
    if (inner.length > 0) return inner.map(({ path, says }) => ({ path: [...issue.path, ...path], says }))
  }
  if (issue.code === 'invalid_type' && issue.input === undefined) return [{ path: issue.path, says: 'is missing' }]
  return [{ path: issue.path, says: issue.message.charAt(0).toLowerCase() + issue.message.slice(1) }]
}

const listed = <T>(value: T | readonly T[] | undefined): readonly T[] | null => {
  if (value === undefined) return null
  return Array.isArray(value) ? value : [value as T]
}

/** Turns the checked text of one rule into the rule; collects what only the whole or the host can tell. */
class RuleReader {
  readonly problems: CallerRuleProblem[] = []
  #options: CallerRuleOptions
  #ids = new Set<string>(['default'])

  constructor(options: CallerRuleOptions) {
    this.#options = options
  }

  read(rule: RuleText, at: number): CallerRule {
    if (this.#ids.has(rule.id)) this.problems.push({ path: [at, 'id'], says: `${rule.id} is the id of another rule` })
    this.#ids.add(rule.id)
    const { allow, match } = rule
    return {
      id: rule.id,
      match: this.#match(match, at),
      allow: {
        methods: allow.methods,
        audiences: allow.audiences.map(patternOf),
        tokenTypes: allow.token_types,
        issuers: allow.issuers ?? [this.#options.defaultIssuer ?? 'local'],
        nonce: allow.nonce,
        fresh: allow.fresh,
        ttlMaxS: allow.ttl_s_max ?? null,
        minValidMaxS: allow.min_valid_s_max,
        rawMaxBytes: allow.raw_max_bytes,
        domains: allow.domains.map(patternOf),
        measureBytesMax: allow.measure_bytes_max,
      },
      rate: allow.rate ? { perMin: allow.rate.per_min, burst: allow.rate.burst, raise: allow.rate.raise } : null,
    }
  }

  #match(match: RuleText['match'], at: number): CallerMatch {
    const { resolveUser, resolveGroup } = this.#options
    return {
      uid: this.#numbers(match.uid, [at, 'match', 'uid'], resolveUser),
      gid: this.#numbers(match.gid, [at, 'match', 'gid'], resolveGroup),
      unit: listed(match.unit),
      slice: listed(match.slice),
      container: listed(match.container),
      listener: listed(match.listener),
    }
  }

  #numbers(
    value: RuleText['match']['uid'],
    path: readonly PropertyKey[],
    resolve: ((name: string) => number | null) | undefined,
  ): readonly number[] | null {
    const entries = listed(value)
    if (entries === null) return null
    return entries.flatMap((entry) => {
      const number = typeof entry === 'number' ? entry : (resolve?.(entry) ?? null)
      if (number === null) this.problems.push({ path, says: `${String(entry)} is a name that this host does not know` })
      return number ?? []
    })
  }
}

/** API-65: everyone who can open the workload socket, for the declared audiences, and nothing beside. */
function builtInRule(audiences: readonly string[], issuer: string): CallerRule {
  return {
    id: 'default',
    match: { uid: null, gid: null, unit: null, slice: null, container: null, listener: ['api'] },
    allow: {
      methods: ['token', 'jwks', 'explain'],
      audiences: audiences.map((exact) => ({ exact })),
      tokenTypes: ['OIDC'],
      issuers: [issuer],
      nonce: 'forbid',
      fresh: false,
      ttlMaxS: null,
      minValidMaxS: 900,
      rawMaxBytes: 48,
      domains: [],
      measureBytesMax: 0,
    },
    rate: null,
  }
}

function refuse(problems: readonly CallerRuleProblem[]): void {
  const [first, ...others] = problems
  if (first) throw new CallerRulesError([first, ...others])
}

/**
 * Parses the list of caller rules (API-60 to API-70) as it comes out of the configuration file: plain objects with the
 * members `id`, `match` and `allow`. Strict: an unknown member, a prefix that could cover foreign names, an empty
 * `match`, an unknown user and an id that occurs twice are errors. Several files are one list: join them first. Throws
 * `CallerRulesError` with every problem and its path.
 */
export function parseCallerRules(value: unknown, options: CallerRuleOptions = {}): CallerPolicy {
  const parsed = rules.safeParse(value, { reportInput: true })
  if (!parsed.success) {
    refuse(parsed.error.issues.flatMap(problemsOf))
    throw new TypeError('a failed parse without an issue')
  }
  const reader = new RuleReader(options)
  const own = parsed.data.map((rule, at) => reader.read(rule, at))
  refuse(reader.problems)
  const { defaultAudiences, defaultIssuer = 'local', unmapped = { uid: 65_534, gid: 65_534 } } = options
  const builtIn = defaultAudiences ? [builtInRule(defaultAudiences, defaultIssuer)] : []
  return { rules: [...own, ...builtIn], unmapped }
}
