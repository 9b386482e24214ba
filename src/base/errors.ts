/**
 * Errors that somebody can act on (design: "three ways to say no"). A kind decides the exit code of a
 * command and the status of an HTTP answer; a code names the case and carries its remedy. Whatever is
 * not an `AttestdError` is a bug and is never caught.
 */
export const errorKinds = {
  malformed: { exitCode: 65, status: 400 },
  unsupported: { exitCode: 69, status: 422 },
  configuration: { exitCode: 78, status: 500 },
  unavailable: { exitCode: 75, status: 503 },
  refused: { exitCode: 76, status: 502 },
  forbidden: { exitCode: 77, status: 403 },
  distrusted: { exitCode: 1, status: 403 },
} as const

export type ErrorKind = keyof typeof errorKinds

/** What `docs/errors.md` says about a code. `retryable` defaults to: kind is `unavailable`. */
export interface ErrorDeclaration {
  readonly kind: ErrorKind
  readonly title: string
  readonly remedy: string
  readonly retryable?: boolean
  /** HTTP status where a contract asks for another one than the kind's. */
  readonly status?: number
}

export interface ErrorOptions {
  /** Facts for logs and machines: never secrets, tokens, evidence or command bytes. */
  readonly facts?: Readonly<Record<string, string | number | boolean>>
  readonly cause?: unknown
  /** Replaces the declared remedy where the case at hand allows a better one. */
  readonly remedy?: string
}

export class AttestdError extends Error {
  readonly kind: ErrorKind
  readonly code: string
  /** What the code says in every case; the message says what happened in this one. */
  readonly title: string
  readonly remedy: string
  readonly retryable: boolean
  readonly status: number
  readonly facts: Readonly<Record<string, string | number | boolean>>

  constructor(code: string, declaration: ErrorDeclaration, detail: string, options: ErrorOptions = {}) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'AttestdError'
    this.code = code
    this.kind = declaration.kind
    this.title = declaration.title
    this.remedy = options.remedy ?? declaration.remedy
    this.retryable = declaration.retryable ?? declaration.kind === 'unavailable'
    this.status = declaration.status ?? errorKinds[declaration.kind].status
    this.facts = options.facts ?? {}
  }

  get exitCode(): number {
    return errorKinds[this.kind].exitCode
  }
}

export interface ErrorVocabulary<Code extends string> {
  readonly declared: Readonly<Record<Code, ErrorDeclaration>>
  /** Makes (does not throw) the error `code`; `detail` says what happened, where, in one sentence. */
  error(code: Code, detail: string, options?: ErrorOptions): AttestdError
}

/** Declares the codes of one room. `docs/errors.md` is generated from all vocabularies. */
export function declareErrors<Code extends string>(
  declared: Readonly<Record<Code, ErrorDeclaration>>,
): ErrorVocabulary<Code> {
  return {
    declared,
    error: (code, detail, options) => new AttestdError(code, declared[code], detail, options),
  }
}

const malformedDeclaration: ErrorDeclaration = {
  kind: 'malformed',
  title: 'input does not have the form that its specification prescribes',
  remedy: 'compare the named field with the specification, and check that the file was not cut or converted',
}

export const baseErrors = declareErrors({ MALFORMED: malformedDeclaration })

export interface MalformedPlace {
  /** Path of the field, outermost first: `quote.signatureData`. */
  readonly path: string
  /** Byte offset from the start of the message, if it is known. */
  readonly offset?: number
}

/** Bytes or text that do not parse. The message names the field path, what was wrong and the byte offset. */
export class MalformedError extends AttestdError {
  readonly path: string
  readonly offset: number | undefined

  constructor(place: MalformedPlace, problem: string, options: ErrorOptions = {}) {
    const where = place.offset === undefined ? '' : ` (at byte ${place.offset})`
    super('MALFORMED', malformedDeclaration, `${place.path}: ${problem}${where}`, options)
    this.name = 'MalformedError'
    this.path = place.path
    this.offset = place.offset
  }
}
