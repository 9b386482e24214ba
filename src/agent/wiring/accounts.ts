import { readFile } from 'node:fs/promises'

/** Numbers of the users and groups of this machine, as they are when a configuration is loaded (API-52). */
export interface AccountNumbers {
  readonly user: (name: string) => number | null
  readonly group: (name: string) => number | null
  /** The first group of a user. */
  readonly groupOfUser: (name: string) => number | null
  /** What the kernel reports for ids that it cannot map (API-49). */
  readonly unmapped: { readonly uid: number; readonly gid: number }
}

async function readDatabase(path: string, column = 2): Promise<ReadonlyMap<string, number>> {
  const text = await readFile(path, 'utf8').catch(() => '')
  const entries = text.split('\n').map((line) => line.split(':'))
  return new Map(
    entries
      .filter((entry) => entry[0] && /^\d+$/.test(entry[column] ?? ''))
      .map((entry) => [entry[0] ?? '', Number(entry[column])]),
  )
}

async function readNumber(path: string, fallback: number): Promise<number> {
  const text = await readFile(path, 'utf8').catch(() => '')
  return /^\d+\n?$/.test(text) ? Number(text) : fallback
}

/** Reads /etc/passwd and /etc/group: names from a directory service are not looked up, use numbers for those. */
export async function readAccountNumbers(): Promise<AccountNumbers> {
  const [users, firstGroups, groups] = await Promise.all([
    readDatabase('/etc/passwd'),
    readDatabase('/etc/passwd', 3),
    readDatabase('/etc/group'),
  ])
  const [uid, gid] = await Promise.all([
    readNumber('/proc/sys/kernel/overflowuid', 65_534),
    readNumber('/proc/sys/kernel/overflowgid', 65_534),
  ])
  return {
    user: (name) => users.get(name) ?? null,
    group: (name) => groups.get(name) ?? null,
    groupOfUser: (name) => firstGroups.get(name) ?? null,
    unmapped: { uid, gid },
  }
}
