import { Counter, Histogram, type OpenMetricsContentType, type Registry } from 'prom-client'
import type { WorkloadEvent, WorkloadObserver } from '../../workload-api/workload-log.ts'
import { BoundedLabel, otherLabel } from './bounded-label.ts'

const mostCodes = 96
const mostListeners = 16
const mostRules = 128
const methods = new Set(['GET', 'HEAD', 'POST', 'PUT'])
const secondsOfRequests = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 15, 30, 60]

type Answered = Extract<WorkloadEvent, { event: 'answered' }>

function measureAnswers(registry: Registry<OpenMetricsContentType>): (told: Answered) => void {
  const registers = [registry]
  const requests = new Counter({
    name: 'attestd_request_total',
    help: 'answers, by the code of the problem or the status, and by where a token came from',
    labelNames: ['listener', 'method', 'code', 'source'],
    registers,
  })
  const duration = new Histogram({
    name: 'attestd_request_duration_seconds',
    help: 'time from the head of a request to its answer',
    buckets: secondsOfRequests,
    registers,
  })
  const [codes, listeners] = [new BoundedLabel(mostCodes), new BoundedLabel(mostListeners)]
  return ({ listener, method, status, code, source, durationMs }) => {
    requests.inc({
      listener: listeners.of(listener),
      method: methods.has(method) ? method : otherLabel,
      code: code === null ? String(status) : codes.of(code),
      source: source ?? 'none',
    })
    duration.observe(durationMs / 1000)
  }
}

function measureRefusals(registry: Registry<OpenMetricsContentType>): WorkloadObserver {
  const registers = [registry]
  const denied = new Counter({
    name: 'attestd_policy_denied_total',
    help: 'denied requests, by the rule that came furthest and what it refused',
    labelNames: ['rule', 'dimension'],
    registers,
  })
  const limited = new Counter({
    name: 'attestd_rate_limited_total',
    help: 'connections and requests beyond a rate, by the limit',
    labelNames: ['stage'],
    registers,
  })
  const identified = new Counter({
    name: 'attestd_identity_total',
    help: 'look-ups of who connected, by the way and the result',
    labelNames: ['kind', 'result'],
    registers,
  })
  const [rules, results] = [new BoundedLabel(mostRules), new BoundedLabel(mostCodes)]
  return (told) => {
    if (told.event === 'denied') {
      denied.inc({ rule: told.rule === null ? 'none' : rules.of(told.rule), dimension: told.dimension })
    } else if (told.event === 'rate_limited') limited.inc({ stage: told.stage })
    else if (told.event === 'caller_identified') {
      identified.inc({ kind: told.identity ?? 'none', result: results.of(told.result) })
    }
  }
}

/** What callers get (broker.md section 13). Gives the observer that counts; `expired` hears of tokens written after their end. */
export function measureRequests(registry: Registry<OpenMetricsContentType>, expired: () => void): WorkloadObserver {
  const answered = measureAnswers(registry)
  const refused = measureRefusals(registry)
  return (told) => {
    if (told.event === 'answered') answered(told)
    else if (told.event === 'expired_token_written') expired()
    else refused(told)
  }
}
