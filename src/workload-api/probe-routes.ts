import type { Route } from './route.ts'

export interface Readiness {
  readonly ready: boolean
  /** Numbered, without names of audiences: `sink:3:expired`. */
  readonly reasons: readonly string[]
}

/** `GET /livez` and `GET /readyz`: need no rule and no caller (API-62, API-83). */
export function probeRoutes(readiness: () => Readiness): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/livez',
      caller: false,
      handle: (exchange) => exchange.answer({ status: 200, type: 'text/plain; charset=us-ascii', body: 'ok' }),
    },
    {
      method: 'GET',
      path: '/readyz',
      caller: false,
      handle: (exchange) => {
        const { ready, reasons } = readiness()
        const body = JSON.stringify(ready ? { ready } : { ready, reasons })
        return exchange.answer({ status: ready ? 200 : 503, type: 'application/json', body })
      },
    },
  ]
}
