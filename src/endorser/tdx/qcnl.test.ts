import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AttestdError } from '../../base/errors.ts'
import { parseQcnl } from './qcnl.ts'

const parse = (text: string) => parseQcnl(new TextEncoder().encode(text))
const pccs = 'https://localhost:8081/sgx/certification/v4/'

describe('lines (TDX-225)', () => {
  it('as distributed', () => {
    const text = `# PCCS server address\nPCCS_URL=${pccs}\n# To accept insecure HTTPS cert, set this option to FALSE\nUSE_SECURE_CERT=TRUE\n`
    expect(parse(text)).toMatchObject({ url: pccs, useSecureCertificate: true, retryTimes: null })
  })

  it.each([
    ['PCCS_URL=https://a\r\nUSE_SECURE_CERT=FALSE\r\n', { url: 'https://a', useSecureCertificate: false }],
    [' PCCS_URL = "https://a" ', { url: 'https://a', useSecureCertificate: true }],
    ['USE_SECURE_CERT=false', { url: null, useSecureCertificate: false }],
    ['PCCS_URL="https://a"/b', { url: '"https://a"/b' }],
    ['PCCS_URL=', { url: null }],
    ['', { url: null, useSecureCertificate: true }],
    ['OTHER=1\nPCCS_URL=https://a?x=y#z', { url: 'https://a?x=y#z' }],
  ])('%j', (text, expected) => {
    expect(parse(text)).toMatchObject(expected)
  })

  it.each([
    ['no name', '=x'],
    ['no value', 'PCCS_URL'],
    ['neither true nor false', 'USE_SECURE_CERT=MAYBE'],
    ['twice', 'PCCS_URL=https://a\npccs_url=https://b'],
    ['no text', '\ufeffPCCS_URL=x'],
    ['too long', `#${'x'.repeat(16_384)}`],
  ])('%s is refused', (_, text) => {
    expect(() => parse(text)).toThrow(expect.objectContaining({ code: 'qcnl_invalid', kind: 'configuration' }))
  })

  it('names the line', () => {
    expect(() => parse('# one\nPCCS_URL=https://a\nnonsense\n')).toThrow('line 3')
  })
})

describe('JSON with comments (PCS-02)', () => {
  it('as distributed: collateral_service wins for verification', () => {
    const text = `{
  // *** ATTENTION : This file is in JSON format ***
  //PCCS server address
  "pccs_url": "${pccs}"

  // To accept insecure HTTPS certificate, set this option to false
  ,"use_secure_cert": true

  // You can use the Intel PCS or another PCCS to get quote verification collateral.
  ,"collateral_service": "https://api.trustedservices.intel.com/sgx/certification/v4/"
  ,"retry_times": 6
  ,"retry_delay": 10
  ,"pck_cache_expire_hours": 168 /* a week */
  ,"verify_collateral_cache_expire_hours" : 168
  ,"custom_request_options" : { "get_cert" : { "headers": { "head1": "value1" } } }
}`
    expect(parse(text)).toEqual({
      url: 'https://api.trustedservices.intel.com/sgx/certification/v4/',
      useSecureCertificate: true,
      retryTimes: 6,
      retryDelay: 10,
      pckCacheExpireHours: 168,
      verifyCollateralCacheExpireHours: 168,
    })
  })

  it('keeps what looks like a comment inside of a string', () => {
    expect(parse('// first\n{"pccs_url":"https://a//b/*c*/\\"//"}').url).toBe('https://a//b/*c*/"//')
  })

  it.each([
    ['an empty service', '{"collateral_service":"","pccs_url":"https://a"}', { url: 'https://a' }],
    ['a null service', '{"collateral_service":null,"pccs_url":"https://a"}', { url: 'https://a' }],
    ['no service', '{}', { url: null, useSecureCertificate: true }],
    ['no verified certificate', '{"use_secure_cert":false}', { useSecureCertificate: false }],
  ])('%s', (_, text, expected) => {
    expect(parse(text)).toMatchObject(expected)
  })

  it.each([
    '{"pccs_url":1}',
    '{"use_secure_cert":"false"}',
    '{"retry_times":-1}',
    '{"retry_delay":1.5}',
    '{"pccs_url":"https://a","pccs_url":"https://b"}',
    '{',
    '{}x',
    '/* {}',
  ])('%j is refused', (text) => {
    expect(() => parse(text)).toThrow(expect.objectContaining({ code: 'qcnl_invalid' }))
  })

  it('names the line behind comments', () => {
    expect(() => parse('{\n// one\n/* two\nthree */\n"a" 1}')).toThrow('line 5')
  })

  it('whatever the bytes: settings or qcnl_invalid', () => {
    const pieces = fc.constantFrom('{', '}', '"', '//', '/*', '*/', '\n', 'pccs_url', ':', ',', '=', '#', 'true', '\\')
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 40 }), (parts) => {
        try {
          parse(parts.join(''))
        } catch (error) {
          expect(error).toBeInstanceOf(AttestdError)
        }
      }),
    )
  })
})
