import { basename, dirname } from 'node:path'
import type { RandomSource } from '../base/random.ts'
import { type FileContent, Folder } from './folder.ts'

/**
 * Puts `content` in place of the file at `path`, whole or not at all (BRK-111). For one file now and then; who writes
 * often into the same place keeps a `Folder` open.
 */
export async function writeAtomically(
  path: string,
  content: FileContent,
  { mode, random }: { readonly mode: number; readonly random: RandomSource },
): Promise<void> {
  await using folder = await Folder.open(dirname(path), random)
  await folder.write(basename(path), content, mode)
}
