import { stat } from 'node:fs/promises'
import { AttestdError } from '../../base/errors.ts'
import { findLockHolder } from '../../platform/in-use.ts'
import { type LoadedConfiguration, readConfiguration } from '../configuration/read.ts'
import { type Configuration, configurationSchema } from '../configuration/schema.ts'
import { composeSettings } from '../wiring/settings.ts'
import { lockPath } from '../wiring/state-hold.ts'
import type { EkTrust } from '../wiring/trust-files.ts'
import { failure, type Item, ok, problem, warning } from './item.ts'
import { socketItems } from './socket-items.ts'

/** What the configuration says, and defaults where there is none. */
export interface KnownSettings {
  /** False: the values are defaults, and nobody has decided them. */
  readonly configured: boolean
  readonly tpm: Configuration['tpm']
  readonly tdx: Configuration['tdx']
  readonly verifier: Configuration['verifier']
  readonly agent: Configuration['agent']
  readonly listen: Configuration['listen']
  /** Null where the files that are named cannot be read. */
  readonly trust: EkTrust | null
}

export interface SettingsLook {
  readonly items: readonly Item[]
  readonly known: KnownSettings
}

function defaults(): KnownSettings {
  const { tpm, tdx, verifier, agent, listen } = configurationSchema.shape
  const devices = { tpm: tpm.parse({}), tdx: tdx.parse({}) }
  const rest = { verifier: verifier.parse({}), agent: agent.parse({}), listen: listen.parse({}) }
  return { configured: false, ...devices, ...rest, trust: { anchors: [], intermediates: [], crls: [] } }
}

const isMissing = ({ cause }: AttestdError) => (cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT'

function unread(file: string, explicit: boolean, error: AttestdError): SettingsLook {
  const none = 'write one: docs/configuration.md lists every key, systemd/attestd.toml is an example'
  const item =
    isMissing(error) && !explicit
      ? warning('configuration', `${file} does not exist; what follows is judged by the defaults`, none)
      : failure('configuration', error)
  return { items: [item], known: defaults() }
}

/** What is not public about a service cannot have been tested (attestation-service.md section 12). */
function remoteItems({ remotes }: Configuration): Item[] {
  return remotes.map(({ name, issuer }) => {
    const says = `${issuer}: this client is unverified against the hosted service, whose behaviour is public in part only`
    return warning(
      `remote.${name}`,
      says,
      'fetch a token by this issuer before you rely on it: `attestd token --issuer`',
    )
  })
}

async function readAll(loaded: LoadedConfiguration): Promise<SettingsLook> {
  const { tpm, tdx, verifier, agent, listen } = loaded.configuration
  const known = { configured: true, tpm, tdx, verifier, agent, listen }
  try {
    const { trust } = await composeSettings(loaded)
    const items = [ok('configuration', `${loaded.file} is valid`), ...remoteItems(loaded.configuration)]
    return { items, known: { ...known, trust } }
  } catch (error) {
    if (!(error instanceof AttestdError)) throw error
    return { items: [failure('configuration', error)], known: { ...known, trust: null } }
  }
}

/** Reads the configuration as the agent would. `explicit`: the file was named, so that it has to exist. */
export async function lookAtSettings(file: string, explicit: boolean): Promise<SettingsLook> {
  try {
    return await readAll(await readConfiguration(file))
  } catch (error) {
    if (!(error instanceof AttestdError)) throw error
    return unread(file, explicit, error)
  }
}

const folderRemedy = 'give the directory to the user of the agent, mode 0700'

async function stateItems(path: string, uid: number): Promise<Item[]> {
  const id = 'state'
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => error.code ?? 'unknown')
  if (found === 'ENOENT') return [ok(id, `${path} does not exist yet; the agent makes it`)]
  if (typeof found === 'string') {
    return [warning(id, `${path} cannot be seen by this user (${found})`, 'look as the user of the agent, or as root')]
  }
  if (!found.isDirectory()) return [problem(id, `${path} is not a directory`, folderRemedy)]
  const mode = (found.mode & 0o777).toString(8)
  if ((found.mode & 0o077) !== 0) return [problem(id, `others can enter ${path} (mode ${mode})`, folderRemedy)]
  const own = found.uid === uid
  const remedy = 'look as that user too: what this user may open, that one may not, or the other way round'
  return [
    ok(id, `${path}, mode ${mode}, of ${own ? 'this user' : `uid ${found.uid}`}`),
    ...(own ? [] : [warning('user', `this is uid ${uid}, the state belongs to uid ${found.uid}`, remedy)]),
  ]
}

export interface AgentLook {
  readonly items: readonly Item[]
  /** Process that holds the state directory; null if none does. */
  readonly holder: number | null
}

/** What the agent keeps and where it listens; makes nothing, locks nothing and wakes nobody. */
export async function lookAtAgent({ agent, listen }: KnownSettings, uid: number): Promise<AgentLook> {
  const { state_directory: directory } = agent
  const holder = await findLockHolder(lockPath(directory))
  const runs = holder === null ? 'no agent runs' : `process ${holder} holds the state directory`
  const items = [
    ...(await stateItems(directory, uid)),
    ok('agent', runs),
    ...(await socketItems('socket.api', listen.api)),
    ...(await socketItems('socket.admin', listen.admin)),
    ...(listen.cred === undefined ? [] : await socketItems('socket.cred', listen.cred)),
  ]
  return { items, holder }
}
