import type { TokenRequest } from '../../results/token-request.ts'
import type { FileFormat } from './file-format.ts'

/** One token file as it is configured. */
export interface Sink {
  readonly name: string
  readonly path: string
  readonly request: TokenRequest
  readonly format: FileFormat
  /** Longer tokens are refused: what the consumer takes (BRK-109, BRK-113). */
  readonly maxCharacters: number
  /** What becomes of a file whose token has ended (BRK-115). */
  readonly onExpiry: 'remove' | 'rename'
  /** Whether a stop of the agent removes a file that is still valid (BRK-117). */
  readonly removeOnStop: boolean
}

/** What lies at the path of a sink: two marks are equal only of a file that nobody touched. */
export interface SeenFile {
  readonly mark: string
  readonly regular: boolean
  /** Its mode is as configured. */
  readonly modeFits: boolean
}

/** Port: the place of one token file, by way of a directory that was opened once (BRK-112). Rejects with `AttestdError`. */
export interface TokenPlace {
  /** The real path of the directory when it was opened. */
  readonly location: string
  /** Puts the content there as a whole or not at all (BRK-111); gives its mark. */
  write(content: Uint8Array): Promise<string>
  /** Null: there is nothing. */
  look(): Promise<SeenFile | null>
  /** Null: no regular file, or a larger one. */
  read(maxBytes: number): Promise<Uint8Array | null>
  remove(): Promise<void>
  /** Removes it, also where it then fails, and keeps `content` out of the consumer's way, for the owner alone (`on_expiry: rename`). */
  setAside(content: Uint8Array): Promise<void>
  /** Removes what killed writers of this file left behind; gives how much. */
  removeLeftovers(): Promise<number>
  whereabouts(): Promise<'there' | 'gone' | 'replaced'>
  /** Calls back after changes in the directory until the signal aborts; false: it cannot be watched. */
  watch(changed: () => void, signal: AbortSignal): boolean
  close(): Promise<void>
}
