import { realpath } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { AttestdError } from '../../base/errors.ts'
import type { AudiencePolicies } from '../../issuer/audience-policies.ts'
import { type ConsumerLimits, consumers } from '../../issuer/consumers.ts'
import type { FileFormat } from '../../passport/sinks/file-format.ts'
import type { Sink } from '../../passport/sinks/sink.ts'
import { mayChangeUser } from '../../platform/change-command.ts'
import { requireTokenDirectory } from '../../platform/token-directory.ts'
import type { TokenRequest } from '../../results/token-request.ts'
import { invalidAt } from '../configuration/load.ts'
import type { LoadedConfiguration } from '../configuration/read.ts'
import { type Configuration, requireDuration } from '../configuration/schema.ts'
import type { AccountNumbers } from './accounts.ts'
import { localIssuer, plainRequest } from './plain-request.ts'

export type SinkSection = Configuration['sinks'][number]

/** What is run after a change, and as whom; null: as the agent itself. */
export interface SinkCommand {
  readonly argv: readonly [string, ...string[]]
  readonly user: { readonly uid: number; readonly gid: number } | null
  readonly timeoutMs: number
}

/** A token file as it is configured, checked as far as that can be done before it is written. */
export interface SinkSettings {
  readonly sink: Sink
  readonly section: SinkSection
  readonly command: SinkCommand | null
  readonly roots: readonly string[]
}

/** BRK-100: no token is longer. */
const longestToken = 65_536

/** Bytes: the 255 of file systems, less what `.expired` adds. */
const longestName = 240

/** What stands against a key of the sink at `position`, with its line in the configuration. */
type Refuse = (key: keyof SinkSection, says: string) => AttestdError

function refusing({ file, text }: LoadedConfiguration, position: number): Refuse {
  return (key, says) => invalidAt(file, text, ['sinks', position, key], says)
}

function formatOf({ format, member, secret, name }: SinkSection): FileFormat {
  if (format === 'json') return { kind: 'json', member }
  return format === 'text' ? { kind: 'text' } : { kind: 'envoy-secret', secret: secret ?? name }
}

function requestOf(section: SinkSection, { remotes }: Configuration, refuse: Refuse): TokenRequest {
  const { issuer, audience } = section
  if (issuer === localIssuer) {
    if (audience === undefined) throw refuse('audience', 'is missing: the bundled issuer has none for all tokens')
    return plainRequest(audience)
  }
  const remote = remotes.find(({ name }) => name === issuer)
  if (remote === undefined) {
    throw refuse('issuer', `is not one of ${[localIssuer, ...remotes.map(({ name }) => name)].join(', ')}`)
  }
  const fixed = remote.audience ?? remote.issuer
  if (audience !== undefined && audience !== fixed) throw refuse('audience', `is not ${fixed}, that of this issuer`)
  return { ...plainRequest(fixed), issuer, policyIds: [...remote.policy_ids] }
}

function charactersOf({ consumer, max_characters: asked }: SinkSection, refuse: Refuse): number {
  const limits: ConsumerLimits = consumers[consumer]
  const most = Math.min(limits.tokenCharacters, longestToken)
  if (asked !== undefined && asked > most) throw refuse('max_characters', `is more than ${consumer} takes: ${most}`)
  return asked ?? most
}

/** A file has no key that a token could name. */
function requireKeyless({ audience }: TokenRequest, audiences: AudiencePolicies, refuse: Refuse): void {
  if (audiences.policyFor(audience).subject.mode !== 'key') return
  throw refuse('audience', 'has subject mode key: its tokens name the key of a caller, and a file has none')
}

function requireForm(section: SinkSection, refuse: Refuse): void {
  const { format, path, layout, on_expiry: onExpiry } = section
  if (format === 'envoy-secret' && !path.endsWith('.json')) {
    throw refuse('path', 'must end in .json: Envoy tells the form of a file by its name')
  }
  if (/^\.\.|^\.tmp-/.test(basename(path)))
    throw refuse('path', 'must not begin with .. or .tmp-: the agent needs such names')
  if (Buffer.byteLength(basename(path)) > longestName)
    throw refuse('path', `has a name of more than ${longestName} bytes`)
  if (layout === 'projected' && onExpiry === 'rename') {
    throw refuse('on_expiry', 'must be remove in layout projected, which has no other name for the file')
  }
}

