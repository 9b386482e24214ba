import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { claimsOf, policyBytes, policyCases } from '../../../test/support/policy-cases.ts'
import { runInProcess } from '../../../test/support/recorded-io.ts'
import { runAttestd } from '../../../test/support/run-command.ts'
import { haveVectors, vectorJson, vectorsFolder } from '../../../test/support/vectors.ts'
import { parseQuote } from '../../evidence/tdx/quote.ts'
import { policyCommand } from './policy.ts'

const folder = mkdtempSync(join(tmpdir(), 'attestd-policy-explain-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const file = (name: string, content: string | Uint8Array) => {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}
const policy = (...args: readonly string[]) => runInProcess(policyCommand, ...args)

const site = (rules: readonly string[], issuance: readonly string[] = []) =>
  `version=1.2;\nauthorizationrules\n{\n${rules.join('\n')}\n};\nissuancerules\n{\n${issuance.join('\n')}\n};\n`
const service = (type: string, value: unknown) => ({ type, value, issuer: 'AttestationService' })

async function explained(text: string, claims: readonly unknown[], ...options: readonly string[]) {
  const paths = [file('site.policy', text), '--claims', file('claims.json', JSON.stringify(claims))]
  return policy('explain', ...paths, ...options)
}

describe('attestd policy explain', () => {
  const rules = [
    '[type=="debug", value==true] => deny();',
    '[type=="tcb", value=="UpToDate"] => add(type="tcbOk", value=true);',
    '[type=="debug", value==false] &&',
    '[type=="tcbOk", value==true, issuer=="AttestationPolicy"] => permit();',
  ]
  const good = [service('debug', false), service('tcb', 'UpToDate')]

  it('of a permit names the rule, the claims that fulfil it, and what goes into the token', async () => {
    const { out, error } = await explained(site(rules, ['=> issue(type="zone", value="a");']), good)
    expect(error).toBeNull()
    expect(out).toMatch(
      /site\.policy: PERMIT\n\nline 6 permitted\n {4}\[type=="debug", value==false\]\n {8}debug is false/,
    )
    expect(out).toContain('claims for the token:\n    zone  "a"\n')
    expect(out).toMatch(/^ {5}5 {2}add {12}yes: tcbOk = true$/m)
  })

  it('refuses custom claims beside claims of a file, which would be passed over', async () => {
    const custom = file('custom.json', '[{"name":"a","value":"b"}]')
    const { error } = await explained(site(rules), good, '--custom-claims', custom)
    expect(error).toMatchObject({ code: 'USAGE', message: expect.stringContaining('--evidence') })
  })

  it('of claims that are refused names the claim, and shows no empty table (POL-402)', async () => {
    const { out } = await explained(site(rules), [service('debug', false), { type: 'x', value: 1, issuer: 'Bob' }])
    expect(out).toContain(
      'before any rule: POL-402: claims[1]: the issuer is neither AttestationService nor CustomClaim\n',
    )
    expect(out).not.toContain('rules, by line')
    expect(out.endsWith('\n0 claims, 0 steps\n')).toBe(true)
  })

  it('cuts lines that nobody reads to their end', async () => {
    const { out } = await explained(
      site([`[type=="${'t'.repeat(250)}", value=="${'v'.repeat(9_000)}"] => permit();`]),
      good,
    )
    expect(Math.max(...out.split('\n').map((line) => line.length))).toBe(401)
  })

  it('of a denial names the rule that denied and its claim', async () => {
    const { out, error } = await explained(site(rules), [service('debug', true), service('tcb', 'UpToDate')])
    expect(error).toBeNull()
    expect(out).toContain('DENY (deny-rule)\n\nline 4 denied\n')
    expect(out).toContain('        debug is true (AttestationService)\n    so: deny\n')
  })

  it('of no permit follows what is missing to the rule that would have added it', async () => {
    const { out } = await explained(site(rules), [service('debug', false), service('tcb', 'OutOfDate')])
    expect(out).toContain('DENY (no-permit)\n\nline 6 did not permit: condition 2 of 2 does not hold\n')
    expect(out).toContain('there is no claim tcbOk\n        line 5 would have added it:\n')
    expect(out).toContain('tcb is "OutOfDate" (AttestationService)\n')
    expect((await explained(site([]), [])).out).toContain('the policy has no rule that permits\n')
  })

  it('says when a claim of another issuer came close, and when a claim must not be there', async () => {
    const asks = site(['[type=="a", value==true, issuer=="AttestationService"] => permit();'])
    const { out } = await explained(asks, [{ type: 'a', value: true }])
    expect(out).toContain('a is true (CustomClaim): its issuer is not the one asked for\n')
    const not = site(['![type=="a"] => permit();'])
    expect((await explained(not, [service('a', 7)])).out).toContain('a claim is there that must not be: a is 7 (')
    expect((await explained(not, [])).out).toContain('no such claim is there\n    so: permit\n')
  })

  it('of an error names rule, line and message (POL-424)', async () => {
    const { out } = await explained(site(['=> permit();', '[type=="a", value < 3] => deny();']), [service('a', 'x')])
    expect(out).toContain('ERROR\n\nline 5: POL-412: ')
    expect(out).toContain('    [type=="a", value < 3] => deny();\n')
    const { out: refused } = await explained(site([]), [{ type: 'a', value: 1.5 }])
    expect(refused).toContain('before any rule: POL-402: ')
  })

  it('of a configuration that is not met names what was quoted (POL-428)', async () => {
    const configured = `version=1.1;\nconfigurationrules { => issueproperty(type="required_pcr_mask", value=255); };\nauthorizationrules { => permit(); };\n`
    const { out } = await explained(configured, [service('tpm.quoted_pcrs', 0), service('tpm.quoted_pcrs', 7)])
    expect(out).toContain('DENY (configuration)\n\nthe configuration asks by line 2 for more than the evidence shows')
    expect(out).toContain('    tpm.quoted_pcrs is 0, 7\n')
  })

  it('keeps integers beyond 2^53 exact, and takes an object with claims', async () => {
    const text = site(['=> permit();'], ['c:[type=="n"] => issue(type="n", value=c.value);'])
    const claims = file(
      'exact.json',
      '{"claims":[{"type":"n","value":9007199254740993,"issuer":"AttestationService"}]}',
    )
    const { out } = await policy('explain', file('n.policy', text), '--claims', claims)
    expect(out).toContain('n  9007199254740993\n')
    const { out: json } = await policy('explain', file('n.policy', text), '--claims', claims, '--json')
    expect(JSON.parse(json)).toMatchObject({ verdict: 'permit', token: { n: '9007199254740993' } })
  })

  it('stays short and quick where rules hang together in every way', async () => {
    const provider = '[type=="a", value==1] => add(type="a", value=1);'
    const { out } = await explained(site([...Array(400).fill(provider), '[type=="a", value==1] => permit();']), [])
    expect(out.split('\n').length).toBeLessThan(3000)
  })

  it('obeys nothing that claims say to the terminal', async () => {
    const { out } = await explained(site(['[type=="a", value=="b"] => permit();']), [service('a', '\u001b[2J\u202e\n')])
    expect(out).toMatch(/a is ".*u001b/)
    expect(out).not.toMatch(/[\u001b\u202e]/)
  })

  it.each<[string, string, string]>([
    ['no JSON', '{', 'MALFORMED'],
    ['no claims', '{"claim":[]}', 'MALFORMED'],
    ['a misspelt member', '[{"type":"a","value":1,"isuer":"CustomClaim"}]', 'MALFORMED'],
    ['bytes that are no UTF-8', '\xff', 'MALFORMED'],
  ])('refuses a file with %s', async (_, text, code) => {
    const claims = file('bad.json', Buffer.from(text, 'latin1'))
    expect((await policy('explain', file('p.policy', site([])), '--claims', claims)).error?.code).toBe(code)
  })

  it('of several policies gives a page for each, and what they say together (POL-429)', async () => {
    const one = file(
      'one.policy',
      site(['[type=="debug", value==false] => permit();'], ['=> issue(type="a", value=1);']),
    )
    const other = (value: string) =>
      file('other.policy', site(['=> permit();'], [`=> issue(type="${value}", value=2);`]))
    const claims = file('both.json', JSON.stringify([service('debug', false)]))
    const { out } = await policy('explain', one, other('b'), '--claims', claims)
    expect(out).toContain('one.policy: PERMIT\n')
    expect(out).toContain('other.policy: PERMIT\n')
    expect(out).toMatch(/\n\nall 2 policies together: PERMIT\nclaims for the token:\n {4}a {2}1\n {4}b {2}2\n$/)
    const { out: contrary } = await policy('explain', one, other('a'), '--claims', claims)
    expect(contrary).toMatch(/all 2 policies together: DENY: POL-429: two policies give different values to a\n$/)
    const denied = file('none.json', '[]')
    const { out: json } = await policy('explain', other('b'), one, '--claims', denied, '--json')
    expect(JSON.parse(json)).toMatchObject({
      verdict: 'deny',
      policy: one,
      reason: `${one}: no-permit`,
      policies: [
        { policy: expect.stringMatching(/other\.policy$/), verdict: 'permit' },
        { policy: one, trace: expect.anything() },
      ],
    })
  })

  it('needs to know what the policy is asked about', async () => {
    const path = file('p.policy', site([]))
    expect((await policy('explain', path)).error?.code).toBe('USAGE')
    expect((await policy('explain', path, '--claims', 'a', '--evidence', 'b')).error?.code).toBe('USAGE')
    expect((await runAttestd(['policy', 'explain', path])).code).toBe(2)
    expect((await runAttestd(['policy', 'explain', path, '--claims', '-'], { input: '[]' })).code).toBe(0)
  })
})

describe.skipIf(!haveVectors)('the recorded explanations (POL-820)', () => {
  const traces: readonly { case: string; run: number }[] = haveVectors ? vectorJson('policy/explain.json').traces : []

  it.each(traces)('$case $run', async ({ case: name, run, ...wanted }) => {
    const each = policyCases().find((candidate) => candidate.name === name)
    const given = each?.runs?.[run]
    if (!each || !given) throw new TypeError(`no case ${name}`)
    const claims = file('recorded.json', JSON.stringify(claimsOf(given)))
    const { out } = await policy('explain', file('recorded.policy', policyBytes(each)), '--claims', claims, '--json')
    expect(JSON.parse(out)).toMatchObject(wanted)
  })
})

describe.skipIf(!haveVectors)('a recorded quote', () => {
  const recorded = (name: string) => join(vectorsFolder, 'tdx', name)
  const quote = recorded('quotes/dcapqvl-tdx_quote-v4.bin')
  const nonce = haveVectors ? Buffer.from(parseQuote(readFileSync(quote)).body.report.reportData).toString('hex') : ''
  const asked = [
    ...['--evidence', quote, '--nonce', nonce, '--at', '2025-06-20T00:00:00Z'],
    ...['--collateral', recorded('collateral/dcapqvl-tdx-b0c06f-2025-06.json')],
  ]
  const pinned = (value: string) => {
    const condition = `c:[type=="tdx.quote.body.mr_td", value${value}, issuer=="AttestationService"]`
    return site([`${condition} => permit();`], [`${condition} => issue(type="image", value=c.value);`])
  }

  it('is permitted by the shipped policy of its kind (POL-441)', async () => {
    const { out, error } = await policy('run', ...asked)
    expect([error, out]).toEqual([null, expect.stringContaining('attestd-default-tdx-v1: PERMIT: line 14\n')])
    expect(out).toContain('    policy-name  "attestd-default-tdx-v1"\n')
  })

  it('gives the claims of the token, and exit code 1 where the policy does not permit', async () => {
    const { out } = await policy('run', file('some.policy', pinned('!="00"')), ...asked, '--json')
    const { verdict, token, claims, kinds } = JSON.parse(out)
    const [td] = claims.filter(({ type }: { type: string }) => type === 'tdx.quote.body.mr_td')
    expect([verdict, kinds, token]).toEqual(['permit', ['tdx'], { image: td.value }])
    const { code, out: shown, err } = await runAttestd(['policy', 'run', file('no.policy', pinned('=="00"')), ...asked])
    expect([code, shown, err]).toEqual([
      1,
      expect.stringContaining('DENY: no-permit'),
      expect.stringContaining('POLICY_DENIED'),
    ])
  })

  it('gives no token with an Integer that readers would round, as from an agent (POL-419)', async () => {
    const issuing = (integer: string) =>
      file('n.policy', site(['=> permit();'], [`=> issue(type="n", value=${integer});`]))
    const { out, error } = await policy('run', issuing('9007199254740993'), ...asked)
    expect(error?.code).toBe('POLICY_DENIED')
    expect(out).toContain('DENY: error, line 4: POL-419: ')
    expect((await policy('run', issuing('9007199254740991'), ...asked)).error).toBeNull()
  })

  it('is asked about by several policies, which must all permit (POL-429)', async () => {
    const [good, bad] = [file('good.policy', pinned('!="00"')), file('bad.policy', pinned('=="00"'))]
    const named = file('named.policy', site(['=> permit();'], ['=> issue(type="zone", value="a");']))
    const { out, error } = await policy('run', good, named, ...asked)
    expect([error, out]).toEqual([
      null,
      expect.stringMatching(/all 2 policies together: PERMIT\n(?:.*\n)* {4}zone {2}"a"\n$/),
    ])
    const { out: json, error: denial } = await policy('run', named, bad, ...asked, '--json')
    expect(denial).toMatchObject({ code: 'POLICY_DENIED', message: `${bad}: no-permit` })
    expect(JSON.parse(json)).toMatchObject({
      verdict: 'deny',
      policy: bad,
      kinds: ['tdx'],
      policies: [
        { policy: named, verdict: 'permit', token: { zone: 'a' } },
        { policy: bad, verdict: 'deny' },
      ],
    })
  })

  it('is explained, with what the guest says of itself (POL-434)', async () => {
    const custom = file('custom.json', '[{"name":"zone","value":"a"}]')
    const asks = file('zone.policy', site(['[type=="custom:zone", value=="b", issuer=="CustomClaim"] => permit();']))
    const { out } = await policy('explain', asks, ...asked, '--custom-claims', custom)
    expect(out).toContain('custom:zone is "a" (CustomClaim)\n')
  })

  it('that is not affirmed is shown to no policy (POL-430)', async () => {
    const permits = file('permits.policy', site(['=> permit();']))
    const other = asked.map((each) => (each === nonce ? nonce.replace(/^../, '00') : each))
    for (const command of ['run', 'explain']) {
      const { out, error } = await policy(command, permits, ...other)
      expect([out, error?.code, error?.message]).toEqual([
        '',
        'NOT_AFFIRMED',
        expect.stringContaining('tdx.reportData'),
      ])
    }
  })

  it('may be the evidence of a test', async () => {
    const { relative } = await import('node:path')
    const beside = (path: string) => relative(folder, path)
    const appraise = { nonce, at: '2025-06-20T00:00:00Z', collateral: beside(asked.at(-1) ?? '') }
    const runs = [{ evidence: beside(quote), appraise, expect: { verdict: 'permit' } }]
    const wrong = [{ ...runs[0], appraise: { ...appraise, nonce: '00'.repeat(32) } }]
    const tests = [runs, wrong].map((each, at) => ({
      name: `${at}`,
      shippedPolicy: 'attestd-default-tdx-v1',
      runs: each,
    }))
    const path = file('quote.policytest.json', JSON.stringify({ format: 'attestd-policy-tests/1', tests }))
    const { out, error } = await policy('test', path)
    expect([error?.code, out]).toEqual([
      'POLICY_TESTS_FAILED',
      expect.stringMatching(/^ok {6}0 \(1 run\)\nFAILED {2}1 /),
    ])
    expect(out).toContain('run 1: evidence\n            expected  "affirmed"'.replaceAll('"', ''))
  })
})
