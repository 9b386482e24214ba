import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseCgroups, solePath } from './cgroup-unit.ts'

const id = 'ab12'.repeat(16)

describe('the unit of a process (API-50, API-51)', () => {
  it.each([
    ['a service', '0::/system.slice/payments.service\n', 'payments.service', 'system.slice'],
    ['below a delegated service', '0::/system.slice/payments.service/worker/0\n', 'payments.service', 'system.slice'],
    ['an instance', '0::/system.slice/system-web.slice/web@eu.service\n', 'web@eu.service', 'system-web.slice'],
    ['in no slice', '0::/init.scope\n', 'init.scope', null],
    ['escaped', '0::/system.slice/_cpu.service\n', 'cpu.service', 'system.slice'],
    ['that begins with an underscore itself', '0::/system.slice/__cpu.service\n', '_cpu.service', 'system.slice'],
    ['an escaped slice', '0::/_cpu.slice/a.service\n', 'a.service', 'cpu.slice'],
    [
      'of a user: only the manager of that user',
      '0::/user.slice/user-1000.slice/user@1000.service/app.slice/payments.service\n',
      'user@1000.service',
      'user-1000.slice',
    ],
    ['a session', '0::/user.slice/user-0.slice/session-4.scope\n', 'session-4.scope', 'user-0.slice'],
    ['a mount', '0::/system.slice/data.mount\n', 'data.mount', 'system.slice'],
    ['a slice alone', '0::/system.slice\n', null, 'system.slice'],
    ['the root', '0::/\n', null, null],
    ['a cgroup without a unit', '0::/docker/abc/payments.service\n', null, null],
    ['a plain group in a slice', '0::/system.slice/plain/payments.service\n', null, 'system.slice'],
    ['a removed group', '0::/system.slice/payments.service (deleted)\n', null, 'system.slice'],
    ['outside of our namespace', '0::/../../system.slice/payments.service\n', null, null],
    ['that is only a suffix', '0::/system.slice/.service\n', null, 'system.slice'],
    ['version 1', '4:cpu:/x.service\n1:name=systemd:/system.slice/v1.service\n', 'v1.service', 'system.slice'],
    [
      'hybrid, at the root of version 2',
      '1:name=systemd:/system.slice/v1.service\n0::/\n',
      'v1.service',
      'system.slice',
    ],
    ['hybrid, in version 2', '1:name=systemd:/a.service\n0::/system.slice/v2.service\n', 'v2.service', 'system.slice'],
    ['version 1, outside', '1:name=systemd:/../a.service\n', null, null],
    ['a controller with a lookalike name', '3:cpu,name=systemd:/a.service\n', null, null],
    ['nothing', '', null, null],
    ['no path', '0::\n', null, null],
  ])('%s', (_what, cgroups, unit, slice) => {
    expect(parseCgroups(cgroups)).toMatchObject({ unit, slice })
  })

  it.each([
    [`0::/system.slice/docker-${id}.scope\n`, id],
    [`0::/machine.slice/libpod-${id}.scope/container\n`, id],
    [`0::/kubepods.slice/kubepods-burstable.slice/cri-containerd-${id}.scope\n`, id],
    [`0::/kubepods.slice/crio-${id}.scope\n`, id],
    [`0::/system.slice/docker-${id}0.scope\n`, null],
    [`0::/system.slice/docker-${id.toUpperCase()}.scope\n`, null],
    [`0::/system.slice/my-docker-${id}.scope\n`, null],
    [`0::/system.slice/docker-${id}.service\n`, null],
    [`0::/system.slice/payments.service/docker-${id}.scope\n`, null],
    [`0::/user.slice/user@1.service/docker-${id}.scope\n`, null],
  ])('the container of %s', (cgroups, container) => {
    expect(parseCgroups(cgroups).container).toBe(container)
  })

  it('never depends on what lies below the unit', () => {
    fc.assert(
      fc.property(
        fc.string().map((text) => text.replaceAll('\n', '')),
        (below) => {
          expect(parseCgroups(`0::/system.slice/a.service/${below}\n`)).toEqual({
            unit: 'a.service',
            slice: 'system.slice',
            container: null,
          })
        },
      ),
    )
  })

  it('answers for any text', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const { unit } = parseCgroups(text)
        expect(unit === null || /\.(service|scope|socket|mount|swap)$/.test(unit)).toBe(true)
      }),
    )
  })
})

it.each([
  [true, '0::/system.slice/payments.service\n'],
  [true, '1:name=systemd:/a.service\n0::/system.slice/b.service\n'],
  [true, '0::/\n'],
  [false, '1:name=systemd:/a.service\n0::/\n'],
  [false, '1:name=systemd:/a.service\n'],
  [false, ''],
])('whether the unified hierarchy tells the unit is %s of %j (API-42)', (unified, cgroups) => {
  expect(solePath(cgroups) !== null).toBe(unified)
})
