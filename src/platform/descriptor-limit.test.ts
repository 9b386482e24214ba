import { spawnSync } from 'node:child_process'
import { expect, it } from 'vitest'
import { readDescriptorLimit } from './descriptor-limit.ts'

it('is what the kernel lets this process open', () => {
  const script = "process.stdout.write(require('fs').readFileSync('/proc/self/limits', 'latin1'))"
  const child = spawnSync('sh', ['-c', 'ulimit -n 300; exec "$0" -e "$1"', process.execPath, script])
  expect(String(child.stdout)).toMatch(/^Max open files +300 /m)
  expect(readDescriptorLimit()).toBeGreaterThan(100)
})

it('is not known where there is no such file', () => {
  expect(readDescriptorLimit('/proc/self/nothing')).toBeNull()
  expect(readDescriptorLimit('/proc/self/status')).toBeNull()
})
