import { describe, expect, it } from 'vitest'
import { MalformedError } from '../base/errors.ts'
import { parseDiversions, parseDpkgStatus, parseMd5sums, parsePackageList } from './dpkg-manifest.ts'

const md5 = 'd'.repeat(32)
const paragraph = (status: string, rest = '') => `Package: p\nStatus: ${status}\nArchitecture: amd64\n${rest}`

describe('the database of dpkg', () => {
  it.each([
    ['install ok installed', true],
    ['hold ok installed', true],
    ['install ok unpacked', true],
    ['install ok half-configured', true],
    ['install ok triggers-pending', true],
    ['deinstall ok config-files', false],
    ['purge ok not-installed', false],
    ['install ok not-installed', false],
  ])('status %s: files in place: %s', (status, inPlace) => {
    expect(parseDpkgStatus(paragraph(status))).toHaveLength(inPlace ? 1 : 0)
  })

  it('names configuration files with their MD5, whatever stands behind it', () => {
    const conffiles = `Conffiles:\n /etc/a ${md5}\n /etc/b c ${md5} obsolete\n /etc/new newconffile\nVersion: 1\n`
    const [first] = parseDpkgStatus(
      `${paragraph('install ok installed', conffiles)}\n\n${paragraph('hold ok installed')}\n`,
    )
    expect(first).toEqual({
      name: 'p',
      architecture: 'amd64',
      configuration: new Map([
        ['/etc/a', md5],
        ['/etc/b c', md5],
      ]),
    })
  })

  it.each(['Package: p\n', 'Status: install ok installed\n', 'Package: ../p\nStatus: install ok installed\n'])(
    'refuses %j',
    (text) => {
      expect(() => parseDpkgStatus(text)).toThrow(MalformedError)
    },
  )

  it('has MD5 sums by absolute path', () => {
    expect(parseMd5sums(`${md5}  usr/bin/a b\n${md5}  ./x\n`, 'p.md5sums')).toEqual(
      new Map([
        ['/usr/bin/a b', md5],
        ['/x', md5],
      ]),
    )
    expect(() => parseMd5sums(`${md5}  a\nnone\n`, 'p.md5sums')).toThrow('p.md5sums: line 2 is no MD5 sum')
  })

  it('has lists of paths, and diversions in threes', () => {
    expect(parsePackageList('/.\n/usr\n/usr/bin/a b\n')).toEqual(['/usr', '/usr/bin/a b'])
    expect(parseDiversions('/bin/sh\n/bin/sh.distrib\ndash\n')).toEqual([
      { from: '/bin/sh', to: '/bin/sh.distrib', by: 'dash' },
    ])
    expect(parseDiversions('')).toEqual([])
    expect(() => parseDiversions('/bin/sh\n/bin/sh.distrib\n')).toThrow(MalformedError)
  })
})
