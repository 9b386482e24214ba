import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  appendFileSync,
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { runInProcess } from '../../../test/support/recorded-io.ts'
import { haveVectors, vector, vectorsFolder } from '../../../test/support/vectors.ts'
import { MalformedError } from '../../base/errors.ts'
import { encodeTpmEvidence } from '../../evidence/tpm/evidence-json.ts'
import { parseReferenceValues } from '../../reference-values/parse-reference-values.ts'
import { referenceCommand } from './reference.ts'

const folder = mkdtempSync(join(tmpdir(), 'attestd-reference-'))
afterAll(() => rmSync(folder, { recursive: true }))

const run = (...args: readonly string[]) => runInProcess(referenceCommand, ...args)
const sha256 = (text: string | Uint8Array) => createHash('sha256').update(text).digest('hex')
const md5 = (text: string) => createHash('md5').update(text).digest('hex')

/** A tree of files by path; a Buffer path may hold any bytes. */
function tree(name: string, files: Readonly<Record<string, string>>): string {
  const root = join(folder, name)
  for (const [path, content] of Object.entries(files)) put(root, path, content)
  return root
}

function put(root: string, path: string, content: string): void {
  const place = Buffer.concat([Buffer.from(root), Buffer.from(path, 'latin1')])
  mkdirSync(dirname(place.toString('latin1')), { recursive: true })
  writeFileSync(place, content)
}

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

const head = '{"format":"attestd.reference-values","version":1,"name":"test"}'
const documentOf = (name: string, ...lines: readonly string[]) => file(name, [head, ...lines, ''].join('\n'))
const fileLine = (path: string, content: string) => `{"file":${JSON.stringify(path)},"sha256":["${sha256(content)}"]}`
/** Lines behind the header. */
const itemsOf = (out: string) => out.split('\n').slice(1, -1)

