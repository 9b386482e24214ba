import type { ReferenceItem, ReferenceValues } from './reference-values.ts'

/** Everything but exact files, as items. */
export function* otherItems(values: ReferenceValues): Generator<Exclude<ReferenceItem, { kind: 'file' }>> {
  for (const golden of values.pcrs) yield { kind: 'pcrs', ...golden }
  for (const key of values.keys) yield { kind: 'key', ...key }
  for (const buffer of values.buffers) yield { kind: 'buffer', ...buffer }
  for (const rule of values.excludes) yield { kind: 'exclude', ...rule }
  for (const reference of values.patterns) yield { kind: 'files', ...reference }
}
