import type { JsonObject } from '../base/json.ts'
import { invalidRequest } from './errors.ts'
import type { MeasuredRegister, MeasureRequest } from './measurer.ts'
import { MemberReader } from './members.ts'
import { defaultTimeoutMs } from './token-parameters.ts'

export interface MeasureParameters extends MeasureRequest {
  readonly timeoutMs: number
}

const registerForm = /^(?:rtmr[23]|pcr(?:[0-9]|1[0-9]|2[0-3]))$/
const contentBytes = 8192

function requireText(reader: MemberReader, name: string): string {
  const text = reader.text(name)
  if (text === null) throw invalidRequest(name, 'is missing')
  return text
}

function isRegister(register: string): register is MeasuredRegister {
  return registerForm.test(register)
}

function requireRegister(register: string): MeasuredRegister {
  if (isRegister(register)) return register
  throw invalidRequest('register', 'is not rtmr2, rtmr3 or pcr0 to pcr23')
}

/** What a record of the log takes (TDX-035): no part of an event can pass for another. */
function requireName(text: string, name: string, most: number): string {
  if (text.length <= most && /^[A-Za-z0-9._/-]+$/.test(text)) return text
  throw invalidRequest(name, `is not 1 to ${most} letters, digits and any of ._/-`)
}

function requireContent(content: string): string {
  const size = Buffer.byteLength(content)
  if (size >= 1 && size <= contentBytes && !/[\p{Cc}\p{Cs}]/u.test(content)) return content
  throw invalidRequest('content', `is not 1 to ${contentBytes} bytes of text without control characters`)
}

/** Reads the members of `POST /v1/measure` (section 6.3). Nothing of them is quoted in errors. */
export function parseMeasureParameters(members: JsonObject): MeasureParameters {
  const reader = new MemberReader(members, ['register', 'domain', 'operation', 'content', 'timeout_ms'])
  return {
    register: requireRegister(requireText(reader, 'register')),
    domain: requireName(requireText(reader, 'domain'), 'domain', 128),
    operation: requireName(requireText(reader, 'operation'), 'operation', 64),
    content: requireContent(requireText(reader, 'content')),
    timeoutMs: reader.integer('timeout_ms', 1, 60_000) ?? defaultTimeoutMs,
  }
}
