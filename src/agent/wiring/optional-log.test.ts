import { describe, expect, it } from 'vitest'
import { platformErrors } from '../../platform/errors.ts'
import { optionalLog } from './optional-log.ts'

const refused = () => Promise.reject(platformErrors.error('ima_unreadable', 'EACCES'))

describe('a log that cannot be read', () => {
  it('counts as absent where it is optional, and is warned of once', async () => {
    const warnings: string[] = []
    const read = optionalLog('optional', refused, (code) => warnings.push(code))
    expect([await read(), await read()]).toEqual([null, null])
    expect(warnings).toEqual(['ima_unreadable'])
  })

  it('is an error where it is required, and where the reason is another one', async () => {
    const never = () => expect.unreachable()
    await expect(optionalLog('required', refused, never)()).rejects.toThrow('EACCES')
    const broken = () => Promise.reject(new TypeError('bug'))
    await expect(optionalLog('optional', broken, never)()).rejects.toThrow(TypeError)
  })
})