/** BRK-118: what is lexically outside, or open to others, is refused before anything is written. A directory may come later. */
async function requireDirectory(
  { path, ...section }: SinkSection,
  roots: readonly string[],
  refuse: Refuse,
): Promise<void> {
  const directory = dirname(path)
  if (!roots.some((root) => directory === root || directory.startsWith(root === '/' ? root : `${root}/`))) {
    throw refuse('path', `is below none of token_files.roots: ${roots.join(', ')}`)
  }
  const { allow_consumer_writable: allowConsumerWritable, allow_disk: allowDisk } = section
  try {
    await requireTokenDirectory(directory, { roots, allowConsumerWritable, allowDisk })
  } catch (error) {
    if (!(error instanceof AttestdError)) throw error
    if (error.kind === 'configuration') throw refuse('path', `cannot be used: ${error.message}`)
  }
}

/** Where a path leads today, so that two names of one place are found to be the same. */
async function realPlace(path: string): Promise<string> {
  return join(await realpath(dirname(path)).catch(() => dirname(path)), basename(path))
}

async function requireDifferent(
  sections: readonly SinkSection[],
  refusing: (position: number) => Refuse,
): Promise<void> {
  const places = await Promise.all(sections.map(({ path }) => realPlace(path)))
  sections.forEach(({ name }, position) => {
    const refuse = refusing(position)
    const before = sections.slice(0, position)
    if (before.some((other) => other.name === name)) throw refuse('name', 'is the name of another one')
    if (places.indexOf(places[position] ?? '') < position) throw refuse('path', 'is the path of another one')
    if (sections.some(({ on_expiry: end }, at) => end === 'rename' && `${places[at]}.expired` === places[position])) {
      throw refuse('path', 'is where another one is set aside at its end')
    }
    const beside = sections.filter((_, at) => dirname(places[at] ?? '') === dirname(places[position] ?? ''))
    if (beside.length > 1 && beside.some(({ layout }) => layout === 'projected')) {
      throw refuse(
        'path',
        'shares its directory with another one; one of layout projected needs a directory of its own',
      )
    }
  })
}

/** The right to run a program as somebody else is checked where the configuration is: later nobody would look. */
async function commandOf(section: SinkSection, accounts: AccountNumbers, refuse: Refuse): Promise<SinkCommand | null> {
  const { on_change: argv, on_change_user: name, on_change_timeout: timeout } = section
  if (argv === undefined && name !== undefined) throw refuse('on_change_user', 'is of no use without on_change')
  const [program, ...rest] = argv ?? []
  if (program === undefined) return null
  if (!program.startsWith('/')) throw refuse('on_change', 'must begin with the absolute path of a program')
  const command = { argv: [program, ...rest], timeoutMs: requireDuration(timeout) } as const
  if (name === undefined) return { ...command, user: null }
  const [uid, gid] = [accounts.user(name), accounts.groupOfUser(name)]
  if (uid === null || gid === null) throw refuse('on_change_user', 'is no user of this machine')
  if (uid === process.geteuid?.()) return { ...command, user: null }
  if (await mayChangeUser()) return { ...command, user: { uid, gid } }
  const says = 'is another user than the agent, which may not run programs as others; watch the file with a path unit'
  throw refuse('on_change_user', says)
}

interface SinkContext {
  readonly configuration: Configuration
  readonly audiences: AudiencePolicies
  readonly accounts: AccountNumbers
  readonly refuse: Refuse
}

async function readSink(
  section: SinkSection,
  { configuration, audiences, accounts, refuse }: SinkContext,
): Promise<SinkSettings> {
  const { roots } = configuration.token_files
  const request = requestOf(section, configuration, refuse)
  if (request.issuer === localIssuer) requireKeyless(request, audiences, refuse)
  requireForm(section, refuse)
  await requireDirectory(section, roots, refuse)
  const { name, path, on_expiry: onExpiry, remove_on_stop: removeOnStop } = section
  const maxCharacters = charactersOf(section, refuse)
  const command = await commandOf(section, accounts, refuse)
  return {
    section,
    command,
    roots,
    sink: { name, path, request, format: formatOf(section), maxCharacters, onExpiry, removeOnStop },
  }
}

/** Checks the token files of a configuration (BRK-113, BRK-118). Throws `CONFIGURATION_INVALID` naming line and key. */
export async function readSinks(
  loaded: LoadedConfiguration,
  audiences: AudiencePolicies,
  accounts: AccountNumbers,
): Promise<SinkSettings[]> {
  const { configuration } = loaded
  const found: SinkSettings[] = []
  for (const [position, section] of configuration.sinks.entries()) {
    found.push(await readSink(section, { configuration, audiences, accounts, refuse: refusing(loaded, position) }))
  }
  await requireDifferent(configuration.sinks, (position) => refusing(loaded, position))
  return found
}
