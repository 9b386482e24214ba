import { drawUnit } from '../../base/random.ts'
import { defaultBrokerLimits } from '../../passport/limits.ts'
import { SinkKeeper } from '../../passport/sinks/sink-keeper.ts'
import type { SinkEvent } from '../../passport/sinks/sink-status.ts'
import { type PlannedSink, TokenFiles } from '../../passport/sinks/token-files.ts'
import { TokenFile, type TokenFileOptions } from '../../platform/token-file.ts'
import type { AgentCore, AgentService } from '../core.ts'
import type { Settings } from './settings.ts'
import type { SinkSettings } from './sink-settings.ts'

/** BRK-109: what is longer may not fit into the header in which a consumer sends it on. */
const headerCharacters = 8_192

interface PlannedFile extends PlannedSink {
  readonly options: Omit<TokenFileOptions, 'random'>
}

function plan({ sink, section, roots }: SinkSettings): PlannedFile {
  const { allow_consumer_writable: allowConsumerWritable, allow_disk: allowDisk, mode, path } = section
  const options = { path, mode: Number.parseInt(mode, 8), roots, allowConsumerWritable, allowDisk }
  return { sink, options, settings: options }
}

function report({ log }: AgentCore, { event, ...facts }: SinkEvent): void {
  switch (event) {
    case 'sink_failed':
      return void log.error({ event, ...facts }, 'a token file is not as it should be')
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

/** Keeps the token files of the configuration (broker.md section 11). */
export function wireSinks(core: AgentCore): AgentService {
  const { host, broker, brokerEvents, settings } = core
  const { clock, random } = host
  const plansOf = ({ sinks }: Settings) => sinks.map(plan)
  const files = new TokenFiles(plansOf(settings()), clock, ({ sink, options }: PlannedFile) => {
    return new SinkKeeper({
      ...{ sink, broker, clock },
      openPlace: () => TokenFile.open({ ...options, random }),
      drawUnit: () => drawUnit(random),
      floorMs: defaultBrokerLimits.servingFloorS * 1000,
      observe: (event) => report(core, event),
      changed: () => undefined,
    })
  })
  brokerEvents.add((event) => files.hear(event))
  return {
    tasks: [(signal) => files.keep(signal)],
    adopt: (changed) => files.adopt(plansOf(changed)),
    failing: () => files.failing(),
    describe: () => ({ sinks: files.status() }),
  }
}
