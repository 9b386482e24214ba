import { createHash } from 'node:crypto'
import { toHex } from '../../base/bytes.ts'
import type { RandomSource } from '../../base/random.ts'

/** What tells a process from every other one on this machine. */
export interface ProcessMark {
  /** 1 to 2^22: as its own namespace counts. */
  readonly pid: number
  /** Its namespace of process numbers: elsewhere the number means another process. */
  readonly namespace: string
  /** Tells it from a later process with the same number. */
  readonly startTime: string
}

/** Who else runs here. */
export interface Processes {
  self(): ProcessMark
  /**
   * The process with this number in our own namespace; null where there is certainly none. One that cannot be looked at
   * is `'hidden'`.
   */
  find(pid: number): ProcessMark | 'hidden' | null
}

const prefix = 'attestd-'
const form = /^attestd-([0-9a-f]{6})([0-9a-f]{2})([0-9a-f]{2})[0-9a-f]{6}$/

/** 8 bits of it, in hexadecimal. */
const tag = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 2)

/**
 * A name for a report entry: `attestd-` and 16 hexadecimal digits (TDX-001). Number of the process (6), tags of its
 * namespace (2) and of its start (2), then 24 random bits (6). Entries of a killed process are thereby told from those
 * of one that runs (TDX-015) without a record that could be lost. 24 bits suffice: `mkdir` is exclusive, and only root
 * may make entries, so that whoever guesses a name gains one more try of ours.
 */
export function entryName({ pid, namespace, startTime }: ProcessMark, random: RandomSource): string {
  return `${prefix}${pid.toString(16).padStart(6, '0')}${tag(namespace)}${tag(startTime)}${toHex(random(3))}`
}

/**
 * Whether `name` is of our form and its process is gone. In doubt it is not: an entry that stays costs some bytes of
 * the kernel, an entry removed under a living process costs that one its quote. Never true for entries of this process.
 */
export function isStaleEntry(name: string, processes: Processes): boolean {
  const [, pid = '', namespaceTag, startTag] = form.exec(name) ?? []
  if (namespaceTag === undefined || namespaceTag !== tag(processes.self().namespace)) return false
  const found = processes.find(Number.parseInt(pid, 16))
  if (found === 'hidden') return false
  return found === null || tag(found.startTime) !== startTag
}
