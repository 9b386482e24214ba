import { describe, expect, it } from 'vitest'
import { EmbeddedMachine, embeddedRequest } from '../../../test/support/embedded-machine.ts'
import { SoftwareTpm } from '../../../test/support/software-tpm.ts'
import { AttestdError } from '../../base/errors.ts'
import { classifyFailure } from '../../passport/failure.ts'
import { asksForDocuments, defaultPolicyFor, parsePolicy, policyDigest } from '../../policies/index.ts'
import type { TokenRequest } from '../../results/token-request.ts'
import type { AppraisalPolicies, AppraisalPolicy } from './appraisal-policies.ts'

const never = new AbortController().signal
/** One for all: its keys take longest to make. */
const tpm = new SoftwareTpm()
const utf8 = new TextEncoder()

function policy(id: string, text: string): AppraisalPolicy {
  const { policy: parsed, diagnostics } = parsePolicy(text)
  if (parsed === undefined) throw new Error(diagnostics[0]?.message)
  return { id, text, hash: policyDigest(utf8.encode(text)), documents: asksForDocuments(parsed) }
}

/** Every rule on a line of its own: the first one on line 2. */
const authorized = (rules: string, issuance = '') =>
  `version=1.2;authorizationrules{\n${rules}\n};${issuance === '' ? '' : `issuancerules{\n${issuance}\n};`}`
const permits = (id: string, issuance = '') => policy(id, authorized('=> permit();', issuance))
const denies = policy('denies', authorized('=> permit();\n[type=="tpm.ak_trusted", value==true] => deny();'))
const silent = policy(
  'silent',
  authorized('[type=="tpm.ak_trusted", value==true] &&\n[type=="tpm.secure_boot", value=="never"] => permit();'),
)
const failing = policy('failing', authorized('c:[type=="tpm.quoted_pcrs"] && [type=="x", value==c.value] => permit();'))

const inForce = (...usual: readonly AppraisalPolicy[]): AppraisalPolicies => ({ usual, configured: usual })

interface Denied {
  readonly class: string
  readonly code: string
  readonly message: string
  readonly facts: Readonly<Record<string, unknown>>
}

async function machineUnder(policies: AppraisalPolicies | null, change: (machine: EmbeddedMachine) => void = () => {}) {
  const machine = new EmbeddedMachine({ tpm })
  machine.policies = policies
  change(machine)
  const { source } = await machine.sourceAndKeys()
  const obtain = async (asked: Partial<TokenRequest> = {}) => {
    const request = embeddedRequest(asked)
    const token = await source.obtainToken(request, never)
    await source.acceptToken(token, request)
    return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
  }
  /** As the broker answers it. */
  const denied = async (asked: Partial<TokenRequest> = {}): Promise<Denied> => {
    const reason = await obtain(asked).then(
      () => new Error('a token was issued'),
      (error: unknown) => error,
    )
    if (!(reason instanceof AttestdError)) throw reason
    const { class: failureClass, error } = classifyFailure(reason, 'obtain', 0)
    return { class: failureClass, code: error.code, message: error.message, facts: error.facts }
  }
  return { machine, source, obtain, denied, said: () => machine.appraisals.snapshot().evidence?.policies }
}

describe('an appraisal policy that permits', () => {
  const secure = 'c:[type=="tpm.ak_trust"] => issue(type="how", value=c.value);'

  it('puts what it issues into the token, and its id and hash (POL-711, TOK-26)', async () => {
    const own = permits('own', `${secure}\n=> issue(type="level", value=7);\n=> issue(type="on", value=true);`)
    const { obtain, said } = await machineUnder(inForce(own))
    const claims = await obtain()
    expect(claims).toMatchObject({ how: 'ek-certificate', level: 7, on: true, tee: 'tpm' })
    expect(claims['evaluation-reports']).toEqual([
      { 'policy-id': 'builtin', 'policy-hash': expect.stringMatching(/^[0-9a-f]{64}$/) },
      { 'policy-id': 'own', 'policy-hash': own.hash },
    ])
    expect(said()).toEqual([{ id: 'own', verdict: 'permit', lines: [2], missed: [], rule: null, message: null }])
  })

  it('changes nothing where none is configured: the token names the requirements alone', async () => {
    const { obtain, said } = await machineUnder(null)
    const [report, ...others] = (await obtain())['evaluation-reports']
    expect([report['policy-id'], others]).toEqual(['builtin', []])
    expect(said()).toBeUndefined()
  })

  it('gives several values as an array', async () => {
    const { obtain } = await machineUnder(
      inForce(permits('own', 'c:[type=="tpm.quoted_pcrs"] => issue(type="quoted", value=c.value);')),
    )
    const { quoted } = await obtain()
    expect(quoted).toEqual(expect.arrayContaining([0, 1, 7]))
  })

  it('shortens the life of the token, and never lengthens it (section 7, TOK-44)', async () => {
    const life = async (minutes: number) => {
      const rule = `=> issueproperty(type="report_validity_in_minutes", value=${minutes});`
      const { iat, exp } = await (await machineUnder(inForce(permits('own', rule)))).obtain()
      return exp - iat
    }
    expect([await life(2), await life(525_600)]).toEqual([120, 900])
  })

  it('is the shipped default: it permits this machine and names itself (POL-441)', async () => {
    const { name, text } = defaultPolicyFor(['tpm'])
    const { obtain } = await machineUnder(inForce(policy(name, text)))
    expect((await obtain())['policy-name']).toBe('attestd-default-tpm-v1')
  })

  it('is read in the thread as it was read at load: with a byte order mark, and lines of any kind', async () => {
    const text = `\ufeff${authorized('=> permit();').replaceAll('\n', '\r\n')}`
    await expect((await machineUnder(inForce(policy('marked', text)))).obtain()).resolves.toBeDefined()
  })

  it('sees the documents that it asks for (POL-432)', async () => {
    const count = 'c:[type=="tpm.pcrs"] => add(type="n", value=JmesPath(c.value, "length(PCRs) > `7`"));'
    const rules = `${count}\n[type=="n", value=="true"] => permit();`
    await expect((await machineUnder(inForce(policy('docs', authorized(rules))))).obtain()).resolves.toBeDefined()
  })
})

