import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import {
  createLocalAdministration,
  type LocalAdministrationOptions,
  serveLocalAdministration,
} from '../../src/issuer/administration/local-administration.ts'
import { MemoryPolicyStore } from '../../src/registry/policies/memory-policy-store.ts'
import { PolicyBook } from '../../src/registry/policies/policy-book.ts'
import type { PolicyEvent } from '../../src/registry/policies/policy-outcome.ts'
import type { PolicyStore } from '../../src/registry/policies/policy-store.ts'
import { SignerBook } from '../../src/registry/policies/signer-book.ts'
import { FakeClock } from './fake-clock.ts'

export const administratedAt = Date.UTC(2026, 0, 31, 12)

export interface AdministrationSpec extends Partial<LocalAdministrationOptions> {
  readonly store?: PolicyStore
  readonly signsTokens?: (publicKey: Uint8Array) => boolean
}

/** What the local administration of a verifier is made of, with what it told to the audit log and of bugs. */
export function administrationParts({
  store = new MemoryPolicyStore(),
  signsTokens = () => false,
  ...given
}: AdministrationSpec = {}) {
  const changes: PolicyEvent[] = []
  const bugs: unknown[] = []
  const clock = new FakeClock(administratedAt)
  const report = (event: PolicyEvent) => changes.push(event)
  // Pauses of writers end by themselves: who waits for the other one waits for nothing else.
  const pausing = { now: () => clock.now(), sleep: async () => undefined }
  const book = { store, clock: pausing, random: randomBytes, signsTokens, report }
  const [policies, signers] = [new PolicyBook(book), new SignerBook(book)]
  const options: LocalAdministrationOptions = {
    actor: (_: Socket): string | null => 'uid=0(root)',
    policies,
    signers,
    status: () => ({ ready: true }),
    onBug: (error) => bugs.push(error),
    ...given,
  }
  return { options, changes, bugs, clock, policies, signers, store }
}

/** The server of these parts, which is asked without a socket. */
export function makeLocalAdministration(spec: AdministrationSpec = {}) {
  const parts = administrationParts(spec)
  return { ...parts, app: createLocalAdministration(parts.options) }
}

/** The same on a Unix socket, until the test ends or `end` is called. */
export async function serveAdministration(spec: AdministrationSpec = {}) {
  const parts = administrationParts(spec)
  const folder = mkdtempSync(join(tmpdir(), 'attestd-admin-'))
  const path = join(folder, 'admin.sock')
  const ending = new AbortController()
  let bind: () => void = () => undefined
  const bound = new Promise<void>((resolve) => {
    bind = resolve
  })
  const listen = async (server: Server) => {
    server.listen(path)
    await once(server, 'listening')
    bind()
  }
  const ended = serveLocalAdministration(parts.options, listen)(ending.signal)
  onTestFinished(async () => {
    ending.abort()
    await ended
    rmSync(folder, { recursive: true })
  })
  await Promise.race([bound, ended])
  return { ...parts, path, ended, end: () => ending.abort() }
}
