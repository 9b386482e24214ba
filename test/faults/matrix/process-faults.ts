import { spawnSync } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import {
  type AgentHome,
  type AgentProcess,
  audience,
  callerRule,
  partOf,
  problemOf,
} from '../../support/agent-process.ts'
import { parseOpenMetrics, sampleValue } from '../../support/open-metrics.ts'
import { RawClient } from '../../support/raw-http.ts'
import { eagerHome, eagerRule, startAt } from '../../support/td-agent.ts'
import type { AgentFault, FaultGround } from './agent-fault.ts'
import type { Probe } from './fault.ts'

interface Tended {
  readonly agent: AgentProcess
  /** Asks as a caller, and judges the answer; gives its status. */
  read(): Promise<number>
}

/** Whether a token is one that may be held now, for this audience. */
function judge(probe: Probe, token: string, wanted = audience): void {
  probe.answers++
  const { exp, aud } = partOf(token, 'payload')
  if (Number(exp) * 1000 - Date.now() < 4_000) probe.expired++
  if (aud !== wanted) probe.wrong++
}

function tended(probe: Probe, agent: AgentProcess): Tended {
  const read = async () => {
    const begun = performance.now()
    const { status, body, headers } = await agent.askToken()
    if (status !== 200) return status
    judge(probe, body)
    if (headers['attestd-source'] !== 'issued' && performance.now() - begun > 5_000) probe.blocked++
    return status
  }
  return { agent, read }
}

/** Starts an agent, lets `work` do what it does, and looks at the end whether the agent itself saw an expired token. */
async function withAgent(probe: Probe, home: AgentHome, work: (tended: Tended) => Promise<void>): Promise<void> {
  const agent = await startAt(home)
  try {
    await work(tended(probe, agent))
    if (!agent.running) return
    const families = parseOpenMetrics((await agent.ask('/metrics', { socket: 'admin' })).body)
    probe.expired += sampleValue(families, 'attestd_expired_served_total') ?? 1
  } finally {
    if (agent.running) await agent.kill()
  }
}

async function within(
  probe: Probe,
  ms: number,
  holds: () => boolean | Promise<boolean>,
  what: string,
): Promise<number> {
  const begun = performance.now()
  while (performance.now() - begun < ms) {
    if (await holds()) return performance.now() - begun
    await new Promise((wake) => setTimeout(wake, 20))
  }
  probe.expect(false, `${what}: not within ${ms} ms`)
  return ms
}

/** The same as a recovery. */
async function until(...args: Parameters<typeof within>): Promise<void> {
  const [probe] = args
  probe.recovered(await within(...args))
}

interface SinkGround {
  readonly root: string
  readonly path: string
  readonly home: AgentHome
}

/** Files in a file system without a disk, as /run is. */
function sinkHome(ground: FaultGround, root: string): SinkGround {
  mkdirSync(root, { recursive: true, mode: 0o750 })
  const path = join(root, 'token')
  const sink = ['[[sinks]]', 'name = "plain"', `path = "${path}"`, `audience = "${audience}"`].join('\n')
  // Short lives: failed writes are tried again after an eighth of what is left (BRK-40).
  const issuer = ['url = "https://issuer.example"', 'lifetime = "300s"']
  const lines = { issuer, tokenFiles: [`roots = ["${root}"]`], sinks: [sink] }
  const home = eagerHome(ground.folder, ground.machine, lines)
  return { root, path, home }
}

const shm = (ground: FaultGround) => `/dev/shm/attestd-faults-${process.pid}-${ground.folder.split('/').at(-1)}`
const isToken = (path: string) => existsSync(path) && /^[\w-]+\.[\w-]+\.[\w-]+$/.test(readFileSync(path, 'latin1'))

/** Whether the path holds a whole token of ours in a regular file with its mode. */
function holdsToken(probe: Probe, path: string): boolean {
  try {
    const { status, stdout } = spawnSync('stat', ['-c', '%F %a', path], { encoding: 'utf8' })
    if (status !== 0 || stdout.trim() !== 'regular file 440' || !isToken(path)) return false
    judge(probe, readFileSync(path, 'latin1'))
    return true
  } catch {
    return false
  }
}