describe('an appraisal policy that does not permit (POL-443)', () => {
  const verdict = { class: 'verdict', code: 'issuer_rejected' }
  const upstream = { upstream_code: 'AS.POLICY.DENIED', cause_code: 'AS.POLICY.DENIED' }

  it('denies by a rule: the answer names policy, reason and line, and it is no outage (POL-421)', async () => {
    const { denied, said } = await machineUnder(inForce(denies))
    expect(await denied()).toEqual({
      ...verdict,
      message: 'policy denies: a rule denies (line 3)',
      facts: { ...upstream, policy_id: 'denies', reason: 'deny-rule', lines: '3' },
    })
    expect(said()).toMatchObject([{ id: 'denies', verdict: 'deny-rule', lines: [3], missed: [] }])
  })

  it('permits by no rule: operators see at which condition each permit stops (POL-422)', async () => {
    const { denied, said } = await machineUnder(inForce(silent))
    const facts = { ...upstream, policy_id: 'silent', reason: 'no-permit' }
    expect(await denied()).toEqual({ ...verdict, message: 'policy silent: no rule permits', facts })
    expect(said()).toMatchObject([{ verdict: 'no-permit', lines: [], missed: [{ rule: 2, condition: 3 }] }])
  })

  it('requires PCRs that are not quoted (POL-428)', async () => {
    const text = `version=1.2;configurationrules{\n=> issueproperty(type="required_pcr_mask", value=16777215);\n};authorizationrules{\n=> permit();\n};`
    const { denied } = await machineUnder(inForce(policy('mask', text)))
    expect((await denied()).facts).toMatchObject({ policy_id: 'mask', reason: 'configuration', lines: '2' })
  })

  it('cannot be evaluated: the answer has the rule, and no words of the evidence (POL-424)', async () => {
    const { denied, said } = await machineUnder(inForce(failing))
    const message = 'several values where one is needed'
    expect(await denied()).toEqual({
      ...verdict,
      message: `policy failing: cannot be evaluated: ${message} (line 2)`,
      facts: { ...upstream, policy_id: 'failing', reason: 'error', lines: '2', rule: 'POL-410', message },
    })
    expect(said()).toMatchObject([{ verdict: 'error', rule: 'POL-410', lines: [2] }])
  })

  it('issues a reserved claim, whose name it made of a claim: the name is for the operator alone (POL-427)', async () => {
    const issuing = permits('own', 'c:[type=="attestation.type"] => issue(type=c.value, value="x");')
    const { denied, said } = await machineUnder(inForce(issuing))
    const answer = await denied()
    expect(answer.facts).toMatchObject({ rule: 'POL-427', message: 'a reserved claim would be issued', lines: '4' })
    expect(JSON.stringify(answer)).not.toContain('tpm is reserved')
    expect(said()).toMatchObject([{ message: 'tpm is reserved and cannot be issued' }])
  })

  it.each([
    ['9007199254740991', 9_007_199_254_740_991],
    ['-9007199254740991', -9_007_199_254_740_991],
  ])('issues %s exactly', async (text, value) => {
    const { obtain } = await machineUnder(inForce(permits('own', `=> issue(type="n", value=${text});`)))
    expect((await obtain()).n).toBe(value)
  })

  it.each(['9007199254740993', '-9223372036854775808'])(
    'issues no %s, which readers would round (POL-419)',
    async (n) => {
      const { denied } = await machineUnder(inForce(permits('own', `=> issue(type="n", value=${n});`)))
      expect((await denied()).facts).toMatchObject({ policy_id: 'own', reason: 'error', rule: 'POL-419' })
    },
  )
})

