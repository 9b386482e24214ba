import { describe, expect, it } from 'vitest'
import { storeErrors } from '../registry/store-errors.ts'
import { composeProblem } from './problem.ts'

describe('a problem document', () => {
  it('has the title of its code, whichever room declared it (ERR-01)', () => {
    const { title, remedy } = storeErrors.declared.registry_storage_full
    const { body, status } = composeProblem(storeErrors.error('registry_storage_full', 'the disk is full'))
    expect([status, JSON.parse(body)]).toEqual([
      503,
      expect.objectContaining({ title, remedy, code: 'registry_storage_full', detail: 'the disk is full' }),
    ])
  })

  it('says nothing of a bug but that there was one (ERR-02)', () => {
    const { body } = composeProblem(new TypeError('secret'))
    expect(JSON.parse(body)).toMatchObject({ code: 'AS.INTERNAL.ERROR', status: 500 })
    expect(body).not.toMatch(/\bsecret\b/)
  })
})
