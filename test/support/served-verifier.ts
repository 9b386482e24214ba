import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type IncomingMessage, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text as textOf } from 'node:stream/consumers'
import { pino } from 'pino'
import { afterAll, afterEach, beforeEach, expect } from 'vitest'
import { parseConfigurationBy } from '../../src/agent/configuration/load.ts'
import { serviceSchema } from '../../src/agent/configuration/service-schema.ts'
import { type ServiceParts, VerifierService } from '../../src/agent/verifier-service/verifier-service.ts'
import type { Clock } from '../../src/base/clock.ts'
import type { RandomSource } from '../../src/base/random.ts'
import { loadLibc } from '../../src/platform/c-library.ts'
import { FakeClock } from './fake-clock.ts'
import { countingRandom } from './issuing.ts'

export interface ServedVerifierSpec {
  readonly service?: readonly string[]
  /** Of the section `issuer`, beside its URL. */
  readonly issuer?: readonly string[]
  readonly tables?: readonly string[]
  /** Default: in memory. */
  readonly registry?: readonly string[]
  /** Variables that a service manager sets. */
  readonly environment?: Readonly<Record<string, string>>
  readonly random?: RandomSource
  /** In place of the clock that the test moves. */
  readonly realClock?: Clock
}

/**
 * Verifiers in this process, until each test ends: at sockets in a folder of the test, with one state directory for all.
 * `open`: of the sources, which have no threads and no database, unless it is that of the built program.
 */
export function useServedVerifier(open: (parts: ServiceParts) => Promise<VerifierService> = VerifierService.open) {
  /** One for all: its keys take longest to make. */
  const state = mkdtempSync(join(tmpdir(), 'attestd-verifier-state-'))
  afterAll(() => rmSync(state, { recursive: true, force: true }))
  let folder = ''
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'attestd-verifier-'))
  })
  const endings: (() => unknown)[] = []
  afterEach(async () => {
    for (const end of endings.splice(0)) await end()
    rmSync(folder, { recursive: true, force: true })
  })

  function configurationText({ service = [], issuer = [], tables = [], registry }: ServedVerifierSpec): string {
    const [listen, admin] = [join(folder, 'api.sock'), join(folder, 'admin.sock')]
    return [
      ...['[service]', `state_directory = "${state}"`, `admin = "${admin}"`, 'threads = 1'],
      ...(service.some((line) => line.startsWith('listen')) ? [] : [`listen = "${listen}"`]),
      ...[...service, '[issuer]', 'url = "https://verifier.example"', ...issuer],
      ...['[registry]', ...(registry ?? ['store = "memory"']), ...tables, ''],
    ].join('\n')
  }

  /** What a service is opened with, and what it tells; nothing is opened yet. */
  function prepare(spec: ServedVerifierSpec = {}) {
    const text = configurationText(spec)
    const loaded = { file: 'verifier.toml', text, configuration: parseConfigurationBy(serviceSchema, text, 'v.toml') }
    const clock = new FakeClock()
    const lines: Record<string, unknown>[] = []
    const log = pino({ level: 'debug' }, { write: (line) => void lines.push(JSON.parse(line)) })
    const { random = countingRandom(), realClock = clock } = spec
    const host = { clock: realClock, random, libc: loadLibc(), testMode: null }
    Object.assign(process.env, spec.environment)
    const told = () => lines.map(({ event }) => event)
    const parts: ServiceParts = { loaded, host, log }
    return { parts, clock, lines, told }
  }

  async function serve(spec: ServedVerifierSpec = {}) {
    const { parts, ...prepared } = prepare(spec)
    const opened = await open(parts)
    const stop = new AbortController()
    const running = opened.run(stop.signal)
    const end = () => {
      stop.abort()
      return running
    }
    endings.push(end)
    await expect.poll(prepared.told, { timeout: 20_000 }).toContain('ready')
    const [listen, admin] = [join(folder, 'api.sock'), join(folder, 'admin.sock')]
    return { opened, loaded: parts.loaded, ...prepared, end, listen, admin }
  }

  return {
    ...{ prepare, open, serve, state, endings },
    folder: () => folder,
    /** Writes a file that nobody else may read; gives its path. */
    write: (name: string, content: string) => {
      const path = join(folder, name)
      writeFileSync(path, content, { mode: 0o600 })
      return path
    },
  }
}

export interface Asked {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** One request to a socket or a port of this machine. */
export async function askHttp(
  at: { readonly socketPath: string } | { readonly port: number },
  path: string,
  asked: Asked = {},
) {
  const { body = '', ...options } = asked
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    request({ ...at, ...options, path }, resolve)
      .on('error', reject)
      .end(body)
  })
  const text = await textOf(answer)
  return {
    status: answer.statusCode,
    headers: answer.headers,
    text,
    json: text.startsWith('{') ? JSON.parse(text) : null,
  }
}
