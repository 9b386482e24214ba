import { expect, it } from 'vitest'
import { grubTextOf } from './grub-text.ts'

const read = (text: string) => {
  const { label, text: rest } = grubTextOf(Buffer.from(text, 'latin1'))
  return [label, Buffer.from(rest).toString('latin1')]
}

it('a text of a boot loader ends at its first NUL and is told from its label (TDX-238)', () => {
  expect(read('kernel_cmdline: /vmlinuz ro\0garbage')).toEqual(['kernel_cmdline: ', '/vmlinuz ro'])
  expect(read('grub_kernel_cmdline /vmlinuz')).toEqual(['grub_kernel_cmdline ', '/vmlinuz'])
  expect(read('grub_cmd: set a')).toEqual(['grub_cmd: ', 'set a'])
  expect(read('grub_cmd set a')).toEqual(['grub_cmd ', 'set a'])
  expect(read('module_cmdline: x')).toEqual(['module_cmdline: ', 'x'])
})

it('may be empty behind its label, and has none that is cut or stands behind a NUL', () => {
  expect(read('kernel_cmdline: ')).toEqual(['kernel_cmdline: ', ''])
  expect(read('kernel_cmdline:')).toEqual([null, 'kernel_cmdline:'])
  expect(read('kernel_cmd\0line: x')).toEqual([null, 'kernel_cmd'])
  expect(read(' kernel_cmdline: x')).toEqual([null, ' kernel_cmdline: x'])
  expect(read('\0')).toEqual([null, ''])
  expect(read('')).toEqual([null, ''])
})
