import { spawn } from 'node:child_process'
import { createHash, type Hash } from 'node:crypto'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { MalformedError } from '../../base/errors.ts'
import { escapedName } from '../../base/escaped-name.ts'
import { type TarFile, TarReader, type TarSink } from '../../base/tar-reader.ts'
import { type DigestSet, digestSet, type ReferenceAlgorithm } from '../../reference-values/digest-set.ts'
import { mergedUsrPath } from '../../reference-values/package-file.ts'
import type { MeasuredName } from '../../reference-values/reference-values.ts'
import { agentErrors } from '../errors.ts'
import type { Learning } from './learning.ts'

export interface PackageLearning {
  readonly algorithm: ReferenceAlgorithm
  readonly executableOnly: boolean
  /** Writes `/bin`, `/sbin` and `/lib*` as they are found where those are links into `/usr`. */
  readonly mergedUsr: boolean
}

/** For one package; a small file can unpack to a very long one. */
const limits = { timeMs: 600_000, bytes: 32 * 2 ** 30, complaint: 2000 }

interface Packed {
  readonly digests: DigestSet
  readonly executable: boolean
}

/** Hashes the files of an archive as they go by. */
class FileHashes implements TarSink {
  readonly files = new Map<MeasuredName, Packed>()
  #algorithm: ReferenceAlgorithm
  #path: string
  #current: { readonly file: TarFile; readonly hash: Hash; elf: boolean; start: Uint8Array } | null = null

  constructor(algorithm: ReferenceAlgorithm, path: string) {
    this.#algorithm = algorithm
    this.#path = path
  }

  begin(file: TarFile): void {
    this.#current = { file, hash: createHash(this.#algorithm), elf: false, start: new Uint8Array() }
  }

  content(bytes: Uint8Array): void {
    const current = this.#current
    if (current === null) throw new TypeError('content belongs to a file that began')
    current.hash.update(bytes)
    if (current.start.length < 4) current.start = Buffer.concat([current.start, bytes.subarray(0, 4)])
  }

  end(): void {
    const current = this.#current
    if (current === null) throw new TypeError('what ends began')
    const digests = digestSet([{ algorithm: this.#algorithm, digest: new Uint8Array(current.hash.digest()) }])
    const elf = Buffer.from(current.start).toString('latin1').startsWith('\x7fELF')
    this.files.set(this.#absolute(current.file.name), { digests, executable: elf || (current.file.mode & 0o111) !== 0 })
    this.#current = null
  }

  link(name: string, target: string): void {
    const packed = this.files.get(this.#absolute(target))
    if (packed === undefined) throw new MalformedError({ path: this.#path }, 'has a hard link to a file that it lacks')
    this.files.set(this.#absolute(name), packed)
  }

  /** Members are `./usr/bin/x`; a name that leaves the root would stand for another file than it says. */
  #absolute(name: string): MeasuredName {
    const path = name.replace(/^(?:\.?\/)?/, '/')
    if (
      path
        .split('/')
        .slice(1)
        .some((part) => part === '' || part === '.' || part === '..')
    ) {
      const shown = escapedName(Buffer.from(name.slice(0, 256), 'latin1'))
      throw new MalformedError({ path: this.#path }, `has a member ${shown} that is not a plain path`)
    }
    return path
  }
}

async function unpack(path: string, use: (chunk: Uint8Array) => void, program: string): Promise<void> {
  const child = spawn(program, ['--fsys-tarfile', resolve(path)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], LC_ALL: 'C' },
    timeout: limits.timeMs,
    killSignal: 'SIGKILL',
  })
  const ended = once(child, 'close')
  // It is awaited when all was read; until then nobody hears that the program could not be started.
  ended.catch(() => undefined)
  let [size, complaint] = [0, '']
  child.stderr.setEncoding('latin1').on('data', (text: string) => {
    complaint = (complaint + text).slice(0, limits.complaint)
  })
  try {
    for await (const chunk of child.stdout) {
      size += chunk.length
      if (size > limits.bytes)
        throw agentErrors.error('TOOL_FAILED', `${path}: unpacks to more than ${limits.bytes} bytes`)
      use(chunk)
    }
    const [code] = await ended
    if (code === 0) return
    const said = escapedName(Buffer.from(complaint.trim(), 'latin1'))
    throw agentErrors.error('TOOL_FAILED', `${path}: ${program} ended with ${code ?? 'a signal'}: ${said}`)
  } catch (cause) {
    child.kill('SIGKILL')
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') {
      throw agentErrors.error('TOOL_MISSING', `${program} is not installed`, { cause })
    }
    throw cause
  }
}

/**
 * Learns the files of a Debian package as it will deliver them, by streaming what `dpkg-deb` unpacks. Neither the
 * signature of the repository nor the checksum of the package is checked: `apt-get download` does both.
 */
export async function learnDeb(
  path: string,
  learning: Learning,
  { algorithm, executableOnly, mergedUsr }: PackageLearning,
  program = 'dpkg-deb',
): Promise<void> {
  const hashes = new FileHashes(algorithm, path)
  const reader = new TarReader(hashes, path)
  await unpack(path, (chunk) => reader.add(chunk), program)
  reader.close()
  for (const [name, { digests, executable }] of hashes.files) {
    const place = mergedUsr ? mergedUsrPath(name) : name
    if (executableOnly && !executable) learning.leaveOut('not-executable', place)
    else learning.file(place, digests)
  }
}
