import { describe, expect, it } from 'vitest'
import { renderRecord } from './journal.ts'

const line = (members: object) => JSON.stringify({ seq: 7, wall: 1_767_225_600_000, event: 'serve', ...members })

describe('a record as people read it', () => {
  it('has its number, its time and what it says', () => {
    expect(renderRecord(line({ issuer: 'local', exp: 1, boot_ms: 5, hash: 'h' }))).toBe(
      '7 2026-01-01T00:00:00.000Z serve issuer=local exp=1\n',
    )
  })

  it.each([9e15, -9e15, 8_640_000_000_000_001])('keeps a time that no calendar has: %i', (wall) => {
    expect(renderRecord(line({ wall }))).toBe(`7 ${wall} serve\n`)
  })

  it('escapes what would move the cursor', () => {
    expect(renderRecord(line({ unit: '\u001b[2Jx' }))).not.toContain('\u001b')
  })
})
