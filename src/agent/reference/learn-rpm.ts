import { type FileHandle, open } from 'node:fs/promises'
import { toLatin1 } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { mergedUsrPath, type PackagedFile } from '../../reference-values/package-file.ts'
import { parseRpmDumpLine } from '../../reference-values/rpm-dump.ts'
import {
  isRpmPackage,
  parseRpmFiles,
  requireRpmLead,
  rpmHeaderSize,
  rpmSizes,
} from '../../reference-values/rpm-header.ts'
import { agentErrors } from '../errors.ts'
import { readInput } from '../input-file.ts'
import type { PackageLearning } from './learn-deb.ts'
import type { Learning } from './learning.ts'

/** What `rpm -qa --dump` says of a large system. */
const largestDump = 400 << 20

async function readAt(file: FileHandle, path: string, offset: number, size: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(size)
  for (let at = 0; at < size; ) {
    const { bytesRead } = await file.read(bytes, at, size - at, offset + at)
    if (bytesRead === 0) throw new MalformedError({ path, offset: offset + at }, `ends ${size - at} bytes too early`)
    at += bytesRead
  }
  return bytes
}

/** Reads lead and headers only: the content behind them may be large, and is not looked at. */
async function packageFiles(file: FileHandle, path: string): Promise<PackagedFile[]> {
  requireRpmLead(await readAt(file, path, 0, rpmSizes.lead))
  const preamble = await readAt(file, path, rpmSizes.lead, rpmSizes.preamble)
  const main = rpmSizes.lead + rpmHeaderSize(preamble, true)
  const size = rpmHeaderSize(await readAt(file, path, main, rpmSizes.preamble), false)
  const { size: whole } = await file.stat()
  if (main + size > whole) throw new MalformedError({ path, offset: main }, `a header of ${size} bytes does not fit`)
  return parseRpmFiles(await readAt(file, path, main, size))
}

function* dumpFiles(text: string, path: string): Generator<PackagedFile> {
  let number = 0
  for (let start = 0; start < text.length; ) {
    const found = text.indexOf('\n', start)
    const end = found < 0 ? text.length : found
    const file = parseRpmDumpLine(text.slice(start, end), `${path} line ${++number}`)
    if (file !== null) yield file
    start = end + 1
  }
}

/** A package is told by its first bytes. */
async function filesOf(path: string): Promise<Iterable<PackagedFile>> {
  if (path === '-') return dumpFiles(toLatin1(await readInput(path, largestDump)), path)
  let file: FileHandle
  try {
    file = await open(path, 'r')
  } catch (cause) {
    throw agentErrors.error('INPUT_UNREADABLE', `${path}: ${String((cause as NodeJS.ErrnoException).code)}`, { cause })
  }
  try {
    const start = new Uint8Array(4)
    await file.read(start, 0, start.length, 0)
    if (isRpmPackage(start)) return await packageFiles(file, path)
  } finally {
    await file.close()
  }
  return dumpFiles(toLatin1(await readInput(path, largestDump)), path)
}

/**
 * Learns the files that an RPM package declares in its header, or the text of `rpm -q --dump` names. What is declared is not
 * compared with any content, and no signature is checked: `rpmkeys --checksig` does that.
 */
export async function learnRpm(
  path: string,
  learning: Learning,
  options: Omit<PackageLearning, 'algorithm'>,
): Promise<void> {
  for (const { path: name, digests, executable } of await filesOf(path)) {
    const place = options.mergedUsr ? mergedUsrPath(name) : name
    if (options.executableOnly && !executable) learning.leaveOut('not-executable', place)
    else if (digests === '') learning.leaveOut('weak-digest', place)
    else learning.file(place, digests)
  }
}