/** What is installed where the tests run; without it a test is skipped. */
function has(tool: string): boolean {
  try {
    execFileSync('which', [tool], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

describe('attestd reference learn tree', () => {
  it('learns regular files by their bytes and names nothing else', async () => {
    const root = tree('plain', { '/usr/bin/a': 'A', '/usr/bin/b c': 'B', '/etc/caf\xc3\xa9': 'C' })
    put(root, '/etc/\xff\n', 'D')
    symlinkSync('a', join(root, 'usr/bin/link'))
    execFileSync('mkfifo', [join(root, 'pipe')])
    const { out, err, error } = await run('learn', 'tree', root)
    expect(error).toBeNull()
    expect(itemsOf(out)).toEqual([
      fileLine('/etc/caf\\xc3\\xa9', 'C'),
      fileLine('/etc/\\xff\\n', 'D'),
      fileLine('/usr/bin/a', 'A'),
      // As IMA names it: the kernel writes _ for a blank.
      fileLine('/usr/bin/b_c', 'B'),
    ])
    expect(err).toMatch(/^learned 4 files\n/)
    expect(err).toContain('left out 1: is a symbolic link')
    expect(err).toContain('left out 1: is no regular file')
  })

  it('follows no link, not even one in place of a folder', async () => {
    const secret = tree('outside', { '/secret': 'S' })
    const root = tree('linked', { '/a': 'A' })
    symlinkSync(secret, join(root, 'folder'))
    symlinkSync(join(secret, 'secret'), join(root, 'file'))
    expect(itemsOf((await run('learn', 'tree', root)).out)).toEqual([fileLine('/a', 'A')])
  })

  it('takes prefix, algorithm and excludes', async () => {
    const root = tree('prefixed', { '/bin/a': 'A', '/tmp/x/y': 'X' })
    const args = ['--root-prefix', '/srv/app/', '--algorithm', 'sha384', '--exclude', '/srv/app/tmp']
    const { out, err } = await run('learn', 'tree', root, ...args)
    const digest = createHash('sha384').update('A').digest('hex')
    expect(itemsOf(out)).toEqual([`{"file":"/srv/app/bin/a","sha384":["${digest}"]}`])
    expect(err).toContain('left out 1: was excluded')
  })

  it('learns what can be executed only, if asked: by its bit or as an ELF file', async () => {
    const root = tree('executables', { '/script': '#!/bin/sh', '/lib.so': '\x7fELF\x02', '/text': 'T', '/empty': '' })
    chmodSync(join(root, 'script'), 0o755)
    const { out } = await run('learn', 'tree', root, '--executable-only')
    expect(itemsOf(out)).toEqual([fileLine('/lib.so', '\x7fELF\x02'), fileLine('/script', '#!/bin/sh')])
  })

  it('reports files that change while they are read, and does not learn them', async () => {
    const root = tree('changing', { '/steady': 'S' })
    const growing = join(root, 'growing')
    writeFileSync(growing, Buffer.alloc(64 << 20))
    const timer = setInterval(() => appendFileSync(growing, 'more'), 1)
    try {
      const { out, err } = await run('learn', 'tree', root)
      expect(itemsOf(out)).toEqual([fileLine('/steady', 'S')])
      expect(err).toContain('left out 1: changed while it was read\n  /growing\n')
    } finally {
      clearInterval(timer)
    }
  })

  it('writes a file whole and tells about it as JSON', async () => {
    const output = join(folder, 'learned.jsonl')
    const root = tree('json', { '/a': 'A' })
    const { out } = await run('learn', 'tree', root, '-o', output, '--json', '--name', 'web', '--description', 'all')
    const document = readFileSync(output)
    expect(document.toString()).toBe(
      `{"format":"attestd.reference-values","version":1,"name":"web","description":"all"}\n${fileLine('/a', 'A')}\n`,
    )
    expect(JSON.parse(out)).toMatchObject({
      output,
      id: sha256(`${fileLine('/a', 'A')}\n`),
      learned: { files: 1, images: 0 },
      left_out: {},
    })
  })

  it.each([
    [['/nowhere'], 'INPUT_UNREADABLE'],
    [['.', '--json'], 'USAGE'],
    [['.', '--exclude', '/['], 'MALFORMED'],
    [['/tmp', '--exclude', '**', '-o', '/nowhere/x'], 'FILE_UNUSABLE'],
  ])('%j ends with %s', async (args, code) => {
    expect((await run('learn', 'tree', ...args)).error?.code).toBe(code)
  })
})

describe('attestd reference learn dpkg', () => {
  const status = [
    'Package: one\nStatus: install ok installed\nArchitecture: amd64\nConffiles:',
    ` /etc/one.conf ${md5('default')}`,
    ` /etc/same.conf ${md5('same')}`,
    'Description: x\n\nPackage: gone\nStatus: deinstall ok config-files\nArchitecture: all\n',
    'Package: two\nStatus: install ok installed\nArchitecture: all\n',
  ].join('\n')

  function system(name: string): string {
    const root = tree(name, {
      '/usr/bin/one': 'one',
      '/usr/bin/spoiled': 'spoiled',
      '/usr/bin/foreign': 'foreign',
      '/usr/bin/late': 'late',
      '/usr/bin/two.real': 'two',
      '/usr/bin/two': 'wrapper',
      '/etc/one.conf': 'mine',
      '/etc/same.conf': 'same',
      '/var/lib/dpkg/status': status,
      '/var/lib/dpkg/info/one:amd64.md5sums': [
        `${md5('one')}  bin/one`,
        `${md5('sound')}  usr/bin/spoiled`,
        `${md5('x')}  usr/bin/missing`,
        '',
      ].join('\n'),
      '/var/lib/dpkg/info/one:amd64.list':
        '/.\n/usr\n/bin/one\n/usr/bin/spoiled\n/usr/bin/missing\n/usr/bin/late\n/etc/one.conf\n',
      '/var/lib/dpkg/info/two.md5sums': `${md5('two')}  usr/bin/two\n`,
      '/var/lib/dpkg/diversions': '/usr/bin/two\n/usr/bin/two.real\n:\n',
    })
    symlinkSync('usr/bin', join(root, 'bin'))
    return root
  }

  it('learns what is as its package delivered it, and names everything else', async () => {
    const output = join(folder, 'dpkg.jsonl')
    const { error, out } = await run('learn', 'dpkg', '--root', system('debian'), '-o', output, '--json')
    expect(error).toBeNull()
    expect(itemsOf(readFileSync(output, 'utf8'))).toEqual([
      fileLine('/etc/same.conf', 'same'),
      fileLine('/usr/bin/one', 'one'),
      fileLine('/usr/bin/two.real', 'two'),
    ])
    const { left_out: left } = JSON.parse(out)
    expect(left['differs-from-package'].examples).toEqual(['/usr/bin/spoiled'])
    expect(left['changed-configuration'].examples).toEqual(['/etc/one.conf'])
    expect(left['unlisted'].examples).toEqual(['/usr/bin/late'])
    expect(left['missing-from-tree'].examples).toEqual(['/usr/bin/missing'])
    expect(left['unowned'].examples).toEqual(expect.arrayContaining(['/usr/bin/foreign', '/usr/bin/two']))
  })

  it('learns what nobody owns if asked, and still nothing that differs', async () => {
    const args = ['--root', system('unowned'), '--unowned', '--exclude', '/var/**']
    const { out, err } = await run('learn', 'dpkg', ...args)
    const paths = itemsOf(out).map((line) => JSON.parse(line).file)
    expect(paths).toEqual([
      '/etc/same.conf',
      '/usr/bin/foreign',
      '/usr/bin/late',
      '/usr/bin/one',
      '/usr/bin/two',
      '/usr/bin/two.real',
    ])
    expect(err).toContain('left out 1: differs from the manifest of its package\n  /usr/bin/spoiled\n')
  })

  it('refuses a tree without the database, and options that do not go together', async () => {
    expect((await run('learn', 'dpkg', '--root', tree('empty', { '/a': 'A' }))).error?.code).toBe('INPUT_UNREADABLE')
    expect((await run('learn', 'dpkg', 'x.deb', '--root', '/')).error?.code).toBe('USAGE')
  })
})

describe.skipIf(!has('dpkg-deb'))('attestd reference learn dpkg with packages (needs dpkg-deb)', () => {
  const longName = `/usr/share/${'long/'.repeat(40)}name`

  let debs = 0

  function deb(compression: string): string {
    const root = tree(`deb-${debs++}`, {
      '/DEBIAN/control': 'Package: t\nVersion: 1\nArchitecture: all\nMaintainer: T <t@example.org>\nDescription: t\n',
      '/bin/tool': '#!/bin/sh\n',
      '/usr/lib/big': 'x'.repeat(100_000),
      '/usr/share/empty': '',
      [longName]: 'long',
    })
    put(root, '/usr/share/n\xc3\xa4me with blank', 'name')
    chmodSync(join(root, 'bin/tool'), 0o755)
    linkSync(join(root, 'usr/lib/big'), join(root, 'usr/lib/hard'))
    symlinkSync('big', join(root, 'usr/lib/soft'))
    const path = join(folder, `${compression}.deb`)
    execFileSync('dpkg-deb', ['--root-owner-group', `-Z${compression}`, '--build', root, path], { stdio: 'ignore' })
    return path
  }

  it.each(['none', 'gzip', 'xz'])('learns the files of a package packed by %s', async (compression) => {
    const { out, error } = await run('learn', 'dpkg', deb(compression))
    expect(error).toBeNull()
    expect(itemsOf(out)).toEqual([
      fileLine('/bin/tool', '#!/bin/sh\n'),
      fileLine('/usr/lib/big', 'x'.repeat(100_000)),
      fileLine('/usr/lib/hard', 'x'.repeat(100_000)),
      fileLine('/usr/share/empty', ''),
      fileLine(longName, 'long'),
      fileLine('/usr/share/n\\xc3\\xa4me_with_blank', 'name'),
    ])
  })

  it('names files as they are found on a system with /bin in /usr', async () => {
    const { out } = await run('learn', 'dpkg', deb('none'), '--merged-usr', '--executable-only')
    expect(itemsOf(out)).toEqual([fileLine('/usr/bin/tool', '#!/bin/sh\n')])
  })

  it('refuses what is no package, with what the tool says', async () => {
    const { error } = await run('learn', 'dpkg', file('none.deb', 'no package'))
    expect(error).toMatchObject({ code: 'TOOL_FAILED', exitCode: 65 })
    expect(error?.message).toContain('dpkg-deb ended with 2')
  })

  it('refuses a package that was cut', async () => {
    const whole = readFileSync(deb('none'))
    const { error } = await run('learn', 'dpkg', file('cut.deb', whole.subarray(0, whole.length - 60_000)))
    expect(error?.exitCode).toBe(65)
  })
})

describe('attestd reference learn rpm', () => {
  const dumpLine = (path: string, digest: string, mode = '0100644') =>
    `${path} 5 1700000000 ${digest} ${mode} root root 0 0 0 X`

  it('learns from the text of rpm -qa --dump', async () => {
    const dump = [
      dumpLine('/usr/bin/a b', sha256('A'), '0100755'),
      dumpLine('/usr/lib/c', sha256('C')),
      dumpLine('/usr/lib/old', md5('O')),
      dumpLine('/var/log/ghost', '0'.repeat(64)),
      dumpLine('/usr/lib', '0'.repeat(64), '040755'),
      '/etc/link 6 1700000000 - 0120777 root root 0 0 0 to here'.replace('-', '0'.repeat(64)),
    ]
    const { out, err, error } = await run('learn', 'rpm', file('dump.txt', `${dump.join('\n')}\n`))
    expect(error).toBeNull()
    expect(itemsOf(out)).toEqual([fileLine('/usr/bin/a_b', 'A'), fileLine('/usr/lib/c', 'C')])
    expect(err).toContain('left out 1: has only a digest that is too weak (MD5)')
  })

  it.each([
    'no dump at all',
    dumpLine('/a', 'ab'),
    dumpLine('/a', sha256('A')).replace('/a', 'a'),
    dumpLine('/a', sha256('A'), '0100999'),
  ])('refuses %j', async (line) => {
    const { error } = await run('learn', 'rpm', file('bad.txt', `${dumpLine('/x', sha256('X'))}\n${line}\n`))
    expect(error?.message).toContain('bad.txt line 2')
    expect(error).toBeInstanceOf(MalformedError)
  })
})

describe.skipIf(!has('rpmbuild') || !has('rpm'))('attestd reference learn rpm with packages (needs rpmbuild)', () => {
  const spec = `Name: attestd-test
Version: 1
Release: 1
Summary: t
License: MIT
BuildArch: noarch
%description
t
%install
mkdir -p %{buildroot}/usr/bin %{buildroot}/etc %{buildroot}/var/log
printf tool > "%{buildroot}/usr/bin/a tool"
chmod 755 "%{buildroot}/usr/bin/a tool"
printf conf > %{buildroot}/etc/t.conf
touch %{buildroot}/var/log/t.log
ln -s t.conf %{buildroot}/etc/link
%files
"/usr/bin/a tool"
%config /etc/t.conf
/etc/link
%ghost /var/log/t.log
`

  function build(algorithm: number): string {
    const top = join(folder, `rpm-${algorithm}`)
    mkdirSync(top, { recursive: true })
    const path = join(top, 't.spec')
    writeFileSync(path, spec)
    const defines = [`_topdir ${top}`, `_rpmdir ${top}`, `_binary_filedigest_algorithm ${algorithm}`]
    execFileSync('rpmbuild', ['-bb', ...defines.flatMap((each) => ['--define', each]), path], { stdio: 'ignore' })
    return join(top, 'noarch/attestd-test-1-1.noarch.rpm')
  }

  const packaged = has('rpmbuild') ? build(8) : ''

  it('reads the header of a package, and says what rpm itself says', async () => {
    const { out, error } = await run('learn', 'rpm', packaged)
    expect(error).toBeNull()
    expect(itemsOf(out)).toEqual([fileLine('/etc/t.conf', 'conf'), fileLine('/usr/bin/a_tool', 'tool')])
    const dump = execFileSync('rpm', ['-qp', '--dump', packaged])
    expect((await run('learn', 'rpm', file('rpm.txt', dump))).out).toBe(out)
    expect(itemsOf((await run('learn', 'rpm', packaged, '--executable-only')).out)).toHaveLength(1)
  })

  it('reads digests of SHA-512, and learns none of MD5', async () => {
    const strong = itemsOf((await run('learn', 'rpm', build(10))).out)
    expect(Object.keys(JSON.parse(strong[0] ?? ''))).toEqual(['file', 'sha512'])
    const { out, err } = await run('learn', 'rpm', build(1))
    expect(itemsOf(out)).toEqual([])
    expect(err).toContain('left out 2: has only a digest that is too weak (MD5)')
  })

  it('refuses a package that ends in its headers, wherever', async () => {
    const whole = readFileSync(packaged)
    for (const length of [4, 95, 96, 111, 200, 1000, 2000]) {
      const { error } = await run('learn', 'rpm', file('cut.rpm', whole.subarray(0, length)))
      expect(error?.exitCode).toBe(65)
    }
  })

  it('answers or refuses, whatever byte of the headers is another one', async () => {
    const whole = readFileSync(packaged)
    for (let at = 0; at < 3000; at += 13) {
      const changed = Uint8Array.from(whole)
      changed[at] = (changed[at] ?? 0) ^ 0xff
      const { error } = await run('learn', 'rpm', file('changed.rpm', changed))
      expect(error === null || error.exitCode === 65).toBe(true)
    }
  })
})

describe('attestd reference diff, show, check, join', () => {
  const older = () => documentOf('before.jsonl', fileLine('/a', 'A'), fileLine('/b', 'B'), '{"exclude":"/tmp/**"}')
  const newer = () => documentOf('after.jsonl', fileLine('/b', 'new'), fileLine('/c', 'C'), '{"exclude":"/run/**"}')

  it('diff shows lines of the documents with a sign', async () => {
    const { out, error } = await run('diff', older(), newer())
    expect(error).toBeNull()
    expect(out.split('\n')).toEqual([
      '- {"exclude":"/tmp/**"}',
      '+ {"exclude":"/run/**"}',
      `- ${fileLine('/a', 'A')}`,
      `- ${fileLine('/b', 'B')}`,
      `+ ${fileLine('/b', 'new')}`,
      `+ ${fileLine('/c', 'C')}`,
      '',
    ])
    const { removed, added } = JSON.parse((await run('diff', older(), newer(), '--json')).out)
    expect([removed.length, added.length]).toEqual([3, 3])
  })

  it('diff tells by its exit code, if asked', async () => {
    expect((await run('diff', older(), newer(), '--exit-code')).error).toMatchObject({ exitCode: 1 })
    expect(await run('diff', older(), older(), '--exit-code')).toEqual({ out: '', err: '', error: null })
  })

  it('show names document, id and numbers; with a glob the files', async () => {
    const { out } = await run('show', older())
    expect(out).toMatch(/^test\n2 files, 1 exclude\nid [0-9a-f]{64}\n\{"exclude":"\/tmp\/\*\*"\}\n$/)
    expect((await run('show', older(), '--path', '/[ax]')).out).toBe(`${fileLine('/a', 'A')}\n`)
    expect(JSON.parse((await run('show', older(), '--json')).out)).toMatchObject({
      name: 'test',
      counts: { files: 2, excludes: 1 },
      items: [{ exclude: '/tmp/**' }],
    })
  })

  it('join says what both say, whatever the order', async () => {
    const one = await run('join', older(), newer())
    expect(itemsOf(one.out)).toHaveLength(5)
    expect((await run('join', newer(), older())).out).toBe(one.out)
    expect((await run('join', newer(), '--json')).error?.code).toBe('USAGE')
    const output = join(folder, 'joined.jsonl')
    const written = await run('join', older(), newer(), '-o', output, '--name', 'both')
    expect(written.out).toMatch(/^both\n3 files, 2 excludes\nid [0-9a-f]{64}\n$/)
    expect(itemsOf(readFileSync(output, 'utf8'))).toEqual(itemsOf(one.out))
    expect(JSON.parse((await run('join', newer(), '-o', output, '--json')).out)).toMatchObject({
      output,
      name: 'joined',
      counts: { files: 2, excludes: 1 },
    })
  })

  it('check finds nothing in a sound document', async () => {
    const { out, error } = await run('check', older(), '--strict')
    expect(error).toBeNull()
    expect(out).toMatch(/^test\n2 files, 1 exclude\nid [0-9a-f]{64}\n$/)
  })

  it('check names what is weak, hidden, covered or said twice', async () => {
    const path = documentOf(
      'doubtful.jsonl',
      `{"file":"/weak","sha1":["${'a'.repeat(40)}"]}`,
      fileLine('/tmp/hidden', 'H'),
      fileLine('/a', 'A'),
      fileLine('/a', 'B'),
      '{"exclude":"/tmp/**"}',
      '{"exclude":{"prefix":"/tmp/x"}}',
      '{"exclude":"/tmp/*.log"}',
      '{"exclude":"/run/*"}',
      `{"pcrs":{"sha1":{"0":["${'b'.repeat(40)}"]}},"image":"old"}`,
      `{"key":"${sha256('k')}","keyring":".ima"}`,
    )
    const { out, error } = await run('check', path, '--json', '--strict')
    expect(error).toMatchObject({ code: 'REFERENCES_DOUBTFUL', exitCode: 1 })
    const { doubts } = JSON.parse(out)
    expect(doubts.map(({ about, count }: { about: string; count: number }) => [about, count])).toEqual([
      ['weak-digest', 1],
      ['weak-pcrs', 1],
      ['hidden-file', 1],
      ['covered-exclude', 2],
      ['key-without-der', 1],
      ['repeated', 1],
    ])
    expect(doubts[2].examples).toEqual(['/tmp/hidden (/tmp/**)'])
    expect((await run('check', path)).out).toContain('1 accept a SHA-1 digest')
  })

  it.each(['diff', 'show', 'check', 'join'])('%s refuses a document that is none, with its line', async (command) => {
    const bad = documentOf('bad.jsonl', fileLine('/a', 'A'), '{"file":"/b"}')
    const args = command === 'diff' ? [bad, bad] : [bad]
    const { error } = await run(command, ...args)
    expect(error).toBeInstanceOf(MalformedError)
    expect(error?.message).toContain('bad.jsonl: has no digest (line 3, column 1)')
    expect((await run(command, ...args.map(() => '/nowhere'))).error?.code).toBe('INPUT_UNREADABLE')
  })
})

describe.skipIf(!haveVectors)('attestd reference learn evidence, from recorded machines', () => {
  const learned = async (...args: readonly string[]) => {
    const { out, err, error } = await run('learn', 'evidence', ...args)
    if (error) throw error
    return { err, values: parseReferenceValues(Buffer.from(out), 'out').values }
  }
  const inVectors = (name: string) => join(vectorsFolder, 'tpm', name)

  it('a binary log of a guest: files by their bytes, violations left out', async () => {
    const { err, values } = await learned(inVectors('guest/ima.g3.bin'))
    expect(err).toContain('left out 2: was open for writing while it was measured (violation)')
    expect(err).toContain('left out 1: is the boot aggregate')
    expect([...values.files.keys()].some((path) => path.includes('\n'))).toBe(true)
    expect([...values.files.keys()].some((path) => /[\x80-\xff]/.test(path))).toBe(true)
    expect([...values.files.keys()].some((path) => path.includes(' '))).toBe(false)
    const other = await learned(inVectors('guest/ima.column-sha256.bin'))
    expect([...other.values.files.keys()]).toEqual(expect.arrayContaining([...values.files.keys()]))
  })

  it('a text log', async () => {
    const { err, values } = await learned(inVectors('ima/ascii-826.ascii'))
    expect(values.files.size).toBeGreaterThan(700)
    expect(values.files.has('/bin/sh')).toBe(true)
    expect(err).toContain('is the boot aggregate')
  })

  it('a log of the legacy template and one with all templates, keys among them', async () => {
    expect((await learned(inVectors('ima/legacy-template.bin'))).values.files.size).toBeGreaterThan(0)
    const { values } = await learned(inVectors('sequence/s2.ima.bin'))
    expect(values.keys.map(({ keyring, der }) => [keyring, der !== null])).toContainEqual(['.ima', true])
    expect(values.buffers.length).toBeGreaterThan(0)
  })

  it('evidence with its PCRs as a golden set of a name', async () => {
    const pcrs: Record<string, Record<string, string>> = JSON.parse(
      Buffer.from(vector('tpm/guest/g3.pcrs.json')).toString(),
    )
    const evidence = file(
      'evidence.json',
      JSON.stringify(
        encodeTpmEvidence({
          ak: { publicArea: vector('tpm/guest/ak.tpmt'), certificate: null },
          ek: { publicArea: null, certificate: null, chain: [] },
          quotes: [
            {
              attest: vector('tpm/guest/g3.attest'),
              signature: vector('tpm/guest/g3.sig'),
              pcrs: new Map(
                (['sha1', 'sha256', 'sha384'] as const).map((bank) => [
                  bank,
                  new Map(Object.entries(pcrs[bank] ?? {}).map(([pcr, hex]) => [Number(pcr), Buffer.from(hex, 'hex')])),
                ]),
              ),
            },
          ],
          eventLog: null,
          ima: { from: 0, column: 'sha1', data: vector('tpm/guest/ima.g3.bin') },
          simulated: true,
        }),
      ),
    )
    const { values } = await learned(evidence, '--image', 'debian-13', '--pcrs', '0-4,7')
    const [golden] = values.pcrs
    expect(golden?.image).toBe('debian-13')
    expect(golden?.banks.map(({ hash }) => hash)).toEqual(['sha256', 'sha384'])
    expect(golden?.banks[0]?.pcrs.map(({ pcr }) => pcr)).toEqual([0, 1, 2, 3, 4, 7])
    expect(golden?.banks[0]?.pcrs[0]?.accepted).toEqual([pcrs['sha256']?.['0']])
    expect(values.files.size).toBeGreaterThan(400)
  })

  it.each([
    [['guest/ima.g3.bin', '--image', 'x'], 'USAGE'],
    [['guest/eventlog.bin'], 'UNKNOWN_INPUT'],
  ])('%j ends with %s', async ([name = '', ...args], code) => {
    expect((await run('learn', 'evidence', inVectors(name), ...args)).error?.code).toBe(code)
  })

  it('a text log in which a name forged a record is refused (IMA-23)', async () => {
    const text = Buffer.from(vector('tpm/ima/ascii-826.ascii')).toString('latin1')
    const forged = text.replace(' /bin/sh\n', ' /bin/s\n')
    const { error } = await run('learn', 'evidence', file('forged.ascii', Buffer.from(forged, 'latin1')))
    expect(error).toBeInstanceOf(MalformedError)
  })
})
