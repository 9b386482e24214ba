import { isFilledWith } from '../../base/bytes.ts'
import { eventTypes, evNoAction } from '../../evidence/event-log/event-types.ts'
import type { LoggedEvent } from '../../evidence/event-log/logged-event.ts'
import { type UefiVariable, variableNameOf, variableOf } from '../../evidence/event-log/uefi-variable.ts'
import type { EventBinding } from './event-binding.ts'
import { describeEvent, separatorProblems, typeProblems } from './event-log-rules.ts'
import type { JudgedEventLog } from './judged-event-log.ts'

const globalGuid = '8be4df61-93ca-11d2-aa0d-00e098032b8c'
const databaseGuid = 'd719b2cb-3d3a-4596-a3bc-dad00e67656f'
const shimGuid = '605dab50-e046-4300-abb6-3dd810dd8b23'

/** SB-01: the variables that together say what the machine boots. */
const secureBootVariables = ['SecureBoot', 'PK', 'KEK', 'db', 'dbx'] as const
export type SecureBootVariable = (typeof secureBootVariables)[number]

const guidOf: Readonly<Record<SecureBootVariable, string>> = {
  SecureBoot: globalGuid,
  PK: globalGuid,
  KEK: globalGuid,
  db: databaseGuid,
  dbx: databaseGuid,
}

/** What verified an image that was started (SB-05), or that shim took into account; behind the separator of PCR 7. */
export interface Authority {
  readonly event: LoggedEvent
  readonly bound: EventBinding
  /** Null where it is not bound, or no variable of SB-05: it is then some event behind the separator. */
  readonly name: string | null
  readonly guid: string | null
  readonly value: Uint8Array
}

/** What PCR 7 says of secure boot. Holds only for a log that replays, and only if PCR 7 is among its proved registers. */
export interface SecureBoot {
  /** SB-03; `unknown` where something is missing or contradicts. */
  readonly state: 'enabled' | 'disabled' | 'unknown'
  /** SB-04; null where PK is not known. */
  readonly setupMode: boolean | null
  /** Values of the bound variables, as they were measured before the separator. */
  readonly variables: ReadonlyMap<SecureBootVariable, Uint8Array>
  /** Names that are logged, but whose name and GUID no digest covers (machines with TPM 1.2). */
  readonly unbound: readonly SecureBootVariable[]
  readonly missing: readonly SecureBootVariable[]
  readonly separatorSeen: boolean
  /** SB-02: what no honest firmware logs. */
  readonly problems: readonly string[]
  /** Every event behind the separator, in order. */
  readonly authorities: readonly Authority[]
}

function isSecureBootVariable(name: string | null): name is SecureBootVariable {
  return name !== null && (secureBootVariables as readonly string[]).includes(name)
}

/** Collects driver-config events before the separator. */
class Configuration {
  readonly variables = new Map<SecureBootVariable, Uint8Array>()
  readonly unbound: SecureBootVariable[] = []
  readonly problems: string[] = []

  take(event: LoggedEvent, bound: EventBinding): void {
    const variable = variableOf(event.data)
    const name = variable && variableNameOf(variable)
    if (variable === null || !isSecureBootVariable(name)) return
    if (bound !== 'data') this.unbound.push(name)
    else this.#takeBound(event, name, variable)
  }

  #takeBound(event: LoggedEvent, name: SecureBootVariable, { guid, value }: UefiVariable): void {
    if (guid !== guidOf[name]) this.problems.push(`${describeEvent(event)} has ${name} under the GUID ${guid}`)
    else if (this.variables.has(name)) this.problems.push(`${describeEvent(event)} has ${name} again`)
    else this.variables.set(name, value)
    if (name === 'SecureBoot' && (value.length > 1 || (value[0] ?? 0) > 1)) {
      this.problems.push(`${describeEvent(event)} has a SecureBoot of ${value.length} bytes other than 00 and 01`)
    }
  }
}

const shimNames = ['Shim', 'MokList', 'SbatLevel', 'MokListTrusted', 'vendor_db']

/** SB-05. */
function isAuthority(name: string | null, guid: string): name is string {
  if (name === null) return false
  return guid === databaseGuid ? name === 'db' : guid === shimGuid && shimNames.includes(name)
}

function authorityOf(event: LoggedEvent, bound: EventBinding): Authority {
  const isBound = event.type === eventTypes.variableAuthority && (bound === 'data' || bound === 'data-tail')
  const variable = isBound ? variableOf(event.data) : null
  const name = variable && variableNameOf(variable)
  if (variable === null || !isAuthority(name, variable.guid)) {
    return { event, bound, name: null, guid: null, value: new Uint8Array() }
  }
  return { event, bound, name, guid: variable.guid, value: variable.value }
}

const isSeparator = ({ type }: LoggedEvent) => type === eventTypes.separator

function lateProblems(late: readonly LoggedEvent[]): string[] {
  const configured = late.filter(({ type }) => type === eventTypes.variableDriverConfig)
  return configured.map((event) => `${describeEvent(event)} stands behind the separator`)
}

/** Of PCR 7 alone: a variable twice, a name under a GUID that is not its own, and what breaks ELOG-14 or ELOG-15. */
function problemsOf(judged: JudgedEventLog, events: readonly LoggedEvent[]): string[] {
  const log = { ...judged.log, events }
  return [...separatorProblems({ log }), ...typeProblems({ log }, new Set(judged.banks.values()))]
}

function stateOf(variables: ReadonlyMap<SecureBootVariable, Uint8Array>, isWhole: boolean): SecureBoot['state'] {
  const value = variables.get('SecureBoot')
  if (!isWhole || value === undefined) return 'unknown'
  return isFilledWith(value, 0) ? 'disabled' : 'enabled'
}

/** Reads PCR 7 as SB-01 to SB-05 say. Nothing is concluded from events of other registers (ELOG-16). */
export function judgeSecureBoot(judged: JudgedEventLog): SecureBoot {
  const events = judged.log.events.filter(({ pcr, type }) => pcr === 7 && type !== evNoAction)
  const boundOf = ({ index }: LoggedEvent) => judged.bounds[index] ?? 'none'
  const at = events.findIndex(isSeparator)
  const [early, late] = at < 0 ? [events, []] : [events.slice(0, at), events.slice(at + 1)]
  const configuration = new Configuration()
  for (const event of early) {
    if (event.type === eventTypes.variableDriverConfig) configuration.take(event, boundOf(event))
  }
  const { variables, unbound } = configuration
  const problems = [...configuration.problems, ...lateProblems(late), ...problemsOf(judged, events)]
  const missing = secureBootVariables.filter((name) => !variables.has(name))
  const isWhole = at >= 0 && missing.length === 0 && problems.length === 0 && judged.banks.has(7)
  const key = variables.get('PK')
  return {
    state: stateOf(variables, isWhole),
    setupMode: isWhole && key !== undefined ? key.length === 0 : null,
    variables,
    unbound,
    missing,
    separatorSeen: at >= 0,
    problems,
    authorities: late.filter((event) => !isSeparator(event)).map((event) => authorityOf(event, boundOf(event))),
  }
}
