import type { Policy } from '../../src/policies/index.ts'
import { policyFrom, policyText } from './policy-evaluations.ts'

/** One policy in several languages, each as its own users would write it. */
interface SamePolicy {
  readonly ours: Policy
  /** For an input document with an object for each claim, by type. */
  readonly rego: string
}

const tens = Array.from({ length: 10 }, (_, at) => ({ at, one: `claim.${at * 3}`, other: `claim.${at * 3 + 1}` }))

const rego = (...rules: readonly string[]) => ['package policy', 'import future.keywords', ...rules].join('\n')

/** Ten claims are kept where two others are as they should be, and nine of them go, longer by a letter, to the token. */
export function twentyRules(): SamePolicy {
  const nine = tens.slice(0, 9)
  const kept = tens.map(
    ({ at, one, other }) =>
      `kept["kept.${at}"] = input["${one}"].value { input["${one}"].issuer == "AttestationService"; input["${other}"].value != "no" }`,
  )
  return {
    ours: policyFrom(
      policyText({
        authorization: [
          ...tens.map(
            ({ at, one, other }) =>
              `c:[type=="${one}", issuer=="AttestationService"] && [type=="${other}", value!="no"] => add(type="kept.${at}", value=c.value);`,
          ),
          '=> permit();',
        ],
        issuance: nine.map(
          ({ at }) => `c:[type=="kept.${at}"] => issue(type="out.${at}", value=AppendString(c.value, "x"));`,
        ),
      }),
    ),
    rego: rego(
      ...kept,
      ...nine.map(({ at }) => `out["out.${at}"] = concat("", [kept["kept.${at}"], "x"])`),
      'answer := {"allow": true, "token": out}',
      'trust_claims := {"hardware": 2, "executables": 2, "configuration": 2}',
      'extensions := [{"name": name, "key": 1, "value": out[name]} | out[name]]',
    ),
  }
}

/** Twenty refusals; any of them outweighs a permit in each of the languages. */
export function twentyRefusals(): SamePolicy & { readonly cedar: string } {
  return {
    ours: policyFrom(
      policyText({
        authorization: [
          ...tens.flatMap(({ one, other }) => [
            `![type=="${one}", issuer=="AttestationService"] => deny();`,
            `[type=="${other}", value=="no"] => deny();`,
          ]),
          '=> permit();',
        ],
      }),
    ),
    cedar: [
      ...tens.map(
        ({ one, other }) =>
          `forbid(principal, action, resource) unless { context has "${one}" && context["${one}"].issuer == "AttestationService" };
forbid(principal, action, resource) when { context has "${other}" && context["${other}"].value == "no" };`,
      ),
      'permit(principal, action, resource);',
    ].join('\n'),
    rego: rego(
      'default allow = false',
      'allow { not refused }',
      ...tens.flatMap(({ one, other }) => [
        `refused { not input["${one}"].issuer == "AttestationService" }`,
        `refused { input["${other}"].value == "no" }`,
      ]),
    ),
  }
}
