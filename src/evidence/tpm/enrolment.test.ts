import { createHmac } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { proveActivation } from './enrolment.ts'

const secret = new Uint8Array(32).fill(1)
const id = new Uint8Array(16).fill(2)
const akName = Uint8Array.of(0, 0x0b, ...new Uint8Array(32).fill(3))

describe('the answer to an enrolment challenge (ENR-05)', () => {
  it('is an HMAC over domain, id and AK name, each with its lengths', () => {
    const transcript = [
      ...['0006', '646f6d61696e', '0000000f', '617474657374642f656e726f6c2f31'],
      ...['0002', '6964', '00000010', '02'.repeat(16)],
      ...['0002', '616b', '00000022', '000b', '03'.repeat(32)],
    ]
    const expected = createHmac('sha256', secret)
      .update(Buffer.from(transcript.join(''), 'hex'))
      .digest()
    expect(proveActivation(secret, id, akName)).toEqual(new Uint8Array(expected))
  })

  it('changes with each of its inputs', () => {
    const answers = [
      proveActivation(secret, id, akName),
      proveActivation(secret.with(0, 0), id, akName),
      proveActivation(secret, id.with(0, 0), akName),
      proveActivation(secret, id, akName.with(5, 0)),
    ]
    expect(new Set(answers.map((answer) => Buffer.from(answer).toString('hex'))).size).toBe(4)
  })
})
