import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Libc, loadLibc } from '../../native/libc.ts'
import { bindReceiver, type DatagramReceiver } from '../../test/support/datagram-receiver.ts'
import { FakeClock } from '../../test/support/fake-clock.ts'
import type { AttestdError } from '../base/errors.ts'
import { notifyAddress, ServiceManager } from './service-manager.ts'

const libc = loadLibc()
let folder = ''
let receiver: DatagramReceiver | undefined
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'attestd-notify-'))
})
afterEach(() => {
  receiver?.close()
  receiver = undefined
  rmSync(folder, { recursive: true })
})

function setUp(environment: Record<string, string | undefined>, library: Libc | null = libc) {
  const clock = new FakeClock()
  const warnings: AttestdError[] = []
  const warn = (error: AttestdError) => warnings.push(error)
  const manager = new ServiceManager({ environment, clock, libc: library, pid: 42, warn })
  return { manager, clock, warnings, environment }
}

function listenAt(socket: string): void {
  receiver = bindReceiver(notifyAddress(socket) ?? new Uint8Array())
}
const received = () => {
  const all: string[] = []
  for (let next = receiver?.receive(); next; next = receiver?.receive()) all.push(next)
  return all
}

describe('the address (NAT-67)', () => {
  it.each([
    ['/run/systemd/notify', '01002f72756e2f73797374656d642f6e6f7469667900'],
    ['@abc', '010000616263'],
  ])('%s', (text, hex) => {
    expect(notifyAddress(text)?.toString('hex')).toBe(hex)
  })

  it('takes names of 107 bytes, not of 108', () => {
    expect(notifyAddress(`/${'n'.repeat(106)}`)).toHaveLength(2 + 107 + 1)
    expect(notifyAddress(`@${'n'.repeat(106)}`)).toHaveLength(2 + 107)
    expect(notifyAddress(`/${'n'.repeat(107)}`)).toBe(null)
    expect(notifyAddress(`@${'n'.repeat(107)}`)).toBe(null)
    expect(notifyAddress(`/${'é'.repeat(54)}`)).toBe(null)
  })

  it.each(['', '/', '@', 'relative', 'vsock:2:1234', 'tcp:1', '/a\0b'])('%j has no address', (text) => {
    expect(notifyAddress(text)).toBe(null)
  })
})

describe('messages (NAT-66, NAT-213)', () => {
  it.each([
    ['a path', () => join(folder, 'notify')],
    ['a path of 107 bytes', () => join(folder, 'n'.repeat(106 - folder.length))],
    ['an abstract name', () => `@attestd-test-${process.pid}`],
    ['an abstract name of 107 bytes', () => `@${process.pid}-`.padEnd(107, 'n')],
  ])('reach a receiver at %s', async (_what, name) => {
    const socket = name()
    listenAt(socket)
    const before = readdirSync('/proc/self/fd').length
    const { manager, warnings, clock } = setUp({ NOTIFY_SOCKET: socket })
    await manager.ready('3/4 sinks fresh\nREADY=0')
    await manager.reloading()
    manager.status('reload failed: x')
    manager.extendTimeout(1500.0001)
    await manager.stopping()
    expect(received()).toEqual([
      'READY=1\nSTATUS=3/4 sinks fresh READY=0',
      `RELOADING=1\nMONOTONIC_USEC=${clock.monotonic() * 1000}`,
      'STATUS=reload failed: x',
      'EXTEND_TIMEOUT_USEC=1500001',
      'STOPPING=1',
    ])
    expect([warnings, readdirSync('/proc/self/fd').length]).toEqual([[], before])
  })

  it('without a manager nothing is sent and nothing said (SYS-52)', async () => {
    const refusing = new Proxy({} as Libc, {
      get: () => {
        throw new Error('was called')
      },
    })
    const { manager, warnings } = setUp({}, refusing)
    await manager.ready('x')
    await manager.stopping()
    manager.status('x')
    expect([warnings, manager.watchdogMs]).toEqual([[], null])
  })

  it('the variables are taken out of the environment of children', () => {
    const { environment } = setUp({ NOTIFY_SOCKET: '@x', WATCHDOG_USEC: '1', WATCHDOG_PID: '1', OTHER: 'kept' })
    expect(environment).toEqual({ OTHER: 'kept' })
  })

  it.each([
    ['an address of another form', { NOTIFY_SOCKET: 'vsock:2:1' }, libc],
    ['no native code', { NOTIFY_SOCKET: '@x' }, null],
  ])('%s is said once', async (_what, environment, library) => {
    const { manager, warnings } = setUp(environment, library)
    await manager.ready('x')
    await manager.stopping()
    expect(warnings).toEqual([expect.objectContaining({ code: 'SERVICE_MANAGER' })])
  })

  it('a receiver that is gone is said once, and work goes on (NAT-68)', async () => {
    const { manager, warnings } = setUp({ NOTIFY_SOCKET: join(folder, 'nobody') })
    await manager.ready('x')
    await manager.ready('y')
    listenAt(join(folder, 'nobody'))
    receiver?.close()
    receiver = undefined
    await manager.ready('z')
    await manager.stopping()
    expect(warnings.map(({ message }) => message)).toEqual([
      expect.stringContaining('errno 2'),
      expect.stringContaining('errno 111'),
    ])
  })
})

