import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { assembleOpaPolicy } from '../../../test/support/opa-policies.ts'
import { packTar, type TarMember } from '../../../test/support/rego-bundles.ts'
import { AttestdError } from '../../base/errors.ts'
import { bundleLimits, parseRegoBundle } from './bundle.ts'
import { formOfBundle } from './bundle-form.ts'

const wasm = assembleOpaPolicy({ entrypoints: { 'policy/trust_claims': ['[]'] } })
const policy: TarMember = { name: '/policy.wasm', content: wasm }
const bytesOf = (text: string) => new TextEncoder().encode(text)

function complaint(...members: TarMember[]): string {
  try {
    parseRegoBundle(packTar(members))
    return 'taken'
  } catch (error) {
    if (!(error instanceof AttestdError)) throw error
    return `${error.code}: ${error.message}`
  }
}

describe('an unpacked bundle (POL-960)', () => {
  it('gives its policy, data and manifest, and whatever stands in front of their names', () => {
    const manifest = '{"revision":"7","wasm":[{"entrypoint":"policy/allow","module":"policy.wasm"}]}'
    for (const prefix of ['/', './', '']) {
      const members = { 'policy.wasm': wasm, 'data.json': '{"a":[1]}', '.manifest': manifest }
      const archive = packTar(Object.entries(members).map(([name, content]) => ({ name: prefix + name, content })))
      const bundle = parseRegoBundle(archive)
      expect(bundle.wasm).toEqual(wasm)
      expect(new TextDecoder().decode(bundle.data)).toBe('{"a":[1]}')
      expect(bundle).toMatchObject({ revision: '7', entrypoints: ['policy/allow'], module: { minorVersion: 3 } })
    }
  })

  it('has no data and no manifest where it has none', () => {
    const bundle = parseRegoBundle(packTar([policy]))
    expect(new TextDecoder().decode(bundle.data)).toBe('{}')
    expect(bundle).toMatchObject({ revision: null, entrypoints: null })
  })

  it('may hold sources, folders and a signature, which are passed over', () => {
    const more = [
      { name: '/policy/', type: '5' },
      { name: '/policy/policy.rego', content: 'package policy' },
      { name: '/.signatures.json', content: '{' },
    ]
    expect(complaint(...more, policy)).toBe('taken')
  })

  it.each<[string, TarMember[], RegExp]>([
    ['no policy', [{ name: '/data.json', content: '{}' }], /no \/policy\.wasm; was it built with -t wasm\?/],
    ['two policies', [policy, { ...policy, name: './policy.wasm' }], /has \/policy\.wasm twice/],
    ['another file', [policy, { name: '/run.sh' }], /has the file "\/run\.sh"/],
    ['a policy elsewhere', [{ ...policy, name: '/a/policy.wasm' }], /has the file/],
    ['a path that leads elsewhere', [policy, { name: '/../data.json', content: '{}' }], /has the file "\/\.\.\/data/],
    ['a hard link', [policy, { name: '/data.json', type: '1', target: '/policy.wasm' }], /has a link/],
    ['a policy that is none', [{ name: '/policy.wasm', content: 'wasm' }], /^MALFORMED: policy\.wasm/],
    ['data that is no object', [policy, { name: '/data.json', content: '[]' }], /^MALFORMED: \/data\.json/],
    ['data with a name twice', [policy, { name: '/data.json', content: '{"a":1,"a":2}' }], /duplicate member "a"/],
    [
      'data that is no UTF-8',
      [policy, { name: '/data.json', content: new Uint8Array([0x22, 0xff]) }],
      /not valid UTF-8/,
    ],
    ['a manifest that is none', [policy, { name: '/.manifest', content: 'x' }], /^MALFORMED: \/\.manifest/],
    ['a revision that is no text', [policy, { name: '/.manifest', content: '{"revision":1}' }], /revision/],
    ['modules that are no list', [policy, { name: '/.manifest', content: '{"wasm":{}}' }], /wasm that is no list/],
    [
      'a module without entrypoint',
      [policy, { name: '/.manifest', content: '{"wasm":[1]}' }],
      /without its entrypoint/,
    ],
    [
      'another module',
      [policy, { name: '/.manifest', content: '{"wasm":[{"entrypoint":"a","module":"/b.wasm"}]}' }],
      /speaks of other modules/,
    ],
  ])('is refused with %s', (_, members, says) => {
    expect(complaint(...members)).toMatch(says)
  })

  it('is refused where a member is longer than it may be, before it is gathered', () => {
    const data = (size: number) => ({ name: '/data.json', content: `{"a":"${'x'.repeat(size - 8)}"}` })
    expect(complaint(policy, data(bundleLimits.data))).toBe('taken')
    expect(complaint(policy, data(bundleLimits.data + 1))).toMatch(/\/data\.json has 8388609 bytes; 8388608 are taken/)
    const manifest = { name: '/.manifest', content: ' '.repeat(bundleLimits.manifest + 1) }
    expect(complaint(policy, manifest)).toMatch(/\/\.manifest has 262145 bytes/)
  })

  it('is refused above 32 MiB in all', () => {
    expect(() => parseRegoBundle(new Uint8Array(bundleLimits.unpacked + 1))).toThrow(/unpacks to 33554433 bytes/)
  })

  it('is taken or refused with a code, whatever byte of its archive is changed', () => {
    const archive = packTar([{ name: '/data.json', content: '{"a":1}' }, policy])
    fc.assert(
      fc.property(fc.nat(archive.length - 1), fc.integer({ min: 0, max: 255 }), (at, byte) => {
        try {
          parseRegoBundle(archive.with(at, byte))
        } catch (error) {
          expect(error).toBeInstanceOf(AttestdError)
        }
      }),
      { numRuns: 1500 },
    )
  })
})

describe('the form of a file', () => {
  it.each<[string, string, string]>([
    ['\0asm\u0001', 'policy.rego', 'bare'],
    ['\u001f\u008b\u0008', 'bundle.rego', 'packed'],
    ['anything', 'POLICY.rego', 'source'],
    ['package policy\n', 'bundle.tar.gz', 'source'],
    ['# a\n\n#b\n  package policy', 'bundle', 'source'],
    ['packages', 'bundle', 'unknown'],
    ['', 'bundle', 'unknown'],
    ['#'.repeat(65_536), 'bundle', 'unknown'],
  ])('%j in %s is %s', (start, path, form) => {
    expect(formOfBundle(new Uint8Array(Buffer.from(start, 'latin1')), path)).toBe(form)
  })

  it('is told in no time of a long file without end of its comments', () => {
    const text = bytesOf('\n'.repeat(1 << 20))
    expect(formOfBundle(text, 'bundle')).toBe('unknown')
  })
})
