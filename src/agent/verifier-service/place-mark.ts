import { parseText, toBase64 } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import type { RandomSource } from '../../base/random.ts'
import { issuerErrors } from '../../issuer/errors.ts'
import type { StateFile } from '../wiring/state-files.ts'

const size = 16

function parseMark(content: Uint8Array): string {
  const bytes = parseText(new TextDecoder().decode(content).trim(), 'base64', 'mark')
  if (bytes.length !== size) throw new MalformedError({ path: 'mark' }, `has ${bytes.length} bytes, not ${size}`)
  return toBase64(bytes)
}

/**
 * The mark of a state directory, made at the first start: a service knows by it the challenges of processes that had this
 * state before it, whatever the clock says (SVC-30). It is no secret. Throws `KEY_STATE_UNREADABLE` for what is no mark, and
 * what the file throws.
 */
export async function openPlaceMark(file: StateFile, random: RandomSource): Promise<string> {
  const content = await file.load()
  if (content === null) {
    const mark = toBase64(random(size))
    await file.save(new TextEncoder().encode(`${mark}\n`))
    return mark
  }
  try {
    return parseMark(content)
  } catch (cause) {
    if (!(cause instanceof MalformedError)) throw cause
    const remedy = 'move the file challenge-place away and start again: no challenge of before is good then'
    throw issuerErrors.error('KEY_STATE_UNREADABLE', 'challenge-place holds no mark', { cause, remedy })
  }
}
