import { InvalidArgumentError, Option } from 'commander'
import { workloadSocket } from '../../client/socket-path.ts'

/** A parser for commander that takes decimal integers from `min` to `max`. */
export function integerOption(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (!/^[0-9]{1,15}$/.test(text) || value < min || value > max) {
      throw new InvalidArgumentError(`must be an integer from ${min} to ${max}.`)
    }
    return value
  }
}

const sockets = {
  api: { of: 'the agent (api)', path: () => workloadSocket(process.env) },
  admin: { of: 'the agent (admin)', path: () => '/run/attestd/admin.sock' },
  verifier: { of: 'the verifier service (admin)', path: () => '/run/attestd-verifier/admin.sock' },
} as const

/** Which Unix socket a command talks to. */
export function socketOption(kind: keyof typeof sockets): Option {
  const { of, path } = sockets[kind]
  return new Option('--socket <path>', `Unix socket of ${of}`).default(path())
}

/** A point in time for `--at`: RFC 3339 with zone, or seconds since the epoch. Gives milliseconds. */
export function timeOption(text: string): number {
  if (/^[0-9]{1,11}$/.test(text)) return Number(text) * 1000
  const milliseconds = Date.parse(text)
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/.test(text) || Number.isNaN(milliseconds)) {
    throw new InvalidArgumentError('must be a time such as 2026-01-31T12:00:00Z, or seconds since the epoch.')
  }
  return milliseconds
}

/** Bytes in lower-case hexadecimal, `min` to `max` of them. */
export function hexOption(min: number, max: number): (text: string) => Uint8Array {
  return (text) => {
    if (!/^(?:[0-9a-f]{2})*$/.test(text) || text.length < 2 * min || text.length > 2 * max) {
      throw new InvalidArgumentError(
        `must be ${min === max ? min : `${min} to ${max}`} bytes in lower-case hexadecimal.`,
      )
    }
    return new Uint8Array(Buffer.from(text, 'hex'))
  }
}
