/** A character that has no place outside of strings and comments (POL-104). */
export interface NamedCharacter {
  /** `U+201C LEFT DOUBLE QUOTATION MARK`. */
  readonly name: string
  /** What to type instead, as a sentence. */
  readonly hint?: string | undefined
  /** The mark of the language that was meant, if that is plain. */
  readonly meant?: string | undefined
}

const doubleQuote = 'type the straight double quote "'
const quotes = 'strings stand in straight double quotes: type "'
const space = 'type a plain space'
const invisible = 'it cannot be seen: delete it'
const lineEnd = 'end the line with a line feed'
const minus = 'type the hyphen-minus -'
/** Hint and token of a character that stands in the place of a mark of the language. */
const mark = (text: string) => [`type ${text}`, text] as const

/** Names and remedies of what word processors, web pages and input methods put in the place of what was meant. */
const lookAlikes: ReadonlyMap<number, readonly [string, string?, string?]> = new Map<
  number,
  readonly [string, string?, string?]
>([
  [0x0b, ['LINE TABULATION', lineEnd]],
  [0x0c, ['FORM FEED', lineEnd]],
  [0x23, ['NUMBER SIGN', 'a comment starts with //']],
  [0x24, ['DOLLAR SIGN', 'a claim type is a string: it stands in double quotes']],
  [0x25, ['PERCENT SIGN']],
  [0x27, ['APOSTROPHE', quotes]],
  [0x2a, ['ASTERISK', 'there is no arithmetic and no pattern here']],
  [0x2b, ['PLUS SIGN', 'there is no arithmetic here; AppendString joins strings']],
  [0x2d, ['HYPHEN-MINUS', 'digits follow a minus; a name with a hyphen is a string in double quotes']],
  [0x2f, ['SOLIDUS', 'a comment starts with //']],
  [0x3f, ['QUESTION MARK']],
  [0x40, ['COMMERCIAL AT']],
  [0x5c, ['REVERSE SOLIDUS', 'a backslash stands in strings only']],
  [0x5e, ['CIRCUMFLEX ACCENT']],
  [0x60, ['GRAVE ACCENT', quotes]],
  [0x7e, ['TILDE', 'there are no patterns: compare with == or !=']],
  [0x7f, ['DELETE', invisible]],
  [0x85, ['NEXT LINE', lineEnd]],
  [0xa0, ['NO-BREAK SPACE', space]],
  [0xa6, ['BROKEN BAR']],
  [0xab, ['LEFT-POINTING DOUBLE ANGLE QUOTATION MARK', doubleQuote]],
  [0xac, ['NOT SIGN', ...mark('!')]],
  [0xad, ['SOFT HYPHEN', invisible]],
  [0xb4, ['ACUTE ACCENT', quotes]],
  [0xbb, ['RIGHT-POINTING DOUBLE ANGLE QUOTATION MARK', doubleQuote]],
  [0x2bc, ['MODIFIER LETTER APOSTROPHE', quotes]],
  [0x37e, ['GREEK QUESTION MARK', ...mark(';')]],
  [0x61c, ['ARABIC LETTER MARK', invisible]],
  [0x1680, ['OGHAM SPACE MARK', space]],
  [0x180e, ['MONGOLIAN VOWEL SEPARATOR', invisible]],
  [0x2000, ['EN QUAD', space]],
  [0x2001, ['EM QUAD', space]],
  [0x2002, ['EN SPACE', space]],
  [0x2003, ['EM SPACE', space]],
  [0x2004, ['THREE-PER-EM SPACE', space]],
  [0x2005, ['FOUR-PER-EM SPACE', space]],
  [0x2006, ['SIX-PER-EM SPACE', space]],
  [0x2007, ['FIGURE SPACE', space]],
  [0x2008, ['PUNCTUATION SPACE', space]],
  [0x2009, ['THIN SPACE', space]],
  [0x200a, ['HAIR SPACE', space]],
  [0x200b, ['ZERO WIDTH SPACE', invisible]],
  [0x200c, ['ZERO WIDTH NON-JOINER', invisible]],
  [0x200d, ['ZERO WIDTH JOINER', invisible]],
  [0x200e, ['LEFT-TO-RIGHT MARK', invisible]],
  [0x200f, ['RIGHT-TO-LEFT MARK', invisible]],
  [0x2010, ['HYPHEN', minus]],
  [0x2011, ['NON-BREAKING HYPHEN', minus]],
  [0x2012, ['FIGURE DASH', minus]],
  [0x2013, ['EN DASH', minus]],
  [0x2014, ['EM DASH', minus]],
  [0x2015, ['HORIZONTAL BAR', minus]],
  [0x2018, ['LEFT SINGLE QUOTATION MARK', quotes]],
  [0x2019, ['RIGHT SINGLE QUOTATION MARK', quotes]],
  [0x201a, ['SINGLE LOW-9 QUOTATION MARK', quotes]],
  [0x201b, ['SINGLE HIGH-REVERSED-9 QUOTATION MARK', quotes]],
  [0x201c, ['LEFT DOUBLE QUOTATION MARK', doubleQuote]],
  [0x201d, ['RIGHT DOUBLE QUOTATION MARK', doubleQuote]],
  [0x201e, ['DOUBLE LOW-9 QUOTATION MARK', doubleQuote]],
  [0x201f, ['DOUBLE HIGH-REVERSED-9 QUOTATION MARK', doubleQuote]],
  [0x2026, ['HORIZONTAL ELLIPSIS', 'something was left out here: write it']],
  [0x2028, ['LINE SEPARATOR', lineEnd]],
  [0x2029, ['PARAGRAPH SEPARATOR', lineEnd]],
  [0x202a, ['LEFT-TO-RIGHT EMBEDDING', invisible]],
  [0x202b, ['RIGHT-TO-LEFT EMBEDDING', invisible]],
  [0x202c, ['POP DIRECTIONAL FORMATTING', invisible]],
  [0x202d, ['LEFT-TO-RIGHT OVERRIDE', invisible]],
  [0x202e, ['RIGHT-TO-LEFT OVERRIDE', invisible]],
  [0x202f, ['NARROW NO-BREAK SPACE', space]],
  [0x2032, ['PRIME', quotes]],
  [0x2033, ['DOUBLE PRIME', doubleQuote]],
  [0x2039, ['SINGLE LEFT-POINTING ANGLE QUOTATION MARK', quotes]],
  [0x203a, ['SINGLE RIGHT-POINTING ANGLE QUOTATION MARK', quotes]],
  [0x205f, ['MEDIUM MATHEMATICAL SPACE', space]],
  [0x2060, ['WORD JOINER', invisible]],
  [0x2066, ['LEFT-TO-RIGHT ISOLATE', invisible]],
  [0x2067, ['RIGHT-TO-LEFT ISOLATE', invisible]],
  [0x2068, ['FIRST STRONG ISOLATE', invisible]],
  [0x2069, ['POP DIRECTIONAL ISOLATE', invisible]],
  [0x2192, ['RIGHTWARDS ARROW', ...mark('=>')]],
  [0x21d2, ['RIGHTWARDS DOUBLE ARROW', ...mark('=>')]],
  [0x2212, ['MINUS SIGN', minus]],
  [0x2227, ['LOGICAL AND', ...mark('&&')]],
  [0x2228, ['LOGICAL OR', 'write one rule per alternative']],
  [0x2236, ['RATIO', ...mark(':')]],
  [0x2260, ['NOT EQUAL TO', ...mark('!=')]],
  [0x2264, ['LESS-THAN OR EQUAL TO', ...mark('<=')]],
  [0x2265, ['GREATER-THAN OR EQUAL TO', ...mark('>=')]],
  [0x3000, ['IDEOGRAPHIC SPACE', space]],
  [0x3001, ['IDEOGRAPHIC COMMA', ...mark(',')]],
  [0x3002, ['IDEOGRAPHIC FULL STOP', ...mark(';')]],
  [0x300c, ['LEFT CORNER BRACKET', doubleQuote]],
  [0x300d, ['RIGHT CORNER BRACKET', doubleQuote]],
  [0x3010, ['LEFT BLACK LENTICULAR BRACKET', ...mark('[')]],
  [0x3011, ['RIGHT BLACK LENTICULAR BRACKET', ...mark(']')]],
  [0x301d, ['REVERSED DOUBLE PRIME QUOTATION MARK', doubleQuote]],
  [0x301e, ['DOUBLE PRIME QUOTATION MARK', doubleQuote]],
  [0x301f, ['LOW DOUBLE PRIME QUOTATION MARK', doubleQuote]],
  [0xfe58, ['SMALL EM DASH', minus]],
  [0xfe63, ['SMALL HYPHEN-MINUS', minus]],
  [0xfeff, ['ZERO WIDTH NO-BREAK SPACE', `${invisible} (a byte order mark is allowed at the very start only)`]],
  [0xff02, ['FULLWIDTH QUOTATION MARK', doubleQuote]],
  [0xff07, ['FULLWIDTH APOSTROPHE', quotes]],
  [0xff08, ['FULLWIDTH LEFT PARENTHESIS', ...mark('(')]],
  [0xff09, ['FULLWIDTH RIGHT PARENTHESIS', ...mark(')')]],
  [0xff0c, ['FULLWIDTH COMMA', ...mark(',')]],
  [0xff0d, ['FULLWIDTH HYPHEN-MINUS', minus]],
  [0xff0e, ['FULLWIDTH FULL STOP', ...mark('.')]],
  [0xff1a, ['FULLWIDTH COLON', ...mark(':')]],
  [0xff1b, ['FULLWIDTH SEMICOLON', ...mark(';')]],
  [0xff1c, ['FULLWIDTH LESS-THAN SIGN', ...mark('<')]],
  [0xff1d, ['FULLWIDTH EQUALS SIGN', ...mark('=')]],
  [0xff1e, ['FULLWIDTH GREATER-THAN SIGN', ...mark('>')]],
  [0xff01, ['FULLWIDTH EXCLAMATION MARK', ...mark('!')]],
  [0xff06, ['FULLWIDTH AMPERSAND', ...mark('&')]],
  [0xff3b, ['FULLWIDTH LEFT SQUARE BRACKET', ...mark('[')]],
  [0xff3d, ['FULLWIDTH RIGHT SQUARE BRACKET', ...mark(']')]],
  [0xff5b, ['FULLWIDTH LEFT CURLY BRACKET', ...mark('{')]],
  [0xff5d, ['FULLWIDTH RIGHT CURLY BRACKET', ...mark('}')]],
])

