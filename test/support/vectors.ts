import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

/** Recorded evidence lies beside the project (`ATTESTD_VECTORS` names another place); without it those tests are skipped. */
export const vectorsFolder = resolve(
  process.env['ATTESTD_VECTORS'] ?? join(import.meta.dirname, '../../../shared/vectors'),
)

export const haveVectors = existsSync(vectorsFolder)

export function vector(path: string): Uint8Array {
  return new Uint8Array(readFileSync(join(vectorsFolder, path)))
}

// biome-ignore lint/suspicious/noExplicitAny: manifests are read as they are; each test names the members it uses
export function vectorJson(path: string): any {
  return JSON.parse(readFileSync(join(vectorsFolder, path), 'utf8'))
}
