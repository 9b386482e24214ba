import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { Surface, SurfaceServerOptions } from '../../src/workload-api/compat/surface.ts'
import { createSurfaceServer } from '../../src/workload-api/compat/surface.ts'
import type { WorkloadEvent } from '../../src/workload-api/workload-log.ts'
import { FakeClock } from './fake-clock.ts'
import {
  FakeIdentifier,
  FakeProvider,
  LogLines,
  openRules,
  policyFrom,
  someone,
  tokenSettings,
} from './workload-room.ts'

type SurfaceParts = Partial<Omit<SurfaceServerOptions, 'provider' | 'identifier' | 'clock' | 'log'>>

/** A surface on a Unix socket of its own, with fakes behind every port; its callers come through its listener class. */
export async function openSurface(surface: Surface, parts: SurfaceParts = {}) {
  const clock = new FakeClock()
  const identifier = new FakeIdentifier()
  identifier.next = async () => ({ ...someone, listener: surface.listener })
  const provider = new FakeProvider(clock)
  const log = new LogLines()
  const events: WorkloadEvent[] = []
  const { server, close } = await createSurfaceServer(surface, {
    policy: policyFrom(openRules),
    tokens: () => tokenSettings,
    jwks: async () => ({ keys: [] }),
    random: (size) => new Uint8Array(randomBytes(size)),
    log,
    observe: (event) => events.push(event),
    ...parts,
    clock,
    identifier,
    provider,
  })
  const folder = mkdtempSync(join(tmpdir(), 'attestd-surface-'))
  const path = join(folder, 'surface.sock')
  await new Promise<void>((resolve) => server.listen(path, resolve))
  onTestFinished(async () => {
    server.closeAllConnections()
    await close()
    rmSync(folder, { recursive: true })
  })
  return { path, clock, identifier, provider, log, events }
}
