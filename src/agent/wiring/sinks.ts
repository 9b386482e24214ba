import { drawUnit } from '../../base/random.ts'
import { ChangeNotices, CommandedSink, type RunCommand } from '../../passport/sinks/commanded-sink.ts'
import type { Sink } from '../../passport/sinks/sink.ts'
import { SinkKeeper } from '../../passport/sinks/sink-keeper.ts'
import type { SinkEvent } from '../../passport/sinks/sink-status.ts'
import { type KeptSink, type PlannedSink, TokenFiles } from '../../passport/sinks/token-files.ts'
import { type CommandHost, runChangeCommand } from '../../platform/change-command.ts'
import { ProjectedTokenFile } from '../../platform/projected-token-file.ts'
import { TokenFile, type TokenFileOptions } from '../../platform/token-file.ts'
import type { AgentCore, AgentService } from '../core.ts'
import type { Settings } from './settings.ts'
import type { SinkCommand, SinkSettings } from './sink-settings.ts'

/** BRK-109: what is longer may not fit into the header in which a consumer sends it on. */
const headerCharacters = 8_192

interface PlannedFile extends PlannedSink {
  readonly options: Omit<TokenFileOptions, 'random'>
  readonly layout: 'plain' | 'projected'
  readonly command: SinkCommand | null
}

function plan({ sink, section, roots, command }: SinkSettings): PlannedFile {
  const { allow_consumer_writable: allowConsumerWritable, allow_disk: allowDisk, mode, path, layout } = section
  const options = { path, mode: Number.parseInt(mode, 8), roots, allowConsumerWritable, allowDisk }
  return { sink, options, layout, command, settings: { options, layout, command } }
}

/** Nothing of the token, and nothing of the agent's own environment. */
function environmentOf({ name, path }: Sink): Readonly<Record<string, string>> {
  return { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C', ATTESTD_SINK: name, ATTESTD_FILE: path }
}

function measure({ metrics: { sinks } }: AgentCore, event: SinkEvent): void {
  switch (event.event) {
    case 'sink_written':
      sinks.written(event.sink, 'ok')
      return void sinks.ends(event.sink, event.expiresAt)
    case 'sink_restored':
      return void sinks.written(event.sink, 'ok')
    case 'sink_attempt_failed':
      return void sinks.written(event.sink, 'failed')
    case 'sink_removed':
      return void sinks.ends(event.sink, null)
  }
}

function report({ log }: AgentCore, { event, ...facts }: SinkEvent): void {
  switch (event) {
    case 'sink_failed':
      return void log.error({ event, ...facts }, 'a token file is not as it should be')
    case 'sink_command_failed':
      return void log.error({ event, ...facts }, 'the command after a change of a token file failed')
    case 'sink_command_done':
      return void log.debug({ event, ...facts }, 'the command after a change of a token file ended')
    case 'sink_restored':
      return void log.warn({ event, ...facts }, 'a token file was put back: somebody had removed or changed it')
    case 'sink_removed':
      return void log.warn({ event, ...facts }, 'a token file was removed')
    case 'sink_written': {
      if ('characters' in facts && facts.characters > headerCharacters) {
        log.warn({ event: 'sink_token_long', ...facts }, 'the token may be too long for an HTTP header')
      }
      return void log.info({ event, ...facts }, 'a token file was written')
    }
  }
}

function runs(sink: Sink, command: SinkCommand, host: CommandHost): RunCommand {
  const environment = environmentOf(sink)
  return (signal) => runChangeCommand({ ...command, environment }, host, signal)
}

function makeKept(core: AgentCore, { sink, options, layout, command }: PlannedFile): KeptSink {
  const { broker, host, limits } = core
  const { clock, random } = host
  const observe = (event: SinkEvent) => {
    measure(core, event)
    report(core, event)
  }
  const notices =
    command && new ChangeNotices({ ...{ name: sink.name, clock, observe }, run: runs(sink, command, host) })
  const keeper = new SinkKeeper({
    ...{ sink, broker, clock, observe },
    openPlace: () =>
      layout === 'plain'
        ? TokenFile.open({ ...options, random })
        : ProjectedTokenFile.open({ ...options, random, clock }),
    drawUnit: () => drawUnit(random),
    floorMs: limits.servingFloorS * 1000,
    changed: notices?.changed ?? (() => undefined),
  })
  return notices === null ? keeper : new CommandedSink(keeper, notices)
}

/** Keeps the token files of the configuration (broker.md section 11). */
export function wireSinks(core: AgentCore): AgentService {
  const { host, brokerEvents, settings } = core
  const plansOf = ({ sinks }: Settings) => sinks.map(plan)
  const files = new TokenFiles(plansOf(settings()), host.clock, (planned: PlannedFile) => makeKept(core, planned))
  brokerEvents.add((event) => files.hear(event))
  core.metrics.sinks.follow(() => files.status())
  return {
    tasks: [(signal) => files.keep(signal)],
    adopt: (changed) => files.adopt(plansOf(changed)),
    failing: () => files.failing(),
    describe: () => ({ sinks: files.status() }),
  }
}
