import { describe, expect, it } from 'vitest'
import { changesBetween, type MachineMarks } from './appraisal-history.ts'

/** `reset.restart@clock`, with `?` where the clock is not safe. */
function marks(text: string, firmwareVersion: string | null = null): MachineMarks {
  const [, reset = '', restart = '', clock = '', unsafe] = /^(\d+)\.(\d+)@(\d+)(\?)?$/.exec(text) ?? []
  const counters = { resetCount: Number(reset), restartCount: Number(restart), clock: BigInt(clock), safe: !unsafe }
  return { counters, firmwareVersion }
}

describe('what changed on a machine (tpm.md section 5)', () => {
  it.each([
    ['1.0@10', '1.0@11', []],
    ['1.0@10', '2.0@11', ['reboot']],
    ['1.3@10', '2.0@11', ['reboot']],
    ['1.0@10', '2.0@9?', ['power-loss']],
    ['1.0@10', '1.1@11', ['resume']],
    ['1.0@10', '1.0@9?', ['clock-unsafe']],
    ['1.0@10?', '1.0@9', ['clock-unsafe']],
    ['1.0@10?', '1.0@11', []],
    ['1.0@10', '1.0@10', ['rollback']],
    ['1.0@10', '1.0@9', ['rollback']],
    ['1.1@10', '1.0@11', ['rollback']],
    ['2.0@10', '1.9@99', ['rollback']],
  ])('from %s to %s: %j', (before, after, changes) => {
    expect(changesBetween(marks(before), marks(after))).toEqual(changes)
  })

  it('includes its firmware, where both are known', () => {
    expect(changesBetween(marks('1.0@1', 'a'), marks('2.0@2', 'b'))).toEqual(['reboot', 'firmware'])
    expect(changesBetween(marks('1.0@1', 'a'), marks('1.0@2', 'a'))).toEqual([])
    expect(changesBetween(marks('1.0@1'), marks('1.0@2', 'a'))).toEqual([])
    expect(changesBetween(marks('1.0@1', 'a'), marks('1.0@2'))).toEqual([])
    expect(changesBetween({ counters: null, firmwareVersion: 'a' }, marks('1.0@2', 'b'))).toEqual(['firmware'])
    expect(changesBetween({ counters: null, firmwareVersion: null }, marks('1.0@2', 'b'))).toEqual([])
  })
})
