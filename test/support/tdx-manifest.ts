import { haveVectors, vectorJson } from './vectors.ts'

/** What the recorded TDX evidence is known to say. */
export interface RecordedFile {
  readonly file: string
  // biome-ignore lint/suspicious/noExplicitAny: the manifest is read as it is; each test names the members it uses
  readonly expected: any
}

/** The entries of one folder; none where the vectors are absent. */
export function recordedFiles(folder: string): readonly RecordedFile[] {
  if (!haveVectors) return []
  const entries: readonly RecordedFile[] = vectorJson('tdx/MANIFEST.json')
  return entries.filter(({ file }) => file.startsWith(`${folder}/`))
}
