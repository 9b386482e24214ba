import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

export const haveEvmctl = spawnSync('evmctl', ['--version']).status === 0

export type RegisterValues = Readonly<Record<string, ReadonlyMap<number, Uint8Array>>>

/** 24 lines `PCR-00: 01 02 …`; registers without a value hold zeros. */
function pcrFile(values: ReadonlyMap<number, Uint8Array>, size: number): string {
  const line = (pcr: number) => {
    const hex = Buffer.from(values.get(pcr) ?? new Uint8Array(size)).toString('hex')
    return `PCR-${String(pcr).padStart(2, '0')}: ${(hex.match(/../g) ?? []).join(' ')} \n`
  }
  return Array.from({ length: 24 }, (_, pcr) => line(pcr)).join('')
}

/**
 * What evmctl 1.4 says of a log with a SHA-1 column: the number of records after which the registers hold these values,
 * or null. It knows SHA-1 and SHA-256. Violations are extended as the kernel does, which it calls to ignore them.
 */
export function evmctlMatch(log: Uint8Array, values: RegisterValues, folder: string): number | null {
  const file = join(folder, 'measurements')
  writeFileSync(file, log)
  const pcrs = Object.entries(values).flatMap(([bank, registers]) => {
    const path = join(folder, `pcrs.${bank}`)
    writeFileSync(path, pcrFile(registers, bank === 'sha1' ? 20 : 32))
    return ['--pcrs', `${bank},${path}`]
  })
  const { status, stdout, stderr, error } = spawnSync(
    'evmctl',
    ['-v', 'ima_measurement', '--ignore-violations', ...pcrs, file],
    {
      maxBuffer: 64 << 20,
    },
  )
  if (error) throw error
  if (status !== 0) return null
  const said = `${stdout.toString('latin1')}${stderr.toString('latin1')}`
  const entries = [...said.matchAll(/PCR-10: succeed at entry (\d+)/g)].map(([, entry]) => Number(entry))
  return entries.length === 0 ? null : Math.max(...entries)
}
