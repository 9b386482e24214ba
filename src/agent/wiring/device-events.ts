import type { AgentCore, AgentService } from '../core.ts'

/** What happens to this guest makes its tokens old (broker.md section 8). */
export function wireDeviceEvents({ broker, measurements, settings }: AgentCore): AgentService {
  measurements.add(() => {
    const { on_measure: onMeasure } = settings().configuration.broker
    broker.invalidate({ all: true, hard: onMeasure === 'hard' })
  })
  return { tasks: [] }
}
