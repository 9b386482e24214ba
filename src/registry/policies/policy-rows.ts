import { createHash } from 'node:crypto'
import type { PolicyDiagnostic } from '../../policies/index.ts'
import { type Columns, damaged, integerText, orNull, RowReader } from '../sql-columns.ts'
import type { SqlRow } from '../sql-engine.ts'
import type { PolicyActivation, PolicyVersion, PolicyVersionFacts, SignerRecord } from './policy-store.ts'

export function columnsOfVersion(version: PolicyVersion): Columns {
  return {
    slot: version.slot,
    number: integerText(version.number),
    at: integerText(version.at),
    uploader: version.by,
    form: version.form,
    upload: version.upload,
    upload_sha256: version.uploadSha256,
    policy_hash: version.policyHash,
    token_hash: version.policyTokenHash,
    digest: version.digest,
    signer_sha256: version.signerKeySha256,
    diagnostics: JSON.stringify(version.diagnostics),
    previous_digest: version.previousDigest,
  }
}

/** What `versionOf` and `factsOf` read, without and with the table's name before each. */
const factColumns = [
  'slot',
  'number::text',
  'at::text',
  'uploader',
  'form',
  'upload_sha256',
  'policy_hash',
  'token_hash',
]
const otherColumns = ['digest', 'signer_sha256', 'diagnostics', 'previous_digest']
export const versionFactColumns = [...factColumns, ...otherColumns].map((name) => `v.${name}`).join(', ')

export function factsOf(sqlRow: SqlRow): PolicyVersionFacts {
  const row = new RowReader(sqlRow)
  return {
    slot: row.text('slot'),
    number: row.integer('number'),
    at: row.integer('at'),
    by: row.text('uploader'),
    form: row.oneOf('form', ['text', 'unsigned', 'signed']),
    uploadSha256: row.text('upload_sha256'),
    policyHash: row.text('policy_hash'),
    policyTokenHash: row.textOrNull('token_hash'),
    digest: row.text('digest'),
    signerKeySha256: row.textOrNull('signer_sha256'),
    diagnostics: diagnosticsIn(row.text('diagnostics')),
    previousDigest: row.textOrNull('previous_digest'),
  }
}

/** Throws `registry_corrupt` also where the bytes are not those that were uploaded. */
export function versionOf(sqlRow: SqlRow): PolicyVersion {
  const upload = new RowReader(sqlRow).bytes('upload')
  const facts = factsOf(sqlRow)
  if (createHash('sha256').update(upload).digest('hex') !== facts.uploadSha256) throw damaged('upload')
  return { ...facts, upload }
}

function diagnosticsIn(text: string): readonly PolicyDiagnostic[] {
  try {
    const value: unknown = JSON.parse(text)
    // Written by this program, shown to people and never acted upon.
    if (Array.isArray(value)) return value as readonly PolicyDiagnostic[]
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
  }
  throw damaged('diagnostics')
}

export function columnsOfActivation(activation: PolicyActivation): Columns {
  return {
    slot: activation.slot,
    at: integerText(activation.at),
    by_whom: activation.by,
    action: activation.action,
    number: orNull(activation.number, integerText),
    previous: orNull(activation.previous, integerText),
  }
}

export const activationColumns = 'slot, at::text, by_whom, action, number::text, previous::text'

export function activationOf(sqlRow: SqlRow): PolicyActivation {
  const row = new RowReader(sqlRow)
  return {
    slot: row.text('slot'),
    at: row.integer('at'),
    by: row.text('by_whom'),
    action: row.oneOf('action', ['set', 'reset', 'restored']),
    number: row.integerOrNull('number'),
    previous: row.integerOrNull('previous'),
  }
}

export function columnsOfSigner({ keySha256, certificate, added }: SignerRecord): Columns {
  return { key_sha256: keySha256, certificate, added_at: integerText(added.at), added_by: added.by }
}

export const signerColumns = 'key_sha256, certificate, added_at::text, added_by, removed_at::text, removed_by'

export function signerOf(sqlRow: SqlRow): SignerRecord {
  const row = new RowReader(sqlRow)
  const removedAt = row.integerOrNull('removed_at')
  return {
    keySha256: row.text('key_sha256'),
    certificate: row.bytes('certificate'),
    added: { at: row.integer('added_at'), by: row.text('added_by') },
    removed: removedAt === null ? null : { at: removedAt, by: row.text('removed_by') },
  }
}