/** Names of the letters of an alphabet that stand in one row of code points, the capitals first. */
function alphabet(script: string, capitals: number, smalls: number, names: readonly string[]) {
  return names.flatMap((name, at): [number, string][] => [
    [capitals + at, `${script} CAPITAL LETTER ${name}`],
    [smalls + at, `${script} SMALL LETTER ${name}`],
  ])
}

const words = (text: string) => text.split(' ')

/** Letters that look like Latin ones: a name that holds one matches nothing although it reads right. */
const foreignLetters: ReadonlyMap<number, string> = new Map([
  ...alphabet(
    'GREEK',
    0x391,
    0x3b1,
    words(
      'ALPHA BETA GAMMA DELTA EPSILON ZETA ETA THETA IOTA KAPPA LAMDA MU NU XI OMICRON PI RHO FINAL-SIGMA SIGMA TAU UPSILON PHI CHI PSI OMEGA',
    ).map((name) => name.replace('-', ' ')),
  ),
  ...alphabet(
    'CYRILLIC',
    0x410,
    0x430,
    words(
      'A BE VE GHE DE IE ZHE ZE I SHORT-I KA EL EM EN O PE ER ES TE U EF HA TSE CHE SHA SHCHA HARD-SIGN YERU SOFT-SIGN E YU YA',
    ).map((name) => name.replace('-', ' ')),
  ),
  ...alphabet('CYRILLIC', 0x405, 0x455, words('DZE BYELORUSSIAN-UKRAINIAN-I YI JE')).map(
    ([code, name]): [number, string] => [code, name.replace('UKRAINIAN-I', 'UKRAINIAN I')],
  ),
])

