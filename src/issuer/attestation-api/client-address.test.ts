import { describe, expect, it } from 'vitest'
import { addressKey, proxyTrust } from './client-address.ts'

describe('whom requests are counted for (SVC-43)', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1%eth0', '192.0.2.1'],
    ['::ffff:c000:201', '192.0.2.1'],
    ['0:0:0:0:0:FFFF:c000:0201', '192.0.2.1'],
    ['::ffff:0:0', '0.0.0.0'],
    ['::fffe:c000:201', '0:0:0:0::/64'],
    ['::1:ffff:c000:201', '0:0:0:0::/64'],
    ['::ffff:c000:201:1', '0:0:0:0::/64'],
    // Only the prefix of mapped addresses means that one: whoever has another network is nobody else.
    ['2001:db8::ffff:192.0.2.1', '2001:db8:0:0::/64'],
    ['::ffff:192.0.2.256', 'unknown'],
    ['::a:b:c:d:192.0.2.1', '0:0:a:b::/64'],
    ['1::3:4:5:6:7:8', '1:0:3:4::/64'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:DB8:1:2::9', '2001:db8:1:2::/64'],
    ['2001:0db8:0001:0002::', '2001:db8:1:2::/64'],
    ['2001:db8:1:3::9', '2001:db8:1:3::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['64:ff9b::192.0.2.1', '64:ff9b:0:0::/64'],
    ['somebody', 'unknown'],
    ['', 'unknown'],
    [undefined, 'unknown'],
  ])('%s is %s', (address, key) => {
    expect(addressKey(address)).toBe(key)
  })
})

describe('proxies that are believed', () => {
  it.each([
    [[], '127.0.0.1', false],
    [['127.0.0.1'], '127.0.0.1', true],
    [['127.0.0.1'], '127.0.0.2', false],
    [['127.0.0.1'], '::ffff:127.0.0.1', true],
    [['10.0.0.0/8'], '10.255.0.1', true],
    [['10.0.0.0/8'], '11.0.0.1', false],
    [['fd00::/8'], 'fd12::1', true],
    [['0.0.0.0/0'], 'somebody', false],
    [['0.0.0.0/0'], undefined, false],
    [['unix'], undefined, true],
    [['unix'], '127.0.0.1', false],
    [['unix'], '', true],
    [['127.0.0.1'], '', false],
    [['192.0.2.1/32'], '192.0.2.1', true],
    [['192.0.2.1/32'], '192.0.2.2', false],
    [['192.0.2.0/0'], '203.0.113.1', true],
    [['2001:db8::1'], '2001:db8::1', true],
    [['2001:db8::1'], '2001:db8::2', false],
    [['2001:db8::1/128'], '2001:db8::2', false],
    [['2001:db8::/127'], '2001:db8::1', true],
    [['::/0'], 'somebody', false],
    [['unix', '10.0.0.0/8', 'fd00::/8'], '10.1.1.1', true],
    [['unix', '10.0.0.0/8', 'fd00::/8'], 'fe00::1', false],
  ])('%j, %s: %s', (entries, address, expected) => {
    expect(proxyTrust(entries)(address)).toBe(expected)
  })
})

describe('proxies that are none', () => {
  it.each([
    '',
    'proxy',
    'Unix',
    '10.0.0',
    '10.0.0.0/',
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0.0/8.5',
    '10.0.0.0/0008',
    '10.0.0.0/8/8',
    '/8',
    '::/129',
    '10.0.0.1, 10.0.0.2',
  ])('%j is refused', (entry) => {
    expect(() => proxyTrust(['127.0.0.1', entry])).toThrow(
      expect.objectContaining({ code: 'PROXY_INVALID', message: expect.stringContaining(JSON.stringify(entry)) }),
    )
  })

  it('and long are told by their beginning', () => {
    expect(() => proxyTrust(['x'.repeat(1_000)])).toThrow(/^"x{64}" /)
  })
})
