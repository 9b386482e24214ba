import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { openPlaceMark } from './place-mark.ts'

function memoryFile(content: Uint8Array | null = null) {
  const file = {
    content,
    load: async () => file.content,
    save: async (bytes: Uint8Array) => {
      file.content = bytes
    },
  }
  return file
}
const bytes = (text: string) => new TextEncoder().encode(text)

describe('the mark of a state directory (SVC-30)', () => {
  it('is made once, and the same at every start', async () => {
    const file = memoryFile()
    const mark = await openPlaceMark(file, randomBytes)
    expect(mark).toMatch(/^[A-Za-z0-9+/]{22}==$/)
    expect([await openPlaceMark(file, randomBytes), await openPlaceMark(file, randomBytes)]).toEqual([mark, mark])
    expect(await openPlaceMark(memoryFile(), randomBytes)).not.toBe(mark)
  })

  it.each(['', 'AAAA', 'x'.repeat(24), `${'A'.repeat(22)}==A`])(
    'is not made anew where %j is in its place',
    async (text) => {
      const file = memoryFile(bytes(text))
      await expect(openPlaceMark(file, randomBytes)).rejects.toMatchObject({ code: 'KEY_STATE_UNREADABLE' })
      expect(file.content).toEqual(bytes(text))
    },
  )

  it('is not used where it could not be stored', async () => {
    const file = { ...memoryFile(), save: () => Promise.reject(new Error('full')) }
    await expect(openPlaceMark(file, randomBytes)).rejects.toThrow('full')
  })
})
