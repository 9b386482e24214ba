import { concatBytes } from '../../base/bytes.ts'
import {
  encode,
  type Layout,
  nothing,
  parsePrefix,
  sized,
  sizedBytes,
  struct,
  type TypeOf,
  u8,
  u16be,
  u32be,
} from '../../base/layout.ts'
import { Reader } from '../../base/layout-cursor.ts'

/** TPM_ST_NO_SESSIONS, TPM_ST_SESSIONS, and TPM_ST_RSP_COMMAND, with which a TPM answers a tag it does not know. */
const tagNoSessions = 0x8001
const tagSessions = 0x8002
const tagUnknown = 0x00c4

/** Bytes of a header: tag u16, size u32, command or response code u32. */
const headerSize = 10

const headerLayout = struct({ tag: u16be, size: u32be, code: u32be })

/** TPMS_AUTH_COMMAND: how one handle of a command is authorised (TPM 2.0 Part 2, section 10.13.2). */
export const commandSessionLayout = struct({
  handle: u32be,
  nonce: sizedBytes(u16be, { max: 64 }),
  attributes: u8,
  hmac: sizedBytes(u16be, { max: 64 }),
})
export type CommandSession = TypeOf<typeof commandSessionLayout>

/** TPMS_AUTH_RESPONSE: what a TPM answers for each session of the command (section 10.13.3). */
export const responseSessionLayout = struct({
  nonce: sizedBytes(u16be, { max: 64 }),
  attributes: u8,
  hmac: sizedBytes(u16be, { max: 64 }),
})
type ResponseSession = TypeOf<typeof responseSessionLayout>

const empty = new Uint8Array()

/** TPM_RS_PW with the empty password (NAT-53). */
export const passwordSession: CommandSession = { handle: 0x40000009, nonce: empty, attributes: 0, hmac: empty }

/** A policy session without HMAC; attributes 0 end it when the command succeeds (NAT-53). */
export function policySession(handle: number): CommandSession {
  return { handle, nonce: empty, attributes: 0, hmac: empty }
}

/**
 * One command of TPM 2.0 Part 3 as a value: what goes in (handles and parameters, flat in one object) and what
 * comes out (parameters, and the returned handle under its name). All integers are big endian (NAT-50).
 */
export interface TpmCommand<Request, Response> {
  /** `TPM2_Quote`, for messages. */
  readonly name: string
  readonly code: number
  /** How many of the handles, from the first, need a session each. */
  readonly authorised: number
  readonly handles: Layout<object>
  readonly parameters: Layout<object>
  /** Name of the handle in the handle area of the response; null where there is none. */
  readonly returns: string | null
  readonly response: Layout<object>
  /** Carries the types only; never set. */
  readonly types?: { readonly request: Request; readonly response: Response }
}

// biome-ignore lint/suspicious/noExplicitAny: stands for every command, whatever goes in and comes out
export type AnyTpmCommand = TpmCommand<any, any>
export type RequestOf<C> = C extends TpmCommand<infer Request, unknown> ? Request : never
export type ResponseOf<C> = C extends TpmCommand<unknown, infer Response> ? Response : never

interface Declaration<H extends string, P, N extends string, R> {
  readonly name: string
  readonly code: number
  readonly handles?: readonly H[]
  readonly authorised?: number
  readonly parameters?: Layout<P>
  readonly returns?: N
  readonly response?: Layout<R>
}

function returnedHandle({ returns }: AnyTpmCommand): Layout<object> {
  return returns === null ? nothing : struct({ [returns]: u32be })
}

type Flat<T> = { [K in keyof T]: T[K] }

/** Declares a command. `handles` and `returns` name u32 handles; what is left out is empty. */
export function declareCommand<
  const H extends string = never,
  P = Record<never, never>,
  const N extends string = never,
  R = Record<never, never>,
>(declaration: Declaration<H, P, N, R>): TpmCommand<Flat<Record<H, number> & P>, Flat<Record<N, number> & R>> {
  const { name, code, handles = [], authorised = 0, parameters, returns, response } = declaration
  return {
    name,
    code,
    authorised,
    handles: struct(Object.fromEntries(handles.map((handle) => [handle, u32be]))),
    parameters: (parameters ?? nothing) as Layout<object>,
    returns: returns ?? null,
    response: (response ?? nothing) as Layout<object>,
  }
}

function framed(code: number, sessions: boolean, ...parts: readonly Uint8Array[]): Uint8Array {
  const body = concatBytes(...parts)
  const header = { tag: sessions ? tagSessions : tagNoSessions, size: headerSize + body.length, code }
  return concatBytes(encode(headerLayout, header), body)
}

const commandSessions = sized(u32be, restOf(commandSessionLayout), { min: 9, max: 3 * 141 })

/** `item` again and again up to the end of the container. */
function restOf<T>(item: Layout<T>): Layout<T[]> {
  return {
    read: (reader) => {
      const items: T[] = []
      while (reader.remaining > 0) items.push(reader.field(String(items.length), () => item.read(reader)))
      return items
    },
    write: (writer, items) => {
      for (const value of items) item.write(writer, value)
    },
  }
}

function requireSessions(command: AnyTpmCommand, sessions: readonly unknown[]): void {
  if (sessions.length === command.authorised) return
  throw new TypeError(`${command.name}: takes ${command.authorised} sessions, got ${sessions.length}`)
}