async function tamperedFiles(probe: Probe, ground: FaultGround): Promise<void> {
  const { root, path, home } = sinkHome(ground, shm(ground))
  const target = join(root, 'elsewhere')
  const acts: Readonly<Record<string, () => void>> = {
    deleted: () => unlinkSync(path),
    truncated: () => truncateSync(path, 7),
    'a symlink': () => {
      writeFileSync(target, 'not ours')
      rmSync(path)
      symlinkSync(target, path)
    },
    'a FIFO': () => {
      rmSync(path)
      spawnSync('mkfifo', [path])
    },
    chmod: () => chmodSync(path, 0o644),
  }
  try {
    await withAgent(probe, home, async ({ agent, read }) => {
      await agent.until(() => holdsToken(probe, path), 'written')
      for (const [name, act] of Object.entries(acts)) {
        act()
        await until(probe, 12_000, () => holdsToken(probe, path), name)
      }
      probe.expect(readFileSync(target, 'utf8') === 'not ours', 'a symlink was followed')
      rmSync(path)
      mkdirSync(path)
      probe.expect((await read()) === 200, 'a directory in place of the file held up callers')
      rmSync(path, { recursive: true })
      await until(probe, 12_000, () => holdsToken(probe, path), 'a directory that went again')
    })
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

/** Writes until the file system has no room. */
function fill(path: string): void {
  try {
    for (;;) appendFileSync(path, new Uint8Array(1_024))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  }
}

async function fullDisk(probe: Probe, ground: FaultGround): Promise<void> {
  const root = shm(ground)
  mkdirSync(root, { recursive: true })
  const mount = (...args: string[]) => spawnSync('mount', args).status === 0
  probe.expect(mount('-t', 'tmpfs', '-o', 'size=64k,mode=0750', 'none', root), 'no file system of its own')
  const { path, home } = sinkHome(ground, root)
  const renew = (agent: AgentProcess) =>
    agent.ask('/v1/admin/refresh', { socket: 'admin', body: { all: true } }).then(() => undefined)
  try {
    await withAgent(probe, home, async ({ agent, read }) => {
      await agent.until(() => holdsToken(probe, path), 'written')
      const failed = async () => (await agent.status()).sinks[0]?.counts.failed as number
      const faults: Readonly<Record<string, readonly [() => void, () => void]>> = {
        ENOSPC: [() => fill(join(root, 'fill')), () => unlinkSync(join(root, 'fill'))],
        EROFS: [() => mount('-o', 'remount,ro', root), () => mount('-o', 'remount,rw', root)],
      }
      for (const [name, [begin, end]] of Object.entries(faults)) {
        const [before, old] = [await failed(), readFileSync(path, 'latin1')]
        begin()
        await renew(agent)
        await within(probe, 40_000, async () => (await failed()) > before, `${name} is noticed`)
        probe.expect(readFileSync(path, 'latin1') === old, `${name}: the old token was not kept`)
        probe.expect((await read()) === 200, `${name} held up callers`)
        end()
        await renew(agent)
        await until(probe, 40_000, () => readFileSync(path, 'latin1') !== old, `${name} is over`)
      }
    })
  } finally {
    spawnSync('umount', [root])
    rmSync(root, { recursive: true, force: true })
  }
}

async function goneDirectory(probe: Probe, ground: FaultGround): Promise<void> {
  const { root, path, home } = sinkHome(ground, shm(ground))
  try {
    await withAgent(probe, home, async ({ agent, read }) => {
      await agent.until(() => holdsToken(probe, path), 'written')
      renameSync(root, `${root}-away`)
      probe.expect((await read()) === 200, 'a directory that is gone held up callers')
      renameSync(`${root}-away`, root)
      unlinkSync(path)
      await until(probe, 40_000, () => holdsToken(probe, path), 'the directory is back')
      renameSync(root, `${root}-away`)
      mkdirSync(root, { mode: 0o750 })
      await until(probe, 12_000, () => holdsToken(probe, path), 'another directory is in its place')
      probe.expect((await read()) === 200, 'a directory that was replaced held up callers')
      await within(probe, 2_000, () => !existsSync(join(`${root}-away`, 'token')), 'no file is left where it was')
    })
  } finally {
    rmSync(root, { recursive: true, force: true })
    rmSync(`${root}-away`, { recursive: true, force: true })
  }
}

async function killedWriters(probe: Probe, ground: FaultGround): Promise<void> {
  const { root, path, home } = sinkHome(ground, shm(ground))
  try {
    for (const afterMs of [0, 4, 9, 15, 23]) {
      const agent = await startAt(home)
      await agent.until(() => isToken(path), 'written')
      void agent.ask('/v1/admin/invalidate', { socket: 'admin', body: { all: true } }).catch(() => undefined)
      await new Promise((wake) => setTimeout(wake, 20 + afterMs))
      await agent.kill()
      if (existsSync(path)) {
        probe.expect(isToken(path), 'a part of a token was left')
        if (isToken(path)) judge(probe, readFileSync(path, 'latin1'))
      }
    }
    await withAgent(probe, home, async ({ agent }) => {
      await agent.until(() => holdsToken(probe, path), 'written')
      await agent.until(() => readdirSync(root).length === 1, 'without names of those that were killed')
    })
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

async function reloads(probe: Probe, ground: FaultGround): Promise<void> {
  const home = eagerHome(ground.folder, ground.machine)
  await withAgent(probe, home, async ({ agent, read }) => {
    probe.expect((await read()) === 200, 'no token at the start')
    const reload = async () => (await agent.ask('/v1/admin/reload', { socket: 'admin', body: {} })).status
    const good = readFileSync(home.configurationFile, 'utf8')
    writeFileSync(home.configurationFile, `${good}\n[broken`)
    probe.expect((await reload()) !== 200, 'a broken file was taken')
    probe.expect((await read()) === 200, 'a broken file took the service away')
    const [during, status] = await Promise.all([agent.askToken({ fresh: true }), reload()])
    probe.expect(during.status === 200 && status !== 200, 'a refused reload disturbed what was under way')
    home.configure({ issuer: ['url = "https://issuer.example"', 'lifetime = "400s"'], rules: [eagerRule] })
    probe.expect((await reload()) === 200, 'a changed issuer was not taken')
    const changed = partOf(await agent.token(), 'payload')
    probe.expect(Number(changed['exp']) - Number(changed['iat']) === 400, 'the old issuer is still served')
    home.configure({ rules: [callerRule('others', 'uid = 4242', [audience])] })
    probe.expect((await reload()) === 200, 'a removed rule was not taken')
    probe.expect((await read()) === 403, 'a removed rule still allows')
  })
}

async function signals(probe: Probe, ground: FaultGround): Promise<void> {
  const start = () => startAt(eagerHome(ground.folder, ground.machine))
  const idle = await start()
  for (let n = 0; n < 20; n++) idle.signal('SIGHUP')
  idle.signal('SIGUSR1')
  await idle.until(() => idle.log.includes('"event":"reloaded"') || idle.log.includes('reload'), 'reloaded')
  const { read } = tended(probe, idle)
  probe.expect((await read()) === 200, 'a storm of SIGHUP took the service away')
  probe.expect(!idle.log.includes('Debugger listening'), 'SIGUSR1 opened the debugger')
  const begun = performance.now()
  const load = Promise.allSettled(Array.from({ length: 50 }, () => read()))
  const { code } = await idle.stop()
  await load
  probe.expect(code === 0 && performance.now() - begun < 10_000, `SIGTERM under load: ${code}`)
  ground.machine.kernel.files.quoteDelayMs = 3_000
  const busy = await start()
  const waiting = busy.askToken({ fresh: true }).catch(() => undefined)
  await busy.until(async () => (await busy.status()).broker.flights > 0, 'busy')
  busy.signal('SIGTERM')
  await busy.until(() => busy.log.includes('"event":"stopping"'), 'stopping')
  const second = performance.now()
  busy.signal('SIGTERM')
  await busy.exited
  probe.expect(performance.now() - second < 4_000, 'a second SIGTERM did not end it at once')
  await waiting
  ground.machine.kernel.files.quoteDelayMs = 0
}

const tokenLine = `GET /v1/token?audience=${encodeURIComponent(audience)} HTTP/1.1\r\n\r\n`

async function hostileClients(probe: Probe, ground: FaultGround): Promise<void> {
  await withAgent(probe, eagerHome(ground.folder, ground.machine), async ({ agent, read }) => {
    await read()
    const api = agent.home.path('api.sock')
    const slowHead = new RawClient(api).write('GET /v1/tok')
    const slowBody = new RawClient(api).write('POST /v1/token HTTP/1.1\r\nContent-Length: 100\r\n\r\n{')
    const deaf = new RawClient(api)
    deaf.socket.pause()
    deaf.write(tokenLine.repeat(8))
    const garbage = await new RawClient(api).write('\0\0\0 nonsense\r\n\r\n').rest()
    probe.expect(garbage[0]?.status === 400, `garbage: ${garbage[0]?.status}`)
    const huge = new RawClient(api).write('POST /v1/token HTTP/1.1\r\nContent-Length: 10485760\r\n\r\n')
    probe.expect((await huge.answers(1))[0]?.status === 413, '10 MB of body were taken')
    const half = await new RawClient(api).write(tokenLine).half().rest()
    probe.expect(half[0]?.status === 200, 'who closed its side was not answered')
    const piped = await new RawClient(api).write(tokenLine.repeat(8)).answers(8)
    for (const { status, body } of piped) {
      probe.expect(status === 200, `pipelined: ${status}`)
      if (status === 200) judge(probe, body)
    }
    for (let n = 0; n < 10; n++) probe.expect((await read()) === 200, 'hostile clients held up another')
    await Promise.all([slowHead.closed, slowBody.closed])
    for (const client of [deaf, huge]) client.destroy()
  })
}

async function manyConnections(probe: Probe, ground: FaultGround): Promise<void> {
  await withAgent(probe, eagerHome(ground.folder, ground.machine), async ({ agent }) => {
    const held = new RawClient(agent.home.path('api.sock'))
    await held.write(tokenLine).answers(1)
    const crowd = Array.from({ length: 300 }, () => new RawClient(agent.home.path('api.sock')))
    await agent.until(() => crowd.some(({ received }) => /^HTTP\/1\.1 (429|503)/.test(received)), 'refused')
    const { status } = await agent.ask('/v1/admin/status', { socket: 'admin' })
    probe.expect(status === 200, 'a crowd locked administrators out')
    const [, answer] = await held.write(tokenLine).answers(2)
    if (answer?.status === 200) judge(probe, answer.body)
    probe.expect(answer?.status === 200, 'who was connected is served no more')
    for (const client of [...crowd, held]) client.destroy()
    const { read } = tended(probe, agent)
    await until(probe, 5_000, async () => (await read()) === 200, 'the crowd is gone')
  })
}

/** Leaves a running agent so few descriptors that a crowd takes them all. */
function leaveDescriptors(agent: AgentProcess, spare: number): void {
  const limit = readdirSync(`/proc/${agent.pid}/fd`).length + spare
  const { status } = spawnSync('prlimit', ['--pid', String(agent.pid), `--nofile=${limit}:${limit}`])
  if (status !== 0) throw new Error('prlimit failed')
}

async function fewDescriptorsLeft(probe: Probe, ground: FaultGround): Promise<void> {
  const agent = await startAt(eagerHome(`${ground.folder}-few`, ground.machine))
  try {
    const { read } = tended(probe, agent)
    probe.expect((await read()) === 200, 'no token with few descriptors')
    leaveDescriptors(agent, 24)
    const held = new RawClient(agent.home.path('api.sock'))
    await held.write(tokenLine).answers(1)
    const crowd = Array.from({ length: 120 }, () => new RawClient(agent.home.path('api.sock')))
    await within(probe, 5_000, () => crowd.some(({ socket, received }) => socket.closed || received !== ''), 'refused')
    const [, answer] = await held.write(tokenLine).answers(2)
    if (answer?.status === 200) judge(probe, answer.body)
    probe.expect(answer?.status === 200, 'without descriptors, who was connected is served no more')
    for (const client of [...crowd, held]) client.destroy()
    await until(probe, 5_000, async () => (await read().catch(() => 0)) === 200, 'descriptors are free again')
    probe.expect(agent.running, 'the descriptor limit ended the agent')
  } finally {
    if (agent.running) await agent.kill()
  }
}

async function bareStart(probe: Probe, ground: FaultGround): Promise<void> {
  const { machine } = ground
  await machine.switchOffKernel()
  await machine.switchOffPccs()
  try {
    await withAgent(probe, eagerHome(ground.folder, machine), async ({ agent, read }) => {
      probe.expect((await agent.ask('/livez')).status === 200, 'not alive without a device')
      probe.expect((await agent.ask('/readyz')).status === 503, 'ready without a device before anybody asked')
      const refused = await agent.askToken({ timeout_ms: 500 })
      const { code } = problemOf(refused)
      const told = code === 'evidence_unavailable' || code === 'deadline_exceeded'
      probe.expect(refused.status >= 503 && told, `without a device: ${refused.status} ${code}`)
      probe.expect((await agent.ask('/readyz')).status === 503, 'ready without a device')
      await machine.switchOnKernel()
      await machine.switchOnPccs()
      await until(probe, 30_000, async () => (await read()) === 200, 'device and network are there')
    })
  } finally {
    await machine.switchOnKernel().catch(() => undefined)
    await machine.switchOnPccs()
  }
}

export const processFaults: readonly AgentFault[] = [
  {
    id: 'F17',
    fault: 'collector killed at each step, restarts',
    done: '–',
    notRun: 'evidence is collected by the agent itself in this version; killed agents: F20',
  },
  {
    id: 'F19',
    slow: true,
    fault: 'disk: ENOSPC, EROFS, directory gone',
    done: 'a full and a read-only file system, a directory moved away and back, and replaced by another one: the old file is kept, callers are served, the file comes back without a restart',
    recoveryS: 40,
    notRun: 'EDQUOT and EACCES: an agent of root does not meet them',
    run: async (probe, ground) => {
      await fullDisk(probe, ground)
      await goneDirectory(probe, ground)
    },
  },
  {
    id: 'F20',
    slow: true,
    fault: '`kill -9` of the file writer',
    done: 'killed five times around a write: the file is a whole token or not there; the next start removes what was left',
    notRun: 'at every system call: needs a tracer',
    run: killedWriters,
  },
  {
    id: 'F21',
    slow: true,
    fault: 'sink deleted, truncated, replaced by symlink, directory, FIFO, chmod',
    done: 'each by another process: the file is whole again, a symlink is not followed, callers are served meanwhile',
    recoveryS: 12,
    run: tamperedFiles,
  },
  {
    id: 'F23',
    fault: 'reload with broken file, changed issuer, removed rule, during a flight',
    done: 'refused whole while tokens are served; a changed issuer serves nothing old; a removed rule denies at once',
    run: reloads,
  },
  {
    id: 'F24',
    fault: 'SIGTERM idle, under load, during quote; double SIGTERM; SIGHUP storm; SIGUSR1',
    done: '20 SIGHUP at once and SIGUSR1: served on, no debugger; SIGTERM with 50 readers: exit 0 within 10 s; a second one during a quote: at once',
    run: signals,
  },
  {
    id: 'F25',
    slow: true,
    fault: 'client: slow header, slow body, half-close, never reads, 10 MB body, pipelining, garbage',
    done: 'each against a running agent: answered with its problem or closed; another reader is served throughout',
    run: hostileClients,
  },
  {
    id: 'F27',
    fault: 'memory limit reached, 256 connections, descriptor limit',
    done: '300 connections of one user: refused beyond its share; who was connected and administrators are served; with 24 descriptors left for 120 connections, who was connected is served and the agent lives; all is as before when they are gone',
    recoveryS: 5,
    notRun: 'memory limit: needs a control group with that controller',
    run: async (probe, ground) => {
      await manyConnections(probe, ground)
      await fewDescriptorsLeft(probe, ground)
    },
  },
  {
    id: 'F28',
    fault: 'start without network, device, issuer',
    done: 'alive and not ready, callers are told; tokens come when device and network do, without a restart',
    recoveryS: 30,
    notRun: 'an unsynchronised clock of the machine: F14 has it at the broker',
    run: bareStart,
  },
]
