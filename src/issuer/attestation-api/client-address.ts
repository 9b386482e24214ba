import { BlockList, isIP } from 'node:net'
import { issuerErrors } from '../errors.ts'

/** Whose word on the client's address is taken; `undefined`: the peer of a Unix socket. */
export type ProxyTrust = (address: string | undefined) => boolean

const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i

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

const groupsOf = (part: string) => (part === '' ? [] : part.split(':'))

/**
 * Whom requests are counted for: an IPv4 address, or the first half of an IPv6 address, for one subscriber has all of the
 * other half.
 */
export function addressKey(address: string | undefined): string {
  const plain = (address ?? '').replace(/%.*$/, '')
  const text = mapped.exec(plain)?.[1] ?? plain
  const family = isIP(text)
  if (family !== 6) return family === 4 ? text : unknownAddress
  const [head = '', tail] = text.replace(/\d+\.\d+\.\d+\.\d+$/, '0:0').split('::')
  const [left, right] = [groupsOf(head), groupsOf(tail ?? '')]
  const zeros = Array.from({ length: tail === undefined ? 0 : 8 - left.length - right.length }, () => '0')
  const network = [...left, ...zeros, ...right].slice(0, 4)
  return `${network.map((group) => Number.parseInt(group, 16).toString(16)).join(':')}::/64`
}