/**
 * The bytes of a command: tag, size, code, handles, sessions (one for each handle that needs authorisation),
 * parameters. A value that does not fit its field is a bug: `RangeError`; so is a wrong number of sessions.
 */
export function encodeCommand<Request extends object>(
  command: TpmCommand<Request, unknown>,
  request: Request,
  sessions: readonly CommandSession[] = [],
): Uint8Array {
  requireSessions(command, sessions)
  const area = sessions.length === 0 ? empty : encode(commandSessions, [...sessions], `${command.name}.sessions`)
  return framed(
    command.code,
    sessions.length > 0,
    encode(command.handles, request, command.name),
    area,
    encode(command.parameters, request, command.name),
  )
}

/** Tag, size and code of a command or response; throws `MalformedError` for fewer than 10 bytes. */
export function parseHeader(bytes: Uint8Array, name = 'header'): TypeOf<typeof headerLayout> {
  return parsePrefix(headerLayout, bytes, name).value
}

/** The other direction of `encodeCommand`, for doubles of a TPM; throws `MalformedError`. */
export function parseCommand<Request>(
  command: TpmCommand<Request, unknown>,
  bytes: Uint8Array,
): { readonly request: Request; readonly sessions: readonly CommandSession[] } {
  const reader = new Reader(bytes, command.name)
  const header = headerLayout.read(reader)
  requireHeader(reader, header.size, bytes.length)
  if (header.code !== command.code) throw reader.malformed(`is command 0x${header.code.toString(16)}`, 6)
  if (header.tag !== (command.authorised > 0 ? tagSessions : tagNoSessions)) throw reader.malformed('wrong tag', 0)
  const handles = command.handles.read(reader)
  const sessions = command.authorised > 0 ? reader.field('sessions', () => commandSessions.read(reader)) : []
  if (sessions.length !== command.authorised) throw reader.malformed(`has ${sessions.length} sessions`)
  const parameters = command.parameters.read(reader)
  reader.requireEnd()
  return { request: { ...handles, ...parameters } as Request, sessions }
}

function requireHeader(reader: Reader, size: number, length: number): void {
  if (size !== length) throw reader.malformed(`the header says ${size} bytes, there are ${length}`, 2)
}

/** A command was carried out, or refused with a response code other than 0 (see response-codes.ts). */
export type TpmOutcome<Response> =
  | { readonly outcome: 'done'; readonly response: Response; readonly sessions: readonly ResponseSession[] }
  | { readonly outcome: 'refused'; readonly rc: number }

/**
 * Parses the response to `command` exactly (NAT-51): a refusal is 10 bytes and carries no sessions; otherwise
 * the tag is that of the command, every layout is read to its last byte, and there is one session for each of
 * the command's. Nothing in it is verified. Throws `MalformedError` with the field path: the device may lie.
 */
export function parseResponse<Response>(
  command: TpmCommand<unknown, Response>,
  bytes: Uint8Array,
): TpmOutcome<Response> {
  const reader = new Reader(bytes, command.name)
  const { tag, size, code } = headerLayout.read(reader)
  requireHeader(reader, size, bytes.length)
  if (code !== 0) {
    if (tag !== tagNoSessions && tag !== tagUnknown) throw reader.malformed('a refusal with another tag than 8001', 0)
    reader.requireEnd()
    return { outcome: 'refused', rc: code }
  }
  if (tag !== (command.authorised > 0 ? tagSessions : tagNoSessions)) throw reader.malformed('wrong tag', 0)
  const handle = returnedHandle(command).read(reader)
  const { parameters, sessions } = readBody(command, reader)
  reader.requireEnd()
  return { outcome: 'done', response: { ...handle, ...parameters } as Response, sessions }
}

function readBody(command: AnyTpmCommand, reader: Reader) {
  if (command.authorised === 0) return { parameters: command.response.read(reader), sessions: [] }
  const size = reader.field('parameterSize', () => u32be.read(reader))
  const parameters = reader.within(size, () => command.response.read(reader))
  const sessions: ResponseSession[] = []
  for (let index = 0; index < command.authorised; index++) {
    sessions.push(reader.field(`sessions.${index}`, () => responseSessionLayout.read(reader)))
  }
  return { parameters, sessions }
}

/** What a TPM answers to a password session: nothing to verify, the session goes on. */
const plainSession: ResponseSession = { nonce: empty, attributes: 1, hmac: empty }

/** The other direction of `parseResponse`: the bytes of a successful response, for doubles of a TPM. */
export function encodeResponse<Response extends object>(
  command: TpmCommand<unknown, Response>,
  response: Response,
): Uint8Array {
  const handle = encode(returnedHandle(command), response, command.name)
  const parameters = encode(command.response, response, command.name)
  if (command.authorised === 0) return framed(0, false, handle, parameters)
  const sessions = Array.from({ length: command.authorised }, () => encode(responseSessionLayout, plainSession))
  return framed(0, true, handle, encode(u32be, parameters.length), parameters, ...sessions)
}

/** The bytes of a refusal: a header with the response code. */
export function encodeRefusal(rc: number): Uint8Array {
  return framed(rc, false)
}
