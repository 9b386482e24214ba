/** Where a command writes, and what it may do there. Tests give their own. */
export interface CommandIo {
  out(text: string): void
  err(text: string): void
  /** Standard output is a terminal. */
  readonly terminal: boolean
  /** Colours are allowed: a terminal, and NO_COLOR is not set. */
  readonly colour: boolean
}

export function processIo(): CommandIo {
  const terminal = process.stdout.isTTY === true
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    terminal,
    colour: terminal && !process.env['NO_COLOR'],
  }
}

const codes = { red: 31, green: 32, yellow: 33, grey: 90, bold: 1 } as const

export function painted(io: Pick<CommandIo, 'colour'>, colour: keyof typeof codes, text: string): string {
  return io.colour ? `\u001b[${codes[colour]}m${text}\u001b[0m` : text
}

/** Text from outside, safe for a terminal: control and format characters become `\xNN` or `\u{…}`. */
export function escaped(text: string): string {
  return text.replace(/[\p{C}\u2028\u2029]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`
  })
}