/** Marks that canonical decomposition takes off a Latin letter. */
const marks: ReadonlyMap<string, string> = new Map([
  ['\u0300', 'GRAVE'],
  ['\u0301', 'ACUTE'],
  ['\u0302', 'CIRCUMFLEX'],
  ['\u0303', 'TILDE'],
  ['\u0304', 'MACRON'],
  ['\u0306', 'BREVE'],
  ['\u0307', 'DOT ABOVE'],
  ['\u0308', 'DIAERESIS'],
  ['\u030a', 'RING ABOVE'],
  ['\u030b', 'DOUBLE ACUTE'],
  ['\u030c', 'CARON'],
  ['\u0327', 'CEDILLA'],
  ['\u0328', 'OGONEK'],
])

const plainName = 'names are made of A-Z, a-z, 0-9 and _; everything else stands in a string'

function latinName(character: string): string | undefined {
  const [letter = '', mark = '', ...more] = character.normalize('NFD')
  const withMark = marks.get(mark)
  if (withMark === undefined || more.length > 0 || !/^[A-Za-z]$/.test(letter)) return undefined
  const size = letter === letter.toUpperCase() ? 'CAPITAL' : 'SMALL'
  return `LATIN ${size} LETTER ${letter.toUpperCase()} WITH ${withMark}`
}

