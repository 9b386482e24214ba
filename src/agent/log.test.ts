import { describe, expect, it } from 'vitest'
import { createLog } from './log.ts'

describe('the log', () => {
  it('begins each line with its priority under the service manager, and never holds a token', () => {
    let written = ''
    const log = createLog('info', { journal: true, write: (line) => (written += line) })
    log.warn({ code: 'X', token: 'eyJ.secret.sig', caller: { nonce: 'n-secret' } }, 'something')
    log.debug('not at this level')
    expect(written).toMatch(/^<4>\{"level":40,"code":"X","caller":\{\},"msg":"something"\}\n$/)
  })
})
