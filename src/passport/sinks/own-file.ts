import { equalBytes } from '../../base/bytes.ts'
import type { TokenOffer } from '../token-offer.ts'
import { type FileFormat, findToken, largestTokenFile } from './file-format.ts'
import type { SeenFile, TokenPlace } from './sink.ts'

/** What was written to a place, and the mark that it had then. */
export interface WrittenFile {
  readonly mark: string
  readonly offer: TokenOffer
}

/** Whether what lies there is what was written, or holds the same token. What somebody else put there is not ours (BRK-115). */
export async function isOwnFile(
  place: TokenPlace,
  seen: SeenFile,
  { mark, offer }: WrittenFile,
  format: FileFormat,
): Promise<boolean> {
  if (seen.mark === mark) return true
  const bytes = seen.regular ? await place.read(largestTokenFile) : null
  return bytes !== null && findToken(format, bytes)?.token === offer.token
}

/** Removes the file if it is ours; gives whether it was. */
export async function removeOwnFile(place: TokenPlace, written: WrittenFile, format: FileFormat): Promise<boolean> {
  const seen = await place.look()
  if (seen === null || !(await isOwnFile(place, seen, written, format))) return false
  await place.remove()
  return true
}

/** Whether the file has exactly this content. */
export async function holdsContent(place: TokenPlace, content: Uint8Array): Promise<boolean> {
  const bytes = await place.read(largestTokenFile)
  return bytes !== null && equalBytes(bytes, content)
}
