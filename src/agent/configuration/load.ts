import { parse as parseToml, TomlError } from 'smol-toml'
import type { z } from 'zod'
import type { AttestdError } from '../../base/errors.ts'
import { nearWords } from '../../base/near-words.ts'
import { agentErrors } from '../errors.ts'
import { type Configuration, configurationSchema } from './schema.ts'
import { lineOfKey } from './toml-lines.ts'

const shownKey = (path: readonly PropertyKey[]) =>
  path
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`))
    .join('')
    .replace(/^\./, '')

/** The keys that may stand where `path` stands, from the schema itself. */
function allowedKeys(whole: z.ZodObject, path: readonly PropertyKey[]): string[] {
  let schema: unknown = whole
  for (const part of path) {
    schema = unwrapped(schema)
    if (typeof part === 'number') schema = (schema as { element?: unknown }).element
    else schema = (schema as { shape?: Record<string, unknown> }).shape?.[String(part)]
  }
  return Object.keys((unwrapped(schema) as { shape?: object } | undefined)?.shape ?? {})
}

function unwrapped(schema: unknown): unknown {
  let inner = schema
  for (let depth = 0; depth < 4; depth++) {
    const outer = inner as { unwrap?: () => unknown; element?: unknown } | undefined
    if (typeof outer?.unwrap !== 'function' || outer.element !== undefined) break
    inner = outer.unwrap()
  }
  return inner
}

function unknownKey(key: string, allowed: readonly string[]): string {
  const near = nearWords(key, allowed)
  return near.length > 0
    ? `is not a key; did you mean ${near.join(' or ')}?`
    : `is not a key; allowed: ${allowed.join(', ')}`
}

interface Problem {
  readonly path: readonly PropertyKey[]
  readonly says: string
}

function problemsOf(issue: z.core.$ZodIssue, schema: z.ZodObject): Problem[] {
  if (issue.code === 'unrecognized_keys') {
    const allowed = allowedKeys(schema, issue.path)
    return issue.keys.map((key) => ({ path: [...issue.path, key], says: unknownKey(key, allowed) }))
  }
  if (issue.code === 'invalid_value')
    return [{ path: issue.path, says: `is not allowed; allowed: ${issue.values.join(', ')}` }]
  if (issue.code === 'invalid_type' && issue.input === undefined)
    return [{ path: issue.path, says: `is missing (${issue.expected})` }]
  return [{ path: issue.path, says: issue.message.charAt(0).toLowerCase() + issue.message.slice(1) }]
}

/** An error that names file, line and key: what stands there, and what is allowed. */
export function invalidAt(file: string, text: string, path: readonly PropertyKey[], says: string): AttestdError {
  const line = lineOfKey(text, path)
  return agentErrors.error('CONFIGURATION_INVALID', `${file}:${line}: ${shownKey(path)} ${says}`, {
    facts: { file, line, key: shownKey(path) },
  })
}

function requireToml(file: string, text: string): unknown {
  try {
    return parseToml(text)
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause
    const says = cause.message.split('\n')[0]?.replace(/^Invalid TOML document: /, '') ?? 'is not TOML'
    throw agentErrors.error('CONFIGURATION_INVALID', `${file}:${cause.line}:${cause.column}: ${says}`, {
      facts: { file, line: cause.line, column: cause.column },
      cause,
    })
  }
}

/**
 * Parses the text of a configuration of this form. Throws `CONFIGURATION_INVALID` naming file, line, key and what is
 * allowed; further problems follow in the same message, one a line, so that one run shows them all.
 */
export function parseConfigurationBy<Schema extends z.ZodObject>(
  schema: Schema,
  text: string,
  file: string,
): z.infer<Schema> {
  const result = schema.safeParse(requireToml(file, text), { reportInput: true })
  if (result.success) return result.data
  const problems = result.error.issues.flatMap((issue) => problemsOf(issue, schema))
  const errors = problems.map(({ path, says }) => invalidAt(file, text, path, says))
  const [first] = errors
  if (!first) throw new TypeError('a failed parse without an issue')
  const detail = errors.map(({ message }) => message).join('\n')
  throw agentErrors.error('CONFIGURATION_INVALID', detail, { facts: first.facts })
}

/** Parses the configuration of the agent, as `parseConfigurationBy` does. */
export function parseConfiguration(text: string, file: string): Configuration {
  return parseConfigurationBy(configurationSchema, text, file)
}
