import { expect, it } from 'vitest'
import { canMakeControlGroups } from '../../test/support/control-group.ts'
import { groupHasId } from './cgroup-id.ts'

/** Ids of control groups by the folders of the unified hierarchy (API-42). */

it('a group that no mount shows has no id', () => {
  for (const path of ['/attestd-absent.slice', 'attestd', '', '/../x']) expect(groupHasId(path, 1n)).toBe(false)
})

it.skipIf(!canMakeControlGroups())('the first group of all is the root, and no other number is its id', () => {
  expect([1n, 0n, 2n, (1n << 32n) | 1n].map((id) => groupHasId('/', id))).toEqual([true, false, false, false])
})

it('folders of other file systems are no groups', () => {
  // Beside the unified hierarchy the older ones are mounted, whose roots have small numbers too.
  for (let id = 0n; id < 64n; id++) {
    for (const name of ['systemd', 'memory', 'cpu']) expect(groupHasId(`/${name}`, id)).toBe(false)
  }
})
