import { describe, expect, it } from 'vitest'
import { alibabaMirror, isNearHost, parsePccsBase } from './pccs-base.ts'

const codeOf = (work: () => unknown): string => {
  try {
    work()
    return 'accepted'
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
}

describe('a configured URL (TDX-201)', () => {
  it.each([
    ['https://host', 'https://host', 4],
    ['https://host/', 'https://host', 4],
    ['https://host:8081/sgx/certification/v4/', 'https://host:8081', 4],
    ['https://host:8081/sgx/certification/v4', 'https://host:8081', 4],
    ['https://host:8081/sgx/certification/v4//', 'https://host:8081', 4],
    ['https://host/sgx/certification/v3/', 'https://host', 3],
    ['https://host/tdx/certification/v4/', 'https://host', 4],
    ['https://host/behind/a/proxy', 'https://host/behind/a/proxy', 4],
    ['https://host/proxy/sgx/certification/v4/', 'https://host/proxy', 4],
    ['https://HOST:443/', 'https://host', 4],
  ])('%s', (text, prefix, sgxVersion) => {
    expect(parsePccsBase(text)).toEqual({ prefix, sgxVersion, rootCrl: null })
  })

  it('of Intel has the list of its root elsewhere', () => {
    expect(parsePccsBase('https://api.trustedservices.intel.com/sgx/certification/v4/').rootCrl).toBe(
      'https://certificates.trustedservices.intel.com/IntelSGXRootCA.der',
    )
    expect(parsePccsBase('https://api.trustedservices.intel.com.evil.example').rootCrl).toBeNull()
  })

  it.each([
    'host:8081',
    'ftp://host',
    'file:///etc',
    'http://host',
    'http://127.0.0.1:8081',
    'https://user:secret@host',
    'https://user@host',
    'https://host/?x=1',
    'https://host/#x',
    'https://host/sgx/certification/v2/',
    'https://host/sgx/certification/v5/',
    'https://host/tdx/certification/v3/',
    'https://host/sgx/certification/v4/tcb',
    'https://host/sgx/certification/v4/sgx/certification/v4/',
    '',
  ])('%s is refused', (text) => {
    expect(codeOf(() => parsePccsBase(text))).toBe('collateral_source_invalid')
  })

  it('with a password does not repeat it', () => {
    expect(() => parsePccsBase('https://user:secret@host')).toThrow(/^(?!.*secret)/)
    expect(() => parsePccsBase('ht tp://user:secret@host')).toThrow(/^(?!.*secret)/)
  })
})

describe('what may be reached insecurely (PCS-02)', () => {
  it.each([
    'http://127.0.0.1:8081',
    'http://localhost',
    'http://[::1]:8081',
    'https://127.1.2.3',
    'http://sgx-dcap-server-vpc.cn-beijing.aliyuncs.com',
    'https://sgx-dcap-server-vpc.ap-southeast-1.aliyuncs.com/sgx/certification/v4/',
  ])('%s', (text) => {
    expect(codeOf(() => parsePccsBase(text, { insecure: true }))).toBe('accepted')
  })

  it.each([
    'http://pccs.example',
    'https://pccs.example',
    'https://api.trustedservices.intel.com',
    'http://127.0.0.1.evil.example',
    'http://localhost.evil.example',
    'http://sgx-dcap-server.cn-beijing.aliyuncs.com',
    'http://sgx-dcap-server-vpc.cn-beijing.aliyuncs.com.evil.example',
    'http://sgx-dcap-server-vpc.evil.example.aliyuncs.com',
  ])('%s may not', (text) => {
    expect(codeOf(() => parsePccsBase(text, { insecure: true }))).toBe('collateral_source_invalid')
  })

  it('is this host or the VPC', () => {
    expect(isNearHost('10.0.0.1')).toBe(false)
    expect(isNearHost('sgx-dcap-server-vpc.cn-hangzhou.aliyuncs.com')).toBe(true)
  })
})

describe('mirrors of Alibaba Cloud (TDX-207)', () => {
  it.each([
    ['cn-beijing', 'public', 'https://sgx-dcap-server.cn-beijing.aliyuncs.com'],
    ['cn-beijing', 'vpc', 'https://sgx-dcap-server-vpc.cn-beijing.aliyuncs.com'],
    ['ap-southeast-1', 'public', 'https://sgx-dcap-server.ap-southeast-1.aliyuncs.com'],
    ['cn-beijing-finance-1', 'vpc', 'https://sgx-dcap-server-vpc.cn-beijing-finance-1.aliyuncs.com'],
  ] as const)('%s, %s', (region, network, prefix) => {
    expect(alibabaMirror(region, network).prefix).toBe(prefix)
  })

  it.each([
    '',
    'beijing',
    'CN-beijing',
    'cn-beijing.evil.example/',
    'cn-beijing/',
    'cn_beijing',
    'cn-',
    'cn-b',
    'a-b-c',
  ])('%j is no region', (region) => {
    expect(codeOf(() => alibabaMirror(region, 'public'))).toBe('collateral_source_invalid')
  })
})