const digits = words('ZERO ONE TWO THREE FOUR FIVE SIX SEVEN EIGHT NINE')

/** Full-width forms of ASCII letters and digits, which input methods write. */
function fullWidth(code: number): NamedCharacter | undefined {
  const ascii = String.fromCharCode(code - 0xff01 + 0x21)
  const hint = `type ${ascii}`
  if (code >= 0xff10 && code <= 0xff19) return { name: `FULLWIDTH DIGIT ${digits[code - 0xff10]}`, hint }
  if (code >= 0xff21 && code <= 0xff3a) return { name: `FULLWIDTH LATIN CAPITAL LETTER ${ascii}`, hint }
  if (code >= 0xff41 && code <= 0xff5a) return { name: `FULLWIDTH LATIN SMALL LETTER ${ascii.toUpperCase()}`, hint }
  return undefined
}

/** For what no table here names: its kind. */
function kindOf(character: string): string {
  if (/\p{Cc}/u.test(character)) return '(control character)'
  if (/\p{L}/u.test(character)) return '(letter)'
  if (/\p{N}/u.test(character)) return '(number)'
  if (/\p{M}/u.test(character)) return '(combining mark)'
  if (/\p{P}/u.test(character)) return '(punctuation)'
  if (/\p{S}/u.test(character)) return '(symbol)'
  return '(unassigned or invisible character)'
}

function nameOf(code: number): NamedCharacter {
  const character = String.fromCodePoint(code)
  const [name, hint, meant] = lookAlikes.get(code) ?? []
  if (name !== undefined) return { name, hint, meant }
  const letter = foreignLetters.get(code)
  if (letter !== undefined) return { name: letter, hint: `it looks like a Latin letter and is none; ${plainName}` }
  const wide = fullWidth(code)
  if (wide !== undefined) return wide
  if (/\p{Script=Han}/u.test(character) && /\p{Unified_Ideograph}/u.test(character)) {
    return { name: `CJK UNIFIED IDEOGRAPH-${hexOf(code)}`, hint: plainName }
  }
  return { name: latinName(character) ?? kindOf(character), hint: plainName }
}

const hexOf = (code: number) => code.toString(16).toUpperCase().padStart(4, '0')

/** `U+XXXX`, four digits or more. */
export function codePointLabel(code: number): string {
  return `U+${hexOf(code)}`
}

/** The code point with its Unicode name, or its kind where no table here knows the name, and what to type instead. */
export function nameCharacter(code: number): NamedCharacter {
  const named = nameOf(code)
  return { ...named, name: `${codePointLabel(code)} ${named.name}` }
}
