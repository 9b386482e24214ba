export type Severity = 'error' | 'warning' | 'info'

/** One thing that is wrong or doubtful in a policy text (POL-801). */
export interface PolicyDiagnostic {
  /** `POL-206`, `L02`. */
  readonly id: string
  readonly severity: Severity
  readonly message: string
  /** 1-based; a line ends at LF, CR LF or a lone CR (POL-103). */
  readonly line: number
  /** 1-based, in Unicode code points; a leading U+FEFF does not count. */
  readonly column: number
  /** Code points; 0 at the end of the text. */
  readonly length: number
  readonly found: string
  /** Token texts stand in quotes: `'=='`. */
  readonly expected: readonly string[]
  /** The production: `policy > authorizationrules > claimRule > condition`, or `lexer`. */
  readonly path: string
  /** What to write instead. */
  readonly hint?: string
}
