import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { makePolicySigner } from '../../../test/support/policy-signers.ts'
import { runInProcess } from '../../../test/support/recorded-io.ts'
import { runAttestd } from '../../../test/support/run-command.ts'
import { haveVectors, vectorJson, vectorsFolder } from '../../../test/support/vectors.ts'
import { acceptPolicy, acceptPolicyReset, defaultPolicies, policyDigest } from '../../policies/index.ts'
import { policyCommand } from './policy.ts'

const folder = mkdtempSync(join(tmpdir(), 'attestd-policy-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const file = (name: string, content: string | Uint8Array) => {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}
const policy = (...args: readonly string[]) => runInProcess(policyCommand, ...args)

const tidy = defaultPolicies[0]?.text ?? ''
const untidy = 'version = 1.0 ;authorizationrules{ // why\n=>permit( ) ; } ;'
const laidOut = 'version=1.0;\nauthorizationrules\n{\n    // why\n    => permit();\n};\n'
const broken = 'version=1.0;\nauthorizationrules { => permitt(); };\n'

describe('attestd policy fmt', () => {
  it('prints the one layout, with comments', async () => {
    const { out, error } = await policy('fmt', file('untidy.policy', untidy))
    expect([error, out.includes('// why')]).toEqual([null, true])
    const again = await policy('fmt', file('again.policy', out))
    expect(again.out).toBe(out)
  })

  it('with --check names what is not in it, and touches nothing', async () => {
    const [good, bad] = [file('good.policy', tidy), file('bad.policy', untidy)]
    const { out, error } = await policy('fmt', '--check', good, bad)
    expect([out, error?.code]).toEqual([`${bad}\n`, 'POLICY_UNFORMATTED'])
    expect(readFileSync(bad, 'utf8')).toBe(untidy)
    expect((await policy('fmt', '--check', good)).error).toBeNull()
  })

  it('with --write replaces the file behind a link, keeps its mode and leaves nothing else', async () => {
    const own = join(folder, 'site')
    const path = file('to-write.policy', untidy)
    chmodSync(path, 0o640)
    symlinkSync(path, own)
    const before = readdirSync(folder).sort()
    expect((await policy('fmt', '--write', own)).error).toBeNull()
    expect(readFileSync(path, 'utf8')).not.toBe(untidy)
    expect(statSync(path).mode & 0o777).toBe(0o640)
    expect(readdirSync(folder).sort()).toEqual(before)
  })

  it('writes none of several files if one does not load', async () => {
    const [good, bad] = [file('first.policy', untidy), file('second.policy', broken)]
    const { error } = await policy('fmt', '--write', good, bad)
    expect([error?.code, error?.message]).toEqual(['POLICY_INVALID', expect.stringContaining(`${bad}:2:25: error`)])
    expect(readFileSync(good, 'utf8')).toBe(untidy)
  })

  it.each([[['--check', '--write', 'a']], [['--write', '-']], [['a', 'b']], [['--check', '-', '-']]])(
    'refuses %j',
    async (args) => {
      expect((await policy('fmt', ...args)).error?.code).toBe('USAGE')
    },
  )

  it('writes words in the wrong case right if asked to (POL-110)', async () => {
    const shouted = file('shouted.policy', laidOut.replace('permit', 'Permit'))
    expect((await policy('fmt', shouted)).error?.code).toBe('POLICY_INVALID')
    expect((await policy('fmt', '--lenient', shouted)).out).toContain('permit()')
  })
})

describe('attestd policy diff', () => {
  const rules = (...lines: readonly string[]) => `version=1.0;\nauthorizationrules\n{\n${lines.join('\n')}\n};\n`
  const [debug, simulated, permit] = [
    '[type=="debug", value==true] => deny();',
    '[type=="sim"] => deny();',
    '=> permit();',
  ]
  const before = file('before.policy', rules(debug, simulated, permit))
  const diff = (name: string, text: string, ...options: readonly string[]) =>
    policy('diff', ...options, before, file(name, text))

  it.each<[string, string, string[]]>([
    ['an added rule', rules(debug, '[type=="old"] => deny();', simulated, permit), ['added']],
    ['a removed rule', rules(debug, permit), ['removed']],
    ['a changed rule', rules(debug, '[type=="sim", value==true] => deny();', permit), ['changed']],
    ['rules in another order', rules(simulated, debug, permit), ['moved']],
    ['layout, comments and names of identifiers', rules(`// ${debug}`, `c:${debug}`, simulated, permit), []],
    ['everything', rules('=> add(type="a", value=1);'), ['removed', 'removed', 'removed', 'added']],
  ])('of %s', async (name, text, kinds) => {
    const { out } = await diff(`${name.replaceAll(' ', '-')}.policy`, text, '--json')
    expect(
      JSON.parse(out)
        .rules.map(({ kind }: { kind: string }) => kind)
        .sort(),
    ).toEqual([...kinds].sort())
  })

  it('shows both texts with their lines, and ends with 1 only if asked to', async () => {
    const text = rules(debug, '[type=="sim",\n   value==true] => deny();', permit)
    const shown = await diff('c.policy', text)
    expect(shown).toMatchObject({ error: null })
    expect(shown.out).toBe(
      [
        'changed in authorizationrules',
        '-     5  [type=="sim"] => deny();',
        '+     5  [type=="sim",',
        '+        value==true] => deny();',
        '1 changed; 2 rules are the same\n',
      ].join('\n'),
    )
    expect((await diff('c.policy', text, '--exit-code')).error).toMatchObject({ code: 'POLICIES_DIFFER', exitCode: 1 })
    expect((await policy('diff', '--exit-code', before, before)).error).toBeNull()
  })

  it('sees another version, and one rule of two that are equal go', async () => {
    const { out } = await diff('v.policy', rules(debug, simulated, permit).replace('1.0', '1.2'), '--json')
    expect(JSON.parse(out)).toMatchObject({ version: { before: '1.0', after: '1.2' }, rules: [], same: 3 })
    const twice = file('twice.policy', rules(permit, permit))
    const once = await policy('diff', '--json', twice, file('once.policy', rules(permit)))
    expect(JSON.parse(once.out)).toMatchObject({ rules: [{ kind: 'removed' }], same: 1 })
    expect((await policy('diff', twice, join(folder, 'once.policy'))).out).toMatch(/\n1 removed; 1 rule is the same\n$/)
  })
})

describe('attestd policy hash, sign and inspect', () => {
  const text = file('site.policy', tidy)
  const signer = makePolicySigner()
  const certificate = file('signer.der', signer.certificates[0]?.der ?? '')
  const key = file('signer.pem', signer.privateKey.export({ format: 'pem', type: 'pkcs8' }))

  it.each([
    ['ES256', 'P-256'],
    ['RS256', 'rsa'],
  ] as const)('make %s, which a verifier takes that trusts the signer, and no other', async (alg, kind) => {
    const own = makePolicySigner(kind)
    const certified = file(`${alg}.der`, own.certificates[0]?.der ?? '')
    const plain = file(`${alg}.pem`, own.privateKey.export({ format: 'pem', type: 'pkcs8' }))
    const jws = join(folder, `${alg}.jws`)
    expect((await policy('sign', text, '--key', plain, '--certificate', certified, '-o', jws)).error).toBeNull()
    const { out, error } = await policy('inspect', jws, '--signer', certified, '--json')
    expect([error, JSON.parse(out).header.alg, JSON.parse(out).policy]).toEqual([null, alg, tidy])
    expect((await policy('inspect', jws, '--signer', certificate)).error?.message).toContain('POL-705')
    expect((await policy('inspect', jws)).out).toContain('header x5c  1 certificate\n')
    expect((await policy('hash', jws, '--json')).out).toContain(policyDigest(new TextEncoder().encode(tidy)))
  })

  it('write the unsigned form, which a verifier with signers refuses (POL-704)', async () => {
    const { out } = await policy('sign', text, '--unsigned')
    const jws = file('unsigned.jws', out)
    const shown = await policy('inspect', jws)
    expect([shown.error, shown.out.includes('a verifier with trusted signers refuses it')]).toEqual([null, true])
    const refused = await policy('inspect', jws, '--signer', certificate)
    expect(refused.error?.message).toContain('POL-704')
    expect(refused.out).toContain('signed by  nobody: the unsigned form\n')
  })

  it('sign a reset, which is no policy (POL-904)', async () => {
    const signed = (await policy('sign', '--reset', '--key', key, '--certificate', certificate)).out
    expect(acceptPolicyReset(signed, [signer])?.certificates).toHaveLength(1)
    const unsigned = (await policy('sign', '--reset', '--unsigned')).out
    expect(acceptPolicyReset(unsigned, [])).toBeNull()
    expect(() => acceptPolicyReset(unsigned, [signer])).toThrow()
    expect(() => acceptPolicy(new TextEncoder().encode(signed), [])).toThrow()
    expect((await policy('sign', text, '--reset', '--key', key)).error?.code).toBe('USAGE')
    expect((await policy('sign', '--key', key)).error?.code).toBe('USAGE')
  })

  it('sign nothing that does not load, and nothing with a key of somebody else', async () => {
    expect((await policy('sign', file('broken.policy', broken), '--key', key)).error?.code).toBe('POLICY_INVALID')
    const other = file('other.der', makePolicySigner().certificates[0]?.der ?? '')
    const { error } = await policy('sign', text, '--key', key, '--certificate', other)
    expect(error?.code).toBe('POLICY_SIGNING_KEY')
    expect((await policy('sign', text)).error?.code).toBe('USAGE')
    expect((await policy('sign', text, '--unsigned', '--key', key)).error?.code).toBe('USAGE')
    const { error: noKey } = await policy('sign', text, '--key', text)
    expect([noKey?.code, noKey?.message.includes('BEGIN')]).toEqual(['INPUT_UNREADABLE', false])
  })

  it('say what is wrong, with nothing that a terminal would obey', async () => {
    const hostile = Buffer.from(tidy.replace('=> deny', '=> \u001b[31mdeny'), 'utf8')
    const { out, error } = await policy('inspect', file('hostile.policy', hostile))
    expect([error?.message, out.includes('\u001b')]).toEqual([expect.stringContaining('POL-104'), false])
    expect((await policy('hash', file('half.jws', 'eyJhbGciOiJub25lIn0.e30.'))).error?.code).toBe('POLICY_REFUSED')
  })

  it('says that nobody signed a plain text, and who would refuse it (POL-704)', async () => {
    const plain = file('plain.policy', 'version=1.0; authorizationrules { => permit(); };')
    const { out, error } = await policy('inspect', plain)
    expect(error).toBeNull()
    expect(out).toContain('  signed by  nobody: plain text has no place for a signature\n')
    expect(out).toContain('  note: a verifier with trusted signers refuses it (POL-704)\n')
    const broken = file('broken.policy', 'version=1.0; authorizationrules { => permit() };')
    expect((await policy('inspect', broken)).out).toContain('signed by  nobody: plain text')
  })
})

describe.skipIf(!haveVectors)('attestd policy inspect and the recorded JWS files', () => {
  interface Recorded {
    readonly file: string
    readonly signersOn: { readonly trusted: readonly string[]; readonly result: string; readonly ids?: string[] }
  }
  const vectors: Record<string, Recorded> = haveVectors ? vectorJson('policy/jws/expected.json').vectors : {}
  const policies = Object.entries(vectors).filter(([, { file: name }]) => !/certificate|reset/.test(name))

  it.each(policies)('%s', async (_, { file: name, signersOn }) => {
    const path = (each: string) => join(vectorsFolder, 'policy', each)
    const signers = signersOn.trusted.map((each) => path(`jws/${each}.crt.pem`))
    const { error } = await policy('inspect', path(name), '--signer', ...signers)
    const wanted = signersOn.result === 'accept' ? [] : (signersOn.ids ?? [])
    const found = error?.message ?? ''
    expect(wanted.length === 0 || wanted.some((id) => found.includes(id))).toBe(true)
    expect(error === null).toBe(signersOn.result === 'accept' && !name.includes('syntax-error'))
  })
})

describe('exit codes of the program (POL-804)', () => {
  it.each<[number, string[], string]>([
    [0, ['fmt', '--check', '-'], tidy],
    [1, ['fmt', '--check', '-'], untidy],
    [1, ['fmt', '-'], broken],
    [2, ['fmt', join(folder, 'absent.policy')], ''],
    [2, ['fmt'], ''],
    [2, ['frobnicate'], ''],
    [2, ['sign', '-'], tidy],
    [2, ['diff', '-', '-'], tidy],
  ])('%i for %j', async (code, args, input) => {
    const { code: ended, err } = await runAttestd(['policy', ...args], { input })
    expect([ended, err === '' ? 0 : 1]).toEqual([code, code === 0 ? 0 : 1])
  })
})
