import { z } from 'zod'
import { checkCatalogues, errorVocabularies } from '../../src/agent/catalogue.ts'
import { configurationSchema } from '../../src/agent/configuration/schema.ts'
import { serviceSchema } from '../../src/agent/configuration/service-schema.ts'
import { errorKinds } from '../../src/base/errors.ts'
import { policyClaimsPage } from './policy-claims.ts'
import { policyLintsPage } from './policy-lints.ts'
import { shippedPoliciesPage, shippedPolicyFiles } from './shipped-policies.ts'
import { generated, row } from './table.ts'

/** The pages that are generated from code; a test compares them with the files. */
export function generatedPages(): Readonly<Record<string, string>> {
  return {
    'docs/checks.md': checksPage(),
    'docs/errors.md': errorsPage(),
    'docs/configuration.md': configurationPage(),
    'docs/verifier-configuration.md': serviceConfigurationPage(),
    'docs/policy-claims.md': policyClaimsPage(),
    'docs/policy-lints.md': policyLintsPage(),
    'docs/shipped-policies.md': shippedPoliciesPage(),
    ...shippedPolicyFiles(),
  }
}

function checksPage(): string {
  const tables = checkCatalogues.map(({ title, explains, checks }) => {
    const rows = Object.entries(checks).map(([id, check]) => row(`\`${id}\``, check.title, check.rule, check.remedy))
    return `## ${title}\n\n${explains}\n\n| check | passes when | rule | if it fails |\n|---|---|---|---|\n${rows.join('\n')}\n`
  })
  const intro =
    'Every appraisal lists every check of its verifier, in this order, as `passed`, `failed`, `waived` or `unreached`. It is affirmed only if\nall passed or were waived; a waiver is an explicit value of the configuration and is named in the token.'
  return `# Checks\n\n${generated} ${intro}\n\n${tables.join('\n')}`
}

function errorsPage(): string {
  const tables = errorVocabularies.map(({ room, declared }) => {
    const rows = Object.entries(declared).map(([code, { kind, title, remedy, status, retryable }]) => {
      const { exitCode, status: usual } = errorKinds[kind]
      const retry = (retryable ?? kind === 'unavailable') ? 'yes' : 'no'
      return row(`\`${code}\``, kind, String(exitCode), String(status ?? usual), retry, title, remedy)
    })
    const head = '| code | kind | exit | HTTP | retry | what happened | what to do |\n|---|---|---|---|---|---|---|'
    return `## ${room}\n\n${head}\n${rows.join('\n')}\n`
  })
  const intro =
    'A code appears verbatim in logs, problem documents and the output of commands. Commands exit with the number under *exit*,\nor with 64 where the command line cannot be understood (`USAGE`; `exec` and `policy` then end with 2); `policy` has [three codes in all](policy.md#exit-codes).\nHTTP answers have the status under *HTTP*. *retry* says whether the same request may succeed later.'
  return `# Errors\n\n${generated} ${intro}\n\n${tables.join('\n')}`
}

interface JsonSchema {
  readonly type?: string
  readonly enum?: readonly unknown[]
  readonly default?: unknown
  readonly description?: string
  readonly pattern?: string
  readonly items?: JsonSchema
  readonly minimum?: number
  readonly maximum?: number
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: readonly string[]
}

function typeText(schema: JsonSchema): string {
  if (schema.enum) return schema.enum.map((value) => `\`${String(value)}\``).join(', ')
  if (schema.type === 'array') return schema.items?.properties ? 'tables' : `list of ${typeText(schema.items ?? {})}`
  if (schema.type === 'integer') return `${schema.minimum} to ${schema.maximum}`
  return schema.type === 'object' ? 'table' : (schema.type ?? 'value')
}

function keyRow(name: string, schema: JsonSchema, required: boolean): string {
  const fallback =
    schema.default === undefined ? (required ? 'required' : '–') : `\`${JSON.stringify(schema.default)}\``
  return row(`\`${name}\``, typeText(schema), fallback, schema.description ?? '')
}

/** The tables of one section, `path` such as `verifier.td`, and of what is nested in it; arrays are `[[…]]` as in TOML. */
function sectionTables(path: string, section: JsonSchema): string[] {
  const heading = section.items ? `[[${path}]]` : `[${path}]`
  const schema = section.items ?? section
  const entries = Object.entries(schema.properties ?? {})
  const rows = entries.map(([key, value]) => keyRow(key, value, schema.required?.includes(key) ?? false))
  const own = `## \`${heading}\`\n\n| key | value | default | meaning |\n|---|---|---|---|\n${rows.join('\n')}\n`
  const nested = entries.filter(([, value]) => value.properties ?? value.items?.properties)
  return [own, ...nested.flatMap(([key, value]) => sectionTables(`${path}.${key}`, value))]
}

function sectionsOf(schema: z.ZodObject): string {
  const whole = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as JsonSchema
  return Object.entries(whole.properties ?? {})
    .flatMap(([name, section]) => sectionTables(name, section))
    .join('\n')
}

function configurationPage(): string {
  const intro =
    'The configuration is TOML, by default `/etc/attestd/attestd.toml`; `systemd/attestd.toml` is a commented example. Unknown keys are errors;\nan error names file, line, key and what is allowed. Durations have a unit: `250ms`, `30s`, `15m`, `6h`, `90d`.'
  return `# Configuration\n\n${generated} ${intro}\n\n${sectionsOf(configurationSchema)}\n${callerRules}`
}

function serviceConfigurationPage(): string {
  const intro =
    'The configuration of `attestd verifier` is TOML, by default `/etc/attestd-verifier/verifier.toml`; `systemd/verifier.toml` is a commented example. It is\nread when the service starts. Unknown keys are errors; an error names file, line, key and what is allowed. Durations have a unit: `30s`,\n`15m`, `6h`, `90d`. What the service does: [verifier-service.md](verifier-service.md).'
  return `# Configuration of the verifier service\n\n${generated} ${intro}\n\n${sectionsOf(serviceSchema)}`
}

const callerRules = `## \`[[callers.rules]]\`

One single rule must match the caller and allow the whole request; rights of several rules are never combined.

| key | value | meaning |
|---|---|---|
| \`id\` | string | name of the rule, unique; it appears in logs and in \`/v1/explain\` |
| \`match\` | table | \`uid\`, \`gid\` (number or list), \`unit\`, \`slice\`, \`container\`, \`listener\` (string or list); all that are given must hold |
| \`allow.methods\` | list | \`token\`, \`evidence\`, \`raw_report_data\`, \`measure\`, \`jwks\`, \`explain\` |
| \`allow.audiences\` | list | exact audiences, or \`{ prefix = "https://rp.example/" }\` |
| \`allow.token_types\`, \`allow.issuers\` | list | default \`["OIDC"]\`, \`["local"]\` |
| \`allow.nonce\` | \`forbid\`, \`allow\`, \`require\` | default \`forbid\` |
| \`allow.fresh\` | boolean | default \`false\` |
| \`allow.ttl_s_max\`, \`allow.min_valid_s_max\` | seconds | upper bounds |
| \`allow.rate\` | \`{ per_min, burst }\` | lowers the rate limits |
`
