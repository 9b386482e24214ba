import { BlockList, isIP } from 'node:net'
import { issuerErrors } from '../errors.ts'

/** Whose word on the client's address is taken; `undefined`: the peer of a Unix socket. */
export type ProxyTrust = (address: string | undefined) => boolean

function addTo(list: BlockList, entry: string): boolean {
  const [address = '', bits, ...rest] = entry.split('/')
  const family = isIP(address)
  const most = family === 4 ? 32 : 128
  if (family === 0 || rest.length > 0) return false
  if (bits !== undefined && !(/^\d{1,3}$/.test(bits) && Number(bits) <= most)) return false
  list.addSubnet(address, bits === undefined ? most : Number(bits), family === 4 ? 'ipv4' : 'ipv6')
  return true
}

/**
 * Which peers are proxies whose `X-Forwarded-For` is believed: addresses, networks as `10.0.0.0/8`, and `unix` for
 * whoever speaks through the Unix socket. Nobody by default: anybody could write another address there and with it have
 * as many requests as it likes. Throws `PROXY_INVALID`.
 */
export function proxyTrust(entries: readonly string[]): ProxyTrust {
  const list = new BlockList()
  for (const entry of entries) {
    if (entry === 'unix' || addTo(list, entry)) continue
    throw issuerErrors.error('PROXY_INVALID', `${JSON.stringify(entry.slice(0, 64))} is no address and no network`)
  }
  const trustsUnix = entries.includes('unix')
  return (address) => {
    if (address === undefined || address === '') return trustsUnix
    const family = isIP(address)
    return family !== 0 && list.check(address, family === 4 ? 'ipv4' : 'ipv6')
  }
}

/** What is no address is counted together. */
export const unknownAddress = 'unknown'

const pairOf = (high: string, low: string) => (256 * Number(high) + Number(low)).toString(16)
const groupsOf = (part: string) => (part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16)))

/** The eight groups of an IPv6 address, in whatever form it is written. */
function allGroups(address: string): readonly number[] {
  const text = address.replace(
    /(\d+)\.(\d+)\.(\d+)\.(\d+)$/,
    (_, a: string, b: string, c: string, d: string) => `${pairOf(a, b)}:${pairOf(c, d)}`,
  )
  const [head = '', tail] = text.split('::')
  const [left, right] = [groupsOf(head), groupsOf(tail ?? '')]
  const zeros = Array.from({ length: tail === undefined ? 0 : 8 - left.length - right.length }, () => 0)
  return [...left, ...zeros, ...right]
}

/** Of `::ffff:192.0.2.1`, also as `::ffff:c000:201`: else all of IPv4 would be counted as one. */
function mappedAddress(groups: readonly number[]): string | null {
  if (groups[5] !== 0xffff || groups.slice(0, 5).some((group) => group !== 0)) return null
  return groups
    .slice(6)
    .flatMap((group) => [group >> 8, group & 255])
    .join('.')
}

/**
 * Whom requests are counted for: an IPv4 address, or the first half of an IPv6 address, for one subscriber has all of the
 * other half.
 */
export function addressKey(address: string | undefined): string {
  const text = (address ?? '').replace(/%.*$/, '')
  const family = isIP(text)
  if (family !== 6) return family === 4 ? text : unknownAddress
  const groups = allGroups(text)
  const network = groups.slice(0, 4).map((group) => group.toString(16))
  return mappedAddress(groups) ?? `${network.join(':')}::/64`
}
