import { readdirSync } from 'node:fs'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { errnoOf, type Libc, layouts, loadLibc, PIDFD_GET_INFO, pidfdInfoMask } from '../../native/libc.ts'
import { holdPeer } from './peer-process.ts'
import { ProcFile } from './proc-files.ts'

const { pidfdInfo } = layouts
const uid = process.geteuid?.() ?? -1

/** What a kernel says of a process: in the mask it says what of that counts. */
interface Said {
  readonly mask: bigint
  readonly cgroup: bigint
  readonly errno?: number
}

/** A kernel of our making, which no number of a descriptor leads out of. */
function kernel(said: Said) {
  const asked: number[] = []
  const closed: number[] = []
  const libc: Libc = {
    ...loadLibc(),
    ioctl: (fd, request, argument) => {
      expect(request).toBe(PIDFD_GET_INFO)
      asked.push(fd)
      const info = argument as Buffer
      info.writeBigUInt64LE(said.mask, pidfdInfo.mask)
      info.writeBigUInt64LE(said.cgroup, pidfdInfo.cgroup)
      info.writeUInt32LE(uid, pidfdInfo.euid)
      return said.errno === undefined ? { value: 0, errno: 0 } : { value: -1, errno: said.errno }
    },
    poll: () => ({ value: 0, errno: 0 }),
    close: (fd) => {
      closed.push(fd)
      return { value: 0, errno: 0 }
    },
  }
  const hold = (pid = process.pid) => holdPeer(libc, { pid, uid, gid: 0, groups: [], pidfd: 1000 })
  return { hold, asked, closed }
}

const all = pidfdInfoMask.pid | pidfdInfoMask.credentials | pidfdInfoMask.cgroup

afterEach(() => vi.restoreAllMocks())

describe('the control group of a process (API-42, NAT-64)', () => {
  it('is the one that the kernel says', () => {
    expect(kernel({ mask: all, cgroup: 7n }).hold().controlGroup()).toBe(7n)
  })

  it('what the kernel does not say is no group: all processes would be in the one with the number 0', () => {
    expect(
      kernel({ mask: all & ~pidfdInfoMask.cgroup, cgroup: 0n })
        .hold()
        .controlGroup(),
    ).toBeNull()
  })

  it.each(['ESRCH', 'ENOTTY', 'EINVAL'] as const)('of a process that it refuses with %s it is not known', (name) => {
    const { hold } = kernel({ mask: all, cgroup: 7n, errno: errnoOf[name] })
    expect(hold().controlGroup()).toBeNull()
  })

  it('is not asked for by a number that was closed: another process may have it', () => {
    const { hold, asked, closed } = kernel({ mask: all, cgroup: 7n })
    const held = hold()
    held.close()
    held.close()
    const before = asked.length
    expect([held.controlGroup(), held.state()]).toEqual([null, 'caller_gone'])
    expect([asked.length, closed]).toEqual([before, [1000]])
  })
})

describe('a process in a namespace that we cannot see (API-48)', () => {
  it('has nothing that could be told by its number', () => {
    const { hold, asked } = kernel({ mask: all, cgroup: 7n })
    const held = hold(0)
    expect([held.visible, held.state(), asked]).toEqual([false, 'there', []])
    held.close()
  })
})

describe('a process that is held by files', () => {
  it('that cannot be read leaves none of them open (NAT-63)', () => {
    const openDescriptors = () => readdirSync('/proc/self/fd').length
    const before = openDescriptors()
    vi.spyOn(ProcFile.prototype, 'read').mockImplementation(() => {
      throw Object.assign(new Error('no memory'), { code: 'ENOMEM', syscall: 'read' })
    })
    const peer = { pid: process.pid, uid, gid: 0, groups: [], pidfd: null }
    expect(() => holdPeer(loadLibc(), peer)).toThrow('no memory')
    expect(openDescriptors()).toBe(before)
  })
})