describe('several appraisal policies (POL-429)', () => {
  it('must all permit, and the token names them in their order', async () => {
    const [one, two] = [permits('one', '=> issue(type="a", value=1);'), permits('two', '=> issue(type="b", value=2);')]
    const claims = await (await machineUnder(inForce(one, two))).obtain()
    expect(claims).toMatchObject({ a: 1, b: 2 })
    expect(claims['evaluation-reports'].map((report: Record<string, string>) => report['policy-id'])).toEqual([
      ...['builtin', 'one', 'two'],
    ])
    expect((await (await machineUnder(inForce(one, denies, two))).denied()).facts).toMatchObject({
      policy_id: 'denies',
    })
  })

  it('that issue different values for one name are an error', async () => {
    const [one, two] = [
      permits('one', '=> issue(type="a", value=1);'),
      permits('two', '=> issue(type="a", value="1");'),
    ]
    const { denied } = await machineUnder(inForce(one, two))
    expect((await denied()).facts).toMatchObject({ policy_id: 'one, two', reason: 'error', rule: 'POL-429' })
  })

  const [usual, other] = [
    permits('usual', '=> issue(type="a", value=1);'),
    permits('other', '=> issue(type="b", value=2);'),
  ]
  const both = { usual: [usual], configured: [usual, other, denies] }

  it('are selected by the ids of a request, and by nothing else (POL-442)', async () => {
    const { obtain, denied } = await machineUnder(both)
    expect(await obtain()).toMatchObject({ a: 1 })
    const named = await obtain({ policyIds: ['other', 'usual', 'other'] })
    expect(named).toMatchObject({ a: 1, b: 2 })
    expect(named['evaluation-reports']).toHaveLength(3)
    expect((await obtain({ policyIds: ['other'] }))['a']).toBeUndefined()
    expect((await denied({ policyIds: ['other', 'denies'] })).facts).toMatchObject({ policy_id: 'denies' })
  })

  it.each<[string, AppraisalPolicies | null, string]>([
    ['a policy that is not configured', both, 'unheard-of'],
    ['the requirements, which are no policy to choose', both, 'builtin'],
    ['any policy where there are none', null, 'usual'],
  ])('refuse %s before the device is troubled (SVC-08)', async (_what, policies, id) => {
    const { machine, denied } = await machineUnder(policies)
    expect(await denied({ policyIds: [id] })).toMatchObject({
      ...{ class: 'unsupported', code: 'POLICY_UNKNOWN' },
      message: 'policy_ids[0] names a policy that is not configured',
    })
    expect(machine.calls).toEqual([])
  })

  it('judge a batch by one evaluation each, and one denial is no other caller’s (BRK-85)', async () => {
    const { machine, obtain, denied } = await machineUnder(both)
    const first = obtain()
    const answers = await Promise.all([first, obtain({ policyIds: ['other'] }), denied({ policyIds: ['denies'] })])
    expect(answers).toMatchObject([{ a: 1 }, { b: 2 }, { facts: { policy_id: 'denies' } }])
    expect(machine.calls.filter((call) => call === 'collect').length).toBeLessThan(3)
  })
})

describe('before and after a policy', () => {
  it('a failed check refuses, and no policy is asked (POL-430)', async () => {
    const { denied, said } = await machineUnder(inForce(permits('own')), (machine) => {
      machine.change = (evidence) => ({ ...evidence, quotes: [] })
    })
    expect((await denied()).facts).toMatchObject({ upstream_code: 'EVIDENCE_NOT_AFFIRMED' })
    expect(said()).toEqual([])
  })

  it('a machine that a policy denies has not lost what the verifier remembers of it (ENR-12)', async () => {
    const { machine, denied } = await machineUnder(inForce(denies))
    await denied()
    machine.policies = inForce(permits('own'))
    const { source } = await machine.sourceAndKeys()
    await expect(source.obtainToken(embeddedRequest(), never)).resolves.toMatch(/^ey/)
  })

  it('a token of before is not one under other policies, nor under another text of the same (BRK-117, TOK-26)', async () => {
    const { source } = await machineUnder(inForce(permits('own')))
    const token = await source.obtainToken(embeddedRequest(), never)
    for (const policies of [null, inForce(denies), inForce(permits('own', '=> issue(type="a", value=1);'))]) {
      const other = await machineUnder(policies)
      const keys = await other.machine.sourceAndKeys()
      await expect(keys.source.acceptToken(token, embeddedRequest())).rejects.toMatchObject({
        facts: { check: 'TOK-26' },
      })
    }
  })
})
