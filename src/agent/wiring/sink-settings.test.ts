import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { AttestdError } from '../../base/errors.ts'
import { parseConfiguration } from '../configuration/load.ts'
import { composeSettings, type Settings } from './settings.ts'

const root = mkdtempSync(join(tmpdir(), 'attestd-sinks-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
mkdirSync(join(root, 'one'))
mkdirSync(join(root, 'two'))
mkdirSync(join(root, 'open'))
chmodSync(join(root, 'open'), 0o777)
symlinkSync('one', join(root, 'alias'))

const issuer = '[issuer]\nurl = "https://verifier.example"\n'
const roots = `[token_files]\nroots = ["${root}"]\n`

interface SinkText {
  readonly [key: string]: string | boolean | number | readonly string[] | undefined
}

function sinkText(change: SinkText = {}): string {
  const usual = { name: 'one', path: join(root, 'one/token'), audience: 'https://rp.example', allow_disk: true }
  const lines = Object.entries({ ...usual, ...change }).filter(([, value]) => value !== undefined)
  return `[[sinks]]\n${lines.map(([key, value]) => `${key} = ${JSON.stringify(value)}`).join('\n')}\n`
}

function compose(...texts: string[]): Promise<Settings> {
  const text = issuer + roots + texts.join('')
  return composeSettings({ file: 'a.toml', text, configuration: parseConfiguration(text, 'a.toml') })
}

async function outcome(...texts: string[]): Promise<string> {
  try {
    await compose(...texts)
  } catch (error) {
    if (error instanceof AttestdError) return error.message
    throw error
  }
  return 'accepted'
}

describe('token files of a configuration', () => {
  it('become declared requests with the limits of their consumers (BRK-70, BRK-109)', async () => {
    const settings = await compose(
      sinkText(),
      sinkText({ name: 'aws', path: join(root, 'two/token'), consumer: 'aws-sts', max_characters: 9_000 }),
    )
    expect(settings.declared).toEqual(settings.sinks.map(({ sink: { request } }) => ({ request, sink: true })))
    expect(settings.sinks.map(({ sink }) => sink.maxCharacters)).toEqual([65_536, 9_000])
    const [sts] = (await compose(sinkText({ consumer: 'aws-sts' }))).sinks
    expect(sts?.sink.maxCharacters).toBe(20_000)
  })

  it.each<[string, SinkText]>([
    ['a directory that is not there yet', { path: join(root, 'later/token') }],
    [
      'a directory of a consumer that may write, with leave',
      { path: join(root, 'open/token'), allow_consumer_writable: true },
    ],
    ['a program', { on_change: ['/bin/true', 'an argument'], on_change_user: 'root' }],
    ['the layout of Kubernetes', { layout: 'projected' }],
    ['a secret of Envoy', { format: 'envoy-secret', path: join(root, 'one/token.json') }],
  ])('may have %s', async (_, change) => {
    expect(await outcome(sinkText(change))).toBe('accepted')
  })

  it.each<[string, SinkText, RegExp]>([
    ['a path outside of the roots (BRK-118)', { path: '/etc/token' }, /^a\.toml:7: sinks\[0\]\.path is below none of /],
    [
      'a path that climbs',
      { path: `${root}/one/../../token` },
      /^a\.toml:7: sinks\[0\]\.path must be an absolute path/,
    ],
    [
      'a name that files have while they are written',
      { path: join(root, `one/.tmp-${'0'.repeat(32)}`) },
      /path must not begin with \.\. or \.tmp-/,
    ],
    ['the name of a link of layout projected', { path: join(root, 'one/..data') }, /path must not begin with/],
    ['a name of 241 characters', { path: join(root, `one/${'a'.repeat(241)}`) }, /path has a name of more than 240/],
    ['a path that is a root', { path: root }, /path is below none of/],
    [
      'a directory that all may write into',
      { path: join(root, 'open/token') },
      /path cannot be used: .*others may write/,
    ],
    ['a directory on a disk', { allow_disk: false }, /path cannot be used: .*is on a disk/],
    ['no audience', { audience: undefined }, /sinks\[0\]\.audience is missing/],
    ['an issuer that nobody knows', { issuer: 'nobody' }, /issuer is not one of local/],
    [
      'a longer token than the consumer takes',
      { consumer: 'aws-sts', max_characters: 20_001 },
      /max_characters is more than aws-sts takes: 20000/,
    ],
    ['a mode that lets others write', { mode: '0666' }, /mode must be/],
    ['a mode that lets nobody read', { mode: '0040' }, /mode must be/],
    ['a set-user-ID mode', { mode: '4440' }, /mode must be/],
    ['a secret of Envoy in a file of another name', { format: 'envoy-secret' }, /path must end in \.json/],
    ['a member that is taken', { format: 'json', member: 'expires_at' }, /member must be a name/],
    [
      'a projected file that is to be renamed',
      { layout: 'projected', on_expiry: 'rename' },
      /on_expiry must be remove/,
    ],
    ['a program without a path', { on_change: ['true'] }, /on_change must begin with the absolute path/],
    [
      'a program with a NUL in an argument',
      { on_change: ['/bin/true', 'a\0b'] },
      /on_change\[1\] must be 1 to 1024 characters/,
    ],
    ['a user that is none', { on_change: ['/bin/true'], on_change_user: 'no-such-user' }, /on_change_user is no user/],
    ['a user for nothing', { on_change_user: 'root' }, /on_change_user is of no use/],
    ['a name with a slash', { name: 'a/b' }, /name must be/],
    ['a key that is none', { pathe: 'x' }, /pathe is not a key; did you mean path\?/],
  ])('may not have %s', async (_, change, says) => {
    expect(await outcome(sinkText(change))).toMatch(says)
  })

  it('may not have a name or a place twice, whatever the place is called (BRK-118)', async () => {
    const other = (change: SinkText) =>
      outcome(sinkText(), sinkText({ name: 'other', path: join(root, 'two/token'), ...change }))
    expect(await other({})).toBe('accepted')
    expect(await other({ name: 'one' })).toMatch(/sinks\[1\]\.name is the name of another one/)
    expect(await other({ path: join(root, 'one/token') })).toMatch(/sinks\[1\]\.path is the path of another one/)
    expect(await other({ path: join(root, 'alias/token') })).toMatch(/sinks\[1\]\.path/)
    expect(await other({ path: join(root, 'one/token2') })).toBe('accepted')
    const aside = join(root, 'one/token.expired')
    expect(await other({ path: aside })).toBe('accepted')
    expect(await outcome(sinkText({ on_expiry: 'rename' }), sinkText({ name: 'other', path: aside }))).toMatch(
      /sinks\[1\]\.path is where another one is set aside/,
    )
    expect(await other({ path: join(root, 'one/token2'), layout: 'projected' })).toMatch(/a directory of its own/)
  })

  it('may not be for an audience whose tokens name the key of a caller', async () => {
    const audience = '[[issuer.audiences]]\naudience = "https://rp.example"\nsubject = "key"\n'
    expect(await outcome(audience, sinkText())).toMatch(/audience has subject mode key/)
  })
})
