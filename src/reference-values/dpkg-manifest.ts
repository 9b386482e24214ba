import { MalformedError } from '../base/errors.ts'
import type { MeasuredName } from './reference-values.ts'

/** A package whose files are on the system. */
export interface InstalledPackage {
  readonly name: string
  readonly architecture: string
  /** Configuration files with the MD5 with which they were delivered; an operator may change them. */
  readonly configuration: ReadonlyMap<MeasuredName, string>
}

/** States in which the files of a package are in place. */
const unpacked = /^install|^(?:hold|purge|deinstall) ok (?:installed|unpacked|half-configured|triggers-)/
const packageName = /^[a-z0-9][a-z0-9+.-]*$/
const configurationLine = /^ (\/.*) ([0-9a-f]{32})( obsolete| remove-on-upgrade)*$/

function fieldOf(paragraph: string, field: string): string | undefined {
  return new RegExp(`^${field}: ?(.*)$`, 'm').exec(paragraph)?.[1]
}

function configurationOf(paragraph: string): Map<MeasuredName, string> {
  const lines = /^Conffiles: ?\n((?: .*\n?)*)/m.exec(paragraph)?.[1]?.split('\n') ?? []
  return new Map(
    lines.flatMap((line) => {
      const [, path, md5] = configurationLine.exec(line) ?? []
      return path === undefined || md5 === undefined ? [] : [[path, md5] as const]
    }),
  )
}

/** Reads `var/lib/dpkg/status` (one character a byte): packages whose files are in place. Throws `MalformedError`. */
export function parseDpkgStatus(text: string): InstalledPackage[] {
  return text.split(/\n\n+/).flatMap((paragraph, index) => {
    if (paragraph.trim() === '') return []
    const [name, status] = [fieldOf(paragraph, 'Package'), fieldOf(paragraph, 'Status')]
    if (name === undefined || !packageName.test(name) || status === undefined) {
      throw new MalformedError({ path: `status.${index}` }, 'is not a package with its status')
    }
    if (!unpacked.test(status) || /config-files$|not-installed$/.test(status)) return []
    return [{ name, architecture: fieldOf(paragraph, 'Architecture') ?? '', configuration: configurationOf(paragraph) }]
  })
}

/** Reads a `.md5sums`: 32 digits, two blanks, a path without its first `/`. Gives MD5 by path with it. */
export function parseMd5sums(text: string, path: string): Map<MeasuredName, string> {
  const sums = new Map<MeasuredName, string>()
  for (const [index, line] of text.split('\n').entries()) {
    if (line === '') continue
    const [, md5, name] = /^([0-9a-f]{32}) [ *](?:\.?\/)?(.+)$/.exec(line) ?? []
    if (md5 === undefined || name === undefined) throw new MalformedError({ path }, `line ${index + 1} is no MD5 sum`)
    sums.set(`/${name}`, md5)
  }
  return sums
}

/** Reads a `.list`: absolute paths of files and folders, one a line. */
export function parsePackageList(text: string): MeasuredName[] {
  return text.split('\n').filter((line) => line.startsWith('/') && line !== '/.')
}

/** Where files of other packages went: `from` of every package but `by` stands at `to`. */
export interface Diversion {
  readonly from: MeasuredName
  readonly to: MeasuredName
  /** `:` for a diversion by the operator, which moves the file of every package. */
  readonly by: string
}

/** Reads `var/lib/dpkg/diversions`: three lines each. */
export function parseDiversions(text: string): Diversion[] {
  const lines = text === '' ? [] : text.replace(/\n$/, '').split('\n')
  if (lines.length % 3 !== 0) throw new MalformedError({ path: 'diversions' }, 'has not three lines for each diversion')
  return Array.from({ length: lines.length / 3 }, (_none, index) => {
    const [from = '', to = '', by = ''] = lines.slice(3 * index, 3 * index + 3)
    return { from, to, by }
  })
}