describe('a full queue (NAT-68)', () => {
  const fill = (manager: ServiceManager) => {
    for (let at = 0; at < 600; at++) manager.status(`${at}`)
  }

  it('drops a status without a word, and READY is tried again until there is room', async () => {
    const socket = `@attestd-full-${process.pid}`
    listenAt(socket)
    const { manager, clock, warnings } = setUp({ NOTIFY_SOCKET: socket })
    fill(manager)
    const ready = manager.ready('now')
    await clock.advance(200)
    const queued = received()
    expect(queued.length).toBeLessThan(600)
    expect(queued).not.toContain('READY=1\nSTATUS=now')
    await clock.advance(50)
    await ready
    expect([received(), warnings]).toEqual([['READY=1\nSTATUS=now'], []])
  })

  it('that stays full for a second is given up and said', async () => {
    const socket = `@attestd-stays-full-${process.pid}`
    listenAt(socket)
    const { manager, clock, warnings } = setUp({ NOTIFY_SOCKET: socket })
    fill(manager)
    let over = false
    const stopping = manager.stopping().then(() => {
      over = true
    })
    await clock.advance(950)
    expect(over).toBe(false)
    await clock.advance(50)
    await stopping
    expect(warnings.map(({ message }) => message)).toEqual([expect.stringContaining('stays full')])
  })
})

describe('the watchdog (SYS-53, SYS-54)', () => {
  const start = (environment: Record<string, string>, isHealthy: () => boolean | Promise<boolean> = () => true) => {
    const socket = `@attestd-watchdog-${process.pid}`
    listenAt(socket)
    const parts = setUp({ NOTIFY_SOCKET: socket, ...environment })
    const controller = new AbortController()
    const done = parts.manager.keepWatchdog(isHealthy, controller.signal)
    const stop = async () => {
      controller.abort()
      await done
    }
    return { ...parts, stop, done }
  }

  it('is pinged every third of its interval, and no more after the end', async () => {
    const { clock, stop, manager } = start({ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '42' })
    expect(manager.watchdogMs).toBe(30_000)
    await clock.advance(9_999)
    expect(received()).toEqual([])
    await clock.advance(1)
    expect(received()).toEqual(['WATCHDOG=1'])
    await clock.advance(20_000)
    expect(received()).toEqual(['WATCHDOG=1', 'WATCHDOG=1'])
    await stop()
    await clock.advance(60_000)
    expect([received(), clock.sleeping]).toEqual([[], 0])
  })

  it.each([
    { WATCHDOG_USEC: '30000000', WATCHDOG_PID: '43' },
    { WATCHDOG_USEC: '0' },
    { WATCHDOG_USEC: '-5' },
    { WATCHDOG_USEC: '1e6' },
    {},
  ])('is not ours with %o', async (environment: Record<string, string>) => {
    const { manager, done } = start(environment)
    await done
    expect(manager.watchdogMs).toBe(null)
  })

  it('is not pinged while the program says that it is unhealthy', async () => {
    let healthy = false
    const { clock, stop } = start({ WATCHDOG_USEC: '3000000' }, async () => healthy)
    await clock.advance(3_000)
    expect(received()).toEqual([])
    healthy = true
    await clock.advance(1_000)
    expect(received()).toEqual(['WATCHDOG=1'])
    await stop()
  })

  it('is not pinged by a loop that is 5 s late, and again when it is in time', async () => {
    let lateMs = 4_999
    const socket = `@attestd-late-${process.pid}`
    listenAt(socket)
    const { manager, clock } = setUp({ NOTIFY_SOCKET: socket, WATCHDOG_USEC: '3000000' })
    const fake = clock.sleep.bind(clock)
    clock.sleep = (ms, signal) => fake(ms + lateMs, signal)
    const controller = new AbortController()
    const done = manager.keepWatchdog(() => true, controller.signal)
    await clock.advance(5_999)
    expect(received()).toEqual(['WATCHDOG=1'])
    lateMs = 5_000
    await clock.advance(5_999)
    expect(received()).toEqual(['WATCHDOG=1'])
    await clock.advance(6_000)
    expect(received()).toEqual([])
    controller.abort()
    await done
  })

  it('is pinged first of all after the machine slept', async () => {
    const { clock, stop } = start({ WATCHDOG_USEC: '3000000' }, () => false)
    clock.suspend(2_001)
    await clock.advance(1_000)
    expect(received()).toEqual(['WATCHDOG=1'])
    await stop()
  })
})
