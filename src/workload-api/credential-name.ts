/** What a service manager asks for: the credential `id` of `unit` (API-164). */
export interface CredentialName {
  readonly unit: string
  readonly id: string
}

/** Units that run something and can load credentials; an instance has a name of its own, a template runs nothing. */
const unitForm = /(?!\.)[A-Za-z0-9:_.\\-]+(?:@[A-Za-z0-9:_.\\@-]+)?\.(?:service|socket|mount|swap)/
const idForm = /(?!\.{1,2}$)[A-Za-z0-9._-]{1,255}/

const nameForm = new RegExp(`^\\0[0-9a-f]{1,16}/unit/(${unitForm.source})/(${idForm.source})$`)

/**
 * Reads the abstract name that the service manager gives its end of the connection:
 * `NUL hex "/unit/" unit "/" id`, nothing before and nothing behind. Null: it is of any other form (API-165).
 */
export function parseCredentialName(name: Uint8Array): CredentialName | null {
  const [, unit, id] = nameForm.exec(Buffer.from(name).toString('latin1')) ?? []
  return unit === undefined || id === undefined || unit.length > 255 ? null : { unit, id }
}
